#!/usr/bin/env python3
# SPDX-FileCopyrightText: engram contributors
# SPDX-License-Identifier: Apache-2.0
"""--memory: with little of it the answers are the same, or the error says that it is too little; and no more is taken.

budget_test.py PROGRAM IMAGE
"""
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
import unittest

PROGRAM, IMAGE = sys.argv.pop(1), sys.argv.pop(1)
SMALL = 32  # MB
OWN = 32  # MB that the program may take beside (src/cli/memory_limit.h)
IS_OVER = "out of memory: this takes more than --memory allows"
ROWS = ("(SELECT symbol_name || '-' || n AS text, n FROM kallsyms CROSS JOIN"
        " (SELECT column1 AS n FROM (VALUES (1), (2), (3), (4), (5), (6), (7), (8))))")


class Peak(threading.Thread):
    """The most memory that a process had which is not the image's file, in MB: sampled."""

    def __init__(self, process):
        super().__init__()
        self.process, self.megabytes = process, 0.0
        self.start()

    def run(self):
        try:
            while self.process.poll() is None:
                with open(f"/proc/{self.process.pid}/status", encoding="ascii") as status:
                    kilobytes = [int(line.split()[1]) for line in status if line.startswith("RssAnon:")]
                self.megabytes = max([self.megabytes] + [count / 1024 for count in kilobytes])
                time.sleep(0.002)
        except (OSError, ValueError):
            pass  # it ended between the two looks


def ask(sql, memory, **variables):
    """(exit code, rows, standard error, peak)."""
    command = [PROGRAM, "query", "--no-config", "--no-cache", "--memory", memory, "--format", "jsonl", IMAGE, sql]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=os.environ | variables) as process:
        peak = Peak(process)
        out, err = process.communicate(timeout=300)
        peak.join()
    return process.returncode, out, err.decode(), peak.megabytes


