#!/usr/bin/env python3
# SPDX-FileCopyrightText: engram contributors
# SPDX-License-Identifier: Apache-2.0
"""Text of an image that would steer a terminal: names, arguments, messages of a copy of 6.12 are made hostile all over its
memory, and everything that the program prints is looked at.

hostile_test.py PROGRAM FOLDER
"""
import json
import mmap
import os
import pathlib
import pty
import re
import subprocess
import sys
import tempfile
import threading
import unittest

PROGRAM, FOLDER = sys.argv.pop(1), pathlib.Path(sys.argv.pop(1))
SECONDS = 120
# Escape sequences that begin with ESC, CSI of one byte and of UTF-8; BEL, DEL, CR, BS; overrides of direction; no UTF-8.
PIECES = [b"\x1b]0;", b"\xc2\x9b", b"\x7f", b"\xe2\x80\xae", b"\x07", b"\x9b", b"\r", b"\xe2\x81\xa6", b"\x1b[2J", b"\x08", b"\xff"]
# What is made hostile, and a column that shows it: (text in memory, table, column).
TEXTS = [
    ("labtruth", "tasks", "comm"),
    ("lab-abstract-dgram", "sockets", "local_address"),
    ("loopfs", "mounts", "mount_point"),
    ("inner-tmpfs", "mounts", "source"),
    ("veth-a", "interfaces", "name"),
    ("lab alias text", "interfaces", "alias"),
    ("lab-altname", "interfaces", "alternative_names"),
    ("labgroup", "cgroups", "path"),
    ("KMSG-MARKER-FOUR", "dmesg", "message"),
    ("crc32c_generic", "kernel_modules", "name"),
    ("dumplab-guest", "system_info", "hostname"),
    ("SHELL=/bin/sh", "tasks", "environment"),
    ("31337", "tasks", "command_line"),
    ("labapp", "syslog_file", "process"),
    ("partial.bin", "files", "path"),
    ("lab-tracee-run", "tasks", "comm"),
    ("+deb13-amd64", "os_version", "kernel_version"),
]
# What must not come to a terminal: controls but line ends, DEL, C1 as bytes (outside of UTF-8) and as characters, separators,
# marks of direction.
STEERING = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
OWN = "\r\x1b[K"  # erases the line that says what is being done


def hostile(index, length):
    """So many bytes; each text begins with another piece."""
    text = b""
    for piece in (PIECES[index % len(PIECES):] + PIECES) * length:
        if len(text) + len(piece) <= length:
            text += piece
    return text


def steering(output, own=""):
    """What of a terminal's output would steer it."""
    text = re.sub("\r+\n", "\n", output.decode(errors="surrogateescape"))  # lines of CSV end with CR themselves
    if own:
        text = re.sub("\r[^\r\n]* \\.\\.\\. [0-9]+ s", "", text).replace(own, "")
    found = STEERING.search(text) or re.search("[\udc80-\udcff]", text)
    return found and text[max(0, found.start() - 60):found.end() + 20]


