// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// The check that a BTF blob passes before anything decodes it: libbpf believes names, type numbers
// and lengths as they stand, and bytes from a memory image may say anything.

#include <cstdint>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "mapping/bulk.h"
#include "types/type_db.h"

namespace engram::types::btf {

/// The sections of a blob; all lie inside it.
struct Sections {
  std::uint64_t total = 0;        ///< bytes of the blob by its own header; more may follow
  std::uint64_t types_start = 0;  ///< offset in the blob
  Bytes types;
  std::uint64_t strings_start = 0;  ///< offset in the blob
  Bytes strings;
  Bytes layout;  ///< of KindLayout, empty if there is none
};

/// The length of a blob by its header, which begins `bytes`; the rest of the blob need not be
/// there. Errors: fewer bytes than a header, no BTF header, sections out of order or overlapping,
/// more than kBlobLimit.
[[nodiscard]] Result<std::uint64_t> declared_length(Bytes bytes);

/// Errors: as declared_length(), and a header or section that ends outside `blob`.
[[nodiscard]] Result<Sections> find_sections(Bytes blob);

/// What a module's BTF continues.
struct Base {
  const TypeDb* types = nullptr;    ///< null for a kernel's own BTF
  std::uint32_t type_count = 1;     ///< void included; the number of the first type of the blob
  std::uint32_t string_length = 0;  ///< bytes; the offset of the blob's first string
};

struct Checked {
  /// Where each type of the blob begins in the type section, and last the section's end.
  mapping::BulkVector<std::uint32_t> offsets;
  /// Which of them are structs and unions with a name: the ones that are looked for, a tenth of
  /// all.
  std::vector<std::uint32_t> composites;
  /// The encoder told signed enums from unsigned ones (pahole 1.24, kernel 6.0): some enum is
  /// marked as signed, or some has 64-bit values. Before that, all values were 32-bit signed.
  bool marks_signed_enums = false;

  [[nodiscard]] std::uint32_t type_count() const {
    return static_cast<std::uint32_t>(offsets.size()) - 1;
  }
};

/// Checks every string, record, name and type number.
/// Errors: the first thing wrong, with the type's number and the offset in the blob.
[[nodiscard]] Result<Checked> check(const Sections& sections, const Base& base);

/// Of a blob that has passed check() before: where the records are, each whole, and that the
/// strings end.
/// Errors: as check().
[[nodiscard]] Result<Checked> check_borders(const Sections& sections);

/// Checks that chains of pointers, arrays, typedefs and modifiers end, that no type contains
/// itself, and that members lie in their structures: what is left to check once each record is
/// known to be right. Errors: the first thing wrong, with the type's number and the offset in the
/// blob.
[[nodiscard]] Result<void> check_nesting(const Sections& sections, const Base& base,
                                         const Checked& checked);

}  // namespace engram::types::btf
