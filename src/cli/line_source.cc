// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "cli/line_source.h"

#include <cerrno>
#include <system_error>

#include "base/units.h"

namespace engram::cli {
namespace {

constexpr std::size_t kLongestLine = 64 * kMiB;

}  // namespace

Line FileLines::read(const std::string&) {
  std::string text;
  int c = std::fgetc(file_);
  while (c != EOF && c != '\n') {
    if (text.size() == kLongestLine) return {Line::Kind::failed, name_ + ": line too long"};
    text += static_cast<char>(c);
    c = std::fgetc(file_);
  }
  if (c == EOF && std::ferror(file_) != 0) {
    return {Line::Kind::failed, name_ + ": " + std::generic_category().message(errno)};
  }
  if (c == EOF && text.empty()) return {Line::Kind::end, {}};
  return {Line::Kind::text, std::move(text)};
}

}  // namespace engram::cli
