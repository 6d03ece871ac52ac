// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "paging/scan.h"

#include <fmt/core.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <random>
#include <vector>

#include "mapping/whole_file.h"
#include "paging/test_memory.h"

namespace engram::paging {
namespace {

using testing::TestMemory;

constexpr Mode kFourLevels{Architecture::x86_64, 4};

Mapping mapping(std::uint64_t start, std::uint64_t physical, std::uint64_t size) {
  return {VirtAddr(start), PhysAddr(physical), size, kPageSize, {}};
}

/// Physical memory whose bytes are all random, with holes if `parts` are given.
class Scan : public ::testing::Test {
 protected:
  Scan() {
    std::mt19937 random(3);
    for (std::uint64_t i = 0; i < bytes_.size(); ++i) {
      *bytes_.at(PhysAddr(i)) = static_cast<std::byte>(random());
    }
  }

  /// The chunks, checked: bytes are right, sizes kept, overlap as promised. Keyed by new bytes.
  std::map<std::uint64_t, std::uint64_t> scan(const guest::Memory& memory,
                                              const std::vector<Mapping>& mappings,
                                              std::size_t overlap, std::size_t chunk_size) {
    const AddressSpace space(memory, kFourLevels, PhysAddr(0), false);
    std::map<std::uint64_t, std::uint64_t> fresh;  // start -> end of runs of bytes seen as new
    std::uint64_t end = 0;                         // of the last chunk
    for_each_chunk(
        space, mappings, overlap,
        [&](VirtAddr at, Bytes bytes) {
          EXPECT_LE(bytes.size(), chunk_size);
          const bool goes_on = end != 0 && at.value + overlap == end;
          const std::uint64_t start = goes_on ? end : at.value;
          end = at.value + bytes.size();
          EXPECT_LT(start, end) << "a chunk with nothing new";
          if (!fresh.empty() && fresh.rbegin()->second == start) {
            EXPECT_TRUE(goes_on) << "contiguous, but without overlap";
            fresh.rbegin()->second = end;
          } else {
            fresh[start] = end;
          }
          check_bytes(mappings, at, bytes);
          return true;
        },
        chunk_size);
    return fresh;
  }

  void check_bytes(const std::vector<Mapping>& mappings, VirtAddr at, Bytes bytes) {
    for (const Mapping& part : mappings) {
      for (std::size_t i = 0; i < bytes.size(); ++i) {
        const std::uint64_t offset = at + i - part.start;
        if (offset >= part.size) continue;
        ASSERT_EQ(bytes[i], *bytes_.at(part.physical + offset));
      }
    }
  }

