# SPDX-FileCopyrightText: engram contributors
# SPDX-License-Identifier: Apache-2.0
"""Processes of a 32-bit machine, their threads, their own memory and what they planned it to be."""
import struct

from guest import EPOCH, MAPPED, PRIVATE, PROTECTIONS, unix_time
from memory import PAGE, Heap
from objects import unicode_string


class Processes:
    """Of a guest that has `kernel`, `pool`, `tree`, `layout` and `truth`."""

    def make_processes(self):
        self.numbers = iter(range(4, 1 << 16, 4))
        self.processes = []
        self.make_process("System", None, threads=2)
        path = "\\SystemRoot\\System32\\smss.exe"
        self.make_process("smss.exe", 4, path=path, command=path)
        first = self.truth["processes"][1]["pid"]
        self.make_process("averyveryverylongname.exe", first, path="C:\\Program Files\\averyveryverylongname.exe",
                          command='"C:\\Program Files\\averyveryverylongname.exe" --gr\u00f6\u00dfe \U0001F600 x', threads=2)
        self.make_process("other.exe", first, path="C:\\other.exe", command="other.exe /s")
        self.make_process("gone.exe", first, exited=True, threads=0)
        self.link(self.process_list, [process + self.layout.links for process in self.processes])

    def make_process(self, name, parent, path=None, command=None, threads=1, exited=False):
        build = self.layout
        space = self.SPACE(self.physical, self.kernel) if parent else self.kernel
        process, pid = self.tree.make("Process", build.process_size), next(self.numbers)
        put = lambda offset, layout, *values: self.kernel.write_all(process + offset, layout, *values)
        self.processes.append(process)
        created = EPOCH + pid * 10**7
        self.kernel.write_all(process, "B", 3)
        put(0x18, "I", space.root_register())
        put(build.pid, "I", pid)
        put(build.create, "Q", created)
        put(build.parent, "I", parent or 0)
        put(build.name, "15s", name.encode()[:15 if len(name) > 14 else 14])
        if exited:
            put(build.exit, "Q", created + 10**7)
        heap = Heap(space, 0x10_0000)
        peb = self.make_peb(space, heap, process, pid, path, command) if path else 0
        put(build.peb, "I", peb)
        made = [self.make_thread(process, pid, space, heap if peb else None) for _ in range(threads)]
        self.link(process + build.threads, [thread + build.thread_links for thread in made])
        self.link(process + 0x2C, [thread + build.kthread_links for thread in made])
        root = space.root_register() & -0x20 if self.pae else space.root_register() & -PAGE
        self.truth["processes"].append({
            "virtual_address": hex(process), "pid": pid, "parent": parent or 0, "name": name[:15], "path": path,
            "cmdline": command, "threads": threads, "page_table": hex(root), "start_time": unix_time(created),
            "create_time": unix_time(created), "exit_time": unix_time(created + 10**7) if exited else None,
            "peb": hex(peb) if peb else None})

    def make_thread(self, process, pid, space, heap):
        build = self.layout
        thread, tid = self.tree.make("Thread", build.thread_size), next(self.numbers)
        put = lambda offset, layout, *values: self.kernel.write_all(thread + offset, layout, *values)
        teb = heap.take(PAGE, PAGE) if heap else 0
        stack, start = 0x8C00_0000 + tid * 0x1000, 0x8284_1000 + tid
        put(0, "4I", 6, 0, thread + 8, thread + 8)  # DISPATCHER_HEADER: type, and nobody waits for it
        for offset, value in ((build.initial_stack, stack), (build.stack_base, stack), (build.kernel_stack, stack - 0x300),
                              (build.apc_process, process), (build.teb, teb), (build.start, start),
                              (build.win32_start, start + 0x10 if teb else 0)):
            put(offset, "I", value)
        put(build.state, "B", 5)
        put(build.wait_reason, "B", 6)
        put(build.cid, "II", pid, tid)
        put(build.thread_create, "Q", EPOCH + tid * 10**7)
        if len(self.truth["threads"]) < 2:
            self.kernel.write_all(self.prcbs[len(self.truth["threads"])] + 4, "I", thread)
        self.truth["threads"].append({
            "virtual_address": hex(thread), "process": hex(process), "pid": pid, "tid": tid, "teb": hex(teb) if teb else None,
            "start_address": hex(start), "win32_start_address": hex(start + 0x10) if teb else None, "state": "waiting",
            "start_time": unix_time(EPOCH + tid * 10**7)})
        return thread

    def make_peb(self, space, heap, process, pid, path, command):
        text = lambda words: unicode_string(*heap.text(words), 4)
        peb, loader, parameters = heap.take(PAGE, PAGE), heap.take(0x30), heap.take(0x300)
        image = 0x40_0000
        space.write_all(peb + 8, "III", image, loader, parameters)
        space.write(parameters + 0x24, text("C:\\"))
        space.write(parameters + 0x38, text(path) + text(command))
        space.write_all(parameters + 0x48, "I", heap.put("Path=C:\\Windows\0\0".encode("utf-16-le")))
        nodes = []
        for full, base, size in ((path, image, 0x8000), ("C:\\Windows\\SYSTEM32\\ntdll.dll", 0x7700_0000, 0x13_0000)):
            node, short = heap.take(0x80), full.split("\\")[-1]
            space.write_all(node + 0x18, "III", base, base + 0x1200, size)
            space.write(node + 0x24, text(full) + text(short))
            nodes.append(node)
            self.truth["process_modules"].append({
                "process": hex(process), "pid": pid, "virtual_address": hex(node), "name": short, "path": full,
                "base_address": hex(base), "size": size, "entry_point": hex(base + 0x1200), "wow64": 0})
        self.link(loader + 0xC, nodes, space)
        self.make_areas(process, pid)
        return peb

    def make_areas(self, process, pid):
        """A balanced tree of areas."""
        areas = sorted([(0x10_0000, 0x12_0000, "PAGE_READWRITE", PRIVATE, None),
                        (0x20_0000, 0x21_0000, "PAGE_READONLY", MAPPED, None),
                        (0x40_0000, 0x40_8000, "PAGE_EXECUTE_WRITECOPY", MAPPED, f"\\Windows\\p{pid}.exe"),
                        (0x7700_0000, 0x7713_0000, "PAGE_EXECUTE_WRITECOPY", MAPPED, "\\Windows\\System32\\ntdll.dll"),
                        (0x7FFE_0000, 0x7FFE_1000, "PAGE_NOACCESS", PRIVATE, None)])
        old = self.layout.number < 9600
        left_at = 4 if old else 0

        def make(part):
            if not part:
                return 0
            middle = len(part) // 2
            start, end, protection, kind, file = part[middle]
            node = self.pool.take(0x60)
            self.write_area(node, *part[middle])
            self.kernel.write_all(node + left_at, "II", make(part[:middle]), make(part[middle + 1:]))
            readable, writable, executable = PROTECTIONS[protection][1]
            self.truth["memory_mappings"].append({
                "task": hex(process), "tgid": pid, "virtual_address": hex(node), "region_start": hex(start),
                "region_end": hex(end), "readable": readable, "writable": writable, "executable": executable,
                "shared": int(kind == MAPPED), "file_path": file})
            return node
        # MM_AVL_TABLE begins with a node whose right child is the root of the tree.
        self.kernel.write_all(process + self.layout.vads + (8 if old else 0), "I", make(areas))

    def write_area(self, node, start, end, protection, kind, file):
        build = self.layout
        type_at, protection_at, private_at = build.vad_flags
        flags = PROTECTIONS[protection][0] << protection_at | int(kind == PRIVATE) << private_at
        flags |= (2 if file else 0) << type_at
        self.kernel.write_all(node + 0xC, "II", start // PAGE, end // PAGE - 1)
        self.kernel.write_all(node + build.vad_flags_at, "I", flags)
        if file:
            subsection, control, opened = self.pool.take(0x38), self.pool.take(0x80), self.pool.take(0x80)
            self.kernel.write_all(node + build.vad_file[0], "I", subsection)
            self.kernel.write_all(subsection, "I", control)
            self.kernel.write_all(control + build.vad_file[1], "I", opened | 7)
            self.kernel.write_all(opened, "HH", 5, 0x80)
            self.kernel.write(opened + 0x30, unicode_string(*self.pool.text(file), 4))
