// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// A guest memory that is replaced while others use it: memory is plugged in and out by publishing a
// new immutable map; whoever has an older one goes on with it undisturbed.
//
//   snapshot()   owns the map of this moment: two atomic operations on a counter that all share
//   Reader       one for each thread or device: keeps its map from access to access and looks only
//                whether there is a newer one, which costs one load of a line that never changes
//   lock()       the one writer
//
// The price of keeping is that a map which was replaced lives, and with it the memory that was
// unplugged, until every Reader has accessed the new one or quiesced. wait_for_readers() says when
// that is so.

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

namespace engram::guest {
namespace detail {

inline constexpr std::size_t kCacheLine = 64;

/// Which generations of a map are alive.
class VersionCensus {
 public:
  /// A generation's entry: it leaves the census with this.
  class Entry {
   public:
    Entry(std::shared_ptr<VersionCensus> census, std::uint64_t generation);
    Entry(const Entry&) = delete;
    Entry& operator=(const Entry&) = delete;
    ~Entry();

   private:
    std::shared_ptr<VersionCensus> census_;
    std::uint64_t generation_;
  };

  /// Returns when no generation before `generation` is alive.
  void wait_for_end_of_older(std::uint64_t generation) const;
  /// The same, but false after `patience`.
  [[nodiscard]] bool wait_for_end_of_older(std::uint64_t generation,
                                           std::chrono::nanoseconds patience) const;
  [[nodiscard]] std::size_t count_older(std::uint64_t generation) const;

 private:
  [[nodiscard]] std::size_t older(std::uint64_t generation) const;

  mutable std::mutex mutex_;
  mutable std::condition_variable left_;
  std::vector<std::uint64_t> alive_;
};

}  // namespace detail

/// Copies share the map. All members may be called from any thread.
template <class M>
class MemoryAtomic {
  class State;
  struct Version;

 public:
  /// A map that stays as it is and stays mapped as long as this or a copy of it lives.
  using Snapshot = std::shared_ptr<const M>;

  class Reader;
  class Update;

  explicit MemoryAtomic(M memory) : state_(std::make_shared<State>(std::move(memory))) {}

  [[nodiscard]] Snapshot snapshot() const { return as_snapshot(state_->current()); }
  /// How many maps there were up to now; the first one is 1.
  [[nodiscard]] std::uint64_t generation() const { return state_->generation(); }

  /// Waits until there is no other writer.
  [[nodiscard]] Update lock() const { return Update(state_); }

  /// Returns when no Snapshot, Reader or Update has a map that was replaced before this call: all
  /// their memory that is not part of a newer map is released, unless somebody has made a copy of
  /// such a map (an M by itself, in a Pinned, an Accessor, an IommuMemory), which is not counted.
  /// Does not return as long as the calling thread itself has a snapshot of one, or a Reader that
  /// does not quiesce.
  void wait_for_readers() const { state_->census().wait_for_end_of_older(generation()); }
  /// The same, but false after `patience`.
  [[nodiscard]] bool wait_for_readers(std::chrono::nanoseconds patience) const {
    return state_->census().wait_for_end_of_older(generation(), patience);
  }
  /// How many maps that were replaced somebody still has.
  [[nodiscard]] std::size_t retired_maps() const {
    return state_->census().count_older(generation());
  }

 private:
  using VersionPtr = std::shared_ptr<const Version>;
  static Snapshot as_snapshot(VersionPtr version) {
    const M* const memory = &version->memory;
    return Snapshot(std::move(version), memory);
  }

  std::shared_ptr<State> state_;
};

/// Not for use by two threads at once: each has its own.
template <class M>
class MemoryAtomic<M>::Reader {
 public:
  explicit Reader(const MemoryAtomic& memory) : state_(memory.state_) {}

  /// The newest map. The reference is good until the next call of a member of this Reader.
  [[nodiscard]] const M& operator*() {
    if (state_->generation() != generation_) [[unlikely]]
      refresh();
    return *memory_;
  }
  [[nodiscard]] const M* operator->() { return &**this; }

