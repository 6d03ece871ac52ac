// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "image/dmp_triage.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>

#include "image/overlap.h"

namespace engram::image::dmp {
namespace {

constexpr std::uint32_t kMostDrivers = 4096, kMostUnloaded = 256, kMostBlocks = 1U << 16U;
constexpr std::uint32_t kLongestName = 1024;  // UTF-16 units
// More than any KPRCB, EPROCESS or ETHREAD; where one ends is not said.
constexpr std::uint64_t kLargestStructure = 128 * kKiB;
// What is listed of the pieces for people.
constexpr std::size_t kMostListed = 256;

class Reader {
 public:
  Reader(const FileView& file, const TriageHeader& header, Contents& contents)
      : file_(file), header_(header), contents_(contents) {}

  /// Errors: none that a file could cause.
  Result<TriageDump> read(std::optional<VirtAddr> debugger_data) {
    TriageDump dump;
    read_drivers(dump);
    read_unloaded(dump);
    read_blocks();
    add_piece("call stack", VirtAddr(header_.call_stack_address), header_.call_stack,
              header_.call_stack_size);
    add_piece("data page", VirtAddr(header_.data_page_address), header_.data_page,
              header_.data_page_size);
    if (debugger_data) {
      add_piece("debugger's block", *debugger_data, header_.debugger_data,
                header_.debugger_data_size);
    }
    lost_.report(contents_, Level::warning);
    ENGRAM_TRY(dump.memory, guest::Memory::create(without_overlap(regions_), nullptr));
    std::stable_sort(
        pieces_.begin(), pieces_.end(),
        [](const TriagePiece& a, const TriagePiece& b) { return a.address < b.address; });
    list_pieces(dump.memory);
    dump.pieces = std::move(pieces_);
    dump.processor = structure(header_.processor);
    dump.process = structure(header_.process);
    dump.thread = structure(header_.thread);
    return dump;
  }

 private:
  void notice(std::string text) { contents_.notices.push_back({Level::warning, std::move(text)}); }

  /// As many as are declared, if the format allows so many and they lie in the file.
  template <class Entry, class Take>
  void read_list(const char* what, FileOffset first, std::uint64_t count, std::uint32_t most,
                 Take take) {
    if (first.value == 0) return;
    for (std::uint32_t i = 0; i < std::min<std::uint64_t>(count, most); ++i) {
      const FileOffset at = first + i * sizeof(Entry);
      const auto entry = file_.load<Entry>(at);
      if (!entry) {
        contents_.truncated = true;
        return notice(fmt::format("dmp: {} {} of {} at {:#x}: the file ends at {:#x}", what, i,
                                  count, at.value, file_.size()));
      }
      take(at, *entry);
    }
    if (count > most) {
      notice(fmt::format("dmp: {} {}s at {:#x}, the first {} are used", count, what, first.value,
                         most));
    }
  }

  /// A count of UTF-16 units, and these.
  std::vector<std::byte> name_at(FileOffset at) {
    const auto units = file_.load<std::uint32_t>(at);
    if (!units || *units > kLongestName) return {};
    return file_.copy(at + sizeof *units, std::uint64_t{*units} * 2);
  }

  void read_drivers(TriageDump& dump) {
    read_list<TriageDriverEntry>(
        "driver", FileOffset(header_.driver_list), header_.driver_count, kMostDrivers,
        [&](FileOffset at, const TriageDriverEntry& entry) {
          dump.drivers.push_back({at, name_at(FileOffset(entry.name)), VirtAddr(entry.base),
                                  VirtAddr(entry.entry_point), entry.size, entry.timestamp});
        });
  }

  void read_unloaded(TriageDump& dump) {
    const FileOffset at(header_.unloaded_drivers);
    const auto count = file_.load<std::uint64_t>(at);
    if (at.value == 0 || !count) return;
    read_list<TriageUnloadedEntry>(
        "unloaded driver", at + sizeof *count, *count, kMostUnloaded,
        [&](FileOffset entry_at, const TriageUnloadedEntry& entry) {
          const auto name = entry.name;
          const std::size_t length = std::min<std::size_t>(entry.length, name.size());
          dump.unloaded_drivers.push_back(
              {entry_at,
               {name.begin(), name.begin() + static_cast<std::ptrdiff_t>(length)},
               VirtAddr(entry.start),
               VirtAddr(entry.end)});
        });
  }

