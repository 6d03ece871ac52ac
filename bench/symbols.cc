// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
// Symbols looked up by name and by address among as many as a kernel of 2026 has.
#include <benchmark/benchmark.h>
#include <fmt/core.h>

#include <cstdlib>
#include <string>
#include <vector>

#include "types/symbols.h"

namespace {

using namespace engram;
using types::SymbolTable;

constexpr std::size_t kSymbols = 200'000;
constexpr VirtAddr kText{0xffffffff81000000};
constexpr std::uint64_t kSpacing = 48;

void require(bool right) {
  if (!right) std::abort();
}

struct Fixture {
  Fixture() {
    SymbolTable::Builder builder;
    builder.add_range(kText, kText + kSymbols * kSpacing);
    for (std::size_t i = 0; i < kSymbols; ++i) {
      names.push_back(fmt::format("__do_sys_function_{}_of_the_kernel", i));
      builder.add(names.back(), kText + i * kSpacing, 'T');
    }
    symbols = std::move(builder).build();
    for (std::size_t i = 0; i < kSymbols; ++i) {
      require(symbols.address_of(names[i]) == kText + i * kSpacing);
      const auto location = symbols.find(kText + i * kSpacing + i % kSpacing);
      require(location && symbols.name(*location->symbol) == names[i]);
      require(location->offset == i % kSpacing);
    }
    require(!symbols.address_of("__do_sys_function"));
    require(!symbols.find(kText - 1));
  }

  std::vector<std::string> names;
  SymbolTable symbols;
};

const Fixture& fixture() {
  static const Fixture one;
  return one;
}

std::size_t step(std::size_t i) {
  return i * 2654435761U % kSymbols;
}

void BM_AddressOfName(benchmark::State& state) {
  const Fixture& all = fixture();
  std::size_t i = 0;
  for (auto _ : state) benchmark::DoNotOptimize(all.symbols.address_of(all.names[step(i++)]));
}
void BM_SymbolAtAddress(benchmark::State& state) {
  const Fixture& all = fixture();
  std::size_t i = 0;
  for (auto _ : state) {
    benchmark::DoNotOptimize(all.symbols.find(kText + step(i++) * kSpacing + 5)->symbol);
  }
}
BENCHMARK(BM_AddressOfName);
BENCHMARK(BM_SymbolAtAddress);

}  // namespace

BENCHMARK_MAIN();
