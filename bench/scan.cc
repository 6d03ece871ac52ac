// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
// The searches of last resort: what they look for lies at the end of 512 MiB without notes. Beside
// them what the host takes to add up all words of that memory, and to touch a word of each page.
#include <benchmark/benchmark.h>

#include <cstdlib>
#include <numeric>
#include <random>
#include <thread>

#include "base/test_file.h"
#include "image/image.h"
#include "kernel/linux/kernel_map.h"
#include "kernel/windows/windows_map.h"
#include "paging/test_memory.h"
#include "types/btf_finder.h"
#include "types/test_btf.h"

namespace {

using namespace engram;
using namespace engram::paging::testing;

void require(bool right) {
  if (!right) std::abort();
}

constexpr std::uint64_t kSize = 512 * kMiB;
constexpr std::uint64_t kFirst = 2 * kMiB;  // of what fills the memory
constexpr std::uint64_t kLast = 64 * kKiB;  // from here to the end there are only finds
constexpr PhysAddr kLinuxRoot{kSize - kPageSize}, kWindowsRoot{kSize - 2 * kPageSize};
constexpr PhysAddr kBtf{kSize - kLast}, kKernelText{8 * kMiB};

/// A word as memory has them: zero, a small number, a pointer to the direct map, four letters
/// twice, anything.
std::uint64_t some_word(std::uint64_t kind, std::uint64_t random) {
  switch (kind) {
    case 0:
      return 0;
    case 1:
      return random & 0xFF;
    case 2:
      return 0xffff888000000000 | (random & 0x1FFF'FFF8);
    case 3:
      return 0x6f6f6f6f'20202020 | (random & 0x0F0F0F0F'0F0F0F0F);
    default:
      return random;
  }
}

void plant_linux(TestMemory& memory) {
  for (std::uint64_t at = 0; at < 16 * kMiB; at += 2 * kMiB) {
    memory.map(kLinuxRoot, 4, VirtAddr(0xffffffff81000000) + at, kKernelText + at, 2 * kMiB,
               at == 0 ? kP : kP | kRw | kXd);
  }
}

void plant_windows(TestMemory& memory) {
  const PhysAddr shared = kWindowsRoot - kPageSize;
  memory.map(kWindowsRoot, 4, kernel::windows::SharedData::kAddress, shared, kPageSize, kP | kXd);
  memory.put(kWindowsRoot + std::uint64_t{0x1ED} * 8, kWindowsRoot.value | kP | kRw);
  memory.put(shared + 0x30, 0x0057'005C'003A'0043);  // C:\W
  memory.put(shared + 0x268, std::uint64_t{10} << 32U);
}

class Fixture {
 public:
  Fixture() {
    TestMemory memory(kSize);
    std::mt19937_64 random(1);
    for (std::uint64_t page = kFirst; page < kSize - kLast; page += kPageSize) {
      const std::uint64_t kinds = random();
      for (std::uint64_t at = 0; at < kPageSize; at += 8) {
        const std::uint64_t word = random();
        memory.put(PhysAddr(page + at), some_word((kinds >> (word >> 61U) * 3) % 6, word));
      }
    }
    plant_linux(memory);
    plant_windows(memory);
    const auto blob = types::testing::every_kind().bytes();
    require(blob.size() < kLast - 8 * kPageSize);
    std::copy(blob.begin(), blob.end(), memory.at(kBtf));
    least_btf = blob.size();
    for (std::uint64_t at = 0; at < kSize; at += 8) sum += memory.get(PhysAddr(at));
    file.emplace(Bytes(memory.at({}), kSize));
    image.emplace(image::Image::open(file->path()).value());
    require(image->memory().present_bytes() == kSize);
  }

  std::optional<engram::test::TempFile> file;
  std::optional<image::Image> image;
  std::uint64_t sum = 0;
  std::size_t least_btf = 0;
};

const Fixture& fixture() {
  static const Fixture one;
  return one;
}

/// Adds up every `step`th word, on all processors.
std::uint64_t sum_words(const std::byte* bytes, std::uint64_t step) {
  const std::uint64_t threads = std::max(1U, std::thread::hardware_concurrency());
  std::vector<std::uint64_t> sums(threads);
  std::vector<std::jthread> running;
  for (std::uint64_t i = 0; i < threads; ++i) {
    running.emplace_back([&sums, bytes, step, threads, i] {
      std::uint64_t sum = 0;
      const std::uint64_t last = align_down(kSize / threads * (i + 1), kPageSize);
      for (std::uint64_t at = align_down(kSize / threads * i, kPageSize); at < last; at += step) {
        sum += load_unaligned<std::uint64_t>(bytes + at);
      }
      sums[i] = sum;
    });
  }
  running.clear();
  return std::accumulate(sums.begin(), sums.end(), std::uint64_t{0});
}

/// What the search must find is checked each time.
template <class Search>
void run(benchmark::State& state, Search search) {
  const image::Image& image = *fixture().image;
  for (auto _ : state) require(search(image));
  state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations() * kSize));
}

void BM_Sum(benchmark::State& state) {
  run(state, [](const image::Image& image) {
    return sum_words(image.memory().regions().front().host(), 8) == fixture().sum;
  });
}
void BM_TouchPages(benchmark::State& state) {
  run(state, [](const image::Image& image) {
    return sum_words(image.memory().regions().front().host(), kPageSize) != 0;
  });
}
void BM_LinuxRoot(benchmark::State& state) {
  run(state, [](const image::Image& image) {
    PhysAddr root;
    Diagnostics diagnostics;
    kernel::for_each_kernel_map(image, diagnostics, [&](const kernel::KernelMap& map) {
      root = map.root;
      return true;
    });
    return root == kLinuxRoot;
  });
}
void BM_WindowsRoot(benchmark::State& state) {
  run(state, [](const image::Image& image) {
    Diagnostics diagnostics;
    const auto map =
        kernel::windows::find_windows_map(image, diagnostics, kernel::windows::Search::all);
    return map && map->root == kWindowsRoot;
  });
}
void BM_Btf(benchmark::State& state) {
  run(state, [](const image::Image& image) {
    const auto blobs = types::find_btf(image.memory(), fixture().least_btf);
    return blobs.size() == 1 && blobs.front().address == kBtf.value;
  });
}
BENCHMARK(BM_Sum)->UseRealTime()->Unit(benchmark::kMillisecond);
BENCHMARK(BM_TouchPages)->UseRealTime()->Unit(benchmark::kMillisecond);
BENCHMARK(BM_LinuxRoot)->UseRealTime()->Unit(benchmark::kMillisecond);
BENCHMARK(BM_WindowsRoot)->UseRealTime()->Unit(benchmark::kMillisecond);
BENCHMARK(BM_Btf)->UseRealTime()->Unit(benchmark::kMillisecond);

}  // namespace

BENCHMARK_MAIN();
