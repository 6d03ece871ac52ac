// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "types/type_db.h"

#include <algorithm>
#include <array>
#include <span>

#include "base/lazy.h"
#include "types/btf_check.h"
#include "types/btf_layout.h"
#include "types/btf_records.h"
#include "types/member_path.h"
#include "types/name_hash.h"
#include "types/name_index.h"

namespace engram::types {
namespace {

constexpr std::size_t kKinds = static_cast<std::size_t>(Kind::unknown) + 1;

/// Members that one look-up passes at most: of anonymous structures in one another, a few hundred
/// bytes of BTF can make an exponential number.
constexpr std::uint32_t kSearchLimit = 1U << 16U;

Kind kind_from(std::uint32_t btf_kind) {
  switch (btf_kind) {
    case BTF_KIND_UNKN:
      return Kind::void_type;
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
      return Kind::unknown;
  }
}

/// An enum without enumerators is only declared, and so, nearly, is a struct without members.
bool is_empty(const btf_type& type) {
  return btf::count_of(type.info) == 0;
}

/// Of two types with one name. Before kernel 6.19 the first would be as good a choice, since it
/// comes from the source file that was linked first; later ones sort their types by name.
bool replaces(const btf_type& later, const btf_type& earlier) {
  const std::uint32_t kind = btf::kind_of(later.info);
  if (!btf::is_struct_or_union(kind) && !btf::is_enum(kind)) return false;
  if (is_empty(later) != is_empty(earlier)) return is_empty(earlier);
  return later.size > earlier.size;
}

}  // namespace

struct TypeDb::State {
  State(btf::Records found, const State* continued, bool marked)
      : types(std::move(found)), base(continued), marks_signed_enums(marked) {}

  const btf::Records types;
  const State* const base;
  const bool marks_signed_enums;  ///< as in btf::Checked
  bool is_known = false;          ///< by a record

  /// Built when a type of the kind is first looked for: most kinds never are.
  struct LazyIndex {
    Once once;
    NameIndex index;
  };
  mutable std::array<LazyIndex, kKinds> by_name;

  [[nodiscard]] const NameIndex& index(Kind kind) const;
  [[nodiscard]] std::optional<TypeId> find_own(std::string_view name, Kind kind) const;
  [[nodiscard]] std::optional<TypeId> find_own(std::string_view name,
                                               std::span<const Kind> kinds) const;
  [[nodiscard]] std::optional<TypeId> find(std::string_view name,
                                           std::span<const Kind> kinds) const;

