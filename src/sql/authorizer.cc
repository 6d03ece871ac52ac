// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include <sqlite3.h>

#include <algorithm>
#include <array>
#include <string_view>

#include "sql/database_state.h"

namespace engram::sql {
namespace {

// PRAGMAs that only tell something. Others may open files (journal_mode, temp_store_directory) or
// change what this layer relies on (trusted_schema, writable_schema).
constexpr std::array<std::string_view, 12> kHarmlessPragmas{
    "collation_list", "compile_options", "database_list", "foreign_key_list",
    "function_list",  "index_info",      "index_list",    "module_list",
    "pragma_list",    "table_info",      "table_list",    "table_xinfo"};

bool same_name(std::string_view a, const char* b) {
  return sqlite3_strnicmp(a.data(), b, static_cast<int>(a.size())) == 0 && b[a.size()] == '\0';
}

bool may_have_name(DatabaseState& state, const char* relation) {
  const auto has_it = [relation](const auto& binding) {
    return same_name(binding->table->name(), relation);
  };
  if (std::none_of(state.bindings.begin(), state.bindings.end(), has_it)) return true;
  state.shadowed = relation;
  return false;
}

int authorize(void* state, int action, const char* first, const char* second, const char*,
              const char*) {
  switch (action) {
    case SQLITE_CREATE_TABLE:
    case SQLITE_CREATE_TEMP_TABLE:
    case SQLITE_CREATE_TEMP_VIEW:
    case SQLITE_CREATE_VIEW:
      return may_have_name(*static_cast<DatabaseState*>(state), first) ? SQLITE_OK : SQLITE_DENY;
    case SQLITE_ATTACH:  // VACUUM INTO attaches, too
    case SQLITE_DETACH:
      return SQLITE_DENY;
    case SQLITE_FUNCTION:
      return second != nullptr && same_name("load_extension", second) ? SQLITE_DENY : SQLITE_OK;
    case SQLITE_PRAGMA: {
      const bool harmless =
          first != nullptr && std::any_of(kHarmlessPragmas.begin(), kHarmlessPragmas.end(),
                                          [&](auto name) { return same_name(name, first); });
      return harmless ? SQLITE_OK : SQLITE_DENY;
    }
    default:
      return SQLITE_OK;
  }
}

}  // namespace

void install_authorizer(DatabaseState& state) {
  sqlite3_limit(state.connection.get(), SQLITE_LIMIT_ATTACHED, 0);
  sqlite3_set_authorizer(state.connection.get(), authorize, &state);
}

}  // namespace engram::sql
