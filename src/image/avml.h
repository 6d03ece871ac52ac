// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// The compressed blocks of AVML: a LiME-like header, the range in the Snappy framing format, and
// the length of that. Only an index of the frames' headers is made when a block is added; what is
// read is unpacked a chunk of 64 KiB at a time, and cached.

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "guest/decoded_region.h"
#include "guest/memory.h"
#include "image/file_view.h"
#include "image/page_problems.h"

namespace engram::image::lime {

/// All chunks of a file, by number.
class Chunks final : public guest::PageSource {
 public:
  static constexpr std::uint64_t kLargest = 64 * kKiB;  // by the framing format

  struct Chunk {
    PhysAddr start;
    FileOffset at;  // of its header
  };

  explicit Chunks(const FileView& file) : file_(file) {}

  void add(const Chunk& chunk) { chunks_.push_back(chunk); }
  [[nodiscard]] const std::vector<Chunk>& list() const { return chunks_; }
  [[nodiscard]] const std::shared_ptr<PageProblems>& problems() const { return problems_; }

  [[nodiscard]] std::uint64_t page_size() const override { return kLargest; }
  [[nodiscard]] guest::Transfer read_page(std::uint64_t index, MutableBytes to) const override;

 private:
  /// How many bytes the chunk has; what is wrong with it goes to `problem`.
  std::size_t unpack_chunk(FileOffset at, MutableBytes to, std::string& problem) const;

  FileView file_;
  std::vector<Chunk> chunks_;
  std::shared_ptr<PageProblems> problems_ = std::make_shared<PageProblems>();
};

/// One block as physical memory.
class Block final : public guest::PhysicalSource {
 public:
  Block(PhysAddr start, std::size_t first, const std::shared_ptr<const Chunks>& chunks,
        const guest::PageCache& cache)
      : end_(start), first_(first), count_(0), chunks_(*chunks), cache_(cache) {}

  /// One more chunk of `size` bytes belongs to it.
  void extend(std::uint64_t size) {
    end_ = end_ + size;
    ++count_;
  }
  [[nodiscard]] guest::Transfer read(PhysAddr from, MutableBytes to) const override {
    return read_chunks(from, to, true);
  }
  /// Whole chunks are unpacked where they are wanted.
  [[nodiscard]] guest::Transfer read_once(PhysAddr from, MutableBytes to) const override {
    return read_chunks(from, to, false);
  }

 private:
  [[nodiscard]] guest::Transfer read_chunks(PhysAddr from, MutableBytes to, bool keep) const;

  PhysAddr end_;  // behind the last byte
  std::size_t first_, count_;
  const Chunks& chunks_;
  const guest::PageCache& cache_;
};

class Blocks {
 public:
  explicit Blocks(const FileView& file)
      : file_(file),
        chunks_(std::make_shared<Chunks>(file)),
        cache_(chunks_, kCacheBytes / Chunks::kLargest) {}
  Blocks(const Blocks&) = delete;
  Blocks& operator=(const Blocks&) = delete;

  struct Added {
    const Block* block = nullptr;
    std::uint64_t size = 0;              // bytes of memory that it has
    FileOffset end;                      // behind it in the file
    std::optional<std::string> problem;  // why it has fewer than were declared
    bool cut = false;                    // ... because the file ends
  };
  /// Indexes the block whose frames begin at `at`.
  Added add(PhysAddr start, std::uint64_t size, FileOffset at);

  [[nodiscard]] const std::shared_ptr<PageProblems>& problems() const {
    return chunks_->problems();
  }
  /// How many chunks had to be unpacked.
  [[nodiscard]] std::uint64_t unpacked() const { return cache_.misses(); }

 private:
  static constexpr std::uint64_t kCacheBytes = 64 * kMiB;

  FileView file_;
  std::shared_ptr<Chunks> chunks_;
  guest::PageCache cache_;
  std::deque<Block> blocks_;  // regions point at them
  std::uint64_t total_ = 0;   // bytes of memory in all chunks
};

}  // namespace engram::image::lime
