// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// The page cache: which bytes of a file the kernel has in memory, and where.

#include <cstdint>
#include <functional>
#include <optional>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "kernel/linux/containers.h"
#include "kernel/linux/live_walk.h"
#include "kernel/linux/reader.h"

namespace engram::kernel {

class LinuxKernel;

/// What the kernel knows of a range of a file.
enum class FileRangeState : std::uint8_t {
  cached,        ///< it is in memory
  absent,        ///< it is not in the cache: never read, or evicted
  hole,          ///< of a file that exists in memory only: never written, so it reads as zeros
  swapped,       ///< of such a file: in swap space
  not_read,      ///< there is a page for it, but its content has not been read, or is damaged
  not_in_image,  ///< it is in memory, but the image does not have the frame
};
[[nodiscard]] std::string_view to_string(FileRangeState state);

struct FileRange {
  std::uint64_t start = 0, end = 0;  ///< bytes in the file; end is one past the last
  FileRangeState state = FileRangeState::absent;
  PhysAddr physical;  ///< of the first byte, if the state is cached or not_in_image

  [[nodiscard]] std::uint64_t size() const { return end - start; }
  /// Whether the range has bytes that are known.
  [[nodiscard]] bool is_known() const {
    return state == FileRangeState::cached || state == FileRangeState::hole;
  }
  bool operator==(const FileRange&) const = default;
};

/// What is cached of one file.
struct CachedFile {
  std::uint64_t size = 0;         ///< bytes of the file
  std::vector<FileRange> ranges;  ///< from 0 to size, without gaps, neighbours merged
  std::uint64_t pages = 0;        ///< pages that are cached, those behind the end of the file too
  std::uint64_t dirty = 0;        ///< pages of them that differ from what is on disk

  /// In a state, within the size of the file.
  [[nodiscard]] std::uint64_t bytes_in(FileRangeState state) const;
  /// Every byte is known.
  [[nodiscard]] bool is_whole() const;
  bool operator==(const CachedFile&) const = default;
};

/// What file contents are to have in place of ranges that are not known.
enum class Unknown : std::uint8_t { refused, zeros };

class PageCache {
 public:
  explicit PageCache(LinuxKernel& kernel);

  /// Nothing if the inode's size or mapping cannot be read. Entries that contradict their pages
  /// are diagnostics rows, and their ranges not_read.
  [[nodiscard]] std::optional<CachedFile> file(VirtAddr inode) const;

  /// Whether the file is mapped into a process. Nothing: it cannot be read.
  [[nodiscard]] std::optional<bool> is_mapped(VirtAddr inode) const;
  /// The address_space that the pages are in: of a device file, that of the device.
  [[nodiscard]] std::optional<VirtAddr> mapping(VirtAddr inode) const {
    return reader_.follow(inode, mapping_);
  }

  /// Bytes of a range of state cached or hole, from `offset` in the file on.
  /// Errors: the image does not have them after all.
  Result<void> read(const FileRange& range, std::uint64_t offset, MutableBytes to) const;

  /// The whole file, at most `limit` bytes. Of a guest that runs, as it was at one moment as far
  /// as the list of its pages tells.
  /// Errors: a range is not known (and Unknown::refused), the file is larger than `limit`, it
  /// changes all the time, or it cannot be read.
  Result<std::vector<std::byte>> contents(VirtAddr inode, Unknown unknown,
                                          std::uint64_t limit) const;

 private:
  /// Files of some file systems exist in memory only: what has no page there is a hole.
  struct Kind {
    bool in_memory = false, huge = false;
  };
  struct Folio {
    std::uint64_t flags = 0, index = 0, pages = 1;
    VirtAddr mapping, buffers;
  };
  struct Walk;

  [[nodiscard]] Kind kind(VirtAddr inode) const;
  [[nodiscard]] Try<XArrayEntry> entries(VirtAddr mapping, bool repeat) const;
  void add_entry(Walk& walk, const XArrayEntry& entry) const;
  void add_folio(Walk& walk, const XArrayEntry& entry) const;
  void add_frames(Walk& walk, std::uint64_t start, std::uint64_t end, PhysAddr physical) const;
  bool add_blocks(Walk& walk, const Folio& folio, VirtAddr page, std::uint64_t start,
                  PhysAddr physical) const;
  [[nodiscard]] std::optional<Folio> folio(VirtAddr page) const;
  [[nodiscard]] std::optional<PhysAddr> frame(VirtAddr page) const;
  [[nodiscard]] bool has(std::uint64_t flags, const std::optional<unsigned>& bit) const {
    return bit && (flags >> *bit & 1U) != 0;
  }

  LinuxKernel& kernel_;
  const Reader& reader_;
  XArrayWalker xarrays_;

  Field<std::int64_t> size_;
  Field<VirtAddr> mapping_, super_, mapped_;
  Field<std::uint64_t> magic_;
  std::optional<std::uint64_t> pages_;  ///< the XArray in struct address_space
  Field<std::uint64_t> flags_, index_;
  Field<VirtAddr> page_mapping_, private_;
  Field<std::uint32_t> page_count_;
  std::uint64_t page_size_ = 0;  ///< bytes of struct page
  std::optional<unsigned> head_bit_, uptodate_bit_, dirty_bit_, private_bit_;
  Field<std::uint64_t> buffer_state_, buffer_size_;
  Field<VirtAddr> buffer_next_, buffer_page_;
  std::uint64_t most_frames_ = 0;
};

}  // namespace engram::kernel
