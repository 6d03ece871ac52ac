// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "types/type_db.h"

#include <bpf/btf.h>
#include <bpf/libbpf.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <mutex>

#include "types/btf_check.h"
#include "types/btf_layout.h"
#include "types/member_path.h"
#include "types/name_index.h"

namespace engram::types {
namespace {

constexpr std::size_t kKinds = static_cast<std::size_t>(Kind::unknown) + 1;

/// Members that one look-up passes at most: anonymous structures in one another can be an
/// exponential number.
constexpr std::uint32_t kSearchLimit = 1U << 20U;

struct FreeBtf {
  void operator()(btf* decoder) const { btf__free(decoder); }
};

Kind kind_from(std::uint32_t btf_kind) {
  switch (btf_kind) {
    case BTF_KIND_INT:
      return Kind::integer;
    case BTF_KIND_PTR:
      return Kind::pointer;
    case BTF_KIND_ARRAY:
      return Kind::array;
    case BTF_KIND_STRUCT:
      return Kind::structure;
    case BTF_KIND_UNION:
      return Kind::union_type;
    case BTF_KIND_ENUM:
    case BTF_KIND_ENUM64:
      return Kind::enumeration;
    case BTF_KIND_FWD:
      return Kind::forward;
    case BTF_KIND_TYPEDEF:
      return Kind::typedef_type;
    case BTF_KIND_CONST:
    case BTF_KIND_VOLATILE:
    case BTF_KIND_RESTRICT:
    case BTF_KIND_TYPE_TAG:
      return Kind::modifier;
    case BTF_KIND_FUNC:
      return Kind::function;
    case BTF_KIND_FUNC_PROTO:
      return Kind::function_prototype;
    case BTF_KIND_VAR:
      return Kind::variable;
    case BTF_KIND_DATASEC:
      return Kind::data_section;
    case BTF_KIND_FLOAT:
      return Kind::floating;
    case BTF_KIND_DECL_TAG:
      return Kind::decl_tag;
    default:
      return Kind::void_type;
  }
}

/// libbpf copies the bytes and finds the records in them; it prints its complaints unless told not
/// to.
Result<std::unique_ptr<btf, FreeBtf>> decode(Bytes blob, btf* base) {
  static const libbpf_print_fn_t silenced = libbpf_set_print(nullptr);
  static_cast<void>(silenced);
  errno = 0;
  std::unique_ptr<btf, FreeBtf> decoder(
      btf__new_split(blob.data(), static_cast<std::uint32_t>(blob.size()), base));
  // Before version 1.0 libbpf gave errors as pointers.
  if (libbpf_get_error(decoder.get()) != 0) {
    static_cast<void>(decoder.release());
    return fail("btf: {} bytes that are right by our own checks, but not by libbpf's: {}",
                blob.size(), std::strerror(errno));
  }
  return decoder;
}

}  // namespace

struct TypeDb::State {
  std::unique_ptr<btf, FreeBtf> decoder;
  const State* base = nullptr;
  std::uint32_t first_own = 1;      ///< number of the first type that is not the base's
  std::uint32_t string_length = 0;  ///< bytes, the base's included
  std::vector<TypeId> unknown;      ///< ascending
  bool marks_signed_enums = false;

  /// Built when a type of the kind is first looked for: most kinds never are.
  struct LazyIndex {
    std::once_flag once;
    NameIndex index;
  };
  mutable std::array<LazyIndex, kKinds> by_name;

  [[nodiscard]] const btf_type& record(TypeId type) const {
    const btf_type* found = btf__type_by_id(decoder.get(), type);
    return found != nullptr ? *found : *btf__type_by_id(decoder.get(), 0);
  }
  [[nodiscard]] std::string_view text(std::uint32_t offset) const {
    const char* found = btf__name_by_offset(decoder.get(), offset);
    return found != nullptr ? found : "";
  }
  [[nodiscard]] std::string_view name(TypeId type) const { return text(record(type).name_off); }

