// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "types/btf_check.h"

#include <linux/btf.h>

#include <algorithm>
#include <cstring>

#include "types/btf_layout.h"

namespace engram::types::btf {
namespace {

// Each check is one that the kernel makes, too, before it takes a blob (btf_*_check_meta() in
// kernel/bpf/btf.c), the kernel's own included, so that no blob from a running kernel fails one.
class RecordChecker {
 public:
  RecordChecker(const Sections& sections, const Base& base) : sections_(sections), base_(base) {}

  Result<Checked> run_borders() {
    ENGRAM_CHECK(check_string_borders());
    ENGRAM_CHECK(find_records());
    return std::move(checked_);
  }

  Result<Checked> run() {
    ENGRAM_CHECK(check_string_borders());
    ENGRAM_CHECK(check_strings());
    ENGRAM_CHECK(find_records());
    for (std::uint32_t i = 0; i < checked_.type_count(); ++i) ENGRAM_CHECK(check_record(i));
    return std::move(checked_);
  }

 private:
  Result<void> check_string_borders() const;
  Result<void> check_strings() const;
  Result<void> find_records();
  Result<KindLayout> other_layout(std::uint32_t kind, std::uint64_t at) const;
  Result<void> check_record(std::uint32_t index) const;
  template <class Element>
  Result<void> check_elements(std::uint32_t index, const btf_type& type) const;
  Result<void> check_integer(std::uint32_t index, const btf_type& type) const;
  Result<void> check_size(std::uint32_t index, const btf_type& type, std::uint32_t most) const;
  Result<void> check_array(std::uint32_t index) const;

  [[nodiscard]] TypeId id(std::uint32_t index) const { return base_.type_count + index; }
  /// In the blob.
  [[nodiscard]] std::uint64_t place(std::uint32_t index) const {
    return sections_.types_start + checked_.offsets[index];
  }
  [[nodiscard]] const std::byte* body(std::uint32_t index) const {
    return sections_.types.data() + checked_.offsets[index] + sizeof(btf_type);
  }
  [[nodiscard]] Result<void> check_name(std::uint32_t index, std::uint32_t name) const {
    if (name < name_end()) return {};
    return fail("btf: type {} at {:#x}: name at {:#x} of the strings, expected below {:#x}",
                id(index), place(index), name, name_end());
  }
  [[nodiscard]] Result<void> check_reference(std::uint32_t index, std::uint32_t type) const {
    if (type < type_end()) return {};
    return fail("btf: type {} at {:#x}: refers to type {}, expected below {}", id(index),
                place(index), type, type_end());
  }
  [[nodiscard]] std::uint64_t name_end() const {
    return base_.string_length + sections_.strings.size();
  }
  [[nodiscard]] std::uint64_t type_end() const {
    return std::uint64_t{base_.type_count} + checked_.type_count();
  }

