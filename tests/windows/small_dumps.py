# SPDX-FileCopyrightText: engram contributors
# SPDX-License-Identifier: Apache-2.0
"""Small (triage) dumps, and the data that callbacks left in dumps."""
import json
import struct

import dump
import symbols
from guest import NT, Guest
from program import QUERIES, Failed, Image, compare, registers_query


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
    gap = 0x38  # before the stack, which does not begin with a page
    done = image.run("read", image.path, f"{small.STACK - gap:x}", "--virt", "--len", str(gap + 16), "--format", "json")
    compare("behind a gap", [{"size": row["size"], "there": row["bytes"] is not None} for row in json.loads(done.stdout)],
            [{"size": gap, "there": False}, {"size": 16, "there": True}])
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


def check_ran(engram, path, guest, *options):
    """What a small dump says of the process and of the thread that ran."""
    small = dump.Small(guest, 0)
    path.write_bytes(small.data)
    image = Image(engram, path, *options)
    process, = [row for row in guest.truth["processes"] if int(row["virtual_address"], 16) == small.process]
    rows = image.query("SELECT virtual_address, pid, parent, name, page_table, start_time, threads FROM processes")
    compare(f"{path.name}: processes", rows, [{**process, "threads": None}])
    compare(f"{path.name}: threads", image.query(QUERIES["threads"]), [guest.truth["threads"][0]])
    return image


def with_symbols(engram, folder):
    """A build that no table has; and a file that is of another one."""
    guest = Guest(30123)
    path, file = folder / "unknown.dmp", folder / "nt.pdb"
    path.write_bytes(dump.Small(guest, 0).data)
    if "belong together" not in (text := Image(engram, path).error("SELECT * FROM processes")):
        raise Failed(f"a build that is not known: {text}")
    file.write_bytes(symbols.pdb(guest.layout))
    image = check_ran(engram, path, guest, "--symbols", str(file))
    if not any("whose GUID is not in the image" in text for text in image.messages("SELECT * FROM processes")):
        raise Failed("nothing says that the file was not compared")
    file.write_bytes(symbols.pdb(Guest(19041).layout))
    if "do not belong together" not in (text := image.error("SELECT * FROM processes")):
        raise Failed(f"symbols of another build: {text}")
    if len(image.query("SELECT * FROM drivers")) != 6:
        raise Failed("no drivers with a file of another kernel")


def make_idle(guest):
    """The process and the thread that ran become Idle and one of its threads."""
    layout, process, thread = guest.layout, guest.truth["processes"][0], guest.truth["threads"][0]
    at = int(process["virtual_address"], 16)
    guest.kernel.write_all(at + layout.pid, "Q", 0)
    guest.kernel.write_all(at + layout.name, "15s", b"Idle")
    guest.kernel.write_all(int(thread["virtual_address"], 16) + layout.cid, "QQ", 0, 0)
    process.update(pid=0, name="Idle")
    thread.update(pid=0, tid=0)


def idle(engram, folder):
    """What ran when the machine had nothing to do has the number 0, as most of memory has."""
    for build in (7601, 9200, 10240, 14393, 17763, 19041, 26100):
        guest = Guest(build)
        make_idle(guest)
        check_ran(engram, folder / "idle.dmp", guest)
    guest = Guest(30123)
    make_idle(guest)
    (folder / "idle.dmp").write_bytes(dump.Small(guest, 0).data)
    if "belong together" not in (text := Image(engram, folder / "idle.dmp").error("SELECT * FROM processes")):
        raise Failed(f"Idle of a build that is not known: {text}")
    (folder / "idle.pdb").write_bytes(symbols.pdb(guest.layout))
    check_ran(engram, folder / "idle.dmp", guest, "--symbols", str(folder / "idle.pdb"))


def triage(engram, folder):
    with_symbols(engram, folder)
    idle(engram, folder)
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
