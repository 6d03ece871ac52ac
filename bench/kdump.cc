// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
// kdump files: pages from one end to the other beside what the decompressors alone take, by one
// thread and by one a core; random pages, cached and not; opening the headers of 64 GB.
#include <benchmark/benchmark.h>

#include <cstdlib>
#include <functional>
#include <random>
#include <thread>
#include <vector>

#include "guest/scan.h"
#include "image/image.h"
#include "image/page_codec.h"
#include "image/test_kdump.h"

namespace {

using namespace engram;
using namespace engram::image;
namespace dumps = engram::image::test;

constexpr std::uint64_t kPages = 32768;  // 128 MiB: twice the cache

void require(bool right) {
  if (!right) std::abort();
}

dumps::Buffer dump_file(Codec codec) {
  dumps::Kdump dump;
  dump.codec = codec;
  dump.page_count = kPages;
  dump.left_out = {};
  dump.stored.resize(kPages);
  for (std::uint64_t page = 0; page < kPages; ++page) dump.stored[page] = page;
  return dump.file();
}

/// All pages, shared by so many threads.
void scan(const guest::Memory& memory, unsigned threads) {
  const std::uint64_t share = kPages * kPageSize / threads;
  const auto part = [&](unsigned number) {
    std::uint64_t seen = 0;
    const PhysAddr first(number * share);
    guest::for_each_chunk(memory, first, first + (share - 1), 0, [&seen](PhysAddr, Bytes bytes) {
      seen += bytes.size();
      return true;
    });
    require(seen == share);
  };
  std::vector<std::jthread> workers;
  for (unsigned i = 1; i < threads; ++i) workers.emplace_back(part, i);
  part(0);
}

void BM_Sequential(benchmark::State& state) {
  const auto codec = static_cast<Codec>(state.range(0));
  if (!can_unpack(codec)) return state.SkipWithError("built without it");
  const engram::test::TempFile file(dump_file(codec));
  const auto image = Image::open(file.path());
  require(image.has_value());
  dumps::Buffer page(kPageSize);
  require(image->memory().read(PhysAddr(77 * kPageSize), page).complete());
  require(page == dumps::kdump_page(77));
  for (auto _ : state) scan(image->memory(), static_cast<unsigned>(state.range(1)));
  state.SetBytesProcessed(static_cast<std::int64_t>(kPages * kPageSize) * state.iterations());
  state.SetLabel(to_string(codec));
}
BENCHMARK(BM_Sequential)
    ->ArgsProduct({{0, 1, 2, 3, 4}, {1, 2}})
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond);

void BM_DecompressorAlone(benchmark::State& state) {
  const auto codec = static_cast<Codec>(state.range(0));
  if (!can_unpack(codec)) return state.SkipWithError("built without it");
  std::vector<dumps::Buffer> packed;
  for (std::uint64_t page = 0; page < 1024; ++page) {
    packed.push_back(dumps::packed(codec, dumps::kdump_page(page)));
  }
  dumps::Buffer page(kPageSize);
  require(unpack(codec, packed[77], page) == kPageSize && page == dumps::kdump_page(77));
  for (auto _ : state) {
    for (const dumps::Buffer& one : packed) benchmark::DoNotOptimize(unpack(codec, one, page));
  }
  state.SetBytesProcessed(static_cast<std::int64_t>(1024 * kPageSize) * state.iterations());
  state.SetLabel(to_string(codec));
}
BENCHMARK(BM_DecompressorAlone)->DenseRange(0, 4);

/// Pages of so many, in random order: the cache has 16384.
void BM_RandomPage(benchmark::State& state) {
  const engram::test::TempFile file(dump_file(Codec::snappy));
  const auto image = Image::open(file.path());
  require(image.has_value());
  const auto among = static_cast<std::uint64_t>(state.range(0));
  std::mt19937_64 random(1);
  dumps::Buffer page(kPageSize);
  for (std::uint64_t number = 0; number < among; ++number) {
    require(image->memory().read(PhysAddr(number * kPageSize), page).complete());
    require(page == dumps::kdump_page(number));
  }
  for (auto _ : state) {
    const PhysAddr at(random() % among * kPageSize);
    benchmark::DoNotOptimize(image->memory().read(at, page).count);
  }
}
BENCHMARK(BM_RandomPage)->Arg(1000)->Arg(static_cast<std::int64_t>(kPages));

/// 16 million pages of which `range(0)` in a thousand begin a run.
void BM_OpenHeadersOf64GB(benchmark::State& state) {
  dumps::Kdump dump;
  dump.page_count = 1U << 24U;
  dump.left_out = {};
  dump.stored = {0};
  dumps::Buffer head = dump.file();
  head.resize(dump.descriptors);
  std::mt19937 random(2);
  std::bernoulli_distribution turns(static_cast<double>(state.range(0)) / 500.0);
  bool stored = true;
  std::uint64_t pages = 0, runs = 1;
  for (std::uint64_t page = 0; page < dump.page_count; ++page) {
    if (page > 0 && turns(random)) {
      stored = !stored;
      if (stored) ++runs;
    }
    const auto bit = static_cast<std::byte>(1U << (page % 8));
    auto& byte = head[dump.bitmap + page / 8];
    byte = stored ? byte | bit : byte & ~bit;
    if (stored) ++pages;
  }
  const engram::test::TempFile file(head);
  require(file.cut(head.size() + pages * 24));  // a hole
  for (auto _ : state) {
    const auto image = Image::open(file.path());
    require(image.has_value() && image->memory().present_bytes() == pages * kPageSize &&
            image->ranges().size() == runs);
  }
  state.counters["runs"] = static_cast<double>(runs);
}
BENCHMARK(BM_OpenHeadersOf64GB)->Arg(0)->Arg(60)->Unit(benchmark::kMillisecond);

}  // namespace

BENCHMARK_MAIN();
