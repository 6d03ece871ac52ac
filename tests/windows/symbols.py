# SPDX-FileCopyrightText: engram contributors
# SPDX-License-Identifier: Apache-2.0
"""Files with the types of a made-up kernel: PDB (MSF 7.00) and what volatility3 has of one (ISF)."""
import json
import struct

BLOCK = 1024
GUID = bytes(range(16))
AGE = 1
# Numbers of simple types: unsigned of 1, 2, 4 and 8 bytes, a pointer of 64 bits to nothing.
SIMPLE = {1: 0x20, 2: 0x21, 4: 0x22, 8: 0x23}
NAMES = {1: "unsigned char", 2: "unsigned short", 4: "unsigned long", 8: "unsigned long long"}


def area_node(build, branches):
    """How a MMVAD_SHORT has its place in the tree: Windows 7, 8, and 8.1 name it in three ways."""
    if build.number < 9200:
        return branches
    return {"VadNode": (0, "_MM_AVL_NODE" if build.number < 9600 else "_RTL_BALANCED_NODE")}


def narrow_structures(build):
    """As structures(), of 32-bit machines."""
    old = build.number < 9200
    type_at, protection_at, private_at = build.vad_flags
    node = area_node(build, {"LeftChild": (4, 4), "RightChild": (8, 4)})
    parent, name = build.key
    found = {
        "_LIST_ENTRY": (8, {"Flink": (0, 4), "Blink": (4, 4)}),
        "_CLIENT_ID": (8, {"UniqueProcess": (0, 4), "UniqueThread": (4, 4)}),
        "_EX_FAST_REF": (4, {"Value": (0, 4), "RefCnt": (0, ("bits", 4, 0, 3))}),
        "_KPROCESS": (build.create & -8, {"DirectoryTableBase": (0x18, 4)}),
        "_EPROCESS": (build.process_size, {
            "Pcb": (0, "_KPROCESS"), "UniqueProcessId": (build.pid, 4), "ActiveProcessLinks": (build.links, "_LIST_ENTRY"),
            "CreateTime": (build.create, 8), "InheritedFromUniqueProcessId": (build.parent, 4), "Peb": (build.peb, 4),
            "ImageFileName": (build.name, ("array", 15)), "ThreadListHead": (build.threads, "_LIST_ENTRY"),
            "VadRoot": (build.vads, 4), "ObjectTable": (build.handles, 4), "Token": (build.token, "_EX_FAST_REF"),
            "SectionBaseAddress": (build.section_base, 4), "ExitTime": (build.exit, 8)}),
        "_KTHREAD": (build.thread_create, {
            "InitialStack": (build.initial_stack, 4), "StackBase": (build.stack_base, 4),
            "KernelStack": (build.kernel_stack, 4), "Teb": (build.teb, 4), "State": (build.state, 1),
            "WaitReason": (build.wait_reason, 1)}),
        "_ETHREAD": (build.thread_size, {
            "Tcb": (0, "_KTHREAD"), "Cid": (build.cid, "_CLIENT_ID"), "ThreadListEntry": (build.thread_links, "_LIST_ENTRY"),
            "StartAddress": (build.start, 4), "Win32StartAddress": (build.win32_start, 4),
            "CreateTime": (build.thread_create, 8)}),
        "_KSPECIAL_REGISTERS": (0x54, {"Cr0": (0, 4)}),
        "_CONTEXT": (0x2CC, {"ContextFlags": (0, 4)}),
        "_KPROCESSOR_STATE": (0x320, {"ContextFrame": (0, "_CONTEXT"), "SpecialRegisters": (0x2CC, "_KSPECIAL_REGISTERS")}),
        "_KPRCB": (build.prcb_context + 4, {
            "CurrentThread": (4, 4), "Number": (0x3CC, 4), "ProcessorState": (build.processor_state, "_KPROCESSOR_STATE"),
            "Context": (build.prcb_context, 4)}),
        "_RTL_BALANCED_NODE": (12, {"Left": (0, 4), "Right": (4, 4), "ParentValue": (8, 4)}),
        "_MMVAD_FLAGS": (4, {"VadType": (0, ("bits", 4, type_at, 3)), "Protection": (0, ("bits", 4, protection_at, 5)),
                             "PrivateMemory": (0, ("bits", 4, private_at, 1))}),
        "_MMVAD_SHORT::<unnamed-tag>": (4, {"LongFlags": (0, 4), "VadFlags": (0, "_MMVAD_FLAGS")}),
        "_MMVAD_SHORT": (0x28, {**node, "StartingVpn": (0xC, 4), "EndingVpn": (0x10, 4),
                                "u": (build.vad_flags_at, "_MMVAD_SHORT::<unnamed-tag>")}),
        "_MMVAD": (0x4C, {"Subsection": (build.vad_file[0], 4)}),
        "_CONTROL_AREA": (0x50, {"FilePointer": (build.vad_file[1], "_EX_FAST_REF")}),
        "_HANDLE_TABLE": (0x80, {"TableCode": (build.table_code, 4)}),
        "_HANDLE_TABLE_ENTRY": (8, {"Object": (0, 4), "GrantedAccess": (4, 4)} if old else {
            "Attributes": (0, ("bits", 4, 1, 2)), "ObjectPointerBits": (0, ("bits", 4, 3, 29)),
            "GrantedAccessBits": (4, ("bits", 4, 0, 25))}),
        "_CM_KEY_CONTROL_BLOCK": (0xB0, {"ParentKcb": (parent, 4), "NameBlock": (name, 4)}),
    }
    if build.number < 9600:
        found["_MM_AVL_NODE"] = (12, {"LeftChild": (4, 4), "RightChild": (8, 4)})
        found["_MM_AVL_TABLE"] = (0x20, {"BalancedRoot": (0, "_MM_AVL_NODE")})
    else:
        found["_KLDR_DATA_TABLE_ENTRY"] = (0x5C, {"DllBase": (0x18, 4), "TimeDateStamp": (0x58, 4)})
    return found


