// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "output/file_tree.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>

#include "output/sha256.h"

namespace engram::output {
namespace {

namespace fs = std::filesystem;

class FileTreeTest : public testing::Test {
 protected:
  FileTreeTest() : top_((fs::temp_directory_path() / "engram-test-XXXXXX").string()) {
    if (::mkdtemp(top_.data()) == nullptr) std::abort();
    directory_ = top_ + "/out";
  }
  ~FileTreeTest() override { fs::remove_all(top_); }

  /// Everything below the directory that the tree lies in, sorted.
  std::vector<std::string> everything() const {
    std::vector<std::string> names;
    for (const auto& entry : fs::recursive_directory_iterator(top_)) {
      names.push_back(fs::relative(entry.path(), top_).string());
    }
    std::sort(names.begin(), names.end());
    return names;
  }

  std::string top_, directory_;
};

TEST(SafeName, KeepsWhatIsHarmless) {
  EXPECT_EQ(safe_name("naïve ünïcode ☃.txt"), "naïve ünïcode ☃.txt");
  EXPECT_EQ(safe_name("..."), "...");
  EXPECT_EQ(safe_name(".hidden"), ".hidden");
}

TEST(SafeName, WritesOutWhatIsNot) {
  EXPECT_EQ(safe_name("."), "%2E");
  EXPECT_EQ(safe_name(".."), "%2E%2E");
  EXPECT_EQ(safe_name(""), "%");
  EXPECT_EQ(safe_name("a\n\x1b\x7f%/b"), "a%0A%1B%7F%25%2Fb");
  EXPECT_EQ(safe_name("\xff\xe2\x98 x\xc2\x9b"), "%FF%E2%98 x\xc2\x9b");
  EXPECT_LE(safe_name(std::string(4000, '\x01')).size(), 203U);
}

TEST_F(FileTreeTest, PutsFilesBelowItself) {
  auto tree = FileTree::create(directory_);
  ASSERT_TRUE(tree) << tree.error().text;
  EXPECT_EQ(tree->new_file("/etc/passwd", "1")->name, "files/etc/passwd");
  EXPECT_EQ(tree->new_file("/../../../up", "2")->name, "files/%2E%2E/%2E%2E/%2E%2E/up");
  EXPECT_EQ(tree->new_file("", "inode-3")->name, "files/inode-3");
  EXPECT_EQ(tree->new_file("//", "inode-4")->name, "files/inode-4");
  for (const auto& name : everything()) EXPECT_TRUE(name.starts_with("out")) << name;
}

TEST_F(FileTreeTest, OverwritesNothing) {
  auto tree = FileTree::create(directory_);
  ASSERT_TRUE(tree);
  EXPECT_EQ(tree->new_file("/a/b", "1")->name, "files/a/b");
  EXPECT_EQ(tree->new_file("/a/b", "2")->name, "files/a/b~2");
  EXPECT_EQ(tree->new_file("/a", "3")->name, "files/a~3");    // a directory is in its place
  EXPECT_EQ(tree->new_file("/a/b/c", "4")->name, "files/4");  // a file is in the way
  EXPECT_FALSE(tree->new_file("/a/b/c", "4"));                // and no second place
  const auto again = FileTree::create(directory_);
  ASSERT_FALSE(again);
  EXPECT_THAT(again.error().text, testing::HasSubstr("manifest.jsonl: File exists"));
}

TEST_F(FileTreeTest, FollowsNoLink) {
  auto tree = FileTree::create(directory_);
  ASSERT_TRUE(tree);
  fs::create_directory(top_ + "/outside");
  fs::create_directory_symlink("../../outside", directory_ + "/files/link");
  fs::create_symlink("../../outside/new", directory_ + "/files/name");
  EXPECT_EQ(tree->new_file("/link/x", "1")->name, "files/1");
  EXPECT_EQ(tree->new_file("/name", "2")->name, "files/name~2");
  EXPECT_TRUE(fs::is_empty(top_ + "/outside"));
}

TEST_F(FileTreeTest, RefusesWhatIsInTheWay) {
  fs::create_directories(directory_ + "/files");
  const auto tree = FileTree::create(directory_);
  ASSERT_FALSE(tree);
  EXPECT_THAT(tree.error().text, testing::HasSubstr("files: File exists"));
  EXPECT_FALSE(fs::exists(directory_ + "/manifest.jsonl"));
  EXPECT_FALSE(FileTree::create(top_ + "/no/such"));
}

TEST_F(FileTreeTest, LongAndDeepPathsHavePlaces) {
  auto tree = FileTree::create(directory_);
  ASSERT_TRUE(tree);
  const std::string name(4000, 'n');
  EXPECT_EQ(tree->new_file("/" + name, "1")->name, "files/" + std::string(200, 'n'));
  EXPECT_EQ(tree->new_file("/" + name, "2")->name, "files/" + std::string(200, 'n') + "~2");
  std::string deep;
  for (int i = 0; i < 1000; ++i) deep += "/d";
  EXPECT_EQ(tree->new_file(deep, "3")->name, "files/3");
}

// FIPS 180-2, appendix B.
TEST(Sha256Test, HashesParts) {
  Sha256 hash;
  for (const char c : std::string("abc")) hash.add(std::as_bytes(std::span(&c, 1)));
  EXPECT_EQ(hash.finish(), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

}  // namespace
}  // namespace engram::output
