// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// Regions of guest memory that are mapped into this process: anonymous memory, files, memory that
// somebody else has mapped.

#include <algorithm>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>

#include "guest/bulk_copy.h"
#include "guest/region.h"
#include "guest/tracker.h"
#include "mapping/mapping.h"

namespace engram::guest {

/// What a mapped region is to be. Guest memory is other people's data: it stays out of core dumps,
/// and the kernel does not merge it with the pages of others, unless asked to.
struct RegionOptions {
  RegionKind kind = RegionKind::ram;
  std::string label = {};
  /// Instead of trusted where nobody can take the bytes away, guarded elsewhere.
  std::optional<FaultPolicy> faults = {};
  std::optional<mapping::PageSize> page = {};  ///< from a hugetlb pool
  std::optional<bool> huge_pages = {};         ///< transparent ones: ask for or refuse them
  std::optional<mapping::LockMode> lock = {};
  std::optional<bool> hugetlb = {};  ///< what attributes() is to say about a file
  bool reserve = false;              ///< count it against the overcommit limit
  bool guard_pages = false;          ///< an inaccessible page on both sides
  bool populate = false;
  bool core_dump = false;
  bool dont_fork = false;
  bool mergeable = false;
};

namespace detail {
/// The request for a mapping with these options.
[[nodiscard]] mapping::MapRequest map_request(std::uint64_t size, const RegionOptions& options);
/// Bytes of [offset, offset + size) of the file that it has now. Errors: os.
[[nodiscard]] MemoryResult<std::uint64_t> available_bytes(const FileRef& file, std::uint64_t size);
[[nodiscard]] Attributes attributes_of(const mapping::HostRange& range,
                                       const RegionOptions& options);
}  // namespace detail

/// A ReadableRegion over host memory; writable if A is. D is told what is written.
///
/// A file that is shorter than the region: what it did not have when the region was made is not
/// there (source_truncated), although its last page could be touched to its end.
template <mapping::AnyAccess A, DirtyTracker D>
class BasicMappedRegion {
  static constexpr bool kWritable = mapping::Writable<A>;

 public:
  using Tracker = D;
  using Mapping = mapping::Mapping<A, mapping::Committed, false>;

  /// Private memory of zeros. Errors: those of Options::map().
  static MemoryResult<BasicMappedRegion> anonymous(Range range, const RegionOptions& options = {}) {
    return anonymous(range, options, make_tracker<D>(range.size()));
  }
  static MemoryResult<BasicMappedRegion> anonymous(Range range, const RegionOptions& options,
                                                   OwnedTracker<D> dirty) {
    return map(range, detail::map_request(range.size(), options), range.size(), options,
               std::move(dirty));
  }
  /// The bytes of a file from a page boundary on, shared with everybody else who maps it. Errors:
  /// those of Options::map() (os EACCES: to write a file that is open for reading).
  static MemoryResult<BasicMappedRegion> from_file(Range range, FileRef file,
                                                   const RegionOptions& options = {}) {
    return from_file(range, std::move(file), options, make_tracker<D>(range.size()));
  }
  static MemoryResult<BasicMappedRegion> from_file(Range range, FileRef file,
                                                   const RegionOptions& options,
                                                   OwnedTracker<D> dirty) {
    ENGRAM_TRY(const std::uint64_t available, detail::available_bytes(file, range.size()));
    mapping::MapRequest request = detail::map_request(range.size(), options);
    request.backing = std::move(file);
    request.share = mapping::Share::shared;
    return map(range, std::move(request), available, options, std::move(dirty));
  }
  /// A mapping that others may have, too. Errors: empty; range_overflow; os.
  static MemoryResult<BasicMappedRegion> from_mapping(PhysAddr start,
                                                      std::shared_ptr<Mapping> mapping,
                                                      const RegionOptions& options = {}) {
    if (mapping->empty()) return fail_memory(MemoryErrc::empty, start.value);
    ENGRAM_TRY(const Range range, Range::make(start, mapping->size()));
    std::uint64_t available = range.size();
    if (const FileRef* const file = mapping->backing()) {
      ENGRAM_TRY(available, detail::available_bytes(*file, range.size()));
    }
    return make(range, std::move(mapping), available, options, make_tracker<D>(range.size()));
  }
  /// Host memory that somebody else has mapped and will unmap: the caller answers for it lasting as
  /// long as this region and all views and copies of it. Errors: invalid_size; range_overflow.
  static MemoryResult<BasicMappedRegion> adopt_unowned(PhysAddr start,
                                                       const mapping::UnownedRange& host,
                                                       const RegionOptions& options = {}) {
    ENGRAM_TRY(const Range range, Range::make(start, host.size()));
    auto state = std::make_shared<State>(make_tracker<D>(range.size()));
    state->attributes.kind = options.kind;
    state->attributes.faults = options.faults.value_or(FaultPolicy::guarded);
    state->attributes.hugetlb = options.hugetlb;
    state->attributes.label = options.label;
    return BasicMappedRegion(range, static_cast<std::byte*>(host.native_range().address),
                             range.size(), std::move(state));
  }

