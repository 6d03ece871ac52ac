#!/usr/bin/env python3
# SPDX-FileCopyrightText: engram contributors
# SPDX-License-Identifier: Apache-2.0
"""Converts a dump of the lab into another container and looks whether engram sees the same machine in it.

containers.py --engram PROGRAM --compare PROGRAM --judge PROGRAM --dump FOLDER CASE

The converters are makedumpfile, the lab's own (tests/lab/kdump.py, tools/lime_to_avml.c), and dd's like; monitors.py
writes the headers of monitors that are not installed here. What is made is kept in build/lab/containers/ until the dump
or this code changes. Every page must be that of the dump, and absent where it should be; libkdumpfile reads each kdump,
too, and must agree page by page.
"""
import argparse
import json
import os
import pathlib
import random
import shutil
import struct
import subprocess
import sys
import tempfile

LAB = pathlib.Path(__file__).resolve().parent.parent / "lab"
sys.path[:0] = [str(LAB), str(LAB.parent / "damage")]

import damage  # noqa: E402  pylint: disable=wrong-import-position
import elf  # noqa: E402  pylint: disable=wrong-import-position
import kdump  # noqa: E402  pylint: disable=wrong-import-position
import lime  # noqa: E402  pylint: disable=wrong-import-position
import monitor_cases  # noqa: E402  pylint: disable=wrong-import-position
import monitors  # noqa: E402  pylint: disable=wrong-import-position
import packers  # noqa: E402  pylint: disable=wrong-import-position
import programs  # noqa: E402  pylint: disable=wrong-import-position
import sparse  # noqa: E402  pylint: disable=wrong-import-position
from case import Case  # noqa: E402  pylint: disable=wrong-import-position

TABLES = ("os_version", "tasks", "kallsyms")
# What is known of the file, and not of the machine; what only Windows has.
OF_THE_FILE = {"image_info", "image_ranges", "image_header", "diagnostics", "mquire_diagnostics", "registers",
               "crash_dump", "secondary_data", "handles", "threads", "process_modules", "drivers", "unloaded_drivers"}
PAGE = 4096
FIRST_SEGMENT = 0x10000
DAMAGES = 8


