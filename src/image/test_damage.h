// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// Tests of a good image file that is broken one way a case.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <ostream>
#include <string>
#include <string_view>

#include "image/image.h"
#include "image/test_images.h"

namespace engram::image::test {

inline std::string notices_of(const Image& image) {
  std::string all;
  for (const Notice& notice : image.notices()) all += notice.text + "\n";
  return all;
}

struct Damage {
  const char* name;
  std::function<void(Buffer&)> apply;
  const char* error;                          // part of its text; null if the file opens
  const char* notice = "";                    // part of the notices; empty if there are none
  bool truncated = false;                     // what the image says
  std::optional<std::uint64_t> present = {};  // bytes of memory that are left; else all of them
};

inline void PrintTo(const Damage& damage, std::ostream* out) {
  *out << damage.name;
}

/// Opens `good` after the damage and expects what `damage` says.
inline void expect_named_and_survived(const Buffer& good, const Damage& damage) {
  const TempFile whole(good);
  const auto before = Image::open(whole.path());
  ASSERT_TRUE(before.has_value()) << before.error().text;
  Buffer bytes = good;
  damage.apply(bytes);
  const TempFile file(bytes);
  const auto image = Image::open(file.path());
  if (damage.error != nullptr) {
    ASSERT_FALSE(image.has_value());
    EXPECT_THAT(image.error().text, testing::HasSubstr(damage.error));
    EXPECT_THAT(image.error().text, testing::HasSubstr(file.path()));
    return;
  }
  ASSERT_TRUE(image.has_value()) << image.error().text;
  EXPECT_EQ(image->format(), before->format());
  EXPECT_THAT(notices_of(*image), testing::HasSubstr(damage.notice));
  EXPECT_EQ(notices_of(*image).empty(), std::string_view(damage.notice).empty());
  EXPECT_EQ(image->truncated(), damage.truncated);
  EXPECT_EQ(image->memory().present_bytes(),
            damage.present.value_or(before->memory().present_bytes()));
}

}  // namespace engram::image::test
