// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// Reads of mapped bytes that may fault (a truncated file, a failing disk): the fault becomes a
// short count. A SIGBUS handler is installed at the first use; a fault that did not come from here
// goes to the handler that was installed before. A program that installs its own SIGBUS handler
// later has to pass on what it does not know, and must not block SIGBUS in a thread that reads.

#include <cstddef>
#include <cstdint>
#include <optional>

#include "base/bytes.h"

namespace engram::mapping {

/// Copies `from` to `to` (same size) and returns the number of bytes copied before the first byte
/// that faulted: all of them if none did. The count is exact to the page.
[[nodiscard]] std::size_t guarded_copy(MutableBytes to, Bytes from) noexcept;

/// A word, or the news that it could not be loaded; fits two registers.
struct GuardedWord {
  std::uint64_t value = 0;
  bool good = false;
};

/// One 8-byte little-endian load. About the cost of a call and a plain load.
[[nodiscard]] GuardedWord guarded_word(const std::byte* from) noexcept;

/// The same; nothing if it faults.
[[nodiscard]] inline std::optional<std::uint64_t> guarded_load(const std::byte* from) noexcept {
  const GuardedWord word = guarded_word(from);
  if (!word.good) return std::nullopt;
  return word.value;
}

}  // namespace engram::mapping