class Folder:
    """Where the conversions of one dump are kept."""

    def __init__(self, dump):
        self.dump = dump
        self.path = dump.parent.parent / "containers" / dump.name
        self.path.mkdir(parents=True, exist_ok=True)
        code = (pathlib.Path(module.__file__) for module in (sys.modules[__name__], monitor_cases, monitors, packers))
        sources = (dump / "dump.elf", *code)
        key = [[path.stat().st_mtime_ns, path.stat().st_size] for path in sources]
        stamp = self.path / "stamp.json"
        if not stamp.exists() or json.loads(stamp.read_text(encoding="ascii")) != key:
            shutil.rmtree(self.path)
            self.path.mkdir()
            stamp.write_text(json.dumps(key), encoding="ascii")

    def make(self, name, convert):
        """The path of a file, which convert(path) makes if it is not there."""
        path = self.path / name
        if not path.exists():
            unfinished = path.with_name(f"unfinished.{name}")
            unfinished.unlink(missing_ok=True)
            convert(unfinished)
            unfinished.rename(path)
        return path

    def elf(self):
        """The ELF core as makedumpfile reads it: program headers right behind the header, and with VMCOREINFO."""
        return self.make("dump.elf", self._write_elf)

    def _write_elf(self, path):
        truth = json.loads((self.dump / "truth.json").read_text(encoding="utf-8"))
        core = truth["vmcoreinfo_raw"].rstrip("\0").encode()
        with elf.PhysicalMemory(self.dump / "dump.elf") as memory, open(path, "wb") as target:
            notes = original_notes(memory.descriptor)
            notes += struct.pack("<III", 11, len(core), 0) + b"VMCOREINFO\0\0" + core + bytes(-len(core) % 4)
            count = len(memory.segments) + 1
            notes_at = 64 + 56 * count
            header = struct.pack("<16sHHIQQQIHHHHHH", b"\x7fELF\x02\x01\x01", 4, 62, 1, 0, 64, 0, 0, 64, 56, count,
                                 0, 0, 0)
            headers = struct.pack("<IIQQQQQQ", 4, 0, notes_at, 0, 0, len(notes), len(notes), 0)
            at, places = FIRST_SEGMENT, []
            for segment in memory.segments:
                headers += struct.pack("<IIQQQQQQ", 1, 7, at, 0, segment.physical, segment.size, segment.size, 0)
                places.append((segment, at))
                at += segment.size
            target.write(header + headers + notes)
            target.truncate(at)
            target.flush()
            for segment, place in places:
                sparse.copy(memory.descriptor, segment.offset, target.fileno(), place, segment.size)

    def kdump(self, compression):
        """A plain kdump of all pages; Debian's makedumpfile knows zlib and LZO only."""
        if compression in ("snappy", "zstd"):
            source = self.kdump("zlib")
            return self.make(f"dump.{compression}.kdump", lambda path: kdump.transcode(source, path, compression))
        options = {"none": [], "zlib": ["-c"], "lzo": ["-l"]}[compression]
        source = self.elf()
        return self.make(f"dump.{compression}.kdump", lambda path: makedumpfile(*options, "-d", "0", source, path))

    def flat(self):
        """A flattened kdump."""
        def convert(path):
            with open(path, "wb") as target:
                makedumpfile("-F", "-c", "-d", "0", source, stdout=target)
        source = self.elf()
        return self.make("dump.flat.kdump", convert)

    def avml(self):
        """AVML's compressed form of the LiME image."""
        def convert(path):
            program = programs.compile_avml_writer(self.path)
            subprocess.run([program, self.dump / "dump.lime", path], check=True)
            program.unlink()
        return self.make("dump.avml", convert)


def original_notes(descriptor):
    """The bytes of the PT_NOTE segment that QEMU wrote."""
    table, = struct.unpack_from("<Q", os.pread(descriptor, 64, 0), 32)
    kind, _, offset, _, _, size = struct.unpack("<IIQQQQ", os.pread(descriptor, 40, table))
    if kind != 4:
        raise SystemExit("the first segment is no PT_NOTE")
    return os.pread(descriptor, size, offset)


def makedumpfile(*arguments, **options):
    """Runs it, quietly."""
    done = subprocess.run(["makedumpfile", "--message-level", "0", *arguments], check=False, stderr=subprocess.PIPE,
                          **options)
    if done.returncode != 0:
        raise SystemExit(f"makedumpfile {arguments}: {done.returncode}: {done.stderr.decode(errors='replace')}")


