// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "types/kallsyms_addresses.h"

#include <algorithm>

namespace engram::types {
namespace {

constexpr std::uint64_t kUpperHalf = std::uint64_t{1} << 63U;
constexpr std::string_view kBanner = "Linux version ";

/// Unused bytes between the entries and their neighbours that are tried; alignment makes up to 7.
constexpr std::size_t kMostGap = 32;
constexpr std::size_t kBaseSize = sizeof(std::uint64_t);

/// The newest first: what proves right ends the search.
constexpr AddressEncoding kEncodings[] = {
    AddressEncoding::pc_relative, AddressEncoding::absolute_percpu, AddressEncoding::base_relative,
    AddressEncoding::absolute};

bool has_base(AddressEncoding encoding) {
  return encoding == AddressEncoding::base_relative || encoding == AddressEncoding::absolute_percpu;
}

std::size_t entry_size(AddressEncoding encoding) {
  return encoding == AddressEncoding::absolute ? sizeof(std::uint64_t) : sizeof(std::uint32_t);
}

/// Bytes in which the entries are searched: those behind the token index, or those before the
/// number of symbols.
struct Region {
  mapping::BulkVector<std::byte> bytes;
  VirtAddr start;
  bool behind_index = false;
};

/// One reading of a region.
struct Candidate {
  AddressEncoding encoding = AddressEncoding::absolute;
  std::size_t entries = 0;  ///< offset in the region
  VirtAddr base;
};

/// Of the entries and the base behind them. As long as scripts/kallsyms.c writes a base, it aligns
/// both to 8 bytes.
std::size_t whole_size(AddressEncoding encoding, std::uint32_t count) {
  const std::size_t size = entry_size(encoding) * count;
  return has_base(encoding) ? align_up(size, kBaseSize) + kBaseSize : size;
}

std::optional<Candidate> candidate_at(const Region& region, std::size_t gap,
                                      AddressEncoding encoding, std::uint32_t count) {
  Candidate candidate{encoding, gap, VirtAddr()};
  const std::size_t whole = whole_size(encoding, count);
  if (whole + gap > region.bytes.size()) return std::nullopt;
  if (!region.behind_index) candidate.entries = region.bytes.size() - gap - whole;
  if (has_base(encoding)) {
    const std::byte* behind = region.bytes.data() + candidate.entries + whole;
    candidate.base = VirtAddr(load_unaligned<std::uint64_t>(behind - kBaseSize));
    if (candidate.base.value < kUpperHalf) return std::nullopt;
  }
  return candidate;
}

std::uint64_t decode(const Region& region, const Candidate& candidate, std::size_t index) {
  const std::size_t at = candidate.entries + index * entry_size(candidate.encoding);
  const std::byte* entry = region.bytes.data() + at;
  if (candidate.encoding == AddressEncoding::absolute) return load_unaligned<std::uint64_t>(entry);
  const auto offset = load_unaligned<std::int32_t>(entry);
  const auto extended = static_cast<std::uint64_t>(std::int64_t{offset});
  switch (candidate.encoding) {
    case AddressEncoding::base_relative:
      return candidate.base.value + static_cast<std::uint32_t>(offset);
    case AddressEncoding::absolute_percpu:
      return offset >= 0 ? extended : candidate.base.value - 1 - extended;
    case AddressEncoding::pc_relative:
      return region.start.value + at + extended;
    case AddressEncoding::absolute:
      break;
  }
  return 0;
}

/// An image that somebody has patched may have a few addresses out of order; a wrong encoding has
/// many.
std::uint32_t tolerated_descents(std::uint32_t count) {
  return count / 1024;
}

/// Nothing if the addresses do not ascend.
std::optional<KallsymsAddresses> decode_all(const Region& region, const Candidate& candidate,
                                            std::uint32_t count) {
  KallsymsAddresses result;
  result.values.reserve(count);
  std::uint64_t before = 0;
  for (std::uint32_t i = 0; i < count; ++i) {
    const std::uint64_t value = decode(region, candidate, i);
    if (value < before && ++result.descents > tolerated_descents(count)) return std::nullopt;
    before = value;
    result.values.emplace_back(value);
  }
  result.encoding = candidate.encoding;
  result.offsets = region.start + candidate.entries;
  result.relative_base = candidate.base;
  result.behind_index = region.behind_index;
  return result;
}

/// Why a reading is wrong, and how many checks it has passed.
struct Disproof {
  int passed = 0;
  std::string text;
};

/// Compares what the addresses say with what lies there.
class Prover {
 public:
  Prover(const paging::AddressSpace& space, std::span<const paging::Mapping> image,
         const NameArea& names, const Landmarks& landmarks)
      : space_(space), image_(image), names_(names), landmarks_(landmarks) {}

