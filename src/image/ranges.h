// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// The ranges of physical memory that a file declares, of which there may be a million.

#include <cstddef>
#include <cstdint>
#include <iterator>

#include "base/units.h"
#include "mapping/bulk.h"

namespace engram::image {

/// A range as the file declares it (before truncation, merging and overlap are dealt with).
struct Range {
  PhysAddr start;
  std::uint64_t size = 0;  ///< bytes of physical memory
  /// Where its bytes begin in the file; of compressed ones, where what describes them begins.
  FileOffset offset;
  std::uint64_t stored = 0;           ///< bytes that the file declares to store (filesz)
  std::uint64_t readable = 0;         ///< of these, how many the file is long enough for
  std::uint64_t virtual_address = 0;  ///< p_vaddr of an ELF segment, else 0

  friend bool operator==(const Range& a, const Range& b) = default;
};

/// Ranges in the order of the file, read from the first to the last. Each is kept as what does not
/// follow from the one before it: two bytes a run of pages whose bytes lie one after the other,
/// where the structure has 48. Safe to share between threads once it is filled.
class RangeList {
 public:
  class Iterator;

  void push_back(const Range& range);
  [[nodiscard]] std::size_t size() const { return size_; }
  [[nodiscard]] bool empty() const { return size_ == 0; }
  /// Of a list that is not empty.
  [[nodiscard]] Range front() const;
  /// Of a list that is not empty. It may be changed as long as it is the last one.
  [[nodiscard]] const Range& back() const { return last_; }
  [[nodiscard]] Range& back() { return last_; }
  /// Whether the file is too short for one of them.
  [[nodiscard]] bool is_cut() const { return is_cut_ || last_.readable < last_.stored; }

  [[nodiscard]] Iterator begin() const;
  [[nodiscard]] Iterator end() const;

 private:
  void pack_last();

  mapping::BulkVector<std::uint8_t> packed_;  ///< all but the last one, and room for more
  std::size_t used_ = 0;                      ///< bytes of packed_
  // Where the range before the last one ends.
  PhysAddr end_;
  FileOffset stored_end_;
  Range last_;
  std::size_t size_ = 0;
  bool is_cut_ = false;  ///< of those that are packed
};

/// Goes over a list that neither changes nor moves meanwhile.
class RangeList::Iterator {
 public:
  using iterator_category = std::input_iterator_tag;
  using value_type = Range;
  using difference_type = std::ptrdiff_t;
  using pointer = const Range*;
  using reference = const Range&;

  /// `index` is 0, or the size of the list.
  Iterator(const RangeList& list, std::size_t index)
      : list_(&list), index_(index), next_(list.packed_.data()) {
    if (index_ < list_->size_) unpack();
  }

  [[nodiscard]] reference operator*() const { return range_; }
  [[nodiscard]] pointer operator->() const { return &range_; }
  Iterator& operator++() {
    if (++index_ < list_->size_) unpack();
    return *this;
  }
  Iterator operator++(int) {
    Iterator before = *this;
    ++*this;
    return before;
  }
  friend bool operator==(const Iterator& a, const Iterator& b) { return a.index_ == b.index_; }

 private:
  void unpack();
  std::uint64_t number();

  const RangeList* list_;
  std::size_t index_;
  const std::uint8_t* next_;
  Range range_;
};

inline RangeList::Iterator RangeList::begin() const {
  return {*this, 0};
}
inline RangeList::Iterator RangeList::end() const {
  return {*this, size_};
}
inline Range RangeList::front() const {
  return *begin();
}

}  // namespace engram::image
