// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// The checksum CRC-32C (Castagnoli).

#include <cstdint>

#include "base/bytes.h"

namespace engram::image {

[[nodiscard]] std::uint32_t crc32c(Bytes bytes);
/// The same a byte at a time, for processors without an instruction for it.
[[nodiscard]] std::uint32_t crc32c_portable(Bytes bytes);

}  // namespace engram::image
