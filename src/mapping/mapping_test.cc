// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "mapping/mapping.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>  // NOLINT(modernize-deprecated-headers): sigaction is that of POSIX
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "base/units.h"
#include "mapping/guarded.h"

namespace engram::mapping {
namespace {

using testing::HasSubstr;

std::byte byte_at(std::size_t index) {
  return static_cast<std::byte>(index * 7 + index / 4096);
}

/// A file of `pages` pages whose bytes are byte_at(offset).
class GuardedTest : public testing::Test {
 protected:
  static constexpr std::size_t kPages = 8;

  void SetUp() override {
    path_ = testing::TempDir() + "engram_mapping_" + std::to_string(::getpid());
    std::vector<char> data(kPages * kPageSize);
    for (std::size_t i = 0; i < data.size(); ++i) data[i] = static_cast<char>(byte_at(i));
    std::ofstream(path_, std::ios::binary).write(data.data(), std::ssize(data));
    mapped_ = std::make_unique<FileMapping>(*FileMapping::open(path_));
  }
  void TearDown() override { ::unlink(path_.c_str()); }

  void cut_to(std::size_t pages) const {
    ASSERT_EQ(::truncate(path_.c_str(), static_cast<off_t>(pages * kPageSize)), 0);
  }

  std::string path_;
  std::unique_ptr<FileMapping> mapped_;
};

TEST_F(GuardedTest, CopiesEverySizeAndOffset) {
  std::vector<std::byte> to(200);
  for (std::size_t size = 0; size <= 150; ++size) {
    for (std::size_t offset = 4090; offset < 4102; ++offset) {
      std::fill(to.begin(), to.end(), std::byte{0xEE});
      const auto target = MutableBytes(to).first(size);
      ASSERT_EQ(guarded_copy(target, mapped_->bytes().subspan(offset, size)), size);
      for (std::size_t i = 0; i < size; ++i) ASSERT_EQ(to[i], byte_at(offset + i)) << size;
      ASSERT_EQ(to[size], std::byte{0xEE}) << size;
    }
  }
}

TEST_F(GuardedTest, FaultIsAShortCount) {
  constexpr std::size_t kBorder = 3 * kPageSize;
  cut_to(3);
  std::vector<std::byte> to(kPages * kPageSize);
  for (std::size_t before = 0; before <= 80; ++before) {
    for (const std::size_t size : {before + 1, before + 3, before + 64, before + 4096}) {
      const auto from = mapped_->bytes().subspan(kBorder - before, size);
      ASSERT_EQ(guarded_copy(MutableBytes(to).first(size), from), before) << size;
      for (std::size_t i = 0; i < before; ++i) ASSERT_EQ(to[i], byte_at(kBorder - before + i));
    }
  }
  EXPECT_EQ(guarded_copy(to, mapped_->bytes()), kBorder);
  EXPECT_EQ(guarded_copy(to, mapped_->bytes().subspan(kBorder)), 0U);
}

TEST_F(GuardedTest, LoadFaultsToNothing) {
  cut_to(1);
  std::uint64_t expected = 0;
  for (std::size_t i = 8; i-- > 0;) {
    expected = expected << 8 | std::to_integer<unsigned>(byte_at(kPageSize - 8 + i));
  }
  const std::byte* const border = mapped_->bytes().data() + kPageSize;
  EXPECT_EQ(guarded_load(border - 8), expected);
  EXPECT_EQ(guarded_load(border - 7), std::nullopt);
  EXPECT_EQ(guarded_load(border), std::nullopt);
  EXPECT_EQ(guarded_load(border + 5000), std::nullopt);
}

TEST_F(GuardedTest, ManyThreadsFaultAtOnce) {
  cut_to(2);
  std::atomic<int> wrong = 0;
  const auto work = [&](std::size_t seed) {
    std::vector<std::byte> to(3 * kPageSize);
    for (std::size_t round = 0; round < 2000; ++round) {
      const std::size_t begin = (seed * 4099 + round * 61) % (3 * kPageSize);
      const std::size_t expected = begin < 2 * kPageSize ? 2 * kPageSize - begin : 0;
      const std::size_t count = guarded_copy(to, mapped_->bytes().subspan(begin, to.size()));
      if (count != expected) ++wrong;
      if (expected > 0 && to[expected - 1] != byte_at(2 * kPageSize - 1)) ++wrong;
      if (guarded_load(mapped_->bytes().data() + 2 * kPageSize + begin % kPageSize)) ++wrong;
    }
  };
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < 6; ++i) threads.emplace_back(work, i);
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
}

[[noreturn]] void leave(int) {
  ::_exit(42);
}
[[noreturn]] void leave_with_info(int, siginfo_t* info, void*) {
  ::_exit(info->si_code == BUS_ADRERR ? 43 : 1);
}

/// A fault outside of the guarded functions, after these have been used.
void fault_elsewhere(const FileMapping& mapped) {
  static_cast<void>(guarded_load(mapped.bytes().data() + kPageSize));
  static_cast<void>(*static_cast<const volatile std::byte*>(mapped.bytes().data() + kPageSize));
}

class GuardedDeathTest : public GuardedTest {
 protected:
  void SetUp() override {
    GuardedTest::SetUp();
    // A new process, in which the handler has not been installed yet.
    GTEST_FLAG_SET(death_test_style, "threadsafe");
    cut_to(1);
    ::unlink(path_.c_str());  // the process that dies cleans nothing up
  }
};

TEST_F(GuardedDeathTest, OtherFaultsGoToThePreviousHandler) {
  const auto with_handler = [this] {
    ::signal(SIGBUS, leave);
    fault_elsewhere(*mapped_);
  };
  EXPECT_EXIT(with_handler(), testing::ExitedWithCode(42), "");
}

TEST_F(GuardedDeathTest, OtherFaultsGoToThePreviousHandlerWithTheirReason) {
  const auto with_handler = [this] {
    struct sigaction action = {};
    action.sa_sigaction = leave_with_info;
    action.sa_flags = SA_SIGINFO;
    ::sigaction(SIGBUS, &action, nullptr);
    fault_elsewhere(*mapped_);
  };
  EXPECT_EXIT(with_handler(), testing::ExitedWithCode(43), "");
}

TEST_F(GuardedDeathTest, OtherFaultsAreFatal) {
  for (const auto disposition : {SIG_DFL, SIG_IGN}) {
    const auto with_disposition = [&] {
      ::signal(SIGBUS, disposition);
      fault_elsewhere(*mapped_);
    };
    EXPECT_EXIT(with_disposition(), testing::KilledBySignal(SIGBUS), "");
  }
}

TEST_F(GuardedDeathTest, SentSignalsKeepTheirMeaning) {
  const auto send = [this](sighandler_t disposition) {
    ::signal(SIGBUS, disposition);
    static_cast<void>(guarded_load(mapped_->bytes().data()));
    ::raise(SIGBUS);
    ::_exit(7);
  };
  EXPECT_EXIT(send(SIG_DFL), testing::KilledBySignal(SIGBUS), "");
  EXPECT_EXIT(send(SIG_IGN), testing::ExitedWithCode(7), "");
}

TEST_F(GuardedTest, MappingMoves) {
  FileMapping other = std::move(*mapped_);
  EXPECT_EQ(other.bytes().size(), kPages * kPageSize);
  EXPECT_EQ(other.path(), path_);
  *mapped_ = std::move(other);
  EXPECT_EQ(mapped_->bytes()[5], byte_at(5));
  EXPECT_TRUE(other.bytes().empty());  // NOLINT(bugprone-use-after-move): it is promised
}

TEST(FileMapping, NamesWhatItCannotMap) {
  const std::string dir = testing::TempDir();
  EXPECT_THAT(FileMapping::open(dir + "engram_no_such_file").error().text,
              testing::AllOf(HasSubstr("engram_no_such_file"), HasSubstr("No such file")));
  EXPECT_THAT(FileMapping::open(dir).error().text, HasSubstr("a directory"));
  EXPECT_THAT(FileMapping::open("/dev/null").error().text, HasSubstr("a character device"));
  const std::string pipe = dir + "engram_pipe_" + std::to_string(::getpid());
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  EXPECT_THAT(FileMapping::open(pipe).error().text, HasSubstr("a pipe"));
  ::unlink(pipe.c_str());
}

TEST(FileMapping, EmptyFileHasNoBytes) {
  const std::string path = testing::TempDir() + "engram_empty_" + std::to_string(::getpid());
  std::ofstream(path).close();
  const auto mapped = FileMapping::open(path);
  ASSERT_TRUE(mapped.has_value());
  EXPECT_TRUE(mapped->bytes().empty());
  ::unlink(path.c_str());
}

}  // namespace
}  // namespace engram::mapping
