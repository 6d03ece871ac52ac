// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "image/vmware.h"

#include <fmt/core.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>

#include "image/image.h"
#include "image/test_damage.h"
#include "image/test_dmp.h"
#include "image/vmware_layout.h"

namespace engram::image {
namespace {

using namespace test;
using testing::HasSubstr;

/// A state, tag by tag: the groups "cpu" and "memory" in this order.
class VmwareState {
 public:
  using Index = std::vector<std::uint32_t>;

  explicit VmwareState(std::uint32_t magic = 0xbed2bed2) : magic_(magic) {}

  VmwareState& value(bool memory, std::string_view name, const Index& index, std::uint64_t number,
                     std::size_t size = 4) {
    Buffer& group = begin(memory, name, index, static_cast<unsigned>(size));
    Buffer bytes;
    append(bytes, number);
    bytes.resize(size);
    append(group, bytes);
    return *this;
  }
  VmwareState& block(bool memory, std::string_view name, const Index& index, const Buffer& data,
                     unsigned kind = vmware::kBlock, std::uint16_t padding = 3) {
    Buffer& group = begin(memory, name, index, kind);
    const auto put_size = [&](std::uint64_t size) {
      if ((magic_ & 0xFU) != 0) return append(group, size);
      append(group, static_cast<std::uint32_t>(size));
    };
    put_size(data.size());
    put_size(data.size());
    append(group, padding);
    group.resize(group.size() + padding);
    append(group, data);
    return *this;
  }
  VmwareState& region(std::uint32_t number, std::uint32_t page, std::uint32_t in_file,
                      std::uint32_t count) {
    return value(true, "regionPPN", {number}, page)
        .value(true, "regionPageNum", {number}, in_file)
        .value(true, "regionSize", {number}, count);
  }
  [[nodiscard]] Buffer file() const {
    Buffer file;
    append(file, magic_);
    append(file, std::uint32_t{8});
    append(file, std::uint32_t{2});
    std::uint64_t at = sizeof(vmware::Header) + 2 * sizeof(vmware::Group);
    for (const bool memory : {false, true}) {
      Buffer name = text(memory ? "memory" : "cpu");
      name.resize(64);
      append(file, name);
      append(file, at);
      append(file, std::uint64_t{groups_[memory].size() + 2});
      at += groups_[memory].size() + 2;
    }
    for (const Buffer& group : groups_) {
      append(file, group);
      append(file, std::uint16_t{0});
    }
    return file;
  }

 private:
  Buffer& begin(bool memory, std::string_view name, const Index& index, unsigned kind) {
    Buffer& group = groups_[memory];
    append(group, static_cast<std::uint16_t>(name.size() << 8U | index.size() << 6U | kind));
    append(group, text(name));
    for (const std::uint32_t number : index) append(group, number);
    return group;
  }

