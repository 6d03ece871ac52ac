// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// The ways in which a Windows crash dump says which physical pages it has: their bytes follow each
// other in the file without gaps, in the order in which the description names them.

#include <cstdint>
#include <optional>
#include <string>

#include "image/contents.h"
#include "image/dmp_layout.h"

namespace engram::image::dmp {

/// Turns runs of pages into ranges and regions.
class PackedPages {
 public:
  /// Runs that lie wholly behind the end of the file are bounded: a bitmap of one MiB can declare
  /// millions of them, and none has a byte to read.
  static constexpr std::uint64_t kMostLostRuns = 65'536;

  /// The first page lies at `first` in the file.
  PackedPages(Contents& contents, const FileView& file, FileOffset first)
      : contents_(contents), file_(file), next_(first) {}

  /// Adds `count` pages from page number `base`. Returns why that cannot be: nothing if it can.
  [[nodiscard]] std::optional<std::string> add(std::uint64_t base, std::uint64_t count);

  /// All that were added.
  [[nodiscard]] std::uint64_t pages() const { return pages_; }
  /// Where in the file the next page would lie.
  [[nodiscard]] FileOffset end() const { return next_; }
  /// Says what was lost.
  void report();

 private:
  Contents& contents_;
  const FileView& file_;
  FileOffset next_;
  std::uint64_t pages_ = 0;
  std::uint64_t runs_ = 0;
  std::uint64_t lost_runs_ = 0;
  std::uint64_t left_out_ = 0;  // pages
  Tally cut_;
};

/// Types 5 and 6: a bit for each page. `at` is where the header of the bitmap lies. Errors: the
/// header is none, or its bitmap does not fit between it and the first page, or the file ends
/// before the first page.
[[nodiscard]] Result<void> read_bitmap(const FileView& file, FileOffset at, Contents& contents);

/// Types 8, 9 and 10: a table of ranges, which may end with the declared number of pages
/// (`counted`: type 10 only). Errors: as above; a range that cannot be; ranges that exceed the file
/// although neither the declared number of pages nor `required_space` (the file's size, as the dump
/// header has it) says that the file was longer.
[[nodiscard]] Result<void> read_ranges(const FileView& file, FileOffset at, bool counted,
                                       std::uint64_t required_space, Contents& contents);

}  // namespace engram::image::dmp
