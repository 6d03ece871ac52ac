// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "types/type_db.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <limits>
#include <string>
#include <thread>

#include "types/test_btf.h"

namespace engram::types {
namespace {

using testing::BtfWriter;

TypeDb open(const std::vector<std::byte>& blob, const TypeDb* base = nullptr) {
  auto types = TypeDb::from_btf(blob, base);
  if (!types) throw std::runtime_error(types.error().text);
  return std::move(*types);
}

TypeDb open(const BtfWriter& writer, const TypeDb* base = nullptr) {
  return open(writer.bytes(), base);
}

std::uint64_t bit_of(const TypeDb& types, std::string_view structure, std::string_view path) {
  const auto member = types.find_member(structure, path);
  return member ? member->bit_offset : std::numeric_limits<std::uint64_t>::max();
}

TEST(TypeDb, NamesAndKindsOfEveryType) {
  const TypeDb types = open(testing::every_kind());
  const std::vector<std::pair<Kind, std::string_view>> expected = {{Kind::void_type, ""},
                                                                   {Kind::integer, "int"},
                                                                   {Kind::integer, "char"},
                                                                   {Kind::pointer, ""},
                                                                   {Kind::array, ""},
                                                                   {Kind::union_type, ""},
                                                                   {Kind::structure, "node"},
                                                                   {Kind::enumeration, "color"},
                                                                   {Kind::enumeration, "mask"},
                                                                   {Kind::forward, "later"},
                                                                   {Kind::typedef_type, "node_t"},
                                                                   {Kind::modifier, ""},
                                                                   {Kind::modifier, ""},
                                                                   {Kind::modifier, ""},
                                                                   {Kind::modifier, "user"},
                                                                   {Kind::function_prototype, ""},
                                                                   {Kind::function, "visit"},
                                                                   {Kind::variable, "root"},
                                                                   {Kind::data_section, ".data"},
                                                                   {Kind::floating, "double"},
                                                                   {Kind::decl_tag, "kfunc"}};
  ASSERT_EQ(types.type_count(), expected.size());
  for (TypeId type = 0; type < expected.size(); ++type) {
    EXPECT_EQ(types.kind(type), expected[type].first) << type;
    EXPECT_EQ(types.name(type), expected[type].second) << type;
    if (types.name(type).empty()) continue;
    EXPECT_EQ(types.find(types.name(type), types.kind(type)), type);
  }
}

TEST(TypeDb, SizesOfEveryType) {
  const TypeDb types = open(testing::every_kind());
  const auto none = std::optional<std::uint64_t>();
  const std::vector<std::optional<std::uint64_t>> expected = {
      none, 4, 1, 8, 16, 4, 40, 4, 8, none, 40, 40, 40, 8, 40, none, none, 40, 64, 8, none};
  ASSERT_EQ(types.type_count(), expected.size());
  for (TypeId type = 0; type < expected.size(); ++type) {
    EXPECT_EQ(types.size_of(type), expected[type]) << type;
  }
}

TEST(TypeDb, ResolvesTypedefsAndModifiersOnly) {
  const TypeDb types = open(testing::every_kind());
  for (const TypeId type : {10U, 11U, 12U, 14U}) EXPECT_EQ(types.resolve(type), 6U);
  EXPECT_EQ(types.resolve(13), 3U);
  EXPECT_EQ(types.resolve(17), 17U);
  EXPECT_EQ(types.target(13), 6U);
  EXPECT_EQ(types.target(4), 2U);
  EXPECT_EQ(types.target(17), 10U);
  EXPECT_EQ(types.target(6), std::nullopt);
  EXPECT_EQ(types.element_count(4), 16U);
  EXPECT_EQ(types.element_count(3), std::nullopt);
}

TEST(TypeDb, NumbersThatAreNoTypesAreVoid) {
  const TypeDb types = open(testing::every_kind());
  for (const TypeId type : {21U, 22U, 0x7fffffffU, 0xffffffffU}) {
    EXPECT_EQ(types.kind(type), Kind::void_type);
    EXPECT_EQ(types.name(type), "");
    EXPECT_EQ(types.resolve(type), type);
    EXPECT_EQ(types.size_of(type), std::nullopt);
    EXPECT_TRUE(types.members(type).empty());
    EXPECT_TRUE(types.enumerators(type).empty());
    EXPECT_EQ(types.find_member(type, "next"), std::nullopt);
  }
}

TEST(TypeDb, EachKindHasItsOwnNames) {
  BtfWriter w;
  const TypeId integer = w.integer("thing", 4);
  const TypeId forward = w.add(BTF_KIND_FWD, "thing", 0);
  const TypeId alias = w.add(BTF_KIND_TYPEDEF, "thing", integer);
  const TypeId enumeration = w.enumeration("thing", 4, false, {{"A", 1}});
  const TypeId joined = w.union_type("thing", 4, {{"x", integer}});
  const TypeDb types = open(w);
  EXPECT_EQ(types.find("thing", Kind::integer), integer);
  EXPECT_EQ(types.find("thing", Kind::forward), forward);
  EXPECT_EQ(types.find("thing", Kind::typedef_type), alias);
  EXPECT_EQ(types.find("thing", Kind::enumeration), enumeration);
  EXPECT_EQ(types.find("thing", Kind::union_type), joined);
  EXPECT_EQ(types.find("thing", Kind::structure), std::nullopt);
  EXPECT_EQ(types.find_struct("thing"), joined);
  EXPECT_EQ(types.find_struct("thin"), std::nullopt);
  EXPECT_EQ(types.find_struct(""), std::nullopt);
  EXPECT_EQ(types.find("", Kind::void_type), std::nullopt);
}

TEST(TypeDb, OfSeveralStructuresTheLargestWithMembersIsFound) {
  BtfWriter w;
  const TypeId integer = w.integer("int", 4);
  w.structure("twice", 64, {});
  w.structure("twice", 4, {{"a", integer}});
  const TypeId largest = w.structure("twice", 8, {{"a", integer}, {"b", integer, 32}});
  w.structure("twice", 8, {{"c", integer}});
  w.union_type("twice", 4, {{"d", integer}});
  const TypeId empty = w.structure("empty", 0, {});
  w.add(BTF_KIND_FWD, "declared", 0);
  const TypeDb types = open(w);
  EXPECT_EQ(types.find_struct("twice"), largest);
  EXPECT_EQ(types.find("twice", Kind::structure), largest);
  EXPECT_EQ(types.find_struct("empty"), empty);
  EXPECT_EQ(types.find_struct("declared"), std::nullopt);
}

TEST(TypeDb, ManyNamesAreAllFound) {
  BtfWriter w;
  const TypeId integer = w.integer("int", 4);
  for (int i = 0; i < 5000; ++i) w.structure("s" + std::to_string(i), 4, {{"x", integer}});
  const TypeDb types = open(w);
  for (TypeId i = 0; i < 5000; ++i) EXPECT_EQ(types.find_struct("s" + std::to_string(i)), i + 2);
  EXPECT_EQ(types.find_struct("s5000"), std::nullopt);
}

TEST(TypeDb, MembersInTheOrderOfTheirDeclaration) {
  const TypeDb types = open(testing::every_kind());
  const auto members = types.members(10);  // through the typedef
  ASSERT_EQ(members.size(), 6U);
  EXPECT_EQ(members[0].name, "next");
  EXPECT_EQ(members[1].name, "name");
  EXPECT_EQ(members[1].member.byte_offset(), 8U);
  EXPECT_EQ(members[2].name, "");
  EXPECT_EQ(members[2].member.type, 5U);
  EXPECT_EQ(members[4].member.bit_offset, 227U);
  EXPECT_EQ(members[4].member.bit_size, 5U);
  EXPECT_TRUE(types.members(1).empty());
}

TEST(TypeDb, MembersOfAnonymousStructuresAreFoundAsInC) {
  BtfWriter w;
  const TypeId integer = w.integer("int", 4);
  const TypeId innermost = w.structure("", 8, {{"e", integer}, {"f", integer, 32}});
  const TypeId constant = w.add(BTF_KIND_CONST, "", innermost);
  const TypeId middle = w.union_type("", 8, {{"d", integer}, {"", constant}});
  const TypeId named = w.structure("named", 4, {{"hidden", integer}});
  w.structure(
      "outer", 24,
      {{"a", integer}, {"n", named, 32}, {"", middle, 64}, {"", middle, 128}, {"z", integer, 32}});
  const TypeDb types = open(w);
  EXPECT_EQ(bit_of(types, "outer", "d"), 64U);
  EXPECT_EQ(bit_of(types, "outer", "f"), 96U);
  EXPECT_EQ(bit_of(types, "outer", "z"), 32U);
  EXPECT_EQ(bit_of(types, "outer", "n.hidden"), 32U);
  EXPECT_EQ(types.find_member("outer", "hidden"), std::nullopt);
}

TEST(TypeDb, PathsThroughArrays) {
  BtfWriter w;
  const TypeId integer = w.integer("int", 4);
  const TypeId level = w.structure("level", 12, {{"a", integer}, {"b", integer, 64}});
  const TypeId row = w.array(level, 3);
  const TypeId alias = w.add(BTF_KIND_TYPEDEF, "row_t", row);
  const TypeId grid = w.array(alias, 2);
  const TypeId tail = w.array(level, 0);
  w.structure("table", 80, {{"count", integer}, {"grid", grid, 64}, {"rows", tail, 640}});
  const TypeDb types = open(w);
  EXPECT_EQ(bit_of(types, "table", "grid"), 64U);
  EXPECT_EQ(bit_of(types, "table", "grid[1]"), 64U + 288);
  EXPECT_EQ(bit_of(types, "table", "grid[1][2].b"), 64U + 288 + 192 + 64);
  EXPECT_EQ(types.find_member("table", "grid[1][2].b")->type, integer);
  EXPECT_EQ(bit_of(types, "table", "rows[1000000].a"), 640U + 96'000'000);
  for (const char* wrong :
       {"grid[2]", "grid[0][3]", "grid[1].a", "count[0]", "grid[18446744073709551616]",
        "rows[18446744073709551615]", "rows[1537228672809129301]"}) {
    EXPECT_EQ(types.find_member("table", wrong), std::nullopt) << wrong;
  }
}

TEST(TypeDb, PathsThatAreNone) {
  const TypeDb types = open(testing::every_kind());
  ASSERT_NE(types.find_member("node", "name[3]"), std::nullopt);
  for (const char* wrong :
       {"",          ".",         "next.",      ".next",    "next..x",  "nex",
        "nextt",     "name[",     "name[]",     "name[x]",  "name[-1]", "name[+1]",
        "name[ 1]",  "name[1",    "name]",      "name[1]]", "name[1]x", "[0]",
        "next.name", "name.next", "three.five", "tail[0]",  "missing",  "int"}) {
    EXPECT_EQ(types.find_member("node", wrong), std::nullopt) << wrong;
  }
  EXPECT_EQ(types.find_member("missing", "next"), std::nullopt);
  EXPECT_EQ(types.find_member("node", std::string_view("next\0", 5)), std::nullopt);
}

TEST(TypeDb, BitFieldsOfBothEncodings) {
  BtfWriter w;
  const TypeId integer = w.integer("int", 4);
  const TypeId three = w.integer("", 4, 3);
  const TypeId shifted = w.integer("", 4, 4, 2);
  const TypeId alias = w.add(BTF_KIND_TYPEDEF, "alias", three);
  w.structure("now", 8, {{"a", integer, 0, 3}, {"b", integer, 3, 32}, {"c", integer, 32}});
  w.structure(
      "old", 8,
      {{"a", three, 0}, {"b", alias, 3}, {"c", shifted, 6}, {"d", integer, 32}, {"e", three, 61}});
  const TypeDb types = open(w);
  const auto expect = [&](std::string_view structure, std::string_view path, std::uint64_t offset,
                          std::uint32_t size) {
    const auto member = types.find_member(structure, path);
    ASSERT_TRUE(member) << path;
    EXPECT_EQ(member->bit_offset, offset) << path;
    EXPECT_EQ(member->bit_size, size) << path;
  };
  expect("now", "a", 0, 3);
  expect("now", "b", 3, 32);
  expect("now", "c", 32, 0);
  expect("old", "a", 0, 3);
  expect("old", "b", 3, 3);
  expect("old", "c", 8, 4);
  expect("old", "d", 32, 0);
  expect("old", "e", 61, 3);
}

std::vector<std::int64_t> values(const TypeDb& types, std::string_view name) {
  std::vector<std::int64_t> result;
  for (const Enumerator& one : types.enumerators(*types.find(name, Kind::enumeration))) {
    result.push_back(one.value);
  }
  return result;
}

TEST(TypeDb, EnumeratorsSignedAndUnsigned) {
  const std::uint64_t top = ~std::uint64_t{0};
  BtfWriter w;
  w.enumeration("minus", 4, true, {{"A", top}, {"B", 5}});
  w.enumeration("plus", 1, false, {{"C", 0xffffffff}});
  w.enumeration64("wide", false, {{"D", top - 1}, {"E", 1ULL << 32U}});
  const TypeDb types = open(w);
  EXPECT_THAT(values(types, "minus"), ::testing::ElementsAre(-1, 5));
  EXPECT_THAT(values(types, "plus"), ::testing::ElementsAre(0xffffffff));
  EXPECT_THAT(values(types, "wide"), ::testing::ElementsAre(-2, 1LL << 32U));
  EXPECT_EQ(types.enumerators(1)[1].name, "B");
  EXPECT_EQ(types.size_of(2), 1U);
}

TEST(TypeDb, EnumeratorsFromBeforeTheSignWasMarked) {
  BtfWriter w;
  w.enumeration("minus", 4, false, {{"A", 0xffffffff}});
  EXPECT_THAT(values(open(w), "minus"), ::testing::ElementsAre(-1));
}

TEST(TypeDb, AnArraysSizeThatDoesNotFitIsNone) {
  BtfWriter w;
  const TypeId integer = w.integer("int", 4);
  const TypeId one = w.array(integer, 0xffffffff);
  const TypeId two = w.array(one, 0xffffffff);
  const TypeId fits = w.array(one, 2);
  const TypeDb types = open(w);
  EXPECT_EQ(types.size_of(one), 4ULL * 0xffffffff);
  EXPECT_EQ(types.size_of(fits), 8ULL * 0xffffffff);
  EXPECT_EQ(types.size_of(two), std::nullopt);
}

TEST(TypeDb, WhatFollowsTheBlobIsIgnored) {
  auto blob = testing::every_kind().bytes();
  blob.insert(blob.end(), 100, std::byte{0xff});
  EXPECT_EQ(open(blob).find_struct("node"), 6U);
}

TEST(TypeDb, ReadsFromAnyAlignment) {
  const auto blob = testing::every_kind().bytes();
  std::vector<std::byte> shifted(1);
  shifted.insert(shifted.end(), blob.begin(), blob.end());
  const auto types = TypeDb::from_btf(Bytes(shifted).subspan(1));
  ASSERT_TRUE(types) << types.error().text;
  EXPECT_EQ(testing::walk(*types), testing::walk(open(blob)));
}

// Kernel 7.1: a longer header, a layout section, kinds and element counts of more bits.
TEST(TypeDb, ALongerHeaderIsSteppedOver) {
  const BtfWriter w = testing::every_kind();
  for (const std::uint32_t length : {28U, 32U, 64U, 1024U}) {
    EXPECT_EQ(testing::walk(open(w.bytes(length))), testing::walk(open(w))) << length;
  }
}

TEST(TypeDb, KindsThatOnlyTheLayoutSectionKnows) {
  BtfWriter w;
  const TypeId integer = w.integer("int", 4);
  const TypeId strange = w.add(20, "strange", 77, 3, true, {1, 2, 3, 4, 5, 6, 7});
  const TypeId far = w.add(100, "far", 0);
  const TypeId alias = w.add(BTF_KIND_TYPEDEF, "alias", strange);
  const TypeId structure = w.structure("s", 4, {{"x", integer}});
  std::vector<btf::KindLayout> layout(btf::kKnownKinds.begin(), btf::kKnownKinds.end());
  layout.resize(101);
  layout[20] = {.fixed_size = 4, .element_size = 8, .flags = 0};
  const TypeDb types = open(w.bytes(32, layout));
  EXPECT_EQ(types.kind(strange), Kind::unknown);
  EXPECT_EQ(types.name(strange), "strange");
  EXPECT_EQ(types.kind(far), Kind::unknown);
  EXPECT_EQ(types.size_of(alias), std::nullopt);
  EXPECT_EQ(types.resolve(alias), strange);
  EXPECT_EQ(types.find_struct("s"), structure);
  EXPECT_EQ(types.find("strange", Kind::unknown), strange);
}

TEST(TypeDb, MoreThan65535Enumerators) {
  const std::vector<testing::TestEnumerator> many(70'000, {"E", 7});
  BtfWriter w;
  const TypeId type = w.enumeration("many", 4, false, many);
  const TypeDb types = open(w);
  EXPECT_EQ(types.enumerators(type).size(), many.size());
}

TEST(TypeDb, AnExponentialNumberOfMembersIsGivenUp) {
  BtfWriter w;
  TypeId inner = w.integer("int", 4);
  inner = w.union_type("", 4, {{"x", inner}});
  for (int i = 0; i < 40; ++i) inner = w.union_type("", 4, {{"", inner}, {"", inner}});
  w.structure("bomb", 4, {{"", inner}});
  const TypeDb types = open(w);
  EXPECT_EQ(bit_of(types, "bomb", "x"), 0U);
  EXPECT_EQ(types.find_member("bomb", "missing"), std::nullopt);
}

TEST(TypeDb, AMillionTypesOfOneName) {
  BtfWriter w;
  w.integer("int", 4);
  const std::uint32_t name = w.string("same");
  for (int i = 0; i < 1'000'000; ++i) w.add(BTF_KIND_FWD, "", 0);
  auto blob = w.bytes();
  for (TypeId type = 2; type < w.next(); ++type) {
    std::memcpy(blob.data() + w.offset_of(type), &name, sizeof name);
  }
  const TypeDb types = open(blob);
  for (int i = 0; i < 1000; ++i) ASSERT_EQ(types.find("same", Kind::forward), 2U);
}

TEST(TypeDb, IndexesAreBuiltOnceForAllThreads) {
  const TypeDb types = open(testing::every_kind());
  std::vector<std::thread> threads;
  std::array<std::uint64_t, 4> sums{};
  threads.reserve(sums.size());
  for (std::uint64_t& sum : sums) threads.emplace_back([&] { sum = testing::walk(types); });
  for (std::thread& thread : threads) thread.join();
  EXPECT_THAT(sums, ::testing::Each(sums[0]));
}

}  // namespace
}  // namespace engram::types
