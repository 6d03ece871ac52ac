// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "mapping/guarded.h"

#include <gtest/gtest.h>
#include <pthread.h>
#include <signal.h>  // NOLINT(modernize-deprecated-headers): sigaction is that of POSIX
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <random>
#include <thread>
#include <vector>

#include "mapping/test_shrinking_memory.h"

namespace engram::mapping {
namespace {

using test::ShrinkingMemory;

constexpr std::byte kUntouched{0xEE};

std::byte byte_at(std::size_t index) {
  return static_cast<std::byte>(index * 7 + index / 4096 + 1);
}

void number(MutableBytes bytes) {
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = byte_at(i);
}

/// The index of the first byte that is not what it should be, or the size.
std::size_t first_difference(Bytes bytes, std::size_t first_index) {
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    if (bytes[i] != byte_at(first_index + i)) return i;
  }
  return bytes.size();
}

bool untouched(Bytes bytes) {
  return std::all_of(bytes.begin(), bytes.end(), [](std::byte b) { return b == kUntouched; });
}

/// Every size up to 300, and those around the borders between the ways to copy.
std::vector<std::size_t> sizes() {
  std::vector<std::size_t> all;
  for (std::size_t size = 0; size <= 300; ++size) all.push_back(size);
  for (const std::size_t border : {512U, 1024U, 4096U, 8192U, 16384U, 20000U}) {
    for (std::size_t size = border - 2; size <= border + 2; ++size) all.push_back(size);
  }
  return all;
}

TEST(Guarded, CopiesEverySizeFromAndToEveryAlignment) {
  const ShrinkingMemory memory(8);
  number(memory.bytes());
  std::vector<std::byte> to(30000);
  for (const std::size_t size : sizes()) {
    const std::size_t step = size > 300 ? 5 : 1;
    for (std::size_t skew = 0; skew < 16; skew += step) {
      for (const std::size_t offset : {std::size_t{4096}, 4096 + skew, 4096 - skew}) {
        std::fill(to.begin(), to.end(), kUntouched);
        const auto target = MutableBytes(to).subspan(1 + skew, size);
        ASSERT_EQ(guarded_copy(target, memory.bytes().subspan(offset, size)), size);
        ASSERT_EQ(first_difference(target, offset), size) << offset << ' ' << skew;
        ASSERT_TRUE(untouched(MutableBytes(to).first(1 + skew))) << size;
        ASSERT_TRUE(untouched(MutableBytes(to).subspan(1 + skew + size, 300))) << size;
      }
    }
  }
}

TEST(Guarded, CopiesTheShorterOfBoth) {
  std::vector<std::byte> from(100, std::byte{1});
  std::vector<std::byte> to(100);
  EXPECT_EQ(guarded_copy(MutableBytes(to).first(10), from), 10U);
  EXPECT_EQ(to[10], std::byte{0});
  EXPECT_EQ(guarded_copy(to, Bytes(from).first(20)), 20U);
  EXPECT_EQ(to[20], std::byte{0});
  EXPECT_EQ(guarded_copy({}, {}), 0U);
  EXPECT_EQ(guarded_move({}, {}), 0U);
  EXPECT_EQ(guarded_fill({}, std::byte{1}), 0U);
}

/// Distances to the border at which the fault is: all up to 140, some farther ones.
std::vector<std::size_t> distances() {
  std::vector<std::size_t> all;
  for (std::size_t before = 0; before <= 140; ++before) all.push_back(before);
  for (const std::size_t before : {255U, 1000U, 4095U, 4096U, 5001U}) all.push_back(before);
  return all;
}

constexpr std::size_t kBehind[] = {1, 2, 3, 5, 8, 15, 33, 64, 127, 200, 4096, 20000};

TEST(Guarded, CountIsExactWhereTheSourceFaults) {
  const ShrinkingMemory memory(10);
  number(memory.bytes());
  memory.resize(2);
  constexpr std::size_t kBorder = 2 * kPageSize;
  std::vector<std::byte> to(30000);
  for (const std::size_t before : distances()) {
    for (const std::size_t behind : kBehind) {
      std::fill(to.begin(), to.end(), kUntouched);
      const auto target = MutableBytes(to).subspan(before % 9, before + behind);
      const Bytes source = memory.bytes().subspan(kBorder - before, before + behind);
      ASSERT_EQ(guarded_copy(target, source), before) << behind;
      ASSERT_EQ(first_difference(target.first(before), kBorder - before), before) << behind;
      ASSERT_TRUE(untouched(target.subspan(before))) << before << ' ' << behind;
      ASSERT_EQ(guarded_move(target, source), before) << behind;
      ASSERT_EQ(syscall_copy_in(target, source), before) << behind;
    }
  }
}

TEST(Guarded, CountIsExactWhereTheTargetFaults) {
  const ShrinkingMemory memory(10);
  memory.resize(2);
  constexpr std::size_t kBorder = 2 * kPageSize;
  std::vector<std::byte> from(30000);
  number(from);
  for (const std::size_t before : distances()) {
    for (const std::size_t behind : kBehind) {
      const std::size_t size = before + behind;
      const auto target = memory.bytes().subspan(kBorder - before, size);
      const auto there = target.first(before);
      const Bytes source = Bytes(from).subspan(before % 9, size);
      const auto check = [&](std::size_t count, const char* operation) {
        ASSERT_EQ(count, before) << operation << behind;
        ASSERT_EQ(first_difference(there, before % 9), before) << operation << behind;
        std::fill(there.begin(), there.end(), kUntouched);
      };
      check(guarded_copy(target, source), "copy ");
      check(guarded_move(target, source), "move ");
      check(syscall_copy_out(target, source), "syscall ");
      ASSERT_EQ(guarded_fill(target, std::byte{7}), before) << behind;
      ASSERT_EQ(std::count(there.begin(), there.end(), std::byte{7}), std::ssize(there));
    }
  }
}

TEST(Guarded, CountIsExactWhereBothSidesFault) {
  const ShrinkingMemory source(4);
  const ShrinkingMemory target(4);
  number(source.bytes());
  source.resize(1);
  target.resize(1);
  for (std::size_t from = 3996; from <= 4100; ++from) {
    for (std::size_t to = 3996; to <= 4100; to += 3) {
      const std::size_t lies = std::min(from < 4096 ? 4096 - from : 0, to < 4096 ? 4096 - to : 0);
      ASSERT_EQ(guarded_copy(target.bytes().subspan(to), source.bytes().subspan(from)), lies);
    }
  }
}

template <class T>
void load_and_store_around_the_border(const ShrinkingMemory& memory) {
  std::byte* const border = memory.data() + kPageSize;
  for (std::size_t before = 0; before <= sizeof(T) + 9; ++before) {
    number(memory.bytes().first(kPageSize));
    const bool there = before >= sizeof(T);
    const auto loaded = guarded_load<T>(border - before);
    ASSERT_EQ(loaded.has_value(), there) << before;
    if (there) {
      ASSERT_EQ(*loaded, load_unaligned<T>(border - before));
    }
    const T value = static_cast<T>(0x1122334455667788U);
    ASSERT_EQ(guarded_store<T>(border - before, value), there) << before;
    if (there) {
      ASSERT_EQ(load_unaligned<T>(border - before), value);
    } else {
      // Not even the half that lies in front of the border is written.
      const Bytes rest = memory.bytes().subspan(kPageSize - before, before);
      ASSERT_EQ(first_difference(rest, kPageSize - before), before);
    }
  }
}

TEST(Guarded, LoadsAndStoresFaultWhole) {
  const ShrinkingMemory memory(3);
  memory.resize(1);
  load_and_store_around_the_border<std::uint8_t>(memory);
  load_and_store_around_the_border<std::int8_t>(memory);
  load_and_store_around_the_border<std::uint16_t>(memory);
  load_and_store_around_the_border<std::int16_t>(memory);
  load_and_store_around_the_border<std::uint32_t>(memory);
  load_and_store_around_the_border<std::int32_t>(memory);
  load_and_store_around_the_border<std::uint64_t>(memory);
  load_and_store_around_the_border<std::int64_t>(memory);
}

TEST(Guarded, MovesLikeMemmove) {
  std::mt19937 random(5);
  std::vector<std::byte> bytes(40000);
  for (int round = 0; round < 400; ++round) {
    number(bytes);
    auto expected = bytes;
    const std::size_t size = random() % (round % 2 == 0 ? 300 : 20000);
    const std::size_t from = random() % 10000;
    const std::size_t to = round % 3 == 0 ? from + random() % 100 : random() % 10000;
    std::memmove(expected.data() + to, expected.data() + from, size);
    const MutableBytes all(bytes);
    ASSERT_EQ(guarded_move(all.subspan(to, size), all.subspan(from, size)), size);
    ASSERT_EQ(bytes, expected) << from << "->" << to << ' ' << size;
  }
}

TEST(Guarded, MoveThatOverlapsCountsFromTheBeginning) {
  const ShrinkingMemory memory(5);
  number(memory.bytes());
  memory.resize(2);
  const auto all = memory.bytes();
  // Forwards, the source faults first, after one byte less than lies in the file.
  const std::size_t count = 2 * kPageSize - 1;
  EXPECT_EQ(guarded_move(all, all.subspan(1)), count);
  EXPECT_EQ(first_difference(all.first(count), 1), count);
  // Backwards, the beginning would have been the last.
  EXPECT_EQ(guarded_move(all.subspan(1), all.first(all.size() - 1)), 0U);
}

TEST(Guarded, ComparesAndSaysWhereItCannot) {
  const ShrinkingMemory memory(4);
  number(memory.bytes());
  std::vector<std::byte> copy(memory.bytes().begin(), memory.bytes().end());
  EXPECT_EQ(guarded_equal(memory.bytes(), copy), true);
  copy[3 * kPageSize] = std::byte{0};
  EXPECT_EQ(guarded_equal(memory.bytes(), copy), false);
  memory.resize(3);
  EXPECT_EQ(guarded_equal(memory.bytes(), copy), std::nullopt);
  copy[5] = std::byte{0};
  EXPECT_EQ(guarded_equal(memory.bytes(), copy), false);  // known without the missing page
  EXPECT_EQ(guarded_equal({}, {}), true);
}

TEST(Guarded, ManyThreadsFaultAtOnce) {
  const ShrinkingMemory memory(8);
  number(memory.bytes());
  memory.resize(2);
  std::atomic<int> wrong = 0;
  const auto work = [&](std::size_t seed) {
    std::vector<std::byte> to(3 * kPageSize);
    for (std::size_t round = 0; round < 2000; ++round) {
      const std::size_t begin = (seed * 4099 + round * 61) % (3 * kPageSize);
      const std::size_t expected = begin < 2 * kPageSize ? 2 * kPageSize - begin : 0;
      const std::size_t count = guarded_copy(to, memory.bytes().subspan(begin, to.size()));
      if (count != expected) ++wrong;
      if (expected > 0 && to[expected - 1] != byte_at(2 * kPageSize - 1)) ++wrong;
      if (guarded_load(memory.data() + 2 * kPageSize + begin % kPageSize)) ++wrong;
    }
  };
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < 6; ++i) threads.emplace_back(work, i);
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
}

