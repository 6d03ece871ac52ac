// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
// A guest's memory as a virtual-machine monitor builds and uses it: RAM below and above the PCI
// hole, a ring that a device reads, a page that migration finds dirty, a module plugged in while
// the device goes on. Prints what it found; exit code 1 if anything failed.

#include <array>
#include <cstdint>
#include <cstdio>
#include <string>
#include <utility>
#include <vector>

#include "guest/accessor.h"
#include "guest/memory_atomic.h"
#include "guest/ram.h"
#include "mapping/atomic_bitmap.h"
#include "mapping/endian.h"

using namespace engram;
using guest::Range;

/// What the guest's driver puts into a ring: little-endian, whatever the host is.
struct Descriptor {
  mapping::Le64 address;
  mapping::Le32 size;
  mapping::Le16 flags;
  mapping::Le16 next;
};
template <>
inline constexpr bool engram::mapping::enable_pod<Descriptor> = true;

// Tracks which pages were written, as live migration needs it.
using Tracked = mapping::SharedBitmapSlice;
using Memory = guest::MappedMemory<Tracked>;

constexpr PhysAddr kRing(0x1000);
constexpr PhysAddr kAboveHole(4 * kGiB);
constexpr PhysAddr kPlugged(8 * kGiB);

guest::MemoryResult<void> run() {
  ENGRAM_TRY(const Range below, Range::make(PhysAddr(0), 64 * kMiB));
  ENGRAM_TRY(const Range above, Range::make(kAboveHole, 64 * kMiB));
  ENGRAM_TRY(const Memory ram, guest::anonymous_memory<Tracked>({below, above}));
  const guest::MemoryAtomic<Memory> memory(ram);

  // The driver: one descriptor, and the text that it names, which lies across two pages.
  const std::string text = "hello from the guest";
  const PhysAddr buffer = kAboveHole + (kPageSize - 8);
  const Descriptor wanted{
      mapping::Le64(buffer.value), mapping::Le32(static_cast<std::uint32_t>(text.size())), {}, {}};
  ENGRAM_CHECK(ram.write_object(kRing, wanted));
  ENGRAM_CHECK(ram.write_exact(buffer, std::as_bytes(std::span(text))));
  // The index that says so: one store that never tears, after all that it publishes.
  ENGRAM_CHECK((ram.store<std::uint16_t, std::memory_order_release>(kRing + 0x100, 1)));

  // The device: has its own short way to the memory, and takes a new map when there is one.
  guest::SnapshotAccessor<Memory> device(memory);
  ENGRAM_TRY(const auto index,
             (device->load<std::uint16_t, std::memory_order_acquire>(kRing + 0x100)));
  ENGRAM_TRY(const auto descriptor, device->read_object<Descriptor>(kRing));
  std::string found(descriptor.size.to_native(), '\0');
  ENGRAM_CHECK(device->read_exact(PhysAddr(descriptor.address.to_native()),
                                  std::as_writable_bytes(std::span(found))));
  std::printf("%u descriptor: %s\n", unsigned{index}, found.c_str());

  // A read that runs into the hole says how far it came, and why it ended there.
  std::array<std::byte, 16> bytes{};
  const auto moved = ram.read(PhysAddr(64 * kMiB - 4), bytes);
  std::printf("at the hole: %zu bytes, %s\n", moved.count,
              mapping::to_string(moved.error(bytes.size())).c_str());

  // Migration: which pages are to be sent again?
  const auto& region = *ram.find(kAboveHole);
  std::printf("dirty: page 0 %d, page 1 %d, page 2 %d\n", region.dirty().dirty_at(0),
              region.dirty().dirty_at(kPageSize), region.dirty().dirty_at(2 * kPageSize));

  // Hot-plug: a new map replaces the old one; who reads meanwhile has one of the two.
  ENGRAM_TRY(const Range module, Range::make(kPlugged, 16 * kMiB));
  ENGRAM_TRY(auto plugged, guest::MappedRegion<Tracked>::anonymous(module));
  auto update = memory.lock();
  ENGRAM_TRY(Memory next, update->insert(std::move(plugged)));
  std::move(update).replace(std::move(next));
  ENGRAM_CHECK(device->write_object(kPlugged, std::uint64_t{42}));
  ENGRAM_TRY(const auto answer, device->read_object<std::uint64_t>(kPlugged));
  std::printf("plugged in: %llu\n", static_cast<unsigned long long>(answer));
  return {};
}

int main() {
  const auto done = run();
  if (done) return 0;
  std::fprintf(stderr, "%s\n", mapping::to_string(done.error()).c_str());
  return 1;
}
