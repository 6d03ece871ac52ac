// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// Walks through what a running guest may change meanwhile: a try that can tell whether it saw
// everything, and what to do if it cannot.
//
// The guest's own readers are protected by RCU: an object that leaves a list keeps its links until
// all of them are done. Nobody waits for us: the object may be used anew while we stand on it, and
// its next link is that of another place, most often the end of the list. The rest of the list
// would be lost without a trace. So each link is looked at again after it was used.

#include <chrono>
#include <cstddef>
#include <thread>
#include <unordered_set>
#include <utility>
#include <vector>

#include "kernel/linux/reader.h"

namespace engram::kernel {

template <class T>
struct Try {
  std::vector<T> found;
  /// Whatever was there from the beginning to the end of the try was found.
  bool is_whole = true;

  bool operator==(const Try&) const = default;
};

/// One try at a circular list (struct list_head): the objects, in list order. It is whole if each
/// object was in its place, as both its neighbours say, before and after its link was followed.
/// Then it was in the list all that time (the same neighbours mean the same place, or one behind
/// which nothing lies that was there before), and so nothing that stayed in the list was passed
/// over. A list that is damaged, or of which more than `limit` objects are found, is never whole.
[[nodiscard]] Try<VirtAddr> try_list(const Reader& reader, VirtAddr head, std::uint64_t node_offset,
                                     std::size_t limit);

/// Whether the node at `node` is on a list: the one before it leads to it. One that has left its
/// list is not (list_del_rcu() poisons its link back).
[[nodiscard]] bool is_on_list(const Reader& reader, VirtAddr node);

/// The words that lead from the root of a tree to the node that is being read, with what they
/// held. A node that the guest took out was perhaps used anew before it was read; one that the same
/// words still lead to was not.
class FollowedWords {
 public:
  void push(VirtAddr at, std::uint64_t word) { words_.emplace_back(at, word); }
  void pop() { words_.pop_back(); }
  [[nodiscard]] bool still_lead_there(const Reader& reader) const;

 private:
  std::vector<std::pair<VirtAddr, std::uint64_t>> words_;
};

inline VirtAddr key_of(VirtAddr address) {
  return address;
}

enum class Settled : std::uint8_t {
  whole,   ///< a try was whole
  still,   ///< none was, but the memory does not change: a guest that was paused in the middle of a
           ///< change, or damage. What was found is what an ordinary walk finds
  moving,  ///< none was in kMostTries: all that was found in any of them, up to a limit
};

template <class T>
struct Walked {
  std::vector<T> found;
  Settled settled = Settled::whole;
  unsigned tries = 0;
};

inline constexpr unsigned kMostTries = 64;
inline constexpr std::size_t kMostFound = std::size_t{1} << 22;

/// Calls `attempt` until it is whole, or gives the same three times with time in between, or
/// kMostTries are used up (0.1 s and what they take themselves), or tries that see another list
/// each time have found `limit` objects together.
template <class T, class Attempt>
Walked<T> until_whole(const Attempt& attempt, std::size_t limit = kMostFound) {
  constexpr unsigned kSameForStill = 3;
  constexpr auto kPause = std::chrono::microseconds(50);
  constexpr auto kLongestPause = std::chrono::microseconds(2000);
  Walked<T> walked;
  std::unordered_set<std::uint64_t> seen;
  Try<T> last;
  const auto most_tries = [&] { return walked.found.size() < limit ? kMostTries : kSameForStill; };
  for (unsigned same = 0; walked.tries < most_tries();) {
    Try<T> now = attempt();
    ++walked.tries;
    if (now.is_whole) {
      walked.found = std::move(now.found);
      return walked;
    }
    same = walked.tries > 1 && now == last ? same + 1 : 1;
    if (same == kSameForStill) {
      walked.found = std::move(now.found);
      walked.settled = Settled::still;
      return walked;
    }
    for (const T& one : now.found) {
      if (walked.found.size() == limit) break;
      if (seen.insert(key_of(one).value).second) walked.found.push_back(one);
    }
    last = std::move(now);
    std::this_thread::sleep_for(std::min(kPause * walked.tries, kLongestPause));
  }
  walked.settled = Settled::moving;
  return walked;
}

/// Says what a user has to know about how a walk ended.
void report_walk(const Reader& reader, std::string_view what, VirtAddr head, Settled settled,
                 unsigned tries);

}  // namespace engram::kernel
