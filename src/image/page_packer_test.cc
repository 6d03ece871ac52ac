// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "image/page_packer.h"

#include <gtest/gtest.h>

#include <random>
#include <vector>

namespace engram::image {
namespace {

using Page = std::vector<std::byte>;

/// Pages that differ in how well they can be packed.
std::vector<Page> pages() {
  std::mt19937_64 random(7);
  std::vector<Page> all;
  for (unsigned distinct : {1U, 2U, 16U, 256U}) {
    for (std::size_t size : {std::size_t{4096}, std::size_t{65536}}) {
      Page page(size);
      for (std::byte& byte : page) byte = static_cast<std::byte>(random() % distinct);
      all.push_back(std::move(page));
    }
  }
  return all;
}

TEST(PagePacker, WhatIsPackedUnpacksToThePage) {
  for (const Codec codec : {Codec::zlib, Codec::lzo, Codec::snappy, Codec::zstd}) {
    SCOPED_TRACE(to_string(codec));
    if (!can_unpack(codec)) {
      EXPECT_FALSE(PagePacker::create(codec).has_value());
      continue;
    }
    const auto packer = PagePacker::create(codec);
    ASSERT_TRUE(packer.has_value()) << packer.error().text;
    std::size_t packed_pages = 0;
    for (int round = 0; round < 3; ++round) {
      for (const Page& page : pages()) {
        const Bytes packed = (*packer)->pack(page);
        if (packed.empty()) continue;
        ++packed_pages;
        EXPECT_LT(packed.size(), page.size());
        Page unpacked(page.size());
        ASSERT_EQ(unpack(codec, packed, unpacked), page.size());
        EXPECT_EQ(unpacked, page);
      }
    }
    EXPECT_GE(packed_pages, 3U * 4U);  // all but random bytes, and perhaps those of four bits
  }
}

TEST(PagePacker, WithoutACodecNothingIsGained) {
  const auto packer = PagePacker::create(Codec::none);
  ASSERT_TRUE(packer.has_value());
  EXPECT_TRUE((*packer)->pack(Page(4096)).empty());
}

}  // namespace
}  // namespace engram::image