class ContainerCase(Case):
    """One that compares containers with the dump that they were made of."""

    def __init__(self, arguments):
        super().__init__(arguments)
        self.folder = Folder(arguments.dump)
        self.original = arguments.dump / "dump.elf"

    def json_of(self, *command):
        """What a program prints, as JSON."""
        return json.loads(self.run(*command))

    def pages(self, *files, first_only=None):
        """Every page of the dump is in the files, but for so many (`...`: any number; None: the machine's devices).

        Told of VMCOREINFO, makedumpfile leaves out what lies behind the last page of RAM: memory of VGA, ROMs.
        """
        if first_only is None:
            first_only = self.device_pages()
        counts = self.json_of(self.arguments.compare, self.original, *files)
        print(files[0].name, counts)
        self.expect(counts["same"] > 10_000, f"too few pages: {counts}")
        self.expect(counts["different"] == 0 and counts["second_only"] == 0, f"other pages: {counts}")
        if first_only is not ...:
            self.expect(counts["first_only"] == first_only, f"pages are missing: {counts}")
        return counts

    def device_pages(self):
        """Pages that the dump has behind the last one of RAM."""
        truth = json.loads((self.arguments.dump / "truth.json").read_text(encoding="utf-8"))
        end = int(truth["ram_ranges"][-1][1], 16)
        with elf.PhysicalMemory(self.arguments.dump / "dump.elf") as memory:
            return sum(segment.size for segment in memory.segments if segment.physical > end) // PAGE

    def judged(self, file):
        """libkdumpfile has the same pages."""
        counts = self.json_of(self.arguments.judge, file)
        print("libkdumpfile:", counts)
        self.expect(counts["same"] > 10_000, f"too few pages: {counts}")
        self.expect(counts["different"] == counts["engram_only"] == counts["libkdumpfile_only"] == 0, f"{counts}")

    def survives(self, path, truth, what, warned=False):
        """Whether the kernel was found. Whatever the file is, the program answers right or refuses in one line."""
        answer = damage.Answer(self.arguments.engram, path)
        if answer.code != 0:
            self.expect(answer.is_refusal(), f"{what}: {answer}")
            return False
        versions = [row["kernel_version"] for row in json.loads(answer.output)]
        self.expect(versions in ([truth["osrelease"]], [None]), f"{what}: {answer}")
        if warned:
            self.expect(any("warning" in line for line in answer.errors), f"{what}: not said: {answer}")
        return versions == [truth["osrelease"]]

    def query(self, image, sql, *options):
        """Rows."""
        return self.json_of(self.arguments.engram, "query", image, sql, "--format", "json", *options)

    def tables(self, image, *options):
        """The tables are those of the dump."""
        for table in TABLES:
            sql = f"SELECT * FROM {table}"
            self.expect(self.query(image, sql, *options) == self.query(self.original, sql), f"{table} differs")


    def all_tables(self, image, *options):
        """Every table that is about the machine has the same rows as in the dump."""
        names = [line.split()[0] for line in self.run(self.arguments.engram, "tables").splitlines()[2:] if line]
        names = [name for name in names if name not in OF_THE_FILE]
        self.expect(len(names) > 30, f"too few tables: {names}")
        for name in names:
            sql = f"SELECT * FROM {name}"
            ours, wanted = self.query(image, sql, *options), self.query(self.original, sql)
            self.expect(ours == wanted, f"{name} differs: {len(ours)} rows, {len(wanted)} expected")

    def raw_pages(self, image):
        """All pages of the raw dump, and no other."""
        self.original = self.arguments.dump / "dump.raw"
        self.pages(image, first_only=0)


def plain(compression):
    """A case: all pages, one compression."""
    def run(case):
        image = case.folder.kdump(compression)
        case.pages(image)
        case.judged(image)
        case.tables(image)
        header = {row["name"]: row["value"] for row in case.query(image, "SELECT * FROM image_header")}
        case.expect(header["header_version"] == "6" and header["dump_level"] == "0", f"{header}")
        case.expect(compression == "none" or compression in header["status"], f"{header}")
        info, = case.query(image, "SELECT format, cpus, vmcoreinfo, truncated FROM image_info")
        wanted, = case.query(case.folder.elf(), "SELECT 'kdump' AS format, cpus, vmcoreinfo, truncated FROM image_info")
        case.expect(info == wanted, f"{info}, {wanted} expected")
    return run


def flat(case):
    """A flattened stream is read in place."""
    image = case.folder.flat()
    case.pages(image)  # libkdumpfile 0.5.1 does not read this form
    case.tables(image)


def filtered(case):
    """What makedumpfile leaves out is absent, pages of zeros that it keeps are zeros."""
    source = case.folder.elf()
    image = case.folder.make("dump.filtered.kdump", lambda path: makedumpfile("-l", "-d", "31", source, path))
    counts = case.pages(image, first_only=...)
    case.expect(counts["first_only"] > 10_000, f"nothing was left out: {counts}")
    case.judged(image)
    sql = "SELECT * FROM os_version"
    case.expect(case.query(image, sql) == case.query(case.original, sql), sql)
    # makedumpfile 1.7.2 is older than 6.12 and takes some of its slabs for pages of processes: tasks are missing, too.
    sql = "SELECT pid, comm FROM tasks WHERE comm IS NOT NULL"
    ours, all_tasks = ({row["pid"]: row["comm"] for row in case.query(path, sql)} for path in (image, case.original))
    case.expect(ours and ours.items() <= all_tasks.items(), f"tasks that the machine does not have: {ours}")
    rows = case.query(image, "SELECT message FROM diagnostics WHERE message LIKE 'kdump: % left out of the dump%'")
    case.expect(len(rows) == 1 and "level 31" in rows[0]["message"], f"{rows}")