  /// The same bytes at another place. Errors: range_overflow.
  [[nodiscard]] MemoryResult<BasicMappedRegion> at(PhysAddr start) const {
    ENGRAM_TRY(const Range moved, Range::make(start, range_.size()));
    BasicMappedRegion region = *this;
    region.range_ = moved;
    return region;
  }

  [[nodiscard]] Range range() const { return range_; }
  /// Bytes from the first on that there are.
  [[nodiscard]] std::uint64_t available() const { return available_; }
  [[nodiscard]] const Attributes& attributes() const { return state_->attributes; }
  /// Null for memory of somebody else.
  [[nodiscard]] const std::shared_ptr<Mapping>& mapping() const { return state_->mapping; }
  [[nodiscard]] mapping::NativeRange native_range() const {
    return {host_, static_cast<std::size_t>(range_.size())};
  }

  [[nodiscard]] Transfer read(RegionOffset at, MutableBytes to) const {
    if (at.value <= available_ && to.size() <= available_ - at.value) [[likely]] {
      return stopped(at, copy_in(at, to), to.size(), MemoryErrc::source_truncated);
    }
    const std::size_t there = bytes_there(at, to.size());
    return stopped(at, copy_in(at, to.first(there)), there, stop_behind(at + there), to.size());
  }
  [[nodiscard]] MemoryResult<ConstVolatileSlice> view(RegionOffset at, std::uint64_t size) const {
    ENGRAM_CHECK(check(at, size));
    return ConstVolatileSlice(host_ + at.value, static_cast<std::size_t>(size));
  }

  Transfer write(RegionOffset at, Bytes from) const requires kWritable {
    const std::size_t there = bytes_there(at, from.size());
    const std::size_t count = copy_out(at, from.first(there));
    if (count != 0) dirty().mark_dirty(at.value, count);
    return stopped(at, count, there, stop_behind(at + there), from.size());
  }
  [[nodiscard]] MemoryResult<VolatileSlice<D>> mutable_view(
      RegionOffset at, std::uint64_t size) const requires kWritable {
    ENGRAM_CHECK(check(at, size));
    return VolatileSlice<D>(host_ + at.value, static_cast<std::size_t>(size),
                            dirty().slice_at(at.value));
  }
  [[nodiscard]] const D& dirty() const requires kWritable { return state_->dirty.tracker; }

  /// Later reads give zeros, and the memory goes back to the host; for balloons. Errors:
  /// invalid_backend_address; those of Mapping::discard(); unsupported for memory of somebody else.
  [[nodiscard]] MemoryResult<void> discard(RegionOffset at,
                                           std::uint64_t size) const requires kWritable {
    ENGRAM_CHECK(check_in_region(at, size, range_.size()));
    if (!state_->mapping) return fail_memory(MemoryErrc::unsupported, at.value, size);
    const std::lock_guard lock(state_->discarding);
    ENGRAM_CHECK(state_->mapping->discard({at.value, size}));
    if (size != 0) dirty().mark_dirty(at.value, size);
    return {};
  }

 private:
  struct State {
    explicit State(OwnedTracker<D> tracker) : dirty(std::move(tracker)) {}

    Attributes attributes;
    std::shared_ptr<Mapping> mapping;
    OwnedTracker<D> dirty;
    std::mutex discarding;
  };

