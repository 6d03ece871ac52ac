// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "cli/damage.h"

#include <fmt/core.h>

#include <algorithm>
#include <map>
#include <set>
#include <string_view>
#include <utility>
#include <vector>

#include "cli/open_image.h"

namespace engram::cli {
namespace {

/// Objects that could not be read in full, each counted once.
class Unread {
 public:
  void add(const Diagnostic& row) {
    if (row.address && !objects_.emplace(row.component, *row.address).second) return;
    ++count_;
    if (!row.asked_by.empty()) ++by_table_[row.asked_by];
  }
  void add_unnamed(std::uint64_t count) { count_ += count; }

  [[nodiscard]] std::uint64_t count() const { return count_; }

  /// " (files 8, tasks 1)"; empty if no table was read.
  [[nodiscard]] std::string tables() const {
    std::string text;
    for (const auto& [table, count] : by_table_) {
      text += fmt::format("{}{} {}", text.empty() ? " (" : ", ", table, count);
    }
    return text.empty() ? text : text + ')';
  }

 private:
  std::set<std::pair<std::string_view, std::uint64_t>> objects_;
  std::map<std::string_view, std::uint64_t> by_table_;
  std::uint64_t count_ = 0;
};

}  // namespace

void DamageReport::say(kernel::Session& session, const std::string& path, const Console& console) {
  const auto rows = session.diagnostics().rows();
  // The first rows are the image's own notices, which open() has said.
  const std::size_t own = session.image().notices().size();
  Unread unread;
  for (std::size_t i = rows_; i < rows.size(); ++i) {
    if (rows[i].level > Level::warning) continue;
    is_whole_ = false;
    if (i < own) continue;
    if (rows[i].level == Level::error || rows[i].component == "image") {
      console.warning(about(path, rows[i].message));
    } else {
      unread.add(rows[i]);
    }
  }
  rows_ = std::max(rows_, rows.size());
  const std::uint64_t dropped = session.diagnostics().dropped();
  unread.add_unnamed(dropped - std::exchange(dropped_, dropped));
  pages_ = report_page_problems(session.image(), path, console, pages_);
  if (pages_ != 0 || unread.count() != 0) is_whole_ = false;
  if (unread.count() == 0) return;
  console.warning(
      about(path, fmt::format("{} object{} could not be read in full{}: SELECT * FROM "
                              "diagnostics WHERE level <= 2 says which",
                              unread.count(), unread.count() == 1 ? "" : "s", unread.tables())));
}

std::size_t report_page_problems(const image::Image& image, const std::string& path,
                                 const Console& console, std::size_t known) {
  const auto pages = image.page_problems();
  if (pages.size() <= known) return pages.size();
  const std::size_t news = pages.size() - known;
  console.warning(
      about(path, fmt::format("{} part{} of the image could not be unpacked as they should: {}",
                              news, news == 1 ? "" : "s", pages[known].text)));
  return pages.size();
}

}  // namespace engram::cli
