#!/usr/bin/env python3
# SPDX-FileCopyrightText: engram contributors
# SPDX-License-Identifier: Apache-2.0
"""Asks engram about files that are cut, hostile, or no memory image at all.

damage.py --engram PROGRAM --dump FOLDER CASE    where CASE is `inputs`, `hostile`, `misleading` or `cuts-FORMAT`

Whatever the file is, the program answers right or says in clear lines on standard error why it cannot, with an exit
code that is not 0. It never dies from a signal, takes longer than TIME_LIMIT or more than MEMORY_LIMIT of its own.
"""
import argparse
import json
import os
import pathlib
import random
import resource
import shutil
import struct
import subprocess
import sys
import tempfile

TIME_LIMIT = 30  # seconds, on a busy machine; the work itself is under one
MEMORY_LIMIT = 1 << 30  # bytes that are not the mapped file
CUTS = 200
QUERY = "SELECT kernel_version FROM os_version"
QEMU_CR3 = 416  # of struct QEMUCPUState (target/i386/arch_dump.c): version, size, 18 registers, 10 segments, CR0 to CR2


class Answer:
    """What one run of the program gave."""

    def __init__(self, engram, image, sql=QUERY, user=None):
        def limit():
            resource.setrlimit(resource.RLIMIT_DATA, (MEMORY_LIMIT, MEMORY_LIMIT))
            if user is not None:
                os.setuid(user)

        done = subprocess.run([engram, "query", image, sql, "--format", "json"], capture_output=True, check=False,
                              preexec_fn=limit, timeout=TIME_LIMIT)
        self.code = done.returncode
        self.output = done.stdout.decode(errors="replace")
        self.errors = done.stderr.decode(errors="replace").splitlines()

    def is_refusal(self, *words):
        """A clear error: an exit code that is not 0 and not a signal, no rows, one line that has all the words; below it
        may be the place in the SQL."""
        lines = [line for line in self.errors if not line.startswith(("engram: warning:", "engram: note:", "  "))]
        return (self.code == 1 and not self.output and len(lines) == 1 and lines[0].startswith("engram: ")
                and all(word in lines[0] for word in words))

    def __str__(self):
        return f"exit code {self.code}, output {self.output[:200]!r}, errors {self.errors[:5]}"


class Case:
    """Collects what went wrong."""

    def __init__(self, engram, dump):
        self.engram, self.dump = engram, dump
        self.problems, self.checked = [], 0

    def expect(self, right, what, answer):
        """Notes `what` as a problem if the answer is not right."""
        self.checked += 1
        if not right:
            self.problems.append(f"{what}: {answer}")

    def refuses(self, path, *words, sql=QUERY, user=None):
        """The program refuses this file with a line that has these words."""
        answer = Answer(self.engram, path, sql, user)
        self.expect(answer.is_refusal(*words), f"{path}: {sql}", answer)


def inputs(case, folder):
    """What is no memory image, and questions that cannot be answered."""
    case.refuses(folder / "no-such-file", "no-such-file", "No such file")
    case.refuses(folder, "directory")
    write(folder / "empty", b"")
    case.refuses(folder / "empty", "empty")
    write(folder / "text", b"To be, or not to be, that is the question:\n" * 50_000)
    case.refuses(folder / "text", "text")
    write(folder / "small", bytes(range(256)) * 8)
    case.refuses(folder / "small", "small")
    write(folder / "secret", bytes(2 << 20))
    os.chmod(folder / "secret", 0o600)
    if os.getuid() == 0:
        os.chmod(folder, 0o755)
        case.refuses(folder / "secret", "Permission denied", user=65534)
    write(folder / "zeros", bytes(64 << 20))
    case.refuses(folder / "zeros", "no Linux kernel")
    write(folder / "random", random.Random(5).randbytes(64 << 20))
    case.refuses(folder / "random", "no Linux kernel")
    image = case.dump / "dump.lime"
    case.refuses(image, "syntax error", sql="SELEC 1")
    case.refuses(image, "taskz", "tasks", sql="SELECT * FROM taskz")
    case.refuses(image, "no_such_column", sql="SELECT no_such_column FROM tasks")
    case.refuses(image, "source", sql="SELECT * FROM tasks WHERE source = 'nonsense'")
    case.refuses(image, "ATTACH", sql=f"ATTACH '{folder}/new.db' AS x")
    case.expect(not (folder / "new.db").exists(), "ATTACH wrote a file", "")


