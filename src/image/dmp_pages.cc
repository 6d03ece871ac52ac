// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "image/dmp_pages.h"

#include <fmt/core.h>

#include <algorithm>
#include <utility>

#include "image/bit_runs.h"

namespace engram::image::dmp {
namespace {

constexpr std::uint64_t kChunk = 64 * kKiB;

// 8 TiB, whose bitmap has 256 MiB. A sparse file has such a bitmap for nothing: the bound limits
// how long one is searched. LeechCore has the same limit.
constexpr std::uint64_t kMostPages = std::uint64_t{1} << 31;

/// Where the first page lies, if the description before it ends by then.
Result<FileOffset> first_page(const FileView& file, std::uint64_t first,
                              FileOffset description_end) {
  if (first < description_end.value) {
    return fail("dmp: the first page is said to lie at {:#x}, before the end {:#x} of the headers",
                first, description_end.value);
  }
  if (first >= file.size()) {
    return fail("dmp: the first page is said to lie at {:#x}, the file ends at {:#x}", first,
                file.size());
  }
  return FileOffset(first);
}

void warn(Contents& contents, std::string text) {
  contents.notices.push_back({Level::warning, std::move(text)});
}

/// Walks the table of ranges.
class RangeTable {
 public:
  RangeTable(const FileView& file, FileOffset at, const RangeHeader& header, bool counted)
      : file_(file),
        at_(at + sizeof(RangeHeader)),
        end_(FileOffset(header.first_page)),
        total_(counted ? std::optional<std::uint64_t>(header.total_pages) : std::nullopt) {}

  /// Errors: a range that cannot be, or that has more pages than are left of the total.
  Result<void> read(PackedPages& pages) {
    while (true) {
      const auto bytes = file_.copy(at_, std::min(kChunk, end_ - at_));
      if (bytes.size() < sizeof(Run64)) return {};
      for (std::size_t i = 0; i + sizeof(Run64) <= bytes.size(); i += sizeof(Run64)) {
        const auto range = load_unaligned<Run64>(bytes.data() + i);
        // Page 0 ends the table, so no dump of these types has it.
        if (range.base_page == 0 || pages.pages() == total_) return {};
        ENGRAM_CHECK(add(range, pages));
        at_ = at_ + sizeof(Run64);
      }
    }
  }

 private:
  Result<void> add(const Run64& range, PackedPages& pages) {
    const std::uint64_t base = range.base_page;
    const std::uint64_t count = range.page_count;
    if (total_ && count > *total_ - pages.pages()) {
      return fail("dmp: the range at {:#x}: {:#x} pages, {:#x} are left of a total of {:#x}",
                  at_.value, count, *total_ - pages.pages(), *total_);
    }
    if (const auto problem = pages.add(base, count)) {
      return fail("dmp: the range at {:#x}: {}", at_.value, *problem);
    }
    return {};
  }

