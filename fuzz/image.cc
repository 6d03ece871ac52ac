// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0

// Image files of arbitrary content: what is opened keeps the promises of its headers, and every
// byte that it says to have can be read.
//
// Input: a file. It is opened twice: as it is, and continued with zeros up to the size at which
// whatever is of no known format counts as a raw image.

#include "image/image.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <string>

namespace {

using namespace engram;
using guest::Backing;

constexpr std::size_t kSmallestRaw = kMiB;

void require(bool condition) {
  if (!condition) std::abort();
}

/// A file in memory that has a path.
class MemoryFile {
 public:
  MemoryFile(std::span<const std::uint8_t> content, std::size_t size)
      : descriptor_(::memfd_create("engram_fuzz_image", MFD_CLOEXEC)) {
    require(descriptor_ >= 0);
    require(::ftruncate(descriptor_, static_cast<off_t>(size)) == 0);
    require(::pwrite(descriptor_, content.data(), content.size(), 0) == std::ssize(content));
  }
  MemoryFile(const MemoryFile&) = delete;
  MemoryFile& operator=(const MemoryFile&) = delete;
  ~MemoryFile() { ::close(descriptor_); }

  [[nodiscard]] std::string path() const { return "/proc/self/fd/" + std::to_string(descriptor_); }

 private:
  int descriptor_;
};

void check_range(const image::Image& image, const image::Range& range) {
  require(range.size > 0 && range.stored <= range.size && range.readable <= range.stored);
  require(range.start.value + (range.size - 1) >= range.start.value);
  require(range.readable == range.stored || image.truncated());
  const guest::Region* const region = image.memory().find(range.start);
  if (region != nullptr && region->backing == Backing::source) return;  // compressed
  require(range.readable <= image.file_size());
  require(range.readable == 0 || range.offset.value <= image.file_size() - range.readable);
}

/// The bytes of `region` from `from` on, as many as fit in a page: all are there or none. Pages of
/// a compressed image may turn out to be damaged.
void check_read(const image::Image& image, const guest::Region& region, PhysAddr from) {
  std::array<std::byte, kPageSize> page = {};
  const std::uint64_t left = region.last() - from;  // besides the first byte
  const auto bytes = std::span(page).first(std::min<std::uint64_t>(left, kPageSize - 1) + 1);
  const guest::Transfer outcome = image.memory().read(from, bytes);
  if (region.backing == Backing::unreadable) {
    require(outcome.count == 0 && outcome.stop == guest::MemoryErrc::source_truncated);
    return;
  }
  if (region.backing == Backing::source && !outcome.complete()) {
    require(outcome.count < bytes.size());
    require(outcome.stop == guest::MemoryErrc::source_truncated ||
            outcome.stop == guest::MemoryErrc::not_present);
    return;
  }
  require(outcome.complete() && outcome.count == bytes.size());
  if (region.backing == Backing::zero) {
    require(std::all_of(bytes.begin(), bytes.end(), [](std::byte b) { return b == std::byte{}; }));
  }
  if (left >= 7) require(image.memory().load_word(from) == load<std::uint64_t>(bytes, 0));
}

void check_memory(const image::Image& image) {
  const auto regions = image.memory().regions();
  require(!regions.empty());
  std::uint64_t present = 0;
  for (std::size_t i = 0; i < regions.size(); ++i) {
    const guest::Region& region = regions[i];
    require(region.size > 0 && region.last() >= region.start);
    require(i == 0 || regions[i - 1].last() < region.start);
    require(image.memory().find(region.start) == &region);
    require(image.memory().find(region.last()) == &region);
    check_read(image, region, region.start);
    check_read(image, region, region.start + region.size / 2);
    check_read(image, region, region.last());
    if (region.backing != Backing::unreadable) present += region.size;
  }
  require(image.memory().present_bytes() == present);
}

void check_facts(const image::Image& image) {
  const image::Facts& facts = image.facts();
  require(!facts.vmcoreinfo || facts.vmcoreinfo->size() <= image.file_size());
  for (std::size_t i = 0; i < facts.cpus.size(); ++i) {
    const image::CpuRegisters& cpu = facts.cpus[i];
    require(cpu.cpu == i);
    if (image.format() == "dmp") {
      require(cpu.source == "DMP");
    } else if (image.format() == "vmware") {
      require(cpu.source == "VMware");
    } else {
      require((cpu.source == "PRSTATUS") == !cpu.control);
      require(!cpu.control || cpu.source == "QEMU" || cpu.source == "VirtualBox");
    }
  }
  for (const image::Notice& notice : image.notices()) require(!notice.text.empty());
}

void open(std::span<const std::uint8_t> content, std::size_t size) {
  const MemoryFile file(content, size);
  const auto image = image::Image::open(file.path());
  if (!image) {
    require(image.error().text.size() > file.path().size());
    return;
  }
  require(image->file_size() == size);
  for (const image::Range& range : image->ranges()) check_range(*image, range);
  check_memory(*image);
  check_facts(*image);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  open({data, size}, size);
  if (size < kSmallestRaw) open({data, size}, kSmallestRaw);
  return 0;
}
