// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// A small PDB, made by hand.

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>
#include <vector>

#include "types/pdb_layout.h"

namespace engram::types::testing {

using PdbBytes = std::vector<std::byte>;

/// In line, g++ 12 warns of an overflow where there is none.
[[gnu::noinline]] inline void append(PdbBytes& to, std::span<const std::byte> from) {
  to.insert(to.end(), from.begin(), from.end());
}

template <class T>
void put(PdbBytes& to, const T& value) {
  append(to, std::as_bytes(std::span(&value, 1)));
}

inline void put_text(PdbBytes& to, std::string_view text) {
  for (const char one : text) to.push_back(static_cast<std::byte>(one));
  to.push_back(std::byte{0});
}

/// Writes type records; each call returns the number of the type.
class PdbTypes {
 public:
  std::uint32_t add(std::uint16_t kind, PdbBytes body) {
    while (body.size() % 4 != 0) body.push_back(static_cast<std::byte>(0xF4 - body.size() % 4));
    put(records_, static_cast<std::uint16_t>(body.size() + 2));
    put(records_, kind);
    append(records_, body);
    return next_++;
  }
  std::uint32_t structure(std::string_view name, std::uint16_t size, std::uint32_t list,
                          bool is_forward = false) {
    PdbBytes body;
    put(body, std::uint16_t{1});
    put(body, is_forward ? pdb::kIsForward : std::uint16_t{0});
    put(body, list);
    put(body, std::uint64_t{0});
    put(body, size);
    put_text(body, name);
    return add(pdb::kStructure, std::move(body));
  }
  std::uint32_t bit_field(std::uint32_t type, std::uint8_t count, std::uint8_t first) {
    PdbBytes body;
    put(body, type);
    put(body, count);
    put(body, first);
    return add(pdb::kBitField, std::move(body));
  }
  std::uint32_t array(std::uint32_t type, std::uint16_t bytes) {
    PdbBytes body;
    put(body, type);
    put(body, std::uint32_t{0x23});
    put(body, bytes);
    put_text(body, "");
    return add(pdb::kArray, std::move(body));
  }

  [[nodiscard]] PdbBytes stream() const {
    PdbBytes all;
    const auto size = static_cast<std::uint32_t>(records_.size());
    put(all, pdb::TypeHeader{20040203, 56, pdb::kFirstRecordType, next_, size});
    all.resize(56);
    append(all, records_);
    return all;
  }

