// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "image/raw_ranges.h"

#include <fmt/core.h>

#include <algorithm>
#include <charconv>
#include <optional>

namespace engram::image {
namespace {

constexpr std::string_view kSpace = " \t\r";

std::string_view trimmed(std::string_view text) {
  const auto first = text.find_first_not_of(kSpace);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kSpace) - first + 1);
}

std::optional<std::uint64_t> number(std::string_view text) {
  text = trimmed(text);
  if (text.substr(0, 2) == "0x" || text.substr(0, 2) == "0X") text.remove_prefix(2);
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, 16);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

/// Of "first-last".
std::optional<guest::Range> range(std::string_view text) {
  const auto dash = text.find('-');
  if (dash == std::string_view::npos) return std::nullopt;
  const auto first = number(text.substr(0, dash));
  const auto last = number(text.substr(dash + 1));
  if (!first || !last || *last < *first || *last - *first == ~std::uint64_t{0}) return std::nullopt;
  return guest::Range::checked(PhysAddr(*first), *last - *first + 1);
}

/// Calls `visit` for each part between separators that is not blank, until it returns false.
template <class Visit>
bool for_each_part(std::string_view text, std::string_view separators, const Visit& visit) {
  while (!text.empty()) {
    const auto end = std::min(text.find_first_of(separators), text.size());
    const auto part = trimmed(text.substr(0, end));
    if (!part.empty() && !visit(part)) return false;
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return true;
}

}  // namespace

Result<std::vector<guest::Range>> parse_ranges(std::string_view text) {
  constexpr std::string_view kName = "System RAM";
  const bool is_iomem = text.find(kName) != std::string_view::npos;
  std::vector<guest::Range> ranges;
  std::string problem;
  const auto add = [&](std::string_view part) {
    std::string_view numbers = part;
    if (is_iomem) {
      const auto colon = part.find(" : ");
      // Also "System RAM (kexec)" and its like; what is nested in a range has another name.
      if (colon == std::string_view::npos || part.substr(colon + 3, kName.size()) != kName) {
        return true;
      }
      numbers = part.substr(0, colon);
    }
    const auto found = range(numbers);
    if (!found) {
      problem = fmt::format("ranges: \"{}\" is no range: FIRST-LAST in hexadecimal is expected",
                            numbers.substr(0, 60));
    } else if (!ranges.empty() && found->first() <= ranges.back().last()) {
      problem = fmt::format(
          "ranges: {:#x} does not lie above the range before it, which ends with "
          "{:#x}{}",
          found->first().value, ranges.back().last().value,
          is_iomem ? " (only root sees the addresses in /proc/iomem)" : "");
    } else {
      ranges.push_back(*found);
    }
    return problem.empty();
  };
  if (!for_each_part(text, is_iomem ? "\n" : ",;\n", add)) return fail("{}", problem);
  if (ranges.empty()) return fail("ranges: none was given");
  return ranges;
}

Result<Contents> raw::open_ranges(const FileView& file, std::span<const guest::Range> ranges) {
  std::uint64_t sum = 0;  // of disjoint ranges: no overflow
  for (const guest::Range& range : ranges) sum += range.size();
  const std::uint64_t last = ranges.back().last().value;
  const bool packed = file.size() == sum;
  if (!packed && file.size() <= last) {
    return fail(
        "raw: the ranges have {:#x} bytes together and end with address {:#x}; the file has "
        "{:#x} bytes, which is neither all ranges one after the other nor each at its "
        "address",
        sum, last, file.size());
  }
  Contents contents;
  contents.format = "raw";
  std::uint64_t next = 0;
  for (const guest::Range& range : ranges) {
    const FileOffset at(packed ? next : range.first().value);
    add_range(contents, file, {range.first(), range.size(), at, range.size(), 0, 0});
    next += range.size();
  }
  contents.facts.header.emplace_back("ranges", packed ? "given; one after the other in the file"
                                                      : "given; each at its address in the file");
  return contents;
}

}  // namespace engram::image