def structures(build):
    """Structures as {name: (size, {member: (offset, type)})}; a type is a number of bytes, ("array", bytes), a name of
    another structure or ("bits", bytes, first bit, bits)."""
    if hasattr(build, "vad_file"):
        return narrow_structures(build)
    old = build.number < 9200
    type_at, protection_at, private_at = build.vad_flags
    width = 8 if old else 4
    context_size = getattr(build, "context_size", 0x4D0)
    node = area_node(build, {"LeftChild": (8, 8), "RightChild": (16, 8)})
    vpn = {"StartingVpn": (0x18, 8), "EndingVpn": (0x20, 8)} if old else {"StartingVpn": (0x18, 4), "EndingVpn": (0x1C, 4)}
    if build.number >= 9600:
        vpn.update({"StartingVpnHigh": (0x20, 1), "EndingVpnHigh": (0x21, 1)})
    found = {
        "_LIST_ENTRY": (16, {"Flink": (0, 8), "Blink": (8, 8)}),
        "_CLIENT_ID": (16, {"UniqueProcess": (0, 8), "UniqueThread": (8, 8)}),
        "_EX_FAST_REF": (8, {"Value": (0, 8), "RefCnt": (0, ("bits", 8, 0, 4))}),
        "_KPROCESS": (build.pid, {"DirectoryTableBase": (0x28, 8),
                                  **({"UserDirectoryTableBase": (build.user_root, 8)} if build.user_root else {})}),
        "_EPROCESS": (build.process_size, {
            "Pcb": (0, "_KPROCESS"), "UniqueProcessId": (build.pid, 8), "ActiveProcessLinks": (build.links, "_LIST_ENTRY"),
            "CreateTime": (build.create, 8), "InheritedFromUniqueProcessId": (build.parent, 8), "Peb": (build.peb, 8),
            "Wow64Process" if build.number < 10586 else "WoW64Process": (build.wow64, 8), "ImageFileName": (build.name, ("array", 15)),
            "ThreadListHead": (build.threads, "_LIST_ENTRY"), "VadRoot": (build.vads, 8),
            "ObjectTable": (build.handles, 8), "Token": (build.token, "_EX_FAST_REF"),
            "SectionBaseAddress": (build.section_base, 8), **({"ExitTime": (build.exit, 8)} if build.exit else {})}),
        "_KTHREAD": (build.cid, {
            "InitialStack": (build.initial_stack, 8), "StackBase": (build.stack_base, 8),
            "KernelStack": (build.kernel_stack, 8), "Teb": (build.teb, 8), "State": (build.state, 1),
            "WaitReason": (build.wait_reason, 1)}),
        "_ETHREAD": (build.thread_size, {
            "Tcb": (0, "_KTHREAD"), "Cid": (build.cid, "_CLIENT_ID"), "ThreadListEntry": (build.thread_links, "_LIST_ENTRY"),
            "StartAddress": (build.start, 8), "Win32StartAddress": (build.win32_start, 8),
            "CreateTime": (build.thread_create, 8)}),
        "_KSPECIAL_REGISTERS": (build.context_frame, {"Cr0": (0, 8)}),
        "_CONTEXT": (context_size, {"P1Home": (0, 8)}),
        "_KPROCESSOR_STATE": (build.context_frame + context_size, {
            "SpecialRegisters": (0, "_KSPECIAL_REGISTERS"), "ContextFrame": (build.context_frame, "_CONTEXT")}),
        "_KPRCB": (build.prcb_context + 8, {
            "CurrentThread": (8, 8), "Number": (0x24, 4), "ProcessorState": (build.processor_state, "_KPROCESSOR_STATE"),
            "Context": (build.prcb_context, 8)}),
        "_RTL_BALANCED_NODE": (24, {"Left": (0, 8), "Right": (8, 8), "ParentValue": (16, 8)}),
        "_MMVAD_FLAGS": (width, {"VadType": (0, ("bits", width, type_at, 3)), "Protection": (0, ("bits", width, protection_at, 5)),
                                 "PrivateMemory": (0, ("bits", width, private_at, 1))}),
        "_MMVAD_SHORT::<unnamed-tag>": (width, {"LongFlags": (0, width), "VadFlags": (0, "_MMVAD_FLAGS")}),
        "_MMVAD_SHORT": (0x40, {**node, **vpn, "u": (0x28 if build.number < 9600 else 0x30, "_MMVAD_SHORT::<unnamed-tag>")}),
    }
    found["_MMVAD"] = (0x80, {"Subsection": (0x48, 8)})
    found["_CONTROL_AREA"] = (0x80, {"FilePointer": (0x40, "_EX_FAST_REF")})
    found["_HANDLE_TABLE"] = (0x80, {"TableCode": (build.table_code, 8)})
    first = 23 if build.number < 9600 else 20
    found["_HANDLE_TABLE_ENTRY"] = (16, {"Object": (0, 8), "GrantedAccess": (8, 4)} if old else {
        "Attributes": (0, ("bits", 8, first - 3, 3)), "ObjectPointerBits": (0, ("bits", 8, first, 64 - first)),
        "GrantedAccessBits": (8, ("bits", 4, 0, 25))})
    parent, name = build.key
    found["_CM_KEY_CONTROL_BLOCK"] = (0x138, {"ParentKcb": (parent, 8), "NameBlock": (name, 8)})
    if build.number < 9600:
        found["_MM_AVL_NODE"] = (24, {"LeftChild": (8, 8), "RightChild": (16, 8)})
        found["_MM_AVL_TABLE"] = (0x40, {"BalancedRoot": (0, "_MM_AVL_NODE")})
    else:
        found["_KLDR_DATA_TABLE_ENTRY"] = (0xA0, {"DllBase": (0x30, 8), "TimeDateStamp": (0x9C, 4)})
    if not build.wow64_direct:
        found["_EWOW64PROCESS"] = (0x10, {"Peb": (0, 8), "Machine": (8, 2)})
    return found


