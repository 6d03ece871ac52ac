# SPDX-FileCopyrightText: engram contributors
# SPDX-License-Identifier: Apache-2.0
"""Physical memory with holes, and page tables in it: of x86-64, arm64 and 32-bit x86."""
import random
import struct

PAGE = 0x1000
PRESENT, WRITABLE, USER, LARGE, NX = 1, 2, 4, 0x80, 1 << 63
ACCESSED_DIRTY = 0x60
ADDRESS = 0x000F_FFFF_FFFF_F000

# Page numbers of the machine's RAM: holes below 1 MiB and above, ranges above 4 GiB.
RAM = [(0x1, 0x9F), (0x200, 0x800), (0x4_0000, 0x4_0080), (0x10_0000, 0x10_0100)]
RAM_BELOW_4G = RAM[:3]
LARGE_FRAME = 0x400  # a range of 2 MiB that is kept for one large page


class Physical:
    """Frames, handed out in shuffled order: neighbours in virtual memory are none in physical memory."""

    def __init__(self, seed, ram=None):
        self.frames = [frame for first, end in ram or RAM for frame in range(first, end)]
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
    """One tree of page tables: those of x86-64. Flags are named as there; other machines translate them."""

    SELF_MAP = 0x1ED  # slot of the root that leads to the root
    SHIFTS = (12, 21, 30, 39)  # of an address: where the index of each level begins, level 1 first
    INDEX = 511
    ENTRY = "Q"
    FIRST_KERNEL_BIT = 47
    VALID = PRESENT
    ADDRESS = ADDRESS

    @staticmethod
    def table_entry(frame, user):
        return frame * PAGE | PRESENT | WRITABLE | user | ACCESSED_DIRTY

    @staticmethod
    def page_entry(frame, flags):
        return frame * PAGE | flags | ACCESSED_DIRTY

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
                self.put(self.root, slot, self.table_entry(physical.take(), 0))
        self.put(self.root, self.SELF_MAP, self.table_entry(self.root, 0))

    def get(self, table, index):
        return struct.unpack_from("<" + self.ENTRY, self.physical.page(table), index * struct.calcsize(self.ENTRY))[0]

    def put(self, table, index, entry):
        struct.pack_into("<" + self.ENTRY, self.physical.page(table), index * struct.calcsize(self.ENTRY), entry)

    def index(self, address, level):
        return address >> self.SHIFTS[level - 1] & self.INDEX

    def user(self, address):
        return 0 if address >> self.FIRST_KERNEL_BIT else USER

    def table(self, address, level):
        """The frame of the table of this level (1: page table) on the way to the address; made if it is not there."""
        table = self.root
        for at in range(len(self.SHIFTS), level, -1):
            index = self.index(address, at)
            entry = self.get(table, index)
            if not entry & self.VALID:
                entry = self.table_entry(self.physical.take(), self.user(address))
                self.put(table, index, entry)
            table = (entry & self.ADDRESS) // PAGE
        return table

    def entry(self, address, value, level=1):
        """Sets the entry of this level for the address."""
        self.put(self.table(address, level), self.index(address, level), value)

    def map(self, address, size, flags=PRESENT | WRITABLE | NX, frame=None):
        """Small pages for [address, address + size); with `frame`, one page that is there already."""
        for page in range(address & -PAGE, address + size, PAGE):
            if page in self.where:
                continue
            self.where[page] = frame if frame is not None else self.physical.take()
            self.entry(page, self.page_entry(self.where[page], flags | self.user(address)))

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


