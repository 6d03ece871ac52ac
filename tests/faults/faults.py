#!/usr/bin/env python3
# SPDX-FileCopyrightText: engram contributors
# SPDX-License-Identifier: Apache-2.0
"""Disks that are full or broken, files that are cut while they are read, Ctrl-C at any time, folders that cannot be written to: each ends with an error
that says what happened, and nothing is left behind that looks whole.

faults.py --engram PROGRAM --image IMAGE --shim fail.so
"""
import argparse
import errno
import gzip
import json
import os
import pathlib
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import unittest

ARGUMENTS = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
for name in ("engram", "image", "shim"):
    ARGUMENTS.add_argument(f"--{name}", required=True)
OPTIONS, REST = ARGUMENTS.parse_known_args()
OPTIONS.image = os.path.abspath(OPTIONS.image)
SECONDS = 60
COUNT = "SELECT count(*) AS n FROM tasks"


class FaultsTest(unittest.TestCase):
    def setUp(self):
        holder = tempfile.TemporaryDirectory()
        self.addCleanup(holder.cleanup)
        self.folder = pathlib.Path(holder.name)

    def run_program(self, *arguments, **faults):
        environment = {**os.environ, "LD_PRELOAD": OPTIONS.shim, **{name: str(value) for name, value in faults.items()}}
        return subprocess.run([OPTIONS.engram, *arguments], capture_output=True, encoding="utf-8", timeout=SECONDS,
                              check=False, env=environment)

    def shell(self, lines, **faults):
        """The shell with lines from a pipe."""
        environment = {**os.environ, "LD_PRELOAD": OPTIONS.shim, **{name: str(value) for name, value in faults.items()}}
        return subprocess.run([OPTIONS.engram, "shell", "--no-config", OPTIONS.image], input=lines, capture_output=True,
                              encoding="utf-8", timeout=SECONDS, check=False, env=environment)

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

    def test_every_error_of_a_disk_is_told(self):
        for error in (errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS):
            target = self.folder / "out"
            for done in (self.convert(target, "kdump-zlib", FAIL_WRITE=3, FAIL_ERROR=error),
                         self.shell(f".output {target}\nSELECT * FROM files;\n", FAIL_WRITE=1, FAIL_ERROR=error),
                         self.shell(f".once {target}\nSELECT * FROM files;\n", FAIL_WRITE=1, FAIL_ERROR=error)):
                self.assertEqual(done.returncode, 1, done.stderr)
                self.assertIn(os.strerror(error), done.stderr)
                self.assertEqual(list(self.folder.iterdir()), [])

    def test_a_result_of_which_a_part_is_missing_gets_no_name(self):
        """Nor if what comes later could be written."""
        target = self.folder / "out"
        done = self.shell(f".mode jsonl\n.output {target}\nSELECT * FROM files;\nSELECT 1 AS x;\n.output\nSELECT 2 AS x;\n",
                          FAIL_WRITE=2)
        self.assertEqual((done.returncode, done.stdout), (1, '{"x":2}\n'), done.stderr)
        self.assertEqual(list(self.folder.iterdir()), [])

    def test_a_file_may_not_grow_so_large(self):
        """The limit of a process: what exceeds it gets SIGXFSZ, which ends those that do not ask for an error."""
        def limit():
            resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))
        target = self.folder / "out"
        for arguments, lines in ((["convert", OPTIONS.image, target, "--to", "raw"], ""),
                                 (["convert", OPTIONS.image, target, "--to", "kdump-zlib"], ""),
                                 (["shell", "--no-config", OPTIONS.image], f".output {target}\nSELECT * FROM files;\n")):
            done = subprocess.run([OPTIONS.engram, *arguments], input=lines, capture_output=True, encoding="utf-8",
                                  timeout=SECONDS, check=False, preexec_fn=limit)
            self.assertEqual(done.returncode, 1, done.stderr)
            self.assertIn("File too large", done.stderr)
            self.assertEqual(list(self.folder.iterdir()), [])

    def test_a_disk_with_errors_in_a_mapped_file(self):
        """A tenth of the image gives SIGBUS: there is an answer, or an error that says why there is none."""
        kdump = self.folder / "kdump"
        self.assertEqual(self.convert(kdump, "kdump-zlib").returncode, 0)
        answers = 0
        for image in (OPTIONS.image, kdump):
            for percent in (1, 20, 45, 70, 89):
                done = self.run_program("query", image, f"{COUNT}; SELECT count(file_contents(virtual_address)) AS n FROM files",
                                        "--format", "jsonl", FAIL_MAPPED=percent)
                self.assertIn(done.returncode, (0, 1), done.stderr)
                if done.returncode == 0:
                    rows = [json.loads(line)["n"] for line in done.stdout.splitlines()]
                    self.assertTrue(all(rows), f"{percent} %: {rows}")
                answers += done.returncode == 0
                self.assertTrue(done.stderr.startswith("engram: "), f"{percent} %: nobody says that something is missing")
        self.assertGreater(answers, 0)

    def test_a_beginning_that_cannot_be_read(self):
        done = self.run_program("query", OPTIONS.image, COUNT, FAIL_MAPPED=0)
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        self.assertIn("the file cannot be read at 0x0", done.stderr)

    def test_an_image_that_cannot_be_read_is_not_converted(self):
        for kind in ("raw", "kdump-zlib"):
            target = self.folder / "out"
            done = self.convert(target, kind, FAIL_MAPPED=30)
            self.assertEqual(done.returncode, 1)
            self.assertIn("cannot be read", done.stderr)
            self.assertEqual(list(self.folder.iterdir()), [])

    def test_a_packed_image_needs_room(self):
        packed = self.folder / "image.gz"
        packed.write_bytes(gzip.compress(random.Random(3).randbytes(4 << 20), 1))
        for calls in (0, 2):
            done = self.run_program("query", packed, COUNT, FAIL_WRITE=calls)
            self.assertEqual((done.returncode, done.stdout), (1, ""))
            self.assertIn("No space left on device", done.stderr)
        done = self.run_program("query", packed, COUNT, TMPDIR="/nowhere")
        self.assertEqual(done.returncode, 1)
        self.assertIn("/nowhere", done.stderr)
        for percent in (40, 80):
            done = self.run_program("query", packed, COUNT, FAIL_MAPPED=percent)
            self.assertEqual(done.returncode, 1)
            self.assertIn("the file is cut or failing", done.stderr)

    def test_a_cache_that_fails_is_no_obstacle(self):
        cache = self.folder / "cache"
        good = self.run_program("query", OPTIONS.image, COUNT).stdout
        self.assertTrue(good)

        def same(**faults):
            done = self.run_program("query", OPTIONS.image, COUNT, XDG_CACHE_HOME=cache, **faults)
            self.assertEqual((done.returncode, done.stdout, done.stderr), (0, good, ""), faults)
            return [path for path in cache.rglob("*") if path.is_file()]
        for calls in (0, 1):
            for error in (errno.ENOSPC, errno.EIO, errno.EDQUOT):
                self.assertEqual(same(FAIL_WRITE=calls, FAIL_ERROR=error), [])
        self.assertEqual(len(same()), 1)
        for calls in (0, 1, 2, 3, 8):
            same(FAIL_READ=calls)
        same(SHORT=1)
        shutil.rmtree(cache)
        cache.write_bytes(b"")
        same()
        cache.unlink()
        os.symlink("/proc", cache)
        done = self.run_program("query", OPTIONS.image, COUNT, XDG_CACHE_HOME=cache)
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, good, ""))

    def test_streams_that_are_closed_or_full(self):
        def closed(*streams):
            return lambda: [os.close(stream) for stream in streams]

        def run(arguments, **options):
            return subprocess.run([OPTIONS.engram, *arguments], timeout=SECONDS, check=False, encoding="utf-8", **options)
        errors = {"stderr": subprocess.PIPE}
        for arguments in (["query", OPTIONS.image, "SELECT 1"], ["tables"], ["tables", "--markdown"], ["--help"], ["--version"],
                          ["info", OPTIONS.image], ["read", OPTIONS.image, "0x1000"], ["query", "--help"]):
            done = run(arguments, preexec_fn=closed(1), **errors)
            self.assertEqual(done.returncode, 1, arguments)
            self.assertIn("standard output: Bad file descriptor", done.stderr)
            with open("/dev/full", "wb") as full:
                done = run(arguments, stdout=full, **errors)
            self.assertEqual((done.returncode, done.stderr), (1, "engram: standard output: No space left on device\n"), arguments)
        for arguments in (["query", OPTIONS.image, "-"], ["shell", "--no-config", OPTIONS.image]):
            done = run(arguments, preexec_fn=closed(0), **errors)
            self.assertEqual((done.returncode, done.stderr), (1, "engram: standard input: Bad file descriptor\n"))
        self.assertEqual(run(["query", OPTIONS.image, "SELECT 1"], preexec_fn=closed(2), stdout=subprocess.DEVNULL).returncode, 0)
        # A file that is opened must not get the number of a closed stream: messages would go into it.
        targets = self.folder / "closed", self.folder / "open"
        run(["convert", OPTIONS.image, targets[0], "--to", "kdump-zlib"], preexec_fn=closed(0, 1, 2))
        self.convert(targets[1], "kdump-zlib")
        self.assertTrue(targets[0].read_bytes() == targets[1].read_bytes())

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

    def test_control_c_ends_a_script(self):
        """What is left is finished only if the program has ended by itself."""
        chance = random.Random(20261125)
        for number in range(10):
            target = self.folder / str(number)
            with subprocess.Popen([OPTIONS.engram, "shell", "--no-config", OPTIONS.image], stdin=subprocess.PIPE,
                                  stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, encoding="utf-8") as shell:
                time.sleep(chance.uniform(0, 0.1))
                threading.Timer(chance.uniform(0, 0.4), shell.send_signal, [signal.SIGINT]).start()
                try:
                    error = shell.communicate(f".mode json\n.once {target}\nSELECT * FROM files;\n", timeout=SECONDS)[1]
                except BrokenPipeError:  # it had ended
                    error = ""
            self.assertIn(shell.returncode, (0, 130, -signal.SIGINT), error)
            if target.exists():
                json.loads(target.read_text(encoding="utf-8"))

    def test_without_a_home_and_in_a_folder_where_nothing_can_be_made(self):
        bare = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"}
        for arguments in (["query", OPTIONS.image, "SELECT 1 AS x"], ["shell", OPTIONS.image]):
            done = subprocess.run([OPTIONS.engram, *arguments], input="SELECT 1 AS x;", capture_output=True, encoding="utf-8",
                                  timeout=SECONDS, check=False, env=bare, cwd="/proc")
            self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "x\n-\n1\n", ""))
        for arguments in (["convert", OPTIONS.image, "engram", "--to", "raw"], ["dump", OPTIONS.image, "engram"]):
            done = subprocess.run([OPTIONS.engram, *arguments], capture_output=True, encoding="utf-8", timeout=SECONDS,
                                  check=False, env=bare, cwd="/proc")
            self.assertEqual(done.returncode, 1)
            self.assertIn("engram: ", done.stderr)

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
