// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0

// How types contain and refer to one another: nothing without an end, nothing inside itself,
// nothing larger than what it lies in.

#include <linux/btf.h>

#include <algorithm>

#include "types/btf_check.h"
#include "types/btf_layout.h"

namespace engram::types::btf {
namespace {

constexpr std::uint64_t kNoSize = ~std::uint64_t{0};

// State of the search for nesting: what is neither is a height, the levels that a type is built of.
constexpr std::uint8_t kOpen = 0;
constexpr std::uint8_t kActive = 0xff;
static_assert(kNestingLimit < kActive);

/// A typedef, modifier or variable: of the size of the type that it refers to.
bool stands_for_another(std::uint32_t kind) {
  return is_typedef_or_modifier(kind) || kind == BTF_KIND_VAR;
}

class NestingChecker {
 public:
  NestingChecker(const Sections& sections, const Base& base, const Checked& checked)
      : sections_(sections),
        base_(base),
        offsets_(checked.offsets),
        heights_(checked.type_count(), kOpen),
        sizes_(checked.type_count(), kNoSize) {}

  Result<void> run() {
    for (std::uint32_t i = 0; i < heights_.size(); ++i) begin(i);
    for (std::uint32_t i = 0; i < heights_.size(); ++i) {
      if (heights_[i] == kOpen) ENGRAM_CHECK(descend(i));
    }
    for (std::uint32_t i = 0; i < heights_.size(); ++i) {
      if (kind_of(record(i).info) == BTF_KIND_PTR) ENGRAM_CHECK(follow_pointer(i));
    }
    return {};
  }

 private:
  struct Frame {
    std::uint32_t index;
    std::uint32_t next;  ///< member to look at
  };

  void begin(std::uint32_t index);
  Result<void> descend(std::uint32_t index);
  std::optional<std::uint32_t> next_open(Frame& frame) const;
  Result<void> finish(std::uint32_t index);
  Result<void> finish_structure(std::uint32_t index, const btf_type& type);
  Result<void> follow_pointer(std::uint32_t index) const;

  [[nodiscard]] btf_type record(std::uint32_t index) const {
    return load_unaligned<btf_type>(sections_.types.data() + offsets_[index]);
  }
  template <class T>
  [[nodiscard]] T body(std::uint32_t index, std::uint32_t element = 0) const {
    return load_unaligned<T>(sections_.types.data() + offsets_[index] + sizeof(btf_type) +
                             sizeof(T) * element);
  }
  [[nodiscard]] bool own(TypeId type) const { return type >= base_.type_count; }
  [[nodiscard]] std::uint8_t height(TypeId type) const {
    return own(type) ? heights_[type - base_.type_count] : std::uint8_t{1};
  }
  [[nodiscard]] std::uint64_t size(TypeId type) const {
    if (own(type)) return sizes_[type - base_.type_count];
    return type == 0 ? kNoSize : base_.types->size_of(type).value_or(kNoSize);
  }
  /// Bits that the member takes; for what has no size, none.
  [[nodiscard]] std::uint64_t bits_of(const btf_type& structure, const btf_member& member) const;
  /// The same if it is a bit-field as of before kernel 5.0, which only the integer tells; else
  /// `bits`.
  [[nodiscard]] std::uint64_t old_bit_field(TypeId type, std::uint64_t bits) const;

  template <class... Args>
  [[nodiscard]] tl::unexpected<Error> fail_at(std::uint32_t index,
                                              fmt::format_string<Args...> format,
                                              Args&&... args) const {
    return fail("btf: type {} at {:#x}: {}", base_.type_count + index,
                sections_.types_start + offsets_[index],
                fmt::format(format, std::forward<Args>(args)...));
  }