def split(case):
    """Three files are one dump; one of them alone says what is missing and which files may have it."""
    names = [f"dump.split.{i}" for i in range(3)]
    paths = [case.folder.path / name for name in names]
    if not all(path.exists() for path in paths):
        for path in paths:
            path.unlink(missing_ok=True)
        makedumpfile("--split", "--splitblock-size", "16", "-c", "-d", "0", case.folder.elf(), *paths,
                     stdout=subprocess.DEVNULL)
    case.pages(*paths)
    case.pages(paths[2], paths[0], paths[1])
    case.tables(paths[0], "--with", paths[2], "--with", paths[1])
    done = subprocess.run([case.arguments.engram, "info", paths[1]], capture_output=True, encoding="utf-8", check=False)
    case.expect(done.returncode == 0, f"one part alone: {done.returncode}: {done.stderr}")
    others = (paths[0], paths[2])
    case.expect(all(str(path) in done.stderr for path in others), f"the others are not named: {done.stderr}")
    for words, *extra in (("two files have the pages", "--with", paths[1]), ("is no kdump", "--with", case.original)):
        done = subprocess.run([case.arguments.engram, "info", paths[1], *extra], capture_output=True, encoding="utf-8",
                              check=False)
        case.expect(done.returncode == 1 and words in done.stderr, f"{extra}: {done.returncode}: {done.stderr}")


def avml(case):
    """AVML has System RAM, as LiME does."""
    source = case.arguments.dump / "dump.lime"
    image = case.folder.avml()
    case.original = source
    case.pages(image, first_only=0)
    case.tables(image)
    info, = case.query(image, "SELECT format, truncated FROM image_info")
    case.expect(info == {"format": "avml", "truncated": 0}, f"{info}")


def ranges(case):
    """The ranges of a LiME image without its headers are an image again, once somebody says where they lie."""
    source = case.arguments.dump / "dump.lime"
    found = lime.parse_ranges(lambda offset, length: pread(source, offset, length), source.stat().st_size)

    def convert(path):
        with open(source, "rb") as file, open(path, "wb") as target:
            at = 0
            for first, last, offset in found:
                sparse.copy(file.fileno(), offset, target.fileno(), at, last + 1 - first)
                at += last + 1 - first
            target.truncate(at)

    image = case.folder.make("dump.concatenated.raw", convert)
    iomem = case.folder.path / "iomem"
    iomem.write_text("".join(f"{first:08x}-{last:08x} : System RAM\n  {first:08x}-{first + 15:08x} : Kernel code\n"
                             f"{last + 1:08x}-{last + 16:08x} : Reserved\n" for first, last, _ in found),
                     encoding="ascii")
    case.original = source
    case.tables(image, "--ranges", iomem)
    case.tables(image, "--ranges", ",".join(f"{first:#x}-{last:#x}" for first, last, _ in found))
    case.tables(case.arguments.dump / "dump.raw", "--ranges", iomem)