TEST(Guarded, EndThatComesAndGoesIsACountBetweenBoth) {
  const ShrinkingMemory memory(8);
  std::atomic<bool> done = false;
  std::thread other([&] {
    while (!done) {
      memory.resize(3);
      memory.resize(8);
    }
  });
  std::vector<std::byte> to(memory.size());
  for (int round = 0; round < 3000; ++round) {
    const std::size_t count = guarded_copy(to, memory.bytes());
    EXPECT_GE(count, 3 * kPageSize);
    EXPECT_LE(count, memory.size());
  }
  done = true;
  other.join();
}

[[noreturn]] void leave(int) {
  ::_exit(42);
}
[[noreturn]] void leave_with_info(int, siginfo_t* info, void*) {
  ::_exit(info->si_code == BUS_ADRERR ? 43 : 1);
}

volatile sig_atomic_t calls = 0;
void count_call(int) {
  calls = calls + 1;
}
/// What a program does that handles a crash once: the second time the default action is taken.
void report_crash(int) {
  static_cast<void>(::write(STDERR_FILENO, "crash\n", 6));
}

/// A new process each, in which the handler has not been installed yet.
class GuardedDeathTest : public testing::Test {
 protected:
  void SetUp() override {
    GTEST_FLAG_SET(death_test_style, "threadsafe");
    memory_.resize(1);
  }

