// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "types/kallsyms.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "paging/scan.h"
#include "types/kallsyms_addresses.h"
#include "types/kallsyms_names.h"
#include "types/kallsyms_tokens.h"

namespace engram::types {
namespace {

/// A kernel has one token table and a handful of texts that resemble its digits. What an image has
/// beyond these limits is not looked at.
constexpr std::size_t kMostDigits = 4096;
constexpr std::size_t kMostTables = 8;
/// Of digits that are not in a token table, those that are told about.
constexpr std::size_t kMostDigitRows = 16;

/// How far a search has come; the error of the one that came farthest is reported.
enum class Stage : std::uint8_t { none, tokens, names, expansion, addresses };

std::optional<VirtAddr> landmark_address(const Landmarks& landmarks, Landmark landmark,
                                         const KallsymsAddresses& addresses) {
  const auto& index = landmarks[static_cast<std::size_t>(landmark)];
  if (!index) return std::nullopt;
  return addresses.values[*index];
}

/// What the kernel itself takes for its own (kernel/kallsyms.c, is_ksym_addr()): everything from
/// _stext to _end, or, if it lists functions only (CONFIG_KALLSYMS_ALL=n), its two text sections.
void add_ranges(SymbolTable::Builder& symbols, const Landmarks& landmarks,
                const KallsymsAddresses& addresses, std::span<const paging::Mapping> image) {
  const auto at = [&](Landmark landmark) {
    return landmark_address(landmarks, landmark, addresses);
  };
  const VirtAddr start =
      at(Landmark::stext).value_or(at(Landmark::text).value_or(image.front().start));
  if (const auto end = at(Landmark::end); end && *end > start) {
    symbols.add_range(start, *end);
    return;
  }
  if (const auto end = at(Landmark::etext); end && *end > start) {
    symbols.add_range(start, *end);
    const auto init_start = at(Landmark::sinittext);
    const auto init_end = at(Landmark::einittext);
    if (init_start && init_end) symbols.add_range(*init_start, *init_end);
    return;
  }
  symbols.add_range(start, image.back().start + image.back().size);
}

class Finder {
 public:
  Finder(const paging::AddressSpace& space, std::span<const paging::Mapping> image,
         Diagnostics& diagnostics)
      : space_(space), image_(image), diagnostics_(diagnostics) {}

  Result<Kallsyms> run() {
    // The parts lie in .rodata, which is a third of the image. If that is not protected (early in
    // boot, or by choice), or the digits cross its border, they are found with everything else.
    std::vector<paging::Mapping> read_only;
    std::copy_if(
        image_.begin(), image_.end(), std::back_inserter(read_only),
        [](const paging::Mapping& m) { return !m.access.writable && !m.access.executable; });
    search(read_only);
    if (!found_ && !exhausted()) search(image_);
    if (found_) return std::move(*found_);
    if (exhausted()) {
      diagnostics_.add(
          Level::warning, "kallsyms",
          fmt::format("gave up after {} texts like a token table's digits, {} of them in token "
                      "tables; expected one of each",
                      digits_.size(), tables_));
    }
    if (farthest_ == Stage::none) {
      std::uint64_t size = 0;
      for (const paging::Mapping& mapping : image_) size += mapping.size;
      return fail(
          "kallsyms: no token table (the texts \"0\" to \"9\" in a row) in {} bytes of {} mappings",
          size, image_.size());
    }
    return tl::unexpected(std::move(error_));
  }

 private:
  [[nodiscard]] bool exhausted() const {
    return digits_.size() >= kMostDigits || tables_ >= kMostTables;
  }

  void search(std::span<const paging::Mapping> mappings) {
    paging::for_each_chunk(
        space_, mappings, kDigitTokens.size() - 1, [&](VirtAddr at, Bytes chunk) {
          for (auto hit = find_digit_tokens(chunk, 0); hit;
               hit = find_digit_tokens(chunk, *hit + 1)) {
            if (std::find(digits_.begin(), digits_.end(), at + *hit) != digits_.end()) continue;
            digits_.push_back(at + *hit);
            if (try_table(at + *hit) || exhausted()) return false;
          }
          return true;
        });
  }

  /// True if this is kallsyms.
  bool try_table(VirtAddr digits) {
    auto tokens = read_token_table(space_, digits);
    if (!tokens) return reject(Stage::tokens, std::move(tokens).error(), digits);
    ++tables_;
    auto names = find_names(space_, tokens->start);
    if (!names) return reject(Stage::names, std::move(names).error(), digits);
    Kallsyms result;
    auto landmarks =
        expand_names(names->compressed(), names->count, *tokens, names->names, result.symbols);
    if (!landmarks) return reject(Stage::expansion, std::move(landmarks).error(), digits);
    auto addresses = find_addresses(space_, image_, *tokens, *names, *landmarks);
    if (!addresses) return reject(Stage::addresses, std::move(addresses).error(), digits);
    adopt(std::move(result), *tokens, *names, *landmarks, *addresses);
    return true;
  }

  bool reject(Stage stage, Error error, VirtAddr digits) {
    if (stage > Stage::tokens || digits_.size() <= kMostDigitRows) {
      diagnostics_.add(Level::debug, "kallsyms", error.text, digits.value);
    }
    if (stage > farthest_) {
      farthest_ = stage;
      error_ = std::move(error);
    }
    return false;
  }

  void adopt(Kallsyms result, const TokenTable& tokens, const NameArea& names,
             const Landmarks& landmarks, const KallsymsAddresses& addresses) {
    for (std::size_t i = 0; i < addresses.values.size(); ++i) {
      result.symbols.set_address(i, addresses.values[i]);
    }
    add_ranges(result.symbols, landmarks, addresses, image_);
    result.encoding = addresses.encoding;
    result.num_syms = names.num_syms;
    result.names = names.names;
    result.markers = names.markers;
    result.token_table = tokens.start;
    result.token_index = tokens.index;
    result.offsets = addresses.offsets;
    result.relative_base = addresses.relative_base;
    result.description = fmt::format(
        "{} symbols at {:#x}, token table at {:#x}, addresses {} at {:#x}, {}; proven: 256 tokens "
        "agree with "
        "their index, {}-byte markers with the names, {}",
        names.count, names.names.value, tokens.start.value, to_string(addresses.encoding),
        addresses.offsets.value,
        addresses.behind_index ? "behind the token index (6.4 and later)"
                               : "before the names (up to 6.3)",
        names.marker_size, addresses.proof);
    diagnostics_.add(Level::info, "kallsyms", result.description, names.names.value);
    if (addresses.descents != 0) {
      diagnostics_.add(
          Level::warning, "kallsyms",
          fmt::format("{} of {} addresses lie below the one before; expected none: the table "
                      "is damaged or has been tampered with",
                      addresses.descents, names.count),
          addresses.offsets.value);
    }
    found_ = std::move(result);
  }

  const paging::AddressSpace& space_;
  std::span<const paging::Mapping> image_;
  Diagnostics& diagnostics_;
  std::vector<VirtAddr> digits_;  ///< tried already
  std::size_t tables_ = 0;        ///< of them, those that were token tables
  Stage farthest_ = Stage::none;
  Error error_;
  std::optional<Kallsyms> found_;
};

}  // namespace

Result<Kallsyms> find_kallsyms(const paging::AddressSpace& space,
                               std::span<const paging::Mapping> image, Diagnostics& diagnostics) {
  if (image.empty()) return fail("kallsyms: the kernel image has no mappings");
  return Finder(space, image, diagnostics).run();
}

}  // namespace engram::types
