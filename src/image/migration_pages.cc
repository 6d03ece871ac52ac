// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "image/migration_pages.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <queue>
#include <utility>

#include "image/elf_layout.h"
#include "image/migration_layout.h"
#include "image/page_codec.h"

namespace engram::image::migration {
namespace {

using guest::MemoryErrc;
using guest::Transfer;

constexpr elf::ByteOrder kBigEndian(true);

// A stream in which zeros and pages take turns has 2056 bytes for each run. A file of nothing but
// records of nine bytes would need more memory than it has bytes.
constexpr std::size_t kAlwaysTaken = std::size_t{1} << 20U;
constexpr std::uint64_t kLeastAverage = 256;

// A machine that is saved while it runs sends a page a few times.
constexpr std::size_t kMostDeltasOfPage = 1024;

bool is_before(const Delta& a, const Delta& b) {
  return std::pair(a.page, a.at) < std::pair(b.page, b.at);
}

bool is_plausible(std::size_t records, FileOffset at) {
  return records < kAlwaysTaken || at.value / records >= kLeastAverage;
}

/// Walks runs, sorted by their pages, of which several may have a page: that of the last record,
/// which has the greatest offset, is taken.
class Sweep {
 public:
  explicit Sweep(const std::vector<Run>& runs) : runs_(runs) {}

  std::vector<Run> run() {
    std::vector<Run> result;
    while (open_runs()) {
      const Run server = open_.top();
      const std::uint64_t end =
          next_ < runs_.size() ? std::min(server.end(), runs_[next_].first()) : server.end();
      const bool continues = !result.empty() && result.back().end() == page_ &&
                             result.back().stored() == server.stored() &&
                             result.back().count() + (end - page_) <= Run::kMostPages &&
                             result.back().at(page_) == server.at(page_) &&
                             server.stored() != Stored::zlib;
      if (continues) {
        const Run& last = result.back();
        result.back() = Run(last.first(), end - last.first(), last.at(), last.stored());
      } else {
        result.push_back(server.part(page_, end));
      }
      page_ = end;
    }
    return result;
  }

 private:
  struct IsEarlier {
    bool operator()(const Run& a, const Run& b) const { return a.at() < b.at(); }
  };

  /// False at the end.
  bool open_runs() {
    while (!open_.empty() && open_.top().end() <= page_) open_.pop();
    if (open_.empty()) {
      if (next_ == runs_.size()) return false;
      page_ = std::max(page_, runs_[next_].first());
    }
    for (; next_ < runs_.size() && runs_[next_].first() <= page_; ++next_) open_.push(runs_[next_]);
    return true;
  }

