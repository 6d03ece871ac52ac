// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include <utility>

#include "kernel/linux/system.h"
#include "tables/table.h"

namespace engram::tables {
namespace {

using kernel::Utsname;

Result<Rows<Utsname>> open(kernel::Session& session, std::span<const KeyValue>) {
  ENGRAM_TRY(auto* kernel, session.linux_kernel());
  return rows_of(std::vector{kernel::read_utsname(*kernel)});
}

}  // namespace

const Table& linux_os_version_table() {
  static const DataTable<Utsname> table(
      "os_version", "The kernel, as uname prints it in the initial UTS namespace; one row.", 1,
      {
          {{"arch", Type::text, "Machine name: x86_64."},
           [](const Utsname& row, kernel::Session&) { return cell(row.machine); }},
          {{"kernel_version", Type::text, "Release."},
           [](const Utsname& row, kernel::Session&) { return cell(row.release); }},
          {{"system_version", Type::text, "Version: build number, configuration and date."},
           [](const Utsname& row, kernel::Session&) { return cell(row.version); }},
      },
      open);
  return table;
}

const Table& system_info_table() {
  static const DataTable<Utsname> table(
      "system_info", "Names of the machine in the initial UTS namespace; one row.", 1,
      {
          {{"hostname", Type::text, "Node name."},
           [](const Utsname& row, kernel::Session&) { return cell(row.nodename); }},
          {{"domain", Type::text, "NIS domain name; `(none)` if it was never set."},
           [](const Utsname& row, kernel::Session&) { return cell(row.domainname); }},
      },
      open);
  return table;
}

}  // namespace engram::tables
