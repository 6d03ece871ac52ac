#!/usr/bin/env python3
# SPDX-FileCopyrightText: engram contributors
# SPDX-License-Identifier: Apache-2.0
"""Makes synthetic Windows machines and compares what engram says of them with what is true.

windows.py --engram PROGRAM tables BUILD [--encoded]    every table, in every type of dump and raw
windows.py --engram PROGRAM arm64                       the same of an arm64 machine, and its pages
windows.py --engram PROGRAM x86                         a 32-bit machine with and one without PAE
windows.py --engram PROGRAM translations                pages that are hard to translate
windows.py --engram PROGRAM systems                     tables of the other system are errors
windows.py --engram PROGRAM triage                      small dumps, whole and cut
windows.py --engram PROGRAM secondary                   data that callbacks left in dumps
windows.py --engram PROGRAM converted                   from and to crash dumps, page by page
windows.py --engram PROGRAM damage                      headers that are damaged
windows.py --engram PROGRAM structures                  lists and trees that are damaged
windows.py --engram PROGRAM symbols BUILD               structures from files of symbols
windows.py --engram PROGRAM content                     structures of a build that is not known
windows.py --engram PROGRAM symbol_files                files of symbols that are wrong
"""
import argparse
import gzip
import itertools
import json
import lzma
import pathlib
import shutil
import struct
import subprocess
import sys
import tempfile

import arm64
import dump
import generate
import symbols as symbol_files_of
from builds import BUILDS
from guest import NT, Guest
from guest32 import Guest32
from memory import PAGE

SECONDS = 20  # more is a hang
COLUMNS = {
    "drivers": "virtual_address, name, path, base_address, size, entry_point, load_count, timestamp",
    "unloaded_drivers": "name, start_address, end_address, unload_time",
    "processes": "virtual_address, pid, parent, name, path, cmdline, threads, page_table, start_time",
    "tasks": "virtual_address, pid, peb, create_time, exit_time",
    "threads": "virtual_address, process, pid, tid, teb, start_address, win32_start_address, state, start_time",
    "process_modules": "process, pid, virtual_address, name, path, base_address, size, entry_point, wow64",
    "memory_mappings": "task, tgid, virtual_address, region_start, region_end, readable, writable, executable, shared, "
                       "file_path",
    "handles": "process, pid, handle, object, type, granted_access, inherit, protect_from_close, audit, name, target_pid, "
               "target_tid",
}
QUERIES = {table: f"SELECT {columns} FROM {table}" for table, columns in COLUMNS.items()}


class Failed(Exception):
    """engram did not say what is true."""


class Image:
    def __init__(self, engram, path, *options):
        self.engram, self.path, self.options = engram, path, options

    def run(self, *arguments):
        return subprocess.run([self.engram, *arguments], capture_output=True, encoding="utf-8", check=False,
                              timeout=SECONDS)

    def query(self, sql):
        done = self.run("query", self.path, sql, "--format", "json", *self.options)
        if done.returncode != 0:
            raise Failed(f"{self.path.name}: {sql}: {done.stderr.strip()}")
        return json.loads(done.stdout)

    def error(self, sql):
        """Text of the error that the query must end in."""
        done = self.run("query", self.path, sql, "--format", "json", *self.options)
        if done.returncode == 0:
            raise Failed(f"{self.path.name}: {sql}: an error expected, got {done.stdout[:200]!r}")
        if done.returncode < 0:
            raise Failed(f"{self.path.name}: {sql}: killed by signal {-done.returncode}")
        return done.stderr

    def messages(self, before="SELECT 1 AS x"):
        """What engram noticed when it answered the query `before`, and when it opened the image."""
        sql = f"CREATE TEMP TABLE t AS {before}; SELECT message FROM diagnostics WHERE level <= 3"
        return [row["message"] for row in self.query(sql)]


def registers_query(guest):
    return "SELECT " + ", ".join(guest.truth["registers"][0]) + " FROM registers"


def queries_of(guest):
    """The question for each table that the machine has."""
    queries = {**QUERIES, "registers": registers_query(guest)}
    if guest.ARCHITECTURE == "arm64":
        del queries["handles"]
    return queries


def sorted_rows(rows):
    return sorted(rows, key=lambda row: json.dumps(row, sort_keys=True))