  const Sections& sections_;
  const Base& base_;
  Checked checked_;
};

Result<void> RecordChecker::check_string_borders() const {
  const Bytes strings = sections_.strings;
  const std::uint64_t start = sections_.strings_start;
  // A module without names of its own has no strings, and its first is not the empty one: that is
  // in the base.
  const bool split = base_.types != nullptr;
  if (strings.empty()) {
    if (split) return {};
    return fail("btf: offset {:#x}: no strings, expected at least the empty one", start);
  }
  if (!split && strings.front() != std::byte{0}) {
    return fail("btf: offset {:#x}: the strings begin with byte {:#x}, expected NUL", start,
                static_cast<unsigned>(strings.front()));
  }
  if (strings.back() != std::byte{0}) {
    return fail("btf: offset {:#x}: the strings end with byte {:#x}, expected NUL",
                start + strings.size() - 1, static_cast<unsigned>(strings.back()));
  }
  return {};
}

Result<void> RecordChecker::check_strings() const {
  const Bytes strings = sections_.strings;
  const std::uint64_t start = sections_.strings_start;
  for (const std::byte *at = strings.data(), *end = at + strings.size(); at != end;) {
    const auto* nul =
        static_cast<const std::byte*>(std::memchr(at, 0, static_cast<std::size_t>(end - at)));
    if (nul - at > kNameLimit) {
      return fail("btf: offset {:#x}: string of {} bytes, expected at most {}",
                  start + static_cast<std::uint64_t>(at - strings.data()), nul - at, kNameLimit);
    }
    at = nul + 1;
  }
  return {};
}

Result<KindLayout> RecordChecker::other_layout(std::uint32_t kind, std::uint64_t at) const {
  const auto layout = load<KindLayout>(sections_.layout, std::uint64_t{kind} * sizeof(KindLayout));
  if (kind == BTF_KIND_UNKN || !layout) {
    return fail(
        "btf: type {} at {:#x}: kind {}, expected 1 to {} or one of the {} of the layout section",
        id(static_cast<std::uint32_t>(checked_.offsets.size())), sections_.types_start + at, kind,
        kKnownKinds.size() - 1, sections_.layout.size() / sizeof(KindLayout));
  }
  return *layout;
}

/// Fills `checked_`.
Result<void> RecordChecker::find_records() {
  const Bytes types = sections_.types;
  checked_.offsets.reserve(types.size() / 24 +
                           2);  // of real kernels, a record has 25 bytes and more
  for (std::uint64_t at = 0; at != types.size();) {
    const auto type = load<btf_type>(types, at);
    const auto number = id(static_cast<std::uint32_t>(checked_.offsets.size()));
    if (!type) {
      return fail("btf: type {} at {:#x}: the types end in it, expected {} bytes", number,
                  sections_.types_start + at, sizeof(btf_type));
    }
    if (number > kTypeLimit) {
      return fail("btf: type {} at {:#x}: one too many, expected at most {}", number,
                  sections_.types_start + at, kTypeLimit);
    }
    const std::uint32_t kind = kind_of(type->info);
    KindLayout layout{};
    if (kind != BTF_KIND_UNKN && kind < kKnownKinds.size()) {
      layout = kKnownKinds[kind];
    } else {
      ENGRAM_TRY(layout, other_layout(kind, at));
    }
    const std::uint64_t length = sizeof(btf_type) + layout.fixed_size +
                                 std::uint64_t{layout.element_size} * count_of(type->info);
    if (length % 4 != 0) {
      return fail(
          "btf: type {} at {:#x}: record of {:#x} bytes by the layout section, expected a multiple "
          "of 4",
          number, sections_.types_start + at, length);
    }
    if (!slice(types, at, length)) {
      return fail(
          "btf: type {} at {:#x}: record of {:#x} bytes, expected at most {:#x} to the end of the "
          "types",
          number, sections_.types_start + at, length, types.size() - at);
    }
    if (kind == BTF_KIND_ENUM64 || (kind == BTF_KIND_ENUM && kind_flag_of(type->info))) {
      checked_.marks_signed_enums = true;
    }
    if (is_struct_or_union(kind) && type->name_off != 0) {
      checked_.composites.push_back(static_cast<std::uint32_t>(checked_.offsets.size()));
    }
    checked_.offsets.push_back(static_cast<std::uint32_t>(at));
    at += length;
  }
  checked_.offsets.push_back(static_cast<std::uint32_t>(types.size()));
  return {};
}

Result<void> RecordChecker::check_record(std::uint32_t index) const {
  const auto type = load_unaligned<btf_type>(sections_.types.data() + checked_.offsets[index]);
  ENGRAM_CHECK(check_name(index, type.name_off));
  switch (kind_of(type.info)) {
    case BTF_KIND_INT:
      return check_integer(index, type);
    case BTF_KIND_ARRAY:
      return check_array(index);
    case BTF_KIND_STRUCT:
    case BTF_KIND_UNION:
      return check_elements<btf_member>(index, type);
    case BTF_KIND_ENUM:
      ENGRAM_CHECK(check_size(index, type, 8));
      return check_elements<btf_enum>(index, type);
    case BTF_KIND_ENUM64:
      ENGRAM_CHECK(check_size(index, type, 8));
      return check_elements<btf_enum64>(index, type);
    case BTF_KIND_FUNC_PROTO:
      ENGRAM_CHECK(check_reference(index, type.type));
      return check_elements<btf_param>(index, type);
    case BTF_KIND_DATASEC:
      return check_elements<btf_var_secinfo>(index, type);
    case BTF_KIND_FLOAT:
      return type.size == 12 ? Result<void>() : check_size(index, type, 16);
    case BTF_KIND_PTR:
    case BTF_KIND_TYPEDEF:
    case BTF_KIND_VOLATILE:
    case BTF_KIND_CONST:
    case BTF_KIND_RESTRICT:
    case BTF_KIND_FUNC:
    case BTF_KIND_VAR:
    case BTF_KIND_DECL_TAG:
    case BTF_KIND_TYPE_TAG:
      return check_reference(index, type.type);
    default:
      return {};  // forward declarations refer to nothing; kinds newer than this are not read
  }
}

Result<void> RecordChecker::check_size(std::uint32_t index, const btf_type& type,
                                       std::uint32_t most) const {
  if (type.size <= most && __builtin_popcount(type.size) == 1) return {};
  return fail("btf: type {} at {:#x}: size {}, expected a power of two up to {}", id(index),
              place(index), type.size, most);
}

Result<void> RecordChecker::check_integer(std::uint32_t index, const btf_type& type) const {
  ENGRAM_CHECK(check_size(index, type, 16));
  const auto encoding = load_unaligned<std::uint32_t>(body(index));
  const std::uint32_t bits = BTF_INT_BITS(encoding);
  const std::uint32_t offset = BTF_INT_OFFSET(encoding);
  if (bits + offset <= type.size * 8) return {};
  return fail("btf: type {} at {:#x}: integer of {} bits from bit {}, expected within its {} bytes",
              id(index), place(index), bits, offset, type.size);
}

Result<void> RecordChecker::check_array(std::uint32_t index) const {
  const auto array = load_unaligned<btf_array>(body(index));
  ENGRAM_CHECK(check_reference(index, array.type));
  return check_reference(index, array.index_type);
}

template <class Element>
Result<void> RecordChecker::check_elements(std::uint32_t index, const btf_type& type) const {
  const std::byte* at = body(index);
  const std::uint64_t names = name_end();
  const std::uint64_t types = type_end();
  for (std::uint32_t i = 0; i < count_of(type.info); ++i, at += sizeof(Element)) {
    const auto element = load_unaligned<Element>(at);
    // Tested here, too: a call for each of half a million elements is what takes the time.
    if constexpr (requires { element.name_off; }) {
      if (element.name_off >= names) return check_name(index, element.name_off);
    }
    if constexpr (requires { element.type; }) {
      if (element.type >= types) return check_reference(index, element.type);
    }
  }
  return {};
}

}  // namespace

Result<Checked> check(const Sections& sections, const Base& base) {
  return RecordChecker(sections, base).run();
}

Result<Checked> check_borders(const Sections& sections) {
  return RecordChecker(sections, Base()).run_borders();
}

}  // namespace engram::types::btf
