// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// A path to a member, "thread_pid.numbers[0].nr", taken apart from the left.

#include <charconv>
#include <cstdint>
#include <optional>
#include <string_view>

namespace engram::types {

/// The grammar: name { "." name | "[" decimal digits "]" }.
class MemberPath {
 public:
  explicit MemberPath(std::string_view text) : rest_(text) {}

  [[nodiscard]] bool done() const { return rest_.empty() && begun_; }
  [[nodiscard]] bool at_index() const { return begun_ && rest_.starts_with('['); }

  /// Takes a name, with the dot before it if it is not the first; nothing if there is none.
  std::optional<std::string_view> next_name() {
    if (begun_) {
      if (!rest_.starts_with('.')) return std::nullopt;
      rest_.remove_prefix(1);
    }
    begun_ = true;
    const std::string_view name = rest_.substr(0, rest_.find_first_of(".[]"));
    if (name.empty()) return std::nullopt;
    rest_.remove_prefix(name.size());
    return name;
  }

  /// Takes an index where at_index(); nothing if it is not a number in brackets.
  std::optional<std::uint64_t> next_index() {
    std::uint64_t index = 0;
    const char* end = rest_.data() + rest_.size();
    const auto [stop, error] = std::from_chars(rest_.data() + 1, end, index);
    if (error != std::errc() || stop == end || *stop != ']') return std::nullopt;
    rest_.remove_prefix(static_cast<std::size_t>(stop + 1 - rest_.data()));
    return index;
  }

 private:
  std::string_view rest_;
  bool begun_ = false;
};

}  // namespace engram::types
