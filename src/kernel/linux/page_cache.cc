// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "kernel/linux/page_cache.h"

#include <fmt/core.h>

#include <algorithm>

#include "kernel/linux/linux_kernel.h"

namespace engram::kernel {
namespace {

constexpr std::uint64_t kMostIndexes = std::uint64_t{1}
                                       << 50U;  // of pages: half of the largest file
constexpr std::uint64_t kMostFrames = std::uint64_t{1} << 40U;  // 52 bits of physical addresses
constexpr std::size_t kDamageLimit = 1000;                      // entries of one file
constexpr std::size_t kFewEntries = 1024;       // in any image; in a large one as many as fit
constexpr std::size_t kBlockLimit = 1U << 16U;  // buffers of one page
constexpr unsigned kTries = 4;                  // at what a guest changes

// include/uapi/linux/magic.h. devtmpfs, memfd and System V shared memory are tmpfs, too.
constexpr std::uint64_t kTmpfs = 0x01021994, kRamfs = 0x858458f6, kHugetlbfs = 0x958458f6;

constexpr std::uint64_t kBufferUptodate = 1;  // BH_Uptodate, include/linux/buffer_head.h

std::optional<unsigned> flag_bit(const std::vector<types::Enumerator>& flags,
                                 std::string_view name) {
  const auto found = std::find_if(flags.begin(), flags.end(),
                                  [name](const auto& flag) { return flag.name == name; });
  if (found == flags.end() || found->value < 0 || found->value > 63) return std::nullopt;
  return static_cast<unsigned>(found->value);
}

bool is_at_memory(FileRangeState state) {
  return state == FileRangeState::cached || state == FileRangeState::not_in_image;
}

}  // namespace

std::string_view to_string(FileRangeState state) {
  switch (state) {
    case FileRangeState::cached:
      return "cached";
    case FileRangeState::absent:
      return "absent";
    case FileRangeState::hole:
      return "hole";
    case FileRangeState::swapped:
      return "swapped";
    case FileRangeState::not_read:
      return "not_read";
    case FileRangeState::not_in_image:
      return "not_in_image";
  }
  return "?";
}

std::uint64_t CachedFile::bytes_in(FileRangeState state) const {
  std::uint64_t sum = 0;
  for (const auto& range : ranges) {
    if (range.state == state) sum += range.size();
  }
  return sum;
}

bool CachedFile::is_whole() const {
  return std::all_of(ranges.begin(), ranges.end(),
                     [](const FileRange& range) { return range.is_known(); });
}

/// Puts the ranges of one file together.
struct PageCache::Walk {
  VirtAddr inode, mapping;
  Kind kind;
  CachedFile file;
  std::uint64_t next = 0;  ///< bytes that have a range
  std::size_t damaged = 0;

  [[nodiscard]] FileRangeState gap() const {
    return kind.in_memory ? FileRangeState::hole : FileRangeState::absent;
  }

  /// Ranges come in ascending order; what lies between two of them is a gap, and what lies behind
  /// the end of the file is left out.
  void add(std::uint64_t start, std::uint64_t end, FileRangeState state, PhysAddr physical = {}) {
    if (start > next) append({next, std::min(start, file.size), gap(), {}});
    append({start, std::min(end, file.size), state, physical});
  }

