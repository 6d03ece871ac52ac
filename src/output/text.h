// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// Text out of a hostile image, made safe for what reads it.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/bytes.h"

namespace engram::output {

/// A character at the beginning of a text.
struct Character {
  char32_t code = 0;
  std::size_t length = 1;  ///< bytes
  bool valid = false;      ///< if not: the first byte is not the begin of a UTF-8 character
};

/// The first character of `text`, which is not empty. Overlong forms, surrogates and values above
/// U+10FFFF are not valid (RFC 3629, section 3).
[[nodiscard]] Character first_character(std::string_view text);

/// The text with U+FFFD in place of each byte that is not part of a valid UTF-8 character.
[[nodiscard]] std::string valid_utf8(std::string_view text);

/// Whether a terminal obeys the character instead of showing it, or what is behind it is shown in
/// another order than it is written: C0 and C1 controls, DEL, separators of lines, marks of
/// direction.
[[nodiscard]] bool steers_terminal(char32_t code);

/// The text as one line that a terminal shows and does not obey: control characters, escape
/// sequences, marks that turn the direction of writing, and bytes that are not UTF-8 become \n,
/// \x1b, \u202e.
[[nodiscard]] std::string terminal_text(std::string_view text);

/// Columns that terminal_text() takes on a terminal.
[[nodiscard]] std::size_t display_width(std::string_view text);

/// The longest beginning of `text` that fits `width` columns, with an ellipsis if it is not all of
/// it.
[[nodiscard]] std::string shortened(std::string_view text, std::size_t width);

/// Lower-case, two digits a byte.
[[nodiscard]] std::string hex_digits(Bytes bytes);

/// The shortest decimal form that reads back as the same number, and is seen to be no integer: 1.0.
/// Infinities are 9e999 and -9e999, as SQLite writes them: what is read back is an infinity.
[[nodiscard]] std::string real_text(double value);

}  // namespace engram::output
