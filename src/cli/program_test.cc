// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "base/units.h"
#include "cli/command.h"
#include "cli/commands/command.h"
#include "cli/commands/info.h"
#include "cli/commands/query.h"
#include "cli/commands/shell.h"
#include "cli/commands/tables.h"
#include "cli/input.h"

namespace engram::cli {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::StartsWith;

std::string contents(std::FILE* file) {
  std::rewind(file);
  auto text = read_all(file, "a temporary file");
  return text ? *text : text.error().text;
}

/// Runs the program on an image of zeros, with files in place of its streams.
class ProgramTest : public testing::Test {
 protected:
  ProgramTest() {
    ::setenv("XDG_CONFIG_HOME", "/nonexistent", 1);  // not what the developer has set
    ::setenv("XDG_CACHE_HOME", "/nonexistent", 1);
    std::ofstream(image_) << "";
    std::filesystem::resize_file(image_, 2 * kMiB);
  }
  void TearDown() override { std::filesystem::remove(image_); }

  int run(const std::vector<std::string>& arguments, const std::string& input = "") {
    console_ = {std::tmpfile(), std::tmpfile(), std::tmpfile(), in_is_terminal_, false, false};
    std::fputs(input.c_str(), console_.in);
    std::rewind(console_.in);
    std::vector<const char*> pointers{"engram"};
    for (const auto& argument : arguments) pointers.push_back(argument.c_str());
    const std::array commands{make_query_command(), make_shell_command(), make_info_command(),
                              make_command_command(), make_tables_command()};
    const int code =
        run_program(commands, static_cast<int>(pointers.size()), pointers.data(), console_);
    out_ = contents(console_.out);
    err_ = contents(console_.err);
    for (auto* file : {console_.in, console_.out, console_.err}) std::fclose(file);
    return code;
  }

