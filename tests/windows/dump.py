# SPDX-FileCopyrightText: engram contributors
# SPDX-License-Identifier: Apache-2.0
"""Writes a synthetic machine as a crash dump or as a raw image; and damages dumps."""
import itertools
import struct
import uuid

from guest import EPOCH, NT
from memory import PAGE

HEADER = 0x2000
TYPES = (1, 5, 6, 8, 9, 10)
BUGCHECK = 0x1000_007E


def runs_of(frames):
    """[first, number] of each run of consecutive frames."""
    runs = []
    for frame in sorted(frames):
        if runs and runs[-1][0] + runs[-1][1] == frame:
            runs[-1][1] += 1
        else:
            runs.append([frame, 1])
    return runs


def header(guest, kind, size, registers=True):
    data = bytearray(b"PAGE" * (HEADER // 4))
    put = lambda offset, layout, *values: struct.pack_into("<" + layout, data, offset, *values)
    process = guest.truth["processes"][0]
    put(0x04, "4sII", b"DU64", 15, guest.layout.number)
    put(0x10, "QQQQ", int(process["page_table"], 16) | 2, guest.pfn_database, guest.module_list, guest.process_list)
    put(0x30, "IIII", guest.MACHINE, 2, BUGCHECK, 0)
    put(0x40, "QQQQ", 0xFFFF_FFFF_C000_0005, guest.truth_start(), 0xFFFF_F90A_0000_1000, 0xFFFF_F90A_0000_2000)
    put(0x80, "Q", guest.debugger_data)
    if registers:
        data[0x348:0xF00] = guest.context(0).ljust(0xF00 - 0x348, b"\0")
    put(0xF00, "IIQQII", 0x8000_0003, 0, 0, guest.truth_start(), 1, 0)
    put(0xF20, "Q", 7)
    put(0xF98, "I", kind)
    put(0xFA0, "QQ", size, EPOCH + 8000)
    data[0xFB0:0xFB0 + 16] = b"made for a test\0"
    put(0x1030, "Q", 123_456_789_0)
    put(0x103C, "4I", 0, 1, 0x110, 0)
    put(0x1050, "II", 0, 17)
    return data


def facts(guest):
    """What crash_dump says of header()."""
    return {"bugcheck_code": BUGCHECK, "bugcheck_name": "SYSTEM_THREAD_EXCEPTION_NOT_HANDLED", "machine": guest.MACHINE_NAME,
            "processors": 2, "exception_code": 0x8000_0003, "exception_name": "STATUS_BREAKPOINT",
            "comment": "made for a test", "up_time": 123, **({} if guest.WIDTH == 4 else {"boot_id": 17})}


def dump32(guest):
    """A full dump of a 32-bit machine."""
    data = bytearray(b"PAGE" * 0x400)
    put = lambda offset, layout, *values: struct.pack_into("<" + layout, data, offset, *values)
    runs = runs_of(guest.physical.frames)
    put(0x04, "4sII", b"DUMP", 15, guest.build)
    put(0x10, "IIII", guest.kernel.root_register(), guest.pfn_database, guest.module_list, guest.process_list)
    put(0x20, "III", guest.MACHINE, 2, BUGCHECK)
    put(0x2C, "IIII", 0xC000_0005, guest.truth_start(), 1, 2)
    put(0x5C, "B", int(guest.pae))
    put(0x60, "I", guest.debugger_data)
    put(0x64, "II", len(runs), len(guest.physical.frames))
    put(0x6C, f"{2 * len(runs)}I", *itertools.chain(*runs))
    data[0x320:0x7D0] = guest.context().ljust(0x4B0, b"\0")
    put(0x7D0, "IIIII", 0x8000_0003, 0, 0, guest.truth_start(), 0)
    data[0x820:0x830] = b"made for a test\0"
    put(0xF88, "I", 1)
    put(0xFA0, "Q", len(data) + len(guest.physical.frames) * PAGE)
    put(0xFB8, "QQ", 123_456_789_0, EPOCH + 8000)
    return b"".join([data, *(guest.physical.page(frame) for frame in guest.physical.frames)])


def description(kind, runs):
    """What stands between the header and the pages."""
    pages = sum(count for _, count in runs)
    if kind in (5, 6):
        bits = (runs[-1][0] + runs[-1][1]) + 3  # not a multiple of 8
        bitmap = bytearray(-(-bits // 8))
        for first, count in runs:
            for frame in range(first, first + count):
                bitmap[frame // 8] |= 1 << frame % 8
        first_page = -(-(HEADER + 0x38 + len(bitmap)) // PAGE) * PAGE
        head = (b"FDMP" if kind == 5 else b"SDMP") + b"DUMP" + bytes(24) + struct.pack("<QQQ", first_page, pages, bits)
        return (head + bitmap).ljust(first_page - HEADER, b"\0")
    if kind in (8, 9, 10):
        metadata = 0x10 + (len(runs) + 1) * 16
        total = struct.pack("<IHHQ", len(runs), 0, 0, pages) if kind == 10 else bytes(16)
        table = b"".join(struct.pack("<QQ", *run) for run in runs)
        head = struct.pack("<I4s4sIQQ", 0x40, b"RDMP", b"DUMP", 0, metadata, 0x2020 + metadata) + total
        return (head + table).ljust(0x20 + metadata, b"\0")
    return b""


def dump(guest, kind):
    """Bytes of a dump of this type."""
    frames = [frame for frame in guest.physical.frames if frame not in guest.withheld]
    runs = runs_of(frames)
    middle = description(kind, runs)
    size = HEADER + len(middle) + len(frames) * PAGE
    head = header(guest, kind, size)
    if kind == 1:
        struct.pack_into("<IIQ", head, 0x88, len(runs), 0, len(frames))
        struct.pack_into(f"<{2 * len(runs)}Q", head, 0x98, *itertools.chain(*runs))
    return b"".join([head, middle, *(guest.physical.page(frame) for frame in frames)])


# Tags of secondary data: one that Windows has a name for, and one of nobody.
SECONDARY = {"270a33fd-3da6-460d-ba89-3c1bae21e39b": b"displays", "00112233-4455-6677-8899-aabbccddeeff": b"\xAA" * 77}


def secondary():
    """What callbacks of the bug check left behind everything else."""
    data = b"DumpBlob" + struct.pack("<II", 0x10, 19041)
    for tag, content in SECONDARY.items():
        padding = -len(content) % 8
        data += struct.pack("<I16sIII", 0x20, uuid.UUID(tag).bytes_le, len(content), 8, padding)
        data += bytes(8) + content + bytes(padding)
    return data


class Small:
    """A small dump: no pages, but lists, three structures and pieces of virtual memory."""

    STACK = 0xFFFF_F90A_0000_0F38  # not aligned to anything

    def __init__(self, guest, current=0):
        build = guest.layout
        self.guest = guest
        self.data = bytearray(header(guest, 4, 0)) + bytes(0x80)
        self.pieces = []  # (address, bytes): what engram must have
        thread = guest.truth["threads"][current]
        self.process, self.thread = int(thread["process"], 16), int(thread["virtual_address"], 16)
        self.processor = guest.prcbs[current]
        self.drivers()
        self.unloaded()
        for field, address, size in ((0x1C, self.processor, build.prcb_context + 8),
                                     (0x20, self.process, build.process_size), (0x24, self.thread, build.thread_size)):
            self.put(field, "I", self.part(address, guest.kernel.read(address, size)))
        stack = bytes(range(256)) * 5
        self.put(0x28, "II", self.part(self.STACK, stack), len(stack))
        self.put(0x48, "Q", self.STACK)
        page = NT + 0x1000
        self.put(0x60, "QII", page, self.part(page, guest.kernel.read(page, PAGE)), PAGE)
        block = guest.debugger_data
        self.put(0x70, "II", self.part(block, guest.kernel.read(block, build.kdbg_size)), build.kdbg_size)
        self.blocks([(guest.build_lab, 20), (guest.contexts[current], 0x4D0), (NT + 0x20, 0x61), (NT + 0x60, 0x33)])
        valid = len(self.data)
        self.put(0x04, "II", valid + 4, valid)
        self.put(0x0C, "II", 0x348, 0xF00)
        self.data += b"TRGD"
        struct.pack_into("<Q", self.data, 0xFA0, len(self.data))

    def put(self, offset, layout, *values):
        struct.pack_into("<" + layout, self.data, HEADER + offset, *values)

    def part(self, address, content):
        """Where in the file these bytes of memory are."""
        self.pieces.append((address, content))
        at = len(self.data)
        self.data += content + bytes(-len(content) % 8)
        return at

    def drivers(self):
        drivers = self.guest.truth["drivers"]
        driver_list = len(self.data)
        names = driver_list + 0x90 * len(drivers)
        entries, pool = b"", b""
        for driver in drivers:
            name = driver["name"].encode("utf-16-le")
            entry = bytearray(0x90)
            struct.pack_into("<I", entry, 0, names + len(pool))
            base, start = int(driver["base_address"], 16), int(driver["entry_point"], 16)
            struct.pack_into("<QQI", entry, 8 + 0x30, base, start, driver["size"])
            struct.pack_into("<I", entry, 8 + 0x80, driver["timestamp"])
            entries += entry
            pool += (struct.pack("<I", len(name) // 2) + name + b"\0\0").ljust(-(-(len(name) + 6) // 8) * 8, b"\0")
        self.put(0x30, "IIII", driver_list, len(drivers), names, len(pool))
        self.data += entries + pool

    def unloaded(self):
        unloaded = self.guest.truth["unloaded_drivers"]
        self.put(0x18, "I", len(self.data))
        self.data += struct.pack("<Q", len(unloaded))
        for driver in unloaded:
            name = driver["name"].encode("utf-16-le")[:24]
            start, end = int(driver["start_address"], 16), int(driver["end_address"], 16)
            self.data += struct.pack("<HH12x24sQQ", len(name), 24, name, start, end)

    def blocks(self, places):
        """Pieces that overlap, too."""
        table = b""
        for address, size in places:
            table += struct.pack("<QII", address, self.part(address, self.guest.kernel.read(address, size)), size)
        self.put(0x78, "II", len(self.data), len(places))
        self.data += table


def write_raw(guest, file):
    """Holes are zeros: they take no room on the disk."""
    for frame in guest.physical.frames:
        if frame not in guest.withheld:
            file.seek(frame * PAGE)
            file.write(guest.physical.page(frame))


def write_lime(guest, file):
    for first, count in runs_of(frame for frame in guest.physical.frames if frame not in guest.withheld):
        file.write(struct.pack("<IIQQ8x", 0x4C694D45, 1, first * PAGE, (first + count) * PAGE - 1))
        for frame in range(first, first + count):
            file.write(guest.physical.page(frame))


ELF_MACHINES = {0x8664: 62, 0xAA64: 183, 0x14C: 3}


def write_elf(guest, file, is_named=True):
    """A core file without notes; its header names the processor or not."""
    runs = runs_of(frame for frame in guest.physical.frames if frame not in guest.withheld)
    machine = ELF_MACHINES[guest.MACHINE] if is_named else 0
    file.write(b"\x7fELF\2\1\1".ljust(16, b"\0") +
               struct.pack("<HHIQQQIHHHHHH", 4, machine, 1, 0, 64, 0, 0, 64, 56, len(runs), 0, 0, 0))
    at = PAGE
    for first, count in runs:
        size = count * PAGE
        file.write(struct.pack("<IIQQQQQQ", 1, 7, at, 0, first * PAGE, size, size, 0))
        at += size
    file.seek(PAGE)
    for first, count in runs:
        for frame in range(first, first + count):
            file.write(guest.physical.page(frame))


# How memory is written without a crash header.
CONTAINERS = {"raw": write_raw, "lime": write_lime, "elf": write_elf,
              "core": lambda guest, file: write_elf(guest, file, False)}


def _put(offset, layout, *values):
    def change(data):
        struct.pack_into("<" + layout, data, offset, *values)
        return data
    return change


def _cut(size):
    return lambda data: data[:size]


def _grow_page_count(data):
    count, = struct.unpack_from("<Q", data, 0x2028)
    struct.pack_into("<Q", data, 0x2028, count - 5)
    return data


# Name: (type, change, what engram says: part of an error, or of a diagnostics row if the dump is used).
DAMAGE = {
    "signature": (1, _put(0, "4s", b"XAGE"), ("error", "no root of page tables")),
    "valid-dump": (1, _put(4, "4s", b"XXXX"), ("error", "no root of page tables")),
    "type-unknown": (1, _put(0xF98, "I", 0x77), ("error", "type 0x77")),
    "type-header-only": (1, _put(0xF98, "I", 3), ("error", "type 0x3")),
    "short-header": (1, _cut(0x1800), ("error", "its header alone has 8192")),
    "runs-many": (1, _put(0x88, "I", 0xFFFF), ("error", "65535 runs")),
    "runs-filler": (1, _put(0x88, "4s8s", b"PAGE", b"PAGEPAGE"), ("error", "not filled in")),
    "run-huge": (1, _put(0xA0, "Q", 1 << 60), ("error", "run 0")),
    "run-twice": (1, _put(0xA8, "Q", 1), ("warning", "overlaps an earlier one")),
    "run-at-end": (1, _put(0x98, "Q", (1 << 64) - 2), ("error", "run 0")),
    "run-pages-cut": (1, _cut(0x20_0000), ("cut", None)),
    "page-count": (1, _put(0x90, "Q", 3), ("warning", "pages are declared")),
    "bitmap-signature": (5, _put(0x2000, "4s", b"XXXX"), ("error", "bitmap")),
    "bitmap-first-page": (5, _put(0x2020, "Q", 1 << 62), ("error", "the file ends at")),
    "bitmap-first-page-low": (5, _put(0x2020, "Q", 0x2010), ("error", "before the end 0x22059 of the headers")),
    "bitmap-bits": (5, _put(0x2030, "Q", 1 << 60), ("error", "at most 0x80000000")),
    "bitmap-present": (6, _put(0x2028, "Q", 3), ("warning", "declare")),
    "bitmap-pages-cut": (6, _cut(0x20_0000), ("cut", None)),
    "ranges-signature": (8, _put(0x2004, "4s", b"XXXX"), ("error", "no header of ranges")),
    "ranges-metadata": (8, _put(0x2010, "Q", 8), ("error", "a multiple of 16")),
    "ranges-count": (8, _put(0x2038, "Q", 1 << 60), ("error", "exceed 2^64 bytes")),
    "ranges-page": (8, _put(0x2030, "Q", 1 << 60), ("error", "exceed 2^64 bytes")),
    "ranges-pages-cut": (9, _cut(0x20_0000), ("cut", None)),
    "ranges-total": (10, _grow_page_count, ("error", "are left of a total")),
    "root": (1, _put(0x10, "Q", 0x7777_7000), ("warning", "root 0x77777000 does not lead to KUSER_SHARED_DATA")),
    "encrypted": (1, _put(0x1050, "I", 1 << 8), ("error", "encrypted")),
}
assert len(DAMAGE) == 26
