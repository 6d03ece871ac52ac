// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "kernel/linux/inode.h"
#include "kernel/linux/linux_kernel.h"
#include "kernel/linux/page_cache.h"
#include "tables/linux/file_columns.h"

namespace engram::tables {
namespace {

using kernel::FileRange;
using kernel::FileRangeState;
using kernel::Session;

struct Row {
  VirtAddr inode;
  FileRange range;
};

Value physical(const Row& row, Session&) {
  const bool has_frame =
      row.range.state == FileRangeState::cached || row.range.state == FileRangeState::not_in_image;
  return has_frame ? cell(row.range.physical) : Null{};
}

const std::vector<Column<Row>>& columns() {
  static const std::vector<Column<Row>> list{
      {{"inode_address", Type::pointer, "The struct inode: virtual_address of files.", false, true},
       [](const Row& row, Session&) { return cell(row.inode); }},
      {{"range_start", Type::integer, "First byte in the file."},
       [](const Row& row, Session&) { return cell(row.range.start); }},
      {{"range_end", Type::integer, "The byte behind the last one."},
       [](const Row& row, Session&) { return cell(row.range.end); }},
      {{"state", Type::text,
        "`cached`; `absent`: not in the cache; `hole`: never written, so that it reads as zeros "
        "(of file systems that are in memory only); `swapped`: to swap space; `not_read`: there "
        "is a page, but without the file's content, or damaged; `not_in_image`: there is a page "
        "that the image does not have."},
       [](const Row& row, Session&) { return cell(to_string(row.range.state)); }},
      {{"physical_address", Type::pointer,
        "Where the range lies in physical memory, in one piece; NULL if it is not there."},
       physical},
  };
  return list;
}

/// Files with bytes of their own: directories and the like are the file system's business.
bool has_ranges(std::optional<std::uint16_t> mode) {
  const auto type = mode.value_or(0) & 0170000;  // S_IFMT
  return type == 0100000 || type == 0060000;     // S_IFREG, S_IFBLK
}

Result<Rows<Row>> open(Session& session, std::span<const KeyValue> values) {
  ENGRAM_TRY(auto inodes, inodes_of(session, values, 0));
  ENGRAM_TRY(auto* kernel, session.linux_kernel());
  return
      [kernel, inodes = std::move(inodes), next = std::size_t{0}, ranges = std::vector<FileRange>(),
       at = std::size_t{0}]() mutable -> Result<std::optional<Row>> {
        while (at == ranges.size()) {
          if (next == inodes.size()) return std::optional<Row>();
          const auto inode = inodes[next++];
          if (!has_ranges(kernel->inodes().mode(inode))) continue;
          auto file = kernel->page_cache().file(inode);
          ranges = file ? std::move(file->ranges) : std::vector<FileRange>();
          at = 0;
        }
        return Row{inodes[next - 1], ranges[at++]};
      };
}

}  // namespace

const Table& file_ranges_table() {
  static const DataTable<Row> table(
      "file_ranges",
      "Which bytes of regular files and block devices are in the page cache, and where: ranges "
      "from the beginning of each file to its end, those that are not there among them.",
      10000, columns(), open);
  return table;
}

}  // namespace engram::tables
