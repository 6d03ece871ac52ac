// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "sql/virtual_table.h"

#include <sqlite3.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <span>

#include "base/interruption.h"
#include "sql/callback.h"
#include "sql/value_conversion.h"

namespace engram::sql {
namespace {

struct VirtualTable : sqlite3_vtab {
  Binding* binding = nullptr;
};

struct VirtualCursor : sqlite3_vtab_cursor {
  explicit VirtualCursor(Binding& binding) : sqlite3_vtab_cursor{}, scan(binding) {}
  TableScan scan;
};

Binding& binding_of(sqlite3_vtab* table) {
  return *static_cast<VirtualTable*>(table)->binding;
}

TableScan& scan_of(sqlite3_vtab_cursor* cursor) {
  return static_cast<VirtualCursor*>(cursor)->scan;
}

/// Makes `text` the error of the statement.
int fail_with(sqlite3_vtab* table, const char* text) {
  sqlite3_free(table->zErrMsg);
  table->zErrMsg = sqlite3_mprintf("%s", text);
  return SQLITE_ERROR;
}

template <class T>
int status(sqlite3_vtab* table, const Result<T>& result) {
  if (result) return SQLITE_OK;
  if (binding_of(table).interrupted->load()) return SQLITE_INTERRUPT;
  return fail_with(table, result.error().text.c_str());
}

template <class Body>
int guarded(sqlite3_vtab* table, Body body) noexcept {
  const Interruptible while_it_runs(*binding_of(table).interrupted);
  return without_exceptions(body, [&](const char* text) { return fail_with(table, text); });
}

/// Arguments of filter() in this order: the keys, then the lookup.
struct Plan {
  ColumnSet columns;
  std::vector<std::size_t> keys;
  std::optional<std::size_t> lookup;
};

constexpr char kNumbers = '#';  // begins the part of a plan's text that is for us

/// What EXPLAIN QUERY PLAN shows, and behind it the plan in numbers.
std::string to_text(const Plan& plan, const std::vector<tables::ColumnInfo>& columns) {
  std::string text;
  for (const std::size_t key : plan.keys) {
    text += fmt::format("{}{}", text.empty() ? "by key " : " and ", columns[key].name);
  }
  if (plan.lookup) {
    text += fmt::format("all rows, in a join kept and found by {}", columns[*plan.lookup].name);
  }
  if (text.empty()) text = "all rows";
  text += fmt::format(" {}{} {}", kNumbers, plan.columns.bits(), plan.keys.size());
  for (const std::size_t key : plan.keys) text += fmt::format(" {}", key);
  if (plan.lookup) text += fmt::format(" {}", *plan.lookup);
  return text;
}

Plan plan_from_text(std::string_view text) {
  std::vector<std::uint64_t> numbers;
  const char* at = text.data() + text.rfind(kNumbers) + 1;
  const char* end = text.data() + text.size();
  while (at < end) {
    std::uint64_t number = 0;
    at = std::from_chars(at, end, number).ptr + 1;
    numbers.push_back(number);
  }
  Plan plan;
  plan.columns = ColumnSet(numbers.at(0));
  const auto key_end = numbers.begin() + 2 + static_cast<std::ptrdiff_t>(numbers.at(1));
  plan.keys.assign(numbers.begin() + 2, key_end);
  if (key_end != numbers.end()) plan.lookup = *key_end;
  return plan;
}

/// A walk of a table in memory costs far more than a step in SQLite; a fixed key costs an open().
struct Estimate {
  double rows = 1;
  double cost = 1;
};

constexpr double kOpenCost = 20;
constexpr double kRowCost = 10;

/// A key column need not be unique: each is taken to leave a root of the rows.
Estimate estimate(std::size_t all_rows, const Plan& plan, bool lookup_is_constant) {
  const double rows = std::max(1.0, static_cast<double>(all_rows));
  const auto fixed = static_cast<double>(plan.keys.size() + (plan.lookup ? 1 : 0));
  const double left = std::pow(rows, 1.0 / (1.0 + fixed));
  if (!plan.keys.empty()) return {left, kOpenCost + kRowCost * left};
  const double walk = kOpenCost + kRowCost * rows;
  // A lookup inside of a join is served from the cache after two walks. It still counts as half a
  // walk, so that a key is preferred wherever there is one.
  if (plan.lookup && !lookup_is_constant) return {left, walk / 2};
  return {left, walk};
}

bool compares_bytes(sqlite3_index_info* info, int constraint) {
  return std::string_view(sqlite3_vtab_collation(info, constraint)) == "BINARY";
}

/// The constraints that the plan passes on: argument number by constraint.
struct Choice {
  Plan plan;
  std::vector<int> constraints;  ///< in the order of filter()'s arguments
  bool lookup_is_constant = true;
};

Choice choose(const Binding& binding, sqlite3_index_info* info) {
  Choice choice;
  choice.plan.columns = ColumnSet(info->colUsed);
  std::optional<int> lookup;
  const std::span constraints(info->aConstraint, static_cast<std::size_t>(info->nConstraint));
  for (int number = 0; number < info->nConstraint; ++number) {
    const auto& constraint = constraints[static_cast<std::size_t>(number)];
    // `= ` only: IS would need the rows with NULL, too. Column -1 is the rowid.
    if (constraint.usable == 0 || constraint.op != SQLITE_INDEX_CONSTRAINT_EQ) continue;
    if (constraint.iColumn < 0 || !compares_bytes(info, number)) continue;
    const auto column = static_cast<std::size_t>(constraint.iColumn);
    auto& keys = choice.plan.keys;
    if (binding.columns[column].key) {
      // SQLite compares every row itself, so a second value for the same key may be left to it.
      if (std::find(keys.begin(), keys.end(), column) != keys.end()) continue;
      keys.push_back(column);
      choice.constraints.push_back(number);
      continue;
    }
    // One walk that tests all values of an IN is better than a lookup for each.
    if (sqlite3_vtab_in(info, number, -1) != 0) continue;
    sqlite3_value* constant = nullptr;
    const bool is_constant = sqlite3_vtab_rhs_value(info, number, &constant) == SQLITE_OK;
    if (lookup && (is_constant || !choice.lookup_is_constant)) continue;
    lookup = number;
    choice.plan.lookup = column;
    choice.lookup_is_constant = is_constant;
  }
  if (!choice.plan.keys.empty()) {
    choice.plan.lookup.reset();
  } else if (lookup) {
    choice.constraints.push_back(*lookup);
  }
  return choice;
}

int best_index(sqlite3_vtab* table, sqlite3_index_info* info) {
  return guarded(table, [&] {
    const Binding& binding = binding_of(table);
    const Choice choice = choose(binding, info);
    int argument = 0;
    for (const int constraint : choice.constraints) {
      info->aConstraintUsage[constraint].argvIndex = ++argument;
    }
    const Estimate expected =
        estimate(binding.table->expected_rows(), choice.plan, choice.lookup_is_constant);
    info->estimatedRows = static_cast<sqlite3_int64>(expected.rows);
    info->estimatedCost = expected.cost;
    info->idxStr = sqlite3_mprintf("%s", to_text(choice.plan, binding.columns).c_str());
    info->needToFreeIdxStr = 1;
    return info->idxStr == nullptr ? SQLITE_NOMEM : SQLITE_OK;
  });
}

int filter(sqlite3_vtab_cursor* cursor, int, const char* plan_text, int,
           sqlite3_value** arguments) {
  return guarded(cursor->pVtab, [&] {
    const auto& columns = binding_of(cursor->pVtab).columns;
    TableScan& scan = scan_of(cursor);
    const Plan plan = plan_from_text(plan_text);
    Request request;
    request.columns = plan.columns;
    std::size_t argument = 0;
    for (const std::size_t key : plan.keys) {
      if (const auto problem = refusal(columns[key], arguments[argument])) {
        return fail_with(cursor->pVtab, problem->c_str());
      }
      Fixed fixed = fix(columns[key].type, arguments[argument++]);
      if (fixed.match == Fixed::Match::never) return scan.begin_empty(), SQLITE_OK;
      if (fixed.match == Fixed::Match::equal) request.keys.push_back({key, std::move(fixed.value)});
    }
    if (plan.lookup) {
      // Most cells of a column that refers to another table may be NULL: each would cost a pass
      // over all rows.
      if (sqlite3_value_type(arguments[argument]) == SQLITE_NULL) {
        return scan.begin_empty(), SQLITE_OK;
      }
      if (const auto problem = refusal(columns[*plan.lookup], arguments[argument])) {
        return fail_with(cursor->pVtab, problem->c_str());
      }
      Fixed fixed = fix(columns[*plan.lookup].type, arguments[argument]);
      if (fixed.match == Fixed::Match::equal) {
        request.lookup = tables::KeyValue{*plan.lookup, std::move(fixed.value)};
      }
    }
    return status(cursor->pVtab, scan.begin(std::move(request)));
  });
}

int next(sqlite3_vtab_cursor* cursor) {
  return guarded(cursor->pVtab, [&] { return status(cursor->pVtab, scan_of(cursor).next()); });
}

int at_end(sqlite3_vtab_cursor* cursor) {
  return scan_of(cursor).at_end() ? 1 : 0;
}

int column(sqlite3_vtab_cursor* cursor, sqlite3_context* context, int index) {
  return guarded(cursor->pVtab, [&] {
    const auto cell = scan_of(cursor).column(static_cast<std::size_t>(index));
    if (cell) set_result(context, *cell);
    return status(cursor->pVtab, cell);
  });
}

int row_id(sqlite3_vtab_cursor* cursor, sqlite3_int64* id) {
  return guarded(cursor->pVtab, [&] {
    const auto result = scan_of(cursor).row_id();
    if (result) *id = *result;
    return status(cursor->pVtab, result);
  });
}

std::string declaration(const Binding& binding) {
  std::string columns;
  for (const auto& column : binding.columns) {
    if (!columns.empty()) columns += ", ";
    columns +=
        fmt::format("{} {}{}{}", quoted(column.name), type_name(column.type),
                    column.ignores_case ? " COLLATE NOCASE" : "", column.hidden ? " HIDDEN" : "");
  }
  return fmt::format("CREATE TABLE x({})", columns);
}

int connect(sqlite3* database, void* binding_pointer, int, const char* const*, sqlite3_vtab** table,
            char** error) {
  const auto report = [error](const char* text) {
    *error = sqlite3_mprintf("%s", text);
    return SQLITE_ERROR;
  };
  const auto body = [&] {
    auto& binding = *static_cast<Binding*>(binding_pointer);
    const int result = sqlite3_declare_vtab(database, declaration(binding).c_str());
    if (result != SQLITE_OK) return result;
    // Reading a table has no side effects, so views may use it whatever trusted_schema says.
    sqlite3_vtab_config(database, SQLITE_VTAB_INNOCUOUS);
    auto made = std::make_unique<VirtualTable>();
    made->binding = &binding;
    *table = made.release();
    return SQLITE_OK;
  };
  return without_exceptions(body, report);
}

int disconnect(sqlite3_vtab* table) {
  delete static_cast<VirtualTable*>(table);
  return SQLITE_OK;
}

int open(sqlite3_vtab* table, sqlite3_vtab_cursor** cursor) {
  return guarded(table, [&] {
    *cursor = std::make_unique<VirtualCursor>(binding_of(table)).release();
    return SQLITE_OK;
  });
}

int close(sqlite3_vtab_cursor* cursor) {
  delete static_cast<VirtualCursor*>(cursor);
  return SQLITE_OK;
}

/// Without xCreate a table is eponymous only: it exists under its own name and no other.
constexpr sqlite3_module make_module() {
  sqlite3_module module{};
  module.iVersion = 0;
  module.xConnect = connect;
  module.xBestIndex = best_index;
  module.xDisconnect = disconnect;
  module.xOpen = open;
  module.xClose = close;
  module.xFilter = filter;
  module.xNext = next;
  module.xEof = at_end;
  module.xColumn = column;
  module.xRowid = row_id;
  return module;
}

constexpr sqlite3_module kModule = make_module();

}  // namespace

std::string quoted(std::string_view identifier) {
  std::string text = "\"";
  for (const char c : identifier) text.append(c == '"' ? 2 : 1, c);
  return text + '"';
}

Result<void> register_table(sqlite3* database, Binding& binding) {
  const std::string name(binding.table->name());
  if (sqlite3_create_module_v2(database, name.c_str(), &kModule, &binding, nullptr) != SQLITE_OK) {
    return fail("sql: table {}: {}", name, sqlite3_errmsg(database));
  }
  return {};
}

}  // namespace engram::sql
