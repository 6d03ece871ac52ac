// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0

// Views of memory whose file is cut, and of values that somebody else keeps changing.

#include <gtest/gtest.h>
#include <signal.h>  // NOLINT(modernize-deprecated-headers): sigaction is that of POSIX
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <csetjmp>
#include <cstring>
#include <thread>
#include <vector>

#include "base/units.h"
#include "mapping/atomic_bitmap.h"
#include "mapping/guarded.h"
#include "mapping/test_shrinking_memory.h"
#include "mapping/volatile_slice.h"

namespace engram::mapping {
namespace {

using test::ShrinkingMemory;

constexpr std::byte kOld{0x5A};

/// Four pages, the last two of which are gone.
class CutMemory : public testing::Test {
 protected:
  static constexpr std::size_t kThere = 2 * kPageSize;

  void SetUp() override {
    std::fill(memory_.bytes().begin(), memory_.bytes().end(), kOld);
    memory_.resize(2);
  }

  ShrinkingMemory memory_{4};
};

/// Where the tests begin, before and behind the cut, and how many bytes they want.
constexpr std::pair<std::size_t, std::size_t> kRanges[] = {
    {0, 16384}, {8191, 1},   {8191, 2},   {8190, 8},     {8192, 1},  {8192, 4096},
    {8128, 64}, {8120, 100}, {8000, 512}, {4097, 12000}, {16383, 1}, {0, 8192},
    {1, 8191},  {8185, 7},   {8185, 8},   {0, 8193},
};

using ST01 = CutMemory;

TEST_F(ST01, ReadOfACutFileIsTheSameShortCountForBothPolicies) {
  for (const auto& [begin, size] : kRanges) {
    const std::size_t expected = begin < kThere ? std::min(size, kThere - begin) : 0;
    std::vector<std::byte> guarded(size);
    std::vector<std::byte> by_syscall(size);
    const Bytes source = memory_.bytes().subspan(begin, size);
    EXPECT_EQ(guarded_copy(guarded, source), expected) << begin << ' ' << size;
    EXPECT_EQ(syscall_copy_in(by_syscall, source), expected) << begin << ' ' << size;
    EXPECT_EQ(guarded, by_syscall);
    for (std::size_t i = 0; i < size; ++i) {
      ASSERT_EQ(guarded[i], i < expected ? kOld : std::byte{0}) << begin << ' ' << i;
    }
    const ConstVolatileSlice slice(memory_.data(), memory_.size());
    Transfer transfer = {expected};
    if (expected < size) {
      transfer = {expected, MemoryErrc::source_truncated, 0, begin + expected};
    }
    EXPECT_EQ(slice.read(begin, guarded), transfer);
  }
}

// A view knows memory, not files: the bytes behind the end of the file in its last page are there
// and zero. It is a region that knows how much of its memory the file has.
TEST(ST02, ViewsSeeTheRestOfTheLastPageAsZeros) {
  const ShrinkingMemory memory(3);
  std::fill(memory.bytes().begin(), memory.bytes().end(), kOld);
  memory.resize_bytes(kPageSize + 100);
  const ConstVolatileSlice slice(memory.data(), memory.size());
  std::vector<std::byte> bytes(memory.size());
  EXPECT_EQ(slice.read(0, bytes),
            (Transfer{2 * kPageSize, MemoryErrc::source_truncated, 0, 2 * kPageSize}));
  EXPECT_EQ(bytes[kPageSize + 99], kOld);
  EXPECT_TRUE(slice.subslice(kPageSize + 100, kPageSize - 100)->is_zero().value());
  std::byte past_the_end;
  EXPECT_EQ(::pread(memory.file(), &past_the_end, 1, kPageSize + 100), 0);
}

std::atomic<int> foreign_before = 0;
std::atomic<int> foreign_after = 0;
thread_local sigjmp_buf way_back;
struct sigaction passed_on;

void before_us(int, siginfo_t*, void*) {
  ++foreign_before;
  siglongjmp(way_back, 1);
}
/// As libraries do that know that they are not alone.
void after_us(int signal_number, siginfo_t* info, void* context) {
  ++foreign_after;
  passed_on.sa_sigaction(signal_number, info, context);
}

void install(void (*handler)(int, siginfo_t*, void*), struct sigaction* previous) {
  struct sigaction action = {};
  action.sa_sigaction = handler;
  action.sa_flags = SA_SIGINFO | SA_NODEFER;
  if (::sigaction(SIGBUS, &action, previous) != 0) ::_exit(10);
}

/// Whether a read that nobody guards faults. In a function of its own: a jump back into it leaves
/// no variable of the caller in doubt.
[[gnu::noinline]] bool plain_read_faults(const std::byte* at) {
  if (sigsetjmp(way_back, 0) != 0) return true;
  static_cast<void>(*static_cast<const volatile std::byte*>(at));
  return false;
}

/// 8 threads that fault through views, and each time once elsewhere.
int faults_of_eight_threads(const ShrinkingMemory& memory) {
  constexpr int kRounds = 200;
  std::atomic<int> wrong = 0;
  const auto work = [&](std::size_t seed) {
    const ConstVolatileSlice slice(memory.data(), memory.size());
    std::vector<std::byte> bytes(memory.size());
    for (std::size_t round = 0; round < kRounds; ++round) {
      const std::size_t begin = (seed * 997 + round * 31) % (2 * kPageSize);
      const std::size_t expected = 2 * kPageSize - begin;
      if (slice.read(begin, bytes).count != expected) ++wrong;
      if (slice.load<std::uint32_t>(2 * kPageSize)) ++wrong;
      if (!plain_read_faults(memory.data() + 3 * kPageSize)) ++wrong;
    }
  };
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < 8; ++i) threads.emplace_back(work, i);
  for (auto& thread : threads) thread.join();
  return wrong != 0 || foreign_before != 8 * kRounds ? 1 : 0;
}

class ST03 : public CutMemory {
 protected:
  void SetUp() override {
    CutMemory::SetUp();
    // A new process, in which the handler has not been installed yet.
    GTEST_FLAG_SET(death_test_style, "threadsafe");
  }
};

TEST_F(ST03, HandlerThatWasThereBeforeGetsItsFaults) {
  const auto program = [this] {
    install(before_us, nullptr);
    ::_exit(faults_of_eight_threads(memory_));
  };
  EXPECT_EXIT(program(), testing::ExitedWithCode(0), "");
}

TEST_F(ST03, HandlerThatCameLaterSeesAllAndPassesOn) {
  const auto program = [this] {
    install(before_us, nullptr);
    std::byte byte;
    if (guarded_copy({&byte, 1}, memory_.bytes()) != 1) ::_exit(2);
    install(after_us, &passed_on);
    const int result = faults_of_eight_threads(memory_);
    // A fault for the read, one for the load (at least: a view looks twice), one elsewhere.
    ::_exit(result != 0 ? result : foreign_after < 3 * foreign_before ? 3 : 0);
  };
  EXPECT_EXIT(program(), testing::ExitedWithCode(0), "");
}

using ST04 = CutMemory;

TEST_F(ST04, WriteToACutFileMarksWhatWasWritten) {
  for (const auto& [begin, size] : kRanges) {
    std::fill_n(memory_.data(), kThere, kOld);
    AtomicBitmap bitmap(memory_.size(), 1);
    const VolatileSlice<BitmapSlice> slice(memory_.data(), memory_.size(), BitmapSlice(&bitmap));
    const std::size_t expected = begin < kThere ? std::min(size, kThere - begin) : 0;
    Transfer transfer = {expected};
    if (expected < size) {
      transfer = {expected, MemoryErrc::source_truncated, 0, begin + expected};
    }
    const std::vector<std::byte> bytes(size, std::byte{1});
    EXPECT_EQ(slice.write(begin, bytes), transfer) << begin << ' ' << size;
    for (std::size_t i = 0; i < memory_.size(); ++i) {
      const bool written = i >= begin && i < begin + expected;
      ASSERT_EQ(bitmap.bit(i), written) << begin << ' ' << i;
      if (i >= kThere) continue;
      ASSERT_EQ(memory_.data()[i], written ? std::byte{1} : kOld) << i;
    }
    if (begin < kThere) {
      EXPECT_EQ(syscall_copy_out(memory_.bytes().subspan(begin, size), bytes), expected);
    }
  }
}

/// One thread flips all bits of an aligned value, the other one moves it to and from private
/// buffers at every misalignment; for a second in all.
template <class T>
void flip() {
  alignas(64) std::byte memory[64] = {};
  const VolatileSlice<> slice(memory, sizeof memory);
  std::atomic<bool> done = false;
  std::thread writer([&] {
    alignas(8) std::byte buffer[16];
    T value = 0;
    for (std::size_t skew = 0; !done; skew = (skew + 1) % 8) {
      value = static_cast<T>(~value);
      std::memcpy(buffer + skew, &value, sizeof value);
      if (!slice.write(8, {buffer + skew, sizeof value}).complete()) break;
    }
  });
  std::uint64_t mixed = 0;
  std::array<std::uint64_t, 2> seen = {};
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(1);
  while (std::chrono::steady_clock::now() < end) {
    alignas(8) std::byte buffer[16];
    for (std::size_t round = 0; round < 4096; ++round) {
      const std::size_t skew = round % 8;
      if (!slice.read(8, {buffer + skew, sizeof(T)}).complete()) ++mixed;
      const T value = load_unaligned<T>(buffer + skew);
      const T object = slice.read_object<T>(8).value();
      for (const T got : {value, object}) {
        if (got == 0) {
          ++seen[0];
        } else if (got == static_cast<T>(~T{0})) {
          ++seen[1];
        } else {
          ++mixed;
        }
      }
    }
  }
  done = true;
  writer.join();
  EXPECT_EQ(mixed, 0u);
  EXPECT_GT(seen[0], 0u);
  EXPECT_GT(seen[1], 0u);
}

TEST(ST05, AlignedU16NeverMixes) {
  flip<std::uint16_t>();
}
TEST(ST05, AlignedU32NeverMixes) {
  flip<std::uint32_t>();
}
TEST(ST05, AlignedU64NeverMixes) {
  flip<std::uint64_t>();
}

}  // namespace
}  // namespace engram::mapping
