// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// Addresses and lengths as people write them.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace engram::cli {

/// A number, or a symbol, and what is added to it.
struct AddressText {
  std::string symbol;  ///< empty: the base is `number`
  std::uint64_t number = 0;
  std::uint64_t offset = 0;
};

/// "ffff888000000000", "0xffff8880`00000000", "init_task", "init_task+0x10". Numbers are
/// hexadecimal with or without 0x, offsets too; back-ticks are dropped. What can be a number is
/// one. Errors: neither; more than 64 bits.
[[nodiscard]] Result<AddressText> parse_address(std::string_view text);

/// A number of bytes: "128", "0x80", "4k", "1 MiB". Units are powers of 1024.
/// Errors: no number; another unit; more than 64 bits.
[[nodiscard]] Result<std::uint64_t> parse_length(std::string_view text);

}  // namespace engram::cli
