# SPDX-FileCopyrightText: engram contributors
# SPDX-License-Identifier: Apache-2.0
"""The guest's root disk: programs, scenario, modules and files as an ext4 image."""
import hashlib
import os
import shutil
import subprocess

import modules
import programs
import rootfs_files
from base import LabError, run

_SIZE = '192M'
_UUID = 'aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee'

# Programs of the userland, and where the guest has them.
_PROGRAMS = {
    'bin/bash': '/bin/bash', 'bin/ip': '/sbin/ip', 'bin/ss': '/bin/ss', 'bin/kmod': '/bin/kmod',
    'bin/keyctl': '/bin/keyctl', 'usr/sbin/nft': '/usr/sbin/nft', 'usr/bin/lsns': '/usr/bin/lsns',
}
# Applets that have a better program, or would confuse one.
_APPLETS_LEFT_OUT = ('dpkg', 'dpkg-deb', 'rpm', 'ip', 'sh', 'modprobe', 'insmod', 'rmmod')
_SYSTEM_APPLETS = ('init', 'getty', 'switch_root', 'syslogd', 'klogd', 'losetup', 'reboot')
# Names of the scenario's program; each is a file of its own, as different programs would be.
_SCENARIO_NAMES = '''sleep tree masq threads zombie vfork stopped tracer ns userns chroot caps
    caps2 netsrv netcli rwx shm fileless pty spin preload other sid cgroup nice'''.split()


def build(kernel, userland, compiled, work):
    """Builds the root disk in the folder work; returns (image path, {guest path: SHA-256})."""
    tree = rootfs_files.Tree(work / 'root')
    rootfs_files.write_all(tree, kernel.name, work)
    _add_userland(tree, userland)
    _add_scenario(tree, userland, compiled)
    _add_modules(tree, kernel, userland)
    listed = rootfs_files.write_file_list(tree)
    image = work / 'root.ext4'
    run(['mke2fs', '-q', '-t', 'ext4', '-b', '4096', '-d', tree.folder, '-L', 'labroot',
         '-U', _UUID, '-E', 'lazy_itable_init=1', image, _SIZE])
    _set_owners(image, tree)
    return image, _hashes(tree, listed)


def _add_userland(tree, userland):
    for source, destination in _PROGRAMS.items():
        userland.copy_program(userland.folder / source, tree.folder, destination)
    busybox = userland.folder / 'bin/busybox'
    shutil.copy(busybox, tree.path('/bin/busybox'))
    os.symlink('bash', tree.path('/bin/sh'))
    for name in ('modprobe', 'insmod', 'rmmod'):
        os.symlink('/bin/kmod', tree.path(f'/sbin/{name}'))
    for applet in run([busybox, '--list']).decode().split():
        folder = '/sbin/' if applet in _SYSTEM_APPLETS else '/bin/'
        taken = any(os.path.lexists(tree.path(f'{place}{applet}'))
                    for place in ('/bin/', '/sbin/', '/usr/bin/'))
        if applet not in _APPLETS_LEFT_OUT and not taken:
            os.symlink('/bin/busybox', tree.path(folder + applet))


def _add_scenario(tree, userland, compiled):
    dynamic = compiled / programs.SCENARIO
    for name in _SCENARIO_NAMES:
        userland.copy_program(dynamic, tree.folder, f'/usr/local/bin/lab-{name}')
    static = compiled / programs.SCENARIO_STATIC
    shutil.copy(static, tree.path('/usr/local/bin/lab-fds'))
    shutil.copy(static, tree.path('/usr/local/sbin/lab-static'))
    shutil.copy(compiled / programs.COLLECTOR, tree.path('/usr/local/sbin/labtruth'))
    shutil.copy(compiled / programs.PRELOAD, tree.path('/usr/local/lib/libevil_preload.so'))


def _add_modules(tree, kernel, userland):
    destination = tree.path(f'/lib/modules/{kernel.release}')
    files = {modules.module_name(path): path for path in kernel.module_tree.rglob('*.ko')}
    for name in modules.closure(modules.SCENARIO, kernel.depends):
        target = destination / files[name].relative_to(kernel.module_tree)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(files[name], target)
    for listing in kernel.module_tree.glob('modules.*'):
        shutil.copy(listing, destination)
    modules.run_depmod(userland, tree.folder, kernel.release)


def _set_owners(image, tree):
    """Everything is root's but alice's home, whoever builds the image."""
    commands = []
    for path in sorted(tree.folder.rglob('*')):
        inside = path.relative_to(tree.folder)
        owner = rootfs_files.ALICE if str(inside).startswith('home/alice') else 0
        if path.lstat().st_uid != owner or path.lstat().st_gid != owner:
            commands += [f'set_inode_field "/{inside}" {field} {owner}' for field in ('uid', 'gid')]
    done = subprocess.run(['debugfs', '-w', '-f', '-', str(image)], input='\n'.join(commands),
                          capture_output=True, text=True, check=False)
    complaints = [line for line in done.stderr.splitlines() if not line.startswith('debugfs ')]
    if done.returncode != 0 or complaints:
        raise LabError(f'{image}: owners could not be set: {" ".join(complaints[:3])}')


def _hashes(tree, listed):
    """What the files hold that the collector does not read, for the truth."""
    hashes = {}
    for name in listed:
        path = tree.path(name)
        if path.is_file() and not path.is_symlink():
            hashes[name] = hashlib.sha256(path.read_bytes()).hexdigest()
    return hashes