  const std::vector<Run>& runs_;
  std::priority_queue<Run, std::vector<Run>, IsEarlier> open_;
  std::size_t next_ = 0;  // in runs_
  std::uint64_t page_ = 0;
};

/// A number of seven bits a byte, the lowest first; nothing if it does not end in `bytes`.
std::optional<std::uint32_t> take_number(Bytes& bytes) {
  std::uint32_t value = 0;
  for (unsigned i = 0; i < 2 && i < bytes.size(); ++i) {  // lengths within a page: 14 bits at most
    const auto byte = std::to_integer<std::uint32_t>(bytes[i]);
    value |= (byte & 0x7FU) << (7 * i);
    if ((byte & 0x80U) != 0) continue;
    bytes = bytes.subspan(i + 1);
    return value;
  }
  return std::nullopt;
}

/// XBZRLE: how many bytes stay, how many change, those, and so on. False if that is no page's.
bool apply_changes(Bytes delta, MutableBytes page) {
  std::size_t at = 0;
  while (!delta.empty()) {
    const auto kept = take_number(delta);
    if (!kept || *kept > page.size() - at) return false;
    at += *kept;
    if (delta.empty()) return true;
    const auto changed = take_number(delta);
    if (!changed || *changed > page.size() - at || *changed > delta.size()) return false;
    std::copy_n(delta.begin(), *changed, page.begin() + static_cast<std::ptrdiff_t>(at));
    at += *changed;
    delta = delta.subspan(*changed);
  }
  return true;
}

}  // namespace

std::uint64_t Run::step() const {
  switch (stored()) {
    case Stored::fill:
      return 8 + 1;
    case Stored::plain:
      return 8 + kPageSize;
    case Stored::mapped:
      return kPageSize;
    case Stored::zlib:
    case Stored::zeros:
      break;
  }
  return 0;
}

bool Run::extend(std::uint64_t page, FileOffset at, Stored stored) {
  if (stored != this->stored() || stored == Stored::zlib) return false;
  if (page != end() || count() == kMostPages || at != this->at(page)) return false;
  ++pages_;
  return true;
}

bool PageIndex::add(std::uint64_t page, std::uint64_t pages, FileOffset at, Stored stored) {
  if (pages == 1 && !runs_.empty() && runs_.back().extend(page, at, stored)) return true;
  while (pages > 0) {
    const std::uint64_t now = std::min(pages, Run::kMostPages);
    runs_.emplace_back(page, now, at, stored);
    at = runs_.back().at(page + now);
    page += now;
    pages -= now;
  }
  return is_plausible(runs_.size(), std::min(at, file_end_));
}

bool PageIndex::add_delta(std::uint64_t page, FileOffset at) {
  deltas_.push_back({page, at});
  return deltas_.size() < kAlwaysTaken || at.value / deltas_.size() >= sizeof(Delta);
}

void PageIndex::finish() {
  const auto meet = [](const Run& a, const Run& b) { return a.end() > b.first(); };
  if (std::adjacent_find(runs_.begin(), runs_.end(), meet) != runs_.end()) {
    std::sort(runs_.begin(), runs_.end(),
              [](const Run& a, const Run& b) { return a.first() < b.first(); });
    runs_ = Sweep(runs_).run();
  }
  runs_.shrink_to_fit();
  std::sort(deltas_.begin(), deltas_.end(), is_before);
}

const Run* PageIndex::find(std::uint64_t page) const {
  const auto behind =
      std::upper_bound(runs_.begin(), runs_.end(), page,
                       [](std::uint64_t wanted, const Run& run) { return wanted < run.first(); });
  if (behind == runs_.begin()) return nullptr;
  const Run& run = *(behind - 1);
  return page < run.end() ? &run : nullptr;
}

Transfer RamPages::read_page(std::uint64_t page, MutableBytes to) const {
  const Run* const run = index_.find(page);
  if (run == nullptr) return {0, MemoryErrc::source_truncated, 0, 0};
  if (to.size() < kPageSize) {
    std::array<std::byte, kPageSize> bytes;
    const Transfer made = read_page(page, bytes);
    std::copy_n(bytes.begin(), std::min(to.size(), made.count), to.begin());
    return {std::min(to.size(), made.count), made.stop, made.os_errno, 0};
  }
  const MutableBytes bytes = to.first(kPageSize);
  auto problem = make(*run, page, bytes);
  if (!problem) problem = change(page, run->at(page), bytes);
  if (!problem) return {kPageSize};
  problems_->add(address_of(page), [&] {
    return fmt::format("migration: page {:#x} of RAM at {:#x}: {}", page, run->at(page).value,
                       *problem);
  });
  return {0, MemoryErrc::source_truncated, 0, 0};
}

PhysAddr RamPages::address_of(std::uint64_t page) const {
  const std::uint64_t ram = page * kPageSize;
  const auto place = std::find_if(places_.begin(), places_.end(), [ram](const Place& p) {
    return ram >= p.ram && ram - p.ram < p.size;
  });
  return place == places_.end() ? PhysAddr(ram) : place->start + (ram - place->ram);
}

std::optional<std::string> RamPages::make(const Run& run, std::uint64_t page,
                                          MutableBytes to) const {
  const FileOffset at = run.at(page);
  switch (run.stored()) {
    case Stored::fill: {
      const auto value = file_.load<std::byte>(at);
      if (!value) break;
      std::fill(to.begin(), to.end(), *value);
      return std::nullopt;
    }
    case Stored::plain:
    case Stored::mapped: {
      if (file_.read(at, to) != to.size()) break;
      return std::nullopt;
    }
    case Stored::zlib:
      return unpack(at, to);
    case Stored::zeros:
      std::fill(to.begin(), to.end(), std::byte{});
      return std::nullopt;
  }
  return file_.lack(at, run.stored() == Stored::fill ? 1 : to.size());
}

std::optional<std::string> RamPages::unpack(FileOffset at, MutableBytes to) const {
  const std::uint32_t size = kBigEndian(file_.load<std::uint32_t>(at).value_or(0));
  const auto packed = file_.copy(at + sizeof size, std::min<std::uint64_t>(size, 2 * kPageSize));
  const auto unpacked = image::unpack(Codec::zlib, packed, to);
  if (unpacked == to.size()) return std::nullopt;
  return fmt::format("{:#x} bytes are no page packed by zlib", size);
}

std::optional<std::string> RamPages::change(std::uint64_t page, FileOffset after,
                                            MutableBytes to) const {
  const auto& deltas = index_.deltas();
  auto delta = std::lower_bound(deltas.begin(), deltas.end(), Delta{page, after}, is_before);
  for (std::size_t done = 0; delta != deltas.end() && delta->page == page; ++delta) {
    if (++done > kMostDeltasOfPage) return fmt::format("more than {} changes", kMostDeltasOfPage);
    const FileOffset at = delta->at + 1;
    const std::uint16_t size = kBigEndian(file_.load<std::uint16_t>(at).value_or(0));
    const auto bytes = file_.copy(at + sizeof size, size);
    if (size > kPageSize || bytes.size() < size || !apply_changes(bytes, to)) {
      return fmt::format("{:#x} bytes at {:#x} are no changes (XBZRLE) of a page", size,
                         delta->at.value);
    }
  }
  return std::nullopt;
}

std::optional<RamMemory::Part> RamMemory::find(PhysAddr from, MutableBytes to) const {
  for (const Place& place : places_) {
    if (from < place.start || from - place.start >= place.size) continue;
    const std::uint64_t in_place = from - place.start;
    const std::uint64_t count = std::min<std::uint64_t>(to.size(), place.size - in_place);
    return Part{place.ram + in_place, to.first(static_cast<std::size_t>(count))};
  }
  return std::nullopt;
}

Transfer RamMemory::read(PhysAddr from, MutableBytes to) const {
  const auto part = find(from, to);
  return part ? cache_.read(part->ram, part->to) : Transfer{0, MemoryErrc::not_present, 0, 0};
}

Transfer RamMemory::read_once(PhysAddr from, MutableBytes to) const {
  const auto part = find(from, to);
  return part ? cache_.read_once(part->ram, part->to) : Transfer{0, MemoryErrc::not_present, 0, 0};
}

}  // namespace engram::image::migration