  std::uint32_t magic_;
  std::array<Buffer, 2> groups_;
};

VmwareState with_registers(std::uint32_t magic = 0xbed2bed2) {
  return VmwareState(magic)
      .value(false, "cpu:numVCPUs", {}, 1)
      .value(false, "rip", {0}, 0xffffffff81000000, 8)
      .value(false, "CR64", {0, 3}, 0x6000, 8)
      .value(false, "CR64", {0, 4}, 0x6f0, 8);
}

/// Files in one folder.
class Folder {
 public:
  Folder() {
    std::string pattern = testing::TempDir() + "vmware.XXXXXX";
    path_ = ::mkdtemp(pattern.data());
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  ~Folder() { std::filesystem::remove_all(path_); }

  [[nodiscard]] std::string put(const std::string& name, const Buffer& content) const {
    const std::string path = path_ / name;
    std::ofstream(path, std::ios::binary)
        .write(reinterpret_cast<const char*>(content.data()), std::ssize(content));
    return path;
  }

 private:
  std::filesystem::path path_;
};

Buffer page_of(const Image& image, std::uint64_t page) {
  Buffer bytes(kPageSize);
  bytes.resize(image.memory().read(PhysAddr(page * kPageSize), bytes).count);
  return bytes;
}

/// Four pages; the last two lie at 4 GiB.
Buffer memory() {
  return pattern(4 * kPageSize, 1);
}
VmwareState split() {
  return with_registers()
      .value(true, "regionsCount", {}, 2)
      .region(0, 0, 0, 2)
      .region(1, 0x100000, 2, 2);
}

void expect_split(const Image& image) {
  const Buffer all = memory();
  EXPECT_EQ(image.format(), "vmware");
  for (const std::uint64_t page : {0U, 1U, 2U, 3U}) {
    const auto begin = all.begin() + static_cast<std::ptrdiff_t>(page * kPageSize);
    EXPECT_EQ(page_of(image, page < 2 ? page : page - 2 + 0x100000),
              Buffer(begin, begin + kPageSize))
        << page;
  }
  EXPECT_EQ(image.memory().find(PhysAddr(2 * kPageSize)), nullptr);
  ASSERT_EQ(image.facts().cpus.size(), 1U);
  EXPECT_EQ(image.facts().cpus[0].source, "VMware");
  EXPECT_EQ(image.facts().cpus[0].rip, 0xffffffff81000000);
  EXPECT_EQ(image.facts().cpus[0].control->cr3, 0x6000U);
}

TEST(Vmware, FindsTheStateBesideTheMemoryAndTheOtherWayRound) {
  for (const char* const extension : {".vmss", ".vmsn"}) {
    const Folder folder;
    const std::string vmem = folder.put("a.vmem", memory());
    const std::string state = folder.put(std::string("a") + extension, split().file());
    for (const std::string& path : {vmem, state}) {
      const auto image = Image::open(path);
      ASSERT_TRUE(image.has_value()) << image.error().text;
      expect_split(*image);
      EXPECT_EQ(notices_of(*image), "");
    }
  }
}

TEST(Vmware, TakesTheFileThatIsNamed) {
  const Folder folder;
  const std::string vmem = folder.put("memory.bin", memory());
  const std::string state = folder.put("state.bin", split().file());
  OpenOptions with;
  with.parts = {state};
  auto image = Image::open(vmem, with);
  ASSERT_TRUE(image.has_value()) << image.error().text;
  expect_split(*image);
  with.parts = {vmem};
  image = Image::open(state, with);
  ASSERT_TRUE(image.has_value()) << image.error().text;
  expect_split(*image);
  with.parts = {state};
  EXPECT_THAT(Image::open(state, with).error().text, HasSubstr("only VMware's memory has a state"));
}

TEST(Vmware, AFileOfThatNameNeedNotBeAState) {
  const Folder folder;
  const std::string vmem = folder.put("a.vmem", pattern(kMiB, 1));
  static_cast<void>(folder.put("a.vmss", text("notes")));
  const auto image = Image::open(vmem);
  ASSERT_TRUE(image.has_value()) << image.error().text;
  EXPECT_EQ(image->format(), "raw");
  EXPECT_EQ(notices_of(*image), "");
}

TEST(Vmware, AFileBesideIsNoReasonToDoWithoutTheMemory) {
  const Folder folder;
  const std::string vmem = folder.put("a.vmem", pattern(kMiB, 1));
  static_cast<void>(folder.put("a.vmss", {}));
  const auto image = Image::open(vmem);
  ASSERT_TRUE(image.has_value()) << image.error().text;
  EXPECT_EQ(image->memory().present_bytes(), kMiB);
  EXPECT_THAT(notices_of(*image), HasSubstr("a.vmss: the file is empty"));
}

TEST(Vmware, MemoryHasNoHeaders) {
  const Folder folder;
  const std::string state = folder.put("a.vmss", split().file());
  const std::string dump = folder.put("a.vmem", dmp_full({{1, 4}}));
  EXPECT_THAT(Image::open(state).error().text, HasSubstr("the memory is in a .vmem file"));
  OpenOptions with;
  with.parts = {dump};
  EXPECT_THAT(Image::open(state, with).error().text, HasSubstr("only VMware's memory has a state"));
}

TEST(Vmware, MemoryAboveTheHoleNeedsAState) {
  const Folder folder;
  const std::string vmem = folder.put("a.vmem", pattern(kMiB, 1));
  std::filesystem::resize_file(vmem, 4 * kGiB);  // a file with a hole
  const auto image = Image::open(vmem);
  ASSERT_TRUE(image.has_value()) << image.error().text;
  EXPECT_THAT(notices_of(*image), HasSubstr("--ranges 0-bfffffff,100000000-13fffffff"));
}

TEST(Vmware, OnePieceOfMemoryHasNoRegions) {
  const Folder folder;
  const std::string vmem = folder.put("a.vmem", memory());
  static_cast<void>(folder.put("a.vmss", with_registers().file()));
  const auto image = Image::open(vmem);
  ASSERT_TRUE(image.has_value()) << image.error().text;
  ASSERT_EQ(image->ranges().size(), 1U);
  EXPECT_EQ(image->ranges().front().size, 4 * kPageSize);
}

TEST(Vmware, AStateMayHaveTheMemory) {
  for (const std::uint32_t magic : vmware::kMagics) {
    const TempFile file(with_registers(magic)
                            .block(true, "Memory", {0, 0}, memory())
                            .region(0, 0, 0, 2)
                            .region(1, 0x100000, 2, 2)
                            .file());
    const auto image = Image::open(file.path());
    ASSERT_TRUE(image.has_value()) << image.error().text;
    expect_split(*image);
    const std::map<std::string, std::string> header(image->facts().header.begin(),
                                                    image->facts().header.end());
    EXPECT_EQ(header.at("magic"), fmt::format("{:#x}", magic));
    EXPECT_EQ(header.at("groups"), "cpu, memory");
    EXPECT_EQ(header.at("memory"), "this file");
  }
}

TEST(Vmware, ControlRegistersMayBeABlock) {
  Buffer registers;
  for (const std::uint64_t value : {1U, 0U, 2U, 0x7000U, 4U}) append(registers, value);
  const TempFile file(VmwareState()
                          .block(false, "CR64", {0}, registers)
                          .block(true, "Memory", {0, 0}, memory())
                          .file());
  const auto image = Image::open(file.path());
  ASSERT_TRUE(image.has_value()) << image.error().text;
  EXPECT_EQ(image->facts().cpus.at(0).control->cr3, 0x7000U);
  EXPECT_EQ(image->facts().cpus.at(0).control->cr4, 4U);
}

std::string error_of(const Buffer& state) {
  const TempFile file(state);
  const auto image = Image::open(file.path());
  return image ? "opened as " + image->format() : image.error().text;
}

TEST(Vmware, RefusesWhatHasNoMemoryThatCanBeRead) {
  EXPECT_THAT(error_of(split().file()), HasSubstr("the memory is in a .vmem file"));
  EXPECT_THAT(
      error_of(
          VmwareState().block(true, "Memory", {0, 0}, memory(), vmware::kCompressedBlock).file()),
      HasSubstr("is compressed, in a way that is not documented"));
  Buffer state = split().file();
  put(state, 8, std::uint32_t{5000});
  EXPECT_THAT(error_of(state), HasSubstr("5000 groups, 1 to 4096 are expected"));
  put(state, 8, std::uint32_t{4000});
  EXPECT_THAT(error_of(state), HasSubstr("the file ends"));
  state.resize(10);
  EXPECT_THAT(error_of(state), HasSubstr("the file ends inside its header"));
}

TEST(Vmware, EveryCutOfTheStateIsSaid) {
  const Buffer whole = split().file();
  for (std::size_t size = 1; size < whole.size(); ++size) {
    const Folder folder;
    const std::string vmem = folder.put("a.vmem", memory());
    static_cast<void>(folder.put(
        "a.vmss", Buffer(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size))));
    const auto image = Image::open(vmem);
    if (!image) continue;
    EXPECT_NE(notices_of(*image), "") << size;
  }
}

TEST(Vmware, AMemoryThatDoesNotFitItsStateIsSaid) {
  const Folder folder;
  const std::string vmem = folder.put("a.vmem", pattern(3 * kPageSize, 1));
  static_cast<void>(folder.put("a.vmss", split().file()));
  auto image = Image::open(vmem);
  ASSERT_TRUE(image.has_value()) << image.error().text;
  EXPECT_TRUE(image->truncated());
  EXPECT_EQ(image->memory().present_bytes(), 3 * kPageSize);
  EXPECT_THAT(notices_of(*image), HasSubstr("the memory ends at 0x3000, its regions at 0x4000"));
  static_cast<void>(folder.put("a.vmem", pattern(8 * kPageSize, 1)));
  image = Image::open(vmem);
  ASSERT_TRUE(image.has_value()) << image.error().text;
  EXPECT_THAT(notices_of(*image), HasSubstr("does the state belong to it?"));
  static_cast<void>(
      folder.put("a.vmss", VmwareState().region(0, ~0U, ~0U, ~0U).region(5000, 0, 0, 1).file()));
  EXPECT_THAT(Image::open(vmem).error().text, HasSubstr("no byte of its 1 memory regions"));
}

}  // namespace
}  // namespace engram::image
