// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "types/msf_file.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "types/pdb_layout.h"

namespace engram::types::pdb {
namespace {

constexpr std::uint32_t kSmallestBlock = 512, kLargestBlock = 32768;
constexpr std::size_t kWord = sizeof(std::uint32_t);

std::uint32_t word(const std::vector<std::byte>& bytes, std::size_t index) {
  return load_unaligned<std::uint32_t>(bytes.data() + index * kWord);
}

}  // namespace

bool MsfFile::is_one(Bytes file) {
  const auto magic = slice(file, 0, kMagic.size());
  return magic && std::memcmp(magic->data(), kMagic.data(), kMagic.size()) == 0;
}

Result<MsfFile> MsfFile::open(Bytes file) {
  const auto super = load<SuperBlock>(file, 0);
  if (!is_one(file) || !super) return fail("pdb: no header of a PDB file (MSF 7.00)");
  MsfFile msf(file);
  msf.block_size_ = super->block_size;
  if (!std::has_single_bit(msf.block_size_) || msf.block_size_ < kSmallestBlock ||
      msf.block_size_ > kLargestBlock) {
    return fail("pdb: blocks of {} bytes, expected a power of two from {} to {}", msf.block_size_,
                kSmallestBlock, kLargestBlock);
  }
  // The one block that lists the directory's blocks follows no directory: it is made up here.
  const std::uint32_t size = super->directory_size;
  const std::uint64_t count = (std::uint64_t{size} + msf.block_size_ - 1) / msf.block_size_;
  if (size > file.size() || count * kWord > msf.block_size_) {
    return fail("pdb: a directory of {} bytes, expected at most {} in a file of {}", size,
                std::uint64_t{msf.block_size_} / kWord * msf.block_size_, file.size());
  }
  msf.blocks_ = {super->directory_map};
  ENGRAM_TRY(const auto list, msf.read(0, static_cast<std::uint32_t>(count * kWord)));
  msf.blocks_.clear();
  for (std::size_t i = 0; i < count; ++i) msf.blocks_.push_back(word(list, i));
  msf.streams_ = {{size, 0}};
  ENGRAM_CHECK(msf.read_directory());
  return msf;
}

/// The directory, which is stream 0 until then: the number of streams, their sizes, their blocks.
Result<void> MsfFile::read_directory() {
  ENGRAM_TRY(const auto directory, stream(0));
  const std::size_t words = directory.size() / kWord;
  const std::uint32_t count = words == 0 ? 0 : word(directory, 0);
  if (words == 0 || count > words - 1) {
    return fail("pdb: a directory of {} bytes has {} streams", directory.size(), count);
  }
  blocks_.clear();
  streams_.clear();
  std::size_t at = 1 + std::size_t{count};
  for (std::uint32_t i = 0; i < count; ++i) {
    std::uint32_t size = word(directory, 1 + i);
    if (size == kNilStream) size = 0;
    if (size > file_.size()) {
      return fail("pdb: stream {} has {} bytes, and the file {}", i, size, file_.size());
    }
    streams_.push_back({size, blocks_.size()});
    const std::size_t needed = (std::size_t{size} + block_size_ - 1) / block_size_;
    if (needed > words - at) {
      return fail("pdb: stream {} has {} blocks, and the directory ends after {}", i, needed,
                  words - at);
    }
    for (std::size_t block = 0; block < needed; ++block) {
      blocks_.push_back(word(directory, at++));
    }
  }
  return {};
}

Result<std::vector<std::byte>> MsfFile::read(std::size_t first_block, std::uint32_t size) const {
  std::vector<std::byte> bytes;
  bytes.reserve(size);
  for (std::size_t at = first_block; bytes.size() < size; ++at) {
    const std::uint64_t wanted = std::min<std::uint64_t>(block_size_, size - bytes.size());
    const std::uint64_t offset = std::uint64_t{blocks_[at]} * block_size_;
    const auto block = slice(file_, offset, wanted);
    if (!block) {
      return fail("pdb: block {} at {:#x} does not lie in the file of {} bytes", blocks_[at],
                  offset, file_.size());
    }
    bytes.insert(bytes.end(), block->begin(), block->end());
  }
  return bytes;
}

Result<std::vector<std::byte>> MsfFile::stream(std::uint32_t number) const {
  if (number >= streams_.size()) {
    return fail("pdb: stream {}, expected below {}", number, streams_.size());
  }
  return read(streams_[number].first_block, streams_[number].size);
}

}  // namespace engram::types::pdb
