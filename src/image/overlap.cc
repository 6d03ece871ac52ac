// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "image/overlap.h"

#include <algorithm>
#include <cstddef>
#include <functional>
#include <limits>
#include <queue>

namespace engram::image {
namespace {

using guest::Backing;
using guest::Region;
using guest::Regions;

/// The bytes [first, last] of `region`.
Region part(const Region& region, PhysAddr first, PhysAddr last) {
  Region result = region;
  result.start = first;
  result.size = last - first + 1;
  if (region.backing == Backing::host) result.set_host(region.host() + (first - region.start));
  return result;
}

/// A region as the sweep sees it. Less is first in the list.
struct Span {
  std::size_t index;
  PhysAddr first;
  PhysAddr last;

  bool operator>(const Span& other) const { return index > other.index; }
};

/// Walks up the address space. `open_` has the regions that cover the place that was reached, and
/// some that have ended below it; the first of them in the list is the one that serves.
class Sweep {
 public:
  explicit Sweep(const Regions& regions) : regions_(regions) {
    spans_.reserve(regions.size());
    for (const Region& r : regions) spans_.push_back({spans_.size(), r.start, r.last()});
    std::sort(spans_.begin(), spans_.end(),
              [](const Span& a, const Span& b) { return a.first < b.first; });
  }

  Regions run() {
    while (open_spans()) {
      const Span server = open_.top();
      const PhysAddr last =
          next_ < spans_.size() ? std::min(server.last, spans_[next_].first - 1) : server.last;
      emit(server.index, at_, last);
      if (last.value == std::numeric_limits<std::uint64_t>::max()) break;
      at_ = last + 1;
    }
    return std::move(result_);
  }

 private:
  /// Opens the spans that begin here and drops those that have ended; goes on to the next span if
  /// none is left. False at the end.
  bool open_spans() {
    while (!open_.empty() && open_.top().last < at_) open_.pop();
    if (open_.empty()) {
      if (next_ == spans_.size()) return false;
      at_ = std::max(at_, spans_[next_].first);
    }
    for (; next_ < spans_.size() && spans_[next_].first <= at_; ++next_) {
      open_.push(spans_[next_]);
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

  const Regions& regions_;
  std::vector<Span> spans_;  // by address
  std::priority_queue<Span, std::vector<Span>, std::greater<>> open_;
  std::size_t next_ = 0;  // in spans_
  PhysAddr at_;
  Regions result_;
  std::size_t last_server_ = std::numeric_limits<std::size_t>::max();
};

}  // namespace

bool disjoint_and_sorted(const Regions& regions) {
  const auto meet = [](const Region& a, const Region& b) { return a.last() >= b.start; };
  return std::adjacent_find(regions.begin(), regions.end(), meet) == regions.end();
}

Regions without_overlap(const Regions& regions) {
  if (disjoint_and_sorted(regions)) return regions;
  return Sweep(regions).run();
}

}  // namespace engram::image
