// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// The pages of a kdump: which there are, where each one's descriptor lies, and what it unpacks to.

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "guest/decoded_region.h"
#include "guest/memory.h"
#include "image/kdump_file.h"
#include "image/kdump_header.h"
#include "image/kdump_layout.h"
#include "image/page_problems.h"

namespace engram::image::kdump {

/// The pages of one file. The number of a page's descriptor is the number of stored pages before it
/// in the same file: it is counted in the bitmap, from the nearest of the counts that are kept (one
/// for 4096 pages).
class FilePages {
 public:
  FilePages(PlainFile file, Header header) : file_(std::move(file)), header_(std::move(header)) {}

  [[nodiscard]] const PlainFile& file() const { return file_; }
  [[nodiscard]] const Header& header() const { return header_; }
  [[nodiscard]] bool covers(std::uint64_t page) const {
    return page >= header_.first_page && page < header_.end_page;
  }

  struct Indexed {
    std::uint64_t stored = 0;  ///< pages
    std::uint64_t known = 0;   ///< the first page of which the bitmap cannot be read, or end_page
  };
  /// Counts the stored pages; `visit(first page, pages, first descriptor)` is called for each run.
  /// It ends where the bitmap cannot be read: the descriptors of the pages behind that are those
  /// behind an unknown number of others.
  template <class Visit>
  Indexed index(const Visit& visit) {
    if (header_.first_page == header_.end_page) return {0, header_.end_page};
    const std::uint64_t base = header_.first_page / kPagesInCount;
    counts_.assign(static_cast<std::size_t>((header_.end_page - 1) / kPagesInCount - base + 1), 0);
    std::size_t next = 1;
    std::uint64_t stored = 0;
    const std::uint64_t known =
        visit_runs(header_.bitmap, header_.first_page, header_.end_page,
                   [&](std::uint64_t first, std::uint64_t pages) {
                     for (; next < counts_.size(); ++next) {
                       const std::uint64_t from = (base + next) * kPagesInCount;
                       if (from >= first + pages) break;
                       counts_[next] = stored + (from > first ? from - first : 0);
                     }
                     visit(first, pages, stored);
                     stored += pages;
                   });
    for (; next < counts_.size(); ++next) counts_[next] = stored;
    return {stored, known};
  }
  /// The runs of set bits of one of the bitmaps. Returns the first page of which it cannot be read,
  /// or `end`.
  [[nodiscard]] std::uint64_t visit_runs(
      FileOffset bitmap, std::uint64_t first, std::uint64_t end,
      const std::function<void(std::uint64_t, std::uint64_t)>& visit) const;

  /// How many descriptors the file is long enough for.
  [[nodiscard]] std::uint64_t descriptors_there() const;
  [[nodiscard]] std::optional<PageDescriptor> descriptor(std::uint64_t number) const;
  struct Stored {
    std::uint64_t number = 0;  ///< of the first page's descriptor; the others' follow it
    std::uint64_t pages = 0;   ///< that are stored without a gap between them: at least one
  };
  /// `page` and those behind it, up to `most` of them or to where the search ends, which may be
  /// before the run does; nothing if it is not stored. index() must have been called.
  [[nodiscard]] std::optional<Stored> find_stored(std::uint64_t page, std::uint64_t most) const;
  /// The number of a page's descriptor; nothing if it is not stored.
  [[nodiscard]] std::optional<std::uint64_t> descriptor_number(std::uint64_t page) const;

  /// All bytes of a stored page. Returns what is wrong with it, or nothing.
  [[nodiscard]] std::optional<std::string> read(std::uint64_t number, MutableBytes to) const;
  /// So many whole pages as `to` has room for, whose descriptors follow each other. Returns how
  /// many there are; read() tells what is wrong with the next one.
  [[nodiscard]] std::size_t read_run(std::uint64_t number, MutableBytes to) const;

 private:
  static constexpr std::uint64_t kPagesInCount = 4096;

  [[nodiscard]] std::optional<std::string> unpack_page(const PageDescriptor& descriptor,
                                                       MutableBytes to) const;
  [[nodiscard]] PageDescriptor in_order(PageDescriptor stored) const;
  [[nodiscard]] std::size_t unpack_run(std::span<const PageDescriptor> run, MutableBytes to) const;

  PlainFile file_;
  Header header_;
  std::vector<std::uint64_t> counts_;  // stored pages before every 4096th
};

/// The pages of all files of a dump, by page number.
class Pages final : public guest::PageSource {
 public:
  Pages(std::vector<FilePages> files, std::shared_ptr<PageProblems> problems)
      : files_(std::move(files)), problems_(std::move(problems)) {}

  [[nodiscard]] std::uint64_t page_size() const override { return files_[0].header().page_size; }
  [[nodiscard]] guest::Transfer read_page(std::uint64_t index, MutableBytes to) const override;
  [[nodiscard]] guest::Transfer read_pages(std::uint64_t index, MutableBytes to) const override;

 private:
  /// The file that has the page; null: none has.
  [[nodiscard]] const FilePages* find_file(std::uint64_t page) const;

  std::vector<FilePages> files_;  // at least one, sorted by their pages
  std::shared_ptr<PageProblems> problems_;
};

/// The same by physical address, with a cache in front.
class PageMemory final : public guest::PhysicalSource {
 public:
  static constexpr std::uint64_t kCacheBytes = 64 * kMiB;

  explicit PageMemory(const std::shared_ptr<const Pages>& pages)
      : cache_(pages, static_cast<std::size_t>(kCacheBytes / pages->page_size())) {}

  [[nodiscard]] guest::Transfer read(PhysAddr from, MutableBytes to) const override {
    return cache_.read(from.value, to);
  }
  [[nodiscard]] guest::Transfer read_once(PhysAddr from, MutableBytes to) const override {
    return cache_.read_once(from.value, to);
  }
  /// How many pages had to be unpacked.
  [[nodiscard]] std::uint64_t unpacked() const { return cache_.misses(); }

 private:
  guest::PageCache cache_;
};

}  // namespace engram::image::kdump
