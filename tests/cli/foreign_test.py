#!/usr/bin/env python3
# SPDX-FileCopyrightText: engram contributors
# SPDX-License-Identifier: Apache-2.0
"""Images of machines whose Linux kernel is not read: what is said of them, and their virtual memory.

usage: foreign_test.py PROGRAM
"""
import json
import pathlib
import struct
import subprocess
import tempfile
import unittest

from shell_test import PROGRAM

PAGE = 4096
AARCH64, I386, X86_64 = 183, 3, 62
MODULES = 0xFFFF_8000_8000_0000  # where a kernel of arm64 is with 48 bits
RAM = 0x4000_0000


def elf_core(machine, memory, vmcoreinfo=None):
    """A 64-bit core of one range from RAM on."""
    note = b""
    if vmcoreinfo:
        text = vmcoreinfo.encode()
        note = struct.pack("<III", 11, len(text), 0) + b"VMCOREINFO\0\0" + text + bytes(-len(text) % 4)
    headers = [(4, 0, 0, len(note))] * bool(note) + [(1, RAM, len(memory), len(memory))]
    at = 64 + 56 * len(headers)
    data = struct.pack("<16sHHIQQQIHHHHHH", b"\x7fELF\2\1\1", 4, machine, 1, 0, 64, 0, 0, 64, 56, len(headers), 0, 0, 0)
    for kind, physical, in_memory, size in headers:
        data += struct.pack("<IIQQQQQQ", kind, 0, at, 0, physical, size, in_memory, 0)
        at += size
    return data + note + memory


