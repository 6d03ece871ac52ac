# SPDX-FileCopyrightText: engram contributors
# SPDX-License-Identifier: Apache-2.0
"""Debian packages through a private apt configuration: downloaded and unpacked, never installed.

The system's apt configuration is only read, to find the mirror that this machine uses.
"""
import collections
import pathlib
import re
import shutil
import subprocess
import threading

from base import LabError, run

_SYSTEM_SOURCES = pathlib.Path('/etc/apt')
# Passed on to the private configuration; the rest (architectures, ...) is of no use to it.
_KEPT_OPTIONS = ('signed-by', 'trusted')
# Two threads may want the same suite; apt would refuse the second.
_LOCKS = collections.defaultdict(threading.Lock)


def parse_one_line(text):
    """(options, URI) of each deb line of a sources.list."""
    found = []
    for line in text.splitlines():
        match = re.match(r'\s*deb\s+(?:\[([^]]*)\]\s+)?(\S+)\s+\S+', line)
        if match:
            words = (word.partition('=') for word in (match[1] or '').split())
            found.append(({key.lower(): value for key, _, value in words}, match[2]))
    return found


def parse_deb822(text):
    """(options, URI) of each URI of a .sources file."""
    found = []
    for stanza in re.split(r'\n\s*\n', text):
        fields = {}
        for line in stanza.splitlines():
            key, colon, value = line.partition(':')
            if colon and not line.startswith(('#', ' ', '\t')):
                fields[key.strip().lower()] = value.strip()
        if 'deb' in fields.get('types', '').split() and fields.get('enabled', 'yes') != 'no':
            found += [(fields, uri) for uri in fields.get('uris', '').split()]
    return found


def choose_mirror(sources):
    """The source that mirrors Debian itself: its path ends in /debian. None where there is none."""
    for options, uri in sources:
        if uri.rstrip('/').endswith('/debian'):
            kept = ' '.join(f'{key}={options[key]}' for key in _KEPT_OPTIONS if options.get(key))
            return (f'[{kept}] ' if kept else '') + uri
    return None


def find_mirror():
    """The machine's Debian mirror as the start of a deb line. Raises LabError without one."""
    sources = []
    for path in sorted(_SYSTEM_SOURCES.glob('sources.list.d/*.sources')):
        sources += parse_deb822(path.read_text(errors='replace'))
    one_line = [_SYSTEM_SOURCES / 'sources.list', *_SYSTEM_SOURCES.glob('sources.list.d/*.list')]
    for path in one_line:
        if path.exists():
            sources += parse_one_line(path.read_text(errors='replace'))
    mirror = choose_mirror(sources)
    if mirror is None:
        raise LabError("no Debian mirror in this machine's apt configuration (/etc/apt): "
                       'expected a source whose path ends in /debian')
    return mirror


class Suite:
    """One Debian suite as the mirror has it now."""

    def __init__(self, layout, name):
        self.name = name
        self._folder = layout.apt / name
        self._lock = _LOCKS[self._folder]
        self._options = [
            '-o', f'Dir::Etc::sourcelist={self._folder}/sources.list',
            '-o', 'Dir::Etc::sourceparts=/dev/null',
            '-o', 'Dir::Etc::preferences=/dev/null',
            '-o', 'Dir::Etc::preferencesparts=/dev/null',
            '-o', f'Dir::State={self._folder}',
            '-o', f'Dir::State::lists={self._folder}/lists',
            '-o', f'Dir::Cache={self._folder}/cache',
            '-o', 'APT::Default-Release=',
            '-o', 'APT::Sandbox::User=root',
            '-o', 'Acquire::Languages=none',
            '-o', 'Acquire::Retries=3',
        ]

    def refresh(self):
        """Fetches the suite's package lists anew."""
        shutil.rmtree(self._folder, ignore_errors=True)
        for part in ('lists/partial', 'cache/archives/partial'):
            (self._folder / part).mkdir(parents=True)
        line = f'deb {find_mirror()} {self.name} main\n'
        (self._folder / 'sources.list').write_text(line)
        run(['apt-get', *self._options, 'update', '-qq'])
        (self._folder / 'fresh').touch()

    def _ready(self):
        with self._lock:
            if not (self._folder / 'fresh').exists():
                self.refresh()

    def show(self, package):
        """The control fields of the newest version of a package. Raises LabError without one."""
        self._ready()
        text = run(['apt-cache', *self._options, 'show', '--no-all-versions', package]).decode()
        lines = (line.partition(': ') for line in text.split('\n\n')[0].splitlines())
        fields = {key: value for key, _, value in lines}
        if 'Version' not in fields:
            raise LabError(f'{package}: not in the Debian suite {self.name}')
        return fields

    def download(self, packages, folder):
        """Downloads packages into a folder and returns the paths of the .deb files."""
        self._ready()
        folder.mkdir(parents=True, exist_ok=True)
        run(['apt-get', *self._options, 'download', '-qq', *packages], cwd=folder)
        return sorted(folder.glob('*.deb'))


def unpack(package, folder, excluded=()):
    """Unpacks a .deb, without the members that match one of the tar patterns."""
    folder.mkdir(parents=True, exist_ok=True)
    options = [f'--exclude={pattern}' for pattern in excluded]
    with subprocess.Popen(['dpkg-deb', '--fsys-tarfile', str(package)],
                          stdout=subprocess.PIPE) as members:
        run(['tar', '-x', '-C', folder, '--no-same-owner', *options], stdin=members.stdout)
        if members.wait() != 0:
            raise LabError(f'{package}: dpkg-deb could not read it')
