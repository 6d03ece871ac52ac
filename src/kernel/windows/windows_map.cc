// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "kernel/windows/windows_map.h"

#include <fmt/core.h>

#include <array>

#include "kernel/windows/unicode.h"

namespace engram::kernel::windows {
namespace {

using paging::AddressSpace;
using paging::Mode;

// The kernel half of the address space: nt lies between these (since Windows 7 at least); on 32-bit
// machines, with the /3GB switch as without.
constexpr VirtAddr kKernelFirst{0xFFFF'F800'0000'0000}, kKernelLast{0xFFFF'FFFF'FFFF'FFFF};
constexpr VirtAddr kKernelFirst32{0x8000'0000}, kKernelLast32{0xFFFF'FFFF};
constexpr std::uint64_t kSmallestKernel = 64 * kKiB;
// Of mapped memory that is searched for the kernel image: tables may map a page any number of
// times.
constexpr std::uint64_t kMostPages = 16 * kGiB / kPageSize;
constexpr std::uint64_t kEntrySize = 8;
constexpr std::uint64_t kSharedDataSlot = 0x1EF;  // of the root: the slot of SharedData::kAddress
constexpr std::uint64_t kAddressMask = 0x000f'ffff'ffff'f000ULL;
constexpr std::uint64_t kPresent = 1;
constexpr std::uint32_t kNewestMajor = 10;

/// KSYSTEM_TIME: the low half, the high half, and that again.
std::uint64_t system_time(Bytes page, std::uint64_t at) {
  return std::uint64_t{*load<std::uint32_t>(page, at + 4)} << 32 | *load<std::uint32_t>(page, at);
}

/// Whether the page at the root that is mapped in this slot of the root is the root itself. Windows
/// maps its page tables in this way, and processors need a root that does so for nothing.
bool maps_itself(const guest::Memory& memory, PhysAddr root) {
  std::array<std::uint64_t, 256> kernel_half;
  if (!memory
           .read(root + kernel_half.size() * kEntrySize,
                 std::as_writable_bytes(std::span(kernel_half)))
           .complete()) {
    return false;
  }
  for (const std::uint64_t entry : kernel_half) {
    if ((entry & kPresent) != 0 && (entry & kAddressMask) == root.value) return true;
  }
  return false;
}

std::optional<PhysAddr> search_root(const guest::Memory& memory, const Mode& mode, PhysAddr last) {
  if (mode.architecture != Architecture::x86_64) return std::nullopt;
  for (const guest::Region& region : memory.regions()) {
    if (!region.is_stored()) continue;
    const std::uint64_t before = -region.start.value & kPageMask;
    for (std::uint64_t offset = before; offset < region.size; offset += kPageSize) {
      const PhysAddr frame = region.start + offset;
      if (frame > last) return std::nullopt;
      const auto word = memory.load_word(frame + kSharedDataSlot * kEntrySize);
      if (!word || (*word & kPresent) == 0 || !maps_itself(memory, frame)) continue;
      if (read_shared_data(AddressSpace(memory, mode, frame, false))) return frame;
    }
  }
  return std::nullopt;
}

bool is_kernel_name(const std::string& pdb) {
  return pdb.starts_with("ntkrnl") || pdb.starts_with("ntoskrnl");
}

/// The image whose symbols are in a file with a name that kernels have.
std::optional<ProgramImage> search_kernel(const AddressSpace& space) {
  std::optional<ProgramImage> found;
  std::uint64_t left = kMostPages;
  const auto visit = [&](const paging::Mapping& mapping) {
    for (std::uint64_t at = 0; at < mapping.size && !found && left > 0; at += kPageSize, --left) {
      auto image = read_program_image(space, mapping.start + at);
      if (image && image->pdb && is_kernel_name(image->pdb->name)) found = std::move(image);
    }
    return !found && left > 0;
  };
  const bool is_32_bit = pointer_size(space.mode()) == 4;
  (void)space.for_each_mapping(is_32_bit ? kKernelFirst32 : kKernelFirst,
                               is_32_bit ? kKernelLast32 : kKernelLast, visit);
  return found;
}

/// The first driver in the list that the crash header names is the kernel itself.
std::optional<ProgramImage> listed_kernel(const AddressSpace& space, VirtAddr list) {
  constexpr std::uint64_t kDllBase = 6;  // pointers stand before it
  const auto first = load_pointer(space, list);
  const auto base = first ? load_pointer(space, *first + kDllBase * pointer_size(space.mode()))
                          : Result<VirtAddr, paging::Fault>(VirtAddr(0));
  if (!base || !*base) return std::nullopt;
  auto image = read_program_image(space, *base);
  return image && image->size >= kSmallestKernel ? image : std::nullopt;
}

struct Candidate {
  PhysAddr root;
  std::string how;
  bool is_named = true;
};

std::vector<Candidate> named_roots(const image::Facts& facts) {
  std::vector<Candidate> all;
  if (facts.crash && facts.crash->directory_table_base)
    all.push_back(
        {PhysAddr(*facts.crash->directory_table_base), "DirectoryTableBase of the crash header"});
  for (const auto& cpu : facts.cpus) {
    if (!cpu.control || cpu.source == "DMP") continue;
    all.push_back(
        {PhysAddr(cpu.control->cr3), fmt::format("CR3 of CPU {} ({} note)", cpu.cpu, cpu.source)});
  }
  return all;
}

/// Whether the space leads to something that only Windows has.
bool is_windows(const AddressSpace& space, const image::Facts& facts) {
  if (read_shared_data(space)) return true;
  if (!facts.crash || !facts.crash->loaded_modules) return false;
  return listed_kernel(space, *facts.crash->loaded_modules).has_value();
}

std::optional<Candidate> find_root(const image::Image& image, const Mode& mode,
                                   Diagnostics& diagnostics, Search search) {
  const auto& memory = image.memory();
  for (auto& candidate : named_roots(image.facts())) {
    const AddressSpace space(memory, mode, candidate.root, false);
    candidate.root = space.root();  // without flags
    if (is_windows(space, image.facts())) return std::move(candidate);
    if (search == Search::quick) continue;
    const auto shared = space.translate(SharedData::address(mode));
    diagnostics.add(
        Level::warning, "windows",
        fmt::format("{}: root {:#x} does not lead to KUSER_SHARED_DATA: {}", candidate.how,
                    candidate.root.value,
                    shared ? "what is there is another page" : paging::to_string(shared.error())));
  }
  const PhysAddr last(search == Search::quick ? 16 * kMiB - 1 : ~std::uint64_t{0});
  const auto found = search_root(memory, mode, last);
  if (!found) return std::nullopt;
  return Candidate{*found, "search: a root that maps itself and KUSER_SHARED_DATA", false};
}

}  // namespace

Mode windows_mode(const image::Facts& facts) {
  constexpr unsigned kPae = 3, kNoPae = 2;
  switch (facts.architecture) {
    case Architecture::x86:
      return {Architecture::x86,
              facts.crash && facts.crash->pae == std::optional(false) ? kNoPae : kPae,
              paging::Software::windows};
    case Architecture::arm64:
      return {Architecture::arm64, 4, paging::Software::windows};
    case Architecture::x86_64:
    case Architecture::unknown:
      break;
  }
  return {Architecture::x86_64, 4, paging::Software::windows};
}

Result<VirtAddr, paging::Fault> load_pointer(const AddressSpace& space, VirtAddr at) {
  if (pointer_size(space.mode()) == 4) {
    ENGRAM_TRY(const auto value, space.load<std::uint32_t>(at));
    return VirtAddr(value);
  }
  ENGRAM_TRY(const auto value, space.load<std::uint64_t>(at));
  return VirtAddr(value);
}

std::optional<SharedData> read_shared_data(const AddressSpace& space) {
  constexpr std::size_t kUsed = 0x400, kRootAt = 0x30, kRootSize = 520;
  std::array<std::byte, kUsed> page;
  if (!space.read(SharedData::address(space.mode()), page).complete()) return std::nullopt;
  SharedData data;
  data.interrupt_time = system_time(page, 0x08);
  data.system_time = system_time(page, 0x14);
  data.build = *load<std::uint32_t>(page, 0x260) & 0xFFFF;
  data.product_type = *load<std::uint32_t>(page, 0x264);
  data.major_version = *load<std::uint32_t>(page, 0x26C);
  data.minor_version = *load<std::uint32_t>(page, 0x270);
  data.suite_mask = *load<std::uint32_t>(page, 0x2D0);
  data.system_root = to_utf8(*slice(page, kRootAt, kRootSize));
  data.system_root.resize(std::min(data.system_root.find('\0'), data.system_root.size()));
  const bool is_path =
      data.system_root.size() >= 3 && data.system_root[1] == ':' && data.system_root[2] == '\\';
  if (!is_path || data.major_version < 5 || data.major_version > kNewestMajor) return std::nullopt;
  return data;
}

Result<WindowsMap> find_windows_map(const image::Image& image, Diagnostics& diagnostics,
                                    Search search) {
  const auto& facts = image.facts();
  const Mode mode = windows_mode(facts);
  const auto candidate = find_root(image, mode, diagnostics, search);
  if (!candidate) {
    return fail(
        "windows: no root of page tables leads to KUSER_SHARED_DATA at {:#x} ({} tried by "
        "name{})",
        SharedData::address(mode).value, named_roots(facts).size(),
        mode.architecture == Architecture::x86_64
            ? ", then each page"
            : fmt::format("; on {} none is searched", to_string(mode.architecture)));
  }
  WindowsMap map{candidate->root,     mode,         candidate->how,
                 candidate->is_named, std::nullopt, std::nullopt};
  const AddressSpace space(image.memory(), mode, map.root);
  map.shared = read_shared_data(space);
  if (facts.crash && facts.crash->loaded_modules)
    map.kernel = listed_kernel(space, *facts.crash->loaded_modules);
  if (!map.kernel) map.kernel = search_kernel(space);
  return map;
}

}  // namespace engram::kernel::windows
