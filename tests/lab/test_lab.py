# SPDX-FileCopyrightText: engram contributors
# SPDX-License-Identifier: Apache-2.0
"""Tests of names, mirrors, modules, archives and stamps: what the lab decides before it boots."""
import pathlib
import tempfile
import unittest

import base
import debian
import dump
import initramfs
import kernels
import machines
import modules
import userland
import verify
from base import LabError
from layout import Layout


class Names(unittest.TestCase):
    """machines.py"""

    def test_options(self):
        machine = machines.machine('6.1-cloud-la57-2g-3cpu-nokaslr-q35-smear')
        self.assertEqual((machine.kernel, machine.levels, machine.memory_mb, machine.cpus,
                          machine.kernel_arguments, machine.chipset, machine.smear),
                         ('6.1-cloud', 5, 2048, 3, 'nokaslr', 'q35', True))

    def test_aliases(self):
        self.assertEqual((machines.machine('6.12-6g').memory_mb, machines.machine('6.12-6g').cpus),
                         (6144, 2))
        self.assertTrue(machines.machine('7.2-nokaslr-la57').vmcoreinfo)

    def test_every_default_name_is_good(self):
        for name in machines.DEFAULT_NAMES:
            self.assertEqual(machines.machine(name).name, name)

    def test_unknown_parts_are_named(self):
        with self.assertRaisesRegex(LabError, '6.99'):
            machines.machine('6.99')
        with self.assertRaisesRegex(LabError, 'turbo'):
            machines.machine('6.12-turbo')

    def test_the_name_alone_does_not_change_a_configuration(self):
        self.assertEqual(machines.machine('6.12-6g').configuration(),
                         machines.machine('6.12-2cpu-6g').configuration())
        self.assertNotEqual(machines.machine('6.12').configuration(),
                            machines.machine('6.12-la57').configuration())

    def test_backports_come_from_their_own_suite(self):
        self.assertEqual(machines.kernel_source('6.12-bpo').suite, 'bookworm-backports')
        with self.assertRaises(LabError):
            machines.kernel_source('7.2-bpo')


class Mirror(unittest.TestCase):
    """The mirror in debian.py"""

    DEB822 = '''# a comment
Types: deb
URIs: http://mirror.example/debian-security
Suites: bookworm-security

Types: deb deb-src
URIs: http://mirror.example/debian/
Suites: bookworm
Signed-By: /usr/share/keyrings/archive.gpg
'''

    def test_deb822(self):
        self.assertEqual(
            debian.choose_mirror(debian.parse_deb822(self.DEB822)),
            '[signed-by=/usr/share/keyrings/archive.gpg] http://mirror.example/debian/')

    def test_a_disabled_source_is_not_used(self):
        text = self.DEB822.replace('Types: deb deb-src', 'Enabled: no\nTypes: deb')
        self.assertIsNone(debian.choose_mirror(debian.parse_deb822(text)))

    def test_one_line(self):
        text = '''# deb http://old.example/debian sid main
deb-src http://mirror.example/debian bookworm main
deb [arch=amd64 trusted=yes] https://mirror.example/pub/debian bookworm main
'''
        self.assertEqual(debian.choose_mirror(debian.parse_one_line(text)),
                         '[trusted=yes] https://mirror.example/pub/debian')


class KernelPackages(unittest.TestCase):
    """kernels.py"""

    class Suite:
        """A suite with a few packages."""

        def __init__(self, packages):
            self.packages = packages

        def show(self, name):
            """As debian.Suite.show()."""
            version, depends = self.packages[name]
            return {'Package': name, 'Version': version, 'Depends': depends}

    def test_one_package(self):
        suite = self.Suite({
            'linux-image-amd64': ('1', 'linux-image-6.1.0-50-amd64 (= 6.1.176-1)'),
            'linux-image-6.1.0-50-amd64': ('6.1.176-1', 'kmod, linux-base (>= 4.3)')})
        self.assertEqual(kernels.concrete_packages(suite, 'linux-image-amd64'),
                         {'linux-image-6.1.0-50-amd64': '6.1.176-1'})

    def test_split_packages(self):
        parts = [f'linux-{part}-7.2.13+deb14-amd64' for part in ('binary', 'modules', 'base')]
        image = 'linux-image-7.2.13+deb14-amd64'
        suite = self.Suite({
            'linux-image-amd64': ('7', f'linux-base-amd64 (= 7), {image} (= 7)'),
            image: ('7', ', '.join(f'{name} (= 7)' for name in parts)),
            **{name: ('7', '') for name in parts}})
        self.assertEqual(kernels.concrete_packages(suite, 'linux-image-amd64'),
                         {name: '7' for name in parts})

    def test_no_kernel(self):
        with self.assertRaisesRegex(LabError, 'no kernel image'):
            kernels.image_package({'Package': 'linux-image-amd64', 'Depends': 'kmod'})


