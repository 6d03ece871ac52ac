// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "kernel/windows/modules.h"

#include <fmt/core.h>

#include "kernel/linux/containers.h"
#include "kernel/windows/processes.h"
#include "kernel/windows/unicode.h"

namespace engram::kernel::windows {
namespace {

constexpr std::size_t kMostModules = 1U << 16U;

// LDR_DATA_TABLE_ENTRY and KLDR_DATA_TABLE_ENTRY: these members are the same in both, and the same
// in all versions (winternl.h; public symbols).
struct EntryLayout {
  Field<VirtAddr> base, entry_point;
  Field<std::uint32_t> size;
  std::uint64_t path, name;
  bool is_64_bit;
};

const EntryLayout& entry64() {
  static const EntryLayout layout{{"LDR_DATA_TABLE_ENTRY.DllBase", 0x30},
                                  {"LDR_DATA_TABLE_ENTRY.EntryPoint", 0x38},
                                  {"LDR_DATA_TABLE_ENTRY.SizeOfImage", 0x40},
                                  0x48,
                                  0x58,
                                  true};
  return layout;
}
const EntryLayout& entry32() {
  static const EntryLayout layout{{"LDR_DATA_TABLE_ENTRY32.DllBase", 0x18, 4},
                                  {"LDR_DATA_TABLE_ENTRY32.EntryPoint", 0x1C, 4},
                                  {"LDR_DATA_TABLE_ENTRY32.SizeOfImage", 0x20},
                                  0x24,
                                  0x2C,
                                  false};
  return layout;
}

const Field<VirtAddr> kLdr{"PEB.Ldr", 0x18};
constexpr std::uint64_t kInLoadOrder = 0x10;
const Field<VirtAddr> kLdr32{"PEB32.Ldr", 0xC, 4};
constexpr std::uint64_t kInLoadOrder32 = 0xC;
const Field<std::uint16_t> kLoadCount32{"KLDR_DATA_TABLE_ENTRY.LoadCount", 0x38};
const Field<std::uint16_t> kLoadCount{"KLDR_DATA_TABLE_ENTRY.LoadCount", 0x6C};
const Field<std::uint32_t> kUserTimestamp{"LDR_DATA_TABLE_ENTRY.TimeDateStamp", 0x80};
const Field<std::uint32_t> kUserTimestamp32{"LDR_DATA_TABLE_ENTRY.TimeDateStamp", 0x44};

// MmUnloadedDrivers: an array of 50 (MI_UNLOADED_DRIVERS); MmLastUnloadedDriver counts all that
// were ever unloaded, modulo 50.
constexpr std::size_t kUnloadedCount = 50;
struct [[gnu::packed]] UnloadedEntry {
  std::uint16_t length, maximum_length;
  std::uint32_t padding;
  std::uint64_t buffer, start, end, time;
};
static_assert(sizeof(UnloadedEntry) == 0x28);
struct [[gnu::packed]] UnloadedEntry32 {
  std::uint16_t length, maximum_length;
  std::uint32_t buffer, start, end;
  std::uint64_t time;
};
static_assert(sizeof(UnloadedEntry32) == 0x18);

LoadedModule read_module(const Reader& reader, VirtAddr entry, const EntryLayout& at) {
  LoadedModule module;
  module.address = entry;
  module.is_wow64 = !at.is_64_bit;
  module.base = reader.get(entry, at.base);
  module.entry_point = reader.get(entry, at.entry_point);
  module.size = reader.get(entry, at.size);
  module.path =
      unicode_string(reader, entry + at.path, "LDR_DATA_TABLE_ENTRY.FullDllName", at.is_64_bit);
  module.name =
      unicode_string(reader, entry + at.name, "LDR_DATA_TABLE_ENTRY.BaseDllName", at.is_64_bit);
  return module;
}

/// What MmUnloadedDrivers leads to, up to an entry that cannot be read.
template <class Entry>
std::vector<UnloadedDriver> read_unloaded(const Reader& reader, VirtAddr table) {
  std::vector<UnloadedDriver> drivers;
  for (std::size_t i = 0; i < kUnloadedCount; ++i) {
    const VirtAddr at = table + i * sizeof(Entry);
    const auto entry = reader.space().load<Entry>(at);
    if (!entry) {
      reader.report("MmUnloadedDrivers", at, paging::to_string(entry.error()));
      break;
    }
    if (entry->start == 0 && entry->length == 0) continue;
    drivers.push_back({at,
                       unicode_string(reader, at, "MmUnloadedDrivers.Name",
                                      sizeof(Entry) == sizeof(UnloadedEntry)),
                       VirtAddr(entry->start), VirtAddr(entry->end), entry->time});
  }
  return drivers;
}

}  // namespace

std::vector<LoadedModule> drivers_of(const image::TriageDump& dump) {
  std::vector<LoadedModule> modules;
  for (const auto& driver : dump.drivers) {
    LoadedModule module;
    module.base = driver.base;
    module.entry_point = driver.entry_point;
    module.size = driver.size;
    module.name = to_utf8(driver.name);
    module.timestamp = driver.timestamp;
    modules.push_back(std::move(module));
  }
  return modules;
}

std::vector<UnloadedDriver> unloaded_drivers_of(const image::TriageDump& dump) {
  std::vector<UnloadedDriver> drivers;
  for (const auto& driver : dump.unloaded_drivers) {
    drivers.push_back({std::nullopt, to_utf8(driver.name), driver.start, driver.end, std::nullopt});
  }
  return drivers;
}

Result<std::vector<LoadedModule>> Modules::drivers() const {
  ENGRAM_TRY(const auto head, kernel_.module_head());
  const Reader& reader = kernel_.reader();
  if (const auto first = reader.space().load_pointer(head); !first)
    return fail("drivers: PsLoadedModuleList: {}", paging::to_string(first.error()));
  const auto structures = kernel_.structures();
  const EntryLayout& at = kernel_.is_64_bit() ? entry64() : entry32();
  const auto& count_at = kernel_.is_64_bit() ? kLoadCount : kLoadCount32;
  std::vector<LoadedModule> modules;
  for (const VirtAddr entry : walk_list(reader, head, 0, "PsLoadedModuleList", kMostModules)) {
    auto module = read_module(reader, entry, at);
    module.is_wow64 = false;
    module.load_count = reader.get(entry, count_at);
    if (structures) module.timestamp = reader.get(entry, (*structures)->driver_timestamp);
    modules.push_back(std::move(module));
  }
  return modules;
}

std::vector<LoadedModule> Modules::of(VirtAddr process) const {
  std::vector<LoadedModule> modules;
  const auto& processes = kernel_.processes();
  const auto root = processes.root(process);
  const auto peb = processes.peb(process);
  if (!root || !peb) return modules;
  const paging::AddressSpace space = kernel_.space_at(*root);
  const Reader reader(space, kernel_.reader().diagnostics(), kernel_.reader().is_live());
  const bool is_64_bit = kernel_.is_64_bit();
  if (const auto ldr = reader.follow(*peb, is_64_bit ? kLdr : kLdr32)) {
    for (const VirtAddr entry :
         walk_list(reader, *ldr + (is_64_bit ? kInLoadOrder : kInLoadOrder32), 0,
                   "PEB_LDR_DATA.InLoadOrderModuleList", kMostModules)) {
      modules.push_back(read_module(reader, entry, is_64_bit ? entry64() : entry32()));
      modules.back().is_wow64 = false;
      modules.back().timestamp = reader.get(entry, is_64_bit ? kUserTimestamp : kUserTimestamp32);
    }
  }
  const auto peb32 = processes.peb32(process);
  if (const auto ldr = peb32 ? reader.follow(*peb32, kLdr32) : std::nullopt) {
    for (const VirtAddr entry : walk_list(reader.narrow(), *ldr + kInLoadOrder32, 0,
                                          "PEB_LDR_DATA32.InLoadOrderModuleList", kMostModules)) {
      modules.push_back(read_module(reader, entry, entry32()));
    }
  }
  for (auto& module : modules) module.process = process;
  return modules;
}

Result<std::vector<UnloadedDriver>> Modules::unloaded() const {
  const auto& block = kernel_.debugger_data();
  const auto variable = block ? block->pointer(DebuggerData::kMmUnloadedDrivers) : std::nullopt;
  if (!variable) {
    return fail("unloaded_drivers: KDBG, which says where they are, was not found");
  }
  const Reader& reader = kernel_.reader();
  const auto table = reader.space().load_pointer(*variable);
  if (!table) {
    return fail("unloaded_drivers: MmUnloadedDrivers: {}", paging::to_string(table.error()));
  }
  if (!*table) return std::vector<UnloadedDriver>();  // none was ever unloaded
  return kernel_.is_64_bit() ? read_unloaded<UnloadedEntry>(reader, *table)
                             : read_unloaded<UnloadedEntry32>(reader, *table);
}

}  // namespace engram::kernel::windows
