// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// What format readers share: filling in Contents, and saying something once that is true a million
// times.

#include <cstdint>
#include <string>
#include <utility>

#include "image/file_view.h"
#include "image/image.h"

namespace engram::image {

/// More ranges than this are not taken from one file. A QEMU dump with the guest's paging has some
/// ten thousand per GiB; the bound keeps a file that is nothing but headers from filling the host's
/// memory.
inline constexpr std::size_t kMostRanges = std::size_t{1} << 22;

/// Adds `range`, whose `readable` is computed here, and the regions behind it: host memory as far
/// as the file goes, unreadable after it. Bytes of the range that the file does not declare to
/// store get no region. The range must be in order: its last byte within 64 bits, stored <= size.
void add_range(Contents& contents, const FileView& file, Range range);

/// Gives the regions with Backing::source the memory that makes their bytes. It lives as long as
/// the contents; `problems` has what it could not make.
void set_source(Contents& contents, std::shared_ptr<const guest::PhysicalSource> memory,
                std::shared_ptr<const PageProblems> problems);

/// Names of a file as they can be shown: up to the first NUL, with '?' for what is no printable
/// ASCII.
[[nodiscard]] std::string printable(Bytes text);

/// Counts events of one kind and reports the first of them.
class Tally {
 public:
  /// `describe()` makes the text; it is called for the first event only.
  template <class Describe>
  void add(const Describe& describe) {
    if (count_++ == 0) first_ = describe();
  }
  [[nodiscard]] bool empty() const { return count_ == 0; }

  /// Adds one notice if anything was counted.
  void report(Contents& contents, Level level) const;

 private:
  std::uint64_t count_ = 0;
  std::string first_;
};

}  // namespace engram::image
