// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include <fmt/core.h>

#include <algorithm>
#include <limits>
#include <memory>
#include <optional>
#include <string>

#include "image/avml.h"
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
  if (magic != kMagic && magic != kAvmlMagic) {
    return fmt::format("magic {:#x}, {:#x} is expected", magic, kMagic);
  }
  const std::uint32_t known = magic == kMagic ? kVersion : kAvmlVersion;
  if (version != known) return fmt::format("version {}, {} is expected", version, known);
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
  explicit Reader(const FileView& file) : file_(file), blocks_(std::make_shared<Blocks>(file)) {
    contents_.format = file.load<std::uint32_t>(FileOffset(0)) == kAvmlMagic ? "avml" : "lime";
  }

  Result<Contents> read() {
    while (offset_.value < file_.size() && read_range()) ++index_;
    const auto usable = [](const guest::Region& r) {
      return r.backing != guest::Backing::unreadable;
    };
    if (std::none_of(contents_.regions.begin(), contents_.regions.end(), usable)) {
      return fail("{}: {}", contents_.format, stopped_);
    }
    if (!stopped_.empty()) {
      contents_.notices.push_back({Level::warning, contents_.format + ": " + stopped_});
    }
    omitted_.report(contents_, Level::warning);
    odd_lengths_.report(contents_, Level::warning);
    contents_.problems = blocks_->problems();
    contents_.owner = std::move(blocks_);
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
    if (header->magic == kAvmlMagic) return read_block(*header, data, size);
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

  /// A compressed range. As read_range().
  bool read_block(const RangeHeader& header, FileOffset data, std::uint64_t size) {
    const PhysAddr start(header.first);
    const auto added = blocks_->add(start, size, data);
    contents_.ranges.push_back({start, size, data, size, added.size, 0});
    if (added.size > 0) {
      contents_.regions.push_back(guest::Region::from_source(start, added.size, *added.block));
    }
    if (added.size < size) {
      contents_.regions.push_back(
          {start + added.size, size - added.size, guest::Backing::unreadable, nullptr});
    }
    if (added.problem) {
      return stop(fmt::format("[{:#x}, {:#x}]: {}; {:#x} bytes before that are used", start.value,
                              std::uint64_t{header.last}, *added.problem, added.size));
    }
    offset_ = added.end + sizeof(std::uint64_t);
    const auto length = file_.load<std::uint64_t>(added.end);
    if (length != added.end - data) {
      odd_lengths_.add([&] {
        return fmt::format(
            "{}: range {} at {:#x}: at {:#x} the length {:#x} of its frames is "
            "expected",
            contents_.format, index_, data.value - sizeof header, added.end.value,
            added.end - data);
      });
      if (!length) contents_.truncated = true;
    }
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
  Tally omitted_, odd_lengths_;
  std::shared_ptr<Blocks> blocks_;
};

}  // namespace

bool sniff(Bytes head) {
  const auto magic = load<std::uint32_t>(head, 0);
  return magic == kMagic || magic == kAvmlMagic;
}

Result<Contents> open(FileView file) {
  return Reader(file).read();
}

}  // namespace engram::image::lime
