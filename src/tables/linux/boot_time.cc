// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "kernel/linux/system.h"
#include "tables/table.h"

namespace engram::tables {
namespace {

/// Nothing if the kernel's clock cannot be read: the columns are NULL and the diagnostics say why.
using Row = std::optional<kernel::BootTime>;

constexpr std::int64_t kNanosecondsPerSecond = 1'000'000'000;

Result<Rows<Row>> open(kernel::Session& session, std::span<const KeyValue>) {
  ENGRAM_TRY(auto* kernel, session.linux_kernel());
  return rows_of(std::vector<Row>{kernel::read_boot_time(*kernel)});
}

}  // namespace

const Table& linux_boot_time_table() {
  static const DataTable<Row> table(
      "boot_time", "When the machine was started, by the kernel's own clock; one row.", 1,
      {
          {{"boot_time", Type::integer, "Unix time in seconds, as btime in /proc/stat."},
           [](const Row& row, kernel::Session&) {
             return row ? cell(row->nanoseconds / kNanosecondsPerSecond) : Value{Null{}};
           }},
          {{"boot_time_ns", Type::integer, "The same in nanoseconds."},
           [](const Row& row, kernel::Session&) {
             return row ? cell(row->nanoseconds) : Value{Null{}};
           }},
          {{"virtual_address", Type::pointer, "The kernel's struct timekeeper."},
           [](const Row& row, kernel::Session&) {
             return row ? cell(row->timekeeper) : Value{Null{}};
           }},
      },
      open);
  return table;
}

}  // namespace engram::tables
