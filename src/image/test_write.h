// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// What tests of the writers have in common: odd memories, and names for what is written of them.

#include <gtest/gtest.h>

#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "image/test_images.h"
#include "image/write.h"

namespace engram::image::test {

using guest::Backing;
using guest::Region;
using guest::Regions;

/// A name in the folder for temporary files that nothing has; what gets it is removed at the end.
class NewName {
 public:
  NewName() {
    const TempFile taken{Buffer()};
    name_ = taken.path() + ".new";
  }
  NewName(const NewName&) = delete;
  NewName& operator=(const NewName&) = delete;
  ~NewName() { std::filesystem::remove(name_); }
  [[nodiscard]] const std::string& path() const { return name_; }

 private:
  std::string name_;
};

/// Host bytes that live as long as the memory.
inline guest::Memory memory_of(Regions regions, const Buffer& bytes) {
  const auto owner = std::make_shared<const Buffer>(bytes);
  std::uint64_t at = 0;
  for (Region& region : regions) {
    if (region.backing != Backing::host) continue;
    region.set_host(owner->data() + at);
    at += region.size;
  }
  auto memory = guest::Memory::create(std::move(regions), owner);
  EXPECT_TRUE(memory.has_value());
  return std::move(*memory);
}

/// [0x1800, 0x2fff] of bytes and zeros, then [0x3000, 0x3fff] said to be zero; [0x9000, 0x9000];
/// [0x100000, 0x100fff] unreadable.
inline guest::Memory odd_memory() {
  Buffer bytes = pattern(0x1801, 1);
  std::fill(bytes.begin() + 0x800, bytes.begin() + 0x1800, std::byte{});
  return memory_of({{PhysAddr(0x1800), 0x1800, Backing::host, {}},
                    {PhysAddr(0x3000), 0x1000, Backing::zero, {}},
                    {PhysAddr(0x9000), 1, Backing::host, {}},
                    {PhysAddr(0x100000), 0x1000, Backing::unreadable, {}}},
                   bytes);
}

/// Writes a file and opens it.
inline Result<Image> round_trip(const NewName& name, std::string_view target,
                                const guest::Memory& memory, const Facts& facts = {}) {
  ENGRAM_TRY(auto sink, FileSink::create(name.path()));
  ENGRAM_CHECK(write_image(target, memory, facts, sink));
  ENGRAM_CHECK(sink.finish());
  return Image::open(name.path());
}

}  // namespace engram::image::test
