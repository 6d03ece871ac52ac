// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// Text of Windows: UTF-16 with a length, in memory that may be damaged.

#include <optional>
#include <string>

#include "base/bytes.h"
#include "kernel/linux/reader.h"

namespace engram::kernel::windows {

/// UTF-16, little-endian, as UTF-8. What is no text (half of a surrogate pair) becomes U+FFFD; a
/// last single byte is left out.
[[nodiscard]] std::string to_utf8(Bytes utf16);

/// The text of a UNICODE_STRING, of a 64-bit or a 32-bit process. An odd length is reported, and
/// one byte less is read. Nothing if the structure or its text cannot be read, which is reported as
/// `what` at `address`.
[[nodiscard]] std::optional<std::string> unicode_string(const Reader& reader, VirtAddr address,
                                                        std::string_view what,
                                                        bool is_64_bit = true);

}  // namespace engram::kernel::windows
