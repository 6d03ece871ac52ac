// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "image/crc32c.h"

#include <array>

namespace engram::image {
namespace {

constexpr std::array<std::uint32_t, 256> kTable = [] {
  std::array<std::uint32_t, 256> table{};
  for (std::uint32_t i = 0; i < 256; ++i) {
    std::uint32_t value = i;
    for (int bit = 0; bit < 8; ++bit) {
      value = (value >> 1U) ^ ((value & 1U) != 0 ? 0x82F63B78U : 0U);
    }
    table[i] = value;
  }
  return table;
}();

#if defined(__x86_64__)
[[gnu::target("sse4.2")]] std::uint32_t crc32c_instructions(Bytes bytes) {
  std::uint64_t crc = ~std::uint32_t{0};
  std::size_t at = 0;
  for (; at + 8 <= bytes.size(); at += 8) {
    crc = __builtin_ia32_crc32di(crc, load_unaligned<std::uint64_t>(bytes.data() + at));
  }
  auto rest = static_cast<std::uint32_t>(crc);
  for (; at < bytes.size(); ++at) {
    rest = __builtin_ia32_crc32qi(rest, std::to_integer<unsigned char>(bytes[at]));
  }
  return ~rest;
}
#endif

}  // namespace

std::uint32_t crc32c_portable(Bytes bytes) {
  std::uint32_t crc = ~std::uint32_t{0};
  for (const std::byte byte : bytes) {
    crc = (crc >> 8U) ^ kTable[(crc ^ std::to_integer<std::uint32_t>(byte)) & 0xFFU];
  }
  return ~crc;
}

std::uint32_t crc32c(Bytes bytes) {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("sse4.2") != 0) return crc32c_instructions(bytes);
#endif
  return crc32c_portable(bytes);
}

}  // namespace engram::image
