// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include "sql/functions.h"

#include <sqlite3.h>

#include <array>
#include <cctype>
#include <charconv>
#include <string>

#include "sql/callback.h"
#include "sql/value_conversion.h"

namespace engram::sql {
namespace {

using tables::Null;
using tables::Value;
using Arguments = std::span<sqlite3_value*>;
using Function = Result<Value> (*)(const FunctionContext&, Arguments);

bool is_null(sqlite3_value* value) {
  return sqlite3_value_type(value) == SQLITE_NULL;
}

std::string_view text_of(sqlite3_value* value) {
  const auto* text = reinterpret_cast<const char*>(sqlite3_value_text(value));
  if (text == nullptr) return {};
  return {text, static_cast<std::size_t>(sqlite3_value_bytes(value))};
}

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kBlanks = " \t\r\n";
  const auto first = text.find_first_not_of(kBlanks);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kBlanks) - first + 1);
}

/// "0x" and 1 to 16 hexadecimal digits, in either case.
std::optional<std::uint64_t> parse_hex(std::string_view text) {
  text = trimmed(text);
  if (text.size() < 3 || text[0] != '0' || (text[1] != 'x' && text[1] != 'X')) return std::nullopt;
  text.remove_prefix(2);
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, 16);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

/// An integer, or text as the writers print addresses.
Result<std::uint64_t> address_argument(std::string_view function, sqlite3_value* value) {
  if (sqlite3_value_type(value) == SQLITE_INTEGER) {
    return static_cast<std::uint64_t>(sqlite3_value_int64(value));
  }
  if (sqlite3_value_type(value) == SQLITE_TEXT) {
    if (const auto address = parse_hex(text_of(value))) return *address;
  }
  return fail("{}: expected an address (an integer or text like '0xffff888000000000'), got {}",
              function, sqlite3_value_type(value) == SQLITE_BLOB ? "a blob" : text_of(value));
}

Result<std::optional<PhysAddr>> root_argument(std::string_view function, Arguments arguments,
                                              std::size_t index) {
  if (index >= arguments.size() || is_null(arguments[index])) return std::optional<PhysAddr>();
  ENGRAM_TRY(const std::uint64_t root, address_argument(function, arguments[index]));
  return std::optional(PhysAddr(root));
}

Result<void> require_kernel(const FunctionContext& context, std::string_view function,
                            bool has_lookup) {
  if (!has_lookup || !context.lookups.ready) return fail("{}: no kernel", function);
  return context.lookups.ready();
}

/// NULL, and the reason among the diagnostics.
Value null_because(const FunctionContext& context, std::string_view function, std::uint64_t address,
                   const Error& error) {
  if (context.diagnostics != nullptr) {
    context.diagnostics->add(Level::warning, std::string(function), error.text, address);
  }
  return Null{};
}

Result<Value> addr(const FunctionContext&, Arguments arguments) {
  if (is_null(arguments[0])) return Null{};
  ENGRAM_TRY(const std::uint64_t address, address_argument("addr", arguments[0]));
  return tables::cell(fmt::format("{:#x}", address));
}

Result<Value> symbol(const FunctionContext& context, Arguments arguments) {
  const auto& lookup = context.lookups.symbol;
  ENGRAM_CHECK(require_kernel(context, "symbol", lookup != nullptr));
  if (is_null(arguments[0])) return Null{};
  ENGRAM_TRY(const std::uint64_t address, address_argument("symbol", arguments[0]));
  return tables::cell(lookup(VirtAddr(address)));
}

Result<Value> address_of(const FunctionContext& context, Arguments arguments) {
  const auto& lookup = context.lookups.address_of;
  ENGRAM_CHECK(require_kernel(context, "address_of", lookup != nullptr));
  if (is_null(arguments[0])) return Null{};
  return tables::cell(lookup(text_of(arguments[0])));
}

