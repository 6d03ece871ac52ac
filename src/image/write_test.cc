// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "image/write.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "image/elf_layout.h"
#include "image/test_write.h"

namespace engram::image {
namespace {

using namespace test;
using testing::HasSubstr;

using Writer = Result<Written> (*)(const guest::Memory&, Sink&);
Result<Written> as_lime(const guest::Memory& memory, Sink& sink) {
  return write_lime(memory, sink);
}
Result<Written> as_elf(const guest::Memory& memory, Sink& sink) {
  Facts facts;
  facts.architecture = Architecture::x86_64;
  return write_elf(memory, facts, sink);
}
constexpr std::pair<const char*, Writer> kWriters[] = {{"lime", as_lime}, {"elf", as_elf}};

TEST(Write, WhatIsReadableComesBackAndNothingElse) {
  const guest::Memory memory = odd_memory();
  for (const auto& [format, write] : kWriters) {
    SCOPED_TRACE(format);
    const NewName name;
    auto sink = FileSink::create(name.path());
    ASSERT_TRUE(sink.has_value()) << sink.error().text;
    const auto written = write(memory, *sink);
    ASSERT_TRUE(written.has_value()) << written.error().text;
    ASSERT_TRUE(sink->finish().has_value());
    EXPECT_EQ(written->ranges, 2U);
    EXPECT_EQ(written->bytes, 0x2801U);
    EXPECT_EQ(written->unreadable, 0x1000U);

    const auto image = Image::open(name.path());
    ASSERT_TRUE(image.has_value()) << image.error().text;
    EXPECT_EQ(image->format(), format);
    EXPECT_TRUE(image->notices().empty());
    EXPECT_EQ(image->memory().present_bytes(), 0x2801U);
    Buffer expected(0x2800), found(0x2800);
    EXPECT_TRUE(memory.read(PhysAddr(0x1800), expected).complete());
    EXPECT_TRUE(image->memory().read(PhysAddr(0x1800), found).complete());
    EXPECT_EQ(found, expected);
    EXPECT_EQ(image->memory().read(PhysAddr(0x9000), found).count, 1U);
    EXPECT_EQ(image->memory().read(PhysAddr(0x100000), found).stop,
              guest::MemoryErrc::invalid_guest_address);
  }
}

TEST(Write, ZerosAreHoles) {
  constexpr std::uint64_t kSize = 64 * kMiB;
  const guest::Memory memory = memory_of({{PhysAddr(0), kSize, Backing::host, {}}}, Buffer(kSize));
  for (const auto& [format, write] : kWriters) {
    SCOPED_TRACE(format);
    const NewName name;
    auto sink = FileSink::create(name.path());
    ASSERT_TRUE(sink.has_value());
    ASSERT_TRUE(write(memory, *sink).has_value());
    ASSERT_TRUE(sink->finish().has_value());
    struct stat status = {};
    ASSERT_EQ(::stat(name.path().c_str(), &status), 0);
    EXPECT_GE(status.st_size, std::int64_t{kSize});
    EXPECT_LT(status.st_blocks * 512, std::int64_t{kMiB});
    const auto image = Image::open(name.path());
    ASSERT_TRUE(image.has_value());
    EXPECT_EQ(image->memory().present_bytes(), kSize);
  }
}

TEST(Write, ElfHasTheFacts) {
  const guest::Memory memory = odd_memory();
  for (const std::endian order : {std::endian::little, std::endian::big}) {
    const NewName name;
    auto sink = FileSink::create(name.path());
    ASSERT_TRUE(sink.has_value());
    const Facts facts{.architecture = Architecture::arm64,
                      .byte_order = order,
                      .cpus = {},
                      .vmcoreinfo = "OSRELEASE=6.12.0\n"};
    ASSERT_TRUE(write_elf(memory, facts, *sink).has_value());
    ASSERT_TRUE(sink->finish().has_value());
    const auto image = Image::open(name.path());
    ASSERT_TRUE(image.has_value()) << image.error().text;
    EXPECT_TRUE(image->notices().empty());
    EXPECT_EQ(image->facts().byte_order, order);
    EXPECT_EQ(image->facts().vmcoreinfo, facts.vmcoreinfo);
    EXPECT_EQ(image->facts().architecture,
              order == std::endian::big ? Architecture::unknown : Architecture::arm64);
    EXPECT_EQ(image->memory().present_bytes(), 0x2801U);
    // Mappable: the same place in the page of the file as in the page of memory.
    for (const Range& range : image->ranges()) {
      EXPECT_EQ(range.offset.mask(kPageMask), range.start.mask(kPageMask));
    }
  }
}

TEST(Write, ElfWithMoreRangesThanItsHeaderCanCount) {
  Regions regions;
  constexpr std::uint64_t kRanges = 0x10010;
  for (std::uint64_t i = 0; i < kRanges; ++i) {
    regions.push_back({PhysAddr(i * 2), 1, Backing::host, {}});
  }
  const guest::Memory memory = memory_of(std::move(regions), pattern(kRanges, 1));
  const NewName name;
  auto sink = FileSink::create(name.path());
  ASSERT_TRUE(sink.has_value());
  const auto written = as_elf(memory, *sink);
  ASSERT_TRUE(written.has_value()) << written.error().text;
  EXPECT_EQ(written->ranges, kRanges);
  ASSERT_TRUE(sink->finish().has_value());
  const auto image = Image::open(name.path());
  ASSERT_TRUE(image.has_value()) << image.error().text;
  EXPECT_EQ(image->ranges().size(), kRanges);
  EXPECT_EQ(image->memory().read_object<std::byte>(PhysAddr((kRanges - 1) * 2)),
            pattern(kRanges, 1).back());
}

TEST(Write, NothingToWrite) {
  const guest::Memory memory =
      memory_of({{PhysAddr(0), 0x1000, Backing::unreadable, {}}}, Buffer());
  for (const auto& [format, write] : kWriters) {
    const NewName name;
    auto sink = FileSink::create(name.path());
    ASSERT_TRUE(sink.has_value());
    const auto written = write(memory, *sink);
    ASSERT_FALSE(written.has_value());
    EXPECT_EQ(written.error().text, "write: the memory has no byte that can be read");
  }
}

TEST(Write, FileThatIsCutMeanwhileIsAnError) {
  Buffer bytes;
  append_lime_range(bytes, 0x1000, pattern(0x10000, 1));
  const TempFile file(bytes);
  const auto image = Image::open(file.path());
  ASSERT_TRUE(image.has_value());
  ASSERT_TRUE(file.cut(0x2000));
  for (const auto& [format, write] : kWriters) {
    const NewName name;
    auto sink = FileSink::create(name.path());
    ASSERT_TRUE(sink.has_value());
    const auto written = write(image->memory(), *sink);
    ASSERT_FALSE(written.has_value());
    EXPECT_EQ(written.error().text, "write: the byte at 0x2fe0 cannot be read any more");
  }
}

TEST(Write, MoreZerosThanAFileCanHaveEndAtOnce) {
  const guest::Memory memory =
      memory_of({{PhysAddr(0), 0xfULL << 60, Backing::zero, {}}}, Buffer());
  for (const auto& [format, write] : kWriters) {
    const NewName name;
    auto sink = FileSink::create(name.path());
    ASSERT_TRUE(sink.has_value());
    const auto written = write(memory, *sink);
    ASSERT_FALSE(written.has_value());
    EXPECT_THAT(written.error().text, HasSubstr("0xf000000000000000 zeros at"));
  }
}

TEST(WriteRaw, AddressesAreOffsetsAndGapsAreHoles) {
  const Buffer bytes = pattern(0x1801, 1);
  const guest::Memory memory = memory_of({{PhysAddr(0x1800), 0x1800, Backing::host, {}},
                                          {PhysAddr(0x100000), 0x1000, Backing::unreadable, {}},
                                          {PhysAddr(0x200000), 1, Backing::host, {}}},
                                         bytes);
  const NewName name;
  auto sink = FileSink::create(name.path());
  ASSERT_TRUE(sink.has_value());
  const auto written = write_raw(memory, *sink);
  ASSERT_TRUE(written.has_value()) << written.error().text;
  ASSERT_TRUE(sink->finish().has_value());
  EXPECT_EQ(written->bytes, 0x1801U);
  EXPECT_EQ(written->unreadable, 0x1000U);
  EXPECT_EQ(written->filled, 0x1800U + 0x1FD000U);
  const auto image = Image::open(name.path());
  ASSERT_TRUE(image.has_value()) << image.error().text;
  EXPECT_EQ(image->file_size(), 0x200001U);
  Buffer expected(0x200001), found(0x200001);
  std::copy_n(bytes.begin(), 0x1800, expected.begin() + 0x1800);
  expected.back() = bytes.back();
  EXPECT_TRUE(image->memory().read(PhysAddr(0), found).complete());
  EXPECT_EQ(found, expected);
}

TEST(WriteRaw, AddressesThatNoFileHasAreRefused) {
  const guest::Memory memory = memory_of({{PhysAddr(0), 0x1000, Backing::zero, {}},
                                          {PhysAddr(0x7ffffffff000), 0x1001, Backing::zero, {}}},
                                         Buffer());
  const NewName name;
  auto sink = FileSink::create(name.path());
  ASSERT_TRUE(sink.has_value());
  const auto written = write_raw(memory, *sink);
  ASSERT_FALSE(written.has_value());
  EXPECT_THAT(written.error().text, HasSubstr("raw: the range [0x7ffffffff000, 0x800000000000]"));
}

/// Pages of bytes that differ; some are damaged, some absent.
class MadePages final : public guest::PhysicalSource {
 public:
  enum class State : std::uint8_t { good, damaged, absent };
  explicit MadePages(std::vector<State> pages) : pages_(std::move(pages)) {}

