# SPDX-FileCopyrightText: engram contributors
# SPDX-License-Identifier: Apache-2.0
"""Objects of the object manager, and tables of handles to them."""
import struct
import types

# Where members are, by the bytes of a pointer.
SHAPES = {
    8: types.SimpleNamespace(header=0x30, creator_info=0x20, name_info=0x20, type_index=0x18, type_name=0x10, index=0x28,
                             file="HHxxxxQ", file_name=0x58, name_block="IxxxxQQH", key="IxxxxQ", word="Q"),
    4: types.SimpleNamespace(header=0x18, creator_info=0x10, name_info=0x10, type_index=0xC, type_name=0x8, index=0x14,
                             file="HHI", file_name=0x30, name_block="IIIH", key="II", word="I"),
}
# In the order of their numbers, from 2 on.
TYPES = ("Type", "Directory", "SymbolicLink", "Token", "Job", "Process", "Thread", "Event", "File", "Key", "Device",
         "Section")
COOKIE = 0x5D
PROTECT, INHERIT, AUDIT = 1, 2, 4


def unicode_string(length, buffer, width=8):
    return struct.pack("<HHxxxxQ" if width == 8 else "<HHI", length, length + 2 & 0xFFFF, buffer)


class ObjectTree:
    def __init__(self, guest):
        self.guest, self.kernel, self.pool = guest, guest.kernel, guest.pool
        self.width, self.shape = guest.WIDTH, SHAPES[guest.WIDTH]
        word = self.shape.word
        self.is_encoded = guest.layout.number >= 10240
        self.paths, self.types = {}, {}
        self.type_variable = guest.variable(word, 0)
        self.index_table = guest.variable(f"{len(TYPES) + 3}{word}", *[0] * (len(TYPES) + 3))
        self.symbols = {"ObTypeIndexTable": self.index_table}
        if self.is_encoded:
            self.symbols["ObHeaderCookie"] = guest.variable("B", COOKIE)
        infos = []
        for number, name in enumerate(TYPES, 2):
            body = self.make("Type", 0xD8, creator=True)
            self.kernel.write(body + self.shape.type_name, self.text(name))
            self.kernel.write_all(body + self.shape.index, "B", number)
            self.kernel.write_all(self.index_table + self.width * number, word, body)
            self.types[name] = body
            infos.append(body - self.shape.header - self.shape.creator_info)
        self.kernel.write_all(self.index_table + self.width, word, 0xBAD0_B0B0)
        self.kernel.write_all(self.type_variable, word, self.types["Type"])
        guest.link(self.types["Type"], infos)
        self.root = self.make("Directory", 0x158, "\\")

    def text(self, text):
        return unicode_string(*self.pool.text(text), self.width)

    def make(self, kind, size, name=None, directory=0, creator=False):
        """The address of the body."""
        shape = self.shape
        before = (shape.creator_info if creator else 0) + (shape.name_info if name else 0)
        header = self.pool.take(before + shape.header + size) + before
        number = TYPES.index(kind) + 2
        stored = number ^ COOKIE ^ header >> 8 & 0xFF if self.is_encoded else number
        self.kernel.write_all(header, shape.word * 2, 0x7FFF, 1)
        self.kernel.write_all(header + shape.type_index, "BBB", stored, 0, (1 if creator else 0) | (2 if name else 0))
        if name:
            self.kernel.write(header - before, struct.pack("<" + shape.word, directory) + self.text(name))
            parent = self.paths.get(directory, "")
            self.paths[header + shape.header] = name if name == "\\" else parent.rstrip("\\") + "\\" + name
        return header + shape.header

    def file(self, device, name):
        body = self.make("File", 0xD8)
        self.kernel.write_all(body, self.shape.file, 5, 0xD8, device)
        self.kernel.write(body + self.shape.file_name, self.text(name))
        return body

    def key(self, path):
        """A CM_KEY_BODY; every second name has wide characters."""
        parent_at, name_at = self.guest.layout.key
        parent = 0
        for part in path.split("\\")[1:]:
            is_latin = all(ord(one) < 256 for one in part)
            text = part.encode("latin-1" if is_latin else "utf-16-le")
            block = self.pool.put(struct.pack("<" + self.shape.name_block, 2 | is_latin, 0, 0, len(text)) + text)
            control = self.pool.take(0x138)
            self.kernel.write_all(control + parent_at, self.shape.word, parent)
            self.kernel.write_all(control + name_at, self.shape.word, block)
            parent = control
        body = self.make("Key", 0x68)
        self.kernel.write_all(body, self.shape.key, 0x6B79_3032, parent)
        return body


