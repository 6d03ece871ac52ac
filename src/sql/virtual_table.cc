// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "sql/virtual_table.h"

#include <sqlite3.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <span>

#include "base/diagnostics.h"
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
  const Binding& binding = binding_of(table);
  const Interruptible while_it_runs(*binding.interrupted);
  const AskedBy name(binding.table->name());
  return without_exceptions(body, [&](const char* text) { return fail_with(table, text); });
}

/// A column that is fixed by `=`.
struct PlannedKey {
  std::size_t column = 0;
  bool is_constant = false;
};

/// A column that is compared with addresses, which are only looked at.
struct Checked {
  std::size_t column = 0;
  bool is_list = false;  ///< IN
};

/// Arguments of filter() in this order: the keys, the lookup, what is checked.
struct Plan {
  ColumnSet columns;
  std::vector<PlannedKey> keys;
  std::optional<std::size_t> lookup;
  std::vector<Checked> checked;
};

constexpr char kNumbers = '#';  // begins the part of a plan's text that is for us

/// What EXPLAIN QUERY PLAN shows, and behind it the plan in numbers.
std::string to_text(const Plan& plan, const std::vector<tables::ColumnInfo>& columns) {
  std::string text;
  for (const PlannedKey& key : plan.keys) {
    text += fmt::format("{}{}", text.empty() ? "by key " : " and ", columns[key.column].name);
  }
  if (plan.lookup) {
    text += fmt::format("all rows, in a join kept and found by {}", columns[*plan.lookup].name);
  }
  if (text.empty()) text = "all rows";
  text += fmt::format(" {}{} {}", kNumbers, plan.columns.bits(), plan.keys.size());
  for (const PlannedKey& key : plan.keys) {
    text += fmt::format(" {} {}", key.column, key.is_constant ? 1 : 0);
  }
  text += plan.lookup ? fmt::format(" 1 {}", *plan.lookup) : " 0";
  for (const Checked& one : plan.checked) {
    text += fmt::format(" {} {}", one.column, one.is_list ? 1 : 0);
  }
  return text;
}

