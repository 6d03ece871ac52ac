// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "mapping/host_range.h"

#include <sys/mman.h>

#include <array>
#include <atomic>
#include <cassert>
#include <cerrno>
#include <memory>
#include <utility>

#include "mapping/cache.h"
#include "mapping/kernel_constants.h"

namespace engram::mapping {
namespace {

std::atomic<std::uint64_t> failed_unmaps = 0;

int native_advice(Advice advice) {
  switch (advice) {
    case Advice::normal:
      return MADV_NORMAL;
    case Advice::random:
      return MADV_RANDOM;
    case Advice::sequential:
      return MADV_SEQUENTIAL;
    case Advice::will_need:
      return MADV_WILLNEED;
    case Advice::cold:
      return kernel::kAdviseCold;
    case Advice::page_out:
      return kernel::kAdvisePageOut;
    case Advice::huge_pages:
      return MADV_HUGEPAGE;
    case Advice::no_huge_pages:
      return MADV_NOHUGEPAGE;
    case Advice::collapse:
      return kernel::kAdviseCollapse;
    case Advice::no_core_dump:
      return MADV_DONTDUMP;
    case Advice::core_dump:
      return MADV_DODUMP;
    case Advice::dont_fork:
      return MADV_DONTFORK;
    case Advice::do_fork:
      return MADV_DOFORK;
    case Advice::wipe_on_fork:
      return MADV_WIPEONFORK;
    case Advice::keep_on_fork:
      return MADV_KEEPONFORK;
    case Advice::mergeable:
      return MADV_MERGEABLE;
    case Advice::unmergeable:
      return MADV_UNMERGEABLE;
  }
  return -1;  // the kernel refuses it
}

}  // namespace

namespace detail {

void unmap_or_count(void* address, std::size_t size) noexcept {
  const bool unmapped = ::munmap(address, size) == 0;
  if (!unmapped) failed_unmaps.fetch_add(1, std::memory_order_relaxed);
  assert(unmapped && "munmap refused a range that its record says is mapped");
}

int native_prot(Prot prot) {
  static_assert(static_cast<int>(Prot::read) == PROT_READ);
  static_assert(static_cast<int>(Prot::write) == PROT_WRITE);
  static_assert(static_cast<int>(Prot::exec) == PROT_EXEC);
  return static_cast<int>(prot);
}

}  // namespace detail

std::uint64_t unmap_failures() {
  return failed_unmaps.load(std::memory_order_relaxed);
}

HostRange::HostRange(HostRange&& other) noexcept
    : address_(std::exchange(other.address_, nullptr)),
      size_(std::exchange(other.size_, 0)),
      page_(other.page_),
      guard_before_(std::exchange(other.guard_before_, 0)),
      guard_behind_(std::exchange(other.guard_behind_, 0)),
      backing_(std::exchange(other.backing_, std::nullopt)),
      identity_(other.identity_),
      prot_(other.prot_),
      share_(other.share_),
      seals_(other.seals_),
      reserved_(other.reserved_),
      jit_(other.jit_),
      no_reserve_(other.no_reserve_),
      cannot_be_truncated_(other.cannot_be_truncated_),
      hugetlbfs_(other.hugetlbfs_),
      advice_(std::move(other.advice_)),
      committed_(std::exchange(other.committed_, {})),
      locked_(std::exchange(other.locked_, {})) {}

HostRange& HostRange::operator=(HostRange&& other) noexcept {
  if (this == &other) return *this;
  unmap();
  // Nothing is left in it that a new object would not have.
  std::destroy_at(this);
  return *std::construct_at(this, std::move(other));
}

HostRange::~HostRange() {
  unmap();
}

void HostRange::unmap() noexcept {
  if (address_ == nullptr) return;
  detail::unmap_or_count(address_ - guard_before_, guard_before_ + mapped_size() + guard_behind_);
  address_ = nullptr;
  size_ = 0;
}

std::uint64_t HostRange::mapped_size() const {
  return size_ == 0 ? 0 : align_up(size_, page_);
}

bool HostRange::shares_file_bytes(const HostRange& other) const {
  if (!backing_ || !other.backing_ || identity_ != other.identity_) return false;
  const std::uint64_t mine = backing_->offset.value, theirs = other.backing_->offset.value;
  return mine < theirs + other.size_ && theirs < mine + size_;
}

MemoryResult<void> HostRange::check(Extent extent) const {
  if (empty()) return fail_memory(MemoryErrc::empty);
  return extent.check(size_);
}

MemoryResult<Extent> HostRange::whole_pages(Extent extent) const {
  ENGRAM_CHECK(check(extent));
  if (extent.offset % page_ != 0) {
    return fail_memory(MemoryErrc::not_page_aligned, extent.offset, page_);
  }
  // The rest of the last page belongs to nobody else.
  if (extent.end() == size_) return Extent{extent.offset, mapped_size() - extent.offset};
  if (extent.size % page_ != 0) {
    return fail_memory(MemoryErrc::not_page_aligned, extent.end(), page_);
  }
  return extent;
}

MemoryResult<void> HostRange::flush(Extent extent, Flush mode) const {
  ENGRAM_CHECK(check(extent));
  if (extent.size == 0) return {};
  const Extent pages = extent.rounded_out(page_);
  const int flags = mode == Flush::sync ? MS_SYNC : MS_ASYNC;
  if (::msync(address_ + pages.offset, pages.size, flags) == 0) return {};
  return fail_os(errno, pages.offset);
}

MemoryResult<void> HostRange::advise(Extent extent, Advice advice) const {
  ENGRAM_CHECK(check(extent));
  if (extent.size == 0) return {};
  const Extent pages = extent.rounded_out(page_);
  if (::madvise(address_ + pages.offset, pages.size, native_advice(advice)) == 0) return {};
  return fail_os(errno, pages.offset);
}

MemoryResult<std::uint64_t> HostRange::resident(Extent extent) const {
  ENGRAM_CHECK(check(extent));
  if (extent.size == 0) return std::uint64_t{0};
  const std::uint64_t base = PageSize::base().bytes();  // what mincore(2) counts in
  const Extent pages = extent.rounded_out(base);
  std::array<unsigned char, 4096> present = {};
  std::uint64_t bytes = 0;
  for (std::uint64_t at = pages.offset; at < pages.end();) {
    const std::uint64_t size = std::min(pages.end() - at, present.size() * base);
    if (::mincore(address_ + at, size, present.data()) != 0) return fail_os(errno, at);
    for (std::uint64_t page = 0; page < size / base; ++page) {
      if ((present[page] & 1) != 0) bytes += base;
    }
    at += size;
  }
  return bytes;
}

MemoryResult<void> HostRange::lock(Extent extent, LockMode mode) {
  ENGRAM_CHECK(check(extent));
  if (extent.size == 0) return {};
  const Extent pages = extent.rounded_out(page_);
  const int result = mode == LockMode::now
                         ? ::mlock(address_ + pages.offset, pages.size)
                         : ::mlock2(address_ + pages.offset, pages.size, kernel::kLockOnFault);
  const int error = errno;
  // mlock(2) marks the range before it brings the pages in: after a failure some may be locked.
  if (result != 0) {
    ::munlock(address_ + pages.offset, pages.size);
    static_cast<void>(restore_locks(pages));
    return fail_os(error, pages.offset);
  }
  locked_.insert(pages);
  return {};
}

MemoryResult<void> HostRange::unlock(Extent extent) {
  ENGRAM_CHECK(check(extent));
  if (extent.size == 0) return {};
  const Extent pages = extent.rounded_out(page_);
  if (::munlock(address_ + pages.offset, pages.size) != 0) return fail_os(errno, pages.offset);
  locked_.erase(pages);
  return {};
}

MemoryResult<void> HostRange::protect_extent(Extent extent, Prot prot) const {
  if (extent.size == 0) return {};
  const int native = detail::native_prot(prot);
  if (::mprotect(address_ + extent.offset, extent.size, native) == 0) return {};
  return fail_os(errno, extent.offset);
}

MemoryResult<void> HostRange::set_prot(Prot prot) {
  if (empty()) return fail_memory(MemoryErrc::empty);
  if (!is_access(prot)) return fail_memory(MemoryErrc::unsupported);
  if (needs_jit(prot) && !jit_) return fail_memory(MemoryErrc::jit_needed);
  const bool sealed = any(seals_ & (Seals::write | Seals::future_write));
  if (sealed && share_ == Share::shared && allows(prot, Prot::write)) {
    return fail_memory(MemoryErrc::sealed);
  }
  const std::vector<Extent> parts =
      reserved_ ? committed_.extents() : std::vector<Extent>{{0, mapped_size()}};
  for (const Extent& part : parts) {
    const auto done = protect_extent(part, prot);
    if (done) continue;
    // mprotect(2) may have changed some of it before it failed.
    for (const Extent& changed : parts) static_cast<void>(protect_extent(changed, prot_));
    return done;
  }
  prot_ = prot;
  return {};
}

MemoryResult<void> HostRange::commit_part(Extent extent) {
  ENGRAM_TRY(const Extent pages, whole_pages(extent));
  const auto done = protect_extent(pages, prot_);
  if (!done) {
    static_cast<void>(protect_extent(pages, Prot::none));
    for (const Extent& before : committed_.within(pages)) {
      static_cast<void>(protect_extent(before, prot_));
    }
    return done;
  }
  committed_.insert(pages);
  return {};
}

MemoryResult<void> HostRange::decommit_part(Extent extent) {
  ENGRAM_TRY(const Extent pages, whole_pages(extent));
  if (pages.size == 0) return {};
  if (share_ == Share::shared && !backing_) {
    // While they may be written: kernels before 6.7 refuse to remove other pages.
    for (const Extent& part : committed_.within(pages)) ENGRAM_CHECK(remove_shared_pages(part));
  }
  auto done = protect_extent(pages, Prot::none);
  if (done && share_ == Share::private_) done = drop_pages(pages);
  if (done) {
    committed_.erase(pages);
  } else {
    for (const Extent& part : committed_.within(pages)) {
      static_cast<void>(protect_extent(part, prot_));
    }
  }
  return done;
}

MemoryResult<void> HostRange::commit_whole() {
  if (empty()) return fail_memory(MemoryErrc::empty);
  ENGRAM_CHECK(commit_part(all()));
  reserved_ = false;
  committed_ = {};
  return {};
}

MemoryResult<void> HostRange::flush_caches(Extent extent) const {
  ENGRAM_CHECK(check(extent));
  ENGRAM_TRY([[maybe_unused]] const std::size_t lines,
             flush_data_cache(address_ + extent.offset, extent.size));
  return {};
}

MemoryResult<HostRange> HostRange::split_range(std::uint64_t at) {
  if (empty()) return fail_memory(MemoryErrc::empty);
  if (at == 0 || at >= size_ || at % page_ != 0) {
    return fail_memory(MemoryErrc::invalid_offset, at, page_);
  }
  HostRange rest;
  rest.advice_ = advice_;
  rest.committed_ = committed_.split_off(at);
  rest.locked_ = locked_.split_off(at);
  rest.address_ = address_ + at;
  rest.size_ = size_ - at;
  rest.page_ = page_;
  rest.guard_behind_ = std::exchange(guard_behind_, 0);
  if (backing_) rest.backing_ = FileRef{backing_->file, backing_->offset + at};
  rest.identity_ = identity_;
  rest.prot_ = prot_;
  rest.share_ = share_;
  rest.seals_ = seals_;
  rest.reserved_ = reserved_;
  rest.jit_ = jit_;
  rest.no_reserve_ = no_reserve_;
  rest.cannot_be_truncated_ = cannot_be_truncated_;
  rest.hugetlbfs_ = hugetlbfs_;
  size_ = at;
  return rest;
}

MemoryResult<void> HostRange::check_follower(const HostRange& other) const {
  if (empty() || other.empty()) return fail_memory(MemoryErrc::empty);
  if (address_ + size_ != other.address_ || guard_behind_ != 0 || other.guard_before_ != 0) {
    return fail_memory(MemoryErrc::must_be_adjacent);
  }
  if (prot_ != other.prot_ || share_ != other.share_ || reserved_ != other.reserved_ ||
      jit_ != other.jit_ || page_ != other.page_ || no_reserve_ != other.no_reserve_ ||
      seals_ != other.seals_ || advice_ != other.advice_) {
    return fail_memory(MemoryErrc::attribute_mismatch);
  }
  if (backing_.has_value() != other.backing_.has_value()) {
    return fail_memory(MemoryErrc::backing_mismatch);
  }
  if (!backing_) return {};
  const FileOffset next = backing_->offset + size_;
  if (identity_ == other.identity_ && other.backing_->offset == next) return {};
  return fail_memory(MemoryErrc::backing_mismatch, other.backing_->offset.value, next.value);
}

void HostRange::absorb(HostRange&& follower) {
  committed_.append(follower.committed_, size_);
  locked_.append(follower.locked_, size_);
  guard_behind_ = std::exchange(follower.guard_behind_, 0);
  cannot_be_truncated_ = cannot_be_truncated_ && follower.cannot_be_truncated_;
  size_ += std::exchange(follower.size_, 0);
  follower.address_ = nullptr;
}

NativeRange HostRange::release_range() {
  // Guard pages are not part of what is handed out; they have no other owner.
  if (guard_before_ != 0) detail::unmap_or_count(address_ - guard_before_, guard_before_);
  if (guard_behind_ != 0) detail::unmap_or_count(address_ + mapped_size(), guard_behind_);
  guard_before_ = guard_behind_ = 0;
  const NativeRange range{address_, static_cast<std::size_t>(mapped_size())};
  address_ = nullptr;
  size_ = 0;
  return range;
}

}  // namespace engram::mapping
