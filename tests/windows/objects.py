# SPDX-FileCopyrightText: engram contributors
# SPDX-License-Identifier: Apache-2.0
"""Objects of the object manager, and tables of handles to them."""
import struct

HEADER, CREATOR_INFO, NAME_INFO = 0x30, 0x20, 0x20
# In the order of their numbers, from 2 on.
TYPES = ("Type", "Directory", "SymbolicLink", "Token", "Job", "Process", "Thread", "Event", "File", "Key", "Device",
         "Section")
COOKIE = 0x5D
ENTRIES, POINTERS = 256, 512
PROTECT, INHERIT, AUDIT = 1, 2, 4


def unicode_string(length, buffer):
    return struct.pack("<HHxxxxQ", length, length + 2 & 0xFFFF, buffer)


class ObjectTree:
    def __init__(self, guest):
        self.guest, self.kernel, self.pool = guest, guest.kernel, guest.pool
        self.is_encoded = guest.layout.number >= 10240
        self.paths, self.types = {}, {}
        self.type_variable = guest.variable("Q", 0)
        self.index_table = guest.variable(f"{len(TYPES) + 3}Q", *[0] * (len(TYPES) + 3))
        self.symbols = {"ObTypeIndexTable": self.index_table}
        if self.is_encoded:
            self.symbols["ObHeaderCookie"] = guest.variable("B", COOKIE)
        infos = []
        for number, name in enumerate(TYPES, 2):
            body = self.make("Type", 0xD8, creator=True)
            self.kernel.write(body + 0x10, unicode_string(*self.pool.text(name)))
            self.kernel.write_all(body + 0x28, "B", number)
            self.kernel.write_all(self.index_table + 8 * number, "Q", body)
            self.types[name] = body
            infos.append(body - HEADER - CREATOR_INFO)
        self.kernel.write_all(self.index_table + 8, "Q", 0xBAD0_B0B0)
        self.kernel.write_all(self.type_variable, "Q", self.types["Type"])
        guest.link(self.types["Type"], infos)
        self.root = self.make("Directory", 0x158, "\\")

    def make(self, kind, size, name=None, directory=0, creator=False):
        """The address of the body."""
        before = (CREATOR_INFO if creator else 0) + (NAME_INFO if name else 0)
        header = self.pool.take(before + HEADER + size) + before
        number = TYPES.index(kind) + 2
        stored = number ^ COOKIE ^ header >> 8 & 0xFF if self.is_encoded else number
        self.kernel.write_all(header, "QQ", 0x7FFF, 1)
        self.kernel.write_all(header + 0x18, "BBB", stored, 0, (1 if creator else 0) | (2 if name else 0))
        if name:
            text = unicode_string(*self.pool.text(name))
            self.kernel.write(header - before, struct.pack("<Q", directory) + text)
            parent = self.paths.get(directory, "")
            self.paths[header + HEADER] = name if name == "\\" else parent.rstrip("\\") + "\\" + name
        return header + HEADER

    def file(self, device, name):
        body = self.make("File", 0xD8)
        self.kernel.write_all(body, "HHxxxxQ", 5, 0xD8, device)
        self.kernel.write(body + 0x58, unicode_string(*self.pool.text(name)))
        return body

    def key(self, path):
        """A CM_KEY_BODY; every second name has wide characters."""
        parent_at, name_at = self.guest.layout.key
        parent = 0
        for part in path.split("\\")[1:]:
            is_latin = all(ord(one) < 256 for one in part)
            text = part.encode("latin-1" if is_latin else "utf-16-le")
            block = self.pool.put(struct.pack("<IxxxxQQH", 2 | is_latin, 0, 0, len(text)) + text)
            control = self.pool.take(0x138)
            self.kernel.write_all(control + parent_at, "Q", parent)
            self.kernel.write_all(control + name_at, "Q", block)
            parent = control
        body = self.make("Key", 0x68)
        self.kernel.write_all(body, "IxxxxQ", 0x6B79_3032, parent)
        return body


