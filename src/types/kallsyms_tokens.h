// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// The 256 text tokens that kallsyms names are made of, found in memory and checked against their
// index.
//
// scripts/kallsyms.c writes kallsyms_token_table, 256 texts with a NUL behind each, and behind it,
// aligned, kallsyms_token_index, 256 16-bit offsets into it. A character that occurs in any name is
// the token of its own code, so "0" to "9" are tokens 48 to 57 of every kernel and lie in a row.

#include <array>
#include <optional>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/result.h"
#include "paging/address_space.h"

namespace engram::types {

struct TokenTable {
  VirtAddr start;                           ///< of the tokens
  VirtAddr index;                           ///< of their offsets
  VirtAddr index_end;                       ///< the first byte behind
  std::string text;                         ///< the tokens as they lie in memory
  std::array<std::uint16_t, 256> offset{};  ///< of each token in `text`
  std::array<std::uint16_t, 256> length{};  ///< without the NUL

  [[nodiscard]] std::string_view token(std::uint8_t code) const {
    return std::string_view(text).substr(offset[code], length[code]);
  }
};

/// The digits of a token table: what a search looks for.
inline constexpr std::string_view kDigitTokens{"0\0001\0002\0003\0004\0005\0006\0007\0008\0009\000",
                                               20};

/// Where kDigitTokens begins in `bytes` at or behind `from`.
[[nodiscard]] std::optional<std::size_t> find_digit_tokens(Bytes bytes, std::size_t from);

/// The table whose token "0" lies at `digits`. Its beginning is not guessed from what lies before
/// it (bytes there may look like tokens) but taken from the index, all of which must agree with the
/// tokens. Errors: no 208 tokens from `digits` on; no index that agrees behind them; tokens before
/// `digits` that disagree with the index; unreadable memory.
[[nodiscard]] Result<TokenTable> read_token_table(const paging::AddressSpace& space,
                                                  VirtAddr digits);

}  // namespace engram::types
