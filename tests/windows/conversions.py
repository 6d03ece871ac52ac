# SPDX-FileCopyrightText: engram contributors
# SPDX-License-Identifier: Apache-2.0
"""From and to crash dumps, page by page."""
import itertools
import struct
import subprocess

import dump
import generate
from guest import NT, Guest
from memory import PAGE
from program import QUERIES, SECONDS, Failed, Image, check_tables, compare


class Pages:
    """A 64-bit crash dump read as its format says: what another reader would find in it."""

    def __init__(self, path):
        self.file = path.open("rb")
        self.head = self.file.read(0x2000)
        kind, = struct.unpack_from("<I", self.head, 0xF98)
        self.size = path.stat().st_size
        self.where = {}
        if kind == 1:
            count, = struct.unpack_from("<I", self.head, 0x88)
            at = 0x2000
            for first, pages in struct.iter_unpack("<QQ", self.head[0x98:0x98 + 16 * count]):
                for page in range(first, first + pages):
                    self.where[page] = at
                    at += PAGE
            return
        signature, first, present, bits = struct.unpack("<8s24xQQQ", self.file.read(0x38))
        if kind != 5 or signature != b"FDMPDUMP" or first % PAGE or bits % 64:
            raise Failed(f"{path.name}: {kind}, {signature}, {first:#x}, {bits:#x}")
        bitmap = self.file.read(bits // 8)
        pages = [8 * at + bit for at, byte in enumerate(bitmap) if byte for bit in range(8) if byte >> bit & 1]
        if len(pages) != present or first + present * PAGE != self.size:
            raise Failed(f"{path.name}: {len(pages)} pages, {present} declared, {self.size} bytes")
        self.where = {page: first + at * PAGE for at, page in enumerate(pages)}

    def page(self, number):
        self.file.seek(self.where[number])
        return self.file.read(PAGE)

    def check_header(self, guest):
        """What parsers rely on."""
        root, pfn_database, modules, processes = struct.unpack_from("<QQQQ", self.head, 0x10)
        if root & -PAGE != int(guest.truth["processes"][0]["page_table"], 16):
            raise Failed(f"root {root:#x}")
        found = (self.head[:8], *struct.unpack_from("<II", self.head, 8), pfn_database, modules, processes,
                 *struct.unpack_from("<II", self.head, 0x30), *struct.unpack_from("<Q", self.head, 0x80),
                 *struct.unpack_from("<Q", self.head, 0xFA0))
        wanted = (b"PAGEDU64", 15, guest.layout.number, guest.pfn_database, guest.module_list, guest.process_list, 0x8664,
                  2, guest.debugger_data, self.size)
        if found != wanted:
            raise Failed(f"header: {found}, {wanted} expected")
        if self.head[0x348 + 0x34:0x348 + 0x38] != self.head[0x348 + 0x118:0x348 + 0x11C]:
            raise Failed("MXCSR is not twice the same")
        rip, = struct.unpack_from("<Q", self.head, 0x348 + 0xF8)
        if hex(rip) != guest.truth["registers"][0]["rip"]:
            raise Failed(f"RIP {rip:#x}")


def convert(engram, source, name, target, *options):
    out = source.parent / name
    done = subprocess.run([engram, "convert", source, out, "--to", target, *options], capture_output=True,
                          encoding="utf-8", check=False, timeout=10 * SECONDS)
    if done.returncode != 0:
        raise Failed(f"{source.name} to {target}: {done.stderr}")
    return out


def check_pages(guest, path, others=()):
    """Each page of the machine that its dump has, and no others but zeros; `others` may have other bytes."""
    pages = Pages(path)
    there = {frame for frame in guest.physical.frames if frame not in guest.withheld}
    for frame in there - set(others):
        if pages.page(frame) != guest.physical.page(frame):
            raise Failed(f"{path.name}: page {frame:#x} differs")
    return pages, set(pages.where) - there


def converted(engram, folder):
    """Dumps of each type as dumps with a bitmap and full ones; the same tables, the same pages, in the eyes of a reader of
    its own."""
    for build in (7601, 19041):
        guest, files = generate.write(folder, build, dump.TYPES)
        for kind, path in files.items():
            target = "dmp" if kind != 5 else "dmp-full"
            out = convert(engram, path, f"converted-{kind}.dmp", target)
            check_tables(Image(engram, out), guest)
            pages, more = check_pages(guest, out)
            pages.check_header(guest)
            if more:
                raise Failed(f"{out.name}: {len(more)} pages more")
            out.unlink()
        # Through a format that has notes, but no crash header.
        core = convert(engram, files[1], "core.elf", "elf")
        out = convert(engram, core, "from-elf.dmp", "dmp")
        compare("from ELF", Image(engram, out).query(QUERIES["processes"]), guest.truth["processes"])
        check_pages(guest, out)
        for path in (core, out, *files.values()):
            path.unlink()
    from_raw(engram, folder)
    done = subprocess.run([engram, "convert", folder / "small.dmp", folder / "out", "--to", "dmp"], capture_output=True,
                          encoding="utf-8", check=False, timeout=SECONDS)
    if done.returncode == 0:
        raise Failed("a file that is not there was converted")
    path = folder / "small.dmp"
    path.write_bytes(dump.Small(Guest(19041)).data)
    done = subprocess.run([engram, "convert", path, folder / "out", "--to", "raw"], capture_output=True,
                          encoding="utf-8", check=False, timeout=SECONDS)
    if done.returncode == 0 or "no physical memory" not in done.stderr or (folder / "out").exists():
        raise Failed(f"a small dump was converted: {done.stderr}")


def from_raw(engram, folder):
    """raw, dmp, raw: equal pages, equal tables; the debugger's block is as it was, or decoded if that is asked for."""
    guest, files = generate.write(folder, 19041, ("raw",), encoded=True)
    raw = files["raw"]
    out = convert(engram, raw, "from-raw.dmp", "dmp")
    pages, more = check_pages(guest, out)
    pages.check_header(guest)
    if any(pages.page(page).strip(b"\0") for page in itertools.islice(more, 0, None, 997)):
        raise Failed("pages that the machine does not have are not zeros")
    image = Image(engram, out)
    for table, sql in QUERIES.items():
        compare(f"from raw: {table}", image.query(sql), guest.truth["processes" if table == "tasks" else table])
    row, = image.query("SELECT bugcheck_name, processors, up_time, product_type FROM crash_dump")
    if row != {"bugcheck_name": "LIVE_SYSTEM_DUMP", "processors": 2, "up_time": 0, "product_type": 1}:
        raise Failed(f"from raw: {row}")
    back = convert(engram, out, "back.raw", "raw")
    if back.stat().st_size != raw.stat().st_size or back.stat().st_blocks > raw.stat().st_blocks * 1.1 + 64:
        raise Failed(f"back: {back.stat()}, {raw.stat()}")
    with back.open("rb") as file:
        for frame in guest.physical.frames:
            file.seek(frame * PAGE)
            if frame not in guest.withheld and file.read(PAGE) != guest.physical.page(frame):
                raise Failed(f"back: page {frame:#x}")
    decoded = convert(engram, raw, "decoded.dmp", "dmp", "--decode-kdbg")
    block, size = guest.debugger_data, guest.layout.kdbg_size
    touched = {guest.kernel.frame_of(address) for address in range(block, block + size, 8)}
    pages, _ = check_pages(guest, decoded, touched)
    plain = b"".join(pages.page(guest.kernel.frame_of(page))
                     for page in range(block & -PAGE, block + size, PAGE))[block % PAGE:][:size]
    if plain[0x10:0x14] != b"KDBG" or struct.unpack_from("<Q", plain, 0x18)[0] != NT:
        raise Failed(f"decoded: {plain[:0x20].hex()}")
    row, = Image(engram, decoded).query("SELECT symbols_source FROM image_info")
    if "decoded" in row["symbols_source"]:
        raise Failed(f"decoded: {row}")
