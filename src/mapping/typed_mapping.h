// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// A mapping whose type says what may be done with it: what the access or the state does not allow
// does not compile.

#include <type_traits>
#include <utility>

#include "mapping/cache.h"
#include "mapping/host_range.h"

namespace engram::mapping {

template <class A>
using SliceOf = std::conditional_t<Writable<A>, VolatileSlice<>, ConstVolatileSlice>;

/// An owned range of host memory with access A. Move-only; made by Options.
///
/// A handle, as a pointer is: const protects the handle, the access protects the bytes. What takes
/// bytes away (discard, decommit, a new protection, a split) needs a handle that is not const.
/// Views that are still held see zeros after a discard; they must not be used after what takes the
/// addresses or the right to touch them.
///
/// Operations that turn the mapping into another type consume it, and hand it back if they fail:
///   auto sealed = std::move(code).make_exec();
///   if (!sealed) code = std::move(sealed.error().self);
template <AnyAccess A, AnyState S, bool jit>
class Mapping : public HostRange {
  static constexpr bool kCommitted = std::is_same_v<S, Committed>;
  static constexpr bool kReserved = !kCommitted;
  template <class To, class State = S>
  using Changed = tl::expected<Mapping<To, State, jit>, Rejected<Mapping>>;

 public:
  using Slice = SliceOf<A>;

  /// What Options::map() and reserve() call.
  static MemoryResult<Mapping> make(const MapRequest& request) {
    ENGRAM_TRY(HostRange range, HostRange::map(request, A::kProt, kReserved));
    return Mapping(std::move(range));
  }

  // Bytes. The views end with the mapping; a mapping that was moved from has an empty one.
  [[nodiscard]] Slice slice() const requires(Readable<A>&& kCommitted) {
    return Slice(data(), static_cast<std::size_t>(size()));
  }
  /// Errors: not_present if a part of a reserved mapping is not committed.
  [[nodiscard]] MemoryResult<Slice> slice(Extent extent) const requires Readable<A> {
    ENGRAM_CHECK(check(extent));
    if (!is_committed(extent)) return fail_memory(MemoryErrc::not_present, extent.offset);
    return Slice(data() + extent.offset, static_cast<std::size_t>(extent.size));
  }
  /// The bytes as ordinary memory: private anonymous memory is nobody else's. Errors: unsupported
  /// if it is shared or a file's; empty.
  [[nodiscard]] MemoryResult<MutableBytes> exclusive_bytes() requires(Writable<A>&& kCommitted) {
    if (empty()) return fail_memory(MemoryErrc::empty);
    if (share() != Share::private_ || backing() != nullptr) {
      return fail_memory(MemoryErrc::unsupported);
    }
    return unsafe_exclusive_bytes();
  }
  /// The same for a caller who answers for nobody else writing them and nobody truncating the file.
  [[nodiscard]] MutableBytes unsafe_exclusive_bytes() requires(Writable<A>&& kCommitted) {
    return {data(), static_cast<std::size_t>(size())};
  }
  [[nodiscard]] Bytes unsafe_exclusive_bytes() const
      requires(Readable<A> && !Writable<A> && kCommitted) {
    return {data(), static_cast<std::size_t>(size())};
  }

  // Protection. Errors, with the mapping back: os (EACCES: a file opened for reading, shared and to
  // be written); sealed; empty.
  template <AnyAccess To>
  requires AllowedAccess<To, jit>
  [[nodiscard]] auto protect() && -> Changed<To> {
    if (const auto done = set_prot(To::kProt); !done) return give_back(done.error());
    return Mapping<To, S, jit>(std::move(*this));
  }
  [[nodiscard]] auto make_none() && { return std::move(*this).template protect<NoAccess>(); }
  [[nodiscard]] auto make_read_only() && { return std::move(*this).template protect<ReadOnly>(); }
  [[nodiscard]] auto make_mut() && { return std::move(*this).template protect<ReadWrite>(); }
  /// What was written becomes instructions: the instruction cache is flushed.
  [[nodiscard]] auto make_exec() && requires kCommitted {
    auto changed = std::move(*this).template protect<ReadExec>();
    if (changed) changed->flush_instructions();
    return changed;
  }
  [[nodiscard]] auto make_exec_no_flush() && {
    return std::move(*this).template protect<ReadExec>();
  }
  [[nodiscard]] auto make_exec_mut() && requires jit {
    return std::move(*this).template protect<ReadWriteExec>();
  }