def compare(what, ours, truth):
    columns = ours[0].keys() if ours else truth[0].keys() if truth else ()
    wanted = sorted_rows({column: row[column] for column in columns} for row in truth)
    for mine, expected in zip(sorted_rows(ours), wanted):
        if mine != expected:
            raise Failed(f"{what}: engram has {mine}, true is {expected}")
    if len(ours) != len(wanted):
        raise Failed(f"{what}: engram has {len(ours)} rows, {len(wanted)} are true")


def check_tables(image, guest):
    raw = image.path.suffix == ".raw"
    queries = queries_of(guest)
    for table, sql in queries.items():
        truth = guest.truth["processes" if table == "tasks" else table]
        if table == "registers" and raw:
            truth = [row for row in truth if row["source"] != "header"]
        compare(f"{image.path.name}: {table}", image.query(sql), truth)
    if raw:
        image.error("SELECT * FROM crash_dump")
    else:
        row, = image.query("SELECT " + ", ".join(dump.facts(guest)) + ", build FROM crash_dump")
        compare(f"{image.path.name}: crash_dump", [row], [{**dump.facts(guest), "build": guest.layout.number}])
    row, = image.query("SELECT operating_system, architecture, page_table_levels FROM image_info")
    compare(f"{image.path.name}: image_info", [row],
            [{"operating_system": "windows", "architecture": guest.ARCHITECTURE, "page_table_levels": 4}])
    # Each key column alone gives what a walk over all gives.
    process = guest.truth["processes"][3]["virtual_address"]
    for table, key in (("threads", "process"), ("process_modules", "process"), ("memory_mappings", "task"), ("handles", "process")):
        if table not in queries:
            continue
        rows = image.query(f"{queries[table]} WHERE {key} = {process}")
        truth = [row for row in guest.truth[table] if row[key] == process]
        compare(f"{image.path.name}: {table} of a process", rows, truth)


def tables(engram, folder, build, encoded):
    guest, files = generate.write(folder, build, (*dump.TYPES, "raw"), encoded)
    for path in files.values():
        check_tables(Image(engram, path), guest)
        path.unlink()


def check_translations(image, guest):
    for case in guest.truth["translations"]:
        call = f"translate({case['address']}, {case['page_table']})"
        row, = image.query(f"SELECT printf('0x%x', {call}) AS physical, {call} IS NULL AS fault")
        if "physical" in case:
            if row["fault"] or row["physical"] != case["physical"]:
                raise Failed(f"{call}: engram has {row}, true is {case}")
            continue
        text = " ".join(image.messages(f"SELECT {call} AS x"))
        level = f"level {case['level']}" if case["level"] else ""
        if not row["fault"] or case["text"] not in text or level not in text:
            raise Failed(f"{call}: engram has {row}, {text}; true is {case}")


def check_virtual_bytes(image, guest, address, size):
    """The kernel's memory by the command and by the function."""
    true = guest.kernel.read(address, size)
    done = subprocess.run([image.engram, "read", "--virt", "--raw", image.path, hex(address), "--len", str(size)],
                          capture_output=True, check=False, timeout=SECONDS)
    if done.returncode != 0 or done.stdout != true:
        raise Failed(f"{image.path.name}: read --virt {address:#x}: {done.stdout[:16]!r}, {done.stderr!r}; {true[:16]!r}")
    row, = image.query(f"SELECT hex(read_bytes({address:#x}, {size})) AS bytes")
    if row["bytes"] != true.hex().upper():
        raise Failed(f"{image.path.name}: read_bytes({address:#x}, {size}): {row['bytes'][:32]}")


def translations(engram, folder):
    guest, files = generate.write(folder, 19041, (1, 6))
    for path in files.values():
        check_translations(Image(engram, path), guest)
        check_virtual_bytes(Image(engram, path), guest, guest.module_list, 3 * PAGE)


def arm64_machine(engram, folder):
    guest, files = generate.write(folder, arm64.BUILD, dump.TYPES)
    for path in files.values():
        check_tables(Image(engram, path), guest)
        check_virtual_bytes(Image(engram, path), guest, guest.module_list, 3 * PAGE)
    check_translations(Image(engram, files[1]), guest)
    if "handle tables is not known" not in (text := Image(engram, files[1]).error("SELECT * FROM handles")):
        raise Failed(f"handles: {text}")
    # An older build, of which no public source tells where the members are.
    data = bytearray(files[1].read_bytes())
    struct.pack_into("<I", data, 0x0C, 22000)
    system = int(guest.truth["processes"][0]["virtual_address"], 16) + guest.layout.pid
    frame = guest.kernel.frame_of(system)
    at = dump.HEADER + [f for f in guest.physical.frames if f not in guest.withheld].index(frame) * PAGE + system % PAGE
    struct.pack_into("<Q", data, at, 0)
    files[1].write_bytes(data)
    if "layouts of EPROCESS on arm64" not in (text := Image(engram, files[1]).error("SELECT * FROM processes")):
        raise Failed(f"another layout: {text}")