class Modules(unittest.TestCase):
    """modules.py"""

    def test_names(self):
        self.assertEqual(modules.module_name('kernel/arch/x86/crypto/crc32c-intel.ko.xz'),
                         'crc32c_intel')

    def test_dependencies(self):
        image = b'\x7fELF...\0license=GPL\0depends=stp,llc-two\0name=bridge\0'
        self.assertEqual(modules.dependencies(image), ['stp', 'llc_two'])
        self.assertEqual(modules.dependencies(b'\0depends=\0'), [])

    def test_closure_orders_and_leaves_out_what_is_built_in(self):
        depends = {'bridge': ['stp', 'llc'], 'stp': ['llc'], 'llc': [], 'fuse': []}
        self.assertEqual(modules.closure(['bridge', 'ext4', 'llc'], depends),
                         ['llc', 'stp', 'bridge'])


class Archive(unittest.TestCase):
    """initramfs.py"""

    def test_members_are_aligned_and_ended(self):
        data = initramfs.archive(['bin'], {'init': (0o755, b'#!/bin/sh\n')})
        self.assertEqual(len(data) % 4, 0)
        at = data.index(b'init\0')
        self.assertEqual(data[at - 110:at - 104], b'070701')
        self.assertEqual(data[at + 6:at + 16], b'#!/bin/sh\n')  # 110 + 5 is padded to 116
        self.assertIn(b'TRAILER!!!\0', data)


class Libraries(unittest.TestCase):
    """userland.py"""

    def test_paths_of_ldd(self):
        listing = ('\tlinux-vdso.so.1 (0x00007ffc)\n\tlibc.so.6 => /lib/x/libc.so.6 (0x00007f)\n'
                   '\t/lib64/ld-linux-x86-64.so.2 (0x00007f)\n')
        self.assertEqual(userland.libraries(listing),
                         ['/lib/x/libc.so.6', '/lib64/ld-linux-x86-64.so.2'])

    def test_a_missing_library_is_named(self):
        with self.assertRaisesRegex(LabError, 'libmnl.so.0'):
            userland.libraries('\tlibmnl.so.0 => not found\n')


class Markers(unittest.TestCase):
    """verify.py"""

    def test_offsets(self):
        lines = ['rwx 0x1000 12288 RWX-MARKER@64', 'thp 0x200000 THP-MARKER@0x12345', 'none 0x5000',
                 'heap 0x3010 HEAP-MARKER']
        self.assertEqual(verify.markers(lines), [(0x1040, 'RWX-MARKER'), (0x212345, 'THP-MARKER'),
                                                 (0x3010, 'HEAP-MARKER')])

    def test_a_check_that_compared_nothing_is_bad(self):
        self.assertFalse(verify.Check('nothing').good)


class State(unittest.TestCase):
    """What dump.py finds to do."""

    def setUp(self):
        holder = tempfile.TemporaryDirectory()
        self.addCleanup(holder.cleanup)
        self.layout = Layout(pathlib.Path(holder.name))
        self.machine = machines.machine('6.12')
        kernel = self.layout.kernels / '6.12'
        kernel.mkdir(parents=True)
        facts = '{"release": "6", "packages": {"p": "1"}, "depends": {}}'
        (kernel / 'kernel.json').write_text(facts)
        self.folder = self.layout.dump('6.12')
        self.folder.mkdir(parents=True)
        key = dump.dump_key(self.machine, kernels.installed(self.layout, '6.12'))
        self.stamp(key, dump.truth_key())
        for name in ('dump.raw', 'dump.elf', 'dump.migration'):
            (self.folder / name).touch()

    def stamp(self, dump_key, truth_key):
        """Writes the stamp of the finished dump."""
        base.replace_text(self.folder / 'stamp.json',
                          f'{{"dump": "{dump_key}", "truth": "{truth_key}"}}')

    def state(self, *wanted):
        """What is to be done for these formats."""
        return dump.state(self.layout, self.machine, wanted)

    def test_all_there(self):
        self.assertEqual(self.state('raw', 'elf'), set())

    def test_a_format_that_can_be_converted(self):
        self.assertEqual(self.state('raw', 'avml'), {'formats'})

    def test_a_format_that_only_qemu_can_write(self):
        self.assertEqual(self.state('kdump-lzo'), {'dump'})

    def test_new_parsers(self):
        key = dump.dump_key(self.machine, kernels.installed(self.layout, '6.12'))
        self.stamp(key, 'old')
        self.assertEqual(self.state('raw'), {'truth'})

    def test_another_kernel_version(self):
        path = self.layout.kernels / '6.12/kernel.json'
        path.write_text(path.read_text().replace('"1"', '"2"'))
        self.assertEqual(self.state('raw'), {'dump'})

    def test_nothing_was_made(self):
        self.assertEqual(dump.state(self.layout, machines.machine('6.1'), ('raw',)), {'dump'})


if __name__ == '__main__':
    unittest.main()
