// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// The headers of a kdump file, of either width and byte order and of every version, as one thing.

#include <cstdint>
#include <string>

#include "base/result.h"
#include "base/units.h"
#include "image/elf_layout.h"
#include "image/kdump_file.h"

namespace engram::image::kdump {

struct Header {
  /// A part of the file that a header names; `size` 0: there is none.
  struct Part {
    FileOffset at;
    std::uint64_t size = 0;
  };

  std::string signature;
  elf::ByteOrder order{false};
  bool wide = true;  ///< of a 64-bit machine
  std::uint32_t version = 0;
  std::string node, release, kernel_version, machine;
  std::uint64_t time = 0;        ///< seconds since 1970
  std::uint32_t status = 0;      ///< kFlag...
  std::uint64_t page_size = 0;   ///< bytes, a power of two; the file's blocks have the same
  std::uint64_t page_count = 0;  ///< one more than the highest page number
  std::uint32_t dump_level = 0;  ///< bits: which kinds of pages were left out
  bool split = false;            ///< one file of several
  std::uint64_t first_page = 0, end_page = 0;  ///< what this file has: [first_page, end_page)
  FileOffset ram_bitmap;                       ///< a bit for each page: whether it is memory
  FileOffset bitmap;                           ///< whether it was stored; the same one in old files
  FileOffset descriptors;                      ///< PageDescriptor, one for each stored page
  Part vmcoreinfo, notes, erase_info;
};

/// Errors: the signature is another one; the file ends inside its headers; a block size, a number
/// of pages or a range of pages that cannot be. Bitmaps with less room than pages are declared
/// shorten the range, which goes to the notices.
[[nodiscard]] Result<Header> read_header(const PlainFile& file, Contents& contents);

}  // namespace engram::image::kdump
