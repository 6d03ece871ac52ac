# SPDX-FileCopyrightText: engram contributors
# SPDX-License-Identifier: Apache-2.0
"""Tests of the formats that the lab writes and reads: ELF, LiME, raw, kdump, holes."""
import os
import pathlib
import struct
import tempfile
import unittest
import zlib

import elf
import formats
import kdump
import lime
import machines
import raw
import sparse
from base import LabError

PAGE = 4096


def elf_file(segments, program_header_count=None, table_offset=64):
    """An ELF64 core of [(physical, bytes)]; the count may be moved to the section header."""
    headers, body = b'', b''
    data_offset = table_offset + 56 * len(segments) + 64
    for physical, content in segments:
        offset, size = data_offset + len(body), len(content)
        headers += struct.pack('<IIQQQQQQ', 1, 7, offset, 0, physical, size, size, 0)
        body += content
    count = len(segments) if program_header_count is None else program_header_count
    section_offset = table_offset + len(headers)
    head = b'\x7fELF\x02\x01\x01'.ljust(16, b'\0')
    head += struct.pack('<HHIQQQIHHHHHH', 4, 62, 1, 0, table_offset, section_offset, 0, 8, 56,
                        count, 64, 1, 0)
    section = bytes(44) + struct.pack('<I', len(segments)) + bytes(16)
    return head.ljust(table_offset, b'\0') + headers + section + body


class WithFolder(unittest.TestCase):
    """A test with a folder of its own."""

    def setUp(self):
        holder = tempfile.TemporaryDirectory()
        self.addCleanup(holder.cleanup)
        self.folder = pathlib.Path(holder.name)

    def put(self, name, content):
        """Writes a file into the folder."""
        path = self.folder / name
        path.write_bytes(content)
        return path

    def memory(self, segments):
        """An open elf.PhysicalMemory of these segments."""
        memory = elf.PhysicalMemory(self.put('dump.elf', elf_file(segments)))
        self.addCleanup(os.close, memory.descriptor)
        return memory


class Elf(WithFolder):
    """elf.py"""

    def test_reads_across_adjacent_segments(self):
        memory = self.memory([(0x1000, b'a' * PAGE), (0x2000, b'b' * PAGE)])
        self.assertEqual(memory.read(0x1ffe, 4), b'aabb')

    def test_gap_is_an_error_that_names_the_address(self):
        memory = self.memory([(0x1000, b'a' * PAGE), (0x3000, b'b' * PAGE)])
        with self.assertRaisesRegex(LabError, '0x2000'):
            memory.read(0x1ff0, 0x20)

    def test_count_beyond_16_bits_is_in_the_section_header(self):
        data = elf_file([(0, b'x'), (0x5000, b'y')], program_header_count=0xffff)
        segments = elf.parse_segments(lambda offset, size: data[offset:offset + size])
        self.assertEqual([segment.physical for segment in segments], [0, 0x5000])

    def test_another_kind_of_file_is_refused(self):
        with self.assertRaisesRegex(LabError, 'not a 64-bit ELF'):
            elf.parse_segments(lambda offset, size: b'EMiL'.ljust(size, b'\0'))


class Lime(WithFolder):
    """lime.py"""

    def test_written_ranges_are_read_back(self):
        memory = self.memory([(0, bytes(range(256)) * 32)])
        path = self.folder / 'dump.lime'
        lime.write(memory, path, [(0x100, 0x1fff), (0x0, 0xff)])
        data = path.read_bytes()
        found = lime.parse_ranges(lambda offset, size: data[offset:offset + size], len(data))
        self.assertEqual([(first, last) for first, last, _ in found], [(0x100, 0x1fff), (0, 0xff)])
        for first, last, offset in found:
            self.assertEqual(data[offset:offset + last + 1 - first],
                             memory.read(first, last + 1 - first))

    def test_bad_header_is_named_by_its_offset(self):
        data = lime.HEADER.pack(lime.MAGIC, 1, 0, 0xf, 0) + bytes(16) + b'?' * 32
        with self.assertRaisesRegex(LabError, '0x30'):
            lime.parse_ranges(lambda offset, size: data[offset:offset + size], len(data))


class Raw(WithFolder):
    """raw.py"""

    def test_a_hole_between_ram_is_zero_and_devices_are_left_out(self):
        memory = self.memory([(0, b'a' * PAGE), (0xfd000000, b'v' * PAGE), (0x4000, b'b' * PAGE)])
        path = self.folder / 'dump.raw'
        raw.write(memory, path)
        self.assertEqual(path.read_bytes(), b'a' * PAGE + bytes(3 * PAGE) + b'b' * PAGE)


