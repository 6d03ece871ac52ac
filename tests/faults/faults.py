#!/usr/bin/env python3
# SPDX-FileCopyrightText: engram contributors
# SPDX-License-Identifier: Apache-2.0
"""Disks that are full or broken, files that are cut while they are read, Ctrl-C at any time, folders that cannot be written to: each ends with an error
that says what happened, and nothing is left behind that looks whole.

faults.py --engram PROGRAM --image IMAGE --shim fail.so
"""
import argparse
import json
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

ARGUMENTS = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
for name in ("engram", "image", "shim"):
    ARGUMENTS.add_argument(f"--{name}", required=True)
OPTIONS, REST = ARGUMENTS.parse_known_args()
SECONDS = 60
TABLE = "SELECT * FROM tasks"


class FaultsTest(unittest.TestCase):
    def setUp(self):
        holder = tempfile.TemporaryDirectory()
        self.addCleanup(holder.cleanup)
        self.folder = pathlib.Path(holder.name)

    def run_program(self, *arguments, **faults):
        environment = {**os.environ, "LD_PRELOAD": OPTIONS.shim, **{name: str(value) for name, value in faults.items()}}
        return subprocess.run([OPTIONS.engram, *arguments], capture_output=True, encoding="utf-8", timeout=SECONDS,
                              check=False, env=environment)

    def convert(self, target, kind, **faults):
        return self.run_program("convert", OPTIONS.image, target, "--to", kind, **faults)

    def test_a_full_disk_leaves_no_image(self):
        for kind in ("raw", "lime", "elf", "kdump-zlib"):
            for calls in (0, 1, 7):
                target = self.folder / f"{kind}-{calls}"
                done = self.convert(target, kind, FAIL_WRITE=calls)
                self.assertEqual(done.returncode, 1, done.stderr)
                self.assertIn("No space left on device", done.stderr)
                self.assertIn(str(target), done.stderr)
                self.assertFalse(target.exists())

    def test_an_image_that_does_not_reach_the_disk_is_removed(self):
        done = self.convert(self.folder / "out", "lime", FAIL_SYNC=1)
        self.assertEqual(done.returncode, 1)
        self.assertIn("Input/output error", done.stderr)
        self.assertEqual(list(self.folder.iterdir()), [])

    def test_short_writes_are_gone_on_with(self):
        for kind in ("lime", "kdump-zlib"):
            pieces = []
            for fault in ({}, {"SHORT": 1}):
                target = self.folder / "image"
                self.assertEqual(self.convert(target, kind, **fault).returncode, 0)
                pieces.append(target.read_bytes())
                target.unlink()
            self.assertTrue(pieces[0] == pieces[1], f"{kind}: other bytes")

    def test_a_full_disk_leaves_whole_files_only(self):
        for calls in (0, 3, 40):
            target = self.folder / f"files-{calls}"
            done = self.run_program("dump", OPTIONS.image, target, FAIL_WRITE=calls)
            self.assertEqual(done.returncode, 1)
            self.assertIn("No space left on device", done.stderr)
            rows = [json.loads(line) for line in (target / "manifest.jsonl").read_text(encoding="utf-8").splitlines()]
            written = {str(path.relative_to(target)) for path in (target / "files").rglob("*") if path.is_file()}
            self.assertEqual(written, {row["file"] for row in rows})

    def test_an_image_that_is_cut_while_it_is_read_is_no_crash(self):
        """What a disk that breaks does to a mapped file, too: the pages are gone, and the processor faults."""
        copy = self.folder / "image"
        for keep in (0.9, 0.5, 0.1, 0):
            shutil.copyfile(OPTIONS.image, copy)
            with subprocess.Popen([OPTIONS.engram, "shell", "--no-config", "--format", "jsonl", copy], stdin=subprocess.PIPE,
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8") as shell:
                shell.stdin.write("SELECT count(*) AS n FROM tasks;\n")
                shell.stdin.flush()
                self.assertGreater(json.loads(shell.stdout.readline())["n"], 0)
                os.truncate(copy, int(copy.stat().st_size * keep))
                output, error = shell.communicate("SELECT count(file_contents(virtual_address)) AS n FROM files;\n"
                                                  "SELECT count(*) AS n FROM memory_mappings;\n"
                                                  "SELECT count(*) AS n FROM diagnostics WHERE level <= 2;\n", timeout=SECONDS)
                self.assertIn(shell.returncode, (0, 1), error)
                problems = json.loads(output.splitlines()[-1])["n"]
                self.assertTrue(problems > 0 or error, "half of the image is gone, and nobody says so")

    def interrupt(self, arguments, delay):
        """(exit code, what was said) of a program that got Ctrl-C after so many seconds."""
        with subprocess.Popen([OPTIONS.engram, *map(str, arguments)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                              encoding="utf-8") as process:
            time.sleep(delay)
            process.send_signal(signal.SIGINT)
            error = process.communicate(timeout=SECONDS)[1]
        # Before the program has taken the signal over it ends by it.
        self.assertIn(process.returncode, (0, 130, -signal.SIGINT), error)
        if process.returncode == 130:
            self.assertIn("interrupted", error)
        return process.returncode

    def test_control_c_leaves_no_image(self):
        chance = random.Random(20261122)
        for number in range(12):
            target = self.folder / str(number)
            code = self.interrupt(["convert", OPTIONS.image, target, "--to", "kdump-zlib"], chance.uniform(0, 2))
            self.assertEqual(target.exists(), code == 0)

    def test_control_c_leaves_whole_files_only(self):
        chance = random.Random(20261123)
        for number in range(12):
            target = self.folder / str(number)
            self.interrupt(["dump", OPTIONS.image, target], chance.uniform(0, 0.5))
            manifest = target / "manifest.jsonl"
            text = manifest.read_text(encoding="utf-8") if manifest.exists() else ""
            written = {str(path.relative_to(target)) for path in (target / "files").rglob("*") if path.is_file()}
            self.assertEqual(written, {json.loads(line)["file"] for line in text.splitlines()})

    def test_control_c_ends_a_query(self):
        chance = random.Random(20261124)
        for _ in range(10):
            self.interrupt(["query", OPTIONS.image, "SELECT * FROM files"], chance.uniform(0, 0.3))

    def test_no_home_and_no_room_for_history_is_no_obstacle(self):
        for home in ("/proc", "/nowhere", ""):
            environment = {**os.environ, "HOME": home}
            for name in ("XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME"):
                environment[name] = f"{home}/sub" if home else ""
            for arguments, text in ((["query", OPTIONS.image, "SELECT 1 AS x"], ""), (["shell", OPTIONS.image], "SELECT 1 AS x;")):
                done = subprocess.run([OPTIONS.engram, *arguments], input=text, capture_output=True, encoding="utf-8",
                                      timeout=SECONDS, check=False, env=environment)
                self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "x\n-\n1\n", ""))

    def test_nothing_is_written_where_nothing_may_be(self):
        for arguments in (["convert", OPTIONS.image, "/proc/engram", "--to", "raw"], ["dump", OPTIONS.image, "/proc/engram"]):
            done = self.run_program(*arguments)
            self.assertEqual(done.returncode, 1)
            self.assertIn("/proc/engram", done.stderr)


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], *REST])
