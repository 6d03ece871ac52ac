// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "types/pdb_types.h"

#include <array>
#include <optional>
#include <string_view>
#include <unordered_map>

#include "types/btf_writer.h"
#include "types/pdb_layout.h"
#include "types/pdb_reader.h"

namespace engram::types::pdb {
namespace {

using btf::WrittenEnumerator;
using btf::WrittenMember;

constexpr std::size_t kMostRecords = 1U << 19U;  // BTF has room for twice as many
constexpr std::size_t kMostMembers = 1U << 22U;  // of all types: many may have one list
constexpr unsigned kMostContinued = 1024;        // lists of members that one goes on in
constexpr unsigned kDeepest = 64;
// Where BTF has no more bits for the offset of a member.
constexpr std::uint64_t kOffsetEnd = 1ULL << 32U, kOffsetEndWithBits = 1ULL << 24U;

/// A type that has no record: its number says what it is.
struct Simple {
  std::uint32_t number;
  std::string_view name;
  std::uint32_t size;
};
constexpr std::array kSimple{
    Simple{0x10, "signed char", 1},
    Simple{0x20, "unsigned char", 1},
    Simple{0x70, "char", 1},
    Simple{0x7C, "char8_t", 1},
    Simple{0x68, "int8_t", 1},
    Simple{0x69, "uint8_t", 1},
    Simple{0x30, "bool", 1},
    Simple{0x11, "short", 2},
    Simple{0x21, "unsigned short", 2},
    Simple{0x71, "wchar_t", 2},
    Simple{0x7A, "char16_t", 2},
    Simple{0x72, "int16_t", 2},
    Simple{0x73, "uint16_t", 2},
    Simple{0x31, "bool16", 2},
    Simple{0x12, "long", 4},
    Simple{0x22, "unsigned long", 4},
    Simple{0x74, "int", 4},
    Simple{0x75, "unsigned int", 4},
    Simple{0x7B, "char32_t", 4},
    Simple{0x08, "HRESULT", 4},
    Simple{0x32, "bool32", 4},
    Simple{0x40, "float", 4},
    Simple{0x13, "long long", 8},
    Simple{0x23, "unsigned long long", 8},
    Simple{0x76, "int64_t", 8},
    Simple{0x77, "uint64_t", 8},
    Simple{0x33, "bool64", 8},
    Simple{0x41, "double", 8},
    Simple{0x14, "__int128", 16},
    Simple{0x24, "unsigned __int128", 16},
    Simple{0x78, "int128_t", 16},
    Simple{0x79, "uint128_t", 16},
};
// Pointers to such types, by bits 8 to 11 of their number.
constexpr std::uint32_t kModeMask = 0xF00, kPointer64 = 0x600, kDirect = 0;
// What is written before the types of the stream, from number 1 on: kSimple, a pointer to
// something, and a pointer of 32 bits as the integer that it is.
constexpr TypeId kVoidPointer = kSimple.size() + 1, kShortPointer = kSimple.size() + 2;
constexpr TypeId kFirstWritten = kSimple.size() + 3;

struct Record {
  std::uint16_t kind = 0;
  Bytes body;
};

/// A structure, union or enumeration.
struct Composite {
  std::uint16_t kind = 0;
  bool is_forward = false;
  std::uint32_t list = 0;        ///< its members
  std::uint32_t underlying = 0;  ///< of an enumeration
  std::uint64_t size = 0;        ///< bytes; 0 for an enumeration
  std::string_view name;
};

std::optional<Composite> composite_of(const Record& record) {
  const bool is_new = record.kind == kNewClass || record.kind == kNewStructure;
  if (!is_new && (record.kind < kClass || record.kind > kEnum)) return std::nullopt;
  const bool has_bases = is_new || record.kind == kClass || record.kind == kStructure;
  Reader reader(record.body);
  Composite found;
  found.kind = record.kind;
  if (!is_new) reader.skip(2);  // the number of members
  found.is_forward = (reader.take<std::uint16_t>() & kIsForward) != 0;
  if (is_new) reader.skip(2);  // further properties
  if (record.kind == kEnum) found.underlying = reader.take<std::uint32_t>();
  found.list = reader.take<std::uint32_t>();
  if (has_bases) reader.skip(8);      // the list of bases, the virtual table
  if (is_new) (void)reader.number();  // the number of members
  if (record.kind != kEnum) found.size = reader.number();
  found.name = reader.text();
  return reader.failed() ? std::nullopt : std::optional(found);
}

/// A part of a list of members.
struct Part {
  std::uint16_t kind = 0;
  std::uint32_t type = 0;    ///< or the list in which this one goes on
  std::uint64_t number = 0;  ///< offset in bytes, or the value of an enumerator
  std::string_view name;
};

/// Nothing if it is cut, or of a kind whose length is not known.
std::optional<Part> next_part(Reader& reader) {
  constexpr unsigned kIntroducing = 4, kPureIntroducing = 6;
  Part part;
  part.kind = reader.take<std::uint16_t>();
  const auto attributes = reader.take<std::uint16_t>();
  switch (part.kind) {
    case kMember:
    case kBaseClass:
      part.type = reader.take<std::uint32_t>();
      part.number = reader.number();
      if (part.kind == kMember) part.name = reader.text();
      break;
    case kEnumerate:
      part.number = reader.number();
      part.name = reader.text();
      break;
    case kVirtualBase:
    case kIndirectBase:
      reader.skip(8);
      (void)reader.number();
      (void)reader.number();
      break;
    case kIndex:
    case kVirtualTable:
      part.type = reader.take<std::uint32_t>();
      break;
    case kStaticMember:
    case kMethod:
    case kNestedType:
      reader.skip(4);
      (void)reader.text();
      break;
    case kOneMethod: {
      const unsigned property = attributes >> 2U & 7U;
      reader.skip(property == kIntroducing || property == kPureIntroducing ? 8 : 4);
      (void)reader.text();
      break;
    }
    default:
      return std::nullopt;
  }
  reader.skip_padding();
  return reader.failed() ? std::nullopt : std::optional(part);
}

class Converter {
 public:
  Result<btf::Converted> run(Bytes stream) {
    ENGRAM_CHECK(find_records(stream));
    for (std::uint32_t i = 0; i < records_.size(); ++i) {
      const auto found = composite_of(records_[i]);
      if (found && !found->is_forward && !found->name.empty())
        definitions_.try_emplace(found->name, i);
    }
    for (const Simple& simple : kSimple) writer_.integer(simple.name, simple.size);
    writer_.pointer(0);
    writer_.integer("pointer32", 4);
    for (std::uint32_t i = 0; i < records_.size(); ++i) ENGRAM_CHECK(write(i));
    converted_.btf = writer_.bytes();
    return std::move(converted_);
  }

