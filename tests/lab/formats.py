# SPDX-FileCopyrightText: engram contributors
# SPDX-License-Identifier: Apache-2.0
"""The formats in which a dump can be had: what each is called, and how it is made.

QEMU writes some of them from the stopped machine; the others are converted from those.
"""
import functools

import elf
import kdump
import lime
import programs
import raw
import sparse
from base import LabError, run

_COMPRESSIONS = tuple(kdump.FLAGS)  # none, zlib, lzo, snappy, zstd
# QEMU reads devices where there is no RAM, so it writes raw images only of machines without a hole:
# more than this is split around it (pc from 3.5 GB on, q35 from 2.75 GB on).
_RAW_BY_QEMU_MB = 2048

FILE_NAMES = {'raw': 'dump.raw', 'elf': 'dump.elf', 'elf-paging': 'dump.paging.elf',
              'lime': 'dump.lime', 'avml': 'dump.avml'}
for _name in _COMPRESSIONS:
    FILE_NAMES[f'kdump-{_name}'] = f'dump.{_name}.kdump'
    FILE_NAMES[f'kdump-{_name}-flat'] = f'dump.{_name}.flat.kdump'

# What a format is converted from; those that are not here come from QEMU.
_SOURCES = {'lime': 'elf', 'avml': 'lime', 'kdump-zlib': 'kdump-zlib-flat'}
for _name in _COMPRESSIONS:
    if _name != 'zlib':
        _SOURCES[f'kdump-{_name}'] = 'kdump-zlib'
        _SOURCES[f'kdump-{_name}-flat'] = f'kdump-{_name}'


def check(names):
    """Raises LabError for a name that is no format."""
    for name in names:
        if name not in FILE_NAMES:
            raise LabError(f'{name}: unknown format; expected some of {", ".join(FILE_NAMES)}')


def source_of(name, machine):
    """The format that this one is converted from; None where QEMU writes it."""
    if name == 'raw' and machine.memory_mb > _RAW_BY_QEMU_MB:
        return 'elf'
    return _SOURCES.get(name)


def with_sources(names, machine):
    """The formats and all that they are made from, sources first."""
    ordered = []

    def add(name):
        source = source_of(name, machine)
        if source:
            add(source)
        if name not in ordered:
            ordered.append(name)

    for name in names:
        add(name)
    return ordered


def write_by_qemu(name, qmp, machine, folder):
    """Has QEMU write one format of the stopped machine."""
    path = folder / FILE_NAMES[name]
    if name == 'kdump-zlib-flat':
        qmp.execute('dump-guest-memory', paging=False, protocol=f'file:{path}', format='kdump-zlib')
        path.chmod(0o644)  # QEMU makes it readable for its user only
        return
    with sparse.receiver(path, folder) as pipe:
        if name == 'raw':
            qmp.execute('pmemsave', val=0, size=machine.memory_mb << 20, filename=str(pipe))
        else:
            paging = name == 'elf-paging'
            qmp.execute('dump-guest-memory', paging=paging, protocol=f'file:{pipe}')


def convert(name, machine, folder, ram_ranges):
    """Makes one format from its source in the same folder.

    ram_ranges: [(first, last)] of System RAM, last byte included.
    """
    target = folder / FILE_NAMES[name]
    source_name = source_of(name, machine)
    source = folder / FILE_NAMES[source_name]
    if source_name == 'elf':
        writer = raw.write if name == 'raw' else functools.partial(lime.write, ranges=ram_ranges)
        with elf.PhysicalMemory(source) as memory:
            writer(memory, target)
    elif name == 'avml':
        run([programs.compile_avml_writer(folder), source, target])
        (folder / 'lime_to_avml').unlink()
    elif name == 'kdump-zlib':
        kdump.unflatten(source, target)
    elif name.endswith('-flat'):
        kdump.flatten(source, target)
    else:
        kdump.transcode(source, target, name.removeprefix('kdump-'))
