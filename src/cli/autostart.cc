// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "cli/autostart.h"

#include <algorithm>
#include <filesystem>
#include <system_error>

#include "cli/input.h"

namespace engram::cli {
namespace {

namespace fs = std::filesystem;

std::vector<std::string> sql_files(const fs::path& folder, std::vector<std::string>& problems) {
  std::vector<std::string> files;
  std::error_code error;
  fs::directory_iterator at(folder, error);
  while (!error && at != fs::directory_iterator()) {
    if (at->path().extension() == ".sql") files.push_back(at->path().string());
    at.increment(error);
  }
  if (error && error != std::errc::no_such_file_or_directory) {
    problems.push_back(fmt::format("{}: {}", folder.string(), error.message()));
  }
  std::sort(files.begin(), files.end());
  return files;
}

std::ptrdiff_t line_of(std::string_view sql, std::size_t offset) {
  const std::string_view before = sql.substr(0, std::min(offset, sql.size()));
  return std::count(before.begin(), before.end(), '\n') + 1;
}

}  // namespace

std::vector<std::string> autostart_files(const std::string& folder, Architecture architecture,
                                         std::vector<std::string>& problems) {
  std::vector<std::string> names{"common"};
  if (architecture != Architecture::unknown) names.emplace_back(to_string(architecture));
  if (architecture == Architecture::x86_64) names.emplace_back("intel");
  std::vector<std::string> files;
  for (const char* system : {"common", "linux"}) {
    for (const auto& name : names) {
      const auto more = sql_files(fs::path(folder) / system / name, problems);
      files.insert(files.end(), more.begin(), more.end());
    }
  }
  return files;
}

Result<void> run_sql_file(sql::Database& database, const std::string& path) {
  ENGRAM_TRY(const std::string sql, read_file(path));
  std::size_t at = 0;
  while (true) {
    const std::size_t begin = std::min(sql.find_first_not_of(" \t\r\n\f\v", at), sql.size());
    const auto failed = [&](const sql::QueryError& error) {
      return fail("{}:{}: {}", path, line_of(sql, error.offset.value_or(begin)), error.text);
    };
    auto query = database.prepare_next(sql, at);
    if (!query) return failed(query.error());
    if (!*query) return {};
    for (bool more = true; more;) {
      const auto stepped = (*query)->step();
      if (!stepped) return failed(stepped.error());
      more = *stepped;
    }
  }
}

}  // namespace engram::cli
