// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "kernel/linux/kernel_cache.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <thread>
#include <vector>

#include "types/kallsyms_source.h"
#include "types/test_btf.h"
#include "types/test_kallsyms.h"

namespace engram::kernel {
namespace {

namespace fs = std::filesystem;
using types::test::Machine;
using types::test::Section;
using types::test::TestSymbol;

constexpr std::uint64_t kText = 0xffffffff81000000;
constexpr std::uint64_t kRodata = 0xffffffff81200000;
constexpr std::size_t kHeader = 248;

std::vector<TestSymbol> kernel_symbols() {
  std::vector<TestSymbol> symbols{{"_text", 'T', kText}, {"_stext", 'T', kText}};
  for (unsigned i = 0; i < 1100; ++i) {
    symbols.push_back({"function_" + std::to_string(i), 't', kText + 0x10 + i * 16});
  }
  symbols.push_back({"_end", 'B', kRodata + 0x100000});
  return symbols;
}

/// A machine, and a folder for the cache that does not exist yet.
class KernelCacheTest : public testing::Test {
 protected:
  KernelCacheTest() {
    std::string parent = (fs::temp_directory_path() / "engram-cache-XXXXXX").string();
    if (::mkdtemp(parent.data()) == nullptr) std::abort();
    parent_ = parent;
    folder_ = parent_ / "engram";
  }
  void TearDown() override { fs::remove_all(parent_); }

  static Machine machine_of(const std::vector<TestSymbol>& symbols) {
    const types::test::Recipe recipe{.encoding = types::AddressEncoding::base_relative};
    auto written = types::test::Writer(recipe, symbols, kRodata).write();
    written.bytes.resize(written.bytes.size() + kPageSize);
    return Machine({{kText, std::vector<std::byte>(0x8000), false, true},
                    {kRodata, std::move(written.bytes), false, false}});
  }

  [[nodiscard]] KernelMap map() const { return {paging::Mode{}, {}, machine_.image(), "a test"}; }
  [[nodiscard]] types::Kallsyms search() const {
    Diagnostics diagnostics;
    return types::find_kallsyms(machine_.space(), machine_.image(), diagnostics).value();
  }
  [[nodiscard]] KernelCache cache() const { return KernelCache(folder_.string()); }
  [[nodiscard]] Digest key() const { return cache().key_of(machine_.space(), map()); }

  void keep() const {
    Diagnostics diagnostics;
    cache().keep(key(), search(), types_, diagnostics);
  }
  [[nodiscard]] Result<KernelCache::Found> reopen() const {
    Diagnostics diagnostics;
    return cache().reopen(key(), machine_.space(), map(), diagnostics);
  }

