// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "mapping/mapping.h"

#include <gtest/gtest.h>
#include <sys/mman.h>

#include <array>
#include <cerrno>
#include <utility>

#include "base/test_file.h"
#include "mapping/test_vma.h"

namespace engram::mapping {
namespace {

using test::rights_of;
using test::TempFile;

const std::uint64_t kPage = PageSize::base().bytes();

/// Rights of one page of a mapping.
std::string page_rights(const HostRange& range, std::uint64_t index) {
  auto* const start = static_cast<std::byte*>(range.native_range().address);
  return rights_of({start + index * kPage, kPage});
}

// What must not compile.
template <class M>
concept HasSlice = requires(const M& mapping) {
  mapping.slice();
};
template <class M>
concept HasExclusiveBytes = requires(M& mapping) {
  mapping.exclusive_bytes();
};
template <class M>
concept CanMakeExecMut = requires(M&& mapping) {
  std::move(mapping).make_exec_mut();
};
template <class M>
concept CanCommit = requires(M&& mapping) {
  std::move(mapping).commit();
};
template <class O>
concept CanMapExecMut = requires(const O& options) {
  options.template map<ReadWriteExec>();
};

static_assert(!HasSlice<Mapping<NoAccess>> && !HasSlice<Mapping<ReadWrite, Reserved>>);
static_assert(std::is_same_v<Mapping<ReadOnly>::Slice, ConstVolatileSlice>);
static_assert(std::is_same_v<Mapping<ReadWrite>::Slice, VolatileSlice<>>);
static_assert(!HasExclusiveBytes<Mapping<ReadOnly>> && HasExclusiveBytes<Mapping<ReadWrite>>);
static_assert(!CanMakeExecMut<Mapping<ReadWrite>>);
static_assert(CanMakeExecMut<Mapping<ReadWrite, Committed, true>>);
static_assert(!CanMapExecMut<Options> && CanMapExecMut<JitOptions>);
static_assert(!CanCommit<Mapping<ReadWrite>> && CanCommit<Mapping<ReadWrite, Reserved>>);
static_assert(!std::is_copy_constructible_v<Mapping<ReadWrite>>);
static_assert(std::is_nothrow_move_constructible_v<Mapping<ReadWrite>>);
static_assert(HostMapped<Mapping<ReadOnly>> && HostMapped<AnyMapping>);

TEST(Mapping, Transitions) {
  auto mapping = Options(kPage).map<ReadWrite>();
  ASSERT_TRUE(mapping && mapping->slice().write_object<std::uint8_t>(0, 1));
  auto none = std::move(*mapping).make_none();
  ASSERT_TRUE(none);
  EXPECT_EQ(rights_of(none->native_range()), "---p");
  auto exec = std::move(*none).make_exec_no_flush();
  ASSERT_TRUE(exec);
  EXPECT_EQ(rights_of(exec->native_range()), "r-xp");
  auto writable = std::move(*exec).make_mut();
  ASSERT_TRUE(writable);
  EXPECT_EQ(writable->slice().read_object<std::uint8_t>(0).value(), 1);
  EXPECT_TRUE(mapping->empty() && none->empty() && exec->empty());
}

#if defined(__x86_64__)
TEST(Mapping, WrittenCodeRuns) {
  // mov eax, 42; ret
  constexpr std::array kCode = {std::byte{0xB8}, std::byte{42}, std::byte{0},
                                std::byte{0},    std::byte{0},  std::byte{0xC3}};
  auto mapping = Options(kPage).map<ReadWrite>();
  ASSERT_TRUE(mapping && mapping->slice().write_exact(0, kCode));
  const auto code = std::move(*mapping).make_exec();
  ASSERT_TRUE(code);
  EXPECT_EQ(reinterpret_cast<int (*)()>(code->native_range().address)(), 42);
}
#endif

TEST(Mapping, JitTogglesBothWays) {
  auto mapping = Options(kPage).jit(JitToken()).map<ReadWrite>();
  ASSERT_TRUE(mapping);
  auto both = std::move(*mapping).make_exec_mut();
  ASSERT_TRUE(both);
  EXPECT_EQ(rights_of(both->native_range()), "rwxp");
  EXPECT_TRUE(std::move(*both).make_read_only());
}

TEST(Mapping, MovedFromIsEmpty) {
  auto mapping = Options(kPage).map<ReadWrite>();
  ASSERT_TRUE(mapping);
  const auto owner = std::move(*mapping);
  EXPECT_EQ(owner.size(), kPage);
  EXPECT_EQ(mapping->size(), 0u);
  EXPECT_EQ(mapping->mapped_size(), 0u);
  EXPECT_EQ(mapping->native_range(), NativeRange());
  EXPECT_TRUE(mapping->slice().empty());
  const auto is_empty = [](const auto& result) {
    return !result && result.error().code == MemoryErrc::empty;
  };
  EXPECT_TRUE(is_empty(mapping->flush()));
  EXPECT_TRUE(is_empty(mapping->advise({0, 0}, Advice::random)));
  EXPECT_TRUE(is_empty(mapping->resident({0, 0})));
  EXPECT_TRUE(is_empty(mapping->lock()));
  EXPECT_TRUE(is_empty(mapping->unlock()));
  EXPECT_TRUE(is_empty(mapping->drop_page_cache({0, 0})));
  EXPECT_TRUE(is_empty(mapping->discard({0, 0})));
  EXPECT_TRUE(is_empty(mapping->populate({0, 0})));
  EXPECT_TRUE(is_empty(mapping->exclusive_bytes()));
  EXPECT_TRUE(is_empty(mapping->split_off(0)));
  EXPECT_TRUE(is_empty(mapping->split_to(0)));
  EXPECT_EQ(mapping->probe({0, 0}).stop, MemoryErrc::empty);
  const auto changed = std::move(*mapping).make_read_only();
  ASSERT_FALSE(changed);
  EXPECT_EQ(changed.error().error.code, MemoryErrc::empty);
}

TEST(Mapping, ExclusiveBytesOnlyOfPrivateAnonymousMemory) {
  auto own = Options(10).map<ReadWrite>();
  auto shared = Options(10).share(Share::shared).map<ReadWrite>();
  ASSERT_TRUE(own && shared);
  EXPECT_EQ(own->exclusive_bytes()->size(), 10u);
  EXPECT_EQ(shared->exclusive_bytes().error().code, MemoryErrc::unsupported);
  EXPECT_EQ(shared->unsafe_exclusive_bytes().size(), 10u);
}

TEST(Mapping, RangesAreChecked) {
  auto mapping = Options(kPage).map<ReadWrite>();
  ASSERT_TRUE(mapping);
  for (const Extent bad : {Extent{0, kPage + 1}, {kPage, 1}, {kPage + 1, 0}}) {
    EXPECT_EQ(mapping->flush(bad).error().code, MemoryErrc::out_of_bounds);
    EXPECT_EQ(mapping->advise(bad, Advice::cold).error().code, MemoryErrc::out_of_bounds);
    EXPECT_EQ(mapping->resident(bad).error().code, MemoryErrc::out_of_bounds);
    EXPECT_EQ(mapping->lock(bad).error().code, MemoryErrc::out_of_bounds);
    EXPECT_EQ(mapping->unlock(bad).error().code, MemoryErrc::out_of_bounds);
    EXPECT_EQ(mapping->populate(bad).error().code, MemoryErrc::out_of_bounds);
    EXPECT_EQ(mapping->probe(bad).stop, MemoryErrc::out_of_bounds);
    EXPECT_EQ(mapping->discard(bad).error().code, MemoryErrc::out_of_bounds);
  }
  EXPECT_EQ(mapping->flush({UINT64_MAX, 2}).error().code, MemoryErrc::range_overflow);
  // Hints and flushes work on the pages around, and an empty extent is done.
  EXPECT_TRUE(mapping->flush({1, 1}) && mapping->flush({kPage, 0}, Flush::async));
  EXPECT_TRUE(mapping->advise({5, 7}, Advice::sequential) && mapping->prefetch({3, 1}));
  EXPECT_EQ(mapping->resident({kPage - 1, 1}).value(), 0u);
  EXPECT_TRUE(mapping->populate({kPage - 1, 1}, Prot::write));
  EXPECT_EQ(mapping->resident({0, 1}).value(), kPage);
  EXPECT_TRUE(mapping->unlock());
}

TEST(Mapping, ProbeFindsTheLastByteThatIsThere) {
  const TempFile file(std::vector<std::byte>(8 * kPage, std::byte{1}));
  const auto mapping = Options(8 * kPage).backing(File::open(file.path()).value()).map<ReadOnly>();
  ASSERT_TRUE(mapping);
  EXPECT_EQ(mapping->probe(mapping->all()).count, 8 * kPage);
  ASSERT_TRUE(file.cut(3 * kPage));
  const Transfer probed = mapping->probe({10, 8 * kPage - 10});
  EXPECT_EQ(probed.count, 3 * kPage - 10);
  EXPECT_EQ(probed.stop, MemoryErrc::source_truncated);
  EXPECT_EQ(probed.address, 3 * kPage);
  EXPECT_EQ(mapping->probe({5 * kPage, 1}).count, 0u);
  EXPECT_TRUE(mapping->populate({0, 3 * kPage}));
  EXPECT_EQ(mapping->populate(mapping->all()).error().code, MemoryErrc::source_truncated);
}

TEST(Mapping, DropPageCacheTakesPrivateChangesAway) {
  const TempFile file(std::vector<std::byte>(2 * kPage, std::byte{1}));
  auto mapping = Options(2 * kPage).backing(File::open(file.path()).value()).map<ReadWrite>();
  ASSERT_TRUE(mapping && mapping->slice().write_object<std::uint8_t>(0, 9));
  EXPECT_EQ(mapping->drop_page_cache({0, 1}).error().code, MemoryErrc::not_page_aligned);
  ASSERT_TRUE(mapping->drop_page_cache({0, kPage}));
  EXPECT_EQ(mapping->slice().read_object<std::uint8_t>(0).value(), 1);
  auto anonymous = Options(kPage).map<ReadWrite>();
  ASSERT_TRUE(anonymous);
  EXPECT_EQ(anonymous->drop_page_cache({0, kPage}).error().code, MemoryErrc::unsupported);
}

TEST(Mapping, MergeComparesTheRecord) {
  auto mapping = Options(2 * kPage).map<ReadWrite>();
  ASSERT_TRUE(mapping);
  auto tail = AnyMapping(mapping->split_off(kPage).value());
  auto head = AnyMapping(std::move(*mapping));
  ASSERT_TRUE(tail.protect(Prot::read));
  auto refused = head.merge(std::move(tail));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().error.code, MemoryErrc::attribute_mismatch);
  tail = std::move(refused.error().self);
  ASSERT_TRUE(tail.protect(Prot::read | Prot::write));
  ASSERT_TRUE(head.merge(std::move(tail)));
  EXPECT_EQ(head.size(), 2 * kPage);
}

TEST(Mapping, ReleasedPagesStay) {
  auto mapping = Options(kPage + 1).guard_pages().map<ReadWrite>();
  ASSERT_TRUE(mapping);
  const NativeRange range = std::move(*mapping).release();
  EXPECT_EQ(range.size, 2 * kPage);
  EXPECT_TRUE(mapping->empty());
  EXPECT_EQ(rights_of(range), "rw-p");
  EXPECT_EQ(::munmap(range.address, range.size), 0);
}

TEST(Mapping, AFailedUnmapIsCounted) {
  const std::uint64_t before = unmap_failures();
  char byte = 0;  // surely not at the start of a page together with the next one
  const auto unmap_nonsense = [&] {
    detail::unmap_or_count(&byte + (reinterpret_cast<std::uintptr_t>(&byte) % kPage == 0), 1);
  };
#ifdef NDEBUG
  unmap_nonsense();
  EXPECT_EQ(unmap_failures(), before + 1);
#else
  EXPECT_DEATH(unmap_nonsense(), "munmap refused");
  EXPECT_EQ(unmap_failures(), before);
#endif
}

TEST(Reserved, IsCommittedPageByPage) {
  constexpr std::uint64_t kWindow = std::uint64_t{1} << 36;  // far more than there is memory
  auto window = Options(kWindow).reserve<ReadWrite>();
  ASSERT_TRUE(window);
  const Extent part{5 * kPage, 2 * kPage};
  EXPECT_EQ(window->slice(part).error().code, MemoryErrc::not_present);
  ASSERT_TRUE(window->commit(part));
  EXPECT_TRUE(window->committed(part));
  EXPECT_FALSE(window->committed({4 * kPage, 2 * kPage}));
  const auto slice = window->slice(part);
  ASSERT_TRUE(slice);
  ASSERT_TRUE(slice->write_object<std::uint8_t>(0, 7));
  EXPECT_EQ(page_rights(*window, 4), "---p");
  EXPECT_EQ(page_rights(*window, 6), "rw-p");
  EXPECT_EQ(window->commit({1, kPage}).error().code, MemoryErrc::not_page_aligned);

  ASSERT_TRUE(window->decommit({5 * kPage, kPage}));
  EXPECT_EQ(page_rights(*window, 5), "---p");
  EXPECT_FALSE(window->slice(part));
  ASSERT_TRUE(window->commit({5 * kPage, kPage}));
  EXPECT_EQ(window->slice(part)->read_object<std::uint8_t>(0).value(), 0) << "the page came back";
}

TEST(Reserved, SharedMemoryThatIsDecommittedIsZerosWhenItComesBack) {
  auto window = Options(3 * kPage).share(Share::shared).reserve<ReadWrite>();
  ASSERT_TRUE(window && window->commit({0, 2 * kPage}));
  const auto slice = window->slice({0, 2 * kPage});
  ASSERT_TRUE(slice && slice->write_object<std::uint8_t>(0, 7) &&
              slice->write_object<std::uint8_t>(kPage, 8));
  ASSERT_TRUE(window->decommit({0, kPage}));
  ASSERT_TRUE(window->commit({0, kPage}));
  EXPECT_EQ(slice->read_object<std::uint8_t>(0).value(), 0) << "the memory was not given back";
  EXPECT_EQ(slice->read_object<std::uint8_t>(kPage).value(), 8);
}

TEST(Reserved, ProtectionReachesWhatIsCommitted) {
  auto window = Options(4 * kPage).reserve<ReadWrite>();
  ASSERT_TRUE(window && window->commit({kPage, kPage}));
  auto readable = std::move(*window).make_read_only();
  ASSERT_TRUE(readable);
  EXPECT_EQ(page_rights(*readable, 0), "---p");
  EXPECT_EQ(page_rights(*readable, 1), "r--p");
  const auto whole = std::move(*readable).commit();
  ASSERT_TRUE(whole);
  EXPECT_EQ(rights_of(whole->native_range()), "r--p");
}

TEST(Reserved, CutAndJoinedWithItsCommittedParts) {
  auto window = Options(4 * kPage).reserve<ReadWrite>();
  ASSERT_TRUE(window && window->commit({kPage, 2 * kPage}));
  auto tail = window->split_off(2 * kPage);
  ASSERT_TRUE(tail);
  EXPECT_TRUE(window->committed({kPage, kPage}));
  EXPECT_TRUE(tail->committed({0, kPage}));
  EXPECT_FALSE(tail->committed({kPage, kPage}));
  ASSERT_TRUE(window->merge(std::move(*tail)));
  EXPECT_TRUE(window->committed({kPage, 2 * kPage}));
  EXPECT_FALSE(window->committed({0, kPage}));
}

TEST(AnyMapping, RefusesAtRunTime) {
  auto mapping = Options(kPage).map_any(Prot::read);
  ASSERT_TRUE(mapping);
  EXPECT_EQ(mapping->protect(Prot::read | Prot::write | Prot::exec).error().code,
            MemoryErrc::jit_needed);
  EXPECT_EQ(mapping->mutable_slice({0, 1}).error().code, MemoryErrc::access_refused);
  EXPECT_EQ(mapping->commit().error().code, MemoryErrc::unsupported);
  EXPECT_TRUE(mapping->slice({0, kPage}));
  ASSERT_TRUE(mapping->protect(Prot::none));
  EXPECT_EQ(mapping->slice({0, 1}).error().code, MemoryErrc::access_refused);
  EXPECT_EQ(mapping->probe({0, 1}).stop, MemoryErrc::access_refused);

  auto reserved = Options(kPage).reserve_any(Prot::read);
  ASSERT_TRUE(reserved);
  EXPECT_EQ(reserved->slice({0, 1}).error().code, MemoryErrc::not_present);
  EXPECT_EQ(reserved->probe({0, 1}).stop, MemoryErrc::unsupported);
  ASSERT_TRUE(reserved->commit());
  EXPECT_TRUE(reserved->slice({0, 1}));
}

TEST(AnyMapping, ToTypesAndBack) {
  auto any = AnyMapping(Options(kPage).map<ReadWrite>().value());
  auto wrong = std::move(any).as<ReadOnly>();
  ASSERT_FALSE(wrong);
  EXPECT_EQ(wrong.error().error.code, MemoryErrc::attribute_mismatch);
  auto typed = std::move(wrong.error().self).as<ReadWrite>();
  ASSERT_TRUE(typed);
  EXPECT_EQ(typed->size(), kPage);
}

}  // namespace
}  // namespace engram::mapping
