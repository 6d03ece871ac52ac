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
  std::uint16_t module = 0;       ///< index in the table's module names; 0 is the kernel itself
  char type = '?';                ///< the letter that nm and /proc/kallsyms print
};

/// A symbol by address: `offset` bytes behind the beginning of `symbol`.
struct Location {
  const Symbol* symbol = nullptr;
  std::uint64_t offset = 0;
};

/// Symbols in the order in which the kernel lists them; no name is dropped because another has it, too.
/// Immutable once built, and then safe to share between threads.
class SymbolTable {
 public:
  class Builder {
   public:
    Builder();
    /// Returns the module's index; the kernel itself has the empty name and index 0.
    std::uint16_t add_module(std::string_view name);
    void add(std::string_view name, VirtAddr address, char type, std::uint16_t module = 0);
    void reserve(std::size_t symbols, std::size_t text_bytes);
    /// The end of what the last symbol of `module` covers, for find(VirtAddr).
    SymbolTable build() &&;

   private:
    friend class SymbolTable;
    std::string text_;
    std::vector<std::string> modules_;
    std::vector<Symbol> symbols_;
  };

  SymbolTable() = default;

  [[nodiscard]] std::span<const Symbol> symbols() const { return symbols_; }
  [[nodiscard]] std::string_view name(const Symbol& symbol) const {
    return std::string_view(text_).substr(symbol.name_offset, symbol.name_length);
  }
  /// Empty for the kernel itself.
  [[nodiscard]] std::string_view module_name(const Symbol& symbol) const { return modules_[symbol.module]; }

  /// The first symbol of the kernel itself with this name, else the first of any module.
  [[nodiscard]] const Symbol* find(std::string_view name) const;
  [[nodiscard]] std::optional<VirtAddr> address_of(std::string_view name) const;

  /// The nearest symbol at or below `address`, absolute ones and per-CPU offsets left out; the last of those that share an
  /// address is not preferred: the first in kernel order is.
  [[nodiscard]] std::optional<Location> find(VirtAddr address) const;

 private:
  std::string text_;
  std::vector<std::string> modules_{std::string()};
  std::vector<Symbol> symbols_;
  std::vector<std::uint32_t> by_address_;  ///< indices of symbols_, sorted
  std::vector<std::uint32_t> by_name_;     ///< open-addressing hash table of indices + 1
};

}  // namespace engram::types
