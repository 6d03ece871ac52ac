// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "output/formats.h"
#include "output/text.h"

namespace engram::output {
namespace {

std::string quoted(std::string_view text) {
  std::string field = "\"";
  for (const char c : text) field.append(c == '"' ? 2 : 1, c);
  return field + '"';
}

/// Empty text is quoted to tell it from NULL.
std::string text_field(std::string_view text) {
  const bool plain = !text.empty() && text.find_first_of("\",\r\n") == std::string_view::npos;
  return plain ? std::string(text) : quoted(text);
}

struct Field {
  bool on_terminal = false;
  std::string operator()(tables::Null) const { return {}; }
  std::string operator()(std::int64_t integer) const { return std::to_string(integer); }
  std::string operator()(double real) const { return real_text(real); }
  std::string operator()(const std::string& text) const {
    return text_field(on_terminal ? terminal_text(text) : text);
  }
  std::string operator()(const tables::Blob& blob) const { return text_field(hex_digits(blob)); }
};

class CsvWriter final : public Writer {
 public:
  CsvWriter(Sink& sink, WriterOptions options) : sink_(sink), field_{options.width > 0} {}

  Result<void> begin(std::span<const sql::ResultColumn> columns) override {
    columns_.assign(columns.begin(), columns.end());
    std::string line = first_ ? "" : "\r\n";
    first_ = false;
    for (std::size_t i = 0; i < columns.size(); ++i) {
      if (i != 0) line += ',';
      line += field_(columns[i].name);
    }
    return sink_.write(line + "\r\n");
  }

  Result<void> row(std::span<const tables::Value> values) override {
    std::string line;
    for (std::size_t i = 0; i < values.size(); ++i) {
      if (i != 0) line += ',';
      line += is_address(columns_[i], values[i]) ? address_text(std::get<std::int64_t>(values[i]))
                                                 : std::visit(field_, values[i]);
    }
    return sink_.write(line + "\r\n");
  }

  Result<void> end() override { return sink_.flush(); }
  Result<void> cut() override { return sink_.flush(); }

 private:
  Sink& sink_;
  Field field_;
  std::vector<sql::ResultColumn> columns_;
  bool first_ = true;
};

}  // namespace

std::unique_ptr<Writer> make_csv_writer(Sink& sink, WriterOptions options) {
  return std::make_unique<CsvWriter>(sink, options);
}

}  // namespace engram::output
