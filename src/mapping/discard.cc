// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0

// What gives memory back or brings it in. What a madvise(2) does depends on what is mapped: the
// same call zeroes, does nothing, or brings old bytes back. Here each call has one meaning.

#include <fcntl.h>
#include <sys/mman.h>

#include <cerrno>

#include "mapping/guarded.h"
#include "mapping/host_range.h"
#include "mapping/kernel_constants.h"

namespace engram::mapping {

MemoryResult<void> HostRange::discard_part(Extent extent) {
  if (empty()) return fail_memory(MemoryErrc::empty);
  if (!allows(prot_, Prot::write)) {
    return fail_memory(MemoryErrc::access_refused, extent.offset);
  }
  ENGRAM_TRY(const Extent pages, whole_pages(extent));
  if (pages.size == 0) return {};
  if (share_ == Share::private_) return backing_ ? overlay_zeros(pages) : drop_pages(pages);
  if (!backing_) return remove_shared_pages(pages);
  // Exactly the bytes that were asked for: the file may go on behind the mapping. A hole can be
  // punched below locked pages, too.
  const FileOffset first = backing_->offset + extent.offset;
  const auto punched = backing_->file.punch_hole({first, extent.size});
  if (punched) return {};
  if (punched.error().os_errno == EPERM) return fail_memory(MemoryErrc::sealed, extent.offset);
  return tl::unexpected(punched.error());
}

/// Private pages go; the next touch finds zeros, or the file's bytes.
MemoryResult<void> HostRange::drop_pages(Extent pages) const {
  std::byte* const first = address_ + pages.offset;
  if (::madvise(first, pages.size, MADV_DONTNEED) == 0) return {};
  // EINVAL: a part of it is locked.
  if (errno == EINVAL && ::madvise(first, pages.size, kernel::kAdviseDontNeedLocked) == 0) {
    return {};
  }
  return fail_os(errno, pages.offset);
}

/// Shared anonymous memory has no descriptor to punch a hole with, and the kernel refuses to remove
/// locked pages: they are unlocked for the moment in which they go.
MemoryResult<void> HostRange::remove_shared_pages(Extent pages) const {
  for (const Extent& part : locked_.within(pages)) {
    if (::munlock(address_ + part.offset, part.size) != 0) return fail_os(errno, part.offset);
  }
  const int result = ::madvise(address_ + pages.offset, pages.size, MADV_REMOVE);
  const int error = errno;
  ENGRAM_CHECK(restore_locks(pages));
  if (result != 0) return fail_os(error, pages.offset);
  return {};
}

/// Dropping private pages of a file would bring the file's bytes back, so zeros are laid over them:
/// made aside, so that nothing has changed if that fails, then moved there in one step.
MemoryResult<void> HostRange::overlay_zeros(Extent pages) const {
  if (page_ != PageSize::base().bytes()) return fail_memory(MemoryErrc::unsupported);
  MapRequest request;
  request.size = pages.size;
  request.no_reserve = no_reserve_;
  request.jit = jit_;
  request.advice = advice_;
  ENGRAM_TRY(HostRange zeros, map(request, prot_, /*reserved=*/false));
  if (const auto moved = zeros.move_onto(address_ + pages.offset); !moved) {
    static_cast<void>(protect_extent(pages, prot_));
    return moved;
  }
  static_cast<void>(zeros.release_range());
  return restore_locks(pages);
}

/// What was locked stays so; each page is pinned when it is touched again.
MemoryResult<void> HostRange::restore_locks(Extent pages) const {
  for (const Extent& part : locked_.within(pages)) {
    if (::mlock2(address_ + part.offset, part.size, kernel::kLockOnFault) != 0) {
      return fail_os(errno, part.offset);
    }
  }
  return {};
}

MemoryResult<void> HostRange::drop_page_cache(Extent extent) {
  ENGRAM_TRY(const Extent pages, whole_pages(extent));
  if (!backing_) return fail_memory(MemoryErrc::unsupported);
  if (pages.size == 0) return {};
  if (::madvise(address_ + pages.offset, pages.size, MADV_DONTNEED) != 0) {
    return fail_os(errno, pages.offset);
  }
  const auto first = static_cast<off_t>(backing_->offset.value + pages.offset);
  const int error = ::posix_fadvise(backing_->file.fd(), first, static_cast<off_t>(pages.size),
                                    POSIX_FADV_DONTNEED);
  if (error != 0) return fail_os(error, pages.offset);
  return {};
}

MemoryResult<void> HostRange::populate_part(Extent extent, Prot access) const {
  ENGRAM_CHECK(check(extent));
  if (!allows(prot_, access)) return fail_memory(MemoryErrc::access_refused, extent.offset);
  if (extent.size == 0) return {};
  const Extent pages = extent.rounded_out(page_);
  const int advice =
      allows(access, Prot::write) ? kernel::kAdvisePopulateWrite : kernel::kAdvisePopulateRead;
  if (::madvise(address_ + pages.offset, pages.size, advice) == 0) return {};
  // madvise(2): EFAULT where a touch would have been SIGBUS, EHWPOISON for a page of bad memory,
  // EINVAL before Linux 5.14.
  if (errno == EFAULT || errno == EHWPOISON) {
    return fail_memory(MemoryErrc::source_truncated, extent.offset);
  }
  if (errno == EINVAL) return fail_memory(MemoryErrc::unsupported);
  return fail_os(errno, pages.offset);
}

Transfer HostRange::probe_part(Extent extent) const {
  if (const auto inside = check(extent); !inside) {
    return {0, inside.error().code, 0, inside.error().address};
  }
  if (extent.size == 0) return {};
  if (!allows(prot_, Prot::read)) return {0, MemoryErrc::access_refused, 0, extent.offset};
  if (populate_part(extent, Prot::read)) return {static_cast<std::size_t>(extent.size)};
  // Page by page with guarded loads: they tell which one, on every kernel.
  const Extent pages = extent.rounded_out(page_);
  for (std::uint64_t at = pages.offset; at < pages.end(); at += page_) {
    if (guarded_load<std::uint8_t>(address_ + at)) continue;
    const std::uint64_t first_bad = std::max(at, extent.offset);
    return {static_cast<std::size_t>(first_bad - extent.offset), MemoryErrc::source_truncated, 0,
            first_bad};
  }
  return {static_cast<std::size_t>(extent.size)};
}

}  // namespace engram::mapping
