// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "types/kallsyms_names.h"

#include <algorithm>

namespace engram::types {
namespace {

constexpr std::size_t kBlock = 256;  ///< names a marker

/// Bytes that one compressed name takes at most: two for its length and one a token, of which no
/// name has more than characters (KSYM_NAME_LEN). At least: one and one.
constexpr std::size_t kLongestEntry = 2 + 512;
constexpr std::size_t kShortestEntry = 2;

/// Fewer are found everywhere by chance; no kernel has as few as 768 symbols.
constexpr std::size_t kLeastMarkers = 4;
/// Of the sequences that look like markers only the longest are tried.
constexpr std::size_t kMostRuns = 32;
/// Chance may prolong a sequence with what lies behind it.
constexpr std::size_t kMostOverrun = 3;
/// Where markers are searched: nothing but sequence numbers, 4 bytes a symbol, lies between them
/// and the token table. The first window does for a quarter of a million symbols.
constexpr std::size_t kMarkerWindows[] = {1 * kMiB, std::size_t{4} * kMostSymbols + 1 * kMiB};
constexpr std::size_t kMostNameBytes = 48 * kMiB;

/// What one search may spend on all of its candidates together.
struct Budget {
  std::uint64_t names = 4 * std::uint64_t{kMostSymbols};    ///< walked over
  std::uint64_t bytes = 4 * std::uint64_t{kMostNameBytes};  ///< read as names
};

struct Length {
  std::size_t tokens = 0;
  std::size_t header = 0;  ///< bytes of the length itself
};

/// Nothing for an empty name, which there is not, and for one that does not end in `bytes`.
std::optional<Length> length_at(Bytes bytes, std::size_t at) {
  if (at >= bytes.size()) return std::nullopt;
  Length length{std::to_integer<std::size_t>(bytes[at]), 1};
  if (length.tokens >= 0x80) {
    if (at + 1 >= bytes.size()) return std::nullopt;
    length.tokens = (length.tokens & 0x7FU) | (std::to_integer<std::size_t>(bytes[at + 1]) << 7U);
    length.header = 2;
  }
  if (length.tokens == 0 || length.tokens > bytes.size() - at - length.header) return std::nullopt;
  return length;
}

/// A sequence that begins with 0 and ascends as markers do.
struct MarkerRun {
  std::size_t at = 0;  ///< in the window
  std::size_t count = 0;
};

std::uint64_t load_marker(Bytes bytes, std::size_t at, unsigned size) {
  if (size == 8) return load_unaligned<std::uint64_t>(bytes.data() + at);
  return load_unaligned<std::uint32_t>(bytes.data() + at);
}

/// The longest first, and of equals the last one in memory.
std::vector<MarkerRun> find_marker_runs(Bytes window, VirtAddr start, unsigned size) {
  std::vector<MarkerRun> runs;
  MarkerRun run;
  std::uint64_t before = 0;
  const auto close = [&] {
    if (run.count >= kLeastMarkers) runs.push_back(run);
    run.count = 0;
  };
  for (auto at = static_cast<std::size_t>(align_up(start.value, size) - start.value);
       at + size <= window.size(); at += size) {
    const std::uint64_t value = load_marker(window, at, size);
    const std::uint64_t step = value - before;
    before = value;
    if (run.count != 0 && step >= kBlock * kShortestEntry && step <= kBlock * kLongestEntry) {
      ++run.count;
      continue;
    }
    close();
    if (value == 0) run = {at, 1};
  }
  close();
  std::stable_sort(runs.begin(), runs.end(), [](const MarkerRun& a, const MarkerRun& b) {
    return a.count != b.count ? a.count > b.count : a.at > b.at;
  });
  if (runs.size() > kMostRuns) runs.resize(kMostRuns);
  return runs;
}

/// Steps over `count` names from `at`, comparing each 256th with its marker. Returns the end.
std::optional<std::size_t> walk_names(Bytes bytes, std::size_t at, std::uint32_t count,
                                      std::span<const std::uint32_t> markers, Budget& budget) {
  const std::size_t start = at;
  for (std::uint32_t i = 0; i < count; ++i) {
    if (i % kBlock == 0 && at - start != markers[i / kBlock]) return std::nullopt;
    if (budget.names == 0) return std::nullopt;
    --budget.names;
    const auto length = length_at(bytes, at);
    if (!length) return std::nullopt;
    at += length->header + length->tokens;
  }
  return at;
}

/// The names that end in front of `markers`, in `bytes`, which end there, too. Their place is found
/// by the number of symbols in front of them, which must fit the number of markers, and proven by
/// the walk.
std::optional<NameArea> find_area(Bytes bytes, VirtAddr markers_at,
                                  std::span<const std::uint32_t> markers, Budget& budget) {
  const VirtAddr start = markers_at - bytes.size();
  const std::size_t least = markers.back() + kShortestEntry;
  const std::size_t most = markers.back() + kBlock * kLongestEntry + 7;
  // Names are aligned as the number of symbols is: 8 bytes, or 4 from 7.0 on.
  std::size_t length = align_up(least, 4);
  for (; length <= most && length + 8 <= bytes.size(); length += 4) {
    const std::size_t at = bytes.size() - length;
    for (const std::size_t back : {8U, 4U}) {
      const auto count = load_unaligned<std::uint32_t>(bytes.data() + at - back);
      if (count == 0 || (count - 1) / kBlock + 1 != markers.size()) continue;
      const auto end = walk_names(bytes, at, count, markers, budget);
      if (!end || bytes.size() - *end >= 8) continue;  // only alignment lies behind the last name
      NameArea area;
      area.num_syms = start + at - back;
      area.names = start + at;
      area.markers = markers_at;
      area.count = count;
      area.first = at;
      area.size = *end - at;
      return area;
    }
  }
  return std::nullopt;
}

std::optional<NameArea> try_run(const paging::AddressSpace& space, Bytes window,
                                VirtAddr window_start, const MarkerRun& run, unsigned marker_size,
                                Budget& budget) {
  std::vector<std::uint32_t> markers(run.count);
  for (std::size_t i = 0; i < run.count; ++i) {
    const std::uint64_t value = load_marker(window, run.at + i * marker_size, marker_size);
    if (value > kMostNameBytes) {
      markers.resize(i);
      break;
    }
    markers[i] = static_cast<std::uint32_t>(value);
  }
  if (markers.size() < kLeastMarkers || markers.size() > kMostSymbols / kBlock) return std::nullopt;

  const VirtAddr at = window_start + run.at;
  constexpr std::size_t kSlack = kBlock * kLongestEntry + 64;
  const std::size_t most = markers.back() + kSlack;
  if (budget.bytes < most) return std::nullopt;
  budget.bytes -= most;
  std::vector<std::byte> bytes = read_before(space, at, most);
  const std::size_t least =
      std::max(kLeastMarkers, markers.size() - std::min(markers.size(), kMostOverrun));
  for (std::size_t count = markers.size(); count >= least; --count) {
    auto area = find_area(bytes, at, std::span(markers).first(count), budget);
    if (!area) continue;
    area->marker_size = marker_size;
    area->bytes = std::move(bytes);
    return area;
  }
  return std::nullopt;
}

/// Tokens in a form that is copied without a branch on their length.
class Expander {
 public:
  explicit Expander(const TokenTable& tokens) : tokens_(tokens) {
    for (std::size_t code = 0; code < short_.size(); ++code) {
      const std::string_view token = tokens.token(static_cast<std::uint8_t>(code));
      length_[code] = static_cast<std::uint16_t>(token.size());
      token.copy(short_[code].data(), kShort);
    }
  }

