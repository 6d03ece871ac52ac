// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// Memory without a file name that processes share by passing a descriptor, and what may no longer
// be done to it.

#include <cstdint>
#include <optional>
#include <string>

#include "mapping/file.h"
#include "mapping/memory_error.h"
#include "mapping/page_size.h"

namespace engram::mapping {

/// Flags: what a memory file refuses for good, fcntl(2) F_ADD_SEALS.
enum class Seals : std::uint8_t {
  none = 0,
  seal = 1,    ///< further seals
  shrink = 2,  ///< to become smaller: a mapping of it cannot fault
  grow = 4,
  write = 8,
  future_write = 16,  ///< new writable mappings; those that exist go on writing
};
constexpr Seals operator|(Seals a, Seals b) {
  return static_cast<Seals>(static_cast<unsigned>(a) | static_cast<unsigned>(b));
}
constexpr Seals operator&(Seals a, Seals b) {
  return static_cast<Seals>(static_cast<unsigned>(a) & static_cast<unsigned>(b));
}
constexpr bool any(Seals seals) {
  return seals != Seals::none;
}

/// The seals of any file: a file that cannot have them has none. Errors: os.
[[nodiscard]] MemoryResult<Seals> seals_of(const File& file);

/// A memory file (memfd_create(2)). Copies name the same memory.
class SharedMemory {
 public:
  struct Setup {
    Seals seals = Seals::none;
    std::optional<PageSize> page = {};  ///< of a hugetlb pool, instead of base pages
  };

  /// `size` bytes of zeros, which take no memory until they are touched; the seals are added last.
  /// Errors: os (EINVAL: the name is longer than 249 bytes; EFBIG, ENOMEM); invalid_size beyond
  /// 2^63 - 1.
  static MemoryResult<SharedMemory> create(const std::string& name, std::uint64_t size,
                                           Setup setup);
  static MemoryResult<SharedMemory> create(const std::string& name, std::uint64_t size) {
    return create(name, size, Setup());
  }

  /// What it was created as; for people who read /proc/<pid>/maps.
  [[nodiscard]] const std::string& name() const { return name_; }
  [[nodiscard]] const File& file() const { return file_; }
  /// Errors: os.
  [[nodiscard]] MemoryResult<std::uint64_t> size() const { return file_.size(); }
  [[nodiscard]] MemoryResult<Seals> seals() const { return seals_of(file_); }
  /// Errors: sealed after Seals::seal; os (EBUSY: Seals::write while it is mapped writable).
  [[nodiscard]] MemoryResult<void> add_seals(Seals seals) const;

 private:
  SharedMemory(std::string name, File file) : name_(std::move(name)), file_(std::move(file)) {}

  std::string name_;
  File file_;
};

}  // namespace engram::mapping
