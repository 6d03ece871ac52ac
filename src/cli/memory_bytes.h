// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// The bytes of a range of physical or virtual memory, and the gaps in it with their reasons.

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "base/bytes.h"
#include "base/result.h"
#include "guest/memory.h"
#include "paging/address_space.h"

namespace engram::cli {

/// Bytes that are not there.
struct Gap {
  std::uint64_t address = 0, size = 0;
  std::string reason;  ///< of its first byte
};

/// Memory by an address of one kind.
class ByteSource {
 public:
  virtual ~ByteSource() = default;

  /// What stands at the byte behind those that were read.
  struct Stop {
    std::uint64_t end = 0;   ///< one past the last byte that is missing for the same reason
    std::uint64_t kind = 0;  ///< stops that follow each other and are alike are one gap
    std::string reason;
  };
  struct Outcome {
    std::size_t count = 0;
    std::optional<Stop> stop;  ///< none if all were read
  };
  [[nodiscard]] virtual Outcome read(std::uint64_t from, MutableBytes to) const = 0;
};

class PhysicalBytes final : public ByteSource {
 public:
  explicit PhysicalBytes(const guest::Memory& memory) : memory_(memory) {}
  [[nodiscard]] Outcome read(std::uint64_t from, MutableBytes to) const override;

 private:
  const guest::Memory& memory_;
};

class VirtualBytes final : public ByteSource {
 public:
  explicit VirtualBytes(paging::AddressSpace space) : space_(std::move(space)) {}
  [[nodiscard]] Outcome read(std::uint64_t from, MutableBytes to) const override;

 private:
  paging::AddressSpace space_;
};

/// Who takes what is in a range, in the order of addresses.
struct ByteVisitor {
  std::function<Result<void>(std::uint64_t address, Bytes bytes)> bytes;
  std::function<Result<void>(const Gap& gap)> gap;
};

/// Visits [from, from + size), which must not be empty nor go beyond 2^64; `size` - 1 + `from` is
/// its last byte. Returns how many bytes are there. Errors: those of the visitor.
Result<std::uint64_t> visit_bytes(const ByteSource& source, std::uint64_t from, std::uint64_t size,
                                  const ByteVisitor& visitor);

}  // namespace engram::cli
