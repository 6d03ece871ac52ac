# SPDX-FileCopyrightText: engram contributors
# SPDX-License-Identifier: Apache-2.0
"""kdump files (makedumpfile's format): unpack the flattened form, change the compression.

QEMU writes them flattened and with zlib; the other compressions are made from that here.
"""
import dataclasses
import mmap
import struct

import compress
from base import LabError

SIGNATURE = b'KDUMP   '
FLAT_SIGNATURE = b'makedumpfile\0\0\0\0'
_FLAT_HEADER_SIZE = 4096
_FLAT_RECORD = struct.Struct('>qq')  # offset, length
_FLAT_PIECE = 65536
# struct disk_dump_header, 64-bit: int status, block_size, sub_hdr_size; unsigned bitmap_blocks.
_GEOMETRY = struct.Struct('<iiiI')
_GEOMETRY_OFFSET = 424
_PAGE_DESCRIPTOR = struct.Struct('<qIIQ')  # offset, size, flags, page_flags

# DUMP_DH_COMPRESSED_* of the header's status and of a page's flags.
FLAGS = {'none': 0, 'zlib': 1, 'lzo': 2, 'snappy': 4, 'zstd': 0x20}
NAMES = {flag: name for name, flag in FLAGS.items()}


@dataclasses.dataclass(frozen=True)
class Geometry:
    """Where the parts of a kdump file lie, from its header."""
    status: int
    block_size: int
    sub_header_blocks: int
    bitmap_blocks: int

    @property
    def dumped_bitmap(self):
        """(offset, length) of the second bitmap: which pages the file has."""
        half = self.bitmap_blocks * self.block_size // 2
        return (1 + self.sub_header_blocks) * self.block_size + half, half

    @property
    def descriptors(self):
        """Offset of the page descriptors."""
        return (1 + self.sub_header_blocks + self.bitmap_blocks) * self.block_size


def geometry(data):
    """The geometry of a plain (not flattened) kdump file."""
    if data[:8] != SIGNATURE:
        raise LabError(f'kdump: starts with {bytes(data[:8])!r}, expected {SIGNATURE!r}')
    return Geometry(*_GEOMETRY.unpack_from(data, _GEOMETRY_OFFSET))


def page_numbers(data):
    """The page frame numbers that the file has, in the order of their descriptors."""
    offset, length = geometry(data).dumped_bitmap
    for index, byte in enumerate(data[offset:offset + length]):
        if byte:
            yield from (index * 8 + bit for bit in range(8) if byte >> bit & 1)


def read_page(data, number):
    """(bytes, flags) of the page with the descriptor of this number."""
    position = geometry(data).descriptors + number * _PAGE_DESCRIPTOR.size
    offset, size, flags, _ = _PAGE_DESCRIPTOR.unpack_from(data, position)
    return compress.DECOMPRESS[NAMES[flags]](data[offset:offset + size]), flags


def transcode(source, target, compression):
    """Writes a plain kdump file anew with another compression of its pages."""
    with open(source, 'rb') as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        layout = geometry(data)
        count = sum(1 for _ in page_numbers(data))
        first_page = layout.descriptors + count * _PAGE_DESCRIPTOR.size
        head = bytearray(data[:layout.descriptors])
        struct.pack_into('<i', head, _GEOMETRY_OFFSET, FLAGS[compression])
        with open(target, 'wb') as out:
            out.write(head)
            out.seek(first_page)
            descriptors = _write_pages(data, layout, count, compression, out)
            out.seek(layout.descriptors)
            out.write(descriptors)


def _write_pages(data, layout, count, compression, out):
    """Writes the pages behind each other and returns their descriptors. Equal pages are shared."""
    written, descriptors = {}, bytearray()
    for number in range(count):
        position = layout.descriptors + number * _PAGE_DESCRIPTOR.size
        offset, _, _, page_flags = _PAGE_DESCRIPTOR.unpack_from(data, position)
        if offset not in written:  # all pages of zeros have one offset
            page, _ = read_page(data, number)
            packed, flags = compress.COMPRESS[compression](page), FLAGS[compression]
            if len(packed) >= layout.block_size:
                packed, flags = page, FLAGS['none']
            written[offset] = (out.tell(), len(packed), flags)
            out.write(packed)
        descriptors += _PAGE_DESCRIPTOR.pack(*written[offset], page_flags)
    return descriptors


def unflatten(source, target):
    """Writes the plain file that a flattened one (offset, length, bytes, ...) describes."""
    with open(source, 'rb') as stream, open(target, 'wb') as out:
        header = stream.read(_FLAT_HEADER_SIZE)
        if not header.startswith(FLAT_SIGNATURE):
            raise LabError(f'{source}: starts with {header[:16]!r}, expected {FLAT_SIGNATURE!r}')
        while True:
            offset, length = _FLAT_RECORD.unpack(stream.read(_FLAT_RECORD.size))
            if offset < 0:
                return
            out.seek(offset)
            out.write(stream.read(length))


def flatten(source, target):
    """Writes a plain file in the flattened form."""
    with open(source, 'rb') as plain, open(target, 'wb') as out:
        header = FLAT_SIGNATURE + _FLAT_RECORD.pack(1, 1)  # type, version
        out.write(header.ljust(_FLAT_HEADER_SIZE, b'\0'))
        offset = 0
        while piece := plain.read(_FLAT_PIECE):
            out.write(_FLAT_RECORD.pack(offset, len(piece)) + piece)
            offset += len(piece)
        out.write(_FLAT_RECORD.pack(-1, -1))