Plan plan_from_text(std::string_view text) {
  const char* at = text.data() + text.rfind(kNumbers) + 1;
  const char* end = text.data() + text.size();
  const auto number = [&] {
    std::uint64_t value = 0;
    at = std::min(std::from_chars(at, end, value).ptr + 1, end);
    return value;
  };
  Plan plan;
  plan.columns = ColumnSet(number());
  plan.keys.resize(number());
  for (PlannedKey& key : plan.keys) {
    key.column = number();
    key.is_constant = number() != 0;
  }
  if (number() != 0) plan.lookup = number();
  while (at < end) {
    Checked& one = plan.checked.emplace_back();
    one.column = number();
    one.is_list = number() != 0;
  }
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

std::span<const sqlite3_index_info::sqlite3_index_constraint> constraints_of(
    const sqlite3_index_info* info) {
  return {info->aConstraint, static_cast<std::size_t>(info->nConstraint)};
}

/// Whether the query says what a column is compared with. The value is not to be asked for: SQLite
/// 3.40 gives a hexadecimal number as text.
bool is_constant_in(sqlite3_index_info* info, int constraint) {
  sqlite3_value* value = nullptr;
  return sqlite3_vtab_rhs_value(info, constraint, &value) == SQLITE_OK;
}

bool compares_values(unsigned char op) {
  switch (op) {
    case SQLITE_INDEX_CONSTRAINT_EQ:
    case SQLITE_INDEX_CONSTRAINT_NE:
    case SQLITE_INDEX_CONSTRAINT_LT:
    case SQLITE_INDEX_CONSTRAINT_LE:
    case SQLITE_INDEX_CONSTRAINT_GT:
    case SQLITE_INDEX_CONSTRAINT_GE:
    case SQLITE_INDEX_CONSTRAINT_IS:
    case SQLITE_INDEX_CONSTRAINT_ISNOT:
      return true;
    default:
      return false;
  }
}

/// Whether a query compares row numbers, which no two mentions of a table share.
bool compares_row_numbers(const sqlite3_index_info* info) {
  const auto constraints = constraints_of(info);
  return std::any_of(constraints.begin(), constraints.end(), [](const auto& constraint) {
    return constraint.iColumn < 0 && compares_values(constraint.op);
  });
}

/// The constraints that the plan passes on: argument number by constraint.
struct Choice {
  Plan plan;
  std::vector<int> constraints;  ///< in the order of filter()'s arguments
  std::optional<int> lookup;
  bool lookup_is_constant = true;
  std::vector<int> others;  ///< that are checked only, if they compare addresses
};

/// Takes the comparison of a column by `=` for a key, a look-up, or one that is checked only.
void take(const Binding& binding, sqlite3_index_info* info, int number, Choice& choice) {
  const auto column =
      static_cast<std::size_t>(constraints_of(info)[static_cast<std::size_t>(number)].iColumn);
  const bool is_constant = is_constant_in(info, number);
  auto& keys = choice.plan.keys;
  if (binding.columns[column].key) {
    // SQLite compares every row itself, so a second value for the same key may be left to it.
    if (std::any_of(keys.begin(), keys.end(),
                    [column](const PlannedKey& key) { return key.column == column; })) {
      choice.others.push_back(number);
      return;
    }
    keys.push_back({column, is_constant});
    choice.constraints.push_back(number);
    return;
  }
  // One walk that tests all values of an IN is better than a lookup for each; a column of another
  // table is better than a constant.
  const bool is_list = sqlite3_vtab_in(info, number, -1) != 0;
  if (is_list || (choice.lookup && (is_constant || !choice.lookup_is_constant))) {
    choice.others.push_back(number);
    return;
  }
  if (choice.lookup) choice.others.push_back(*choice.lookup);
  choice.lookup = number;
  choice.plan.lookup = column;
  choice.lookup_is_constant = is_constant;
}

Choice choose(const Binding& binding, sqlite3_index_info* info) {
  Choice choice;
  choice.plan.columns = ColumnSet(info->colUsed);
  for (int number = 0; number < info->nConstraint; ++number) {
    const auto& constraint = constraints_of(info)[static_cast<std::size_t>(number)];
    if (constraint.usable == 0 || !compares_values(constraint.op)) continue;
    // IS would need the rows with NULL, too.
    if (constraint.op == SQLITE_INDEX_CONSTRAINT_EQ && compares_bytes(info, number)) {
      take(binding, info, number, choice);
    } else {
      choice.others.push_back(number);
    }
  }
  if (!choice.plan.keys.empty()) {
    choice.plan.lookup.reset();
    if (choice.lookup) choice.others.push_back(*choice.lookup);
  } else if (choice.lookup) {
    choice.constraints.push_back(*choice.lookup);
  }
  for (const int number : choice.others) {
    const auto column =
        static_cast<std::size_t>(constraints_of(info)[static_cast<std::size_t>(number)].iColumn);
    if (binding.columns[column].type != tables::Type::pointer) continue;
    const bool is_list = sqlite3_vtab_in(info, number, -1) != 0;
    if (is_list) sqlite3_vtab_in(info, number, 1);
    choice.plan.checked.push_back({column, is_list});
    choice.constraints.push_back(number);
  }
  return choice;
}

int best_index(sqlite3_vtab* table, sqlite3_index_info* info) {
  return guarded(table, [&] {
    const Binding& binding = binding_of(table);
    if (compares_row_numbers(info)) {
      return fail_with(table, fmt::format("{}: a row has no number to compare: a key column says "
                                          "which it is",
                                          binding.table->name())
                                  .c_str());
    }
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

/// What is wrong with a value of an IN; of many, the first ones tell.
std::optional<std::string> refusal_in(const tables::ColumnInfo& column, sqlite3_value* list) {
  constexpr int kLookedAt = 16;
  sqlite3_value* value = nullptr;
  int status = sqlite3_vtab_in_first(list, &value);
  for (int i = 0; i < kLookedAt && status == SQLITE_OK && value != nullptr; ++i) {
    if (auto problem = refusal(column, value)) return problem;
    status = sqlite3_vtab_in_next(list, &value);
  }
  return std::nullopt;
}

/// The value for one column: false if no row has it. Errors: refusal().
Result<bool> add_key(const tables::ColumnInfo& column, const PlannedKey& key, sqlite3_value* value,
                     std::vector<tables::KeyValue>& keys) {
  if (const auto problem = refusal(column, value)) return fail("{}", *problem);
  Fixed fixed = fix(column.type, value);
  if (fixed.match == Fixed::Match::equal) {
    keys.push_back({key.column, std::move(fixed.value), key.is_constant});
  }
  return fixed.match != Fixed::Match::never;
}

/// What the arguments fix; nothing if no row has that. Errors: refusal().
Result<std::optional<Request>> request_of(const Plan& plan,
                                          const std::vector<tables::ColumnInfo>& columns,
                                          sqlite3_value** arguments) {
  Request request;
  request.columns = plan.columns;
  for (const PlannedKey& key : plan.keys) {
    ENGRAM_TRY(const bool may_be, add_key(columns[key.column], key, *arguments++, request.keys));
    if (!may_be) return std::optional<Request>();
  }
  if (plan.lookup) {
    // Most cells of a column that refers to another table may be NULL: each would cost a pass over
    // all rows. Other values are left to SQLite.
    if (sqlite3_value_type(*arguments) == SQLITE_NULL) return std::optional<Request>();
    std::vector<tables::KeyValue> lookup;
    const auto added = add_key(columns[*plan.lookup], {*plan.lookup}, *arguments++, lookup);
    if (!added) return tl::unexpected(added.error());
    if (!lookup.empty()) request.lookup = std::move(lookup.front());
  }
  for (const Checked& one : plan.checked) {
    const auto& column = columns[one.column];
    const auto problem = one.is_list ? refusal_in(column, *arguments) : refusal(column, *arguments);
    if (problem) return fail("{}", *problem);
    ++arguments;
  }
  return std::optional(std::move(request));
}

int filter(sqlite3_vtab_cursor* cursor, int, const char* plan_text, int,
           sqlite3_value** arguments) {
  return guarded(cursor->pVtab, [&] {
    const auto& columns = binding_of(cursor->pVtab).columns;
    TableScan& scan = scan_of(cursor);
    auto request = request_of(plan_from_text(plan_text), columns, arguments);
    if (!request) return fail_with(cursor->pVtab, request.error().text.c_str());
    if (!*request) return scan.begin_empty(), SQLITE_OK;
    return status(cursor->pVtab, scan.begin(std::move(**request)));
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
