// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0

// kdump files of arbitrary content, plain and flattened, alone and as two files of a split dump.
//
// Input: a file. Its first bytes are made the signature of a plain file, unless they are that of a
// flattened one.

#include "image/kdump.h"

#include "packed_image.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace engram;
  if (size == 0) return 0;  // no reader is given an empty file
  const std::string_view flattened("makedumpfile\0\0\0\0", 16);
  const std::string_view head(reinterpret_cast<const char*>(data),
                              std::min(size, flattened.size()));
  const auto bytes = fuzz::with_signature(data, size, head == flattened ? head : "KDUMP   ");
  const image::FileView file(bytes);
  if (const auto contents = image::kdump::open(file)) {
    fuzz::check_contents(*contents);
  } else {
    fuzz::require(!contents.error().text.empty());
  }
  const image::FileView halves[] = {file, image::FileView(Bytes(bytes).subspan(bytes.size() / 2))};
  if (const auto contents = image::kdump::open_files(halves)) fuzz::check_contents(*contents);
  return 0;
}
