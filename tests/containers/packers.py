# SPDX-FileCopyrightText: engram contributors
# SPDX-License-Identifier: Apache-2.0
"""Packs a file as a whole, by the programs that do so and as they would."""
import os
import struct
import subprocess
import tempfile
import zlib


def bgzf(data):
    """A member of BGZF, as bgzip writes it."""
    packer = zlib.compressobj(1, zlib.DEFLATED, -zlib.MAX_WBITS)
    packed = packer.compress(data) + packer.flush()
    return (b"\x1f\x8b\x08\x04\0\0\0\0\0\xff" + struct.pack("<H2sHH", 6, b"BC", 2, len(packed) + 25) + packed
            + struct.pack("<II", zlib.crc32(data), len(data)))


def write_bgzf(source, path):
    """The file in members of 65280 bytes, and the empty one that ends it."""
    zeros = bgzf(bytes(0xFF00))
    with open(source, "rb") as file, open(path, "wb") as target:
        while data := file.read(0xFF00):
            target.write(zeros if not any(data) else bgzf(data))
        target.write(bgzf(b""))


def write_frames(source, path):
    """The file in zstd frames of 8 MiB."""
    with open(source, "rb") as file, open(path, "wb") as target, tempfile.NamedTemporaryFile() as piece:
        while data := file.read(8 << 20):
            os.pwrite(piece.fileno(), data, 0)
            os.truncate(piece.fileno(), len(data))
            target.flush()
            subprocess.run(["zstd", "-q", "-1", "-c", piece.name], stdout=target, check=True)


def command(*words):
    """Runs a program that packs SOURCE to standard output."""
    def write(source, path):
        with open(path, "wb") as target:
            subprocess.run([*words, source], stdout=target, check=True)
    return write


# What packs a file, of which format, and whether it is unpacked where it is read.
PACKERS = {
    "gzip": ("raw", command("gzip", "-1", "-c"), False),
    "bgzf": ("lime", write_bgzf, True),
    "xz-blocks": ("raw", command("xz", "-0", "-c", "--threads=2", "--block-size=8MiB"), True),
    "zstd": ("elf", command("zstd", "-q", "-1", "-c"), False),
    "zstd-frames": ("elf", write_frames, True),
}
