// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "image/elf_layout.h"
#include "image/image.h"
#include "image/test_damage.h"
#include "image/test_images.h"

namespace engram::image {
namespace {

using namespace test;
using guest::MemoryErrc;
using testing::HasSubstr;

constexpr std::uint64_t kQemuRip = 0xffffffff81234567;
constexpr std::uint64_t kStatusRip = 0xffffffff81999999;

Buffer qemu_note(std::uint64_t rip, std::uint64_t cr3) {
  elf::QemuCpu cpu = {};
  cpu.version = 1;
  cpu.size = sizeof cpu + 8;
  cpu.rip = rip;
  cpu.rsp = 0xffffc90000001000;
  cpu.rflags = 0x246;
  cpu.gs.base = 0xffff888000000000;
  cpu.cr = {0x80050033, 0, 0x7f00, cr3, 0x6f0};
  Buffer data;
  append(data, cpu);
  append(data, std::uint64_t{0x1122});
  return data;
}

/// The notes of VirtualBox's debugvm dumpvmcore, for one CPU.
Buffer virtualbox_notes(std::uint32_t format) {
  Buffer all;
  elf::VirtualBoxMachine machine = {};
  machine.magic = elf::kVirtualBoxMagic;
  machine.format = format;
  machine.size = sizeof machine;
  machine.version = 7U << 24U | 0U << 16U | 14U;
  machine.revision = 161095;
  machine.cpus = 1;
  Buffer data;
  append(data, machine);
  append_note(all, "VBCORE", elf::kVirtualBoxMachineNote, data);
  elf::VirtualBoxCpu cpu = {};
  cpu.rip = kQemuRip;
  cpu.rsp = 0xffffc90000001000;
  cpu.rflags = 0x246;
  cpu.gs.base = 0xffff888000000000;
  cpu.cr0 = 0x80050033;
  cpu.cr3 = 0x5000;
  cpu.kernel_gs_base = 0x1122;
  data.clear();
  append(data, cpu);
  data.resize(8768);  // the state of the vector registers, and more
  append_note(all, "VBCPU", elf::kVirtualBoxCpuNote, data);
  return all;
}

Buffer status_note(std::uint64_t rip) {
  Buffer data(336);
  put(data, 112 + 16 * 8, rip);
  put(data, 112 + 19 * 8, std::uint64_t{0x7ffe});
  return data;
}

Buffer notes() {
  Buffer all;
  append_note(all, "CORE", NT_PRSTATUS, status_note(kStatusRip));
  append_note(all, "CORE", NT_PRSTATUS, status_note(kStatusRip + 1));
  append_note(all, "STRANGE", 77, pattern(13, 9));
  append_note(all, "QEMU", 0, qemu_note(kQemuRip, 0x4fee000));
  append_note(all, "VMCOREINFO", 0, text("OSRELEASE=6.12.0\nPAGESIZE=4096\n"));
  return all;
}

/// As QEMU writes it: notes, low memory, high memory.
std::vector<ElfSegment> machine() {
  return {
      {.type = PT_NOTE, .data = notes()},
      {.physical = 0, .data = pattern(0x2000, 1)},
      {.physical = 0x100000, .data = pattern(0x3000, 2), .virtual_address = 0xffff888000100000}};
}

Result<Image> open(const Buffer& bytes) {
  const TempFile file(bytes);
  return Image::open(file.path());  // the mapping outlives the name
}

guest::MemoryResult<std::byte> byte_at(const Result<Image>& image, std::uint64_t address) {
  return image->memory().read_object<std::byte>(PhysAddr(address));
}

TEST(Elf, ReadsMemoryAndFacts) {
  const auto image = open(elf_file(machine()));
  ASSERT_TRUE(image.has_value()) << image.error().text;
  EXPECT_EQ(image->format(), "elf");
  EXPECT_EQ(notices_of(*image), "");
  EXPECT_FALSE(image->truncated());
  EXPECT_EQ(image->memory().present_bytes(), 0x5000U);
  EXPECT_EQ(byte_at(image, 0), pattern(1, 1)[0]);
  EXPECT_EQ(byte_at(image, 0x102fff), pattern(0x3000, 2).back());
  EXPECT_FALSE(byte_at(image, 0x103000).has_value());
  ASSERT_EQ(image->ranges().size(), 2U);
  EXPECT_EQ(vector_of(image->ranges())[1].virtual_address, 0xffff888000100000U);

  const Facts& facts = image->facts();
  EXPECT_EQ(facts.architecture, Architecture::x86_64);
  EXPECT_EQ(facts.vmcoreinfo, "OSRELEASE=6.12.0\nPAGESIZE=4096\n");
  ASSERT_EQ(facts.cpus.size(), 2U);
  EXPECT_EQ(facts.cpus[0].source, "QEMU");
  EXPECT_EQ(facts.cpus[0].rip, kQemuRip);
  EXPECT_EQ(facts.cpus[0].rsp, 0xffffc90000001000U);
  EXPECT_EQ(facts.cpus[0].rflags, 0x246U);
  EXPECT_EQ(facts.cpus[0].gs_base, 0xffff888000000000U);
  ASSERT_TRUE(facts.cpus[0].control.has_value());
  EXPECT_EQ(facts.cpus[0].control->cr0, 0x80050033U);
  EXPECT_EQ(facts.cpus[0].control->cr2, 0x7f00U);
  EXPECT_EQ(facts.cpus[0].control->cr3, 0x4fee000U);
  EXPECT_EQ(facts.cpus[0].control->cr4, 0x6f0U);
  EXPECT_EQ(facts.cpus[0].control->kernel_gs_base, 0x1122U);
  EXPECT_EQ(facts.cpus[1].source, "PRSTATUS");
  EXPECT_EQ(facts.cpus[1].cpu, 1U);
  EXPECT_EQ(facts.cpus[1].rip, kStatusRip + 1);
  EXPECT_EQ(facts.cpus[1].rsp, 0x7ffeU);
  EXPECT_FALSE(facts.cpus[1].control.has_value());
}

TEST(Elf, Reads32Bit) {
  Buffer all;
  Buffer status(144);
  put(status, 72 + 12 * 4, 0xc0001234U);
  append_note(all, "CORE", NT_PRSTATUS, status);
  const auto image = open(elf_file<Elf32Traits>(
      {{.physical = 0x1000, .data = pattern(0x1000, 1)}, {.type = PT_NOTE, .data = all}}));
  ASSERT_TRUE(image.has_value()) << image.error().text;
  EXPECT_EQ(byte_at(image, 0x1fff), pattern(0x1000, 1).back());
  ASSERT_EQ(image->facts().cpus.size(), 1U);
  EXPECT_EQ(image->facts().cpus[0].rip, 0xc0001234U);
}

void append_big_note(Buffer& notes, std::string_view name, std::uint32_t type, const Buffer& data) {
  Buffer note;
  append_note(note, name, type, data);
  for (auto field = note.begin(); field != note.begin() + 12; field += 4) {
    std::reverse(field, field + 4);
  }
  append(notes, note);
}

/// Two segments, the higher one first, and notes.
template <class Traits>
Buffer big_endian_machine(bool count_in_section) {
  Buffer all;
  append_big_note(all, "VMCOREINFO", 0, text("OSRELEASE=6.1.0\n"));
  append_big_note(all, "QEMU", 0, qemu_note(kQemuRip, 0x4fee000));  // whatever it means there
  return elf_file<Traits>({{.physical = 0x40000, .data = pattern(0x1000, 2)},
                           {.physical = 0x1000, .data = pattern(0x1000, 1), .memory_size = 0x2000},
                           {.type = PT_NOTE, .data = all}},
                          count_in_section);
}

template <class Traits>
class ElfBigEndian : public testing::Test {};
using BigTraits = testing::Types<Elf64BigTraits, Elf32BigTraits>;
TYPED_TEST_SUITE(ElfBigEndian, BigTraits);

TYPED_TEST(ElfBigEndian, IsMemoryOfAnUnknownArchitecture) {
  for (const bool count_in_section : {false, true}) {
    const auto image = open(big_endian_machine<TypeParam>(count_in_section));
    ASSERT_TRUE(image.has_value()) << image.error().text;
    EXPECT_EQ(image->facts().architecture, Architecture::unknown);
    EXPECT_EQ(image->facts().byte_order, std::endian::big);
    EXPECT_EQ(image->facts().vmcoreinfo, "OSRELEASE=6.1.0\n");
    EXPECT_TRUE(image->facts().cpus.empty());
    EXPECT_EQ(image->memory().present_bytes(), 0x2000U);
    EXPECT_EQ(byte_at(image, 0x1fff), pattern(0x1000, 1).back());
    EXPECT_EQ(byte_at(image, 0x40000), pattern(0x1000, 2).front());
    EXPECT_FALSE(byte_at(image, 0x2000).has_value());
  }
}

TEST(Elf, CountInSectionZero) {
  std::vector<ElfSegment> segments(70'000, {.physical = 0x1000, .data = pattern(16, 1)});
  for (std::size_t i = 0; i < segments.size(); ++i) segments[i].physical = i * 32;
  const auto image = open(elf_file(segments, true));
  ASSERT_TRUE(image.has_value()) << image.error().text;
  EXPECT_EQ(image->ranges().size(), 70'000U);
  EXPECT_EQ(byte_at(image, 69'999UL * 32), pattern(1, 1)[0]);
  EXPECT_EQ(notices_of(*image), "");
}

TEST(Elf, OverlapFirstWinsAndSaysSo) {
  // As in a vmcore of kdump: the kernel's text first, and again as a part of RAM.
  const auto image = open(elf_file({{.physical = 0x2000, .data = pattern(0x1000, 1)},
                                    {.physical = 0x1000, .data = pattern(0x4000, 2)}}));
  ASSERT_TRUE(image.has_value());
  EXPECT_EQ(byte_at(image, 0x2000), pattern(1, 1)[0]);
  EXPECT_EQ(byte_at(image, 0x3000), pattern(0x4000, 2)[0x2000]);
  EXPECT_EQ(image->memory().present_bytes(), 0x4000U);
  ASSERT_EQ(image->notices().size(), 1U);
  EXPECT_EQ(image->notices()[0].level, Level::info);
  EXPECT_THAT(image->notices()[0].text, HasSubstr("range [0x1000, 0x4fff] overlaps"));
}

TEST(Elf, TheSameBytesTwiceAreNoOverlap) {
  // As in QEMU's dump with paging: one page at two virtual addresses, one of them in a larger
  // range.
  const std::uint64_t data = sizeof(Elf64_Ehdr) + 3 * sizeof(Elf64_Phdr);
  const auto image = open(elf_file(
      {{.physical = 0x1000, .data = pattern(0x3000, 1)},
       {.physical = 0x2000, .memory_size = 0x1000, .file_size = 0x1000, .offset = data + 0x1000},
       {.physical = 0x1000, .memory_size = 0x3000, .file_size = 0x3000, .offset = data}}));
  ASSERT_TRUE(image.has_value());
  EXPECT_EQ(notices_of(*image), "");
  EXPECT_EQ(image->memory().regions().size(), 1U);
}

TEST(Elf, WhatOneSegmentLostAnotherMayHave) {
  auto segments = std::vector<ElfSegment>{{.physical = 0x1000, .data = pattern(0x1000, 1)},
                                          {.physical = 0x2000, .data = pattern(0x1000, 2)}};
  segments.insert(
      segments.begin(),
      {.physical = 0x1000, .memory_size = 0x4000, .file_size = 0x4000, .offset = 1ULL << 40});
  const auto image = open(elf_file(segments));
  ASSERT_TRUE(image.has_value());
  EXPECT_TRUE(image->truncated());
  EXPECT_EQ(byte_at(image, 0x2000), pattern(1, 2)[0]);
  Buffer to(0x2001);
  EXPECT_EQ(image->memory().read(PhysAddr(0x1000), to).stop, MemoryErrc::source_truncated);
}

TEST(Elf, WhatIsNotStoredIsAbsent) {
  const auto image =
      open(elf_file({{.physical = 0x1000, .data = pattern(0x800, 1)},
                     {.physical = 0x5000, .data = pattern(0x1000, 2), .memory_size = 0x3000},
                     {.physical = 0x9000, .memory_size = 0x1000}}));
  ASSERT_TRUE(image.has_value());
  EXPECT_FALSE(image->truncated());
  EXPECT_THAT(notices_of(*image),
              HasSubstr("elf: segment 1 at 0x78: stores 0x1000 of 0x3000 bytes; the others are "
                        "absent (1 more like this)"));
  Buffer to(0x1001);
  const auto outcome = image->memory().read(PhysAddr(0x5000), to);
  EXPECT_EQ(outcome.count, 0x1000U);
  EXPECT_EQ(outcome.stop, MemoryErrc::invalid_guest_address);
}

class ElfDamage : public testing::TestWithParam<Damage> {};

TEST_P(ElfDamage, IsNamedAndSurvived) {
  expect_named_and_survived(elf_file(machine()), GetParam());
}

/// Writes a field of the file header, or of program header `index`.
template <class T, class Value>
std::function<void(Buffer&)> header_field(T Elf64_Ehdr::*field, Value value) {
  return [=](Buffer& bytes) {
    auto header = load_unaligned<Elf64_Ehdr>(bytes.data());
    header.*field = static_cast<T>(value);
    put(bytes, 0, header);
  };
}
template <class T, class Value>
std::function<void(Buffer&)> segment_field(std::size_t index, T Elf64_Phdr::*field, Value value) {
  return [=](Buffer& bytes) {
    auto segment = load_unaligned<Elf64_Phdr>(bytes.data() + elf_segment_at(index));
    segment.*field = static_cast<T>(value);
    put(bytes, elf_segment_at(index), segment);
  };
}
std::function<void(Buffer&)> cut(std::size_t size) {
  return [=](Buffer& bytes) { bytes.resize(size); };
}
std::function<void(Buffer&)> ident(std::size_t index, unsigned value) {
  return [=](Buffer& bytes) { bytes[index] = static_cast<std::byte>(value); };
}

const Damage kDamages[] = {
    // What is odd but good.
    {"HeaderSizeOfQemu7", header_field(&Elf64_Ehdr::e_ehsize, 8), nullptr},
    {"VersionOfVirtualBox", header_field(&Elf64_Ehdr::e_version, 0), nullptr},
    {"IdentVersionZero", ident(EI_VERSION, 0), nullptr},
    {"MemorySizeZero", segment_field(2, &Elf64_Phdr::p_memsz, 0), nullptr,
     "0x0 bytes of memory but 0x3000 bytes in the file"},
    // The header.
    {"CutInTheIdent", cut(5), "elf: the file has 5 bytes, its header alone has 64"},
    {"CutInTheHeader", cut(63), "elf: the file has 63 bytes, its header alone has 64"},
    {"BigEndianByMistake", ident(EI_DATA, ELFDATA2MSB), "elf: type 1024, a core file (4)"},
    {"ByteOrder", ident(EI_DATA, 7), "elf: byte order 7, 1 or 2 is expected"},
    {"Class", ident(EI_CLASS, 9), "elf: class 9, 1 or 2 is expected"},
    {"Executable", header_field(&Elf64_Ehdr::e_type, ET_EXEC), "elf: type 2, a core file (4)"},
    {"EntrySizeTooSmall", header_field(&Elf64_Ehdr::e_phentsize, 55),
     "elf: program headers of 55 bytes, at least 56 are expected"},
    {"EntrySizeZero", header_field(&Elf64_Ehdr::e_phentsize, 0), "program headers of 0 bytes"},
    {"NoSegments", header_field(&Elf64_Ehdr::e_phnum, 0), "no memory segment (PT_LOAD) in it"},
    // The program headers.
    {"TableOutsideTheFile", header_field(&Elf64_Ehdr::e_phoff, 1ULL << 50),
     "3 program headers are declared, the file has 0 of them"},
    {"TableAtTheEndOfTheAddressSpace", header_field(&Elf64_Ehdr::e_phoff, ~10ULL),
     "3 program headers are declared, the file has 0 of them"},
    {"CutInTheTable", cut(elf_segment_at(2) + 55),
     "3 program headers are declared, the file has 2 of them"},
    {"CountInASectionThatIsMissing", header_field(&Elf64_Ehdr::e_phnum, PN_XNUM), nullptr,
     "the number of program headers should be in section 0 at 0x0", true},
    // The segments.
    {"Process", segment_field(2, &Elf64_Phdr::p_paddr, 0),
     "elf: all 2 segments have physical address 0: the core of a process"},
    {"CutByOneByte", [](Buffer& b) { b.pop_back(); }, nullptr,
     "elf: segment 2 at 0xb0: the file ends 1 bytes before the segment's 12288 bytes", true,
     0x4fff},
    {"OffsetOutsideTheFile", segment_field(2, &Elf64_Phdr::p_offset, 1ULL << 50), nullptr,
     "12288 bytes before the segment's 12288 bytes", true, 0x2000},
    {"FileSizeHuge",
     [](Buffer& b) {
       segment_field(2, &Elf64_Phdr::p_filesz, 1ULL << 60)(b);
       segment_field(2, &Elf64_Phdr::p_memsz, 1ULL << 60)(b);
     },
     nullptr, "the file ends", true},
    {"MemorySizeSmallerThanFileSize", segment_field(2, &Elf64_Phdr::p_memsz, 0x1000), nullptr,
     "elf: segment 2 at 0xb0: 0x1000 bytes of memory but 0x3000 bytes in the file", false, 0x3000},
    {"EndBeyondTheAddressSpace", segment_field(2, &Elf64_Phdr::p_paddr, ~0ULL), nullptr,
     "0x3000 bytes at physical address 0xffffffffffffffff exceed 2^64; left out", false, 0x2000},
    {"NothingReadable", cut(elf_segment_at(3) + notes().size()),
     "elf: the file has no byte of its 2 memory segments"},
    // The notes.
    {"NotesOutsideTheFile", segment_field(0, &Elf64_Phdr::p_offset, 1ULL << 50), nullptr,
     "elf: segment 0 at 0x40: the notes are cut or damaged", true},
    {"NotesHuge", segment_field(0, &Elf64_Phdr::p_filesz, ~0ULL), nullptr,
     "the notes are cut or damaged", true},
    {"NoteNameTooLong", [](Buffer& b) { put(b, elf_segment_at(3), ~0U); }, nullptr,
     "the notes are cut or damaged"},
    {"NoteDataTooLong", [](Buffer& b) { put(b, elf_segment_at(3) + 4, ~0U); }, nullptr,
     "the notes are cut or damaged"},
    {"NotesCutInTheMiddle", segment_field(0, &Elf64_Phdr::p_filesz, notes().size() - 4), nullptr,
     "the notes are cut or damaged"},
};

INSTANTIATE_TEST_SUITE_P(Each, ElfDamage, testing::ValuesIn(kDamages),
                         [](const auto& test) { return std::string(test.param.name); });

TEST(Elf, NotesBeforeTheDamageAreKept) {
  Buffer bytes = elf_file(machine());
  segment_field(0, &Elf64_Phdr::p_filesz, notes().size() - 4)(bytes);
  const auto image = open(bytes);
  ASSERT_TRUE(image.has_value());
  EXPECT_EQ(image->facts().cpus.size(), 2U);
  EXPECT_FALSE(image->facts().vmcoreinfo.has_value());
}

TEST(Elf, WideProgramHeadersAreStepped) {
  Buffer bytes = elf_file({{.physical = 0x1000, .data = pattern(0x1000, 1)}});
  // The same header again, 57 bytes after the first one, for another address.
  auto segment = load_unaligned<Elf64_Phdr>(bytes.data() + elf_segment_at(0));
  const std::size_t table = bytes.size();
  put(bytes, table, segment);
  segment.p_paddr = 0x8000;
  put(bytes, table + 57, segment);
  header_field(&Elf64_Ehdr::e_phentsize, 57)(bytes);
  header_field(&Elf64_Ehdr::e_phoff, table)(bytes);
  header_field(&Elf64_Ehdr::e_phnum, 2)(bytes);
  const auto image = open(bytes);
  ASSERT_TRUE(image.has_value()) << image.error().text;
  EXPECT_EQ(byte_at(image, 0x1000), byte_at(image, 0x8000));
  EXPECT_EQ(image->memory().present_bytes(), 0x2000U);
}

TEST(Elf, FileThatClaimsItsBytesManyTimesIsRefused) {
  const std::size_t count = 1000;
  std::vector<ElfSegment> segments(count);
  for (std::size_t i = 0; i < count; ++i) {
    segments[i] = {
        .physical = (i + 1) << 20, .memory_size = 50'000, .file_size = 50'000, .offset = 64};
  }
  const auto image = open(elf_file(segments));
  ASSERT_FALSE(image.has_value());
  EXPECT_THAT(image.error().text, HasSubstr("ranges of 50000000 bytes together"));
}

TEST(ElfOfVirtualBox, HasMemoryRegistersAndDevices) {
  // Segments of devices have addresses and a size, but no bytes.
  const Buffer ram = pattern(2 * kPageSize, 1);
  const ElfSegment device{PT_LOAD, 0xe0000000, {}, 0, 0x1000000, 0};
  const TempFile file(elf_file({{PT_NOTE, 0, virtualbox_notes(0x10006)},
                                {PT_LOAD, 0, ram},
                                device,
                                {PT_LOAD, 0x100000000, pattern(kPageSize, 2)}}));
  const auto image = Image::open(file.path());
  ASSERT_TRUE(image.has_value()) << image.error().text;
  EXPECT_EQ(image->memory().present_bytes(), 3 * kPageSize);
  EXPECT_EQ(image->memory().find(PhysAddr(0xe0000000)), nullptr);
  EXPECT_FALSE(image->truncated());
  ASSERT_EQ(image->facts().cpus.size(), 1U);
  const CpuRegisters& cpu = image->facts().cpus[0];
  EXPECT_EQ(cpu.source, "VirtualBox");
  EXPECT_EQ(cpu.rip, kQemuRip);
  EXPECT_EQ(cpu.gs_base, 0xffff888000000000);
  EXPECT_EQ(cpu.control->cr3, 0x5000U);
  EXPECT_EQ(cpu.control->kernel_gs_base, 0x1122U);
  ASSERT_EQ(image->facts().header.size(), 3U);
  EXPECT_EQ(image->facts().header[0].second, "7.0.14 r161095");
  EXPECT_EQ(image->facts().header[1].second, "0x10006");
}

TEST(ElfOfVirtualBox, RegistersThatCannotBeThemAreLeftOut) {
  const auto cpus_of = [](const Buffer& notes) {
    const TempFile file(elf_file({{PT_NOTE, 0, notes}, {PT_LOAD, 0x1000, pattern(kPageSize, 1)}}));
    const auto image = Image::open(file.path());
    return image ? image->facts().cpus.size() : 99;
  };
  const Buffer good = virtualbox_notes(0x10005);
  EXPECT_EQ(cpus_of(good), 1U);
  EXPECT_EQ(cpus_of(virtualbox_notes(elf::kVirtualBoxOldFormat)), 0U);
  constexpr std::size_t kMachineAt = 12 + 8;
  constexpr std::size_t kCpuAt = kMachineAt + sizeof(elf::VirtualBoxMachine) + 12 + 8;
  Buffer damaged = good;
  put(damaged, kMachineAt, std::uint32_t{0});
  EXPECT_EQ(cpus_of(damaged), 0U);
  damaged = good;
  put(damaged, kCpuAt + offsetof(elf::VirtualBoxCpu, rflags), ~std::uint64_t{0});
  EXPECT_EQ(cpus_of(damaged), 0U);
}

}  // namespace
}  // namespace engram::image
