// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "image/write_ranges.h"

#include <algorithm>
#include <memory>
#include <utility>

namespace engram::image {
namespace {

using guest::Backing;
using guest::Region;

constexpr std::size_t kChunk = 256 * kKiB;

/// Part of a region that cannot be read, and why.
struct Loss {
  PhysAddr start;
  std::uint64_t size = 0;
  bool absent = false;
};
using Losses = std::vector<Loss>;

void add_loss(Losses& losses, Loss loss) {
  if (!losses.empty() && losses.back().absent == loss.absent &&
      losses.back().start + losses.back().size == loss.start) {
    losses.back().size += loss.size;
  } else {
    losses.push_back(loss);
  }
}

/// What of these bytes of a region cannot be made, by whole pages. Does not fail.
Result<Losses> find_losses(const Region& region, PhysAddr from, std::uint64_t size) {
  std::vector<std::byte> bytes(static_cast<std::size_t>(std::min(size, kChunk)));
  Losses losses;
  while (size > 0) {
    const auto part = std::span(bytes).first(
        static_cast<std::size_t>(std::min<std::uint64_t>(size, bytes.size())));
    const auto outcome = region.source().read_once(from, part);
    std::uint64_t done = outcome.count;
    if (!outcome.complete()) {
      const PhysAddr bad = from + done;
      const std::uint64_t lost = std::min(size - done, kPageSize - bad.mask(kPageMask));
      add_loss(losses, {bad, lost, guest::is_absent(outcome.stop)});
      done += lost;
    }
    from = from + done;
    size -= done;
  }
  return losses;
}

/// The region without the losses, and the losses that the image should have.
void add_pieces(const Region& region, const Losses& losses, guest::Regions& pieces) {
  PhysAddr at = region.start;
  const auto add = [&](PhysAddr start, std::uint64_t size, bool readable) {
    if (size == 0) return;
    Region piece = region;
    if (!readable) piece = {start, size, Backing::unreadable, nullptr};
    piece.start = start;
    piece.size = size;
    pieces.push_back(piece);
  };
  for (const Loss& loss : losses) {
    add(at, loss.start - at, true);
    if (!loss.absent) add(loss.start, loss.size, false);
    at = loss.start + loss.size;
  }
  add(at, region.end() - at, true);
}

/// Those of all bytes of a region, found on all processors.
Result<Losses> check_region(const Region& region, Meter& meter) {
  Losses all;
  InOrder<Losses> tasks;
  PhysAddr from = region.start;
  std::uint64_t left = region.size;
  while (left > 0 || !tasks.empty()) {
    if (left > 0 && !tasks.full()) {
      const std::uint64_t size = std::min(left, kPieceBytes);
      tasks.add([&region, from, size] { return find_losses(region, from, size); },
                size <= kSmallPiece);
      from = from + size;
      left -= size;
      ENGRAM_CHECK(meter.add(size));
      continue;
    }
    ENGRAM_TRY(const Losses losses, tasks.take());
    for (const Loss& loss : losses) add_loss(all, loss);
  }
  return all;
}

}  // namespace

std::optional<PresentRange> PresentRanges::next() {
  const auto readable = [this](const Region& r) {
    return which_ == Which::all || r.backing != Backing::unreadable;
  };
  auto at = std::find_if(regions_.begin(), regions_.end(), readable);
  if (at == regions_.end()) return std::nullopt;
  PresentRange range{at->start, at->size};
  PhysAddr last = at->last();
  for (++at; at != regions_.end() && readable(*at) && at->start - last == 1; ++at) {
    const auto size = checked_add(range.size, at->size);
    if (!size) break;  // all 2^64 bytes: as two ranges
    range.size = *size;
    last = at->last();
  }
  regions_ = {at, regions_.end()};
  return range;
}

Result<void> Meter::add(std::uint64_t bytes) {
  state_.done += bytes;
  if (!options_.go_on || options_.go_on(state_)) return {};
  return fail("write: not finished");
}

tl::unexpected<Error> cannot_read(PhysAddr address) {
  return fail("write: the byte at {:#x} cannot be read any more", address.value);
}

Result<guest::Memory> checked_memory(const guest::Memory& memory, const WriteOptions& options) {
  std::uint64_t made = 0;
  for (const Region& region : memory.regions()) {
    if (region.backing == Backing::source) made += region.size;
  }
  if (made == 0) return memory;
  Meter meter(options, WriteState::Step::checking, made);
  guest::Regions pieces;
  for (const Region& region : memory.regions()) {
    if (region.backing != Backing::source) {
      pieces.push_back(region);
      continue;
    }
    ENGRAM_TRY(const Losses losses, check_region(region, meter));
    add_pieces(region, losses, pieces);
  }
  return guest::Memory::create(std::move(pieces), std::make_shared<const guest::Memory>(memory));
}

Result<Survey> survey(const guest::Memory& memory, const WriteOptions& options) {
  ENGRAM_TRY(auto checked, checked_memory(memory, options));
  Survey found{std::move(checked), {}};
  Written& all = found.all;
  PresentRanges ranges(found.memory);
  while (const auto range = ranges.next()) {
    const auto bytes = checked_add(all.bytes, range->size);
    if (!bytes) return fail("write: the memory has more than 2^64 - 1 bytes");
    all.bytes = *bytes;
    ++all.ranges;
  }
  for (const Region& region : found.memory.regions()) {
    if (region.backing == Backing::unreadable) all.unreadable += region.size;
  }
  if (all.ranges == 0) return fail("write: the memory has no byte that can be read");
  return found;
}

RangeCopier::RangeCopier(const Survey& survey, Sink& sink, const WriteOptions& options)
    : memory_(survey.memory),
      sink_(sink),
      meter_(options, WriteState::Step::writing, survey.all.bytes),
      chunk_(kChunk) {}

Result<void> RangeCopier::copy(PresentRange range) {
  while (range.size > 0) {
    const Region* const region = memory_.find(range.start);
    const std::uint64_t left = region->last() - range.start;  // besides the first byte
    const std::uint64_t size = std::min(left, range.size - 1) + 1;
    ENGRAM_CHECK(copy_part(*region, range.start, size));
    range = {range.start + size, range.size - size};
  }
  return {};
}

Result<void> RangeCopier::copy_part(const Region& region, PhysAddr from, std::uint64_t size) {
  // There is nothing to read in it, and a damaged file may declare more of it than could ever be.
  if (region.backing == Backing::zero) {
    ENGRAM_CHECK(sink_.zeros(size));
    return meter_.add(size);
  }
  if (region.backing == Backing::source) return copy_made(region, from, size);
  while (size > 0) {
    // Up to a multiple of the page size, so that pages of the memory are found to be zero.
    const std::uint64_t room = chunk_.size() - from.mask(kPageMask);
    const auto part = std::span(chunk_).first(static_cast<std::size_t>(std::min(size, room)));
    const auto outcome = memory_.read(from, part);
    if (!outcome.complete()) return cannot_read(from + outcome.count);
    ENGRAM_CHECK(write_sparse(part, from.mask(kPageMask), sink_));
    ENGRAM_CHECK(meter_.add(part.size()));
    from = from + part.size();
    size -= part.size();
  }
  return {};
}

Result<void> RangeCopier::copy_made(const Region& region, PhysAddr from, std::uint64_t size) {
  InOrder<Piece> pieces;
  while (size > 0) {
    if (pieces.full()) ENGRAM_CHECK(take_made(pieces));
    const std::uint64_t length = std::min(size, kPieceBytes - from.mask(kPageMask));
    const auto read = [&region, from, length]() -> Result<Piece> {
      Piece bytes(static_cast<std::size_t>(length));
      const auto outcome = region.source().read_once(from, bytes);
      if (!outcome.complete()) return cannot_read(from + outcome.count);
      return bytes;
    };
    pieces.add(read, length <= kSmallPiece);
    from = from + length;
    size -= length;
  }
  while (!pieces.empty()) ENGRAM_CHECK(take_made(pieces));
  return {};
}

Result<void> RangeCopier::take_made(InOrder<Piece>& pieces) {
  ENGRAM_TRY(const auto bytes, pieces.take());
  ENGRAM_CHECK(write_sparse(bytes, 0, sink_));
  return meter_.add(bytes.size());
}

}  // namespace engram::image