def names_of(kind, number):
    """Of the access mask that the handle of this number has: 0x120089 to 0x120096."""
    low = 0x89 + number
    known = {"File": {1: "FILE_READ_DATA", 2: "FILE_WRITE_DATA", 8: "FILE_READ_EA", 0x80: "FILE_READ_ATTRIBUTES"},
             "Key": {1: "KEY_QUERY_VALUE", 2: "KEY_SET_VALUE", 8: "KEY_ENUMERATE_SUB_KEYS"},
             "Event": {1: "EVENT_QUERY_STATE", 2: "EVENT_MODIFY_STATE"},
             "Directory": {1: "DIRECTORY_QUERY", 2: "DIRECTORY_TRAVERSE", 4: "DIRECTORY_CREATE_OBJECT",
                           8: "DIRECTORY_CREATE_SUBDIRECTORY"},
             "Thread": {1: "THREAD_TERMINATE", 0x10: "THREAD_SET_CONTEXT", 0x80: "THREAD_SET_THREAD_TOKEN"},
             "Process": {1: "PROCESS_TERMINATE", 2: "PROCESS_CREATE_THREAD", 4: "PROCESS_SET_SESSIONID",
                         0x10: "PROCESS_VM_READ", 0x80: "PROCESS_CREATE_PROCESS"}}.get(kind, {})
    names = [name for bit, name in known.items() if low & bit] + ["READ_CONTROL", "SYNCHRONIZE"]
    rest = low & ~sum(known)
    return " | ".join(names + [hex(rest)] * bool(rest))


def make_handles(guest):
    """Tables of one, two and three levels; what has ended has none."""
    tree = guest.tree
    entries_in_page, pages_in_page = 0x1000 // (2 * tree.width), 0x1000 // tree.width
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
        spread = {2: (0, 300, 700, entries_in_page * pages_in_page + 5), 1: (0, 255, 700), 0: (0,)}[levels]
        entries = {}
        for number, (kind, body, name) in enumerate(fixed):
            place = 1 + number * 2 + spread[number % len(spread)]
            place += place % entries_in_page == 0
            entries[place] = (body, 0x12_0089 + number, number % 8)
            owner = {"Process": body, "Thread": int(thread["process"], 16)}.get(kind)
            target = next((one for one in guest.truth["processes"] if int(one["virtual_address"], 16) == owner), None)
            guest.truth["handles"].append({
                "process": process["virtual_address"], "pid": process["pid"], "handle": place * 4, "object": hex(body),
                "type": kind, "granted_access": 0x12_0089 + number, "granted_access_names": names_of(kind, number), "inherit": int(bool(number & INHERIT)),
                "protect_from_close": int(bool(number & PROTECT)), "audit": int(bool(number & AUDIT)), "name": name,
                "target_pid": target and target["pid"], "target_tid": thread["tid"] if kind == "Thread" else None})
        write_table(guest, int(process["virtual_address"], 16), levels, entries)


def write_table(guest, process, levels, entries):
    """Entries by index."""
    kernel, pool, width, word = guest.kernel, guest.pool, guest.WIDTH, guest.tree.shape.word
    in_page, pointers = 0x1000 // (2 * width), 0x1000 // width
    pages = {}
    for index, (body, access, attributes) in entries.items():
        number = index // in_page
        if number not in pages:
            pages[number] = pool.take(0x1000, 0x1000)
            kernel.write_all(pages[number] + width, word, 0x1111_2222)  # of the first entry, which is no handle's
        content = entry(guest, body - guest.tree.shape.header, access, attributes)
        kernel.write(pages[number] + index % in_page * 2 * width, content)
    code = pages[0]
    if levels:
        middle = {}
        for number, page in pages.items():
            if number // pointers not in middle:
                middle[number // pointers] = pool.take(0x1000, 0x1000)
            kernel.write_all(middle[number // pointers] + number % pointers * width, word, page)
        code = middle[0]
        if levels == 2:
            code = pool.take(0x1000, 0x1000)
            for number, table in middle.items():
                kernel.write_all(code + number * width, word, table)
    table = pool.take(0x80)
    kernel.write_all(table + guest.layout.table_code, word, code | levels)
    kernel.write_all(process + guest.layout.handles, word, table)


def entry(guest, header, access, attributes):
    narrow = guest.WIDTH == 4
    protect = 1 << 25 if attributes & PROTECT else 0
    if guest.layout.number < 9200:
        low = header | attributes & (INHERIT | AUDIT) | 1
        return struct.pack("<II" if narrow else "<QIxxxx", low, access | protect)
    if narrow:
        return struct.pack("<II", header | attributes & (INHERIT | AUDIT) | 1, access | protect | 0x15 << 27)
    bits = 41 if guest.layout.number < 9600 else 44  # of an address without its lowest 4
    low = 1 | 0x55 << 1 | attributes << 61 - bits | (header >> 4 & (1 << bits) - 1) << 64 - bits
    return struct.pack("<QII", low, access | 1 << 25 | 0x15 << 26, 0x1234_5678)
