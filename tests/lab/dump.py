# SPDX-FileCopyrightText: engram contributors
# SPDX-License-Identifier: Apache-2.0
"""Makes the dump of one machine: boots it, has QEMU write its memory, parses the truth."""
import functools
import json
import os
import pathlib
import shlex
import shutil
import time

import formats
import image as images
import kernels
import sparse
from base import LAB, LabError, digest, files_under, replace_text
from qemu import Guest, GuestFailed
from truth import document, frames, parse_kernel

_TRIES = 3
_SMEAR_PIECE = 8 << 20
_SMEAR_PAUSE_S = 0.15
_LEFT_OUT = ('truth.img', 'qemu.txt')  # of no use once the dump is made

# Whatever decides what is in a dump, beside its image.
_DUMP_SOURCES = [LAB / name for name in (
    'compress.py', 'elf.py', 'formats.py', 'kdump.py', 'lime.py', 'qemu.py', 'qmp.py', 'raw.py',
    'sparse.py')]
_STAMP = 'stamp.json'

# Machines whose stopped state QEMU also saves as it would for a migration. In no other format is
# this, and it cannot be converted from one, so it is not among formats.py's.
_SAVED_MACHINES = ('6.12',)
_SAVED = 'dump.migration'
_SAVE_TIMEOUT_S = 120


@functools.cache  # so that a source changed while the lab runs does not count as used
def _sources_digest():
    return digest(*_DUMP_SOURCES, *files_under(LAB / 'tools'), images.sources_digest())


def dump_key(machine, kernel):
    """Stands for the kernel, the configuration and the sources of a dump."""
    return digest(_sources_digest(), machine.configuration(), kernel.identity())


@functools.cache
def truth_key():
    """Stands for the parsers that made truth.json from the record."""
    return digest(*files_under(LAB / 'truth'))


def _stamp(folder):
    try:
        return json.loads((folder / _STAMP).read_text())
    except (FileNotFoundError, ValueError):
        return {}


def state(layout, machine, wanted):
    """What is to be done for a machine to have the wanted formats.

    A set of "dump", "formats" and "truth"; an empty one says that all is there.
    """
    kernel = kernels.installed(layout, machine.kernel)
    folder = layout.dump(machine.name)
    stamp = _stamp(folder)
    if not kernel or stamp.get('dump') != dump_key(machine, kernel):
        return {'dump'}
    if machine.name in _SAVED_MACHINES and not (folder / _SAVED).exists():
        return {'dump'}
    needed = set()
    absent = [name for name in wanted if not (folder / formats.FILE_NAMES[name]).exists()]
    if absent:
        needed.add('formats')
        from_qemu = [name for name in formats.with_sources(absent, machine)
                     if not formats.source_of(name, machine)]
        if any(not (folder / formats.FILE_NAMES[name]).exists() for name in from_qemu):
            return {'dump'}
    if stamp.get('truth') != truth_key():
        needed.add('truth')
    return needed


def make(layout, machine, image, wanted, say):
    """Makes a dump with the wanted formats, trying again where the guest fails."""
    for attempt in range(1, _TRIES + 1):
        work = layout.new_work_folder(machine.name)
        try:
            _make_once(layout, machine, image, wanted, work, say)
            return
        except GuestFailed as failure:
            kept = layout.failed / machine.name
            kept.mkdir(parents=True, exist_ok=True)
            if (work / 'serial.txt').exists():
                shutil.copy(work / 'serial.txt', kept / f'serial.{attempt}.txt')
            say(f'try {attempt} of {_TRIES} failed: {failure}')
        finally:
            shutil.rmtree(work, ignore_errors=True)
    raise LabError(f'{machine.name}: no dump after {_TRIES} tries; consoles are in {kept}')


def _make_once(layout, machine, image, wanted, work, say):
    started = time.monotonic()
    ordered = formats.with_sources(wanted, machine)
    say('booting')
    with Guest(machine, image, work) as guest:
        guest.wait_until_ready()
        say('writing ' + ', '.join(wanted))
        times, capabilities, stopped_at = _write_by_qemu(guest, machine, ordered, work)
        guest.quit()
    recorded = frames.load(guest.truth_disk)
    iomem = frames.Record(recorded).text('/proc/iomem')
    for name in ordered:
        if formats.source_of(name, machine):
            formats.convert(name, machine, work, parse_kernel.ram_ranges(iomem))
    for name in set(ordered) - set(wanted):
        (work / formats.FILE_NAMES[name]).unlink()
    shutil.copy(image.file_hashes, work / 'files.json')
    for name in _LEFT_OUT:
        (work / name).unlink()
    meta = {
        'qemu_kdump_formats': capabilities, 'kver': machine.kernel, 'release': image.kernel.release,
        'packages': image.kernel.packages, 'mem_mb': machine.memory_mb, 'smp': machine.cpus,
        'cpu': machine.cpu_model, 'append': machine.kernel_arguments, 'qemu_cmd': guest.command,
        'guest_ready_s': round(guest.ready_after, 1), 'stopped_at': stopped_at,
        'dump_seconds': times, 'files': _file_sizes(work),
        'total_s': round(time.monotonic() - started, 1),
    }
    replace_text(work / 'meta.json', json.dumps(meta, indent=1))
    document.write_raw(recorded, work)
    _write_truth(recorded, work)
    _write_stamp(work, dump_key(machine, image.kernel))
    layout.put_in_place(work, layout.dump(machine.name))
    say(f'done, {_disk_use(layout.dump(machine.name)) >> 20} MB on disk')


