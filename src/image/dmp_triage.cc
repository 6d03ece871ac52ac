// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "image/dmp_triage.h"

#include <fmt/core.h>

#include <algorithm>

namespace engram::image::dmp {
namespace {

constexpr std::uint32_t kMostDrivers = 4096, kMostUnloaded = 256, kMostBlocks = 1U << 16U;
constexpr std::uint32_t kLongestName = 1024;  // UTF-16 units

class Reader {
 public:
  Reader(const FileView& file, const TriageHeader& header, Contents& contents)
      : file_(file), header_(header), contents_(contents) {}

  TriageDump read() {
    TriageDump dump;
    read_drivers(dump);
    read_unloaded(dump);
    read_blocks(dump);
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

  void read_blocks(TriageDump& dump) {
    read_list<TriageBlockEntry>(
        "block", FileOffset(header_.data_blocks), header_.data_block_count, kMostBlocks,
        [&](FileOffset, const TriageBlockEntry& entry) {
          dump.blocks.push_back({VirtAddr(entry.address), FileOffset(entry.offset), entry.size});
        });
  }

  const FileView& file_;
  const TriageHeader& header_;
  Contents& contents_;
};

}  // namespace

Result<void> read_triage(const FileView& file, FileOffset at, Contents& contents) {
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
  contents.facts.triage = Reader(file, *header, contents).read();
  return {};
}

}  // namespace engram::image::dmp
