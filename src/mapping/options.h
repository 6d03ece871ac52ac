// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// What a mapping is to be: said first, in any order; made then, by one call.
//
//   Options(64 * kMiB).share(Share::shared).no_core_dump().map<ReadWrite>()
//
// To make the mapping, include mapping.h.

#include <cstdint>
#include <optional>
#include <utility>
#include <variant>
#include <vector>

#include "mapping/file.h"
#include "mapping/memory_error.h"
#include "mapping/page_size.h"
#include "mapping/protection.h"
#include "mapping/shared_memory.h"

namespace engram::mapping {

// Where in the address space. Addresses are those of the host.

/// Where the kernel likes.
struct Anywhere {};
/// There if it is free, or anywhere.
struct Hint {
  std::uintptr_t address = 0;
};
/// There, or os EEXIST if something is there already.
struct FixedNoReplace {
  std::uintptr_t address = 0;
};
/// There, in place of whatever is there. `owner` says whose that is: without the claim to own all
/// of it the mapping is refused (fixed_needs_owner), because it would take away somebody else's.
struct FixedReplace {
  enum class Owner : std::uint8_t { unknown, me };
  std::uintptr_t address = 0;
  Owner owner = Owner::unknown;
};
/// Anywhere at a multiple of `alignment`, a power of two.
struct Aligned {
  std::uint64_t alignment = 0;
};
using Placement = std::variant<Anywhere, Hint, FixedNoReplace, FixedReplace, Aligned>;

/// How pages are pinned: all at once, or each when it is first touched.
enum class LockMode : std::uint8_t { now, on_fault };

/// What a file that is sealed against writing does to a writable shared mapping of it.
enum class WhenSealed : std::uint8_t { refuse, map_private };

/// Advice that changes no byte.
enum class Advice : std::uint8_t {
  normal,
  random,
  sequential,
  will_need,
  cold,      ///< reclaim these first
  page_out,  ///< reclaim these now
  huge_pages,
  no_huge_pages,
  collapse,  ///< make huge pages now
  no_core_dump,
  core_dump,
  dont_fork,
  do_fork,
  wipe_on_fork,
  keep_on_fork,
  mergeable,
  unmergeable,
};

/// Everything that decides what a mapping becomes, but its protection.
struct MapRequest {
  std::uint64_t size = 0;
  std::optional<FileRef> backing;
  Share share = Share::private_;
  WhenSealed when_sealed = WhenSealed::refuse;
  Placement placement;
  std::optional<PageSize> page;
  std::optional<bool> hugetlbfs;
  std::optional<LockMode> lock;
  bool populate = false, no_reserve = false, stack = false, guard_pages = false, jit = false;
  std::vector<Advice> advice;
};

template <AnyAccess A, AnyState S = Committed, bool jit = false>
class Mapping;
class AnyMapping;

/// Private, anonymous, anywhere, on base pages, unless said otherwise.
template <bool jit_allowed>
class BasicOptions {
 public:
  explicit BasicOptions(std::uint64_t size) { request_.size = size; }
  explicit BasicOptions(MapRequest request) : request_(std::move(request)) {}

  /// The bytes of a file, from a page boundary on. The file is kept open by the mapping. Bytes past
  /// its end can be mapped, and fault when they are touched.
  BasicOptions& backing(FileRef file) { return set(request_.backing, std::move(file)); }
  BasicOptions& backing(const File& file, FileOffset offset = FileOffset()) {
    return backing(FileRef{file, offset});
  }
  BasicOptions& backing(const SharedMemory& memory, FileOffset offset = FileOffset()) {
    return backing(FileRef{memory.file(), offset});
  }
  BasicOptions& share(Share share) { return set(request_.share, share); }
  BasicOptions& when_sealed(WhenSealed what) { return set(request_.when_sealed, what); }
  BasicOptions& placement(Placement placement) { return set(request_.placement, placement); }
  /// Anonymous pages of a hugetlb pool. A size that the host does not have is an error.
  BasicOptions& page(PageSize size) { return set(request_.page, size); }
  /// Information that the mapping keeps, and that decides nothing: whether the file is on
  /// hugetlbfs.
  BasicOptions& hugetlbfs(bool is) { return set(request_.hugetlbfs, is); }