def damaged(name):
    """A case: a container that is cut, or overwritten here and there, answers right or says why not."""
    def run(case):
        def packed_dump():
            kind, write, _ = packers.PACKERS[name]
            return case.folder.make(f"dump.{kind}.{name}", lambda path: write(case.arguments.dump / f"dump.{kind}", path))

        source = {"kdump": lambda: case.folder.kdump("lzo"), "flat": case.folder.flat, "avml": case.folder.avml,
                  "migration": lambda: case.arguments.dump / "dump.migration"}.get(name, packed_dump)()
        truth = json.loads((case.arguments.dump / "truth.json").read_text(encoding="utf-8"))
        chance = random.Random(f"{name} 2026")
        size = source.stat().st_size
        work = pathlib.Path(tempfile.mkdtemp(prefix="engram-containers-"))
        right = 0
        try:
            path = work / source.name
            shutil.copyfile(source, path)
            for length in sorted([size - 1, *(chance.randrange(size) for _ in range(DAMAGES)),
                                  *(chance.randrange(1, 30_000) for _ in range(5))], reverse=True):
                os.truncate(path, length)
                right += case.survives(path, truth, f"cut at {length}", warned=True)
            case.expect(right > 0, "no prefix was answered")
            shutil.copyfile(source, path)
            for number in range(DAMAGES):
                with open(path, "r+b") as file:
                    # The headers of a flattened file lie behind 4096 bytes; pages are somewhere in the middle.
                    at = chance.randrange(16, 10_000) if number % 4 else chance.randrange(size)
                    file.seek(at)
                    before = file.read(8)
                    file.seek(at)
                    file.write(chance.choice([bytes(8), b"\xff" * 8, chance.randbytes(8)]))
                case.survives(path, truth, f"8 bytes at {at}")
                with open(path, "r+b") as file:
                    file.seek(at)
                    file.write(before)
        finally:
            shutil.rmtree(work)
    return run


def packed(name):
    """A case: a file that is packed as a whole has the pages and tables of the file that was packed."""
    def run(case):
        kind, write, by_blocks = packers.PACKERS[name]
        source = case.arguments.dump / f"dump.{kind}"
        image = case.folder.make(f"dump.{kind}.{name}", lambda path: write(source, path))
        case.original = source
        case.pages(image, first_only=0)
        case.tables(image)
        done = subprocess.run([case.arguments.engram, "info", image], capture_output=True, encoding="utf-8", check=False)
        case.expect(done.returncode == 0, f"{done.returncode}: {done.stderr}")
        case.expect(("all of it had to be unpacked" in done.stderr) != by_blocks, f"what it cost: {done.stderr}")
        case.expect("warning" not in done.stderr, f"a warning: {done.stderr}")
        row, = case.query(image, "SELECT value FROM image_header WHERE name = 'packed'")
        case.expect(("where they are read" in row["value"]) == by_blocks, f"{row}")
        no_room = {**os.environ, "TMPDIR": str(case.folder.path / "nowhere")}
        done = subprocess.run([case.arguments.engram, "info", image], capture_output=True, encoding="utf-8", check=False,
                              env=no_room)
        case.expect(done.returncode == 1 and "a temporary file in" in done.stderr, f"no folder: {done.stderr}")
    return run


def pread(path, offset, length):
    """Bytes of a file."""
    with open(path, "rb") as file:
        file.seek(offset)
        return file.read(length)


CASES = {name: plain(name) for name in ("none", "zlib", "lzo", "snappy", "zstd")}
CASES |= {"flat": flat, "filtered": filtered, "split": split, "avml": avml, "ranges": ranges}
CASES |= {"migration": monitor_cases.migration, "libvirt": monitor_cases.libvirt, "vmware": monitor_cases.vmware,
          "vmware-inside": monitor_cases.vmware_inside}
CASES |= {f"packed-{name}": packed(name) for name in packers.PACKERS}
CASES |= {f"damaged-{name}": damaged(name) for name in ("kdump", "flat", "avml", "migration", "bgzf", "zstd")}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--engram", required=True)
    parser.add_argument("--compare", required=True)
    parser.add_argument("--judge", required=True)
    parser.add_argument("--dump", required=True, type=pathlib.Path)
    parser.add_argument("case", choices=CASES)
    arguments = parser.parse_args()
    case = ContainerCase(arguments)
    CASES[arguments.case](case)
    print("\n".join(case.problems))
    print(f"{arguments.case}: {len(case.problems)} wrong")
    return 1 if case.problems else 0


if __name__ == "__main__":
    sys.exit(main())
