# SPDX-FileCopyrightText: engram contributors
# SPDX-License-Identifier: Apache-2.0
"""Physical memory in an ELF core file, as QEMU's dump-guest-memory writes it.

QEMU 7.2 sets e_ehsize to 8, puts the program headers behind a section header, and has segments for
the VGA memory and the ROMs beside RAM. A dump with paging may have more segments than e_phnum can
count (PN_XNUM); their number is then in the first section header.
"""
import dataclasses
import os
import struct

from base import LabError

_PT_LOAD = 1
_PN_XNUM = 0xffff
_HEADER_SIZE = 64


@dataclasses.dataclass(frozen=True)
class Segment:
    """A run of physical memory in a file."""
    physical: int
    offset: int
    size: int

    @property
    def end(self):
        """The first physical address behind the segment."""
        return self.physical + self.size


def parse_segments(read_at):
    """The PT_LOAD segments of an ELF64 file. read_at(offset, length) returns bytes."""
    header = read_at(0, _HEADER_SIZE)
    if header[:5] != b'\x7fELF\x02':
        raise LabError(f'not a 64-bit ELF file: starts with {header[:5].hex()}')
    table, sections = struct.unpack_from('<QQ', header, 32)
    entry_size, count = struct.unpack_from('<HH', header, 54)
    if count == _PN_XNUM:
        count = struct.unpack_from('<I', read_at(sections, 64), 44)[0]
    entries = read_at(table, entry_size * count)
    found = []
    for number in range(count):
        kind, _, offset, _, physical, size = struct.unpack_from('<IIQQQQ', entries,
                                                                number * entry_size)
        if kind == _PT_LOAD:
            found.append(Segment(physical, offset, size))
    return found


class PhysicalMemory:
    """Reads physical memory from an ELF file. Use with "with"."""

    def __init__(self, path):
        self.path = path
        self.descriptor = os.open(path, os.O_RDONLY)
        self.segments = parse_segments(lambda offset, size: os.pread(self.descriptor, size, offset))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        os.close(self.descriptor)

    def pieces(self, start, length):
        """(physical address, file offset, length) of the parts of a range.

        Raises LabError where no segment has the next address.
        """
        end = start + length
        while start < end:
            segment = next((one for one in self.segments if one.physical <= start < one.end), None)
            if segment is None:
                raise LabError(f'{self.path}: no segment has physical address {start:#x}')
            size = min(end, segment.end) - start
            yield start, segment.offset + start - segment.physical, size
            start += size

    def read(self, start, length):
        """Bytes of physical memory. Raises LabError where the file does not have them all."""
        parts = [os.pread(self.descriptor, size, offset)
                 for _, offset, size in self.pieces(start, length)]
        data = b''.join(parts)
        if len(data) != length:
            raise LabError(f'{self.path}: ends before physical address {start + length:#x}')
        return data
