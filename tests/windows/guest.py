# SPDX-FileCopyrightText: engram contributors
# SPDX-License-Identifier: Apache-2.0
"""A machine with Windows, as its memory shows it, and the truth about it. Nothing of it comes from a real one."""
import struct

import builds
from objects import ObjectTree, make_handles
from memory import ACCESSED_DIRTY, LARGE, LARGE_FRAME, NX, PAGE, PRESENT, USER, WRITABLE, HardPages, Heap, Physical, Space

NT = 0xFFFF_F805_1060_0000
SHARED_DATA = 0xFFFF_F780_0000_0000
USER_SHARED_DATA = 0x7FFE_0000
POOL, OLD_POOL = 0xFFFF_A884_8000_0000, 0xFFFF_FA80_8000_0000
PROCESSORS = 0xFFFF_F805_0F40_0000
LARGE_PAGE = 0xFFFF_F805_8000_0000
HUGE_PAGE = 0xFFFF_F806_0000_0000
NT_SIZE = 0x40_000
DATA = 0x20_000  # of the kernel image: where its variables lie
EPOCH = 132_000_000_000_000_000  # FILETIME: April 2019
PRIVATE, MAPPED = "private", "mapped"
# A value of MMVAD_FLAGS.Protection and what it allows.
PROTECTIONS = {"PAGE_READONLY": (1, (1, 0, 0)), "PAGE_EXECUTE_READ": (3, (1, 0, 1)), "PAGE_READWRITE": (4, (1, 1, 0)),
               "PAGE_EXECUTE_READWRITE": (6, (1, 1, 1)), "PAGE_EXECUTE_WRITECOPY": (7, (1, 1, 1)),
               "PAGE_NOACCESS": (24, (0, 0, 0))}


def unix_time(time):
    """Seconds."""
    return time // 10**7 - 11_644_473_600


