#!/usr/bin/env python3
# SPDX-FileCopyrightText: engram contributors
# SPDX-License-Identifier: Apache-2.0
"""engram dump, and .dump in the shell, on a dump of 6.12.

dump_test.py PROGRAM IMAGE
"""
import json
import pathlib
import subprocess
import sys
import tempfile
import unittest

PROGRAM, IMAGE = sys.argv.pop(1), sys.argv.pop(1)


def engram(*arguments, text=""):
    return subprocess.run([PROGRAM, *arguments], input=text, capture_output=True, encoding="utf-8", check=False,
                          timeout=60)


class DumpTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.out = self.folder / "out"

    def manifest(self, out=None):
        return [json.loads(line) for line in ((out or self.out) / "manifest.jsonl").read_text("utf-8").splitlines()]

    def test_where_chooses_by_path(self):
        done = engram("dump", IMAGE, self.out, "--where", "path LIKE '/etc/%'")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        rows = self.manifest()
        self.assertTrue(rows and all(row["path"].startswith("/etc/") for row in rows))
        self.assertEqual(done.stdout.split(",")[0], f"{len(rows)} files")
        self.assertIn("labsalt", (self.out / "files/etc/shadow").read_text())

    def test_where_chooses_by_process(self):
        self.assertEqual(engram("dump", IMAGE, self.out, "--where", "tgid = 1").returncode, 0)
        self.assertIn("/bin/busybox", {row["path"] for row in self.manifest()})

    def test_what_is_missing_is_a_hole_and_is_said(self):
        done = engram("dump", IMAGE, self.out, "--where", "path = '/var/lib/lab/partial.bin'")
        self.assertEqual(done.returncode, 0)
        row, = self.manifest()
        self.assertEqual((row["size"], row["complete"], row["sha256"]), (8388608, 0, None))
        self.assertTrue(row["missing"].startswith("0-409600 absent, "))
        written = self.out / row["file"]
        self.assertEqual(written.stat().st_size, 8388608)
        self.assertLess(written.stat().st_blocks * 512, 1 << 20)

    def test_only_the_owner_may_read(self):
        engram("dump", IMAGE, self.out, "--where", "path = '/etc/shadow'")
        for path in [self.out, *self.out.rglob("*")]:
            self.assertEqual(path.stat().st_mode & 0o077, 0, path)

    def test_nothing_is_overwritten(self):
        engram("dump", IMAGE, self.out, "--where", "path = '/etc/passwd'")
        before = {path: path.read_bytes() for path in self.out.rglob("*") if path.is_file()}
        done = engram("dump", IMAGE, self.out)
        self.assertEqual(done.returncode, 1)
        self.assertIn("manifest.jsonl: File exists", done.stderr)
        self.assertEqual({path: path.read_bytes() for path in self.out.rglob("*") if path.is_file()}, before)

    def test_wrong_sql_writes_nothing(self):
        for where in ("no_such_column = 1", "1; SELECT 1", "path LIKE", "1 LIMIT 1"):
            done = engram("dump", IMAGE, self.out, "--where", where)
            self.assertEqual(done.returncode, 1, where)
            self.assertRegex(done.stderr, "^engram: ")
            self.assertFalse(self.out.exists())

    def test_shell(self):
        first, second = self.folder / "with blank", self.folder / "two"
        done = engram("shell", IMAGE, text=f".dump \"{first}\" --where \"path = '/etc/hosts'\"\n"
                                           f".dump {second} --where \"size < 20 AND path LIKE '/etc/%'\"\n")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertEqual(done.stdout.splitlines()[0], "1 file, 1 of them complete, 46 bytes")
        self.assertEqual((first / "files/etc/hosts").stat().st_size, 46)
        self.assertIn("/etc/hostname", {row["path"] for row in self.manifest(second)})

    def test_shell_says_what_is_wrong(self):
        for line, text in ((".dump", "DIRECTORY is required"), (".dump x --where y=1", "no such column"),
                           (".dump /no/such/place", "/no/such/place: No such file")):
            done = engram("shell", IMAGE, text=line + "\n")
            self.assertEqual(done.returncode, 1, line)
            self.assertIn(text, done.stderr)


if __name__ == "__main__":
    unittest.main()
