# SPDX-FileCopyrightText: engram contributors
# SPDX-License-Identifier: Apache-2.0
"""Structures from files of symbols, and from what structures hold where no file and no table has them."""
import gzip
import json
import lzma

import dump
import generate
import symbols as symbol_files_of
from builds import BUILDS
from damaged import changed
from guest import NT, Guest
from program import QUERIES, Failed, Image, check_tables, compare, queries_of


def symbols(engram, folder, build):
    """Every table, with the structures from a file: PDB and ISF, also of a build that the table does not know."""
    guest, files = generate.write(folder, build, (1, "raw"))
    base = int(guest.truth["drivers"][0]["base_address"], 16)
    addresses = {"PsActiveProcessHead": guest.process_list, "PsLoadedModuleList": guest.module_list,
                 **guest.tree.symbols}
    addresses = {name: address - base for name, address in addresses.items()}
    isf = symbol_files_of.isf(guest.layout, addresses, age=guest.AGE).encode()
    made = {"nt.pdb": symbol_files_of.pdb(guest.layout, addresses, age=guest.AGE), "nt.json": isf, "nt.json.gz": gzip.compress(isf),
            "nt.json.xz": lzma.compress(isf)}
    for name, content in made.items():
        file = folder / name
        file.write_bytes(content)
        image = Image(engram, files["raw" if name == "nt.pdb" else 1], "--symbols", str(file))
        check_tables(image, guest)
        row, = image.query("SELECT types_source, pdb_name, pdb_guid, pdb_age FROM image_info")
        if not row.pop("types_source").startswith(f"file: {file} ("):
            raise Failed(f"{name}: the structures are not said to be from it")
        compare("image_info", [row], [{"pdb_name": guest.PDB, "pdb_guid": "030201000504070608090A0B0C0D0E0F",
                                       "pdb_age": guest.AGE}])
        if lost := [text for text in image.messages("SELECT * FROM processes") if "has no" in text]:
            raise Failed(f"{name}: {lost}")

    if build not in BUILDS or guest.ARCHITECTURE != "x86_64":
        return

    def no_debugger_data(changing):
        changing.kernel.write(changing.debugger_data, bytes(changing.layout.kdbg_size))
    guest, image = changed(engram, folder, no_debugger_data, build)
    image.options = ("--symbols", str(folder / "nt.pdb"))
    for table in ("processes", "threads", "memory_mappings", "handles"):
        compare(f"{table} without KDBG", image.query(QUERIES[table]), guest.truth[table])


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
    for build, encoded in ((30123, False), (30123, True), ("30123-arm64", False), ("x86-30123", False)):
        guest, files = generate.write(folder, build, (5, "raw"), encoded)
        for path in files.values():
            image = Image(engram, path)
            for table, told in TOLD.items():
                truth = guest.truth["processes" if table == "tasks" else table]
                if table == "registers" and path.suffix != ".dmp":
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
    # A tree of which it does not say how it hangs together is not an empty one.
    types = json.loads(symbol_files_of.isf(layout))
    del types["user_types"]["_MMVAD_SHORT"]["fields"]["VadNode"]
    (folder / "treeless.json").write_text(json.dumps(types), encoding="utf-8")
    said = Image(engram, files[1], "--symbols", str(folder / "treeless.json")).error("SELECT * FROM memory_mappings")
    if "layout of VADs is not known" not in said:
        raise Failed(f"areas without branches: {said}")
    # What the symbols lead to need not be in the image: KDBG and the processes say it, too.
    names = Image(engram, files[1]).query("SELECT handle, type, name FROM handles")
    for symbol in ("ObHeaderCookie", "ObTypeIndexTable"):
        file = folder / "far.pdb"
        file.write_bytes(symbol_files_of.pdb(layout, {symbol: 0x300_0000}))
        compare(f"{symbol} is not there", Image(engram, files[1], "--symbols", str(file)).query(
            "SELECT handle, type, name FROM handles"), names)
    small = folder / "small.dmp"
    small.write_bytes(dump.Small(Guest(19041), 0).data)
    said = Image(engram, small, "--symbols", str(folder / "linux.json")).error("SELECT * FROM processes")
    if "not of Windows" not in said:
        raise Failed(f"a small dump: {said}")
    # Cut anywhere, or with words changed, a file is read or refused.
    for at in range(0, len(pdb), 97):
        changed_file = folder / "changed.pdb"
        changed_file.write_bytes(pdb[:at] + b"\xFF\x7F\xFF" + pdb[at + 3:])
        done = Image(engram, files[1]).run("query", files[1], "SELECT pid FROM tasks", "--symbols", str(changed_file))
        if done.returncode not in (0, 1) or (done.returncode == 1 and not done.stderr):
            raise Failed(f"changed at {at:#x}: exit code {done.returncode}, {done.stderr!r}")
