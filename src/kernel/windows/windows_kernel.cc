// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "kernel/windows/windows_kernel.h"

#include <fmt/core.h>

#include "kernel/windows/areas.h"
#include "kernel/windows/handles.h"
#include "kernel/windows/modules.h"
#include "kernel/windows/objects.h"
#include "kernel/windows/processes.h"
#include "kernel/windows/processors.h"
#include "kernel/windows/threads.h"

namespace engram::kernel {
namespace {

using windows::DebuggerData;

constexpr std::uint32_t kWindows7Build = 7601;

/// The header's, else that of KUSER_SHARED_DATA, which has one since Windows 10.
std::uint32_t find_build(const image::Facts& facts,
                         const std::optional<windows::SharedData>& shared) {
  constexpr std::uint32_t kBuildBits = 0xFFFF;
  if (facts.crash && facts.crash->build) return *facts.crash->build & kBuildBits;
  if (!shared) return 0;
  if (shared->build != 0) return shared->build;
  return shared->major_version == 6 && shared->minor_version == 1 ? kWindows7Build : 0;
}

}  // namespace

WindowsKernel::WindowsKernel(const image::Image& image, Diagnostics& diagnostics,
                             windows::WindowsMap map)
    : image_(image),
      map_(std::move(map)),
      space_(image.memory(), map_.mode, map_.root),
      reader_(space_, diagnostics, image.is_live()),
      build_(find_build(image.facts(), map_.shared)),
      structures_(fail("windows: not looked for")) {}

WindowsKernel::WindowsKernel(const image::Image& image, Diagnostics& diagnostics,
                             std::uint32_t build, windows::SmallDump small_dump)
    : image_(image),
      small_dump_(std::move(small_dump)),
      map_{PhysAddr(0), {}, "a small dump has no page tables", true, std::nullopt, std::nullopt},
      space_(paging::AddressSpace::of_pieces(small_dump_->memory, Architecture::x86_64)),
      reader_(space_, diagnostics),
      build_(build),
      debugger_data_(small_dump_->debugger_data),
      structures_(small_dump_->structures) {}

WindowsKernel::~WindowsKernel() = default;

Result<std::unique_ptr<WindowsKernel>> WindowsKernel::of_small_dump(
    const image::Image& image, Diagnostics& diagnostics, const types::SymbolFile* symbols) {
  if (image.facts().architecture != Architecture::x86_64) {
    return fail("windows: the structures of {} are not known",
                to_string(image.facts().architecture));
  }
  const std::uint32_t build = find_build(image.facts(), {});
  auto small = windows::read_small_dump(image, diagnostics, build, symbols);
  if (symbols != nullptr && !small.structures)
    diagnostics.add(Level::error, "symbols", small.structures.error().text);
  // As "image" it is said after an answer.
  diagnostics.add(Level::warning, "image",
                  "a small (triage) dump: of all processes and threads it has the one that ran");
  return std::unique_ptr<WindowsKernel>(
      new WindowsKernel(image, diagnostics, build, std::move(small)));
}

Result<void> WindowsKernel::require_whole_memory(std::string_view what) const {
  if (!small_dump_) return {};
  return fail(
      "{}: a small (triage) dump of Windows has no page tables: it has crash_dump, registers, "
      "drivers, unloaded_drivers, and the one process and thread that ran",
      what);
}

Result<std::unique_ptr<WindowsKernel>> WindowsKernel::find(const image::Image& image,
                                                           Diagnostics& diagnostics,
                                                           windows::Search search,
                                                           const types::SymbolFile* symbols) {
  ENGRAM_TRY(auto map, windows::find_windows_map(image, diagnostics, search));
  std::unique_ptr<WindowsKernel> kernel(new WindowsKernel(image, diagnostics, std::move(map)));
  const auto& found = kernel->map_;
  diagnostics.add(Level::info, "windows",
                  fmt::format("root {:#x} ({}, {} levels): {}; build {}", found.root.value,
                              to_string(found.mode.architecture), found.mode.levels, found.how,
                              kernel->build_));
  if (found.kernel) {
    diagnostics.add(
        Level::info, "windows",
        fmt::format("kernel image at {:#x}, {} bytes, symbols {}", found.kernel->base.value,
                    found.kernel->size,
                    found.kernel->pdb ? found.kernel->pdb->name + ' ' + found.kernel->pdb->key()
                                      : "not named"),
        found.kernel->base.value);
  } else {
    diagnostics.add(Level::warning, "windows", "the kernel image was not found");
  }
  kernel->find_debugger_data(diagnostics);
  kernel->find_structures(diagnostics, symbols);
  return kernel;
}

/// Whether the file was made with the kernel of the image. Errors: not; the text names both.
Result<void> WindowsKernel::check(const types::SymbolFile& symbols,
                                  Diagnostics& diagnostics) const {
  if (!symbols.pdb) {
    return fail(
        "{}: it is not of Windows (it names no GUID), and the image holds Windows (build {})",
        symbols.path, build_);
  }
  if (!map_.kernel || !map_.kernel->pdb) {
    diagnostics.add(Level::warning, "symbols",
                    fmt::format("{}: not compared with the kernel, whose GUID is not in the image",
                                symbols.path));
    return {};
  }
  const auto& wanted = *map_.kernel->pdb;
  if (wanted.guid == symbols.pdb->guid && wanted.age == symbols.pdb->age) return {};
  return fail(
      "{}: symbols of {} with GUID {} and age {}, and the kernel of the image has {} with GUID {} "
      "and age {}",
      symbols.path, symbols.pdb->name.empty() ? "a program" : symbols.pdb->name, symbols.pdb->guid,
      symbols.pdb->age, wanted.name, wanted.guid, wanted.age);
}

Result<windows::Structures> WindowsKernel::structures_from(const types::SymbolFile& symbols,
                                                           VirtAddr process_head,
                                                           Diagnostics& diagnostics) const {
  ENGRAM_TRY(auto found,
             windows::read_structures(symbols, diagnostics, space_.mode().architecture, build_));
  if (!windows::is_system_first(space_, process_head, found)) {
    return fail("windows: by {}, the list of processes at {:#x} does not begin with System",
                symbols.path, process_head.value);
  }
  found.object.has_cookie =
      symbols.addresses.contains("ObHeaderCookie") || windows::has_type_cookie(build_);
  diagnostics.add(Level::info, "windows", "structures: " + found.source);
  return found;
}

void WindowsKernel::find_structures(Diagnostics& diagnostics, const types::SymbolFile* symbols) {
  const auto* block = debugger_data_ ? &*debugger_data_ : nullptr;
  const auto checked = symbols != nullptr ? check(*symbols, diagnostics) : Result<void>();
  if (checked) symbols_ = symbols;
  const auto head = process_head();
  if (!checked) {
    structures_ = tl::unexpected(checked.error());
  } else if (!head) {
    structures_ = tl::unexpected(head.error());
  } else if (symbols != nullptr) {
    structures_ = structures_from(*symbols, *head, diagnostics);
  } else {
    structures_ = windows::find_structures(space_, diagnostics, build_, *head, block);
    if (!structures_) {
      auto told = windows::structures_by_content(space_, diagnostics, build_, *head, block);
      if (told) {
        structures_ = std::move(*told);
      } else {
        structures_ = fail("{}; by content: {}", structures_.error().text, told.error().text);
      }
    }
  }
  if (!structures_) {
    diagnostics.add(Level::error, "windows", structures_.error().text);
  } else if (!map_.is_named) {
    take_root_of_system(*head);
  }
}

/// The kernel half is the same under each root, and System has no other half.
void WindowsKernel::take_root_of_system(VirtAddr process_head) {
  const auto first = space_.load_pointer(process_head);
  const VirtAddr system = first.value_or(VirtAddr(0)) - structures_->process_links;
  const auto root = reader_.get(system, structures_->root);
  if (!root) return;
  const paging::AddressSpace space = space_at(PhysAddr(*root));
  if (!windows::read_shared_data(space)) return;
  map_.root = space.root();
  map_.how += ", then DirectoryTableBase of System";
  space_ = space;
}

void WindowsKernel::find_debugger_data(Diagnostics& diagnostics) {
  const auto base = map_.kernel ? std::optional(map_.kernel->base) : std::nullopt;
  const auto& crash = image_.facts().crash;
  if (crash && crash->debugger_data) {
    if (auto named = DebuggerData::read(space_, *crash->debugger_data, base)) {
      debugger_data_ = std::move(*named);
    } else {
      diagnostics.add(Level::warning, "windows", named.error().text, crash->debugger_data->value);
    }
  }
  if (!debugger_data_ && map_.kernel) debugger_data_ = DebuggerData::find(space_, *map_.kernel);
  if (!debugger_data_) {
    diagnostics.add(Level::warning, "windows", "the debugger's block (KDBG) was not found");
    return;
  }
  diagnostics.add(Level::info, "windows",
                  fmt::format("KDBG at {:#x}, {} bytes, {}", debugger_data_->address().value,
                              debugger_data_->size(),
                              debugger_data_->was_encoded() ? "decoded" : "not encoded"),
                  debugger_data_->address().value);
}

paging::AddressSpace WindowsKernel::space_at(PhysAddr root) const {
  return {space_.memory(), space_.mode(), root};
}

std::optional<std::string> WindowsKernel::build_lab() const {
  constexpr std::size_t kLongest = 256;
  const auto text =
      debugger_data_ ? debugger_data_->pointer(DebuggerData::kNtBuildLab) : std::nullopt;
  return text ? reader_.text_at(*text, kLongest, "NtBuildLab") : std::nullopt;
}

std::optional<VirtAddr> WindowsKernel::symbol(const std::string& name) const {
  if (symbols_ == nullptr || !map_.kernel) return std::nullopt;
  const auto found = symbols_->addresses.find(name);
  if (found == symbols_->addresses.end()) return std::nullopt;
  return map_.kernel->base + found->second;
}

Result<VirtAddr> WindowsKernel::process_head() const {
  const auto& crash = image_.facts().crash;
  if (crash && crash->processes) return *crash->processes;
  if (const auto named = symbol("PsActiveProcessHead")) return *named;
  const auto said =
      debugger_data_ ? debugger_data_->pointer(DebuggerData::kPsActiveProcessHead) : std::nullopt;
  if (said) return *said;
  return fail("windows: neither a crash header nor KDBG says where the list of processes begins");
}

Result<VirtAddr> WindowsKernel::module_head() const {
  const auto& crash = image_.facts().crash;
  if (crash && crash->loaded_modules) return *crash->loaded_modules;
  if (const auto named = symbol("PsLoadedModuleList")) return *named;
  const auto said =
      debugger_data_ ? debugger_data_->pointer(DebuggerData::kPsLoadedModuleList) : std::nullopt;
  if (said) return *said;
  return fail("windows: neither a crash header nor KDBG says where the list of drivers begins");
}

Result<const windows::Structures*> WindowsKernel::structures() const {
  if (!structures_) return tl::unexpected(structures_.error());
  return &*structures_;
}

std::optional<std::uint64_t> WindowsKernel::boot_time() const {
  const auto& crash = image_.facts().crash;
  if (crash && crash->system_time && crash->up_time && *crash->up_time <= *crash->system_time)
    return *crash->system_time - *crash->up_time;
  if (!map_.shared || map_.shared->interrupt_time > map_.shared->system_time) return std::nullopt;
  return map_.shared->system_time - map_.shared->interrupt_time;
}

const windows::Processes& WindowsKernel::processes() {
  return processes_.get(*this);
}
const windows::Threads& WindowsKernel::threads() {
  return threads_.get(*this);
}
const windows::Modules& WindowsKernel::modules() {
  return modules_.get(*this);
}
const windows::Areas& WindowsKernel::areas() {
  return areas_.get(*this);
}
const windows::Objects& WindowsKernel::objects() {
  return objects_.get(*this);
}
const windows::Handles& WindowsKernel::handles() {
  return handles_.get(*this);
}
const windows::Processors& WindowsKernel::processors() {
  return processors_.get(*this);
}

}  // namespace engram::kernel
