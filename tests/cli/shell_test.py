#!/usr/bin/env python3
# SPDX-FileCopyrightText: engram contributors
# SPDX-License-Identifier: Apache-2.0
"""Drives the shell and the query command at a pseudo-terminal, as a person would.

usage: shell_test.py PROGRAM
"""
import os
import pathlib
import pty
import re
import select
import signal
import subprocess
import sys
import tempfile
import termios
import time
import unittest

PROGRAM = sys.argv.pop(1) if len(sys.argv) > 1 else "engram"
PROMPT = "engram> "
MORE = "   ...> "
ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n"
SECONDS = 20


class Terminal:
    """A process whose three streams are a terminal of 80 columns."""

    def __init__(self, arguments, environment):
        self.text = ""
        self.status = None
        self.child, self.descriptor = pty.fork()
        if self.child == 0:
            os.environ.update(environment)
            os.execv(PROGRAM, [PROGRAM, *arguments])

    def send(self, text):
        os.write(self.descriptor, text.encode())

    def expect(self, pattern):
        """Waits until what came since the last call matches; returns what came before and with it."""
        deadline = time.monotonic() + SECONDS
        while not (found := re.search(pattern, self.text)):
            ready, _, _ = select.select([self.descriptor], [], [], max(0, deadline - time.monotonic()))
            if not ready:
                raise AssertionError(f"no {pattern!r} in {self.text!r}")
            try:
                data = os.read(self.descriptor, 4096)
            except OSError:  # EIO: the other end is closed
                data = b""
            if not data:
                raise AssertionError(f"the process ended without {pattern!r}: {self.text!r}")
            self.text += data.decode(errors="replace")
        before = self.text[: found.end()]
        self.text = self.text[found.end():]
        return before

    def prompt(self, text=PROMPT):
        """Waits until the line editor reads keys: it shows its prompt before it takes the terminal over."""
        before = self.expect(re.escape(text))
        deadline = time.monotonic() + SECONDS
        while termios.tcgetattr(self.descriptor)[3] & termios.ICANON:
            if time.monotonic() > deadline:
                raise AssertionError("the line editor does not begin")
            time.sleep(0.01)
        return before

    def wait(self):
        """The exit code, or minus the signal's number."""
        deadline = time.monotonic() + SECONDS
        while time.monotonic() < deadline:
            ready, _, _ = select.select([self.descriptor], [], [], 0.05)
            if ready:
                try:
                    self.text += os.read(self.descriptor, 4096).decode(errors="replace")
                except OSError:
                    pass
            process, status = os.waitpid(self.child, os.WNOHANG)
            if process:
                self.status = os.waitstatus_to_exitcode(status)
                return self.status
        raise AssertionError(f"the process does not end: {self.text!r}")

    def close(self):
        if self.status is None:
            os.kill(self.child, signal.SIGKILL)
            os.waitpid(self.child, 0)
        os.close(self.descriptor)