  [[nodiscard]] Kind kind(TypeId type) const {
    const Kind found = kind_from(btf_kind(&record(type)));
    return found == Kind::forward && is_unknown(type) ? Kind::unknown : found;
  }
  [[nodiscard]] bool is_unknown(TypeId type) const {
    if (type < first_own) return base != nullptr && base->is_unknown(type);
    return std::binary_search(unknown.begin(), unknown.end(), type);
  }

  [[nodiscard]] TypeId resolve(TypeId type) const;
  [[nodiscard]] std::optional<std::uint64_t> size_of(TypeId type) const;
  [[nodiscard]] Member member(const btf_type& structure, std::uint32_t index) const;
  [[nodiscard]] bool replaces(TypeId later, TypeId earlier) const;
  [[nodiscard]] const NameIndex& index(Kind kind) const;
  [[nodiscard]] std::optional<TypeId> find_own(std::string_view name, Kind kind) const;
  [[nodiscard]] std::optional<TypeId> find(std::string_view name,
                                           std::span<const Kind> kinds) const;
  [[nodiscard]] std::optional<Member> search(const Member& at, std::string_view name,
                                             std::uint32_t& budget) const;
  [[nodiscard]] std::optional<Member> element(const Member& at, std::uint64_t index) const;
};

TypeDb::TypeDb(std::unique_ptr<State> state) : state_(std::move(state)) {}
TypeDb::TypeDb(TypeDb&&) noexcept = default;
TypeDb& TypeDb::operator=(TypeDb&&) noexcept = default;
TypeDb::~TypeDb() = default;

Result<TypeDb> TypeDb::from_btf(Bytes blob, const TypeDb* base) {
  auto state = std::make_unique<State>();
  btf::Base continued;
  if (base != nullptr) {
    if (base->state_->base != nullptr) {
      return fail("btf: the base is a module's types, expected the kernel's own");
    }
    state->base = base->state_.get();
    continued = {base, base->type_count(), state->base->string_length};
  }
  ENGRAM_TRY(const btf::Sections sections, btf::find_sections(blob));
  ENGRAM_TRY(const btf::Checked checked, btf::check(sections, continued));
  ENGRAM_CHECK(btf::check_nesting(sections, continued, checked));

  std::vector<std::byte> plain;
  Bytes bytes = blob.first(sections.total);
  if (!checked.foreign.empty()) bytes = plain = btf::without_foreign(sections, continued, checked);
  ENGRAM_TRY(state->decoder, decode(bytes, base != nullptr ? state->base->decoder.get() : nullptr));
  state->first_own = continued.type_count;
  state->string_length =
      continued.string_length + static_cast<std::uint32_t>(sections.strings.size());
  state->unknown = checked.foreign;
  state->marks_signed_enums =
      checked.marks_signed_enums || (base != nullptr && state->base->marks_signed_enums);
  return TypeDb(std::move(state));
}

/// Of two with one name. In kernels before 6.19 the first would be a good choice as well, since it
/// comes from the source file that was linked first; later ones sort their types by name.
bool TypeDb::State::replaces(TypeId later, TypeId earlier) const {
  const btf_type& one = record(later);
  const btf_type& other = record(earlier);
  if (!btf_is_composite(&one) && !btf_is_any_enum(&one)) return false;
  const bool one_empty = btf_vlen(&one) == 0;
  const bool other_empty = btf_vlen(&other) == 0;
  if (one_empty != other_empty) return other_empty;
  return one.size > other.size;
}

const NameIndex& TypeDb::State::index(Kind kind) const {
  LazyIndex& lazy = by_name[static_cast<std::size_t>(kind)];
  std::call_once(lazy.once, [&] {
    const TypeId end = btf__type_cnt(decoder.get());
    for (TypeId type = first_own; type < end; ++type) {
      const btf_type& found = record(type);
      if (found.name_off != 0 && this->kind(type) == kind)
        lazy.index.add(text(found.name_off), type);
    }
    lazy.index.sort([&](TypeId a, TypeId b) { return name(a) == name(b); },
                    [&](TypeId later, TypeId earlier) { return replaces(later, earlier); });
  });
  return lazy.index;
}

std::optional<TypeId> TypeDb::State::find_own(std::string_view name, Kind kind) const {
  std::optional<TypeId> best;
  index(kind).for_each(name, [&](TypeId type) {
    if (this->name(type) == name && (!best || replaces(type, *best))) best = type;
  });
  return best;
}

std::optional<TypeId> TypeDb::State::find(std::string_view name,
                                          std::span<const Kind> kinds) const {
  std::optional<TypeId> best;
  for (const State* at = this; at != nullptr; at = at->base) {
    std::optional<TypeId> here;
    for (const Kind kind : kinds) {
      const auto type = at->find_own(name, kind);
      if (type && (!here || replaces(*type, *here))) here = type;
    }
    const bool better =
        here && (!best || (btf_vlen(&record(*best)) == 0 && replaces(*here, *best)));
    if (better) best = here;
  }
  return best;
}

std::optional<TypeId> TypeDb::find_struct(std::string_view name) const {
  return state_->find(name, std::array{Kind::structure, Kind::union_type});
}

std::optional<TypeId> TypeDb::find(std::string_view name, Kind kind) const {
  return state_->find(name, std::array{kind});
}

std::uint32_t TypeDb::type_count() const {
  return btf__type_cnt(state_->decoder.get());
}

Kind TypeDb::kind(TypeId type) const {
  return state_->kind(type);
}

std::string_view TypeDb::name(TypeId type) const {
  return state_->name(type);
}

/// Ends: check_nesting() let no endless chain in.
TypeId TypeDb::State::resolve(TypeId type) const {
  for (;;) {
    const btf_type& found = record(type);
    if (!btf_is_mod(&found) && !btf_is_typedef(&found)) return type;
    type = found.type;
  }
}

TypeId TypeDb::resolve(TypeId type) const {
  return state_->resolve(type);
}

/// Ends: check_nesting() let nothing in that contains itself.
std::optional<std::uint64_t> TypeDb::State::size_of(TypeId type) const {
  std::uint64_t count = 1;
  for (;;) {
    const btf_type& found = record(resolve(type));
    switch (btf_kind(&found)) {
      case BTF_KIND_INT:
      case BTF_KIND_STRUCT:
      case BTF_KIND_UNION:
      case BTF_KIND_ENUM:
      case BTF_KIND_ENUM64:
      case BTF_KIND_FLOAT:
      case BTF_KIND_DATASEC:
        return checked_multiply(count, std::uint64_t{found.size});
      case BTF_KIND_PTR:
        return checked_multiply(count, btf::kPointerSize);
      case BTF_KIND_VAR:
        type = found.type;
        break;
      case BTF_KIND_ARRAY: {
        const auto product = checked_multiply(count, std::uint64_t{btf_array(&found)->nelems});
        if (!product) return std::nullopt;
        count = *product;
        type = btf_array(&found)->type;
        break;
      }
      default:
        return std::nullopt;
    }
  }
}

std::optional<std::uint64_t> TypeDb::size_of(TypeId type) const {
  return state_->size_of(type);
}

std::optional<TypeId> TypeDb::target(TypeId type) const {
  const btf_type& found = state_->record(state_->resolve(type));
  if (btf_is_ptr(&found) || btf_is_var(&found)) return found.type;
  if (btf_is_array(&found)) return btf_array(&found)->type;
  return std::nullopt;
}

std::optional<std::uint64_t> TypeDb::element_count(TypeId array) const {
  const btf_type& found = state_->record(state_->resolve(array));
  if (!btf_is_array(&found)) return std::nullopt;
  return btf_array(&found)->nelems;
}

std::vector<NamedMember> TypeDb::members(TypeId structure) const {
  const btf_type& found = state_->record(state_->resolve(structure));
  std::vector<NamedMember> result;
  if (!btf_is_composite(&found)) return result;
  result.reserve(btf_vlen(&found));
  for (std::uint32_t i = 0; i < btf_vlen(&found); ++i) {
    result.push_back({state_->text(btf_members(&found)[i].name_off), state_->member(found, i)});
  }
  return result;
}

std::vector<Enumerator> TypeDb::enumerators(TypeId enumeration) const {
  const btf_type& found = state_->record(state_->resolve(enumeration));
  std::vector<Enumerator> result;
  if (btf_is_enum(&found)) {
    const bool is_signed = btf_kflag(&found) || !state_->marks_signed_enums;
    for (const btf_enum& e : std::span(btf_enum(&found), btf_vlen(&found))) {
      const std::int64_t value =
          is_signed ? e.val : std::int64_t{static_cast<std::uint32_t>(e.val)};
      result.push_back({state_->text(e.name_off), value});
    }
  } else if (btf_is_enum64(&found)) {
    for (const btf_enum64& e : std::span(btf_enum64(&found), btf_vlen(&found))) {
      const std::uint64_t value = (std::uint64_t{e.val_hi32} << 32U) | e.val_lo32;
      result.push_back({state_->text(e.name_off), static_cast<std::int64_t>(value)});
    }
  }
  return result;
}

Member TypeDb::State::member(const btf_type& structure, std::uint32_t index) const {
  Member result{.bit_offset = btf_member_bit_offset(&structure, index),
                .bit_size = btf_member_bitfield_size(&structure, index),
                .type = btf_members(&structure)[index].type};
  if (result.bit_size != 0) return result;
  // Before kernel 5.0 a bit-field is told by an integer type of fewer bits than its bytes have.
  const btf_type& type = record(resolve(result.type));
  if (btf_is_int(&type) && !btf_kflag(&structure)) {
    const std::uint32_t bits = btf_int_bits(&type);
    if (bits != type.size * 8 || result.bit_offset % 8 != 0) {
      result.bit_offset += btf_int_offset(&type);
      result.bit_size = bits;
    }
  }
  return result;
}

/// The member of this name of the structure at `at`, those of anonymous structures included.
std::optional<Member> TypeDb::State::search(const Member& at, std::string_view name,
                                            std::uint32_t& budget) const {
  const btf_type& structure = record(resolve(at.type));
  if (!btf_is_composite(&structure)) return std::nullopt;
  for (std::uint32_t i = 0; i < btf_vlen(&structure); ++i) {
    if (budget == 0) return std::nullopt;
    --budget;
    const std::uint32_t own_name = btf_members(&structure)[i].name_off;
    if (own_name != 0 && text(own_name) != name) continue;
    Member found = member(structure, i);
    found.bit_offset += at.bit_offset;
    if (own_name != 0) return found;
    if (auto inner = search(found, name, budget)) return inner;
  }
  return std::nullopt;
}

std::optional<Member> TypeDb::State::element(const Member& at, std::uint64_t index) const {
  const btf_type& type = record(resolve(at.type));
  if (!btf_is_array(&type)) return std::nullopt;
  const btf_array& array = *::btf_array(&type);
  if (array.nelems != 0 && index >= array.nelems) return std::nullopt;  // 0: a flexible array
  const auto size = size_of(array.type);
  const auto bits = size ? checked_multiply(*size, std::uint64_t{8}) : std::nullopt;
  const auto distance = bits ? checked_multiply(*bits, index) : std::nullopt;
  const auto offset = distance ? checked_add(at.bit_offset, *distance) : std::nullopt;
  if (!offset) return std::nullopt;
  return Member{.bit_offset = *offset, .bit_size = 0, .type = array.type};
}

std::optional<Member> TypeDb::find_member(TypeId structure, std::string_view path) const {
  MemberPath steps(path);
  Member at{.type = structure};
  std::uint32_t budget = kSearchLimit;
  while (!steps.done()) {
    std::optional<Member> next;
    if (steps.at_index()) {
      const auto index = steps.next_index();
      if (index) next = state_->element(at, *index);
    } else if (const auto name = steps.next_name()) {
      next = state_->search(at, *name, budget);
    }
    if (!next) return std::nullopt;
    at = *next;
  }
  return at;
}

std::optional<Member> TypeDb::find_member(std::string_view structure, std::string_view path) const {
  const auto type = find_struct(structure);
  return type ? find_member(*type, path) : std::nullopt;
}

}  // namespace engram::types
