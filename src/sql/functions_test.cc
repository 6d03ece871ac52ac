// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "sql/functions.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "sql/database.h"
#include "sql/fakes_test.h"

namespace engram::sql {
namespace {

using testing::HasSubstr;

GuestLookups fake_lookups() {
  GuestLookups lookups;
  lookups.ready = []() -> Result<void> { return {}; };
  lookups.symbol = [](VirtAddr address) -> std::optional<std::string> {
    if (address.value < 0xffffffff81000000) return std::nullopt;
    return fmt::format("_text+{:#x}", address - VirtAddr(0xffffffff81000000));
  };
  lookups.address_of = [](std::string_view name) -> std::optional<VirtAddr> {
    if (name == "_text") return VirtAddr(0xffffffff81000000);
    return std::nullopt;
  };
  lookups.read = [](VirtAddr from, std::size_t count,
                    std::optional<PhysAddr> root) -> Result<std::vector<std::byte>> {
    if (from.value == 0) return fail("0x0 is not mapped");
    return std::vector<std::byte>(count, root ? std::byte{0xbb} : std::byte{0xaa});
  };
  lookups.translate = [](VirtAddr address, std::optional<PhysAddr> root) -> Result<PhysAddr> {
    if (address.value == 0) return fail("0x0 is not mapped");
    return PhysAddr(address.value & 0xfff) + (root ? root->value : 0);
  };
  return lookups;
}

class FunctionsTest : public testing::Test {
 protected:
  void open(GuestLookups lookups) {
    auto made = Database::create(*session_, {}, {std::move(lookups), {}});
    ASSERT_TRUE(made) << made.error().text;
    database_ = std::move(*made);
  }

  /// SQLite's own quoting of the value, or the error.
  std::string eval(const std::string& expression) {
    auto query = database_->prepare("SELECT quote(" + expression + ")");
    if (!query) return "error: " + query.error().text;
    const auto row = query->step();
    if (!row) return "error: " + row.error().text;
    return std::get<std::string>(query->value(0));
  }

