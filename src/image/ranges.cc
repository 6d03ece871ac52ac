// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "image/ranges.h"

namespace engram::image {
namespace {

// A range is two bytes if it is some pages behind the one before it, and its bytes follow at once:
// kShort and the distance in pages, and its size in pages. Any other one is a byte of the flags
// below, its distance from the end of the one before it, its size, and what the flags say. Numbers
// have 7 bits a byte, lowest first; all arithmetic wraps.
constexpr unsigned kShort = 1U << 7U;
constexpr unsigned kPages = 1U << 0U;    // distance and size are counted in pages of 4 KiB
constexpr unsigned kMoved = 1U << 1U;    // how far its bytes are from the end of those before
constexpr unsigned kPartial = 1U << 2U;  // how many of its bytes are not stored
constexpr unsigned kCut = 1U << 3U;      // how many stored bytes are not readable
constexpr unsigned kVirtual = 1U << 4U;  // its virtual address

constexpr unsigned kPageShift = 12;

/// Signed numbers near 0 as small ones.
std::uint64_t folded(std::uint64_t number) {
  return number << 1U ^ (0 - (number >> 63U));
}
std::uint64_t unfolded(std::uint64_t number) {
  return number >> 1U ^ (0 - (number & 1U));
}

constexpr std::size_t kLongestNumber = 10;
constexpr std::size_t kLongestRange = 1 + 6 * kLongestNumber;

std::uint8_t* pack(std::uint64_t number, std::uint8_t* to) {
  for (; number >= 0x80; number >>= 7U) *to++ = static_cast<std::uint8_t>(number | 0x80U);
  *to++ = static_cast<std::uint8_t>(number);
  return to;
}

}  // namespace

void RangeList::push_back(const Range& range) {
  if (size_ > 0) pack_last();
  last_ = range;
  ++size_;
}

void RangeList::pack_last() {
  const std::uint64_t distance = folded(last_.start - end_);
  const std::uint64_t moved = folded(last_.offset - stored_end_);
  unsigned kind = (distance | last_.size) % kPageSize == 0 ? kPages : 0;
  if (moved != 0) kind |= kMoved;
  if (last_.stored != last_.size) kind |= kPartial;
  if (last_.readable != last_.stored) kind |= kCut;
  if (last_.virtual_address != 0) kind |= kVirtual;

  if (packed_.size() - used_ < kLongestRange) packed_.resize(2 * packed_.size() + kLongestRange);
  const unsigned shift = (kind & kPages) != 0 ? kPageShift : 0;
  std::uint8_t* to = packed_.data() + used_;
  if (kind == kPages && distance >> shift < kShort && last_.size >> shift < 0x100) {
    *to++ = static_cast<std::uint8_t>(kShort | distance >> shift);
    *to++ = static_cast<std::uint8_t>(last_.size >> shift);
  } else {
    *to++ = static_cast<std::uint8_t>(kind);
    to = pack(distance >> shift, to);
    to = pack(last_.size >> shift, to);
    if ((kind & kMoved) != 0) to = pack(moved, to);
    if ((kind & kPartial) != 0) to = pack(last_.size - last_.stored, to);
    if ((kind & kCut) != 0) to = pack(last_.stored - last_.readable, to);
    if ((kind & kVirtual) != 0) to = pack(last_.virtual_address, to);
  }
  used_ = static_cast<std::size_t>(to - packed_.data());
  is_cut_ = is_cut();
  end_ = last_.start + last_.size;
  stored_end_ = last_.offset + last_.stored;
}

std::uint64_t RangeList::Iterator::number() {
  std::uint64_t value = 0;
  for (unsigned shift = 0;; shift += 7) {
    const std::uint64_t byte = *next_++;
    value |= (byte & 0x7FU) << shift;
    if (byte < 0x80) return value;
  }
}

void RangeList::Iterator::unpack() {
  if (index_ + 1 == list_->size_) {
    range_ = list_->last_;
    return;
  }
  const PhysAddr end = range_.start + range_.size;
  const FileOffset stored_end = range_.offset + range_.stored;
  const unsigned first = *next_++;
  const bool is_short = (first & kShort) != 0;
  const unsigned kind = is_short ? kPages : first;
  const unsigned shift = (kind & kPages) != 0 ? kPageShift : 0;
  range_.start = end + unfolded((is_short ? first - kShort : number()) << shift);
  range_.size = (is_short ? *next_++ : number()) << shift;
  range_.offset = stored_end + ((kind & kMoved) != 0 ? unfolded(number()) : 0);
  range_.stored = range_.size - ((kind & kPartial) != 0 ? number() : 0);
  range_.readable = range_.stored - ((kind & kCut) != 0 ? number() : 0);
  range_.virtual_address = (kind & kVirtual) != 0 ? number() : 0;
}

}  // namespace engram::image