  void read_blocks() {
    read_list<TriageBlockEntry>("block", FileOffset(header_.data_blocks), header_.data_block_count,
                                kMostBlocks, [&](FileOffset, const TriageBlockEntry& entry) {
                                  add_piece("block", VirtAddr(entry.address), entry.offset,
                                            entry.size);
                                });
  }

  /// As much of a piece as lies in the file and below 2^64.
  void add_piece(const char* what, VirtAddr address, std::uint32_t offset, std::uint32_t size) {
    if (size == 0 || offset == 0) return;
    const FileOffset at(offset);
    const std::uint64_t room = ~address.value;  // besides the first byte
    const std::uint64_t there =
        std::min(file_.available(at, size), room == ~std::uint64_t{0} ? size : room + 1);
    if (there < size) {
      contents_.truncated = contents_.truncated || file_.available(at, size) < size;
      lost_.add([&] {
        return fmt::format("dmp: {} of {} bytes for {:#x} at {:#x}: {} of them {} there", what,
                           size, address.value, at.value, there, there == 1 ? "is" : "are");
      });
    }
    if (there == 0) return;
    pieces_.push_back({address, at, there});
    regions_.push_back(file_.region(PhysAddr(address.value), there, at));
  }

  /// For `engram info`.
  void list_pieces(const guest::Memory& memory) {
    auto& header = contents_.facts.header;
    header.emplace_back("virtual memory", fmt::format("{} bytes in {} pieces",
                                                      memory.present_bytes(), pieces_.size()));
    for (std::size_t i = 0; i < std::min(pieces_.size(), kMostListed); ++i) {
      const TriagePiece& piece = pieces_[i];
      header.emplace_back(
          "piece", fmt::format("[{:#x}, {:#x}], {} bytes at {:#x} of the file", piece.address.value,
                               piece.address.value + (piece.size - 1), piece.size, piece.at.value));
    }
    if (pieces_.size() > kMostListed) {
      header.emplace_back("piece", fmt::format("and {} more", pieces_.size() - kMostListed));
    }
  }

  /// From its beginning up to the next part of the dump.
  std::vector<std::byte> structure(std::uint32_t offset) {
    if (offset == 0) return {};
    std::uint64_t end = offset + kLargestStructure;
    for (const std::uint64_t part :
         {header_.unloaded_drivers, header_.processor, header_.process, header_.thread,
          header_.call_stack, header_.driver_list, header_.string_pool, header_.data_page,
          header_.debugger_data, header_.data_blocks, header_.valid_offset}) {
      if (part > offset) end = std::min(end, part);
    }
    return file_.copy(FileOffset(offset), end - offset);
  }

  std::vector<TriagePiece> pieces_;
  guest::Regions regions_;
  Tally lost_;
  const FileView& file_;
  const TriageHeader& header_;
  Contents& contents_;
};

}  // namespace

Result<void> read_triage(const FileView& file, FileOffset at, std::optional<VirtAddr> debugger_data,
                         Contents& contents) {
  const auto header = file.load<TriageHeader>(at);
  if (!header) {
    return fail("dmp: the file ends at {:#x}, inside the header of a small dump at {:#x}",
                file.size(), at.value);
  }
  // The writer puts this mark down last.
  const auto mark = file.load<std::uint32_t>(FileOffset(header->valid_offset));
  if (mark != kTriageValid) {
    contents.truncated = true;
    contents.notices.push_back(
        {Level::warning, fmt::format("dmp: the mark of a whole small dump, TRGD at {:#x}, is not "
                                     "there: it was cut",
                                     std::uint32_t{header->valid_offset})});
  }
  ENGRAM_TRY(contents.facts.triage, Reader(file, *header, contents).read(debugger_data));
  return {};
}

}  // namespace engram::image::dmp