def x86(engram, folder):
    for pae in (True, False):
        guest = Guest32(pae)
        path = folder / f"x86-{'pae' if pae else 'narrow'}.dmp"
        path.write_bytes(dump.dump32(guest))
        image = Image(engram, path)
        for table in ("drivers", "unloaded_drivers"):
            compare(f"{path.name}: {table}", image.query(QUERIES[table]), guest.truth[table])
        compare(f"{path.name}: registers", image.query(registers_query(guest)), guest.truth["registers"])
        row, = image.query("SELECT machine, build, pae, bugcheck_code, exception_code, up_time FROM crash_dump")
        facts = {**dump.facts(guest), "build": guest.build, "pae": int(pae)}
        compare(f"{path.name}: crash_dump", [row], [facts])
        row, = image.query("SELECT operating_system, architecture, page_table_levels, kernel_base FROM image_info")
        compare(f"{path.name}: image_info", [row], [{"operating_system": "windows", "architecture": "x86",
                                                     "page_table_levels": 3 if pae else 2,
                                                     "kernel_base": guest.truth["drivers"][0]["base_address"]}])
        row, = image.query("SELECT arch, build, system_version, system_root FROM os_version")
        compare(f"{path.name}: os_version", [row], [{"arch": "x86", "build": 7601, "system_root": "C:\\Windows",
                                                     "system_version": "7601.synthetic32"}])
        check_translations(image, guest)
        check_virtual_bytes(image, guest, guest.module_list, 3 * PAGE)
        for table in ("processes", "threads", "tasks", "memory_mappings", "process_modules"):
            if "EPROCESS and ETHREAD of x86" not in (text := image.error(f"SELECT * FROM {table}")):
                raise Failed(f"{path.name}: {table}: {text}")


def systems(engram, folder):
    _, files = generate.write(folder, 19041, (8,))
    image = Image(engram, files[8])
    for table in ("mounts", "kallsyms", "sockets", "task_open_files"):
        if "Windows (build 19041)" not in (text := image.error(f"SELECT * FROM {table}")):
            raise Failed(f"{table}: {text}")


def check_pieces(image, small):
    """Each byte of the pieces is there, and none beside them."""
    for address, content in small.pieces:
        row, = image.query(f"SELECT hex(read_bytes({address - 2**64}, {len(content)})) AS bytes")
        if row["bytes"] != content.hex().upper():
            raise Failed(f"{address:#x}: {row['bytes']}, {content.hex()} expected")
        done = image.run("read", image.path, f"{address:x}", "--virt", "--len", str(len(content)), "--format", "json")
        rows = json.loads(done.stdout)
        if len(rows) != 1 or rows[0]["size"] != len(content):
            raise Failed(f"{address:#x}: {done.stdout} {done.stderr}")
    row, = image.query(f"SELECT read_bytes({small.STACK - 1 - 2**64}, 2) IS NULL AS gone, translate({NT:#x}) IS NULL AS none")
    compare("no piece", [row], [{"gone": 1, "none": 1}])
    if "no page tables" not in (text := " ".join(image.messages("SELECT read_bytes(1, 1, 4096) AS bytes"))):
        raise Failed(f"a root: {text}")
    done = image.run("read", image.path, "1000")
    if done.returncode == 0 or done.stdout.strip("?0123456789abcdef| *\n"):
        raise Failed(f"physical memory of a small dump: {done.stdout}")


