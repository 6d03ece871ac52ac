// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// A kernel's symbols: names, addresses and types, looked up either way.

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/units.h"

namespace engram::types {

struct Symbol {
  VirtAddr address;
  std::uint32_t name_offset = 0;  ///< in the table's text
  std::uint16_t name_length = 0;
  std::uint16_t module = 0;  ///< index in the table's module names; 0 is the kernel itself
  char type = '?';           ///< the letter that nm and /proc/kallsyms print
};

/// A symbol by address: `offset` bytes behind the beginning of `symbol`.
struct Location {
  const Symbol* symbol = nullptr;
  std::uint64_t offset = 0;
};

/// Symbols in the order in which the kernel lists them; no name is dropped because another has it,
/// too. Immutable once built, and then safe to share between threads.
class SymbolTable {
 public:
  class Builder {
   public:
    Builder();
    /// Returns the module's index; the kernel itself has the empty name and index 0. There is room
    /// for 65,535 modules: later ones share the last index.
    std::uint16_t add_module(std::string_view name);
    /// A name is cut at 65,535 bytes. False, and nothing is added, when the names exceed 4 GiB in
    /// all.
    bool add(std::string_view name, VirtAddr address, char type, std::uint16_t module = 0);
    /// For decoders that learn a symbol's address after its name; `index` counts calls of add().
    void set_address(std::size_t index, VirtAddr address) { symbols_[index].address = address; }
    /// The addresses in [start, end) belong to `module`, which may have several such ranges. For
    /// find(VirtAddr): a symbol does not reach out of its range.
    void add_range(VirtAddr start, VirtAddr end, std::uint16_t module = 0);
    void reserve(std::size_t symbols, std::size_t text_bytes);

    [[nodiscard]] std::span<const Symbol> symbols() const { return symbols_; }
    [[nodiscard]] std::string_view name(const Symbol& symbol) const {
      return std::string_view(text_).substr(symbol.name_offset, symbol.name_length);
    }

    SymbolTable build() &&;

   private:
    friend class SymbolTable;
    struct Range {
      VirtAddr start, end;
      std::uint16_t module = 0;
    };

    std::string text_;
    std::vector<std::string> modules_;
    std::vector<Symbol> symbols_;
    std::vector<Range> ranges_;
  };

  SymbolTable() = default;

  [[nodiscard]] std::span<const Symbol> symbols() const { return symbols_; }
  [[nodiscard]] std::string_view name(const Symbol& symbol) const {
    return std::string_view(text_).substr(symbol.name_offset, symbol.name_length);
  }
  /// Empty for the kernel itself.
  [[nodiscard]] std::string_view module_name(const Symbol& symbol) const {
    return modules_[symbol.module];
  }

  /// The first symbol of the kernel itself with this name, else the first of any module.
  [[nodiscard]] const Symbol* find(std::string_view name) const;
  [[nodiscard]] std::optional<VirtAddr> address_of(std::string_view name) const;

  /// What the kernel prints as symbol+offset: the nearest symbol at or below `address`, and of
  /// those that share an address the first in kernel order (kernel/kallsyms.c, get_symbol_pos()).
  /// Symbols with values in the lower half (absolute ones, per-CPU offsets) are no places and are
  /// left out. Nothing if the symbol's module has ranges and `address` is not in the one that the
  /// symbol lies in, or if it has none and the symbol is kReachWithoutRange bytes or more away.
  [[nodiscard]] std::optional<Location> find(VirtAddr address) const;

  static constexpr std::uint64_t kReachWithoutRange = 64 * kKiB;

 private:
  using Range = Builder::Range;

  /// A place of the hash table: the upper half of the name's hash, and the symbol's index + 1 (0:
  /// free).
  struct NameSlot {
    std::uint32_t tag = 0;
    std::uint32_t index_plus_1 = 0;
  };

  void index_names();
  void insert_name(std::size_t index, std::uint64_t hash);
  void index_addresses();
  void index_ranges();
  [[nodiscard]] bool reaches(const Symbol& symbol, VirtAddr address) const;

  std::string text_;
  std::vector<std::string> modules_{std::string()};
  std::vector<Symbol> symbols_;
  std::vector<std::uint32_t>
      by_address_;                 ///< indices of symbols_, sorted by address, then by index
  std::vector<NameSlot> by_name_;  ///< open addressing; its size is 0 or a power of two
  std::uint64_t hash_seed_ = 0;
  std::vector<Range> ranges_;    ///< sorted by start
  std::vector<bool> has_range_;  ///< by module
};

}  // namespace engram::types
