// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "image/dmp_secondary.h"

#include <fmt/core.h>

#include <algorithm>

#include "image/dmp_layout.h"

namespace engram::image::dmp {
namespace {

constexpr std::size_t kMostBlobs = 4096;

}  // namespace

std::vector<SecondaryData> read_secondary_data(const FileView& file,
                                               std::span<const FileOffset> places,
                                               Contents& contents) {
  const auto is_there = [&](FileOffset place) {
    const auto head = file.load<BlobFileHeader>(place);
    return place.value != 0 && head && head->signature == kBlobSignature;
  };
  const auto place = std::find_if(places.begin(), places.end(), is_there);
  std::vector<SecondaryData> all;
  if (place == places.end()) return all;
  const std::uint64_t head_size = file.load<BlobFileHeader>(*place)->header_size;
  FileOffset at = *place + std::max<std::uint64_t>(head_size, sizeof(BlobFileHeader));
  // Their number is not said: what is no header ends them. Four numbers of 32 bits and an offset in
  // the file have no overflow.
  while (const auto blob = file.load<BlobHeader>(at)) {
    if (blob->header_size < sizeof(BlobHeader)) break;
    const FileOffset data = at + (std::uint64_t{blob->header_size} + blob->padding_before);
    const std::uint64_t size = blob->data_size;
    if (file.available(data, size) < size || all.size() == kMostBlobs) {
      contents.truncated = contents.truncated || all.size() < kMostBlobs;
      contents.notices.push_back(
          {Level::warning,
           fmt::format("dmp: secondary data {} at {:#x}: {} bytes at {:#x}, the file ends at {:#x}",
                       all.size(), at.value, size, data.value, file.size())});
      break;
    }
    all.push_back({guid_text(blob->tag), data, size});
    at = data + (size + blob->padding_after);
  }
  return all;
}

}  // namespace engram::image::dmp