  const Sections& sections_;
  const Base& base_;
  const mapping::BulkVector<std::uint32_t>& offsets_;
  std::vector<std::uint8_t> heights_;
  mapping::BulkVector<std::uint64_t> sizes_;  ///< bytes, or kNoSize
  std::vector<Frame> stack_;
};

/// Settles what contains no other type.
void NestingChecker::begin(std::uint32_t index) {
  const btf_type type = record(index);
  const std::uint32_t kind = kind_of(type.info);
  switch (kind) {
    case BTF_KIND_STRUCT:
    case BTF_KIND_UNION:
      sizes_[index] = type.size;
      return;
    case BTF_KIND_ARRAY:
      return;
    case BTF_KIND_INT:
    case BTF_KIND_ENUM:
    case BTF_KIND_ENUM64:
    case BTF_KIND_FLOAT:
      sizes_[index] = type.size;
      break;
    case BTF_KIND_PTR:
      sizes_[index] = kPointerSize;
      break;
    default:
      if (stands_for_another(kind)) return;
  }
  heights_[index] = 1;
}

/// The next type that `frame` contains and that is not settled.
std::optional<std::uint32_t> NestingChecker::next_open(Frame& frame) const {
  const btf_type type = record(frame.index);
  const std::uint32_t kind = kind_of(type.info);
  const bool composite = is_struct_or_union(kind);
  const std::uint32_t end = composite ? count_of(type.info) : 1;
  while (frame.next != end) {
    TypeId child = type.type;
    if (composite) child = body<btf_member>(frame.index, frame.next).type;
    if (kind == BTF_KIND_ARRAY) child = body<btf_array>(frame.index).type;
    ++frame.next;
    const std::uint8_t state = height(child);
    if (state == kOpen || state == kActive) return child - base_.type_count;
  }
  return std::nullopt;
}

/// Settles everything that `index` contains, innermost first, and then itself.
Result<void> NestingChecker::descend(std::uint32_t index) {
  stack_.assign(1, Frame{index, 0});
  heights_[index] = kActive;
  while (!stack_.empty()) {
    Frame& top = stack_.back();
    if (const auto child = next_open(top)) {
      if (heights_[*child] == kActive) return fail_at(*child, "contains itself");
      heights_[*child] = kActive;
      stack_.push_back({*child, 0});
    } else {
      ENGRAM_CHECK(finish(top.index));
      stack_.pop_back();
    }
  }
  return {};
}

Result<void> NestingChecker::finish(std::uint32_t index) {
  const btf_type type = record(index);
  const std::uint32_t kind = kind_of(type.info);
  if (is_struct_or_union(kind)) return finish_structure(index, type);
  TypeId inner = type.type;
  std::uint64_t count = 1;
  if (kind == BTF_KIND_ARRAY) {
    const auto array = body<btf_array>(index);
    inner = array.type;
    count = array.nelems;
  }
  if (height(inner) >= kNestingLimit) {
    return fail_at(index, "nested deeper than {} levels", kNestingLimit);
  }
  heights_[index] = static_cast<std::uint8_t>(height(inner) + 1);
  if (size(inner) != kNoSize) {
    sizes_[index] = checked_multiply(size(inner), count).value_or(kNoSize);
  }
  return {};
}

Result<void> NestingChecker::finish_structure(std::uint32_t index, const btf_type& type) {
  const std::uint64_t most = std::uint64_t{type.size} * 8;
  std::uint8_t highest = 0;
  for (std::uint32_t i = 0; i < count_of(type.info); ++i) {
    const auto member = body<btf_member>(index, i);
    highest = std::max(highest, height(member.type));
    const std::uint32_t offset =
        kind_flag_of(type.info) ? BTF_MEMBER_BIT_OFFSET(member.offset) : member.offset;
    std::uint64_t bits = bits_of(type, member);
    if (offset + bits > most && !kind_flag_of(type.info)) bits = old_bit_field(member.type, bits);
    if (bits > most || offset > most - bits) {
      return fail_at(index, "member {} takes {} bits from bit {}, expected within its {} bytes", i,
                     bits, offset, type.size);
    }
  }
  if (highest >= kNestingLimit) {
    return fail_at(index, "nested deeper than {} levels", kNestingLimit);
  }
  heights_[index] = static_cast<std::uint8_t>(highest + 1);
  return {};
}

std::uint64_t NestingChecker::bits_of(const btf_type& structure, const btf_member& member) const {
  if (kind_flag_of(structure.info) && BTF_MEMBER_BITFIELD_SIZE(member.offset) != 0) {
    return BTF_MEMBER_BITFIELD_SIZE(member.offset);
  }
  const std::uint64_t bytes = size(member.type);
  if (bytes == kNoSize) return 0;
  return checked_multiply(bytes, std::uint64_t{8}).value_or(kNoSize);
}

std::uint64_t NestingChecker::old_bit_field(TypeId type, std::uint64_t bits) const {
  while (own(type)) {
    const std::uint32_t index = type - base_.type_count;
    const btf_type found = record(index);
    if (kind_of(found.info) == BTF_KIND_INT) {
      const auto encoding = body<std::uint32_t>(index);
      return BTF_INT_OFFSET(encoding) + BTF_INT_BITS(encoding);
    }
    if (!stands_for_another(kind_of(found.info))) break;
    type = found.type;
  }
  return bits;
}

/// The types that lead from one to the next without a structure or function between.
Result<void> NestingChecker::follow_pointer(std::uint32_t index) const {
  TypeId at = base_.type_count + index;
  for (std::uint32_t step = 0; step < kNestingLimit; ++step) {
    if (!own(at)) return {};
    const std::uint32_t i = at - base_.type_count;
    const btf_type type = record(i);
    const std::uint32_t kind = kind_of(type.info);
    if (kind == BTF_KIND_ARRAY) {
      at = body<btf_array>(i).type;
    } else if (kind == BTF_KIND_PTR || stands_for_another(kind)) {
      at = type.type;
    } else {
      return {};
    }
  }
  return fail_at(index, "leads over more than {} pointers, arrays, typedefs and modifiers",
                 kNestingLimit);
}

}  // namespace

Result<void> check_nesting(const Sections& sections, const Base& base, const Checked& checked) {
  return NestingChecker(sections, base, checked).run();
}

}  // namespace engram::types::btf
