// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "guest/decoded_region.h"

#include <algorithm>

namespace engram::guest {

PageCache::PageCache(std::shared_ptr<const PageSource> source, std::size_t pages)
    : source_(std::move(source)), capacity_(std::max<std::size_t>(pages, 1)) {}

std::uint64_t PageCache::misses() const {
  const std::lock_guard lock(mutex_);
  return misses_;
}

PageCache::PagePtr PageCache::find(std::uint64_t index) const {
  const std::lock_guard lock(mutex_);
  ++clock_;
  for (Slot& slot : slots_) {
    if (slot.page->index != index) continue;
    slot.used = clock_;
    return slot.page;
  }
  ++misses_;
  return nullptr;
}

PageCache::PagePtr PageCache::make(std::uint64_t index) const {
  auto page = std::make_shared<Page>();
  page->index = index;
  page->bytes.resize(static_cast<std::size_t>(source_->page_size()));
  page->made = source_->read_page(index, page->bytes);
  page->made.count = std::min(page->made.count, page->bytes.size());
  // A page that failed is made anew the next time: the reason may be gone.
  if (!page->made.complete()) return page;

  const std::lock_guard lock(mutex_);
  const auto same = [index](const Slot& slot) { return slot.page->index == index; };
  if (std::any_of(slots_.begin(), slots_.end(), same)) return page;  // another thread was faster
  if (slots_.size() < capacity_) {
    slots_.push_back({page, clock_});
  } else {
    const auto oldest = std::min_element(
        slots_.begin(), slots_.end(), [](const Slot& a, const Slot& b) { return a.used < b.used; });
    *oldest = {page, clock_};
  }
  return page;
}

Transfer PageCache::read(std::uint64_t offset, MutableBytes to) const {
  const std::uint64_t page_size = source_->page_size();
  std::size_t done = 0;
  while (done < to.size()) {
    const std::uint64_t at = offset + done;
    const auto in_page = static_cast<std::size_t>(at % page_size);
    PagePtr page = find(at / page_size);
    if (page == nullptr) page = make(at / page_size);
    const std::size_t there = page->made.count > in_page ? page->made.count - in_page : 0;
    const std::size_t wanted = std::min(to.size() - done, page->bytes.size() - in_page);
    const std::size_t count = std::min(wanted, there);
    std::copy_n(page->bytes.begin() + static_cast<std::ptrdiff_t>(in_page), count,
                to.begin() + static_cast<std::ptrdiff_t>(done));
    done += count;
    if (count == wanted) continue;
    const MemoryErrc why = page->made.complete() ? MemoryErrc::not_present : page->made.stop;
    return {done, why, page->made.os_errno, offset + done};
  }
  return {done};
}

DecodedRegion DecodedRegion::make(Range range, std::shared_ptr<const PageCache> pages,
                                  std::uint64_t first_page) {
  auto attributes = std::make_shared<Attributes>();
  attributes->page_size = pages->source().page_size();
  const std::uint64_t base = first_page * attributes->page_size;
  return {range, std::move(pages), base, std::move(attributes)};
}

Transfer DecodedRegion::read(RegionOffset at, MutableBytes to) const {
  if (to.empty()) return {};
  const std::uint64_t room = at.value < range_.size() ? range_.size() - at.value : 0;
  const auto there = static_cast<std::size_t>(std::min<std::uint64_t>(to.size(), room));
  Transfer moved = pages_->read(base_ + at.value, to.first(there));
  if (moved.complete() && there < to.size()) moved.stop = MemoryErrc::out_of_bounds;
  if (!moved.complete()) moved.address = at.value + moved.count;
  return moved;
}

MemoryResult<ConstVolatileSlice> DecodedRegion::view(RegionOffset at, std::uint64_t size) const {
  ENGRAM_CHECK(check_in_region(at, size, range_.size()));
  return fail_memory(MemoryErrc::host_address_unavailable, at.value);
}

}  // namespace engram::guest
