// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <iterator>

#include "kernel/linux/linux_kernel.h"
#include "kernel/linux/memory_map.h"
#include "tables/table.h"

namespace engram::tables {
namespace {

using kernel::MemoryArea;
using kernel::MemoryMaps;
using kernel::ProcessMemory;
using kernel::Session;

struct Mapping {
  ProcessMemory memory;
  MemoryArea area;
};

const MemoryMaps& maps_of(Session& session) {
  return (*session.linux_kernel())->memory_maps();
}

template <auto member>
Value of_memory(const Mapping& mapping, Session&) {
  return cell(mapping.memory.*member);
}

template <auto member>
Value of_area(const Mapping& mapping, Session&) {
  return cell(mapping.area.*member);
}

template <auto member>
Value read(const Mapping& mapping, Session& session) {
  return cell((maps_of(session).*member)(mapping.area));
}

template <std::uint64_t flag>
Value has_flag(const Mapping& mapping, Session& session) {
  const auto flags = maps_of(session).flags(mapping.area);
  return flags ? cell((*flags & flag) != 0) : Null{};
}

Value page_table(const Mapping& mapping, Session& session) {
  return cell((*session.linux_kernel())->tasks().page_table(mapping.memory.mm));
}

const std::vector<Column<Mapping>>& columns() {
  static const std::vector<Column<Mapping>> list{
      {{"task", Type::pointer,
        "The task_struct of the first thread of the process; of processes that share their memory, "
        "of the one that was there first.",
        false, true},
       of_memory<&ProcessMemory::task>},
      {{"virtual_address", Type::pointer, "The vm_area_struct."}, of_area<&MemoryArea::address>},
      {{"region_start", Type::pointer, "First address, in the address space of page_table."},
       of_area<&MemoryArea::start>},
      {{"region_end", Type::pointer, "The address behind the last one."},
       of_area<&MemoryArea::end>},
      {{"readable", Type::integer, "1 if it may be read; NULL if the area cannot be read."},
       has_flag<MemoryMaps::kRead>},
      {{"writable", Type::integer, "1 if it may be written; NULL as for readable."},
       has_flag<MemoryMaps::kWrite>},
      {{"executable", Type::integer, "1 if it may be executed; NULL as for readable."},
       has_flag<MemoryMaps::kExecute>},
      {{"shared", Type::integer,
        "1 if it was made with MAP_SHARED (`s` in /proc/PID/maps); NULL as for readable."},
       has_flag<MemoryMaps::kMayShare>},
      {{"file_path", Type::text,
        "Mapped file, with mount prefix and ` (deleted)`; shared memory has one, too: `/dev/zero "
        "(deleted)`, `/SYSV...`, `/memfd:...`. NULL if there is none."},
       read<&MemoryMaps::file_path>},
      {{"file_offset", Type::integer,
        "Bytes into the file at region_start; NULL if there is none."},
       read<&MemoryMaps::file_offset>},
      {{"name", Type::text,
        "What /proc/PID/maps prints last: file_path, `[heap]`, `[stack]`, `[vdso]`, `[vvar]`, "
        "`[anon:NAME]`, `[anon_shmem:NAME]`; NULL for anonymous memory without a name."},
       read<&MemoryMaps::name>},
      {{"tgid", Type::integer, "Number of the process."}, of_memory<&ProcessMemory::pid>},
      {{"mm", Type::pointer, "The mm_struct.", false, true}, of_memory<&ProcessMemory::mm>},
      {{"page_table", Type::pointer,
        "Physical address of the root page table: the one of each task that runs in this memory."},
       page_table},
      {{"vm_flags", Type::integer, "VM_* bits of this kernel's include/linux/mm.h."},
       read<&MemoryMaps::flags>},
      {{"device", Type::text,
        "Major and minor number of the file's file system in hexadecimal, as /proc/PID/maps prints "
        "them; NULL without a file."},
       read<&MemoryMaps::device>},
      {{"inode", Type::integer, "Number of the file's inode; NULL without a file."},
       read<&MemoryMaps::inode_number>},
      {{"file", Type::pointer, "The open struct file; NULL if there is none."},
       read<&MemoryMaps::file>},
      {{"inode_address", Type::pointer,
        "The file's struct inode: virtual_address of files; NULL without a file."},
       read<&MemoryMaps::inode>},
      {{"cached_inode", Type::pointer,
        "The struct inode whose page cache has the file's pages: inode_address, but of a file on "
        "an overlay that of the file below, of a block device the device's. NULL without a file."},
       read<&MemoryMaps::cached_inode>},
  };
  return list;
}

bool has_value(const ProcessMemory& memory, const KeyValue& key) {
  const auto* number = std::get_if<std::int64_t>(&key.value);
  const bool is_mm = columns()[key.column].info.name == "mm";
  const VirtAddr address = is_mm ? memory.mm : memory.task;
  return number != nullptr && address == VirtAddr(static_cast<std::uint64_t>(*number));
}

/// The memory that the query is about. In a join it is asked for each process: only what fits is
/// copied.
std::vector<ProcessMemory> memory_of(const MemoryMaps& maps, std::span<const KeyValue> values) {
  std::vector<ProcessMemory> chosen;
  const auto fits = [&](const ProcessMemory& memory) {
    return std::all_of(values.begin(), values.end(),
                       [&](const KeyValue& key) { return has_value(memory, key); });
  };
  std::copy_if(maps.all().begin(), maps.all().end(), std::back_inserter(chosen), fits);
  return chosen;
}

Result<Rows<Mapping>> open(Session& session, std::span<const KeyValue> values) {
  ENGRAM_TRY(auto* kernel, session.linux_kernel());
  ENGRAM_CHECK(kernel->tasks().check());
  const auto& maps = kernel->memory_maps();
  return [&maps, memory = memory_of(maps, values), process = std::size_t{0},
          areas = std::vector<MemoryArea>(),
          at = std::size_t{0}]() mutable -> Result<std::optional<Mapping>> {
    while (at == areas.size()) {
      if (process == memory.size()) return std::optional<Mapping>();
      areas = maps.areas(memory[process++].mm);
      at = 0;
    }
    return std::optional(Mapping{memory[process - 1], areas[at++]});
  };
}

}  // namespace

const Table& linux_memory_mappings_table() {
  static const DataTable<Mapping> table(
      "memory_mappings",
      "What is mapped into processes, as /proc/PID/maps lists it, once for each memory descriptor, "
      "however many threads or processes run in it. The page of the old vsyscall interface, which "
      "maps may list last, is not among them: it is the kernel's and the same everywhere. The view "
      "`process_memory_map` has a row for each process.",
      2000, columns(), open);
  return table;
}

}  // namespace engram::tables
