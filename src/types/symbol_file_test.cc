// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "types/symbol_file.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "base/test_file.h"
#include "types/isf_file.h"
#include "types/pdb_file.h"
#include "types/test_pdb.h"

namespace engram::types {
namespace {

using namespace testing;

void expect_node(const TypeDb& types) {
  EXPECT_EQ(types.size_of(types.find_struct("node").value_or(0)), 40);
  const auto text = types.find_member("node", "text");
  ASSERT_TRUE(text);
  EXPECT_EQ(text->byte_offset(), 8);
  EXPECT_EQ(types.size_of(text->type), 5);
  const auto high = types.find_member("node", "high");
  ASSERT_TRUE(high);
  EXPECT_EQ(high->bit_offset, 16 * 8 + 3);
  EXPECT_EQ(high->bit_size, 5);
  const auto inner = types.find_member("node", "inner.b");
  ASSERT_TRUE(inner);
  EXPECT_EQ(inner->byte_offset(), 32);
  EXPECT_EQ(types.size_of(inner->type), 8);
  const auto next = types.find_member("node", "next");
  ASSERT_TRUE(next);
  EXPECT_EQ(types.size_of(next->type), 8);
}

TEST(PdbFileTest, TypesSymbolsAndIdentityAreRead) {
  const auto file = read_pdb(pdb_container(pdb_streams()));
  ASSERT_TRUE(file) << file.error().text;
  ASSERT_TRUE(file->pdb);
  EXPECT_EQ(file->pdb->key(), "332211005544776608090A0B0C0D0E0F2");
  EXPECT_EQ(file->addresses.size(), 1);
  EXPECT_EQ(file->addresses.at("variable"), 0x5034);
  const auto types = file->types();
  ASSERT_TRUE(types) << types.error().text;
  expect_node(*types);
}

TEST(PdbFileTest, WithoutTheStreamOfModulesTheAgeIsThatOfTheFile) {
  auto streams = pdb_streams();
  streams[3].clear();
  const auto file = read_pdb(pdb_container(streams));
  ASSERT_TRUE(file) << file.error().text;
  EXPECT_EQ(file->pdb->age, 7);
  EXPECT_TRUE(file->addresses.empty());
}

TEST(PdbFileTest, MovedSymbolsAreFollowed) {
  auto streams = pdb_streams();
  streams[3] = pdb_debug(2);
  const auto set = [&](std::size_t index, std::uint16_t stream) {
    std::memcpy(streams[3].data() + sizeof(pdb::DebugHeader) + index * 2, &stream, sizeof stream);
  };
  set(pdb::kFromSourceIndex, 6);
  set(pdb::kOriginalSectionsIndex, 5);
  PdbBytes moved;
  put(moved, pdb::Moved{0x5000, 0x9000});
  put(moved, pdb::Moved{0x5040, 0});
  streams.push_back(moved);
  for (const PdbBytes& symbol : {pdb_symbol(2, 0x44, "gone"), pdb_symbol(1, 0, "before")})
    streams[4].insert(streams[4].end(), symbol.begin(), symbol.end());
  const auto file = read_pdb(pdb_container(streams));
  ASSERT_TRUE(file) << file.error().text;
  EXPECT_EQ(file->addresses.at("variable"), 0x9034);
  EXPECT_EQ(file->addresses.size(), 1);
}

TEST(PdbFileTest, NumbersOfAllWidths) {
  PdbTypes types;
  PdbBytes part;
  put(part, std::uint16_t{pdb::kMember});
  put(part, std::uint16_t{3});
  put(part, std::uint32_t{0x20});
  put(part, std::uint16_t{pdb::kULong});
  put(part, std::uint32_t{0x1'2345});
  put_text(part, "far");
  const auto list = types.add(pdb::kFieldList, part);
  PdbBytes body;
  put(body, std::uint16_t{1});
  put(body, std::uint16_t{0});
  put(body, list);
  put(body, std::uint64_t{0});
  put(body, std::uint16_t{pdb::kUQuad});
  put(body, std::uint64_t{0x2'0000});
  put_text(body, "large");
  types.add(pdb::kStructure, body);
  auto streams = pdb_streams();
  streams[2] = types.stream();
  const auto file = read_pdb(pdb_container(streams));
  ASSERT_TRUE(file) << file.error().text;
  const auto db = file->types();
  ASSERT_TRUE(db) << db.error().text;
  EXPECT_EQ(db->find_member("large", "far")->byte_offset(), 0x1'2345);
}

TEST(PdbFileTest, AStructureSinceVisualStudio2019) {
  PdbTypes types;
  const auto list = types.add(pdb::kFieldList, pdb_member("a", 0x75, 4));
  PdbBytes body;
  put(body, std::uint32_t{0});
  put(body, list);
  put(body, std::uint64_t{0});
  put(body, std::uint16_t{1});
  put(body, std::uint16_t{8});
  put_text(body, "late");
  types.add(pdb::kNewStructure, body);
  auto streams = pdb_streams();
  streams[2] = types.stream();
  const auto file = read_pdb(pdb_container(streams));
  ASSERT_TRUE(file) << file.error().text;
  EXPECT_EQ(file->types()->find_member("late", "a")->byte_offset(), 4);
}

TEST(PdbFileTest, WhatDoesNotFitIsLeftOutOrRefused) {
  PdbTypes types;
  types.structure("small", 4, types.add(pdb::kFieldList, pdb_member("behind", 0x13, 0)));
  auto streams = pdb_streams();
  streams[2] = types.stream();
  const auto file = read_pdb(pdb_container(streams));
  ASSERT_TRUE(file) << file.error().text;
  EXPECT_FALSE(file->types()->find_member("small", "behind"));

  PdbTypes endless;
  endless.structure("endless", 4, endless.add(pdb::kFieldList, pdb_index(0x1000)));
  streams[2] = endless.stream();
  EXPECT_FALSE(read_pdb(pdb_container(streams)));

  // A few kilobytes that would be gigabytes: many structures with one long list.
  PdbTypes shared;
  PdbBytes list;
  for (int i = 0; i < 3000; ++i) append(list, pdb_member("a", 0x20, 0));
  const auto number = shared.add(pdb::kFieldList, list);
  for (int i = 0; i < 2000; ++i) shared.structure("s" + std::to_string(i), 4, number);
  streams[2] = shared.stream();
  const auto many = read_pdb(pdb_container(streams));
  ASSERT_FALSE(many);
  EXPECT_NE(many.error().text.find("members in all"), std::string::npos) << many.error().text;

  PdbTypes named;
  const auto long_name = named.add(pdb::kFieldList, pdb_member(std::string(4000, 'n'), 0x20, 0));
  for (int i = 0; i < 20'000; ++i) named.structure("s" + std::to_string(i), 4, long_name);
  streams[2] = named.stream();
  const auto names = read_pdb(pdb_container(streams));
  ASSERT_FALSE(names);
  EXPECT_NE(names.error().text.find("names of members"), std::string::npos) << names.error().text;

  // 2^61 + 8 bytes have as many bits as 8 bytes in 64 bits.
  PdbTypes huge;
  const auto member = huge.add(pdb::kFieldList, pdb_member("a", 0x75, 0));
  PdbBytes body;
  put(body, std::uint16_t{1});
  put(body, std::uint16_t{0});
  put(body, member);
  put(body, std::uint64_t{0});
  put(body, std::uint16_t{0x800A});  // LF_UQUADWORD
  put(body, (std::uint64_t{1} << 61U) + 8);
  put_text(body, "huge");
  huge.add(pdb::kStructure, body);
  streams[2] = huge.stream();
  const auto sized = read_pdb(pdb_container(streams));
  ASSERT_TRUE(sized) << sized.error().text;
  ASSERT_EQ(sized->notes.size(), 1U);
  EXPECT_NE(sized->notes[0].find("huge has 2305843009213693960 bytes"), std::string::npos)
      << sized->notes[0];
  EXPECT_FALSE(sized->types()->find_struct("huge"));

  PdbTypes cut;
  PdbBytes part = pdb_member("a", 0x75, 0);
  part.resize(6);
  cut.structure("cut", 4, cut.add(pdb::kFieldList, part));
  streams[2] = cut.stream();
  const auto refused = read_pdb(pdb_container(streams));
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().text.find("type 0x1001: member 0 is cut"), std::string::npos)
      << refused.error().text;
}

TEST(PdbFileTest, ContainersThatAreDamaged) {
  const PdbBytes whole = pdb_container(pdb_streams());
  const auto with = [&](std::size_t offset, std::uint32_t value) {
    PdbBytes bytes = whole;
    std::memcpy(bytes.data() + offset, &value, sizeof value);
    const auto file = read_pdb(bytes);
    return file ? std::string("read") : file.error().text;
  };
  EXPECT_NE(with(32, 300).find("blocks of 300 bytes"), std::string::npos);
  EXPECT_NE(with(44, 0xFFFF'FFFF).find("a directory of 4294967295 bytes"), std::string::npos);
  EXPECT_NE(with(52, 0x00FF'FFFF).find("does not lie in the file"), std::string::npos);
  EXPECT_EQ(with(40, 0), "read");          // the number of blocks is not used
  constexpr std::size_t kLastBlock = 512;  // of which four bytes are used
  for (std::size_t size = 0; size <= whole.size() - kLastBlock; size += 100) {
    EXPECT_FALSE(read_pdb(Bytes(whole).first(size))) << size;
  }
}

constexpr std::string_view kIsf = R"({"metadata": {"windows": {"pdb":
  {"GUID": "332211005544776608090a0b0c0d0e0f", "age": 2, "database": "a.pdb"}}},
 "base_types": {"char": {"kind": "char", "size": 1}, "unsigned int": {"kind": "int", "size": 4},
   "long long": {"kind": "int", "size": 8}, "void": {"kind": "void", "size": 0},
   "pointer": {"kind": "int", "size": 8}},
 "enums": {"color": {"base": "unsigned int", "size": 4, "constants": {"RED": 1, "NONE": -1}}},
 "user_types": {
   "node": {"kind": "struct", "size": 40, "fields": {
     "high": {"offset": 16, "type": {"kind": "bitfield", "bit_length": 5, "bit_position": 3,
                                     "type": {"kind": "base", "name": "unsigned int"}}},
     "inner": {"offset": 24, "type": {"kind": "struct", "name": "pair"}},
     "next": {"offset": 0, "type": {"kind": "pointer", "subtype": {"kind": "struct", "name": "node"}}},
     "behind": {"offset": 40, "type": {"kind": "base", "name": "char"}},
     "strange": {"offset": 0, "type": {"kind": "tree", "name": "char"}},
     "color": {"offset": 20, "type": {"kind": "enum", "name": "color"}},
     "unnamed_1": {"offset": 16, "anonymous": true, "type": {"kind": "union", "name": "both"}},
     "text": {"offset": 8, "type": {"kind": "array", "count": 5,
                                    "subtype": {"kind": "base", "name": "char"}}}}},
   "both": {"kind": "union", "size": 4, "fields": {
     "whole": {"offset": 0, "type": {"kind": "base", "name": "unsigned int"}}}},
   "pair": {"kind": "struct", "size": 16, "fields": {
     "a": {"offset": 0, "type": {"kind": "base", "name": "long long"}},
     "b": {"offset": 8, "type": {"kind": "base", "name": "long long"}}}}},
 "symbols": {"variable": {"address": 20532},
   "linux_banner": {"address": 1, "constant_data": "TGludXggdmVyc2lvbiA2LjEKAA=="}}})";

std::vector<std::byte> bytes_of(std::string_view text) {
  const auto bytes = std::as_bytes(std::span(text));
  return {bytes.begin(), bytes.end()};
}

TEST(IsfFileTest, TypesSymbolsAndIdentityAreRead) {
  const auto file = read_isf(bytes_of(kIsf));
  ASSERT_TRUE(file) << file.error().text;
  EXPECT_EQ(file->pdb->key(), "332211005544776608090A0B0C0D0E0F2");
  EXPECT_EQ(file->pdb->name, "a.pdb");
  EXPECT_EQ(file->banner, "Linux version 6.1");
  EXPECT_EQ(file->addresses.at("variable"), 20532);
  const auto types = file->types();
  ASSERT_TRUE(types) << types.error().text;
  expect_node(*types);
  EXPECT_EQ(types->find_member("node", "whole")->byte_offset(), 16);
  EXPECT_FALSE(types->find_member("node", "behind"));
  EXPECT_FALSE(types->find_member("node", "strange"));
  const auto color = types->find("color", Kind::enumeration);
  ASSERT_TRUE(color);
  EXPECT_EQ(types->enumerators(*color)[1].value, -1);
}

TEST(IsfFileTest, WhatIsNoIsfIsAnError) {
  const auto error = [](std::string_view text) {
    const auto file = read_isf(bytes_of(text));
    return file ? std::string() : file.error().text;
  };
  EXPECT_NE(error("{\"a\": ").find("no JSON at offset 0x6"), std::string::npos);
  EXPECT_NE(error("{}").find("without user_types"), std::string::npos);
  EXPECT_NE(error(R"({"user_types": {}, "base_types": {"pointer": {"size": 2}}})")
                .find("pointers of 2 bytes, 4 or 8 expected"),
            std::string::npos);
  EXPECT_EQ(error(R"({"user_types": {}, "base_types": {"pointer": {"size": 4}}})"), "");
  // Nested deeper than any stack.
  EXPECT_FALSE(error(std::string(1 << 20, '[')).empty());
  const std::string deep =
      R"({"user_types": {"a": {"size": 8, "fields": {"b": {"offset": 0, "type": )";
  std::string type = R"({"kind": "base", "name": "x"})";
  for (int i = 0; i < 1000; ++i) type = R"({"kind": "pointer", "subtype": )" + type + "}";
  EXPECT_EQ(error(deep + type + "}}}}}"), "");
}

TEST(SymbolFileTest, ContentDecidesAndErrorsNameTheFile) {
  const test::TempFile isf(bytes_of(kIsf));
  const auto file = SymbolFile::open(isf.path());
  ASSERT_TRUE(file) << file.error().text;
  EXPECT_EQ(file->format, "ISF");
  EXPECT_EQ(file->path, isf.path());
  const test::TempFile pdb(pdb_container(pdb_streams()));
  EXPECT_EQ(SymbolFile::open(pdb.path())->format, "PDB");
  const test::TempFile text(bytes_of("text"));
  const auto refused = SymbolFile::open(text.path());
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().text.find(text.path() + ": neither"), 0) << refused.error().text;
}

}  // namespace
}  // namespace engram::types