  guest::Transfer read(PhysAddr from, MutableBytes to) const override {
    for (std::size_t i = 0; i < to.size(); ++i) {
      const std::uint64_t at = from.value + i;
      const State state = pages_.at(static_cast<std::size_t>(at / kPageSize));
      if (state == State::good) {
        to[i] = static_cast<std::byte>(at / kPageSize + at % 251);
        continue;
      }
      return {i,
              state == State::absent ? guest::MemoryErrc::not_present
                                     : guest::MemoryErrc::source_truncated,
              0, at};
    }
    return {to.size()};
  }

 private:
  std::vector<State> pages_;
};

TEST(Write, MadePagesThatAreDamagedOrAbsentAreLeftOut) {
  using State = MadePages::State;
  std::vector<State> states(3000, State::good);  // more than one piece
  for (const std::size_t page : {0U, 1U, 700U, 2999U}) states[page] = State::damaged;
  for (const std::size_t page : {2U, 1024U, 1026U}) states[page] = State::absent;
  const MadePages source(states);
  const auto memory = guest::Memory::create(
      {guest::Region::from_source(PhysAddr(0), states.size() * kPageSize, source)}, nullptr);
  ASSERT_TRUE(memory.has_value());
  for (const auto& [format, write] : kWriters) {
    SCOPED_TRACE(format);
    const NewName name;
    auto sink = FileSink::create(name.path());
    ASSERT_TRUE(sink.has_value());
    const auto written = write(*memory, *sink);
    ASSERT_TRUE(written.has_value()) << written.error().text;
    EXPECT_EQ(written->bytes, (states.size() - 7) * kPageSize);
    EXPECT_EQ(written->unreadable, 4 * kPageSize);
    ASSERT_TRUE(sink->finish().has_value());
    const auto image = Image::open(name.path());
    ASSERT_TRUE(image.has_value()) << image.error().text;
    Buffer expected(kPageSize), found(kPageSize);
    for (std::size_t page = 0; page < states.size(); ++page) {
      const PhysAddr at(page * kPageSize);
      ASSERT_EQ(image->memory().read(at, found).complete(), states[page] == State::good) << page;
      if (states[page] != State::good) continue;
      ASSERT_TRUE(source.read(at, expected).complete());
      ASSERT_EQ(found, expected) << page;
    }
  }
}

TEST(Write, EndsWhenNobodyWantsTheRest) {
  constexpr std::uint64_t kSize = 8 * kMiB;
  const guest::Memory memory =
      memory_of({{PhysAddr(0), kSize, Backing::host, {}}}, pattern(kSize, 1));
  for (const std::string_view target : target_names()) {
    SCOPED_TRACE(target);
    const NewName name;
    auto sink = FileSink::create(name.path());
    ASSERT_TRUE(sink.has_value());
    std::uint64_t last = 0;
    const WriteOptions options{[&](const WriteState& state) {
      EXPECT_GT(state.done, last);
      EXPECT_EQ(state.all, kSize);
      last = state.done;
      return state.done < kSize / 2;
    }};
    Facts facts;
    facts.crash = CrashHeader();  // for crash dumps
    const auto written = write_image(target, memory, facts, *sink, options);
    ASSERT_FALSE(written.has_value());
    EXPECT_EQ(written.error().text, "write: not finished");
    EXPECT_LE(last, kSize);
  }
}

TEST(WriteImage, NamesWhatThereIs) {
  const NewName name;
  auto sink = FileSink::create(name.path());
  ASSERT_TRUE(sink.has_value());
  const auto written = write_image("tar", odd_memory(), {}, *sink);
  ASSERT_FALSE(written.has_value());
  EXPECT_THAT(written.error().text, HasSubstr("tar: expected one of raw, lime, avml, elf, kdump,"));
}

TEST(WriteElf, KeepsNotesThatItDoesNotKnow) {
  Facts facts;
  facts.machine = EM_S390;
  facts.byte_order = std::endian::big;
  const elf::ByteOrder order(true);
  const Elf64_Nhdr header{order(Elf64_Word{5}), order(Elf64_Word{8}), order(Elf64_Word{0x305})};
  append(facts.notes, header);
  append(facts.notes, pattern(16, 1));
  std::memcpy(facts.notes.data() + sizeof header, "LINUX\0\0\0", 8);
  facts.vmcoreinfo = "OSRELEASE=6.12.0\nPAGESIZE=4096\n";
  const NewName name;
  const auto image = round_trip(name, "elf", odd_memory(), facts);
  ASSERT_TRUE(image.has_value()) << image.error().text;
  EXPECT_EQ(image->facts().machine, EM_S390);
  EXPECT_EQ(image->facts().byte_order, std::endian::big);
  EXPECT_EQ(image->facts().vmcoreinfo, facts.vmcoreinfo);
  ASSERT_GT(image->facts().notes.size(), facts.notes.size());
  EXPECT_TRUE(std::equal(facts.notes.begin(), facts.notes.end(), image->facts().notes.begin()));

  // Written once more there is nothing to add.
  const NewName again_name;
  const auto again = round_trip(again_name, "elf", odd_memory(), image->facts());
  ASSERT_TRUE(again.has_value()) << again.error().text;
  EXPECT_EQ(again->facts().notes, image->facts().notes);
}

TEST(WriteElf, RegistersWithoutNotesBecomeNotes) {
  Facts facts;
  facts.architecture = Architecture::x86_64;
  CpuRegisters cpu;
  cpu.rip = 0xffffffff81000010;
  cpu.rsp = 0xffffc90000003000;
  cpu.rflags = 0x246;
  cpu.gs_base = 0xffff88801f400000;
  facts.cpus.push_back(cpu);
  cpu.rip = 0x401000;
  facts.cpus.push_back(cpu);
  for (const bool with_control : {false, true}) {
    if (with_control) {
      for (auto& each : facts.cpus) {
        each.control = CpuRegisters::Control{0x80050033, 0x1000, 0x1ba000, 0x6f0, 0x77};
      }
    }
    const NewName name;
    const auto image = round_trip(name, "elf", odd_memory(), facts);
    ASSERT_TRUE(image.has_value()) << image.error().text;
    ASSERT_EQ(image->facts().cpus.size(), 2U);
    for (std::size_t i = 0; i < 2; ++i) {
      const CpuRegisters& found = image->facts().cpus[i];
      EXPECT_EQ(found.source, with_control ? "QEMU" : "PRSTATUS");
      EXPECT_EQ(found.rip, facts.cpus[i].rip);
      EXPECT_EQ(found.rsp, cpu.rsp);
      EXPECT_EQ(found.rflags, cpu.rflags);
      EXPECT_EQ(found.gs_base, cpu.gs_base);
      ASSERT_EQ(found.control.has_value(), with_control);
      if (!with_control) continue;
      EXPECT_EQ(found.control->cr0, 0x80050033U);
      EXPECT_EQ(found.control->cr2, 0x1000U);
      EXPECT_EQ(found.control->cr3, 0x1ba000U);
      EXPECT_EQ(found.control->cr4, 0x6f0U);
      EXPECT_EQ(found.control->kernel_gs_base, 0x77U);
    }
  }
}

TEST(FileSink, WritesOverWhatIsThereAndNothingElse) {
  const NewName name;
  auto sink = FileSink::create(name.path());
  ASSERT_TRUE(sink.has_value());
  ASSERT_TRUE(sink->zeros(10).has_value());
  ASSERT_TRUE(sink->write(pattern(4, 1)).has_value());
  EXPECT_EQ(sink->position(), FileOffset(14));
  ASSERT_TRUE(sink->write_over(FileOffset(8), pattern(6, 3)).has_value());
  EXPECT_FALSE(sink->write_over(FileOffset(9), pattern(6, 3)).has_value());
  EXPECT_FALSE(sink->write_over(FileOffset(~0ULL), pattern(6, 3)).has_value());
  ASSERT_TRUE(sink->finish().has_value());
  std::ifstream file(name.path(), std::ios::binary);
  std::string found(std::istreambuf_iterator<char>(file), {});
  Buffer expected(8);
  append(expected, pattern(6, 3));
  EXPECT_EQ(found, std::string(reinterpret_cast<const char*>(expected.data()), expected.size()));
}

TEST(FileSink, NeverReplacesAFile) {
  const TempFile file(pattern(100, 1));
  const auto sink = FileSink::create(file.path());
  ASSERT_FALSE(sink.has_value());
  EXPECT_THAT(sink.error().text, HasSubstr(file.path()));
  EXPECT_EQ(std::filesystem::file_size(file.path()), 100U);
}

/// Files whose names begin with this one.
std::size_t files_like(const std::filesystem::path& path) {
  std::size_t count = 0;
  for (const auto& entry : std::filesystem::directory_iterator(path.parent_path())) {
    if (entry.path().string().starts_with(path.string())) ++count;
  }
  return count;
}

TEST(FileSink, HasItsNameWhenItIsFinished) {
  const NewName name;
  auto sink = FileSink::create(name.path());
  ASSERT_TRUE(sink.has_value());
  ASSERT_TRUE(sink->write(pattern(100, 1)).has_value());
  EXPECT_FALSE(std::filesystem::exists(name.path()));
  EXPECT_EQ(files_like(name.path()), 1U);
  ASSERT_TRUE(sink->finish().has_value());
  EXPECT_EQ(std::filesystem::file_size(name.path()), 100U);
  EXPECT_EQ(files_like(name.path()), 1U);
}

TEST(FileSink, NeverReplacesAFileThatCameMeanwhile) {
  const NewName name;
  {
    auto sink = FileSink::create(name.path());
    ASSERT_TRUE(sink.has_value());
    std::ofstream(name.path()) << "other";
    const auto finished = sink->finish();
    ASSERT_FALSE(finished.has_value());
    EXPECT_THAT(finished.error().text, HasSubstr(name.path()));
  }
  EXPECT_EQ(std::filesystem::file_size(name.path()), 5U);
  EXPECT_EQ(files_like(name.path()), 1U);
}

TEST(FileSink, RemovesWhatWasNotFinished) {
  const NewName name;
  {
    auto sink = FileSink::create(name.path());
    ASSERT_TRUE(sink.has_value());
    ASSERT_TRUE(sink->write(pattern(100, 1)).has_value());
    EXPECT_EQ(files_like(name.path()), 1U);
  }
  EXPECT_EQ(files_like(name.path()), 0U);
}

}  // namespace
}  // namespace engram::image
