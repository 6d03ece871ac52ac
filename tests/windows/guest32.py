# SPDX-FileCopyrightText: engram contributors
# SPDX-License-Identifier: Apache-2.0
"""A 32-bit machine with Windows, with or without PAE: its kernel, drivers and page tables."""
import struct

import builds
from objects import ObjectTree, make_handles
from processes32 import Processes
from guest import DATA, EPOCH, NT_SIZE, unix_time
from memory import (ACCESSED_DIRTY, LARGE, LARGE_FRAME, NX, PAGE, PRESENT, RAM_BELOW_4G, USER, WRITABLE, HardPages, Heap,
                    NarrowSpace, PaeSpace, Physical)

NT = 0x8284_0000
SHARED_DATA = 0xFFDF_0000
POOL = 0x8500_0000
LARGE_PAGE = 0x8A00_0000
USER_PAGES = 0x3000_0000


def sign_extended(address):
    """As the debugger's block has pointers of 32 bits."""
    return address | 0xFFFF_FFFF_0000_0000 if address >> 31 else address


class Guest32(Processes):
    MACHINE, MACHINE_NAME, ARCHITECTURE = 0x14C, "I386", "x86"
    WIDTH = 4  # bytes of a pointer
    PDB, AGE = "ntkrpamp.pdb", 2

    def __init__(self, pae, build=7601):
        self.pae, self.build, self.layout = pae, build, builds.X86_BUILDS[build]
        self.LEVELS = 3 if pae else 2  # of page tables
        self.withheld = set()
        self.physical = Physical(2, RAM_BELOW_4G)
        self.SPACE = PaeSpace if pae else NarrowSpace
        self.kernel = self.SPACE(self.physical)
        self.pool = Heap(self.kernel, POOL)
        self.truth = {table: [] for table in ("drivers", "unloaded_drivers", "translations", "registers", "processes",
                                              "threads", "process_modules", "memory_mappings", "handles")}
        self.kernel.map(NT, DATA, PRESENT)
        self.kernel.map(NT + DATA, NT_SIZE - DATA)
        self.kernel.write(NT, self.pe_header())
        self.variables = Heap(self.kernel, NT + DATA)
        self.module_list = self.variables.put(bytes(8), 8)
        self.process_list = self.variables.put(bytes(8), 8)
        self.unloaded_variable = self.variables.put(bytes(4), 4)
        self.pfn_database = self.variables.put(struct.pack("<I", 0x83C0_0000), 4)
        self.build_lab = self.variables.put(f"{build}.synthetic32".encode() + b"\0")
        self.processor_block = self.variables.put(bytes(8), 4)
        self.kernel.map(SHARED_DATA, PAGE, PRESENT | NX)
        self.kernel.write_all(SHARED_DATA + 0x14, "IiI", EPOCH & 0xFFFF_FFFF, EPOCH >> 32, EPOCH >> 32)
        self.kernel.write_all(SHARED_DATA + 0x30, "520s", "C:\\Windows".encode("utf-16-le"))
        major, minor = self.layout.version
        self.kernel.write_all(SHARED_DATA + 0x260, "IIBxxxII", build if major >= 10 else 0, 1, 1, major, minor)
        self.tree = ObjectTree(self)
        self.make_drivers()
        self.make_processors()
        self.make_processes()
        make_handles(self)
        self.make_debugger_data()
        self.make_special_pages()

    def variable(self, layout, *values):
        return self.variables.put(struct.pack("<" + layout, *values), 4)

    def link(self, head, nodes, space=None):
        """A doubly linked list through `nodes`; the head is the kernel's, or all are in `space`."""
        ring = [head, *nodes]
        for at, node in enumerate(ring):
            (space or self.kernel).write_all(node, "II", ring[(at + 1) % len(ring)], ring[at - 1])

    @staticmethod
    def pe_header():
        """PE32: without BaseOfData's neighbours, and with directories 16 bytes earlier than in PE32+."""
        page = bytearray(PAGE)
        page[0:2] = b"MZ"
        struct.pack_into("<I", page, 0x3C, 0x80)
        struct.pack_into("<4sHHIIIHH", page, 0x80, b"PE\0\0", 0x14C, 1, 0x4CE7_8A09, 0, 0, 0xE0, 0x10E)
        struct.pack_into("<H", page, 0x98, 0x10B)
        struct.pack_into("<I", page, 0x98 + 0x38, NT_SIZE)
        struct.pack_into("<I", page, 0x98 + 0x5C, 16)
        record = b"RSDS" + bytes(range(16)) + struct.pack("<I", 2) + b"ntkrpamp.pdb\0"
        struct.pack_into("<II", page, 0x98 + 0x60 + 6 * 8, 0x300, 28)
        struct.pack_into("<IIHHIIII", page, 0x300, 0, 0, 0, 0, 2, len(record), 0x340, 0x340)
        page[0x340:0x340 + len(record)] = record
        return bytes(page)

    def unicode_string(self, text):
        length, buffer = self.pool.text(text)
        return struct.pack("<HHI", length, length + 2, buffer)

    def make_drivers(self):
        nodes = []
        for number, (path, name, base, size) in enumerate((
                ("\\SystemRoot\\system32\\ntkrnlpa.exe", "ntoskrnl.exe", NT, NT_SIZE),
                ("\\SystemRoot\\system32\\halmacpi.dll", "hal.dll", NT + 0x40_0000, 0x37000),
                ("\\SystemRoot\\Bj\u00f6rn\u2603.sys", "Bj\u00f6rn\u2603.sys", NT + 0x60_0000, 0x9000))):
            entry, stamp = self.pool.take(0x60), 0x4CE7_0000 + number
            if self.layout.driver_time:
                self.kernel.write_all(entry + self.layout.driver_time, "I", stamp)
            self.kernel.write_all(entry + 0x18, "III", base, base + 0x1000, size)
            self.kernel.write(entry + 0x24, self.unicode_string(path) + self.unicode_string(name))
            self.kernel.write_all(entry + 0x34, "IH", 0x0900_4000, number + 1)
            nodes.append(entry)
            self.truth["drivers"].append({
                "virtual_address": hex(entry), "name": name, "path": path, "base_address": hex(base), "size": size,
                "entry_point": hex(base + 0x1000), "load_count": number + 1,
                "timestamp": stamp if self.layout.driver_time else None})
        self.link(self.module_list, nodes)
        table = self.pool.take(0x18 * 50)
        for number, name in enumerate(("dump_atapi.sys", "w\u00e4g.sys")):
            start = NT + 0x80_0000 + number * 0x10_0000
            time, end = EPOCH + number * 10**7, start + 0x5000
            self.kernel.write(table + number * 0x18, self.unicode_string(name) + struct.pack("<IIQ", start, end, time))
            self.truth["unloaded_drivers"].append({"name": name, "start_address": hex(start), "end_address": hex(end),
                                                   "unload_time": unix_time(time)})
        self.kernel.write_all(self.unloaded_variable, "I", table)

    def make_debugger_data(self):
        build = self.layout
        data = bytearray(build.kdbg_size)
        put = lambda offset, layout, *values: struct.pack_into("<" + layout, data, offset, *values)
        put(0x10, "4sI", b"KDBG", build.kdbg_size)
        for offset, address in ((0x18, NT), (0x48, self.module_list), (0x50, self.process_list),
                                (0x208, self.build_lab), (0xA0, self.tree.type_variable),
                                (0x218, self.processor_block), (0x220, self.unloaded_variable)):
            put(offset, "Q", sign_extended(address))
        put(0x29A, "5H", build.teb, build.kernel_stack, build.initial_stack, build.apc_process, build.state)
        put(0x2A8, "4H", build.process_size, build.peb, build.parent, 0x18)
        put(0x2B4, "H", 4)
        put(0x2BC, "3H", build.processor_state + build.context_frame, 0x3CC, build.thread_size)
        put(0x338, "H", build.prcb_context)
        if build.kdbg_size >= 0x380:
            put(0x344, "I", build.stack_base)
            put(0x35C, "H", build.wait_reason)
        self.debugger_data = self.variables.put(bytes(data), 64)

    # eax is first; cs and ss are not compared
    REGISTERS = ("rdi", "rsi", "rbx", "rdx", "rcx", "rax", "rbp", "rip")

    def register_values(self, seed):
        return [0x8300_0000 + seed * 0x1_0000 + n * 8 for n in range(8)]

    def register_truth(self, cpu, source, seed):
        return {"cpu": cpu, "source": source, "rsp": hex(0x8300_1000 + seed * 0x1_0000), "rflags": 0x246, "r8": None,
                **{name: hex(value) for name, value in zip(self.REGISTERS, self.register_values(seed))}}

    def context(self, seed=0):
        data = bytearray(0x2CC)
        struct.pack_into("<I", data, 0, 0x1_003F)
        struct.pack_into("<4I", data, 0x8C, 0, 0x30, 0x23, 0x23)
        struct.pack_into("<8I", data, 0x9C, *self.register_values(seed))
        struct.pack_into("<4I", data, 0xBC, 8, 0x246, 0x8300_1000 + seed * 0x1_0000, 0x10)
        return bytes(data)

    def make_processors(self):
        build = self.layout
        self.prcbs = []
        for number in range(2):
            prcb = self.pool.take(build.prcb_context + 0x40, PAGE)
            context = self.pool.put(self.context(number))
            self.kernel.write_all(prcb + 0x3CC, "I", number)
            self.kernel.write_all(prcb + build.prcb_context, "I", context)
            self.kernel.write(prcb + build.processor_state + build.context_frame, self.context(number + 8))
            self.kernel.write_all(self.processor_block + 4 * number, "I", prcb)
            self.prcbs.append(prcb)
            for source, seed in (("context", number), ("processor_state", number + 8)):
                self.truth["registers"].append(self.register_truth(number, source, seed))
        self.truth["registers"].append(self.register_truth(0, "header", 0))

    def make_special_pages(self):
        """In the kernel's own space."""
        space = self.kernel
        pages = HardPages(self.truth["translations"], space, USER_PAGES, space.root_register())
        frame = self.physical.take()
        pages.leaf(frame * PAGE | PRESENT | USER, frame * PAGE)
        pages.leaf(frame * PAGE | 1 << 11 | 4 << 5, frame * PAGE)  # transition
        pages.leaf(0, text="is not present")
        pages.leaf(4 << 5, text="never touched")
        pages.leaf((0x1234 << 32 if self.pae else 0x12_3000) | 4 << 5, text="page file")
        pages.leaf(1 << 10 | 0x5000, text="prototype")
        pages.expect(0x7F00_0000, level=2, text="is not present")
        pages.expect(0x1_0000_0000, level=0, text="not an address")
        large = LARGE | PRESENT | WRITABLE | ACCESSED_DIRTY
        if self.pae:
            space.entry(LARGE_PAGE, LARGE_FRAME * PAGE | 1 << 12 | large, 2)  # PAT
            pages.expect(LARGE_PAGE + 0x12_3456, physical=hex(LARGE_FRAME * PAGE + 0x12_3456))
        else:
            space.entry(LARGE_PAGE, LARGE_FRAME * PAGE | 1 << 12 | large, 2)
            pages.expect(LARGE_PAGE + 0x32_3456, physical=hex(LARGE_FRAME * PAGE + 0x32_3456))
            space.entry(LARGE_PAGE + 0x40_0000, 0x0040_0000 | 5 << 13 | large, 2)  # PSE-36: bits 39:32 are 5
            pages.expect(LARGE_PAGE + 0x40_0008, physical=hex(0x5_0040_0008))

    @staticmethod
    def truth_start():
        """An instruction of the kernel."""
        return NT + 0x1234
