// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "kernel/windows/unicode.h"

#include <fmt/core.h>

#include <vector>

namespace engram::kernel::windows {
namespace {

constexpr char32_t kReplacement = 0xFFFD;

void append(std::string& text, char32_t code) {
  const auto add = [&](char32_t byte) { text += static_cast<char>(byte); };
  const auto tail = [&](unsigned shift) { add(0x80 | (code >> shift & 0x3F)); };
  if (code < 0x80) {
    add(code);
  } else if (code < 0x800) {
    add(0xC0 | code >> 6);
    tail(0);
  } else if (code < 0x10000) {
    add(0xE0 | code >> 12);
    tail(6);
    tail(0);
  } else {
    add(0xF0 | code >> 18);
    tail(12);
    tail(6);
    tail(0);
  }
}

constexpr bool is_high(char32_t unit) {
  return unit >= 0xD800 && unit < 0xDC00;
}
constexpr bool is_low(char32_t unit) {
  return unit >= 0xDC00 && unit < 0xE000;
}

struct Text {
  std::uint16_t length = 0;  ///< bytes
  VirtAddr buffer;
};

std::optional<Text> read_header(const Reader& reader, VirtAddr address, std::string_view what,
                                bool is_64_bit) {
  const auto length =
      reader.get(address, Field<std::uint16_t>{fmt::format("{}.Length", what), 0, 2});
  const auto buffer = reader.get(
      address,
      Field<VirtAddr>{fmt::format("{}.Buffer", what), is_64_bit ? 8U : 4U, is_64_bit ? 8U : 4U});
  if (!length || !buffer) return std::nullopt;
  return Text{*length, *buffer};
}

}  // namespace

std::string to_utf8(Bytes utf16) {
  std::string text;
  const std::size_t units = utf16.size() / 2;
  const auto unit = [&](std::size_t at) -> char32_t {
    return load_unaligned<std::uint16_t>(utf16.data() + 2 * at);
  };
  for (std::size_t at = 0; at < units; ++at) {
    const char32_t first = unit(at);
    if (is_high(first) && at + 1 < units && is_low(unit(at + 1))) {
      append(text, 0x10000 + ((first - 0xD800) << 10) + (unit(++at) - 0xDC00));
    } else {
      append(text, is_high(first) || is_low(first) ? kReplacement : first);
    }
  }
  return text;
}

std::optional<std::string> unicode_string(const Reader& reader, VirtAddr address,
                                          std::string_view what, bool is_64_bit) {
  const auto header = read_header(reader, address, what, is_64_bit);
  if (!header) return std::nullopt;
  if (header->length % 2 != 0) {
    reader.report(what, address,
                  fmt::format("{} bytes of UTF-16: one is left over", header->length));
  }
  std::vector<std::byte> bytes(header->length / 2 * std::size_t{2});
  if (bytes.empty()) return std::string();
  if (const auto read = reader.space().read_exact(header->buffer, bytes); !read) {
    reader.report(what, address, paging::to_string(read.error()));
    return std::nullopt;
  }
  return to_utf8(bytes);
}

}  // namespace engram::kernel::windows
