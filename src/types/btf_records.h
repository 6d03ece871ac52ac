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
#include <utility>
#include <vector>

#include "types/btf_check.h"
#include "types/btf_layout.h"

namespace engram::types::btf {

class Records {
 public:
  /// The sections are those of `blob`. `base` is what these continue, or null; it must outlive
  /// this.
  Records(mapping::BulkVector<std::byte> blob, const Sections& sections, Checked checked,
          const Records* base)
      : blob_(std::move(blob)),
        types_(sections.types),
        strings_(sections.strings),
        offsets_(std::move(checked.offsets)),
        composites_(std::move(checked.composites)),
        base_(base),
        first_own_(base != nullptr ? base->count() : 1),
        first_own_string_(base != nullptr ? base->string_length() : 0) {}

  [[nodiscard]] const Records* base() const { return base_; }
  /// All of the blob, its header and what lies behind it included.
  [[nodiscard]] Bytes blob() const { return blob_; }
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
  /// Calls `visit` with the numbers of all own types that have a name and, if `is_composite`, are
  /// structs or unions.
  template <class Visit>
  void for_each_named(bool is_composite, const Visit& visit) const {
    if (is_composite) {
      for (const std::uint32_t index : composites_) visit(first_own_ + index);
      return;
    }
    for (TypeId type = first_own_; type < count(); ++type) {
      if ((*this)[type].name_off != 0) visit(type);
    }
  }
  /// BTF_KIND_*, or a newer one.
  [[nodiscard]] std::uint32_t kind(TypeId type) const { return kind_of((*this)[type].info); }

  /// The string at an offset that a record gives; the empty one for an offset behind all.
  [[nodiscard]] std::string_view text(std::uint32_t offset) const {
    if (offset < first_own_string_) return base_->text(offset);
    if (offset >= string_length()) return {};
    return reinterpret_cast<const char*>(strings_.data()) + (offset - first_own_string_);
  }
  [[nodiscard]] std::string_view name(TypeId type) const { return text((*this)[type].name_off); }

  /// Without typedefs and modifiers; void behind a chain longer than check_nesting() lets in.
  [[nodiscard]] TypeId resolve(TypeId type) const {
    for (std::uint32_t step = 0; step <= kNestingLimit; ++step) {
      const btf_type& record = (*this)[type];
      if (!is_typedef_or_modifier(kind_of(record.info))) return type;
      type = record.type;
    }
    return 0;
  }

 private:
  mapping::BulkVector<std::byte> blob_;  ///< moved with this, its bytes stay where they are
  Bytes types_;
  Bytes strings_;
  mapping::BulkVector<std::uint32_t> offsets_;
  std::vector<std::uint32_t> composites_;
  const Records* base_;
  TypeId first_own_;  ///< the number of the first type that is not the base's
  std::uint32_t first_own_string_;
};

}  // namespace engram::types::btf
