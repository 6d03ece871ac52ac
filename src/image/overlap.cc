// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "image/overlap.h"

#include <algorithm>
#include <cstddef>
#include <functional>
#include <limits>
#include <numeric>
#include <queue>

namespace engram::image {
namespace {

using guest::Backing;
using guest::Region;

/// The bytes [first, last] of `region`.
Region part(const Region& region, PhysAddr first, PhysAddr last) {
  Region result = region;
  result.start = first;
  result.size = last - first + 1;
  if (region.backing == Backing::host) result.host = region.host + (first - region.start);
  return result;
}

bool disjoint_and_sorted(const std::vector<Region>& regions) {
  const auto meet = [](const Region& a, const Region& b) { return a.last() >= b.start; };
  return std::adjacent_find(regions.begin(), regions.end(), meet) == regions.end();
}

/// Walks up the address space. `open_` has the regions that cover the place that was reached, and
/// some that have ended below it; the smallest index is the region that serves.
class Sweep {
 public:
  explicit Sweep(const std::vector<Region>& regions) : regions_(regions), order_(regions.size()) {
    std::iota(order_.begin(), order_.end(), std::size_t{0});
    std::sort(order_.begin(), order_.end(), [&](std::size_t a, std::size_t b) {
      return regions[a].start != regions[b].start ? regions[a].start < regions[b].start : a < b;
    });
  }

  std::vector<Region> run() {
    while (open_regions()) {
      const std::size_t server = open_.top();
      const PhysAddr first = at_;
      PhysAddr last = regions_[server].last();
      if (next_ < order_.size()) last = std::min(last, regions_[order_[next_]].start - 1);
      emit(server, first, last);
      if (last.value == std::numeric_limits<std::uint64_t>::max()) break;
      at_ = last + 1;
    }
    return std::move(result_);
  }

 private:
  /// Opens the regions that begin here and drops those that have ended; goes on to the next region
  /// if none is left. False at the end.
  bool open_regions() {
    while (!open_.empty() && regions_[open_.top()].last() < at_) open_.pop();
    if (open_.empty()) {
      if (next_ == order_.size()) return false;
      at_ = std::max(at_, regions_[order_[next_]].start);
    }
    for (; next_ < order_.size() && regions_[order_[next_]].start <= at_; ++next_) {
      if (regions_[order_[next_]].last() >= at_) open_.push(order_[next_]);
    }
    return true;
  }

  void emit(std::size_t server, PhysAddr first, PhysAddr last) {
    if (server == last_server_ && result_.back().end() == first) {
      result_.back().size += last - first + 1;
      return;
    }
    result_.push_back(part(regions_[server], first, last));
    last_server_ = server;
  }

  const std::vector<Region>& regions_;
  std::vector<std::size_t> order_;  // by start
  std::priority_queue<std::size_t, std::vector<std::size_t>, std::greater<>> open_;
  std::size_t next_ = 0;  // in order_
  PhysAddr at_;
  std::vector<Region> result_;
  std::size_t last_server_ = std::numeric_limits<std::size_t>::max();
};

}  // namespace

std::vector<Region> without_overlap(std::vector<Region> regions) {
  if (disjoint_and_sorted(regions)) return regions;
  return Sweep(regions).run();
}

}  // namespace engram::image