  TestMemory bytes_{32 * kPageSize};
};

using Runs = std::map<std::uint64_t, std::uint64_t>;

TEST_F(Scan, ReadsThroughNeighboursAndStopsAtGaps) {
  const std::vector<Mapping> mappings{mapping(0x10000, 0x4000, 0x2000),
                                      mapping(0x12000, 0x9000, 0x1000),
                                      mapping(0x14000, 0x1000, 0x1000)};
  const guest::Memory memory = bytes_.memory();
  for (const std::size_t overlap : {0U, 1U, 15U, 4000U}) {
    for (const std::size_t chunk : {4096U, 5000U, 0x3000U, 0x3001U, 1U << 20U}) {
      EXPECT_EQ(scan(memory, mappings, overlap, chunk),
                (Runs{{0x10000, 0x13000}, {0x14000, 0x15000}}));
    }
  }
}

TEST_F(Scan, HandsOutFullChunks) {
  const guest::Memory memory = bytes_.memory();
  const AddressSpace space(memory, kFourLevels, PhysAddr(0), false);
  std::vector<std::pair<std::uint64_t, std::size_t>> chunks;
  const std::vector<Mapping> mappings{mapping(0x10000, 0x4000, 0x1000),
                                      mapping(0x11000, 0x9000, 0x1000)};
  for_each_chunk(
      space, mappings, 16,
      [&](VirtAddr at, Bytes bytes) {
        chunks.emplace_back(at.value, bytes.size());
        return true;
      },
      0x1800);
  EXPECT_EQ(chunks, (std::vector<std::pair<std::uint64_t, std::size_t>>{{0x10000, 0x1800},
                                                                        {0x117f0, 0x810}}));
}

TEST_F(Scan, LeavesOutWhatTheImageDoesNotHave) {
  const guest::Memory memory =
      bytes_.memory({{PhysAddr(0x4000), 0x1000},
                     {PhysAddr(0x5000), 0x2000, guest::Backing::unreadable, nullptr},
                     {PhysAddr(0x7000), 0x1000},
                     {PhysAddr(0xa000), 0x800}});
  EXPECT_EQ(scan(memory, {mapping(0x10000, 0x2000, 0x10000)}, 7, 4096),
            (Runs{{0x12000, 0x13000}, {0x15000, 0x16000}, {0x18000, 0x18800}}));
}

TEST_F(Scan, PassesOverHugeHolesAtOnce) {
  // A hostile table may map 2^56 bytes of nothing.
  const guest::Memory memory = bytes_.memory({{PhysAddr(0x4000), 0x1000}});
  EXPECT_EQ(scan(memory, {mapping(0, 0, 1ULL << 56U)}, 7, 4096), (Runs{{0x4000, 0x5000}}));
  const guest::Memory cut =
      bytes_.memory({{PhysAddr(0x4000), 1ULL << 55U, guest::Backing::unreadable, nullptr}});
  EXPECT_EQ(scan(cut, {mapping(0, 0, 1ULL << 56U)}, 7, 4096), Runs{});
}

TEST_F(Scan, GoesOnAfterPagesThatTheFileLost) {
  // Four pages of a file that is cut to one while it is mapped, then a page of ordinary memory.
  const auto path =
      std::filesystem::temp_directory_path() / fmt::format("engram_paging_scan_{}", ::getpid());
  std::ofstream(path) << std::string(4 * kPageSize, 'x');
  const auto file = mapping::map_whole_file(path).value();
  std::filesystem::resize_file(path, kPageSize);
  std::filesystem::remove(path);
  const guest::Memory memory =
      guest::Memory::create(
          {{PhysAddr(0), 4 * kPageSize, guest::Backing::host, file.unsafe_exclusive_bytes().data()},
           {PhysAddr(4 * kPageSize), kPageSize, guest::Backing::host, bytes_.at(PhysAddr(0))}},
          nullptr)
          .value();
  const AddressSpace space(memory, kFourLevels, PhysAddr(0), false);
  const auto runs = [&](const Mapping& part) {
    Runs found;
    const std::vector<Mapping> mappings{part};
    for_each_chunk(space, mappings, 0, [&](VirtAddr at, Bytes bytes) {
      found[at.value] = at.value + bytes.size();
      return true;
    });
    return found;
  };
  EXPECT_EQ(runs(mapping(0x10800, 0x800, 0x4000)), (Runs{{0x10800, 0x11000}, {0x14000, 0x14800}}));
  EXPECT_EQ(runs(mapping(0x11800, 0x1800, 0x3800)), (Runs{{0x14000, 0x15000}}));
}

TEST_F(Scan, MakesRoomBesideALargeOverlap) {
  const guest::Memory memory = bytes_.memory();
  const AddressSpace space(memory, kFourLevels, PhysAddr(0), false);
  const std::vector<Mapping> mappings{mapping(0x10000, 0, 0x8000)};
  std::uint64_t end = 0;
  for_each_chunk(
      space, mappings, 100,
      [&](VirtAddr at, Bytes bytes) {
        EXPECT_LE(bytes.size(), 100 + kPageSize);
        end = at.value + bytes.size();
        return true;
      },
      100);
  EXPECT_EQ(end, 0x18000U);
}

TEST_F(Scan, StopsWhenToldTo) {
  const guest::Memory memory = bytes_.memory();
  const AddressSpace space(memory, kFourLevels, PhysAddr(0), false);
  const std::vector<Mapping> mappings{mapping(0x10000, 0, 0x8000), mapping(0x20000, 0, 0x1000)};
  for (const unsigned wanted : {1U, 2U, 8U, 9U}) {
    unsigned seen = 0;
    for_each_chunk(
        space, mappings, 0, [&](VirtAddr, Bytes) { return ++seen < wanted; }, 0x1000);
    EXPECT_EQ(seen, wanted);
  }
}

}  // namespace
}  // namespace engram::paging
