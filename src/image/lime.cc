// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include <fmt/core.h>

#include <algorithm>
#include <limits>
#include <optional>
#include <string>

#include "image/formats.h"
#include "image/lime_layout.h"

namespace engram::image::lime {
namespace {

/// Why a header cannot be one; nothing if it can.
std::optional<std::string> problem_with(const RangeHeader& header) {
  const std::uint32_t magic = header.magic;
  const std::uint32_t version = header.version;
  const std::uint64_t first = header.first;
  const std::uint64_t last = header.last;
  if (magic == kAvmlMagic) return "a compressed AVML block, which is not read yet";
  if (magic != kMagic) return fmt::format("magic {:#x}, {:#x} is expected", magic, kMagic);
  if (version != kVersion) return fmt::format("version {}, {} is expected", version, kVersion);
  if (first > last) {
    return fmt::format("last byte {:#x} lies before the first byte {:#x}", last, first);
  }
  if (last - first == std::numeric_limits<std::uint64_t>::max()) {
    return "it spans the whole address space";
  }
  return std::nullopt;
}

/// Walks the chain of ranges; what it could read is in `contents`.
class Reader {
 public:
  explicit Reader(const FileView& file) : file_(file) { contents_.format = "lime"; }

  Result<Contents> read() {
    while (offset_.value < file_.size() && read_range()) ++index_;
    const auto usable = [](const guest::Region& r) {
      return r.backing != guest::Backing::unreadable;
    };
    if (std::none_of(contents_.regions.begin(), contents_.regions.end(), usable)) {
      return fail("lime: {}", stopped_);
    }
    if (!stopped_.empty()) {
      contents_.notices.push_back({Level::warning, "lime: " + stopped_});
    }
    omitted_.report(contents_, Level::warning);
    return std::move(contents_);
  }

 private:
  /// False if the chain ends here; `stopped_` says why.
  bool read_range() {
    if (contents_.ranges.size() == kMostRanges) {
      return stop(fmt::format("more than {} ranges; the rest is left out", kMostRanges));
    }
    const auto header = file_.load<RangeHeader>(offset_);
    if (!header) {
      contents_.truncated = true;
      return stop(fmt::format("{} bytes are left, a header of {} bytes is expected",
                              file_.size() - offset_.value, sizeof(RangeHeader)));
    }
    if (const auto problem = problem_with(*header)) return stop(*problem);

    const FileOffset data = offset_ + sizeof(RangeHeader);
    const std::uint64_t size = header->last - header->first + 1;
    if (data_omitted(*header, data, size)) {
      add_zeros(*header, data, size);
      offset_ = data;
      return true;
    }
    add_range(contents_, file_, {PhysAddr(header->first), size, data, size, 0, 0});
    const std::uint64_t readable = contents_.ranges.back().readable;
    if (readable < size) {
      return stop(fmt::format("[{:#x}, {:#x}]: the file ends {} bytes before the range does",
                              std::uint64_t{header->first}, std::uint64_t{header->last},
                              size - readable));
    }
    offset_ = data + size;
    return true;
  }

  /// Whether `header` says a range whose bytes were left out because they are zero.
  ///
  /// Some writers leave out the data of a zero range and go on with the next header at once. The
  /// specification does not know this, and guest memory may well hold a LiME header where the data
  /// begin (the page cache of a dump). So the declared length has the first word: only if no header
  /// and no end of file follows the declared data, and a good header of a later range stands in
  /// place of them, are they taken to be omitted.
  [[nodiscard]] bool data_omitted(const RangeHeader& header, FileOffset data,
                                  std::uint64_t size) const {
    if (file_.available(data, size) == size) {
      const FileOffset after = data + size;
      const std::uint64_t left = file_.size() - after.value;
      if (left < sizeof(RangeHeader)) return false;
      const auto next = file_.load<RangeHeader>(after);
      if (next && !problem_with(*next)) return false;
    }
    const auto instead = file_.load<RangeHeader>(data);
    return instead && !problem_with(*instead) && instead->first > header.last;
  }

  void add_zeros(const RangeHeader& header, FileOffset data, std::uint64_t size) {
    const PhysAddr start(header.first);
    contents_.ranges.push_back({start, size, data, 0, 0, 0});
    contents_.regions.push_back({start, size, guest::Backing::zero, nullptr});
    omitted_.add([&] {
      return fmt::format("lime: range {} at {:#x}: [{:#x}, {:#x}] is not stored; taken as zeros",
                         index_, offset_.value, std::uint64_t{header.first},
                         std::uint64_t{header.last});
    });
  }

  bool stop(const std::string& why) {
    stopped_ = fmt::format("range {} at {:#x}: {}", index_, offset_.value, why);
    return false;
  }

  const FileView& file_;
  FileOffset offset_;
  std::uint64_t index_ = 0;
  Contents contents_;
  std::string stopped_;  // why the chain ended before the file did
  Tally omitted_;
};

}  // namespace

bool sniff(Bytes head) {
  return load<std::uint32_t>(head, 0) == kMagic;
}

Result<Contents> open(FileView file) {
  return Reader(file).read();
}

}  // namespace engram::image::lime
