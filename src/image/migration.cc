// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "image/migration.h"

#include <fmt/core.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <memory>
#include <utility>

#include "image/elf_layout.h"
#include "image/formats.h"
#include "image/migration_blocks.h"
#include "image/migration_layout.h"
#include "image/migration_pages.h"
#include "image/migration_stream.h"
#include "image/x86_state.h"

namespace engram::image::migration {
namespace {

using guest::Backing;

constexpr std::size_t kMostCpus = 8192;
constexpr elf::ByteOrder kBigEndian(true);

/// The registers of a 64-bit x86 CPU; nothing if `state` is of none.
std::optional<CpuRegisters> registers_of(Bytes state) {
  const auto word = [state](std::size_t at) {
    return kBigEndian(load<std::uint64_t>(state, at).value_or(0));
  };
  CpuRegisters cpu;
  cpu.source = "QEMU";
  cpu.rip = word(kCpuRip);
  cpu.rsp = word(kCpuRsp);
  cpu.rflags = word(kCpuRflags);
  cpu.gs_base = word(kCpuGsBase);
  cpu.control = CpuRegisters::Control{word(kCpuCr0), word(kCpuCr0 + 8), word(kCpuCr0 + 16),
                                      word(kCpuCr0 + 24), word(kCpuKernelGsBase)};
  if (!can_be_x86_state(cpu.rflags, cpu.control->cr0)) return std::nullopt;
  return cpu;
}

/// Turns a stream into Contents.
class Reader {
 public:
  Reader(Contents contents, const FileView& file, Stream stream, std::string machine)
      : contents_(std::move(contents)),
        file_(file),
        stream_(std::move(stream)),
        machine_(stream_.machine.empty() ? std::move(machine) : stream_.machine) {}

  Result<Contents> read() {
    if (stream_.pages.runs().empty()) return fail("migration: {}", why_no_page());
    layout_ = layout_of(file_, stream_, machine_);
    for (const Place& place : layout_.places) add_place(place);
    add_cpus();
    add_header();
    say_losses();
    auto problems = std::make_shared<PageProblems>();
    const auto pages =
        std::make_shared<const RamPages>(file_, std::move(stream_.pages), layout_.places, problems);
    set_source(contents_, std::make_shared<const RamMemory>(pages), std::move(problems));
    return std::move(contents_);
  }

 private:
  void say(Level level, std::string text) {
    contents_.notices.push_back({level, "migration: " + std::move(text)});
  }

  [[nodiscard]] std::string why_no_page() const {
    if (!stream_.problem.empty()) return "no page of RAM in it; " + stream_.problem;
    return fmt::format(
        "no page of RAM in it: shared memory can be left out (x-ignore-shared), and pages can go "
        "through channels of their own (multifd){}{}",
        stream_.capabilities.empty() ? "" : "; it was made with: ",
        fmt::join(stream_.capabilities, ", "));
  }

  /// The runs of pages that are there, and what is between them.
  void add_place(const Place& place) {
    const std::uint64_t end = (place.ram + place.size) / kPageSize;
    std::uint64_t next = place.ram / kPageSize;  // behind the pages so far
    const auto& runs = stream_.pages.runs();
    auto run = std::upper_bound(runs.begin(), runs.end(), next,
                                [](std::uint64_t page, const Run& r) { return page < r.end(); });
    while (next < end) {
      const std::uint64_t first = run == runs.end() ? end : std::clamp(run->first(), next, end);
      add_range(place, next, first, false);
      std::uint64_t last = first;
      for (; run != runs.end() && last < end && run->first() <= last; ++run) {
        last = std::min(run->end(), end);
        if (run->end() > end) break;
      }
      add_range(place, first, last, true);
      next = last;
    }
  }

