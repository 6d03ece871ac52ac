// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0

// Windows crash dumps of arbitrary content: every piece of physical or virtual memory that one says
// to have lies in the file or is unreadable, and so does its secondary data.
//
// Input: what follows the signature of a dump: "PAGEDUMP" if the first byte is odd, else
// "PAGEDU64".

#include <cstdint>
#include <span>
#include <string_view>

#include "image/formats.h"
#include "packed_image.h"

namespace {

using namespace engram;
using fuzz::require;

void check_regions(std::span<const guest::Region> regions, Bytes file) {
  for (const guest::Region& region : regions) {
    require(region.size > 0 && region.last() >= region.start);
    if (region.backing != guest::Backing::host) continue;
    require(region.host() >= file.data() && region.host() <= file.data() + file.size());
    require(region.size <= static_cast<std::uint64_t>(file.data() + file.size() - region.host()));
  }
}

void check_small(const image::TriageDump& dump, Bytes file) {
  check_regions(dump.memory.regions(), file);
  for (std::size_t i = 0; i < dump.pieces.size(); ++i) {
    const image::TriagePiece& piece = dump.pieces[i];
    require(piece.size > 0 && piece.address.value + (piece.size - 1) >= piece.address.value);
    require(piece.at.value < file.size() && piece.size <= file.size() - piece.at.value);
    require(i == 0 || dump.pieces[i - 1].address <= piece.address);
    require(dump.memory.find(PhysAddr(piece.address.value)) != nullptr);
  }
}

void check_crash(const image::CrashHeader& crash, Bytes file) {
  require(!crash.exception || crash.exception->parameters.size() <= 15);
  for (const image::SecondaryData& data : crash.secondary_data) {
    require(data.tag.size() == 36);
    require(data.at.value <= file.size() && data.size <= file.size() - data.at.value);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 9) return 0;  // is no dump for anybody
  const std::string_view signature = (data[0] & 1) != 0 ? "PAGEDUMP" : "PAGEDU64";
  const auto bytes = fuzz::with_signature(data, size, signature);
  const auto contents = image::dmp::open(image::FileView(bytes));
  if (!contents) {
    require(!contents.error().text.empty());
    return 0;
  }
  fuzz::check_contents(*contents);
  check_regions(contents->regions, bytes);
  require(contents->facts.crash.has_value());
  check_crash(*contents->facts.crash, bytes);
  if (contents->facts.triage) check_small(*contents->facts.triage, bytes);
  return 0;
}
