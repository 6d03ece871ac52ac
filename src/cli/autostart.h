// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// SQL that is run before the user's own: files *.sql with views, say, in folders by operating
// system and architecture.

#include <string>
#include <vector>

#include "base/result.h"
#include "base/units.h"
#include "sql/database.h"

namespace engram::cli {

/// The files *.sql of common/common, common/ARCHITECTURE, linux/common and linux/ARCHITECTURE below
/// `folder`, in this order and sorted by name in each. ARCHITECTURE is x86_64 or arm64; "intel",
/// mquire's name for x86_64, comes behind it. A folder that does not exist has none; of one that
/// cannot be read, `problems` gets a line.
[[nodiscard]] std::vector<std::string> autostart_files(const std::string& folder,
                                                       Architecture architecture,
                                                       std::vector<std::string>& problems);

/// Runs all statements of a file; what SELECTs result in is not kept.
/// Errors: "PATH:LINE: ..." of the first that fails; the later ones are not run.
Result<void> run_sql_file(sql::Database& database, const std::string& path);

}  // namespace engram::cli