class Sparse(WithFolder):
    """sparse.py"""

    def test_zero_blocks_become_holes_at_any_offset(self):
        for offset in (0, 1, 32, PAGE - 1):
            content = b'x' * 10 + bytes(64 * PAGE) + b'y' * 10 + bytes(32 * PAGE)
            path = self.folder / f'at{offset}'
            with open(path, 'wb') as file:
                sparse.write(file.fileno(), offset, content)
                file.truncate(offset + len(content))
            self.assertEqual(path.read_bytes(), bytes(offset) + content)
            self.assertLess(path.stat().st_blocks * 512, 16 * PAGE)

    def test_copy_between_differently_aligned_files(self):
        content = b'one' + bytes(40 * PAGE) + b'two' + bytes(300)
        source = self.put('source', b'????' + content)
        with open(source, 'rb') as reading, open(self.folder / 'target', 'wb') as writing:
            sparse.copy(reading.fileno(), 4, writing.fileno(), 9, len(content))
            writing.truncate(9 + len(content))
        self.assertEqual((self.folder / 'target').read_bytes(), bytes(9) + content)

    def test_receiver_takes_what_is_written_to_the_pipe(self):
        content = os.urandom(3_000_000) + bytes(2_000_000) + b'end'
        with sparse.receiver(self.folder / 'received', self.folder) as pipe:
            pipe.write_bytes(content)
        self.assertEqual((self.folder / 'received').read_bytes(), content)
        self.assertFalse(pipe.exists())


def kdump_file(pages):
    """A plain kdump with zlib of {frame number: page}; one block of bitmaps each."""
    header = bytearray(PAGE)
    header[:8] = kdump.SIGNATURE
    struct.pack_into('<iiiI', header, 424, 1, PAGE, 1, 2)
    bitmap = bytearray(PAGE)
    for number in pages:
        bitmap[number // 8] |= 1 << number % 8
    descriptors, data = b'', b''
    offset = 4 * PAGE + 24 * len(pages)
    for number in sorted(pages):
        packed = zlib.compress(pages[number])
        descriptors += struct.pack('<qIIQ', offset + len(data), len(packed), 1, 0)
        data += packed
    return bytes(header) + bytes(PAGE) + bytes(bitmap) * 2 + descriptors + data


class Kdump(WithFolder):
    """kdump.py"""

    PAGES = {1: b'compressible' * 341 + b'1234', 9: os.urandom(PAGE), 4000: bytes(PAGE)}

    def read_all(self, path):
        """{frame number: page} of a plain file."""
        data = path.read_bytes()
        return {frame: kdump.read_page(data, number)[0]
                for number, frame in enumerate(kdump.page_numbers(data))}

    def test_every_compression_keeps_the_pages(self):
        source = self.put('zlib', kdump_file(self.PAGES))
        for compression in kdump.FLAGS:
            target = self.folder / compression
            if compression != 'zlib':
                kdump.transcode(source, target, compression)
            self.assertEqual(self.read_all(target), self.PAGES, compression)
            self.assertEqual(kdump.geometry(target.read_bytes()).status, kdump.FLAGS[compression])

    def test_flattened_and_back(self):
        source = self.put('plain', kdump_file(self.PAGES))
        kdump.flatten(source, self.folder / 'flat')
        kdump.unflatten(self.folder / 'flat', self.folder / 'again')
        self.assertEqual((self.folder / 'again').read_bytes(), source.read_bytes())

    def test_a_plain_file_is_no_flattened_one(self):
        source = self.put('plain', kdump_file(self.PAGES))
        with self.assertRaisesRegex(LabError, 'makedumpfile'):
            kdump.unflatten(source, self.folder / 'again')


class Formats(unittest.TestCase):
    """formats.py"""

    def test_sources_come_first(self):
        machine = machines.machine('6.12')
        self.assertEqual(formats.with_sources(['avml'], machine), ['elf', 'lime', 'avml'])
        self.assertEqual(formats.with_sources(['kdump-lzo-flat'], machine),
                         ['kdump-zlib-flat', 'kdump-zlib', 'kdump-lzo', 'kdump-lzo-flat'])

    def test_raw_of_a_machine_with_a_hole_is_made_from_elf(self):
        self.assertEqual(formats.with_sources(['raw'], machines.machine('6.12-6g')), ['elf', 'raw'])
        self.assertEqual(formats.with_sources(['raw'], machines.machine('6.12')), ['raw'])

    def test_unknown_format(self):
        with self.assertRaisesRegex(LabError, 'vmdk'):
            formats.check(['raw', 'vmdk'])


if __name__ == '__main__':
    unittest.main()
