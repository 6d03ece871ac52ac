// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "image/kdump_file.h"

#include <fmt/core.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "image/elf_layout.h"
#include "image/kdump_layout.h"
#include "image/overlap.h"

namespace engram::image::kdump {
namespace {

using guest::Regions;

constexpr elf::ByteOrder kBigEndian(true);

// Writers make a record of a page or more (QEMU: of up to four, 4 million for 64 GiB of a file).
// More than kMostRanges are taken from files that have so many bytes for each; those of a packed
// file count as they are packed.
constexpr std::uint64_t kLeastAverage = 256;

/// Walks the records of a flattened file.
class Records {
 public:
  Records(const FileView& file, Contents& contents) : file_(file), contents_(contents) {}

  /// In the order of the file, each as a region at its offset in the plain file.
  Regions read() {
    while (read_record()) {
    }
    return std::move(records_);
  }

 private:
  bool read_record() {
    const auto record = file_.load<FlatRecord>(at_);
    if (!record) return cut(file_.lack(at_, sizeof *record));
    const std::uint64_t offset = kBigEndian(record->offset);
    const std::uint64_t size = kBigEndian(record->size);
    if (static_cast<std::int64_t>(offset) < 0) return false;  // the record that says the end
    if (size == 0 || !guest::fits_address_space(PhysAddr(offset), size)) {
      return cut(fmt::format("{:#x} bytes for offset {:#x} are no record", size, offset));
    }
    if (records_.size() >= kMostRanges && file_.packed_size() / records_.size() < kLeastAverage) {
      return cut(fmt::format("too many for a file of {} bytes", file_.packed_size()));
    }
    const FileOffset data = at_ + sizeof *record;
    const std::uint64_t there = file_.available(data, size);
    if (there > 0) records_.push_back(file_.region(PhysAddr(offset), there, data));
    if (there < size) {
      return cut(
          fmt::format("the file ends {} bytes before its {:#x} bytes do", size - there, size));
    }
    at_ = data + size;
    return true;
  }

  bool cut(const std::string& why) {
    contents_.truncated = true;
    contents_.notices.push_back(
        {Level::warning, fmt::format("kdump: flattened: record {} at {:#x}: {}; what comes before "
                                     "it is used",
                                     records_.size(), at_.value, why)});
    return false;
  }

  const FileView& file_;
  Contents& contents_;
  FileOffset at_ = FileOffset(kFlatHeaderSize);
  Regions records_;
};

}  // namespace

bool is_flattened(Bytes head) {
  return head.size() >= kFlatSignature.size() &&
         std::memcmp(head.data(), kFlatSignature.data(), kFlatSignature.size()) == 0;
}

Result<PlainFile> PlainFile::open(const FileView& file, Contents& contents) {
  PlainFile plain;
  plain.flattened_ = is_flattened(file.copy(FileOffset(0), kFlatSignature.size()));
  Regions regions;
  if (plain.flattened_) {
    regions = Records(file, contents).read();
    std::reverse(regions.begin(), regions.end());  // of overlapping ones the last counts
    regions = without_overlap(regions);
    if (regions.empty()) {
      return fail("kdump: flattened: no record in it; {}",
                  contents.notices.empty() ? "it ends at once" : contents.notices.back().text);
    }
  } else {
    regions = {file.region(PhysAddr(0), file.size(), FileOffset(0))};
  }
  ENGRAM_TRY(plain.bytes_, guest::Memory::create(std::move(regions), nullptr));
  plain.size_ = plain.bytes_.end().value;
  return plain;
}

std::vector<std::byte> PlainFile::copy(FileOffset from, std::uint64_t length) const {
  const std::uint64_t there =
      from.value < size_ ? std::min(length, size_ - from.value) : std::uint64_t{0};
  std::vector<std::byte> bytes(static_cast<std::size_t>(there));
  bytes.resize(read(from, bytes));
  return bytes;
}

}  // namespace engram::image::kdump