  /// What was proven.
  Result<std::string, Disproof> prove(std::span<const VirtAddr> values) const {
    if (auto image = check_image(values); !image) return disproof(0, image.error());
    if (auto start = check_start(values); !start) return disproof(1, start.error());
    const auto banner = check_banner(values);
    if (!banner) return disproof(2, banner.error());
    const auto names_itself = check_own_parts(values);
    if (!names_itself) return disproof(3, names_itself.error());
    return "addresses ascend, _stext is code" + *banner +
           (*names_itself ? ", kallsyms_names is where it was found" : "");
  }

 private:
  static tl::unexpected<Disproof> disproof(int passed, const Error& error) {
    return tl::unexpected(Disproof{passed, error.text});
  }

  std::optional<VirtAddr> address_of(Landmark landmark, std::span<const VirtAddr> values) const {
    const auto& index = landmarks_[static_cast<std::size_t>(landmark)];
    if (!index || *index >= values.size()) return std::nullopt;
    return values[*index];
  }

  /// Nine of ten symbols lie in the image; per-CPU and freed ones need not.
  Result<void> check_image(std::span<const VirtAddr> values) const {
    const VirtAddr first = image_.front().start;
    const std::uint64_t size = image_.back().start + image_.back().size - first;
    const auto inside = static_cast<std::size_t>(std::count_if(
        values.begin(), values.end(), [&](VirtAddr value) { return value - first <= size; }));
    if (inside >= values.size() - values.size() / 10) return {};
    return fail("only {} of {} addresses lie in the kernel image at {:#x}", inside, values.size(),
                first.value);
  }

  Result<void> check_start(std::span<const VirtAddr> values) const {
    auto start = address_of(Landmark::stext, values);
    if (!start) start = address_of(Landmark::text, values);
    if (!start) return fail("there is no symbol _stext or _text");
    const auto translation = space_.translate(*start);
    if (!translation) return fail("_stext: {}", to_string(translation.error()));
    if (!translation->access.executable) {
      return fail("_stext at {:#x} is not executable", start->value);
    }
    return {};
  }

  Result<std::string> check_banner(std::span<const VirtAddr> values) const {
    const auto banner = address_of(Landmark::linux_banner, values);
    if (!banner) return std::string(", there is no linux_banner");
    std::string text(kBanner.size(), '\0');
    const auto read = space_.read_exact(*banner, std::as_writable_bytes(std::span(text)));
    if (!read) {
      using paging::Reason;
      const Reason reason = read.error().reason;
      if (reason == Reason::page_absent || reason == Reason::page_unreadable) {
        return std::string(", linux_banner is not in the image");
      }
      return fail("linux_banner: {}", to_string(read.error()));
    }
    if (text != kBanner) {
      return fail("linux_banner at {:#x} does not hold \"{}\"", banner->value, kBanner);
    }
    return std::string(", linux_banner holds \"Linux version\"");
  }