def check_small(engram, path, build, current):
    """What a small dump has is true; all else is an error that says so."""
    guest = Guest(build)
    small = dump.Small(guest, current)
    path.write_bytes(small.data + dump.secondary())
    image = Image(engram, path)
    rows = image.query("SELECT name, base_address, size, entry_point, timestamp FROM drivers")
    compare("drivers", rows, guest.truth["drivers"])
    cut_names = [{**row, "name": row["name"][:12]} for row in guest.truth["unloaded_drivers"]]
    compare("unloaded_drivers", image.query("SELECT name, start_address, end_address FROM unloaded_drivers"), cut_names)
    registers = [row for row in guest.truth["registers"] if row["source"] == "header" or row["cpu"] == current]
    if current != 0:  # the header has those of CPU 0, and the dump nothing else of that
        registers = [{**row, "cpu": None if row["source"] == "header" else row["cpu"]} for row in registers]
    compare("registers", image.query(registers_query(guest)), registers)
    row, = image.query("SELECT dump_type_name, bugcheck_name, build FROM crash_dump")
    compare("crash_dump", [row], [{**dump.facts(guest), "dump_type_name": "triage", "build": build}])
    process, = [row for row in guest.truth["processes"] if int(row["virtual_address"], 16) == small.process]
    rows = image.query("SELECT virtual_address, pid, parent, name, page_table, start_time, threads FROM processes")
    compare("processes", rows, [{**process, "threads": None}])
    thread = guest.truth["threads"][current]
    compare("threads", image.query(QUERIES["threads"]), [thread])
    row, = image.query("SELECT system_version, build FROM os_version")
    compare("os_version", [row], [{"system_version": f"{build}.1.synthetic", "build": build}])
    row, = image.query("SELECT operating_system, page_table_levels, page_table FROM image_info")
    compare("image_info", [row], [{"operating_system": "windows", "page_table_levels": None, "page_table": None}])
    if not any("the one that ran" in text for text in image.messages("SELECT * FROM processes")):
        raise Failed("nothing says that there are other processes")
    for table in ("memory_mappings", "process_modules", "handles", "mounts"):
        if "has no page tables" not in (text := image.error(f"SELECT * FROM {table}")):
            raise Failed(f"{table}: {text}")
    check_pieces(image, small)
    check_secondary(image, small.data)
    return image


