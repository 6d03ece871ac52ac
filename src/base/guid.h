// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// GUIDs as they are in files and memory of Windows, and the two ways in which they are written.

#include <fmt/core.h>

#include <array>
#include <cctype>
#include <cstdint>
#include <string>

namespace engram {

struct [[gnu::packed]] Guid {
  std::uint32_t data1;
  std::uint16_t data2, data3;
  std::array<std::uint8_t, 8> data4;
};
static_assert(sizeof(Guid) == 16);

/// 32 digits in upper case, as symbol servers have them.
[[nodiscard]] inline std::string guid_digits(const Guid& guid) {
  std::string text = fmt::format("{:08X}{:04X}{:04X}", std::uint32_t{guid.data1},
                                 std::uint16_t{guid.data2}, std::uint16_t{guid.data3});
  for (const std::uint8_t byte : guid.data4) text += fmt::format("{:02X}", byte);
  return text;
}

/// In lower case and in five groups, as people write them.
[[nodiscard]] inline std::string guid_text(const Guid& guid) {
  std::string text = guid_digits(guid);
  for (char& digit : text) digit = static_cast<char>(std::tolower(digit));
  for (const std::size_t dash : {20U, 16U, 12U, 8U}) text.insert(dash, 1, '-');
  return text;
}

}  // namespace engram
