// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// How much memory the program may take, beyond the file of the image.

#include <cstdint>
#include <string>

#include "base/result.h"
#include "base/units.h"

namespace engram::cli {

inline constexpr std::uint64_t kUsualMemory = kGiB;
/// What is found of a kernel takes about so much.
inline constexpr std::uint64_t kLeastMemory = 16 * kMiB;
/// Beside it: the program's own data and the stacks of its threads.
inline constexpr std::uint64_t kOwnMemory = 32 * kMiB;

/// To be said where work ends because of the limit.
inline constexpr const char* kMemoryIsOver = "out of memory: this takes more than --memory allows";

inline constexpr const char* kMemoryExpected =
    "a size such as \"512MB\" or \"4GB\", of 16MB or more";

/// A number of bytes, or of units of powers of 1024: "512MB", "512 MiB", "4G".
/// Errors: it is none, or less than kLeastMemory.
Result<std::uint64_t> parse_memory(const std::string& text);

/// From now on this process can have so many bytes more, and kOwnMemory: an allocation beyond
/// throws std::bad_alloc. What is mapped of files does not count, nor does memory that other
/// processes have, too. Programs that it starts inherit the limit.
void limit_memory(std::uint64_t bytes);

}  // namespace engram::cli
