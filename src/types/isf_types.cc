// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "types/isf_types.h"

#include <algorithm>
#include <bit>
#include <limits>
#include <unordered_map>

#include "base/bytes.h"
#include "types/btf_writer.h"

namespace engram::types::isf {
namespace {

using btf::WrittenEnumerator;
using btf::WrittenMember;

constexpr unsigned kDeepest = 32;            // of pointers to arrays of pointers ...
constexpr std::size_t kMostTypes = 1 << 19;  // BTF has room for twice as many
constexpr std::uint64_t kLargest = 1ULL << 29U, kLargestWithBits = 1ULL << 21U;  // bytes

/// Names of JSON are UTF-8 of any length; BTF's end with a NUL.
std::string_view name_of(const Json& name) {
  const std::string_view all = text(&name).value_or("");
  const std::string_view found = all.substr(0, all.find('\0'));
  return found.size() > btf::kNameLimit ? std::string_view() : found;
}

/// What a member's type is: the number in BTF, its bytes, and the bits of a bit-field.
struct Use {
  TypeId type = 0;
  std::uint64_t size = 0;
  std::uint64_t first_bit = 0, bits = 0;
};

class Converter {
 public:
  explicit Converter(const Json& document) : document_(document) {}

  Result<btf::Converted> run() {
    ENGRAM_CHECK(number_types());
    for (const Named& named : named_) write(named);
    // Those that the members of structures are made of; each may need further ones.
    for (std::size_t i = 0; i < composed_.size(); ++i) {
      const Composed composed = composed_[i];
      if (composed.is_array) {
        writer_.array(composed.target, composed.count);
      } else if (pointer_size_ == btf::kPointerSize) {
        writer_.pointer(composed.target);
      } else {  // BTF has no pointers of another width: as the integer that it is
        writer_.integer("pointer32", static_cast<std::uint32_t>(pointer_size_));
      }
    }
    converted_.btf = writer_.bytes();
    return std::move(converted_);
  }

 private:
  enum class Section : std::uint8_t { base, enumeration, structure };
  struct Named {
    Section section = Section::base;
    std::string_view name;
    const Json* value = nullptr;
    std::uint64_t size = 0;
  };
  struct Composed {
    bool is_array = false;
    TypeId target = 0;
    std::uint32_t count = 0;
  };

  Result<void> number_types();
  void write(const Named& named);
  void write_structure(const Named& named);
  void write_enumeration(const Named& named);
  std::optional<WrittenMember> member_of(const Json& name, const Json& value,
                                         std::uint64_t structure_size);
  std::optional<Use> use_of(const Json* type, unsigned depth = 0);
  std::optional<Use> named_type(Section section, const Json& type) const;
  TypeId compose(const Composed& composed);

