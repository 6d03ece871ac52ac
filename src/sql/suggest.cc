// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "sql/suggest.h"

#include <algorithm>
#include <cctype>
#include <numeric>

namespace engram::sql {
namespace {

constexpr std::size_t kMostNames = 3;
constexpr std::size_t kLongestName = 64;

std::string lower(std::string_view text) {
  std::string result(text.substr(0, kLongestName));
  for (char& c : result) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return result;
}

/// Levenshtein's distance, row by row.
std::size_t distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 0; i < a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i + 1;
    for (std::size_t j = 0; j < b.size(); ++j) {
      const std::size_t replaced = diagonal + (a[i] == b[j] ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({replaced, row[j] + 1, row[j + 1] + 1});
    }
  }
  return row.back();
}

}  // namespace

std::vector<std::string> nearest_names(std::string_view unknown,
                                       const std::vector<std::string>& known) {
  const std::string wanted = lower(unknown);
  const std::size_t tolerated = std::max<std::size_t>(1, wanted.size() / 3);
  std::vector<std::pair<std::size_t, std::string>> near;
  for (const std::string& name : known) {
    const std::string candidate = lower(name);
    const std::size_t apart = distance(wanted, candidate);
    const bool contains = wanted.size() > 2 && (candidate.find(wanted) != std::string::npos ||
                                                wanted.find(candidate) != std::string::npos);
    if (apart <= tolerated || contains) near.emplace_back(apart, name);
  }
  std::sort(near.begin(), near.end());
  near.erase(std::unique(near.begin(), near.end()), near.end());
  std::vector<std::string> names;
  for (auto& [apart, name] : near) {
    if (names.size() < kMostNames) names.push_back(std::move(name));
  }
  return names;
}

}  // namespace engram::sql
