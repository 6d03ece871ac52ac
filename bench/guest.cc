// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
// Guest memory: the operations that vm-memory benchmarks, on memory of the same shape, the look-up
// of regions, and pages of an image by each fault policy.
#include <benchmark/benchmark.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>
#include <numeric>
#include <random>
#include <vector>

#include "base/test_file.h"
#include "guest/accessor.h"
#include "guest/ram.h"
#include "mapping/stream_adaptors.h"

namespace engram::guest {

/// 96 bytes, as vm-memory's larger object.
struct LargeObject {
  std::array<std::uint64_t, 12> words;
};

}  // namespace engram::guest

template <>
inline constexpr bool engram::mapping::enable_pod<engram::guest::LargeObject> = true;

namespace {

using namespace engram;
using namespace engram::guest;

/// A wrong answer has no time.
void require(bool right) {
  if (!right) std::abort();
}

// Views of 1 KiB, of 256 16-bit elements, and of two times 10 KiB.

void BM_SliceCopyTo(benchmark::State& state) {
  std::vector<std::byte> memory(1024, std::byte{7}), to(1024);
  const VolatileSlice<> slice{MutableBytes(memory)};
  require(slice.copy_to(std::span(to)) == 1024 && to == memory);
  for (auto _ : state) benchmark::DoNotOptimize(slice.copy_to(std::span(to)));
}
void BM_SliceCopyFrom(benchmark::State& state) {
  std::vector<std::byte> memory(1024);
  const std::vector<std::byte> from(1024, std::byte{7});
  const VolatileSlice<> slice{MutableBytes(memory)};
  require(slice.copy_from(std::span(from)) == 1024 && from == memory);
  for (auto _ : state) benchmark::DoNotOptimize(slice.copy_from(std::span(from)));
}
void BM_SliceCopyToU16(benchmark::State& state) {
  std::vector<std::byte> memory(512, std::byte{7});
  std::vector<std::uint16_t> to(256);
  const VolatileSlice<> slice{MutableBytes(memory)};
  require(slice.copy_to(std::span(to)) == 256 && to[255] == 0x0707);
  for (auto _ : state) benchmark::DoNotOptimize(slice.copy_to(std::span(to)));
}
void BM_SliceCopyFromU16(benchmark::State& state) {
  std::vector<std::byte> memory(512);
  const std::vector<std::uint16_t> from(256, 0x0707);
  const VolatileSlice<> slice{MutableBytes(memory)};
  require(slice.copy_from(std::span(from)) == 256 && memory[511] == std::byte{7});
  for (auto _ : state) benchmark::DoNotOptimize(slice.copy_from(std::span(from)));
}
void BM_SliceToSlice(benchmark::State& state) {
  std::vector<std::byte> from(10240, std::byte{7}), to(10240);
  const VolatileSlice<> source{MutableBytes(from)}, target{MutableBytes(to)};
  require(target.copy_from(source).count == 10240 && from == to);
  for (auto _ : state) benchmark::DoNotOptimize(target.copy_from(source));
}
BENCHMARK(BM_SliceCopyTo);
BENCHMARK(BM_SliceCopyFrom);
BENCHMARK(BM_SliceCopyToU16);
BENCHMARK(BM_SliceCopyFromU16);
BENCHMARK(BM_SliceToSlice);

// 8 regions of 2 GiB, used at four places: in the first region, across the first two, across the
// last two, in the last.

constexpr std::uint64_t kRegionSize = 2 * kGiB;
constexpr std::uint64_t kRegions = 8;

const MappedMemory<>& large_memory() {
  static const MappedMemory<> memory = [] {
    std::vector<Range> ranges;
    for (std::uint64_t i = 0; i < kRegions; ++i) {
      ranges.push_back(Range::make(PhysAddr(i * kRegionSize), kRegionSize).value());
    }
    return anonymous_memory(ranges).value();
  }();
  return memory;
}

/// Where an access of `size` bytes begins, by the place's number.
PhysAddr place(std::int64_t number, std::uint64_t size) {
  switch (number) {
    case 0:
      return PhysAddr(kMiB);
    case 1:
      return PhysAddr(kRegionSize - size / 2);
    case 2:
      return PhysAddr((kRegions - 1) * kRegionSize - size / 2);
    default:
      return PhysAddr((kRegions - 1) * kRegionSize + kMiB);
  }
}

/// The two ways to the same memory.
struct Searching {
  const MappedMemory<>& memory = large_memory();
  const MappedMemory<>* operator->() const { return &memory; }
};
struct Cached {
  Accessor<MappedMemory<>> accessor{large_memory()};
  Accessor<MappedMemory<>>* operator->() { return &accessor; }
};

template <class Way, class T>
void BM_ReadObject(benchmark::State& state) {
  Way way;
  T value{};
  std::memset(&value, 0x5a, sizeof value);
  const PhysAddr at = place(state.range(0), sizeof(T));
  require(way->write_object(at, value).has_value());
  const auto got = way->template read_object<T>(at);
  require(got && std::memcmp(&*got, &value, sizeof value) == 0);
  for (auto _ : state) benchmark::DoNotOptimize(way->template read_object<T>(at));
}
template <class Way, class T>
void BM_WriteObject(benchmark::State& state) {
  Way way;
  T value{};
  std::memset(&value, 0xa5, sizeof value);
  const PhysAddr at = place(state.range(0), sizeof(T));
  require(way->write_object(at, value).has_value());
  const auto got = large_memory().read_object<T>(at);
  require(got && std::memcmp(&*got, &value, sizeof value) == 0);
  for (auto _ : state) benchmark::DoNotOptimize(way->write_object(at, value));
}
template <class Way>
void BM_ReadBytes(benchmark::State& state) {
  Way way;
  std::vector<std::byte> bytes(512, std::byte{3}), to(512);
  const PhysAddr at = place(state.range(0), bytes.size());
  require(large_memory().write_exact(at, bytes).has_value());
  require(way->read(at, to).complete() && to == bytes);
  for (auto _ : state) benchmark::DoNotOptimize(way->read(at, to));
}
template <class Way>
void BM_WriteBytes(benchmark::State& state) {
  Way way;
  // In the middle of a page: a load behind a store to the same place of another page waits for it.
  alignas(kPageSize) static std::byte page[kPageSize];
  const std::span bytes = std::span(page).subspan(kPageSize / 2, 512);
  std::fill(bytes.begin(), bytes.end(), std::byte{4});
  std::vector<std::byte> to(bytes.size());
  const PhysAddr at = place(state.range(0), bytes.size());
  require(way->write(at, bytes).complete());
  require(large_memory().read_exact(at, to).has_value() && std::ranges::equal(to, bytes));
  for (auto _ : state) benchmark::DoNotOptimize(way->write(at, bytes));
}
template <class Way>
void BM_LoadU32(benchmark::State& state) {
  Way way;
  const PhysAddr at = place(state.range(0), 8);
  require(way->store(at, std::uint32_t{77}).has_value());
  require(way->template load<std::uint32_t>(at) == 77U);
  for (auto _ : state) benchmark::DoNotOptimize(way->template load<std::uint32_t>(at));
}
void BM_FromByteStream(benchmark::State& state) {
  const std::vector<std::byte> bytes(512, std::byte{5});
  std::vector<std::byte> to(512);
  const PhysAddr at = place(state.range(0), bytes.size());
  for (auto _ : state) {
    mapping::SpanReader stream(bytes);
    benchmark::DoNotOptimize(large_memory().read_exact_from(at, stream, bytes.size()));
  }
  require(large_memory().read_exact(at, to).has_value() && to == bytes);
}
void BM_ToByteStream(benchmark::State& state) {
  const std::vector<std::byte> bytes(512, std::byte{6});
  std::vector<std::byte> to(512);
  const PhysAddr at = place(state.range(0), bytes.size());
  require(large_memory().write_exact(at, bytes).has_value());
  for (auto _ : state) {
    mapping::SpanWriter stream{MutableBytes(to)};
    benchmark::DoNotOptimize(large_memory().write_all_to(at, stream, to.size()));
  }
  require(to == bytes);
}
void BM_FromDevZero(benchmark::State& state) {
  const int device = ::open("/dev/zero", O_RDONLY | O_CLOEXEC);
  mapping::FdReader stream(device);
  const PhysAddr at = place(state.range(0), 512);
  require(large_memory().fill(at, 512, std::byte{1}).complete());
  require(large_memory().read_exact_from(at, stream, 512).has_value());
  require(large_memory().read_object<std::uint64_t>(at) == 0U);
  for (auto _ : state) benchmark::DoNotOptimize(large_memory().read_exact_from(at, stream, 512));
  ::close(device);
}
void BM_ToDevNull(benchmark::State& state) {
  const int device = ::open("/dev/null", O_WRONLY | O_CLOEXEC);
  mapping::FdWriter stream(device);
  const PhysAddr at = place(state.range(0), 512);
  require(large_memory().write_all_to(at, stream, 512).has_value());
  for (auto _ : state) benchmark::DoNotOptimize(large_memory().write_all_to(at, stream, 512));
  ::close(device);
}

BENCHMARK_TEMPLATE(BM_ReadObject, Searching, std::uint64_t)->DenseRange(0, 3);
BENCHMARK_TEMPLATE(BM_ReadObject, Cached, std::uint64_t)->DenseRange(0, 3);
BENCHMARK_TEMPLATE(BM_WriteObject, Searching, std::uint64_t)->DenseRange(0, 3);
BENCHMARK_TEMPLATE(BM_WriteObject, Cached, std::uint64_t)->DenseRange(0, 3);
BENCHMARK_TEMPLATE(BM_ReadObject, Searching, LargeObject)->DenseRange(0, 3);
BENCHMARK_TEMPLATE(BM_ReadObject, Cached, LargeObject)->DenseRange(0, 3);
BENCHMARK_TEMPLATE(BM_WriteObject, Searching, LargeObject)->DenseRange(0, 3);
BENCHMARK_TEMPLATE(BM_WriteObject, Cached, LargeObject)->DenseRange(0, 3);
BENCHMARK_TEMPLATE(BM_ReadBytes, Searching)->DenseRange(0, 3);
BENCHMARK_TEMPLATE(BM_ReadBytes, Cached)->DenseRange(0, 3);
BENCHMARK_TEMPLATE(BM_WriteBytes, Searching)->DenseRange(0, 3);
BENCHMARK_TEMPLATE(BM_WriteBytes, Cached)->DenseRange(0, 3);
BENCHMARK_TEMPLATE(BM_LoadU32, Searching)->Arg(0)->Arg(3);
BENCHMARK_TEMPLATE(BM_LoadU32, Cached)->Arg(0)->Arg(3);
BENCHMARK(BM_FromByteStream)->DenseRange(0, 3);
BENCHMARK(BM_ToByteStream)->DenseRange(0, 3);
BENCHMARK(BM_FromDevZero)->DenseRange(0, 3);
BENCHMARK(BM_ToDevNull)->DenseRange(0, 3);

// Look-up among regions of a page, with a hole behind each.

const std::vector<std::byte>& one_page() {
  static const std::vector<std::byte> page(kPageSize, std::byte{1});
  return page;
}
Memory runs(std::size_t count) {
  Regions regions;
  regions.reserve(count);
  for (std::size_t i = 0; i < count; ++i) {
    regions.push_back({PhysAddr(2 * i * kPageSize), kPageSize, Backing::host, one_page().data()});
  }
  return Memory::create(std::move(regions), nullptr).value();
}
std::vector<PhysAddr> targets(std::size_t count, bool shuffled) {
  std::vector<PhysAddr> addresses;
  for (std::size_t i = 0; i < count; ++i) addresses.emplace_back(2 * i * kPageSize + 8 * (i % 512));
  if (shuffled) std::shuffle(addresses.begin(), addresses.end(), std::mt19937_64(1));
  return addresses;
}

void find_in(benchmark::State& state, const auto& memory, std::size_t count, bool shuffled) {
  const auto addresses = targets(count, shuffled);
  for (const PhysAddr at : addresses) {
    require(memory.find(at) != nullptr && memory.find(at)->range().contains(at));
    require(memory.find(at + kPageSize) == nullptr);
  }
  std::size_t i = 0;
  for (auto _ : state) {
    benchmark::DoNotOptimize(memory.find(addresses[i]));
    if (++i == addresses.size()) i = 0;
  }
}
void BM_FindRun(benchmark::State& state) {
  const auto count = static_cast<std::size_t>(state.range(0));
  find_in(state, runs(count), count, true);
}
/// Regions whose starts are searched in an array of their own.
void BM_FindRegion(benchmark::State& state) {
  const auto count = static_cast<std::size_t>(state.range(0));
  std::vector<MappedRegion<>> regions;
  const auto first = MappedRegion<>::anonymous(Range::make(PhysAddr(0), kPageSize).value()).value();
  for (std::size_t i = 0; i < count; ++i) {
    regions.push_back(first.at(PhysAddr(2 * i * kPageSize)).value());
  }
  find_in(state, MappedMemory<>::from(std::move(regions)).value(), count, true);
}
/// Word after word of run after run.
void BM_SequentialRuns(benchmark::State& state) {
  const auto count = static_cast<std::size_t>(state.range(0));
  Accessor<Memory> accessor(runs(count));
  std::uint64_t at = 0;
  require(accessor.read_object<std::uint64_t>(PhysAddr(0)) == 0x0101'0101'0101'0101U);
  require(!accessor.read_object<std::uint64_t>(PhysAddr(kPageSize)).has_value());
  for (auto _ : state) {
    benchmark::DoNotOptimize(accessor.read_object<std::uint64_t>(PhysAddr(at)));
    at += 8;
    if (at % kPageSize == 0) at = at + kPageSize == 2 * count * kPageSize ? 0 : at + kPageSize;
  }
}
void BM_OpenRuns(benchmark::State& state) {
  const auto count = static_cast<std::size_t>(state.range(0));
  for (auto _ : state) {
    const Memory memory = runs(count);
    require(memory.size() == count);
  }
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(count));
}
BENCHMARK(BM_FindRun)->Arg(256)->Arg(10'000)->Arg(1'000'000);
BENCHMARK(BM_FindRegion)->Arg(256)->Arg(10'000)->Arg(1'000'000);
BENCHMARK(BM_SequentialRuns)->Arg(256)->Arg(1'000'000);
BENCHMARK(BM_OpenRuns)->Arg(100'000)->Arg(1'000'000)->Unit(benchmark::kMillisecond);

// Pages of a file of 64 MiB that the page cache has.

constexpr std::uint64_t kFileSize = 64 * kMiB;

mapping::File page_file() {
  std::vector<std::byte> content(kFileSize);
  for (std::uint64_t at = 0; at < kFileSize; at += kPageSize) {
    std::memcpy(content.data() + at, &at, sizeof at);
  }
  const test::TempFile file(content);
  return mapping::File::open(file.path()).value();
}

template <ReadableRegion R>
void read_pages(benchmark::State& state, const R& region, bool shuffled) {
  const auto memory = RegionCollection<R>::from({region}).value();
  std::vector<std::uint64_t> pages(kFileSize / kPageSize);
  std::iota(pages.begin(), pages.end(), 0);
  if (shuffled) std::shuffle(pages.begin(), pages.end(), std::mt19937_64(1));
  std::vector<std::byte> to(kPageSize);
  for (const std::uint64_t page : pages) {
    require(memory.read(PhysAddr(page * kPageSize), to).complete());
    require(load<std::uint64_t>(to, 0) == page * kPageSize);
  }
  std::size_t i = 0;
  for (auto _ : state) {
    benchmark::DoNotOptimize(memory.read(PhysAddr(pages[i] * kPageSize), to));
    if (++i == pages.size()) i = 0;
  }
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(kPageSize));
}

void BM_FilePages(benchmark::State& state, FaultPolicy faults, bool shuffled) {
  RegionOptions options;
  options.faults = faults;
  const Range range = Range::make(PhysAddr(0), kFileSize).value();
  read_pages(state,
             ReadOnlyMappedRegion::from_file(range, {page_file(), FileOffset()}, options).value(),
             shuffled);
}
void BM_StreamPages(benchmark::State& state, bool shuffled) {
  const Range range = Range::make(PhysAddr(0), kFileSize).value();
  read_pages(state, StreamRegion<>::make(range, {page_file(), FileOffset()}).value(), shuffled);
}
BENCHMARK_CAPTURE(BM_FilePages, guarded_random, FaultPolicy::guarded, true);
BENCHMARK_CAPTURE(BM_FilePages, trusted_random, FaultPolicy::trusted, true);
BENCHMARK_CAPTURE(BM_FilePages, syscall_random, FaultPolicy::syscall, true);
BENCHMARK_CAPTURE(BM_StreamPages, random, true);
BENCHMARK_CAPTURE(BM_FilePages, guarded_linear, FaultPolicy::guarded, false);
BENCHMARK_CAPTURE(BM_FilePages, trusted_linear, FaultPolicy::trusted, false);
BENCHMARK_CAPTURE(BM_FilePages, syscall_linear, FaultPolicy::syscall, false);
BENCHMARK_CAPTURE(BM_StreamPages, linear, false);

}  // namespace

BENCHMARK_MAIN();
