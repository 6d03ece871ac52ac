// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// Names of the numbers and bits that the kernel keeps.

#include <fmt/core.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "tables/table.h"

namespace engram::tables {

struct Name {
  std::uint32_t number;
  std::string_view name;
};

/// The name of a number; other numbers as text.
template <std::size_t count>
Value name_of(const Name (&names)[count], std::optional<std::uint32_t> number) {
  if (!number) return Null{};
  for (const auto& entry : names) {
    if (entry.number == *number) return cell(entry.name);
  }
  return cell(fmt::format("{}", *number));
}

/// The names of the bits that are set, in the order of the list, comma-separated; what has no name
/// as one hexadecimal number at the end.
template <std::size_t count>
std::string names_of_bits(const Name (&names)[count], std::uint32_t bits) {
  std::string text;
  for (const auto& entry : names) {
    if ((bits & entry.number) != entry.number) continue;
    text += (text.empty() ? "" : ",") + std::string(entry.name);
    bits &= ~entry.number;
  }
  if (bits != 0) text += fmt::format("{}0x{:x}", text.empty() ? "" : ",", bits);
  return text;
}

}  // namespace engram::tables
