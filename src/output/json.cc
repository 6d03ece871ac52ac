// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
// Not RAPIDJSON_SSE2: in RapidJSON 1.1.0 it lets 0x1A to 0x1F through as they are.
#include <fmt/core.h>
#include <rapidjson/stringbuffer.h>
#include <rapidjson/writer.h>

#include <algorithm>
#include <map>
#include <set>

#include "base/throwing_allocator.h"
#include "output/formats.h"
#include "output/text.h"

namespace engram::output {
namespace {

using rapidjson::SizeType;
using StringBuffer = rapidjson::GenericStringBuffer<rapidjson::UTF8<>, ThrowingAllocator>;
template <class Encoding>
using JsonWriterIn =
    rapidjson::Writer<StringBuffer, rapidjson::UTF8<>, Encoding, ThrowingAllocator>;
using Utf8Json = JsonWriterIn<rapidjson::UTF8<>>;
using AsciiJson = JsonWriterIn<rapidjson::ASCII<>>;
// RapidJSON 1.1.0 takes characters from here to the space for ones that need no escape where it
// looks at 16 bytes at a time (writer.h, ScanWriteUnescapedString(): `max(s, 0x19) == 0x19`). ESC
// is one of them.
constexpr unsigned char kFirstMissed = 0x1a;

/// Whether the text, which is valid UTF-8, has characters that RapidJSON leaves as they are, but a
/// terminal may obey them (U+009B begins an escape sequence).
bool steers_terminal(std::string_view text) {
  while (!text.empty()) {
    const Character character = first_character(text);
    if (character.code >= kFirstMissed && output::steers_terminal(character.code)) return true;
    text.remove_prefix(character.length);
  }
  return false;
}

/// All of it in ASCII; the library leaves DEL as it is.
void put_escaped(Utf8Json& json, std::string_view valid) {
  StringBuffer escaped;
  AsciiJson(escaped).String(valid.data(), static_cast<SizeType>(valid.size()));
  std::string text(escaped.GetString(), escaped.GetSize());
  for (auto at = text.find('\x7f'); at != std::string::npos; at = text.find('\x7f', at)) {
    text.replace(at, 1, "\\u007F");
  }
  json.RawValue(text.data(), text.size(), rapidjson::kStringType);
}

void put_string(Utf8Json& json, std::string_view text) {
  const bool is_harmless = std::all_of(text.begin(), text.end(), [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte < kFirstMissed || (byte >= 0x20 && byte < 0x7f);
  });
  if (is_harmless) {
    json.String(text.data(), static_cast<SizeType>(text.size()));
    return;
  }
  const std::string valid = valid_utf8(text);
  const auto size = static_cast<SizeType>(valid.size());
  if (steers_terminal(valid)) return put_escaped(json, valid);
  json.String(valid.data(), size);
}

void put_raw_number(Utf8Json& json, std::string_view text) {
  json.RawValue(text.data(), text.size(), rapidjson::kNumberType);
}

struct Put {
  Utf8Json& json;
  void operator()(tables::Null) const { json.Null(); }
  void operator()(std::int64_t integer) const { json.Int64(integer); }
  void operator()(double real) const { put_raw_number(json, real_text(real)); }
  void operator()(const std::string& text) const { put_string(json, text); }
  void operator()(const tables::Blob& blob) const { put_string(json, hex_digits(blob)); }
};

/// The names of the columns, of which those that occurred before get a number behind a colon, as in
/// SQLite's views: readers of JSON keep one of the members that share a name.
std::vector<std::string> member_names(std::span<const sql::ResultColumn> columns) {
  std::vector<std::string> names;
  std::set<std::string> taken;
  for (const auto& column : columns) taken.insert(column.name);
  std::map<std::string, unsigned> seen;
  for (const auto& column : columns) {
    std::string name = column.name;
    const auto [place, is_first] = seen.emplace(column.name, 0);
    while (!is_first && !taken.insert(name).second) {
      name = fmt::format("{}:{}", column.name, ++place->second);
    }
    names.push_back(std::move(name));
  }
  return names;
}

/// Objects, each behind `before` on a line of its own.
class ObjectWriter : public Writer {
 public:
  explicit ObjectWriter(Sink& sink) : sink_(sink) {}

  Result<void> begin(std::span<const sql::ResultColumn> columns) override {
    columns_.assign(columns.begin(), columns.end());
    names_.clear();
    for (const std::string& member : member_names(columns)) {
      StringBuffer name;
      Utf8Json json(name);
      put_string(json, member);
      names_.emplace_back(name.GetString(), name.GetSize());
    }
    return {};
  }
  Result<void> end() override { return sink_.flush(); }
  Result<void> cut() override { return sink_.flush(); }

 protected:
  Result<void> write(std::string_view text) { return sink_.write(text); }

  Result<void> object(std::span<const tables::Value> values) {
    buffer_.Clear();
    Utf8Json json(buffer_);
    json.StartObject();
    for (std::size_t i = 0; i < values.size(); ++i) {
      // A member's name is a string like any other; RapidJSON counts strings to know which is
      // which.
      json.RawValue(names_[i].data(), names_[i].size(), rapidjson::kStringType);
      if (is_address(columns_[i], values[i])) {
        put_string(json, address_text(std::get<std::int64_t>(values[i])));
      } else {
        std::visit(Put{json}, values[i]);
      }
    }
    json.EndObject();
    return sink_.write({buffer_.GetString(), buffer_.GetSize()});
  }

 private:
  Sink& sink_;
  std::vector<sql::ResultColumn> columns_;
  std::vector<std::string> names_;  ///< of the columns, as JSON strings
  StringBuffer buffer_;
};

class JsonLinesWriter final : public ObjectWriter {
 public:
  using ObjectWriter::ObjectWriter;
  Result<void> row(std::span<const tables::Value> values) override {
    ENGRAM_CHECK(object(values));
    return write("\n");
  }
};

class JsonWriter final : public ObjectWriter {
 public:
  using ObjectWriter::ObjectWriter;
  Result<void> begin(std::span<const sql::ResultColumn> columns) override {
    empty_ = true;
    ENGRAM_CHECK(ObjectWriter::begin(columns));
    return write("[");
  }
  Result<void> row(std::span<const tables::Value> values) override {
    ENGRAM_CHECK(write(empty_ ? "\n" : ",\n"));
    empty_ = false;
    return object(values);
  }
  Result<void> end() override {
    ENGRAM_CHECK(write(empty_ ? "]\n" : "\n]\n"));
    return ObjectWriter::end();
  }
  Result<void> cut() override {
    ENGRAM_CHECK(write("\n"));
    return ObjectWriter::cut();
  }

 private:
  bool empty_ = true;
};

}  // namespace

std::unique_ptr<Writer> make_json_writer(Sink& sink, WriterOptions) {
  return std::make_unique<JsonWriter>(sink);
}

std::unique_ptr<Writer> make_json_lines_writer(Sink& sink, WriterOptions) {
  return std::make_unique<JsonLinesWriter>(sink);
}

}  // namespace engram::output
