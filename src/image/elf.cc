// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include <fmt/core.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>

#include "image/elf_layout.h"
#include "image/elf_notes.h"
#include "image/formats.h"

namespace engram::image::elf {
namespace {

// Notes of all segments together: 8192 CPUs of QEMU need 8 MiB. Hostile files may have a million
// segments that show the same notes.
constexpr std::uint64_t kMostNoteBytes = 64 * kMiB;

/// A program header of either class.
struct Segment {
  std::uint64_t index = 0;
  FileOffset at;  // of the header itself
  std::uint32_t type = 0;
  FileOffset offset;
  std::uint64_t virtual_address = 0;
  PhysAddr physical;
  std::uint64_t stored = 0;  // p_filesz
  std::uint64_t size = 0;    // p_memsz
};

std::string name(const Segment& segment) {
  return fmt::format("elf: segment {} at {:#x}", segment.index, segment.at.value);
}

/// Paging of a big-endian arm64 is not that of arm64.
Architecture architecture_of(std::uint16_t machine, ByteOrder order) {
  if (order.is_big()) return Architecture::unknown;
  switch (machine) {
    case EM_X86_64:
      return Architecture::x86_64;
    case EM_AARCH64:
      return Architecture::arm64;
    case EM_386:
      return Architecture::x86;
    default:
      return Architecture::unknown;
  }
}

/// Turns segments into Contents.
class Core {
 public:
  Core(const FileView& file, std::uint16_t machine, ByteOrder order)
      : file_(file), notes_(machine, order) {
    contents_.format = "elf";
    contents_.facts.architecture = architecture_of(machine, order);
    contents_.facts.byte_order = order.is_big() ? std::endian::big : std::endian::little;
  }

  /// False if no more segments are taken.
  bool add(const Segment& segment) {
    if (segment.type == PT_NOTE) add_notes(segment);
    if (segment.type == PT_LOAD) add_memory(segment);
    return contents_.ranges.size() < kMostRanges;
  }

  void note_cut_table(std::uint64_t count, std::uint64_t found) {
    contents_.truncated = true;
    warn(
        fmt::format("elf: {} program headers are declared, the file has {} of them", count, found));
  }

  void warn(std::string text) { contents_.notices.push_back({Level::warning, std::move(text)}); }

  Result<Contents> finish() && {
    const RangeList& ranges = contents_.ranges;
    const std::string losses = contents_.notices.empty() ? "" : "; " + contents_.notices[0].text;
    if (ranges.empty()) return fail("elf: no memory segment (PT_LOAD) in it{}", losses);
    if (std::none_of(ranges.begin(), ranges.end(), [](const Range& r) { return r.readable > 0; })) {
      return fail("elf: the file has no byte of its {} memory segments{}", ranges.size(), losses);
    }
    // The core of a process has virtual addresses only: every p_paddr is 0. One segment alone may
    // well be a machine's whole memory.
    if (ranges.size() > 1 && !has_physical_) {
      return fail(
          "elf: all {} segments have physical address 0: the core of a process, not of a "
          "machine",
          ranges.size());
    }
    cut_.report(contents_, Level::warning);
    odd_.report(contents_, Level::warning);
    partial_.report(contents_, Level::info);
    if (ranges.size() == kMostRanges) {
      warn(fmt::format("elf: more than {} segments; the rest is left out", kMostRanges));
    }
    std::move(notes_).finish(contents_.facts);
    return std::move(contents_);
  }

 private:
  void add_memory(const Segment& segment) {
    std::uint64_t size = segment.size;
    std::uint64_t stored = segment.stored;
    if (size < stored) {
      // The standard forbids it. Writers that leave p_memsz 0 mean "as much as is stored".
      odd_.add([&] {
        return fmt::format("{}: {:#x} bytes of memory but {:#x} bytes in the file", name(segment),
                           size, stored);
      });
      if (size == 0) size = stored;
      stored = size;
    }
    if (size == 0) return;
    if (!checked_add(segment.physical.value, size - 1)) {
      // /proc/kcore has p_paddr -1 for what has no physical address of its own.
      odd_.add([&] {
        return fmt::format("{}: {:#x} bytes at physical address {:#x} exceed 2^64; left out",
                           name(segment), size, segment.physical.value);
      });
      return;
    }
    if (segment.physical.value != 0) has_physical_ = true;
    add_range(contents_, file_,
              {segment.physical, size, segment.offset, stored, 0, segment.virtual_address});
    say_losses(segment, contents_.ranges.back());
  }

  void say_losses(const Segment& segment, const Range& range) {
    if (range.readable < range.stored) {
      cut_.add([&] {
        return fmt::format("{}: the file ends {} bytes before the segment's {} bytes at {:#x} do",
                           name(segment), range.stored - range.readable, range.stored,
                           range.offset.value);
      });
    }
    // For an executable the standard has zeros here. Dumps of machines leave out what was filtered
    // (makedumpfile) or not asked for (QEMU): nobody knows what it was.
    if (range.stored < range.size) {
      partial_.add([&] {
        return fmt::format("{}: stores {:#x} of {:#x} bytes; the others are absent", name(segment),
                           range.stored, range.size);
      });
    }
  }

