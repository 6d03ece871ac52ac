// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// The memory of a stopped machine in a file, and back: only the parts that have data are stored.
//
// In:     a memory whose machine stands still, and a file.
// Out:    save_snapshot() fills the file and says what is in it; restore_snapshot() makes a memory
//         with the same regions what it was.
// Errors: text. A file that does not fit is refused before a byte of the memory changes.
//
// The file, little-endian: {magic, regions}, {start, size, extents} for each region, {offset, size}
// for each extent of each region, then the bytes of all extents; nothing behind them. It is not
// compressed.

#include <algorithm>
#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/result.h"
#include "guest/mapped_region.h"
#include "guest/region.h"
#include "mapping/extent.h"
#include "mapping/file.h"

namespace engram::guest {

struct SnapshotRegion {
  Range range;
  std::vector<mapping::Extent> data;  ///< relative to the region, ascending; the rest is zeros
};
using SnapshotMetadata = std::vector<SnapshotRegion>;

namespace detail {

inline constexpr std::size_t kSnapshotChunk = 64 * kPageSize;

/// Writes all that stands before the bytes; returns where they begin.
Result<FileOffset> write_snapshot_table(const mapping::File& file,
                                        const SnapshotMetadata& metadata);

struct SnapshotTable {
  SnapshotMetadata metadata;
  FileOffset bytes;
};
/// Reads it, and checks that the regions are these and that the file has all bytes and no more.
Result<SnapshotTable> read_snapshot_table(const mapping::File& file,
                                          std::span<const Range> regions);

Error snapshot_error(const Range& region, std::uint64_t offset, MemoryErrc why);
bool is_all_zero(Bytes bytes);

/// The file whose bytes the region's are, if it has one.
template <ReadableRegion R>
const FileRef* shared_file(const R& region) {
  if constexpr (requires { region.mapping()->share(); }) {
    const bool shared = region.mapping() && region.mapping()->share() == mapping::Share::shared;
    if (shared && region.attributes().backing) return &*region.attributes().backing;
  }
  return nullptr;
}

/// Calls use(offset, bytes) for one part of the extent after the other, each a copy in `buffer`.
template <ReadableRegion R, class Use>
Result<void> for_each_chunk(const R& region, mapping::Extent extent, MutableBytes buffer, Use use) {
  for (std::uint64_t done = 0; done < extent.size;) {
    const auto size =
        static_cast<std::size_t>(std::min<std::uint64_t>(buffer.size(), extent.size - done));
    const RegionOffset at(extent.offset + done);
    const Transfer moved = region.read(at, buffer.first(size));
    if (!moved.complete()) {
      return tl::unexpected(snapshot_error(region.range(), at.value + moved.count, moved.stop));
    }
    ENGRAM_CHECK(use(at, Bytes(buffer.first(size))));
    done += size;
  }
  return {};
}

/// The parts of a region that are not zeros: what its file says, or page by page.
template <ReadableRegion R>
Result<std::vector<mapping::Extent>> data_of(const R& region, MutableBytes buffer) {
  if (const FileRef* const backing = shared_file(region)) {
    // A hole is zeros; what lies behind the end of the file is not there.
    const auto end = backing->file.size();
    if (!end) return tl::unexpected(mapping::to_error("snapshot", end.error()));
    const std::uint64_t there = *end - std::min(*end, backing->offset.value);
    if (there < region.range().size()) {
      return tl::unexpected(snapshot_error(region.range(), there, MemoryErrc::source_truncated));
    }
    const auto found = backing->file.data_extents({backing->offset, region.range().size()});
    if (!found) return tl::unexpected(mapping::to_error("snapshot", found.error()));
    mapping::ExtentSet data;
    for (const mapping::FileExtent& extent : *found) {
      data.insert({extent.start - backing->offset, extent.size});
    }
    return data.extents();
  }
  std::vector<mapping::Extent> extents;
  const auto look = [&](RegionOffset at, Bytes bytes) -> Result<void> {
    for (std::size_t page = 0; page < bytes.size(); page += kPageSize) {
      const std::size_t size = std::min<std::size_t>(kPageSize, bytes.size() - page);
      if (is_all_zero(bytes.subspan(page, size))) continue;
      const std::uint64_t offset = at.value + page;
      if (!extents.empty() && extents.back().end() == offset) {
        extents.back().size += size;
      } else {
        extents.push_back({offset, size});
      }
    }
    return {};
  };
  ENGRAM_CHECK(for_each_chunk(region, {0, region.range().size()}, buffer, look));
  return extents;
}

/// Makes the extent zeros, page by page; pages that are already are not written.
template <WritableRegion R>
Result<void> clear_data(const R& region, mapping::Extent extent, MutableBytes buffer) {
  static constexpr std::array<std::byte, kPageSize> kZeros{};
  return for_each_chunk(region, extent, buffer, [&](RegionOffset at, Bytes bytes) -> Result<void> {
    for (std::size_t page = 0; page < bytes.size(); page += kPageSize) {
      const std::size_t size = std::min<std::size_t>(kPageSize, bytes.size() - page);
      if (is_all_zero(bytes.subspan(page, size))) continue;
      const Transfer moved = region.write(at + page, Bytes(kZeros).first(size));
      if (moved.complete()) continue;
      return tl::unexpected(
          snapshot_error(region.range(), at.value + page + moved.count, moved.stop));
    }
    return {};
  });
}

/// Makes the extent zeros. What is already takes no memory afterwards that it did not before.
template <WritableRegion R>
Result<void> clear(const R& region, mapping::Extent extent, MutableBytes buffer) {
  const FileRef* const backing = shared_file(region);
  if (backing == nullptr) return clear_data(region, extent, buffer);
  // A hole of a memory file is not even read through its mapping: that would fill it.
  const auto end = backing->file.size();
  const FileOffset first = backing->offset + extent.offset;
  if (!end || *end < (first + extent.size).value) return clear_data(region, extent, buffer);
  const auto found = backing->file.data_extents({first, extent.size});
  if (!found) return tl::unexpected(mapping::to_error("snapshot", found.error()));
  for (const mapping::FileExtent& data : *found) {
    ENGRAM_CHECK(clear_data(region, {data.start - backing->offset, data.size}, buffer));
  }
  return {};
}

/// Copies the extent from the file.
template <WritableRegion R>
Result<void> fill(const R& region, mapping::Extent extent, const mapping::File& file,
                  FileOffset from, MutableBytes buffer) {
  for (std::uint64_t done = 0; done < extent.size;) {
    const auto size =
        static_cast<std::size_t>(std::min<std::uint64_t>(buffer.size(), extent.size - done));
    const Transfer got = file.read_at(from + done, buffer.first(size));
    if (!got.complete()) {
      return fail("snapshot: byte {:#x} of the file cannot be read", (from + done).value);
    }
    const RegionOffset at(extent.offset + done);
    const Transfer put = region.write(at, buffer.first(size));
    if (!put.complete()) {
      return tl::unexpected(snapshot_error(region.range(), at.value + put.count, put.stop));
    }
    done += size;
  }
  return {};
}

}  // namespace detail

/// Saves all regions to an empty file. Nobody may write the memory meanwhile. Errors: the file is
/// not empty or cannot be written; a byte of the memory is not there.
template <class M>
Result<SnapshotMetadata> save_snapshot(const M& memory, const mapping::File& file) {
  const auto buffer = std::make_unique<std::byte[]>(detail::kSnapshotChunk);
  const MutableBytes chunk(buffer.get(), detail::kSnapshotChunk);
  SnapshotMetadata metadata;
  for (const auto& region : memory.regions()) {
    ENGRAM_TRY(auto data, detail::data_of(region, chunk));
    metadata.push_back({region.range(), std::move(data)});
  }
  ENGRAM_TRY(FileOffset to, detail::write_snapshot_table(file, metadata));
  std::size_t index = 0;
  for (const auto& region : memory.regions()) {
    for (const mapping::Extent& extent : metadata[index++].data) {
      const auto put = [&](RegionOffset /*at*/, Bytes bytes) -> Result<void> {
        const Transfer moved = file.write_at(to, bytes);
        to = to + moved.count;
        if (moved.complete()) return {};
        return fail("snapshot: byte {:#x} of the file cannot be written", to.value);
      };
      ENGRAM_CHECK(detail::for_each_chunk(region, extent, chunk, put));
    }
  }
  return metadata;
}

/// Makes the memory what it was. Nobody may use it meanwhile. Errors: not a snapshot; other regions
/// than those of the memory; a file that is too short, or goes on behind the last byte: the memory
/// is unchanged then. If the file or the memory fails later, a part of it is restored.
template <class M>
Result<void> restore_snapshot(const M& memory, const mapping::File& file) {
  std::vector<Range> ranges;
  for (const auto& region : memory.regions()) ranges.push_back(region.range());
  ENGRAM_TRY(const auto table, detail::read_snapshot_table(file, ranges));
  const auto buffer = std::make_unique<std::byte[]>(detail::kSnapshotChunk);
  const MutableBytes chunk(buffer.get(), detail::kSnapshotChunk);
  FileOffset from = table.bytes;
  std::size_t index = 0;
  for (const auto& region : memory.regions()) {
    std::uint64_t done = 0;
    for (const mapping::Extent& extent : table.metadata[index++].data) {
      ENGRAM_CHECK(detail::clear(region, {done, extent.offset - done}, chunk));
      ENGRAM_CHECK(detail::fill(region, extent, file, from, chunk));
      from = from + extent.size;
      done = extent.end();
    }
    ENGRAM_CHECK(detail::clear(region, {done, region.range().size() - done}, chunk));
  }
  return {};
}

}  // namespace engram::guest
