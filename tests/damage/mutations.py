#!/usr/bin/env python3
# SPDX-FileCopyrightText: engram contributors
# SPDX-License-Identifier: Apache-2.0
"""Reads every table in full on copies of a dump whose kernel objects are damaged at random.

mutations.py --engram PROGRAM --dump FOLDER [--count N] [--seed N] [--first N] [--seconds N]
mutations.py --engram PROGRAM --windows BUILD ...

Each copy has one to 64 changes in or near objects that tables list, or in page tables (HOWS below says which); or the file
is cut. Whatever engram finds in it, it must end by itself within the time and memory given, by exit code 0 or 1. Number
and seed name a copy: with `--first N --count 1` it is made again.
"""
import argparse
import collections
import json
import os
import pathlib
import random
import subprocess
import sys
import tempfile
import threading

PAGE = 4096
FRAME = 0x000F_FFFF_FFFF_F000  # bits of a page table's entry that say where it leads (Intel SDM 3, 4.5)
PRESENT, HUGE = 1, 1 << 7
SECONDS = 60          # of a processor, for all tables of a copy; a table has 10 (sanitizers take several times as long)
PATIENCE = 5          # times as long by the clock: many run at a time
BYTES = 1 << 30       # of memory that is not the file
AROUND = (64, 256, 1024, 4096)  # of an object: its members, and its neighbours in the slab
CUT = 0.03            # of the copies are cut
KERNEL = 0xFFFF_8000_0000_0000  # the lowest address of a kernel with four levels of page tables is not below
SHORT = {"kallsyms": "SELECT count(*) FROM kallsyms"}  # long, and without objects
CONTENTS = {"files": "SELECT count(file_contents(virtual_address)) FROM files"}  # what no table has

Place = collections.namedtuple("Place", "address physical at")  # of an object; at: in the file


class Target:
    """A copy that is changed and put right again, and what can be damaged in it. Page `n` of the file is frame `frames[n]` of
    the memory; without `frames` it is frame n."""

    def __init__(self, engram, path, header=0, frames=None):
        self.engram, self.path, self.header = engram, path, header
        self.pages = None if frames is None else {frame: number for number, frame in enumerate(frames)}
        self.size = path.stat().st_size
        self.file = os.open(path, os.O_RDWR)
        self.before = []
        names = [row["name"] for row in self.ask_program("tables", "--format", "json") if row["kind"] == "table"]
        self.tables = [name for name in names if run(engram, path, f"SELECT count(*) FROM {name}").answered]
        self.kinds = [kind for kind in self.objects() if kind]
        self.roots = [int(row["p"], 0) for row in
                      self.ask("SELECT DISTINCT page_table AS p FROM tasks WHERE page_table IS NOT NULL")]
        differences = collections.Counter(place.address - place.physical for kind in self.kinds for place in kind)
        self.direct = differences.most_common(1)[0][0]  # where Linux has all physical memory

    def ask_program(self, *arguments):
        done = subprocess.run([self.engram, *arguments], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True)
        return json.loads(done.stdout)

    def ask(self, sql):
        """The rows of a good image."""
        return self.ask_program("query", self.path, sql, "--format", "json")

    def objects(self):
        """Kernel objects, a list of each kind."""
        for table in self.tables:
            for row in self.ask(f"SELECT name FROM pragma_table_info('{table}') WHERE type = 'POINTER'"):
                column = row["name"]
                rows = self.ask(f"SELECT DISTINCT {column} AS a, translate({column}) AS p FROM {table}"
                                f" WHERE translate({column}) IS NOT NULL LIMIT 300")
                places = (self.place(int(row["a"], 0), int(str(row["p"]), 0)) for row in rows)
                yield [place for place in places if place.at is not None]

    def at(self, physical):
        """Where a physical address lies in the file, with a page behind it; None if it does not."""
        page = physical // PAGE if self.pages is None else self.pages.get(physical // PAGE)
        at = None if page is None else self.header + page * PAGE + physical % PAGE
        return at if at is not None and at + PAGE <= self.size else None

    def place(self, address, physical):
        return Place(address % 2**64, physical, self.at(physical))

    def queries(self):
        return [SHORT.get(table, f"SELECT * FROM {table}") for table in self.tables] + [
            sql for table, sql in CONTENTS.items() if table in self.tables]

    def word(self, at):
        return int.from_bytes(os.pread(self.file, 8, at), "little")

    def put(self, at, content):
        before = os.pread(self.file, len(content), at)
        if len(before) == len(content):
            self.before.append((at, before))
            os.pwrite(self.file, content, at)

    def put_word(self, at, value):
        self.put(at, (value % 2**64).to_bytes(8, "little"))

    def restore(self):
        """Undoes all changes, the last one first."""
        for at, content in reversed(self.before):
            os.pwrite(self.file, content, at)
        self.before = []