def isf(build, symbols=(), guid=GUID, age=AGE):
    """Text of an ISF."""
    def kind(what):
        if isinstance(what, int):
            return {"kind": "base", "name": NAMES[what]}
        if isinstance(what, str):
            return {"kind": "struct", "name": what}
        if what[0] == "array":
            return {"kind": "array", "count": what[1], "subtype": kind(1)}
        return {"kind": "bitfield", "bit_position": what[2], "bit_length": what[3], "type": kind(what[1])}

    pointer = 4 if hasattr(build, "vad_file") else 8
    name = "%08X%04X%04X" % struct.unpack("<IHH", guid[:8]) + guid[8:].hex().upper()
    return json.dumps({
        "metadata": {"format": "6.1.0",
                     "windows": {"pdb": {"GUID": name, "age": age, "database": "ntkrnlmp.pdb", "machine_type": 0x8664}}},
        "base_types": {NAMES[size]: {"kind": "int", "size": size, "signed": False, "endian": "little"} for size in NAMES} |
                      {"pointer": {"kind": "int", "size": pointer, "signed": False, "endian": "little"}},
        "enums": {},
        "user_types": {name: {"kind": "struct", "size": size, "fields": {
            member: {"offset": offset, "type": kind(what)} for member, (offset, what) in members.items()}}
            for name, (size, members) in structures(build).items()},
        "symbols": {symbol: {"address": address} for symbol, address in dict(symbols).items()}})