class Arm64Space(Space):
    """Of Windows on arm64: pages of 4 KiB, one root for both ends of the space."""

    VALID = 1
    ADDRESS = 0x0000_FFFF_FFFF_F000
    # Of an entry: it leads to a table or is of level 1, user, not written to yet, accessed, PXN, UXN, writable.
    TABLE, USER, CLEAN, ACCESSED, PXN, UXN, WRITABLE = 2, 1 << 6, 1 << 7, 1 << 10, 1 << 53, 1 << 54, 1 << 55

    @classmethod
    def table_entry(cls, frame, user):
        return frame * PAGE | cls.VALID | cls.TABLE | cls.ACCESSED

    @classmethod
    def page_entry(cls, frame, flags):
        entry = frame * PAGE | cls.VALID | cls.TABLE | cls.ACCESSED | cls.CLEAN
        entry |= (cls.USER if flags & USER else 0) | (cls.WRITABLE if flags & WRITABLE else 0)
        return entry | (cls.PXN | cls.UXN if flags & NX else 0)


class PaeSpace(Space):
    """Of 32-bit machines with PAE: the root has four entries, without rights."""

    SHIFTS = (12, 21, 30)
    FIRST_KERNEL_BIT = 31
    ROOT_AT = 0x20  # in its page: a root is 32 bytes

    def __init__(self, physical, kernel=None):
        self.physical, self.kernel, self.where = physical, kernel or self, {}
        self.root = physical.take()
        if kernel:  # the third table is the same, the last one has others in its first entries
            self.put(self.root, 2, self.table_entry(kernel.table(2 << 30, 2), 0))
            physical.page(self.table(3 << 30, 2))[:] = physical.page(kernel.table(3 << 30, 2))
        for quarter in range(4):  # all four tables are mapped from 0xC0600000 on
            entry = self.table_entry(self.table(quarter << 30, 2), 0)
            self.put(self.table(3 << 30, 2), quarter, entry)

    def offset(self, table):
        return self.ROOT_AT if table == self.root else 0

    def get(self, table, index):
        return struct.unpack_from("<Q", self.physical.page(table), self.offset(table) + index * 8)[0]

    def put(self, table, index, entry):
        if table == self.root:
            entry &= ~(WRITABLE | USER | ACCESSED_DIRTY)
        struct.pack_into("<Q", self.physical.page(table), self.offset(table) + index * 8, entry)

    def root_register(self):
        return self.root * PAGE + self.ROOT_AT


class NarrowSpace(Space):
    """Of 32-bit machines without PAE: entries of 4 bytes, no right to forbid execution."""

    SHIFTS = (12, 22)
    INDEX = 1023
    ENTRY = "I"
    FIRST_KERNEL_BIT = 31
    ADDRESS = 0xFFFF_F000

    SELF_MAP = 0x300

    def __init__(self, physical, kernel=None):
        self.physical, self.kernel, self.where = physical, kernel or self, {}
        self.root = physical.take()
        if kernel:
            physical.page(self.root)[2048:] = physical.page(kernel.root)[2048:]
        else:
            for slot in range(0x200, 0x228):  # what later processes must share
                self.put(self.root, slot, self.table_entry(physical.take(), 0))
        self.put(self.root, self.SELF_MAP, self.table_entry(self.root, 0))

    @staticmethod
    def page_entry(frame, flags):
        return frame * PAGE | flags & ~NX | ACCESSED_DIRTY

    def root_register(self):
        return self.root * PAGE | 0x18  # PCD and PWT


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


class HardPages:
    """Pages that are hard to translate, one behind the other from `base` on, and what is true of each in the list `truth`."""

    def __init__(self, truth, space, base, root):
        self.truth, self.space, self.next, self.root = truth, space, base, hex(root)

    def expect(self, address, **what):
        """What translate() must say of an address: `physical`, or `level` and `text` of a fault."""
        self.truth.append({"address": hex(address), "page_table": self.root, **what})

    def leaf(self, entry, physical=None, text=None):
        """The next page, with this entry of level 1."""
        self.space.entry(self.next, entry)
        if text:
            self.expect(self.next + 0x123, level=1, text=text)
        else:
            self.expect(self.next + 0x123, physical=hex(physical + 0x123))
        self.next += PAGE
