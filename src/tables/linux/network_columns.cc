// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "tables/linux/network_columns.h"

#include "tables/linux/names.h"

namespace engram::tables {

Value scope_name(std::optional<std::uint32_t> scope) {
  static constexpr Name kNames[] = {
      {0, "global"}, {200, "site"}, {253, "link"}, {254, "host"}, {255, "nowhere"}};
  return name_of(kNames, scope);
}

}  // namespace engram::tables