  bool in_is_terminal_ = false;
  Console console_;
  std::string out_;
  std::string err_;
  const std::string image_ =
      (std::filesystem::temp_directory_path() / ("engram-cli-" + std::to_string(::getpid())))
          .string();
};

TEST(Streams, AnErrorThatNobodyCanBeToldStillIsAnExitCode) {
  std::FILE* const full = std::fopen("/dev/full", "w");
  ASSERT_NE(full, nullptr);
  std::setvbuf(full, nullptr, _IONBF, 0);  // as standard error is
  const Console console{stdin, full, full, false, false, false};
  const std::array commands{make_query_command(), make_tables_command()};
  const auto run = [&](std::vector<const char*> arguments) {
    return run_program(commands, static_cast<int>(arguments.size()), arguments.data(), console);
  };
  EXPECT_EQ(run({"engram", "query", "/nowhere", "SELECT 1"}), kNotAnswered);
  EXPECT_EQ(run({"engram", "nonsense"}), kUsage);
  EXPECT_EQ(run({"engram", "tables"}), kNotAnswered);
  EXPECT_EQ(run({"engram", "--help"}), kNotAnswered);
  std::fclose(full);
}

TEST_F(ProgramTest, VersionAndHelpAreAnswers) {
  EXPECT_EQ(run({"--version"}), kAnswered);
  EXPECT_THAT(out_, StartsWith("engram "));
  EXPECT_EQ(run({"--help"}), kAnswered);
  for (const char* command : {"query", "shell", "command", "info", "tables"}) {
    EXPECT_THAT(out_, HasSubstr(command));
  }
  EXPECT_EQ(run({"query", "--help"}), kAnswered);
  EXPECT_THAT(out_, HasSubstr("--format"));
  EXPECT_EQ(err_, "");
}

TEST_F(ProgramTest, WrongUsageIsOneLineAndCodeTwo) {
  in_is_terminal_ = true;
  const std::vector<std::vector<std::string>> wrong{
      {},
      {"frobnicate"},
      {"query"},
      {"query", image_},
      {"query", image_, "SELECT 1", "--format", "xml"},
      {"query", image_, "SELECT 1", "--file", "x.sql"},
      {"query", image_, "SELECT 1", "more"},
      {"info", image_, "--nothing"},
  };
  for (const auto& arguments : wrong) {
    EXPECT_EQ(run(arguments), kUsage);
    EXPECT_EQ(out_, "");
    EXPECT_THAT(err_, StartsWith("engram: "));
    EXPECT_EQ(std::count(err_.begin(), err_.end(), '\n'), 1) << err_;
  }
}

TEST_F(ProgramTest, QueryTakesSqlFromThreePlaces) {
  EXPECT_EQ(run({"query", image_, "SELECT 1 AS x"}), kAnswered);
  EXPECT_EQ(out_, "x\n-\n1\n");
  EXPECT_EQ(run({"query", image_, "-", "--format", "csv"}, "SELECT 2 AS x;\nSELECT 3 AS y"),
            kAnswered);
  EXPECT_EQ(out_, "x\r\n2\r\n\r\ny\r\n3\r\n");
  EXPECT_EQ(run({"query", image_}, "SELECT 4 AS x"), kAnswered);
  EXPECT_EQ(out_, "x\n-\n4\n");
  const std::string file = image_ + ".sql";
  std::ofstream(file) << "-- from a file\nSELECT 5 AS x;";
  EXPECT_EQ(run({"query", image_, "--file", file, "--format", "jsonl"}), kAnswered);
  EXPECT_EQ(out_, "{\"x\":5}\n");
  std::filesystem::remove(file);
  EXPECT_EQ(run({"query", image_, "--file", file}), kNotAnswered);
  EXPECT_THAT(err_, HasSubstr(file + ": No such file or directory"));
}

TEST_F(ProgramTest, AQueryHasATimeLimitIfOneIsGiven) {
  const std::string endless =
      "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n";
  EXPECT_EQ(run({"query", image_, "SELECT 1 AS x; " + endless, "--timeout", "0.05"}), kNotAnswered);
  EXPECT_EQ(out_, "x\n-\n1\n");
  EXPECT_EQ(err_, "engram: not answered within 0.05 s\n");
  EXPECT_EQ(run({"query", image_, "SELECT 1 AS x", "--timeout", "100"}), kAnswered);
  EXPECT_EQ(run({"query", image_, "SELECT 1 AS x", "--timeout", "-1"}), kUsage);
}

TEST_F(ProgramTest, StrictIsAnErrorWhereElseIsAWarning) {
  EXPECT_EQ(run({"query", image_, "SELECT 1 AS x", "--strict"}), kAnswered);
  // A LiME range of 64 KiB in a file that ends before.
  std::array<std::uint64_t, 4> header{0x1'4C69'4D45, 0, 0xFFFF, 0};
  std::ofstream(image_).write(reinterpret_cast<const char*>(header.data()), sizeof header);
  std::filesystem::resize_file(image_, 0x2000);
  EXPECT_EQ(run({"query", image_, "SELECT 1 AS x"}), kAnswered);
  EXPECT_THAT(err_, HasSubstr("warning"));
  EXPECT_EQ(run({"query", image_, "SELECT 1 AS x", "--strict"}), kNotAnswered);
  EXPECT_EQ(out_, "x\n-\n1\n") << "the answer is there all the same";
  EXPECT_THAT(err_, HasSubstr("engram: --strict: "));
}

TEST_F(ProgramTest, WhatCannotBeAnsweredIsCodeOneAndSaysWhy) {
  EXPECT_EQ(run({"query", "/nonexistent/image", "SELECT 1"}), kNotAnswered);
  EXPECT_THAT(err_, HasSubstr("/nonexistent/image"));
  EXPECT_EQ(run({"query", image_, "SELECT 1 AS x;\nSELECT y"}), kNotAnswered);
  EXPECT_EQ(out_, "x\n-\n1\n") << "what was answered before";
  EXPECT_THAT(err_, StartsWith("engram: " + image_ + ": line 2, column 8: no such column: y"));
}

TEST_F(ProgramTest, AQueryThatNeedsAKernelFailsWithoutOne) {
  for (const char* sql :
       {"SELECT * FROM tasks", "SELECT symbol(1)", "SELECT count(*) FROM kallsyms"}) {
    EXPECT_EQ(run({"query", image_, sql}), kNotAnswered) << sql;
    EXPECT_EQ(out_, "") << sql;
    EXPECT_THAT(err_, HasSubstr("kernel")) << sql;
  }
}

TEST_F(ProgramTest, InfoSaysWhatTheImageIsEvenWithoutAKernel) {
  EXPECT_EQ(run({"info", image_}), kAnswered) << err_;
  EXPECT_THAT(out_, HasSubstr("format"));
  EXPECT_THAT(out_, HasSubstr("raw"));
  EXPECT_THAT(out_, HasSubstr("2097152"));
  EXPECT_EQ(run({"info", image_, "--format", "jsonl"}), kAnswered);
  EXPECT_THAT(out_, StartsWith("{\"path\":"));
}

TEST_F(ProgramTest, TablesListsAndDocuments) {
  EXPECT_EQ(run({"tables"}), kAnswered);
  EXPECT_THAT(out_, HasSubstr("\nimage_info"));
  EXPECT_EQ(run({"tables", "--markdown"}), kAnswered);
  EXPECT_THAT(out_, HasSubstr("\n## image_info\n"));
  EXPECT_THAT(out_, HasSubstr("| `read_bytes(address, count [, root])` |"));
}

TEST_F(ProgramTest, TheShellRunsAScript) {
  EXPECT_EQ(run({"shell", image_},
                "SELECT 1 AS a,\n  2 AS b;\n.mode jsonl\n\nSELECT ';' AS c; SELECT 3 AS d;\n"
                "CREATE TEMP VIEW v AS SELECT 4 AS e;\nSELECT * FROM v"),
            kAnswered)
      << err_;
  EXPECT_EQ(out_, "a  b\n-  -\n1  2\n{\"c\":\";\"}\n{\"d\":3}\n{\"e\":4}\n");
  EXPECT_EQ(err_, "");
}

TEST_F(ProgramTest, AScriptGoesOnAfterAnErrorAndFails) {
  EXPECT_EQ(run({"shell", image_, "--format", "csv"}, ".nothing\nSELECT x;\nSELECT 1 AS y;\n"),
            kNotAnswered);
  EXPECT_EQ(out_, "y\r\n1\r\n");
  EXPECT_EQ(std::count(err_.begin(), err_.end(), '\n'), 4) << err_;
}

TEST_F(ProgramTest, ExitLeavesTheScript) {
  EXPECT_EQ(run({"shell", image_}, ".exit\nSELECT x;\n"), kAnswered);
  EXPECT_THAT(out_ + err_, IsEmpty());
}

TEST_F(ProgramTest, DotCommandsShowTheSchema) {
  EXPECT_EQ(run({"shell", image_}, ".tables\n"), kAnswered);
  EXPECT_THAT("\n" + out_, HasSubstr("\ntasks\n"));
  EXPECT_EQ(run({"shell", image_}, ".schema image_ranges\n"), kAnswered);
  EXPECT_THAT(out_, HasSubstr("CREATE TABLE image_ranges ("));
  EXPECT_EQ(run({"shell", image_}, ".schema image_rangers\n"), kNotAnswered);
  EXPECT_EQ(run({"shell", image_}, ".help\n"), kAnswered);
  EXPECT_THAT(out_, HasSubstr(".schema [NAME]"));
}

TEST_F(ProgramTest, DotCommandsAreRunWithoutAShell) {
  EXPECT_EQ(run({"command", image_}), kAnswered);
  EXPECT_THAT(out_, HasSubstr("\n  .schema [NAME]"));
  EXPECT_EQ(run({"command", image_, ".SCHEMA 'image_ranges'"}), kAnswered);
  EXPECT_THAT(out_, StartsWith("-- "));
  EXPECT_EQ(run({"query", image_, " .tables"}), kAnswered);
  EXPECT_THAT("\n" + out_, HasSubstr("\ntasks\n"));
  EXPECT_EQ(run({"command", image_, ".schema --help"}), kAnswered);
  EXPECT_THAT(out_, HasSubstr("NAME"));
}

TEST_F(ProgramTest, AWrongDotCommandIsWrongUsage) {
  for (const char* line : {"", ".nothing", ".tables x", ".schema a b", ".schema 'a", ".exit",
                           ".mode csv", ".schema --nothing", "SELECT 1"}) {
    EXPECT_EQ(run({"command", image_, line}), kUsage) << line;
    EXPECT_EQ(out_, "") << line;
    EXPECT_EQ(std::count(err_.begin(), err_.end(), '\n'), 1) << err_;
  }
  EXPECT_EQ(run({"command", image_, ".schema nothing"}), kNotAnswered);
  EXPECT_EQ(run({"command", image_, ".system_version"}), kNotAnswered);
  EXPECT_THAT(err_, HasSubstr("kernel"));
}

/// Settings in a folder of their own.
class ConfigTest : public ProgramTest {
 protected:
  ConfigTest() { fs::create_directories(folder_); }
  void TearDown() override {
    fs::remove_all(folder_);
    ProgramTest::TearDown();
  }
  std::string write(const std::string& name, std::string_view text) {
    const fs::path path = folder_ / name;
    fs::create_directories(path.parent_path());
    std::ofstream(path) << text;
    return path.string();
  }
  const fs::path folder_ = fs::path(image_ + ".config") / "engram";
};

TEST_F(ConfigTest, TheUsersOwnFileIsReadUnlessItIsNotWanted) {
  ::setenv("XDG_CONFIG_HOME", folder_.parent_path().c_str(), 1);
  write("config.toml", "[output]\nformat = \"jsonl\"\n");
  EXPECT_EQ(run({"query", image_, "SELECT 1 AS x"}), kAnswered) << err_;
  EXPECT_EQ(out_, "{\"x\":1}\n");
  EXPECT_EQ(run({"query", image_, "SELECT 1 AS x", "--format", "csv"}), kAnswered);
  EXPECT_EQ(out_, "x\r\n1\r\n") << "what is said goes before what is set";
  EXPECT_EQ(run({"query", image_, "SELECT 1 AS x", "--no-config"}), kAnswered);
  EXPECT_EQ(out_, "x\n-\n1\n");
  EXPECT_EQ(run({"shell", image_}, "SELECT 1 AS x;\n"), kAnswered);
  EXPECT_EQ(out_, "{\"x\":1}\n");
  const std::string other = write("other.toml", "output.format = 'csv'\n");
  EXPECT_EQ(run({"query", image_, "SELECT 1 AS x", "--config", other}), kAnswered) << err_;
  EXPECT_EQ(out_, "x\r\n1\r\n");
  ::setenv("XDG_CONFIG_HOME", "/nonexistent", 1);
}

TEST_F(ConfigTest, AWrongFileIsAnErrorThatSaysWhere) {
  const std::vector<std::pair<std::string, std::string>> wrong{
      {"[output]\n\nfromat = 'csv'\n", ":3: no such key: fromat (expected: format)"},
      {"[output]\nformat = 'xml'\n", ":2: format: expected \"table\""},
      {"[output]\nformat = 1\n", ":2: format: expected"},
      {"\n[screen]\n", ":2: no such section: screen (expected: output, database, shell, cache)"},
      {"output = 1\n", ":1: no such section: output"},
      {"[database]\ndiagnostics_max_entries = 0\n",
       ":2: diagnostics_max_entries: expected a number"},
      {"[database]\nmemory = 'much'\n", ":2: memory: expected a size"},
      {"[database]\nmemory = '1MB'\n", ":2: memory: expected a size"},
      {"[database]\nmemory = 1\n", ":2: memory: expected a size"},
      {"[shell]\nhistory = 'here'\n", ":2: history: expected the absolute path"},
      {"[cache]\nenabled = 'no'\n", ":2: enabled: expected true or false"},
      {"[output\n", ":1: "},
  };
  for (const auto& [text, expected] : wrong) {
    const std::string path = write("config.toml", text);
    EXPECT_EQ(run({"query", image_, "SELECT 1", "--config", path}), kNotAnswered) << text;
    EXPECT_THAT(err_, HasSubstr(path + expected)) << text;
    EXPECT_EQ(out_, "");
  }
  EXPECT_EQ(run({"query", image_, "SELECT 1", "--config", "/nonexistent"}), kNotAnswered);
  EXPECT_EQ(run({"query", image_, "SELECT 1", "--config", "x", "--no-config"}), kUsage);
}

TEST_F(ConfigTest, MemoryIsASizeThatIsNotTooSmall) {
  const std::string path = write("config.toml", "[database]\nmemory = \"2 GiB\"\n");
  EXPECT_EQ(run({"query", image_, "SELECT 1", "--config", path}), kAnswered) << err_;
  EXPECT_EQ(run({"query", image_, "SELECT 1", "--memory", "3gb", "--config", path}), kAnswered);
  for (const char* wrong : {"1MB", "0", "-1", "much", "", "16000000"}) {
    EXPECT_EQ(run({"query", image_, "SELECT 1", "--memory", wrong}), kUsage) << wrong;
    EXPECT_THAT(err_, HasSubstr("--memory")) << wrong;
  }
}

TEST_F(ConfigTest, AutostartFilesAreRunInOrder) {
  write("auto/linux/common/b.sql", "CREATE VIEW third AS SELECT x + 1 AS x FROM second;");
  write("auto/common/intel/c.sql", "CREATE VIEW second AS SELECT x + 1 AS x FROM first; SELECT 5;");
  write("auto/common/common/z.sql", "-- the first\nCREATE VIEW first AS SELECT 1 AS x;");
  write("auto/common/common/z.txt", "this is no SQL");
  const std::string folder = (folder_ / "auto").string();
  EXPECT_EQ(run({"query", image_, "SELECT x FROM third", "--autostart", folder}), kAnswered)
      << err_;
  EXPECT_EQ(out_ + err_, "x\n-\n3\n");
  EXPECT_EQ(run({"command", image_, ".schema third", "--autostart", folder}), kAnswered) << err_;
  EXPECT_EQ(run({"shell", image_, "--autostart", folder}, "SELECT x FROM third;\n"), kAnswered);
  EXPECT_EQ(out_, "x\n-\n3\n");
  EXPECT_EQ(run({"query", image_, "SELECT x FROM third"}), kNotAnswered);
  EXPECT_EQ(run({"query", image_, "SELECT 1", "--autostart", "/nonexistent"}), kUsage);
}

TEST_F(ConfigTest, AnOptionMayStandInFrontOfImageAndSql) {
  write("auto/common/common/a.sql", "CREATE VIEW one AS SELECT 1 AS x;");
  const std::string folder = (folder_ / "auto").string();
  EXPECT_EQ(run({"query", "--autostart", folder, image_, "SELECT x FROM one"}), kAnswered) << err_;
  EXPECT_EQ(run({"query", image_, "--autostart", folder, "SELECT x FROM one"}), kAnswered) << err_;
  EXPECT_EQ(run({"query", image_, "--with", "/nonexistent", "SELECT 1"}), kNotAnswered);
  EXPECT_THAT(err_, HasSubstr("/nonexistent"));
}

TEST_F(ConfigTest, NothingIsNoAnswer) {
  for (const char* sql : {" ", "-- SELECT 1", "/* SELECT 1", ";"}) {
    EXPECT_EQ(run({"query", image_, sql}), kUsage) << sql;
    EXPECT_THAT(err_, HasSubstr("no statement")) << sql;
  }
  EXPECT_EQ(run({"query", image_, "--ranges", "", "SELECT 1"}), kUsage);
  for (const char* seconds : {"nan", "-1", "inf", "1e7", "soon", ""}) {
    EXPECT_EQ(run({"query", image_, "SELECT 1", "--timeout", seconds}), kUsage) << seconds;
  }
}

TEST_F(ConfigTest, AFileOfHolesIsNotSearchedPageByPage) {
  std::filesystem::resize_file(image_, std::uint64_t{4} << 40U);  // a minute for each 100 GiB
  EXPECT_EQ(run({"query", image_, "SELECT count(*) FROM tasks", "--timeout", "30"}), kNotAnswered);
  EXPECT_THAT(err_, HasSubstr("no Linux kernel found"));
}

TEST_F(ConfigTest, AnAutostartFileThatFailsIsAWarningWithItsLine) {
  const std::string wrong =
      write("auto/common/common/a.sql", "CREATE VIEW good AS SELECT 7 AS x;\n\nSELECT y;\n");
  const std::string file = write("auto/common/common/b.sql", "ATTACH '/tmp/x' AS y;");
  const std::string folder = (folder_ / "auto").string();
  EXPECT_EQ(run({"query", image_, "SELECT x FROM good", "--autostart", folder}), kAnswered);
  EXPECT_EQ(out_, "x\n-\n7\n");
  EXPECT_THAT(err_, HasSubstr(wrong + ":3: no such column: y"));
  EXPECT_THAT(err_, HasSubstr(file + ":1: "));
}

TEST_F(ProgramTest, AnErrorIsOneLineWhateverItContains) {
  EXPECT_EQ(run({"query", image_, "SELECT expect(NULL, 'a' || char(10, 27) || '[31mb')"}),
            kNotAnswered);
  EXPECT_THAT(err_, HasSubstr("a\\n\\x1b[31mb\n"));
}

}  // namespace
}  // namespace engram::cli
