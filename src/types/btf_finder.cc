// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "types/btf_finder.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <functional>

#include "guest/scan.h"
#include "paging/scan.h"
#include "types/btf_check.h"
#include "types/btf_layout.h"

namespace engram::types {
namespace {

// An image holds a handful of large blobs; only a made-up one comes near these.
constexpr std::size_t kCandidateLimit = 256;
constexpr std::uint64_t kBytesLimit = 256 * kMiB;
// What is read in vain counts, too: hundreds of headers may announce the same bytes.
constexpr std::uint64_t kReadLimit = 4 * kBytesLimit;

constexpr std::size_t kStep = sizeof(std::uint32_t);

/// Offset of the first word from `at` on, in steps of four bytes, that equals kMagicVersionFlags,
/// or the size.
std::size_t find_magic(Bytes chunk, std::size_t at) {
  // Blocks without an early exit within are compiled to vector instructions.
  std::array<std::uint32_t, 32> block;
  for (; chunk.size() - at >= sizeof block; at += sizeof block) {
    std::memcpy(block.data(), chunk.data() + at, sizeof block);
    std::uint32_t hits = 0;
    for (const std::uint32_t word : block) hits += word == btf::kMagicVersionFlags ? 1U : 0U;
    if (hits != 0) break;
  }
  for (; chunk.size() - at >= kStep; at += kStep) {
    if (load_unaligned<std::uint32_t>(chunk.data() + at) == btf::kMagicVersionFlags) return at;
  }
  return chunk.size();
}

/// Collects blobs from chunks of memory, whatever kind of address they have.
class Finder {
 public:
  using Read = std::function<bool(std::uint64_t from, MutableBytes to)>;

  Finder(std::size_t least_size, Read read) : least_size_(least_size), read_(std::move(read)) {}

  /// False once there are enough.
  bool visit(std::uint64_t address) {
    std::array<std::byte, sizeof(btf::Header)> header;
    if (read_(address, header)) consider(address, header);
    return candidates_.size() < kCandidateLimit;
  }

  /// Of all in a chunk. False once there are enough. Chunks overlap by less than a header, so that
  /// none is seen twice.
  bool visit(std::uint64_t address, Bytes chunk) {
    // The linker script leaves BTF behind the ELF notes, at a multiple of 4, in 7.x at the start of
    // a page.
    const std::size_t first = (kStep - address % kStep) % kStep;
    if (first >= chunk.size()) return true;
    for (std::size_t at = find_magic(chunk, first); chunk.size() - at >= sizeof(btf::Header);
         at = find_magic(chunk, at + kStep)) {
      consider(address + at, chunk.subspan(at, sizeof(btf::Header)));
    }
    return candidates_.size() < kCandidateLimit;
  }

  /// Reads what was found, largest first.
  [[nodiscard]] std::vector<BtfBlob> blobs() {
    std::stable_sort(candidates_.begin(), candidates_.end(),
                     [](const Candidate& a, const Candidate& b) { return a.length > b.length; });
    std::vector<BtfBlob> result;
    std::uint64_t left = kBytesLimit;
    std::uint64_t to_read = kReadLimit;
    for (const Candidate& candidate : candidates_) {
      if (candidate.length > std::min(left, to_read)) continue;
      to_read -= candidate.length;
      BtfBlob blob{candidate.address, mapping::BulkVector<std::byte>(candidate.length)};
      if (!read_(blob.address, blob.bytes)) continue;
      if (!btf::find_sections(blob.bytes)) continue;
      left -= candidate.length;
      result.push_back(std::move(blob));
    }
    return result;
  }

 private:
  struct Candidate {
    std::uint64_t address;
    std::uint64_t length;
  };

  void consider(std::uint64_t address, Bytes bytes) {
    const auto length = btf::declared_length(bytes);
    if (!length || *length < least_size_ || !checked_add(address, *length)) return;
    const auto header = load_unaligned<btf::Header>(bytes.data());
    if (header.type_length == 0 || header.string_length == 0) return;
    // Before millions of bytes are read, the two that tell a blob from a header that was left
    // behind.
    const std::uint64_t strings = address + header.header_length + header.string_offset;
    if (!is_nul(strings) || !is_nul(strings + header.string_length - 1)) return;
    candidates_.push_back({address, *length});
  }

  [[nodiscard]] bool is_nul(std::uint64_t address) const {
    std::byte byte{1};
    return read_(address, std::span(&byte, 1)) && byte == std::byte{0};
  }

  std::size_t least_size_;
  Read read_;
  std::vector<Candidate> candidates_;
};

}  // namespace

std::vector<BtfBlob> find_btf(const paging::AddressSpace& space,
                              std::span<const paging::Mapping> image, std::size_t least_size) {
  Finder finder(least_size, [&](std::uint64_t from, MutableBytes to) {
    return space.read(VirtAddr(from), to).complete();
  });
  paging::for_each_chunk(space, image, sizeof(btf::Header) - 1,
                         [&](VirtAddr at, Bytes chunk) { return finder.visit(at.value, chunk); });
  return finder.blobs();
}

std::vector<BtfBlob> find_btf(const guest::Memory& memory, std::size_t least_size) {
  Finder finder(least_size, [&](std::uint64_t from, MutableBytes to) {
    return memory.read(PhysAddr(from), to).complete();
  });
  guest::for_each_word(memory, btf::kMagicVersionFlags,
                       [&](PhysAddr at) { return finder.visit(at.value); });
  return finder.blobs();
}

Result<BtfBlob> read_btf(const paging::AddressSpace& space, VirtAddr start, std::uint64_t limit) {
  const auto read = [&](MutableBytes to) -> Result<void> {
    const auto got = space.read(start, to);
    if (got.complete()) return {};
    return fail("btf: blob at {:#x}: {}, expected {:#x} bytes", start.value,
                paging::to_string(*got.fault), to.size());
  };
  std::array<std::byte, sizeof(btf::Header)> header{};
  ENGRAM_CHECK(read(header));
  const auto length = btf::declared_length(header);
  if (!length) return fail("{} (blob at {:#x})", length.error().text, start.value);
  if (*length > limit) {
    return fail(
        "btf: blob at {:#x}: header, types and strings of {:#x} bytes, expected at most {:#x}",
        start.value, *length, limit);
  }
  BtfBlob blob{start.value, mapping::BulkVector<std::byte>(*length)};
  ENGRAM_CHECK(read(blob.bytes));
  return blob;
}

}  // namespace engram::types
