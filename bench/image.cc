// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
// Images of 64 GB, most of it holes of a sparse file: opening, random pages, memory. Scans of
// images of each format, packed ones too, beside the copy or the decompressor alone.
#include <benchmark/benchmark.h>
#include <fcntl.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <fstream>
#include <random>
#include <string>

#include "guest/scan.h"
#include "image/image.h"
#include "image/packed_format.h"
#include "image/test_dmp.h"
#include "image/test_packed.h"
#include "mapping/whole_file.h"

namespace {

using namespace engram;
using namespace engram::image;
namespace dumps = engram::image::test;

void require(bool right) {
  if (!right) std::abort();
}

constexpr std::uint64_t kPages = 1U << 24U;  // of 64 GiB
constexpr std::uint64_t kInRun = 8;          // pages; so many absent ones follow
constexpr std::uint64_t kRuns = kPages / (2 * kInRun);

/// A Windows crash dump whose pages are holes, but for some that begin with their number.
class Dump {
 public:
  static constexpr std::uint64_t kMarked = 4096;

  /// The pages begin at `first` in the file.
  Dump(const dumps::Buffer& head, std::uint64_t first, std::uint64_t pages)
      : file_(head), first_(first), pages_(pages) {
    require(file_.cut(first + pages * kPageSize));
    const int fd = ::open(file_.path().c_str(), O_WRONLY | O_CLOEXEC);
    std::mt19937_64 random(1);
    for (std::uint64_t i = 0; i < kMarked; ++i) {
      const std::uint64_t number = marked_.emplace_back(random() % pages);
      const auto at = static_cast<off_t>(first + number * kPageSize);
      require(::pwrite(fd, &number, sizeof number, at) == sizeof number);
    }
    ::close(fd);
  }

  [[nodiscard]] const std::string& path() const { return file_.path(); }
  [[nodiscard]] std::uint64_t pages() const { return pages_; }
  /// Numbers of pages in the order of the file.
  [[nodiscard]] const std::vector<std::uint64_t>& marked() const { return marked_; }

