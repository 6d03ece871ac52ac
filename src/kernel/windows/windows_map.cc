// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "kernel/windows/windows_map.h"

#include <fmt/core.h>

#include <array>
#include <span>

#include "kernel/windows/unicode.h"
#include "paging/self_map.h"

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
// Of memory that is searched for a root: the boot loader puts that of System low; images of other
// machines are not to be read as a whole for each kind of root.
constexpr std::uint64_t kQuick = 16 * kMiB, kMostOfOthers = 4 * kGiB;
constexpr std::uint32_t kNewestMajor = 10;
constexpr unsigned kPaeLevels = 3;

/// KSYSTEM_TIME: the low half, the high half, and that again.
std::uint64_t system_time(Bytes page, std::uint64_t at) {
  return std::uint64_t{*load<std::uint32_t>(page, at + 4)} << 32 | *load<std::uint32_t>(page, at);
}

bool is_kernel_name(const std::string& pdb) {
  return pdb.starts_with("ntkr") || pdb.starts_with("ntoskrnl");  // ntkrpamp: with PAE
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
  const auto first = space.load_pointer(list);
  const auto base = first ? space.load_pointer(*first + kDllBase * pointer_size(space.mode()))
                          : Result<VirtAddr, paging::Fault>(VirtAddr(0));
  if (!base || !*base) return std::nullopt;
  auto image = read_program_image(space, *base);
  return image && image->size >= kSmallestKernel ? image : std::nullopt;
}

/// Whether the space leads to KUSER_SHARED_DATA of the machine that its mode is for: tables of
/// arm64 can be read as those of x86-64, and the other way round. Where the page does not say
/// it, the header of the kernel image does.
bool is_of_machine(const AddressSpace& space) {
  const auto shared = read_shared_data(space);
  if (!shared) return false;
  const std::uint16_t machine = machine_of(space.mode().architecture);
  if (shared->first_machine != 0)
    return shared->first_machine <= machine && machine <= shared->last_machine;
  const auto kernel = search_kernel(space);
  return !kernel || kernel->machine == machine;
}

struct Candidate {
  PhysAddr root;
  std::string how;
  bool is_named = true;
  Mode mode = {};
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

std::optional<Candidate> named_root(const image::Image& image, const Mode& mode,
                                    Diagnostics& diagnostics) {
  const auto& facts = image.facts();
  for (auto& candidate : named_roots(facts)) {
    const AddressSpace space(image.memory(), mode, candidate.root, false);
    candidate.root = space.root();  // without flags
    candidate.mode = mode;
    if (is_windows(space, facts)) return std::move(candidate);
    if (!facts.crash) continue;  // it need not be Windows
    const auto shared = space.translate(SharedData::address(mode));
    diagnostics.add(
        Level::warning, "windows",
        fmt::format("{}: root {:#x} does not lead to KUSER_SHARED_DATA: {}", candidate.how,
                    candidate.root.value,
                    shared ? "what is there is another page" : paging::to_string(shared.error())));
  }
  return std::nullopt;
}

std::optional<Candidate> find_root(const image::Image& image, std::span<const Mode> modes,
                                   Diagnostics& diagnostics, Search search) {
  std::vector<paging::SelfMapped> kinds;
  for (const Mode& mode : modes) {
    if (auto named = named_root(image, mode, diagnostics)) return named;
    const bool is_usual = mode.architecture == Architecture::x86_64;
    const std::uint64_t most = search == Search::quick ? kQuick
                               : is_usual              ? ~std::uint64_t{0}
                                                       : kMostOfOthers;
    kinds.push_back({mode, SharedData::address(mode), most});
  }
  const auto is_right = [&](const paging::FoundRoot& found) {
    return is_of_machine(AddressSpace(image.memory(), found.mode, found.root, false));
  };
  const auto found = paging::find_self_mapped_root(image.memory(), kinds, is_right);
  if (!found) return std::nullopt;
  return Candidate{found->root, "search: a root that maps itself and KUSER_SHARED_DATA", false,
                   found->mode};
}

std::string to_string(const Mode& mode) {
  if (mode.architecture != Architecture::x86)
    return std::string(engram::to_string(mode.architecture));
  return mode.levels == kPaeLevels ? "x86 with PAE" : "x86 without PAE";
}

/// What was looked for: each kind of root with the address that it must lead to.
std::string wanted(std::span<const Mode> modes) {
  std::string text;
  for (const Mode& mode : modes) {
    text += fmt::format("{}{} at {:#x}", text.empty() ? "" : ", ", to_string(mode),
                        SharedData::address(mode).value);
  }
  return text;
}

}  // namespace

std::vector<Mode> windows_modes(const image::Facts& facts) {
  constexpr unsigned kLevels = 4, kNoPaeLevels = 2;
  constexpr auto kSoftware = paging::Software::windows;
  const Mode usual{Architecture::x86_64, kLevels, kSoftware};
  const Mode arm64{Architecture::arm64, kLevels, kSoftware};
  const Mode pae{Architecture::x86, kPaeLevels, kSoftware};
  const Mode narrow{Architecture::x86, kNoPaeLevels, kSoftware};
  switch (facts.architecture) {
    case Architecture::x86:
      if (facts.crash) return {facts.crash->pae == std::optional(false) ? narrow : pae};
      return {pae, narrow};
    case Architecture::arm64:
      return {arm64};
    case Architecture::x86_64:
      if (facts.crash) return {usual};
      return {usual, pae, narrow};  // headers of such a processor stand before 32-bit systems, too
    case Architecture::unknown:
      break;
  }
  return {usual, arm64, pae, narrow};
}

std::uint16_t machine_of(Architecture architecture) {
  switch (architecture) {
    case Architecture::x86:
      return image::kMachineI386;
    case Architecture::arm64:
      return image::kMachineArm64;
    case Architecture::x86_64:
    case Architecture::unknown:
      break;
  }
  return image::kMachineAmd64;
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
  data.first_machine = *load<std::uint16_t>(page, 0x2C);  // ImageNumberLow, ImageNumberHigh
  data.last_machine = *load<std::uint16_t>(page, 0x2E);
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
  const auto modes = windows_modes(facts);
  const auto candidate = find_root(image, modes, diagnostics, search);
  if (!candidate) {
    return fail(
        "windows: no root of page tables leads to KUSER_SHARED_DATA (looked for: {}; {} tried by "
        "name, then each page of {})",
        wanted(modes), named_roots(facts).size(),
        search == Search::quick ? "the first 16 MiB" : "memory, of others than x86_64 up to 4 GiB");
  }
  const Mode mode = candidate->mode;
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