def hostile(case, folder):
    """Headers with counts, lengths and addresses that lie."""
    body = random.Random(7).randbytes(1 << 20)
    lime = {
        "backwards": lime_header(0x2000, 0x1000),
        "whole-space": lime_header(0, (1 << 64) - 1),
        "wraps": lime_header((1 << 64) - 0x1000, (1 << 64) - 1) + body + lime_header(0, 0xFFF),
        "version": struct.pack("<IIQQQ", 0x4C694D45, 99, 0, 0xFFF, 0),
        "tiny-ranges": b"".join(lime_header(i * 16, i * 16 + 3) + b"abcd" for i in range(30_000)),
    }
    elf = {
        "headers": elf_header(phoff=64, phnum=0xFFFE),
        "no-section": elf_header(phoff=64, phnum=0xFFFF, shoff=1 << 60),
        "far-headers": elf_header(phoff=(1 << 64) - 8, phnum=4),
        "entry-size": elf_header(phoff=64, phnum=4, phentsize=1),
        "huge-segment": elf_header(phoff=64, phnum=1) + program_header(1, 120, 0, (1 << 64) - 1),
        "far-segment": elf_header(phoff=64, phnum=1) + program_header(1, (1 << 64) - 1, 0, 0x1000),
        "endless-note": elf_header(phoff=64, phnum=2) + program_header(4, 176, 0, 64)
        + program_header(1, 4096, 0, 1 << 20) + struct.pack("<III", 0xFFFFFFFF, 0xFFFFFFFF, 1),
    }
    for name, content in {**{f"lime-{k}": v for k, v in lime.items()}, **{f"elf-{k}": v for k, v in elf.items()}}.items():
        path = folder / name
        write(path, content + body)
        answer = Answer(case.engram, path)
        case.expect(answer.is_refusal(name.split("-", maxsplit=1)[0]) or answer.is_refusal("no Linux kernel"), name, answer)


def misleading(case, folder):
    """CPU registers in the notes that lead nowhere, or to a page that is no page table: the search goes on without."""
    truth = json.loads((case.dump / "truth.json").read_text(encoding="utf-8"))
    path = folder / "misleading.elf"
    subprocess.run(["cp", "--sparse=always", case.dump / "dump.elf", path], check=True)
    with open(path, "r+b") as file:
        head = file.read(1 << 16)
        at = head.index(b"QEMU\0\0\0\0") + 8 + QEMU_CR3
        if struct.unpack_from("<Q", head, at)[0] & 0xFFF_FFFF_F000 != int(truth["registers"][0]["cr3"], 16) & ~0xFFF:
            raise SystemExit("the note of the first CPU is not where it is expected")
    for root in (0x1000, 0xDEAD_BEEF_000, (1 << 64) - 0x1000):
        with open(path, "r+b") as file:
            file.seek(at)
            file.write(struct.pack("<Q", root))
        answer = Answer(case.engram, path, "SELECT kernel_version, page_table_source FROM os_version, image_info")
        rows = json.loads(answer.output or "[]")
        case.expect([row["kernel_version"] for row in rows] == [truth["osrelease"]], f"CR3 {hex(root)}", answer)
        case.expect("scan" in rows[0]["page_table_source"], f"CR3 {hex(root)}: found by the scan", answer)


def cuts(case, folder, suffix):
    """A dump cut at random lengths: a prefix that holds the kernel answers, and says that it is cut."""
    source, path = case.dump / f"dump.{suffix}", folder / f"cut.{suffix}"
    subprocess.run(["cp", "--sparse=always", source, path], check=True)
    truth = json.loads((case.dump / "truth.json").read_text(encoding="utf-8"))
    size, chance = path.stat().st_size, random.Random(f"{suffix} 2026")
    lengths = {chance.randrange(size) for _ in range(CUTS - 20)}
    lengths |= {chance.randrange(1, 5000) for _ in range(20)}  # in the headers
    right = 0
    for length in sorted(lengths, reverse=True):
        os.truncate(path, length)
        answer = Answer(case.engram, path)
        what = f"{suffix} cut at {length} of {size}"
        if answer.code == 0:
            # The kernel may be there and its utsname behind the cut: then the cell is NULL.
            versions = [row["kernel_version"] for row in json.loads(answer.output)]
            case.expect(versions in ([truth["osrelease"]], [None]), what, answer)
            right += versions == [truth["osrelease"]]
            case.expect(any("warning" in line for line in answer.errors), what + ": not said", answer)
        else:
            case.expect(answer.is_refusal(), what, answer)
    case.expect(right > 0, f"{suffix}: no prefix was answered", "")


def write(path, content):
    """A file with that content."""
    path.write_bytes(content)


def lime_header(first, last):
    """Version 1."""
    return struct.pack("<IIQQQ", 0x4C694D45, 1, first, last, 0)


def elf_header(phoff, phnum, phentsize=56, shoff=0):
    """ELF64, little-endian, core, x86-64."""
    return struct.pack("<16sHHIQQQIHHHHHH", b"\x7fELF\x02\x01\x01", 4, 62, 1, 0, phoff, shoff, 0, 64, phentsize, phnum,
                       64, 0, 0)


def program_header(kind, offset, physical, size):
    """With equal sizes in the file and in memory."""
    return struct.pack("<IIQQQQQQ", kind, 0, offset, 0, physical, size, size, 0)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--engram", required=True)
    parser.add_argument("--dump", required=True, type=pathlib.Path)
    parser.add_argument("case", choices=["inputs", "hostile", "misleading", "cuts-raw", "cuts-lime", "cuts-elf"])
    arguments = parser.parse_args()
    case = Case(arguments.engram, arguments.dump)
    folder = pathlib.Path(tempfile.mkdtemp(prefix="engram-damage-"))
    try:
        if arguments.case.startswith("cuts-"):
            cuts(case, folder, arguments.case.removeprefix("cuts-"))
        else:
            {"inputs": inputs, "hostile": hostile, "misleading": misleading}[arguments.case](case, folder)
    finally:
        shutil.rmtree(folder)
    print("\n".join(case.problems[:20]))
    print(f"{arguments.case}: {case.checked} checked, {len(case.problems)} wrong")
    return 1 if case.problems else 0


if __name__ == "__main__":
    sys.exit(main())