  BasicMappedRegion(Range range, std::byte* host, std::uint64_t available,
                    std::shared_ptr<State> state)
      : range_(range),
        host_(host),
        available_(available),
        faults_(state->attributes.faults),
        state_(std::move(state)) {}

  static MemoryResult<BasicMappedRegion> map(Range range, mapping::MapRequest request,
                                             std::uint64_t available, const RegionOptions& options,
                                             OwnedTracker<D> dirty) {
    ENGRAM_TRY(Mapping mapping, Mapping::make(std::move(request)));
    return make(range, std::make_shared<Mapping>(std::move(mapping)), available, options,
                std::move(dirty));
  }
  static BasicMappedRegion make(Range range, std::shared_ptr<Mapping> mapping,
                                std::uint64_t available, const RegionOptions& options,
                                OwnedTracker<D> dirty) {
    auto state = std::make_shared<State>(std::move(dirty));
    auto* const host = static_cast<std::byte*>(mapping->native_range().address);
    state->attributes = detail::attributes_of(*mapping, options);
    state->mapping = std::move(mapping);
    return BasicMappedRegion(range, host, available, std::move(state));
  }

  [[nodiscard]] MemoryResult<void> check(RegionOffset at, std::uint64_t size) const {
    ENGRAM_CHECK(check_in_region(at, size, range_.size()));
    if (size != 0 && (at.value >= available_ || size > available_ - at.value)) {
      return fail_memory(MemoryErrc::source_truncated, std::max(at.value, available_), size);
    }
    return {};
  }
  [[nodiscard]] std::size_t bytes_there(RegionOffset at, std::size_t wanted) const {
    const std::uint64_t there = at.value < available_ ? available_ - at.value : 0;
    return static_cast<std::size_t>(std::min<std::uint64_t>(wanted, there));
  }
  [[nodiscard]] MemoryErrc stop_behind(RegionOffset at) const {
    return at.value < range_.size() ? MemoryErrc::source_truncated : MemoryErrc::out_of_bounds;
  }
  static Transfer stopped(RegionOffset at, std::size_t count, std::size_t there, MemoryErrc behind,
                          std::size_t wanted) {
    if (count == wanted) return {count};
    return {count, count < there ? MemoryErrc::source_truncated : behind, 0, at.value + count};
  }
  static Transfer stopped(RegionOffset at, std::size_t count, std::size_t wanted, MemoryErrc why) {
    if (count == wanted) [[likely]]
      return {count};
    return {count, why, 0, at.value + count};
  }

  [[nodiscard]] std::size_t copy_in(RegionOffset at, MutableBytes to) const {
    if (faults_ == FaultPolicy::syscall) [[unlikely]]
      return read_by_syscall(at, to);
    return detail::copy_in_by_policy(faults_, to, host_ + at.value);
  }
  /// pread of a file sees what a shared mapping shows, and to the byte where it ends.
  [[nodiscard]] std::size_t read_by_syscall(RegionOffset at, MutableBytes to) const {
    const auto& file = state_->attributes.backing;
    const bool shared = file && state_->mapping->share() == mapping::Share::shared;
    if (!shared) return detail::copy_in_by_policy(faults_, to, host_ + at.value);
    return file->file.read_at(file->offset + at.value, to).count;
  }
  [[nodiscard]] std::size_t copy_out(RegionOffset at, Bytes from) const {
    return detail::copy_out_by_policy(faults_, host_ + at.value, from);
  }

  Range range_;
  std::byte* host_;
  std::uint64_t available_;
  FaultPolicy faults_;
  std::shared_ptr<State> state_;
};

/// Memory that is read and written.
template <DirtyTracker D = NoTracker>
using MappedRegion = BasicMappedRegion<mapping::ReadWrite, D>;
/// Memory that can only be read: writing it does not compile.
using ReadOnlyMappedRegion = BasicMappedRegion<mapping::ReadOnly, NoTracker>;

static_assert(WritableRegion<MappedRegion<>> && WritableRegion<MappedRegion<BitmapSlice>>);
static_assert(ReadableRegion<ReadOnlyMappedRegion> && !WritableRegion<ReadOnlyMappedRegion>);

}  // namespace engram::guest