  std::unique_ptr<kernel::Session> session_ = make_session();
  std::unique_ptr<Database> database_;
};

TEST_F(FunctionsTest, Addr) {
  open({});
  EXPECT_EQ(eval("addr(0xFFFF888000000000)"), "'0xffff888000000000'");
  EXPECT_EQ(eval("addr(0)"), "'0x0'");
  EXPECT_EQ(eval("addr('0x00FF')"), "'0xff'");
  EXPECT_EQ(eval("addr(NULL)"), "NULL");
  EXPECT_THAT(eval("addr('init')"), HasSubstr("error: addr: expected an address"));
  EXPECT_THAT(eval("addr('0x10000000000000000')"), HasSubstr("error: "));
}

TEST_F(FunctionsTest, Symbols) {
  open(fake_lookups());
  EXPECT_EQ(eval("symbol(0xffffffff81000010)"), "'_text+0x10'");
  EXPECT_EQ(eval("symbol('0xffffffff81000010')"), "'_text+0x10'");
  EXPECT_EQ(eval("symbol(16)"), "NULL");
  EXPECT_EQ(eval("symbol(NULL)"), "NULL");
  EXPECT_EQ(eval("addr(address_of('_text'))"), "'0xffffffff81000000'");
  EXPECT_EQ(eval("address_of('no such symbol')"), "NULL");
}

TEST_F(FunctionsTest, ReadBytes) {
  open(fake_lookups());
  EXPECT_EQ(eval("read_bytes(4096, 3)"), "X'AAAAAA'");
  EXPECT_EQ(eval("read_bytes(4096, 2, 8192)"), "X'BBBB'");
  EXPECT_EQ(eval("read_bytes(4096, 2, NULL)"), "X'AAAA'");
  EXPECT_EQ(eval("read_bytes(4096, 0)"), "X''");
  EXPECT_EQ(eval("length(read_bytes(4096, 16777216))"), "16777216");
  EXPECT_THAT(eval("read_bytes(4096, -1)"), HasSubstr("error: read_bytes: -1 bytes wanted"));
  EXPECT_THAT(eval("read_bytes(4096, 16777217)"), HasSubstr("error: read_bytes: 16777217 bytes"));
  EXPECT_THAT(eval("read_bytes(4096, 'many')"), HasSubstr("error: read_bytes: expected a number"));
}

TEST_F(FunctionsTest, WhatCannotBeReadIsNullAndADiagnostic) {
  open(fake_lookups());
  const std::size_t before = session_->diagnostics().rows().size();
  EXPECT_EQ(eval("read_bytes(0, 3)"), "NULL");
  EXPECT_EQ(eval("translate(0)"), "NULL");
  const auto diagnostics = session_->diagnostics().rows();
  ASSERT_EQ(diagnostics.size(), before + 2);
  EXPECT_EQ(diagnostics[before].component, "read_bytes");
  EXPECT_EQ(diagnostics[before].message, "0x0 is not mapped");
  EXPECT_EQ(diagnostics[before].address, 0U);
}

TEST_F(FunctionsTest, Translate) {
  open(fake_lookups());
  EXPECT_EQ(eval("translate(0xffffffff81000123)"), "291");
  EXPECT_EQ(eval("translate(0xffffffff81000123, 4096)"), "4387");
  EXPECT_EQ(eval("translate(NULL)"), "NULL");
}

TEST_F(FunctionsTest, RawVaddr) {
  open({});
  EXPECT_EQ(eval("raw_vaddr('vaddr(0x0000000012345000, 0xffff888000000040)')"),
            "'ffff888000000040'");
  EXPECT_EQ(eval("raw_vaddr('  VADDR(0x1,0xAB) ')"), "'00000000000000ab'");
  EXPECT_EQ(eval("raw_vaddr(-1)"), "'ffffffffffffffff'");
  for (const char* wrong : {"'vaddr(0x1, 2)'", "'vaddr(0x1)'", "'vaddr(0x1, 0x2, 0x3)'", "'vaddr('",
                            "1.5", "NULL", "x'00'", "'vaddr(0x1, 0x)'"}) {
    EXPECT_EQ(eval(std::string("raw_vaddr(") + wrong + ")"), "NULL") << wrong;
  }
}

TEST_F(FunctionsTest, Expect) {
  open({});
  EXPECT_EQ(eval("expect(5, 'none')"), "5");
  EXPECT_EQ(eval("expect('', 'none')"), "''");
  EXPECT_EQ(eval("expect(NULL, 'the answer is missing')"), "error: the answer is missing");
  EXPECT_EQ(eval("CASE WHEN 0 THEN expect(NULL, 'not reached') ELSE 1 END"), "1");
  EXPECT_THAT(eval("expect(1)"), HasSubstr("wrong number of arguments"));
}

TEST_F(FunctionsTest, WithoutAKernelTheQueryFails) {
  open({});
  for (const char* call :
       {"symbol(1)", "symbol(NULL)", "address_of('x')", "read_bytes(1, 1)", "translate(1)"}) {
    EXPECT_THAT(eval(call), HasSubstr("error: ")) << call;
    EXPECT_THAT(eval(call), HasSubstr(": no kernel")) << call;
  }
  auto lookups = fake_lookups();
  lookups.ready = []() -> Result<void> { return fail("kernel: looked everywhere"); };
  open(std::move(lookups));
  EXPECT_EQ(eval("symbol(1)"), "error: kernel: looked everywhere");
}

TEST_F(FunctionsTest, AnExceptionInALookupIsAnError) {
  auto lookups = fake_lookups();
  lookups.symbol = [](VirtAddr) -> std::optional<std::string> {
    throw std::runtime_error("thrown");
  };
  open(std::move(lookups));
  EXPECT_EQ(eval("symbol(1)"), "error: thrown");
}

TEST(FunctionDocs, EachFunctionIsDescribed) {
  std::unique_ptr<kernel::Session> session = make_session();
  auto database = Database::create(*session, {}, {{}, {}});
  ASSERT_TRUE(database);
  for (const auto& [usage, doc] : function_docs()) {
    const std::string name(usage.substr(0, usage.find('(')));
    auto query = (*database)->prepare(
        "SELECT count(*) > 0 FROM pragma_function_list WHERE name = '" + name + "'");
    ASSERT_TRUE(query) << query.error().text;
    ASSERT_TRUE(query->step().value_or(false));
    EXPECT_EQ(std::get<std::int64_t>(query->value(0)), 1) << name;
    EXPECT_FALSE(doc.empty());
  }
}

}  // namespace
}  // namespace engram::sql