  void add_notes(const Segment& segment) {
    const std::uint64_t length = std::min(segment.stored, kMostNoteBytes - note_bytes_);
    const auto bytes = file_.copy(segment.offset, length);
    note_bytes_ += bytes.size();
    if (bytes.size() < length) contents_.truncated = true;
    if (notes_.add(bytes) && bytes.size() == segment.stored) return;
    odd_.add([&] {
      return fmt::format("{}: the notes are cut or damaged; what comes before that is used",
                         name(segment));
    });
  }

  const FileView& file_;
  Contents contents_;
  NoteReader notes_;
  std::uint64_t note_bytes_ = 0;
  bool has_physical_ = false;
  Tally cut_, odd_, partial_;
};

/// A file of one class and one byte order.
template <class Class>
class Reader {
 public:
  Reader(const FileView& file, ByteOrder order) : file_(file), order_(order) {}

  Result<Contents> read() {
    using Header = typename Class::Header;
    const auto header = file_.load<Header>(FileOffset(0));
    if (!header) {
      return fail("elf: the file has {} bytes, its header alone has {}", file_.size(),
                  sizeof(Header));
    }
    const std::uint16_t type = order_(header->e_type);
    if (type != ET_CORE) return fail("elf: type {}, a core file ({}) is expected", type, ET_CORE);
    // e_ehsize is not looked at: QEMU up to 7.2 writes 8 there. Nor is any version: VirtualBox
    // writes 0.
    const std::uint64_t stride = order_(header->e_phentsize);
    if (stride < sizeof(typename Class::Segment)) {
      return fail("elf: program headers of {} bytes, at least {} are expected", stride,
                  sizeof(typename Class::Segment));
    }
    Core core(file_, order_(header->e_machine), order_);
    const std::uint64_t count = segment_count(*header, core);
    FileOffset at(order_(header->e_phoff));
    for (std::uint64_t i = 0; i < count; ++i, at = at + stride) {
      const auto segment = load_segment(i, at);
      if (!segment) {
        core.note_cut_table(count, i);
        break;
      }
      if (!core.add(*segment)) break;
    }
    return std::move(core).finish();
  }

 private:
  [[nodiscard]] std::optional<Segment> load_segment(std::uint64_t index, FileOffset at) const {
    const auto header = file_.load<typename Class::Segment>(at);
    if (!header) return std::nullopt;
    Segment segment;
    segment.index = index;
    segment.at = at;
    segment.type = order_(header->p_type);
    segment.offset = FileOffset(order_(header->p_offset));
    segment.virtual_address = order_(header->p_vaddr);
    segment.physical = PhysAddr(order_(header->p_paddr));
    segment.stored = order_(header->p_filesz);
    segment.size = order_(header->p_memsz);
    return segment;
  }

  /// The number of program headers. A file with too many for e_phnum has PN_XNUM there and the
  /// number in section 0 (System V ABI supplement; QEMU's dumps with the guest's paging).
  std::uint64_t segment_count(const typename Class::Header& header, Core& core) const {
    const std::uint16_t count = order_(header.e_phnum);
    if (count != PN_XNUM) return count;
    const std::uint64_t at = order_(header.e_shoff);
    const auto section = file_.load<typename Class::Section>(FileOffset(at));
    if (at != 0 && section && section->sh_info != 0) return order_(section->sh_info);
    core.warn(
        fmt::format("elf: the number of program headers should be in section 0 at {:#x}, which "
                    "is not there; {} are taken",
                    at, PN_XNUM));
    return PN_XNUM;
  }

  const FileView& file_;
  const ByteOrder order_;
};

}  // namespace

bool sniff(Bytes head) {
  return head.size() >= SELFMAG && std::memcmp(head.data(), ELFMAG, SELFMAG) == 0;
}

Result<Contents> open(FileView file) {
  const auto data = file.load<std::uint8_t>(FileOffset(EI_DATA));
  if (data && data != ELFDATA2LSB && data != ELFDATA2MSB) {
    return fail("elf: byte order {}, {} or {} is expected", *data, ELFDATA2LSB, ELFDATA2MSB);
  }
  const ByteOrder order(data == ELFDATA2MSB);
  const auto file_class = file.load<std::uint8_t>(FileOffset(EI_CLASS));
  if (file_class == ELFCLASS32) return Reader<Class32>(file, order).read();
  if (file_class == ELFCLASS64 || !file_class) return Reader<Class64>(file, order).read();
  return fail("elf: class {}, {} or {} is expected", *file_class, ELFCLASS32, ELFCLASS64);
}

}  // namespace engram::image::elf
