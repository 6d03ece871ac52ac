// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "types/kallsyms.h"

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

#include "paging/scan.h"
#include "types/kallsyms_addresses.h"
#include "types/kallsyms_names.h"
#include "types/kallsyms_source.h"
#include "types/kallsyms_tokens.h"
#include "types/name_hash.h"

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
void add_ranges(KallsymsSource& symbols, std::span<const paging::Mapping> image) {
  const auto at = [&](Landmark landmark) {
    return landmark_address(symbols.numbers().landmarks, landmark, symbols.addresses());
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

/// What was found, of parts that fit together.
Kallsyms assemble(const TokenTable& tokens, NameArea names, KallsymsAddresses addresses,
                  NameNumbers numbers, std::span<const paging::Mapping> image) {
  Kallsyms result;
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
      "agree with their index, {}-byte markers with the names, {}",
      names.count, names.names.value, tokens.start.value, to_string(addresses.encoding),
      addresses.offsets.value,
      addresses.behind_index ? "behind the token index (6.4 and later)"
                             : "before the names (up to 6.3)",
      names.marker_size, addresses.proof);
  const auto source = std::make_shared<KallsymsSource>(tokens, std::move(names),
                                                       std::move(addresses), std::move(numbers));
  add_ranges(*source, image);
  result.source = source;
  result.symbols = SymbolTable(source);
  return result;
}

/// The search found them by the digits (kDigitTokens).
VirtAddr digits_of(const TokenTable& tokens) {
  return tokens.start + tokens.offset['0'];
}

/// Of everything that decides how many names there are, and which.
Digest content_of(const NameArea& names, const TokenTable& tokens, std::uint64_t seed) {
  const std::array parts = {
      digest(names.compressed(), seed),
      digest(std::as_bytes(std::span(names.blocks)), seed),
      digest(std::as_bytes(std::span(tokens.text)), seed),
      digest(std::as_bytes(std::span(tokens.offset)), seed),
      digest(std::as_bytes(std::span(tokens.length)), seed),
  };
  return digest(std::as_bytes(std::span(parts)), seed);
}

/// Says what was found, and what is wrong with it.
void tell(const Kallsyms& found, Diagnostics& diagnostics) {
  const KallsymsAddresses& addresses = found.source->addresses();
  diagnostics.add(Level::info, "kallsyms", found.description, found.names.value);
  if (addresses.descents == 0) return;
  diagnostics.add(Level::warning, "kallsyms",
                  fmt::format("{} of {} addresses lie below the one before; expected none: the "
                              "table is damaged or has been tampered with",
                              addresses.descents, addresses.values.size()),
                  addresses.offsets.value);
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
    auto numbers = number_names(*names, *tokens, random_seed());
    if (!numbers) return reject(Stage::expansion, std::move(numbers).error(), digits);
    auto addresses = find_addresses(space_, image_, *tokens, *names, numbers->landmarks);
    if (!addresses) return reject(Stage::addresses, std::move(addresses).error(), digits);
    found_ =
        assemble(*tokens, std::move(*names), std::move(*addresses), std::move(*numbers), image_);
    tell(*found_, diagnostics_);
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

KallsymsRecord record_of(const Kallsyms& found) {
  const KallsymsSource& source = *found.source;
  const NameArea& names = source.names();
  KallsymsRecord record;
  auto& fixed = record.fixed;
  fixed.digits = digits_of(source.tokens()).value;
  fixed.num_syms = names.num_syms.value;
  fixed.names = names.names.value;
  fixed.markers = names.markers.value;
  fixed.offsets = source.addresses().offsets.value;
  fixed.names_size = names.size;
  fixed.count = names.count;
  fixed.marker_size = names.marker_size;
  fixed.encoding = found.encoding;
  fixed.behind_index = source.addresses().behind_index ? 1 : 0;
  const Landmarks& landmarks = source.numbers().landmarks;
  std::fill(std::begin(fixed.landmarks), std::end(fixed.landmarks), KallsymsRecord::kNoLandmark);
  for (std::size_t i = 0; i < landmarks.size(); ++i) {
    if (landmarks[i]) fixed.landmarks[i] = *landmarks[i];
  }
  fixed.seed = source.numbers().seed;
  fixed.content = content_of(names, source.tokens(), fixed.seed);
  record.numbers = source.numbers().values;
  return record;
}

Result<Kallsyms> reopen_kallsyms(const paging::AddressSpace& space,
                                 std::span<const paging::Mapping> image, KallsymsRecord record,
                                 Diagnostics& diagnostics) {
  if (image.empty()) return fail("kallsyms: the kernel image has no mappings");
  const auto& fixed = record.fixed;
  ENGRAM_TRY(const TokenTable tokens, read_token_table(space, VirtAddr(fixed.digits)));
  NameArea known;
  known.num_syms = VirtAddr(fixed.num_syms);
  known.names = VirtAddr(fixed.names);
  known.markers = VirtAddr(fixed.markers);
  known.marker_size = fixed.marker_size;
  known.count = fixed.count;
  known.size = fixed.names_size;
  ENGRAM_TRY(NameArea names, read_names(space, std::move(known)));
  if (record.numbers.size() != names.count ||
      content_of(names, tokens, fixed.seed) != fixed.content)
    return fail("kallsyms: names at {:#x}: not those that were recorded", fixed.names);
  NameNumbers numbers{fixed.seed, std::move(record.numbers), {}};
  for (std::size_t i = 0; i < numbers.landmarks.size(); ++i) {
    if (fixed.landmarks[i] < names.count) numbers.landmarks[i] = fixed.landmarks[i];
  }
  KallsymsAddresses place;
  place.encoding = fixed.encoding;
  place.offsets = VirtAddr(fixed.offsets);
  place.behind_index = fixed.behind_index != 0;
  ENGRAM_TRY(KallsymsAddresses addresses,
             read_addresses(space, image, names, numbers.landmarks, place));
  Kallsyms result =
      assemble(tokens, std::move(names), std::move(addresses), std::move(numbers), image);
  for (std::size_t i = 0; i < result.source->numbers().landmarks.size(); ++i) {
    const auto& index = result.source->numbers().landmarks[i];
    if (!index || result.source->is_named(*index, landmark_name(static_cast<Landmark>(i))))
      continue;
    return fail("kallsyms: names at {:#x}: not those that were recorded", fixed.names);
  }
  tell(result, diagnostics);
  return result;
}

}  // namespace engram::types
