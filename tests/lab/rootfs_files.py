# SPDX-FileCopyrightText: engram contributors
# SPDX-License-Identifier: Apache-2.0
"""The files of the guest's root that are not programs: invented users, logs, secrets, odd names.

Their content is fixed, so that a test may look for it in a dump.
"""
import hashlib
import os

from base import LAB, run

_GUEST = LAB / 'guest'
ALICE = 1000

_FOLDERS = '''proc sys dev run tmp mnt root home/alice etc/init.d etc/lab.d etc/modprobe.d bin
    sbin usr/bin usr/sbin var/log var/tmp var/lib/lab srv/jail/deep/er usr/local/bin
    usr/local/sbin usr/local/lib'''.split()

_COPIED = {
    'rcS': '/etc/init.d/rcS', 'inittab': '/etc/inittab', 'network.ip': '/etc/network.ip',
    'nftables.conf': '/etc/nftables.conf', 'modprobe.conf': '/etc/modprobe.d/lab.conf',
    'bash-input.txt': '/etc/lab-bash-input', 'ash-input.txt': '/etc/lab-ash-input',
}

_PASSWD = '''root:x:0:0:root:/root:/bin/bash
daemon:x:1:1:daemon:/usr/sbin:/usr/sbin/nologin
alice:x:1000:1000:Alice Lab,,,:/home/alice:/bin/bash
svc:x:1001:1002::/nonexistent:/bin/false
'''
_GROUP = 'root:x:0:\nadm:x:4:\nsudo:x:27:alice\nalice:x:1000:\nsvc:x:1002:\n'
_SHADOW = '''root:$6$labsalt$LABHASHLABHASHLABHASH:19700:0:99999:7:::
alice:$y$j9T$labyescrypt$0123456789:19701:0:99999:7:::
'''
_PRIVATE_KEY = '''-----BEGIN OPENSSH PRIVATE KEY-----
TEFCLUZBS0UtS0VZ
-----END OPENSSH PRIVATE KEY-----
'''


