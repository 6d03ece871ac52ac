// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "mapping/file.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "base/test_file.h"

namespace engram::mapping {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr std::uint64_t kMax = std::numeric_limits<std::uint64_t>::max();

Bytes as_bytes(std::string_view text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

/// What a test file lives on: the two kinds of file system have different short ways.
class FileTest : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    const std::string folder = GetParam();
    if (folder == "memfd") {
      file_ = File::adopt(::memfd_create("engram-test", MFD_CLOEXEC)).value();
      return;
    }
    file_ = File::open(test::TempFile({}).path(), File::Access::read_write).value();
  }
  const File& file() const { return *file_; }
  std::string read(std::uint64_t from, std::size_t size) const {
    std::vector<std::byte> bytes(size);
    const Transfer got = file().read_at(FileOffset(from), bytes);
    return {reinterpret_cast<const char*>(bytes.data()), got.count};
  }
  std::uint64_t blocks() const {
    struct stat status = {};
    EXPECT_EQ(::fstat(file().fd(), &status), 0);
    return static_cast<std::uint64_t>(status.st_blocks);
  }

 private:
  std::optional<File> file_;
};
INSTANTIATE_TEST_SUITE_P(On, FileTest, testing::Values("memfd", "disk"),
                         [](const auto& on) { return on.param; });

TEST_P(FileTest, ReadsWhatWasWrittenAndSaysWhereTheFileEnds) {
  const Transfer written = file().write_at(FileOffset(3), as_bytes("engram"));
  EXPECT_TRUE(written.complete());
  EXPECT_EQ(written.count, 6u);
  EXPECT_EQ(file().size(), 9u);
  EXPECT_EQ(read(0, 9), std::string("\0\0\0engram", 9));

  std::vector<std::byte> more(20);
  EXPECT_EQ(file().read_at(FileOffset(5), more), (Transfer{4, MemoryErrc::source_truncated, 0, 9}));
  EXPECT_EQ(file().read_at(FileOffset(100), more),
            (Transfer{0, MemoryErrc::source_truncated, 0, 100}));
}

TEST_P(FileTest, OffsetsThatNoFileHasAreErrorsAndEmptyTransfersAreNot) {
  std::vector<std::byte> bytes(16);
  constexpr std::uint64_t kTop = std::uint64_t{1} << 63;
  for (const std::uint64_t offset : {kTop - 8, kTop, kMax - 4, kMax}) {
    EXPECT_EQ(file().read_at(FileOffset(offset), bytes).stop, MemoryErrc::source_truncated);
    EXPECT_EQ(file().write_at(FileOffset(offset), bytes).os_errno, EFBIG);
    EXPECT_TRUE(file().read_at(FileOffset(offset), {}).complete());
    EXPECT_TRUE(file().write_at(FileOffset(offset), {}).complete());
    EXPECT_TRUE(file().allocate({FileOffset(offset), 0}));
    EXPECT_EQ(file().allocate({FileOffset(offset), 16}).error().os_errno, EFBIG);
    EXPECT_EQ(file().punch_hole({FileOffset(offset), 16}).error().os_errno, EFBIG);
    EXPECT_EQ(file().write_zeroes({FileOffset(offset), 16}).error().os_errno, EFBIG);
    EXPECT_EQ(file().data_extents({FileOffset(offset), kMax})->size(), 0u);
  }
  EXPECT_EQ(file().resize(kTop).error().os_errno, EFBIG);
}

TEST_P(FileTest, ResizeGrowsWithZerosAndCuts) {
  ASSERT_TRUE(file().write_at(FileOffset(0), as_bytes("engram")).complete());
  ASSERT_TRUE(file().resize(3));
  ASSERT_TRUE(file().resize(8));
  EXPECT_EQ(read(0, 100), std::string("eng\0\0\0\0\0", 8));
  EXPECT_TRUE(file().sync());
}

TEST_P(FileTest, AllocatePunchAndWriteZeroes) {
  ASSERT_TRUE(file().allocate({FileOffset(0), 4 * kPageSize}));
  EXPECT_EQ(file().size(), 4 * kPageSize);
  EXPECT_GE(blocks(), 4 * kPageSize / 512);

  const std::vector<std::byte> ones(4 * kPageSize, std::byte{1});
  ASSERT_TRUE(file().write_at(FileOffset(0), ones).complete());
  const std::uint64_t full = blocks();
  ASSERT_TRUE(file().punch_hole({FileOffset(kPageSize), kPageSize}));
  EXPECT_EQ(file().size(), 4 * kPageSize);
  EXPECT_LT(blocks(), full);
  EXPECT_EQ(read(kPageSize - 1, kPageSize + 2), '\1' + std::string(kPageSize, '\0') + '\1');

  // Across the end, neither end at a page; more than the buffer of zeros holds.
  ASSERT_TRUE(file().write_zeroes({FileOffset(3 * kPageSize + 5), 40 * kPageSize}));
  EXPECT_EQ(file().size(), 43 * kPageSize + 5);
  EXPECT_EQ(read(3 * kPageSize + 4, 41 * kPageSize), '\1' + std::string(40 * kPageSize, '\0'));
  // Within the file, and the bytes around it stay.
  ASSERT_TRUE(file().write_zeroes({FileOffset(10), 5}));
  EXPECT_EQ(read(9, 7), std::string("\1\0\0\0\0\0\1", 7));
  EXPECT_EQ(file().size(), 43 * kPageSize + 5);
}

