// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "cli/open_image.h"

#include <CLI/Validators.hpp>
#include <filesystem>
#include <optional>

#include "cli/autostart.h"
#include "cli/input.h"
#include "cli/line_editor.h"
#include "cli/memory_limit.h"
#include "cli/progress.h"
#include "image/raw_ranges.h"
#include "kernel/live.h"
#include "sql/session_lookups.h"
#include "tables/table.h"

namespace engram::cli {

std::string about(const std::string& path, const std::string& text) {
  return text.find(path) != std::string::npos ? text : path + ": " + text;
}

void add_image_arguments(CLI::App& command, ImageSource& source) {
  command.add_option("IMAGE", source.path, "The memory image")->required();
  auto* parts = command
                    .add_option("--with", source.parts,
                                "Another file of the same dump, if it was split (may be repeated), "
                                "or VMware's .vmss or "
                                ".vmsn of a .vmem")
                    ->type_name("FILE")
                    ->expected(1)
                    ->allow_extra_args(false)  // what follows is the image, or SQL
                    ->take_all();
  auto* ranges = command
                     .add_option("--ranges", source.ranges,
                                 "The physical addresses that a raw image without padding holds: "
                                 "FIRST-LAST,... in hexadecimal, or a file with them (/proc/iomem)")
                     ->type_name("LIST|FILE")
                     ->check([](const std::string& text) {
                       return text.empty() ? "expected a list, or a file that has one" : "";
                     });
  auto* symbols =
      command
          .add_option("--symbols", source.symbols,
                      "The types and symbols of the Windows kernel in IMAGE: its PDB, or a symbol "
                      "file of volatility3")
          ->type_name("FILE");
  auto* live = command.add_flag(
      "--live", source.live,
      "IMAGE is the shared file behind the RAM of a QEMU guest, which may be running");
  live->excludes(parts)->excludes(ranges)->excludes(symbols);
  command
      .add_option("--below-4g", source.below_4g,
                  "How much of a live guest's RAM lies below 4 GiB, if it cannot be found out")
      ->transform(CLI::AsSizeValue(/*kb_is_1000=*/false))
      ->type_name("SIZE")
      ->needs(live);
  auto* config =
      command
          .add_option("--config", source.config, "Settings, in place of those in ~/.config/engram")
          ->type_name("FILE");
  command
      .add_flag("--no-config", source.no_config,
                "Neither settings nor autostart files from ~/.config/engram")
      ->excludes(config);
  command
      .add_option(
          "--autostart", source.autostart,
          "A folder of SQL files to be run first, besides ~/.config/engram/autostart; may be "
          "given several times")
      ->type_name("FOLDER")
      ->expected(1)
      ->allow_extra_args(false)
      ->check(CLI::ExistingDirectory);
  command.add_flag("--no-cache", source.no_cache,
                   "Neither keep what is found in the image for the next query, in "
                   "~/.cache/engram, nor use what was kept");
  command
      .add_option("--memory", source.memory,
                  "What may be taken beyond the image's file, as 512MB or 4GB; 1GB unless said "
                  "otherwise")
      ->type_name("SIZE")
      ->check([](const std::string& text) {
        const auto bytes = parse_memory(text);
        return bytes ? std::string() : bytes.error().text;
      });
}

namespace {

/// A list begins with a number; what does not is a file that has one.
Result<std::string> ranges_text(const std::string& argument) {
  const auto dash = argument.find('-');
  const bool is_list =
      dash != std::string::npos && argument.find_first_not_of("0123456789abcdefABCDEFxX ") == dash;
  if (is_list) return argument;
  return read_file(argument);
}

/// The user's own file need not exist; one that is named must.
Result<Config> config_of(const ImageSource& source) {
  if (!source.config.empty()) return read_config(source.config);
  const std::string folder = config_folder();
  if (source.no_config || folder.empty()) return Config();
  const std::string path = folder + "/config.toml";
  std::error_code error;
  return std::filesystem::exists(path, error) || error ? read_config(path) : Config();
}

/// What the program may take. It is bounded before the image is opened.
Result<std::uint64_t> bound_memory(const ImageSource& source, const Config& config) {
  std::uint64_t bytes = config.memory.value_or(kUsualMemory);
  if (!source.memory.empty()) {
    ENGRAM_TRY(bytes, parse_memory(source.memory));
  }
  limit_memory(bytes);
  return bytes;
}

Result<std::unique_ptr<kernel::Session>> make_session(const ImageSource& source,
                                                      const Console& console,
                                                      const Config& config) {
  if (source.live) {
    const Progress progress(console, "looking at the guest");
    return kernel::open_live(source.path, source.below_4g);
  }
  image::OpenOptions how;
  how.parts = source.parts;
  if (!source.ranges.empty()) {
    ENGRAM_TRY(const auto text, ranges_text(source.ranges));
    ENGRAM_TRY(how.ranges, image::parse_ranges(text));
  }
  std::optional<ProgressBar> bar;
  how.go_on = [&](const image::UnpackState& state) {
    if (!bar) bar.emplace(console, "unpacking");
    bar->update(state.done, state.all);
    return true;
  };
  std::optional<types::SymbolFile> symbols;
  if (!source.symbols.empty()) {
    ENGRAM_TRY(symbols, types::SymbolFile::open(source.symbols));
  }
  ENGRAM_TRY(auto image, image::Image::open(source.path, how));
  kernel::SessionOptions options;
  if (!source.no_cache && config.cache_enabled.value_or(true)) {
    options.cache_folder = cache_folder();
  }
  return std::make_unique<kernel::Session>(std::move(image), std::move(symbols),
                                           std::move(options));
}

Result<std::unique_ptr<kernel::Session>> open_session(const ImageSource& source,
                                                      const Console& console,
                                                      const Config& config) {
  auto session = make_session(source, console, config);
  if (!session) return fail("{}", about(source.path, session.error().text));
  for (const auto& notice : (*session)->image().notices()) {
    if (notice.level <= Level::warning) console.warning(about(source.path, notice.text));
  }
  if (const auto& cost = (*session)->image().unpacking_cost()) {
    console.note(
        fmt::format("{}: {}; `engram convert` makes a file that need not be", source.path, *cost));
  }
  return session;
}

}  // namespace

Result<std::unique_ptr<kernel::Session>> open_session(const ImageSource& source,
                                                      const Console& console) {
  ENGRAM_TRY(const Config config, config_of(source));
  ENGRAM_CHECK(bound_memory(source, config));
  return open_session(source, console, config);
}

Result<OpenImage> OpenImage::open(const ImageSource& source, const Console& console) {
  ENGRAM_TRY(Config config, config_of(source));
  ENGRAM_TRY(const std::uint64_t memory, bound_memory(source, config));
  const std::string& path = source.path;
  OpenImage open;
  open.path_ = path;
  ENGRAM_TRY(open.session_, open_session(source, console, config));
  if (const auto most = config.diagnostics_max_entries) {
    open.session_->diagnostics().set_capacity(static_cast<std::size_t>(*most));
  }
  open.config_ = std::move(config);
  if (const std::string folder = config_folder(); !source.no_config && !folder.empty()) {
    open.autostart_.push_back(folder + "/autostart");
  }
  open.autostart_.insert(open.autostart_.end(), source.autostart.begin(), source.autostart.end());
  sql::DatabaseOptions options;
  options.lookups = sql::session_lookups(*open.session_);
  options.kept_rows = std::make_shared<sql::RowBudget>(memory / 4);
  options.sort_memory = memory / 8;
  auto database = sql::Database::create(*open.session_, tables::all_tables(), std::move(options));
  if (!database) return fail("{}", about(path, database.error().text));
  open.database_ = std::move(*database);
  return open;
}

std::string OpenImage::format(const std::string& given) const {
  return given.empty() ? config_.format.value_or("table") : given;
}

std::string OpenImage::history_path() const {
  return config_.history ? *config_.history : default_history_path();
}

void OpenImage::run_autostart(const Console& console) {
  const Architecture architecture = session_->image().facts().architecture;
  // Images whose header does not say are of the only architecture that can be looked into.
  const Architecture known =
      architecture == Architecture::unknown ? Architecture::x86_64 : architecture;
  std::vector<std::string> problems;
  for (const auto& folder : autostart_) {
    for (const auto& file : autostart_files(folder, known, problems)) {
      if (const auto done = run_sql_file(*database_, file); !done) {
        problems.push_back(done.error().text);
      }
    }
  }
  for (const auto& problem : problems) console.warning("autostart: " + problem);
}

bool OpenImage::report_damage(const Console& console) {
  damage_.say(*session_, path_, console);
  return damage_.is_whole();
}

}  // namespace engram::cli
