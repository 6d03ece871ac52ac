// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0

// Page tables of arbitrary content, of every format: translations, listings, reads and searches
// agree with each other and end.
//
// Input: a Header, then Records: each writes one entry into a small physical memory of zeros.

#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "paging/address_space.h"
#include "paging/scan.h"

namespace {

using namespace engram;

struct [[gnu::packed]] Header {
  std::uint8_t mode;  // an index into kModes, modulo their number
  std::uint8_t root_frame;
  std::uint16_t read_size;
  std::uint64_t address;  // translated, read, and the start of the listing
  std::uint64_t listed;   // bytes to list
};
static_assert(sizeof(Header) == 20);

struct [[gnu::packed]] Record {
  std::uint16_t place;  // frame and index, modulo the size of the memory
  std::uint64_t entry;
};
static_assert(sizeof(Record) == 10);

// The first two stand where their numbers of levels stood when the corpus began.
const std::array kModes{
    paging::Mode{Architecture::x86_64, 4},
    paging::Mode{Architecture::x86_64, 5},
    paging::Mode{Architecture::x86_64, 4, paging::Software::windows},
    paging::Mode{Architecture::x86, 2},
    paging::Mode{Architecture::x86, 3},
    paging::Mode{Architecture::x86, 2, paging::Software::windows},
    paging::Mode{Architecture::x86, 3, paging::Software::windows},
    paging::Mode{Architecture::arm64, 4, paging::Software::windows},
    paging::arm64_mode(12, 39),
    paging::arm64_mode(12, 48),
    paging::arm64_mode(12, 52),
    paging::arm64_mode(14, 47),
    paging::arm64_mode(14, 52),
    paging::arm64_mode(16, 42),
    paging::arm64_mode(16, 52),
    paging::Mode{Architecture::x86_64, 4, paging::Software::linux_kernel},
    paging::Mode{Architecture::x86_64, 5, paging::Software::linux_kernel},
};

constexpr std::size_t kFrames = 32;
constexpr std::size_t kWords = kFrames * kPageSize / sizeof(std::uint64_t);
constexpr std::size_t kMappingLimit = 4096;
constexpr std::uint64_t kScanLimit = kMiB;

void check(bool condition) {
  if (!condition) std::abort();
}

/// The frames, then one that the image file is cut before; nothing else.
guest::Memory make_memory(const std::array<std::uint64_t, kWords>& words) {
  const auto* host = reinterpret_cast<const std::byte*>(words.data());
  return guest::Memory::create(
             {{PhysAddr(0), sizeof words, guest::Backing::host, host},
              {PhysAddr(sizeof words), kPageSize, guest::Backing::unreadable, nullptr}},
             nullptr)
      .value();
}

using Found = Result<paging::Translation, paging::Fault>;

void check_same(const Found& a, const Found& b) {
  check(a.has_value() == b.has_value());
  if (a) {
    check(a->physical == b->physical && a->page_size == b->page_size && a->access == b->access);
  } else {
    check(to_string(a.error()) == to_string(b.error()));
  }
}

void check_translations(const paging::AddressSpace& cached, VirtAddr address) {
  const Found found = cached.translate(address);
  check_same(found, cached.translate(address));
  check_same(found, walk(cached.memory(), cached.mode(), cached.root(), address));
}

std::vector<paging::Mapping> check_listing(const paging::AddressSpace& space, VirtAddr first,
                                           VirtAddr last) {
  std::vector<paging::Mapping> mappings;
  space.for_each_mapping(first, last, [&](const paging::Mapping& mapping) {
    const VirtAddr end = mapping.start + (mapping.size - 1);
    check(mapping.size != 0 && first <= mapping.start && mapping.start <= end && end <= last);
    if (!mappings.empty())
      check(mappings.back().start + (mappings.back().size - 1) < mapping.start);
    for (const VirtAddr at : {mapping.start, end}) {
      const Found found = space.translate(at);
      check(found && found->physical == mapping.physical + (at - mapping.start) &&
            found->page_size == mapping.page_size && found->access == mapping.access);
    }
    mappings.push_back(mapping);
    return mappings.size() < kMappingLimit;
  });
  return mappings;
}

void check_read(const paging::AddressSpace& space, VirtAddr from, std::size_t size) {
  std::vector<std::byte> bytes(size);
  const auto outcome = space.read(from, bytes);
  check(outcome.complete() ? outcome.count == size : outcome.count < size);
  if (outcome.fault) check(outcome.fault->address == from + outcome.count);
  const auto word = space.load<std::uint64_t>(from);
  if (size >= sizeof *word) check(word.has_value() == (outcome.count >= sizeof *word));
  if (word && size >= sizeof *word) check(std::memcmp(&*word, bytes.data(), sizeof *word) == 0);
  const auto text = space.load_text(from, size);
  if (text) check(text->size() <= size);
}

void check_scan(const paging::AddressSpace& space, const std::vector<paging::Mapping>& mappings) {
  std::uint64_t total = 0;
  for_each_chunk(
      space, mappings, 15,
      [&](VirtAddr at, Bytes bytes) {
        std::byte first{};
        check(space.read(at, {&first, 1}).complete() && first == bytes.front());
        total += bytes.size();
        return total < kScanLimit;
      },
      3 * kPageSize);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Header header;
  if (size < sizeof header) return 0;
  std::memcpy(&header, data, sizeof header);

  static std::array<std::uint64_t, kWords> words;
  words.fill(0);
  for (std::size_t at = sizeof header; size - at >= sizeof(Record); at += sizeof(Record)) {
    Record record;
    std::memcpy(&record, data + at, sizeof record);
    words[record.place % kWords] = record.entry;
  }

  const guest::Memory memory = make_memory(words);
  const paging::Mode mode = kModes[header.mode % kModes.size()];
  const paging::AddressSpace space(memory, mode, PhysAddr(header.root_frame * kPageSize));
  const VirtAddr address(header.address);

  check_translations(space, address);
  const VirtAddr last(checked_add(header.address, std::uint64_t{header.listed}).value_or(~0ULL));
  const auto mappings = check_listing(space, address, last);
  check_read(space, address, header.read_size);
  for (const paging::Mapping& mapping : mappings) {
    check_translations(space, mapping.start);
    check_read(space, mapping.start + mapping.size / 2, 64);
  }
  check_scan(space, mappings);
  if (const Found found = space.translate(address)) {
    const auto root = find_root(memory, mode, address, found->physical,
                                [&](PhysAddr at) { return at == space.root(); });
    check(root == space.root() || memory.find(space.root()) == nullptr);
  }
  return 0;
}
