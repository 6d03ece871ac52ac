// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// The compressions of pages in dump files: packed bytes in, the page out.

#include <cstddef>
#include <cstdint>
#include <optional>

#include "base/bytes.h"

namespace engram::image {

enum class Codec : std::uint8_t { none, zlib, lzo, snappy, zstd };

[[nodiscard]] const char* to_string(Codec codec);

/// Whether this build can unpack it: LZO may be left out (its library is under the GPL).
[[nodiscard]] bool can_unpack(Codec codec);

/// Unpacks all of `from` to the beginning of `to`. Returns how many bytes that gave; nothing if
/// `from` is damaged or gives more than `to` has room for. Safe for any input, and for several
/// threads.
[[nodiscard]] std::optional<std::size_t> unpack(Codec codec, Bytes from, MutableBytes to);

}  // namespace engram::image
