# SPDX-FileCopyrightText: engram contributors
# SPDX-License-Identifier: Apache-2.0
"""The collector's frames (guest/collector/record.h): a name with bytes, a target or an error."""
import dataclasses
import gzip
import re

_FIRST_LINE = b'@@LABTRUTH 1\n'
_LAST_LINE = b'@@END\n'


class BadFrames(ValueError):
    """The record is not whole."""


@dataclasses.dataclass(frozen=True)
class Frame:
    """One recorded thing. kind is F (content), L (target of a link) or E (error number)."""
    kind: str
    content: bytes = b''
    error: int = 0


def unescape(name):
    r"""A frame's name as text: \xNN is a byte; bytes that are no UTF-8 become surrogates."""
    raw = re.sub(rb'\\x([0-9a-f]{2})', lambda match: bytes([int(match[1], 16)]), name)
    return raw.decode('utf-8', 'surrogateescape')


def escape(name):
    """The reverse of unescape()."""
    raw = name.encode('utf-8', 'surrogateescape')
    return b''.join(b'\\x%02x' % byte if byte <= 32 or byte == 92 or byte > 126 else bytes([byte])
                    for byte in raw)


def parse(data):
    """{name: Frame} of a record. Raises BadFrames where it is cut off or is no record."""
    if not data.startswith(_FIRST_LINE):
        raise BadFrames(f'the record starts with {data[:16]!r}, expected {_FIRST_LINE!r}')
    found, position = {}, len(_FIRST_LINE)
    while not data.startswith(_LAST_LINE, position):
        end = data.find(b'\n', position)
        match = re.fullmatch(rb'@@([FLE]) (\S+) (\d+)', data[position:end]) if end >= 0 else None
        if not match:
            raise BadFrames(f'no frame at {position:#x}: {data[position:position + 40]!r}')
        kind, name, number = match[1].decode(), unescape(match[2]), int(match[3])
        position = end + 1
        if kind == 'E':
            found.setdefault(name, Frame(kind, error=number))
            continue
        content = data[position:position + number]
        if len(content) != number:
            raise BadFrames(f'{name}: {len(content)} bytes at {position:#x}, expected {number}')
        found[name] = Frame(kind, content)
        position += number + 1
    return found


def pack(frames):
    """The reverse of parse()."""
    parts = [_FIRST_LINE]
    for name, frame in frames.items():
        number = frame.error if frame.kind == 'E' else len(frame.content)
        parts.append(b'@@%s %s %d\n' % (frame.kind.encode(), escape(name), number))
        if frame.kind != 'E':
            parts += [frame.content, b'\n']
    parts.append(_LAST_LINE)
    return b''.join(parts)


def load(path):
    """Reads a record from the truth disk, or from truth.raw.gz."""
    opener = gzip.open if path.suffix == '.gz' else open
    with opener(path, 'rb') as file:
        return parse(file.read())


def text_of(content):
    """Bytes as text; what is no UTF-8 becomes a backslash and its number."""
    return content.decode('utf-8', 'backslashreplace')


class Record:
    """Frames with questions that the parsers ask."""

    def __init__(self, frames):
        self.frames = frames

    def content(self, name):
        """Bytes of a file, or None where it was not recorded or could not be read."""
        frame = self.frames.get(name)
        return frame.content if frame and frame.kind != 'E' else None

    def text(self, name):
        """As content(), decoded."""
        content = self.content(name)
        return None if content is None else text_of(content)

    def line(self, name):
        """As text(), without the line's end: for files of one line."""
        text = self.text(name)
        return None if text is None else text.rstrip('\n')

    def is_link(self, name):
        """Whether the name is a link that could be read."""
        return name in self.frames and self.frames[name].kind == 'L'

    def below(self, prefix):
        """The recorded names that start so, sorted."""
        return sorted(name for name in self.frames if name.startswith(prefix))

    def lines_below(self, prefix):
        """{rest of the name: line()} of all readable files whose names start so."""
        return {name[len(prefix):]: self.line(name) for name in self.below(prefix)
                if self.content(name) is not None}
