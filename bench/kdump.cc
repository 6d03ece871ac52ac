// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
// kdump files: pages from one end to the other beside what the decompressors alone take for the
// same pages; random pages, cached and not; opening the headers of 64 GB.
#include <benchmark/benchmark.h>
#include <zlib.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <functional>
#include <numeric>
#include <random>
#include <thread>
#include <vector>

#include "guest/scan.h"
#include "image/image.h"
#include "image/kdump_layout.h"
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

/// A dump of kPages pages, and what is stored of each.
struct Dump {
  struct Page {
    Bytes bytes;
    Codec codec;
  };
  dumps::Buffer file;
  std::vector<Page> pages;
};

/// Something like memory: the pages of this program, over and over, each with a number of its own.
Dump dump_of_memory(Codec codec) {
  std::ifstream program("/proc/self/exe", std::ios::binary);
  std::vector<dumps::Buffer> contents;
  dumps::Buffer page(kPageSize);
  while (program.read(reinterpret_cast<char*>(page.data()), kPageSize)) contents.push_back(page);
  require(contents.size() > 100);
  dumps::Kdump dump;
  dump.page_count = kPages;
  dump.left_out = {};
  dump.codec = codec;
  dump.page_bytes = [&contents](std::uint64_t number) {
    dumps::Buffer bytes = contents[number % contents.size()];
    dumps::put(bytes, 0, number);
    return bytes;
  };
  dump.stored.resize(kPages);
  std::iota(dump.stored.begin(), dump.stored.end(), std::uint64_t{0});
  Dump made{dump.file(), {}};
  for (std::uint64_t number = 0; number < kPages; ++number) {
    const auto at = dump.descriptors + number * sizeof(kdump::PageDescriptor);
    const auto descriptor = load<kdump::PageDescriptor>(Bytes(made.file), at).value();
    made.pages.push_back({Bytes(made.file).subspan(descriptor.offset, descriptor.size),
                          descriptor.flags == 0 ? Codec::none : codec});
  }
  return made;
}

double processor_seconds() {
  return static_cast<double>(std::clock()) / CLOCKS_PER_SEC;
}

/// What `work()` takes, the least of three runs, which are not disturbed as much.
template <class Work>
double seconds_of(const Work& work) {
  double least = 1e9;
  for (int run = 0; run < 3; ++run) {
    const double begin = processor_seconds();
    work();
    least = std::min(least, processor_seconds() - begin);
  }
  return least;
}

bool unpack_with_zlib(Bytes from, MutableBytes to) {
  uLongf size = to.size();
  return ::uncompress(reinterpret_cast<Bytef*>(to.data()), &size,
                      reinterpret_cast<const Bytef*>(from.data()), from.size()) == Z_OK;
}

/// Besides the time of a scan: "alone", that of the decompressor, which unpacks the same pages in
/// one thread to one place; "ratio", the speed of the scan by that of the decompressor times the
/// processors; "work", the decompressor's time by the processor time of the scan, which is the
/// ratio that a scan has on a machine with nothing else to do.
void BM_Sequential(benchmark::State& state) {
  const auto codec = static_cast<Codec>(state.range(0));
  if (!can_unpack(codec)) return state.SkipWithError("built without it");
  const Dump dump = dump_of_memory(codec);
  const engram::test::TempFile file(dump.file);
  const auto image = Image::open(file.path());
  require(image.has_value());
  dumps::Buffer page(kPageSize);
  const double alone = seconds_of([&] {
    for (const auto& [bytes, packing] : dump.pages)
      require(unpack(packing, bytes, page) == kPageSize);
  });
  std::uint64_t pages = 0;
  guest::for_each_chunk(image->memory(), PhysAddr(0), PhysAddr(kPages * kPageSize), 0,
                        [&](PhysAddr at, Bytes bytes) {
                          for (; !bytes.empty(); bytes = bytes.subspan(kPageSize), ++pages) {
                            require(at.value == pages * kPageSize);
                            const auto& [packed, packing] = dump.pages[pages];
                            require(unpack(packing, packed, page) == kPageSize);
                            require(std::equal(page.begin(), page.end(), bytes.begin()));
                            at = at + kPageSize;
                          }
                          return true;
                        });
  require(pages == kPages);

  using Clock = std::chrono::steady_clock;
  double wall = 0, work = 0;
  for (auto _ : state) {
    const auto begin = Clock::now();
    const double work_begin = processor_seconds();
    std::uint64_t seen = 0;
    guest::for_each_chunk(image->memory(), PhysAddr(0), PhysAddr(kPages * kPageSize), 0,
                          [&seen](PhysAddr, Bytes bytes) {
                            seen += bytes.size();
                            return true;
                          });
    require(seen == kPages * kPageSize);
    work += processor_seconds() - work_begin;
    const double seconds = std::chrono::duration<double>(Clock::now() - begin).count();
    wall += seconds;
    state.SetIterationTime(seconds);
  }
  const auto runs = static_cast<double>(state.iterations());
  const auto processors = static_cast<double>(std::thread::hardware_concurrency());
  state.counters["alone_ms"] = alone * 1e3;
  state.counters["ratio"] = alone / processors / (wall / runs);
  state.counters["work"] = alone / (work / runs);
  if (codec == Codec::zlib) {
    state.counters["zlib_ms"] =
        1e3 * seconds_of([&] {
          for (const auto& [bytes, packing] : dump.pages) {
            require(packing == Codec::none || unpack_with_zlib(bytes, page));
          }
        });
  }
  state.SetBytesProcessed(static_cast<std::int64_t>(kPages * kPageSize) * state.iterations());
  state.SetLabel(to_string(codec));
}
BENCHMARK(BM_Sequential)->DenseRange(0, 4)->UseManualTime()->Unit(benchmark::kMillisecond);

/// Pages of so many, in random order: the cache has 16384.
void BM_RandomPage(benchmark::State& state) {
  const engram::test::TempFile file(dump_of_memory(Codec::snappy).file);
  const auto image = Image::open(file.path());
  require(image.has_value());
  const auto among = static_cast<std::uint64_t>(state.range(0));
  std::mt19937_64 random(1);
  dumps::Buffer page(kPageSize);
  for (std::uint64_t number = 0; number < among; ++number) {
    require(image->memory().read(PhysAddr(number * kPageSize), page).complete());
    require(load<std::uint64_t>(Bytes(page), 0) == number);
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
