// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// The memory of processes: which ranges of addresses are mapped, and to what.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "kernel/linux/maple_tree.h"
#include "kernel/linux/reader.h"

namespace engram::kernel {

class LinuxKernel;

/// A memory descriptor (mm_struct) and who runs in it.
struct ProcessMemory {
  VirtAddr mm;
  VirtAddr
      task;  ///< first thread of the process; of several processes, the one that was there first
  std::optional<std::int32_t> pid;  ///< its number

  bool operator==(const ProcessMemory&) const = default;
};

/// A mapped range. What it is mapped to is read on demand by MemoryMaps.
struct MemoryArea {
  VirtAddr address;     ///< struct vm_area_struct
  VirtAddr mm;          ///< whose memory it is part of
  VirtAddr start, end;  ///< of the process's addresses; `end` is the first one behind

  bool operator==(const MemoryArea&) const = default;
};

inline VirtAddr key_of(const MemoryArea& area) {
  return area.address;
}

class MemoryMaps {
 public:
  // Of MemoryArea flags (include/linux/mm.h).
  static constexpr std::uint64_t kRead = 1, kWrite = 2, kExecute = 4;
  /// Made with MAP_SHARED: what /proc/PID/maps calls shared. VM_SHARED is gone from those whose
  /// file is open for reading only.
  static constexpr std::uint64_t kMayShare = 0x80;

  explicit MemoryMaps(LinuxKernel& kernel);

  /// Each memory descriptor once, of the tasks of both sources.
  [[nodiscard]] const std::vector<ProcessMemory>& all() const { return all_; }
  /// What is mapped, in address order. An area that is not this descriptor's, or a part of the tree
  /// that cannot be read, is left out with one diagnostics row.
  [[nodiscard]] std::vector<MemoryArea> areas(VirtAddr mm) const;

  // Nothing: the member cannot be read, or the area has none.

  [[nodiscard]] std::optional<std::uint64_t> flags(const MemoryArea& area) const {
    return reader_.get(area.address, flags_);
  }
  /// The mapped struct file.
  [[nodiscard]] std::optional<VirtAddr> file(const MemoryArea& area) const {
    return reader_.follow(area.address, file_);
  }
  /// Bytes into the file.
  [[nodiscard]] std::optional<std::uint64_t> file_offset(const MemoryArea& area) const;
  /// As Paths gives it: of a file of an overlay file system, its path there.
  [[nodiscard]] std::optional<std::string> file_path(const MemoryArea& area) const;
  /// The inode that /proc/PID/maps shows.
  [[nodiscard]] std::optional<VirtAddr> inode(const MemoryArea& area) const;
  /// The inode whose page cache has the pages: of a file on an overlay, the one below.
  [[nodiscard]] std::optional<VirtAddr> cached_inode(const MemoryArea& area) const;
  [[nodiscard]] std::optional<std::uint64_t> inode_number(const MemoryArea& area) const;
  /// "fe:00": major and minor number of the file's file system, as /proc/PID/maps prints them.
  [[nodiscard]] std::optional<std::string> device(const MemoryArea& area) const;
  /// The last column of /proc/PID/maps: path, [heap], [stack], [vdso], [anon:NAME] ...
  [[nodiscard]] std::optional<std::string> name(const MemoryArea& area) const;

 private:
  void find_memory();
  bool collect(const Reader& reader, VirtAddr mm, std::vector<MemoryArea>& areas) const;
  bool collect_tree(const Reader& reader, VirtAddr mm, std::vector<MemoryArea>& areas) const;
  bool collect_list(const Reader& reader, VirtAddr mm, std::vector<MemoryArea>& areas) const;
  bool collect_red_black(const Reader& reader, VirtAddr mm, std::vector<MemoryArea>& areas) const;
  [[nodiscard]] std::optional<MemoryArea> area_at(const Reader& reader, VirtAddr mm,
                                                  VirtAddr address) const;
  [[nodiscard]] std::optional<VirtAddr> user_path(VirtAddr file) const;
  [[nodiscard]] std::optional<std::string> given_name(const MemoryArea& area) const;
  [[nodiscard]] std::optional<std::string> special_name(const MemoryArea& area) const;
  [[nodiscard]] bool is_heap(const MemoryArea& area) const;
  [[nodiscard]] bool is_stack(const MemoryArea& area) const;

  LinuxKernel& kernel_;
  const Reader& reader_;
  std::vector<ProcessMemory> all_;

  std::optional<std::uint64_t> tree_;  ///< in mm_struct
  std::optional<MapleTreeWalker> maple_;
  Field<VirtAddr> first_, next_, red_black_root_, left_, right_;  ///< before 6.1
  std::optional<std::uint64_t> red_black_node_;
  Field<std::uint32_t> count_;

  Field<VirtAddr> start_, end_, memory_, file_, operations_, private_data_;
  Field<std::uint64_t> flags_, page_offset_;

  Field<VirtAddr> name_function_, special_name_;
  std::optional<VirtAddr> special_mapping_name_;
  Field<VirtAddr> break_start_, break_, stack_start_;
  bool heap_may_touch_ = false;
  Field<VirtAddr> anonymous_name_;
  std::optional<std::uint64_t> name_text_;
  bool files_have_names_ = false;

  Field<VirtAddr> file_inode_, dentry_inode_, super_block_;
  Field<std::uint32_t> file_mode_, device_;
  Field<std::uint64_t> inode_number_;
  std::optional<std::uint64_t> user_path_;  ///< behind the beginning of a backing file
  std::uint32_t backing_flag_ = 0;          ///< in its mode
};

}  // namespace engram::kernel