def _write_by_qemu(guest, machine, ordered, work):
    """Stops the machine and has QEMU write; returns (seconds by format, kdump formats, time)."""
    if machine.smear:
        _write_smear(guest, machine, work / 'dump.smear.raw')
    guest.qmp.execute('stop')
    stopped_at = time.time()
    (work / 'registers.txt').write_text(guest.qmp.monitor('info registers -a'))
    (work / 'mtree.txt').write_text(guest.qmp.monitor('info mtree -f'))
    times = {}
    for name in ordered:
        if not formats.source_of(name, machine):
            begun = time.monotonic()
            formats.write_by_qemu(name, guest.qmp, machine, work)
            times[name] = round(time.monotonic() - begun, 2)
    if machine.name in _SAVED_MACHINES:
        save(guest.qmp, work / _SAVED)
    capabilities = guest.qmp.execute('query-dump-guest-memory-capability')['formats']
    return times, capabilities, stopped_at


def save(qmp, path):
    """Has QEMU write the stopped machine's memory and devices as a migration stream.

    Afterwards the machine cannot go on; its memory can still be read.
    """
    qmp.execute('migrate', uri=f'exec:cat > {shlex.quote(str(path))}')
    deadline = time.monotonic() + _SAVE_TIMEOUT_S
    while True:
        status = qmp.execute('query-migrate').get('status')
        if status == 'completed':
            return
        if status in ('failed', 'cancelled') or time.monotonic() > deadline:
            raise LabError(f'qemu: {path.name} could not be saved: migration is "{status}"')
        time.sleep(0.1)


def _write_smear(guest, machine, path):
    """Copies the memory of the running guest in pieces, as a tool inside a machine would."""
    piece = path.with_name('smear-piece')
    with open(path, 'wb') as target:
        for offset in range(0, machine.memory_mb << 20, _SMEAR_PIECE):
            guest.qmp.execute('pmemsave', val=offset, size=_SMEAR_PIECE, filename=str(piece))
            sparse.write(target.fileno(), offset, piece.read_bytes())
            time.sleep(_SMEAR_PAUSE_S)
        target.truncate(machine.memory_mb << 20)
    piece.unlink()


def _file_sizes(folder):
    return {path.name: {'size': path.stat().st_size, 'disk': path.stat().st_blocks * 512}
            for path in sorted(folder.glob('dump.*'))}


def _disk_use(folder):
    return sum(path.stat().st_blocks * 512 for path in pathlib.Path(folder).rglob('*'))


def _write_truth(recorded, folder):
    meta = json.loads((folder / 'meta.json').read_text())
    hashes = json.loads((folder / 'files.json').read_text())
    document.write(recorded, folder, meta, hashes)


def _write_stamp(folder, key):
    replace_text(folder / _STAMP, json.dumps({'dump': key, 'truth': truth_key()}))


def add_formats(layout, machine, wanted, say):
    """Converts what can be had from the formats that a dump has already."""
    folder = layout.dump(machine.name)
    recorded = document.load_raw(folder)
    ram = parse_kernel.ram_ranges(frames.Record(recorded).text('/proc/iomem'))
    work = layout.new_work_folder(machine.name)
    for name in formats.with_sources(wanted, machine):
        file_name = formats.FILE_NAMES[name]
        if (folder / file_name).exists():
            os.link(folder / file_name, work / file_name)
        else:
            say(f'converting to {name}')
            formats.convert(name, machine, work, ram)
            if name in wanted:
                (work / file_name).rename(folder / file_name)
                os.link(folder / file_name, work / file_name)
    shutil.rmtree(work)


def add_truth(layout, machine, say):
    """Parses the record of a dump anew, with the parsers as they are now."""
    say('parsing the truth anew')
    folder = layout.dump(machine.name)
    recorded = document.load_raw(folder)
    _write_truth(recorded, folder)
    _write_stamp(folder, _stamp(folder)['dump'])
