// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0

// Files of AVML's compressed blocks of arbitrary content.
//
// Input: a file, whose first eight bytes are made AVML's.

#include "packed_image.h"

#include "image/formats.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace engram;
  if (size == 0) return 0;  // no reader is given an empty file
  const auto bytes = fuzz::with_signature(data, size, {"AVML\2\0\0\0", 8});
  if (const auto contents = image::lime::open(image::FileView(bytes))) {
    fuzz::check_contents(*contents);
  } else {
    fuzz::require(!contents.error().text.empty());
  }
  return 0;
}