class TerminalTest(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.image = os.path.join(self.folder.name, "image")
        with open(self.image, "wb") as file:
            file.truncate(2 << 20)
        self.state = os.path.join(self.folder.name, "state")
        self.environment = {"TERM": "xterm", "LC_ALL": "C.UTF-8", "HOME": self.folder.name,
                            "XDG_STATE_HOME": self.state, "XDG_CONFIG_HOME": os.path.join(self.folder.name, "config"),
                            "ENGRAM_PAGER": ""}

    def start(self, *arguments):
        terminal = Terminal(arguments, self.environment)
        self.addCleanup(terminal.close)
        return terminal

    def shell(self):
        terminal = self.start("shell", self.image)
        terminal.prompt()
        return terminal

    def test_statement_over_several_lines(self):
        shell = self.shell()
        shell.send("SELECT 40 +\n")
        shell.prompt(MORE)
        shell.send("2 AS answer;\n")
        self.assertRegex(shell.prompt(), r"answer\r\n-+\r\n +42\r\n")

    def test_control_d_leaves(self):
        shell = self.shell()
        shell.send("\x04")
        self.assertEqual(shell.wait(), 0)

    def test_an_error_does_not_leave(self):
        shell = self.shell()
        shell.send("SELECT x;\n")
        self.assertIn("no such column: x", shell.prompt())
        shell.send(".quit\n")
        self.assertEqual(shell.wait(), 0)

    def test_control_c_clears_the_line(self):
        shell = self.shell()
        shell.send("SELECT nonsense")
        shell.expect("nonsense")
        shell.send("\x03")
        shell.prompt()
        shell.send("SELECT 'fresh' AS line;\n")
        self.assertRegex(shell.prompt(), r"line\r\n-+\r\nfresh\r\n")

    def test_control_c_clears_the_lines_before(self):
        shell = self.shell()
        shell.send("SELECT\n")
        shell.prompt(MORE)
        shell.send("\x03")
        shell.prompt()

    def test_control_c_stops_the_statement_and_not_the_shell(self):
        shell = self.shell()
        for _ in range(2):
            shell.send(ENDLESS + ";\n")
            time.sleep(0.7)
            shell.send("\x03")
            self.assertIn("interrupted", shell.prompt())
        shell.send("SELECT 'alive' AS it;\n")
        self.assertIn("alive\r\n", shell.expect(r"-\r\nalive\r\n"))

    def test_completion(self):
        shell = self.shell()
        shell.send("SELECT 7 AS n FROM image_ra\t;\n")
        shell.expect(r"n\r\n-\r\n7\r\n")
        shell.send(".sch\t image_info\n")
        self.assertIn("CREATE TABLE image_info", shell.expect(r"\);\r\n"))

    def test_completion_lists_what_is_ambiguous(self):
        shell = self.shell()
        shell.send("SELECT * FROM image_\t")
        shell.expect("image_header  image_info  image_ranges")
        shell.send("\x03")
        shell.prompt()

    def test_history_is_kept_and_private(self):
        shell = self.shell()
        shell.send("SELECT 'once' AS word;\n")
        shell.prompt()
        shell.send("\x04")
        self.assertEqual(shell.wait(), 0)
        path = pathlib.Path(self.state, "engram", "history")
        self.assertEqual(path.stat().st_mode & 0o077, 0)
        self.assertEqual(path.parent.stat().st_mode & 0o077, 0)
        again = self.shell()
        again.send("\x1b[A\n")  # the Up key
        self.assertRegex(again.prompt(), r"word\r\n-+\r\nonce\r\n")

    def test_without_a_home(self):
        self.environment.update({"HOME": "", "XDG_STATE_HOME": ""})
        shell = self.shell()
        shell.send("\x04")
        self.assertEqual(shell.wait(), 0)

    def test_what_is_longer_than_the_screen_goes_through_the_pager(self):
        seen = os.path.join(self.folder.name, "seen")
        self.environment["ENGRAM_PAGER"] = f"head -n 2 > {seen}"
        shell = self.shell()
        shell.send("SELECT 'short' AS t;\n")
        self.assertIn("short\r\n", shell.prompt())
        self.assertFalse(os.path.exists(seen))
        long = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 200000) SELECT i FROM n;\n"
        shell.send(long)  # the pager leaves long before the end
        self.assertNotIn("engram:", shell.prompt())
        with open(seen, encoding="ascii") as file:
            self.assertRegex(file.read(), r"^ *i\n-+\n$")
        shell.send(".pager no-such-pager\n")
        shell.prompt()
        shell.send(long)
        self.assertIn("no-such-pager: the pager could not be run, and the result was not shown", shell.prompt())
        shell.send(".pager off\n")
        shell.prompt()
        shell.send("SELECT 'row ' || value AS t FROM json_each('[" + "1," * 60 + "2]');\n")
        self.assertEqual(shell.prompt().count("row 1\r\n"), 60)

    def test_text_that_is_not_ascii(self):
        shell = self.shell()
        shell.send("SELECT 'é漢' AS t;\n")
        self.assertIn("é漢", shell.expect(r"-\r\né漢\r\n"))

    def test_nothing_hostile_reaches_the_terminal(self):
        terminal = self.start("query", self.image, "SELECT char(27) || ']0;title' || char(7) AS t")
        self.assertEqual(terminal.wait(), 0)
        self.assertIn("\\x1b]0;title\\x07", terminal.text)
        self.assertNotIn("\x1b", terminal.text)

    def test_control_c_ends_a_query(self):
        terminal = self.start("query", self.image, ENDLESS)
        terminal.expect(r"reading the image \.\.\. ")
        terminal.send("\x03")
        self.assertEqual(terminal.wait(), 130)
        self.assertIn("interrupted", terminal.text)

    def test_long_texts_are_cut_to_the_terminal(self):
        terminal = self.start("query", self.image, "SELECT printf('%.*c', 500, 'x') AS t")
        self.assertEqual(terminal.wait(), 0)
        for line in terminal.text.split("\r\n"):
            self.assertLessEqual(len(line), 80)

    def test_no_progress_and_no_prompt_where_there_is_no_terminal(self):
        done = subprocess.run([PROGRAM, "shell", self.image], input=b"SELECT 1 AS x;\n", timeout=SECONDS,
                              capture_output=True, check=True)
        self.assertEqual((done.stdout, done.stderr), (b"x\n-\n1\n", b""))

    def test_a_reader_that_goes_away_is_no_error(self):
        sql = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n"
        query = subprocess.Popen([PROGRAM, "query", self.image, sql, "--format", "jsonl"],
                                 stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.assertEqual(query.stdout.readline(), b'{"i":1}\n')
        query.stdout.close()
        self.assertEqual(query.wait(SECONDS), -signal.SIGPIPE)
        self.assertEqual(query.stderr.read(), b"")
        query.stderr.close()

    def test_a_full_disk_is_an_error(self):
        with open("/dev/full", "wb") as full:
            done = subprocess.run([PROGRAM, "query", self.image, "SELECT 1"], stdout=full,
                                  stderr=subprocess.PIPE, timeout=SECONDS, check=False)
        self.assertEqual(done.returncode, 1)
        self.assertEqual(done.stderr, b"engram: standard output: No space left on device\n")


class ScriptTest(unittest.TestCase):
    """The shell with lines that come from a file."""

    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.path("image").write_bytes(bytes(2 << 20))

    def path(self, name):
        return pathlib.Path(self.folder.name, name)

    def run_lines(self, *lines):
        return subprocess.run([PROGRAM, "shell", "--no-config", self.path("image")], input="\n".join(lines), timeout=SECONDS,
                              capture_output=True, check=False, encoding="utf-8")

    def test_once_is_for_one_result(self):
        done = self.run_lines(f".once {self.path('one')}", ".mode jsonl", "SELECT 1 AS x;", "SELECT 2 AS x;")
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, '{"x":2}\n', ""))
        self.assertEqual(self.path("one").read_text(encoding="ascii"), '{"x":1}\n')

    def test_output_is_for_all_until_it_ends(self):
        done = self.run_lines(f".output {self.path('all')}", "SELECT 1 AS x;", ".system_version --help", ".output",
                              "SELECT 2 AS x;")
        self.assertEqual((done.returncode, done.stdout), (0, "x\n-\n2\n"))
        self.assertIn("x\n-\n1\n", self.path("all").read_text(encoding="ascii"))
        self.assertIn("--help", self.path("all").read_text(encoding="ascii"))

    def test_no_file_is_written_over(self):
        for command in (".once", ".output"):
            self.path("mine").write_text("precious", encoding="ascii")
            done = self.run_lines(f"{command} {self.path('mine')}", "SELECT 1;")
            self.assertEqual((done.returncode, done.stderr), (1, f"engram: {self.path('mine')}: File exists\n"))
            self.assertEqual(self.path("mine").read_text(encoding="ascii"), "precious")

    def test_a_result_that_failed_leaves_no_file(self):
        done = self.run_lines(f".once {self.path('bad')}", "SELECT 1 AS x UNION ALL SELECT expect(NULL, 'no');")
        self.assertEqual(done.returncode, 1)
        self.assertFalse(self.path("bad").exists())

    def test_read_runs_lines_and_names_the_file_in_errors(self):
        self.path("script").write_text("SELECT 1 AS\n x;\nSELECT absent;\nSELECT 3 AS z", encoding="ascii")
        done = self.run_lines(f".read {self.path('script')}", "SELECT 4 AS w;")
        self.assertEqual((done.returncode, done.stdout), (1, "x\n-\n1\nz\n-\n3\nw\n-\n4\n"))
        self.assertIn(f"{self.path('script')}: line 1, column 8: no such column: absent", done.stderr)
        self.assertIn("  SELECT absent;\n         ^\n", done.stderr)

    def test_a_script_that_reads_itself_ends(self):
        self.path("loop").write_text(f".read {self.path('loop')}\n", encoding="ascii")
        done = self.run_lines(f".read {self.path('loop')}", "SELECT 1 AS x;")
        self.assertEqual((done.returncode, done.stdout), (1, "x\n-\n1\n"))
        self.assertIn("too deep", done.stderr)

    def test_times_are_not_part_of_the_result(self):
        done = self.run_lines(".timer on", "SELECT 1 AS x;", ".timer off", "SELECT 2 AS x;")
        self.assertEqual(done.stdout, "x\n-\n1\nx\n-\n2\n")
        self.assertRegex(done.stderr, r"^-- \d+\.\d ms, \d+\.\d ms of processors\n$")

    def test_the_mark_of_an_error_stands_below_it(self):
        sql = "SELECT 'é漢', " + "1 + " * 100 + "wrong FROM image_info"
        done = subprocess.run([PROGRAM, "query", self.path("image"), sql], capture_output=True, encoding="utf-8",
                              timeout=SECONDS, check=False)
        error, line, mark = done.stderr.splitlines()
        self.assertIn("no such column: wrong", error)
        self.assertEqual(line[mark.index("^"):][:5], "wrong")
        self.assertLess(len(line), 100)


if __name__ == "__main__":
    unittest.main()