  const Json& document_;
  std::uint64_t pointer_size_ = btf::kPointerSize;
  btf::Writer writer_;
  btf::Converted converted_;
  std::vector<Named> named_;  ///< type i + 1 is the one of this index
  std::unordered_map<std::string_view, TypeId> numbers_[3];
  std::vector<Composed> composed_;  ///< they follow
  std::unordered_map<TypeId, TypeId> pointers_;
};

Result<void> Converter::number_types() {
  const Json* structures = member(document_, "user_types");
  if (structures == nullptr || !structures->IsObject()) {
    return fail("isf: JSON without user_types: no symbol file of volatility3");
  }
  const Json* base = member(document_, "base_types");
  const Json* pointer = base != nullptr ? member(*base, "pointer") : nullptr;
  if (pointer != nullptr) pointer_size_ = number(member(*pointer, "size")).value_or(0);
  if (pointer_size_ != sizeof(std::uint32_t) && pointer_size_ != btf::kPointerSize) {
    return fail("isf: pointers of {} bytes, 4 or {} expected", pointer_size_, btf::kPointerSize);
  }
  const auto add = [&](Section section, const Json* all) {
    if (all == nullptr || !all->IsObject()) return;
    for (const auto& one : all->GetObject()) {
      if (named_.size() == kMostTypes) return;
      const auto size = number(member(one.value, "size")).value_or(0);
      named_.push_back({section, name_of(one.name), &one.value, size});
      numbers_[static_cast<std::size_t>(section)].try_emplace(named_.back().name,
                                                              static_cast<TypeId>(named_.size()));
    }
  };
  add(Section::base, base);
  add(Section::enumeration, member(document_, "enums"));
  add(Section::structure, structures);
  return {};
}

void Converter::write(const Named& named) {
  if (named.section == Section::structure) return write_structure(named);
  if (named.section == Section::enumeration) return write_enumeration(named);
  const bool is_integer = named.size <= 16 && std::has_single_bit(named.size);
  if (is_integer) {
    writer_.integer(named.name, static_cast<std::uint32_t>(named.size));
  } else {
    writer_.add(BTF_KIND_FWD, named.name, 0);  // void, and what has no BTF
  }
}

void Converter::write_enumeration(const Named& named) {
  std::vector<WrittenEnumerator> values;
  const Json* constants = member(*named.value, "constants");
  if (constants != nullptr && constants->IsObject()) {
    for (const auto& one : constants->GetObject()) {
      if (one.value.IsInt64()) {
        values.push_back({name_of(one.name), static_cast<std::uint64_t>(one.value.GetInt64())});
      } else if (one.value.IsUint64()) {
        values.push_back({name_of(one.name), one.value.GetUint64()});
      }
    }
  }
  if (named.size == 8) {
    writer_.enumeration64(named.name, true, values);
  } else {
    const bool is_known = named.size == 1 || named.size == 2 || named.size == 4;
    const auto size = is_known ? static_cast<std::uint32_t>(named.size) : 4U;
    writer_.enumeration(named.name, size, true, values);
  }
}

void Converter::write_structure(const Named& named) {
  const auto kind = text(member(*named.value, "kind"));
  const Json* fields = member(*named.value, "fields");
  std::vector<WrittenMember> members;
  bool has_bits = false;
  if (fields != nullptr && fields->IsObject()) {
    for (const auto& one : fields->GetObject()) {
      const auto found = member_of(one.name, one.value, named.size);
      if (!found) continue;
      members.push_back(*found);
      has_bits |= found->bit_size != 0;
    }
  }
  // In the order of their places: JSON has none, and volatility3 sorts by name.
  std::stable_sort(members.begin(), members.end(),
                   [](const auto& a, const auto& b) { return a.bit_offset < b.bit_offset; });
  if (named.size > (has_bits ? kLargestWithBits : kLargest)) {
    writer_.add(BTF_KIND_FWD, named.name, 0);
    converted_.note_too_large(named.name, named.size);
    return;
  }
  writer_.composite(kind == "union" ? BTF_KIND_UNION : BTF_KIND_STRUCT, named.name,
                    static_cast<std::uint32_t>(named.size), members);
}

std::optional<WrittenMember> Converter::member_of(const Json& name, const Json& value,
                                                  std::uint64_t structure_size) {
  const auto offset = number(member(value, "offset"));
  const auto use = use_of(member(value, "type"));
  if (!offset || !use || *offset > structure_size || structure_size > kLargest) return std::nullopt;
  const std::uint64_t width = use->bits != 0 ? use->bits : use->size * 8;
  const std::uint64_t first = *offset * 8 + use->first_bit;
  if (first + width > structure_size * 8) return std::nullopt;
  const Json* anonymous = member(value, "anonymous");
  const bool has_name = anonymous == nullptr || !anonymous->IsBool() || !anonymous->GetBool();
  return WrittenMember{has_name ? name_of(name) : std::string_view(), use->type,
                       static_cast<std::uint32_t>(first), static_cast<std::uint32_t>(use->bits)};
}

std::optional<Use> Converter::named_type(Section section, const Json& type) const {
  const auto& numbers = numbers_[static_cast<std::size_t>(section)];
  const auto found = numbers.find(text(member(type, "name")).value_or(""));
  if (found == numbers.end()) return std::nullopt;
  return Use{found->second, named_[found->second - 1].size};
}

/// The number of a pointer or an array, which is written behind all that have a name.
TypeId Converter::compose(const Composed& composed) {
  composed_.push_back(composed);
  return static_cast<TypeId>(named_.size() + composed_.size());
}

std::optional<Use> Converter::use_of(const Json* type, unsigned depth) {
  const auto kind = type != nullptr ? text(member(*type, "kind")) : std::nullopt;
  if (!kind || depth == kDeepest || composed_.size() > kMostTypes) return std::nullopt;
  if (*kind == "base") return named_type(Section::base, *type);
  if (*kind == "enum") return named_type(Section::enumeration, *type);
  if (*kind == "struct" || *kind == "union" || *kind == "class") {
    return named_type(Section::structure, *type);
  }
  if (*kind == "pointer") {
    const auto target = use_of(member(*type, "subtype"), depth + 1).value_or(Use{});
    const auto [known, is_new] = pointers_.try_emplace(target.type, TypeId{0});
    if (is_new) known->second = compose({false, target.type, 0});
    return Use{known->second, pointer_size_};
  }
  if (*kind == "array") {
    const auto element = use_of(member(*type, "subtype"), depth + 1);
    const auto count = number(member(*type, "count"));
    const auto size = element && count ? checked_multiply(element->size, *count) : std::nullopt;
    if (!size || *size > kLargest || *count > kLargest) return std::nullopt;
    return Use{compose({true, element->type, static_cast<std::uint32_t>(*count)}), *size};
  }
  if (*kind == "bitfield") {
    auto use = use_of(member(*type, "type"), depth + 1);
    const auto first = number(member(*type, "bit_position"));
    const auto bits = number(member(*type, "bit_length"));
    if (!use || !first || !bits || *bits == 0 || *bits > 128 || *first > 128) return std::nullopt;
    use->first_bit = *first;
    use->bits = *bits;
    return use;
  }
  return std::nullopt;  // a function has no size
}

}  // namespace

Result<btf::Converted> types_as_btf(const Json& document) {
  return Converter(document).run();
}

}  // namespace engram::types::isf
