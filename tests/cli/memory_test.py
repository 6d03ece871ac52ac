#!/usr/bin/env python3
# SPDX-FileCopyrightText: engram contributors
# SPDX-License-Identifier: Apache-2.0
"""`engram read` and `engram convert` on small images that are made here.

usage: memory_test.py PROGRAM
"""
import json
import os
import pathlib
import signal
import struct
import subprocess
import tempfile
import time
import unittest

from shell_test import PROGRAM, Terminal

PAGE = 4096
FORMATS = ["raw", "lime", "avml", "elf", "kdump", "kdump-zlib", "kdump-lzo", "kdump-snappy", "kdump-zstd"]


def page(number):
    """Bytes that tell their place, some of which can be packed."""
    if number % 5 == 0:
        return bytes(PAGE)
    text = (b"page %d " % number) * PAGE
    return text[:PAGE] if number % 2 else bytes((i * i * number >> 3) & 0xFF for i in range(PAGE))


def lime(*ranges):
    """A LiME image of (first address, bytes)."""
    return b"".join(struct.pack("<IIQQ8x", 0x4C694D45, 1, first, first + len(data) - 1) + data for first, data in ranges)


LOW = b"".join(map(page, range(160)))[:0x9FC00]  # ends in a page, as memory below the EBDA does
HIGH = b"".join(map(page, range(160, 400)))
FAR = b"".join(map(page, range(400, 420)))
RANGES = [(0, LOW), (0x100000, HIGH), (0x10000000, FAR)]


