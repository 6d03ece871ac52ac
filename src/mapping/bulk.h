// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// Arrays of megabytes: in huge pages where the system has them, and not zeroed before they are
// written.

#include <cstddef>
#include <memory>
#include <new>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace engram::mapping {

/// From here on an array has pages of its own. A page fault costs as much as copying its 4 KiB
/// four times over, and a decoder touches its arrays once: faults would be a third of the time.
inline constexpr std::size_t kBulkBytes = std::size_t{512} << 10U;

/// At least `bytes` of memory, aligned for any object. Throws std::bad_alloc.
[[nodiscard]] void* allocate_bulk(std::size_t bytes);
/// `bytes`: as given to allocate_bulk().
void release_bulk(void* memory, std::size_t bytes) noexcept;

/// For containers of plain data; elements that are made without a value have none.
template <class T>
class BulkAllocator {
 public:
  using value_type = T;
  static_assert(std::is_trivially_copyable_v<T> && alignof(T) <= alignof(std::max_align_t));

  BulkAllocator() = default;
  template <class U>
  BulkAllocator(const BulkAllocator<U>& /*other*/) noexcept {}

  [[nodiscard]] T* allocate(std::size_t count) {
    if (count > std::size_t(-1) / 2 / sizeof(T)) throw std::bad_array_new_length();
    return static_cast<T*>(allocate_bulk(count * sizeof(T)));
  }
  void deallocate(T* memory, std::size_t count) noexcept {
    release_bulk(memory, count * sizeof(T));
  }
  template <class U, class... Args>
  void construct(U* at, Args&&... args) {
    if constexpr (sizeof...(Args) == 0) {
      ::new (static_cast<void*>(at)) U;
    } else {
      std::construct_at(at, std::forward<Args>(args)...);
    }
  }

  friend bool operator==(const BulkAllocator& /*a*/, const BulkAllocator& /*b*/) { return true; }
};

template <class T>
using BulkVector = std::vector<T, BulkAllocator<T>>;
using BulkString = std::basic_string<char, std::char_traits<char>, BulkAllocator<char>>;

}  // namespace engram::mapping
