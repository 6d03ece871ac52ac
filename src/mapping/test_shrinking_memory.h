// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// Mapped memory for tests whose end can be taken away.

#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstdlib>

#include "base/bytes.h"
#include "base/units.h"

namespace engram::test {

/// A shared, writable mapping of an anonymous file. A test ends if the host refuses it.
class ShrinkingMemory {
 public:
  explicit ShrinkingMemory(std::size_t pages)
      : size_(pages * kPageSize), file_(::memfd_create("engram_test", MFD_CLOEXEC)) {
    resize(pages);
    void* const at = ::mmap(nullptr, size_, PROT_READ | PROT_WRITE, MAP_SHARED, file_, 0);
    if (file_ < 0 || at == MAP_FAILED) std::abort();
    data_ = static_cast<std::byte*>(at);
  }
  ShrinkingMemory(const ShrinkingMemory&) = delete;
  ShrinkingMemory& operator=(const ShrinkingMemory&) = delete;
  ~ShrinkingMemory() {
    ::munmap(data_, size_);
    ::close(file_);
  }

  /// The whole mapping, whatever there is behind it.
  [[nodiscard]] MutableBytes bytes() const { return {data_, size_}; }
  [[nodiscard]] std::byte* data() const { return data_; }
  [[nodiscard]] std::size_t size() const { return size_; }
  [[nodiscard]] int file() const { return file_; }

  /// Pages behind the end fault from now on; pages that come (back) are zero.
  void resize(std::size_t pages) const { resize_bytes(pages * kPageSize); }
  void resize_bytes(std::size_t size) const {
    if (::ftruncate(file_, static_cast<off_t>(size)) != 0) std::abort();
  }

 private:
  std::size_t size_;
  int file_;
  std::byte* data_ = nullptr;
};

}  // namespace engram::test
