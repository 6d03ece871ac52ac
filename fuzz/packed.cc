// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0

// Files that are packed as a whole, of arbitrary content.
//
// Input: a byte that says which format's signature the rest is to begin with, and the file.

#include "packed_image.h"

#include <array>

#include "image/packed_file.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace engram;
  using namespace std::string_view_literals;
  constexpr std::array kSignatures = {"\x1f\x8b\x08"sv,
                                      "\xfd"
                                      "7zXZ\0"sv,
                                      "\x28\xb5\x2f\xfd"sv};
  if (size < 2) return 0;
  const auto bytes =
      fuzz::with_signature(data + 1, size - 1, kSignatures[data[0] % kSignatures.size()]);
  const image::PackedFormat* const format = image::packed_format_of(bytes);
  if (format == nullptr) return 0;  // the signature is cut
  // A few bytes of input are a few MiB of zeros: what comes after so many of them is not new.
  constexpr int kMostPieces = 64;
  int pieces = 0;
  const auto opened =
      image::PackedFile::open(*format, image::FileView(bytes),
                              [&](const image::UnpackState&) { return ++pieces < kMostPieces; });
  if (!opened) {
    fuzz::require(!opened.error().text.empty());
    return 0;
  }
  const image::FileView file = (*opened)->view();
  fuzz::require(file.size() > 0);
  const auto region = file.region(PhysAddr(0x1000), file.size(), FileOffset(0));
  const std::uint64_t step = std::max(file.size() / 16, std::uint64_t{1});
  for (std::uint64_t at = 0; at < file.size(); at += step) fuzz::check_read(region, at);
  fuzz::check_read(region, file.size() - 1);
  for (const auto& problem : (*opened)->problems()->list()) fuzz::require(!problem.text.empty());
  return 0;
}
