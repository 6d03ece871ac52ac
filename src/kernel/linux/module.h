// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// Loaded modules: where the kernel knows them from, and what it knows of them.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/lazy.h"
#include "base/result.h"
#include "kernel/linux/module_memory.h"
#include "kernel/linux/rb_tree.h"
#include "kernel/linux/reader.h"

namespace engram::kernel {

class LinuxKernel;

/// A struct module and what leads to it. A module that hides itself from one has often forgotten
/// the others. One that none leads to was named by its address.
struct Module {
  VirtAddr address;
  std::optional<VirtAddr> list_head;  ///< of the list that it is on
  bool in_sysfs = false;              ///< it has a directory in /sys/module
  bool in_tree = false;               ///< in the tree by which the kernel finds a module's code
};

struct ModuleSection {
  std::optional<std::string> name;
  std::optional<VirtAddr> address;
};

class Modules {
 public:
  explicit Modules(LinuxKernel& kernel);

  /// Each module once: those of the list in its order, then what only sysfs and the tree have.
  /// Errors: the kernel has no list of modules.
  [[nodiscard]] Result<const std::vector<Module>*> all() const;
  /// The modules on the list whose head is at `head`.
  [[nodiscard]] std::vector<Module> list_from(VirtAddr head) const;
  /// The module at an address, also one that nothing leads to any more; nothing if none is there.
  [[nodiscard]] std::optional<Module> at(VirtAddr address) const;
  /// The module in whose memory an address lies.
  [[nodiscard]] std::optional<VirtAddr> containing(VirtAddr address) const;

  // Nothing: the member is absent or NULL, or cannot be read.

  [[nodiscard]] std::optional<std::string> name(VirtAddr module) const;
  /// "live", "coming", "going" or "unformed"
  [[nodiscard]] std::optional<std::string> state(VirtAddr module) const;
  [[nodiscard]] std::optional<std::string> version(VirtAddr module) const;
  [[nodiscard]] std::optional<std::string> source_version(VirtAddr module) const;
  [[nodiscard]] std::optional<std::uint64_t> taints(VirtAddr module) const;
  /// "OE", as in /sys/module/NAME/taint; empty for none.
  [[nodiscard]] std::optional<std::string> taint_letters(VirtAddr module) const;
  [[nodiscard]] std::optional<bool> uses_gpl_only_symbols(VirtAddr module) const;
  /// Without the one that the module itself holds (MODULE_REF_BASE).
  [[nodiscard]] std::optional<std::int32_t> reference_count(VirtAddr module) const;
  /// Names of the modules that use its symbols, comma-separated; empty for none.
  [[nodiscard]] std::optional<std::string> used_by(VirtAddr module) const;
  /// Lower-case hexadecimal digits, of the note that the linker leaves in the module.
  [[nodiscard]] std::optional<std::string> build_id(VirtAddr module) const;
  [[nodiscard]] std::optional<VirtAddr> base(VirtAddr module) const;
  /// Bytes, as in /sys/module/NAME/coresize and initsize.
  [[nodiscard]] std::uint64_t size(VirtAddr module, bool of_init) const;

  [[nodiscard]] const ModuleMemory& memory() const { return memory_; }
  /// In the order of their section headers.
  [[nodiscard]] std::vector<ModuleSection> sections(VirtAddr module) const;

 private:
  struct Area {
    VirtAddr start, end, module;
  };

  void find_all() const;
  [[nodiscard]] std::vector<VirtAddr> from_sysfs() const;
  [[nodiscard]] std::vector<VirtAddr> from_tree() const;
  [[nodiscard]] std::optional<VirtAddr> owner_of_node(VirtAddr node, std::uint64_t offset) const;
  [[nodiscard]] bool proves_itself(VirtAddr module) const;
  [[nodiscard]] std::optional<std::string> text_behind(VirtAddr object,
                                                       const Field<VirtAddr>& field) const;

  LinuxKernel& kernel_;
  const Reader& reader_;
  Reader quiet_;
  ModuleMemory memory_;
  RbTreeWalker trees_;
  std::optional<VirtAddr> head_, kset_, tree_, taint_table_;

  std::optional<std::uint64_t> size_, list_, kobject_, source_list_;
  TextField name_;
  Field<std::uint32_t> state_;
  Field<VirtAddr> version_, source_version_, sections_;
  Field<std::uint64_t> taints_;
  Field<std::uint8_t> gpl_only_;
  Field<std::int32_t> references_;
  Field<VirtAddr> use_source_;
  std::optional<std::uint64_t> use_node_;

  std::optional<std::uint64_t> kset_list_, kobject_node_;  ///< the latter in struct module_kobject
  Field<VirtAddr> kobject_module_;

  Field<std::uint32_t> tree_sequence_;
  Field<VirtAddr> tree_roots_[2];
  std::optional<std::uint64_t> tree_nodes_[2];  ///< in struct mod_tree_node
  Field<VirtAddr> tree_module_;

  Field<VirtAddr> section_list_, section_name_, section_private_;
  Field<VirtAddr> section_address_;
  std::optional<std::uint64_t> taint_size_;
  Field<std::uint8_t> taint_letter_, taint_of_module_;

  mutable Once once_;
  mutable std::vector<Module> all_;
  mutable Once areas_once_;
  mutable std::vector<Area> areas_;  ///< sorted
};

}  // namespace engram::kernel
