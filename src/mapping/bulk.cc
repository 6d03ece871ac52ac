// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "mapping/bulk.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstdint>

#include "base/bytes.h"

namespace engram::mapping {
namespace {

constexpr std::size_t kHugePage = std::size_t{2} << 20U;

// The sanitizers know the borders of what operator new gives, and of nothing else.
#if defined(__SANITIZE_ADDRESS__)
constexpr bool kHasOwnPages = false;
#elif defined(__has_feature)
constexpr bool kHasOwnPages = !__has_feature(address_sanitizer);
#else
constexpr bool kHasOwnPages = true;
#endif

bool has_own_pages(std::size_t bytes) {
  return kHasOwnPages && bytes >= kBulkBytes;
}

}  // namespace

void* allocate_bulk(std::size_t bytes) {
  if (!has_own_pages(bytes)) return ::operator new(bytes);
  const std::size_t size = align_up(bytes, kHugePage);
  if (size < bytes || size + kHugePage < size) throw std::bad_alloc();
  void* const area = ::mmap(nullptr, size + kHugePage, PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (area == MAP_FAILED) throw std::bad_alloc();
  // Only an aligned area can have huge pages: what is in excess goes back.
  auto* const start = static_cast<std::byte*>(area);
  const std::size_t before = -reinterpret_cast<std::uintptr_t>(area) & (kHugePage - 1);
  if (before != 0) ::munmap(start, before);
  ::munmap(start + before + size, kHugePage - before);
  // Of what exceeds whole huge pages less than half of one is left to ordinary pages: it would cost
  // more memory than it saves faults. Refused: ordinary pages do as well.
  const std::size_t whole = std::max(align_down(bytes + kHugePage / 2, kHugePage), kHugePage);
  ::madvise(start + before, whole, MADV_HUGEPAGE);
  return start + before;
}

void release_bulk(void* memory, std::size_t bytes) noexcept {
  if (memory == nullptr) return;
  if (has_own_pages(bytes)) {
    ::munmap(memory, align_up(bytes, kHugePage));
  } else {
    ::operator delete(memory);
  }
}

}  // namespace engram::mapping
