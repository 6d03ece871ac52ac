// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "guest/decoded_region.h"

#include <algorithm>
#include <bit>

namespace engram::guest {
namespace {

constexpr std::size_t kSlotsInSet = 8;

}  // namespace

Transfer PageSource::read_pages(std::uint64_t index, MutableBytes to) const {
  const auto size = static_cast<std::size_t>(page_size());
  std::size_t done = 0;
  for (; to.size() - done >= size; ++index) {
    const Transfer moved = read_page(index, to.subspan(done, size));
    done += std::min(moved.count, size);
    if (!moved.complete()) return {done, moved.stop, moved.os_errno, 0};
    if (moved.count < size) return {done, MemoryErrc::not_present, 0, 0};
  }
  return {done};
}

PageCache::PageCache(std::shared_ptr<const PageSource> source, std::size_t pages)
    : source_(std::move(source)),
      slots_in_set_(std::clamp<std::size_t>(pages, 1, kSlotsInSet)),
      set_count_(std::bit_floor(std::max<std::size_t>(pages / slots_in_set_, 1))),
      sets_(std::make_unique<Set[]>(set_count_)) {}

std::uint64_t PageCache::misses() const {
  std::uint64_t sum = made_once_.load();
  for (std::size_t i = 0; i < set_count_; ++i) {
    const std::lock_guard lock(sets_[i].mutex);
    sum += sets_[i].misses;
  }
  return sum;
}

PageCache::Set& PageCache::set_of(std::uint64_t index) const {
  // Pages that are read together often lie a power of two apart; a product's high bits do not.
  constexpr std::uint64_t kGolden = 0x9E3779B97F4A7C15;  // 2^64 divided by the golden ratio
  return sets_[static_cast<std::size_t>((index * kGolden) >> 32U) & (set_count_ - 1)];
}

PageCache::PagePtr PageCache::find_or_add(Set& set, std::uint64_t index) const {
  const std::lock_guard lock(set.mutex);
  ++set.clock;
  Slot* oldest = nullptr;
  for (Slot& slot : set.slots) {
    if (slot.index == index) {
      slot.used = set.clock;
      return slot.page;
    }
    if (oldest == nullptr || slot.used < oldest->used) oldest = &slot;
  }
  ++set.misses;
  Slot slot{index, set.clock, std::make_shared<Page>()};
  if (set.slots.size() < slots_in_set_) return set.slots.emplace_back(std::move(slot)).page;
  *oldest = std::move(slot);
  return oldest->page;
}

void PageCache::make(Set& set, std::uint64_t index, const PagePtr& page) const {
  page->once.call([&] {
    page->bytes.resize(static_cast<std::size_t>(source_->page_size()));
    page->made = source_->read_page(index, page->bytes);
    page->made.count = std::min(page->made.count, page->bytes.size());
    page->is_made.store(true, std::memory_order_release);
  });
  if (page->made.complete()) return;
  // A page that failed is made anew the next time: the reason may be gone.
  const std::lock_guard lock(set.mutex);
  std::erase_if(set.slots, [&](const Slot& slot) { return slot.page == page; });
}

Transfer PageCache::read_page(std::uint64_t index, std::size_t at, MutableBytes to) const {
  Set& set = set_of(index);
  const PagePtr page = find_or_add(set, index);
  if (!page->is_made.load(std::memory_order_acquire)) make(set, index, page);
  const std::size_t there = page->made.count > at ? page->made.count - at : 0;
  const std::size_t count = std::min(to.size(), there);
  std::copy_n(page->bytes.begin() + static_cast<std::ptrdiff_t>(count == 0 ? 0 : at), count,
              to.begin());
  if (count == to.size()) return {count};
  return {count, page->made.complete() ? MemoryErrc::not_present : page->made.stop,
          page->made.os_errno, 0};
}

Transfer PageCache::read(std::uint64_t offset, MutableBytes to) const {
  const std::uint64_t page_size = source_->page_size();
  std::size_t done = 0;
  while (done < to.size()) {
    const std::uint64_t at = offset + done;
    const std::uint64_t in_page = at % page_size;
    const auto wanted =
        static_cast<std::size_t>(std::min<std::uint64_t>(to.size() - done, page_size - in_page));
    const Transfer moved =
        read_page(at / page_size, static_cast<std::size_t>(in_page), to.subspan(done, wanted));
    done += moved.count;
    if (!moved.complete()) return {done, moved.stop, moved.os_errno, offset + done};
  }
  return {done};
}

Transfer PageCache::read_once(std::uint64_t offset, MutableBytes to) const {
  const std::uint64_t page_size = source_->page_size();
  std::size_t done = 0;
  while (done < to.size()) {
    const std::uint64_t at = offset + done;
    const std::uint64_t whole = at % page_size == 0 ? align_down(to.size() - done, page_size) : 0;
    Transfer moved;
    if (whole == 0) {
      const std::uint64_t rest = page_size - at % page_size;
      moved = read(at, to.subspan(done, static_cast<std::size_t>(
                                            std::min<std::uint64_t>(rest, to.size() - done))));
    } else {
      moved =
          source_->read_pages(at / page_size, to.subspan(done, static_cast<std::size_t>(whole)));
      made_once_ += (moved.count + page_size - 1) / page_size;
    }
    done += moved.count;
    if (!moved.complete()) return {done, moved.stop, moved.os_errno, offset + done};
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
