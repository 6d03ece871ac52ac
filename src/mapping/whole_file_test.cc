// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "mapping/whole_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "base/test_file.h"

namespace engram::mapping {
namespace {

using testing::HasSubstr;

TEST(WholeFile, HasTheFilesBytes) {
  const std::vector<std::byte> content(10000, std::byte{7});
  const test::TempFile file(content);
  const auto mapped = map_whole_file(file.path());
  ASSERT_TRUE(mapped) << mapped.error().text;
  EXPECT_EQ(mapped->size(), content.size());
  EXPECT_TRUE(mapped->slice().equals(content).value());
}

TEST(WholeFile, SharedShowsLaterWrites) {
  const std::vector<std::byte> content(100, std::byte{7});
  const test::TempFile file(content);
  const auto mapped = map_whole_file(file.path(), Share::shared);
  ASSERT_TRUE(mapped) << mapped.error().text;
  const auto writer = File::open(file.path(), File::Access::read_write);
  ASSERT_TRUE(writer);
  ASSERT_TRUE(writer->write_at(FileOffset(50), bytes_of(std::uint8_t{9})).complete());
  EXPECT_EQ(mapped->slice().read_object<std::uint8_t>(50).value(), 9);
}

TEST(WholeFile, NamesWhatItCannotMap) {
  const std::string dir = testing::TempDir();
  EXPECT_THAT(map_whole_file(dir + "engram_no_such_file").error().text,
              testing::AllOf(HasSubstr("engram_no_such_file"), HasSubstr("No such file")));
  EXPECT_THAT(map_whole_file(dir).error().text, HasSubstr("a directory"));
  EXPECT_THAT(map_whole_file("/dev/null").error().text, HasSubstr("a character device"));
  const std::string pipe = dir + "engram_pipe_" + std::to_string(::getpid());
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  EXPECT_THAT(map_whole_file(pipe).error().text, HasSubstr("a pipe"));
  ::unlink(pipe.c_str());
  EXPECT_THAT(map_whole_file(test::TempFile({}).path()).error().text, HasSubstr("is empty"));
}

}  // namespace
}  // namespace engram::mapping