TEST_P(FileTest, DataExtentsAreCutToWhatWasAskedAndToTheEnd) {
  ASSERT_TRUE(file().resize(64 * kPageSize));
  EXPECT_TRUE(file().data_extents({FileOffset(0), kMax})->empty());
  ASSERT_TRUE(file().write_at(FileOffset(16 * kPageSize), as_bytes("x")).complete());
  EXPECT_THAT(*file().data_extents({FileOffset(0), kMax}),
              ElementsAre(FileExtent{FileOffset(16 * kPageSize), kPageSize}));
  EXPECT_THAT(*file().data_extents({FileOffset(16 * kPageSize + 1), 2}),
              ElementsAre(FileExtent{FileOffset(16 * kPageSize + 1), 2}));
  EXPECT_TRUE(file().data_extents({FileOffset(17 * kPageSize), kMax})->empty());
  EXPECT_TRUE(file().data_extents({FileOffset(0), 0})->empty());
  EXPECT_EQ(file().next_data(FileOffset(1)).value(), FileOffset(16 * kPageSize));
  EXPECT_EQ(file().next_data(FileOffset(16 * kPageSize + 3)).value(),
            FileOffset(16 * kPageSize + 3));
  EXPECT_EQ(file().next_data(FileOffset(17 * kPageSize)).value(), std::nullopt);
  ASSERT_TRUE(file().resize(16 * kPageSize + 1));
  EXPECT_THAT(*file().data_extents({FileOffset(0), kMax}),
              ElementsAre(FileExtent{FileOffset(16 * kPageSize), 1}));
}

TEST(FileOpenTest, NamesTheFileAndWhatIsWrong) {
  const test::TempFile temporary(as_bytes("engram"));
  const auto file = File::open(temporary.path());
  ASSERT_TRUE(file) << file.error().text;
  EXPECT_EQ(file->size(), 6u);
  EXPECT_EQ(file->write_at(FileOffset(0), as_bytes("x")).os_errno, EBADF);
  EXPECT_TRUE(File::open(temporary.path(), File::Access::read_write)
                  ->write_at(FileOffset(0), as_bytes("E"))
                  .complete());

  EXPECT_EQ(File::open("/no/such/file").error().text,
            "cannot open /no/such/file: No such file or directory");
  EXPECT_THAT(File::open("/tmp").error().text, HasSubstr("it is a directory"));
  EXPECT_THAT(File::open("/dev/null").error().text, HasSubstr("it is a character device"));
  const std::string pipe = temporary.path() + ".pipe";
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  EXPECT_THAT(File::open(pipe).error().text, HasSubstr("it is a pipe"));
  ::unlink(pipe.c_str());
}

TEST(FileOwnershipTest, TheLastCopyCloses) {
  const int fd = ::memfd_create("engram-test", MFD_CLOEXEC);
  {
    std::optional<File> first = File::adopt(fd).value();
    const File second = *first;
    first.reset();
    EXPECT_EQ(second.fd(), fd);
    EXPECT_TRUE(second.size());
  }
  EXPECT_LT(::fcntl(fd, F_GETFD), 0);
  EXPECT_EQ(File::adopt(fd).error().os_errno, EBADF);
  EXPECT_EQ(File::adopt(-1).error().os_errno, EBADF);
  EXPECT_EQ(File::duplicate(-1).error().os_errno, EBADF);
}

TEST(FileOwnershipTest, DuplicatesAreTheSameFile) {
  const File file = File::adopt(::memfd_create("engram-test", MFD_CLOEXEC)).value();
  const File other = File::adopt(::memfd_create("engram-test", MFD_CLOEXEC)).value();
  const File copy = File::duplicate(file.fd()).value();
  EXPECT_NE(copy.fd(), file.fd());
  EXPECT_EQ(*copy.identity(), *file.identity());
  EXPECT_FALSE(*other.identity() == *file.identity());
}

TEST(FileOwnershipTest, MovedFromFailsInsteadOfUsingAnotherDescriptor) {
  File file = File::adopt(::memfd_create("engram-test", MFD_CLOEXEC)).value();
  const File taken = std::move(file);
  // NOLINTNEXTLINE(bugprone-use-after-move): this is what is tested
  EXPECT_EQ(file.size().error().os_errno, EBADF);
  EXPECT_TRUE(taken.size());
}

}  // namespace
}  // namespace engram::mapping