  [[nodiscard]] std::optional<std::uint64_t> size_of(TypeId type) const;
  [[nodiscard]] Member member(const btf_type& structure, std::uint32_t index) const;
  [[nodiscard]] std::optional<Member> search(const Member& at, std::string_view name,
                                             std::uint32_t& budget, std::uint32_t depth = 0) const;
  [[nodiscard]] std::optional<Member> element(const Member& at, std::uint64_t index) const;
};

TypeDb::TypeDb(std::unique_ptr<State> state) : state_(std::move(state)) {}
TypeDb::TypeDb(TypeDb&&) noexcept = default;
TypeDb& TypeDb::operator=(TypeDb&&) noexcept = default;
TypeDb::~TypeDb() = default;

Result<TypeDb> TypeDb::from_btf(Bytes blob, const TypeDb* base) {
  return from_btf(mapping::BulkVector<std::byte>(blob.begin(), blob.end()), base);
}

Result<TypeDb> TypeDb::from_btf(mapping::BulkVector<std::byte> blob, const TypeDb* base) {
  const State* continued = base != nullptr ? base->state_.get() : nullptr;
  btf::Base limits;
  if (continued != nullptr) {
    if (continued->base != nullptr) {
      return fail("btf: the base is a module's types, expected the kernel's own");
    }
    limits = {base, continued->types.count(), continued->types.string_length()};
  }
  ENGRAM_TRY(const btf::Sections sections, btf::find_sections(blob));
  ENGRAM_TRY(btf::Checked checked, btf::check(sections, limits));
  ENGRAM_CHECK(btf::check_nesting(sections, limits, checked));
  const bool marked =
      checked.marks_signed_enums || (continued != nullptr && continued->marks_signed_enums);
  btf::Records records(std::move(blob), sections, std::move(checked),
                       continued != nullptr ? &continued->types : nullptr);
  return TypeDb(std::make_unique<State>(std::move(records), continued, marked));
}

Result<TypeDb> TypeDb::from_known_btf(mapping::BulkVector<std::byte> blob, const Record& known) {
  if (digest(blob, known.seed) != known.content) return from_btf(std::move(blob));
  ENGRAM_TRY(const btf::Sections sections, btf::find_sections(blob));
  ENGRAM_TRY(btf::Checked checked, btf::check_borders(sections));
  const bool marked = checked.marks_signed_enums;
  btf::Records records(std::move(blob), sections, std::move(checked), nullptr);
  auto state = std::make_unique<State>(std::move(records), nullptr, marked);
  state->is_known = true;
  return TypeDb(std::move(state));
}

bool TypeDb::is_known() const {
  return state_->is_known;
}

TypeDb::Record TypeDb::record() const {
  const std::uint64_t seed = random_seed();
  return {seed, digest(state_->types.blob(), seed)};
}

const NameIndex& TypeDb::State::index(Kind kind) const {
  LazyIndex& lazy = by_name[static_cast<std::size_t>(kind)];
  lazy.once.call([&] {
    const bool is_composite = kind == Kind::structure || kind == Kind::union_type;
    types.for_each_named(is_composite, [&](TypeId type) {
      if (kind_from(types.kind(type)) == kind) lazy.index.add(types.name(type), type);
    });
    lazy.index.sort(
        [&](TypeId a, TypeId b) { return types.name(a) == types.name(b); },
        [&](TypeId later, TypeId earlier) { return replaces(types[later], types[earlier]); });
  });
  return lazy.index;
}

std::optional<TypeId> TypeDb::State::find_own(std::string_view name, Kind kind) const {
  std::optional<TypeId> best;
  index(kind).for_each(name, [&](TypeId type) {
    if (types.name(type) != name) return;
    if (!best || replaces(types[type], types[*best])) best = type;
  });
  return best;
}

std::optional<TypeId> TypeDb::State::find_own(std::string_view name,
                                              std::span<const Kind> kinds) const {
  std::optional<TypeId> best;
  for (const Kind kind : kinds) {
    const auto found = find_own(name, kind);
    if (found && (!best || replaces(types[*found], types[*best]))) best = found;
  }
  return best;
}

std::optional<TypeId> TypeDb::State::find(std::string_view name,
                                          std::span<const Kind> kinds) const {
  const auto own = find_own(name, kinds);
  if (base == nullptr || (own && !is_empty(types[*own]))) return own;
  const auto inherited = base->find_own(name, kinds);
  return !own || (inherited && replaces(types[*inherited], types[*own])) ? inherited : own;
}

std::optional<TypeId> TypeDb::find_struct(std::string_view name) const {
  return state_->find(name, std::array{Kind::structure, Kind::union_type});
}

std::optional<TypeId> TypeDb::find(std::string_view name, Kind kind) const {
  return state_->find(name, std::array{kind});
}

std::uint32_t TypeDb::type_count() const {
  return state_->types.count();
}

Kind TypeDb::kind(TypeId type) const {
  return kind_from(state_->types.kind(type));
}

std::string_view TypeDb::name(TypeId type) const {
  return state_->types.name(type);
}

TypeId TypeDb::resolve(TypeId type) const {
  return state_->types.resolve(type);
}

/// Nothing behind a chain longer than check_nesting() lets in.
std::optional<std::uint64_t> TypeDb::State::size_of(TypeId type) const {
  std::uint64_t count = 1;
  for (std::uint32_t step = 0; step <= btf::kNestingLimit; ++step) {
    const btf_type& record = types[types.resolve(type)];
    switch (btf::kind_of(record.info)) {
      case BTF_KIND_INT:
      case BTF_KIND_STRUCT:
      case BTF_KIND_UNION:
      case BTF_KIND_ENUM:
      case BTF_KIND_ENUM64:
      case BTF_KIND_FLOAT:
      case BTF_KIND_DATASEC:
        return checked_multiply(count, std::uint64_t{record.size});
      case BTF_KIND_PTR:
        return checked_multiply(count, btf::kPointerSize);
      case BTF_KIND_VAR:
        type = record.type;
        break;
      case BTF_KIND_ARRAY: {
        const auto product = checked_multiply(count, std::uint64_t{btf_array(&record)->nelems});
        if (!product) return std::nullopt;
        count = *product;
        type = btf_array(&record)->type;
        break;
      }
      default:
        return std::nullopt;
    }
  }
  return std::nullopt;
}

std::optional<std::uint64_t> TypeDb::size_of(TypeId type) const {
  return state_->size_of(type);
}

std::optional<TypeId> TypeDb::target(TypeId type) const {
  const btf_type& record = state_->types[state_->types.resolve(type)];
  switch (btf::kind_of(record.info)) {
    case BTF_KIND_PTR:
    case BTF_KIND_VAR:
      return record.type;
    case BTF_KIND_ARRAY:
      return btf_array(&record)->type;
    default:
      return std::nullopt;
  }
}

std::optional<std::uint64_t> TypeDb::element_count(TypeId array) const {
  const btf_type& record = state_->types[state_->types.resolve(array)];
  if (btf::kind_of(record.info) != BTF_KIND_ARRAY) return std::nullopt;
  return btf_array(&record)->nelems;
}

std::vector<NamedMember> TypeDb::members(TypeId structure) const {
  const btf_type& record = state_->types[state_->types.resolve(structure)];
  std::vector<NamedMember> result;
  if (!btf::is_struct_or_union(btf::kind_of(record.info))) return result;
  const std::uint32_t count = btf::count_of(record.info);
  result.reserve(count);
  for (std::uint32_t i = 0; i < count; ++i) {
    result.push_back(
        {state_->types.text(btf_members(&record)[i].name_off), state_->member(record, i)});
  }
  return result;
}

std::vector<Enumerator> TypeDb::enumerators(TypeId enumeration) const {
  const btf_type& record = state_->types[state_->types.resolve(enumeration)];
  const std::uint32_t kind = btf::kind_of(record.info);
  std::vector<Enumerator> result;
  if (kind == BTF_KIND_ENUM) {
    const bool is_signed = btf::kind_flag_of(record.info) || !state_->marks_signed_enums;
    for (const auto& one : std::span(btf_enum(&record), btf::count_of(record.info))) {
      const std::int64_t value =
          is_signed ? one.val : std::int64_t{static_cast<std::uint32_t>(one.val)};
      result.push_back({state_->types.text(one.name_off), value});
    }
  } else if (kind == BTF_KIND_ENUM64) {
    for (const auto& one : std::span(btf_enum64(&record), btf::count_of(record.info))) {
      const std::uint64_t value = btf_enum64_value(&one);
      result.push_back({state_->types.text(one.name_off), static_cast<std::int64_t>(value)});
    }
  }
  return result;
}

Member TypeDb::State::member(const btf_type& structure, std::uint32_t index) const {
  Member result{.bit_offset = btf_member_bit_offset(&structure, index),
                .bit_size = btf_member_bitfield_size(&structure, index),
                .type = btf_members(&structure)[index].type};
  if (btf::kind_flag_of(structure.info)) return result;
  // Before kernel 5.0 it is the integer that tells a bit-field, by having fewer bits than its bytes
  // hold.
  const btf_type& type = types[types.resolve(result.type)];
  if (btf::kind_of(type.info) != BTF_KIND_INT) return result;
  const std::uint32_t bits = btf_int_bits(&type);
  if (bits != type.size * 8 || result.bit_offset % 8 != 0) {
    result.bit_offset += btf_int_offset(&type);
    result.bit_size = bits;
  }
  return result;
}

/// The member of this name of the structure at `at`, members of its anonymous structures included.
std::optional<Member> TypeDb::State::search(const Member& at, std::string_view name,
                                            std::uint32_t& budget, std::uint32_t depth) const {
  if (depth > btf::kNestingLimit) return std::nullopt;  // check_nesting() lets none in
  const btf_type& structure = types[types.resolve(at.type)];
  if (!btf::is_struct_or_union(btf::kind_of(structure.info))) return std::nullopt;
  for (std::uint32_t i = 0; i < btf::count_of(structure.info) && budget != 0; ++i, --budget) {
    const std::string_view own_name = types.text(btf_members(&structure)[i].name_off);
    if (!own_name.empty() && own_name != name) continue;
    Member found = member(structure, i);
    found.bit_offset += at.bit_offset;
    if (!own_name.empty()) return found;
    if (auto inner = search(found, name, budget, depth + 1)) return inner;
    if (budget == 0) break;
  }
  return std::nullopt;
}

std::optional<Member> TypeDb::State::element(const Member& at, std::uint64_t index) const {
  const btf_type& record = types[types.resolve(at.type)];
  if (btf::kind_of(record.info) != BTF_KIND_ARRAY) return std::nullopt;
  const auto& array = *btf_array(&record);
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
  Member at{.bit_offset = 0, .bit_size = 0, .type = structure};
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