 private:
  Result<void> find_records(Bytes stream);
  Result<void> write(std::uint32_t index);
  Result<void> write_composite(std::uint32_t index, const Composite& composite);
  Result<void> write_enumeration(const Composite& composite, const std::vector<Part>& parts);
  void write_array(const Record& record);
  Result<std::vector<Part>> parts_of(std::uint32_t index, std::uint32_t list);
  [[nodiscard]] std::optional<WrittenMember> member_of(const Part& part, const Composite& in) const;
  /// The record of a type; a declaration is that of its definition.
  [[nodiscard]] const Record* record_of(std::uint32_t type) const;
  [[nodiscard]] TypeId reference(std::uint32_t type) const;
  [[nodiscard]] std::optional<std::uint64_t> size_of(std::uint32_t type, unsigned depth = 0) const;
  [[nodiscard]] std::optional<std::uint32_t> index_of(std::uint32_t type) const;

  std::vector<Record> records_;
  std::unordered_map<std::string_view, std::uint32_t> definitions_;
  btf::Writer writer_;
  btf::Converted converted_;
  std::size_t members_ = 0, name_bytes_ = 0;
};

Result<void> Converter::find_records(Bytes stream) {
  const auto header = load<TypeHeader>(stream, 0);
  const auto records =
      header ? slice(stream, header->header_size, header->record_bytes) : std::nullopt;
  if (!records || header->first_type != kFirstRecordType) {
    return fail("pdb: types: a stream of {} bytes without a header of types", stream.size());
  }
  for (std::size_t at = 0; at < records->size();) {
    const auto length = load<std::uint16_t>(*records, at);
    const auto body = length ? slice(*records, at + 2, *length) : std::nullopt;
    if (!body || *length < 2 || records_.size() == kMostRecords) {
      return fail(
          "pdb: types: type {:#x} at {:#x}: it does not lie in the stream, or is one of "
          "more than {}",
          kFirstRecordType + records_.size(), at, kMostRecords);
    }
    records_.push_back({*load<std::uint16_t>(*body, 0), body->subspan(2)});
    at += 2 + std::size_t{*length};
  }
  return {};
}

std::optional<std::uint32_t> Converter::index_of(std::uint32_t type) const {
  const std::uint32_t index = type - kFirstRecordType;
  if (type < kFirstRecordType || index >= records_.size()) return std::nullopt;
  const auto composite = composite_of(records_[index]);
  if (!composite || !composite->is_forward) return index;
  const auto definition = definitions_.find(composite->name);
  return definition == definitions_.end() ? index : definition->second;
}

const Record* Converter::record_of(std::uint32_t type) const {
  const auto index = index_of(type);
  return index ? &records_[*index] : nullptr;
}

/// Void for what is not known.
TypeId Converter::reference(std::uint32_t type) const {
  if (const auto index = index_of(type)) return kFirstWritten + *index;
  if (type >= kFirstRecordType) return 0;
  const std::uint32_t mode = type & kModeMask;
  if (mode != kDirect) return mode == kPointer64 ? kVoidPointer : kShortPointer;
  for (TypeId i = 0; i < kSimple.size(); ++i) {
    if (kSimple[i].number == type) return i + 1;
  }
  return 0;
}

/// Bytes of a pointer, from its attributes.
std::uint32_t pointer_size(const Record& record) {
  return load<std::uint32_t>(record.body, 4).value_or(0) >> 13U & 0x3FU;
}

std::optional<std::uint64_t> Converter::size_of(std::uint32_t type, unsigned depth) const {
  if (depth == kDeepest) return std::nullopt;
  if (type < kFirstRecordType) {
    const TypeId simple = reference(type);
    if (simple == 0) return std::nullopt;
    if (simple == kVoidPointer) return 8;
    return simple == kShortPointer ? 4 : kSimple[simple - 1].size;
  }
  const Record* record = record_of(type);
  if (record == nullptr) return std::nullopt;
  Reader reader(record->body);
  switch (record->kind) {
    case kModifier:
      return size_of(reader.take<std::uint32_t>(), depth + 1);
    case kPointer:
      return pointer_size(*record);
    case kArray: {
      reader.skip(8);
      const std::uint64_t size = reader.number();
      return reader.failed() ? std::nullopt : std::optional(size);
    }
    default: {
      const auto composite = composite_of(*record);
      if (!composite || composite->is_forward) return std::nullopt;
      if (composite->kind == kEnum) return size_of(composite->underlying, depth + 1);
      return composite->size;
    }
  }
}

/// All parts of a list, with those of the lists in which it goes on.
Result<std::vector<Part>> Converter::parts_of(std::uint32_t index, std::uint32_t list) {
  std::vector<Part> parts;
  for (unsigned continued = 0; list != 0; ++continued) {
    const Record* record = record_of(list);
    if (record == nullptr || record->kind != kFieldList || continued == kMostContinued) {
      return fail("pdb: types: type {:#x}: its members should be in type {:#x}, which has none",
                  kFirstRecordType + index, list);
    }
    Reader reader(record->body);
    list = 0;
    while (!reader.at_end()) {
      const auto part = next_part(reader);
      if (++members_ > kMostMembers) {
        return fail("pdb: types: more than {} members in all", kMostMembers);
      }
      name_bytes_ += part ? part->name.size() : 0;  // they are written once a use
      if (name_bytes_ > btf::kBlobLimit) {
        return fail("pdb: types: names of members of more than {} bytes", btf::kBlobLimit);
      }
      if (!part) {
        return fail("pdb: types: type {:#x}: member {} is cut or of a kind that is not known",
                    kFirstRecordType + index, parts.size());
      }
      if (part->kind == kIndex) {
        list = part->type;
      } else {
        parts.push_back(*part);
      }
    }
  }
  return parts;
}

std::string_view short_enough(std::string_view name) {
  return name.size() > btf::kNameLimit ? std::string_view() : name;
}

std::optional<WrittenMember> Converter::member_of(const Part& part, const Composite& in) const {
  if (part.kind != kMember && part.kind != kBaseClass) return std::nullopt;
  std::uint32_t type = part.type;
  std::uint64_t first_bit = 0, bits = 0;
  const Record* record = record_of(type);
  if (record != nullptr && record->kind == kBitField) {
    Reader reader(record->body);
    type = reader.take<std::uint32_t>();
    bits = reader.take<std::uint8_t>();
    first_bit = reader.take<std::uint8_t>();
    if (reader.failed() || bits == 0) return std::nullopt;
  }
  const std::uint64_t width = bits != 0 ? bits : size_of(type).value_or(0) * 8;
  if (part.number > in.size || part.number * 8 + first_bit + width > in.size * 8)
    return std::nullopt;
  return WrittenMember{short_enough(part.name), reference(type),
                       static_cast<std::uint32_t>(part.number * 8 + first_bit),
                       static_cast<std::uint32_t>(bits)};
}

Result<void> Converter::write_composite(std::uint32_t index, const Composite& composite) {
  const std::string_view name = short_enough(composite.name);
  if (composite.is_forward) {
    writer_.add(BTF_KIND_FWD, name, 0);
    return {};
  }
  ENGRAM_TRY(const auto parts, parts_of(index, composite.list));
  if (composite.kind == kEnum) return write_enumeration(composite, parts);
  std::vector<WrittenMember> members;
  bool has_bits = false;
  for (const Part& part : parts) {
    const auto member = member_of(part, composite);
    if (!member) continue;
    members.push_back(*member);
    has_bits |= member->bit_size != 0;
  }
  if (composite.size > (has_bits ? kOffsetEndWithBits : kOffsetEnd) / 8) {
    writer_.add(BTF_KIND_FWD, name, 0);
    converted_.note_too_large(name, composite.size);
    return {};
  }
  writer_.composite(composite.kind == kUnion ? BTF_KIND_UNION : BTF_KIND_STRUCT, name,
                    static_cast<std::uint32_t>(composite.size), members);
  return {};
}

Result<void> Converter::write_enumeration(const Composite& composite,
                                          const std::vector<Part>& parts) {
  std::vector<WrittenEnumerator> values;
  for (const Part& part : parts) {
    if (part.kind == kEnumerate) values.push_back({short_enough(part.name), part.number});
  }
  const auto size = size_of(composite.underlying);
  const std::string_view name = short_enough(composite.name);
  if (size && *size == 8) {
    writer_.enumeration64(name, true, values);
  } else {
    const bool is_known = size && (*size == 1 || *size == 2 || *size == 4);
    writer_.enumeration(name, is_known ? static_cast<std::uint32_t>(*size) : 4, true, values);
  }
  return {};
}

void Converter::write_array(const Record& record) {
  Reader reader(record.body);
  const auto element = reader.take<std::uint32_t>();
  reader.skip(4);  // the type of its index
  const std::uint64_t bytes = reader.number();
  const std::uint64_t size = size_of(element).value_or(0);
  const std::uint64_t count = reader.failed() || size == 0 ? 0 : bytes / size;
  const bool fits = count <= 0xFFFF'FFFF;
  writer_.array(reference(element), fits ? static_cast<std::uint32_t>(count) : 0);
}

/// One type for each record, so that their numbers are known before.
Result<void> Converter::write(std::uint32_t index) {
  const Record& record = records_[index];
  if (const auto composite = composite_of(record)) return write_composite(index, *composite);
  const auto target = load<std::uint32_t>(record.body, 0).value_or(0);
  if (record.kind == kPointer && pointer_size(record) == btf::kPointerSize) {
    writer_.pointer(reference(target));
  } else if (record.kind == kPointer && pointer_size(record) == 4) {
    writer_.integer("pointer32", 4);
  } else if (record.kind == kModifier) {
    writer_.add(BTF_KIND_CONST, "", reference(target));
  } else if (record.kind == kArray) {
    write_array(record);
  } else {
    writer_.add(BTF_KIND_FWD, "", 0);
  }
  return {};
}

}  // namespace

Result<btf::Converted> types_as_btf(Bytes stream) {
  return Converter().run(stream);
}

}  // namespace engram::types::pdb
