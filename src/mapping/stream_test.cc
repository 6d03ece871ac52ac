// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "mapping/stream.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>  // NOLINT(modernize-deprecated-headers): sigaction is that of POSIX
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

#include "mapping/atomic_bitmap.h"
#include "mapping/file.h"
#include "mapping/stream_adaptors.h"

namespace engram::mapping {
namespace {

Bytes as_bytes(std::string_view text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}
std::string as_text(Bytes bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

/// Gives what it is told to, one attempt after the other, and counts them.
class ScriptedReader {
 public:
  explicit ScriptedReader(std::vector<Transfer> script) : script_(std::move(script)) {}
  Transfer read_volatile(const VolatileSlice<>& to) {
    if (attempts == script_.size()) return {};
    const Transfer attempt = script_[attempts++];
    const std::vector<std::byte> ones(std::min(attempt.count, to.size()), std::byte{1});
    EXPECT_TRUE(to.write(0, ones).complete());
    return attempt;
  }
  std::size_t attempts = 0;

 private:
  std::vector<Transfer> script_;
};

constexpr Transfer kInterrupted{0, MemoryErrc::os, EINTR, 0};
constexpr Transfer kBroken{0, MemoryErrc::os, EIO, 0};

/// 16 bytes in pages of one.
struct Tracked {
  std::vector<std::byte> bytes = std::vector<std::byte>(16);
  AtomicBitmap bitmap{16, 1};
  VolatileSlice<BitmapSlice> view{bytes.data(), bytes.size(), bitmap.slice_at(0)};
  std::uint64_t marks() { return bitmap.get_and_reset()[0]; }
};

TEST(StreamTest, OneAttemptIsNotRepeated) {
  Tracked memory;
  ScriptedReader reader({kInterrupted, {3}});
  EXPECT_EQ(read_once(reader, memory.view), kInterrupted);
  EXPECT_EQ(reader.attempts, 1u);
  EXPECT_EQ(read_once(reader, memory.view), Transfer{3});
  EXPECT_EQ(read_once(reader, memory.view), Transfer{0});
}

TEST(StreamTest, SignalsAreRetriedAndShortReadsAreNot) {
  Tracked memory;
  ScriptedReader reader({kInterrupted, kInterrupted, {3}, {5}});
  EXPECT_EQ(read_some(reader, memory.view), Transfer{3});
  EXPECT_EQ(reader.attempts, 3u);
}

TEST(StreamTest, ExactReadsGoOnUntilFullOrOver) {
  Tracked memory;
  ScriptedReader enough({{3}, kInterrupted, {13}});
  EXPECT_EQ(read_exact(enough, memory.view), Transfer{16});
  ScriptedReader little({{3}, {5}});
  EXPECT_EQ(read_exact(little, memory.view), (Transfer{8, MemoryErrc::unexpected_eof, 0, 8}));
  ScriptedReader broken({{3}, kBroken});
  EXPECT_EQ(read_exact(broken, memory.view), (Transfer{3, MemoryErrc::os, EIO, 3}));
  ScriptedReader none(std::vector<Transfer>{});
  EXPECT_EQ(read_exact(none, VolatileSlice<>()), Transfer{});
}

TEST(StreamTest, AReaderThatLiesIsCutToTheView) {
  Tracked memory;
  ScriptedReader liar({Transfer{100}});
  EXPECT_EQ(read_once(liar, memory.view).count, 16u);
  EXPECT_EQ(memory.marks(), 0xffffu);
  ScriptedReader again({{10}, {100}});
  EXPECT_EQ(read_exact(again, memory.view), Transfer{16});
}

TEST(StreamTest, MarksWhatWasReadAndEverythingAfterAFailure) {
  Tracked memory;
  ScriptedReader reader({{3}, {5}, {2}, kBroken});
  EXPECT_EQ(read_once(reader, memory.view).count, 3u);
  EXPECT_EQ(memory.marks(), 0b111u);
  EXPECT_EQ(read_once(reader, *memory.view.subslice(8, 6)).count, 5u);
  EXPECT_EQ(memory.marks(), 0b1'1111'0000'0000u);
  EXPECT_EQ(read_exact(reader, *memory.view.subslice(4, 8)).count, 2u);
  EXPECT_EQ(memory.marks(), 0xff0u);
  EXPECT_EQ(read_once(reader, memory.view).count, 0u);
  EXPECT_EQ(memory.marks(), 0u);
}

TEST(StreamTest, ObjectsAreTheirByteImages) {
  std::vector<std::byte> image;
  VectorWriter writer(image);
  ASSERT_TRUE(write_object(writer, std::uint32_t{0x01020304}));
  SpanReader reader(image);
  EXPECT_EQ(read_object<std::uint32_t>(reader), 0x01020304u);
  EXPECT_EQ(read_object<std::uint32_t>(reader).error().code, MemoryErrc::unexpected_eof);
  std::vector<std::byte> small(3);
  SpanWriter full(small);
  EXPECT_EQ(write_object(full, std::uint32_t{0}).error(),
            (MemoryError{MemoryErrc::partial, MemoryErrc::write_zero, 0, 3, 4, 3}));
}

class VectoredTest : public testing::Test {
 protected:
  const File file_ = File::adopt(::memfd_create("engram-test", MFD_CLOEXEC)).value();
};

TEST_F(VectoredTest, FillsAndWritesViewsOneBehindTheOther) {
  std::string a = "ab", b, c = "cde";
  // More empty views in front than one call takes.
  std::vector<ConstVolatileSlice> sources(2000);
  for (const std::string* text : {&a, &b, &c}) sources.emplace_back(as_bytes(*text));
  PwriteWriter writer(file_.fd(), FileOffset(1));
  EXPECT_EQ(writer.write_vectored(sources), Transfer{5});
  EXPECT_EQ(writer.offset(), FileOffset(6));
  EXPECT_EQ(file_.size(), 6u);

  std::vector<std::byte> bytes(4);
  std::vector<VolatileSlice<>> targets(2000);
  targets.emplace_back(MutableBytes(bytes).first(1));
  targets.emplace_back();
  targets.emplace_back(MutableBytes(bytes).subspan(1));
  PreadReader reader(file_.fd(), FileOffset(2));
  EXPECT_EQ(reader.read_vectored(targets), Transfer{4});
  EXPECT_EQ(as_text(bytes), "bcde");
  EXPECT_EQ(reader.read_vectored(targets), Transfer{0});
  EXPECT_EQ(reader.read_vectored({}), Transfer{});
}

TEST_F(VectoredTest, ExactFormsTakeMoreViewsThanOneCall) {
  std::string text(5000, ' ');
  for (std::size_t i = 0; i < text.size(); ++i) text[i] = static_cast<char>('a' + i % 23);
  std::vector<ConstVolatileSlice> sources;
  for (std::size_t i = 0; i < text.size(); i += 2) {
    sources.emplace_back(as_bytes(text).subspan(i, 2));
    sources.emplace_back();
  }
  FdWriter writer(file_.fd());
  EXPECT_EQ(write_all_vectored(writer, std::span(sources)), Transfer{5000});

  std::vector<std::byte> bytes(5003);
  std::vector<VolatileSlice<>> targets;
  for (std::size_t i = 0; i < 5000; i += 4) targets.emplace_back(MutableBytes(bytes).subspan(i, 4));
  PreadReader reader(file_.fd(), FileOffset(0));
  EXPECT_EQ(read_exact_vectored(reader, std::span(targets)), Transfer{5000});
  EXPECT_EQ(as_text(Bytes(bytes).first(5000)), text);

  std::vector<VolatileSlice<>> more = {VolatileSlice<>(MutableBytes(bytes).first(2)),
                                       VolatileSlice<>(MutableBytes(bytes).subspan(2, 5001))};
  PreadReader again(file_.fd(), FileOffset(0));
  EXPECT_EQ(read_exact_vectored(again, std::span(more)),
            (Transfer{5000, MemoryErrc::unexpected_eof, 0, 5000}));
}

TEST_F(VectoredTest, OffsetsThatNoFileHas) {
  std::vector<std::byte> bytes(4);
  const VolatileSlice<> view{MutableBytes(bytes)};
  const ConstVolatileSlice source = view;
  PreadReader reader(file_.fd(), FileOffset(~std::uint64_t{0}));
  EXPECT_EQ(reader.read_volatile(view), Transfer{});
  EXPECT_EQ(reader.read_vectored(std::span(&view, 1)), Transfer{});
  PwriteWriter writer(file_.fd(), FileOffset(~std::uint64_t{0}));
  EXPECT_EQ(writer.write_volatile(source).os_errno, EFBIG);
  EXPECT_EQ(writer.write_vectored(std::span(&source, 1)).os_errno, EFBIG);
}

/// A mapping of a file of which only the first page is left.
class CutMapping {
 public:
  CutMapping() {
    EXPECT_TRUE(file_.resize(2 * kPageSize));
    data_ = static_cast<std::byte*>(
        ::mmap(nullptr, 2 * kPageSize, PROT_READ | PROT_WRITE, MAP_SHARED, file_.fd(), 0));
    EXPECT_TRUE(file_.resize(kPageSize));
  }
  CutMapping(const CutMapping&) = delete;
  CutMapping& operator=(const CutMapping&) = delete;
  ~CutMapping() { ::munmap(data_, 2 * kPageSize); }
  [[nodiscard]] VolatileSlice<> from(std::size_t offset) const {
    return {data_ + offset, 2 * kPageSize - offset};
  }

 private:
  const File file_ = File::adopt(::memfd_create("engram-test", MFD_CLOEXEC)).value();
  std::byte* data_ = nullptr;
};

TEST(StreamTest, MemoryThatIsGoneIsTruncatedInBothDirections) {
  const CutMapping memory;
  const File zero = File::adopt(::open("/dev/zero", O_RDWR | O_CLOEXEC)).value();
  const File null = File::adopt(::memfd_create("engram-sink", MFD_CLOEXEC)).value();
  FdReader reader(zero.fd());
  FdWriter writer(null.fd());
  EXPECT_EQ(read_exact(reader, memory.from(kPageSize)),
            (Transfer{0, MemoryErrc::source_truncated, 0, 0}));
  EXPECT_EQ(read_exact(reader, memory.from(kPageSize - 10)),
            (Transfer{10, MemoryErrc::source_truncated, 0, 10}));
  EXPECT_EQ(write_all(writer, memory.from(kPageSize - 10)),
            (Transfer{10, MemoryErrc::source_truncated, 0, 10}));

  const std::vector<std::byte> source(100);
  SpanReader bytes(source);
  EXPECT_EQ(read_once(bytes, memory.from(kPageSize - 10)),
            (Transfer{10, MemoryErrc::source_truncated, 0, 10}));
  EXPECT_EQ(bytes.position(), 10u);
  std::vector<std::byte> grown;
  VectorWriter vector(grown);
  EXPECT_EQ(write_all(vector, memory.from(kPageSize - 10)),
            (Transfer{10, MemoryErrc::source_truncated, 0, 10}));
  EXPECT_EQ(grown.size(), 10u);
}

TEST(StreamTest, ASignalInterruptsOneAttemptButNotTheLoop) {
  struct sigaction action = {}, before = {};
  action.sa_handler = [](int) {};  // without SA_RESTART
  ASSERT_EQ(::sigaction(SIGUSR1, &action, &before), 0);
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  std::vector<std::byte> bytes(4);
  const VolatileSlice<> view{MutableBytes(bytes)};
  FdReader reader(ends[0]);
  std::atomic<bool> reading = true;
  const pthread_t here = ::pthread_self();
  std::thread other([&] {
    while (reading) {
      ::pthread_kill(here, SIGUSR1);
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    // The loop below is waiting by now or will be; it is interrupted some times, then fed.
    for (int i = 0; i < 20; ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
      ::pthread_kill(here, SIGUSR1);
    }
    EXPECT_EQ(::write(ends[1], "engr", 4), 4);
  });
  EXPECT_EQ(read_once(reader, view).os_errno, EINTR);
  reading = false;
  EXPECT_EQ(read_exact(reader, view), Transfer{4});
  EXPECT_EQ(as_text(bytes), "engr");
  other.join();
  ::close(ends[0]);
  ::close(ends[1]);
  ::sigaction(SIGUSR1, &before, nullptr);
}

TEST(StreamTest, SocketsWorkBothWays) {
  int ends[2];
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
  FdWriter writer(ends[0]);
  EXPECT_TRUE(write_all(writer, ConstVolatileSlice(as_bytes("engram"))).complete());
  ::close(ends[0]);
  std::vector<std::byte> bytes(10);
  FdReader reader(ends[1]);
  EXPECT_EQ(read_exact(reader, VolatileSlice<>(MutableBytes(bytes))),
            (Transfer{6, MemoryErrc::unexpected_eof, 0, 6}));
  EXPECT_EQ(as_text(Bytes(bytes).first(6)), "engram");
  ::close(ends[1]);
}

}  // namespace
}  // namespace engram::mapping
