// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
// Translations and small reads by virtual address: with the walk cache, without it, and enumeration
// of mappings.
#include <benchmark/benchmark.h>

#include <cstdlib>

#include "paging/address_space.h"
#include "paging/test_memory.h"

namespace {

using namespace engram;
using namespace engram::paging;

constexpr VirtAddr kBase{0xffff888000000000};
constexpr std::uint64_t kPages = 4096;
constexpr std::uint64_t kFirstPage = 64 * kMiB;  // behind the page tables
constexpr Mode kMode{Architecture::x86_64, 4};

/// 4096 small pages, mapped in reverse so that no two neighbours merge; each begins with its
/// number.
struct Fixture {
  Fixture() : bytes(kFirstPage + kPages * kPageSize), root(bytes.new_table()) {
    for (std::uint64_t i = 0; i < kPages; ++i) {
      bytes.map(root, 4, kBase + i * kPageSize, frame(i), kPageSize, testing::kP | testing::kRw);
      bytes.put(frame(i), i);
    }
    memory = bytes.memory();
  }
  static PhysAddr frame(std::uint64_t i) {
    return PhysAddr(kFirstPage + (kPages - 1 - i) * kPageSize);
  }

  testing::TestMemory bytes;
  PhysAddr root;
  guest::Memory memory;
};

Fixture& fixture() {
  static Fixture one;
  return one;
}

/// A wrong answer has no time.
void require(bool right) {
  if (!right) std::abort();
}

std::uint64_t step(std::uint64_t i) {
  return i * 2654435761U % kPages;
}

void translate(benchmark::State& state, bool cached, std::uint64_t pages) {
  const AddressSpace space(fixture().memory, kMode, fixture().root, cached);
  for (std::uint64_t i = 0; i < kPages; ++i) {
    require(space.translate(kBase + i * kPageSize)->physical == Fixture::frame(i));
  }
  std::uint64_t i = 0;
  for (auto _ : state) {
    benchmark::DoNotOptimize(space.translate(kBase + step(++i) % pages * kPageSize));
  }
}

void BM_TranslateHit(benchmark::State& state) {
  translate(state, true, 512);
}
void BM_TranslateMixed(benchmark::State& state) {
  translate(state, true, kPages);
}
void BM_TranslateWalk(benchmark::State& state) {
  translate(state, false, kPages);
}

void BM_LoadWord(benchmark::State& state) {
  const AddressSpace space(fixture().memory, kMode, fixture().root);
  for (std::uint64_t i = 0; i < kPages; ++i) {
    require(space.load<std::uint64_t>(kBase + i * kPageSize) == i);
  }
  std::uint64_t i = 0;
  for (auto _ : state) {
    benchmark::DoNotOptimize(space.load<std::uint64_t>(kBase + step(++i) % 512 * kPageSize));
  }
}

void BM_ListMappings(benchmark::State& state) {
  const AddressSpace space(fixture().memory, kMode, fixture().root);
  for (auto _ : state) {
    std::uint64_t count = 0;
    space.for_each_mapping(VirtAddr(0), VirtAddr(~std::uint64_t{0}), [&](const Mapping&) {
      ++count;
      return true;
    });
    require(count == kPages);
  }
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(kPages));
}

BENCHMARK(BM_TranslateHit);
BENCHMARK(BM_TranslateMixed);
BENCHMARK(BM_TranslateWalk);
BENCHMARK(BM_LoadWord);
BENCHMARK(BM_ListMappings);

}  // namespace

BENCHMARK_MAIN();
