// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "cli/address.h"

#include <algorithm>
#include <cctype>
#include <charconv>

#include "base/bytes.h"

namespace engram::cli {
namespace {

bool has_hex_prefix(std::string_view text) {
  return text.size() > 2 && text[0] == '0' && (text[1] == 'x' || text[1] == 'X');
}

std::optional<std::uint64_t> parse_number(std::string_view text, int base) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::optional<std::uint64_t> parse_hex(std::string_view text) {
  std::string digits(has_hex_prefix(text) ? text.substr(2) : text);
  digits.erase(std::remove(digits.begin(), digits.end(), '`'), digits.end());
  return parse_number(digits, 16);
}

/// What a kernel's symbol is made of; assemblers allow dots.
bool is_symbol(std::string_view text) {
  const auto fits = [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || c == '.' || c == '$';
  };
  return !text.empty() && std::isdigit(static_cast<unsigned char>(text[0])) == 0 &&
         std::all_of(text.begin(), text.end(), fits);
}

/// 2 to which power; nothing if it is no unit.
std::optional<unsigned> unit_bits(std::string_view unit) {
  std::string lower(unit);
  for (char& c : lower) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  if (lower.empty() || lower == "b") return 0;
  constexpr std::string_view kUnits = "kmgt";
  const auto found = kUnits.find(lower[0]);
  const std::string_view rest = std::string_view(lower).substr(1);
  if (found == std::string_view::npos || (rest != "" && rest != "b" && rest != "ib")) {
    return std::nullopt;
  }
  return 10 * (static_cast<unsigned>(found) + 1);
}

}  // namespace

Result<AddressText> parse_address(std::string_view text) {
  AddressText address;
  const auto plus = text.find('+');
  const std::string_view base = text.substr(0, plus);
  if (plus != std::string_view::npos) {
    const auto offset = parse_hex(text.substr(plus + 1));
    if (!offset) {
      return fail("{}: expected a hexadecimal offset behind +, got '{}'", text,
                  text.substr(plus + 1));
    }
    address.offset = *offset;
  }
  if (const auto number = parse_hex(base)) {
    address.number = *number;
    return address;
  }
  if (!is_symbol(base)) {
    return fail("{}: expected an address (up to 16 hexadecimal digits) or a symbol's name", text);
  }
  address.symbol = std::string(base);
  return address;
}

Result<std::uint64_t> parse_length(std::string_view text) {
  const bool is_hex = has_hex_prefix(text);
  const std::string_view rest = is_hex ? text.substr(2) : text;
  const auto is_digit = [is_hex](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return (is_hex ? std::isxdigit(byte) : std::isdigit(byte)) != 0;
  };
  const auto count =
      static_cast<std::size_t>(std::find_if_not(rest.begin(), rest.end(), is_digit) - rest.begin());
  const auto number = parse_number(rest.substr(0, count), is_hex ? 16 : 10);
  std::string_view unit = rest.substr(count);
  unit.remove_prefix(std::min(unit.find_first_not_of(' '), unit.size()));
  const auto bits = unit_bits(unit);
  if (!number || !bits) {
    return fail("{}: expected a number of bytes, such as 128, 0x1000 or 4k", text);
  }
  const auto length = checked_multiply(*number, std::uint64_t{1} << *bits);
  if (!length) return fail("{}: more than 2^64 - 1 bytes", text);
  return *length;
}

}  // namespace engram::cli
