// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// A mapping whose access is decided at run time.

#include <utility>

#include "mapping/typed_mapping.h"

namespace engram::mapping {

/// The operations of Mapping, checked when they are called instead of when they are compiled.
/// Further errors: access_refused where the protection does not allow it; unsupported in the wrong
/// state (reserved or committed); jit_needed. A failing call leaves the mapping as it was.
class AnyMapping : public HostRange {
 public:
  static MemoryResult<AnyMapping> make(const MapRequest& request, Prot prot, bool reserved) {
    ENGRAM_TRY(HostRange range, HostRange::map(request, prot, reserved));
    return AnyMapping(std::move(range));
  }
  template <AnyAccess A, AnyState S, bool jit>
  explicit AnyMapping(Mapping<A, S, jit>&& mapping) noexcept : HostRange(std::move(mapping)) {}

  /// Back to the type that says what it is. Errors, with the mapping: attribute_mismatch.
  template <AnyAccess A, AnyState S = Committed, bool jit = false>
  [[nodiscard]] auto as() && -> tl::expected<Mapping<A, S, jit>, Rejected<AnyMapping>> {
    const bool same_state = is_reserved() == std::is_same_v<S, Reserved>;
    if (empty() || prot() != A::kProt || !same_state || allows_jit() != jit) {
      const auto code = empty() ? MemoryErrc::empty : MemoryErrc::attribute_mismatch;
      return give_back(MemoryError{code});
    }
    return Mapping<A, S, jit>(static_cast<HostRange&&>(*this));
  }

  [[nodiscard]] MemoryResult<ConstVolatileSlice> slice(Extent extent) const {
    ENGRAM_CHECK(check_access(extent, Prot::read));
    return ConstVolatileSlice(data() + extent.offset, static_cast<std::size_t>(extent.size));
  }
  [[nodiscard]] MemoryResult<VolatileSlice<>> mutable_slice(Extent extent) const {
    ENGRAM_CHECK(check_access(extent, Prot::read | Prot::write));
    return VolatileSlice<>(data() + extent.offset, static_cast<std::size_t>(extent.size));
  }

  /// Executable bytes are made visible to instruction fetches.
  [[nodiscard]] MemoryResult<void> protect(Prot prot) {
    ENGRAM_CHECK(set_prot(prot));
    if (allows(prot, Prot::exec) && !is_reserved()) {
      flush_instruction_cache(data(), static_cast<std::size_t>(size()));
    }
    return {};
  }
  [[nodiscard]] MemoryResult<void> commit() {
    ENGRAM_CHECK(check_state(true));
    return commit_whole();
  }
  [[nodiscard]] MemoryResult<void> commit(Extent extent) {
    ENGRAM_CHECK(check_state(true));
    return commit_part(extent);
  }
  [[nodiscard]] MemoryResult<void> decommit(Extent extent) {
    ENGRAM_CHECK(check_state(true));
    return decommit_part(extent);
  }
  [[nodiscard]] MemoryResult<void> discard(Extent extent) {
    ENGRAM_CHECK(check_state(false));
    return discard_part(extent);
  }
  [[nodiscard]] MemoryResult<void> populate(Extent extent, Prot access = Prot::read) const {
    ENGRAM_CHECK(check_state(false));
    return populate_part(extent, access);
  }
  [[nodiscard]] Transfer probe(Extent extent) const {
    if (const auto state = check_state(false); !state) return {0, state.error().code, 0, 0};
    return probe_part(extent);
  }

  [[nodiscard]] MemoryResult<AnyMapping> split_off(std::uint64_t at) {
    ENGRAM_TRY(HostRange rest, split_range(at));
    return AnyMapping(std::move(rest));
  }
  [[nodiscard]] tl::expected<void, Rejected<AnyMapping>> merge(AnyMapping&& follower) {
    if (const auto fits = check_follower(follower); !fits) return follower.give_back(fits.error());
    absorb(std::move(follower));
    return {};
  }
  [[nodiscard]] NativeRange release() && { return release_range(); }

 private:
  explicit AnyMapping(HostRange&& range) noexcept : HostRange(std::move(range)) {}

  [[nodiscard]] MemoryResult<void> check_state(bool reserved) const {
    if (empty()) return fail_memory(MemoryErrc::empty);
    if (is_reserved() != reserved) return fail_memory(MemoryErrc::unsupported);
    return {};
  }
  [[nodiscard]] MemoryResult<void> check_access(Extent extent, Prot wanted) const {
    ENGRAM_CHECK(check(extent));
    if (!allows(prot(), wanted)) return fail_memory(MemoryErrc::access_refused, extent.offset);
    if (!is_committed(extent)) return fail_memory(MemoryErrc::not_present, extent.offset);
    return {};
  }
  [[nodiscard]] tl::unexpected<Rejected<AnyMapping>> give_back(const MemoryError& error) {
    return tl::unexpected<Rejected<AnyMapping>>(Rejected<AnyMapping>{std::move(*this), error});
  }
};

template <bool jit_allowed>
MemoryResult<AnyMapping> BasicOptions<jit_allowed>::map_any(Prot prot) const {
  return AnyMapping::make(request_, prot, /*reserved=*/false);
}
template <bool jit_allowed>
MemoryResult<AnyMapping> BasicOptions<jit_allowed>::reserve_any(Prot prot) const {
  return AnyMapping::make(request_, prot, /*reserved=*/true);
}

}  // namespace engram::mapping