  [[nodiscard]] const std::byte* missing() const { return memory_.data() + kPageSize; }
  /// Installs the handler.
  void fault_here() const {
    if (guarded_load(missing()).has_value()) ::_exit(9);
  }
  /// A fault outside of the guarded functions.
  void fault_elsewhere() const {
    static_cast<void>(*static_cast<const volatile std::byte*>(missing()));
  }

  ShrinkingMemory memory_{2};
};

TEST_F(GuardedDeathTest, OtherFaultsGoToThePreviousHandler) {
  const auto with_handler = [this] {
    ::signal(SIGBUS, leave);
    fault_here();
    fault_elsewhere();
  };
  EXPECT_EXIT(with_handler(), testing::ExitedWithCode(42), "");
}

TEST_F(GuardedDeathTest, OtherFaultsGoToThePreviousHandlerWithTheirReason) {
  const auto with_handler = [this] {
    struct sigaction action = {};
    action.sa_sigaction = leave_with_info;
    action.sa_flags = SA_SIGINFO;
    ::sigaction(SIGBUS, &action, nullptr);
    fault_here();
    fault_elsewhere();
  };
  EXPECT_EXIT(with_handler(), testing::ExitedWithCode(43), "");
}

TEST_F(GuardedDeathTest, OtherFaultsAreFatal) {
  for (const auto disposition : {SIG_DFL, SIG_IGN}) {
    const auto with_disposition = [&] {
      ::signal(SIGBUS, disposition);
      fault_here();
      fault_elsewhere();
    };
    EXPECT_EXIT(with_disposition(), testing::KilledBySignal(SIGBUS), "");
  }
}

