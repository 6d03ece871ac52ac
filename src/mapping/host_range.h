// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// What every owned mapping is underneath: a range of host addresses, a record of what is mapped
// there, and the system calls. Mapping (typed) and AnyMapping (checked at run time) derive from it.
//
// Extents are relative to the mapping. Errors of everything that takes one: empty (the object was
// moved from); range_overflow, out_of_bounds. Others are named where they occur; os is possible
// wherever a system call is made.
//
// Threads: const members may be called at the same time; the others need the object alone.

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "mapping/extent.h"
#include "mapping/memory_error.h"
#include "mapping/options.h"
#include "mapping/volatile_slice.h"

namespace engram::mapping {

enum class Flush : std::uint8_t { sync, async };

/// Host memory for system calls and devices: not to be dereferenced.
struct NativeRange {
  void* address = nullptr;
  std::size_t size = 0;

  constexpr bool operator==(const NativeRange&) const = default;
};

/// The object that an operation was to consume, whole and usable, and why it was not.
template <class Self>
struct Rejected {
  Self self;
  MemoryError error;
};

/// What a virtual machine can be given as memory: everything that says where in the host it lies.
template <class T>
concept HostMapped = requires(const T& mapped) {
  { mapped.native_range() } -> std::same_as<NativeRange>;
};

/// How often munmap(2) failed in this process: a bug, because a range was not what its record says.
[[nodiscard]] std::uint64_t unmap_failures();

class HostRange {
 public:
  HostRange(const HostRange&) = delete;
  HostRange& operator=(const HostRange&) = delete;
  HostRange(HostRange&& other) noexcept;
  HostRange& operator=(HostRange&& other) noexcept;
  ~HostRange();

  /// Bytes, as asked for; 0 after a move.
  [[nodiscard]] std::uint64_t size() const { return size_; }
  [[nodiscard]] bool empty() const { return size_ == 0; }
  /// Bytes that the mapping takes: whole pages.
  [[nodiscard]] std::uint64_t mapped_size() const;
  /// Of the pages that it is made of: larger than the base page for hugetlb.
  [[nodiscard]] std::uint64_t page_size() const { return page_; }
  [[nodiscard]] Prot prot() const { return prot_; }
  [[nodiscard]] Share share() const { return share_; }
  [[nodiscard]] bool is_reserved() const { return reserved_; }
  [[nodiscard]] bool allows_jit() const { return jit_; }
  [[nodiscard]] bool no_reserve() const { return no_reserve_; }
  /// The file and the offset of the first byte in it; null for anonymous memory.
  [[nodiscard]] const FileRef* backing() const { return backing_ ? &*backing_ : nullptr; }
  [[nodiscard]] std::optional<bool> hugetlbfs() const { return hugetlbfs_; }
  /// Whether no truncation can make its bytes fault: anonymous, or a file that was large enough
  /// when it was mapped and is sealed against shrinking.
  [[nodiscard]] bool cannot_be_truncated() const { return cannot_be_truncated_; }
  [[nodiscard]] NativeRange native_range() const {
    return {address_, static_cast<std::size_t>(size_)};
  }
  /// Whether both show some of the same bytes of one file, whichever descriptors they came from.
  [[nodiscard]] bool shares_file_bytes(const HostRange& other) const;

  /// Writes shared changes to the file; to the pages that the extent touches. An empty extent is
  /// done.
  [[nodiscard]] MemoryResult<void> flush(Extent extent, Flush mode = Flush::sync) const;
  [[nodiscard]] MemoryResult<void> flush(Flush mode = Flush::sync) const {
    return flush(all(), mode);
  }
  /// To the pages that the extent touches.
  [[nodiscard]] MemoryResult<void> advise(Extent extent, Advice advice) const;
  /// Begins to read the pages, without waiting and without a promise.
  [[nodiscard]] MemoryResult<void> prefetch(Extent extent) const {
    return advise(extent, Advice::will_need);
  }
  /// Bytes of the pages it touches that are in memory. Of a file that the process may not write,
  /// the kernel says that all are (mincore(2), since Linux 5.2).
  [[nodiscard]] MemoryResult<std::uint64_t> resident(Extent extent) const;

