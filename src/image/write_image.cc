// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include <fmt/core.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>

#include "image/write.h"

namespace engram::image {
namespace {

using Write = Result<Written> (*)(const guest::Memory&, const Facts&, FileSink&,
                                  const WriteOptions&);

template <Result<Written> (*write)(const guest::Memory&, Sink&, const WriteOptions&)>
Result<Written> without_facts(const guest::Memory& memory, const Facts&, FileSink& sink,
                              const WriteOptions& options) {
  return write(memory, sink, options);
}

Result<Written> elf_core(const guest::Memory& memory, const Facts& facts, FileSink& sink,
                         const WriteOptions& options) {
  return write_elf(memory, facts, sink, options);
}

template <Codec codec>
Result<Written> kdump_with(const guest::Memory& memory, const Facts& facts, FileSink& sink,
                           const WriteOptions& options) {
  return write_kdump(memory, facts, codec, sink, options);
}

template <DmpKind kind>
Result<Written> crash_dump(const guest::Memory& memory, const Facts& facts, FileSink& sink,
                           const WriteOptions& options) {
  return write_dmp(memory, facts, kind, sink, options);
}

struct Target {
  std::string_view name;
  Write write;
  bool has_notes = false;
  bool is_crash_dump = false;
};

constexpr std::array<Target, 11> kTargets = {{
    {"raw", without_facts<write_raw>},
    {"lime", without_facts<write_lime>},
    {"avml", without_facts<write_avml>},
    {"elf", elf_core, true},
    {"kdump", kdump_with<Codec::none>, true},
    {"kdump-zlib", kdump_with<Codec::zlib>, true},
    {"kdump-lzo", kdump_with<Codec::lzo>, true},
    {"kdump-snappy", kdump_with<Codec::snappy>, true},
    {"kdump-zstd", kdump_with<Codec::zstd>, true},
    {"dmp", crash_dump<DmpKind::bitmap>, false, true},
    {"dmp-full", crash_dump<DmpKind::full>, false, true},
}};

const Target* find_target(std::string_view name) {
  const auto* const found = std::find_if(kTargets.begin(), kTargets.end(),
                                         [name](const Target& t) { return t.name == name; });
  return found == kTargets.end() ? nullptr : found;
}

}  // namespace

std::span<const std::string_view> target_names() {
  static constexpr auto kNames = [] {
    std::array<std::string_view, kTargets.size()> names;
    std::transform(kTargets.begin(), kTargets.end(), names.begin(),
                   [](const Target& target) { return target.name; });
    return names;
  }();
  return kNames;
}

bool keeps_notes(std::string_view target) {
  const Target* const found = find_target(target);
  return found != nullptr && found->has_notes;
}

bool is_crash_dump(std::string_view target) {
  const Target* const found = find_target(target);
  return found != nullptr && found->is_crash_dump;
}

Result<Written> write_image(std::string_view target, const guest::Memory& memory,
                            const Facts& facts, FileSink& sink, const WriteOptions& options) {
  const Target* const found = find_target(target);
  if (found == nullptr) {
    return fail("{}: expected one of {}", target, fmt::join(target_names(), ", "));
  }
  return found->write(memory, facts, sink, options);
}

std::vector<std::string> not_kept(std::string_view target, const Image& image) {
  const Target* const found = find_target(target);
  if (found == nullptr) return {};
  std::vector<std::string> losses;
  const Facts& facts = image.facts();
  if (!found->has_notes) {
    // A crash dump has those of the first, but for the control registers.
    const std::size_t kept = found->is_crash_dump ? std::min<std::size_t>(facts.cpus.size(), 1) : 0;
    const std::size_t lost = facts.cpus.size() - kept;
    if (lost > 0) {
      losses.push_back(fmt::format("the registers of {} CPU{}", lost, lost == 1 ? "" : "s"));
    }
    if (facts.vmcoreinfo) losses.emplace_back("VMCOREINFO");
    if (!facts.notes.empty())
      losses.push_back(fmt::format("{} bytes of notes", facts.notes.size()));
    if (facts.byte_order == std::endian::big) losses.emplace_back("that it is big-endian");
  }
  const auto& ranges = image.ranges();
  const bool has_virtual = std::any_of(ranges.begin(), ranges.end(),
                                       [](const Range& r) { return r.virtual_address != 0; });
  if (has_virtual) losses.emplace_back("the virtual addresses of segments");
  if (facts.crash && !found->is_crash_dump)
    losses.emplace_back("what the crash header says of the crash");
  if (facts.crash && !facts.crash->secondary_data.empty()) {
    losses.push_back(
        fmt::format("{} pieces of secondary data", facts.crash->secondary_data.size()));
  }
  return losses;
}

}  // namespace engram::image
