// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// Small QEMU migration streams for tests, written part by part.

#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

#include "image/elf_layout.h"
#include "image/migration_layout.h"
#include "image/test_images.h"

namespace engram::image::test {

class MigrationStream {
 public:
  using Blocks = std::vector<std::pair<std::string_view, std::uint64_t>>;

  explicit MigrationStream(std::string_view machine = "pc-i440fx-7.2", std::uint32_t version = 3) {
    append(bytes, text(migration::kMagic));
    number(version);
    if (machine.empty()) return;
    number(std::uint8_t{0x07});
    number(static_cast<std::uint32_t>(machine.size()));
    append(bytes, text(machine));
  }

  template <class T>
  void number(T value) {
    append(bytes, elf::ByteOrder(true)(value));
  }
  void name(std::string_view characters) {
    number(static_cast<std::uint8_t>(characters.size()));
    append(bytes, text(characters));
  }
  void subsection(std::string_view what) {
    number(std::uint8_t{0x05});
    name(what);
    number(std::uint32_t{1});
  }
  void section(migration::Part part, std::uint32_t id, std::string_view what, std::uint32_t version,
               std::uint32_t instance = 0) {
    number(static_cast<std::uint8_t>(part));
    number(id);
    name(what);
    number(instance);
    number(version);
  }
  void part(migration::Part part, std::uint32_t id) {
    number(static_cast<std::uint8_t>(part));
    number(id);
  }
  /// The beginning of the section "ram", up to its first page.
  void blocks(const Blocks& all) {
    section(migration::Part::section_start, kRam, "ram", 4);
    std::uint64_t sum = 0;
    for (const auto& [what, size] : all) sum += size;
    number(sum | migration::kFlagMemorySize);
    for (const auto& [what, size] : all) {
      name(what);
      number(size);
    }
  }
  void record(std::uint64_t address, std::uint64_t flags, std::string_view block = {}) {
    number(address | flags | (block.empty() ? migration::kFlagContinue : 0));
    if (!block.empty()) name(block);
  }
  void page(std::uint64_t address, const Buffer& data, std::string_view block = {}) {
    record(address, migration::kFlagPage, block);
    append(bytes, data);
  }
  void zeros(std::uint64_t address, std::string_view block = {}, std::uint8_t fill = 0) {
    record(address, migration::kFlagZero, block);
    number(fill);
  }
  void end_of_part(std::uint32_t id = kRam) {
    number(migration::kFlagEnd);
    footer(id);
  }
  void footer(std::uint32_t id) { part(migration::Part::footer, id); }
  void device(std::string_view what, std::uint32_t version, const Buffer& state,
              std::uint32_t id = 7, std::uint32_t instance = 0) {
    section(migration::Part::section_full, id, what, version, instance);
    append(bytes, state);
    footer(id);
  }
  void end() { number(std::uint8_t{0}); }

  static constexpr std::uint32_t kRam = 2;
  Buffer bytes;
};

/// The state of a CPU with these registers.
inline Buffer cpu_state(std::uint64_t cr3, std::uint64_t rip) {
  Buffer state(1817);
  const elf::ByteOrder big(true);
  put(state, migration::kCpuRip, big(rip));
  put(state, migration::kCpuRflags, big(std::uint64_t{0x246}));
  put(state, migration::kCpuCr0, big(std::uint64_t{0x80050033}));
  put(state, migration::kCpuCr0 + 16, big(cr3));
  put(state, migration::kCpuGsBase, big(std::uint64_t{0xffff888000000000}));
  return state;
}

/// The state of the clock, whose CMOS says how much RAM lies where: multiples of 64 KiB.
inline Buffer clock_state(std::uint64_t below_4g, std::uint64_t above_4g) {
  Buffer state(245);
  put(state, migration::kCmosAbove16M,
      static_cast<std::uint16_t>((below_4g - 16 * kMiB) / (64 * kKiB)));
  put(state, migration::kCmosAbove4G, static_cast<std::uint16_t>(above_4g / (64 * kKiB)));
  return state;
}

}  // namespace engram::image::test
