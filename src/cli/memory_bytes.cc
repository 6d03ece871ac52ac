// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "cli/memory_bytes.h"

#include <algorithm>
#include <utility>
#include <vector>

namespace engram::cli {
namespace {

constexpr std::uint64_t kChunk = 64 * kKiB;

/// The end of the aligned block of that size around the address; 0 for 2^64.
std::uint64_t end_of_block(std::uint64_t address, std::uint64_t size) {
  return align_down(address, size) + size;
}

}  // namespace

ByteSource::Outcome PhysicalBytes::read(std::uint64_t from, MutableBytes to) const {
  const auto transfer = memory_.read(PhysAddr(from), to);
  if (transfer.complete()) return {to.size(), std::nullopt};
  const PhysAddr bad(from + transfer.count);
  const bool absent = guest::is_absent(transfer.stop);
  Stop stop{end_of_block(bad.value, kPageSize), absent ? 1U : 0U, guest::absence_text(absent)};
  const guest::Region* const region = memory_.find(bad);
  if (region == nullptr) {
    const guest::Region* const next = memory_.find_behind(bad);
    stop.end = next == nullptr ? 0 : next->start.value;
  } else if (region->backing == guest::Backing::unreadable) {
    stop.end = region->end().value;
  }
  return {transfer.count, std::move(stop)};
}

ByteSource::Outcome VirtualBytes::read(std::uint64_t from, MutableBytes to) const {
  const auto outcome = space_.read(VirtAddr(from), to);
  if (outcome.complete()) return {to.size(), std::nullopt};
  const paging::Fault& fault = *outcome.fault;
  std::string reason = to_string(fault);
  reason.erase(0, reason.find(": ") + 2);  // the address, which is said with the gap
  return {outcome.count,
          Stop{space_.last_alike(fault).value + 1,
               static_cast<std::uint64_t>(fault.reason) << 8U | fault.level, std::move(reason)}};
}

Result<std::uint64_t> visit_bytes(const ByteSource& source, std::uint64_t from, std::uint64_t size,
                                  const ByteVisitor& visitor) {
  std::vector<std::byte> chunk(static_cast<std::size_t>(std::min(size, kChunk)));
  std::optional<Gap> gap;
  std::uint64_t kind = 0;
  std::uint64_t there = 0;
  while (size > 0) {
    const auto part = std::span(chunk).first(
        static_cast<std::size_t>(std::min<std::uint64_t>(size, chunk.size())));
    auto outcome = source.read(from, part);
    if (gap && (outcome.count > 0 || outcome.stop->kind != kind)) {
      ENGRAM_CHECK(visitor.gap(*gap));
      gap.reset();
    }
    if (outcome.count > 0) ENGRAM_CHECK(visitor.bytes(from, part.first(outcome.count)));
    there += outcome.count;
    from += outcome.count;
    size -= outcome.count;
    if (!outcome.stop) continue;
    const std::uint64_t missing = std::min(size, outcome.stop->end - from);
    if (gap) {
      gap->size += missing;
    } else {
      gap = Gap{from, missing, std::move(outcome.stop->reason)};
      kind = outcome.stop->kind;
    }
    from += missing;
    size -= missing;
  }
  if (gap) ENGRAM_CHECK(visitor.gap(*gap));
  return there;
}

}  // namespace engram::cli
