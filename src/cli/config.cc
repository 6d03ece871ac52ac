// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "cli/config.h"

#include <toml++/toml.h>
#include <algorithm>
#include <array>
#include <cstdlib>
#include <string_view>

#include "cli/input.h"
#include "cli/memory_limit.h"
#include "output/writer.h"

namespace engram::cli {
namespace {

// Rows of about 200 bytes: more than this is a mistake.
constexpr std::int64_t kMostDiagnostics = 10'000'000;

/// Where something is, and an error about it.
class Place {
 public:
  Place(const std::string& path, const toml::source_region& source)
      : text_(fmt::format("{}:{}", path, source.begin.line)) {}
  [[nodiscard]] tl::unexpected<Error> expected(std::string_view key, std::string_view what) const {
    return fail("{}: {}: expected {}", text_, key, what);
  }
  [[nodiscard]] tl::unexpected<Error> wrong(std::string_view what) const {
    return fail("{}: {}", text_, what);
  }

 private:
  std::string text_;
};

Result<void> set_format(Config& config, const toml::node& value, const Place& place) {
  const auto text = value.value_exact<std::string>();
  const auto names = output::format_names();
  if (!text || std::find(names.begin(), names.end(), *text) == names.end()) {
    return place.expected("format", "\"table\", \"json\", \"jsonl\" or \"csv\"");
  }
  config.format = *text;
  return {};
}

Result<void> set_diagnostics(Config& config, const toml::node& value, const Place& place) {
  const auto number = value.value_exact<std::int64_t>();
  if (!number || *number < 1 || *number > kMostDiagnostics) {
    return place.expected("diagnostics_max_entries",
                          fmt::format("a number from 1 to {}", kMostDiagnostics));
  }
  config.diagnostics_max_entries = static_cast<std::uint64_t>(*number);
  return {};
}

Result<void> set_memory(Config& config, const toml::node& value, const Place& place) {
  const auto text = value.value_exact<std::string>();
  const auto bytes = text ? parse_memory(*text) : fail("");
  if (!bytes) return place.expected("memory", kMemoryExpected);
  config.memory = *bytes;
  return {};
}

Result<void> set_history(Config& config, const toml::node& value, const Place& place) {
  const auto text = value.value_exact<std::string>();
  if (!text || (!text->empty() && text->front() != '/')) {
    return place.expected("history", "the absolute path of a file, or \"\"");
  }
  config.history = *text;
  return {};
}

Result<void> set_cache(Config& config, const toml::node& value, const Place& place) {
  const auto enabled = value.value_exact<bool>();
  if (!enabled) return place.expected("enabled", "true or false");
  config.cache_enabled = *enabled;
  return {};
}

struct Key {
  std::string_view section, name;
  Result<void> (*set)(Config& config, const toml::node& value, const Place& place);
};

constexpr std::array<Key, 5> kKeys{{
    {"output", "format", set_format},
    {"database", "diagnostics_max_entries", set_diagnostics},
    {"database", "memory", set_memory},
    {"shell", "history", set_history},
    {"cache", "enabled", set_cache},
}};

/// "a, b"
template <class Get>
std::string known(Get get) {
  std::string text;
  std::string_view last;  // keys of a section stand together
  for (const Key& key : kKeys) {
    const auto name = get(key);
    if (!name.empty() && name != last) text += (text.empty() ? "" : ", ") + std::string(name);
    last = name;
  }
  return text;
}

Result<void> set_section(Config& config, const std::string& path, std::string_view section,
                         const toml::table& table) {
  for (const auto& [name, value] : table) {
    const Place place(path, name.source());
    const auto key = std::find_if(kKeys.begin(), kKeys.end(), [&](const Key& one) {
      return one.section == section && one.name == name.str();
    });
    if (key == kKeys.end()) {
      const auto names = known(
          [&](const Key& one) { return one.section == section ? one.name : std::string_view(); });
      return place.wrong(fmt::format("no such key: {} (expected: {})", name.str(), names));
    }
    ENGRAM_CHECK(key->set(config, value, place));
  }
  return {};
}

/// In the folder that `variable` names, else in that of the user's home.
std::string own_folder(const char* variable, const char* below_home) {
  const char* folder = std::getenv(variable);
  if (folder != nullptr && folder[0] == '/') return std::string(folder) + "/engram";
  const char* home = std::getenv("HOME");
  if (home == nullptr || home[0] != '/') return {};
  return std::string(home) + below_home + "/engram";
}

}  // namespace

Result<Config> read_config(const std::string& path) {
  ENGRAM_TRY(const std::string text, read_file(path));
  toml::table table;
  try {
    table = toml::parse(text, path);
  } catch (const toml::parse_error& error) {
    return Place(path, error.source()).wrong(error.description());
  }
  Config config;
  for (const auto& [name, value] : table) {
    const Place place(path, name.source());
    const auto is_section = [&](const Key& key) { return key.section == name.str(); };
    const bool exists = std::any_of(kKeys.begin(), kKeys.end(), is_section);
    if (!exists || !value.is_table()) {
      return place.wrong(fmt::format("no such section: {} (expected: {})", name.str(),
                                     known([](const Key& key) { return key.section; })));
    }
    ENGRAM_CHECK(set_section(config, path, name.str(), *value.as_table()));
  }
  return config;
}

std::string config_folder() {
  return own_folder("XDG_CONFIG_HOME", "/.config");
}

std::string cache_folder() {
  return own_folder("XDG_CACHE_HOME", "/.cache");
}

}  // namespace engram::cli
