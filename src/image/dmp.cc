// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include <fmt/core.h>

#include <algorithm>
#include <cstring>
#include <string_view>

#include "base/magic.h"
#include "image/dmp_header.h"
#include "image/dmp_layout.h"
#include "image/dmp_pages.h"
#include "image/dmp_secondary.h"
#include "image/dmp_triage.h"
#include "image/formats.h"

namespace engram::image::dmp {
namespace {

Architecture architecture_of(std::uint32_t machine) {
  switch (machine) {
    case kMachineAmd64:
      return Architecture::x86_64;
    case kMachineArm64:
      return Architecture::arm64;
    case kMachineI386:
      return Architecture::x86;
    default:
      return Architecture::unknown;
  }
}

bool has_cr3(std::uint32_t machine) {
  return machine == kMachineAmd64 || machine == kMachineI386;
}

/// The registers of the context that the dump was made in.
void add_registers(const ContextAmd64& context, CpuRegisters& cpu) {
  const std::uint32_t flags = context.flags;
  if (flags == kSignature || (flags & kContextControl) != kContextControl) return;
  cpu.rip = context.rip;
  cpu.rsp = context.rsp;
  cpu.rflags = context.eflags;
  cpu.context = context;
}

/// They follow the last page, or what Windows reckoned that the dump needs.
std::vector<SecondaryData> read_blobs(const FileView& file, const CrashHeader& crash,
                                      Contents& contents) {
  std::vector<FileOffset> places;
  if (crash.required_space) places.emplace_back(*crash.required_space);
  if (!contents.ranges.empty()) {
    const Range& last = contents.ranges.back();
    places.push_back(last.offset + last.stored);
  }
  if (contents.facts.triage) {
    const auto header = file.load<TriageHeader>(FileOffset(sizeof(Header64)));
    places.emplace_back(header->size);
  }
  return read_secondary_data(file, places, contents);
}

template <class Header>
void add_facts(const FileView& file, const Header& header, Contents& contents) {
  CrashHeader crash = read_crash_header(header);
  crash.secondary_data = read_blobs(file, crash, contents);
  contents.facts.crash = std::move(crash);
  constexpr bool kWide = sizeof(header.directory_table_base) == 8;
  constexpr std::uint64_t kUnset = kWide ? kFiller64 : kSignature;
  const std::uint32_t machine = header.machine;
  contents.facts.architecture = architecture_of(machine);
  const std::uint64_t root = header.directory_table_base;
  if (!has_cr3(machine) || root == kUnset || root == 0) return;
  CpuRegisters cpu;
  cpu.source = "DMP";
  cpu.control = CpuRegisters::Control{.cr3 = root};
  if constexpr (kWide) {
    if (machine == kMachineAmd64) add_registers(header.context, cpu);
  }
  contents.facts.cpus.push_back(std::move(cpu));
}

/// Type 1. Errors: no table, or a number of runs that it has no room for.
template <class Header>
Result<void> read_runs(const FileView& file, const Header& header, Contents& contents) {
  const auto& block = header.memory;
  const std::uint32_t count = block.run_count;
  constexpr std::size_t kAt = offsetof(Header, memory);
  if (count == kSignature) return fail("dmp: the table of runs at {:#x} is not filled in", kAt);
  if (count > block.runs.size()) {
    return fail("dmp: {} runs at {:#x}, at most {} fit there", count, kAt, block.runs.size());
  }
  PackedPages pages(contents, file, FileOffset(sizeof(Header)));
  bool whole = true;
  for (std::uint32_t i = 0; i < count && whole; ++i) {
    const auto run = block.runs[i];
    const auto problem = pages.add(run.base_page, run.page_count);
    if (!problem) continue;
    // How many pages of the file are its is not known: those of the next runs cannot be found.
    whole = false;
    contents.notices.push_back(
        {Level::warning,
         fmt::format("dmp: run {} of {} at {:#x}: {}; the runs before it are used", i, count,
                     offsetof(Header, memory.runs) + i * sizeof run, *problem)});
  }
  pages.report();
  const std::uint64_t declared = block.page_count;
  const std::uint64_t unset = sizeof(block.page_count) == 8 ? kFiller64 : kSignature;
  if (whole && declared != pages.pages() && declared != unset) {
    contents.notices.push_back(
        {Level::warning,
         fmt::format("dmp: {} pages are declared, the runs have {}; the runs are used", declared,
                     pages.pages())});
  }
  return {};
}

template <class Header>
Result<void> read_pages(const FileView& file, const Header& header, Contents& contents) {
  const FileOffset after(sizeof(Header));
  const auto type = static_cast<DumpType>(header.dump_type);
  switch (type) {
    case DumpType::full:
      return read_runs(file, header, contents);
    case DumpType::bitmap_full:
    case DumpType::bitmap_kernel:
      return read_bitmap(file, after, contents);
    case DumpType::kernel:
    case DumpType::kernel_and_user:
    case DumpType::complete:
      if (sizeof(Header) != sizeof(Header64)) break;
      return read_ranges(file, after, type == DumpType::complete,
                         header.required_space == kFiller64 ? 0 : header.required_space, contents);
    case DumpType::triage:
      if constexpr (sizeof(Header) == sizeof(Header64)) {
        return read_triage(file, after, read_crash_header(header).debugger_data, contents);
      }
      return fail("dmp: a small (triage) dump of a 32-bit machine, which is not read");
    case DumpType::summary:
      return fail("dmp: a summary dump of Windows 7 or older (type 2), which is not read");
    case DumpType::header:
    case DumpType::automatic:
      break;
  }
  return fail("dmp: type {:#x} at {:#x} is not one with physical pages",
              std::uint32_t{header.dump_type}, offsetof(Header, dump_type));
}

/// Errors: the pages are encrypted.
Result<void> check_attributes(std::uint32_t attributes, Contents& contents) {
  if (attributes == kSignature) return {};
  if ((attributes & kEncrypted) != 0) return fail("dmp: the dump is encrypted, which is not read");
  if ((attributes & kInsufficientSpace) != 0) {
    contents.notices.push_back(
        {Level::warning, "dmp: the header says that there was not enough room for the dump"});
  }
  return {};
}

template <class Header>
Result<Contents> open_as(const FileView& file) {
  const auto header = file.load<Header>(FileOffset(0));
  if (!header) {
    return fail("dmp: the file has {} bytes, its header alone has {}", file.size(), sizeof(Header));
  }
  Contents contents;
  contents.format = "dmp";
  if constexpr (sizeof(Header) == sizeof(Header64)) {
    ENGRAM_CHECK(check_attributes(header->attributes, contents));
  }
  ENGRAM_CHECK(read_pages(file, *header, contents));
  if (contents.facts.triage) {
    add_facts(file, *header, contents);
    return contents;
  }
  const std::string losses = contents.notices.empty() ? "" : "; " + contents.notices[0].text;
  if (contents.ranges.empty()) return fail("dmp: no physical page in it{}", losses);
  if (std::none_of(contents.ranges.begin(), contents.ranges.end(),
                   [](const Range& r) { return r.readable > 0; })) {
    return fail("dmp: the file has no byte of its {} runs of pages{}", contents.ranges.size(),
                losses);
  }
  add_facts(file, *header, contents);
  return contents;
}

}  // namespace

bool sniff(Bytes head) {
  return begins_with(head, "PAGEDU64") || begins_with(head, "PAGEDUMP");
}

Result<Contents> open(FileView file) {
  const auto valid = file.load<std::uint32_t>(FileOffset(4));
  return valid == kValid64 ? open_as<Header64>(file) : open_as<Header32>(file);
}

}  // namespace engram::image::dmp
