// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "tables/linux/file_columns.h"

#include <fmt/core.h>

#include "kernel/linux/inode.h"
#include "kernel/linux/linux_kernel.h"

namespace engram::tables {

Value file_type(std::optional<std::uint16_t> mode) {
  if (!mode) return Null{};
  switch (*mode & 0170000) {  // S_IFMT and its values, include/uapi/linux/stat.h
    case 0140000:
      return cell("socket");
    case 0120000:
      return cell("symlink");
    case 0100000:
      return cell("regular");
    case 0060000:
      return cell("block");
    case 0040000:
      return cell("directory");
    case 0020000:
      return cell("character");
    case 0010000:
      return cell("fifo");
    case 0:
      return cell("anonymous");
    default:
      return Null{};
  }
}

Value device_number(std::optional<std::uint32_t> device) {
  return device ? cell(fmt::format("{}:{}", *device >> 20U, *device & 0xfffffU)) : Null{};
}

Result<std::vector<VirtAddr>> inodes_of(kernel::Session& session, std::span<const KeyValue> values,
                                        std::size_t key) {
  ENGRAM_TRY(auto* kernel, session.linux_kernel());
  const auto& inodes = kernel->inodes();
  for (const auto& value : values) {
    if (value.column != key) continue;
    const auto* number = std::get_if<std::int64_t>(&value.value);
    if (number == nullptr) return std::vector<VirtAddr>();
    const VirtAddr inode(static_cast<std::uint64_t>(*number));
    return inodes.has(inode) ? std::vector{inode} : std::vector<VirtAddr>();
  }
  if (inodes.all().empty()) return fail("files: no inodes found (the diagnostics say why)");
  return inodes.all();
}

}  // namespace engram::tables
