// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include <fmt/core.h>

#include "kernel/linux/linux_kernel.h"
#include "kernel/windows/windows_kernel.h"
#include "tables/table.h"

namespace engram::tables {
namespace {

/// The image, and its kernel if there is one: without, the columns about it are NULL and the
/// diagnostics say why.
struct Row {
  const image::Image* image = nullptr;
  kernel::LinuxKernel* kernel = nullptr;
  kernel::WindowsKernel* windows = nullptr;
};

Result<Rows<Row>> open(kernel::Session& session, std::span<const KeyValue>) {
  const auto kernel = session.linux_kernel();
  const auto windows = session.windows_kernel();
  return rows_of(
      std::vector{Row{&session.image(), kernel ? *kernel : nullptr, windows ? *windows : nullptr}});
}

/// A column about the image itself.
template <class F>
auto of_image(F get) {
  return [get](const Row& row, kernel::Session&) { return cell(get(*row.image)); };
}

/// A column about either kernel: NULL if there is none.
template <class F, class G>
auto of_kernels(F of_linux, G of_windows) {
  return [=](const Row& row, kernel::Session&) {
    if (row.windows != nullptr) return cell(of_windows(*row.windows));
    return row.kernel ? cell(of_linux(*row.kernel)) : Value{Null{}};
  };
}

// A small dump has no page tables.

std::optional<unsigned> windows_levels(const kernel::WindowsKernel& kernel) {
  return kernel.small_dump() ? std::nullopt : std::optional(kernel.map().mode.levels);
}

std::optional<PhysAddr> windows_root(const kernel::WindowsKernel& kernel) {
  return kernel.small_dump() ? std::nullopt : std::optional(kernel.map().root);
}

std::optional<VirtAddr> windows_base(const kernel::WindowsKernel& kernel) {
  return kernel.map().kernel ? std::optional(kernel.map().kernel->base) : std::nullopt;
}

std::optional<PhysAddr> windows_physical_base(const kernel::WindowsKernel& kernel) {
  const auto base = windows_base(kernel);
  const auto found = base ? std::optional(kernel.space().translate(*base)) : std::nullopt;
  return found && *found ? std::optional((*found)->physical) : std::nullopt;
}

/// A column about the symbols that were made with the kernel of Windows.
template <class F>
auto of_pdb(F get) {
  return [get](const Row& row, kernel::Session&) {
    const bool has_one =
        row.windows != nullptr && row.windows->map().kernel && row.windows->map().kernel->pdb;
    return has_one ? cell(get(*row.windows->map().kernel->pdb)) : Value{Null{}};
  };
}

/// For people.
std::string windows_types_source(const kernel::WindowsKernel& kernel) {
  const auto structures = kernel.structures();
  return structures ? (*structures)->source : structures.error().text;
}

std::optional<std::string> windows_symbols_source(const kernel::WindowsKernel& kernel) {
  if (const auto* symbols = kernel.symbols()) {
    return fmt::format("file: {}, {} symbols", symbols->path, symbols->addresses.size());
  }
  const auto& block = kernel.debugger_data();
  if (!block) return std::nullopt;
  return fmt::format("KDBG at {:#x}{}", block->address().value,
                     block->was_encoded() ? ", decoded" : "");
}

/// A column about a Linux kernel: NULL if there is none.
template <class F>
auto of_kernel(F get) {
  return [get](const Row& row, kernel::Session&) {
    return row.kernel ? cell(get(*row.kernel)) : Value{Null{}};
  };
}

}  // namespace

const Table& image_info_table() {
  using image::Image;
  using kernel::LinuxKernel;
  using kernel::WindowsKernel;
  static const DataTable<Row> table(
      "image_info",
      "The image, what kind of machine it holds, and how each fact was found; one row.", 1,
      {
          {{"path", Type::text, "The file."},
           of_image([](const Image& image) { return image.path(); })},
          {{"format", Type::text,
            "`raw`, `lime`, `avml`, `elf`, `kdump`, `dmp`, or `live` for the RAM of a running "
            "guest."},
           of_image([](const Image& image) { return image.format(); })},
          {{"file_size", Type::integer, "Bytes of the file."},
           of_image([](const Image& image) { return image.file_size(); })},
          {{"truncated", Type::integer,
            "1 if the file ends before the data that its headers declare."},
           of_image([](const Image& image) { return image.truncated(); })},
          {{"ranges", Type::integer, "Ranges that the file declares: see image_ranges."},
           of_image([](const Image& image) { return image.ranges().size(); })},
          {{"present_bytes", Type::integer, "Bytes of physical memory that can be read."},
           of_image([](const Image& image) { return image.memory().present_bytes(); })},
          {{"end_address", Type::pointer, "The first physical address behind the last range."},
           of_image([](const Image& image) { return image.memory().end(); })},
          {{"cpus", Type::integer, "CPUs whose registers the file holds."},
           of_image([](const Image& image) { return image.facts().cpus.size(); })},
          {{"operating_system", Type::text, "`linux` or `windows`; NULL if no kernel was found."},
           of_kernels([](const LinuxKernel&) { return "linux"; },
                      [](const WindowsKernel&) { return "windows"; })},
          {{"architecture", Type::text, "Of the kernel."},
           of_kernels(
               [](const LinuxKernel& kernel) { return to_string(kernel.map().mode.architecture); },
               [](const WindowsKernel& kernel) {
                 return to_string(kernel.space().mode().architecture);
               })},
          {{"page_table_levels", Type::integer, "2 to 5; NULL if there are no page tables."},
           of_kernels([](const LinuxKernel& kernel) { return kernel.map().mode.levels; },
                      windows_levels)},
          {{"page_table", Type::pointer, "Physical address of the kernel's root page table."},
           of_kernels([](const LinuxKernel& kernel) { return kernel.map().root; }, windows_root)},
          {{"page_table_source", Type::text, "How it was found."},
           of_kernels([](const LinuxKernel& kernel) { return kernel.map().how; },
                      [](const WindowsKernel& kernel) { return kernel.map().how; })},
          {{"kernel_base", Type::pointer, "Virtual address at which the kernel image begins."},
           of_kernels([](const LinuxKernel& kernel) { return kernel.map().image.front().start; },
                      windows_base)},
          {{"kernel_physical_base", Type::pointer, "Physical address at which it begins."},
           of_kernels([](const LinuxKernel& kernel) { return kernel.map().image.front().physical; },
                      windows_physical_base)},
          {{"kaslr_shift", Type::pointer,
            "Distance of the image from the address that it was linked for; 0 without KASLR."},
           of_kernel([](const LinuxKernel& kernel) { return kernel.layout().kaslr_shift; })},
          {{"kaslr_source", Type::text, "How it was found."},
           of_kernel([](const LinuxKernel& kernel) { return kernel.layout().kaslr_source; })},
          {{"direct_map_base", Type::pointer,
            "Virtual address of physical address 0 in the direct map."},
           of_kernel([](const LinuxKernel& kernel) { return kernel.layout().direct_map; })},
          {{"direct_map_source", Type::text, "How it was found."},
           of_kernel([](const LinuxKernel& kernel) { return kernel.layout().direct_map_source; })},
          {{"types_source", Type::text,
            "Where structure layouts come from; of Windows `table: ...` or `file: ...`, or why "
            "they "
            "are not known."},
           of_kernels([](const LinuxKernel& kernel) { return kernel.types_source(); },
                      windows_types_source)},
          {{"symbols_source", Type::text, "Where symbols come from."},
           of_kernels(
               [](const LinuxKernel& kernel) { return std::optional(kernel.symbols_source()); },
               windows_symbols_source)},
          {{"pdb_name", Type::text,
            "Windows: the file with the kernel's symbols, as the kernel names it; NULL if its page "
            "is not in the image."},
           of_pdb([](const types::PdbIdentity& pdb) { return pdb.name; })},
          {{"pdb_guid", Type::text, "Windows: GUID of that file, as symbol servers write it."},
           of_pdb([](const types::PdbIdentity& pdb) { return pdb.guid; })},
          {{"pdb_age", Type::integer, "Windows: age of that file."},
           of_pdb([](const types::PdbIdentity& pdb) { return pdb.age; })},
          {{"vmcoreinfo", Type::text, "The kernel's VMCOREINFO, from a note or from its memory."},
           of_kernel([](const LinuxKernel& kernel) { return kernel.vmcoreinfo(); })},
      },
      open);
  return table;
}

const Table& image_ranges_table() {
  using image::Range;
  static const DataTable<Range> table(
      "image_ranges", "Ranges of physical memory as the file declares them, in the file's order.",
      16,
      {
          {{"start", Type::pointer, "First physical address."},
           [](const Range& range, kernel::Session&) { return cell(range.start); }},
          {{"end", Type::pointer, "First physical address behind it."},
           [](const Range& range, kernel::Session&) { return cell(range.start + range.size); }},
          {{"size", Type::integer, "Bytes of physical memory."},
           [](const Range& range, kernel::Session&) { return cell(range.size); }},
          {{"file_offset", Type::integer,
            "Where its bytes begin in the file; if they are compressed, what describes them."},
           [](const Range& range, kernel::Session&) { return cell(range.offset.value); }},
          {{"stored_bytes", Type::integer, "Bytes of memory that the file declares to hold."},
           [](const Range& range, kernel::Session&) { return cell(range.stored); }},
          {{"readable_bytes", Type::integer, "Bytes that it really holds: fewer if it is cut."},
           [](const Range& range, kernel::Session&) { return cell(range.readable); }},
          {{"virtual_address", Type::pointer,
            "Virtual address of an ELF segment; NULL if the file names none."},
           [](const Range& range, kernel::Session&) {
             return range.virtual_address != 0 ? cell(VirtAddr(range.virtual_address))
                                               : Value{Null{}};
           }},
      },
      [](kernel::Session& session, std::span<const KeyValue>) -> Result<Rows<Range>> {
        const auto& ranges = session.image().ranges();
        return
            [next = ranges.begin(), end = ranges.end()]() mutable -> Result<std::optional<Range>> {
              if (next == end) return std::nullopt;
              return *next++;
            };
      });
  return table;
}

}  // namespace engram::tables
