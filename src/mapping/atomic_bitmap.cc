// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "mapping/atomic_bitmap.h"

#include <algorithm>
#include <mutex>
#include <shared_mutex>

namespace engram::mapping {
namespace {

unsigned shift_of(std::uint64_t page_size) {
  assert(std::has_single_bit(page_size));
  return static_cast<unsigned>(std::countr_zero(page_size));
}

std::uint64_t pages_of(std::uint64_t bytes, unsigned page_shift) {
  const std::uint64_t rest = bytes & ((std::uint64_t{1} << page_shift) - 1);
  return (bytes >> page_shift) + (rest != 0 ? 1 : 0);
}

std::vector<std::uint64_t> words_for(std::uint64_t pages) {
  return std::vector<std::uint64_t>(pages / kPagesPerWord + (pages % kPagesPerWord != 0 ? 1 : 0));
}

}  // namespace

AtomicBitmap::AtomicBitmap(std::uint64_t bytes, std::uint64_t page_size)
    : bytes_(bytes),
      words_(words_for(pages_of(bytes, shift_of(page_size)))),
      view_(words_.data(), pages_of(bytes, shift_of(page_size)), shift_of(page_size)) {}

/// `other`'s marks in a bitmap for at least as many bytes.
AtomicBitmap::AtomicBitmap(const AtomicBitmap& other, std::uint64_t bytes)
    : AtomicBitmap(bytes, other.page_size()) {
  for (std::uint64_t index = 0; index < other.view_.words(); ++index) {
    words_[index] = other.view_.load(index);
  }
}

AtomicBitmap::AtomicBitmap(AtomicBitmap&& other) noexcept
    : bytes_(std::exchange(other.bytes_, 0)),
      words_(std::move(other.words_)),
      view_(std::exchange(other.view_, detail::BitmapWords(nullptr, 0, other.view_.page_shift()))) {
}

AtomicBitmap& AtomicBitmap::operator=(AtomicBitmap&& other) noexcept {
  if (this == &other) return *this;
  bytes_ = std::exchange(other.bytes_, 0);
  words_ = std::move(other.words_);
  view_ = std::exchange(other.view_, detail::BitmapWords(nullptr, 0, other.view_.page_shift()));
  return *this;
}

AtomicBitmap AtomicBitmap::clone() const {
  return AtomicBitmap(*this, bytes_);
}

void AtomicBitmap::enlarge(std::uint64_t bytes) {
  if (bytes > bytes_) *this = AtomicBitmap(*this, bytes);
}

std::vector<std::uint64_t> AtomicBitmap::get_and_reset() {
  std::vector<std::uint64_t> taken(words_.size());
  drain([&](std::uint64_t page, std::uint64_t word) { taken[page / kPagesPerWord] = word; });
  return taken;
}

ExternalBitmap::ExternalBitmap(std::uint64_t page_size) : page_shift_(shift_of(page_size)) {}

void ExternalBitmap::replace(std::span<std::uint64_t> words) {
  const std::lock_guard lock(mutex_);
  view_ = detail::BitmapWords(words.data(), words.size() * kPagesPerWord, page_shift_);
}

std::uint64_t ExternalBitmap::size() const {
  const std::shared_lock lock(mutex_);
  return view_.bits();
}

void ExternalBitmap::mark_dirty(std::uint64_t offset, std::uint64_t size) {
  const std::shared_lock lock(mutex_);
  view_.mark_range(offset, size);
}

bool ExternalBitmap::dirty_at(std::uint64_t offset) const {
  const std::shared_lock lock(mutex_);
  return view_.dirty_at(offset);
}

}  // namespace engram::mapping
