# SPDX-FileCopyrightText: engram contributors
# SPDX-License-Identifier: Apache-2.0
"""The initramfs: busybox, the modules that mount the root disk, and a small init."""
import gzip
import stat

import modules
from base import LAB

_INIT = LAB / 'guest/initramfs-init'


def newc_member(name, mode, content=b''):
    """One member of a cpio archive in the "newc" format (linux: driver-api/early-userspace)."""
    encoded = name.encode() + b'\0'
    links = 2 if stat.S_ISDIR(mode) else 1
    fields = (0, mode, 0, 0, links, 0, len(content), 0, 0, 0, 0, len(encoded), 0)
    head = b'070701' + b''.join(b'%08X' % field for field in fields) + encoded
    return head + b'\0' * (-len(head) % 4) + content + b'\0' * (-len(content) % 4)


def archive(folders, files):
    """A whole archive. files maps a name to (mode, content)."""
    members = [newc_member(name, stat.S_IFDIR | 0o755) for name in folders]
    members += [newc_member(name, stat.S_IFREG | mode, content)
                for name, (mode, content) in files.items()]
    members.append(newc_member('TRAILER!!!', 0))
    return b''.join(members)


def build(kernel, userland, path):
    """Writes the initramfs of a kernel."""
    found = {modules.module_name(file): file for file in kernel.module_tree.rglob('*.ko')}
    names = modules.closure(modules.BOOT, kernel.depends)
    files = {'init': (0o755, _INIT.read_bytes()),
             'bin/busybox': (0o755, (userland.folder / 'bin/busybox').read_bytes()),
             'modules/order': (0o644, ''.join(f'{name}.ko\n' for name in names).encode())}
    for name in names:
        files[f'modules/{name}.ko'] = (0o644, found[name].read_bytes())
    # The kernel takes it plain too, but QEMU's firmware copies it slowly: light compression pays.
    path.write_bytes(gzip.compress(archive(['bin', 'modules'], files), compresslevel=1))
