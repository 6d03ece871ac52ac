// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// A file that is packed as a whole (gzip, xz, zstd), as the file that it was made of.
//
// What is unpacked goes to a temporary file, which is mapped: so nothing is unpacked twice, memory
// is the page cache's business, and the readers of formats see a file like any other. A file that
// is made of blocks is unpacked block by block where somebody reads; any other one from beginning
// to end when it is opened.

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/result.h"
#include "image/file_view.h"
#include "image/image.h"
#include "image/packed_format.h"
#include "image/page_problems.h"
#include "image/scratch_file.h"

namespace engram::image {

/// Asked now and then while a file is unpacked as a whole; empty: nobody is asked.
using GoOn = std::function<bool(const UnpackState&)>;

class PackedFile final : public ByteSource {
 public:
  /// Blocks that are larger take seconds each: a file with one of them is unpacked as a whole.
  static constexpr std::uint64_t kLargestBlock = 512 * kMiB;

  /// `file` must outlive it. Errors: nothing can be unpacked; no room; go_on() said no.
  static Result<std::unique_ptr<PackedFile>> open(const PackedFormat& format, const FileView& file,
                                                  const GoOn& go_on);

  ~PackedFile() override;
  PackedFile(const PackedFile&) = delete;
  PackedFile& operator=(const PackedFile&) = delete;

  /// The unpacked file; this must outlive it, and not move.
  [[nodiscard]] FileView view() const;
  /// What unpacking cost; nothing if it is done where somebody reads.
  [[nodiscard]] const std::optional<std::string>& cost() const { return cost_; }
  /// How it is packed, in a few words.
  [[nodiscard]] const std::string& description() const { return description_; }
  /// What keeps a file that was unpacked as a whole from being all there.
  [[nodiscard]] const std::optional<std::string>& loss() const { return loss_; }
  /// Filled with blocks that could not be unpacked.
  [[nodiscard]] const std::shared_ptr<PageProblems>& problems() const { return problems_; }
  /// How many blocks were unpacked.
  [[nodiscard]] std::uint64_t unpacked_blocks() const { return unpacked_blocks_.load(); }

  // Of a file that is made of blocks.
  [[nodiscard]] std::uint64_t size() const override;
  [[nodiscard]] std::size_t read(FileOffset from, MutableBytes to) const override;
  [[nodiscard]] guest::Region region(PhysAddr start, std::uint64_t size,
                                     FileOffset at) const override;
  /// Whether region() of some packed file made it.
  [[nodiscard]] static bool made(const guest::Region& region);

 private:
  /// The same bytes by physical address.
  class Shifted;

  static constexpr std::uint64_t kNotMade = ~std::uint64_t{0};
  static constexpr std::size_t kLocks = 64;

  PackedFile(const PackedFormat& format, const FileView& file, ScratchFile scratch);

  Result<void> use_blocks(std::vector<PackedBlock> blocks);
  Result<void> unpack_all(const GoOn& go_on);
  /// How many bytes of a block are there. Who reads the blocks in their order has more and more of
  /// them made at the same time, on all processors.
  [[nodiscard]] std::uint64_t make(std::size_t index) const;
  /// Behind the last of those that are made with block `index`.
  [[nodiscard]] std::size_t end_of_group(std::size_t index) const;
  /// The same of one block alone.
  [[nodiscard]] std::uint64_t make_one(std::size_t index) const;

  /// What unpacking goes through; as many as ever threads unpacked at once.
  struct Buffers;
  [[nodiscard]] std::unique_ptr<Buffers> take_buffers() const;
  void give_back(std::unique_ptr<Buffers> buffers) const;

  const PackedFormat& format_;
  FileView file_;
  ScratchFile scratch_;
  std::optional<mapping::Mapping<mapping::ReadOnly>> mapping_;
  std::optional<std::string> cost_, loss_;
  std::string description_;
  std::shared_ptr<PageProblems> problems_ = std::make_shared<PageProblems>();

  std::vector<PackedBlock> blocks_;                      // none: all is unpacked
  std::unique_ptr<std::atomic<std::uint64_t>[]> there_;  // bytes of each, or kNotMade
  mutable std::array<std::mutex, kLocks> locks_;         // of whoever makes a block
  mutable std::atomic<std::uint64_t> unpacked_blocks_ = 0;
  mutable std::unordered_map<std::uint64_t, Shifted> shifted_;  // by the difference
  mutable std::mutex buffers_mutex_;                            // of what follows
  mutable std::vector<std::unique_ptr<Buffers>> buffers_;       // that are not in use
  mutable std::mutex group_mutex_;                              // of what follows
  mutable std::size_t group_begin_ = 0, group_end_ = 0;         // what was made last
};

}  // namespace engram::image
