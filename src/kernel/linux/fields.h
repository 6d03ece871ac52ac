// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// Members of kernel structures, resolved by name once and read many times.

#include <concepts>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>

#include "base/diagnostics.h"
#include "base/units.h"
#include "types/type_db.h"

namespace engram::kernel {

/// A member that holds a value of type T: an integer, or VirtAddr for a pointer.
/// The kernel's width of the member is kept, so that `long state` and `unsigned int state` read
/// alike.
template <class T>
struct Field {
  std::string name;                     ///< "task_struct.pid", for diagnostics
  std::optional<std::uint64_t> offset;  ///< bytes; nothing if this kernel does not have the member
  std::uint64_t size = sizeof(T);       ///< bytes in the kernel: 1, 2, 4 or 8

  explicit operator bool() const { return offset.has_value(); }
};

/// A char array in the structure itself.
struct TextField {
  std::string name;
  std::optional<std::uint64_t> offset;
  std::uint64_t size = 0;  ///< bytes of the array

  explicit operator bool() const { return offset.has_value(); }
};

/// Resolves the members of one structure.
class Layout {
 public:
  /// A structure that does not exist has no members; that is one diagnostics row.
  Layout(const types::TypeDb& types, Diagnostics& diagnostics, std::string_view structure);
  /// A structure that only some kernels have, with their options or modules: it may be missing
  /// without a word.
  [[nodiscard]] static Layout of_optional(const types::TypeDb& types, Diagnostics& diagnostics,
                                          std::string_view structure);

  /// Bytes; nothing if the structure does not exist.
  [[nodiscard]] std::optional<std::uint64_t> size() const { return size_; }

  /// A member that every supported kernel has: if it is missing, that is one diagnostics row.
  template <class T>
  [[nodiscard]] Field<T> field(std::string_view path) const {
    return first_of<T>({path});
  }
  /// The first of several names that this kernel has; none of them is one diagnostics row.
  template <class T>
  [[nodiscard]] Field<T> first_of(std::initializer_list<std::string_view> paths) const {
    for (const auto path : paths) {
      if (auto found = optional_field<T>(path)) return found;
    }
    report_missing(*paths.begin());
    return named<T>(*paths.begin());
  }
  /// A member that only some kernels have.
  template <class T>
  [[nodiscard]] Field<T> optional_field(std::string_view path) const {
    Field<T> field = named<T>(path);
    const auto place = scalar_place(path);
    if (place) {
      field.offset = place->offset;
      field.size = place->size;
    }
    return field;
  }
  /// A char array; one that is absurdly long counts as missing.
  [[nodiscard]] TextField text(std::string_view path) const;
  /// Where a member that is itself a structure begins; nothing (and one diagnostics row) if it is
  /// missing.
  [[nodiscard]] std::optional<std::uint64_t> offset_of(std::string_view path) const;
  /// The same of a member that only some kernels have.
  [[nodiscard]] std::optional<std::uint64_t> optional_offset_of(std::string_view path) const;

 private:
  struct Place {
    std::uint64_t offset = 0, size = 0;
  };

  struct Quietly {};
  Layout(const types::TypeDb& types, Diagnostics& diagnostics, std::string_view structure, Quietly);

  template <class T>
  [[nodiscard]] Field<T> named(std::string_view path) const {
    return {structure_ + "." + std::string(path), std::nullopt, sizeof(T)};
  }
  [[nodiscard]] std::optional<Place> scalar_place(std::string_view path) const;
  void report_missing(std::string_view path) const;

  const types::TypeDb& types_;
  Diagnostics& diagnostics_;
  std::string structure_;
  std::optional<types::TypeId> type_;
  std::optional<std::uint64_t> size_;
};

}  // namespace engram::kernel