TEST_F(GuardedDeathTest, HandlerForOneSignalHandlesOne) {
  const auto with_handler = [this] {
    struct sigaction action = {};
    action.sa_handler = report_crash;
    action.sa_flags = static_cast<int>(SA_RESETHAND);
    ::sigaction(SIGBUS, &action, nullptr);
    fault_here();
    fault_elsewhere();
  };
  EXPECT_EXIT(with_handler(), testing::KilledBySignal(SIGBUS), "^crash\n$");
}

/// Previous handler: which signals it finds blocked.
void leave_with_mask(int) {
  sigset_t mask;
  ::pthread_sigmask(SIG_SETMASK, nullptr, &mask);
  const int blocked = ::sigismember(&mask, SIGBUS) + 2 * ::sigismember(&mask, SIGUSR1);
  ::_exit(50 + blocked);
}

TEST_F(GuardedDeathTest, PreviousHandlerRunsWithItsMask) {
  const auto with_flags = [this](int flags) {
    struct sigaction action = {};
    action.sa_handler = leave_with_mask;
    action.sa_flags = flags;
    ::sigaddset(&action.sa_mask, SIGUSR1);
    ::sigaction(SIGBUS, &action, nullptr);
    fault_here();
    fault_elsewhere();
  };
  EXPECT_EXIT(with_flags(0), testing::ExitedWithCode(53), "");
  EXPECT_EXIT(with_flags(SA_NODEFER), testing::ExitedWithCode(52), "");
}

TEST_F(GuardedDeathTest, SentSignalsKeepTheirMeaning) {
  const auto send = [this](sighandler_t disposition) {
    ::signal(SIGBUS, disposition);
    fault_here();
    ::raise(SIGBUS);
    ::_exit(calls == 0 ? 7 : 8);
  };
  EXPECT_EXIT(send(SIG_DFL), testing::KilledBySignal(SIGBUS), "");
  EXPECT_EXIT(send(SIG_IGN), testing::ExitedWithCode(7), "");
  EXPECT_EXIT(send(count_call), testing::ExitedWithCode(8), "");
}

/// A signal that somebody sends while a copy runs is no fault of the copy.
void copy_under_sent_signals() {
  ::signal(SIGBUS, count_call);
  const std::vector<std::byte> from(1 << 20, std::byte{3});
  std::vector<std::byte> to(from.size());
  if (guarded_copy(to, from) != from.size()) ::_exit(1);
  std::atomic<bool> done = false;
  std::thread sender([&, copier = ::pthread_self()] {
    while (!done) ::pthread_kill(copier, SIGBUS);
  });
  int short_copies = 0;
  for (int round = 0; round < 1000 || calls < 100; ++round) {
    short_copies += static_cast<int>(guarded_copy(to, from) != from.size());
  }
  done = true;
  sender.join();
  ::_exit(short_copies == 0 ? 0 : 2);
}

TEST_F(GuardedDeathTest, SentSignalsDoNotCutCopiesShort) {
  EXPECT_EXIT(copy_under_sent_signals(), testing::ExitedWithCode(0), "");
}

struct sigaction ours;  // what a later handler passes signals on to
void pass_on(int signal_number, siginfo_t* info, void* context) {
  calls = calls + 1;
  ours.sa_sigaction(signal_number, info, context);
}

TEST_F(GuardedDeathTest, LaterHandlerPassesFaultsOn) {
  const auto with_handlers = [this] {
    ::signal(SIGBUS, leave);  // the earlier one
    fault_here();
    struct sigaction action = {};
    action.sa_sigaction = pass_on;
    action.sa_flags = SA_SIGINFO;
    ::sigaction(SIGBUS, &action, &ours);
    fault_here();
    fault_here();
    if (calls != 2) ::_exit(1);
    fault_elsewhere();
  };
  EXPECT_EXIT(with_handlers(), testing::ExitedWithCode(42), "");
}

TEST_F(GuardedDeathTest, LeavesFaultsToTheProgram) {
  const auto before_use = [this] {
    ::signal(SIGBUS, leave);
    leave_faults_to_the_program();
    if (guarded_load(memory_.data()) != std::uint64_t{0}) ::_exit(1);
    std::byte to[16];
    if (syscall_copy_in(to, {missing() - 5, 16}) != 5) ::_exit(2);
    fault_here();
  };
  EXPECT_EXIT(before_use(), testing::ExitedWithCode(42), "");
  const auto after_use = [this] {
    fault_here();
    leave_faults_to_the_program();
    fault_here();  // still handled
    ::_exit(3);
  };
  EXPECT_EXIT(after_use(), testing::ExitedWithCode(3), "");
}

}  // namespace
}  // namespace engram::mapping
