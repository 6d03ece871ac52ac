// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// The memory that a module's code and data lie in.

#include <optional>
#include <string>
#include <vector>

#include "kernel/linux/reader.h"
#include "types/type_db.h"

namespace engram::kernel {

struct ModuleArea {
  std::string type;  ///< "text", "data", "rodata", "ro_after_init", "init_text" ...
  VirtAddr start;
  std::uint64_t size = 0;  ///< bytes, never 0

  [[nodiscard]] VirtAddr end() const { return start + size; }
  [[nodiscard]] bool is_init() const { return type.rfind("init_", 0) == 0; }
};

class ModuleMemory {
 public:
  ModuleMemory(const types::TypeDb& types, Reader reader);

  /// What was allocated, each with the type of what it begins with. Since 6.4 that is parts().
  [[nodiscard]] std::vector<ModuleArea> allocations(VirtAddr module) const;
  /// By what they hold, in the order of the kernel's enum mod_mem_type. What is not in use, or
  /// cannot be read (one diagnostics row), is left out.
  [[nodiscard]] std::vector<ModuleArea> parts(VirtAddr module) const;

 private:
  struct Fields {
    std::string type;
    Field<VirtAddr> base;
    Field<std::uint32_t> size;
  };
  /// struct module_layout: ends of the parts, counted from the base.
  struct Ends {
    Field<std::uint32_t> text, read_only, after_init;
  };

  [[nodiscard]] std::optional<ModuleArea> area(VirtAddr module, const Fields& fields) const;
  void split(VirtAddr module, const ModuleArea& whole, const Ends& ends,
             std::vector<ModuleArea>& parts) const;

  Reader reader_;
  std::vector<Fields> allocations_;
  std::vector<Ends> ends_;  ///< of each allocation; empty since 6.4
};

}  // namespace engram::kernel
