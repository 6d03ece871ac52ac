// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// Physical memory and x86-64 page tables made by hand, for tests.

#include <cstdint>
#include <cstring>
#include <memory>
#include <utility>
#include <vector>

#include "guest/memory.h"

namespace engram::paging::testing {

// Bits of an entry, as the SDM names them.
inline constexpr std::uint64_t kP = 1;
inline constexpr std::uint64_t kRw = 2;
inline constexpr std::uint64_t kUs = 4;
inline constexpr std::uint64_t kPs = 1U << 7U;
inline constexpr std::uint64_t kXd = 1ULL << 63U;

/// Physical memory from address 0 on. Tables are taken from its start, one frame after the other.
class TestMemory {
 public:
  explicit TestMemory(std::uint64_t size)
      : bytes_(std::make_shared<std::vector<std::byte>>(size)) {}

  [[nodiscard]] std::uint64_t size() const { return bytes_->size(); }
  [[nodiscard]] std::byte* at(PhysAddr address) { return bytes_->data() + address.value; }

  void put(PhysAddr address, std::uint64_t word) { std::memcpy(at(address), &word, sizeof word); }
  [[nodiscard]] std::uint64_t get(PhysAddr address) {
    std::uint64_t word = 0;
    std::memcpy(&word, at(address), sizeof word);
    return word;
  }

  /// A frame of zeros.
  PhysAddr new_table() { return PhysAddr(kPageSize * next_table_++); }

  /// Maps one page (4 KiB, 2 MiB or 1 GiB), with the tables on the way to it. `flags` go into the
  /// last entry.
  void map(PhysAddr root, unsigned levels, VirtAddr address, PhysAddr page, std::uint64_t page_size,
           std::uint64_t flags) {
    PhysAddr table = root;
    for (unsigned shift = 12 + 9 * (levels - 1);; shift -= 9) {
      const PhysAddr entry = table + (address.value >> shift & 511) * 8;
      if (page_size == 1ULL << shift) {
        put(entry, page.value | flags | (shift > 12 ? kPs : 0));
        return;
      }
      if (get(entry) == 0) put(entry, new_table().value | kP | kRw | kUs);
      table = PhysAddr(get(entry) & 0x000f'ffff'ffff'f000ULL);
    }
  }

  /// All of it, in one region.
  [[nodiscard]] guest::Memory memory() { return memory({{{}, size()}}); }

  /// Only these parts of it. `start` and `size` choose the part; its bytes are filled in.
  [[nodiscard]] guest::Memory memory(guest::Regions parts) {
    for (guest::Region& part : parts) {
      if (part.backing == guest::Backing::host) part.set_host(at(part.start));
    }
    return guest::Memory::create(std::move(parts), bytes_).value();
  }

 private:
  std::shared_ptr<std::vector<std::byte>> bytes_;
  std::uint64_t next_table_ = 1;  // a table at 0 would look like an empty entry
};

}  // namespace engram::paging::testing
