#!/usr/bin/env python3
# SPDX-FileCopyrightText: engram contributors
# SPDX-License-Identifier: Apache-2.0
"""Converts a dump of the lab with `engram convert` and looks whether it is the same memory, for engram and for others.

converted.py --engram PROGRAM --compare PROGRAM --judge PROGRAM --dump FOLDER CASE

`raw`: through all formats that keep every byte and back, with equal bytes and equal holes. `kdump-...`: every page
against the dump; libkdumpfile agrees page by page, and makedumpfile (where Debian's can unpack it) reads the log.
crash opens all that it should: it says the kernel's release (more of it needs the kernel's debug information).
"""
import argparse
import json
import pathlib
import re
import subprocess
import sys
import tempfile

from case import Case

UNPACKED_BY_MAKEDUMPFILE = {"kdump", "kdump-zlib", "kdump-lzo"}  # Debian 12 builds it without snappy and zstd


class ConvertedCase(Case):
    """One that converts the dump."""

    def __init__(self, arguments, folder):
        super().__init__(arguments)
        self.dump = arguments.dump
        self.folder = folder

    def convert(self, source, target):
        """The new file."""
        out = self.folder / f"{source.name}.{target}"
        print(self.run(self.arguments.engram, "convert", source, out, "--to", target), end="")
        return out

    def pages(self, first, second, second_only=0):
        """Every page of the first is in the second, and no other but so many."""
        counts = json.loads(self.run(self.arguments.compare, first, second))
        print(second.name, counts)
        self.expect(counts["same"] > 10_000, f"too few pages: {counts}")
        self.expect(counts["different"] == counts["first_only"] == 0, f"other pages: {counts}")
        self.expect(counts["second_only"] == second_only, f"{second_only} pages more expected: {counts}")

    def facts(self, image):
        """What the notes say."""
        sql = "SELECT cpus, vmcoreinfo FROM image_info"
        row, = json.loads(self.run(self.arguments.engram, "query", image, sql, "--format", "json"))
        return row


def blocks(path):
    """Bytes that a file has on the disk."""
    return path.stat().st_blocks * 512


def raw(case):
    """raw, ELF, LiME, AVML, raw; and LiME, AVML, LiME."""
    original = case.dump / "dump.raw"
    image = original
    for target in ("elf", "lime", "avml", "raw"):
        image = case.convert(image, target)
    case.run("cmp", original, image)
    case.expect(blocks(image) <= blocks(original) * 1.02, f"holes: {blocks(image)}, {blocks(original)} expected")
    original = case.dump / "dump.lime"
    image = case.convert(case.convert(original, "avml"), "lime")
    case.run("cmp", original, image)
    out = case.folder / "linux.dmp"
    done = subprocess.run([case.arguments.engram, "convert", original, out, "--to", "dmp"], capture_output=True,
                          encoding="utf-8", check=False)
    case.expect(done.returncode != 0 and "the image holds Linux: elf and the kdumps are for that" in done.stderr,
                f"a crash dump of Linux: {done.stderr}")
    case.expect(not out.exists(), "a crash dump of Linux was left behind")


def kdump(target):
    """A case: a kdump of the ELF core, with the registers of its notes and VMCOREINFO from the kernel's memory."""
    def run(case):
        source = case.dump / "dump.elf"
        image = case.convert(source, target)
        case.pages(source, image)
        wanted, found = case.facts(source), case.facts(image)
        case.expect(found["cpus"] == wanted["cpus"] >= 1, f"{found}, {wanted} expected")
        case.expect(found["vmcoreinfo"], f"no VMCOREINFO: {found}")
        counts = json.loads(case.run(case.arguments.judge, image))
        print("libkdumpfile:", counts)
        case.expect(counts["same"] > 10_000, f"too few pages: {counts}")
        case.expect(counts["different"] == counts["engram_only"] == counts["libkdumpfile_only"] == 0, f"{counts}")
        release(case, image)
        if target in UNPACKED_BY_MAKEDUMPFILE:
            log(case, image)
    return run


def release(case, image):
    """crash takes it for a dump, and finds VMCOREINFO in it. It ends with 1 if it finds none."""
    wanted = json.loads((case.dump / "meta.json").read_text(encoding="utf-8"))["release"]
    found = case.run("crash", "--osrelease", image).strip()
    case.expect(found == wanted, f"crash: release {found!r}, {wanted!r} expected")


def log(case, image):
    """makedumpfile finds the kernel's log in it."""
    out = case.folder / "dmesg"
    case.run("makedumpfile", "--message-level", "0", "--dump-dmesg", image, out)
    found, truth = (path.read_text(encoding="utf-8", errors="replace").splitlines() for path in (out, case.dump / "dmesg.txt"))
    # makedumpfile and the kernel write characters that are no text in other ways, and only the kernel repeats the time
    # before each line of a record that has several.
    prefix = re.compile(r"^(<\d+>)?(\[ *\d+\.\d+\])? *")
    ours, wanted = ([prefix.sub("", line) for line in lines if "\\" not in line] for lines in (found, truth))
    case.expect(len(wanted) > 100 and ours == wanted, f"the log differs: {len(ours)} lines, {len(wanted)} expected")


def elf(case):
    """makedumpfile reads the ELF core of a raw image: what it needs comes from the kernel's memory."""
    image = case.convert(case.dump / "dump.raw", "elf")
    case.pages(case.dump / "dump.raw", image)
    release(case, image)
    log(case, image)


CASES = {"raw": raw, "elf": elf}
CASES |= {name: kdump(name) for name in ("kdump", "kdump-zlib", "kdump-lzo", "kdump-snappy", "kdump-zstd")}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--engram", required=True)
    parser.add_argument("--compare", required=True)
    parser.add_argument("--judge", required=True)
    parser.add_argument("--dump", required=True, type=pathlib.Path)
    parser.add_argument("case", choices=CASES)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.dump.parent.parent, prefix="converted.") as folder:
        case = ConvertedCase(arguments, pathlib.Path(folder))
        CASES[arguments.case](case)
    print("\n".join(case.problems))
    print(f"{arguments.case}: {len(case.problems)} wrong")
    return 1 if case.problems else 0


if __name__ == "__main__":
    sys.exit(main())
