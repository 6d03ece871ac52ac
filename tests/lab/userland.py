# SPDX-FileCopyrightText: engram contributors
# SPDX-License-Identifier: Apache-2.0
"""The guest's programs from Debian bookworm, unpacked; the C library is the host's.

Our own programs are compiled here and need the host's C library, which must not be older than the
one that bookworm's programs expect.
"""
import json
import os
import shutil
import subprocess

import debian
from base import LabError, digest

_SUITE = 'bookworm'
_PACKAGES = '''bash busybox-static iproute2 keyutils kmod nftables util-linux libblkid1 libbpf1
    libbsd0 libcap2 libcap2-bin libedit2 libelf1 libgmp10 libjansson4 libkeyutils1 libkmod2 libmd0
    libmnl0 libmount1 libnftables1 libnftnl11 libpcre2-8-0 libselinux1 libsmartcols1 libtinfo6
    libuuid1 libxtables12 libzstd1 liblzma5 libssl3 zlib1g'''.split()
_LIBRARY_FOLDERS = ('lib/x86_64-linux-gnu', 'usr/lib/x86_64-linux-gnu')


class Userland:
    """The unpacked packages."""

    def __init__(self, folder):
        self.folder = folder

    def identity(self):
        """The packages with their versions, as text for stamps."""
        return (self.folder / 'packages.json').read_text()

    def environment(self):
        """An environment in which the unpacked programs find their libraries on the host."""
        path = ':'.join(str(self.folder / folder) for folder in _LIBRARY_FOLDERS)
        return dict(os.environ, LD_LIBRARY_PATH=path)

    def copy_program(self, source, root, destination):
        """Copies a program into a guest's root, and the shared libraries that it needs."""
        target = root / destination.lstrip('/')
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, target)
        listing = subprocess.run(['ldd', source], env=self.environment(), capture_output=True,
                                 text=True, check=False).stdout
        for library in libraries(listing):
            folder = root / ('lib64' if 'ld-linux' in library else 'lib/x86_64-linux-gnu')
            folder.mkdir(parents=True, exist_ok=True)
            copy = folder / os.path.basename(library)
            if not copy.exists():
                shutil.copy(os.path.realpath(library), copy)


def libraries(listing):
    """The paths in what ldd printed. Raises LabError where a library was not found."""
    found = []
    for line in listing.splitlines():
        words = line.split()
        if 'not found' in line:
            raise LabError(f'userland: {words[0]}: no such library; add its package to userland.py')
        path = words[2] if '=>' in words[:-1] else words[0] if words else ''
        if path.startswith('/'):
            found.append(path)
    return found


def prepare(layout, say):
    """The userland; downloads and unpacks it where it is not there yet or the list has changed."""
    userland = Userland(layout.userland)
    wanted = digest(' '.join(_PACKAGES))
    stamp = layout.userland / 'stamp'
    if stamp.exists() and stamp.read_text() == wanted:
        return userland
    say(f'downloading programs from Debian {_SUITE}')
    suite = debian.Suite(layout, _SUITE)
    work = layout.new_work_folder('userland')
    versions = {}
    for package in suite.download(_PACKAGES, work / 'packages'):
        debian.unpack(package, work / 'tree', ('./usr/share/*',))
        name, version, _ = package.name.split('_')
        versions[name] = version
    (work / 'tree/packages.json').write_text(json.dumps(versions, sort_keys=True, indent=1))
    (work / 'tree/stamp').write_text(wanted)
    layout.put_in_place(work / 'tree', layout.userland)
    shutil.rmtree(work)
    return userland
