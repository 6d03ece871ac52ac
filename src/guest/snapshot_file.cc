// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "guest/snapshot_file.h"

#include <fmt/core.h>

#include <array>
#include <bit>
#include <cstring>

namespace engram::guest::detail {
namespace {

static_assert(std::endian::native == std::endian::little, "the file is little-endian");

struct Head {
  std::array<char, 8> magic = {'e', 'n', 'g', 'r', 'a', 'm', 'S', '1'};
  std::uint64_t regions = 0;
};
static_assert(sizeof(Head) == 16);

struct RegionEntry {
  std::uint64_t start = 0;
  std::uint64_t size = 0;
  std::uint64_t extents = 0;
};
static_assert(sizeof(RegionEntry) == 24);

struct ExtentEntry {
  std::uint64_t offset = 0;
  std::uint64_t size = 0;
};
static_assert(sizeof(ExtentEntry) == 16);

template <class T>
void append(std::vector<std::byte>& bytes, const T& value) {
  const auto raw = std::as_bytes(std::span(&value, 1));
  bytes.insert(bytes.end(), raw.begin(), raw.end());
}

/// Reads the table from front to back, never past the end that the file had at the beginning.
class Reader {
 public:
  Reader(const mapping::File& file, std::uint64_t size) : file_(file), size_(size) {}

  [[nodiscard]] std::uint64_t left() const { return size_ - at_.value; }
  [[nodiscard]] FileOffset at() const { return at_; }

  template <class T>
  Result<T> next(const char* what) {
    T value;
    const bool whole = left() >= sizeof value &&
                       file_.read_at(at_, std::as_writable_bytes(std::span(&value, 1))).complete();
    if (!whole) {
      return fail("snapshot: {} at {:#x}: the file ends before byte {:#x}", what, at_.value,
                  at_.value + sizeof value);
    }
    at_ = at_ + sizeof value;
    return value;
  }

 private:
  const mapping::File& file_;
  std::uint64_t size_;
  FileOffset at_;
};

Result<std::vector<mapping::Extent>> read_extents(Reader& reader, const RegionEntry& region,
                                                  std::size_t number) {
  if (region.extents > reader.left() / sizeof(ExtentEntry)) {
    return fail("snapshot: region {}: {} extents do not fit into a file of {} more bytes", number,
                region.extents, reader.left());
  }
  std::vector<mapping::Extent> extents;
  std::uint64_t end = 0;
  for (std::uint64_t i = 0; i < region.extents; ++i) {
    ENGRAM_TRY(const auto entry, reader.next<ExtentEntry>("extent"));
    const mapping::Extent extent{entry.offset, entry.size};
    if (extent.size == 0 || extent.offset < end || !extent.check(region.size)) {
      return fail(
          "snapshot: region {}: extent {} at {:#x} of {:#x} bytes: expected in [{:#x}, {:#x})",
          number, i, extent.offset, extent.size, end, region.size);
    }
    end = extent.end();
    extents.push_back(extent);
  }
  return extents;
}

Result<void> check_geometry(const RegionEntry& stored, const Range& region, std::size_t number) {
  if (stored.start == region.first().value && stored.size == region.size()) return {};
  return fail("snapshot: region {} is {:#x} bytes at {:#x}, the memory has {:#x} bytes at {:#x}",
              number, stored.size, stored.start, region.size(), region.first().value);
}

}  // namespace

Error snapshot_error(const Range& region, std::uint64_t offset, MemoryErrc why) {
  return {fmt::format("snapshot: memory at {:#x}: {}", (region.first() + offset).value,
                      mapping::to_string(why))};
}

bool is_all_zero(Bytes bytes) {
  if (bytes.empty()) return true;
  return bytes[0] == std::byte{0} &&
         std::memcmp(bytes.data(), bytes.data() + 1, bytes.size() - 1) == 0;
}

Result<FileOffset> write_snapshot_table(const mapping::File& file,
                                        const SnapshotMetadata& metadata) {
  const auto size = file.size();
  if (!size) return tl::unexpected(mapping::to_error("snapshot", size.error()));
  if (*size != 0) return fail("snapshot: the file has {} bytes, an empty one is expected", *size);
  std::vector<std::byte> table;
  Head head;
  head.regions = metadata.size();
  append(table, head);
  for (const SnapshotRegion& region : metadata) {
    append(table, RegionEntry{region.range.first().value, region.range.size(), region.data.size()});
  }
  for (const SnapshotRegion& region : metadata) {
    for (const mapping::Extent& extent : region.data) {
      append(table, ExtentEntry{extent.offset, extent.size});
    }
  }
  const Transfer put = file.write_at(FileOffset(), table);
  if (!put.complete()) return fail("snapshot: byte {:#x} of the file cannot be written", put.count);
  return FileOffset(table.size());
}

Result<SnapshotTable> read_snapshot_table(const mapping::File& file,
                                          std::span<const Range> regions) {
  const auto size = file.size();
  if (!size) return tl::unexpected(mapping::to_error("snapshot", size.error()));
  Reader reader(file, *size);
  ENGRAM_TRY(const auto head, reader.next<Head>("head"));
  if (head.magic != Head().magic) return fail("snapshot: not a snapshot: no magic at 0x0");
  if (head.regions != regions.size()) {
    return fail("snapshot: {} regions, the memory has {}", head.regions, regions.size());
  }
  std::vector<RegionEntry> entries;
  for (std::size_t i = 0; i < regions.size(); ++i) {
    ENGRAM_TRY(const auto entry, reader.next<RegionEntry>("region"));
    ENGRAM_CHECK(check_geometry(entry, regions[i], i));
    entries.push_back(entry);
  }
  SnapshotTable table;
  std::uint64_t bytes = 0;
  for (std::size_t i = 0; i < regions.size(); ++i) {
    ENGRAM_TRY(auto extents, read_extents(reader, entries[i], i));
    for (const mapping::Extent& extent : extents) {
      // Regions do not overlap: 2^64 bytes at most. A sum that wraps is not the file's size either.
      bytes = checked_add(bytes, extent.size).value_or(~std::uint64_t{0});
    }
    table.metadata.push_back({regions[i], std::move(extents)});
  }
  if (reader.left() < bytes) {
    return fail("snapshot: {} bytes of data are expected from {:#x} on, the file has {}", bytes,
                reader.at().value, reader.left());
  }
  if (reader.left() > bytes) {
    return fail("snapshot: {} bytes too many behind the data", reader.left() - bytes);
  }
  table.bytes = reader.at();
  return table;
}

}  // namespace engram::guest::detail
