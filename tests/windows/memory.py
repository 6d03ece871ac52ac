# SPDX-FileCopyrightText: engram contributors
# SPDX-License-Identifier: Apache-2.0
"""Physical memory with holes, and x86-64 page tables in it."""
import random
import struct

PAGE = 0x1000
PRESENT, WRITABLE, USER, LARGE, NX = 1, 2, 4, 0x80, 1 << 63
ACCESSED_DIRTY = 0x60
ADDRESS = 0x000F_FFFF_FFFF_F000

# Page numbers of the machine's RAM: holes below 1 MiB and above, ranges above 4 GiB.
RAM = [(0x1, 0x9F), (0x200, 0x800), (0x4_0000, 0x4_0080), (0x10_0000, 0x10_0100)]
LARGE_FRAME = 0x400  # a range of 2 MiB that is kept for one large page


class Physical:
    """Frames, handed out in shuffled order: neighbours in virtual memory are none in physical memory."""

    def __init__(self, seed):
        self.frames = [frame for first, end in RAM for frame in range(first, end)]
        self.free = [frame for frame in self.frames if not LARGE_FRAME <= frame < LARGE_FRAME + 512]
        random.Random(seed).shuffle(self.free)
        self.pages = {}

    def take(self):
        """A frame of zeros."""
        frame = self.free.pop()
        self.pages[frame] = bytearray(PAGE)
        return frame

    def page(self, frame):
        """A frame nobody took has its own address in every word."""
        if frame not in self.pages:
            self.pages[frame] = bytearray(struct.pack("<Q", frame * PAGE) * (PAGE // 8))
        return self.pages[frame]


class Space:
    """One tree of page tables."""

    SELF_MAP = 0x1ED  # slot of the root that leads to the root

    def __init__(self, physical, kernel=None):
        self.physical = physical
        self.root = physical.take()
        self.where = {}  # frame by page of virtual memory
        if kernel:
            physical.page(self.root)[2048:] = physical.page(kernel.root)[2048:]
            self.kernel = kernel
        else:
            self.kernel = self
            for slot in (0x1EF, 0x1F0, 0x151, 0x1FF):  # what later processes must share
                self.put(self.root, slot, physical.take() * PAGE | PRESENT | WRITABLE)
        self.put(self.root, self.SELF_MAP, self.root * PAGE | PRESENT | WRITABLE | NX)

    def get(self, table, index):
        return struct.unpack_from("<Q", self.physical.page(table), index * 8)[0]

    def put(self, table, index, entry):
        struct.pack_into("<Q", self.physical.page(table), index * 8, entry)

    def table(self, address, level):
        """The frame of the table of this level (1: page table) on the way to the address; made if it is not there."""
        table = self.root
        for at in range(4, level, -1):
            index = address >> (12 + 9 * (at - 1)) & 511
            entry = self.get(table, index)
            if not entry & PRESENT:
                user = 0 if address >> 47 else USER
                entry = self.physical.take() * PAGE | PRESENT | WRITABLE | user | ACCESSED_DIRTY
                self.put(table, index, entry)
            table = (entry & ADDRESS) // PAGE
        return table

    def entry(self, address, value, level=1):
        """Sets the entry of this level for the address."""
        self.put(self.table(address, level), address >> (12 + 9 * (level - 1)) & 511, value)

    def map(self, address, size, flags=PRESENT | WRITABLE | NX, frame=None):
        """Small pages for [address, address + size); with `frame`, one page that is there already."""
        user = 0 if address >> 47 else USER
        for page in range(address & -PAGE, address + size, PAGE):
            if page in self.where:
                continue
            self.where[page] = frame if frame is not None else self.physical.take()
            self.entry(page, self.where[page] * PAGE | flags | user | ACCESSED_DIRTY)

    def frame_of(self, address):
        page = address & -PAGE
        return self.where[page] if page in self.where else self.kernel.where[page]

    def write(self, address, data):
        while data:
            offset = address % PAGE
            count = min(PAGE - offset, len(data))
            self.physical.page(self.frame_of(address))[offset:offset + count] = data[:count]
            address, data = address + count, data[count:]

    def write_all(self, address, layout, *values):
        self.write(address, struct.pack("<" + layout, *values))

    def read(self, address, count):
        data = b""
        while count:
            offset = address % PAGE
            part = min(PAGE - offset, count)
            data += self.physical.page(self.frame_of(address))[offset:offset + part]
            address, count = address + part, count - part
        return data


class Heap:
    """Hands out pieces of one range of a space; maps pages as they are needed."""

    def __init__(self, space, address):
        self.space = space
        self.next = address

    def take(self, size, align=16):
        address = self.next = -(-self.next // align) * align
        self.next += size
        self.space.map(address, max(size, 1))
        return address

    def put(self, data, align=16):
        address = self.take(len(data), align)
        self.space.write(address, data)
        return address

    def text(self, text):
        """(bytes of UTF-16, their address); a text may hold lone surrogates."""
        data = text.encode("utf-16-le", "surrogatepass")
        return len(data), self.put(data + b"\0\0", 2)
