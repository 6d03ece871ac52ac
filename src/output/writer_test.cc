// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "output/writer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidjson/document.h>

#include <algorithm>
#include <cstring>
#include <limits>

#include "output/text.h"

namespace engram::output {
namespace {

using sql::ResultColumn;
using tables::Blob;
using tables::Null;
using tables::Type;
using tables::Value;
using testing::HasSubstr;

constexpr auto kAddress = static_cast<std::int64_t>(0xffff888000000040);
using Rows = std::vector<std::vector<Value>>;

std::string write(std::string_view format, const std::vector<ResultColumn>& columns,
                  const Rows& rows, std::size_t width = 0) {
  StringSink sink;
  auto writer = make_writer(format, sink, {width});
  if (!writer) return writer.error().text;
  EXPECT_TRUE((*writer)->begin(columns));
  for (const auto& row : rows) EXPECT_TRUE((*writer)->row(row));
  EXPECT_TRUE((*writer)->end());
  return sink.text();
}

const std::vector<ResultColumn> kColumns{{"task", Type::pointer},
                                         {"pid", Type::integer},
                                         {"comm", Type::text},
                                         {"load", Type::real},
                                         {"raw", Type::blob}};
const Rows kRows{
    {kAddress, std::int64_t{1}, std::string("init"), 1.0, Blob{std::byte{0x0a}, std::byte{0xff}}},
    {Null{}, std::int64_t{-20}, std::string(), Null{}, Blob{}},
};

TEST(TableWriter, AlignsNumbersRightAndTextLeft) {
  EXPECT_EQ(write("table", kColumns, kRows),
            "              task  pid  comm  load  raw\n"
            "------------------  ---  ----  ----  ----\n"
            "0xffff888000000040    1  init   1.0  0aff\n"
            "              NULL  -20        NULL\n");
}

TEST(TableWriter, AnEmptyResultHasAHeader) {
  EXPECT_EQ(write("table", {{"pid", {}}, {"comm", {}}}, {}), "pid  comm\n---  ----\n");
  EXPECT_EQ(write("table", {{"virtual", Type::pointer}}, {{Null{}}}),
            "virtual\n-------\n   NULL\n");
}

TEST(TableWriter, AnExpressionIsNoAddress) {
  EXPECT_EQ(write("table", {{"x", std::nullopt}}, {{std::int64_t{255}}}), "  x\n---\n255\n");
}

TEST(TableWriter, NothingThatATerminalObeysComesThrough) {
  const std::string hostile("a\nb\x1b[31mc\0d\te\x7f\xff\xc2\x9b\xe2\x80\xae", 20);
  const std::string text = write("table", {{"x\x1b", Type::text}}, {{hostile}});
  EXPECT_EQ(text,
            "x\\x1b\n-----------------------------------------\n"
            "a\\nb\\x1b[31mc\\x00d\\te\\x7f\\xff\\u009b\\u202e\n");
}

TEST(TableWriter, WideAndCombiningCharactersAreCounted) {
  EXPECT_EQ(write("table", {{"name", Type::text}, {"n", Type::integer}},
                  {{std::string("漢字"), std::int64_t{1}},
                   {std::string("e\xcc\x81tude"), std::int64_t{2}},
                   {std::string("abcdef"), std::int64_t{3}}}),
            "name    n\n------  -\n漢字    1\ne\xcc\x81tude   2\nabcdef  3\n");
}

TEST(TableWriter, TextsAreCutToTheTerminalAndNumbersAreNot) {
  const Rows rows{{std::int64_t{1234567890}, std::string(100, 'x'), std::string(50, 'y')}};
  const std::vector<ResultColumn> columns{{"n", {}}, {"long", {}}, {"less", {}}};
  const std::string text = write("table", columns, rows, 40);
  EXPECT_EQ(text,
            "         n  long           less\n"
            "----------  -------------  -------------\n"
            "1234567890  xxxxxxxxxxxx…  yyyyyyyyyyyy…\n");
  EXPECT_THAT(write("table", columns, rows), HasSubstr(std::string(100, 'x')));
  EXPECT_THAT(write("table", columns, rows, 10), HasSubstr("1234567890  xxxxxxx…  yyyyyyy…\n"));
}

TEST(TableWriter, LaterRowsStreamWithTheWidthsOfTheFirst) {
  Rows rows(1500, {std::int64_t{7}, std::string("ab")});
  rows.back() = {std::int64_t{123456}, std::string("abcdef")};
  const std::string text = write("table", {{"n", {}}, {"t", {}}}, rows);
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 1502);
  EXPECT_TRUE(text.ends_with("\n7  ab\n123456  abcdef\n"));
}

TEST(TableWriter, AHugeCellDoesNotWidenTheOthers) {
  Rows rows(100, {std::string("a"), std::string("b")});
  rows[50][0] = std::string(1'000'000, 'x');
  EXPECT_LT(write("table", {{"s", {}}, {"t", {}}}, rows).size(), 1'100'000U);
}

TEST(CsvWriter, LeavesNothingForATerminalToObey) {
  const Rows rows{{std::string("\x1b[31m\n\xff, \"x\"")}};
  EXPECT_EQ(write("csv", {{"\x1b]2;", {}}}, rows, 80),
            "\\x1b]2;\r\n\"\\x1b[31m\\n\\xff, \"\"x\"\"\"\r\n");
  EXPECT_EQ(write("csv", {{"a", {}}}, rows), "a\r\n\"\x1b[31m\n\xff, \"\"x\"\"\"\r\n");
}

TEST(CsvWriter, FollowsRfc4180) {
  EXPECT_EQ(write("csv", kColumns, kRows),
            "task,pid,comm,load,raw\r\n0xffff888000000040,1,init,1.0,0aff\r\n,-20,\"\",,\"\"\r\n");
  EXPECT_EQ(write("csv", {{"a,b", {}}}, {{std::string("say \"x\"\r\n\xff")}}),
            "\"a,b\"\r\n\"say \"\"x\"\"\r\n\xff\"\r\n");
}

TEST(JsonWriter, WritesAnArrayOfObjectsInColumnOrder) {
  EXPECT_EQ(write("json", kColumns, kRows),
            "[\n"
            R"({"task":"0xffff888000000040","pid":1,"comm":"init","load":1.0,"raw":"0aff"},)"
            "\n"
            R"({"task":null,"pid":-20,"comm":"","load":null,"raw":""})"
            "\n]\n");
  EXPECT_EQ(write("json", kColumns, {}), "[]\n");
}

TEST(JsonWriter, NumbersColumnsOfTheSameName) {
  const std::vector<Value> row{std::int64_t{1}, std::int64_t{2}, std::int64_t{3}, std::int64_t{4}};
  EXPECT_EQ(write("jsonl", {{"a", {}}, {"a", {}}, {"a:1", {}}, {"a", {}}}, {row}),
            "{\"a\":1,\"a:2\":2,\"a:1\":3,\"a:3\":4}\n");
}

TEST(JsonWriter, HostileTextIsValidJson) {
  std::string bytes;
  for (int c = 0; c < 256; ++c) bytes += static_cast<char>(c);
  bytes += "\xe2\x82";          // cut
  bytes += "\xed\xa0\x80";      // a surrogate
  bytes += "\xc0\x80";          // overlong
  bytes += "\xf4\x90\x80\x80";  // beyond U+10FFFF
  bytes += "\xc2\x9b";          // CSI
  bytes += "\xe2\x80\xae";      // U+202E: what follows is shown from right to left
  bytes += "\xf0\x9f\x98\x80";
  const std::string text = write("json", {{"\"\xff", {}}}, {{bytes}});
  rapidjson::Document document;
  document.Parse<rapidjson::kParseValidateEncodingFlag>(text.c_str());
  ASSERT_FALSE(document.HasParseError()) << text;
  const auto& value = document[0]["\"\xef\xbf\xbd"];
  const std::string_view read(value.GetString(), value.GetStringLength());
  EXPECT_EQ(read.substr(0, 128), std::string_view(bytes).substr(0, 128)) << "ASCII is exact";
  EXPECT_TRUE(read.ends_with("\xc2\x9b\xe2\x80\xae\xf0\x9f\x98\x80")) << "and so is what is valid";
  for (const char* const steering : {"\x1b", "\x7f", "\xc2\x9b", "\xe2\x80\xae"}) {
    EXPECT_EQ(text.find(steering), std::string::npos) << output::terminal_text(steering);
  }
}

TEST(JsonWriter, EveryControlIsEscapedWhereverItStands) {
  for (char control = 0; control < 0x20; ++control) {
    for (std::size_t at = 0; at < 48; ++at) {
      std::string text(48, 'x');
      text[at] = control;
      const std::string json = write("jsonl", {{"a", {}}}, {{text}});
      const auto is_control = [](char c) { return c >= 0 && c < 0x20; };
      EXPECT_EQ(std::count_if(json.begin(), json.end(), is_control), 1)  // the line's end
          << int{control} << " at " << at;
      rapidjson::Document document;
      document.Parse(json.c_str());
      ASSERT_FALSE(document.HasParseError());
      const auto& value = document["a"];
      EXPECT_EQ(std::string(value.GetString(), value.GetStringLength()), text);
    }
  }
}

TEST(JsonWriter, DeleteAloneIsEscaped) {
  EXPECT_EQ(write("jsonl", {{"a", {}}}, {{std::string("x\x7fy\x7f")}}),
            "{\"a\":\"x\\u007Fy\\u007F\"}\n");
}

TEST(JsonWriter, ControlsAreEscapedWhereverTheyStand) {
  for (char control = 0; control < 0x20; ++control) {
    for (std::size_t at = 0; at < 64; ++at) {
      std::string hostile(64, 'a');
      hostile[at] = control;
      const std::string line = write("jsonl", {{"x", {}}}, {{hostile}});
      ASSERT_EQ(line.find(control), control == '\n' ? line.size() - 1 : std::string::npos) << at;
      rapidjson::Document document;
      document.Parse(line.c_str());
      ASSERT_FALSE(document.HasParseError()) << line;
      const auto& value = document["x"];
      ASSERT_EQ(std::string(value.GetString(), value.GetStringLength()), hostile);
    }
  }
}

TEST(JsonWriter, NumbersReadBackExactly) {
  const auto smallest = std::numeric_limits<std::int64_t>::min();
  for (const double real : {0.1, 1e300, -0.0, 5e-324, 1.0 / 3, 1e15, 1e16, 123456789.0}) {
    EXPECT_EQ(std::strtod(real_text(real).c_str(), nullptr), real);
    rapidjson::Document document;
    document.Parse<rapidjson::kParseFullPrecisionFlag>(
        write("jsonl", {{"r", {}}, {"i", {}}}, {{real, smallest}}).c_str());
    ASSERT_FALSE(document.HasParseError());
    EXPECT_EQ(document["r"].GetDouble(), real);
    EXPECT_TRUE(document["r"].IsDouble());
    EXPECT_EQ(document["i"].GetInt64(), smallest);
  }
  EXPECT_EQ(write("jsonl", {{"r", {}}}, {{std::numeric_limits<double>::infinity()}}),
            "{\"r\":9e999}\n");
}

TEST(Writers, SeveralResultSetsAreTellable) {
  const auto two = [](std::string_view format) {
    StringSink sink;
    auto writer = std::move(*make_writer(format, sink));
    const std::vector<ResultColumn> columns{{"a", {}}};
    const std::vector<Value> row{std::int64_t{1}};
    for (int i = 0; i < 2; ++i) {
      EXPECT_TRUE(writer->begin(columns) && writer->row(row) && writer->end());
    }
    return sink.text();
  };
  EXPECT_EQ(two("table"), "a\n-\n1\n\na\n-\n1\n");
  EXPECT_EQ(two("json"), "[\n{\"a\":1}\n]\n[\n{\"a\":1}\n]\n");
  EXPECT_EQ(two("jsonl"), "{\"a\":1}\n{\"a\":1}\n");
  EXPECT_EQ(two("csv"), "a\r\n1\r\n\r\na\r\n1\r\n");
}

TEST(Writers, ACutResultShowsItsRowsAndIsNotCompleteJson) {
  const auto cut = [](std::string_view format) {
    StringSink sink;
    auto writer = std::move(*make_writer(format, sink));
    const std::vector<ResultColumn> columns{{"a", {}}};
    const std::vector<Value> row{std::int64_t{1}};
    EXPECT_TRUE(writer->begin(columns) && writer->row(row) && writer->cut());
    return sink.text();
  };
  EXPECT_EQ(cut("table"), "a\n-\n1\n");
  EXPECT_EQ(cut("json"), "[\n{\"a\":1}\n");
}

TEST(Writers, AnUnknownFormatIsAnError) {
  EXPECT_EQ(write("xml", {}, {}), "format xml: expected one of table, json, jsonl, csv");
}

TEST(FileSink, AFullDiskIsAnError) {
  std::FILE* full = std::fopen("/dev/full", "w");
  ASSERT_NE(full, nullptr);
  FileSink sink(full, "standard output");
  EXPECT_TRUE(sink.write("x")) << "buffered";
  const auto flushed = sink.flush();
  ASSERT_FALSE(flushed);
  EXPECT_EQ(flushed.error().text, "standard output: No space left on device");
  EXPECT_FALSE(sink.broken_pipe());
  std::fclose(full);
}

TEST(Text, ValidUtf8ReplacesEachBadByte) {
  EXPECT_EQ(valid_utf8("a\xff\xfe z"), "a\xef\xbf\xbd\xef\xbf\xbd z");
  EXPECT_EQ(valid_utf8("\xe2\x82\xac"), "\xe2\x82\xac");
  EXPECT_EQ(valid_utf8("\xe2\x82"), "\xef\xbf\xbd\xef\xbf\xbd");
}

TEST(Text, ShortenedNeverExceedsTheWidth) {
  EXPECT_EQ(shortened("abcdef", 6), "abcdef");
  EXPECT_EQ(shortened("abcdef", 4), "abc…");
  EXPECT_EQ(shortened("漢字漢字", 4), "漢…") << "the second character would need column 4";
  EXPECT_EQ(shortened("abc", 1), "…");
  EXPECT_EQ(shortened("abc", 0), "");
}

}  // namespace
}  // namespace engram::output
