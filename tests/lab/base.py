# SPDX-FileCopyrightText: engram contributors
# SPDX-License-Identifier: Apache-2.0
"""What every part of the lab needs: its error, progress lines, running host programs, digests."""
import hashlib
import os
import pathlib
import shutil
import subprocess
import threading
import time

LAB = pathlib.Path(__file__).resolve().parent
REPOSITORY = LAB.parent.parent
_ERROR_TAIL = 2000


class LabError(Exception):
    """The lab cannot go on. The text says what, where and what was expected."""


class Progress:
    """Prints lines such as "lab: 6.12: booting (12 s)", the seconds since this object was made."""

    def __init__(self):
        self._start = time.monotonic()
        self._lock = threading.Lock()

    def say(self, subject, text):
        """Prints one line; safe to call from several threads."""
        elapsed = time.monotonic() - self._start
        with self._lock:
            print(f'lab: {subject}: {text} ({elapsed:.0f} s)', flush=True)


def run(command, **options):
    """Runs a host program and returns what it printed (bytes).

    Raises LabError, with the end of its messages, where it is absent or fails.
    """
    command = [str(word) for word in command]
    try:
        done = subprocess.run(command, capture_output=True, check=False, **options)
    except FileNotFoundError as error:
        raise LabError(f'{command[0]}: not found (see tests/lab/packages.txt)') from error
    if done.returncode != 0:
        said = (done.stderr or done.stdout).decode(errors='replace')[-_ERROR_TAIL:].strip()
        raise LabError(f'{" ".join(command[:6])}: exit status {done.returncode}: {said}')
    return done.stdout


def missing_packages():
    """The packages of packages.txt that are not installed on this host, in order."""
    if not shutil.which('dpkg-query'):
        raise LabError('dpkg-query: not found; the lab needs a Debian host with apt')
    wanted = (LAB / 'packages.txt').read_text().split()
    query = ['dpkg-query', '-W', '-f', '${Package} ${db:Status-Status}\n', *wanted]
    listing = subprocess.run(query, capture_output=True, text=True, check=False).stdout
    installed = {line.split()[0] for line in listing.splitlines() if line.endswith(' installed')}
    return [name for name in wanted if name not in installed]


def digest(*parts):
    """A SHA-256 over texts, bytes, and the names and contents of files (pathlib.Path)."""
    total = hashlib.sha256()
    for part in parts:
        if isinstance(part, pathlib.Path):
            part = part.name.encode() + b'\0' + part.read_bytes()
        elif isinstance(part, str):
            part = part.encode()
        total.update(hashlib.sha256(part).digest())
    return total.hexdigest()


def files_under(folder):
    """Every file below a folder of the lab, sorted; caches that Python leaves are no sources."""
    return sorted(path for path in folder.rglob('*')
                  if path.is_file() and '__pycache__' not in path.parts)


def replace_text(path, text):
    """Writes a file as a whole: under a temporary name, then renamed."""
    temporary = path.with_name(f'{path.name}.{os.getpid()}.tmp')
    temporary.write_text(text)
    temporary.rename(path)