def triage(engram, folder):
    path = folder / "small.dmp"
    for build in (7601, 26100):
        check_small(engram, path, build, 0)
    check_small(engram, path, 19041, 1)
    whole = bytes(dump.Small(Guest(19041)).data)
    image = Image(engram, path)
    for change, text in (({0x34: 0xFFFF_FFFF}, "driver"), ({0x34: 5000}, "driver"), ({0x08: 0}, "it was cut"),
                         ({0x30: 0xFFFF_FFF0}, "the file ends at"), ({0x18: 0xFFFF_FFF0}, None),
                         ({0x7C: 0xFFFF_FFFF, 0x78: 0x2000}, "block")):
        data = bytearray(whole)
        for offset, value in change.items():
            struct.pack_into("<I", data, 0x2000 + offset, value)
        path.write_bytes(data)
        said = " ".join(image.messages("SELECT name FROM drivers"))
        if text and text not in said:
            raise Failed(f"{change}: {said!r} does not speak of {text!r}")
    for change, text in (({0x20: 0, 0x24: 0}, "no process"), ({0x74: 8}, "KDBG"), ({0x70: 0}, "KDBG"),
                         ({0x24: 0x2000}, "belong together")):
        data = bytearray(whole)
        for offset, value in change.items():
            struct.pack_into("<I", data, 0x2000 + offset, value)
        path.write_bytes(data)
        if text not in (said := image.error("SELECT * FROM processes")):
            raise Failed(f"{change}: {said!r} does not speak of {text!r}")
        image.query("SELECT name FROM drivers")
    path.write_bytes(whole[:0x2040])
    if "inside the header of a small dump" not in (text := image.error("SELECT * FROM drivers")):
        raise Failed(f"cut: {text}")
    for size in (0x2080, 0x2100, len(whole) // 2, len(whole) - 5, len(whole) - 1):
        path.write_bytes(whole[:size])
        if "it was cut" not in (text := " ".join(image.messages("SELECT name FROM drivers"))):
            raise Failed(f"cut at {size:#x}: {text}")


def check_secondary(image, before):
    """The blocks behind the bytes `before`."""
    rows = image.query("SELECT tag, owner, offset, size FROM secondary_data")
    content = image.path.read_bytes()
    found = {row["tag"]: content[row["offset"]:row["offset"] + row["size"]] for row in rows}
    if found != dump.SECONDARY or min(row["offset"] for row in rows) != len(before) + 0x38:
        raise Failed(f"{image.path.name}: secondary data {rows}")
    if [row["owner"] for row in rows] != ["watchdog!WdDxgkSecondaryDataGUID", None]:
        raise Failed(f"{image.path.name}: owners {rows}")


def secondary(engram, folder):
    """In each type of dump; cut, it is said; without, there are no rows."""
    guest = Guest(19041)
    path = folder / "secondary.dmp"
    image = Image(engram, path)
    for kind in dump.TYPES:
        whole, more = dump.dump(guest, kind), dump.secondary()
        path.write_bytes(whole)
        compare("none", image.query("SELECT * FROM secondary_data"), [])
        path.write_bytes(whole + more)
        check_secondary(image, whole)
        if "watchdog!" not in image.run("info", path).stdout:
            raise Failed("info does not show secondary data")
    for change, text in (((0x14 + 0x10, "I", 0x7FFF_FFFF), "secondary data 0"), ((0x28, "I", 0xFFFF_FFFF), "secondary data 0"),
                         ((0x10, "I", 0), None), ((0x08, "I", 0xFFFF_FFFF), None), ((0, "Q", 0), None)):
        data = bytearray(more)
        offset, layout, value = change
        struct.pack_into("<" + layout, data, offset, value)
        path.write_bytes(whole + data)
        compare(f"{change}", image.query("SELECT * FROM secondary_data"), [])
        if text and text not in (said := " ".join(image.messages())):
            raise Failed(f"{change}: {said!r} does not speak of {text!r}")


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


def damage(engram, folder):
    """Damaged headers: an error that says what is wrong, or a warning and what is still there. No hang."""
    guest = Guest(19041)
    whole = {kind: dump.dump(guest, kind) for kind in dump.TYPES}
    for name, (kind, change, (outcome, text)) in dump.DAMAGE.items():
        path = folder / f"{name}.dmp"
        path.write_bytes(change(bytearray(whole[kind])))
        image = Image(engram, path)
        if outcome == "error":
            said = image.error("SELECT * FROM drivers")
            if text not in said:
                raise Failed(f"{name}: {said!r} does not speak of {text!r}")
        else:
            said = " ".join(image.messages())
            row, = image.query("SELECT truncated, bugcheck_code FROM image_info, crash_dump")
            if row["bugcheck_code"] != dump.BUGCHECK:
                raise Failed(f"{name}: {row}")
            if outcome == "cut" and not row["truncated"]:
                raise Failed(f"{name}: not truncated")
            if outcome == "warning" and text not in said:
                raise Failed(f"{name}: {said!r} does not speak of {text!r}")
        path.unlink()
    # Cut anywhere, a dump opens or says why not.
    for kind, data in whole.items():
        for size in (0x10, 0x1FFF, 0x2000, 0x2030, 0x2038, 0x2100, 0x3000, len(data) // 2, len(data) - 1):
            path = folder / "cut.dmp"
            path.write_bytes(data[:size])
            done = Image(engram, path).run("query", path, "SELECT name FROM drivers", "--format", "json")
            if done.returncode < 0 or (done.returncode != 0 and not done.stderr):
                raise Failed(f"type {kind} cut at {size:#x}: exit code {done.returncode}, {done.stderr!r}")


def changed(engram, folder, change, build=19041):
    """A machine of which something was changed, as an image."""
    guest = Guest(build)
    change(guest)
    path = folder / "changed.dmp"
    path.write_bytes(dump.dump(guest, 1))
    return guest, Image(engram, path)


def word(guest, address, value=None):
    if value is None:
        return struct.unpack("<Q", guest.kernel.read(address, 8))[0]
    guest.kernel.write_all(address, "Q", value)
    return value


def structures(engram, folder):
    """Damaged lists and trees end with a row that says so; what was there before is listed."""
    def list_loop(guest):
        second = int(guest.truth["drivers"][1]["virtual_address"], 16)
        fourth = int(guest.truth["drivers"][3]["virtual_address"], 16)
        word(guest, fourth, second)
    guest, image = changed(engram, folder, list_loop)
    compare("a list that comes back", image.query(QUERIES["drivers"]), guest.truth["drivers"][:4])
    if not any("comes back" in text for text in image.messages("SELECT * FROM drivers")):
        raise Failed("a list that comes back: nothing is said")

    def tree_loop(guest):
        area = guest.truth["memory_mappings"][0]
        root = word(guest, int(area["task"], 16) + guest.layout.vads)
        word(guest, int(area["virtual_address"], 16) + 8, root)  # the lowest area leads to the root
    guest, image = changed(engram, folder, tree_loop)
    rows = image.query(QUERIES["memory_mappings"])
    compare("a tree that comes back", rows, guest.truth["memory_mappings"])

    def odd_name(guest):
        entry = int(guest.truth["drivers"][2]["virtual_address"], 16)
        guest.kernel.write_all(entry + 0x58, "H", 7)
    guest, image = changed(engram, folder, odd_name)
    names = [row["name"] for row in image.query("SELECT name FROM drivers")]
    if names[2] != guest.truth["drivers"][2]["name"][:3]:
        raise Failed(f"an odd length: {names[2]!r}")

    def lost_name(guest):
        entry = int(guest.truth["drivers"][2]["virtual_address"], 16)
        word(guest, entry + 0x60, 0xFFFF_C000_0000_0000)
    guest, image = changed(engram, folder, lost_name)
    rows = image.query("SELECT name, path FROM drivers")
    if rows[2]["name"] is not None or rows[2]["path"] != guest.truth["drivers"][2]["path"] or len(rows) != 6:
        raise Failed(f"a name that is not there: {rows[2]}")

    handle_tables(engram, folder)

    def no_debugger_data(guest):
        guest.kernel.write(guest.debugger_data, bytes(guest.layout.kdbg_size))
    guest, image = changed(engram, folder, no_debugger_data)
    compare("without KDBG", image.query(QUERIES["processes"]), guest.truth["processes"])
    if "KDBG" not in (text := image.error("SELECT * FROM unloaded_drivers")):
        raise Failed(f"without KDBG: {text}")

    def no_processes(guest):
        word(guest, guest.process_list, 0)
    _, image = changed(engram, folder, no_processes)
    if "System" not in (text := image.error("SELECT * FROM processes")):
        raise Failed(f"without a list of processes: {text}")
    if len(image.query("SELECT * FROM drivers")) != 6:
        raise Failed("without a list of processes there are no drivers")


def symbols(engram, folder, build):
    """Every table, with the structures from a file: PDB and ISF, also of a build that the table does not know."""
    guest, files = generate.write(folder, build, (1, "raw"))
    addresses = {"PsActiveProcessHead": guest.process_list - NT, "PsLoadedModuleList": guest.module_list - NT,
                 **{name: address - NT for name, address in guest.tree.symbols.items()}}
    isf = symbol_files_of.isf(guest.layout, addresses).encode()
    made = {"nt.pdb": symbol_files_of.pdb(guest.layout, addresses), "nt.json": isf, "nt.json.gz": gzip.compress(isf),
            "nt.json.xz": lzma.compress(isf)}
    for name, content in made.items():
        file = folder / name
        file.write_bytes(content)
        image = Image(engram, files["raw" if name == "nt.pdb" else 1], "--symbols", str(file))
        check_tables(image, guest)
        row, = image.query("SELECT types_source, pdb_name, pdb_guid, pdb_age FROM image_info")
        if not row.pop("types_source").startswith(f"file: {file} ("):
            raise Failed(f"{name}: the structures are not said to be from it")
        compare("image_info", [row], [{"pdb_name": "ntkrnlmp.pdb", "pdb_guid": "030201000504070608090A0B0C0D0E0F",
                                       "pdb_age": 1}])
        if lost := [text for text in image.messages("SELECT * FROM processes") if "has no" in text]:
            raise Failed(f"{name}: {lost}")

    def no_debugger_data(changing):
        changing.kernel.write(changing.debugger_data, bytes(changing.layout.kdbg_size))
    guest, image = changed(engram, folder, no_debugger_data, build)
    image.options = ("--symbols", str(folder / "nt.pdb"))
    for table in ("processes", "threads", "memory_mappings", "handles"):
        compare(f"{table} without KDBG", image.query(QUERIES[table]), guest.truth[table])


def handle_tables(engram, folder):
    """Damaged tables of handles, and objects whose types cannot be told: the rest is there, and a row says what is not."""
    def table_of(guest, index):
        process = int(guest.truth["processes"][index]["virtual_address"], 16)
        return process, word(guest, process + guest.layout.handles) + guest.layout.table_code

    def check(what, change, text, rows=lambda row: True, columns=None):
        guest, image = changed(engram, folder, change)
        got = image.query(f"SELECT {columns} FROM handles" if columns else QUERIES["handles"])
        compare(what, got, [row for row in guest.truth["handles"] if rows(row)])
        if not any(text in said for said in image.messages("SELECT count(type), count(name) FROM handles")):
            raise Failed(f"{what}: nothing is said of {text!r}")

    def level(guest):
        _, code = table_of(guest, 0)
        word(guest, code, word(guest, code) | 7)
    check("a level that is too high", level, "level 7, at most 2 expected", lambda row: row["pid"] != 4)

    def twice(guest):  # the second table of pointers of System is the first
        _, code = table_of(guest, 0)
        top = word(guest, code) & ~7
        word(guest, top + 8, word(guest, top))
    check("a page that is there twice", twice, "is in it twice", lambda row: row["pid"] != 4 or row["handle"] < 1 << 19)

    def lost(guest):
        _, code = table_of(guest, 2)
        word(guest, code, 0xFFFF_C000_0000_0000)
    check("a table that is not there", lost, "0xffffc00000000000", lambda row: row["pid"] != 28)

    def no_page(guest):
        _, code = table_of(guest, 2)
        word(guest, code, 0x7FFF_0000)
    check("a table of the user", no_page, "is no page of it", lambda row: row["pid"] != 28)

    told = "process, handle, object, granted_access, target_pid IS NOT NULL AS other"

    def no_types(guest):
        word(guest, guest.tree.type_variable, 0)
    guest, image = changed(engram, folder, no_types)
    rows = image.query(f"SELECT {told}, type, name FROM handles")
    if len(rows) != len(guest.truth["handles"]) or any(row["type"] or row["name"] or row["other"] for row in rows):
        raise Failed("without types: rows are not as without types")
    if not any("types of objects are not known" in text for text in image.messages("SELECT type FROM handles")):
        raise Failed("without types: nothing is said")

    def other_type(guest):  # one process is overwritten: the others still say what the key is
        header = int(guest.truth["processes"][5]["virtual_address"], 16) - 0x30
        guest.kernel.write_all(header + 0x18, "B", 0xEE)
    guest, image = changed(engram, folder, other_type)
    compare("a process that is none", image.query(QUERIES["handles"]), guest.truth["handles"])

    def key_loop(guest):
        key = next(int(row["object"], 16) for row in guest.truth["handles"] if row["type"] == "Key")
        block = word(guest, key + 8)
        word(guest, block + guest.layout.key[0], block)
    guest, image = changed(engram, folder, key_loop)
    rows = image.query("SELECT name FROM handles WHERE type = 'Key'")
    if rows != [{"name": None}] * 5:
        raise Failed(f"a key inside itself: {rows}")

    def directory_loop(guest):
        names = next(int(row["object"], 16) for row in guest.truth["handles"]
                     if row["name"] == "\\BaseNamedObjects")
        word(guest, names - 0x30 - 0x20, names)
    _, image = changed(engram, folder, directory_loop)
    rows = image.query("SELECT DISTINCT name FROM handles WHERE type = 'Event' ORDER BY name")
    if rows != [{"name": None}, {"name": "Lone"}]:
        raise Failed(f"a directory inside itself: {rows}")
    if not any("lies in itself" in text for text in image.messages("SELECT name FROM handles")):
        raise Failed("a directory inside itself: nothing is said")


# What is found out of a build that is not known.
TOLD = {
    "processes": ("virtual_address", "pid", "parent", "name", "path", "cmdline", "threads", "page_table", "start_time"),
    "tasks": ("virtual_address", "pid", "peb", "create_time"),
    "threads": ("virtual_address", "process", "pid", "tid", "teb", "state"),
    "process_modules": ("process", "pid", "virtual_address", "name", "path", "base_address", "size"),
    "registers": ("cpu", "source", "rax", "rip"),
}


def content(engram, folder):
    """A build that the table does not know: each cell is what is true or NULL, and what is NULL is said."""
    for encoded in (False, True):
        guest, files = generate.write(folder, 30123, (5, "raw"), encoded)
        for path in files.values():
            image = Image(engram, path)
            for table, told in TOLD.items():
                truth = guest.truth["processes" if table == "tasks" else table]
                if table == "registers" and path.suffix == ".raw":
                    truth = [row for row in truth if row["source"] != "header"]
                # 32-bit modules hang in what is not known; so does when a thread began.
                truth = [row for row in truth if not row.get("wow64") or table != "process_modules"]
                rows = image.query(queries_of(guest)[table])
                compare(f"{path.name}: {table}", [{column: row[column] for column in told} for row in rows], truth)
                for column in set(rows[0]) - set(told):
                    allowed = [{row[column] for row in truth}, {0}][column == "wow64"] | {None}
                    if wrong := [row[column] for row in rows if row[column] not in allowed]:
                        raise Failed(f"{table}.{column}: {wrong}")
            for table in ("memory_mappings", "handles"):
                if "--symbols" not in (text := image.error(f"SELECT * FROM {table}")):
                    raise Failed(f"{table}: {text}")
            said = image.messages("SELECT * FROM tasks")
            for member in ("EPROCESS.VadRoot", "EPROCESS.ObjectTable", "EPROCESS.ExitTime"):
                if not any(text.startswith(f"{member} is not known of build 30123") for text in said):
                    raise Failed(f"{member}: {said}")
            row, = image.query("SELECT types_source FROM image_info")
            if not row["types_source"].startswith("content: "):
                raise Failed(f"image_info: {row}")
            path.unlink()

    def two_names(changing):  # a second place that could be the name of each
        for process in changing.processes:
            text = changing.kernel.read(process + changing.layout.name, 15)
            changing.kernel.write(process + changing.layout.name + 0x40, text)
    _, image = changed(engram, folder, two_names, 30123)
    if "by content" not in (text := image.error("SELECT * FROM processes")):
        raise Failed(f"two names: {text}")


def symbol_files(engram, folder):
    """Files of another kernel, of something else, and damaged ones are errors that say so."""
    _, files = generate.write(folder, 19041, (1,))
    layout = BUILDS[19041]
    guid = "030201000504070608090A0B0C0D0E0F"
    pdb = symbol_files_of.pdb(layout)
    linux = {"metadata": {}, "base_types": {}, "user_types": {}, "enums": {}, "symbols": {}}
    cases = {
        "other.pdb": (symbol_files_of.pdb(layout, guid=bytes(16)), ("0" * 32, guid, "ntkrnlmp.pdb", "other.pdb")),
        "older.json": (symbol_files_of.isf(layout, age=2).encode(), ("age 2", "age 1", guid)),
        "linux.json": (json.dumps(linux).encode(), ("not of Windows", "build 19041")),
        "text.txt": (b"EPROCESS", ("neither a PDB",)),
        "cut.pdb": (pdb[:len(pdb) // 2], ("cut.pdb: pdb: block", "does not lie in the file")),
        "cut.json": (symbol_files_of.isf(layout).encode()[:1000], ("cut.json: isf: no JSON at offset 0x3e8",)),
        "cut.xz": (lzma.compress(symbol_files_of.isf(layout).encode())[:300], ("cut.xz: xz: damaged or cut",)),
        "empty.pdb": (b"", ("empty",)),
    }
    for name, (content, texts) in cases.items():
        file = folder / name
        file.write_bytes(content)
        said = Image(engram, files[1], "--symbols", str(file)).error("SELECT * FROM processes")
        if missing := [text for text in texts if text not in said]:
            raise Failed(f"{name}: {said!r} does not speak of {missing}")
    # What needs no structures is there with a file that is not right, too.
    image = Image(engram, files[1], "--symbols", str(folder / "other.pdb"))
    if len(image.query("SELECT * FROM drivers")) != 6:
        raise Failed("no drivers with a file of another kernel")
    # Cut anywhere, or with words changed, a file is read or refused.
    for at in range(0, len(pdb), 97):
        changed_file = folder / "changed.pdb"
        changed_file.write_bytes(pdb[:at] + b"\xFF\x7F\xFF" + pdb[at + 3:])
        done = Image(engram, files[1]).run("query", files[1], "SELECT pid FROM tasks", "--symbols", str(changed_file))
        if done.returncode not in (0, 1) or (done.returncode == 1 and not done.stderr):
            raise Failed(f"changed at {at:#x}: exit code {done.returncode}, {done.stderr!r}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--engram", required=True)
    parser.add_argument("check", choices=("tables", "arm64", "x86", "translations", "systems", "triage", "secondary", "converted",
                                          "damage", "structures", "symbols", "content", "symbol_files"))
    parser.add_argument("build", nargs="?", type=int, default=19041)
    parser.add_argument("--encoded", action="store_true")
    options = parser.parse_args()
    folder = pathlib.Path(tempfile.mkdtemp(prefix="engram-windows-"))
    try:
        if options.check == "tables":
            tables(options.engram, folder, options.build, options.encoded)
        elif options.check == "arm64":
            arm64_machine(options.engram, folder)
        elif options.check == "symbols":
            symbols(options.engram, folder, options.build)
        else:
            globals()[options.check](options.engram, folder)
    except (Failed, subprocess.TimeoutExpired) as problem:
        print(f"{options.check}: {problem}")
        return 1
    finally:
        shutil.rmtree(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