def pattern_bytes(seed, length):
    """Bytes that look random and are the same every time."""
    blocks = (hashlib.sha256(f'{seed}:{number}'.encode()).digest()
              for number in range((length + 31) // 32))
    return b''.join(blocks)[:length]


class Tree:
    """A folder that becomes the guest's root."""

    def __init__(self, folder):
        self.folder = folder

    def path(self, name):
        """Where a path of the guest lies on the host."""
        return self.folder / name.lstrip('/')

    def write(self, name, content, mode=0o644):
        """Writes one file; makes its folders."""
        path = self.path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        path.chmod(mode)


def write_all(tree, kernel_name, work):
    """Writes everything that this module knows into the tree. work is a folder for helper files."""
    for folder in _FOLDERS:
        tree.path(folder).mkdir(parents=True, exist_ok=True)
    for folder in ('tmp', 'var/tmp'):
        tree.path(folder).chmod(0o1777)
    for source, destination in _COPIED.items():
        tree.write(destination, (_GUEST / source).read_bytes())
    tree.path('/etc/init.d/rcS').chmod(0o755)
    for stage in sorted((_GUEST / 'stages').iterdir()):
        tree.write(f'/etc/lab.d/{stage.name}', stage.read_bytes())
    _write_system_files(tree, kernel_name)
    _write_logs(tree)
    _write_homes(tree)
    _write_lab_files(tree)
    _write_loop_image(tree, work)


def _write_system_files(tree, kernel_name):
    tree.write('/etc/passwd', _PASSWD)
    tree.write('/etc/group', _GROUP)
    tree.write('/etc/shadow', _SHADOW, 0o640)
    tree.write('/etc/hosts', '127.0.0.1 localhost\n10.0.2.100 c2.lab.example\n')
    tree.write('/etc/hostname', 'dumplab-guest\n')
    tree.write('/etc/fstab', '/dev/vda / ext4 rw 0 1\n')
    tree.write('/etc/os-release',
               f'PRETTY_NAME="Dump Lab GNU/Linux 1 (lab-{kernel_name})"\nNAME="Dump Lab"\n'
               f'VERSION_ID="{kernel_name}"\nVERSION="1 (lab)"\nID=dumplab\nID_LIKE=debian\n'
               'HOME_URL="https://dumplab.example/"\n')
    pages = (f'LABMAP page {number:04d} '.encode().ljust(4096, b'.') for number in range(16))
    tree.write('/etc/lab-map.dat', b''.join(pages))


def _write_logs(tree):
    syslog = (f'2026-01-{1 + i // 30:02d}T{i % 24:02d}:{i % 60:02d}:00.{i:06d}+00:00 dumplab-guest '
              f'labd[{1000 + i}]: SYSLOG-STATIC-LINE {i:04d} value={i * i}\n' for i in range(600))
    logins = (f'Jan {1 + i % 28:2d} 03:{i % 60:02d}:07 dumplab-guest sshd[{2000 + i}]: Failed '
              f'password for invalid user admin{i} from 203.0.113.{i % 250} port {40000 + i} ssh2\n'
              for i in range(150))
    tree.write('/var/log/syslog', ''.join(syslog), 0o640)
    tree.write('/var/log/auth.log', ''.join(logins), 0o640)
    tree.write('/var/log/kern.log',
               'Jan  1 00:00:00 dumplab-guest kernel: [    0.000000] KERNLOG-STATIC-LINE\n', 0o640)


def _write_homes(tree):
    tree.write('/home/alice/secret-plan.txt',
               'SECRET-PLAN: meet at 52.3731N 4.8922E at dawn. token=alice-8f14e45f\n', 0o600)
    tree.write('/home/alice/.ssh/id_ed25519', _PRIVATE_KEY, 0o600)
    tree.write('/home/alice/notes.md', '# notes\n\n- one\n- two\n')
    tree.write('/root/.bash_history', 'old-history-command --from-file\nuname -a\n', 0o600)


def _write_lab_files(tree):
    lab = '/var/lib/lab'
    tree.write(f'{lab}/big.bin', pattern_bytes('big', 3 << 20))
    tree.write(f'{lab}/partial.bin', pattern_bytes('partial', 8 << 20))
    tree.write(f'{lab}/never-read.bin', pattern_bytes('never', 1 << 20))
    tree.write(f'{lab}/exact-page.bin', pattern_bytes('page', 4096))
    tree.write(f'{lab}/tiny.txt', 't')
    tree.write(f'{lab}/empty.txt', '')
    tree.write(f'{lab}/hard1.txt', 'HARDLINKED content\n')
    os.link(tree.path(f'{lab}/hard1.txt'), tree.path(f'{lab}/hard2.txt'))
    os.symlink(f'{lab}/hard1.txt', tree.path(f'{lab}/symlink.txt'))
    # Longer than the 60 bytes that ext4 keeps in the inode.
    os.symlink('x' * 100 + '/long-symlink-target', tree.path(f'{lab}/longsymlink'))
    tree.write(f'{lab}/deep/a/b/c/d/e/f/g/deep-file.txt', 'deep file content\n')
    tree.write(f'{lab}/{"n" * 250}.txt', 'long name\n')
    tree.write(f'{lab}/naïve ünïcode ☃.txt', 'unicode name\n')
    tree.write(f'{lab}/setuid-bin', '#!/bin/sh\nid\n', 0o4755)


def _write_loop_image(tree, work):
    """A small ext4 image that the guest mounts from a loop device."""
    content = Tree(work / 'loop')
    content.write('/hello.txt', 'HELLO from loop-mounted ext4\n')
    image = tree.path('/var/lib/lab/loop.ext4')
    with open(image, 'wb') as file:
        file.truncate(4 << 20)
    run(['mke2fs', '-q', '-t', 'ext4', '-d', content.folder, '-L', 'labloop',
         '-U', '11111111-2222-3333-4444-555555555555', image])


# Read by the guest before the dump, or not: "S" files keep the page cache as the scenario left it.
_STATUS_ONLY = ('partial.bin', 'never-read.bin', 'loop.ext4', 'big.bin')
_LISTED_FOLDERS = ('/var/lib/lab', '/var/log', '/home', '/etc', '/root')
_MADE_AT_RUN_TIME = '''/tmp/known-tmpfs.txt /tmp/lab-regular.txt /mnt/ramfs/r.txt /mnt/ovl/f
    /mnt/huge/huge.bin /mnt/ovl/n /mnt/loopfs/hello.txt /mnt/loopfs/runtime.txt /var/lib/lab/runtime-synced.txt
    /var/lib/lab/runtime-dirty.txt /var/lib/lab/sparse.bin /var/log/lab-append.log
    /run/lab/bash.typescript /run/lab/ash.typescript'''.split()
_PROGRAMS = '''/bin/bash /bin/busybox /lib/x86_64-linux-gnu/libc.so.6 /lib64/ld-linux-x86-64.so.2
    /usr/local/lib/libevil_preload.so /usr/local/bin/lab-rwx /usr/local/bin/lab-fds /'''.split()


def write_file_list(tree):
    """Writes /etc/lab-files, which tells the collector what to look at; returns its paths.

    A line is "C PATH" (status and content) or "S PATH" (status only).
    """
    lines = []
    for folder in _LISTED_FOLDERS:
        for path in sorted(tree.path(folder).rglob('*')):
            inside = path.parent.name in ('init.d', 'lab.d')
            if inside or (path.is_dir() and not path.is_symlink()):
                continue
            kind = 'S' if path.is_symlink() or path.name in _STATUS_ONLY else 'C'
            lines.append(f'{kind} /{path.relative_to(tree.folder)}')
    lines += [f'C {path}' for path in _MADE_AT_RUN_TIME]
    lines += [f'S {path}' for path in _PROGRAMS]
    tree.write('/etc/lab-files', '\n'.join(lines) + '\n')
    return [line[2:] for line in lines]
