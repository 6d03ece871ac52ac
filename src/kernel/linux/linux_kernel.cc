// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "kernel/linux/linux_kernel.h"

#include <fmt/core.h>

#include <utility>

#include "kernel/linux/cgroup.h"
#include "kernel/linux/file_table.h"
#include "kernel/linux/ftrace.h"
#include "kernel/linux/inode.h"
#include "kernel/linux/interface_address.h"
#include "kernel/linux/kernel_cache.h"
#include "kernel/linux/kernel_log.h"
#include "kernel/linux/kprobe.h"
#include "kernel/linux/memory_map.h"
#include "kernel/linux/module.h"
#include "kernel/linux/module_parameter.h"
#include "kernel/linux/module_symbols.h"
#include "kernel/linux/mount.h"
#include "kernel/linux/namespaces.h"
#include "kernel/linux/neighbour.h"
#include "kernel/linux/network_interface.h"
#include "kernel/linux/page_cache.h"
#include "kernel/linux/process_strings.h"
#include "kernel/linux/route.h"
#include "kernel/linux/socket.h"
#include "kernel/linux/task_security.h"
#include "types/btf_finder.h"

namespace engram::kernel {
namespace {

struct Types {
  types::TypeDb db;
  std::string source;
};

/// Types that have been checked before, if any.
using KnownTypes = std::optional<types::TypeDb::Record>;

/// The first blob that decodes and describes a Linux kernel.
std::optional<Types> decode(std::vector<types::BtfBlob> blobs, std::string_view where,
                            const KnownTypes& known, Diagnostics& diagnostics) {
  for (auto& blob : blobs) {
    const auto text =
        fmt::format("BTF of {} bytes at 0x{:x} ({})", blob.bytes.size(), blob.address, where);
    auto db = known ? types::TypeDb::from_known_btf(std::move(blob.bytes), *known)
                    : types::TypeDb::from_btf(std::move(blob.bytes));
    if (!db) {
      diagnostics.add(Level::warning, "types", text + ": " + db.error().text, blob.address);
    } else if (!db->find_struct("task_struct")) {
      diagnostics.add(Level::warning, "types", text + ": not the kernel's: no struct task_struct",
                      blob.address);
    } else {
      diagnostics.add(Level::info, "types", fmt::format("{}: {} types", text, db->type_count()),
                      blob.address);
      return Types{std::move(*db), text};
    }
  }
  return std::nullopt;
}

// Where the kernel's symbols say, else where a search of the image finds it.
std::optional<Types> find_types(const paging::AddressSpace& space, const KernelMap& map,
                                const types::SymbolTable& symbols, const KnownTypes& known,
                                Diagnostics& diagnostics) {
  if (const auto start = symbols.address_of("__start_BTF")) {
    auto blob = types::read_btf(space, *start);
    if (blob) {
      std::vector<types::BtfBlob> one;
      one.push_back(std::move(*blob));
      if (auto found = decode(std::move(one), "symbol __start_BTF", known, diagnostics))
        return found;
    } else {
      diagnostics.add(Level::warning, "types", "symbol __start_BTF: " + blob.error().text,
                      start->value);
    }
  }
  return decode(types::find_btf(space, map.image), "search of the kernel image", known,
                diagnostics);
}

/// Page tables found by what any of them has are known to be Linux's from here on.
KernelMap as_linux_fills_it(KernelMap map) {
  map.mode.software = paging::Software::linux_kernel;
  return map;
}

const char* encoding_name(types::AddressEncoding encoding) {
  switch (encoding) {
    case types::AddressEncoding::absolute:
      return "absolute addresses";
    case types::AddressEncoding::base_relative:
      return "relative to a base";
    case types::AddressEncoding::absolute_percpu:
      return "relative to a base, per-CPU absolute";
    case types::AddressEncoding::pc_relative:
      return "relative to their own place";
  }
  return "?";
}

}  // namespace

Result<std::unique_ptr<LinuxKernel>> LinuxKernel::find(const image::Image& image,
                                                       Diagnostics& diagnostics, Effort effort,
                                                       const std::string& cache_folder) {
  std::unique_ptr<LinuxKernel> kernel;
  std::string why = "nothing in it looks like the page tables of a kernel";
  bool searched_memory = effort == Effort::quick;
  const KernelCache cache(image.is_live() ? std::string() : cache_folder);
  const auto accept = [&](const KernelMap& found) {
    const paging::AddressSpace space(image.memory(), found.mode, found.root);
    const KernelCache::Key key = cache.key_of(space, found);
    auto known = cache.reopen(key, space, found, diagnostics);
    const bool is_known = known.has_value();
    auto kallsyms = is_known ? std::move(known->kallsyms)
                             : types::find_kallsyms(space, found.image, diagnostics);
    const KnownTypes known_types = is_known ? KnownTypes(known->types) : std::nullopt;
    if (!kallsyms) {
      why = fmt::format("what is mapped at 0x{:x} has no symbols: {}",
                        found.image.front().start.value, kallsyms.error().text);
      return false;
    }
    auto symbols_source = fmt::format("kallsyms, {}", encoding_name(kallsyms->encoding));
    auto& symbols = kallsyms->symbols;
    // A candidate that maps the image is good enough to go on with: the kernel half may still be
    // damaged.
    const auto own = kernel_root(image.memory(), found, symbols);
    if (!own) {
      diagnostics.add(Level::warning, "kernel",
                      "the kernel's own root could not be read; using that of: " + found.how);
    }
    const auto& map = own ? *own : found;
    auto types = find_types(paging::AddressSpace(image.memory(), map.mode, map.root), map, symbols,
                            known_types, diagnostics);
    // The last resort looks at all of memory: once, not for each candidate.
    if (!types && !std::exchange(searched_memory, true)) {
      types = decode(engram::types::find_btf(image.memory()), "search of physical memory",
                     known_types, diagnostics);
    }
    if (!types) {
      why =
          "the kernel has no BTF type information (CONFIG_DEBUG_INFO_BTF), or it is not in the "
          "image";
      return false;
    }
    if (!is_known || !types->db.is_known()) cache.keep(key, *kallsyms, types->db, diagnostics);
    kernel.reset(new LinuxKernel(image, diagnostics, map, std::move(kallsyms->symbols),
                                 std::move(symbols_source), std::move(types->db),
                                 std::move(types->source)));
    kernel->check_extent();
    kernel->read_vmcoreinfo(image.facts());
    kernel->layout_ =
        memory_layout(kernel->space_, kernel->map_, kernel->symbols_, kernel->vmcoreinfo_);
    return true;
  };
  for_each_kernel_map(image, diagnostics, accept, effort);
  if (!kernel) return fail("no Linux kernel found in the image: {}", why);
  return kernel;
}

LinuxKernel::LinuxKernel(const image::Image& image, Diagnostics& diagnostics, KernelMap map,
                         types::SymbolTable symbols, std::string symbols_source,
                         types::TypeDb types, std::string types_source)
    : map_(as_linux_fills_it(std::move(map))),
      space_(image.memory(), map_.mode, map_.root),
      reader_(space_, diagnostics, image.is_live()),
      symbols_(std::move(symbols)),
      symbols_source_(std::move(symbols_source)),
      types_(std::move(types)),
      types_source_(std::move(types_source)) {
  if (image.is_live()) banner_ = banner();
}

LinuxKernel::~LinuxKernel() = default;
LinuxKernel::Changing::Changing() = default;
LinuxKernel::Changing::~Changing() = default;

// The kernel keeps the text of the note from boot on (kernel/crash_core.c, later
// kernel/vmcore_info.c), so that it is there in images without notes, too.
void LinuxKernel::read_vmcoreinfo(const image::Facts& facts) {
  if (facts.vmcoreinfo) {
    vmcoreinfo_ = facts.vmcoreinfo;
    return;
  }
  const auto data = symbols_.address_of("vmcoreinfo_data");
  const auto size = symbols_.address_of("vmcoreinfo_size");
  if (!data || !size) return;
  const auto text = reader_.pointer_at(*data, "vmcoreinfo_data");
  const auto length = space_.load<std::uint64_t>(*size);
  if (!text || !*text || !length || *length > kPageSize) return;
  std::string value(static_cast<std::size_t>(*length), '\0');
  if (space_.read_exact(*text, std::as_writable_bytes(std::span(value.data(), value.size())))) {
    vmcoreinfo_ = std::move(value);
  }
}

// A raw image that was cut has no header to tell; the kernel knows how far its memory goes.
void LinuxKernel::check_extent() const {
  const auto symbol = symbols_.address_of("max_pfn");
  const auto frames =
      symbol ? space_.load<std::uint64_t>(*symbol) : Result<std::uint64_t, paging::Fault>(0);
  const auto& last = space_.memory().regions().back();
  const std::uint64_t end = last.end().value;
  if (!frames) {
    reader_.report("image", *symbol,
                   "cut, or incomplete: max_pfn: " + paging::to_string(frames.error()));
  } else if (*frames > last.last().value / kPageSize + 1 &&
             *frames < (std::uint64_t{1} << 52U) / kPageSize) {
    reader_.diagnostics().add(
        Level::warning, "image",
        fmt::format("the image ends at 0x{:x}, but the kernel has memory up to 0x{:x}: it is cut",
                    end, *frames * kPageSize),
        end);
  }
}

std::optional<PhysAddr> LinuxKernel::end_of_memory() const {
  constexpr std::uint64_t kMostFrames = (std::uint64_t{1} << 52U) / kPageSize;
  const auto symbol = symbols_.address_of("max_pfn");
  if (!symbol) return std::nullopt;
  const auto frames = space_.load<std::uint64_t>(*symbol);
  if (!frames || *frames > kMostFrames) return std::nullopt;
  return PhysAddr(*frames * kPageSize);
}

/// Which kernel this is; it lies in the kernel image itself and never changes.
std::string LinuxKernel::banner() const {
  constexpr std::size_t kLongest = 512;
  const auto symbol = symbols_.address_of("linux_banner");
  auto text = symbol ? space_.load_text(*symbol, kLongest) : std::string();
  return text ? std::move(*text) : std::string();
}

bool LinuxKernel::refresh() {
  space_ = paging::AddressSpace(space_.memory(), map_.mode, map_.root);
  changing_ = std::make_unique<Changing>();
  return banner() == banner_;
}

const types::SymbolTable& LinuxKernel::module_symbols() {
  changing_->module_symbols_once.call(
      [this] { changing_->module_symbols = read_module_symbols(reader_, types_, symbols_); });
  return changing_->module_symbols;
}

std::optional<std::string> LinuxKernel::symbolize(VirtAddr address) {
  const types::SymbolTable* table = &symbols_;
  auto location = table->find(address);
  if (!location) {
    table = &module_symbols();
    location = table->find(address);
  }
  if (!location) return std::nullopt;
  std::string text(table->name(*location->symbol));
  if (location->offset != 0) text += fmt::format("+0x{:x}", location->offset);
  const auto module = table->module_name(*location->symbol);
  if (!module.empty()) text += fmt::format(" [{}]", module);
  return text;
}

std::optional<VirtAddr> LinuxKernel::address_of(std::string_view symbol) {
  if (const auto address = symbols_.address_of(symbol)) return address;
  return module_symbols().address_of(symbol);
}

const Tasks& LinuxKernel::tasks() {
  return changing_->tasks.get(reader_, types_, symbols_);
}
const Paths& LinuxKernel::paths() {
  return paths_.get(reader_, types_, symbols_);
}
const ProcessStrings& LinuxKernel::process_strings() {
  return process_strings_.get(*this);
}
const MemoryMaps& LinuxKernel::memory_maps() {
  return changing_->memory_maps.get(*this);
}
const TaskSecurity& LinuxKernel::task_security() {
  return task_security_.get(reader_, types_);
}
const FileTables& LinuxKernel::file_tables() {
  return changing_->file_tables.get(*this);
}
const Inodes& LinuxKernel::inodes() {
  return changing_->inodes.get(*this);
}
const PageCache& LinuxKernel::page_cache() {
  return page_cache_.get(*this);
}
const Namespaces& LinuxKernel::namespaces() {
  return namespaces_.get(*this);
}
const Mounts& LinuxKernel::mounts() {
  return changing_->mounts.get(*this);
}
const Cgroups& LinuxKernel::cgroups() {
  return cgroups_.get(*this);
}
const Sockets& LinuxKernel::sockets() {
  return changing_->sockets.get(*this);
}
const KernelLog& LinuxKernel::kernel_log() {
  return kernel_log_.get(reader_, types_, symbols_);
}
const Modules& LinuxKernel::modules() {
  return changing_->modules.get(*this);
}
const ModuleParameters& LinuxKernel::module_parameters() {
  return module_parameters_.get(*this);
}
const Ftrace& LinuxKernel::ftrace() {
  return ftrace_.get(*this);
}
const Kprobes& LinuxKernel::kprobes() {
  return kprobes_.get(*this);
}
const NetworkInterfaces& LinuxKernel::network_interfaces() {
  return changing_->network_interfaces.get(*this);
}
const InterfaceAddresses& LinuxKernel::interface_addresses() {
  return interface_addresses_.get(*this);
}
const Neighbours& LinuxKernel::neighbours() {
  return changing_->neighbours.get(*this);
}
const Routes& LinuxKernel::routes() {
  return changing_->routes.get(*this);
}

paging::AddressSpace LinuxKernel::space_at(PhysAddr root) const {
  return {space_.memory(), map_.mode, root, /*cached=*/false};
}

}  // namespace engram::kernel
