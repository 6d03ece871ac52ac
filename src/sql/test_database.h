// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once

// A database of three made-up tables, for tests.

#include <gtest/gtest.h>

#include <array>
#include <span>
#include <stdexcept>
#include <string>
#include <variant>
#include <vector>

#include "sql/database.h"
#include "sql/fakes_test.h"

namespace engram::sql {

using tables::Null;
using tables::Type;
using tables::Value;

inline constexpr std::int64_t kBase = static_cast<std::int64_t>(0xffff888000000000);

inline std::string show(const Value& value) {
  struct Show {
    std::string operator()(Null) const { return "NULL"; }
    std::string operator()(std::int64_t v) const { return std::to_string(v); }
    std::string operator()(double v) const { return fmt::format("{}", v); }
    std::string operator()(const std::string& v) const { return v; }
    std::string operator()(const tables::Blob& v) const {
      return fmt::format("{} bytes", v.size());
    }
  };
  return std::visit(Show{}, value);
}

/// tasks (key virtual_address), files (key task), and plain (no key).
class DatabaseTest : public testing::Test {
 protected:
  DatabaseTest() : session_(make_session()) {
    const std::array<const tables::Table*, 3> all{&tasks_, &files_, &plain_};
    auto made = Database::create(*session_, all, {{}, kViews});
    if (!made) throw std::runtime_error(made.error().text);
    database_ = std::move(*made);
  }

  /// Other tables from now on, without views.
  void use(std::span<const tables::Table* const> all, DatabaseOptions options = {}) {
    options.views = {};
    auto made = Database::create(*session_, all, std::move(options));
    if (!made) throw std::runtime_error(made.error().text);
    database_ = std::move(*made);
  }

  /// The rows as texts, cells separated by '|', or the one text "error: ...".
  std::vector<std::string> rows(std::string_view sql) {
    std::vector<std::string> all;
    std::size_t at = 0;
    while (true) {
      auto query = database_->prepare_next(sql, at);
      if (!query) return {"error: " + query.error().text};
      if (!*query) return all;
      while (true) {
        const auto more = (*query)->step();
        if (!more) return {"error: " + more.error().text};
        if (!*more) break;
        std::string row;
        for (std::size_t i = 0; i < (*query)->columns().size(); ++i) {
          row += (i == 0 ? "" : "|") + show((*query)->value(i));
        }
        all.push_back(row);
      }
    }
  }

  static constexpr std::array<ViewSource, 3> kViews{{
      {"lonely", "-- What is not here.\nCREATE VIEW lonely AS SELECT * FROM sockets;\n"},
      {"lonelier", "CREATE VIEW lonelier AS SELECT * FROM lonely;"},
      {"named",
       "-- SPDX-License-Identifier: Apache-2.0\n-- Tasks\n-- by name.\n-- pid: the number\n"
       "-- comm: the name,\n--   with no end\n"
       "CREATE VIEW named AS SELECT pid, comm, virtual_address AS task FROM tasks;\n"},
  }};

  FakeTable tasks_{"tasks",
                   {{"virtual_address", Type::pointer, "Where it lies.", false, true},
                    {"pid", Type::integer, "Process number."},
                    {"comm", Type::text, "Name."},
                    {"secret", Type::text, "Not in SELECT *.", true},
                    {"load", Type::real, "Share of a CPU."}},
                   {{kBase, std::int64_t{1}, std::string("init"), std::string("s1"), 0.5},
                    {kBase + 64, std::int64_t{2}, std::string("kthreadd"), std::string("s2"), 2.0},
                    {kBase + 128, std::int64_t{3}, std::string("sshd"), std::string("s3"), Null{}},
                    {kBase + 192, std::int64_t{3}, std::string("sshd"), std::string("s4"), 1.0}},
                   100};
  FakeTable files_{"files",
                   {{"task", Type::pointer, "Owner.", false, true},
                    {"fd", Type::integer, "Descriptor."},
                    {"path", Type::text, "Path.", false, true}},
                   {{kBase, std::int64_t{0}, std::string("/dev/console")},
                    {kBase, std::int64_t{1}, std::string("/dev/console")},
                    {kBase + 128, std::int64_t{0}, std::string("/dev/null")},
                    {Null{}, std::int64_t{7}, std::string("orphan")}},
                   1000};
  FakeTable plain_{"plain",
                   {{"pid", Type::integer, "Process number."},
                    {"note", Type::text, "Note."},
                    {"bytes", Type::blob, "Bytes."}},
                   {{std::int64_t{1}, std::string("one"), tables::Blob{}},
                    {std::int64_t{3}, std::string("three"), tables::Blob(3)},
                    {std::int64_t{3}, std::string("three"), tables::Blob(3)},
                    {Null{}, std::string("none"), Null{}}},
                   100};
  std::unique_ptr<kernel::Session> session_;
  std::unique_ptr<Database> database_;
};

}  // namespace engram::sql
