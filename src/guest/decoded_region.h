// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// A region of guest memory whose bytes are made page by page when they are read, such as the pages
// of a compressed image, and a bounded cache of such pages.

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/lazy.h"
#include "guest/region.h"

namespace engram::guest {

/// What makes pages. Used by several threads at once.
class PageSource {
 public:
  virtual ~PageSource() = default;
  /// Bytes of every page but the last, which may be shorter; a power of two.
  [[nodiscard]] virtual std::uint64_t page_size() const = 0;
  /// The first bytes of a page, up to to.size(). Stops: not_present; source_truncated where the
  /// page cannot be made.
  [[nodiscard]] virtual Transfer read_page(std::uint64_t index, MutableBytes to) const = 0;
  /// Whole pages from `index` on, as many as `to` has room for: of one that is not whole the bytes
  /// that there are. Stops: those of read_page(). For sources that can do better than page by page.
  [[nodiscard]] virtual Transfer read_pages(std::uint64_t index, MutableBytes to) const;
};

/// The pages that were used last. Safe to use from several threads: a page that is missing is made
/// without holding the others up but those that want the same one. Pages are spread over sets of a
/// few, each with its own lock.
class PageCache {
 public:
  /// Keeps up to `pages` pages of the source (at least one).
  explicit PageCache(std::shared_ptr<const PageSource> source, std::size_t pages = 64);

  [[nodiscard]] const PageSource& source() const { return *source_; }
  /// Reads from `offset` on, counted from page 0. Stops: those of the source.
  [[nodiscard]] Transfer read(std::uint64_t offset, MutableBytes to) const;
  /// Reads from byte `at` of one page up to its end at most, for sources whose pages differ in
  /// length. Stops: those of the source; not_present behind the end of the page.
  [[nodiscard]] Transfer read_page(std::uint64_t index, std::size_t at, MutableBytes to) const;
  /// As read(), for a reader that goes on and does not come back: whole pages are made where they
  /// are wanted, looked for nowhere and not kept. Stops: those of the source.
  [[nodiscard]] Transfer read_once(std::uint64_t offset, MutableBytes to) const;
  /// How often a page had to be made.
  [[nodiscard]] std::uint64_t misses() const;

 private:
  struct Page {
    Once once;  // for whoever comes first to make it
    std::atomic<bool> is_made = false;
    std::vector<std::byte> bytes;
    Transfer made;  // how much of it there is
  };
  using PagePtr = std::shared_ptr<Page>;
  struct Slot {
    std::uint64_t index = 0;
    std::uint64_t used = 0;  // when, in look-ups
    PagePtr page;
  };
  struct Set {
    std::mutex mutex;  // of what follows
    std::vector<Slot> slots;
    std::uint64_t clock = 0, misses = 0;
  };

  [[nodiscard]] Set& set_of(std::uint64_t index) const;
  /// The page, which may have to be made yet.
  [[nodiscard]] PagePtr find_or_add(Set& set, std::uint64_t index) const;
  void make(Set& set, std::uint64_t index, const PagePtr& page) const;

  std::shared_ptr<const PageSource> source_;
  std::size_t slots_in_set_;
  std::size_t set_count_;  // a power of two
  std::unique_ptr<Set[]> sets_;
  mutable std::atomic<std::uint64_t> made_once_ = 0;  // pages that were not kept
};

/// A ReadableRegion that begins at a page of a source. It cannot be written, and has no host
/// memory.
class DecodedRegion {
 public:
  /// `first_page` is the page at the start of the range; regions may share a cache.
  static DecodedRegion make(Range range, std::shared_ptr<const PageCache> pages,
                            std::uint64_t first_page = 0);

  [[nodiscard]] Range range() const { return range_; }
  [[nodiscard]] const Attributes& attributes() const { return *attributes_; }
  [[nodiscard]] Transfer read(RegionOffset at, MutableBytes to) const;
  [[nodiscard]] MemoryResult<ConstVolatileSlice> view(RegionOffset at, std::uint64_t size) const;

 private:
  DecodedRegion(Range range, std::shared_ptr<const PageCache> pages, std::uint64_t base,
                std::shared_ptr<const Attributes> attributes)
      : range_(range), pages_(std::move(pages)), base_(base), attributes_(std::move(attributes)) {}

  Range range_;
  std::shared_ptr<const PageCache> pages_;
  std::uint64_t base_;  // offset of the range in the source
  std::shared_ptr<const Attributes> attributes_;
};
static_assert(ReadableRegion<DecodedRegion> && !WritableRegion<DecodedRegion>);

}  // namespace engram::guest