  /// Lets go of the map. The next access takes the newest one.
  void quiesce() {
    generation_ = kNone;
    memory_ = nullptr;
    held_.reset();
  }
  /// The generation of the map that is held; 0 if none is.
  [[nodiscard]] std::uint64_t generation() const { return generation_; }

 private:
  static constexpr std::uint64_t kNone = 0;

  [[gnu::noinline]] void refresh() {
    held_ = state_->current();
    memory_ = &held_->memory;
    generation_ = held_->generation;
  }

  std::shared_ptr<State> state_;
  std::uint64_t generation_ = kNone;
  const M* memory_ = nullptr;
  VersionPtr held_;
};

/// The right to replace the map. While it lives no other writer gets one; readers do not notice.
template <class M>
class MemoryAtomic<M>::Update {
 public:
  /// What will be replaced: nobody else can replace it.
  [[nodiscard]] const M& operator*() const { return before_->memory; }
  [[nodiscard]] const M* operator->() const { return &before_->memory; }

  /// Publishes `next` and ends the right. Who has the map before keeps it.
  void replace(M next) && {
    before_.reset();
    state_->publish(std::move(next));
    lock_.unlock();
  }

 private:
  friend class MemoryAtomic;
  explicit Update(std::shared_ptr<State> state)
      : state_(std::move(state)), lock_(state_->writers()), before_(state_->current()) {}

  std::shared_ptr<State> state_;
  std::unique_lock<std::mutex> lock_;
  VersionPtr before_;
};

/// One map, and its entry among those that are alive.
template <class M>
struct MemoryAtomic<M>::Version {
  Version(std::shared_ptr<detail::VersionCensus> census, std::uint64_t number, M map)
      : alive(std::move(census), number), generation(number), memory(std::move(map)) {}

  detail::VersionCensus::Entry alive;  // goes after the memory: who waits for it finds it released
  std::uint64_t generation;
  M memory;
};

template <class M>
class MemoryAtomic<M>::State {
 public:
  explicit State(M memory) : current_(make_version(std::move(memory), 1)) {}
  State(const State&) = delete;
  State& operator=(const State&) = delete;
  ~State() = default;

  [[nodiscard]] std::uint64_t generation() const {
    return generation_.load(std::memory_order_acquire);
  }
  [[nodiscard]] VersionPtr current() const {
    const std::lock_guard lock(mutex_);
    return current_;
  }
  [[nodiscard]] std::mutex& writers() { return writers_; }
  [[nodiscard]] const detail::VersionCensus& census() const { return *census_; }

  /// The caller has writers().
  void publish(M next) {
    VersionPtr version = make_version(std::move(next), generation() + 1);
    {
      const std::lock_guard lock(mutex_);
      current_.swap(version);
      generation_.store(current_->generation, std::memory_order_release);
    }
    // The map before dies here if nobody else has it: to unmap memory takes long.
  }

 private:
  VersionPtr make_version(M memory, std::uint64_t generation) {
    return std::make_shared<const Version>(census_, generation, std::move(memory));
  }

  const std::shared_ptr<detail::VersionCensus> census_ = std::make_shared<detail::VersionCensus>();
  // All readers load it all the time: no counter or lock may share its cache line.
  alignas(detail::kCacheLine) std::atomic<std::uint64_t> generation_{1};
  alignas(detail::kCacheLine) mutable std::mutex mutex_;  // of current_, never held for long
  VersionPtr current_;
  std::mutex writers_;  // held as long as somebody prepares a map
};

/// The map to use for one job, from whatever somebody was given: a pointer that stays good until
/// the job ends. A plain reference stands for itself, a shared pointer for its copy.
template <class M>
[[nodiscard]] const M* snapshot_of(const M& memory) {
  return &memory;
}
template <class M>
[[nodiscard]] std::shared_ptr<M> snapshot_of(const std::shared_ptr<M>& memory) {
  return memory;
}
template <class M>
[[nodiscard]] std::shared_ptr<const M> snapshot_of(const MemoryAtomic<M>& memory) {
  return memory.snapshot();
}

}  // namespace engram::guest