Result<Value> read_bytes(const FunctionContext& context, Arguments arguments) {
  const auto& lookup = context.lookups.read;
  ENGRAM_CHECK(require_kernel(context, "read_bytes", lookup != nullptr));
  if (is_null(arguments[0]) || is_null(arguments[1])) return Null{};
  ENGRAM_TRY(const std::uint64_t address, address_argument("read_bytes", arguments[0]));
  ENGRAM_TRY(const auto root, root_argument("read_bytes", arguments, 2));
  if (sqlite3_value_type(arguments[1]) != SQLITE_INTEGER) {
    return fail("read_bytes: expected a number of bytes, got {}", text_of(arguments[1]));
  }
  const std::int64_t count = sqlite3_value_int64(arguments[1]);
  if (count < 0 || count > kReadBytesLimit) {
    return fail("read_bytes: {} bytes wanted, expected 0 to {}", count, kReadBytesLimit);
  }
  auto bytes = lookup(VirtAddr(address), static_cast<std::size_t>(count), root);
  if (!bytes) return null_because(context, "read_bytes", address, bytes.error());
  return Value(std::move(*bytes));
}

Result<Value> file_contents(const FunctionContext& context, Arguments arguments) {
  const auto& lookup = context.lookups.file_contents;
  ENGRAM_CHECK(require_kernel(context, "file_contents", lookup != nullptr));
  if (is_null(arguments[0])) return Null{};
  ENGRAM_TRY(const std::uint64_t inode, address_argument("file_contents", arguments[0]));
  const bool zeros = arguments.size() > 1 && sqlite3_value_int(arguments[1]) != 0;
  auto bytes = lookup(VirtAddr(inode), zeros, kFileContentsLimit);
  if (!bytes) return null_because(context, "file_contents", inode, bytes.error());
  return Value(std::move(*bytes));
}

Result<Value> translate(const FunctionContext& context, Arguments arguments) {
  const auto& lookup = context.lookups.translate;
  ENGRAM_CHECK(require_kernel(context, "translate", lookup != nullptr));
  if (is_null(arguments[0])) return Null{};
  ENGRAM_TRY(const std::uint64_t address, address_argument("translate", arguments[0]));
  ENGRAM_TRY(const auto root, root_argument("translate", arguments, 1));
  const auto physical = lookup(VirtAddr(address), root);
  if (!physical) return null_because(context, "translate", address, physical.error());
  return tables::cell(*physical);
}

std::string bare_hex(std::uint64_t address) {
  return fmt::format("{:016x}", address);
}

/// The second number of "vaddr(0xROOT, 0xADDRESS)".
std::optional<std::uint64_t> parse_vaddr(std::string_view text) {
  std::string lower(trimmed(text));
  for (char& c : lower) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  constexpr std::string_view kHead = "vaddr(";
  std::string_view rest = lower;
  if (!rest.starts_with(kHead) || !rest.ends_with(')')) return std::nullopt;
  rest = rest.substr(kHead.size(), rest.size() - kHead.size() - 1);
  const auto comma = rest.find(',');
  if (comma == std::string_view::npos || !parse_hex(rest.substr(0, comma))) return std::nullopt;
  return parse_hex(rest.substr(comma + 1));
}

Result<Value> raw_vaddr(const FunctionContext&, Arguments arguments) {
  if (sqlite3_value_type(arguments[0]) == SQLITE_INTEGER) {
    return tables::cell(bare_hex(static_cast<std::uint64_t>(sqlite3_value_int64(arguments[0]))));
  }
  if (sqlite3_value_type(arguments[0]) != SQLITE_TEXT) return Null{};
  const std::string_view text = text_of(arguments[0]);
  const auto address = parse_vaddr(text);
  const auto either = address ? address : parse_hex(text);
  if (!either) return Null{};
  return tables::cell(bare_hex(*either));
}

