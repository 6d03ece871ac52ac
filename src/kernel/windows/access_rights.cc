// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "kernel/windows/access_rights.h"

#include <fmt/core.h>

#include <array>

namespace engram::kernel::windows {
namespace {

struct Right {
  std::string_view type;
  std::uint32_t bit;
  std::string_view name;
};

constexpr std::array kRights{
#define ACCESS_RIGHT(...) Right{__VA_ARGS__},
#include "kernel/windows/access_rights.def"
};

void append(std::string& text, std::string_view name) {
  if (!text.empty()) text += " | ";
  text += name;
}

}  // namespace

std::string access_names(std::string_view type, std::uint32_t mask) {
  std::string text;
  std::uint32_t unnamed = mask;
  // Those of the type are in the lower half, those of all types above.
  for (const bool of_all : {false, true}) {
    for (const Right& right : kRights) {
      const bool is_meant = of_all ? right.type.empty() : !type.empty() && right.type == type;
      if (!is_meant || (mask & right.bit) == 0) continue;
      append(text, right.name);
      unnamed &= ~right.bit;
    }
  }
  if (unnamed != 0) append(text, fmt::format("{:#x}", unnamed));
  return text;
}

}  // namespace engram::kernel::windows
