# SPDX-FileCopyrightText: engram contributors
# SPDX-License-Identifier: Apache-2.0
"""Files with holes: pages of zeros are not written, so a dump takes the disk that it needs."""
import contextlib
import errno
import fcntl
import os
import threading

from base import LabError

BLOCK = 4096
_PIECE = 1 << 20
_ZEROS = bytes(_PIECE)


def _is_zero(piece):
    return piece == _ZEROS[:len(piece)]


def write(descriptor, offset, data):
    """Writes data at an offset of a fresh file, leaving out the blocks that are all zero."""
    view = memoryview(data)
    if len(view) <= _PIECE and _is_zero(view):
        return
    start = position = 0  # what lies between the two is not zero and not yet written
    while position < len(view):
        end = min(len(view), position + BLOCK - (offset + position) % BLOCK)
        if _is_zero(view[position:end]):
            if start < position:
                os.pwrite(descriptor, view[start:position], offset + start)
            start = end
        position = end
    if start < position:
        os.pwrite(descriptor, view[start:position], offset + start)


def copy(source, source_offset, target, target_offset, length):
    """Copies a range between descriptors; holes of the source are skipped, not read."""
    position, end = source_offset, source_offset + length
    while position < end:
        try:
            position = max(position, os.lseek(source, position, os.SEEK_DATA))
        except OSError as error:
            if error.errno == errno.ENXIO:  # nothing but a hole up to the end of the file
                return
            raise
        extent_end = min(end, os.lseek(source, position, os.SEEK_HOLE)) if position < end else end
        while position < extent_end:
            piece = os.pread(source, min(_PIECE, extent_end - position), position)
            if not piece:
                raise LabError(f'the source ends at {position:#x}, expected data up to {end:#x}')
            write(target, target_offset + position - source_offset, piece)
            position += len(piece)


@contextlib.contextmanager
def receiver(path, work):
    """Gives the name of a pipe; what a program writes to it becomes a file with holes at path.

    The program must have opened and closed the pipe before the block is left.
    """
    pipe = work / f'{path.name}.pipe'
    os.mkfifo(pipe)
    # Held open so that neither side waits for the other; closing it makes the end of the data.
    keeper = os.open(pipe, os.O_RDWR)
    source = os.open(pipe, os.O_RDONLY)
    with contextlib.suppress(OSError):  # a limit for unprivileged users; only slower
        fcntl.fcntl(keeper, fcntl.F_SETPIPE_SZ, _PIECE)
    failures = []
    thread = threading.Thread(target=_drain, args=(source, path, failures))
    thread.start()
    try:
        yield pipe
    finally:
        os.close(keeper)
        thread.join()
        os.close(source)
        pipe.unlink()
    if failures:
        raise LabError(f'{path}: {failures[0]}')


def _drain(source, path, failures):
    try:
        with open(path, 'wb') as target:
            offset = 0
            while data := _read_piece(source):
                write(target.fileno(), offset, data)
                offset += len(data)
            target.truncate(offset)
    except OSError as error:
        failures.append(error)
        while os.read(source, _PIECE):  # or the writer would wait for ever
            pass


def _read_piece(source):
    """Up to one piece; shorter only at the end."""
    parts, length = [], 0
    while length < _PIECE and (part := os.read(source, _PIECE - length)):
        parts.append(part)
        length += len(part)
    return parts[0] if len(parts) == 1 else b''.join(parts)
