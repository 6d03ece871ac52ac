// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "sql/value_conversion.h"

#include <fmt/core.h>
#include <sqlite3.h>

#include <array>
#include <charconv>
#include <memory>

namespace engram::sql {
namespace {

using tables::Type;
using tables::Value;

constexpr std::array<std::pair<Type, std::string_view>, 5> kTypeNames{{
    {Type::integer, "INTEGER"},
    {Type::text, "TEXT"},
    {Type::real, "REAL"},
    {Type::blob, "BLOB"},
    {Type::pointer, "POINTER"},
}};

constexpr double kTwoTo63 = 9223372036854775808.0;
const Fixed kNever{Fixed::Match::never, tables::Null{}};
const Fixed kAny{Fixed::Match::any, tables::Null{}};

Fixed equal(Value value) {
  return {Fixed::Match::equal, std::move(value)};
}

/// The one integer that equals `real`; SQLite compares the two exactly, without rounding either.
Fixed fix_integer(double real) {
  if (!(real >= -kTwoTo63 && real < kTwoTo63)) return kNever;
  const auto integer = static_cast<std::int64_t>(real);
  if (static_cast<double>(integer) != real) return kNever;
  return equal(integer);
}

Fixed fix_real(std::int64_t integer) {
  const auto real = static_cast<double>(integer);
  const Fixed back = fix_integer(real);
  if (back.match != Fixed::Match::equal || std::get<std::int64_t>(back.value) != integer) {
    return kNever;
  }
  return equal(real);
}

struct ValueDeleter {
  void operator()(sqlite3_value* value) const { sqlite3_value_free(value); }
};

/// A column with numeric affinity: text that looks like a number is compared as that number.
Fixed fix_number(Type type, sqlite3_value* value) {
  // sqlite3_value_numeric_type() changes its argument, which belongs to the statement.
  const std::unique_ptr<sqlite3_value, ValueDeleter> copy(sqlite3_value_dup(value));
  if (copy == nullptr) return kAny;
  switch (sqlite3_value_numeric_type(copy.get())) {
    case SQLITE_INTEGER: {
      const std::int64_t integer = sqlite3_value_int64(copy.get());
      return type == Type::real ? fix_real(integer) : equal(integer);
    }
    case SQLITE_FLOAT: {
      const double real = sqlite3_value_double(copy.get());
      return type == Type::real ? equal(real) : fix_integer(real);
    }
    default:
      return kNever;
  }
}

/// Whether the text is a decimal number from 2^63 to 2^64 - 1.
bool exceeds_integers(std::string_view text) {
  std::uint64_t number = 0;
  const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), number);
  return problem == std::errc() && end == text.data() + text.size() && number >> 63U != 0;
}

}  // namespace

Value to_value(sqlite3_value* value) {
  switch (sqlite3_value_type(value)) {
    case SQLITE_INTEGER:
      return std::int64_t{sqlite3_value_int64(value)};
    case SQLITE_FLOAT:
      return sqlite3_value_double(value);
    case SQLITE_TEXT: {
      const auto* text = reinterpret_cast<const char*>(sqlite3_value_text(value));
      return std::string(text, static_cast<std::size_t>(sqlite3_value_bytes(value)));
    }
    case SQLITE_BLOB: {
      const auto* bytes = static_cast<const std::byte*>(sqlite3_value_blob(value));
      const auto size = static_cast<std::size_t>(sqlite3_value_bytes(value));
      return size == 0 ? tables::Blob() : tables::Blob(bytes, bytes + size);
    }
    default:
      return tables::Null{};
  }
}

void set_result(sqlite3_context* context, const Value& value) {
  struct Setter {
    sqlite3_context* context;
    void operator()(tables::Null) const { sqlite3_result_null(context); }
    void operator()(std::int64_t integer) const { sqlite3_result_int64(context, integer); }
    void operator()(double real) const { sqlite3_result_double(context, real); }
    void operator()(const std::string& text) const {
      sqlite3_result_text64(context, text.data(), text.size(), SQLITE_TRANSIENT, SQLITE_UTF8);
    }
    void operator()(const tables::Blob& blob) const {
      // A null pointer would be NULL, not the empty blob.
      const void* bytes = blob.empty() ? static_cast<const void*>("") : blob.data();
      sqlite3_result_blob64(context, bytes, blob.size(), SQLITE_TRANSIENT);
    }
  };
  std::visit(Setter{context}, value);
}

bool bind(sqlite3_stmt* statement, int parameter, const Value& value) {
  struct Binder {
    sqlite3_stmt* statement;
    int parameter;
    int operator()(tables::Null) const { return sqlite3_bind_null(statement, parameter); }
    int operator()(std::int64_t integer) const {
      return sqlite3_bind_int64(statement, parameter, integer);
    }
    int operator()(double real) const { return sqlite3_bind_double(statement, parameter, real); }
    int operator()(const std::string& text) const {
      return sqlite3_bind_text64(statement, parameter, text.data(), text.size(), SQLITE_STATIC,
                                 SQLITE_UTF8);
    }
    int operator()(const tables::Blob& blob) const {
      const void* bytes = blob.empty() ? static_cast<const void*>("") : blob.data();
      return sqlite3_bind_blob64(statement, parameter, bytes, blob.size(), SQLITE_STATIC);
    }
  };
  return std::visit(Binder{statement, parameter}, value) == SQLITE_OK;
}

Fixed fix(Type type, sqlite3_value* value) {
  const int given = sqlite3_value_type(value);
  if (given == SQLITE_NULL) return kNever;
  switch (type) {
    case Type::integer:
    case Type::pointer:
    case Type::real:
      return given == SQLITE_BLOB ? kNever : fix_number(type, value);
    case Type::text:
      // A number is compared as text if it is a literal, but makes the cell a number if it comes
      // from a numeric column ('05' = 5 then holds). Which one it is cannot be seen here.
      if (given == SQLITE_TEXT) return equal(to_value(value));
      return given == SQLITE_BLOB ? kNever : kAny;
    case Type::blob:
      return given == SQLITE_BLOB ? equal(to_value(value)) : kNever;
  }
  return kAny;
}

std::optional<std::string> refusal(const tables::ColumnInfo& column, sqlite3_value* value) {
  if (column.type != Type::pointer) return std::nullopt;
  const double real = sqlite3_value_type(value) == SQLITE_FLOAT ? sqlite3_value_double(value) : 0;
  if (real >= kTwoTo63 && real < 2 * kTwoTo63) {
    return fmt::format("{}: {:.0f} is more than SQL's integers hold: write it in hexadecimal",
                       column.name, real);
  }
  if (sqlite3_value_type(value) != SQLITE_TEXT) return std::nullopt;
  const std::string_view text = reinterpret_cast<const char*>(sqlite3_value_text(value));
  const bool is_hexadecimal = text.starts_with("0x") || text.starts_with("0X");
  if (!is_hexadecimal && !exceeds_integers(text)) return std::nullopt;
  return fmt::format(
      "{}: '{}' is text, and addresses are numbers: write it without quotes, in hexadecimal",
      column.name, text);
}

std::string_view type_name(Type type) {
  for (const auto& [known, name] : kTypeNames) {
    if (known == type) return name;
  }
  return "BLOB";
}

std::optional<Type> type_from_name(std::string_view name) {
  for (const auto& [type, known] : kTypeNames) {
    if (known == name) return type;
  }
  return std::nullopt;
}

}  // namespace engram::sql
