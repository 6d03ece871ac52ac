// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "kernel/linux/kernel_map.h"

#include <gtest/gtest.h>

#include "base/test_file.h"
#include "paging/test_memory.h"

namespace engram::kernel {
namespace {

using paging::testing::kP;
using paging::testing::kRw;
using paging::testing::kXd;
using paging::testing::TestMemory;

TEST(Vmcoreinfo, ValueOfAKey) {
  const std::string text =
      "OSRELEASE=6.1.0\nSYMBOL(swapper_pg_dir)=ffffffff82610000\nNUMBER(phys_base)=-4194304\nEND=x";
  EXPECT_EQ(vmcoreinfo_value(text, "OSRELEASE"), "6.1.0");
  EXPECT_EQ(vmcoreinfo_value(text, "SYMBOL(swapper_pg_dir)"), "ffffffff82610000");
  EXPECT_EQ(vmcoreinfo_value(text, "END"), "x");
  EXPECT_EQ(vmcoreinfo_value(text, "RELEASE"), std::nullopt);
  EXPECT_EQ(vmcoreinfo_value(text, "OS"), std::nullopt);
  EXPECT_EQ(vmcoreinfo_value("", "OSRELEASE"), std::nullopt);
}

constexpr VirtAddr kImage{0xffffffff81000000};
constexpr PhysAddr kImagePhysical{8 * kMiB};

/// 32 MiB of raw memory whose page tables map a kernel image, as an image file.
class KernelMapTest : public testing::Test {
 protected:
  void map_image(unsigned levels, std::uint64_t size) {
    root_ = bytes_.new_table();
    for (std::uint64_t at = 0; at < size; at += 2 * kMiB) {
      const std::uint64_t rights = at == 0 ? kP : kP | kRw | kXd;
      bytes_.map(root_, levels, kImage + at, kImagePhysical + at, 2 * kMiB, rights);
    }
  }

  /// The candidates that a search of the image offers, none of them accepted.
  std::vector<KernelMap> offered() {
    const test::TempFile file(Bytes(bytes_.at({}), kSize));
    const auto image = image::Image::open(file.path());
    EXPECT_TRUE(image) << image.error().text;
    std::vector<KernelMap> maps;
    for_each_kernel_map(*image, diagnostics_, [&](const KernelMap& map) {
      maps.push_back(map);
      return false;
    });
    return maps;
  }

  static constexpr std::uint64_t kSize = 32 * kMiB;
  TestMemory bytes_{kSize};
  PhysAddr root_;
  Diagnostics diagnostics_;
};

TEST_F(KernelMapTest, FindsRootsOfFourAndFiveLevels) {
  for (const unsigned levels : {4U, 5U}) {
    bytes_ = TestMemory(kSize);
    map_image(levels, 8 * kMiB);
    const auto maps = offered();
    ASSERT_FALSE(maps.empty());
    EXPECT_EQ(maps[0].root, root_);
    EXPECT_EQ(maps[0].mode.levels, levels);
    EXPECT_EQ(maps[0].image.front().start, kImage);
    EXPECT_EQ(maps[0].image.front().physical, kImagePhysical);
  }
}

TEST_F(KernelMapTest, EachImageIsOfferedOnce) {
  map_image(4, 8 * kMiB);
  // A process's root shares the last entry.
  const PhysAddr process = bytes_.new_table();
  bytes_.put(process + 511UL * 8, bytes_.get(root_ + 511UL * 8));
  EXPECT_EQ(offered().size(), 1U);
}

TEST_F(KernelMapTest, SmallOrDataOnlyMappingsAreNoKernel) {
  map_image(4, 2 * kMiB);
  EXPECT_TRUE(offered().empty());
  bytes_ = TestMemory(kSize);
  root_ = bytes_.new_table();
  for (std::uint64_t at = 0; at < 8 * kMiB; at += 2 * kMiB) {
    bytes_.map(root_, 4, kImage + at, kImagePhysical + at, 2 * kMiB, kP | kRw | kXd);
  }
  EXPECT_TRUE(offered().empty());
}

TEST_F(KernelMapTest, MemoryMadeOfLookalikesIsGivenUp) {
  // Every page leads to the next, as a root and as the tables below it.
  for (std::uint64_t page = 0; page + kPageSize < kSize; page += kPageSize) {
    for (const std::uint64_t entry : {510U, 511U}) {
      bytes_.put(PhysAddr(page + entry * 8), (page + kPageSize) | kP | kRw);
    }
  }
  EXPECT_TRUE(offered().empty());
  bool said = false;
  for (const auto& row : diagnostics_.rows()) {
    said = said || row.message.find("after 1024 page tables") != std::string::npos;
  }
  EXPECT_TRUE(said);
}

TEST_F(KernelMapTest, NothingIsFoundInZerosAndThatIsSaid) {
  EXPECT_TRUE(offered().empty());
  ASSERT_FALSE(diagnostics_.rows().empty());
  EXPECT_EQ(diagnostics_.rows().back().level, Level::error);
}

}  // namespace
}  // namespace engram::kernel
