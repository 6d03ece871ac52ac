// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0

// The list of what is mapped in a process.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>

#include <string>
#include <vector>

#include "base/test_file.h"
#include "mapping/areas.h"

namespace engram::mapping {
namespace {

using testing::HasSubstr;

std::vector<Area> collect(AreaCursor cursor) {
  std::vector<Area> areas;
  for (const Result<Area>& area : cursor) {
    EXPECT_TRUE(area) << area.error().text;
    if (area) areas.push_back(*area);
  }
  return areas;
}

/// Three pages L, M and R, of which M is unmapped; protections differ so that none is joined with
/// what is beside it.
class Gap {
 public:
  Gap()
      : base_(static_cast<std::byte*>(
            ::mmap(nullptr, 3 * kPageSize, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0))) {
    ::mprotect(base_ + 2 * kPageSize, kPageSize, PROT_READ | PROT_WRITE);
    ::munmap(base_ + kPageSize, kPageSize);
  }
  Gap(const Gap&) = delete;
  Gap& operator=(const Gap&) = delete;
  ~Gap() {
    ::munmap(base_, kPageSize);
    ::munmap(base_ + 2 * kPageSize, kPageSize);
  }
  [[nodiscard]] AddressRange range() const {
    return {HostAddr(reinterpret_cast<std::uintptr_t>(base_)), 3 * kPageSize};
  }

 private:
  std::byte* base_;
};

class MT14 : public testing::TestWithParam<Areas::Method> {};
INSTANTIATE_TEST_SUITE_P(By, MT14, testing::Values(Areas::Method::best, Areas::Method::text));

TEST_P(MT14, AQueryAcrossAGapGivesBothSidesAndEnds) {
  const Gap gap;
  const auto areas = Areas::of_self(GetParam());
  ASSERT_TRUE(areas) << areas.error().text;
  const std::vector<Area> found = collect(areas->query(gap.range()));
  // Another thread may have mapped something into the gap.
  ASSERT_GE(found.size(), 2u);
  ASSERT_LE(found.size(), 3u);
  EXPECT_EQ(found.front().range.end(), gap.range().start + kPageSize);
  EXPECT_EQ(found.front().prot, Prot::read);
  EXPECT_EQ(found.back().range.start, gap.range().start + 2 * kPageSize);
  EXPECT_TRUE(allows(found.back().prot, Prot::write));
}

TEST(MT15, AListingOfThisProcessHasItsCodeItsStackAndNoOverlaps) {
  const auto areas = Areas::of_self();
  ASSERT_TRUE(areas) << areas.error().text;
  const std::vector<Area> all = collect(areas->all());
  const int on_stack = 0;
  const HostAddr stack(reinterpret_cast<std::uintptr_t>(&on_stack));
  const HostAddr code(reinterpret_cast<std::uintptr_t>(&collect));
  bool stack_found = false, code_found = false;
  for (std::size_t i = 0; i < all.size(); ++i) {
    const Area& area = all[i];
    if (i > 0) {
      EXPECT_LE(all[i - 1].range.end(), area.range.start);
    }
    stack_found |= area.range.contains(stack) && allows(area.prot, Prot::read | Prot::write);
    code_found |= area.range.contains(code) && allows(area.prot, Prot::exec) &&
                  area.kind == Area::Kind::file && area.path.find('/') == 0;
  }
  EXPECT_TRUE(stack_found);
  EXPECT_TRUE(code_found);
}

TEST(ST16, LinesThatAreHardToReadAreRead) {
  const auto wide = parse_area("7f00-8f00 r--p 00001000 fd:1ff 42       /usr/lib/a b  c.so");
  ASSERT_TRUE(wide) << wide.error().text;
  EXPECT_EQ(wide->device_major, 0xfdu);
  EXPECT_EQ(wide->device_minor, 0x1ffu);
  EXPECT_EQ(wide->path, "/usr/lib/a b  c.so");
  EXPECT_FALSE(wide->is_deleted);

  const auto deleted = parse_area("7f00-8f00 rw-s 00000000 00:05 9       /a/b (deleted)");
  ASSERT_TRUE(deleted) << deleted.error().text;
  EXPECT_EQ(deleted->path, "/a/b");
  EXPECT_TRUE(deleted->is_deleted);

  const auto newline =
      parse_area("7f00-8f00 rw-s 00000000 00:05 9       /a\\012b\\011\\ (deleted)");
  ASSERT_TRUE(newline) << newline.error().text;
  EXPECT_EQ(newline->path, "/a\nb\\011\\");
  EXPECT_TRUE(newline->is_deleted);
}

TEST(ST16, AGarbageLineIsAnErrorItemAndTheListGoesOn) {
  const std::string text =
      "1000-2000 r--p 00000000 08:1ff 1 /first\n"
      "garbage\n"
      "\n"
      "3000-4000 rw-p 00000000 00:00 0 [heap]\n";
  const test::TempFile file(std::as_bytes(std::span(text)));
  const auto areas = Areas::in_file(file.path());
  ASSERT_TRUE(areas) << areas.error().text;

  AreaCursor cursor = areas->all();
  const auto first = cursor.next();
  ASSERT_TRUE(first && *first);
  EXPECT_EQ((*first)->path, "/first");
  const auto garbage = cursor.next();
  ASSERT_TRUE(garbage && !*garbage);
  EXPECT_THAT(garbage->error().text, HasSubstr(": line 2: at character 0: expected a start"));
  EXPECT_THAT(garbage->error().text, HasSubstr("`garbage`"));
  const auto blank = cursor.next();
  ASSERT_TRUE(blank && !*blank);
  const auto last = cursor.next();
  ASSERT_TRUE(last && *last);
  EXPECT_EQ((*last)->kind, Area::Kind::heap);
  EXPECT_FALSE(cursor.next());
  EXPECT_FALSE(cursor.next());

  // A decision about an address behind the garbage can still be made.
  EXPECT_EQ(areas->query(HostAddr(0x3fff)).value()->kind, Area::Kind::heap);
  EXPECT_EQ(areas->query(HostAddr(0x2000)).value(), std::nullopt);
}

}  // namespace
}  // namespace engram::mapping
