// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// A kernel's symbols: names, addresses and types, looked up either way.

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/units.h"
#include "mapping/bulk.h"

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

class SymbolSource;

/// Symbols in the order in which the kernel lists them; no name is dropped because another has it,
/// too. Immutable once built, and then safe to share between threads: what look-ups need is made
/// by the first that needs it.
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
    /// The addresses in [start, end) belong to `module`, which may have several such ranges. For
    /// find(VirtAddr): a symbol does not reach out of its range.
    void add_range(VirtAddr start, VirtAddr end, std::uint16_t module = 0);
    void reserve(std::size_t symbols, std::size_t text_bytes);

    [[nodiscard]] std::span<const Symbol> symbols() const { return symbols_; }

    SymbolTable build() &&;

   private:
    friend class SymbolTable;
    struct Range {
      VirtAddr start, end;
      std::uint16_t module = 0;
    };

    mapping::BulkString text_;
    std::vector<std::string> modules_;
    mapping::BulkVector<Symbol> symbols_;
    std::vector<Range> ranges_;
  };

  SymbolTable();
  /// The symbols of `source`: address_of() asks it for a few, everything else has all of them
  /// decoded.
  explicit SymbolTable(std::shared_ptr<const SymbolSource> source);
  SymbolTable(const SymbolTable&) = delete;
  SymbolTable& operator=(const SymbolTable&) = delete;
  SymbolTable(SymbolTable&&) noexcept;
  SymbolTable& operator=(SymbolTable&&) noexcept;
  ~SymbolTable();

  [[nodiscard]] std::span<const Symbol> symbols() const { return lists().symbols_; }
  [[nodiscard]] std::string_view name(const Symbol& symbol) const {
    return std::string_view(lists().text_).substr(symbol.name_offset, symbol.name_length);
  }
  /// Empty for the kernel itself.
  [[nodiscard]] std::string_view module_name(const Symbol& symbol) const {
    return lists().modules_[symbol.module];
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

  struct State;

  [[nodiscard]] const Builder& lists() const;
  void index_names() const;
  void insert_name(std::size_t index, std::uint64_t hash) const;
  void index_addresses() const;
  [[nodiscard]] bool reaches(const Symbol& symbol, VirtAddr address) const;

  std::unique_ptr<State> state_;
};

/// Where symbols come from that are not decoded before somebody asks. All of them are the kernel's
/// own. Safe to share between threads.
class SymbolSource {
 public:
  SymbolSource() = default;
  SymbolSource(const SymbolSource&) = delete;
  SymbolSource& operator=(const SymbolSource&) = delete;
  virtual ~SymbolSource() = default;

  /// Of the first symbol with this name. Costs a pass over one number a symbol.
  [[nodiscard]] virtual std::optional<VirtAddr> address_of(std::string_view name) const = 0;
  /// All of them, in order, and their ranges.
  virtual void decode(SymbolTable::Builder& into) const = 0;
};

}  // namespace engram::types
