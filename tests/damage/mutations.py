#!/usr/bin/env python3
# SPDX-FileCopyrightText: engram contributors
# SPDX-License-Identifier: Apache-2.0
"""Reads every table in full on copies of a dump whose kernel objects are damaged at random.

mutations.py --engram PROGRAM --dump FOLDER [--count N] [--seed N] [--first N]

Each copy has one to eight changes in or near objects that tables list, or in page tables: flipped bits, smashed pointers,
pointers to the object itself or to another one, ones and zeros, exchanged pages; or the file is cut. Whatever engram finds in
it, it must end by itself within the time and memory given, by exit code 0 or 1. Number and seed name a copy: with `--first N
--count 1` it is made again.
"""
import argparse
import json
import os
import pathlib
import random
import resource
import subprocess
import sys
import tempfile

PAGE = 4096
SECONDS = 60          # for all tables of a copy; a table has 10 (many run at a time, under sanitizers, too)
BYTES = 1 << 30       # of memory that is not the file
AROUND = 1024         # of an object: its members, and its neighbours in the slab
SHORT = {"kallsyms": "SELECT count(*) FROM kallsyms"}  # long, and without objects


def ask(engram, image, sql):
    """The rows of a good image."""
    done = subprocess.run([engram, "query", image, sql, "--format", "json"], stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL, check=True)
    return json.loads(done.stdout)


def table_names(engram, image):
    """All tables that there are of such an image; views are made of them."""
    done = subprocess.run([engram, "tables", "--format", "json"], stdout=subprocess.PIPE, check=True)
    names = [row["name"] for row in json.loads(done.stdout) if row["kind"] == "table"]
    return [name for name in names if run(engram, image, f"SELECT count(*) FROM {name}")[1]]


def objects(engram, image, tables):
    """(address, place in the file) of kernel objects of every kind, and (0, place) of page tables."""
    found = []
    for table in tables:
        columns = ask(engram, image, f"SELECT name FROM pragma_table_info('{table}') WHERE type = 'POINTER'")
        for column in (row["name"] for row in columns):
            rows = ask(engram, image, f"SELECT DISTINCT {column} AS a, translate({column}) AS p FROM {table}"
                                      f" WHERE translate({column}) IS NOT NULL LIMIT 300")
            found.append([(int(row["a"], 0), int(str(row["p"]), 0)) for row in rows])
    roots = ask(engram, image, "SELECT DISTINCT page_table AS p FROM tasks WHERE page_table IS NOT NULL")
    found.append([(0, int(row["p"], 0)) for row in roots])
    return [kind for kind in found if kind]


def changes(chance, kinds, size):
    """What is done to one copy: (place, content) pairs, and the length of the file."""
    if chance.random() < 0.03:
        return [], chance.randrange(size)
    made = []
    for _ in range(chance.randint(1, 8)):
        address, place = chance.choice(chance.choice(kinds))  # every kind as often, however many there are
        other = chance.choice(chance.choice(kinds))
        at = place + 8 * chance.randrange(AROUND // 8) if chance.random() < 0.9 else place
        if at + PAGE > size:
            continue
        how = chance.randrange(7)
        if how == 0:
            made.append((at, None, 1 << chance.randrange(64)))
        elif how == 6:
            made.append((place & -PAGE, other[1] & -PAGE, PAGE))
        else:
            value = (address, other[0] + 8 * chance.randrange(16), chance.getrandbits(64), 2**64 - 1, 0)[how - 1]
            made.append((at, value, 0))
    return made, size


def apply(file, made):
    """Makes the changes and returns what was there before."""
    before = []

    def put(place, content):
        before.append((place, os.pread(file, len(content), place)))
        os.pwrite(file, content, place)

    for place, what, how in made:
        if what is None:
            put(place, (int.from_bytes(os.pread(file, 8, place), "little") ^ how).to_bytes(8, "little"))
        elif how == PAGE:
            here, there = os.pread(file, PAGE, place), os.pread(file, PAGE, what)
            if len(here) == len(there) == PAGE:
                put(place, there)
                put(what, here)
        else:
            put(place, (what % 2**64).to_bytes(8, "little"))
    return before


def run(engram, image, sql):
    """What went wrong, or None; and whether there was an answer."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    try:
        done = subprocess.run([engram, "query", image, sql, "--format", "jsonl"], stdout=subprocess.DEVNULL,
                              stderr=subprocess.PIPE, timeout=SECONDS, check=False)
    except subprocess.TimeoutExpired:
        return f"not done after {SECONDS} s", False
    if done.returncode not in (0, 1):
        return f"exit code {done.returncode}: {done.stderr.decode(errors='replace')[:2000]}", False
    if done.returncode == 1 and not done.stderr.startswith(b"engram: "):
        return f"fails without saying why: {done.stderr[:200]!r}", False
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss  # KB, of the largest child so far, with the file's pages
    if peak > before and peak << 10 > BYTES + image.stat().st_size:
        return f"{peak >> 10} MB of memory", True
    return None, done.returncode == 0


def read_all(engram, image, queries):
    """What went wrong, or None; and whether there was any answer. A table that fails hides those behind it: all are asked
    alone then."""
    problem, answered = run(engram, image, ";".join(queries))
    if problem or answered:
        return problem, answered
    outcomes = [run(engram, image, sql) for sql in queries]
    return next((problem for problem, _ in outcomes if problem), None), any(answered for _, answered in outcomes)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--engram", required=True)
    parser.add_argument("--dump", required=True, type=pathlib.Path)
    parser.add_argument("--count", type=int, default=60)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--seed", type=int, default=4)
    arguments = parser.parse_args()
    wrong = answered = 0
    with tempfile.TemporaryDirectory() as folder:
        copy = pathlib.Path(folder) / "dump.raw"
        subprocess.run(["cp", "--sparse=always", arguments.dump / "dump.raw", copy], check=True)
        size = copy.stat().st_size
        tables = table_names(arguments.engram, copy)
        kinds = objects(arguments.engram, copy, tables)
        queries = [SHORT.get(table, f"SELECT * FROM {table}") for table in tables]
        file = os.open(copy, os.O_RDWR)
        for number in range(arguments.first, arguments.first + arguments.count):
            made, length = changes(random.Random(f"{arguments.seed}/{number}"), kinds, size)
            if length < size:
                cut = copy.with_name("cut.raw")
                subprocess.run(["cp", "--sparse=always", copy, cut], check=True)
                os.truncate(cut, length)
            before = apply(file, made)
            problem, has_answer = read_all(arguments.engram, copy if length == size else cut, queries)
            answered += has_answer
            if problem:
                print(f"copy {number} of seed {arguments.seed}: {problem}", flush=True)
                wrong += 1
            for place, content in reversed(before):
                os.pwrite(file, content, place)
        os.close(file)
    print(f"mutations: {arguments.count} copies, {len(kinds)} kinds of objects, {answered} with answers, {wrong} wrong")
    return 1 if wrong or not answered else 0


if __name__ == "__main__":
    sys.exit(main())