  /// Touches all pages, as far as that succeeds; Mapping::populate() says whether it did.
  BasicOptions& populate() { return set(request_.populate, true); }
  /// Takes nothing from the overcommit limit.
  BasicOptions& no_reserve() { return set(request_.no_reserve, true); }
  BasicOptions& stack() { return set(request_.stack, true); }
  /// An inaccessible page in front and one behind, which belong to the mapping.
  BasicOptions& guard_pages() { return set(request_.guard_pages, true); }
  BasicOptions& lock(LockMode mode) { return set(request_.lock, mode); }

  /// Given in this order when the mapping has been made; if one is refused, there is no mapping.
  BasicOptions& advice(Advice advice) {
    request_.advice.push_back(advice);
    return *this;
  }
  BasicOptions& thp(bool wanted) {
    return advice(wanted ? Advice::huge_pages : Advice::no_huge_pages);
  }
  BasicOptions& no_core_dump() { return advice(Advice::no_core_dump); }
  BasicOptions& dont_fork() { return advice(Advice::dont_fork); }
  BasicOptions& wipe_on_fork() { return advice(Advice::wipe_on_fork); }
  /// Lets the kernel share equal pages between processes, which tells one what the other has.
  BasicOptions& mergeable() { return advice(Advice::mergeable); }

  /// The same with ReadWriteExec as a possible access, now and later.
  [[nodiscard]] BasicOptions<true> jit(JitToken /*asked for*/) const {
    BasicOptions<true> options(request_);
    options.request_.jit = true;
    return options;
  }

  // Errors of all four:
  //   invalid_size (EINVAL)       no bytes
  //   range_overflow, too_big     more bytes than addresses
  //   invalid_offset (EINVAL)     a file offset, or the end in the file, beyond 2^63 - 1
  //   not_page_aligned (EINVAL)   of the file offset or the fixed address
  //   invalid_alignment           not a power of two
  //   unknown_page_size           not one of this host, or not that of the file
  //   fixed_needs_owner           see FixedReplace
  //   sealed                      see WhenSealed
  //   unsupported                 guard pages around FixedReplace
  //   os                          mmap, mlock or an advice refused; nothing stays mapped
  // An errno in parentheses is set in os_errno: what mmap(2) would have said.
  template <AnyAccess A>
  requires AllowedAccess<A, jit_allowed>
  [[nodiscard]] MemoryResult<Mapping<A, Committed, jit_allowed>> map() const {
    return Mapping<A, Committed, jit_allowed>::make(request_);
  }
  /// Address space for a mapping of this access: nothing can be touched until it is committed.
  template <AnyAccess A>
  requires AllowedAccess<A, jit_allowed>
  [[nodiscard]] MemoryResult<Mapping<A, Reserved, jit_allowed>> reserve() const {
    return Mapping<A, Reserved, jit_allowed>::make(request_);
  }
  /// The access decided at run time. Further errors: jit_needed; unsupported if it is none of the
  /// five accesses.
  [[nodiscard]] MemoryResult<AnyMapping> map_any(Prot prot) const;
  [[nodiscard]] MemoryResult<AnyMapping> reserve_any(Prot prot) const;

  [[nodiscard]] const MapRequest& request() const { return request_; }

 private:
  template <bool>
  friend class BasicOptions;

  template <class T, class U>
  BasicOptions& set(T& field, U&& value) {
    field = std::forward<U>(value);
    return *this;
  }

  MapRequest request_;
};
using Options = BasicOptions<false>;
using JitOptions = BasicOptions<true>;

}  // namespace engram::mapping