  void add_range(const Place& place, std::uint64_t first, std::uint64_t end, bool is_there) {
    if (first == end) return;
    const PhysAddr start = place.start + (first * kPageSize - place.ram);
    const std::uint64_t size = (end - first) * kPageSize;
    if (!is_there) lost_ += end - first;
    if (contents_.ranges.size() == kMostRanges) return;
    const Run* const run = stream_.pages.find(first);
    contents_.ranges.push_back({start, size, run != nullptr ? run->at(first) : FileOffset(0), size,
                                is_there ? size : 0, 0});
    contents_.regions.push_back(
        {start, size, is_there ? Backing::source : Backing::unreadable, nullptr});
  }

  void add_cpus() {
    Facts& facts = contents_.facts;
    for (const Device& device : stream_.devices) {
      if (device.name != "cpu" || device.version != kCpuVersion) continue;
      if (facts.cpus.size() == kMostCpus) break;
      const auto state = file_.copy(device.at, std::min(device.size, kPageSize));
      auto cpu = registers_of(state);
      if (!cpu) continue;
      cpu->cpu = static_cast<std::uint32_t>(facts.cpus.size());
      facts.cpus.push_back(std::move(*cpu));
    }
    if (!facts.cpus.empty()) facts.architecture = Architecture::x86_64;
    if (layout_.places.front().start.value != 0) facts.architecture = Architecture::arm64;
  }

  void add_header() {
    auto& header = contents_.facts.header;
    if (!machine_.empty()) header.emplace_back("machine", machine_);
    if (!stream_.capabilities.empty()) {
      header.emplace_back("capabilities", fmt::format("{}", fmt::join(stream_.capabilities, ", ")));
    }
    for (const Block& block : stream_.blocks) {
      header.emplace_back("block", fmt::format("{}: {} bytes{}", block.name, block.size,
                                               block.ram_begin ? ", RAM" : ""));
    }
    header.emplace_back("page_records", fmt::format("{}", stream_.records));
    if (stream_.has_mapped_pages) header.emplace_back("pages", "at fixed places (mapped-ram)");
    header.emplace_back("layout", layout_.source);
    if (!stream_.devices.empty()) {
      header.emplace_back("device_states", fmt::format("{}", stream_.devices.size()));
    }
  }

  void say_losses() {
    contents_.truncated = stream_.cut;
    if (!stream_.problem.empty()) {
      say(Level::warning, stream_.problem + "; what comes before is used");
    }
    if (lost_ > 0) {
      say(Level::warning,
          fmt::format("{} of {} pages of RAM are not in it", lost_, stream_.ram_size / kPageSize));
    }
    if (contents_.ranges.size() == kMostRanges) {
      say(Level::warning,
          fmt::format("more than {} runs of pages; the rest is left out", kMostRanges));
    }
    if (!stream_.ram_assumption.empty()) say(Level::warning, stream_.ram_assumption);
    if (layout_.is_assumed) {
      say(Level::warning,
          fmt::format("nothing in it says how much RAM lies below 4 GiB: {:#x} bytes are assumed, "
                      "as {} has it",
                      layout_.below_4g, layout_.source));
    }
    for (const Block& block : stream_.blocks) {
      if (block.ram_begin || is_of_device(block)) continue;
      say(Level::warning, fmt::format("block \"{}\" of {:#x} bytes is left out: nothing says at "
                                      "which address it lies",
                                      block.name, block.size));
    }
  }

  Contents contents_;
  const FileView& file_;
  Stream stream_;
  std::string machine_;
  Layout layout_;
  std::uint64_t lost_ = 0;  // pages
};

}  // namespace

Result<Contents> open_at(const FileView& file, FileOffset at, const std::string& machine,
                         Contents contents) {
  ENGRAM_TRY(auto stream, read_stream(file, at));
  return Reader(std::move(contents), file, std::move(stream), machine).read();
}

bool sniff(Bytes head) {
  return is_stream(head);
}

Result<Contents> open(FileView file) {
  Contents contents;
  contents.format = "migration";
  return open_at(file, FileOffset(0), "", std::move(contents));
}

}  // namespace engram::image::migration
