// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "kernel/linux/fields.h"

#include <fmt/core.h>

namespace engram::kernel {
namespace {

constexpr std::uint64_t kTextLimit = 4096;  // the longest char array that is read has 512 bytes

}  // namespace

Layout::Layout(const types::TypeDb& types, Diagnostics& diagnostics, std::string_view structure,
               Quietly)
    : types_(types),
      diagnostics_(diagnostics),
      structure_(structure),
      type_(types.find_struct(structure)) {
  if (type_) size_ = types_.size_of(*type_);
}

Layout::Layout(const types::TypeDb& types, Diagnostics& diagnostics, std::string_view structure)
    : Layout(types, diagnostics, structure, Quietly()) {
  if (!type_) {
    diagnostics_.add(Level::warning, "types",
                     fmt::format("the kernel's types have no struct {}", structure_));
  }
}

Layout Layout::of_optional(const types::TypeDb& types, Diagnostics& diagnostics,
                           std::string_view structure) {
  return {types, diagnostics, structure, Quietly()};
}

std::optional<Layout::Place> Layout::scalar_place(std::string_view path) const {
  if (!type_) return std::nullopt;
  const auto member = types_.find_member(*type_, path);
  if (!member || member->bit_size != 0) return std::nullopt;
  const auto size = types_.size_of(member->type);
  if (!size || (*size != 1 && *size != 2 && *size != 4 && *size != 8)) return std::nullopt;
  return Place{member->byte_offset(), *size};
}

TextField Layout::text(std::string_view path) const {
  TextField field{structure_ + "." + std::string(path), std::nullopt, 0};
  const auto member = type_ ? types_.find_member(*type_, path) : std::nullopt;
  const auto size = member ? types_.size_of(member->type) : std::nullopt;
  if (!size || *size > kTextLimit) {
    report_missing(path);
    return field;
  }
  field.offset = member->byte_offset();
  field.size = *size;
  return field;
}

std::optional<std::uint64_t> Layout::offset_of(std::string_view path) const {
  const auto offset = optional_offset_of(path);
  if (!offset) report_missing(path);
  return offset;
}

std::optional<std::uint64_t> Layout::optional_offset_of(std::string_view path) const {
  const auto member = type_ ? types_.find_member(*type_, path) : std::nullopt;
  return member ? std::optional(member->byte_offset()) : std::nullopt;
}

void Layout::report_missing(std::string_view path) const {
  if (!type_) return;  // reported once by the constructor, or may be missing
  diagnostics_.add(Level::warning, "types",
                   fmt::format("the kernel's struct {} has no member {}", structure_, path));
}

}  // namespace engram::kernel