def make_handles(guest):
    """Tables of one, two and three levels; what has ended has none."""
    tree = guest.tree
    device_folder = tree.make("Directory", 0x158, "Device", tree.root)
    names = tree.make("Directory", 0x158, "BaseNamedObjects", tree.root)
    volume = tree.make("Device", 0x150, "HarddiskVolume2", device_folder, creator=True)
    pipe = tree.make("Device", 0x150, "NamedPipe", device_folder)
    key = "\\REGISTRY\\MACHINE\\SOFTWARE\\Ma\u00dfe\\\u96ea\u2603"
    thread = guest.truth["threads"][0]
    fixed = [
        ("File", tree.file(volume, "\\Windows\\System32\\\u00e9\u2603.txt"),
         "\\Device\\HarddiskVolume2\\Windows\\System32\\\u00e9\u2603.txt"),
        ("File", tree.file(pipe, ""), "\\Device\\NamedPipe"),
        ("Key", tree.key(key), key),
        ("Event", tree.make("Event", 0x18, "Global Event", names, creator=True), "\\BaseNamedObjects\\Global Event"),
        ("Event", tree.make("Event", 0x18), None),
        ("Event", tree.make("Event", 0x18, "Lone"), "Lone"),
        ("Directory", names, "\\BaseNamedObjects"),
        ("Directory", tree.root, "\\"),
        ("Thread", int(thread["virtual_address"], 16), None),
        ("Type", tree.types["Type"], None),
    ] + [("Process", int(process["virtual_address"], 16), process["name"]) for process in guest.truth["processes"][:3]]
    for index, process in enumerate(guest.truth["processes"]):
        if process["name"] == "gone.exe":
            continue
        levels = {0: 2, 1: 1}.get(index, 0)
        spread = {2: (0, 300, 700, ENTRIES * POINTERS + 5), 1: (0, 255, 700), 0: (0,)}[levels]
        entries = {}
        for number, (kind, body, name) in enumerate(fixed):
            place = 1 + number * 2 + spread[number % len(spread)]
            place += place % ENTRIES == 0
            entries[place] = (body, 0x12_0089 + number, number % 8)
            owner = {"Process": body, "Thread": int(thread["process"], 16)}.get(kind)
            target = next((one for one in guest.truth["processes"] if int(one["virtual_address"], 16) == owner), None)
            guest.truth["handles"].append({
                "process": process["virtual_address"], "pid": process["pid"], "handle": place * 4, "object": hex(body),
                "type": kind, "granted_access": 0x12_0089 + number, "inherit": int(bool(number & INHERIT)),
                "protect_from_close": int(bool(number & PROTECT)), "audit": int(bool(number & AUDIT)), "name": name,
                "target_pid": target and target["pid"], "target_tid": thread["tid"] if kind == "Thread" else None})
        write_table(guest, int(process["virtual_address"], 16), levels, entries)


def write_table(guest, process, levels, entries):
    """Entries by index."""
    kernel, pool = guest.kernel, guest.pool
    pages = {}
    for index, (body, access, attributes) in entries.items():
        number = index // ENTRIES
        if number not in pages:
            pages[number] = pool.take(0x1000, 0x1000)
            kernel.write_all(pages[number] + 8, "Q", 0x1111_2222_3333_4444)  # of the first entry, which is no handle's
        kernel.write(pages[number] + index % ENTRIES * 16, entry(guest, body - HEADER, access, attributes))
    code = pages[0]
    if levels:
        middle = {}
        for number, page in pages.items():
            if number // POINTERS not in middle:
                middle[number // POINTERS] = pool.take(0x1000, 0x1000)
            kernel.write_all(middle[number // POINTERS] + number % POINTERS * 8, "Q", page)
        code = middle[0]
        if levels == 2:
            code = pool.take(0x1000, 0x1000)
            for number, table in middle.items():
                kernel.write_all(code + number * 8, "Q", table)
    table = pool.take(0x80)
    kernel.write_all(table + guest.layout.table_code, "Q", code | levels)
    kernel.write_all(process + guest.layout.handles, "Q", table)


def entry(guest, header, access, attributes):
    if guest.layout.number < 9600:
        protect = 0x200_0000 if attributes & PROTECT else 0
        return struct.pack("<QIxxxx", header | attributes & (INHERIT | AUDIT) | 1, access | protect)
    low = 1 | 0x55 << 1 | attributes << 17 | (header >> 4 & (1 << 44) - 1) << 20
    return struct.pack("<QII", low, access | 1 << 25 | 0x15 << 26, 0x1234_5678)