  /// Pins the pages that the extent touches. Errors: os (ENOMEM, EPERM, EAGAIN: RLIMIT_MEMLOCK, or
  /// not all pages could be had).
  [[nodiscard]] MemoryResult<void> lock(Extent extent, LockMode mode = LockMode::now);
  [[nodiscard]] MemoryResult<void> lock(LockMode mode = LockMode::now) { return lock(all(), mode); }
  /// Of pages that are not locked, too.
  [[nodiscard]] MemoryResult<void> unlock(Extent extent);
  [[nodiscard]] MemoryResult<void> unlock() { return unlock(all()); }

  /// Lets go of the pages of a file mapping and of the kernel's own copies of them. What this
  /// mapping wrote privately is lost; shared changes that are not written yet stay. Errors:
  /// unsupported without a file; not_page_aligned; os (EINVAL on locked pages).
  [[nodiscard]] MemoryResult<void> drop_page_cache(Extent extent);

  [[nodiscard]] Extent all() const { return {0, size_}; }

 protected:
  HostRange() = default;

  /// `prot` is what a reserved range will have where it is committed.
  static MemoryResult<HostRange> map(const MapRequest& request, Prot prot, bool reserved);

  // In place: a failure changes nothing.
  MemoryResult<void> set_prot(Prot prot);
  /// Page-aligned extents of a reserved range. Errors: not_page_aligned.
  MemoryResult<void> commit_part(Extent extent);
  MemoryResult<void> decommit_part(Extent extent);
  MemoryResult<void> commit_whole();
  MemoryResult<void> discard_part(Extent extent);
  MemoryResult<void> populate_part(Extent extent, Prot access) const;
  [[nodiscard]] Transfer probe_part(Extent extent) const;
  MemoryResult<void> flush_caches(Extent extent) const;
  /// Keeps [0, at), returns the rest.
  MemoryResult<HostRange> split_range(std::uint64_t at);
  [[nodiscard]] MemoryResult<void> check_follower(const HostRange& other) const;
  void absorb(HostRange&& follower);
  NativeRange release_range();

  /// Page-aligned parts of a range that may be cut: `extent` itself, with a last page that belongs
  /// to the range counted whole. Errors: as all extents; not_page_aligned.
  [[nodiscard]] MemoryResult<Extent> whole_pages(Extent extent) const;
  [[nodiscard]] MemoryResult<void> check(Extent extent) const;
  [[nodiscard]] bool is_committed(Extent extent) const {
    return !reserved_ || committed_.contains(extent);
  }
  [[nodiscard]] std::byte* data() const { return address_; }

 private:
  friend class Arena;
  struct Plan;
  static MemoryResult<Plan> plan(const MapRequest& request, Prot prot, bool reserved);
  static MemoryResult<void> plan_file(const MapRequest& request, Prot prot, Plan& plan);
  static MemoryResult<void> plan_pages(const MapRequest& request, Plan& plan);
  MemoryResult<void> place(const Plan& plan);
  MemoryResult<void> place_in_window(const Plan& plan);
  MemoryResult<void> apply(const std::vector<Advice>& advice, std::optional<LockMode> lock);
  /// Moves the pages onto [target, target + mapped_size()), in place of what is there.
  MemoryResult<void> move_onto(std::byte* target);

  MemoryResult<void> protect_extent(Extent extent, Prot prot) const;
  MemoryResult<void> drop_pages(Extent pages) const;
  MemoryResult<void> remove_shared_pages(Extent pages) const;
  MemoryResult<void> overlay_zeros(Extent pages) const;
  MemoryResult<void> restore_locks(Extent pages) const;
  void unmap() noexcept;

  std::byte* address_ = nullptr;
  std::uint64_t size_ = 0;
  std::uint64_t page_ = 0;
  std::uint64_t guard_before_ = 0, guard_behind_ = 0;  // bytes, mapped inaccessible
  std::optional<FileRef> backing_;
  File::Identity identity_;
  Prot prot_ = Prot::none;
  Share share_ = Share::private_;
  Seals seals_ = Seals::none;
  bool reserved_ = false, jit_ = false, no_reserve_ = false, cannot_be_truncated_ = false;
  std::optional<bool> hugetlbfs_;
  std::vector<Advice> advice_;  // given when it was made
  ExtentSet committed_;         // of a reserved range
  ExtentSet locked_;
};

namespace detail {
/// munmap(2), whose failure is a bug: asserted, and counted where assertions are off.
void unmap_or_count(void* address, std::size_t size) noexcept;
/// The protection as mmap(2) takes it.
int native_prot(Prot prot);
}  // namespace detail

}  // namespace engram::mapping
