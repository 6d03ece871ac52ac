// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "base/interruption.h"

#include <gtest/gtest.h>

#include <thread>

#include "base/lazy.h"

// g++ says so by a macro, clang 14 by a feature.
#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define ENGRAM_THREAD_SANITIZER
#endif
#elif defined(__SANITIZE_THREAD__)
#define ENGRAM_THREAD_SANITIZER
#endif

namespace engram {
namespace {

TEST(Interruption, EndsOnlyWhatLooksAtTheFlag) {
  std::atomic<bool> outer = false, inner = true;
  EXPECT_NO_THROW(end_if_interrupted());
  const Interruptible one(outer);
  EXPECT_NO_THROW(end_if_interrupted());
  {
    const Interruptible two(inner);
    EXPECT_THROW(end_if_interrupted(), Interrupted);
    std::thread([] { EXPECT_NO_THROW(end_if_interrupted()); }).join();
  }
  EXPECT_NO_THROW(end_if_interrupted());
  outer = true;
  EXPECT_THROW(end_if_interrupted(), Interrupted);
}

struct Long {
  Long() { end_if_interrupted(); }
};

TEST(Interruption, WhatWasNotMadeIsMadeByTheNextWhoAsks) {
#ifdef ENGRAM_THREAD_SANITIZER
  GTEST_SKIP() << "under ThreadSanitizer pthread_once() never ends after an exception";
#endif
  std::atomic<bool> flag = true;
  const Interruptible now(flag);
  Lazy<Long> lazy;
  EXPECT_THROW(lazy.get(), Interrupted);
  EXPECT_THROW(lazy.get(), Interrupted);
  flag = false;
  EXPECT_NO_THROW(lazy.get());
  flag = true;
  EXPECT_NO_THROW(lazy.get());
}

}  // namespace
}  // namespace engram