Result<Value> expect(const FunctionContext&, Arguments arguments) {
  if (is_null(arguments[0])) return fail("{}", text_of(arguments[1]));
  return to_value(arguments[0]);
}

struct Entry {
  const char* name;
  int least_arguments;
  int most_arguments;
  bool may_be_hoisted;  ///< SQLite may call it once, before the first row, if its arguments are
                        ///< constant
  Function function;
};

// expect() must fail only where it is reached.
constexpr std::array<Entry, 8> kFunctions{{
    {"addr", 1, 1, true, addr},
    {"symbol", 1, 1, true, symbol},
    {"address_of", 1, 1, true, address_of},
    {"read_bytes", 2, 3, true, read_bytes},
    {"file_contents", 1, 2, true, file_contents},
    {"translate", 1, 2, true, translate},
    {"raw_vaddr", 1, 1, true, raw_vaddr},
    {"expect", 2, 2, false, expect},
}};

constexpr std::array<FunctionDoc, 8> kDocs{{
    {"addr(x)", "the address x as text: 0x and lower-case hexadecimal digits"},
    {"symbol(address)",
     "the kernel symbol that covers an address, as the kernel prints it: name+0x10 [module]; NULL "
     "if "
     "there is none"},
    {"address_of(name)", "the address of a kernel symbol; NULL if there is none of that name"},
    {"read_bytes(address, count [, root])",
     "count bytes (at most 16 MiB) of virtual memory as a blob, through the kernel's page tables "
     "or "
     "those at the physical address root; NULL, and a diagnostics row, if any of them cannot be "
     "read"},
    {"file_contents(inode_address [, zeros])",
     "the file with this struct inode (virtual_address of files, at most 256 MiB) as a blob, out "
     "of the page cache; NULL, and a diagnostics row, if a part of it is not known (file_ranges "
     "says which) unless zeros is 1: then there are zeros in its place"},
    {"translate(address [, root])",
     "the physical address behind a virtual one; NULL, and a diagnostics row, if it is not mapped"},
    {"raw_vaddr(x)",
     "an address as 16 hexadecimal digits without 0x; also of text vaddr(0x..., 0x...)"},
    {"expect(value, message)", "the value; if it is NULL, the query fails with the message"},
}};

template <std::size_t index>
void call(sqlite3_context* context, int count, sqlite3_value** arguments) {
  const auto report = [context](const char* text) { sqlite3_result_error(context, text, -1); };
  const auto body = [&] {
    const auto& work = *static_cast<const FunctionContext*>(sqlite3_user_data(context));
    const auto result =
        kFunctions[index].function(work, Arguments(arguments, static_cast<std::size_t>(count)));
    if (result) {
      set_result(context, *result);
    } else {
      report(result.error().text.c_str());
    }
  };
  without_exceptions(body, report);
}

template <std::size_t index>
int register_one(sqlite3* database, FunctionContext& context) {
  const Entry& entry = kFunctions[index];
  const int flags =
      SQLITE_UTF8 | SQLITE_INNOCUOUS | (entry.may_be_hoisted ? SQLITE_DETERMINISTIC : 0);
  for (int count = entry.least_arguments; count <= entry.most_arguments; ++count) {
    const int result = sqlite3_create_function_v2(database, entry.name, count, flags, &context,
                                                  call<index>, nullptr, nullptr, nullptr);
    if (result != SQLITE_OK) return result;
  }
  return SQLITE_OK;
}

}  // namespace

std::span<const FunctionDoc> function_docs() {
  return kDocs;
}

Result<void> register_functions(sqlite3* database, FunctionContext& context) {
  const auto all = [&]<std::size_t... index>(std::index_sequence<index...>) {
    return ((register_one<index>(database, context) == SQLITE_OK) && ...);
  };
  if (!all(std::make_index_sequence<kFunctions.size()>())) {
    return fail("sql: functions: {}", sqlite3_errmsg(database));
  }
  return {};
}

}  // namespace engram::sql
