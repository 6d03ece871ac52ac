// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "kernel/foreign.h"

#include <gtest/gtest.h>

namespace engram::kernel {
namespace {

image::Facts facts_of(Architecture architecture, std::optional<std::string> vmcoreinfo = {}) {
  image::Facts facts;
  facts.architecture = architecture;
  facts.vmcoreinfo = std::move(vmcoreinfo);
  return facts;
}

constexpr const char* kArm64 =
    "OSRELEASE=6.1.0\nPAGESIZE=65536\nSYMBOL(swapper_pg_dir)=ffff800009e50000\n"
    "NUMBER(VA_BITS)=52\nNUMBER(kimage_voffset)=0xffff7fffc8000000\n"
    "NUMBER(TCR_EL1_T1SZ)=0x16\n";

TEST(ForeignKernel, IsOneWhoseArchitectureIsNotRead) {
  EXPECT_FALSE(foreign_kernel(facts_of(Architecture::x86_64)));
  EXPECT_FALSE(foreign_kernel(facts_of(Architecture::unknown)));
  EXPECT_FALSE(foreign_kernel(facts_of(Architecture::unknown, "NUMBER(phys_base)=0\n")));
  EXPECT_TRUE(foreign_kernel(facts_of(Architecture::arm64)));
  EXPECT_TRUE(foreign_kernel(facts_of(Architecture::x86)));
  const auto named = foreign_kernel(facts_of(Architecture::unknown, kArm64));
  ASSERT_TRUE(named);
  EXPECT_NE(named->find("arm64 machine (kimage_voffset in VMCOREINFO)"), std::string::npos);
}

TEST(ForeignKernel, ACrashDumpOfWindowsIsNone) {
  image::Facts facts = facts_of(Architecture::arm64);
  facts.crash.emplace();
  EXPECT_FALSE(foreign_kernel(facts));
}

TEST(StatedPaging, OfArm64FromVmcoreinfo) {
  const StatedPaging found = stated_paging(facts_of(Architecture::arm64, kArm64));
  EXPECT_EQ(found.mode, paging::arm64_mode(16, 42));
  EXPECT_EQ(found.mode.levels, 2U);
  EXPECT_EQ(found.root, PhysAddr(0x41e5'0000));
}

TEST(StatedPaging, OfArm64WithoutTheProcessorsWidth) {
  const auto found = stated_paging(facts_of(Architecture::arm64, "NUMBER(VA_BITS)=39\n"));
  EXPECT_EQ(found.mode, paging::arm64_mode(12, 39));
  EXPECT_FALSE(found.root);
}

TEST(StatedPaging, OfArm64WithFewerBitsThanItWasBuiltFor) {
  std::string text = kArm64;
  text.replace(text.find("0x16"), 4, "0x10");
  const auto found = stated_paging(facts_of(Architecture::arm64, text));
  EXPECT_EQ(found.mode, paging::arm64_mode(16, 48));
  EXPECT_EQ(found.root, PhysAddr(0x41e5'1e00));
}

TEST(StatedPaging, NonsenseIsNotTaken) {
  for (const char* text :
       {"PAGESIZE=12345\nNUMBER(VA_BITS)=0\n", "NUMBER(TCR_EL1_T1SZ)=0x3f\n",
        "PAGESIZE=2147483648\n", "NUMBER(VA_BITS)=abc\n", "NUMBER(VA_BITS)=\n"}) {
    EXPECT_EQ(stated_paging(facts_of(Architecture::arm64, text)).mode, paging::arm64_mode(12, 48))
        << text;
  }
}

TEST(StatedPaging, OfX86) {
  const auto levels = [](const image::Facts& facts) { return stated_paging(facts).mode.levels; };
  EXPECT_EQ(levels(facts_of(Architecture::x86)), 3U);
  EXPECT_EQ(levels(facts_of(Architecture::x86, "OSRELEASE=6.1\n")), 2U);
  EXPECT_EQ(levels(facts_of(Architecture::x86, "CONFIG_X86_PAE=y\n")), 3U);
  image::Facts facts = facts_of(Architecture::x86, "CONFIG_X86_PAE=y\n");
  facts.cpus.emplace_back().control.emplace().cr4 = 0x10;
  EXPECT_EQ(levels(facts), 2U);
}

TEST(StatedPaging, OfX8664) {
  image::Facts facts = facts_of(Architecture::unknown);
  EXPECT_EQ(stated_paging(facts).mode, (paging::Mode{Architecture::x86_64, 4}));
  facts.cpus.emplace_back().control.emplace().cr4 = 1U << 12U;
  EXPECT_EQ(stated_paging(facts).mode, (paging::Mode{Architecture::x86_64, 5}));
}

}  // namespace
}  // namespace engram::kernel
