// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "output/writer.h"

#include <fmt/format.h>

#include <array>

#include "output/formats.h"

namespace engram::output {
namespace {

struct Format {
  std::string_view name;
  std::unique_ptr<Writer> (*make)(Sink&, WriterOptions);
};

constexpr std::array<Format, 4> kFormats{{
    {"table", make_table_writer},
    {"json", make_json_writer},
    {"jsonl", make_json_lines_writer},
    {"csv", make_csv_writer},
}};

constexpr auto kNames = [] {
  std::array<std::string_view, kFormats.size()> names;
  for (std::size_t i = 0; i < names.size(); ++i) names[i] = kFormats[i].name;
  return names;
}();

}  // namespace

std::span<const std::string_view> format_names() {
  return kNames;
}

Result<std::unique_ptr<Writer>> make_writer(std::string_view format, Sink& sink,
                                            WriterOptions options) {
  for (const auto& known : kFormats) {
    if (known.name == format) return known.make(sink, options);
  }
  return fail("format {}: expected one of {}", format, fmt::join(kNames, ", "));
}

std::string address_text(std::int64_t address) {
  return fmt::format("{:#x}", static_cast<std::uint64_t>(address));
}

bool is_address(const sql::ResultColumn& column, const tables::Value& value) {
  return column.type == tables::Type::pointer && std::holds_alternative<std::int64_t>(value);
}

}  // namespace engram::output
