#!/usr/bin/env python3
# SPDX-FileCopyrightText: engram contributors
# SPDX-License-Identifier: Apache-2.0
"""The dump lab: boots real Debian kernels and makes memory dumps of them, with the truth beside."""
import argparse
import concurrent.futures
import os
import pathlib
import subprocess
import sys
import traceback

import dump
import formats
import image
import kernels
import machines
import programs
import qemu
import userland
import verify
from base import REPOSITORY, LabError, Progress, missing_packages
from layout import Layout
from truth import document


def _select(names):
    return [machines.machine(name) for name in names or machines.DEFAULT_NAMES]


def _sayer(progress, subject):
    return lambda text: progress.say(subject, text)


def _todo(layout, selected, wanted):
    states = {machine: dump.state(layout, machine, wanted) for machine in selected}
    return {machine: needed for machine, needed in states.items() if needed}


def _formats(arguments):
    wanted = tuple(arguments.formats.split(',')) if arguments.formats else machines.DEFAULT_FORMATS
    formats.check(wanted)
    return wanted


def make(layout, arguments):
    """Makes the dumps that are not there yet, up to --jobs guests at a time."""
    wanted = _formats(arguments)
    selected = _select(arguments.names)
    if not _todo(layout, selected, wanted):
        print(f'lab: {len(selected)} dumps are up to date in {layout.dumps}')
        return 0
    absent = missing_packages()
    if absent:
        raise LabError(f'these packages are missing, and needed to make dumps: {" ".join(absent)}')
    progress = Progress()
    with layout.locked(lambda: progress.say('lock', 'waiting for another lab')):
        # Looked at again: the other lab may have made them.
        todo = _todo(layout, selected, wanted)
        return _make_all(layout, todo, wanted, arguments.jobs, progress)


def _make_all(layout, todo, wanted, jobs, progress):
    """Prepares images one after the other, and boots a guest as soon as its image is there."""
    failures = []
    booting = [machine for machine, needed in todo.items() if 'dump' in needed]
    with (concurrent.futures.ThreadPoolExecutor(2) as preparing,
          concurrent.futures.ThreadPoolExecutor(jobs) as running):
        shared = preparing.submit(_prepare_shared, layout, progress) if booting else None
        ready = {}
        for machine in booting:
            if machine.kernel not in ready:
                ready[machine.kernel] = preparing.submit(
                    _prepare_image, layout, machine.kernel, shared, progress)
        work = {running.submit(_make_one, layout, machine, needed, wanted,
                               ready.get(machine.kernel), progress): machine
                for machine, needed in todo.items()}
        try:
            for future in concurrent.futures.as_completed(work):
                error = future.exception()
                if error:
                    failures.append(work[future].name)
                    progress.say(work[future].name, f'FAILED: {_explain(error)}')
        except KeyboardInterrupt:
            os._exit(130)  # without waiting for the guests: they end with this process
    progress.say('all', f'{len(todo) - len(failures)} made, {len(failures)} failed')
    return 1 if failures else 0


def _explain(error):
    """An expected error is its text; anything else is a bug and needs its place."""
    if isinstance(error, (LabError, OSError)):
        return str(error)
    return ''.join(traceback.format_exception(error))


def _prepare_shared(layout, progress):
    userland.prepare(layout, _sayer(progress, 'guest programs'))
    programs.prepare(layout, _sayer(progress, 'guest programs'))


def _prepare_image(layout, kernel_name, shared, progress):
    say = _sayer(progress, kernel_name)
    kernels.prepare(layout, kernel_name, say)
    shared.result()
    return image.prepare(layout, kernel_name, say)


def _make_one(layout, machine, needed, wanted, ready, progress):
    say = _sayer(progress, machine.name)
    if 'dump' in needed:
        dump.make(layout, machine, ready.result(), wanted, say)
        return
    if 'formats' in needed:
        dump.add_formats(layout, machine, wanted, say)
    if 'truth' in needed:
        dump.add_truth(layout, machine, say)


