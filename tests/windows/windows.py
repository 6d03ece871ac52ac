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
windows.py --engram PROGRAM damage                      headers that are damaged
windows.py --engram PROGRAM structures                  lists and trees that are damaged
"""
import argparse
import json
import pathlib
import shutil
import struct
import subprocess
import sys
import tempfile

import arm64
import dump
import generate
from guest import Guest
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
}
QUERIES = {table: f"SELECT {columns} FROM {table}" for table, columns in COLUMNS.items()}


class Failed(Exception):
    """engram did not say what is true."""


class Image:
    def __init__(self, engram, path):
        self.engram, self.path = engram, path

    def run(self, *arguments):
        return subprocess.run([self.engram, *arguments], capture_output=True, encoding="utf-8", check=False,
                              timeout=SECONDS)

    def query(self, sql):
        done = self.run("query", self.path, sql, "--format", "json")
        if done.returncode != 0:
            raise Failed(f"{self.path.name}: {sql}: {done.stderr.strip()}")
        return json.loads(done.stdout)

    def error(self, sql):
        """Text of the error that the query must end in."""
        done = self.run("query", self.path, sql, "--format", "json")
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
    for table, sql in {**QUERIES, "registers": registers_query(guest)}.items():
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
    for table, key in (("threads", "process"), ("process_modules", "process"), ("memory_mappings", "task")):
        rows = image.query(f"{QUERIES[table]} WHERE {key} = {process}")
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


def triage(engram, folder):
    """A small dump has its header, a context and lists of drivers; all else is an error that says so."""
    guest = Guest(19041)
    path = folder / "small.dmp"
    whole = dump.triage(guest)
    path.write_bytes(whole)
    image = Image(engram, path)
    rows = image.query("SELECT name, base_address, size, entry_point, timestamp FROM drivers")
    compare("drivers", rows, guest.truth["drivers"])
    cut_names = [{**row, "name": row["name"][:12]} for row in guest.truth["unloaded_drivers"]]
    compare("unloaded_drivers", image.query("SELECT name, start_address, end_address FROM unloaded_drivers"), cut_names)
    registers = [{**row, "cpu": None} for row in guest.truth["registers"] if row["source"] == "header"]
    compare("registers", image.query(registers_query(guest)), registers)
    row, = image.query("SELECT dump_type_name, bugcheck_name, build FROM crash_dump")
    compare("crash_dump", [row], [{**dump.facts(guest), "dump_type_name": "triage", "build": 19041}])
    for table in ("processes", "threads", "memory_mappings", "mounts"):
        if "has no page tables" not in (text := image.error(f"SELECT * FROM {table}")):
            raise Failed(f"{table}: {text}")
    image.query("SELECT * FROM image_info")
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
    path.write_bytes(whole[:0x2040])
    if "inside the header of a small dump" not in (text := image.error("SELECT * FROM drivers")):
        raise Failed(f"cut: {text}")


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


def changed(engram, folder, change):
    """A machine of which something was changed, as an image."""
    guest = Guest(19041)
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


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--engram", required=True)
    parser.add_argument("check", choices=("tables", "arm64", "x86", "translations", "systems", "triage", "damage", "structures"))
    parser.add_argument("build", nargs="?", type=int, default=19041)
    parser.add_argument("--encoded", action="store_true")
    options = parser.parse_args()
    folder = pathlib.Path(tempfile.mkdtemp(prefix="engram-windows-"))
    try:
        if options.check == "tables":
            tables(options.engram, folder, options.build, options.encoded)
        elif options.check == "arm64":
            arm64_machine(options.engram, folder)
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
