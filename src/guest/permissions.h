// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// What an access to guest memory wants to do, and what a translation allows it to do.

#include <cstdint>
#include <string_view>

namespace engram::guest {

/// Flags, two of them: the operators stay within the four values.
enum class Permissions : std::uint8_t { none = 0, read = 1, write = 2, read_write = 3 };

constexpr Permissions operator|(Permissions a, Permissions b) {
  return static_cast<Permissions>(static_cast<unsigned>(a) | static_cast<unsigned>(b));
}
constexpr Permissions operator&(Permissions a, Permissions b) {
  return static_cast<Permissions>(static_cast<unsigned>(a) & static_cast<unsigned>(b));
}
/// Whether `have` has every right of `wanted`: no rights are always had.
constexpr bool allows(Permissions have, Permissions wanted) {
  return (have & wanted) == wanted;
}
constexpr bool has_write(Permissions permissions) {
  return allows(permissions, Permissions::write);
}

constexpr std::string_view to_string(Permissions permissions) {
  switch (permissions) {
    case Permissions::none:
      return "none";
    case Permissions::read:
      return "read";
    case Permissions::write:
      return "write";
    case Permissions::read_write:
      return "read and write";
  }
  return "?";
}

}  // namespace engram::guest
