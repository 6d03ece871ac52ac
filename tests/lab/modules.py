# SPDX-FileCopyrightText: engram contributors
# SPDX-License-Identifier: Apache-2.0
"""Kernel modules: which ones the scenario loads, and everything that those need."""
import lzma
import pathlib
import re
import subprocess

from base import LabError, run

# What the guest loads by name, and what the kernel asks for by itself (diag, nls, nft expressions).
SCENARIO = '''virtio_net dummy loop nbd brd 8021q bridge veth tun overlay vsock_loopback nf_tables
    nf_conntrack nft_counter nf_tables_set nft_ct softdog tcp_bbr fuse squashfs vfat qemu_fw_cfg
    evdev pktgen ext4 virtio_pci virtio_blk virtio_rng e1000 failover crc32c_generic crc32c_intel
    crc32c_cryptoapi nls_cp437 nls_ascii nls_iso8859_1 inet_diag tcp_diag udp_diag raw_diag
    unix_diag netlink_diag af_packet_diag'''.split()
# What the initramfs needs to mount the root disk. ext4 asks for crc32c by an alias only.
BOOT = 'virtio_pci virtio_blk crc32c_generic crc32c_intel crc32c_cryptoapi ext4'.split()
# Large parts of a module package of which the scenario needs nothing.
NOT_NEEDED = ('*/kernel/sound/*', '*/kernel/drivers/gpu/*', '*/kernel/drivers/media/*',
              '*/kernel/drivers/infiniband/*', '*/kernel/drivers/scsi/*', '*/kernel/drivers/usb/*',
              '*/kernel/drivers/staging/*', '*/kernel/drivers/iio/*', '*/kernel/drivers/hwmon/*',
              '*/kernel/drivers/net/wireless/*', '*/usr/share/*', '*/System.map*')


def module_name(path):
    """The name that the kernel gives to a module file: crc32c_intel for .../crc32c-intel.ko.xz."""
    return pathlib.PurePath(path).name.split('.ko')[0].replace('-', '_')


def read_module(path):
    """A module's ELF bytes; the file may be compressed."""
    if path.suffix == '.xz':
        return lzma.decompress(path.read_bytes())
    if path.suffix == '.zst':
        return run(['zstd', '-dc', path])
    return path.read_bytes()


def dependencies(image):
    """The names after depends= in a module's .modinfo."""
    match = re.search(rb'(?:^|\0)depends=([^\0]*)\0', image)
    names = match[1].decode().split(',') if match else []
    return [name.replace('-', '_') for name in names if name]


def closure(wanted, depends):
    """The wanted names and all that they need, each after what it needs itself.

    depends maps a name to the names that it needs; a name that it does not have is left out (it is
    built in, or this kernel has no such module).
    """
    ordered = []

    def add(name):
        if name in ordered or name not in depends:
            return
        for needed in depends[name]:
            add(needed)
        ordered.append(name)

    for name in wanted:
        add(name)
    return ordered


def extract(tree, target):
    """Copies the modules that the scenario needs from an unpacked package, decompressed.

    Keeps their paths below lib/modules/RELEASE. Raises LabError where there are none at all.
    """
    available = {module_name(path): path for path in tree.rglob('*.ko*')}
    images, depends = {}, {}
    pending = [name for name in SCENARIO + BOOT if name in available]
    while pending:
        name = pending.pop()
        if name in images:
            continue
        images[name] = read_module(available[name])
        depends[name] = dependencies(images[name])
        pending += [needed for needed in depends[name] if needed in available]
    if not images:
        raise LabError(f'{tree}: none of the modules that the scenario needs')
    for name, image in images.items():
        relative = available[name].relative_to(tree)
        destination = target / relative.with_name(relative.name.split('.ko')[0] + '.ko')
        destination.parent.mkdir(parents=True, exist_ok=True)
        destination.write_bytes(image)
    return depends


def run_depmod(userland, root, release):
    """Writes modules.dep and its companions below root/lib/modules/RELEASE, with kmod's depmod."""
    depmod = userland.folder / 'depmod'
    if not depmod.is_symlink():
        depmod.symlink_to('bin/kmod')
    done = subprocess.run([depmod, '-b', root, release], env=userland.environment(),
                          capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise LabError(f'depmod for {release}: {done.stderr.strip()}')
