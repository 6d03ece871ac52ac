// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "sql/views.h"

#include <algorithm>
#include <cctype>

namespace engram::sql {
namespace {

constexpr std::string_view kComment = "--";

bool is_column_name(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](unsigned char c) {
    return std::islower(c) != 0 || std::isdigit(c) != 0 || c == '_';
  });
}

void append_sentence(std::string& text, std::string_view more) {
  if (!text.empty() && !more.empty()) text += ' ';
  text += more;
}

/// One comment line: a column, or more text for what came before.
void add_line(ViewDoc& view, std::string_view view_name, std::string_view line) {
  const auto colon = line.find(": ");
  if (view.columns.empty() && colon != std::string_view::npos &&
      line.substr(0, colon) == view_name) {
    append_sentence(view.doc, line.substr(colon + 2));
  } else if (colon != std::string_view::npos && is_column_name(line.substr(0, colon))) {
    view.columns.emplace_back(line.substr(0, colon), line.substr(colon + 2));
  } else {
    append_sentence(view.columns.empty() ? view.doc : view.columns.back().second, line);
  }
}

}  // namespace

ViewDoc parse_view(const ViewSource& source) {
  std::string_view sql = source.sql;
  ViewDoc view;
  view.statement = sql;
  while (sql.starts_with(kComment)) {
    const auto end = std::min(sql.find('\n'), sql.size());
    std::string_view line = sql.substr(kComment.size(), end - kComment.size());
    sql.remove_prefix(std::min(end + 1, sql.size()));
    line.remove_prefix(std::min(line.find_first_not_of(' '), line.size()));
    if (line.starts_with("SPDX-")) {
      view.statement = sql;
    } else {
      add_line(view, source.name, line);
    }
  }
  return view;
}

}  // namespace engram::sql
