# SPDX-FileCopyrightText: engram contributors
# SPDX-License-Identifier: Apache-2.0
"""Raw images: physical memory from address 0, byte for byte; what is no RAM is zero."""
import sparse

# QEMU's pc machine has the VGA memory here; it is in the ELF dump, and in no raw image of RAM.
_DEVICES_START, _DEVICES_END = 0xfd000000, 1 << 32


def write(memory, path):
    """Writes a raw image from an elf.PhysicalMemory; holes between RAM stay holes."""
    with open(path, 'wb') as target:
        end = 0
        for segment in memory.segments:
            if _DEVICES_START <= segment.physical < _DEVICES_END:
                continue
            sparse.copy(memory.descriptor, segment.offset, target.fileno(), segment.physical,
                        segment.size)
            end = max(end, segment.end)
        target.truncate(end)
