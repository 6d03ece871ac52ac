// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// The Linux kernel of an image: its address space, types and symbols, and the indexes over its
// objects.

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/diagnostics.h"
#include "base/lazy.h"
#include "base/result.h"
#include "image/image.h"
#include "kernel/linux/containers.h"
#include "kernel/linux/kernel_map.h"
#include "kernel/linux/path.h"
#include "kernel/linux/reader.h"
#include "kernel/linux/task.h"
#include "types/kallsyms.h"
#include "types/type_db.h"

namespace engram::kernel {

class Cgroups;
class FileTables;
class Ftrace;
class Kprobes;
class ModuleParameters;
class Modules;
class InterfaceAddresses;
class Inodes;
class Mounts;
class Namespaces;
class KernelLog;
class MemoryMaps;
class Neighbours;
class NetworkInterfaces;
class PageCache;
class ProcessStrings;
class Routes;
class Sockets;
class TaskSecurity;

class LinuxKernel {
 public:
  ~LinuxKernel();
  LinuxKernel(const LinuxKernel&) = delete;
  LinuxKernel& operator=(const LinuxKernel&) = delete;

  /// `cache_folder`: as SessionOptions has it.
  /// Errors: no kernel in the image; the text says how far the best candidate came.
  static Result<std::unique_ptr<LinuxKernel>> find(const image::Image& image,
                                                   Diagnostics& diagnostics,
                                                   Effort effort = Effort::all,
                                                   const std::string& cache_folder = {});

  /// The kernel's own address space: the kernel half and nothing else.
  [[nodiscard]] const paging::AddressSpace& space() const { return space_; }
  [[nodiscard]] const KernelMap& map() const { return map_; }
  [[nodiscard]] const MemoryLayout& layout() const { return layout_; }
  [[nodiscard]] const types::TypeDb& types() const { return types_; }
  /// For people: where the types come from.
  [[nodiscard]] const std::string& types_source() const { return types_source_; }
  [[nodiscard]] const std::string& symbols_source() const { return symbols_source_; }
  [[nodiscard]] const Reader& reader() const { return reader_; }
  /// Text of the VMCOREINFO that the kernel keeps for kdump.
  [[nodiscard]] const std::optional<std::string>& vmcoreinfo() const { return vmcoreinfo_; }

  /// The symbols of the kernel itself.
  [[nodiscard]] const types::SymbolTable& symbols() const { return symbols_; }
  /// Those of modules, BPF programs and ftrace trampolines, as /proc/kallsyms lists them behind the
  /// kernel's.
  [[nodiscard]] const types::SymbolTable& module_symbols();
  /// 'name+0x10' or 'name+0x10 [module]', as the kernel prints an address; nothing outside all
  /// symbols.
  [[nodiscard]] std::optional<std::string> symbolize(VirtAddr address);
  [[nodiscard]] std::optional<VirtAddr> address_of(std::string_view symbol);

  [[nodiscard]] const Tasks& tasks();
  [[nodiscard]] const Paths& paths();
  [[nodiscard]] const ProcessStrings& process_strings();
  [[nodiscard]] const MemoryMaps& memory_maps();
  [[nodiscard]] const TaskSecurity& task_security();
  [[nodiscard]] const FileTables& file_tables();
  [[nodiscard]] const Inodes& inodes();
  [[nodiscard]] const PageCache& page_cache();
  [[nodiscard]] const Namespaces& namespaces();
  [[nodiscard]] const Mounts& mounts();
  [[nodiscard]] const Cgroups& cgroups();
  [[nodiscard]] const Sockets& sockets();
  [[nodiscard]] const KernelLog& kernel_log();
  [[nodiscard]] const Modules& modules();
  [[nodiscard]] const ModuleParameters& module_parameters();
  [[nodiscard]] const Ftrace& ftrace();
  [[nodiscard]] const Kprobes& kprobes();
  [[nodiscard]] const NetworkInterfaces& network_interfaces();
  [[nodiscard]] const InterfaceAddresses& interface_addresses();
  [[nodiscard]] const Neighbours& neighbours();
  [[nodiscard]] const Routes& routes();
  /// The space of a task: its own root if it has one, else the kernel's.
  [[nodiscard]] paging::AddressSpace space_at(PhysAddr root) const;

  /// The end of the memory that the kernel uses (max_pfn); nothing if it cannot be read.
  [[nodiscard]] std::optional<PhysAddr> end_of_memory() const;

  /// Forgets what a running guest may have changed: lists of objects, translations, symbols of
  /// modules. No reference to those may be in use. False if the kernel is not there any more (the
  /// guest was started anew): nothing of this object is of use then.
  [[nodiscard]] bool refresh();

 private:
  LinuxKernel(const image::Image& image, Diagnostics& diagnostics, KernelMap map,
              types::SymbolTable symbols, std::string symbols_source, types::TypeDb types,
              std::string types_source);
  void read_vmcoreinfo(const image::Facts& facts);
  void check_extent() const;
  [[nodiscard]] std::string banner() const;

  KernelMap map_;
  paging::AddressSpace space_;
  Reader reader_;
  types::SymbolTable symbols_;
  std::string symbols_source_;
  types::TypeDb types_;
  std::string types_source_;
  std::optional<std::string> vmcoreinfo_;
  MemoryLayout layout_;

  /// What is made of objects that come and go.
  struct Changing {
    Changing();
    ~Changing();
    Changing(const Changing&) = delete;
    Changing& operator=(const Changing&) = delete;
    Once module_symbols_once;
    types::SymbolTable module_symbols;
    Lazy<Tasks> tasks;
    Lazy<Sockets> sockets;
    Lazy<MemoryMaps> memory_maps;
    Lazy<FileTables> file_tables;
    Lazy<Mounts> mounts;
    Lazy<Modules> modules;
    Lazy<NetworkInterfaces> network_interfaces;
    Lazy<Neighbours> neighbours;
    Lazy<Routes> routes;
    Lazy<Inodes> inodes;
  };
  std::unique_ptr<Changing> changing_ = std::make_unique<Changing>();
  std::string banner_;  ///< of a running guest's kernel, when it was found

  Lazy<Paths> paths_;
  Lazy<ProcessStrings> process_strings_;
  Lazy<TaskSecurity> task_security_;
  Lazy<Namespaces> namespaces_;
  Lazy<Cgroups> cgroups_;
  Lazy<KernelLog> kernel_log_;
  Lazy<ModuleParameters> module_parameters_;
  Lazy<Ftrace> ftrace_;
  Lazy<Kprobes> kprobes_;
  Lazy<InterfaceAddresses> interface_addresses_;
  Lazy<PageCache> page_cache_;
};

}  // namespace engram::kernel
