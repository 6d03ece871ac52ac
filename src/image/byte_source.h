// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// The bytes of an image file that are not simply mapped: made when somebody asks for them.

#include <cstdint>

#include "base/bytes.h"
#include "base/units.h"
#include "guest/memory.h"

namespace engram::image {

/// Safe to use from several threads, but for region().
class ByteSource {
 public:
  virtual ~ByteSource() = default;
  [[nodiscard]] virtual std::uint64_t size() const = 0;
  /// Reads up to the first byte that is not there, or cannot be made; how many that were.
  [[nodiscard]] virtual std::size_t read(FileOffset from, MutableBytes to) const = 0;
  /// Guest memory whose bytes are those from `at` on, all of which lie in the file. It is good as
  /// long as the source lives.
  [[nodiscard]] virtual guest::Region region(PhysAddr start, std::uint64_t size,
                                             FileOffset at) const = 0;
};

}  // namespace engram::image
