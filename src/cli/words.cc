// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "cli/words.h"

#include <optional>

namespace engram::cli {
namespace {

constexpr std::string_view kBlanks = " \t\r\n\f\v";

class Splitter {
 public:
  explicit Splitter(std::string_view line) : line_(line) {}

  Result<std::optional<std::string>> next() {
    at_ = std::min(line_.find_first_not_of(kBlanks, at_), line_.size());
    if (at_ == line_.size()) return std::optional<std::string>();
    word_.clear();
    while (at_ < line_.size() && kBlanks.find(line_[at_]) == std::string_view::npos) {
      const char c = line_[at_++];
      if (c == '\'' || c == '"') {
        ENGRAM_CHECK(quoted(c));
      } else if (c == '\\') {
        ENGRAM_CHECK(escaped());
      } else {
        word_ += c;
      }
    }
    return std::optional(word_);
  }

 private:
  Result<void> quoted(char quote) {
    const std::size_t opened = at_ - 1;
    while (at_ < line_.size() && line_[at_] != quote) {
      const bool escapes = quote == '"' && line_[at_] == '\\' && at_ + 1 < line_.size() &&
                           (line_[at_ + 1] == '"' || line_[at_ + 1] == '\\');
      if (escapes) ++at_;
      word_ += line_[at_++];
    }
    if (at_ == line_.size()) return fail("column {}: the quote is not closed", opened + 1);
    ++at_;
    return {};
  }

  Result<void> escaped() {
    if (at_ == line_.size()) return fail("column {}: nothing follows the backslash", at_);
    word_ += line_[at_++];
    return {};
  }

  std::string_view line_;
  std::size_t at_ = 0;
  std::string word_;
};

}  // namespace

Result<std::vector<std::string>> split_words(std::string_view line) {
  std::vector<std::string> words;
  Splitter splitter(line);
  while (true) {
    ENGRAM_TRY(const auto word, splitter.next());
    if (!word) return words;
    words.push_back(*word);
  }
}

}  // namespace engram::cli
