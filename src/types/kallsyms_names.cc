// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "types/kallsyms_names.h"

#include <algorithm>

#include "types/name_hash.h"

namespace engram::types {
namespace {

constexpr std::size_t kBlock = kNamesPerMarker;

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
      area.blocks.assign(markers.begin(), markers.end());
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
  mapping::BulkVector<std::byte> bytes = read_before(space, at, most);
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

std::string_view landmark_name(Landmark landmark) {
  return kLandmarkNames[static_cast<std::size_t>(landmark)];
}

mapping::BulkVector<std::byte> read_before(const paging::AddressSpace& space, VirtAddr end,
                                           std::size_t limit) {
  mapping::BulkVector<std::byte> bytes(std::min<std::uint64_t>(limit, end.value));
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
    const mapping::BulkVector<std::byte> window = read_before(space, table, limit);
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

Result<NameArea> read_names(const paging::AddressSpace& space, NameArea known) {
  const bool is_possible = known.count != 0 && known.count <= kMostSymbols &&
                           known.size <= kMostNameBytes &&
                           (known.marker_size == 4 || known.marker_size == 8);
  if (!is_possible) return fail("kallsyms: {} names of {} bytes", known.count, known.size);
  const auto read = [&](VirtAddr from, MutableBytes to) -> Result<void> {
    if (const auto done = space.read_exact(from, to); !done)
      return fail("kallsyms: {}", paging::to_string(done.error()));
    return {};
  };
  std::uint32_t count = 0;
  ENGRAM_CHECK(read(known.num_syms, std::as_writable_bytes(std::span(&count, 1))));
  if (count != known.count) {
    return fail("kallsyms: {} symbols at {:#x}, expected {}", count, known.num_syms.value,
                known.count);
  }
  known.first = 0;
  known.bytes.resize(known.size);
  ENGRAM_CHECK(read(known.names, known.bytes));
  const std::size_t blocks = (std::size_t{count} - 1) / kBlock + 1;
  std::vector<std::byte> markers(blocks * known.marker_size);
  ENGRAM_CHECK(read(known.markers, markers));
  known.blocks.resize(blocks);
  for (std::size_t i = 0; i < blocks; ++i) {
    known.blocks[i] =
        static_cast<std::uint32_t>(load_marker(markers, i * known.marker_size, known.marker_size));
  }
  return known;
}

NameReader::NameReader(Bytes compressed, const TokenTable& tokens)
    : compressed_(compressed), tokens_(tokens) {
  for (std::size_t code = 0; code < short_.size(); ++code) {
    const std::string_view token = tokens.token(static_cast<std::uint8_t>(code));
    length_[code] = static_cast<std::uint16_t>(token.size());
    token.copy(short_[code].data(), kShort);
  }
}

bool NameReader::skip(std::size_t& at) const {
  const auto length = length_at(compressed_, at);
  if (length) at += length->header + length->tokens;
  return length.has_value();
}

Result<std::string_view, const char*> NameReader::next(std::size_t& at, Text& into) const {
  using Wrong = tl::unexpected<const char*>;
  constexpr const char* kWrongText = "expected a type and 1 to 2047 characters";
  static_assert(kLongestName == 2048);
  const auto length = length_at(compressed_, at);
  if (!length) return Wrong("empty, or longer than the names are");
  std::size_t size = 0;
  for (const std::byte byte : compressed_.subspan(at + length->header, length->tokens)) {
    const auto code = std::to_integer<std::uint8_t>(byte);
    const std::size_t more = length_[code];
    if (more > kLongestName - size) return Wrong(kWrongText);
    if (more <= kShort) {
      std::memcpy(into.data() + size, short_[code].data(), kShort);
    } else {
      tokens_.token(code).copy(into.data() + size, more);
    }
    size += more;
  }
  if (size < 2) return Wrong(kWrongText);
  at += length->header + length->tokens;
  return std::string_view(into.data(), size);
}

std::uint32_t name_number(std::string_view name, std::uint64_t seed) {
  return static_cast<std::uint32_t>(name_hash(name, seed) >> 32U);
}

Result<NameNumbers> number_names(const NameArea& names, const TokenTable& tokens,
                                 std::uint64_t seed) {
  NameNumbers result;
  result.seed = seed;
  result.values.resize(std::min(names.count, kMostSymbols));
  const NameReader reader(names.compressed(), tokens);
  NameReader::Text scratch;
  std::size_t at = 0;
  std::size_t text_size = 0;
  for (std::uint32_t i = 0; i < result.values.size(); ++i) {
    const auto text = reader.next(at, scratch);
    if (!text) {
      return fail("kallsyms: name {} of {} at {:#x}: {}", i, names.count, names.names.value + at,
                  text.error());
    }
    text_size += text->size();
    if (text_size > kMostNameText) {
      return fail("kallsyms: name {} of {} at {:#x}: the names exceed {} bytes", i, names.count,
                  names.names.value + at, kMostNameText);
    }
    const std::string_view name = text->substr(1);
    result.values[i] = name_number(name, seed);
    note_landmark(result.landmarks, name, i);
  }
  return result;
}

}  // namespace engram::types
