// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// The records and strings of a checked BTF blob, by type number and name offset.
//
// Only finding a record is done here; what is in one is read with the accessors of libbpf's
// <bpf/btf.h>. Its parser would find records as well, but up to version 1.1 its shared library does
// not export the one for modules (btf__new_split()), and it stops at kinds, element counts and
// headers that kernel 7.1 brought.

#include <bpf/btf.h>

#include <cstdint>
#include <string_view>
#include <vector>

#include "types/btf_check.h"
#include "types/btf_layout.h"

namespace engram::types::btf {

class Records {
 public:
  /// Copies the sections. `base` is what these continue, or null; it must outlive this.
  Records(const Sections& sections, Checked checked, const Records* base)
      : types_(sections.types.begin(), sections.types.end()),
        strings_(sections.strings.begin(), sections.strings.end()),
        offsets_(std::move(checked.offsets)),
        base_(base),
        first_own_(base != nullptr ? base->count() : 1),
        first_own_string_(base != nullptr ? base->string_length() : 0) {}

  [[nodiscard]] const Records* base() const { return base_; }
  /// The number of the first type that is not the base's.
  [[nodiscard]] TypeId first_own() const { return first_own_; }
  /// Of types: void and those of the base included.
  [[nodiscard]] std::uint32_t count() const {
    return first_own_ + static_cast<std::uint32_t>(offsets_.size()) - 1;
  }
  /// In bytes, the base's included.
  [[nodiscard]] std::uint32_t string_length() const {
    return first_own_string_ + static_cast<std::uint32_t>(strings_.size());
  }

  /// Void for a number that is no type's. Types of the blob lie at steps of four bytes in `types_`.
  [[nodiscard]] const btf_type& operator[](TypeId type) const {
    static constexpr btf_type kVoid{};
    if (type < first_own_) return base_ != nullptr ? (*base_)[type] : kVoid;
    if (type >= count()) return kVoid;
    return *reinterpret_cast<const btf_type*>(types_.data() + offsets_[type - first_own_]);
  }
  /// BTF_KIND_*, or a newer one.
  [[nodiscard]] std::uint32_t kind(TypeId type) const { return kind_of((*this)[type].info); }

  /// The string at an offset that a record gives.
  [[nodiscard]] std::string_view text(std::uint32_t offset) const {
    if (offset < first_own_string_) return base_->text(offset);
    return reinterpret_cast<const char*>(strings_.data()) + (offset - first_own_string_);
  }
  [[nodiscard]] std::string_view name(TypeId type) const { return text((*this)[type].name_off); }

  /// Without typedefs and modifiers. Ends: check_nesting() lets no endless chain in.
  [[nodiscard]] TypeId resolve(TypeId type) const {
    for (;;) {
      const btf_type& record = (*this)[type];
      if (!is_typedef_or_modifier(kind_of(record.info))) return type;
      type = record.type;
    }
  }

 private:
  std::vector<std::byte> types_;
  std::vector<std::byte> strings_;
  std::vector<std::uint32_t> offsets_;
  const Records* base_;
  TypeId first_own_;
  std::uint32_t first_own_string_;
};

}  // namespace engram::types::btf
