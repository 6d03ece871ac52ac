// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// kallsyms as it lies in memory, compressed, with a number a name by which single names are found.

#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "types/kallsyms_addresses.h"
#include "types/kallsyms_names.h"
#include "types/kallsyms_tokens.h"
#include "types/symbols.h"

namespace engram::types {

class KallsymsSource final : public SymbolSource {
 public:
  /// The parts of one kallsyms, all of as many symbols. Names that cannot be expanded are left out.
  KallsymsSource(const TokenTable& tokens, NameArea names, KallsymsAddresses addresses,
                 NameNumbers numbers);

  /// Those addresses belong to the kernel (SymbolTable::Builder::add_range()).
  void add_range(VirtAddr start, VirtAddr end) { ranges_.emplace_back(start, end); }

  /// The place in the list of the first symbol with this name.
  [[nodiscard]] std::optional<std::uint32_t> find(std::string_view name) const;
  /// Whether the name of symbol `index` is `name`.
  [[nodiscard]] bool is_named(std::uint32_t index, std::string_view name) const;
  [[nodiscard]] std::optional<VirtAddr> address_of(std::string_view name) const override;
  void decode(SymbolTable::Builder& into) const override;

  [[nodiscard]] const NameArea& names() const { return names_; }
  [[nodiscard]] const TokenTable& tokens() const { return tokens_; }
  [[nodiscard]] const KallsymsAddresses& addresses() const { return addresses_; }
  [[nodiscard]] const NameNumbers& numbers() const { return numbers_; }

 private:
  TokenTable tokens_;
  NameArea names_;
  KallsymsAddresses addresses_;
  NameNumbers numbers_;
  NameReader reader_;  ///< borrows names and tokens
  std::vector<std::pair<VirtAddr, VirtAddr>> ranges_;
};

}  // namespace engram::types
