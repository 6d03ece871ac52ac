// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0

// Streams into and out of views, and the file that they often are.

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <vector>

#include "base/units.h"
#include "mapping/atomic_bitmap.h"
#include "mapping/file.h"
#include "mapping/stream.h"
#include "mapping/stream_adaptors.h"

namespace engram::mapping {
namespace {

using testing::ElementsAre;

/// 1, 2, 3, ...
std::vector<std::byte> counting(std::size_t size) {
  std::vector<std::byte> bytes(size);
  for (std::size_t i = 0; i < size; ++i) bytes[i] = static_cast<std::byte>(i + 1);
  return bytes;
}

File memory_file(Bytes content) {
  const File file = File::adopt(::memfd_create("engram-test", MFD_CLOEXEC)).value();
  EXPECT_TRUE(file.write_at(FileOffset(0), content).complete());
  return file;
}

File device(const char* path) {
  return File::adopt(::open(path, O_RDWR | O_CLOEXEC)).value();
}

std::vector<std::byte> content(const File& file) {
  std::vector<std::byte> bytes(*file.size());
  EXPECT_TRUE(file.read_at(FileOffset(0), bytes).complete());
  return bytes;
}

TEST(VT28, ExactReadsOfAnEndlessAndOfAnEmptyFile) {
  std::uint32_t value = 0xffffffff;
  const VolatileSlice<> view(mutable_bytes_of(value));
  const File zero = device("/dev/zero");
  FdReader endless(zero.fd());
  EXPECT_EQ(read_exact(endless, view), Transfer{4});
  EXPECT_EQ(value, 0u);

  const File nothing = memory_file({});
  FdReader empty(nothing.fd());
  EXPECT_EQ(read_exact(empty, view).exact(4).error().code, MemoryErrc::unexpected_eof);

  std::vector<std::byte> sink;
  VectorWriter writer(sink);
  EXPECT_TRUE(write_all(writer, view).complete());
  EXPECT_EQ(sink, std::vector<std::byte>(4));
}

TEST(VT30, AnObjectFromASourceThatIsTooShort) {
  std::vector<std::byte> object(32);
  const std::vector<std::byte> source = counting(20);
  const VolatileSlice<> view{MutableBytes(object)};
  SpanReader reader(source);
  EXPECT_EQ(read_some(reader, view), Transfer{20});
  const File file = memory_file(source);
  PreadReader positioned(file.fd(), FileOffset(0));
  EXPECT_EQ(read_some(positioned, view), Transfer{20});
}

TEST(VT37, SpanReaders) {
  for (const std::size_t size : {2u, 4u, 5u}) {
    const std::vector<std::byte> source = counting(size);
    const std::size_t moved = std::min<std::size_t>(size, 4);
    std::vector<std::byte> target(5);
    const VolatileSlice<> view{MutableBytes(target).first(4)};

    SpanReader once(source);
    EXPECT_EQ(read_once(once, view), Transfer{moved});
    std::vector<std::byte> expected(5);
    std::copy_n(source.begin(), moved, expected.begin());
    EXPECT_EQ(target, expected);
    EXPECT_EQ(once.remaining(), size - moved);

    target.assign(5, std::byte{0});
    SpanReader exactly(source);
    const Transfer exact = read_exact(exactly, view);
    if (size < 4) {
      EXPECT_EQ(exact, (Transfer{0, MemoryErrc::unexpected_eof, 0, 0}));
      EXPECT_EQ(target, std::vector<std::byte>(5));
    } else {
      EXPECT_EQ(exact, Transfer{4});
      EXPECT_EQ(target, expected);
    }
  }
}

TEST(VT37, FileReaders) {
  for (const std::size_t size : {2u, 4u, 5u}) {
    const std::vector<std::byte> source = counting(size);
    const std::size_t moved = std::min<std::size_t>(size, 4);
    const File file = memory_file(source);
    std::vector<std::byte> target(5), expected(5);
    std::copy_n(source.begin(), moved, expected.begin());
    const VolatileSlice<> view{MutableBytes(target).first(4)};

    PreadReader once(file.fd(), FileOffset(0));
    EXPECT_EQ(read_once(once, view), Transfer{moved});
    EXPECT_EQ(target, expected);
    EXPECT_EQ(once.offset(), FileOffset(moved));

    target.assign(5, std::byte{0});
    ASSERT_EQ(::lseek(file.fd(), 0, SEEK_SET), 0);
    FdReader exactly(file.fd());
    const Transfer exact = read_exact(exactly, view);
    // What was there is stored even when it was too little.
    EXPECT_EQ(target, expected);
    EXPECT_EQ(exact.count, moved);
    EXPECT_EQ(exact.stop, size < 4 ? MemoryErrc::unexpected_eof : MemoryErrc::none);
  }
}

TEST(VT38, SpanWriters) {
  for (const std::size_t size : {2u, 4u, 5u}) {
    const std::vector<std::byte> source = counting(size);
    std::vector<std::byte> target(5), expected(5);
    const std::size_t moved = std::min<std::size_t>(size, 4);
    std::copy_n(source.begin(), moved, expected.begin());

    SpanWriter once(MutableBytes(target).first(4));
    EXPECT_EQ(write_some(once, ConstVolatileSlice(Bytes(source))), Transfer{moved});
    EXPECT_EQ(target, expected);
    EXPECT_EQ(once.rest().size(), 4 - moved);

    target.assign(5, std::byte{0});
    SpanWriter all(MutableBytes(target).first(4));
    const Transfer written = write_all(all, ConstVolatileSlice(Bytes(source)));
    EXPECT_EQ(target, expected);
    EXPECT_EQ(written.count, moved);
    EXPECT_EQ(written.stop, size > 4 ? MemoryErrc::write_zero : MemoryErrc::none);
  }
}

TEST(VT38, FileWriters) {
  for (const std::size_t size : {2u, 4u, 5u}) {
    const std::vector<std::byte> source = counting(size);
    const ConstVolatileSlice view{Bytes(source)};
    const File once = memory_file({}), all = memory_file({}), placed = memory_file({});
    FdWriter some(once.fd());
    EXPECT_EQ(write_some(some, view), Transfer{size});
    EXPECT_EQ(content(once), source);
    FdWriter whole(all.fd());
    EXPECT_TRUE(write_all(whole, view).complete());
    EXPECT_EQ(content(all), source);
    PwriteWriter positioned(placed.fd(), FileOffset(0));
    EXPECT_TRUE(write_all(positioned, view).complete());
    EXPECT_EQ(content(placed), source);
  }
}

TEST(VT39, CursorReader) {
  const std::vector<std::byte> source = counting(7);
  std::vector<std::byte> target(4);
  const VolatileSlice<> view{MutableBytes(target)};
  SpanReader cursor(source);
  EXPECT_EQ(read_once(cursor, view), Transfer{4});
  EXPECT_EQ(target, counting(4));
  EXPECT_EQ(read_once(cursor, view), Transfer{3});
  EXPECT_THAT(target, ElementsAre(std::byte{5}, std::byte{6}, std::byte{7}, std::byte{4}));
  EXPECT_EQ(read_once(cursor, view), Transfer{0});

  cursor.seek(0);
  EXPECT_EQ(read_exact(cursor, view), Transfer{4});
  EXPECT_EQ(target, counting(4));
  EXPECT_EQ(read_exact(cursor, view).stop, MemoryErrc::unexpected_eof);
  EXPECT_EQ(target, counting(4));
  EXPECT_EQ(cursor.position(), 4u);
}

TEST(VT39, CursorWriterAndVector) {
  const std::vector<std::byte> source = counting(4);
  const ConstVolatileSlice view{Bytes(source)};
  std::vector<std::byte> target(7);
  SpanWriter cursor{MutableBytes(target)};
  EXPECT_EQ(write_some(cursor, view), Transfer{4});
  EXPECT_EQ(write_some(cursor, view), Transfer{3});
  std::vector<std::byte> expected = source;
  expected.insert(expected.end(), source.begin(), source.begin() + 3);
  EXPECT_EQ(target, expected);
  EXPECT_EQ(write_some(cursor, view), Transfer{0});

  std::vector<std::byte> grown = counting(1);
  VectorWriter appender(grown);
  EXPECT_TRUE(write_all(appender, view).complete());
  EXPECT_EQ(write_some(appender, view), Transfer{4});
  expected = counting(1);
  for (int i = 0; i < 2; ++i) expected.insert(expected.end(), source.begin(), source.end());
  EXPECT_EQ(grown, expected);
}

TEST(VT51, AFileReferenceKeepsItsFileAndItsStart) {
  const File file = memory_file(counting(5));
  const FileRef reference{file, FileOffset(1000)};
  EXPECT_EQ(reference.offset, FileOffset(1000));
  EXPECT_EQ(reference.file.fd(), file.fd());
  EXPECT_EQ(*reference.file.identity(), *file.identity());
  EXPECT_EQ(content(reference.file), counting(5));
}

class XT07 : public testing::Test {
 protected:
  /// 4 bytes at 1 of 16.
  SliceWriter<> writer() { return SliceWriter<>(*view_.subslice(1, 4)); }
  /// `written` at 1 and nothing else.
  void expect(std::vector<std::byte> written) const {
    written.insert(written.begin(), std::byte{0});
    written.resize(16);
    EXPECT_EQ(bytes_, written);
  }
  std::vector<std::byte> bytes_ = std::vector<std::byte>(16);
  const VolatileSlice<> view_{MutableBytes(bytes_)};
};

TEST_F(XT07, FourBytesAndFourMore) {
  SliceWriter<> sequential(*view_.offset(1));
  EXPECT_EQ(sequential.write(counting(4)), Transfer{4});
  expect(counting(4));
  EXPECT_EQ(sequential.write(Bytes(counting(8)).subspan(4)), Transfer{4});
  expect(counting(8));
  EXPECT_EQ(sequential.position(), 8u);
  EXPECT_EQ(sequential.room(), 7u);
}

TEST_F(XT07, ExactlyWhatFits) {
  SliceWriter<> sequential = writer();
  EXPECT_EQ(sequential.write(counting(4)), Transfer{4});
  expect(counting(4));
  EXPECT_EQ(sequential.room(), 0u);
}

TEST_F(XT07, MoreThanFits) {
  SliceWriter<> sequential = writer();
  EXPECT_EQ(sequential.write(counting(5)).count, 4u);
  expect(counting(4));
  EXPECT_EQ(sequential.write(counting(1)).count, 0u);
  expect(counting(4));
}

TEST_F(XT07, IntoNothing) {
  SliceWriter<> sequential(*view_.subslice(1, 0));
  EXPECT_EQ(sequential.write(counting(4)).count, 0u);
  expect({});
}

TEST(XT16, DataRangesOfASparseFile) {
  const File file = memory_file({});
  ASSERT_TRUE(file.resize(4 * kPageSize));
  for (const std::uint64_t at : {std::uint64_t{10}, 2 * kPageSize, 4 * kPageSize - 1}) {
    ASSERT_TRUE(file.write_at(FileOffset(at), counting(1)).complete());
  }
  const auto extents = [&](std::uint64_t start, std::uint64_t size) {
    return file.data_extents({FileOffset(start), size}).value();
  };
  EXPECT_THAT(extents(0, 4 * kPageSize),
              ElementsAre(FileExtent{FileOffset(0), kPageSize},
                          FileExtent{FileOffset(2 * kPageSize), 2 * kPageSize}));
  EXPECT_THAT(extents(0, kPageSize), ElementsAre(FileExtent{FileOffset(0), kPageSize}));
  EXPECT_THAT(extents(0, kPageSize + 1), ElementsAre(FileExtent{FileOffset(0), kPageSize}));
  EXPECT_THAT(extents(kPageSize, 2 * kPageSize),
              ElementsAre(FileExtent{FileOffset(2 * kPageSize), kPageSize}));
}

/// Stores some bytes, then fails as a disk does.
struct FailingReader {
  Transfer read_volatile(const VolatileSlice<>& to) {
    if (++attempts == 2) {
      // A transfer that fails may have stored anything before.
      EXPECT_TRUE(to.write(to.size() - 1, counting(1)).complete());
      return {0, MemoryErrc::os, EIO, 0};
    }
    EXPECT_TRUE(to.write(0, counting(5)).complete());
    return {5};
  }
  int attempts = 0;
};

/// Memory of 8 pages of 16 bytes, whose pages 2 to 5 are the target of a read.
struct Target {
  std::vector<std::byte> bytes = std::vector<std::byte>(128);
  AtomicBitmap bitmap{128, 16};
  VolatileSlice<BitmapSlice> all{bytes.data(), bytes.size(), bitmap.slice_at(0)};
  VolatileSlice<BitmapSlice> view = *all.subslice(32, 64);
  static constexpr std::uint64_t kEveryPage = 0b00111100;
};

TEST(ST18, AFailureMidwayMarksTheWholeTarget) {
  Target target;
  FailingReader reader;
  EXPECT_EQ(read_exact(reader, target.view), (Transfer{5, MemoryErrc::os, EIO, 5}));
  EXPECT_THAT(target.bitmap.get_and_reset(), ElementsAre(Target::kEveryPage));

  // A read that succeeds marks what it stored.
  FailingReader once;
  EXPECT_EQ(read_once(once, target.view), Transfer{5});
  EXPECT_THAT(target.bitmap.get_and_reset(), ElementsAre(0b100));
  EXPECT_EQ(read_once(once, target.view).os_errno, EIO);
  EXPECT_THAT(target.bitmap.get_and_reset(), ElementsAre(Target::kEveryPage));
}

TEST(ST18, DescriptorsThatCannotBeRead) {
  Target target;
  FdReader closed(-1);
  EXPECT_EQ(read_exact(closed, target.view).os_errno, EBADF);
  EXPECT_THAT(target.bitmap.get_and_reset(), ElementsAre(Target::kEveryPage));
  // Address 0 of this process is not mapped: the kernel answers with EIO.
  const File self = File::adopt(::open("/proc/self/mem", O_RDONLY | O_CLOEXEC)).value();
  PreadReader broken(self.fd(), FileOffset(0));
  EXPECT_EQ(read_exact(broken, target.view).os_errno, EIO);
  EXPECT_THAT(target.bitmap.get_and_reset(), ElementsAre(Target::kEveryPage));
}

}  // namespace
}  // namespace engram::mapping
