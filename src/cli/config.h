// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// What the user has set once for all images: a TOML file.
//
//   [output]
//   format = "json"                  # of query, shell and info, unless --format says otherwise
//
//   [database]
//   diagnostics_max_entries = 1000   # rows that the diagnostics table keeps
//   memory = "512MB"                 # what the program may take, unless --memory says otherwise
//
//   [shell]
//   history = "/home/me/engram"      # the file of the shell's history; "": none is kept
//
//   [cache]
//   enabled = false                  # nothing is kept of an image for the next query

#include <cstdint>
#include <optional>
#include <string>

#include "base/result.h"

namespace engram::cli {

/// A value that is not set is not there.
struct Config {
  std::optional<std::string> format;
  std::optional<std::uint64_t> diagnostics_max_entries;
  std::optional<std::uint64_t> memory;  ///< bytes
  std::optional<std::string> history;
  std::optional<bool> cache_enabled;
};

/// Errors: "PATH:LINE: ...": it cannot be read, is not TOML, has a key that there is not, or a
/// value that is not possible (says what was expected).
Result<Config> read_config(const std::string& path);

/// $XDG_CONFIG_HOME/engram, or the same below ~/.config; empty if neither is known.
/// (XDG Base Directory Specification 0.8)
[[nodiscard]] std::string config_folder();
/// The same of $XDG_CACHE_HOME and ~/.cache.
[[nodiscard]] std::string cache_folder();

}  // namespace engram::cli
