// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "mapping/options.h"

#include <gtest/gtest.h>

#include <cerrno>

#include "base/test_file.h"
#include "base/units.h"
#include "mapping/mapping.h"
#include "mapping/test_vma.h"

namespace engram::mapping {
namespace {

using test::rights_of;
using test::Vma;

const std::uint64_t kPage = PageSize::base().bytes();

std::uintptr_t address_of(const HostRange& range) {
  return reinterpret_cast<std::uintptr_t>(range.native_range().address);
}
void* pointer_to(std::uintptr_t address) {
  return reinterpret_cast<void*>(address);  // NOLINT(performance-no-int-to-ptr)
}
/// An address where `pages` pages were free a moment ago.
std::uintptr_t free_address(std::uint64_t pages) {
  return address_of(*Options(pages * kPage).map<NoAccess>());
}

TEST(Placement, Hint) {
  const std::uintptr_t wanted = free_address(3) + kPage;
  const auto mapping = Options(kPage).placement(Hint{wanted}).map<ReadOnly>();
  ASSERT_TRUE(mapping);
  EXPECT_EQ(address_of(*mapping), wanted);
  const auto elsewhere = Options(kPage).placement(Hint{wanted}).map<ReadOnly>();
  ASSERT_TRUE(elsewhere);
  EXPECT_NE(address_of(*elsewhere), wanted);
}

TEST(Placement, FixedNoReplace) {
  const std::uintptr_t wanted = free_address(1);
  const auto options = Options(kPage).placement(FixedNoReplace{wanted});
  const auto mapping = options.map<ReadOnly>();
  ASSERT_TRUE(mapping);
  EXPECT_EQ(address_of(*mapping), wanted);
  EXPECT_EQ(options.map<ReadOnly>().error().os_errno, EEXIST);
  EXPECT_EQ(rights_of(mapping->native_range()), "r--p");
  const auto odd = Options(kPage).placement(FixedNoReplace{wanted + 1}).map<ReadOnly>();
  ASSERT_FALSE(odd);
  EXPECT_EQ(odd.error().code, MemoryErrc::not_page_aligned);
  EXPECT_EQ(odd.error().address, wanted + 1);
}

TEST(Placement, FixedReplaceNeedsTheClaim) {
  auto mapping = Options(kPage).map<ReadWrite>();
  ASSERT_TRUE(mapping);
  ASSERT_TRUE(mapping->slice().write_object<std::uint8_t>(0, 1));
  const std::uintptr_t address = address_of(*mapping);
  const auto refused = Options(kPage).placement(FixedReplace{address}).map<ReadOnly>();
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, MemoryErrc::fixed_needs_owner);
  EXPECT_EQ(rights_of(mapping->native_range()), "rw-p");
  static_cast<void>(std::move(*mapping).release());
  const auto replaced =
      Options(kPage).placement(FixedReplace{address, FixedReplace::Owner::me}).map<ReadOnly>();
  ASSERT_TRUE(replaced);
  EXPECT_EQ(address_of(*replaced), address);
  EXPECT_TRUE(replaced->slice().is_zero().value());
}

TEST(Placement, Aligned) {
  for (const std::uint64_t alignment : {std::uint64_t{1}, kPage, kMiB, 64 * kMiB}) {
    NativeRange range;
    {
      const auto mapping = Options(3 * kPage).placement(Aligned{alignment}).map<ReadWrite>();
      ASSERT_TRUE(mapping);
      range = mapping->native_range();
      EXPECT_EQ(address_of(*mapping) % alignment, 0u);
      EXPECT_EQ(rights_of(range), "rw-p");
    }
    // What was reserved around it is gone, too.
    const std::uint64_t around = std::min(alignment, 2 * kMiB);
    for (const Vma& vma : test::vmas_in(
             pointer_to(reinterpret_cast<std::uintptr_t>(range.address) - around), 2 * around)) {
      EXPECT_FALSE(vma.rights == "---p" && vma.path.empty() && vma.has_flag("nr")) << alignment;
    }
  }
  for (const std::uint64_t alignment : {std::uint64_t{0}, std::uint64_t{24576}}) {
    const auto refused = Options(kPage).placement(Aligned{alignment}).map<ReadOnly>();
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, MemoryErrc::invalid_alignment);
  }
  EXPECT_FALSE(Options(kPage).placement(Aligned{std::uint64_t{1} << 63}).map<ReadOnly>());
}

TEST(Placement, GuardPages) {
  std::uintptr_t first = 0;
  {
    auto mapping = Options(2 * kPage).guard_pages().map<ReadWrite>();
    ASSERT_TRUE(mapping);
    first = address_of(*mapping) - kPage;
    EXPECT_EQ(rights_of({pointer_to(first), kPage}), "---p");
    EXPECT_EQ(rights_of(mapping->native_range()), "rw-p");
    EXPECT_EQ(rights_of({pointer_to(first + 3 * kPage), kPage}), "---p");
    // Each part keeps the guard on its side, and both together have both.
    auto tail = mapping->split_off(kPage);
    ASSERT_TRUE(tail && mapping->merge(std::move(*tail)));
    tail = mapping->split_off(kPage);
    ASSERT_TRUE(tail);
    { const auto gone = std::move(*tail); }
    EXPECT_EQ(rights_of({pointer_to(first), kPage}), "---p");
    EXPECT_EQ(rights_of({pointer_to(first + 3 * kPage), kPage}), "");
  }
  EXPECT_TRUE(test::vmas_in(pointer_to(first), 4 * kPage).empty());
  const std::uintptr_t wanted = free_address(3) + kPage;
  const auto fixed = Options(kPage).guard_pages().placement(FixedNoReplace{wanted}).map<ReadOnly>();
  ASSERT_TRUE(fixed);
  EXPECT_EQ(address_of(*fixed), wanted);
}

