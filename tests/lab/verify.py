# SPDX-FileCopyrightText: engram contributors
# SPDX-License-Identifier: Apache-2.0
"""Checks a finished dump: its formats agree page by page, and known bytes lie where they should."""
import dataclasses
import json
import mmap
import os
import struct

import compress
import elf
import formats
import kdump
import lime
from base import LabError

_PIECE = 4 << 20
_PAGE = 4096
_KERNEL_MAP = 0xffffffff80000000  # __START_KERNEL_map
_AVML_MAGIC, _AVML_VERSION = 0x4C4D5641, 2
_SNAPPY_COMPRESSED, _SNAPPY_PLAIN, _SNAPPY_IDENTIFIER = 0, 1, 255


@dataclasses.dataclass
class Check:
    """One thing that was compared."""
    name: str
    compared: int = 0   # pages, ranges or markers, as the name says
    differing: int = 0

    def count(self, same):
        """Notes one comparison."""
        self.compared += 1
        self.differing += not same

    @property
    def good(self):
        """A check that compared nothing is no good."""
        return self.compared > 0 and self.differing == 0


def verify(folder):
    """Runs every check that the folder's formats allow; returns the list of Check."""
    truth = json.loads((folder / 'truth.json').read_text())
    elf_path = folder / formats.FILE_NAMES['elf']
    if not elf_path.exists():
        raise LabError(f'{folder}: no {elf_path.name}, with which the other formats are compared')
    checks = []
    with elf.PhysicalMemory(elf_path) as memory:
        ranges = [(int(first, 16), int(last, 16)) for first, last in truth['ram_ranges']]
        for name, file_name in formats.FILE_NAMES.items():
            path = folder / file_name
            if path.exists() and name != 'elf':
                checks.append(_compare(name, path, memory, ranges))
        checks += [_markers(memory, truth), _kernel_facts(memory, truth)]
    return checks


def _compare(name, path, memory, ranges):
    if name.endswith('-flat'):
        return _compare_flat(name, path)
    if name.startswith('kdump-'):
        return _compare_kdump(name, path, memory)
    compare = {'raw': _compare_raw, 'elf-paging': _compare_paging, 'lime': _compare_lime,
               'avml': _compare_avml}[name]
    check = Check(f'{name} against elf, pieces')
    compare(path, memory, ranges, check)
    return check


def _pieces(first, last):
    """(start, length) of the pieces of a range."""
    for start in range(first, last + 1, _PIECE):
        yield start, min(_PIECE, last + 1 - start)


def _compare_raw(path, memory, ranges, check):
    with open(path, 'rb') as file:
        for first, last in ranges:
            for start, length in _pieces(first, last):
                file.seek(start)
                check.count(file.read(length) == memory.read(start, length))


def _compare_paging(path, memory, ranges, check):
    """A dump with paging has the mapped pages only, so its segments are looked up in the other."""
    with elf.PhysicalMemory(path) as paging:
        for segment in paging.segments:
            if any(first <= segment.physical and segment.end - 1 <= last for first, last in ranges):
                for start, length in _pieces(segment.physical, segment.end - 1):
                    check.count(paging.read(start, length) == memory.read(start, length))


def _compare_lime(path, memory, ranges, check):
    descriptor = os.open(path, os.O_RDONLY)
    size = os.fstat(descriptor).st_size
    found = lime.parse_ranges(lambda offset, length: os.pread(descriptor, length, offset), size)
    check.count([(first, last) for first, last, _ in found] == ranges)
    for first, last, offset in found:
        for start, length in _pieces(first, last):
            data = os.pread(descriptor, length, offset + start - first)
            check.count(data == memory.read(start, length))
    os.close(descriptor)


def _compare_avml(path, memory, _, check):
    with open(path, 'rb') as file:
        while header := file.read(lime.HEADER.size):
            magic, version, start, last, _ = lime.HEADER.unpack(header)
            check.count((magic, version) == (_AVML_MAGIC, _AVML_VERSION))
            begun = file.tell()
            while start <= last:
                data = _avml_chunk(file)
                check.count(data == memory.read(start, len(data)))
                start += len(data)
            length = file.tell() - begun
            check.count(struct.unpack('<Q', file.read(8))[0] == length)


def _avml_chunk(file):
    """The bytes of the next data chunk of the Snappy framing format."""
    while True:
        head = file.read(4)
        kind, length = head[0], int.from_bytes(head[1:], 'little')
        body = file.read(length)
        if kind == _SNAPPY_COMPRESSED:
            return compress.DECOMPRESS['snappy'](body[4:])
        if kind == _SNAPPY_PLAIN:
            return body[4:]
        if kind != _SNAPPY_IDENTIFIER:
            raise LabError(f'avml: chunk of type {kind} at {file.tell() - length - 4:#x}')


def _compare_kdump(name, path, memory):
    check = Check(f'{name} against elf, pages')
    with open(path, 'rb') as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        for number, page in enumerate(kdump.page_numbers(data)):
            content, _ = kdump.read_page(data, number)
            check.count(content == memory.read(page * _PAGE, _PAGE))
    return check


def _compare_flat(name, path):
    """Unflattened, it must be the plain file of the same compression, where that is there."""
    check = Check(f'{name} against the plain file')
    plain = path.with_name(formats.FILE_NAMES[name.removesuffix('-flat')])
    if not plain.exists():
        return check
    unpacked = path.with_suffix('.unpacked')
    kdump.unflatten(path, unpacked)
    check.count(unpacked.read_bytes() == plain.read_bytes())
    unpacked.unlink()
    return check


def _markers(memory, truth):
    """The markers of lab-rwx, at the physical pages that /proc/PID/pagemap gave."""
    check = Check('markers where pagemap says')
    for process in truth['processes']:
        if process['comm'] != 'lab-rwx':
            continue
        frames = {int(address, 16): int(entry.removeprefix('pfn='), 16)
                  for address, entry, *_ in process.get('pagemap', ()) if entry.startswith('pfn=')}
        for address, marker in markers(truth['expect'][f'lab-rwx.{process["pid"]}']):
            frame = frames.get(address & -_PAGE)
            if frame is not None:  # only the ends of each mapping were recorded
                physical = frame * _PAGE + address % _PAGE
                check.count(memory.read(physical, len(marker)) == marker.encode())
    return check


def markers(expectations):
    """(virtual address, marker) of the lines "KEY 0xADDRESS ... MARKER@OFFSET"."""
    found = []
    for line in expectations:
        _, address, *words = line.split()
        for word in words:
            marker, _, offset = word.partition('@')
            if '-' in marker:
                found.append((int(address, 16) + int(offset or '0', 0), marker))
    return found


def _kernel_facts(memory, truth):
    """The banner where the symbol and phys_base put it, and VMCOREINFO where sysfs says."""
    check = Check('banner and VMCOREINFO where the kernel says')
    banner = int(truth['kallsyms']['selected']['linux_banner'], 16)
    physical = banner - _KERNEL_MAP + int(truth['vmcoreinfo']['NUMBER(phys_base)'])
    expected = truth['version'].encode()[:40]
    check.count(memory.read(physical, len(expected)) == expected)
    note = int(truth['vmcoreinfo_location'].split()[0], 16)
    check.count(b'VMCOREINFO' in memory.read(note, 64))
    return check
