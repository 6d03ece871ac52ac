// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "image/packed_file.h"

#include <fmt/core.h>

#include <algorithm>
#include <chrono>
#include <new>
#include <system_error>
#include <thread>
#include <utility>

namespace engram::image {
namespace {

constexpr std::size_t kPiece = 256 * kKiB;  // what is read, and written, at once
// Larger blocks are made only if somebody needs them: each takes a quarter of a second or more.
constexpr std::uint64_t kLargestAhead = 16 * kMiB;

/// What came of unpacking.
struct Unpacked {
  std::uint64_t size = 0;              // bytes that were written
  FileOffset at;                       // in the packed file: behind the last byte that was used
  std::optional<std::string> problem;  // why it ended before the end
};

/// Part of a packed file, on its way to a place in the unpacked one, through `in` and `out`.
class Unpacker {
 public:
  Unpacker(const FileView& file, FileOffset at, std::uint64_t length, StreamDecoder& decoder,
           MutableBytes in, MutableBytes out)
      : file_(file), at_(at), end_(at + length), decoder_(decoder), in_(in), out_(out) {}

  /// Up to `most` bytes go to `scratch`, from `to` on. `done` has what was written, also after an
  /// error. Errors: those of writing; go_on() said no.
  Result<void> run(const ScratchFile& scratch, FileOffset to, std::uint64_t most,
                   const std::function<bool(FileOffset)>& go_on, Unpacked& done) {
    bool more = true;
    while (more) {
      const std::size_t filled = fill(done, most, more);
      ENGRAM_CHECK(scratch.write(to + done.size, out_.first(filled)));
      done.size += filled;
      done.at = at_ - rest_.size();
      if (go_on && !go_on(done.at)) return fail("it was not unpacked");
    }
    return {};
  }

 private:
  /// Fills the buffer, or up to the end or a problem. How many bytes that were.
  std::size_t fill(Unpacked& done, std::uint64_t most, bool& more) {
    std::size_t filled = 0;
    while (more && filled < out_.size()) {
      if (rest_.empty()) refill();
      const auto step = decoder_.step(rest_, out_.subspan(filled));
      rest_ = rest_.subspan(step.read);
      filled += step.written;
      const bool stuck = step.read == 0 && step.written == 0;
      const bool is_at_end = step.state == StreamDecoder::State::end;
      const bool ended = is_at_end && rest_.empty() && at_ >= end_;
      if (done.size + filled > most) {  // what lies behind is another block's
        done.problem = fmt::format("it gives more than the {} bytes that are declared", most);
        filled = static_cast<std::size_t>(most - done.size);
      } else if (step.state == StreamDecoder::State::damaged) {
        done.problem = decoder_.problem();
      } else if (stuck && is_at_end && !ended) {
        done.problem = "it ends before its declared end";
      } else if (stuck && !ended) {
        done.problem = cut_ ? "the file is cut or failing" : "it ends too early";
      }
      more = !done.problem && !ended;
    }
    return filled;
  }

  void refill() {
    const auto wanted = static_cast<std::size_t>(std::min<std::uint64_t>(in_.size(), end_ - at_));
    const std::size_t got = file_.read(at_, in_.first(wanted));
    cut_ = cut_ || got < wanted;
    at_ = at_ + got;
    if (cut_) end_ = at_;
    rest_ = in_.first(got);
  }

  const FileView& file_;
  FileOffset at_;   // of the next byte that is read
  FileOffset end_;  // of those that are to be read
  StreamDecoder& decoder_;
  const MutableBytes in_, out_;
  Bytes rest_;  // of what was read: what is not used yet
  bool cut_ = false;
};

std::size_t processors() {
  return std::max<std::size_t>(std::thread::hardware_concurrency(), 1);
}

double in_mib(std::uint64_t bytes) {
  return static_cast<double>(bytes) / static_cast<double>(kMiB);
}

}  // namespace

struct PackedFile::Buffers {
  std::vector<std::byte> in = std::vector<std::byte>(kPiece);
  std::vector<std::byte> out = std::vector<std::byte>(kPiece);
};

class PackedFile::Shifted final : public guest::PhysicalSource {
 public:
  /// A byte lies in the file at its address less `difference`, modulo 2^64.
  Shifted(const PackedFile& file, std::uint64_t difference)
      : file_(file), difference_(difference) {}

