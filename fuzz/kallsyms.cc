// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0

// Kallsyms out of hostile read-only data: the input lies behind a page of code and a page with the
// banner of a machine, and whatever is found in it must be a table that answers for all of its own
// symbols.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>
#include <utility>

#include "types/kallsyms.h"
#include "types/kallsyms_names.h"
#include "types/test_kallsyms.h"

namespace {

using namespace engram;

constexpr std::uint64_t kText = 0xffffffff81000000;
constexpr std::string_view kBanner = "Linux version 0.0";

void require(bool condition) {
  if (!condition) std::abort();
}

void check(const types::Kallsyms& found) {
  const types::SymbolTable& table = found.symbols;
  require(table.symbols().size() <= types::kMostSymbols);
  for (const types::Symbol& symbol : table.symbols()) {
    const types::Symbol* same = table.find(table.name(symbol));
    require(same != nullptr && table.name(*same) == table.name(symbol));
    const auto place = table.find(symbol.address);
    require(!place || (place->offset == 0 && place->symbol->address == symbol.address));
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::vector<std::byte> banner(kPageSize);
  std::memcpy(banner.data(), kBanner.data(), kBanner.size());
  const auto* first = reinterpret_cast<const std::byte*>(data);
  const types::test::Machine machine(
      {{kText, std::vector<std::byte>(kPageSize), false, true},
       {kText + kPageSize, banner, false, false},
       {kText + 2 * kPageSize, {first, first + size}, false, false}});
  Diagnostics diagnostics;
  auto found = types::find_kallsyms(machine.space(), machine.image(), diagnostics);
  if (found) check(*found);
  return 0;
}
