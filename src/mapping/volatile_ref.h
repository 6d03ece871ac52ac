// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// Objects and arrays of them in memory that others may write: views (volatile_slice.h) with a type.
// Each load and store is a copy; nothing is ever referred to in place.

#include <cassert>
#include <cstddef>
#include <span>
#include <utility>

#include "mapping/volatile_slice.h"

namespace engram::mapping {

/// One object in memory that others may write.
template <Pod T>
class ConstRef {
 public:
  explicit ConstRef(ConstVolatileSlice bytes) : bytes_(bytes) { assert(bytes.size() == sizeof(T)); }

  [[nodiscard]] static constexpr std::size_t size() { return sizeof(T); }
  [[nodiscard]] ConstVolatileSlice slice() const { return bytes_; }
  /// Errors: source_truncated.
  [[nodiscard]] MemoryResult<T> load() const { return bytes_.read_object<T>(0); }

 private:
  ConstVolatileSlice bytes_;
};

template <Pod T, DirtyTracker D = NoTracker>
class Ref {
 public:
  explicit Ref(VolatileSlice<D> bytes) : bytes_(std::move(bytes)) {
    assert(bytes_.size() == sizeof(T));
  }

  [[nodiscard]] static constexpr std::size_t size() { return sizeof(T); }
  [[nodiscard]] const VolatileSlice<D>& slice() const { return bytes_; }
  /// Errors of both: source_truncated.
  [[nodiscard]] MemoryResult<T> load() const { return bytes_.template read_object<T>(0); }
  MemoryResult<void> store(const T& value) const { return bytes_.write_object(0, value); }

 private:
  VolatileSlice<D> bytes_;
};

/// Several objects one behind the other. An index past the end is a bug: asserted.
template <Pod T>
class ConstArrayRef {
 public:
  explicit ConstArrayRef(ConstVolatileSlice bytes) : bytes_(bytes) {
    assert(bytes.size() % sizeof(T) == 0);
  }

  [[nodiscard]] std::size_t size() const { return bytes_.size() / sizeof(T); }
  [[nodiscard]] bool empty() const { return bytes_.empty(); }
  [[nodiscard]] ConstVolatileSlice slice() const { return bytes_; }
  [[nodiscard]] ConstRef<T> ref_at(std::size_t index) const {
    assert(index < size());
    return ConstRef<T>(bytes_.subslice(index * sizeof(T), sizeof(T)).value());
  }
  [[nodiscard]] MemoryResult<T> load(std::size_t index) const {
    assert(index < size());
    return bytes_.read_object<T>(index * sizeof(T));
  }
  /// Copies the shorter of both; returns the number of elements.
  [[nodiscard]] std::size_t copy_to(std::span<T> to) const { return bytes_.copy_to(to); }

 private:
  ConstVolatileSlice bytes_;
};

template <Pod T, DirtyTracker D = NoTracker>
class ArrayRef {
 public:
  explicit ArrayRef(VolatileSlice<D> bytes) : bytes_(std::move(bytes)) {
    assert(bytes_.size() % sizeof(T) == 0);
  }

  [[nodiscard]] std::size_t size() const { return bytes_.size() / sizeof(T); }
  [[nodiscard]] bool empty() const { return bytes_.empty(); }
  [[nodiscard]] const VolatileSlice<D>& slice() const { return bytes_; }
  [[nodiscard]] Ref<T, D> ref_at(std::size_t index) const {
    assert(index < size());
    return Ref<T, D>(bytes_.subslice(index * sizeof(T), sizeof(T)).value());
  }
  [[nodiscard]] MemoryResult<T> load(std::size_t index) const {
    assert(index < size());
    return bytes_.template read_object<T>(index * sizeof(T));
  }
  MemoryResult<void> store(std::size_t index, const T& value) const {
    assert(index < size());
    return bytes_.write_object(index * sizeof(T), value);
  }
  [[nodiscard]] std::size_t copy_to(std::span<T> to) const { return bytes_.copy_to(to); }
  std::size_t copy_from(std::span<const T> from) const { return bytes_.copy_from(from); }

 private:
  VolatileSlice<D> bytes_;
};

}  // namespace engram::mapping