def on_terminal(arguments, environment=None, errors_too=False):
    """(exit code, all that came to the terminal)."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen([PROGRAM, *arguments], stdin=subprocess.DEVNULL, stdout=theirs, close_fds=True,
                               stderr=theirs if errors_too else subprocess.DEVNULL,
                               env={**os.environ, "LC_ALL": "C.UTF-8", "TERM": "xterm", **(environment or {})})
    os.close(theirs)
    timer = threading.Timer(SECONDS, process.kill)
    timer.start()
    output = b""
    while True:
        try:
            piece = os.read(ours, 1 << 16)
        except OSError:  # EIO: nobody has the other end
            break
        if not piece:
            break
        output += piece
    timer.cancel()
    os.close(ours)
    return process.wait(), output


class HostileTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.holder = tempfile.TemporaryDirectory(prefix="engram-hostile-")
        cls.addClassCleanup(cls.holder.cleanup)
        cls.folder = pathlib.Path(cls.holder.name)
        cls.image = cls.folder / "dump.raw"
        subprocess.run(["cp", "--sparse=always", FOLDER / "dump.raw", cls.image], check=True)
        cls.found = {}
        with open(cls.image, "r+b") as file, mmap.mmap(file.fileno(), 0) as memory:
            for index, (text, _, _) in enumerate(TEXTS):
                old, new = text.encode(), hostile(index, len(text))
                at = memory.find(old)
                while at >= 0:
                    memory[at:at + len(old)] = new
                    at = memory.find(old, at + len(old))
                cls.found[text] = new
        done = subprocess.run([PROGRAM, "tables", "--format", "json"], capture_output=True, check=True)
        cls.tables = [row["name"] for row in json.loads(done.stdout) if row["name"] != "kallsyms"]

    def run_program(self, *arguments, **options):
        return subprocess.run([PROGRAM, *arguments], capture_output=True, timeout=SECONDS, check=False, **options)

    def answered(self, table):
        """Whether such an image has the table; those of Windows are errors, which end a list of statements."""
        return self.run_program("query", self.image, f"SELECT 1 FROM {table} LIMIT 1").returncode == 0

    def test_json_is_exact(self):
        for text, table, column in TEXTS:
            done = self.run_program("query", self.image, f"SELECT {column} AS c FROM {table}", "--format", "json")
            self.assertEqual(done.returncode, 0, done.stderr)
            values = [row["c"] or "" for row in json.loads(done.stdout.decode("utf-8", errors="strict"))]
            wanted = self.found[text].decode(errors="replace")
            self.assertTrue(any(wanted in value for value in values), f"{table}.{column}: no {wanted!r}")

    def test_csv_is_exact(self):
        done = self.run_program("query", self.image, "SELECT comm FROM tasks", "--format", "csv")
        self.assertIn(self.found["labtruth"], done.stdout)

    def test_no_table_steers_a_terminal(self):
        sql = ";".join(f"SELECT * FROM {table}" for table in self.tables if self.answered(table))
        for kind in ("table", "csv", "json", "jsonl"):
            code, output = on_terminal(["query", self.image, sql, "--format", kind])
            self.assertEqual(code, 0)
            self.assertGreater(len(output), 100_000)
            self.assertIsNone(steering(output), kind)

    def test_no_command_steers_a_terminal(self):
        pid = json.loads(self.run_program("query", self.image, "SELECT pid FROM tasks WHERE pid > 1 AND page_table IS NOT NULL"
                                          " LIMIT 1", "--format", "json").stdout)[0]["pid"]
        for arguments in (["info", self.image], ["query", self.image, ".task_tree"], ["query", self.image, ".system_version"],
                          ["query", self.image, "EXPLAIN QUERY PLAN SELECT comm AS \"\x1b[2J\" FROM tasks"],
                          ["query", self.image, "SELECT 1 AS \"\x1b[2J\u202e\x7f\""], ["tables"],
                          ["read", self.image, "0x1000"],
                          ["query", self.image, f".carve {pid} {self.folder / 'carved'}"],
                          ["dump", self.image, self.folder / "files", "--where", f"path LIKE '%{'_' * 11}'"]):
            _, output = on_terminal(arguments, errors_too=True)
            self.assertTrue(output, arguments)
            self.assertIsNone(steering(output, OWN), arguments)

    def test_no_error_steers_a_terminal(self):
        odd = self.folder / "\x1b]0;x\x07\x7f\u009b\u202e"
        odd.mkdir()
        cut = odd / "cut.raw"
        subprocess.run(["cp", "--sparse=always", self.image, cut], check=True)
        os.truncate(cut, 200 << 20)
        for arguments in (["query", odd / "no-such-file", "SELECT 1"], ["query", odd, "SELECT 1"],
                          ["query", self.image, "SELECT '\x1b[2J' FROM \"\u009b\x7f\u202e\""],
                          ["query", self.image, "SELECT \x1b[2J"], ["query", self.image, "-f", odd / "script"],
                          ["query", self.image, ".\x1b[2J\u202e"], ["query", self.image, "SELECT 1", "--\x1b[2J"],
                          ["query", self.image, "SELECT 1", "--format", "\x1b[2J"], ["\x1b[2J"],
                          ["convert", cut, odd / "no" / "out", "--to", "raw"], ["convert", self.image, cut, "--to", "raw"],
                          ["dump", cut, odd / "no" / "out"], ["info", cut], ["read", cut, "\x1b[2J"],
                          ["query", cut, "SELECT * FROM tasks; SELECT * FROM diagnostics"],
                          ["query", self.image, f".dump {odd / 'no' / 'out'}"]):
            _, output = on_terminal(arguments, errors_too=True)
            self.assertTrue(output, arguments)
            self.assertIsNone(steering(output, OWN), arguments)

    def test_the_pager_gets_no_more(self):
        for pager in ("cat", "cat >&2", "no-such-pager-\x1b[2J"):
            script = self.folder / "script"
            script.write_text("SELECT comm, command_line, environment FROM tasks;\n")
            with open(script, "rb") as file:
                ours, theirs = pty.openpty()
                os.close(ours)
                os.close(theirs)
                done = subprocess.run([PROGRAM, "shell", "--no-config", self.image], stdin=file, capture_output=True,
                                      env={**os.environ, "ENGRAM_PAGER": pager}, timeout=SECONDS, check=False)
            self.assertIsNone(steering(done.stdout), pager)
            self.assertIsNone(steering(done.stderr), pager)


if __name__ == "__main__":
    unittest.main()