  // Reserved address space. Errors: os (ENOMEM); empty.
  [[nodiscard]] auto commit() && -> Changed<A, Committed>
  requires kReserved {
    if (const auto done = commit_whole(); !done) return give_back(done.error());
    return Mapping<A, Committed, jit>(std::move(*this));
  }
  /// Makes pages usable where they lie; those that are already stay as they are. Errors:
  /// not_page_aligned; os.
  [[nodiscard]] MemoryResult<void> commit(Extent extent) requires kReserved {
    return commit_part(extent);
  }
  /// Makes them inaccessible again and gives their memory back. Anonymous memory that is committed
  /// anew is zeros, a file's bytes are the file's. Errors: as commit().
  [[nodiscard]] MemoryResult<void> decommit(Extent extent) requires kReserved {
    return decommit_part(extent);
  }
  [[nodiscard]] bool committed(Extent extent) const requires kReserved {
    return check(extent).has_value() && is_committed(extent);
  }

  // Cutting and joining. Errors of the first two: invalid_offset{at} for 0, the size, more, and
  // what is not a multiple of page_size(); the mapping is as it was.
  /// Keeps [0, at) and returns the rest.
  [[nodiscard]] MemoryResult<Mapping> split_off(std::uint64_t at) {
    ENGRAM_TRY(HostRange rest, split_range(at));
    return Mapping(std::move(rest));
  }
  /// Returns [0, at) and keeps the rest.
  [[nodiscard]] MemoryResult<Mapping> split_to(std::uint64_t at) {
    ENGRAM_TRY(HostRange rest, split_range(at));
    Mapping front(std::move(static_cast<HostRange&>(*this)));
    static_cast<HostRange&>(*this) = std::move(rest);
    return front;
  }
  /// Appends a mapping that begins where this one ends. Errors, with the other mapping back:
  /// must_be_adjacent; attribute_mismatch; backing_mismatch (another file, or not its next bytes);
  /// empty.
  [[nodiscard]] tl::expected<void, Rejected<Mapping>> merge(Mapping&& follower) {
    if (const auto fits = check_follower(follower); !fits) return follower.give_back(fits.error());
    absorb(std::move(follower));
    return {};
  }

  /// Later reads give zeros, and the memory is returned; a file that is mapped shared gets a hole.
  /// Errors: not_page_aligned (a last page that the mapping ends in counts as whole); sealed;
  /// unsupported (a private mapping of a hugetlbfs file); os.
  [[nodiscard]] MemoryResult<void> discard(Extent extent) requires(Writable<A>&& kCommitted) {
    return discard_part(extent);
  }
  /// Brings the pages in, for reading or for writing. Errors: source_truncated if the file has no
  /// such bytes; unsupported before Linux 5.14; access_refused; os.
  [[nodiscard]] MemoryResult<void> populate(Extent extent, Prot access = Prot::read) const
      requires(Readable<A>&& kCommitted) {
    return populate_part(extent, access);
  }
  /// How many bytes can be read at this moment, from the first one on.
  [[nodiscard]] Transfer probe(Extent extent) const requires(Readable<A>&& kCommitted) {
    return probe_part(extent);
  }
  /// Errors: unsupported by this processor; source_truncated.
  [[nodiscard]] MemoryResult<void> flush_dcache(Extent extent) const
      requires(Readable<A>&& kCommitted) {
    return flush_caches(extent);
  }
  void flush_instructions() const requires(Readable<A>&& kCommitted) {
    flush_instruction_cache(data(), static_cast<std::size_t>(size()));
  }

  /// Hands the pages out: they stay until somebody unmaps all of what is returned.
  [[nodiscard]] NativeRange release() && { return release_range(); }

 private:
  template <AnyAccess, AnyState, bool>
  friend class Mapping;
  friend class AnyMapping;

  explicit Mapping(HostRange&& range) noexcept : HostRange(std::move(range)) {}

  [[nodiscard]] tl::unexpected<Rejected<Mapping>> give_back(const MemoryError& error) {
    return tl::unexpected<Rejected<Mapping>>(Rejected<Mapping>{std::move(*this), error});
  }
};

}  // namespace engram::mapping