  [[nodiscard]] guest::Transfer read(PhysAddr from, MutableBytes to) const override {
    const std::size_t count = file_.read(FileOffset(from.value - difference_), to);
    if (count == to.size()) return {count};
    return {count, guest::MemoryErrc::source_truncated, 0, from.value + count};
  }

 private:
  const PackedFile& file_;
  std::uint64_t difference_;
};

PackedFile::PackedFile(const PackedFormat& format, const FileView& file, ScratchFile scratch)
    : format_(format), file_(file), scratch_(std::move(scratch)) {}
PackedFile::~PackedFile() = default;

Result<std::unique_ptr<PackedFile>> PackedFile::open(const PackedFormat& format,
                                                     const FileView& file, const GoOn& go_on) {
  ENGRAM_TRY(auto scratch, ScratchFile::create());
  std::unique_ptr<PackedFile> packed(new PackedFile(format, file, std::move(scratch)));
  auto blocks = format.find_blocks(file).value_or(std::vector<PackedBlock>());
  const bool by_blocks =
      blocks.size() > 1 && std::all_of(blocks.begin(), blocks.end(), [](const PackedBlock& block) {
        return block.size <= kLargestBlock;
      });
  const auto done = by_blocks ? packed->use_blocks(std::move(blocks)) : packed->unpack_all(go_on);
  if (!done) return fail("{}: {}", format.name, done.error().text);
  return packed;
}

Result<void> PackedFile::use_blocks(std::vector<PackedBlock> blocks) {
  blocks_ = std::move(blocks);
  ENGRAM_TRY(mapping_, scratch_.map(size()));
  there_ = std::make_unique<std::atomic<std::uint64_t>[]>(blocks_.size());
  std::uint64_t largest = 0;
  for (std::size_t i = 0; i < blocks_.size(); ++i) {
    there_[i] = kNotMade;
    largest = std::max(largest, blocks_[i].size);
  }
  description_ = fmt::format("{}: {} blocks of at most {} KiB, unpacked where they are read",
                             format_.name, blocks_.size(), (largest + kKiB - 1) / kKiB);
  return {};
}

Result<void> PackedFile::unpack_all(const GoOn& go_on) {
  const auto begin = std::chrono::steady_clock::now();
  const auto decoder = format_.stream();
  if (decoder == nullptr) return fail("no memory to unpack it");
  // It has at least as many bytes that are not zeros, but for those that are alike.
  ENGRAM_CHECK(scratch_.expect_room(file_.size()));
  const auto ask = [&](FileOffset at) { return !go_on || go_on({at.value, file_.size()}); };
  Buffers buffers;
  Unpacker unpacker(file_, FileOffset(0), file_.size(), *decoder, buffers.in, buffers.out);
  Unpacked done;
  ENGRAM_CHECK(unpacker.run(scratch_, FileOffset(0), PackedBlocks::kLongestFile, ask, done));
  if (done.size == 0) {
    return fail("nothing can be unpacked: at {:#x}: {}", done.at.value,
                done.problem.value_or("it has no bytes"));
  }
  if (done.problem) {
    loss_ = fmt::format("{}: at {:#x}: {}; the {} bytes before that are used", format_.name,
                        done.at.value, *done.problem, done.size);
  }
  ENGRAM_TRY(mapping_, scratch_.map(done.size));
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begin;
  description_ = fmt::format("{}: unpacked as a whole", format_.name);
  cost_ = fmt::format(
      "{}: all of it had to be unpacked, to {:.1f} MiB, of which {:.1f} MiB are stored in a "
      "temporary file, in {:.1f} s",
      format_.name, in_mib(done.size), in_mib(scratch_.written()), seconds.count());
  return {};
}

FileView PackedFile::view() const {
  return blocks_.empty() ? FileView(mapping_->unsafe_exclusive_bytes(), file_.size())
                         : FileView(*this, file_.size());
}

std::uint64_t PackedFile::size() const {
  return blocks_.back().start.value + blocks_.back().size;
}

std::size_t PackedFile::read(FileOffset from, MutableBytes to) const {
  auto block = std::partition_point(blocks_.begin(), blocks_.end(), [from](const PackedBlock& b) {
    return b.start.value + b.size <= from.value;
  });
  std::size_t done = 0;
  for (; done < to.size() && block != blocks_.end(); ++block) {
    const auto index = static_cast<std::size_t>(block - blocks_.begin());
    std::uint64_t there = there_[index].load(std::memory_order_acquire);
    if (there == kNotMade) there = make(index);
    const FileOffset at = from + done;
    const std::uint64_t in_block = at - block->start;
    if (in_block >= there) break;
    const auto wanted =
        static_cast<std::size_t>(std::min<std::uint64_t>(to.size() - done, there - in_block));
    const std::size_t copied = mapping::guarded_copy(
        to.subspan(done, wanted),
        mapping_->unsafe_exclusive_bytes().subspan(static_cast<std::size_t>(at.value), wanted));
    done += copied;
    if (copied < wanted || there < block->size) break;
  }
  return done;
}

std::uint64_t PackedFile::make(std::size_t index) const {
  const std::size_t end = end_of_group(index);
  std::atomic<std::size_t> next = index + 1;
  const auto work = [&] {
    for (std::size_t i = next++; i < end; i = next++) static_cast<void>(make_one(i));
  };
  std::vector<std::jthread> helpers;
  const std::size_t most = std::min(processors(), end - index);
  while (helpers.size() + 1 < most) {
    try {
      helpers.emplace_back([&work] {
        try {
          work();
        } catch (const std::bad_alloc&) {  // who needs the block tries again
        }
      });
    } catch (const std::system_error&) {  // there are no more threads
      break;
    }
  }
  const std::uint64_t there = make_one(index);
  work();
  return there;
}

std::size_t PackedFile::end_of_group(std::size_t index) const {
  const std::lock_guard lock(group_mutex_);
  if (index >= group_begin_ && index < group_end_) return index + 1;  // is being made
  const std::size_t before = group_end_ - group_begin_;
  const std::size_t blocks =
      index == group_end_ ? std::clamp<std::size_t>(2 * before, 1, 2 * processors()) : 1;
  group_begin_ = index;
  group_end_ = index + 1;
  while (group_end_ < blocks_.size() && group_end_ - index < blocks &&
         blocks_[group_end_].size <= kLargestAhead) {
    ++group_end_;
  }
  return group_end_;
}

std::uint64_t PackedFile::make_one(std::size_t index) const {
  const std::lock_guard lock(locks_[index % kLocks]);
  if (const auto there = there_[index].load(); there != kNotMade) return there;
  const PackedBlock& block = blocks_[index];
  const auto problem = [&](const std::string& text) {
    problems_->add(fmt::format("{}: block {} at {:#x}, for {} bytes from {:#x}: {}", format_.name,
                               index, block.at.value, block.size, block.start.value, text));
  };
  constexpr std::uint64_t kLikely = 16 * kMiB;  // not zeros; a block may have much more of those
  if (const auto room = scratch_.expect_room(std::min(block.size, kLikely)); !room) {
    problem(room.error().text);
    return 0;  // another time there may be room
  }
  const auto decoder = format_.block(block);
  if (decoder == nullptr) {
    problem("no memory to unpack it");
    return 0;
  }
  ++unpacked_blocks_;
  auto buffers = take_buffers();
  Unpacker unpacker(file_, block.at, block.packed, *decoder, buffers->in, buffers->out);
  Unpacked done;
  const auto written = unpacker.run(scratch_, block.start, block.size, {}, done);
  give_back(std::move(buffers));
  if (!written) {
    // What is there is all that there will be: to unpack it again for each read takes hours.
    problem(fmt::format("{}; its first {} bytes are used", written.error().text, done.size));
  } else if (done.problem) {
    problem(*done.problem);
  } else if (done.size < block.size) {
    problem(fmt::format("it gives {} bytes", done.size));
  }
  there_[index].store(done.size, std::memory_order_release);
  return done.size;
}

std::unique_ptr<PackedFile::Buffers> PackedFile::take_buffers() const {
  {
    const std::lock_guard lock(buffers_mutex_);
    if (!buffers_.empty()) {
      auto buffers = std::move(buffers_.back());
      buffers_.pop_back();
      return buffers;
    }
  }
  return std::make_unique<Buffers>();
}

void PackedFile::give_back(std::unique_ptr<Buffers> buffers) const {
  const std::lock_guard lock(buffers_mutex_);
  buffers_.push_back(std::move(buffers));
}

guest::Region PackedFile::region(PhysAddr start, std::uint64_t size, FileOffset at) const {
  const std::uint64_t difference = start.value - at.value;
  const auto& source = shifted_.try_emplace(difference, *this, difference).first->second;
  return guest::Region::from_source(start, size, source);
}

bool PackedFile::made(const guest::Region& region) {
  return region.backing == guest::Backing::source &&
         dynamic_cast<const Shifted*>(&region.source()) != nullptr;
}

}  // namespace engram::image
