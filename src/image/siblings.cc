// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "image/siblings.h"

#include <algorithm>
#include <cctype>
#include <cstddef>
#include <filesystem>
#include <string_view>

namespace engram::image {
namespace {

constexpr std::size_t kMostSiblings = 64;
constexpr std::size_t kMostEntries = 100'000;  // of a folder

bool is_digit(char c) {
  return std::isdigit(static_cast<unsigned char>(c)) != 0;
}

/// Whether two names are the same but for one number, which both have.
bool differ_in_one_number(std::string_view a, std::string_view b) {
  const auto prefix = static_cast<std::size_t>(
      std::mismatch(a.begin(), a.end(), b.begin(), b.end()).first - a.begin());
  const auto longest = std::min(a.size(), b.size()) - prefix;
  std::size_t suffix = 0;
  while (suffix < longest && a[a.size() - 1 - suffix] == b[b.size() - 1 - suffix]) ++suffix;
  const auto all_digits = [=](std::string_view name) {
    const auto middle = name.substr(prefix, name.size() - prefix - suffix);
    return std::all_of(middle.begin(), middle.end(), is_digit);
  };
  const auto has_number = [=](std::string_view name) {
    const auto middle = name.size() - prefix - suffix;
    return middle > 0 || (prefix > 0 && is_digit(name[prefix - 1])) ||
           (suffix > 0 && is_digit(name[name.size() - suffix]));
  };
  return a != b && all_digits(a) && all_digits(b) && has_number(a) && has_number(b);
}

}  // namespace

std::vector<std::string> siblings_of(const std::string& path) {
  const std::filesystem::path file(path);
  const auto folder = file.has_parent_path() ? file.parent_path() : std::filesystem::path(".");
  const std::string name = file.filename().string();
  std::vector<std::string> found;
  std::error_code error;
  std::size_t seen = 0;
  for (std::filesystem::directory_iterator at(folder, error), end; !error && at != end;
       at.increment(error)) {
    if (++seen > kMostEntries || found.size() == kMostSiblings) break;
    const std::string other = at->path().filename().string();
    if (differ_in_one_number(name, other)) found.push_back((file.parent_path() / other).string());
  }
  std::sort(found.begin(), found.end());
  return found;
}

std::string sibling_with(const std::string& path, std::initializer_list<const char*> extensions) {
  for (const char* const extension : extensions) {
    auto other = std::filesystem::path(path);
    other.replace_extension(extension);
    std::error_code error;
    if (std::filesystem::is_regular_file(other, error)) return other.string();
  }
  return "";
}

}  // namespace engram::image
