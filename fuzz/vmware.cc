// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0

// States of VMware's machines of arbitrary content, with memory in them and beside them.
//
// Input: a file, whose first four bytes are made a state's. Its second half stands for a memory.

#include "image/vmware.h"

#include "image/formats.h"
#include "packed_image.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace engram;
  if (size == 0) return 0;  // no reader is given an empty file
  const auto bytes = fuzz::with_signature(data, size, "\xD2\xBE\xD2\xBE");
  const image::FileView file(bytes);
  if (const auto contents = image::vmware::open(file)) {
    fuzz::check_contents(*contents);
  } else {
    fuzz::require(!contents.error().text.empty());
  }
  const image::FileView memory(Bytes(bytes).subspan(bytes.size() / 2));
  if (const auto contents = image::vmware::open_pair(file, memory)) fuzz::check_contents(*contents);
  return 0;
}
