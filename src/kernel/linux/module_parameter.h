// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// Parameters of modules and of the kernel itself, with the values that they have now.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "kernel/linux/reader.h"

namespace engram::kernel {

class LinuxKernel;

class ModuleParameters {
 public:
  explicit ModuleParameters(LinuxKernel& kernel);

  /// The struct kernel_params of a module, in its order, up to one that is not the module's (one
  /// diagnostics row). Nothing if they cannot be told: a count out of all proportion is one row.
  [[nodiscard]] std::optional<std::vector<VirtAddr>> of_module(VirtAddr module) const;
  /// Those of code that is built into the kernel; their names begin with that of the module that it
  /// could be, and a dot.
  [[nodiscard]] std::vector<VirtAddr> built_in() const;

  // Nothing: the member cannot be read.

  [[nodiscard]] std::optional<std::string> name(VirtAddr parameter) const;
  /// Bits of the file in sysfs; 0: there is none.
  [[nodiscard]] std::optional<std::uint16_t> permissions(VirtAddr parameter) const;
  /// "int", "bool", "charp", "array of uint" ...; nothing for a kind that the module brought along.
  [[nodiscard]] std::optional<std::string> type(VirtAddr parameter) const;
  /// Symbol of the function that shows the value.
  [[nodiscard]] std::optional<std::string> getter(VirtAddr parameter) const;
  /// As the file in sysfs shows it. Nothing for an unknown type, for a variable that was freed
  /// after initialisation, and for an array that would not fit into that file.
  [[nodiscard]] std::optional<std::string> value(VirtAddr parameter) const;
  /// "name=value (0644), ..." of a module, "name (0644)" without a value; empty for none. Nothing
  /// (and one diagnostics row) for more than 1 MiB.
  [[nodiscard]] std::optional<std::string> text(VirtAddr module) const;

 private:
  [[nodiscard]] std::vector<VirtAddr> array_at(VirtAddr first, std::uint64_t count) const;
  [[nodiscard]] bool is_freed(VirtAddr parameter, VirtAddr variable) const;
  [[nodiscard]] std::string_view type_behind(VirtAddr operations) const;
  [[nodiscard]] std::optional<std::string> scalar(std::string_view type, VirtAddr at) const;
  [[nodiscard]] std::optional<std::string> array(VirtAddr array) const;

  LinuxKernel& kernel_;
  const Reader& reader_;
  std::optional<VirtAddr> built_in_start_, built_in_end_, init_start_, init_end_;
  std::optional<std::uint64_t> size_;
  Field<VirtAddr> first_;
  Field<std::uint32_t> count_;
  Field<VirtAddr> name_, module_, operations_, argument_, get_;
  Field<std::uint16_t> permissions_;
  Field<VirtAddr> string_;
  Field<std::uint32_t> string_size_;
  Field<std::uint32_t> array_max_, element_size_;
  Field<VirtAddr> array_count_, array_operations_, elements_;
};

}  // namespace engram::kernel