  void append(const FileRange& range) {
    if (range.start >= range.end) return;
    next = range.end;
    if (!file.ranges.empty()) {
      auto& last = file.ranges.back();
      const bool goes_on =
          !is_at_memory(range.state) || last.physical + last.size() == range.physical;
      if (last.state == range.state && goes_on) {
        last.end = range.end;
        return;
      }
    }
    file.ranges.push_back(range);
  }
};

PageCache::PageCache(LinuxKernel& kernel)
    : kernel_(kernel), reader_(kernel.reader()), xarrays_(kernel.types(), kernel.reader()) {
  auto& diagnostics = reader_.diagnostics();
  const auto& types = kernel.types();
  const Layout inode(types, diagnostics, "inode");
  size_ = inode.field<std::int64_t>("i_size");
  mapping_ = inode.field<VirtAddr>("i_mapping");
  super_ = inode.field<VirtAddr>("i_sb");
  magic_ = Layout(types, diagnostics, "super_block").field<std::uint64_t>("s_magic");
  const Layout mapping(types, diagnostics, "address_space");
  pages_ = mapping.offset_of("i_pages");
  mapped_ = mapping.field<VirtAddr>("i_mmap.rb_root.rb_node");
  const Layout page(types, diagnostics, "page");
  page_size_ = page.size().value_or(0);
  // Folios came with 5.16; they lie where the first of their pages does.
  const bool has_folios = types.find_struct("folio").has_value();
  const Layout folio(types, diagnostics, has_folios ? "folio" : "page");
  flags_ = folio.field<std::uint64_t>("flags");
  page_mapping_ = folio.field<VirtAddr>("mapping");
  index_ = folio.field<std::uint64_t>("index");
  private_ = folio.field<VirtAddr>("private");
  page_count_ = folio.optional_field<std::uint32_t>("_nr_pages");                          // 6.15
  if (!page_count_) page_count_ = folio.optional_field<std::uint32_t>("_folio_nr_pages");  // 5.18
  if (!page_count_) {
    page_count_ = page.field<std::uint32_t>("compound_nr");  // of the second page
    if (page_count_) *page_count_.offset += page_size_;
  }
  if (const auto type = types.find("pageflags", types::Kind::enumeration)) {
    const auto flags = types.enumerators(*type);
    head_bit_ = flag_bit(flags, "PG_head");
    uptodate_bit_ = flag_bit(flags, "PG_uptodate");
    dirty_bit_ = flag_bit(flags, "PG_dirty");
    private_bit_ = flag_bit(flags, "PG_private");
  }
  if (!head_bit_ || !uptodate_bit_) {
    diagnostics.add(Level::warning, "types",
                    "the kernel's enum pageflags has no PG_head or no PG_uptodate");
  }
  const Layout buffer(types, diagnostics, "buffer_head");
  buffer_state_ = buffer.field<std::uint64_t>("b_state");
  buffer_size_ = buffer.field<std::uint64_t>("b_size");
  buffer_next_ = buffer.field<VirtAddr>("b_this_page");
  buffer_page_ = buffer.field<VirtAddr>("b_page");
  most_frames_ = reader_.space().memory().present_bytes() / kPageSize + 1;
}

PageCache::Kind PageCache::kind(VirtAddr inode) const {
  const auto super = reader_.follow(inode, super_);
  const auto magic = super ? reader_.get(*super, magic_) : std::nullopt;
  return {magic == kTmpfs || magic == kRamfs || magic == kHugetlbfs, magic == kHugetlbfs};
}

std::optional<bool> PageCache::is_mapped(VirtAddr inode) const {
  const auto space = mapping(inode);
  const auto root = space ? reader_.get(*space, mapped_) : std::nullopt;
  return root ? std::optional(bool(*root)) : std::nullopt;
}

/// All of an XArray's entries. `repeat`: the guest may change it meanwhile.
Try<XArrayEntry> PageCache::entries(VirtAddr mapping, bool repeat) const {
  Try<XArrayEntry> all;
  // A frame is in one file, in one place: twice as many, for those that were evicted.
  const std::size_t limit = kFewEntries + 2 * static_cast<std::size_t>(most_frames_);
  const auto collect = [&all, limit](const XArrayEntry& entry) {
    all.found.push_back(entry);
    return all.found.size() < limit;
  };
  const VirtAddr array = mapping + *pages_;
  if (!repeat) {
    all.is_whole = xarrays_.walk_entries(array, "address_space.i_pages", collect);
  } else {
    auto walked = until_whole<XArrayEntry>([&] {
      all = {};
      all.is_whole = xarrays_.try_walk_entries(array, collect);
      return all;
    });
    report_walk(reader_, "address_space.i_pages", mapping, walked.settled, walked.tries);
    all = {std::move(walked.found), walked.settled == Settled::whole};
    std::sort(all.found.begin(), all.found.end(),
              [](const auto& a, const auto& b) { return a.index < b.index; });
  }
  if (all.found.size() == limit) {
    all.is_whole = false;
    reader_.report("address_space.i_pages", mapping,
                   fmt::format("{} entries, fewer expected", limit));
  }
  return all;
}

std::optional<CachedFile> PageCache::file(VirtAddr inode) const {
  const auto size = reader_.get(inode, size_);
  const auto space = mapping(inode);
  if (!size || !space || !pages_) return std::nullopt;
  if (*size < 0) {
    reader_.report(size_.name, inode, fmt::format("a file of {} bytes", *size));
    return std::nullopt;
  }
  Walk walk{inode, *space, kind(inode), {}};
  walk.file.size = static_cast<std::uint64_t>(*size);
  const auto found = entries(*space, reader_.is_live());
  for (const auto& entry : found.found) {
    if (walk.damaged == kDamageLimit) break;
    add_entry(walk, entry);
  }
  walk.add(walk.file.size, walk.file.size, walk.gap());
  // What was lost with a damaged node is not known to be a hole.
  if (!found.is_whole || walk.damaged != 0) {
    for (auto& range : walk.file.ranges) {
      if (range.state == FileRangeState::hole) range.state = FileRangeState::absent;
    }
  }
  return std::move(walk.file);
}

void PageCache::add_entry(Walk& walk, const XArrayEntry& entry) const {
  if (entry.index >= kMostIndexes || entry.count > kMostIndexes) {
    reader_.report("address_space.i_pages", walk.mapping,
                   fmt::format("an entry at 0x{:x} for 0x{:x} pages", entry.index, entry.count));
    ++walk.damaged;
    return;
  }
  const std::uint64_t start = entry.index * kPageSize;
  if (start < walk.next) {
    ++walk.damaged;  // a node whose shift is wrong; the walk of the XArray bounds it
    return;
  }
  if (!entry.is_value()) {
    add_folio(walk, entry);
    return;
  }
  // Of tmpfs where it was swapped out (mm/shmem.c), else a trace of an evicted page
  // (mm/workingset.c), or of DAX (fs/dax.c), whose memory is that of the device.
  walk.add(start, start + entry.count * kPageSize,
           walk.kind.in_memory ? FileRangeState::swapped : FileRangeState::absent);
}

// An entry is the first page of a folio, whose index tells which of its pages an index means: in a
// slot for each page (5.10's tmpfs), in one slot with siblings, or in one of a higher level.
void PageCache::add_folio(Walk& walk, const XArrayEntry& entry) const {
  std::uint64_t first = entry.index, count = entry.count;
  const VirtAddr page(entry.word);
  const auto head = frame(page);
  const auto folio = head ? this->folio(page) : std::nullopt;
  const auto not_of_it = [&](const std::string& why) {
    reader_.report("address_space.i_pages", walk.inode,
                   fmt::format("page 0x{:x} at index 0x{:x}: {}", page.value, first, why));
    ++walk.damaged;
    walk.add(first * kPageSize, (first + count) * kPageSize, FileRangeState::not_read);
  };
  if (!head) return not_of_it("no struct page");
  if (!folio) return not_of_it("cannot be read");
  if (folio->mapping != walk.mapping) {
    return not_of_it(fmt::format("belongs to the address_space 0x{:x}, 0x{:x} expected",
                                 folio->mapping.value, walk.mapping.value));
  }
  // Until 6.7 hugetlbfs counted in its own pages (a08c7193e4f1).
  if (walk.kind.huge && count == 1 && folio->pages > 1 && folio->index == first) {
    if (first >= kMostIndexes / folio->pages) return not_of_it("too far in the file");
    first *= folio->pages;
    count = folio->pages;
  } else if (folio->index > first || first - folio->index > folio->pages ||
             count > folio->pages - (first - folio->index)) {
    return not_of_it(fmt::format("{} pages from index 0x{:x} on, {} expected", folio->pages,
                                 folio->index, count));
  }
  const std::uint64_t skipped = walk.kind.huge ? 0 : first - folio->index;
  walk.file.pages += count;
  if (has(folio->flags, dirty_bit_)) walk.file.dirty += count;
  const std::uint64_t start = first * kPageSize, end = start + count * kPageSize;
  const PhysAddr physical = *head + skipped * kPageSize;
  if (has(folio->flags, uptodate_bit_)) {
    add_frames(walk, start, end, physical);
  } else if (walk.kind.in_memory) {  // reserved by fallocate(2), not yet cleared
    walk.add(start, end, FileRangeState::hole);
  } else if (skipped != 0 || !add_blocks(walk, *folio, page, start, physical)) {
    walk.add(start, end, FileRangeState::not_read);
  }
}

// Frames that the image has, and those that it does not.
void PageCache::add_frames(Walk& walk, std::uint64_t start, std::uint64_t end,
                           PhysAddr physical) const {
  const auto& memory = reader_.space().memory();
  if (memory.check(physical, end - start)) {
    walk.add(start, end, FileRangeState::cached, physical);
    return;
  }
  for (std::uint64_t at = start; at < end;) {
    const auto size = std::min(kPageSize - at % kPageSize, end - at);
    const PhysAddr from = physical + (at - start);
    walk.add(at, at + size,
             memory.check(from, size) ? FileRangeState::cached : FileRangeState::not_in_image,
             from);
    at += size;
  }
}

// A page that was written in part, of a file system with smaller blocks: its buffer_heads say which
// of them hold what the file does (block_is_partially_uptodate() in fs/buffer.c).
bool PageCache::add_blocks(Walk& walk, const Folio& folio, VirtAddr page, std::uint64_t start,
                           PhysAddr physical) const {
  if (!has(folio.flags, private_bit_) || !folio.buffers) return false;
  const auto quiet = reader_.quiet();  // what is private need not be a buffer_head
  const std::uint64_t size = folio.pages * kPageSize;
  struct Block {
    std::uint64_t size;
    bool is_read;
  };
  std::vector<Block> blocks;
  std::uint64_t sum = 0;
  VirtAddr buffer = folio.buffers;
  do {
    const auto of = quiet.get(buffer, buffer_page_);
    const auto state = quiet.get(buffer, buffer_state_), bytes = quiet.get(buffer, buffer_size_);
    const auto next = quiet.get(buffer, buffer_next_);
    if (of != page || !state || !bytes || !next || *bytes == 0 || *bytes > size - sum ||
        blocks.size() == kBlockLimit) {
      return false;
    }
    blocks.push_back({*bytes, (*state & kBufferUptodate) != 0});
    sum += *bytes;
    buffer = *next;
  } while (buffer != folio.buffers && sum < size);
  if (sum != size || buffer != folio.buffers) return false;
  std::uint64_t at = 0;
  for (const auto& block : blocks) {
    if (block.is_read) {
      add_frames(walk, start + at, start + at + block.size, physical + at);
    } else {
      walk.add(start + at, start + at + block.size, FileRangeState::not_read);
    }
    at += block.size;
  }
  return true;
}

std::optional<PhysAddr> PageCache::frame(VirtAddr page) const {
  const auto array = kernel_.layout().page_array;
  if (!array || page < *array || page_size_ == 0) return std::nullopt;
  const std::uint64_t offset = page - *array, number = offset / page_size_;
  if (offset % page_size_ != 0 || number >= kMostFrames) return std::nullopt;
  return PhysAddr(number * kPageSize);
}

std::optional<PageCache::Folio> PageCache::folio(VirtAddr page) const {
  const auto flags = reader_.get(page, flags_), index = reader_.get(page, index_);
  const auto space = reader_.get(page, page_mapping_), buffers = reader_.get(page, private_);
  if (!flags || !index || !space || !buffers) return std::nullopt;
  Folio folio{*flags, *index, 1, *space, *buffers};
  if (has(*flags, head_bit_)) {
    const auto count = reader_.get(page, page_count_);
    if (!count || *count == 0 || *count > most_frames_) return std::nullopt;
    folio.pages = *count;
  }
  return folio;
}

Result<void> PageCache::read(const FileRange& range, std::uint64_t offset, MutableBytes to) const {
  if (range.state == FileRangeState::hole) {
    std::fill(to.begin(), to.end(), std::byte{0});
    return {};
  }
  const PhysAddr from = range.physical + (offset - range.start);
  if (!reader_.space().memory().read(from, to).complete()) {
    return fail("bytes 0x{:x} to 0x{:x}: physical address 0x{:x} cannot be read", offset,
                offset + to.size(), from.value);
  }
  return {};
}

Result<std::vector<std::byte>> PageCache::contents(VirtAddr inode, Unknown unknown,
                                                   std::uint64_t limit) const {
  for (unsigned tries = 0; tries < kTries; ++tries) {
    const auto file = this->file(inode);
    if (!file) return fail("its size or its mapping cannot be read");
    if (file->size > limit) {
      return fail("a file of {} bytes, at most {} expected", file->size, limit);
    }
    for (const auto& range : file->ranges) {
      if (range.is_known() || unknown == Unknown::zeros) continue;
      return fail("bytes 0x{:x} to 0x{:x} are {}", range.start, range.end, to_string(range.state));
    }
    std::vector<std::byte> bytes(static_cast<std::size_t>(file->size));
    for (const auto& range : file->ranges) {
      if (range.state != FileRangeState::cached) continue;
      const auto part = std::span(bytes).subspan(static_cast<std::size_t>(range.start),
                                                 static_cast<std::size_t>(range.size()));
      ENGRAM_CHECK(read(range, range.start, part));
    }
    // Pages of a guest that runs may have been given to another file while they were read.
    if (!reader_.is_live() || this->file(inode) == file) return bytes;
  }
  return fail("changed each time that it was read");
}

}  // namespace engram::kernel
