// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0

// QEMU migration streams of arbitrary content, alone and in a file of libvirt.
//
// Input: a file. Its first bytes are made the signature of a stream, unless they are libvirt's.

#include "packed_image.h"

#include "image/formats.h"
#include "image/migration_layout.h"

namespace {

using namespace engram;

void check(const Result<image::Contents>& contents) {
  if (contents) {
    fuzz::check_contents(*contents);
  } else {
    fuzz::require(!contents.error().text.empty());
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;  // no reader is given an empty file
  const std::string_view libvirt = image::migration::kLibvirtMagic;
  const std::string_view head(reinterpret_cast<const char*>(data), std::min(size, libvirt.size()));
  if (head == libvirt) {
    const auto bytes = fuzz::with_signature(data, size, libvirt);
    check(image::libvirt::open(image::FileView(bytes)));
    return 0;
  }
  const auto bytes = fuzz::with_signature(data, size, {"QEVM\0\0\0\3", 8});
  check(image::migration::open(image::FileView(bytes)));
  return 0;
}
