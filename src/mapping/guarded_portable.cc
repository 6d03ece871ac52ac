// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "mapping/guarded_portable.h"

#if !defined(__x86_64__)

#include <algorithm>
#include <atomic>
#include <bit>
#include <csetjmp>
#include <cstring>

#include "mapping/guarded.h"

namespace engram::mapping::detail {
namespace {

// Volatile: the handler reads it in the middle of the copy.
thread_local sigjmp_buf* volatile jump_back = nullptr;

/// Runs `body` up to its end or its first fault; whether it came to its end. `body` has no
/// destructors to run.
template <class Body>
bool run_or_fault(const Body& body) {
  sigjmp_buf here;
  // To save the mask would cost a system call each time; only after a fault it needs repair.
  const bool faulted = sigsetjmp(here, 0) != 0;
  if (!faulted) {
    jump_back = &here;
    std::atomic_signal_fence(std::memory_order_seq_cst);
    body();
    std::atomic_signal_fence(std::memory_order_seq_cst);
  }
  jump_back = nullptr;
  return !faulted;
}

/// The number of bytes from `at` to the end of its page. Pages are no smaller anywhere.
std::size_t rest_of_page(const std::byte* at) {
  return 4096 - reinterpret_cast<std::uintptr_t>(at) % 4096;
}

template <class T>
void move_value(void* to, const void* from) {
  *static_cast<volatile T*>(to) = *static_cast<const volatile T*>(from);
}

bool aligned(const std::byte* at, std::size_t size) {
  return reinterpret_cast<std::uintptr_t>(at) % size == 0;
}

/// One access if the address is aligned.
void load_value(const std::byte* from, void* value, std::size_t size) {
  if (!aligned(from, size)) {
    std::memcpy(value, from, size);
  } else if (size == 1) {
    move_value<std::uint8_t>(value, from);
  } else if (size == 2) {
    move_value<std::uint16_t>(value, from);
  } else if (size == 4) {
    move_value<std::uint32_t>(value, from);
  } else {
    move_value<std::uint64_t>(value, from);
  }
}

void store_value(std::byte* to, const void* value, std::size_t size) {
  if (!aligned(to, size)) {
    std::memcpy(to, value, size);
  } else if (size == 1) {
    move_value<std::uint8_t>(to, value);
  } else if (size == 2) {
    move_value<std::uint16_t>(to, value);
  } else if (size == 4) {
    move_value<std::uint32_t>(to, value);
  } else {
    move_value<std::uint64_t>(to, value);
  }
}

bool copy_value(std::byte* to, const std::byte* from, std::size_t size) {
  return run_or_fault([=] {
    std::uint64_t value;
    load_value(from, &value, size);
    store_value(to, &value, size);
  });
}

}  // namespace

bool jump_out_of_fault() {
  if (jump_back == nullptr) return false;
  unblock_faults();
  siglongjmp(*jump_back, 1);
}

bool jump_load(const std::byte* from, void* value, std::size_t size) {
  return run_or_fault([=] { load_value(from, value, size); });
}

bool jump_store(std::byte* to, const void* value, std::size_t size) {
  return run_or_fault([=] { store_value(to, value, size); });
}

std::size_t copy_or_fault(std::byte* to, const std::byte* from, std::size_t size) {
  if (size <= 8 && std::has_single_bit(size) && copy_value(to, from, size)) return 0;
  volatile std::size_t done = 0;
  run_or_fault([&] {
    while (done < size) {
      const std::size_t at = done;
      const std::size_t count =
          std::min({size - at, rest_of_page(from + at), rest_of_page(to + at)});
      std::memcpy(to + at, from + at, count);
      std::atomic_signal_fence(std::memory_order_seq_cst);
      done = at + count;
    }
  });
  return size - done;
}

std::size_t fill_or_fault(std::byte* to, std::byte value, std::size_t size) {
  std::byte page[4096];
  std::memset(page, std::to_integer<int>(value), sizeof page);
  std::size_t left = size;
  while (left > 0) {
    const std::size_t count = std::min(left, rest_of_page(to));
    if (const std::size_t missing = copy_or_fault(to, page, count); missing > 0) {
      return left - (count - missing);
    }
    to += count;
    left -= count;
  }
  return 0;
}

}  // namespace engram::mapping::detail

#endif