  /// The text, valid until the next call; nothing if it exceeds kLongestName.
  std::optional<std::string_view> expand(Bytes codes) {
    std::size_t size = 0;
    for (const std::byte byte : codes) {
      const auto code = std::to_integer<std::uint8_t>(byte);
      const std::size_t length = length_[code];
      if (length > kLongestName - size) return std::nullopt;
      if (length <= kShort) {
        std::memcpy(text_.data() + size, short_[code].data(), kShort);
      } else {
        tokens_.token(code).copy(text_.data() + size, length);
      }
      size += length;
    }
    return std::string_view(text_.data(), size);
  }

 private:
  static constexpr std::size_t kShort = 16;

  const TokenTable& tokens_;
  std::array<std::array<char, kShort>, 256> short_{};
  std::array<std::uint16_t, 256> length_{};
  std::array<char, kLongestName + kShort> text_{};
};

constexpr std::string_view kLandmarkNames[] = {
    "_text",         "_stext", "_etext",       "_sinittext",
    "_einittext",    "_end",   "linux_banner", "kallsyms_num_syms",
    "kallsyms_names"};
static_assert(std::size(kLandmarkNames) == static_cast<std::size_t>(Landmark::count));

void note_landmark(Landmarks& landmarks, std::string_view name, std::uint32_t index) {
  if (name.front() != '_' && name.front() != 'l' && name.front() != 'k') return;
  for (std::size_t i = 0; i < landmarks.size(); ++i) {
    if (name == kLandmarkNames[i] && !landmarks[i]) landmarks[i] = index;
  }
}

}  // namespace

std::vector<std::byte> read_before(const paging::AddressSpace& space, VirtAddr end,
                                   std::size_t limit) {
  std::vector<std::byte> bytes(std::min<std::uint64_t>(limit, end.value));
  const VirtAddr start = end - bytes.size();
  std::size_t kept = 0;
  while (kept < bytes.size()) {
    const auto read = space.read(start + kept, MutableBytes(bytes).subspan(kept));
    if (read.complete()) break;
    const std::uint64_t next = align_up((start + kept + read.count).value + 1, kPageSize);
    kept = static_cast<std::size_t>(std::min<std::uint64_t>(next - start.value, bytes.size()));
  }
  bytes.erase(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(kept));
  return bytes;
}

Result<NameArea> find_names(const paging::AddressSpace& space, VirtAddr table) {
  Budget budget;
  std::optional<MarkerRun> longest;
  VirtAddr longest_at;
  for (const std::size_t limit : kMarkerWindows) {
    const std::vector<std::byte> window = read_before(space, table, limit);
    const VirtAddr start = table - window.size();
    for (const unsigned size : {4U, 8U}) {
      for (const MarkerRun& run : find_marker_runs(window, start, size)) {
        if (auto area = try_run(space, window, start, run, size, budget)) return std::move(*area);
        if (longest && longest->count >= run.count) continue;
        longest = run;
        longest_at = start + run.at;
      }
    }
    if (window.size() < limit) break;
  }
  if (!longest) {
    return fail(
        "kallsyms: token table at {:#x}: no markers (0, then at least {} ascending offsets) in "
        "front of it",
        table.value, kLeastMarkers - 1);
  }
  return fail(
      "kallsyms: token table at {:#x}: {} markers at {:#x}, but no names in front of them agree "
      "with "
      "them and with a number of symbols",
      table.value, longest->count, longest_at.value);
}

Result<Landmarks> expand_names(Bytes compressed, std::uint32_t count, const TokenTable& tokens,
                               VirtAddr place, SymbolTable::Builder& symbols) {
  Landmarks landmarks;
  Expander expander(tokens);
  // Tokens save about half; an estimate that is too low costs a copy, no more.
  symbols.reserve(std::min(count, kMostSymbols),
                  std::min(compressed.size() / 2 * 5, kMostNameText));
  std::size_t at = 0;
  std::size_t text_size = 0;
  for (std::uint32_t i = 0; i < count; ++i) {
    const auto length = length_at(compressed, at);
    if (!length) {
      return fail("kallsyms: name {} of {} at {:#x}: empty, or longer than the names are", i, count,
                  place.value + at);
    }
    const auto text = expander.expand(compressed.subspan(at + length->header, length->tokens));
    if (!text || text->size() < 2) {
      return fail("kallsyms: name {} of {} at {:#x}: expected a type and 1 to {} characters", i,
                  count, place.value + at, kLongestName - 1);
    }
    text_size += text->size();
    const std::string_view name = text->substr(1);
    if (text_size > kMostNameText || !symbols.add(name, VirtAddr(), text->front())) {
      return fail("kallsyms: name {} of {} at {:#x}: the names exceed {} bytes", i, count,
                  place.value + at, kMostNameText);
    }
    note_landmark(landmarks, name, i);
    at += length->header + length->tokens;
  }
  return landmarks;
}

}  // namespace engram::types
