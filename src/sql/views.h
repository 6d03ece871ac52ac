// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// Views: derived knowledge as SQL. The files of src/sql/views are built into the program.
//
// A view file NAME.sql begins with comment lines: the SPDX lines, if any; what the view is (`--
// NAME:` before it may be left out); one line a column (`-- column: meaning`; lower-case names).
// One CREATE VIEW NAME statement follows.

#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace engram::sql {

struct ViewSource {
  std::string_view name;  ///< of the file, without .sql
  std::string_view sql;   ///< the file
};

/// All files of src/sql/views, in order of file name.
[[nodiscard]] std::span<const ViewSource> embedded_views();

struct ViewDoc {
  std::string doc;                                           ///< what the view is
  std::vector<std::pair<std::string, std::string>> columns;  ///< name and meaning, in file order
  std::string_view statement;                                ///< the file behind its SPDX lines
};

[[nodiscard]] ViewDoc parse_view(const ViewSource& source);

}  // namespace engram::sql