Vma vma_of(const HostRange& range) {
  const auto vmas = test::vmas_of(range.native_range());
  EXPECT_EQ(vmas.size(), 1u);
  return vmas.at(0);
}

TEST(Options, ReachTheKernel) {
  const auto has = [](const Options& options, const char* flag) {
    const auto mapping = options.map<ReadWrite>();
    EXPECT_TRUE(mapping) << flag << ": " << to_string(mapping.error());
    return mapping && vma_of(*mapping).has_flag(flag);
  };
  const Options plain(kPage);
  for (const char* flag : {"dd", "dc", "wf", "nr", "lo", "rr", "sr"}) {
    EXPECT_FALSE(has(plain, flag)) << flag;
  }
  EXPECT_TRUE(has(Options(kPage).no_core_dump(), "dd"));
  EXPECT_TRUE(has(Options(kPage).dont_fork(), "dc"));
  EXPECT_TRUE(has(Options(kPage).wipe_on_fork(), "wf"));
  EXPECT_TRUE(has(Options(kPage).no_reserve(), "nr"));
  EXPECT_TRUE(has(Options(kPage).advice(Advice::random), "rr"));
  EXPECT_TRUE(has(Options(kPage).advice(Advice::sequential), "sr"));
  EXPECT_EQ(has(Options(kPage).lock(LockMode::now), "lo"), test::kCanLockMemory);
  EXPECT_TRUE(has(Options(kPage).lock(LockMode::on_fault), "lo"));
  EXPECT_TRUE(has(Options(4 * kMiB).thp(true), "hg"));
  EXPECT_TRUE(has(Options(4 * kMiB).thp(false), "nh"));
}

TEST(Options, PopulateAndLock) {
  const std::uint64_t size = 16 * kPage;
  const auto lazy = Options(size).map<ReadWrite>();
  const auto populated = Options(size).populate().map<ReadWrite>();
  const auto locked = Options(size).lock(LockMode::now).map<ReadWrite>();
  const auto on_fault = Options(size).lock(LockMode::on_fault).map<ReadWrite>();
  ASSERT_TRUE(lazy && populated && locked && on_fault);
  EXPECT_EQ(lazy->resident(lazy->all()).value(), 0u);
  EXPECT_EQ(populated->resident(populated->all()).value(), size);
  EXPECT_EQ(locked->resident(locked->all()).value(), test::kCanLockMemory ? size : 0);
  EXPECT_EQ(on_fault->resident(on_fault->all()).value(), 0u);
  EXPECT_TRUE(vma_of(*on_fault).has_flag("lo"));
}

TEST(Options, PageSizes) {
  for (const std::uint64_t bytes : {4 * kMiB, 8 * kKiB, std::uint64_t{1}}) {
    const auto refused = Options(kPage).page(*PageSize::of_bytes(bytes)).map<ReadWrite>();
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, MemoryErrc::unknown_page_size);
    EXPECT_EQ(refused.error().expected, bytes);
  }
  EXPECT_EQ(Options(kPage).page(PageSize::base()).map<ReadWrite>()->page_size(), kPage);
  const test::TempFile file(std::vector<std::byte>(10));
  EXPECT_EQ(Options(10)
                .backing(File::open(file.path()).value())
                .page(*PageSize::of_bytes(2 * kMiB))
                .map<ReadOnly>()
                .error()
                .code,
            MemoryErrc::unknown_page_size);
}

TEST(Options, HugePagesAreUnmappedWhole) {
  const std::uint64_t failures = unmap_failures();
  NativeRange range;
  {
    const auto huge = PageSize::of_bytes(2 * kMiB).value();
    const auto mapping = Options(2 * kMiB + 1).page(huge).map<ReadWrite>();
    if (!mapping) GTEST_SKIP() << "no huge pages: " << to_string(mapping.error());
    EXPECT_EQ(mapping->size(), 2 * kMiB + 1);
    EXPECT_EQ(mapping->mapped_size(), 4 * kMiB);
    range = mapping->native_range();
  }
  EXPECT_TRUE(test::vmas_of(range).empty());
  EXPECT_EQ(unmap_failures(), failures);
}

TEST(Options, SizesThatCannotBe) {
  EXPECT_EQ(Options(UINT64_MAX).map<ReadOnly>().error().code, MemoryErrc::too_big);
  const auto large = Options(std::uint64_t{1} << 61).map<ReadOnly>();
  ASSERT_FALSE(large);
  EXPECT_EQ(large.error().os_errno, ENOMEM);
  const test::TempFile file(std::vector<std::byte>(10));
  const auto beyond = Options(kPage)
                          .backing(File::open(file.path()).value(),
                                   FileOffset(static_cast<std::uint64_t>(INT64_MAX) - kPage + 1))
                          .map<ReadOnly>();
  ASSERT_FALSE(beyond);
  EXPECT_EQ(beyond.error().code, MemoryErrc::invalid_offset);
}

TEST(Options, WritableAndExecutableIsAskedFor) {
  constexpr Prot kAll = Prot::read | Prot::write | Prot::exec;
  EXPECT_EQ(Options(kPage).map_any(kAll).error().code, MemoryErrc::jit_needed);
  EXPECT_EQ(Options(kPage).map_any(Prot::write).error().code, MemoryErrc::unsupported);
  const auto code = Options(kPage).jit(JitToken()).map<ReadWriteExec>();
  ASSERT_TRUE(code);
  EXPECT_EQ(rights_of(code->native_range()), "rwxp");
}

}  // namespace
}  // namespace engram::mapping
