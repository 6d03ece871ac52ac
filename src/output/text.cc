// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "output/text.h"

#include <fmt/format.h>
#include <algorithm>

#include <clocale>
#include <cmath>
#include <cwchar>

namespace engram::output {
namespace {

constexpr std::string_view kReplacement = "\xef\xbf\xbd";  // U+FFFD
constexpr std::string_view kEllipsis = "\xe2\x80\xa6";     // U+2026

/// Makes C.UTF-8 the thread's locale, so that wcwidth() knows Unicode whatever the program's locale
/// is.
class Utf8Locale {
 public:
  Utf8Locale() {
    static const locale_t kUtf8 = ::newlocale(LC_CTYPE_MASK, "C.UTF-8", nullptr);
    if (kUtf8 != nullptr) before_ = ::uselocale(kUtf8);
  }
  ~Utf8Locale() {
    if (before_ != nullptr) ::uselocale(before_);
  }
  Utf8Locale(const Utf8Locale&) = delete;
  Utf8Locale& operator=(const Utf8Locale&) = delete;

 private:
  locale_t before_ = nullptr;
};

bool is_plain(char c) {
  return c >= 0x20 && c < 0x7f;
}

/// Marks, embeddings, overrides and isolates (Unicode Annex 9): they make text look like another
/// text.
bool turns_direction(char32_t code) {
  return code == 0x061c || code == 0x200e || code == 0x200f || (code >= 0x202a && code <= 0x202e) ||
         (code >= 0x2066 && code <= 0x2069);
}

/// Columns, or -1 for what must not reach a terminal. A Utf8Locale must be in force.
int width_of(char32_t code) {
  // Noncharacters and private use are not printable either.
  if (steers_terminal(code)) return -1;
  return ::wcwidth(static_cast<wchar_t>(code));
}

std::string escaped(const Character& character, char first_byte) {
  if (!character.valid) return fmt::format("\\x{:02x}", static_cast<unsigned char>(first_byte));
  switch (character.code) {
    case '\n':
      return "\\n";
    case '\r':
      return "\\r";
    case '\t':
      return "\\t";
    default:
      break;
  }
  if (character.code < 0x80) return fmt::format("\\x{:02x}", static_cast<unsigned>(character.code));
  if (character.code < 0x10000) {
    return fmt::format("\\u{:04x}", static_cast<unsigned>(character.code));
  }
  return fmt::format("\\U{:08x}", static_cast<unsigned>(character.code));
}

}  // namespace

bool steers_terminal(char32_t code) {
  return code < 0x20 || (code >= 0x7f && code < 0xa0) || code == 0x2028 || code == 0x2029 ||
         turns_direction(code);
}

Character first_character(std::string_view text) {
  const auto byte = [text](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char lead = byte(0);
  if (lead < 0x80) return {lead, 1, true};
  const std::size_t length = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
  if (lead < 0xc2 || lead > 0xf4 || text.size() < length) return {};
  char32_t code = lead & (0x7fU >> length);
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xc0U) != 0x80) return {};
    code = (code << 6U) | (byte(i) & 0x3fU);
  }
  const bool overlong = (length == 3 && code < 0x800) || (length == 4 && code < 0x10000);
  const bool surrogate = code >= 0xd800 && code <= 0xdfff;
  if (overlong || surrogate || code > 0x10ffff) return {};
  return {code, length, true};
}

std::string valid_utf8(std::string_view text) {
  std::string result;
  result.reserve(text.size());
  while (true) {
    const auto other = std::find_if(text.begin(), text.end(), [](char byte) {
      return static_cast<unsigned char>(byte) > 0x7F;  // all that ASCII does not have
    });
    const auto ascii = static_cast<std::size_t>(other - text.begin());
    result += text.substr(0, ascii);
    text.remove_prefix(ascii);
    if (text.empty()) return result;
    const Character character = first_character(text);
    result += character.valid ? text.substr(0, character.length) : kReplacement;
    text.remove_prefix(character.length);
  }
}

std::string terminal_text(std::string_view text) {
  std::string result;
  result.reserve(text.size());
  std::optional<Utf8Locale> locale;
  while (!text.empty()) {
    if (is_plain(text[0])) {
      result += text[0];
      text.remove_prefix(1);
      continue;
    }
    if (!locale) locale.emplace();
    const Character character = first_character(text);
    if (character.valid && width_of(character.code) >= 0 && character.code != 0) {
      result += text.substr(0, character.length);
    } else {
      result += escaped(character, text[0]);
    }
    text.remove_prefix(character.length);
  }
  return result;
}

std::size_t display_width(std::string_view text) {
  std::size_t width = 0;
  std::optional<Utf8Locale> locale;
  while (!text.empty()) {
    std::size_t length = 1;
    if (is_plain(text[0])) {
      ++width;
    } else {
      if (!locale) locale.emplace();
      const Character character = first_character(text);
      length = character.length;
      width += static_cast<std::size_t>(std::max(0, width_of(character.code)));
    }
    text.remove_prefix(length);
  }
  return width;
}

std::string shortened(std::string_view text, std::size_t width) {
  if (display_width(text) <= width) return std::string(text);
  if (width == 0) return {};
  const Utf8Locale locale;
  std::size_t used = 0;
  std::size_t end = 0;
  while (end < text.size()) {
    const Character character = first_character(text.substr(end));
    used += static_cast<std::size_t>(std::max(0, width_of(character.code)));
    if (used > width - 1) break;
    end += character.length;
  }
  return std::string(text.substr(0, end)).append(kEllipsis);
}

std::string hex_digits(Bytes bytes) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text;
  text.reserve(bytes.size() * 2);
  for (const std::byte byte : bytes) {
    text += kDigits[std::to_integer<std::size_t>(byte >> 4)];
    text += kDigits[std::to_integer<std::size_t>(byte & std::byte{0xf})];
  }
  return text;
}

std::string real_text(double value) {
  if (std::isinf(value)) return value > 0 ? "9e999" : "-9e999";
  std::string text = fmt::format("{}", value);
  if (text.find_first_of(".en") == std::string::npos) text += ".0";
  return text;
}

}  // namespace engram::output
