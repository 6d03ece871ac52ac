# SPDX-FileCopyrightText: engram contributors
# SPDX-License-Identifier: Apache-2.0
"""LiME images, version 1: before each range of RAM a header, then its bytes."""
import os
import struct

import sparse
from base import LabError

HEADER = struct.Struct('<IIQQQ')  # magic, version, first and last address, reserved
MAGIC = 0x4C694D45
VERSION = 1


def write(memory, path, ranges):
    """Writes the ranges, [(first, last)] with the last byte included, of an elf.PhysicalMemory."""
    with open(path, 'wb') as target:
        offset = 0
        for first, last in ranges:
            os.pwrite(target.fileno(), HEADER.pack(MAGIC, VERSION, first, last, 0), offset)
            offset += HEADER.size
            for physical, source_offset, size in memory.pieces(first, last + 1 - first):
                sparse.copy(memory.descriptor, source_offset, target.fileno(),
                            offset + physical - first, size)
            offset += last + 1 - first
        target.truncate(offset)


def parse_ranges(read_at, file_size):
    """[(first, last, offset of the bytes)] of a file. read_at(offset, length) returns bytes."""
    found, offset = [], 0
    while offset < file_size:
        header = read_at(offset, HEADER.size)
        if len(header) != HEADER.size:
            raise LabError(f'lime: {len(header)} bytes at {offset:#x}, expected a header')
        magic, version, first, last, _ = HEADER.unpack(header)
        if (magic, version) != (MAGIC, VERSION) or last < first:
            raise LabError(f'lime: bad header at {offset:#x}: magic {magic:#x}, version {version}, '
                           f'range {first:#x}-{last:#x}')
        found.append((first, last, offset + HEADER.size))
        offset += HEADER.size + last + 1 - first
    return found