class BudgetTest(unittest.TestCase):
    def assert_within(self, peak):
        self.assertLess(peak, SMALL + OWN)

    def test_every_table_is_the_same(self):
        listed = subprocess.run([PROGRAM, "tables", "--format", "json"], stdout=subprocess.PIPE, check=True)
        compared = 0
        for name in (row["name"] for row in json.loads(listed.stdout)):
            if "diagnostics" in name:
                continue  # which has times
            with self.subTest(name):
                usual, little = ask(f"SELECT * FROM {name}", "1GB"), ask(f"SELECT * FROM {name}", f"{SMALL}MB")
                self.assertEqual(little[:3], usual[:3])
                self.assert_within(little[3])
                compared += usual[0] == 0
        self.assertGreater(compared, 35)

    def test_joins_are_the_same_without_room_for_their_rows(self):
        for sql in ("SELECT count(*) AS n, sum(length(b.symbol_name)) AS size FROM kernel_modules a CROSS JOIN kallsyms b"
                    " WHERE b.module = a.name",
                    "SELECT count(*) AS n FROM files a JOIN task_open_files b ON b.inode = a.inode",
                    "SELECT count(*) AS n FROM kallsyms a JOIN kallsyms b ON b.symbol_name = a.symbol_name",
                    "SELECT count(*) AS n FROM tasks t JOIN files f ON f.uid = t.pid JOIN files g ON g.path = f.path"):
            with self.subTest(sql):
                usual, little = ask(sql, "1GB"), ask(sql, "16MB")
                self.assertEqual((usual[0], little[0]), (0, 0), usual[2] + little[2])
                self.assertEqual(little[1], usual[1])

    def test_large_sorts_go_to_a_file(self):
        for sql in (f"SELECT text FROM {ROWS} ORDER BY text DESC",
                    f"SELECT count(*) AS n FROM (SELECT text, count(*) FROM {ROWS} GROUP BY text)",
                    f"SELECT count(*) AS n FROM (SELECT DISTINCT text FROM {ROWS})"):
            with self.subTest(sql), tempfile.TemporaryDirectory() as folder:
                usual, little = ask(sql, "1GB", TMPDIR=folder), ask(sql, f"{SMALL}MB", TMPDIR=folder)
                self.assertEqual(little[0], 0, little[2])
                self.assertEqual(little[1], usual[1])
                self.assertGreater(len(usual[1]), 8)
                self.assert_within(little[3])
                self.assertEqual(os.listdir(folder), [], "nothing is left behind")

    def test_what_does_not_fit_is_an_error_that_names_the_option(self):
        for sql in (f"SELECT length(json_group_array(text)) FROM {ROWS}",
                    "SELECT length(zeroblob(500000000) || 'x')",
                    f"CREATE TABLE kept AS SELECT * FROM {ROWS}"):
            with self.subTest(sql):
                code, out, err, peak = ask(sql, f"{SMALL}MB")
                self.assertEqual((code, out), (1, b""))
                self.assertIn(IS_OVER, err)
                self.assert_within(peak)

    def test_a_cell_that_no_format_has_room_for_is_an_error(self):
        for form in ("table", "csv", "json", "jsonl"):
            for memory in (16, 24, 32, 48):
                for sql in ("SELECT hex(zeroblob(4000000)) AS x", "SELECT json_group_array(symbol_name) AS x FROM kallsyms"):
                    with self.subTest(sql, form=form, memory=memory):
                        command = [PROGRAM, "query", "--no-config", "--memory", f"{memory}MB", "--format", form, IMAGE, sql]
                        done = subprocess.run(command, capture_output=True, encoding="utf-8", check=False)
                        self.assertIn(done.returncode, (0, 1))
                        if done.returncode == 1:
                            self.assertIn(IS_OVER, done.stderr)

    def test_symbols_that_there_is_no_room_for_are_an_error(self):
        with tempfile.NamedTemporaryFile("w", suffix=".json") as symbols:
            symbols.write('{"x":[' + "[]," * 4_000_000 + "[]]}")
            symbols.flush()
            for memory in (16, 32, 64, 100):
                with self.subTest(memory=memory):
                    command = [PROGRAM, "query", "--no-config", "--memory", f"{memory}MB", "--symbols", symbols.name, IMAGE, "SELECT 1"]
                    done = subprocess.run(command, capture_output=True, encoding="utf-8", check=False)
                    self.assertEqual(done.returncode, 1)
                    self.assertTrue(done.stderr.startswith("engram: "), done.stderr)

    def test_a_shell_goes_on_behind_it(self):
        script = f"SELECT length(json_group_array(text)) FROM {ROWS};\nSELECT 7 AS x;\n"
        done = subprocess.run([PROGRAM, "shell", "--no-config", "--memory", f"{SMALL}MB", "--format", "jsonl", IMAGE],
                              input=script, capture_output=True, encoding="utf-8", check=False)
        self.assertEqual((done.returncode, done.stdout), (1, '{"x":7}\n'))
        self.assertIn(IS_OVER, done.stderr)

    def test_the_settings_have_it_too(self):
        with tempfile.NamedTemporaryFile("w", suffix=".toml") as settings:
            settings.write(f'[database]\nmemory = "{SMALL} MB"\n')
            settings.flush()
            sql = f"SELECT length(json_group_array(text)) AS n FROM {ROWS}"
            command = [PROGRAM, "query", "--config", settings.name, IMAGE, sql]
            little = subprocess.run(command, capture_output=True, encoding="utf-8", check=False)
            self.assertEqual(little.returncode, 1)
            self.assertIn(IS_OVER, little.stderr)
            much = subprocess.run(command + ["--memory", "1GB", "--format", "jsonl"], capture_output=True, encoding="utf-8",
                                  check=False)
            self.assertEqual(much.returncode, 0, much.stderr)
            self.assertGreater(json.loads(much.stdout)["n"], 10_000_000)


if __name__ == "__main__":
    unittest.main()