 private:
  PdbBytes records_;
  std::uint32_t next_ = pdb::kFirstRecordType;
};

/// A part of a list of members, padded.
inline PdbBytes pdb_member(std::string_view name, std::uint32_t type, std::uint16_t offset) {
  PdbBytes part;
  put(part, std::uint16_t{pdb::kMember});
  put(part, std::uint16_t{3});
  put(part, type);
  put(part, offset);
  put_text(part, name);
  while (part.size() % 4 != 0) part.push_back(static_cast<std::byte>(0xF4 - part.size() % 4));
  return part;
}

inline PdbBytes pdb_index(std::uint32_t list) {
  PdbBytes part;
  put(part, std::uint16_t{pdb::kIndex});
  put(part, std::uint16_t{0});
  put(part, list);
  return part;
}

/// Streams in blocks of 512 bytes, each stream's last block first.
inline PdbBytes pdb_container(const std::vector<PdbBytes>& streams) {
  constexpr std::uint32_t kBlock = 512;
  PdbBytes file(3 * std::size_t{kBlock});
  const auto store = [&](const PdbBytes& data) {
    std::vector<std::uint32_t> blocks((data.size() + kBlock - 1) / kBlock);
    for (std::size_t i = blocks.size(); i-- > 0;) {
      blocks[i] = static_cast<std::uint32_t>(file.size() / kBlock);
      const auto end = std::min<std::size_t>(data.size(), (i + 1) * kBlock);
      file.insert(file.end(), data.begin() + static_cast<std::ptrdiff_t>(i * kBlock),
                  data.begin() + static_cast<std::ptrdiff_t>(end));
      file.resize((file.size() + kBlock - 1) / kBlock * kBlock);
    }
    return blocks;
  };
  PdbBytes directory, numbers;
  put(directory, static_cast<std::uint32_t>(streams.size()));
  for (const auto& stream : streams) {
    put(directory, static_cast<std::uint32_t>(stream.size()));
    for (const std::uint32_t block : store(stream)) put(numbers, block);
  }
  append(directory, numbers);
  PdbBytes map;
  for (const std::uint32_t block : store(directory)) put(map, block);
  const std::uint32_t where = store(map)[0];
  pdb::SuperBlock super{};
  std::memcpy(super.magic.data(), pdb::kMagic.data(), pdb::kMagic.size());
  super.block_size = kBlock;
  super.free_map = 1;
  super.block_count = static_cast<std::uint32_t>(file.size() / kBlock);
  super.directory_size = static_cast<std::uint32_t>(directory.size());
  super.directory_map = where;
  std::memcpy(file.data(), &super, sizeof super);
  return file;
}

inline PdbBytes pdb_info() {
  PdbBytes info;
  put(info, pdb::InfoHeader{
                20000404, 1, 7, {0x33221100, 0x5544, 0x7766, {8, 9, 10, 11, 12, 13, 14, 15}}});
  return info;
}

/// Stream 3, which leads to symbols (stream 4) and sections (stream 5).
inline PdbBytes pdb_debug(std::uint32_t age) {
  PdbBytes debug;
  pdb::DebugHeader header{};
  header.signature = -1;
  header.age = age;
  header.symbols_stream = 4;
  header.streams_size = 22;
  put(debug, header);
  for (std::size_t i = 0; i < 11; ++i) {
    put(debug, i == pdb::kSectionsIndex ? std::uint16_t{5} : pdb::kNoStream);
  }
  return debug;
}

inline PdbBytes pdb_symbol(std::uint16_t section, std::uint32_t offset, std::string_view name) {
  PdbBytes body;
  put(body, pdb::kPublic);
  put(body, pdb::SymbolRecord{0, offset, section});
  put_text(body, name);
  PdbBytes record;
  put(record, static_cast<std::uint16_t>(body.size()));
  append(record, body);
  return record;
}

/// struct node { node* next; char text[5]; unsigned low : 3, high : 5; pair inner; }, of which the
/// first two members and the others are in two lists; struct pair { long long a, b; }.
inline std::vector<PdbBytes> pdb_streams() {
  constexpr std::uint32_t kVoidPointer = 0x603, kChar = 0x70, kUnsigned = 0x75, kLong = 0x13;
  PdbTypes types;
  const auto declared = types.structure("pair", 0, 0, true);
  const auto text = types.array(kChar, 5);
  const auto low = types.bit_field(kUnsigned, 3, 0), high = types.bit_field(kUnsigned, 5, 3);
  PdbBytes rest = pdb_member("low", low, 16);
  for (const PdbBytes& part : {pdb_member("high", high, 16), pdb_member("inner", declared, 24)})
    append(rest, part);
  PdbBytes first = pdb_member("next", kVoidPointer, 0);
  for (const PdbBytes& part :
       {pdb_member("text", text, 8), pdb_index(types.add(pdb::kFieldList, rest))})
    append(first, part);
  types.structure("node", 40, types.add(pdb::kFieldList, first));
  PdbBytes pair = pdb_member("a", kLong, 0);
  const PdbBytes second = pdb_member("b", kLong, 8);
  append(pair, second);
  types.structure("pair", 16, types.add(pdb::kFieldList, pair));

  PdbBytes symbols = pdb_symbol(2, 0x34, "variable");
  const PdbBytes lost = pdb_symbol(9, 0, "lost");
  append(symbols, lost);
  PdbBytes sections;
  put(sections, pdb::Section{{}, 0x1000, 0x1000, {}});
  put(sections, pdb::Section{{}, 0x1000, 0x5000, {}});
  return {{}, pdb_info(), types.stream(), pdb_debug(2), symbols, sections};
}

}  // namespace engram::types::testing
