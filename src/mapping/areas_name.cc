// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "mapping/areas_name.h"

#include <array>
#include <string_view>
#include <utility>

namespace engram::mapping {
namespace {

constexpr std::pair<std::string_view, Area::Kind> kSpecial[] = {
    {"heap", Area::Kind::heap},        {"stack", Area::Kind::stack},
    {"vdso", Area::Kind::vdso},        {"vvar", Area::Kind::vvar},
    {"vvar_vclock", Area::Kind::vvar}, {"vsyscall", Area::Kind::vsyscall},
};
// The second is for anonymous memory that is shared, which has a file behind it.
constexpr std::string_view kNamed[] = {"anon:", "anon_shmem:"};

}  // namespace

void set_name(Area& area, std::string name) {
  constexpr std::string_view kDeleted = " (deleted)";
  if (name.empty()) return;
  if (name.front() != '[' || name.back() != ']') {
    area.kind = Area::Kind::file;
    area.is_deleted = std::string_view(name).ends_with(kDeleted);
    if (area.is_deleted) name.resize(name.size() - kDeleted.size());
    area.path = std::move(name);
    return;
  }
  const std::string_view inner = std::string_view(name).substr(1, name.size() - 2);
  for (const auto& [special, kind] : kSpecial) {
    if (inner != special) continue;
    area.kind = kind;
    return;
  }
  for (const std::string_view prefix : kNamed) {
    if (!inner.starts_with(prefix)) continue;
    area.kind = Area::Kind::named;
    area.path = inner.substr(prefix.size());
    return;
  }
  area.kind = Area::Kind::other;
  area.path = inner;
}

}  // namespace engram::mapping