def tables(page_bits, address_bits, address, page):
    """Memory with the tables that lead from RAM to the page, and the page at its end."""
    index_bits = page_bits - 3
    levels = -(-(address_bits - page_bits) // index_bits)
    size = 1 << page_bits
    memory = bytearray(size * (levels + 1))
    inside = address & (1 << address_bits) - 1
    for number, level in enumerate(range(levels, 0, -1)):
        index = inside >> page_bits + index_bits * (level - 1) & (1 << index_bits) - 1
        struct.pack_into("<Q", memory, number * size + index * 8, RAM + (number + 1) * size | 0x403)
    memory[levels * size:] = page
    return bytes(memory)


class ForeignTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.image = pathlib.Path(folder.name) / "core"

    def run_program(self, *arguments):
        done = subprocess.run([PROGRAM, *map(str, arguments)], capture_output=True, check=False, timeout=60)
        return done.returncode, done.stdout, done.stderr.decode()

    def test_its_tables_are_an_error_that_says_what_it_is(self):
        for machine, name in ((AARCH64, "arm64"), (I386, "x86")):
            self.image.write_bytes(elf_core(machine, bytes(2 << 20)))
            for table in ("tasks", "mounts", "kallsyms", "os_version"):
                code, _, problems = self.run_program("query", self.image, f"SELECT * FROM {table}")
                self.assertEqual(code, 1, table)
                self.assertIn(f"of an {name} machine (its header), and kernel objects of that architecture are not read",
                              problems)
            code, text, _ = self.run_program("query", self.image, "SELECT operating_system FROM image_info",
                                             "--format", "json")
            self.assertEqual((code, json.loads(text)), (0, [{"operating_system": None}]))

    def test_vmcoreinfo_says_it_where_no_header_does(self):
        self.image.write_bytes(elf_core(0, bytes(1 << 20), "NUMBER(VA_BITS)=48\nNUMBER(kimage_voffset)=0xffff80003fe00000\n"))
        code, _, problems = self.run_program("query", self.image, "SELECT * FROM tasks")
        self.assertEqual(code, 1)
        self.assertIn("arm64 machine (kimage_voffset in VMCOREINFO)", problems)

    def test_memory_behind_the_kernels_root(self):
        """VMCOREINFO has the page size, the width and the root."""
        for page_bits, address_bits in ((12, 39), (12, 48), (12, 52), (14, 47), (16, 42), (16, 52)):
            page = bytes(i * 7 & 0xFF for i in range(1 << page_bits))
            address = (1 << 64) - (1 << address_bits) + (0x5A5A_5A5A_5A5A & (1 << address_bits - 1) - 1)
            address &= -1 << page_bits
            self.image.write_bytes(elf_core(AARCH64, tables(page_bits, address_bits, address, page), "\n".join([
                f"PAGESIZE={1 << page_bits}", f"SYMBOL(swapper_pg_dir)={MODULES:x}", "NUMBER(VA_BITS)=52",
                f"NUMBER(TCR_EL1_T1SZ)={64 - address_bits:#x}", f"NUMBER(kimage_voffset)={MODULES - RAM:#x}", ""])))
            code, text, problems = self.run_program("read", self.image, hex(address + 16), "--virt", "--raw", "--len", 64)
            self.assertEqual((code, text), (0, page[16:80]), problems)
            self.assertIn(f"addresses of {address_bits} bits (VMCOREINFO)", problems)
            row = f"SELECT printf('%x', translate({address + 5:#x})) AS at, hex(read_bytes({address:#x}, 8)) AS bytes"
            code, text, problems = self.run_program("query", self.image, row, "--format", "json")
            self.assertEqual(code, 0, problems)
            at = RAM + len(tables(page_bits, address_bits, address, page)) - (1 << page_bits) + 5
            self.assertEqual(json.loads(text), [{"at": f"{at:x}", "bytes": page[:8].hex().upper()}])

    def test_memory_behind_a_given_root(self):
        """Without VMCOREINFO: pages of 4 KiB and addresses of 48 bits are assumed, and that is said."""
        page, address = bytes(range(256)) * 16, 0x0000_7FFF_1234_5000
        self.image.write_bytes(elf_core(AARCH64, tables(12, 48, address, page)))
        code, text, problems = self.run_program("read", self.image, hex(address), "--dtb", hex(RAM | 0x42 << 48 | 1),
                                                "--raw", "--len", 32)
        self.assertEqual((code, text), (0, page[:32]), problems)
        self.assertIn("arm64 with 4 levels (pages of 4 KiB (assumed), addresses of 48 bits (assumed))", problems)
        code, _, problems = self.run_program("read", self.image, hex(address), "--virt")
        self.assertEqual(code, 1)
        self.assertIn("nothing says where the kernel's root is", problems)
        sql = f"SELECT translate({address}, {RAM}) IS {RAM + 4 * PAGE} AS same"
        code, text, problems = self.run_program("query", self.image, sql, "--format", "json")
        self.assertEqual((code, json.loads(text or "0")), (0, [{"same": 1}]), problems)

    def test_32_bits(self):
        """Two levels, as VMCOREINFO says; PAE if nothing does."""
        memory = bytearray(4 * PAGE)
        address = 0xC123_4000
        struct.pack_into("<I", memory, (address >> 22) * 4, RAM + PAGE | 3)
        struct.pack_into("<I", memory, PAGE + (address >> 12 & 1023) * 4, RAM + 2 * PAGE | 3)
        memory[2 * PAGE:2 * PAGE + 8] = b"two here"
        self.image.write_bytes(elf_core(I386, bytes(memory), "PAGESIZE=4096\n"))
        code, text, problems = self.run_program("read", self.image, hex(address), "--dtb", hex(RAM), "--raw", "--len", 8)
        self.assertEqual((code, text), (0, b"two here"), problems)
        struct.pack_into("<Q", memory, 0x20 + (address >> 30) * 8, RAM + 3 * PAGE | 1)
        struct.pack_into("<Q", memory, 3 * PAGE + (address >> 21 & 511) * 8, RAM + PAGE | 3)
        memory[PAGE:2 * PAGE] = bytes(PAGE)
        struct.pack_into("<Q", memory, PAGE + (address >> 12 & 511) * 8, RAM + 2 * PAGE | 3)
        self.image.write_bytes(elf_core(I386, bytes(memory)))
        code, text, problems = self.run_program("read", self.image, hex(address), "--dtb", hex(RAM + 0x20), "--raw",
                                                "--len", 8)
        self.assertEqual((code, text), (0, b"two here"), problems)
        self.assertIn("x86 with 3 levels (PAE is assumed)", problems)


if __name__ == "__main__":
    unittest.main()