def pick(chance, target):
    """An object, and others of its kind; every kind as often, however many there are."""
    kind = chance.choice(target.kinds)
    return chance.choice(kind), kind


def near(chance, place):
    """A word in or near an object."""
    return place.at + (8 * chance.randrange(chance.choice(AROUND) // 8) if chance.random() < 0.9 else 0)


def flip(chance, target):
    """A bit is another one."""
    at = near(chance, pick(chance, target)[0])
    target.put_word(at, target.word(at) ^ 1 << chance.randrange(64))


def smash(chance, target):
    """A word is anything, all ones, or zero."""
    target.put_word(near(chance, pick(chance, target)[0]), chance.choice((chance.getrandbits(64), 2**64 - 1, 0)))


def small(chance, target):
    """A number of 32 bits, a count or length, is far too large, or negative."""
    at = near(chance, pick(chance, target)[0]) + 4 * chance.randrange(2)
    value = chance.choice((0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFF, 0x1_0000, chance.getrandbits(32)))
    target.put(at, value.to_bytes(4, "little"))


def itself(chance, target):
    """A pointer leads to the object it is in."""
    place, _ = pick(chance, target)
    target.put_word(near(chance, place), place.address)


def elsewhere(chance, target):
    """A pointer leads into another object."""
    other, _ = pick(chance, target)
    target.put_word(near(chance, pick(chance, target)[0]), other.address + 8 * chance.randrange(16))


def pointers(chance, target, place):
    """Words of an object that lead into the kernel's memory."""
    content = os.pread(target.file, chance.choice(AROUND), place.at)
    words = (int.from_bytes(content[at:at + 8], "little") for at in range(0, len(content) & ~7, 8))
    return [(8 * index, word) for index, word in enumerate(words) if KERNEL <= word < 2**64 - PAGE]


def cycle(chance, target):
    """A pointer leads to the same member of another object of the kind: a list that comes back, or goes over to another."""
    place, kind = pick(chance, target)
    if found := pointers(chance, target, place):
        offset, _ = chance.choice(found)
        target.put_word(place.at + offset, chance.choice(kind).address + offset)


def shared(chance, target):
    """Two objects of a kind have the same pointer."""
    place, kind = pick(chance, target)
    if found := pointers(chance, target, chance.choice(kind)):
        offset, value = chance.choice(found)
        target.put_word(place.at + offset, value)


def pointer_flip(chance, target):
    """A bit of a pointer is another one; most stay in memory."""
    place, _ = pick(chance, target)
    if found := pointers(chance, target, place):
        offset, value = chance.choice(found)
        target.put_word(place.at + offset, value ^ 1 << chance.randrange(30))


def swap(chance, target):
    """Two pages are exchanged."""
    one, other = (pick(chance, target)[0].at & -PAGE for _ in range(2))
    here, there = (os.pread(target.file, PAGE, at) for at in (one, other))
    target.put(one, there)
    target.put(other, here)


def page_table_entry(chance, target):
    """The physical address of an entry of a page table that is in use, at any level, and its place in the file."""
    if not target.roots:
        return None
    table, found = chance.choice(target.roots), None
    for _ in range(chance.randint(1, 5)):
        if (at := target.at(table & -PAGE)) is None:
            break
        present = [index for index in range(0, PAGE, 8) if target.word(at + index) & PRESENT]
        if not present:
            break
        index = chance.choice(present)
        found = (table & -PAGE) + index, at + index
        if target.word(at + index) & HUGE:
            break
        table = target.word(at + index) & FRAME
    return found


def entry(chance, target):
    """An entry of a page table is of a large page, is not there, leads out of memory, to its own table, or anywhere."""
    if found := page_table_entry(chance, target):
        physical, at = found
        value = target.word(at)
        target.put_word(at, chance.choice((
            value ^ HUGE, value ^ PRESENT, value | FRAME, value & ~FRAME | target.size, value & ~FRAME | physical & FRAME,
            value & ~FRAME | chance.randrange(target.size) & FRAME, value ^ 1 << chance.randrange(64),
            chance.getrandbits(64))))


def into_page_table(chance, target):
    """A pointer leads to a page table."""
    place, _ = pick(chance, target)
    table = page_table_entry(chance, target)
    found = pointers(chance, target, place)
    if table and found:
        target.put_word(place.at + chance.choice(found)[0], target.direct + table[0])


HOWS = (flip, smash, small, itself, elsewhere, cycle, cycle, shared, pointer_flip, swap, entry, into_page_table)


Outcome = collections.namedtuple("Outcome", "problem answered seconds peak")  # of a processor; bytes, with the file's pages


def run(engram, image, sql, seconds=SECONDS):
    """What went wrong, or None, and whether there was an answer."""
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen([engram, "query", image, sql, "--format", "jsonl"], stdout=subprocess.DEVNULL, stderr=errors)
        timer = threading.Timer(seconds * PATIENCE, process.kill)
        timer.start()
        _, status, usage = os.wait4(process.pid, 0)
        in_time = timer.is_alive()
        timer.cancel()
        took, code, peak = usage.ru_utime + usage.ru_stime, os.waitstatus_to_exitcode(status), usage.ru_maxrss << 10
        process.returncode = code  # it is waited for
        errors.seek(0)
        said = errors.read()
    problem = None
    if not in_time:
        problem = f"not done after {seconds * PATIENCE} s"
    elif code not in (0, 1):
        problem = f"exit code {code}: {said.decode(errors='replace')[:4000]}"
    elif code == 1 and not said.startswith(b"engram: "):
        problem = f"fails without saying why: {said[:200]!r}"
    elif took > seconds:
        problem = f"{took:.1f} s of a processor"
    elif peak > BYTES + image.stat().st_size:
        problem = f"{peak >> 20} MB of memory"
    return Outcome(problem, code == 0, took, peak)


def read_all(engram, image, queries, seconds):
    """A table that fails hides those behind it: all are asked alone then."""
    outcome = run(engram, image, ";".join(queries), seconds)
    if outcome.problem or outcome.answered:
        return outcome
    outcomes = [outcome, *(run(engram, image, sql, seconds) for sql in queries)]
    return Outcome(next((f"{sql}: {one.problem}" for sql, one in zip(queries, outcomes[1:]) if one.problem), None),
                   any(one.answered for one in outcomes), max(one.seconds for one in outcomes),
                   max(one.peak for one in outcomes))


def damaged(chance, target, folder):
    """The image that is to be read: the target with changes, or a part of it."""
    if chance.random() < CUT:
        cut = folder / "cut"
        subprocess.run(["cp", "--sparse=always", target.path, cut], check=True)
        os.truncate(cut, chance.randrange(target.size))
        return cut
    for _ in range(chance.choice((1, 2, 4, 8, 16, 32, 64))):
        chance.choice(HOWS)(chance, target)
    return target.path


def original(arguments, folder):
    """What can be changed: a raw image of Linux, or a full dump of Windows."""
    if arguments.dump:
        subprocess.run(["cp", "--sparse=always", arguments.dump / "dump.raw", folder / "dump.raw"], check=True)
        return Target(arguments.engram, folder / "dump.raw")
    sys.path.append(str(pathlib.Path(__file__).parent.parent / "windows"))
    import dump, generate  # pylint: disable=import-outside-toplevel,multiple-imports
    guest, files = generate.write(folder, arguments.windows, [1])
    frames = [frame for frame in guest.physical.frames if frame not in guest.withheld]
    return Target(arguments.engram, files[1], dump.HEADER, frames)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--engram", required=True)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--dump", type=pathlib.Path, help="a Linux machine of the lab")
    what.add_argument("--windows", type=int, metavar="BUILD", help="a synthetic Windows machine")
    parser.add_argument("--count", type=int, default=60)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--seed", type=int, default=4)
    parser.add_argument("--seconds", type=int, default=SECONDS, help="that all tables of a copy have")
    arguments = parser.parse_args()
    wrong, outcomes = 0, []
    with tempfile.TemporaryDirectory(prefix="engram-mutations-") as name:
        folder = pathlib.Path(name)
        target = original(arguments, folder)
        queries = target.queries()
        for number in range(arguments.first, arguments.first + arguments.count):
            image = damaged(random.Random(f"{arguments.seed}/{number}"), target, folder)
            outcomes.append(read_all(arguments.engram, image, queries, arguments.seconds))
            target.restore()
            if outcomes[-1].problem:
                print(f"copy {number} of seed {arguments.seed}: {outcomes[-1].problem}", flush=True)
                wrong += 1
    answered = sum(outcome.answered for outcome in outcomes)
    print(f"mutations: {arguments.count} copies, {len(target.kinds)} kinds of objects, {answered} with answers, at most "
          f"{max(outcome.seconds for outcome in outcomes):.1f} s and {max(outcome.peak for outcome in outcomes) >> 20} MB,"
          f" {wrong} wrong")
    return 1 if wrong or not answered else 0


if __name__ == "__main__":
    sys.exit(main())