def _number(value):
    return struct.pack("<H", value) if value < 0x8000 else struct.pack("<HI", 0x8004, value)


def _padded(data, before=0):
    missing = -(before + len(data)) % 4
    return data + bytes(0xF0 + left for left in range(missing, 0, -1))


class _Types:
    """The stream of types: declarations of all structures first, so that each can be used before it is defined."""

    def __init__(self):
        self.records = []

    def add(self, kind, body):
        body = _padded(struct.pack("<H", kind) + body, 2)
        self.records.append(struct.pack("<H", len(body)) + body)
        return 0xFFF + len(self.records)

    def structure(self, name, size, fields, count, forward=False):
        return self.add(0x1505, struct.pack("<HHIII", count, 0x80 if forward else 0, fields, 0, 0) + _number(size) +
                        name.encode() + b"\0")

    def use(self, what, declared):
        if isinstance(what, int):
            return SIMPLE[what]
        if isinstance(what, str):
            return declared[what]
        if what[0] == "array":
            return self.add(0x1503, struct.pack("<II", SIMPLE[1], SIMPLE[8]) + _number(what[1]) + b"\0")
        return self.add(0x1205, struct.pack("<IBB", SIMPLE[what[1]], what[3], what[2]))

    def define(self, name, size, members, declared):
        parts = [_padded(struct.pack("<HHI", 0x150D, 3, self.use(what, declared)) + _number(offset) + member.encode() +
                         b"\0") for member, (offset, what) in members.items()]
        # The first half of the members lies in a list of its own, as in lists that are longer than a record can be.
        rest = self.add(0x1203, b"".join(parts[len(parts) // 2:]))
        fields = self.add(0x1203, b"".join(parts[:len(parts) // 2]) + struct.pack("<HHI", 0x1404, 0, rest))
        self.structure(name, size, fields, len(parts))

    def stream(self):
        data = b"".join(self.records)
        return struct.pack("<5I", 20040203, 56, 0x1000, 0x1000 + len(self.records), len(data)).ljust(56, b"\0") + data


def _symbols(symbols):
    """S_PUB32 records; all lie in the first section, which begins at 0x1000."""
    data = b""
    for name, address in dict(symbols).items():
        body = _padded(struct.pack("<HIIH", 0x110E, 0, address - 0x1000, 1) + name.encode() + b"\0", 2)
        data += struct.pack("<H", len(body)) + body
    return data


def _container(streams):
    blocks, numbers = [b"", bytes(BLOCK), bytes(BLOCK)], []

    def put(data):
        first = len(blocks)
        blocks.extend(data[at:at + BLOCK].ljust(BLOCK, b"\0") for at in range(0, len(data), BLOCK))
        return range(first, len(blocks))

    numbers = [put(stream) for stream in streams]
    directory = struct.pack(f"<I{len(streams)}I", len(streams), *map(len, streams))
    directory += b"".join(struct.pack(f"<{len(used)}I", *used) for used in numbers)
    used = put(directory)
    where, = put(struct.pack(f"<{len(used)}I", *used))
    blocks[0] = (b"Microsoft C/C++ MSF 7.00\r\n\x1a\x44\x53\0\0\0" +
                 struct.pack("<6I", BLOCK, 1, len(blocks), len(directory), 0, where)).ljust(BLOCK, b"\0")
    return b"".join(blocks)


def pdb(build, symbols=(), guid=GUID, age=AGE):
    """Bytes of a PDB."""
    types = _Types()
    layouts = structures(build)
    declared = {name: types.structure(name, 0, 0, 0, forward=True) for name in layouts}
    for name, (size, members) in layouts.items():
        types.define(name, size, members, declared)
    info = struct.pack("<III", 20000404, 1, age + 1) + guid
    streams = struct.pack("<11H", *([0xFFFF] * 5), 5, *([0xFFFF] * 5))
    debug = struct.pack("<iIIHHHHHH", -1, 19990903, age, 0xFFFF, 0, 0xFFFF, 0, 4, 0)
    debug += struct.pack("<8I", 0, 0, 0, 0, 0, 0, len(streams), 0) + struct.pack("<HHI", 0, 0x8664, 0) + streams
    section = struct.pack("<8sII24x", b".text", 0x4_0000, 0x1000)
    return _container([b"", info, types.stream(), debug, _symbols(symbols), section])
