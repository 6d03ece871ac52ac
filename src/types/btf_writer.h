// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// Writes BTF: how types of other sources become a TypeDb, and what tests are made of.

#include <fmt/core.h>
#include <linux/btf.h>

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "types/btf_layout.h"
#include "types/type_db.h"

namespace engram::types::btf {

struct WrittenMember {
  std::string_view name;
  TypeId type = 0;
  std::uint32_t bit_offset = 0;
  std::uint32_t bit_size = 0;
};

struct WrittenEnumerator {
  std::string_view name;
  std::uint64_t value = 0;
};

/// Types that were written from another format, and what was left out of them, in words.
struct Converted {
  static constexpr std::size_t kMostNotes = 16;

  std::vector<std::byte> btf;
  std::vector<std::string> notes;

  /// A structure of which BTF cannot say where its members are, and only the name is kept.
  void note_too_large(std::string_view name, std::uint64_t size) {
    if (notes.size() == kMostNotes) return;
    notes.push_back(fmt::format(
        "structure {} has {} bytes, too many for BTF: only its name is kept", name, size));
  }
};

/// Writes records one after the other; each call returns the number of the type that it wrote.
class Writer {
 public:
  using Words = std::vector<std::uint32_t>;

  Writer() : strings_(1, '\0') {}
  /// Continues a kernel's BTF as that of a module does.
  Writer(TypeId first_type, std::uint32_t first_string)
      : first_type_(first_type), next_type_(first_type), first_string_(first_string) {}

  [[nodiscard]] TypeId next() const { return next_type_; }
  [[nodiscard]] std::uint32_t string_length() const {
    return first_string_ + static_cast<std::uint32_t>(strings_.size());
  }
  /// Where the record of a type begins in bytes(), under a header of 24 bytes.
  [[nodiscard]] std::size_t offset_of(TypeId type) const {
    return sizeof(Header) + starts_[type - first_type_];
  }

  std::uint32_t string(std::string_view text) {
    if (text.empty()) return 0;
    const std::uint32_t offset = string_length();
    strings_.insert(strings_.end(), text.begin(), text.end());
    strings_.push_back('\0');
    return offset;
  }

  /// Any record: `body` follows its first twelve bytes.
  TypeId add(std::uint32_t kind, std::string_view name, std::uint32_t size_or_type,
             std::uint32_t count = 0, bool kind_flag = false, const Words& body = {}) {
    starts_.push_back(types_.size());
    put(string(name));
    put((kind_flag ? 1U << 31U : 0) | kind << 24U | count);
    put(size_or_type);
    for (const std::uint32_t word : body) put(word);
    return next_type_++;
  }

  TypeId integer(std::string_view name, std::uint32_t size, std::uint32_t bits = 0,
                 std::uint32_t bit_offset = 0) {
    return add(BTF_KIND_INT, name, size, 0, false,
               {bit_offset << 16U | (bits != 0 ? bits : size * 8)});
  }
  TypeId pointer(TypeId target) { return add(BTF_KIND_PTR, "", target); }
  TypeId array(TypeId element, std::uint32_t count) {
    return add(BTF_KIND_ARRAY, "", 0, 0, false, {element, 1, count});
  }
  /// BTF_KIND_STRUCT or BTF_KIND_UNION, with bit sizes in the members as kernel 5.0 and later write
  /// them.
  TypeId composite(std::uint32_t kind, std::string_view name, std::uint32_t size,
                   const std::vector<WrittenMember>& members) {
    Words body;
    bool bit_fields = false;
    for (const WrittenMember& member : members) bit_fields |= member.bit_size != 0;
    for (const WrittenMember& member : members) {
      body.insert(body.end(),
                  {string(member.name), member.type, member.bit_size << 24U | member.bit_offset});
    }
    return add(kind, name, size, static_cast<std::uint32_t>(members.size()), bit_fields, body);
  }
  TypeId structure(std::string_view name, std::uint32_t size,
                   const std::vector<WrittenMember>& members) {
    return composite(BTF_KIND_STRUCT, name, size, members);
  }
  TypeId union_type(std::string_view name, std::uint32_t size,
                    const std::vector<WrittenMember>& members) {
    return composite(BTF_KIND_UNION, name, size, members);
  }
  TypeId enumeration(std::string_view name, std::uint32_t size, bool is_signed,
                     const std::vector<WrittenEnumerator>& enumerators) {
    Words body;
    for (const WrittenEnumerator& one : enumerators) {
      body.insert(body.end(), {string(one.name), static_cast<std::uint32_t>(one.value)});
    }
    return add(BTF_KIND_ENUM, name, size, static_cast<std::uint32_t>(enumerators.size()), is_signed,
               body);
  }
  TypeId enumeration64(std::string_view name, bool is_signed,
                       const std::vector<WrittenEnumerator>& enumerators) {
    Words body;
    for (const WrittenEnumerator& one : enumerators) {
      body.insert(body.end(), {string(one.name), static_cast<std::uint32_t>(one.value),
                               static_cast<std::uint32_t>(one.value >> 32U)});
    }
    return add(BTF_KIND_ENUM64, name, 8, static_cast<std::uint32_t>(enumerators.size()), is_signed,
               body);
  }

  /// The blob. `layout` is the layout section of kernel 7.1; a header of 32 bytes and more names
  /// it.
  [[nodiscard]] std::vector<std::byte> bytes(std::uint32_t header_length = sizeof(Header),
                                             const std::vector<KindLayout>& layout = {}) const {
    const auto types_length = static_cast<std::uint32_t>(types_.size());
    const auto layout_length = static_cast<std::uint32_t>(layout.size() * sizeof(KindLayout));
    const Header header{.magic = kMagic,
                        .version = kVersion,
                        .flags = 0,
                        .header_length = header_length,
                        .type_offset = 0,
                        .type_length = types_length,
                        .string_offset = types_length + layout_length,
                        .string_length = static_cast<std::uint32_t>(strings_.size())};
    const LayoutHeader place{.layout_offset = types_length, .layout_length = layout_length};
    std::vector<std::byte> blob(header_length);
    std::memcpy(blob.data(), &header, sizeof header);
    if (header_length >= sizeof header + sizeof place) {
      std::memcpy(blob.data() + sizeof header, &place, sizeof place);
    }
    append(blob, types_.data(), types_.size());
    append(blob, layout.data(), layout_length);
    append(blob, strings_.data(), strings_.size());
    return blob;
  }

 private:
  void put(std::uint32_t word) { append(types_, &word, sizeof word); }
  static void append(std::vector<std::byte>& to, const void* from, std::size_t size) {
    const auto* bytes = static_cast<const std::byte*>(from);
    to.insert(to.end(), bytes, bytes + size);
  }

  std::vector<std::byte> types_;
  std::vector<char> strings_;
  std::vector<std::size_t> starts_;
  TypeId first_type_ = 1;
  TypeId next_type_ = 1;
  std::uint32_t first_string_ = 0;
};

}  // namespace engram::types::btf
