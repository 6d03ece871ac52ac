// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "kernel/windows/debugger_data.h"

#include <algorithm>
#include <array>
#include <bit>
#include <span>
#include <unordered_set>

#include "base/interruption.h"
#include "kernel/windows/windows_map.h"

namespace engram::kernel::windows {
namespace {

constexpr std::uint32_t kTag = 0x4742444B;  // "KDBG"
constexpr std::size_t kTagAt = 0x10;
// 0x208 was the size in Windows XP, 0x380 is that of Windows 10 and 11.
constexpr std::uint32_t kSmallest = 0x208, kLargest = 0x400;
constexpr std::size_t kWord = sizeof(std::uint64_t);
constexpr std::uint64_t kLargestImage = 64 * kMiB;
// Of places that look like a block from afar. A kernel has hardly any but the block; each costs
// some 10 us, and a hostile image can have millions.
constexpr std::size_t kMostTries = 4096;

/// The part of a word that is a pointer.
std::uint64_t pointer_mask(const paging::AddressSpace& space) {
  return pointer_size(space.mode()) == 4 ? 0xFFFF'FFFF : ~std::uint64_t{0};
}

std::uint64_t tag_and_size(std::uint32_t size) {
  return std::uint64_t{size} << 32 | kTag;
}

/// How a word w was encoded, as far as matters for decoding: it is swap(rotate(w)) ^ mask. The
/// kernel computes swap(rotate(w ^ KiWaitNever, KiWaitNever) ^ address) ^ KiWaitAlways, in which
/// all that does not depend on w is one mask. So two words whose plain values are known (tag and
/// size; the address of the kernel) give the rotation, by what differs between them, and the mask.
struct Code {
  int rotation = 0;
  std::uint64_t mask = 0;

  [[nodiscard]] std::uint64_t decode(std::uint64_t word) const {
    return __builtin_bswap64(std::rotl(word, rotation)) ^ mask;
  }
};

/// The code under which `tag_word` becomes tag and size, and `base_word` the kernel's address.
std::optional<Code> find_code(std::uint64_t tag_word, std::uint64_t base_word, VirtAddr base,
                              std::uint32_t& size) {
  for (size = kSmallest; size <= kLargest; size += kWord) {
    const std::uint64_t difference = tag_and_size(size) ^ base.value;
    for (int rotation = 0; rotation < 64; ++rotation) {
      const Code code{rotation, 0};
      if (code.decode(tag_word ^ base_word) != difference) continue;
      return Code{rotation, code.decode(tag_word) ^ tag_and_size(size)};
    }
  }
  return std::nullopt;
}

/// Whether the pointers that every kernel has in its block are such.
bool is_plausible(Bytes block, std::uint64_t mask) {
  const auto is_pointer = [&](std::size_t at) {
    const auto value = load<std::uint64_t>(block, at);
    return value && is_kernel_address(*value & mask, mask >> 32U == 0 ? 4 : 8);
  };
  return is_pointer(DebuggerData::kKernBase) && is_pointer(DebuggerData::kPsLoadedModuleList) &&
         is_pointer(DebuggerData::kPsActiveProcessHead);
}

/// The kernel image with zeros where it cannot be read.
std::vector<std::byte> copy_of(const paging::AddressSpace& space, const ProgramImage& kernel) {
  std::vector<std::byte> bytes(static_cast<std::size_t>(
      align_up(std::min<std::uint64_t>(kernel.size, kLargestImage), kPageSize)));
  for (std::size_t at = 0; at < bytes.size(); at += kPageSize) {
    const auto page = std::span(bytes).subspan(at, kPageSize);
    if (!space.read(kernel.base + at, page).complete())
      std::fill(page.begin(), page.end(), std::byte{0});
  }
  return bytes;
}

/// What the words of tag and base differ by in every block that may be at this base.
std::unordered_set<std::uint64_t> possible_differences(VirtAddr base) {
  std::unordered_set<std::uint64_t> all;
  for (std::uint32_t size = kSmallest; size <= kLargest; size += kWord) {
    const std::uint64_t swapped = __builtin_bswap64(tag_and_size(size) ^ base.value);
    for (int rotation = 0; rotation < 64; ++rotation) all.insert(std::rotr(swapped, rotation));
  }
  return all;
}

}  // namespace

Result<DebuggerData> DebuggerData::read(const paging::AddressSpace& space, VirtAddr address,
                                        std::optional<VirtAddr> kernel_base) {
  std::array<std::uint64_t, 4> head;
  if (const auto read = space.read_exact(address, std::as_writable_bytes(std::span(head))); !read) {
    return fail("KDBG at {:#x}: {}", address.value, paging::to_string(read.error()));
  }
  auto size = static_cast<std::uint32_t>(head[2] >> 32);
  const bool plain = static_cast<std::uint32_t>(head[2]) == kTag;
  std::optional<Code> code;
  const std::uint64_t mask = pointer_mask(space);
  if (!plain && kernel_base && mask == ~std::uint64_t{0})
    code = find_code(head[2], head[3], *kernel_base, size);
  if (!plain && !code) {
    return fail("KDBG at {:#x}: {:#x} stands where its tag should be, and it is not encoded",
                address.value, head[2]);
  }
  if (size % kWord != 0 || size < kSmallest || size > kLargest) {
    return fail("KDBG at {:#x}: it has {:#x} bytes, {:#x} to {:#x} expected", address.value, size,
                kSmallest, kLargest);
  }
  std::vector<std::byte> block(size);
  if (const auto read = space.read_exact(address, block); !read) {
    return fail("KDBG at {:#x}: {}", address.value, paging::to_string(read.error()));
  }
  for (std::size_t at = 0; code && at < block.size(); at += kWord) {
    const auto word = code->decode(load_unaligned<std::uint64_t>(block.data() + at));
    std::memcpy(block.data() + at, &word, sizeof word);
  }
  if (!is_plausible(block, mask)) {
    return fail("KDBG at {:#x}: its lists do not lie in the kernel's memory", address.value);
  }
  return DebuggerData(address, std::move(block), !plain, mask);
}

std::optional<DebuggerData> DebuggerData::find(const paging::AddressSpace& space,
                                               const ProgramImage& kernel) {
  const std::vector<std::byte> image = copy_of(space, kernel);
  const auto differences = possible_differences(kernel.base);
  std::size_t tries = 0;
  for (std::size_t at = 0; at + kSmallest <= image.size() && tries < kMostTries; at += kWord) {
    if (at % kPageSize == 0) end_if_interrupted();
    const auto tag = load_unaligned<std::uint64_t>(image.data() + at + kTagAt);
    const auto base = load_unaligned<std::uint64_t>(image.data() + at + kKernBase);
    const bool plain = static_cast<std::uint32_t>(tag) == kTag &&
                       (base & pointer_mask(space)) == kernel.base.value;
    if (!plain && !differences.contains(tag ^ base)) continue;
    ++tries;
    if (auto found = read(space, kernel.base + at, kernel.base)) return std::move(*found);
  }
  return std::nullopt;
}

}  // namespace engram::kernel::windows
