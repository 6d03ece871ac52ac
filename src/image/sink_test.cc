// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "image/sink.h"

#include <fmt/core.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace engram::image {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

/// Notes what it was told to write.
class Log final : public Sink {
 public:
  Result<void> write(Bytes bytes) override {
    said.push_back(fmt::format("write {}", bytes.size()));
    return {};
  }
  Result<void> zeros(std::uint64_t count) override {
    said.push_back(fmt::format("zeros {}", count));
    return {};
  }
  std::vector<std::string> said;
};

std::vector<std::string> written(Bytes bytes, std::uint64_t in_page) {
  Log log;
  EXPECT_TRUE(write_sparse(bytes, in_page, log));
  return log.said;
}

TEST(WriteSparse, PagesAreThoseOfTheMemoryAndNotOfTheBuffer) {
  std::vector<std::byte> bytes(3 * kPageSize);
  EXPECT_THAT(written(bytes, 0), ElementsAre("zeros 12288"));
  bytes[kPageSize] = std::byte{1};
  EXPECT_THAT(written(bytes, 0), ElementsAre("zeros 4096", "write 4096", "zeros 4096"));
  // The buffer begins 16 bytes before the end of a page: its last 4080 bytes are of a fourth one.
  EXPECT_THAT(written(bytes, kPageSize - 16), ElementsAre("zeros 16", "write 4096", "zeros 8176"));
  bytes[15] = std::byte{1};
  EXPECT_THAT(written(bytes, kPageSize - 16), ElementsAre("write 4112", "zeros 8176"));
  EXPECT_THAT(written({}, 0), IsEmpty());
}

}  // namespace
}  // namespace engram::image