  /// From 6.10 on the parts of kallsyms are symbols themselves.
  Result<bool> check_own_parts(std::span<const VirtAddr> values) const {
    const auto names = address_of(Landmark::names, values);
    const auto num_syms = address_of(Landmark::num_syms, values);
    if (names && *names != names_.names) {
      return fail("kallsyms_names decodes to {:#x}, but the names lie at {:#x}", names->value,
                  names_.names.value);
    }
    if (num_syms && *num_syms != names_.num_syms) {
      return fail("kallsyms_num_syms decodes to {:#x}, but the number lies at {:#x}",
                  num_syms->value, names_.num_syms.value);
    }
    return names.has_value();
  }

  const paging::AddressSpace& space_;
  std::span<const paging::Mapping> image_;
  const NameArea& names_;
  const Landmarks& landmarks_;
};

Region region_behind(const paging::AddressSpace& space, VirtAddr start, std::size_t size) {
  Region region{mapping::BulkVector<std::byte>(size), start, true};
  region.bytes.resize(space.read(start, region.bytes).count);
  return region;
}

Region region_before(const paging::AddressSpace& space, VirtAddr end, std::size_t size) {
  Region region{read_before(space, end, size), VirtAddr(), false};
  region.start = end - region.bytes.size();
  return region;
}

}  // namespace

const char* to_string(AddressEncoding encoding) {
  switch (encoding) {
    case AddressEncoding::absolute:
      return "absolute";
    case AddressEncoding::base_relative:
      return "base-relative";
    case AddressEncoding::absolute_percpu:
      return "base-relative with absolute per-CPU symbols";
    case AddressEncoding::pc_relative:
      return "place-relative";
  }
  return "?";
}

Result<KallsymsAddresses> find_addresses(const paging::AddressSpace& space,
                                         std::span<const paging::Mapping> image,
                                         const TokenTable& tokens, const NameArea& names,
                                         const Landmarks& landmarks) {
  const Prover prover(space, image, names, landmarks);
  const std::size_t most = std::size_t{names.count} * sizeof(std::uint64_t) + kMostGap + kBaseSize;
  std::optional<Disproof> nearest;
  for (const bool behind : {true, false}) {
    const Region region = behind ? region_behind(space, tokens.index_end, most)
                                 : region_before(space, names.num_syms, most);
    for (std::size_t gap = 0; gap <= kMostGap; gap += sizeof(std::uint32_t)) {
      for (const AddressEncoding encoding : kEncodings) {
        const auto candidate = candidate_at(region, gap, encoding, names.count);
        if (!candidate) continue;
        auto result = decode_all(region, *candidate, names.count);
        if (!result) continue;
        auto proof = prover.prove(result->values);
        if (proof) {
          result->proof = std::move(*proof);
          return std::move(*result);
        }
        if (nearest && nearest->passed >= proof.error().passed) continue;
        nearest = Disproof{proof.error().passed,
                           fmt::format("read as {} at {:#x}, {}", to_string(encoding),
                                       result->offsets.value, proof.error().text)};
      }
    }
  }
  return fail(
      "kallsyms: {} names at {:#x}: {}", names.count, names.names.value,
      nearest
          ? nearest->text
          : fmt::format("no addresses that ascend behind the token index at {:#x} or before {:#x}",
                        tokens.index.value, names.num_syms.value));
}

Result<KallsymsAddresses> read_addresses(const paging::AddressSpace& space,
                                         std::span<const paging::Mapping> image,
                                         const NameArea& names, const Landmarks& landmarks,
                                         const KallsymsAddresses& known) {
  Region region = region_behind(space, known.offsets, whole_size(known.encoding, names.count));
  region.behind_index = known.behind_index;
  const auto candidate = candidate_at(region, 0, known.encoding, names.count);
  auto result = candidate ? decode_all(region, *candidate, names.count) : std::nullopt;
  if (!result) return fail("kallsyms: no addresses at {:#x}", known.offsets.value);
  auto proof = Prover(space, image, names, landmarks).prove(result->values);
  if (!proof) return fail("kallsyms: {}", proof.error().text);
  result->proof = std::move(*proof);
  return std::move(*result);
}

}  // namespace engram::types
