// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// Types: debug information of a kernel in, layouts of its structures by name out.
//
// In:     a BTF blob (Linux; other sources of types get a maker of their own).
// Out:    TypeDb: structures, members by path, sizes, enumerators.
// Owner:  TypeDb owns the blob, or a copy of it, and all that is decoded from it.
// Errors: Error from makers (names the offset and what was expected); look-ups return nothing for
// "no such".
//
// A TypeDb does not change after it is made, and may be shared between threads.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/digest.h"
#include "base/result.h"
#include "mapping/bulk.h"

namespace engram::types {

using TypeId = std::uint32_t;

enum class Kind : std::uint8_t {
  void_type,
  integer,
  pointer,
  array,
  structure,
  union_type,
  enumeration,
  forward,
  typedef_type,
  modifier,  ///< const, volatile, restrict, type tag
  function,
  function_prototype,
  variable,
  data_section,
  floating,
  decl_tag,
  unknown,  ///< newer than this program: a name and nothing else
};

/// Where a member lies in the structure that it was looked up in.
struct Member {
  std::uint64_t bit_offset = 0;
  std::uint32_t bit_size = 0;  ///< of a bit-field; 0 for an ordinary member
  TypeId type = 0;

  [[nodiscard]] std::uint64_t byte_offset() const { return bit_offset / 8; }
};

struct NamedMember {
  std::string_view name;  ///< empty for an anonymous struct or union
  Member member;
};

struct Enumerator {
  std::string_view name;
  std::int64_t value = 0;  ///< bits of an unsigned 64-bit value are kept
};

class TypeDb {
 public:
  /// Decodes a BTF blob. `base` is the kernel's own BTF if this is a module's (split BTF); it must
  /// outlive this. Every offset, length, name and type number is checked, and no chain of modifiers
  /// or nesting is endless. Bytes behind the length that the blob's header declares are ignored.
  /// Errors: the first thing wrong, with its type number, its offset in the blob and what was
  /// expected; a base that is a module's BTF itself.
  static Result<TypeDb> from_btf(mapping::BulkVector<std::byte> blob, const TypeDb* base = nullptr);
  /// The same of a copy.
  static Result<TypeDb> from_btf(Bytes blob, const TypeDb* base = nullptr);

  /// What a blob that passed every check is known by.
  struct Record {
    std::uint64_t seed = 0;
    Digest content;
  };
  /// Of the kernel's own BTF that this was made of.
  [[nodiscard]] Record record() const;
  /// A kernel's own BTF. If it is what `known` was made of, without the checks that it passed then.
  /// Where records and strings begin and end is checked all the same, and look-ups are bounded
  /// whatever is in them: with a record that was not made by record() they give wrong answers and
  /// do nothing worse.
  /// Errors: those of from_btf().
  static Result<TypeDb> from_known_btf(mapping::BulkVector<std::byte> blob, const Record& known);
  /// Whether this was what `known` was made of.
  [[nodiscard]] bool is_known() const;

  TypeDb(const TypeDb&) = delete;
  TypeDb& operator=(const TypeDb&) = delete;
  TypeDb(TypeDb&&) noexcept;
  TypeDb& operator=(TypeDb&&) noexcept;
  ~TypeDb();

  /// The number of types, type 0 (void) and those of the base included.
  [[nodiscard]] std::uint32_t type_count() const;

  /// A struct or union by name; forward declarations are not found. Kernels have a few names twice,
  /// for structures private to one source file each: the one with the most bytes is taken, of equal
  /// ones the first. A module's own go before those of its base, unless they are empty.
  [[nodiscard]] std::optional<TypeId> find_struct(std::string_view name) const;
  /// A type of this kind by its name; of several, chosen as by find_struct().
  [[nodiscard]] std::optional<TypeId> find(std::string_view name, Kind kind) const;

  // A number that is no type's is void to all that follow.

  [[nodiscard]] Kind kind(TypeId type) const;
  [[nodiscard]] std::string_view name(TypeId type) const;
  /// Without typedefs and modifiers.
  [[nodiscard]] TypeId resolve(TypeId type) const;
  /// Bytes; nothing for types without a size (void, functions, forward declarations).
  [[nodiscard]] std::optional<std::uint64_t> size_of(TypeId type) const;
  /// What a pointer points at, an array's element, or a variable's type.
  [[nodiscard]] std::optional<TypeId> target(TypeId type) const;
  [[nodiscard]] std::optional<std::uint64_t> element_count(TypeId array) const;

  /// In the order of their declaration; those of anonymous structs and unions are not unfolded.
  /// Empty for other types.
  [[nodiscard]] std::vector<NamedMember> members(TypeId structure) const;
  [[nodiscard]] std::vector<Enumerator> enumerators(TypeId enumeration) const;

  /// A member by path: "mm", "thread_pid.numbers[0].nr", "mmap_base". Members of anonymous structs
  /// and unions are found as C finds them. An index must lie in the array (any index for a flexible
  /// one). A path does not follow pointers.
  [[nodiscard]] std::optional<Member> find_member(TypeId structure, std::string_view path) const;
  [[nodiscard]] std::optional<Member> find_member(std::string_view structure,
                                                  std::string_view path) const;

 private:
  struct State;
  explicit TypeDb(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace engram::types