  const FileView& file_;
  FileOffset at_;
  const FileOffset end_;
  const std::optional<std::uint64_t> total_;
};

}  // namespace

std::optional<std::string> PackedPages::add(std::uint64_t base, std::uint64_t count) {
  const auto size = checked_multiply(count, kPageSize);
  const auto start = checked_multiply(base, kPageSize);
  if (!size || !start || (*size != 0 && !checked_add(*start, *size - 1))) {
    return fmt::format("{:#x} pages from page {:#x} exceed 2^64 bytes", count, base);
  }
  const auto end = next_.checked_add(*size);
  if (!end) {
    return fmt::format("{:#x} pages at {:#x} in the file exceed 2^64 bytes", count, next_.value);
  }
  if (count == 0) return std::nullopt;
  const FileOffset at = std::exchange(next_, *end);
  pages_ += count;  // no more than bytes, which fit
  ++runs_;
  if (at.value >= file_.size() && ++lost_runs_ > kMostLostRuns) {
    left_out_ += count;
    return std::nullopt;
  }
  if (contents_.ranges.size() == kMostRanges) {
    left_out_ += count;
    return std::nullopt;
  }
  add_range(contents_, file_, {PhysAddr(*start), *size, at, *size, 0, 0});
  const Range& range = contents_.ranges.back();
  if (range.readable < range.stored) {
    cut_.add([&] {
      return fmt::format(
          "dmp: run {} at {:#x}: [{:#x}, {:#x}]: the file ends {} bytes before the run does",
          runs_ - 1, at.value, range.start.value, range.start.value + (range.size - 1),
          range.stored - range.readable);
    });
  }
  return std::nullopt;
}

void PackedPages::report() {
  cut_.report(contents_, Level::warning);
  if (left_out_ == 0) return;
  contents_.truncated = contents_.truncated || lost_runs_ > kMostLostRuns;
  warn(contents_, fmt::format("dmp: {} runs of pages are too many for a file of {} bytes; {} pages "
                              "are left out",
                              runs_, file_.size(), left_out_));
}

Result<void> read_bitmap(const FileView& file, FileOffset at, Contents& contents) {
  const auto header = file.load<BitmapHeader>(at);
  if (!header) {
    return fail("dmp: the file has {} bytes, the header of its bitmap ends at {:#x}", file.size(),
                at.value + sizeof(BitmapHeader));
  }
  if ((header->signature != kSummarySignature && header->signature != kFullSignature) ||
      header->valid != kValid32) {
    return fail("dmp: no header of a bitmap at {:#x}: signature {:#x} {:#x}, {:#x} {:#x} expected",
                at.value, std::uint32_t{header->signature}, std::uint32_t{header->valid},
                kFullSignature, kValid32);
  }
  const std::uint64_t count = header->page_count;
  if (count > kMostPages) {
    return fail("dmp: a bitmap of {:#x} pages at {:#x}, at most {:#x} are expected", count,
                at.value, kMostPages);
  }
  const FileOffset bitmap = at + sizeof(BitmapHeader);
  ENGRAM_TRY(const FileOffset first,
             first_page(file, header->first_page, bitmap + (count + 7) / 8));

  PackedPages pages(contents, file, first);
  std::optional<std::string> problem;
  const auto copy = [&](std::uint64_t offset, std::uint64_t length) {
    return file.copy(bitmap + offset, length);
  };
  // A million runs are counted in less time than it takes to move them to where there is room.
  contents.regions.reserve(std::min<std::size_t>(count_runs(copy, 0, count), kMostRanges));
  const std::uint64_t known =
      find_runs(copy, 0, count, [&](std::uint64_t base, std::uint64_t length) {
        if (problem) return;
        if (auto found = pages.add(base, length)) problem = std::move(found);
      });
  if (known < count) {
    contents.truncated = true;
    warn(contents, fmt::format("dmp: the bitmap cannot be read at {:#x}: pages {:#x} to {:#x} are "
                               "unknown",
                               (bitmap + known / 8).value, known, count - 1));
  }
  if (problem) warn(contents, "dmp: the bitmap: " + *problem);
  pages.report();
  if (pages.pages() != header->present_pages) {
    warn(contents, fmt::format("dmp: {} pages are declared, the bitmap has {}; the bitmap is used",
                               std::uint64_t{header->present_pages}, pages.pages()));
  }
  return {};
}

Result<void> read_ranges(const FileView& file, FileOffset at, bool counted,
                         std::uint64_t required_space, Contents& contents) {
  const auto header = file.load<RangeHeader>(at);
  if (!header) {
    return fail("dmp: the file has {} bytes, the header of its ranges ends at {:#x}", file.size(),
                at.value + sizeof(RangeHeader));
  }
  if (header->marker != kRangeMarker || header->signature != kRangeSignature ||
      header->valid != kValid32) {
    return fail("dmp: no header of ranges at {:#x}: {:#x} {:#x} {:#x}, {:#x} {:#x} {:#x} expected",
                at.value, std::uint32_t{header->marker}, std::uint32_t{header->signature},
                std::uint32_t{header->valid}, kRangeMarker, kRangeSignature, kValid32);
  }
  const std::uint64_t size = header->metadata_size;
  if (size == 0 || size % sizeof(Run64) != 0) {
    return fail("dmp: the table of ranges at {:#x} has {:#x} bytes, a multiple of {} is expected",
                at.value, size, sizeof(Run64));
  }
  const auto table_end = (at + 0x20).checked_add(size);
  if (!table_end || table_end->value != header->first_page) {
    return fail(
        "dmp: the table of ranges at {:#x} has {:#x} bytes, but the first page lies at {:#x}",
        at.value, size, std::uint64_t{header->first_page});
  }
  ENGRAM_TRY(const FileOffset first,
             first_page(file, header->first_page, at + sizeof(RangeHeader)));

  PackedPages pages(contents, file, first);
  ENGRAM_CHECK(RangeTable(file, at, *header, counted).read(pages));
  const bool total_agrees = counted && pages.pages() == header->total_pages;
  const FileOffset end = pages.end();
  if (end.value > file.size() && !total_agrees && end.value > required_space) {
    return fail("dmp: the ranges need a file of {:#x} bytes, it has {:#x} and should have {:#x}",
                end.value, file.size(), required_space);
  }
  pages.report();
  if (counted && !total_agrees) {
    warn(contents, fmt::format("dmp: {} pages are declared, the table of ranges has {}",
                               std::uint64_t{header->total_pages}, pages.pages()));
  }
  return {};
}

}  // namespace engram::image::dmp