def without_surrogates(text):
    """What is shown of a text that has halves of surrogate pairs."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def unicode_string(length, buffer):
    return struct.pack("<HHxxxxQ", length, length + 2 & 0xFFFF, buffer)


def pe_header(pdb, guid, age, size, machine=0x8664):
    """The first page of a 64-bit image: enough for a debugger to name it."""
    page = bytearray(PAGE)
    page[0:2] = b"MZ"
    struct.pack_into("<I", page, 0x3C, 0x80)
    struct.pack_into("<4sHHIIIHH", page, 0x80, b"PE\0\0", machine, 1, 0x5E0A_1B2C, 0, 0, 0xF0, 0x22)
    optional = 0x98
    struct.pack_into("<H", page, optional, 0x20B)
    struct.pack_into("<I", page, optional + 0x10, 0x1000)  # entry point
    struct.pack_into("<I", page, optional + 0x38, size)
    struct.pack_into("<I", page, optional + 0x6C, 16)
    record = b"RSDS" + guid + struct.pack("<I", age) + pdb + b"\0"
    struct.pack_into("<II", page, optional + 0x70 + 6 * 8, 0x300, 28)
    struct.pack_into("<IIHHIIII", page, 0x300, 0, 0, 0, 0, 2, len(record), 0x340, 0x340)
    page[0x340:0x340 + len(record)] = record
    return bytes(page)


class Guest:
    MACHINE, MACHINE_NAME, ARCHITECTURE = 0x8664, "AMD64", "x86_64"
    WIDTH = 8  # bytes of a pointer
    LEVELS = 4  # of page tables
    PDB, AGE = "ntkrnlmp.pdb", 1
    SPACE = Space
    SPECIAL_ROOT_BITS = 2  # of DirectoryTableBase: no part of the address

    def __init__(self, build, encoded=False, seed=1):
        self.layout = builds.BUILDS[build]
        self.encoded = encoded
        self.physical = Physical(seed)
        self.kernel = self.SPACE(self.physical)
        is_old = self.layout.number < 9600  # addresses have 44 bits
        self.pool = Heap(self.kernel, OLD_POOL if is_old else POOL)
        self.program, self.ntdll = (0x7F6_0000_0000, 0x7FA_0000_0000) if is_old else (0x7FF6_0000_0000, 0x7FFA_0000_0000)
        self.withheld = set()  # frames that the dump does not have
        self.handles = 4
        self.truth = {"build": build, "processes": [], "threads": [], "drivers": [], "unloaded_drivers": [],
                      "process_modules": [], "memory_mappings": [], "registers": [], "translations": [], "handles": []}
        self.make_kernel()
        self.tree = ObjectTree(self)
        self.make_drivers()
        self.make_processors()
        self.make_processes()
        make_handles(self)
        self.make_special_pages()
        self.make_debugger_data()

    # -- the kernel ----------------------------------------------------------------------------------------------------

    def make_kernel(self):
        build = self.layout
        self.kernel.map(NT, DATA, PRESENT)
        self.kernel.map(NT + DATA, NT_SIZE - DATA)
        self.kernel.write(NT, pe_header(self.PDB.encode(), bytes(range(16)), self.AGE, NT_SIZE, self.MACHINE))
        self.kernel.write(NT + 0x1000, b"\xCC" * 0x1000)
        self.variables = Heap(self.kernel, NT + DATA)
        self.module_list = self.variable("QQ", 0, 0)
        self.process_list = self.variable("QQ", 0, 0)
        self.processor_block = self.variable("QQQQ", 0, 0, 0, 0)
        self.unloaded_variable = self.variable("Q", 0)
        self.unloaded_count = self.variable("I", 0)
        self.pfn_database = self.variable("Q", 0xFFFF_FA80_0000_0000)
        self.build_lab = self.variables.put(f"{build.number}.1.synthetic".encode() + b"\0")
        self.debugger_data = self.variables.take(build.kdbg_size, 64)
        self.kernel.map(SHARED_DATA, PAGE, PRESENT | NX)
        self.shared_frame = self.kernel.frame_of(SHARED_DATA)
        put = lambda offset, layout, *values: self.kernel.write_all(SHARED_DATA + offset, layout, *values)
        put(0x14, "IiI", (EPOCH + 9000) & 0xFFFF_FFFF, EPOCH >> 32, EPOCH >> 32)
        put(0x2C, "HH", *([self.MACHINE] * 2 if build.number >= 10240 else (0, 0)))
        put(0x30, "520s", "C:\\Windows".encode("utf-16-le"))
        major, minor = build.version
        put(0x260, "IIBxxxII", build.number if major >= 10 else 0, 1, 1, major, minor)
        put(0x2D0, "I", 0x110)
        put(0x320, "Q", 12345)

    def variable(self, layout, *values):
        address = self.variables.take(struct.calcsize("<" + layout), 8)
        self.kernel.write_all(address, layout, *values)
        return address

    def link(self, head, nodes, width="Q"):
        """A doubly linked list through `nodes`."""
        ring = [head, *nodes]
        for at, node in enumerate(ring):
            self.space_of(node).write_all(node, width * 2, ring[(at + 1) % len(ring)], ring[at - 1])

    def space_of(self, address):
        return self.kernel if address >> 47 else self.current

    def make_drivers(self):
        listed = [
            ("\\SystemRoot\\system32\\ntoskrnl.exe", "ntoskrnl.exe", NT, NT_SIZE),
            ("\\SystemRoot\\system32\\hal.dll", "hal.dll", NT + 0x10_0000, 0x6000),
            ("\\??\\C:\\Treiber\\Bj\u00f6rn\u2603.sys", "Bj\u00f6rn\u2603.sys", NT + 0x20_0000, 0x9000),
            ("\\SystemRoot\\" + "x" * 188, "long.sys", NT + 0x30_0000, 0x1000),
            ("", "noname.sys", NT + 0x40_0000, 0x2000),
            ("\\SystemRoot\\lone\ud800surrogate.sys", "lone\ud800.sys", NT + 0x50_0000, 0x3000),
        ]
        nodes = []
        for number, (path, name, base, size) in enumerate(listed):
            entry = self.pool.take(0xA0)
            full, short = unicode_string(*self.pool.text(path)), unicode_string(*self.pool.text(name))
            stamp = 0x5E0A_0000 + number
            stamp_at = 0x9C if self.layout.number >= 9200 else 0x80
            self.kernel.write_all(entry + 0x30, "QQI", base, base + 0x1000, size)
            self.kernel.write(entry + 0x48, full + short)
            self.kernel.write_all(entry + 0x68, "IH", 0x0900_4000, number + 1)
            self.kernel.write_all(entry + stamp_at, "I", stamp)
            nodes.append(entry)
            self.truth["drivers"].append({"virtual_address": hex(entry), "name": without_surrogates(name),
                                          "path": without_surrogates(path),
                                          "base_address": hex(base), "size": size, "entry_point": hex(base + 0x1000),
                                          "load_count": number + 1, "timestamp": stamp})
        self.link(self.module_list, nodes)
        table = self.pool.take(0x28 * 50)
        for number, name in enumerate(("dump_diskdump.sys", "w\u00e4g.sys", "old.sys")):
            start = NT + 0x60_0000 + number * 0x10_0000
            text = unicode_string(*self.pool.text(name))
            time, end = EPOCH + number * 10**7, start + 0x5000
            self.kernel.write(table + number * 0x28, text + struct.pack("<QQQ", start, end, time))
            self.truth["unloaded_drivers"].append({"name": name, "start_address": hex(start), "end_address": hex(end),
                                                   "unload_time": unix_time(time)})
        self.kernel.write_all(self.unloaded_variable, "Q", table)
        self.kernel.write_all(self.unloaded_count, "I", 3)

    # -- processors ----------------------------------------------------------------------------------------------------

    def make_processors(self):
        build = self.layout
        self.contexts, self.prcbs = [], []
        for number in range(2):
            pcr = PROCESSORS + number * 0x1_0000
            prcb = pcr + 0x180
            self.kernel.map(pcr, 0x180 + build.prcb_context + 0x40)
            self.kernel.write_all(pcr + 0x18, "QQ", pcr, prcb)
            self.kernel.write_all(prcb + 0x24, "I", number)
            context = self.pool.take(0x4D0)
            self.kernel.write(context, self.context(number))
            self.kernel.write_all(prcb + build.prcb_context, "Q", context)
            special = prcb + build.processor_state
            self.kernel.write_all(special, "QQQQ", 0x8005_0033, 0x1000 + number, self.kernel.root * PAGE | 2, 0x3506F8)
            self.kernel.write_all(special + 0xA8, "QQ", pcr, 0x7000 + number)
            self.kernel.write(special + build.context_frame, self.context(number + 8))
            self.kernel.write_all(self.processor_block + 8 * number, "Q", prcb)
            self.contexts.append(context)
            self.prcbs.append(prcb)
            for source, seed in (("context", number), ("processor_state", number + 8)):
                self.truth["registers"].append({"cpu": number, "source": source, **self.register_truth(seed)})
        self.truth["registers"].append({"cpu": 0, "source": "header", **self.register_truth(0)})

    REGISTERS = ("rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", *(f"r{n}" for n in range(8, 16)), "rip")

    def register_values(self, seed):
        return [0xFFFF_F805_0000_0000 + seed * 0x1_0000 + n * 8 for n in range(17)]

    def register_truth(self, seed):
        return {name: hex(value) for name, value in zip(self.REGISTERS, self.register_values(seed))} | {"rflags": 0x246}

    def context(self, seed):
        data = bytearray(0x4D0)
        struct.pack_into("<II6HI", data, 0x30, 0x10_001F, 0x1F80, 0x10, 0x2B, 0x2B, 0x53, 0x2B, 0x18, 0x246)
        struct.pack_into("<17Q", data, 0x78, *self.register_values(seed))
        struct.pack_into("<I", data, 0x118, 0x1F80)
        return bytes(data)

    # -- processes -----------------------------------------------------------------------------------------------------

    def number(self):
        self.handles += 4
        return self.handles - 4

    def make_processes(self):
        self.processes, self.spaces = [], []
        self.make_process("System", None, threads=3)
        path = "\\SystemRoot\\System32\\smss.exe"
        self.make_process("smss.exe", 4, path=path, command=path)
        first = self.truth["processes"][1]["pid"]
        self.make_process("averyveryverylongname.exe", first, path="C:\\Program Files\\averyveryverylongname.exe",
                          command='"C:\\Program Files\\averyveryverylongname.exe" --gr\u00f6\u00dfe \U0001F600 x',
                          threads=2)
        self.make_process("wow.exe", first, path="C:\\wow\\wow.exe", command="wow.exe -32", wow64=True)
        self.make_process("lone.exe", first, path="C:\\lone.exe", command="lone \ud800 surrogate")
        self.make_process("gone.exe", first, exited=True, threads=0)
        self.link(self.process_list, [p + self.layout.links for p in self.processes])

    def make_process(self, name, parent, path=None, command=None, threads=1, wow64=False, exited=False):
        build = self.layout
        put = lambda offset, layout, *values: self.kernel.write_all(process + offset, layout, *values)
        self.current = self.SPACE(self.physical, self.kernel) if parent else self.kernel
        self.spaces.append(self.current)
        process, pid = self.tree.make("Process", build.process_size), self.number()
        self.processes.append(process)
        created = EPOCH + pid * 10**7
        self.kernel.write_all(process, "B", 3)
        put(0x28, "Q", self.current.root * PAGE | 2)
        put(build.pid, "Q", pid)
        put(build.create, "Q", created)
        put(build.parent, "Q", parent or 0)
        put(build.name, "15s", name.encode()[:15 if len(name) > 14 else 14])
        if exited and build.exit:
            put(build.exit, "Q", created + 10**7)
        nodes, kernel_nodes = [], []
        peb = self.make_peb(pid, name, path, command, wow64, process) if path else 0
        put(build.peb, "Q", peb)
        for _ in range(threads):
            thread = self.make_thread(process, pid, peb)
            nodes.append(thread + build.thread_links)
            kernel_nodes.append(thread + build.kthread_links)
        self.link(process + build.threads, nodes)
        self.link(process + 0x30, kernel_nodes)
        self.truth["processes"].append({
            "virtual_address": hex(process), "pid": pid, "parent": parent or 0, "name": name[:15],
            "path": path, "cmdline": command and without_surrogates(command),
            "threads": threads, "page_table": hex(self.current.root * PAGE),
            "start_time": unix_time(created), "create_time": unix_time(created),
            "exit_time": unix_time(created + 10**7) if exited and build.exit else None,
            "peb": hex(peb) if peb else None, "wow64": int(wow64)})

    def make_thread(self, process, pid, peb):
        build = self.layout
        thread, tid = self.tree.make("Thread", build.thread_size), self.number()
        put = lambda offset, layout, *values: self.kernel.write_all(thread + offset, layout, *values)
        teb = 0
        if peb:
            teb = self.heap.take(0x3000, PAGE)
            self.current.write_all(teb + 0x40, "QQ", pid, tid)
            self.current.write_all(teb + 0x60, "Q", peb)
        stack = 0xFFFF_F90A_0000_0000 + tid * 0x1_0000
        start = NT + 0x1000 + tid
        put(0, "IIQQ", 6, 0, thread + 8, thread + 8)  # DISPATCHER_HEADER: type, and nobody waits for it
        put(build.initial_stack, "Q", stack)
        put(build.stack_base, "Q", stack)
        put(build.kernel_stack, "Q", stack - 0x800)
        put(build.apc_process, "Q", process)
        put(build.thread_process, "Q", process)
        put(build.teb, "Q", teb)
        put(build.state, "B", 5)
        put(build.wait_reason, "B", 6)
        put(build.cid, "QQ", pid, tid)
        put(build.start, "Q", start)
        put(build.win32_start, "Q", start + 0x10 if peb else 0)
        put(build.thread_create, "Q", EPOCH + tid * 10**7)
        if len(self.truth["threads"]) < 2:
            self.kernel.write_all(self.prcbs[len(self.truth["threads"])] + 8, "Q", thread)
        self.truth["threads"].append({"virtual_address": hex(thread), "process": hex(process), "pid": pid, "tid": tid,
                                      "teb": hex(teb) if teb else None, "start_address": hex(start),
                                      "win32_start_address": hex(start + 0x10) if peb else None, "state": "waiting",
                                      "start_time": unix_time(EPOCH + tid * 10**7)})
        return thread

    def make_peb(self, pid, name, path, command, wow64, process):
        space = self.current
        self.heap = Heap(space, 0x1_0000_0000)
        space.map(USER_SHARED_DATA, PAGE, PRESENT | NX, self.shared_frame)
        peb, ldr, parameters = self.heap.take(PAGE, PAGE), self.heap.take(0x60), self.heap.take(0x400)
        image = self.program if not wow64 else 0x40_0000
        space.write_all(peb + 0x10, "QQQ", image, ldr, parameters)
        space.write(parameters + 0x38, unicode_string(*self.heap.text("C:\\")))
        space.write(parameters + 0x60, unicode_string(*self.heap.text(path)))
        space.write(parameters + 0x70, unicode_string(*self.heap.text(command)))
        environment = "=C:=C:\\\0Path=C:\\Windows\0\0".encode("utf-16-le")
        space.write_all(parameters + 0x80, "Q", self.heap.put(environment))
        modules = [(path, path.split("\\")[-1], image, 0x8000),
                   ("C:\\Windows\\SYSTEM32\\ntdll.dll", "ntdll.dll", self.ntdll, 0x1F_0000)]
        nodes = []
        for full, short, base, size in modules:
            node = self.heap.take(0xA0)
            space.write_all(node + 0x30, "QQI", base, base + 0x1200, size)
            space.write(node + 0x48, unicode_string(*self.heap.text(full)) + unicode_string(*self.heap.text(short)))
            nodes.append(node)
            self.add_module(process, pid, node, short, full, base, size, base + 0x1200, 0)
        self.link(ldr + 0x10, nodes)
        if wow64:
            self.make_wow64(process, pid, path)
        self.make_vads(process, pid)
        return peb

    def add_module(self, process, pid, node, name, path, base, size, entry, wow64):
        self.truth["process_modules"].append({
            "process": hex(process), "pid": pid, "virtual_address": hex(node), "name": name, "path": path,
            "base_address": hex(base), "size": size, "entry_point": hex(entry), "wow64": wow64})

    def make_wow64(self, process, pid, path):
        space, build = self.current, self.layout
        low = Heap(space, 0x20_0000)
        peb32, ldr32 = low.take(PAGE, PAGE), low.take(0x40)
        space.write_all(peb32 + 8, "II", 0x40_0000, ldr32)
        nodes = []
        for full, short, base, size in ((path, path.split("\\")[-1], 0x40_0000, 0x8000),
                                        ("C:\\Windows\\SYSTEM32\\ntdll.dll", "ntdll.dll", 0x7700_0000, 0x19_0000)):
            node = low.take(0x80)
            space.write_all(node + 0x18, "III", base, base + 0x1100, size)
            for offset, text in ((0x24, full), (0x2C, short)):
                length, buffer = low.text(text)
                space.write_all(node + offset, "HHI", length, length + 2, buffer)
            nodes.append(node)
            self.add_module(process, pid, node, short, full, base, size, base + 0x1100, 1)
        self.link(ldr32 + 0xC, nodes, "I")
        at = peb32
        if not build.wow64_direct:
            at = self.pool.take(0x10)
            self.kernel.write_all(at, "QH", peb32, 0x14C)
        self.kernel.write_all(process + build.wow64, "Q", at)

    def make_vads(self, process, pid):
        """A balanced tree of areas."""
        areas = [(0x1_0000_0000, 0x1_0002_0000, "PAGE_READWRITE", PRIVATE, None),
                 (0x2_0000_0000, 0x2_0001_0000, "PAGE_READONLY", MAPPED, None),
                 (self.program, self.program + 0x8000, "PAGE_EXECUTE_WRITECOPY", MAPPED, f"\\Windows\\p{pid}.exe"),
                 (self.ntdll, self.ntdll + 0x1F_0000, "PAGE_EXECUTE_WRITECOPY", MAPPED,
                  "\\Windows\\System32\\ntdll.dll"),
                 (0x7FFE_0000, 0x7FFE_1000, "PAGE_NOACCESS", PRIVATE, None),
                 (0x3000_0000, 0x3001_0000, "PAGE_EXECUTE_READWRITE", PRIVATE, None)]
        areas.sort()
        old = self.layout.number < 9600
        left_at, right_at, parent_at = (8, 16, 0) if old else (0, 8, 16)

        def make(part, parent):
            if not part:
                return 0
            middle = len(part) // 2
            start, end, protection, kind, file = part[middle]
            self.pool.take(16)
            node = self.pool.take(0x90)
            self.write_area(node, start, end, protection, kind, file)
            self.kernel.write_all(node + left_at, "Q", make(part[:middle], node))
            self.kernel.write_all(node + right_at, "Q", make(part[middle + 1:], node))
            self.kernel.write_all(node + parent_at, "Q", parent)
            readable, writable, executable = PROTECTIONS[protection][1]
            self.truth["memory_mappings"].append({
                "task": hex(process), "tgid": pid, "virtual_address": hex(node),
                "region_start": hex(start), "region_end": hex(end),
                "readable": readable, "writable": writable, "executable": executable, "shared": int(kind == MAPPED),
                "file_path": file})
            return node
        if old:  # MM_AVL_TABLE begins with a node whose right child is the root of the tree
            table = process + self.layout.vads
            self.kernel.write_all(table + 16, "Q", make(areas, table))
        else:
            self.kernel.write_all(process + self.layout.vads, "Q", make(areas, 0))

    def write_area(self, node, start, end, protection, kind, file):
        number = PROTECTIONS[protection][0]
        type_at, protection_at, private_at = self.layout.vad_flags
        flags = number << protection_at | int(kind == PRIVATE) << private_at | (2 if file else 0) << type_at
        first, last = start // PAGE, end // PAGE - 1
        if self.layout.number < 9200:
            self.kernel.write_all(node + 0x18, "QQQ", first, last, flags)
        elif self.layout.number < 9600:  # addresses have 44 bits; what stands behind the numbers is a lock
            self.kernel.write_all(node + 0x18, "IIQI", first, last, 0x0101_0101, flags)
        else:
            self.kernel.write_all(node + 0x18, "IIBB", first & 0xFFFF_FFFF, last & 0xFFFF_FFFF, first >> 32, last >> 32)
            self.kernel.write_all(node + 0x30, "I", flags)
        if file:
            subsection, control, object_ = self.pool.take(0x38), self.pool.take(0x80), self.pool.take(0xD8)
            self.kernel.write_all(node + 0x48, "Q", subsection)
            self.kernel.write_all(subsection, "Q", control)
            self.kernel.write_all(control + 0x40, "Q", object_ | 7)
            self.kernel.write_all(object_, "HH", 5, 0xD8)
            self.kernel.write(object_ + 0x58, unicode_string(*self.pool.text(file)))

    # -- pages that are hard to translate ------------------------------------------------------------------------------

    def make_special_pages(self):
        """In the space of the process with the long name."""
        space = self.spaces[2]
        pages = HardPages(self.truth["translations"], space, 0x3_0000_0000, space.root * PAGE)
        frame = self.physical.take()
        pages.leaf(frame * PAGE | PRESENT | USER | WRITABLE | NX, frame * PAGE)
        pages.leaf(frame * PAGE | PRESENT | USER, frame * PAGE)
        pages.leaf(frame * PAGE | 1 << 11 | 4 << 5, frame * PAGE)                 # transition
        pages.leaf(frame * PAGE | 1 << 11 | 1 << 45 | 6 << 5, frame * PAGE)       # the same, behind L1TF's bit
        pages.leaf(0, text="is not present")
        pages.leaf(4 << 5, text="never touched")
        pages.leaf(0x1234 << 32 | 1 << 12 | 4 << 5, text="page file")
        pages.leaf(0xFFFF_8A00_1234_5678 << 16 & (1 << 64) - 1 | 1 << 10 | 1 << 11, text="prototype")
        absent = self.physical.take()
        self.withheld.add(absent)
        pages.leaf(absent * PAGE | PRESENT | USER, absent * PAGE)                 # translates, but cannot be read
        pages.leaf(0x9_9999_9000 | PRESENT | USER, 0x9_9999_9000)
        # A table that the dump lacks, and entries that are missing higher up.
        lost = 0x3_4000_0000
        self.withheld.add(space.table(lost, 1))
        pages.expect(lost + 0x5008, level=1, text="is not in the image")
        pages.expect(lost + 0x80_0000, level=2, text="is not present")
        space.entry(0x4_0000_0000, 0, 3)
        pages.expect(0x4_0000_0000, level=3, text="is not present")
        pages.expect(0x6000_0000_0000, level=4, text="is not present")
        # Large pages: with the PAT bit, which is bit 12; and one of which the machine has only the first 512 KiB.
        flags = LARGE | PRESENT | WRITABLE | NX | ACCESSED_DIRTY
        self.kernel.entry(LARGE_PAGE, LARGE_FRAME * PAGE | 1 << 12 | flags, 2)
        pages.expect(LARGE_PAGE + 0x12_3456, physical=hex(LARGE_FRAME * PAGE + 0x12_3456))
        self.kernel.entry(HUGE_PAGE, 0x4000_0000 | LARGE | PRESENT | WRITABLE | ACCESSED_DIRTY, 3)
        pages.expect(HUGE_PAGE + 0x7_FFF8, physical=hex(0x4007_FFF8))
        pages.expect(HUGE_PAGE + 0x3FFF_FFF8, physical=hex(0x7FFF_FFF8))

    # -- what the debugger gets to know --------------------------------------------------------------------------------

    def make_debugger_data(self):
        build = self.layout
        data = bytearray(build.kdbg_size)
        put = lambda offset, layout, *values: struct.pack_into("<" + layout, data, offset, *values)
        put(0x00, "QQ4sI", NT + DATA + 0x8000, NT + DATA + 0x8000, b"KDBG", build.kdbg_size)
        put(0x18, "Q", NT)
        put(0x48, "QQ", self.module_list, self.process_list)
        put(0xA0, "Q", self.tree.type_variable)
        put(0xC0, "Q", self.pfn_database)
        put(0xF8, "Q", len(self.physical.frames))
        put(0x138, "Q", PAGE)
        put(0x1C8, "QQ", 0x7FFF_FFFE_FFFF, 0xFFFF_8000_0000_0000)
        put(0x208, "Q", self.build_lab)
        put(0x218, "QQQ", self.processor_block, self.unloaded_variable, self.unloaded_count)
        put(0x298, "6H", 0, build.teb, build.kernel_stack, build.initial_stack, build.apc_process, build.state)
        put(0x2A8, "4H", build.process_size, build.peb, build.parent, 0x28)
        put(0x2B0, "H", build.prcb_context + 8)
        put(0x2B4, "H", 8)
        put(0x2BC, "3H", build.processor_state + build.context_frame, 0x24, build.thread_size)
        put(0x2E4, "2H", 0x20, 0x180)
        put(0x2F2, "H", build.processor_state)
        put(0x338, "H", build.prcb_context)
        if build.kdbg_size >= 0x380:
            put(0x344, "I", build.stack_base)
            put(0x35C, "H", build.wait_reason)
        if self.encoded:
            data = self.encode(bytes(data))
        self.kernel.write(self.debugger_data, bytes(data))

    def encode(self, data):
        """As kernels since Windows 8 keep it until a crash."""
        never, always, flag = 0x1234_5678_9ABC_DE2B, 0xFEDC_BA98_7654_3217, NT + DATA + 0x9000
        mask = (1 << 64) - 1
        words = []
        for word, in struct.iter_unpack("<Q", data):
            word = int.from_bytes((word ^ always).to_bytes(8, "little"), "big") ^ flag
            count = never & 63
            word = (word >> count | word << (64 - count)) & mask
            words.append(word ^ never)
        return struct.pack(f"<{len(words)}Q", *words)

    def truth_start(self):
        """An instruction of the kernel."""
        return NT + 0x1234
