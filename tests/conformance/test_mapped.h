// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// What the tests of mappings have in common.

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/test_file.h"
#include "base/units.h"
#include "mapping/file.h"
#include "mapping/mapping.h"
#include "mapping/test_vma.h"

namespace engram::test {

inline std::uint64_t page() {
  return mapping::PageSize::base().bytes();
}

/// Page n (from 0) is full of n + 1.
inline std::vector<std::byte> numbered_pages(std::size_t pages) {
  std::vector<std::byte> bytes(pages * page());
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::byte>(i / page() + 1);
  return bytes;
}

inline mapping::File open_file(const TempFile& file, bool writable = true) {
  using mapping::File;
  return File::open(file.path(), writable ? File::Access::read_write : File::Access::read_only)
      .value();
}

/// The first byte of the file as read(2) has it.
inline std::byte first_byte(const TempFile& file) {
  std::byte byte{};
  EXPECT_TRUE(open_file(file, false).read_at(FileOffset(), MutableBytes(&byte, 1)).complete());
  return byte;
}

inline std::uint8_t byte_at(const mapping::ConstVolatileSlice& slice, std::uint64_t offset) {
  return slice.read_object<std::uint8_t>(offset).value();
}

inline const std::byte* begin_of(const mapping::HostRange& range) {
  return static_cast<const std::byte*>(range.native_range().address);
}

}  // namespace engram::test
