# SPDX-FileCopyrightText: engram contributors
# SPDX-License-Identifier: Apache-2.0
"""Lists, trees and tables of a machine that are damaged."""
import struct

import dump
import generate
from guest import Guest, unix_time
from program import QUERIES, Failed, Image, compare


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
    empty_lists(engram, folder)
    far_times(engram, folder)

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


def empty_lists(engram, folder):
    """A head of a list that is zeros, as of a page that was dumped so, is said to be none: 64 bits, 32, and 32 in 64."""
    def threads(guest):
        for process in guest.truth["processes"][1:]:
            yield guest.kernel, int(process["virtual_address"], 16) + guest.layout.threads

    def loaded(peb, peb_ldr, list_at):
        def heads(guest):
            space = guest.spaces[3]
            ldr, = struct.unpack(word_of(peb_ldr), space.read(peb(guest) + peb_ldr, 4 if peb_ldr == 0xC else 8))
            yield space, ldr + list_at
        return heads

    def word_of(peb_ldr):
        return "<I" if peb_ldr == 0xC else "<Q"

    def peb32(guest):
        return word(guest, word(guest, guest.processes[3] + guest.layout.wow64))

    cases = (("drivers", lambda guest: [(guest.kernel, guest.module_list)], (19041, "x86-19041"), lambda row: False),
             ("threads", threads, (19041, "x86-19041"), lambda row: row["pid"] == 4),
             ("process_modules", loaded(lambda guest: int(guest.truth["processes"][3]["peb"], 16), 0x18, 0x10), (19041,),
              lambda row: row["pid"] != 40 or row["wow64"]),
             ("process_modules", loaded(peb32, 0xC, 0xC), (19041,), lambda row: not row["wow64"]))
    for table, heads, machines, is_left in cases:
        for build in machines:
            guest = generate.machine(build)
            for space, head in heads(guest):
                space.write(head, bytes(2 * guest.WIDTH))
            path = folder / "empty.raw"
            with path.open("wb") as file:
                dump.write_raw(guest, file)
            image = Image(engram, path)
            compare(f"{table} of {build}", image.query(QUERIES[table]), [row for row in guest.truth[table] if is_left(row)])
            said = image.messages(QUERIES[table])
            if not any("ends in NULL after 0 objects" in text for text in said):
                raise Failed(f"{table} of {build}: nothing is said of an empty list: {said}")


def far_times(engram, folder):
    """Times whose nanoseconds have no room in 64 bits."""
    def far(guest):
        word(guest, guest.processes[2] + guest.layout.create, (1 << 64) - 1)
    guest, image = changed(engram, folder, far)
    row, = image.query(f"SELECT start_boottime, create_time FROM tasks WHERE virtual_address = {guest.processes[2]:#x}")
    compare("a process of the future", [row], [{"start_boottime": None, "create_time": unix_time((1 << 64) - 1)}])
    data = bytearray(image.path.read_bytes())
    for system_time, times in (((1 << 64) - 1, {"boot_time": None, "boot_time_ns": None}),
                               ((1 << 63) - 1, {"boot_time": unix_time((1 << 63) - 1), "boot_time_ns": None})):
        struct.pack_into("<Q", data, 0xFA8, system_time)
        struct.pack_into("<Q", data, 0x1030, 0)  # it has just begun
        image.path.write_bytes(data)
        compare("a boot of the future", image.query("SELECT boot_time, boot_time_ns FROM boot_time"), [times])


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

    def lost_directory(guest):  # \\Device, which the first device names: half a path is no path
        file = next(int(row["object"], 16) for row in guest.truth["handles"] if row["type"] == "File")
        device = word(guest, file + 8)
        word(guest, device - 0x30 - 0x20 - 0x20, 0xFFFF_C000_0000_0000)
    _, image = changed(engram, folder, lost_directory)
    rows = image.query("SELECT DISTINCT name FROM handles WHERE type = 'File' ORDER BY name")
    if rows != [{"name": None}, {"name": "\\Device\\NamedPipe"}]:
        raise Failed(f"a directory that is not there: {rows}")

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
