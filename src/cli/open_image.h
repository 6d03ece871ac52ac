// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// An image file, or the RAM of a running guest, ready for SQL.

#include <CLI/App.hpp>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "cli/config.h"
#include "cli/console.h"
#include "cli/damage.h"
#include "kernel/session.h"
#include "sql/database.h"

namespace engram::cli {

/// What a command's arguments say about the image.
struct ImageSource {
  std::string path;
  bool live = false;                      ///< the file is the RAM of a running guest
  std::optional<std::uint64_t> below_4g;  ///< bytes; for a live one
  std::vector<std::string> parts;         ///< the other files of a dump that was split
  std::string symbols;                    ///< a file with the kernel's types; empty: none
  std::string ranges;                     ///< a list, or a file that has one; empty: none
  std::string config;                     ///< a file in place of the user's own; empty: that one
  bool no_config = false;              ///< neither the user's own file nor their autostart folder
  std::vector<std::string> autostart;  ///< further folders
  bool no_cache = false;               ///< nothing is kept for the next time, nor used
  std::string memory;                  ///< what the program may take; empty: as the settings say
};

/// Adds IMAGE, --with, --ranges, --symbols, --live, --below-4g, --config, --no-config,
/// --autostart, --no-cache and --memory, which fill in `source`.
void add_image_arguments(CLI::App& command, ImageSource& source);

/// Prints what a user should know about the image (that it is cut, say) as warnings.
/// Errors: those of Image::open(), parse_ranges() or kernel::open_live(), whose text begins with
/// the path; those of read_config().
Result<std::unique_ptr<kernel::Session>> open_session(const ImageSource& source,
                                                      const Console& console);

class OpenImage {
 public:
  /// Errors: those of open_session(), Database::create() and read_config(); the text begins with
  /// the path, or with that of the settings.
  static Result<OpenImage> open(const ImageSource& source, const Console& console);

  [[nodiscard]] const image::Image& image() const { return session_->image(); }
  [[nodiscard]] sql::Database& database() { return *database_; }
  [[nodiscard]] kernel::Session& session() { return *session_; }

  /// `given` if it is not empty, else the format that the user has set, else table.
  [[nodiscard]] std::string format(const std::string& given) const;
  /// The file of the shell's history; empty: none.
  [[nodiscard]] std::string history_path() const;

  /// Runs the user's SQL files (autostart.h). One that fails is a warning: what it would have made
  /// is missed by who uses it.
  void run_autostart(const Console& console);

  /// Says behind an answer what may be missing from it, if that was not said behind an earlier one.
  /// True if nothing ever was, and open() had nothing to say either.
  bool report_damage(const Console& console);

 private:
  OpenImage() = default;
  std::string path_;
  Config config_;
  std::vector<std::string> autostart_;  ///< folders
  std::unique_ptr<kernel::Session> session_;
  std::unique_ptr<sql::Database> database_;  ///< borrows the session
  DamageReport damage_;
};

/// "PATH: TEXT", or the text alone if it names the path already.
[[nodiscard]] std::string about(const std::string& path, const std::string& text);

}  // namespace engram::cli
