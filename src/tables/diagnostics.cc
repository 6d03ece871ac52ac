// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include <fmt/chrono.h>
#include <fmt/core.h>

#include "tables/table.h"

namespace engram::tables {
namespace {

Result<Rows<Diagnostic>> open(kernel::Session& session, std::span<const KeyValue>) {
  // The search for a kernel is what most rows are about; that it failed is one of them.
  (void)session.linux_kernel();
  auto rows = session.diagnostics().rows();
  if (const auto dropped = session.diagnostics().dropped(); dropped != 0) {
    rows.push_back({std::chrono::system_clock::now(),
                    Level::warning,
                    "diagnostics",
                    fmt::format("{} later errors and warnings were not kept", dropped),
                    std::nullopt,
                    {}});
  }
  for (const image::PageProblem& page : session.image().page_problems()) {
    const auto address = page.address ? std::optional(page.address->value) : std::nullopt;
    rows.push_back(
        {std::chrono::system_clock::now(), Level::warning, "image", page.text, address, {}});
  }
  return rows_of(std::move(rows));
}

/// RFC 3339, UTC, milliseconds.
Value time(const Diagnostic& row, kernel::Session&) {
  const auto since_epoch =
      std::chrono::duration_cast<std::chrono::milliseconds>(row.time.time_since_epoch());
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(since_epoch);
  return fmt::format("{:%Y-%m-%dT%H:%M:%S}.{:03}Z",
                     fmt::gmtime(static_cast<std::time_t>(seconds.count())),
                     (since_epoch - seconds).count());
}

Value type(const Diagnostic& row, kernel::Session&) {
  switch (row.level) {
    case Level::error:
      return cell("ERROR");
    case Level::warning:
      return cell("WARN");
    case Level::info:
      return cell("INFO");
    case Level::debug:
      break;
  }
  return cell("DEBUG");
}

}  // namespace

const Table& diagnostics_table() {
  static const DataTable<Diagnostic> table(
      "diagnostics", "What was tried, what was found and what is damaged, in order.", 50,
      {
          {{"time", Type::text, "When it was noticed: UTC, RFC 3339."}, time},
          {{"level", Type::integer, "1 error, 2 warning, 3 information, 4 detail."},
           [](const Diagnostic& row, kernel::Session&) {
             return cell(static_cast<int>(row.level));
           }},
          {{"type", Type::text, "The level as a word: ERROR, WARN, INFO, DEBUG."}, type},
          {{"location", Type::text, "Layer, or structure and member, that it is about."},
           [](const Diagnostic& row, kernel::Session&) { return cell(row.component); }},
          {{"table_name", Type::text,
            "The table that was being read; of what several tables rest on, the first of them. "
            "NULL if "
            "it was none: the image was being opened, or a function read."},
           [](const Diagnostic& row, kernel::Session&) -> Value {
             if (row.asked_by.empty()) return Null();
             return cell(row.asked_by);
           }},
          {{"address", Type::pointer,
            "Address of the object that it is about; NULL if there is none."},
           [](const Diagnostic& row, kernel::Session&) { return cell(row.address); }},
          {{"message", Type::text, "What, where, and what was expected."},
           [](const Diagnostic& row, kernel::Session&) { return cell(row.message); }},
      },
      open);
  return table;
}

}  // namespace engram::tables