class MemoryTest(unittest.TestCase):
    """An image and a folder for what is made of it."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.image = self.folder / "memory.lime"
        self.image.write_bytes(lime(*RANGES))

    def run_program(self, *arguments):
        """(exit code, standard output, standard error)."""
        done = subprocess.run([PROGRAM, *map(str, arguments)], capture_output=True, check=False, timeout=60)
        return done.returncode, done.stdout, done.stderr.decode()

    def convert(self, source, target, *options):
        """The new file, and what was said about it."""
        out = self.folder / f"{source.name}.{target}"
        code, text, problems = self.run_program("convert", source, out, "--to", target, *options)
        self.assertEqual(code, 0, problems)
        self.assertTrue(text.decode().startswith(f"{out}: {target}, "), text)
        return out, problems


class Read(MemoryTest):
    """The bytes at an address."""

    def test_hexdump(self):
        """128 bytes unless said otherwise, with absolute addresses."""
        code, text, problems = self.run_program("read", self.image, "0x101000")
        self.assertEqual((code, problems), (0, ""))
        lines = text.decode().splitlines()
        self.assertEqual(len(lines), 8)
        self.assertEqual(lines[0], "0000000000101000  70 61 67 65 20 31 36 31  20 70 61 67 65 20 31 36  |page 161 page 16|")
        self.assertTrue(lines[7].startswith("0000000000101070  "))
        self.assertEqual(self.run_program("read", self.image, "0010`1000", "--hexdump")[1], text)

    def test_gaps(self):
        """?? for what is not there, and why."""
        code, text, problems = self.run_program("read", self.image, "9fbf8", "--len", "0x10")
        self.assertEqual(code, 0)
        self.assertEqual(text.decode().split("|")[0].split()[-8:], ["??"] * 8)
        self.assertEqual(problems, "engram: warning: 0x9fc00 up to 0x9fc07 (8 bytes): not in the image\n")
        code, text, problems = self.run_program("read", self.image, "9fbf8", "--len", "0x61000")
        self.assertEqual(code, 0)
        self.assertIn("0x9fc00 up to 0xfffff (394240 bytes): not in the image", problems)
        self.assertIn("\n*\n", text.decode())

    def test_nothing_there(self):
        """It is an error if no byte is there."""
        code, _, problems = self.run_program("read", self.image, "0xffffffffffffff80")
        self.assertEqual(code, 1)
        self.assertIn("none of the 128 bytes at 0xffffffffffffff80 is there", problems)

    def test_raw(self):
        """Exact bytes, up to the first gap."""
        code, data, problems = self.run_program("read", self.image, "0x100ffe", "--raw", "--len", "200k")
        self.assertEqual((code, problems), (0, ""))
        self.assertEqual(data, HIGH[0xFFE:0xFFE + 200 * 1024])
        code, data, problems = self.run_program("read", self.image, "0x9f000", "--raw", "--len", "1 MiB")
        self.assertEqual(code, 1)
        self.assertEqual(data, LOW[0x9F000:])
        self.assertIn("read: 3072 of 1048576 bytes written: the next is not there", problems)

    def test_rows(self):
        """A row for each run, for programs."""
        code, text, _ = self.run_program("read", self.image, "9fbfe", "--len", "4", "--format", "json")
        self.assertEqual(code, 0)
        there, missing = json.loads(text)
        self.assertEqual(there, {"address": "0x9fbfe", "size": 2, "bytes": LOW[-2:].hex(), "problem": None})
        self.assertEqual(missing, {"address": "0x9fc00", "size": 2, "bytes": None, "problem": "not in the image"})

    def test_root(self):
        """Through page tables that the user names, without a kernel."""
        tables = bytearray(4 * PAGE)
        for level in range(3):  # one entry each, the last one of which maps the page at 0x5000
            struct.pack_into("<Q", tables, level * PAGE, 0x2000 + level * PAGE | 3)
        struct.pack_into("<Q", tables, 3 * PAGE, 0x5001)
        image = self.folder / "tables.lime"
        image.write_bytes(lime((0x1000, bytes(tables)), (0x5000, page(7)), (0x100000, bytes(1 << 20))))
        code, text, problems = self.run_program("read", image, "0ff8", "--dtb", "1000", "--len", "16")
        self.assertEqual(code, 0, problems)
        self.assertEqual(bytes.fromhex(text.decode()[18:42]), page(7)[0xFF8:])
        self.assertIn("x86_64 with 4 levels (assumed)", problems)
        self.assertIn("0x1000 up to 0x1007 (8 bytes): page-table entry at 0x4008, level 1, is not present (0x0)", problems)
        code, _, problems = self.run_program("read", image, "0x800000000000", "--dtb", "1000")
        self.assertEqual(code, 1)
        self.assertIn("not an address of this paging mode", problems)

    def test_what_is_refused(self):
        """Text that names nothing."""
        for arguments, code, words in [
                (["init_task"], 1, "a symbol is a virtual address: --virt is expected with it"),
                (["init_task", "--virt"], 1, "kernel"),
                (["10000000000000000"], 1, "expected an address"),
                (["0x10", "--len", "4q"], 2, "expected a number of bytes"),
                (["0x10", "--len", "0"], 2, "expected at least 1 byte"),
                (["0xfffffffffffffff0", "--len", "17"], 1, "end behind the last address"),
                (["0", "--raw", "--hexdump"], 2, "excludes"),
                (["0", "--pid", "1", "--dtb", "0"], 2, "excludes"),
                (["0", "--pid", "1"], 1, "kernel")]:
            found, _, problems = self.run_program("read", self.image, *arguments)
            self.assertEqual(found, code, arguments)
            self.assertIn(words, problems)


class Convert(MemoryTest):
    """The same memory in another file."""

    def test_every_format_gives_the_memory_back(self):
        """Formats that can say everything give the same LiME image; the others have zeros instead."""
        for target in FORMATS:
            with self.subTest(target):
                made, problems = self.convert(self.image, target)
                self.assertEqual(made.stat().st_mode & 0o077, 0)
                back, _ = self.convert(made, "lime")
                if target == "raw":
                    self.assertIn("absent from the image read as zeros", problems)
                    size = RANGES[-1][0] + len(FAR)
                    expected = lime((0, LOW + bytes(0x100000 - len(LOW)) + HIGH +
                                     bytes(0x10000000 - 0x100000 - len(HIGH)) + FAR))
                    self.assertEqual(made.stat().st_size, size)
                    self.assertLess(made.stat().st_blocks * 512, 4 << 20)
                elif target.startswith("kdump"):
                    self.assertIn(": 1024 bytes that are absent from the image read as zeros", problems)
                    expected = lime((0, LOW + bytes(1024)), *RANGES[1:])
                else:
                    self.assertEqual(problems, "")
                    expected = self.image.read_bytes()
                self.assertEqual(back.read_bytes(), expected)

    def test_no_file_is_replaced(self):
        """Neither another one nor the image itself."""
        other = self.folder / "other"
        other.write_text("precious")
        for out in (other, self.image):
            before = out.read_bytes()
            code, _, problems = self.run_program("convert", self.image, out, "--to", "elf")
            self.assertEqual(code, 1)
            self.assertIn("there is a file of this name: it is not replaced", problems)
            self.assertEqual(out.read_bytes(), before)

    def test_wrong_usage(self):
        """A format that there is not, or none."""
        for options in (["--to", "tar"], []):
            code, _, problems = self.run_program("convert", self.image, self.folder / "out", *options)
            self.assertEqual(code, 2)
            self.assertIn("--to", problems)
        code, _, problems = self.run_program("convert", self.image, self.folder / "none" / "out", "--to", "elf")
        self.assertEqual(code, 1)
        self.assertIn("No such file or directory", problems)

    def test_a_source_that_is_cut(self):
        """What it should have is left out and counted."""
        cut = self.folder / "cut.lime"
        cut.write_bytes(self.image.read_bytes()[:-(3 * PAGE + 100)])
        made, problems = self.convert(cut, "elf")
        self.assertIn(f"{3 * PAGE + 100} bytes cannot be read and are left out", problems)
        back, _ = self.convert(made, "lime")
        self.assertEqual(back.read_bytes(), lime(*RANGES[:2], (RANGES[2][0], FAR[:-(3 * PAGE + 100)])))

    def test_damaged_pages(self):
        """Compressed pages that make no sense are left out, those around them are not."""
        made, _ = self.convert(self.image, "kdump-zlib")
        data = bytearray(made.read_bytes())
        number = 161  # its first bytes are packed
        (sub_blocks, bitmap_blocks), size = struct.unpack_from("<II", data, 432), len(data)
        descriptors = (1 + sub_blocks + bitmap_blocks) * PAGE
        offset, length, flags, _ = struct.unpack_from("<QIIQ", data, descriptors + number * 24)
        self.assertEqual(flags, 1)
        data[offset:offset + length] = b"\xff" * length
        self.assertEqual(len(data), size)
        damaged = self.folder / "damaged.kdump"
        damaged.write_bytes(data)
        for target in ("lime", "kdump-zstd"):
            back, problems = self.convert(damaged, target)
            self.assertIn("4096 bytes cannot be read and are left out", problems)
            code, _, problems = self.run_program("read", back, f"{0x100000 + (number - 160) * PAGE:x}")
            self.assertEqual(code, 1)
            for near in (number - 1, number + 1):
                code, text, _ = self.run_program("read", back, f"{0x100000 + (near - 160) * PAGE:x}", "--raw", "--len", "4k")
                self.assertEqual((code, text), (0, page(near)))

    def test_an_address_that_no_raw_file_has(self):
        """Nothing is left of the file."""
        far = self.folder / "far.lime"
        far.write_bytes(lime((1 << 47, page(1))))
        code, _, problems = self.run_program("convert", far, self.folder / "out", "--to", "raw")
        self.assertEqual(code, 1)
        self.assertIn("raw: the range [0x800000000000, 0x800000000fff]", problems)
        self.assertFalse((self.folder / "out").exists())

    def test_the_disk_is_full(self):
        """The error is said and the file is gone."""
        out = self.folder / "out"
        def small_files():
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            import resource  # pylint: disable=import-outside-toplevel
            resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
        done = subprocess.run([PROGRAM, "convert", self.image, out, "--to", "lime"], capture_output=True, check=False,
                              preexec_fn=small_files)
        self.assertEqual(done.returncode, 1)
        self.assertIn("out: ", done.stderr.decode())
        self.assertFalse(out.exists())

    def test_progress_and_interrupt(self):
        """At a terminal there is a bar; Ctrl-C leaves nothing."""
        long = self.folder / "long.raw"
        with open(long, "wb") as file:
            file.truncate(1 << 40)
        out = self.folder / "out"
        terminal = Terminal(["convert", str(long), str(out), "--to", "raw"], {})
        terminal.expect(r"writing \[[#.]{24}\] +\d+ %  \d+ MiB/s  [\d:]+ left")
        self.assertEqual(len(list(self.folder.glob("out.*"))), 1)  # not its name before it is finished
        self.assertFalse(out.exists())
        os.kill(terminal.child, signal.SIGINT)
        terminal.expect("interrupted; the file is removed")
        self.assertEqual(terminal.wait(), 130)
        self.assertEqual(list(self.folder.glob("out*")), [])

    def test_who_is_told_to_end_leaves_nothing(self):
        """SIGTERM and SIGHUP end the program as such, behind the cleaning up."""
        long = self.folder / "long.raw"
        with open(long, "wb") as file:
            file.truncate(1 << 40)
        for number in (signal.SIGTERM, signal.SIGHUP):
            with subprocess.Popen([PROGRAM, "convert", long, self.folder / "out", "--to", "raw"],
                                  stderr=subprocess.DEVNULL) as program:
                for _ in range(600):
                    if list(self.folder.glob("out.*")):
                        break
                    time.sleep(0.1)
                self.assertEqual(len(list(self.folder.glob("out.*"))), 1)
                program.send_signal(number)
                self.assertEqual(program.wait(timeout=60), -number)
            self.assertEqual(list(self.folder.glob("out*")), [])

    def test_no_progress_elsewhere(self):
        """Nothing but warnings goes to a file, however long it takes."""
        long = self.folder / "long.raw"
        with open(long, "wb") as file:
            file.truncate(1 << 40)
        with subprocess.Popen([PROGRAM, "convert", long, self.folder / "out", "--to", "lime"],
                              stderr=subprocess.PIPE, stdout=subprocess.PIPE) as program:
            time.sleep(1)
            program.send_signal(signal.SIGINT)
            out, problems = program.communicate(timeout=20)
        self.assertEqual(program.returncode, 130)
        self.assertEqual(out, b"")
        self.assertEqual(problems.decode().count("\n"), 1, problems)
        self.assertNotIn(b"\r", problems)


if __name__ == "__main__":
    unittest.main()