  [[nodiscard]] std::vector<fs::path> files() const {
    std::vector<fs::path> paths;
    if (!fs::exists(folder_)) return paths;
    for (const auto& entry : fs::directory_iterator(folder_)) paths.push_back(entry.path());
    std::sort(paths.begin(), paths.end());
    return paths;
  }
  static std::string content(const fs::path& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  static void write(const fs::path& path, const std::string& content) {
    std::ofstream(path, std::ios::binary) << content;
    ::chmod(path.c_str(), S_IRUSR | S_IWUSR);
  }

  fs::path parent_, folder_;
  const Machine machine_ = machine_of(kernel_symbols());
  const types::TypeDb types_ =
      types::TypeDb::from_btf(types::testing::every_kind().bytes()).value();
};

TEST_F(KernelCacheTest, GivesBackWhatWasFound) {
  EXPECT_FALSE(reopen());
  keep();
  ASSERT_EQ(files().size(), 1U);
  const auto found = reopen();
  ASSERT_TRUE(found) << found.error().text;
  const auto searched = search();
  ASSERT_EQ(found->kallsyms.symbols.symbols().size(), kernel_symbols().size());
  for (const TestSymbol& symbol : kernel_symbols()) {
    EXPECT_EQ(found->kallsyms.source->address_of(symbol.name),
              searched.source->address_of(symbol.name));
  }
  const Bytes blob = {};
  EXPECT_NE(found->types.content, digest(blob, found->types.seed));
}

TEST_F(KernelCacheTest, OnlyTheUserMayReadIt) {
  keep();
  struct stat status {};
  ASSERT_EQ(::stat(folder_.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777U, 0700U);
  ASSERT_EQ(::stat(files().at(0).c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777U, 0600U);
}

TEST_F(KernelCacheTest, WhatOthersMayWriteIsNotRead) {
  keep();
  const fs::path file = files().at(0);
  ::chmod(file.c_str(), 0620);
  EXPECT_FALSE(reopen());
  ::chmod(file.c_str(), 0600);
  EXPECT_TRUE(reopen());
  ::chmod(folder_.c_str(), 0777);
  EXPECT_FALSE(reopen());
  ::chmod(folder_.c_str(), 0700);
  const fs::path target = parent_ / "target";
  fs::rename(file, target);
  fs::create_symlink(target, file);
  EXPECT_FALSE(reopen());
  fs::remove(file);
  ASSERT_EQ(::mkfifo(file.c_str(), 0600), 0);
  EXPECT_FALSE(reopen()) << "and does not wait for somebody to write";
}

TEST_F(KernelCacheTest, EveryChangedByteIsNoticed) {
  keep();
  const fs::path file = files().at(0);
  const std::string original = content(file);
  ASSERT_EQ(original.size(), kHeader + 4 * kernel_symbols().size());
  for (std::size_t at = 0; at < original.size(); at += at < kHeader ? 1 : 37) {
    std::string changed = original;
    changed[at] = static_cast<char>(changed[at] ^ 0x04);
    write(file, changed);
    EXPECT_FALSE(reopen()) << at;
  }
  write(file, original);
  EXPECT_TRUE(reopen());
}

TEST_F(KernelCacheTest, EveryTruncationIsNoticed) {
  keep();
  const fs::path file = files().at(0);
  const std::string original = content(file);
  for (std::size_t size = 0; size < original.size(); size += size < kHeader + 8 ? 1 : 101) {
    write(file, original.substr(0, size));
    EXPECT_FALSE(reopen()) << size;
  }
  write(file, original + "x");
  EXPECT_FALSE(reopen());
  keep();
  EXPECT_TRUE(reopen()) << "the file was replaced";
  EXPECT_EQ(content(file).size(), original.size());
}

TEST_F(KernelCacheTest, AFileOfAnotherKernelIsNotTaken) {
  keep();
  const fs::path file = files().at(0);
  auto symbols = kernel_symbols();
  symbols[5].name = "renamed_5";
  const Machine other = machine_of(symbols);
  const KernelMap other_map{paging::Mode{}, {}, other.image(), "a test"};
  const auto other_key = cache().key_of(other.space(), other_map);
  // The rest of the kernel is the same: so is the key, but not what it stands for.
  ASSERT_EQ(other_key, key());
  Diagnostics diagnostics;
  EXPECT_FALSE(cache().reopen(other_key, other.space(), other_map, diagnostics));
  EXPECT_EQ(diagnostics.rows().size(), 1U);
  const Digest wrong{key().low + 1, key().high};
  fs::copy_file(file, folder_ / (file.filename().string().substr(0, 31) + "x.kernel"));
  EXPECT_FALSE(cache().reopen(wrong, machine_.space(), map(), diagnostics));
}

TEST_F(KernelCacheTest, AFolderThatCannotBeMadeIsNoMoreThanARow) {
  write(parent_ / "file", "");
  for (const fs::path& folder : {parent_ / "file" / "engram", parent_ / "no" / "such" / "engram"}) {
    const KernelCache nowhere(folder.string());
    Diagnostics diagnostics;
    nowhere.keep(key(), search(), types_, diagnostics);
    ASSERT_EQ(diagnostics.rows().size(), 1U);
    EXPECT_EQ(diagnostics.rows()[0].level, Level::debug);
    EXPECT_FALSE(nowhere.reopen(key(), machine_.space(), map(), diagnostics));
  }
  const KernelCache off{std::string()};
  Diagnostics diagnostics;
  off.keep(key(), search(), types_, diagnostics);
  EXPECT_FALSE(off.reopen(key(), machine_.space(), map(), diagnostics));
  EXPECT_TRUE(diagnostics.rows().empty());
}

TEST_F(KernelCacheTest, TheFolderDoesNotGrowWithoutEnd) {
  keep();
  const fs::path newest = files().at(0);
  const auto now = fs::file_time_type::clock::now();
  for (unsigned i = 0; i < KernelCache::kMostFiles + 10; ++i) {
    const fs::path path = folder_ / (std::to_string(1000 + i) + ".kernel");
    write(path, "old");
    fs::last_write_time(path, now - std::chrono::hours(100 + i));
  }
  write(folder_ / "somebody's", "own");
  write(folder_ / ".new-1-1", "never finished");
  fs::last_write_time(folder_ / ".new-1-1", now - std::chrono::hours(2));
  write(folder_ / ".new-2-2", "being written");
  keep();
  EXPECT_EQ(files().size(), KernelCache::kMostFiles + 2);
  EXPECT_TRUE(fs::exists(newest));
  EXPECT_TRUE(fs::exists(folder_ / "somebody's"));
  EXPECT_TRUE(fs::exists(folder_ / ".new-2-2"));
  EXPECT_FALSE(fs::exists(folder_ / ".new-1-1"));
  EXPECT_FALSE(fs::exists(folder_ / "1073.kernel"));
}

TEST_F(KernelCacheTest, ManyMayUseItAtOnce) {
  std::vector<std::thread> threads;
  for (unsigned i = 0; i < 4; ++i) {
    threads.emplace_back([this] {
      for (unsigned round = 0; round < 10; ++round) {
        keep();
        EXPECT_TRUE(reopen());
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(files().size(), 1U);
}

}  // namespace
}  // namespace engram::kernel
