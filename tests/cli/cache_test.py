#!/usr/bin/env python3
# SPDX-FileCopyrightText: engram contributors
# SPDX-License-Identifier: Apache-2.0
"""What engram keeps of an image for the next query: it changes no answer, whatever becomes of it and of the image.

cache_test.py PROGRAM FOLDER-OF-A-DUMP
"""
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

PROGRAM, DUMP = sys.argv.pop(1), pathlib.Path(sys.argv.pop(1))
IMAGE = DUMP / "dump.raw"
# Of symbols in every way that there is: listed, by name, by address.
QUESTION = """SELECT count(*) AS n, min(virtual_address) AS low, max(virtual_address) AS high,
  group_concat(DISTINCT symbol_type) AS types, addr(address_of('commit_creds')) AS place,
  symbol(address_of('commit_creds') + 4) AS symbol
  FROM kallsyms"""


class CacheTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.environment = os.environ | {"XDG_CACHE_HOME": str(self.folder / "cache"), "HOME": "/nonexistent"}

    def start(self, sql, *arguments, image=IMAGE):
        return subprocess.Popen([PROGRAM, "query", "--no-config", *arguments, image, sql, "--format", "json"],
                                env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def ask(self, sql, *arguments, image=IMAGE):
        process = self.start(sql, *arguments, image=image)
        out, err = process.communicate(timeout=120)
        self.assertEqual((process.returncode, err), (0, b""))
        return json.loads(out)

    def files(self):
        return sorted(path.name for path in (self.folder / "cache" / "engram").glob("*"))

    def is_used(self, image=IMAGE):
        """Whether the next query takes what is kept."""
        rows = self.ask("SELECT message FROM diagnostics WHERE location = 'cache'", image=image)
        return any("checked against the image" in row["message"] for row in rows)

    def test_every_table_is_the_same(self):
        listed = subprocess.run([PROGRAM, "tables", "--format", "json"], stdout=subprocess.PIPE, check=True)
        without = ("diagnostics", "mquire_diagnostics", "kallsyms")  # which say what was done; and what takes long
        names = [row["name"] for row in json.loads(listed.stdout) if row["name"] not in without]
        sql = [f"SELECT * FROM {name}" for name in names] + [QUESTION]
        compared = 0
        for one in sql:
            process = self.start(one, "--no-cache")
            without = process.communicate(timeout=120)[0]
            if process.returncode != 0:
                continue  # of Windows
            process = self.start(one)
            self.assertEqual(process.communicate(timeout=120)[0], without, one)
            compared += 1
        self.assertGreater(compared, 40)
        self.assertTrue(self.is_used())
        self.assertRegex("".join(self.files()), re.compile(r"^[0-9a-f]{32}\.kernel$"))

    def test_nothing_is_kept_if_that_is_not_wanted(self):
        self.ask("SELECT * FROM os_version", "--no-cache")
        self.assertEqual(self.files(), [])
        settings = self.folder / "settings.toml"
        settings.write_text("[cache]\nenabled = false\n", "utf-8")
        subprocess.run([PROGRAM, "query", "--config", settings, IMAGE, "SELECT * FROM os_version"], check=True,
                       env=self.environment, stdout=subprocess.DEVNULL)
        self.assertEqual(self.files(), [])
        self.environment.pop("XDG_CACHE_HOME")
        self.ask("SELECT * FROM os_version")

    def test_many_at_once(self):
        right = self.ask("SELECT * FROM os_version", "--no-cache")
        for _ in range(2):
            processes = [self.start("SELECT * FROM os_version") for _ in range(6)]
            for process in processes:
                self.assertEqual(json.loads(process.communicate(timeout=120)[0]), right)
        self.assertEqual(len(self.files()), 1)

    def test_a_changed_image_is_noticed(self):
        image = self.folder / "changed.raw"
        shutil.copyfile(IMAGE, image)
        self.ask("SELECT 1 FROM os_version", image=image)
        self.assertTrue(self.is_used(image))
        row = self.ask("SELECT message FROM diagnostics WHERE location = 'kallsyms' AND level = 3", image=image)
        address = int(re.search(r"symbols at (0x[0-9a-f]+)", row[0]["message"]).group(1), 16)
        names = self.ask(f"SELECT translate({address - (1 << 64)}) AS place", image=image)
        # The last token of the first name.
        place = int(str(names[0]["place"]), 0)
        with open(image, "r+b") as file:
            file.seek(place)
            place += file.read(1)[0]
            file.seek(place)
            byte = file.read(1)[0]
            file.seek(place)
            file.write(bytes([byte ^ 1]))
        self.assertFalse(self.is_used(image))
        self.assertTrue(self.is_used(image), "what is kept is of the image as it is now")
        first = "SELECT symbol_name FROM kallsyms LIMIT 1"
        changed = self.ask(first, image=image)
        self.assertNotEqual(changed, self.ask(first))
        self.assertEqual(changed, self.ask(first, "--no-cache", image=image))

    def test_changed_types_are_noticed(self):
        self.ask(QUESTION)
        image = self.folder / "changed.raw"
        shutil.copyfile(IMAGE, image)
        row, = self.ask("SELECT message FROM diagnostics WHERE location = 'types'", image=image)
        length, address = re.search(r"BTF of (\d+) bytes at (0x[0-9a-f]+)", row["message"]).groups()
        last = int(address, 16) + int(length) - 2  # the last letter of the last string
        place, = self.ask(f"SELECT translate({last - (1 << 64)}) AS place", image=image)
        with open(image, "r+b") as file:
            file.seek(int(str(place["place"]), 0))
            file.write(b"_")
        path = self.folder / "cache" / "engram" / self.files()[0]
        before = path.read_bytes()
        right = self.ask("SELECT * FROM tasks", "--no-cache", image=image)
        self.assertEqual(self.ask("SELECT * FROM tasks", image=image), right)
        anew = path.read_bytes()
        self.assertNotEqual(anew, before, "the file is of the types as they were")
        self.assertEqual(self.ask("SELECT * FROM tasks", image=image), right)
        self.assertEqual(path.read_bytes(), anew)

    def test_read_and_convert_use_it_too(self):
        for switch, files in (("--no-cache", 0), ("--no-config", 1)):
            subprocess.run([PROGRAM, "read", IMAGE, "linux_banner", "--virt", "--len", "16", switch], env=self.environment,
                           stdout=subprocess.PIPE, check=True)
            self.assertEqual(len(self.files()), files)

    def test_a_damaged_file_is_noticed(self):
        right = self.ask(QUESTION, "--no-cache")
        self.ask(QUESTION)
        path = self.folder / "cache" / "engram" / self.files()[0]
        whole = path.read_bytes()
        for content in (b"", whole[:100], whole[:-4], whole + b"\0" * 4, whole[:-1] + bytes([whole[-1] ^ 1]),
                        bytes(len(whole)), b"\xff" * len(whole)):
            path.write_bytes(content)
            self.assertEqual(self.ask(QUESTION), right)
            self.assertEqual(path.read_bytes()[:8], whole[:8])
            self.assertTrue(self.is_used(), "the file was replaced")


if __name__ == "__main__":
    unittest.main()
