// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0

// How a mapping is made: the request is checked and becomes a plan, the plan is one mmap(2), or a
// window that is cut to size around the mapping, and the advice comes last.

#include <sys/mman.h>
#include <sys/vfs.h>

#include <bit>
#include <cerrno>
#include <limits>
#include <utility>

#include "mapping/host_range.h"
#include "mapping/kernel_constants.h"

namespace engram::mapping {

/// What mmap(2) is asked for.
struct HostRange::Plan {
  std::uint64_t size = 0;   // whole pages
  std::uint64_t page = 0;   // bytes
  std::uint64_t align = 0;  // of the address; 0 if the kernel's own is enough
  std::uint64_t guard = 0;  // bytes on each side
  int prot = 0, flags = 0, fd = -1;
  std::uint64_t offset = 0;
  Share share = Share::private_;
  Placement placement;
  File::Identity identity;
  Seals seals = Seals::none;
  bool file_is_large_enough = false;
};

namespace {

/// An error that is found before the system call, with the errno that the call would have given.
tl::unexpected<MemoryError> refuse(MemoryErrc code, int os_errno, std::uint64_t address,
                                   std::uint64_t expected = 0) {
  return tl::unexpected<MemoryError>(
      MemoryError{code, MemoryErrc::none, os_errno, address, expected, 0});
}

std::byte* to_pointer(std::uintptr_t address) {
  return reinterpret_cast<std::byte*>(address);  // NOLINT(performance-no-int-to-ptr)
}

/// The page size that a mapping of the file has: that of the file system if it is hugetlbfs.
MemoryResult<std::uint64_t> page_of(const File& file) {
  struct statfs status = {};
  if (::fstatfs(file.fd(), &status) != 0) return fail_os(errno);
  const bool huge = static_cast<std::uint64_t>(status.f_type) == kernel::kHugetlbfsMagic;
  return huge ? static_cast<std::uint64_t>(status.f_bsize) : PageSize::base().bytes();
}

/// The seals allow it, or make it private. Errors: sealed.
MemoryResult<Share> share_under_seals(const MapRequest& request, Prot prot, Seals seals) {
  const bool sealed = any(seals & (Seals::write | Seals::future_write));
  if (!sealed || request.share == Share::private_ || !allows(prot, Prot::write)) {
    return request.share;
  }
  if (request.when_sealed == WhenSealed::map_private) return Share::private_;
  return refuse(MemoryErrc::sealed, EPERM, 0);
}

struct Place {
  std::uintptr_t address = 0;
  int flags = 0;
};

Place place_of(const Placement& placement) {
  if (const auto* hint = std::get_if<Hint>(&placement)) return {hint->address, 0};
  if (const auto* fixed = std::get_if<FixedNoReplace>(&placement)) {
    return {fixed->address, kernel::kMapFixedNoReplace};
  }
  if (const auto* fixed = std::get_if<FixedReplace>(&placement)) return {fixed->address, MAP_FIXED};
  return {};
}

MemoryResult<void> check_placement(const MapRequest& request, std::uint64_t page) {
  if (const auto* aligned = std::get_if<Aligned>(&request.placement)) {
    if (std::has_single_bit(aligned->alignment)) return {};
    return refuse(MemoryErrc::invalid_alignment, EINVAL, 0, aligned->alignment);
  }
  const Place place = place_of(request.placement);
  if (const auto* fixed = std::get_if<FixedReplace>(&request.placement)) {
    if (fixed->owner != FixedReplace::Owner::me) {
      return fail_memory(MemoryErrc::fixed_needs_owner, place.address);
    }
    if (request.guard_pages) return fail_memory(MemoryErrc::unsupported);
  }
  if (place.flags != 0 && place.address % page != 0) {
    return refuse(MemoryErrc::not_page_aligned, EINVAL, place.address, page);
  }
  return {};
}

/// mmap(2) that is where it was told to be, or nowhere.
MemoryResult<std::byte*> map_at(Place place, std::uint64_t size, int prot, int flags, int fd,
                                std::uint64_t offset) {
  void* const got = ::mmap(to_pointer(place.address), size, prot, flags | place.flags, fd,
                           static_cast<off_t>(offset));
  if (got == MAP_FAILED) return fail_os(errno);
  // A kernel before 4.17 takes the unknown flag for a hint.
  if (place.flags != 0 && got != to_pointer(place.address)) {
    detail::unmap_or_count(got, size);
    return fail_os(EEXIST);
  }
  return static_cast<std::byte*>(got);
}

}  // namespace

MemoryResult<void> HostRange::plan_file(const MapRequest& request, Prot prot, Plan& plan) {
  const FileRef& backing = *request.backing;
  constexpr std::uint64_t kLast = std::numeric_limits<std::int64_t>::max();
  const auto end = checked_add(backing.offset.value, request.size);
  if (backing.offset.value > kLast || !end || *end > kLast) {
    return refuse(MemoryErrc::invalid_offset, EINVAL, backing.offset.value, kLast);
  }
  ENGRAM_TRY(plan.page, page_of(backing.file));
  if (request.page && request.page->bytes() != plan.page) {
    return fail_memory(MemoryErrc::unknown_page_size, 0, request.page->bytes());
  }
  if (backing.offset.value % plan.page != 0) {
    return refuse(MemoryErrc::not_page_aligned, EINVAL, backing.offset.value, plan.page);
  }
  ENGRAM_TRY(plan.identity, backing.file.identity());
  ENGRAM_TRY(plan.seals, seals_of(backing.file));
  ENGRAM_TRY(plan.share, share_under_seals(request, prot, plan.seals));
  ENGRAM_TRY(const std::uint64_t file_size, backing.file.size());
  plan.file_is_large_enough = *end <= file_size;
  plan.fd = backing.file.fd();
  plan.offset = backing.offset.value;
  return {};
}

MemoryResult<void> HostRange::plan_pages(const MapRequest& request, Plan& plan) {
  plan.page = PageSize::base().bytes();
  plan.share = request.share;
  plan.flags = MAP_ANONYMOUS;
  if (!request.page || *request.page == PageSize::base()) return {};
  if (!supported_page_sizes().contains(*request.page)) {
    return fail_memory(MemoryErrc::unknown_page_size, 0, request.page->bytes());
  }
  plan.page = request.page->bytes();
  plan.flags |= MAP_HUGETLB | static_cast<int>(request.page->log2() << kernel::kHugePageShift);
  return {};
}

MemoryResult<HostRange::Plan> HostRange::plan(const MapRequest& request, Prot prot, bool reserved) {
  if (!is_access(prot)) return fail_memory(MemoryErrc::unsupported);
  if (needs_jit(prot) && !request.jit) return fail_memory(MemoryErrc::jit_needed);
  if (request.size == 0) return refuse(MemoryErrc::invalid_size, EINVAL, 0);
  Plan plan;
  if (request.backing) {
    ENGRAM_CHECK(plan_file(request, prot, plan));
  } else {
    ENGRAM_CHECK(plan_pages(request, plan));
  }
  ENGRAM_CHECK(check_placement(request, plan.page));
  const std::uint64_t base = PageSize::base().bytes();
  const auto* aligned = std::get_if<Aligned>(&request.placement);
  const std::uint64_t align = std::max(aligned ? aligned->alignment : base, plan.page);
  plan.guard = request.guard_pages ? base : 0;
  if (align > plan.page || (request.guard_pages && plan.page > base)) plan.align = align;
  // The sum of everything that is asked for must be a size_t, so that none of what follows wraps.
  if (align > PTRDIFF_MAX / 4 || request.size > PTRDIFF_MAX / 2) {
    return refuse(MemoryErrc::too_big, ENOMEM, 0, request.size);
  }
  plan.size = align_up(request.size, plan.page);
  plan.prot = reserved ? PROT_NONE : detail::native_prot(prot);
  plan.placement = request.placement;
  plan.flags |= plan.share == Share::shared ? MAP_SHARED : MAP_PRIVATE;
  if (request.no_reserve || reserved) plan.flags |= MAP_NORESERVE;
  if (request.populate && !reserved) plan.flags |= MAP_POPULATE;
  if (request.stack) plan.flags |= MAP_STACK;
  return plan;
}

MemoryResult<void> HostRange::place(const Plan& plan) {
  if (plan.align != 0 || plan.guard != 0) return place_in_window(plan);
  ENGRAM_TRY(address_, map_at(place_of(plan.placement), plan.size, plan.prot, plan.flags, plan.fd,
                              plan.offset));
  return {};
}

MemoryResult<void> HostRange::place_in_window(const Plan& plan) {
  Place place = place_of(plan.placement);
  if (place.address != 0) place.address -= plan.guard;
  const std::uint64_t window_size = plan.size + 2 * plan.guard + plan.align;
  ENGRAM_TRY(std::byte* const window, map_at(place, window_size, PROT_NONE,
                                             MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
  const auto start = reinterpret_cast<std::uintptr_t>(window);
  const std::uintptr_t body =
      align_up(start + plan.guard, plan.align == 0 ? plan.page : plan.align);
  const auto mapped =
      map_at({body, MAP_FIXED}, plan.size, plan.prot, plan.flags, plan.fd, plan.offset);
  if (!mapped) {
    detail::unmap_or_count(window, window_size);
    return tl::unexpected(mapped.error());
  }
  const std::uintptr_t first = body - plan.guard, last = body + plan.size + plan.guard;
  if (first > start) detail::unmap_or_count(window, first - start);
  if (start + window_size > last) {
    detail::unmap_or_count(to_pointer(last), start + window_size - last);
  }
  address_ = *mapped;
  guard_before_ = guard_behind_ = plan.guard;
  return {};
}

MemoryResult<HostRange> HostRange::map(const MapRequest& request, Prot prot, bool reserved) {
  ENGRAM_TRY(Plan planned, plan(request, prot, reserved));
  HostRange range;
  auto placed = range.place(planned);
  // Before Linux 6.7 a file that is sealed against writing could not be mapped shared at all, not
  // even to be read (mm: e8e17ee90eaf). Nobody can change it, so private is the same.
  if (!placed && placed.error().os_errno == EPERM && any(planned.seals & Seals::write)) {
    planned.flags = (planned.flags & ~MAP_SHARED) | MAP_PRIVATE;
    planned.share = Share::private_;
    placed = range.place(planned);
  }
  ENGRAM_CHECK(std::move(placed));
  // From here on the range unmaps itself if something fails.
  range.size_ = request.size;
  range.page_ = planned.page;
  range.backing_ = request.backing;
  range.identity_ = planned.identity;
  range.prot_ = prot;
  range.share_ = planned.share;
  range.seals_ = planned.seals;
  range.reserved_ = reserved;
  range.jit_ = request.jit;
  range.no_reserve_ = (planned.flags & MAP_NORESERVE) != 0;
  range.hugetlbfs_ = request.hugetlbfs;
  range.cannot_be_truncated_ =
      !request.backing || (planned.file_is_large_enough && any(planned.seals & Seals::shrink));
  range.advice_ = request.advice;
  ENGRAM_CHECK(range.apply(request.advice, request.lock));
  return range;
}

MemoryResult<void> HostRange::apply(const std::vector<Advice>& advice,
                                    std::optional<LockMode> lock_mode) {
  for (const Advice each : advice) ENGRAM_CHECK(advise(all(), each));
  if (lock_mode) ENGRAM_CHECK(lock(all(), *lock_mode));
  return {};
}

MemoryResult<void> HostRange::move_onto(std::byte* target) {
  const std::uint64_t size = mapped_size();
  void* const got = ::mremap(address_, size, size, MREMAP_MAYMOVE | MREMAP_FIXED, target);
  if (got != MAP_FAILED) {
    address_ = target;
    return {};
  }
  const int error = errno;
  // mremap(2) unmaps the target before it moves; if it failed in between, the hole must not become
  // somebody else's. Where there is no hole this changes nothing.
  ::mmap(target, size, PROT_NONE,
         MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | kernel::kMapFixedNoReplace, -1, 0);
  return fail_os(error);
}

}  // namespace engram::mapping
