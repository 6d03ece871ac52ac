# SPDX-FileCopyrightText: engram contributors
# SPDX-License-Identifier: Apache-2.0
"""The machines that the lab can make dumps of: a kernel and how the virtual machine is built.

A name says what it is: KERNEL[-FLAVOUR][-OPTION...], for example 6.12, 6.1-cloud, 6.12-6g-2cpu.
"""
import dataclasses
import re

from base import LabError

# Debian suites and the kernels that they have. sid moves on: its kernel may be newer than its name.
SUITES = {'5.10': 'bullseye', '6.1': 'bookworm', '6.12': 'trixie', '7.2': 'sid'}
# Flavour in a name, and the meta package; -bpo takes the kernel from bookworm-backports.
FLAVOURS = {'': 'linux-image-amd64', 'cloud': 'linux-image-cloud-amd64',
            'rt': 'linux-image-rt-amd64', 'bpo': 'linux-image-amd64'}
_BACKPORTED = '6.12'  # the kernel of bookworm-backports
DEFAULT_FORMATS = ('raw', 'elf', 'lime')

_OPTION_HELP = {
    'la57': '5-level paging',
    'nokaslr': 'the kernel where it was linked',
    'vmcoreinfo': "QEMU's VMCOREINFO device, so its ELF has the kernel's note",
    'smear': 'also dump.smear.raw, copied piece by piece while the guest works',
    'q35': 'the q35 chipset instead of pc',
    'Ng': 'N GiB of RAM (with 4 and more, some lies above the PCI hole)',
    'Nm': 'N MiB of RAM',
    'Ncpu': 'N processors',
}


@dataclasses.dataclass(frozen=True)
class Machine:
    """One virtual machine. Two equal ones give equivalent dumps."""
    name: str
    kernel: str                 # a name of KernelSource
    memory_mb: int = 512
    cpus: int = 1
    levels: int = 4             # of page tables
    vmcoreinfo: bool = False
    smear: bool = False
    chipset: str = 'pc'
    kernel_arguments: str = ''

    @property
    def cpu_model(self):
        """QEMU's "max" has 5-level paging, and a Linux that sees it uses it.

        cx16=off: an emulated cmpxchg16b (QEMU 7.2) may leave wrong flags, at which SLUB panics.
        """
        return 'max,cx16=off' if self.levels == 5 else 'max,cx16=off,la57=off'

    def configuration(self):
        """What a dump depends on, as text for its stamp."""
        return repr(dataclasses.replace(self, name=''))


@dataclasses.dataclass(frozen=True)
class KernelSource:
    """Where a kernel comes from: the newest that a Debian suite's meta package names."""
    name: str
    suite: str
    meta_package: str


# Names that stand for more than they say.
_ALIASES = {'6.12-6g': '6.12-6g-2cpu', '7.2-nokaslr-la57': '7.2-nokaslr-la57-vmcoreinfo'}

DEFAULT_NAMES = ('6.1', '6.12', '5.10', '7.2', '6.12-la57', '6.12-6g', '7.2-nokaslr-la57',
                 '6.12-cloud', '6.12-rt-2cpu', '6.12-smear')


def kernel_source(name):
    """The source of a kernel such as 6.12 or 6.12-cloud. Raises LabError for an unknown one."""
    version, _, flavour = name.partition('-')
    unknown = version not in SUITES or flavour not in FLAVOURS
    if unknown or (flavour == 'bpo' and version != _BACKPORTED):
        raise LabError(f'{name}: unknown kernel; expected one of {", ".join(SUITES)}, '
                       f'alone or with -{", -".join(filter(None, FLAVOURS))}')
    suite = 'bookworm-backports' if flavour == 'bpo' else SUITES[version]
    return KernelSource(name, suite, FLAVOURS[flavour])


def _option_changes(option, changes):
    """The fields that one option of a name sets. Raises KeyError for an unknown option."""
    sized = re.fullmatch(r'(\d+)(g|m|cpu)', option)
    if sized:
        number = int(sized[1])
        return {'g': {'memory_mb': number * 1024}, 'm': {'memory_mb': number},
                'cpu': {'cpus': number}}[sized[2]]
    if option == 'nokaslr':
        arguments = changes.get('kernel_arguments', '')
        return {'kernel_arguments': f'{arguments} nokaslr'.strip()}
    return {'la57': {'levels': 5}, 'vmcoreinfo': {'vmcoreinfo': True}, 'smear': {'smear': True},
            'q35': {'chipset': 'q35'}}[option]


def machine(name):
    """The machine of a name. Raises LabError where a part of the name means nothing."""
    kernel, *options = _ALIASES.get(name, name).split('-')
    if options and options[0] in FLAVOURS:
        kernel = f'{kernel}-{options.pop(0)}'
    kernel_source(kernel)
    changes = {}
    for option in options:
        try:
            changes.update(_option_changes(option, changes))
        except KeyError:
            raise LabError(f'{name}: unknown option "{option}"; expected some of '
                           f'{", ".join(_OPTION_HELP)}') from None
    return Machine(name=name, kernel=kernel, **changes)


def describe():
    """Text about the names for `lab.py list`."""
    lines = [f'  {option:<12}{text}' for option, text in _OPTION_HELP.items()]
    flavours = ', '.join(f'-{flavour}' for flavour in FLAVOURS if flavour)
    return '\n'.join([f'kernels: {", ".join(SUITES)}, each also with {flavours} '
                      f'(-bpo: {_BACKPORTED} only)',
                      'options, added to the name with a hyphen:', *lines])
