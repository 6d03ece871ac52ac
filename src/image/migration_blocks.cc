// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "image/migration_blocks.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <string_view>

#include "image/live.h"
#include "image/migration_layout.h"

namespace engram::image::migration {
namespace {

// QEMU, hw/arm/virt.c, base_memmap: RAM begins at 1 GiB.
constexpr PhysAddr kVirtRam(kGiB);

// The RAM behind the window of the graphics card is seen in system management mode only.
constexpr PhysAddr kVgaWindow(0xA0000);
constexpr PhysAddr kVgaWindowEnd(0xC0000);

bool contains(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

/// Without the path that older machine types put before the name of a memory backend.
std::string_view short_name(std::string_view name) {
  constexpr std::string_view kPath = "/objects/";
  if (name.substr(0, kPath.size()) == kPath) name.remove_prefix(kPath.size());
  return name;
}

/// N of "ram-nodeN", as libvirt names the memory of NUMA nodes.
std::optional<unsigned> node_of(const Block& block) {
  constexpr std::string_view kNode = "ram-node";
  const std::string_view name = short_name(block.name);
  if (name.substr(0, kNode.size()) != kNode) return std::nullopt;
  unsigned number = 0;
  const auto [end, error] =
      std::from_chars(name.data() + kNode.size(), name.data() + name.size(), number);
  if (error != std::errc() || end != name.data() + name.size()) return std::nullopt;
  return number;
}

void add_ram(Stream& stream, Block& block) {
  if (block.size > ~std::uint64_t{0} - stream.ram_size) return;
  block.ram_begin = stream.ram_size;
  stream.ram_size += align_down(block.size, kPageSize);
}

/// The first bytes of a device's state; nothing if it is not there whole.
std::optional<std::vector<std::byte>> state_of(const FileView& file, const Stream& stream,
                                               std::string_view name, std::uint64_t size) {
  const auto found = std::find_if(stream.devices.begin(), stream.devices.end(),
                                  [&](const Device& device) { return device.name == name; });
  if (found == stream.devices.end() || found->size < size) return std::nullopt;
  auto bytes = file.copy(found->at, size);
  if (bytes.size() < size) return std::nullopt;
  return bytes;
}

/// How much RAM the CMOS says to lie below 4 GiB; nothing if it does not account for all RAM.
std::optional<std::uint64_t> below_4g_of_cmos(const FileView& file, const Stream& stream) {
  const auto cmos = state_of(file, stream, "mc146818rtc", kCmosSize);
  if (!cmos) return std::nullopt;
  const auto at = [&](std::size_t index) { return std::to_integer<std::uint64_t>((*cmos)[index]); };
  constexpr std::uint64_t kUnit = 64 * kKiB;
  const std::uint64_t below = (at(kCmosAbove16M) | at(kCmosAbove16M + 1) << 8U) * kUnit + 16 * kMiB;
  const std::uint64_t above =
      (at(kCmosAbove4G) | at(kCmosAbove4G + 1) << 8U | at(kCmosAbove4G + 2) << 16U) * kUnit;
  if (below > kAboveHole || below + above != stream.ram_size) return std::nullopt;
  return below;
}

void add_place(Layout& layout, PhysAddr start, std::uint64_t size, std::uint64_t ram) {
  if (size != 0) layout.places.push_back({start, size, ram});
}

void split(Layout& layout, std::uint64_t ram_size, std::uint64_t below_4g) {
  const std::uint64_t low = std::min(ram_size, below_4g);
  layout.below_4g = low;
  add_place(layout, PhysAddr(0), std::min(low, kVgaWindow.value), 0);
  if (low > kVgaWindowEnd.value) {
    add_place(layout, kVgaWindowEnd, low - kVgaWindowEnd.value, kVgaWindowEnd.value);
  }
  add_place(layout, PhysAddr(kAboveHole), ram_size - low, low);
}

}  // namespace

bool is_of_device(const Block& block) {
  const auto has = [&](std::string_view part) { return contains(block.name, part); };
  return has("vram") || has("rom") || has("bios") || has("flash") || has("/rom@") || has("vga");
}

void choose_ram(Stream& stream) {
  for (Block& block : stream.blocks) {
    if (short_name(block.name) == "pc.ram") return add_ram(stream, block);
  }
  std::vector<Block*> nodes;
  Block* largest = nullptr;
  for (Block& block : stream.blocks) {
    if (node_of(block)) nodes.push_back(&block);
    if (is_of_device(block)) continue;
    if (largest == nullptr || block.size > largest->size) largest = &block;
  }
  std::sort(nodes.begin(), nodes.end(),
            [](const Block* a, const Block* b) { return node_of(*a) < node_of(*b); });
  for (Block* node : nodes) add_ram(stream, *node);
  if (!nodes.empty() || largest == nullptr) return;
  add_ram(stream, *largest);
  stream.ram_assumption = fmt::format(
      "no block is called pc.ram or ram-nodeN: \"{}\", the largest one that is no device's, is "
      "taken for the machine's RAM",
      largest->name);
}

Layout layout_of(const FileView& file, const Stream& stream, const std::string& machine) {
  Layout layout;
  if (machine.substr(0, 5) == "virt-") {
    add_place(layout, kVirtRam, stream.ram_size, 0);
    layout.source = "machine virt of arm64";
    return layout;
  }
  if (const auto below = below_4g_of_cmos(file, stream)) {
    split(layout, stream.ram_size, *below);
    layout.source = "the machine's CMOS";
    return layout;
  }
  const auto layouts = live_layouts(stream.ram_size);
  auto chosen = std::find_if(layouts.begin(), layouts.end(), [&](const LiveLayout& known) {
    return contains(known.machine, contains(machine, "q35") ? "q35" : "i440FX");
  });
  if (chosen == layouts.end()) chosen = layouts.begin();
  split(layout, stream.ram_size, chosen->below_4g);
  layout.source = chosen->machine;
  layout.is_assumed = layouts.size() > 1;
  return layout;
}

}  // namespace engram::image::migration