 private:
  dumps::TempFile file_;
  std::uint64_t first_, pages_;
  std::vector<std::uint64_t> marked_;
};

/// Type 5, a million runs.
Dump bitmap_dump() {
  constexpr std::size_t kBitmap = dumps::kDmpHeader + 0x38;
  constexpr std::uint64_t kStored = kPages / 2;
  const std::uint64_t first = align_up(kBitmap + kPages / 8, kPageSize);
  dumps::Buffer head = dumps::dmp_header64(5, first + kStored * kPageSize);
  head.resize(static_cast<std::size_t>(first));
  dumps::put(head, dumps::kDmpHeader, 0x504D4446U);
  dumps::put(head, dumps::kDmpHeader + 4, 0x504D5544U);
  dumps::put(head, dumps::kDmpHeader + 0x20, first);
  dumps::put(head, dumps::kDmpHeader + 0x28, kStored);
  dumps::put(head, dumps::kDmpHeader + 0x30, kPages);
  static_assert(kInRun == 8);  // a byte of the bitmap
  for (std::uint64_t i = 0; i < kPages / 8; i += 2) head[kBitmap + i] = std::byte{0xFF};
  return {head, first, kStored};
}

/// Type 1, two runs with the hole below 4 GiB between them.
Dump full_dump() {
  constexpr std::uint64_t kBelow = 3 * kGiB / kPageSize;
  dumps::Buffer head = dumps::dmp_full({});
  dumps::put(head, 0x88, 2U);
  dumps::put(head, 0x90, kPages);
  const std::array<std::uint64_t, 4> runs = {0, kBelow, 4 * kGiB / kPageSize, kPages - kBelow};
  for (std::size_t i = 0; i < runs.size(); ++i) dumps::put(head, 0x98 + i * 8, runs[i]);
  return {head, dumps::kDmpHeader, kPages};
}

enum Kind : std::int64_t { bitmap, full };

const Dump& dump(std::int64_t kind) {
  static const Dump kBitmap = bitmap_dump();
  static const Dump kFull = full_dump();
  return kind == bitmap ? kBitmap : kFull;
}

/// Where the page with this number in the file lies.
PhysAddr address_of(std::int64_t kind, std::uint64_t number) {
  constexpr std::uint64_t kBelow = 3 * kGiB / kPageSize;
  if (kind == bitmap) return PhysAddr((number / kInRun * 2 * kInRun + number % kInRun) * kPageSize);
  return PhysAddr((number < kBelow ? number : number + kGiB / kPageSize) * kPageSize);
}

/// Bytes of this process that are no file's.
std::uint64_t own_memory() {
  std::ifstream status("/proc/self/status");
  for (std::string word; status >> word;) {
    std::uint64_t size = 0;
    if (word == "RssAnon:" && status >> size) return size * kKiB;
  }
  std::abort();
}

void BM_Open(benchmark::State& state) {
  const Dump& file = dump(state.range(0));
  const std::uint64_t runs = state.range(0) == bitmap ? kRuns : 2;
  std::uint64_t memory = 0;
  {
    const std::uint64_t before = own_memory();
    const auto image = Image::open(file.path());
    memory = own_memory() - before;
    require(image && image->ranges().size() == runs && image->memory().size() == runs &&
            image->memory().present_bytes() == file.pages() * kPageSize);
  }
  for (auto _ : state) {
    const auto image = Image::open(file.path());
    benchmark::DoNotOptimize(image->memory().size());
  }
  state.counters["runs"] = static_cast<double>(runs);
  state.counters["bytes_per_run"] = static_cast<double>(memory) / static_cast<double>(runs);
}
BENCHMARK(BM_Open)->Arg(bitmap)->Arg(full)->Unit(benchmark::kMillisecond);

void BM_RandomPage(benchmark::State& state) {
  const Dump& file = dump(state.range(0));
  const auto image = Image::open(file.path());
  require(image.has_value());
  dumps::Buffer page(kPageSize);
  std::vector<PhysAddr> addresses;
  for (const std::uint64_t number : file.marked()) {
    addresses.push_back(address_of(state.range(0), number));
    require(image->memory().read(addresses.back(), page).complete());
    require(load<std::uint64_t>(page, 0) == number);
  }
  std::size_t i = 0;
  for (auto _ : state) {
    const PhysAddr at = addresses[i++ * 2654435761U % addresses.size()];
    benchmark::DoNotOptimize(image->memory().read(at, page).count);
  }
}
BENCHMARK(BM_RandomPage)->Arg(bitmap)->Arg(full);

/// The same look-ups and bytes without an image: what the host's memory takes.
void BM_RandomPageByMemcpy(benchmark::State& state) {
  const Dump& file = dump(state.range(0));
  const auto mapped = mapping::map_whole_file(file.path());
  require(mapped.has_value());
  const Bytes bytes = mapped->unsafe_exclusive_bytes();
  const Bytes pages = bytes.last(static_cast<std::size_t>(file.pages() * kPageSize));
  dumps::Buffer page(kPageSize);
  const auto copy = [&](std::uint64_t number) {
    std::memcpy(page.data(), pages.data() + number * kPageSize, kPageSize);
  };
  for (const std::uint64_t number : file.marked()) {
    copy(number);
    require(load<std::uint64_t>(page, 0) == number);
  }
  std::size_t i = 0;
  for (auto _ : state) {
    copy(file.marked()[i++ * 2654435761U % file.marked().size()]);
    benchmark::ClobberMemory();
  }
}
BENCHMARK(BM_RandomPageByMemcpy)->Arg(bitmap)->Arg(full);

constexpr std::size_t kScanned = 128 * kMiB;

/// Half of it zeros, a quarter that packs well, a quarter that does not.
const dumps::Buffer& memory_bytes() {
  static const dumps::Buffer kBytes = [] {
    dumps::Buffer bytes(kScanned);
    std::mt19937_64 random(2);
    for (std::size_t at = 0; at < kScanned; at += 8) {
      const std::size_t kind = at / (64 * kKiB) % 4;
      if (kind < 2) continue;
      const std::uint64_t word = kind == 2 ? at / 64 : random();
      std::memcpy(bytes.data() + at, &word, sizeof word);
    }
    return bytes;
  }();
  return kBytes;
}

struct Packing {
  const char* name;
  dumps::Buffer (*pack)(Bytes bytes);
};
constexpr Packing kPackings[] = {
    {"raw", [](Bytes bytes) { return dumps::Buffer(bytes.begin(), bytes.end()); }},
    {"lime",
     [](Bytes bytes) {
       dumps::Buffer head;
       dumps::append_lime_header(head, 0, bytes.size() - 1);
       dumps::Buffer file(head.size() + bytes.size());
       std::memcpy(file.data(), head.data(), head.size());
       std::memcpy(file.data() + head.size(), bytes.data(), bytes.size());
       return file;
     }},
    {"gzip", [](Bytes bytes) { return dumps::gzip_member(bytes); }},
    {"bgzf", [](Bytes bytes) { return dumps::bgzf(bytes); }},
    {"xz, 4 MiB blocks", [](Bytes bytes) { return dumps::xz(bytes, 4 * kMiB); }},
    {"zstd", dumps::zstd_frame},
    {"zstd, 4 MiB frames", [](Bytes bytes) { return dumps::zstd_frames(bytes, 4 * kMiB); }},
};

void scan(const guest::Memory& memory) {
  std::uint64_t seen = 0;
  bool equal = true;
  guest::for_each_chunk(
      memory, PhysAddr(0), PhysAddr(kScanned - 1), 0, [&](PhysAddr at, Bytes bytes) {
        // One word of each chunk: a comparison would cost as much as the scan.
        equal = equal && load<std::uint64_t>(bytes, bytes.size() / 2) ==
                             load<std::uint64_t>(memory_bytes(), at.value + bytes.size() / 2);
        seen += bytes.size();
        return true;
      });
  require(equal && seen == kScanned);
}

/// An image that is in the page cache: opened, and read from one end to the other.
void BM_OpenAndScan(benchmark::State& state) {
  const Packing& packing = kPackings[state.range(0)];
  const dumps::TempFile file(packing.pack(memory_bytes()));
  for (auto _ : state) {
    const auto image = Image::open(file.path());
    require(image.has_value());
    scan(image->memory());
  }
  state.SetBytesProcessed(static_cast<std::int64_t>(kScanned) * state.iterations());
  state.SetLabel(packing.name);
}
BENCHMARK(BM_OpenAndScan)->DenseRange(0, 6)->UseRealTime()->Unit(benchmark::kMillisecond);

void BM_ScanAgain(benchmark::State& state) {
  const Packing& packing = kPackings[state.range(0)];
  const dumps::TempFile file(packing.pack(memory_bytes()));
  const auto image = Image::open(file.path());
  require(image.has_value());
  scan(image->memory());
  for (auto _ : state) scan(image->memory());
  state.SetBytesProcessed(static_cast<std::int64_t>(kScanned) * state.iterations());
  state.SetLabel(packing.name);
}
BENCHMARK(BM_ScanAgain)->Arg(0)->Arg(3)->Arg(4)->UseRealTime()->Unit(benchmark::kMillisecond);

void BM_Memcpy(benchmark::State& state) {
  const dumps::Buffer& bytes = memory_bytes();
  std::vector<std::byte> chunk(256 * kKiB);
  for (auto _ : state) {
    for (std::size_t at = 0; at < bytes.size(); at += chunk.size()) {
      std::memcpy(chunk.data(), bytes.data() + at, chunk.size());
      benchmark::DoNotOptimize(chunk.data());
    }
  }
  require(std::memcmp(chunk.data(), &*(bytes.end() - std::ssize(chunk)), chunk.size()) == 0);
  state.SetBytesProcessed(static_cast<std::int64_t>(kScanned) * state.iterations());
}
BENCHMARK(BM_Memcpy)->UseRealTime()->Unit(benchmark::kMillisecond);

/// One thread, to a buffer that stays in the processor's cache.
void BM_DecompressorAlone(benchmark::State& state) {
  const Packing& packing = kPackings[state.range(0)];
  const dumps::Buffer file = packing.pack(memory_bytes());
  const PackedFormat* const format = packed_format_of(file);
  std::vector<std::byte> out(256 * kKiB);
  for (auto _ : state) {
    const auto decoder = format->stream();
    std::uint64_t written = 0;
    for (Bytes rest = file;;) {
      const auto step = decoder->step(rest, out);
      require(step.state != StreamDecoder::State::damaged);
      rest = rest.subspan(step.read);
      written += step.written;
      if (rest.empty() && step.state == StreamDecoder::State::end) break;
    }
    require(written == kScanned);
  }
  state.SetBytesProcessed(static_cast<std::int64_t>(kScanned) * state.iterations());
  state.SetLabel(packing.name);
}
BENCHMARK(BM_DecompressorAlone)->DenseRange(2, 6)->UseRealTime()->Unit(benchmark::kMillisecond);

}  // namespace

BENCHMARK_MAIN();
