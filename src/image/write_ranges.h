// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// What the writers of dumps share: the ranges of a memory, and their bytes.

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "base/in_order.h"
#include "guest/memory.h"
#include "image/write.h"
#include "mapping/bulk.h"

namespace engram::image {

/// No memory, and no range of addresses, is written that is larger: a damaged file may declare any
/// size, and nothing could be done with the result. (x86-64 and arm64 have at most 2^52 bytes.)
inline constexpr std::uint64_t kMostBytes = std::uint64_t{1} << 47;

/// What is read and packed at once.
inline constexpr std::uint64_t kPieceBytes = 4 * kMiB;
/// Less is not worth a thread.
inline constexpr std::uint64_t kSmallPiece = 64 * kKiB;

/// Bytes of physical memory without a gap.
struct PresentRange {
  PhysAddr start;
  std::uint64_t size = 0;
  [[nodiscard]] PhysAddr last() const { return start + (size - 1); }
};

/// The readable ranges of a memory in address order: neighbouring regions are one range.
class PresentRanges {
 public:
  enum class Which : std::uint8_t { readable, all };
  explicit PresentRanges(const guest::Memory& memory, Which which = Which::readable)
      : regions_(memory.regions()), which_(which) {}

  /// Nothing at the end.
  [[nodiscard]] std::optional<PresentRange> next();

 private:
  std::span<const guest::Region> regions_;  // those that are left
  Which which_;
};

/// Tells whoever waits for a writer how far it is.
class Meter {
 public:
  Meter(const WriteOptions& options, WriteState::Step step, std::uint64_t all)
      : options_(options), state_{step, 0, all} {}

  /// So many bytes more are done. Errors: nobody wants the rest.
  Result<void> add(std::uint64_t bytes);

 private:
  const WriteOptions& options_;
  WriteState state_;
};

/// The memory as it can be written: what its sources fail to make is in no region, or in an
/// unreadable one. Errors: options.go_on() said no.
[[nodiscard]] Result<guest::Memory> checked_memory(const guest::Memory& memory,
                                                   const WriteOptions& options);

/// What a writer is going to write.
struct Survey {
  guest::Memory memory;  ///< as checked_memory() has it
  Written all;
};

/// Errors: nothing is readable; more than 2^64 - 1 bytes; those of checked_memory().
[[nodiscard]] Result<Survey> survey(const guest::Memory& memory, const WriteOptions& options);

/// The error for a byte that was there a moment ago.
[[nodiscard]] tl::unexpected<Error> cannot_read(PhysAddr address);

/// Copies ranges from a memory to a sink.
class RangeCopier {
 public:
  RangeCopier(const Survey& survey, Sink& sink, const WriteOptions& options);

  /// Errors: those of the sink; a byte cannot be read; nobody wants the rest.
  Result<void> copy(PresentRange range);

 private:
  using Piece = mapping::BulkVector<std::byte>;

  Result<void> copy_part(const guest::Region& region, PhysAddr from, std::uint64_t size);
  Result<void> copy_made(const guest::Region& region, PhysAddr from, std::uint64_t size);
  Result<void> take_made(InOrder<Piece>& pieces);

  const guest::Memory& memory_;
  Sink& sink_;
  Meter meter_;
  std::vector<std::byte> chunk_;
};

}  // namespace engram::image
