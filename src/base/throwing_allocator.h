// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// Memory for RapidJSON.

#include <cstddef>
#include <cstdlib>
#include <new>

namespace engram {

/// RapidJSON 1.1.0 writes through the null pointers that its own allocator returns when there is no
/// memory left. This one (https://rapidjson.org/classrapidjson_1_1_allocator.html) throws
/// std::bad_alloc.
class ThrowingAllocator {
 public:
  static constexpr bool kNeedFree = true;

  void* Malloc(std::size_t size) { return size == 0 ? nullptr : checked(std::malloc(size)); }
  void* Realloc(void* old, std::size_t /*old_size*/, std::size_t size) {
    if (size != 0) return checked(std::realloc(old, size));
    Free(old);
    return nullptr;
  }
  static void Free(void* memory) { std::free(memory); }

 private:
  static void* checked(void* memory) {
    if (memory == nullptr) throw std::bad_alloc();
    return memory;
  }
};

}  // namespace engram
