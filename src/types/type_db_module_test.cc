// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0

// Split BTF: a module's types, which continue those of the kernel.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <stdexcept>

#include "types/test_btf.h"
#include "types/type_db.h"

namespace engram::types {
namespace {

using testing::BtfWriter;
using ::testing::HasSubstr;

TypeDb open(const BtfWriter& writer, const TypeDb* base = nullptr) {
  auto types = TypeDb::from_btf(writer.bytes(), base);
  if (!types) throw std::runtime_error(types.error().text);
  return std::move(*types);
}

TEST(TypeDbModule, AModuleContinuesTheKernel) {
  const BtfWriter kernel = testing::every_kind();
  const TypeDb base = open(kernel);
  BtfWriter w(kernel.next(), kernel.string_length());
  const TypeId own = w.structure("device", 48, {{"node", 6, 0}, {"count", 1, 320}});
  const TypeId shadow = w.structure("node", 4, {{"other", 1}});
  const TypeId empty = w.structure("color", 0, {});
  const TypeId flags = w.enumeration("flags", 4, false, {{"F", 0xffffffff}});
  const TypeDb types = open(w, &base);
  EXPECT_EQ(types.type_count(), kernel.next() + 4);
  EXPECT_EQ(own, kernel.next());
  EXPECT_EQ(types.name(own), "device");
  EXPECT_EQ(types.name(6), "node");
  EXPECT_EQ(types.kind(1), Kind::integer);
  EXPECT_EQ(types.find_member("device", "node.five")->bit_offset, 227U);
  EXPECT_EQ(types.find_struct("node"), shadow);
  EXPECT_EQ(types.find("color", Kind::structure), empty);
  EXPECT_EQ(types.find("color", Kind::enumeration), 7U);
  EXPECT_EQ(types.find("node_t", Kind::typedef_type), 10U);
  EXPECT_EQ(types.enumerators(flags)[0].value, 0xffffffff);  // the kernel marks signed enums
  EXPECT_EQ(base.find_struct("device"), std::nullopt);
  EXPECT_EQ(base.type_count(), kernel.next());
}

TEST(TypeDbModule, AModulesEmptyStructureDoesNotHideTheKernels) {
  const BtfWriter kernel = testing::every_kind();
  const TypeDb base = open(kernel);
  BtfWriter w(kernel.next(), kernel.string_length());
  w.structure("node", 0, {});
  EXPECT_EQ(open(w, &base).find_struct("node"), 6U);
}

TEST(TypeDbModule, AModuleMayHaveNothingOfItsOwn) {
  const BtfWriter kernel = testing::every_kind();
  const TypeDb base = open(kernel);
  const TypeDb types = open(BtfWriter(kernel.next(), kernel.string_length()), &base);
  EXPECT_EQ(types.type_count(), base.type_count());
  EXPECT_EQ(types.find_struct("node"), 6U);
}

TEST(TypeDbModule, AModuleIsNoBase) {
  const BtfWriter kernel = testing::every_kind();
  const TypeDb base = open(kernel);
  const BtfWriter w(kernel.next(), kernel.string_length());
  const TypeDb module = open(w, &base);
  const auto types = TypeDb::from_btf(w.bytes(), &module);
  ASSERT_FALSE(types);
  EXPECT_THAT(types.error().text, HasSubstr("expected the kernel's own"));
}

TEST(TypeDbModule, TheBaseMayMove) {
  const BtfWriter kernel = testing::every_kind();
  TypeDb first = open(kernel);
  const TypeDb types = open(BtfWriter(kernel.next(), kernel.string_length()), &first);
  const TypeDb second = std::move(first);
  EXPECT_EQ(types.name(6), "node");
  EXPECT_EQ(second.name(6), "node");
}

}  // namespace
}  // namespace engram::types
