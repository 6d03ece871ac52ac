// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
// Dirty pages: marking ranges of them, and harvesting those of 4 GiB. Snapshots: an access to a
// memory that may be replaced, from several threads.
#include <benchmark/benchmark.h>

#include <bit>
#include <cstdlib>

#include "guest/iotlb.h"
#include "guest/memory_atomic.h"
#include "guest/ram.h"
#include "mapping/atomic_bitmap.h"

namespace {

using namespace engram;
using guest::MemoryAtomic;
using guest::Range;
using mapping::AtomicBitmap;
using Ram = guest::MappedMemory<>;

constexpr std::uint64_t kBytes = 4 * kGiB;
constexpr std::uint64_t kPages = kBytes / kPageSize;

/// A wrong answer has no time.
void require(bool right) {
  if (!right) std::abort();
}

std::uint64_t harvest(AtomicBitmap& bitmap) {
  std::uint64_t pages = 0;
  bitmap.drain([&](std::uint64_t /*first_page*/, std::uint64_t word) {
    pages += static_cast<std::uint64_t>(std::popcount(word));
  });
  return pages;
}

void BM_Mark(benchmark::State& state) {
  const auto pages = static_cast<std::uint64_t>(state.range(0));
  AtomicBitmap bitmap(kBytes);
  bitmap.mark_dirty(64 * kPageSize, pages * kPageSize);
  for (std::uint64_t page = 0; page < 512; ++page) {
    require(bitmap.bit(page) == (page >= 64 && page < 64 + pages));
  }
  std::uint64_t at = 0;
  for (auto _ : state) {
    at = (at + 256 * kPageSize) % (256 * kMiB);
    bitmap.mark_dirty(at, pages * kPageSize);
  }
}

/// One page in `every` is dirty. The marks are made outside the measured time.
void BM_Harvest(benchmark::State& state) {
  const auto every = static_cast<std::uint64_t>(state.range(0));
  AtomicBitmap bitmap(kBytes);
  const auto mark = [&] {
    if (every == 1) return bitmap.mark_dirty(0, kBytes);
    for (std::uint64_t page = 0; page < kPages; page += every) bitmap.mark_bit(page);
  };
  const std::uint64_t marked = (kPages + every - 1) / every;
  mark();
  require(harvest(bitmap) == marked && harvest(bitmap) == 0);
  for (auto _ : state) {
    state.PauseTiming();
    mark();
    state.ResumeTiming();
    benchmark::DoNotOptimize(harvest(bitmap));
  }
}

void BM_HarvestClean(benchmark::State& state) {
  AtomicBitmap bitmap(kBytes);
  require(harvest(bitmap) == 0);
  for (auto _ : state) benchmark::DoNotOptimize(harvest(bitmap));
}

MemoryAtomic<Ram>& memory() {
  static MemoryAtomic<Ram> one(
      guest::anonymous_memory({Range::checked(PhysAddr(0), 16 * kPageSize)}).value());
  return one;
}

void check_memory() {
  require(memory().snapshot()->size() == 1);
  MemoryAtomic<Ram>::Reader reader(memory());
  require(&*reader == memory().snapshot().get());
}

void BM_Reader(benchmark::State& state) {
  check_memory();
  MemoryAtomic<Ram>::Reader reader(memory());
  for (auto _ : state) benchmark::DoNotOptimize(&*reader);
}

void BM_Snapshot(benchmark::State& state) {
  check_memory();
  for (auto _ : state) benchmark::DoNotOptimize(memory().snapshot().get());
}

void BM_IotlbHit(benchmark::State& state) {
  guest::Iotlb tlb;
  const auto entries = static_cast<std::uint64_t>(state.range(0));
  for (std::uint64_t i = 0; i < entries; ++i) {
    const PhysAddr target((entries - i) * kPageSize);
    require(
        tlb.map(PhysAddr(i * kPageSize), target, kPageSize, guest::Permissions::read).has_value());
  }
  const auto target_of = [&](std::uint64_t i) {
    auto hit = tlb.lookup(Range::checked(PhysAddr(i * kPageSize), 64), guest::Permissions::read);
    return hit ? hit->next()->target : PhysAddr();
  };
  for (std::uint64_t i = 0; i < entries; ++i) {
    require(target_of(i) == PhysAddr((entries - i) * kPageSize));
  }
  std::uint64_t i = 0;
  for (auto _ : state) benchmark::DoNotOptimize(target_of(++i * 2654435761U % entries));
}

BENCHMARK(BM_Mark)->Arg(1)->Arg(16)->Arg(64)->Arg(256);
BENCHMARK(BM_HarvestClean);
BENCHMARK(BM_Harvest)->Arg(65536)->Arg(1);
BENCHMARK(BM_Reader)->ThreadRange(1, 4)->UseRealTime();
BENCHMARK(BM_Snapshot)->ThreadRange(1, 4)->UseRealTime();
BENCHMARK(BM_IotlbHit)->Arg(16)->Arg(4096);

}  // namespace

BENCHMARK_MAIN();