def list_machines(layout, _):
    """Prints the default machines and those that have a dump, then how names are made."""
    made = [path.name for path in layout.dumps.iterdir()] if layout.dumps.exists() else []
    for name in sorted({*machines.DEFAULT_NAMES, *made}):
        kernel = kernels.installed(layout, machines.machine(name).kernel)
        here = ' '.join(sorted(path.name for path in layout.dump(name).glob('dump.*')))
        print(f'{name:<20}{kernel.release if kernel else "-":<26}{here or "not made"}')
    print(machines.describe())
    return 0


def run_verify(layout, arguments):
    """Compares the formats of finished dumps with each other and with the truth."""
    good = True
    for machine in _select(arguments.names):
        folder = layout.dump(machine.name)
        if not folder.exists():
            raise LabError(f'{machine.name}: no dump yet; first: lab.py make {machine.name}')
        for check in verify.verify(folder):
            good = good and check.good
            print(f'{machine.name}: {check.name}: {check.compared} compared, '
                  f'{check.differing} differ{"" if check.good else "  <-- BAD"}')
    return 0 if good else 1


def boot(layout, arguments):
    """Boots a machine on this terminal, with a shell in place of the collector."""
    machine = machines.machine(arguments.name)
    progress = Progress()
    with layout.locked(lambda: progress.say('lock', 'waiting for another lab')):
        ready = image.prepare(layout, machine.kernel, _sayer(progress, machine.name))
        disk = layout.new_work_folder('boot') / 'truth.img'
        disk.write_bytes(bytes(1 << 20))
    command = qemu.command_line(machine, ready, disk, 'mon:stdio')
    command[-1] += ' lab.shell'
    print('Leave with Ctrl-A X.', flush=True)
    return subprocess.run(command, check=False).returncode


def show_truth(layout, arguments):
    """Prints the recorded names, or what one of them holds."""
    frames = document.load_raw(layout.dump(arguments.machine))
    if arguments.frame:
        if arguments.frame not in frames:
            raise LabError(f'{arguments.machine}: nothing was recorded as {arguments.frame}')
        sys.stdout.buffer.write(frames[arguments.frame].content)
        return 0
    for name in sorted(frames):
        print(name.encode('utf-8', 'surrogateescape').decode('utf-8', 'backslashreplace'))
    return 0


def update(layout, arguments):
    """Looks for newer kernels; the next make fetches them."""
    progress = Progress()
    with layout.locked(lambda: progress.say('lock', 'waiting for another lab')):
        for name in sorted({machine.kernel for machine in _select(arguments.names)}):
            kernels.refresh(layout, name, _sayer(progress, name))
    return 0


def _parser():
    parser = argparse.ArgumentParser(prog='lab.py', description=__doc__,
                                     epilog='More in tests/lab/README.md.')
    parser.add_argument('--build', type=pathlib.Path, default=REPOSITORY / 'build/lab',
                        help='the folder for everything that is made (default: build/lab)')
    commands = parser.add_subparsers(required=True, metavar='COMMAND')

    def add(name, function, **options):
        command = commands.add_parser(name, help=function.__doc__.splitlines()[0], **options)
        command.set_defaults(run=function)
        return command

    command = add('make', make)
    command.add_argument('names', nargs='*', metavar='MACHINE', help='default: the test machines')
    command.add_argument('--formats', help=f'some of {",".join(formats.FILE_NAMES)}; '
                                           f'default: {",".join(machines.DEFAULT_FORMATS)}')
    command.add_argument('--jobs', type=int, default=2, help='guests at a time (default: 2)')
    add('list', list_machines)
    command = add('verify', run_verify)
    command.add_argument('names', nargs='*', metavar='MACHINE')
    command = add('boot', boot)
    command.add_argument('name', metavar='MACHINE')
    command = add('truth', show_truth)
    command.add_argument('machine', metavar='MACHINE')
    command.add_argument('frame', nargs='?', metavar='NAME')
    command = add('update', update)
    command.add_argument('names', nargs='*', metavar='MACHINE')
    return parser


def main():
    """Runs the command line; returns the exit status."""
    arguments = _parser().parse_args()
    try:
        return arguments.run(Layout(arguments.build), arguments)
    except LabError as error:
        print(f'lab: {error}', file=sys.stderr)
        return 1


if __name__ == '__main__':
    sys.exit(main())
