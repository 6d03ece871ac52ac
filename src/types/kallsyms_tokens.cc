// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "types/kallsyms_tokens.h"

#include <cstring>
#include <vector>

namespace engram::types {
namespace {

constexpr std::size_t kZero = '0';  ///< the code of the first digit's token
constexpr std::size_t kTokenCount = 256;
constexpr std::size_t kIndexSize = kTokenCount * sizeof(std::uint16_t);

/// Tables of real kernels have about 1 KiB. The digits' own offset is a 16-bit number by format.
constexpr std::size_t kReadLimit = 16 * kKiB;
/// Only alignment lies between the table and its index; a linker that did more would stay within
/// this.
constexpr std::size_t kIndexSearch = 4 * kKiB;

/// Offsets, relative to the digit "0", of the tokens 48 to 255 and of what lies behind the last.
using LaterOffsets = std::array<std::size_t, kTokenCount - kZero + 1>;

std::optional<LaterOffsets> walk_later_tokens(Bytes from_digits) {
  LaterOffsets offsets{};
  std::size_t at = 0;
  for (std::size_t i = 0; i + 1 < offsets.size(); ++i) {
    offsets[i] = at;
    const std::string_view token = text_until_nul(from_digits.subspan(at));
    at += token.size() + 1;
    if (at > from_digits.size()) return std::nullopt;
  }
  offsets.back() = at;
  return offsets;
}

bool index_agrees(const std::byte* index, const LaterOffsets& offsets) {
  const auto entry = [index](std::size_t code) {
    return std::size_t{load_unaligned<std::uint16_t>(index + code * sizeof(std::uint16_t))};
  };
  if (entry(0) != 0) return false;
  const std::size_t zero = entry(kZero);
  for (std::size_t code = kZero; code < kTokenCount; ++code) {
    if (entry(code) != zero + offsets[code - kZero]) return false;
  }
  return true;
}

/// Fills in offsets and lengths from the index, and checks that every token is where it says.
bool adopt_index(TokenTable& table, Bytes index) {
  std::size_t expected = 0;
  for (std::size_t code = 0; code < kTokenCount; ++code) {
    const auto offset = load_unaligned<std::uint16_t>(index.data() + code * sizeof(std::uint16_t));
    if (offset != expected || offset >= table.text.size()) return false;
    const std::size_t end = table.text.find('\0', offset);
    if (end == std::string::npos) return false;
    table.offset[code] = offset;
    table.length[code] = static_cast<std::uint16_t>(end - offset);
    expected = end + 1;
  }
  return expected == table.text.size();
}

}  // namespace

std::optional<std::size_t> find_digit_tokens(Bytes bytes, std::size_t from) {
  // Any four bytes inside of the pattern are a digit, NUL, a digit, NUL or the same begun one byte
  // later, and every sixteenth place of the bytes has four of them if the pattern is there.
  constexpr std::size_t kStride = 16;
  static_assert(kStride + sizeof(std::uint32_t) <= kDigitTokens.size());
  for (std::size_t at = from; at + sizeof(std::uint32_t) <= bytes.size(); at += kStride) {
    const auto word = load_unaligned<std::uint32_t>(bytes.data() + at);
    std::size_t digit = at;
    if ((word & 0xFFF0FFF0U) != 0x00300030U) {
      if ((word & 0xF0FFF0FFU) != 0x30003000U) continue;
      digit = at + 1;
    }
    const std::size_t before = 2 * (std::to_integer<std::size_t>(bytes[digit]) - kZero);
    if (before > digit - from) continue;
    const auto found = slice(bytes, digit - before, kDigitTokens.size());
    if (!found || std::memcmp(found->data(), kDigitTokens.data(), found->size()) != 0) continue;
    return digit - before;
  }
  return std::nullopt;
}

Result<TokenTable> read_token_table(const paging::AddressSpace& space, VirtAddr digits) {
  std::vector<std::byte> buffer(kReadLimit);
  const std::size_t readable = space.read(digits, buffer).count;
  const Bytes bytes = Bytes(buffer).first(readable);
  const auto offsets = walk_later_tokens(bytes);
  if (!offsets) {
    return fail("kallsyms: digit tokens at {:#x}: no 208 tokens in the {} bytes that follow",
                digits.value, readable);
  }

  const std::size_t tokens_end = offsets->back();
  std::optional<Bytes> index;
  std::size_t at = tokens_end + ((digits.value + tokens_end) & 1U);  // 16-bit entries are aligned
  for (; at < tokens_end + kIndexSearch; at += sizeof(std::uint16_t)) {
    const auto candidate = slice(bytes, at, kIndexSize);
    if (!candidate) break;
    if (!index_agrees(candidate->data(), *offsets)) continue;
    index = candidate;
    break;
  }
  if (!index) {
    return fail(
        "kallsyms: digit tokens at {:#x}: no token index behind the tokens, which end at {:#x}",
        digits.value, digits.value + tokens_end);
  }

  TokenTable table;
  const auto zero = load_unaligned<std::uint16_t>(index->data() + kZero * sizeof(std::uint16_t));
  table.start = digits - zero;
  table.index = digits + at;
  table.index_end = table.index + kIndexSize;
  table.text.resize(zero + tokens_end);
  if (auto read = space.read_exact(table.start, std::as_writable_bytes(std::span(table.text)));
      !read) {
    return fail("kallsyms: token table at {:#x}: {}", table.start.value, to_string(read.error()));
  }
  if (!adopt_index(table, *index)) {
    return fail(
        "kallsyms: token table at {:#x}: the tokens before the digits at {:#x} disagree with the "
        "index at {:#x}",
        table.start.value, digits.value, table.index.value);
  }
  return table;
}

}  // namespace engram::types
