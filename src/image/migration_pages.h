// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// The pages of a machine's RAM in a migration stream: where each one's last record lies, and what
// it says. Pages are numbered by their place in RAM, which is not their physical address.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "guest/decoded_region.h"
#include "guest/memory.h"
#include "image/file_view.h"
#include "image/page_problems.h"

namespace engram::image::migration {

/// How a page is stored.
enum class Stored : std::uint8_t {
  fill,    ///< one byte, of which it is full
  plain,   ///< as it is, in a record
  mapped,  ///< as it is, next to the others
  zlib,    ///< a 32-bit length and so many bytes
  zeros,   ///< not at all: the file says that it is zeros
};

/// Pages that follow each other in RAM and in the file. 16 bytes: a stream in which every page has
/// a run of its own costs that for each.
class Run {
 public:
  static constexpr std::uint64_t kMostPages = (std::uint64_t{1} << 24U) - 1;
  static constexpr std::uint64_t kEndOfPages = std::uint64_t{1} << 40U;
  static constexpr FileOffset kEndOfFile{std::uint64_t{1} << 56U};

  /// `page` < kEndOfPages, 0 < `pages` <= kMostPages, `at` <= kEndOfFile.
  Run(std::uint64_t page, std::uint64_t pages, FileOffset at, Stored stored)
      : pages_(page << 24U | pages), place_(at.value << 8U | static_cast<std::uint64_t>(stored)) {}

  [[nodiscard]] std::uint64_t first() const { return pages_ >> 24U; }
  [[nodiscard]] std::uint64_t count() const { return pages_ & kMostPages; }
  [[nodiscard]] std::uint64_t end() const { return first() + count(); }
  [[nodiscard]] Stored stored() const { return static_cast<Stored>(place_ & 0xFFU); }
  /// Where what is stored of the first page lies.
  [[nodiscard]] FileOffset at() const { return FileOffset(place_ >> 8U); }
  [[nodiscard]] FileOffset at(std::uint64_t page) const { return at() + (page - first()) * step(); }

  /// The pages [first, end), which the run has.
  [[nodiscard]] Run part(std::uint64_t first, std::uint64_t end) const {
    return {first, end - first, at(first), stored()};
  }
  /// Takes the next page in, if it continues the run.
  bool extend(std::uint64_t page, FileOffset at, Stored stored);

 private:
  /// Bytes from one page to the next in the file; 0 if that differs, or they have none.
  [[nodiscard]] std::uint64_t step() const;

  std::uint64_t pages_;  // number of the first, count
  std::uint64_t place_;  // offset, how they are stored
};
static_assert(sizeof(Run) == 16);

/// What an XBZRLE record changes in the state of its page before it.
struct Delta {
  std::uint64_t page;
  FileOffset at;  // of its mark, 16-bit length and bytes
};

/// Collects records in the order of the stream. The last one of a page counts.
class PageIndex {
 public:
  /// `file_end`: of the file that has the records.
  explicit PageIndex(FileOffset file_end = Run::kEndOfFile) : file_end_(file_end) {}

  /// Adds `pages` pages. False if there are more runs than a file of pages can have: it is hostile.
  [[nodiscard]] bool add(std::uint64_t page, std::uint64_t pages, FileOffset at, Stored stored);
  [[nodiscard]] bool add_delta(std::uint64_t page, FileOffset at);
  /// Puts the records in the order of their pages. To be called once, before what follows.
  void finish();

  [[nodiscard]] const std::vector<Run>& runs() const { return runs_; }
  [[nodiscard]] const std::vector<Delta>& deltas() const { return deltas_; }
  [[nodiscard]] const Run* find(std::uint64_t page) const;

 private:
  FileOffset file_end_;
  std::vector<Run> runs_;
  std::vector<Delta> deltas_;
};

/// Where a piece of RAM lies in the machine's address space.
struct Place {
  PhysAddr start;
  std::uint64_t size = 0;  // bytes
  std::uint64_t ram = 0;   // of its first byte: place in RAM
};

/// Makes pages of RAM. Does not own the file.
class RamPages final : public guest::PageSource {
 public:
  RamPages(FileView file, PageIndex index, std::vector<Place> places,
           std::shared_ptr<PageProblems> problems)
      : file_(file),
        index_(std::move(index)),
        places_(std::move(places)),
        problems_(std::move(problems)) {}

  [[nodiscard]] const std::vector<Place>& places() const { return places_; }

  [[nodiscard]] std::uint64_t page_size() const override { return kPageSize; }
  [[nodiscard]] guest::Transfer read_page(std::uint64_t page, MutableBytes to) const override;

 private:
  /// Of a page that lies in a place.
  [[nodiscard]] PhysAddr address_of(std::uint64_t page) const;
  [[nodiscard]] std::optional<std::string> make(const Run& run, std::uint64_t page,
                                                MutableBytes to) const;
  [[nodiscard]] std::optional<std::string> unpack(FileOffset at, MutableBytes to) const;
  [[nodiscard]] std::optional<std::string> change(std::uint64_t page, FileOffset after,
                                                  MutableBytes to) const;

  FileView file_;
  PageIndex index_;
  std::vector<Place> places_;
  std::shared_ptr<PageProblems> problems_;
};

/// The same by physical address, with a cache in front.
class RamMemory final : public guest::PhysicalSource {
 public:
  explicit RamMemory(const std::shared_ptr<const RamPages>& pages)
      : cache_(pages, kCachePages), places_(pages->places()) {}

  [[nodiscard]] guest::Transfer read(PhysAddr from, MutableBytes to) const override;
  [[nodiscard]] guest::Transfer read_once(PhysAddr from, MutableBytes to) const override;

 private:
  static constexpr std::size_t kCachePages = 64 * kMiB / kPageSize;

  struct Part {
    std::uint64_t ram = 0;  // of its first byte: place in RAM
    MutableBytes to;
  };
  /// As much as lies in one place; nothing: in none.
  [[nodiscard]] std::optional<Part> find(PhysAddr from, MutableBytes to) const;

  guest::PageCache cache_;
  std::vector<Place> places_;
};

}  // namespace engram::image::migration
