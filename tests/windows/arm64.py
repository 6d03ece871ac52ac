# SPDX-FileCopyrightText: engram contributors
# SPDX-License-Identifier: Apache-2.0
"""A machine with Windows on arm64."""
import struct

import guest
from guest import HUGE_PAGE, LARGE_PAGE
from memory import LARGE_FRAME, PAGE, Arm64Space, HardPages

BUILD = "26100-arm64"


class Guest(guest.Guest):
    MACHINE, MACHINE_NAME, ARCHITECTURE = 0xAA64, "ARM64", "arm64"
    SPACE = Arm64Space
    REGISTERS = (*(f"x{n}" for n in range(29)), "fp", "lr", "rsp", "rip")

    def register_values(self, seed):
        return [0xFFFF_F805_0000_0000 + seed * 0x1_0000 + n * 8 for n in range(33)]

    def register_truth(self, seed):
        return {name: hex(value) for name, value in zip(self.REGISTERS, self.register_values(seed))} | {
            "rflags": 0x6000_0004, "rax": None}

    def context(self, seed):
        data = bytearray(0x390)
        struct.pack_into("<II33Q", data, 0, 0x40_0003, 0x6000_0004, *self.register_values(seed))
        return bytes(data)

    def make_special_pages(self):
        """In the space of the process with the long name."""
        space = self.spaces[2]
        pages = HardPages(self.truth["translations"], space, 0x3_0000_0000, space.root * PAGE)
        page = Arm64Space.VALID | Arm64Space.TABLE | Arm64Space.ACCESSED
        frame = self.physical.take()
        pages.leaf(frame * PAGE | page | Arm64Space.USER | 1 << 52, frame * PAGE)  # one of contiguous ones
        pages.leaf(frame * PAGE | page & ~Arm64Space.ACCESSED, frame * PAGE)
        pages.leaf(frame * PAGE | 1 << 11 | 4 << 1, frame * PAGE)                  # transition
        pages.leaf(frame * PAGE | Arm64Space.VALID, text="reserved bits")          # a block, where there is none
        pages.leaf(0, text="is not present")
        pages.leaf(4 << 1, text="never touched")
        pages.leaf(0x1234 << 32 | 1 << 12 | 4 << 1, text="page file")
        pages.leaf(0xFFFF_8A00_1234_5678 << 16 & (1 << 64) - 1 | 1 << 10, text="prototype")
        lost = 0x3_4000_0000
        self.withheld.add(space.table(lost, 1))
        pages.expect(lost + 0x5008, level=1, text="is not in the image")
        pages.expect(lost + 0x80_0000, level=2, text="is not present")
        space.entry(0x4_0000_0000, 0, 3)
        pages.expect(0x4_0000_0000, level=3, text="is not present")
        pages.expect(0x6000_0000_0000, level=4, text="is not present")
        block = Arm64Space.VALID | Arm64Space.ACCESSED
        self.kernel.entry(LARGE_PAGE, LARGE_FRAME * PAGE | 1 << 16 | block, 2)  # bit 16: nT
        pages.expect(LARGE_PAGE + 0x12_3456, physical=hex(LARGE_FRAME * PAGE + 0x12_3456))
        self.kernel.entry(HUGE_PAGE, 0x4000_0000 | block, 3)
        pages.expect(HUGE_PAGE + 0x3FFF_FFF8, physical=hex(0x7FFF_FFF8))
