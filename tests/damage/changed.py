# SPDX-FileCopyrightText: engram contributors
# SPDX-License-Identifier: Apache-2.0
"""A copy of a raw dump whose memory is changed as a rootkit or damage would, for the cases of one subject."""
import argparse
import json
import pathlib
import subprocess
import tempfile


class Image:
    """A copy that can be changed and is put right again."""

    def __init__(self, engram, path):
        self.engram, self.path = engram, path
        self.changes = []

    def query(self, sql):
        """The rows of the last statement."""
        done = subprocess.run([self.engram, "query", self.path, sql, "--format", "json"], capture_output=True,
                              encoding="utf-8", check=True, timeout=60)
        return json.loads(done.stdout)

    def place(self, address):
        """Where a kernel address lies in the file."""
        signed = address - (1 << 64) if address >> 63 else address
        return int(str(self.query(f"SELECT translate({signed}) AS place")[0]["place"]), 0)

    def read(self, address, size=8):
        """A number in memory."""
        with open(self.path, "rb") as file:
            file.seek(self.place(address))
            return int.from_bytes(file.read(size), "little")

    def write(self, address, value, size=8):
        """Changes memory until restore()."""
        place = self.place(address)
        with open(self.path, "r+b") as file:
            file.seek(place)
            self.changes.append((place, file.read(size)))
            file.seek(place)
            file.write(value.to_bytes(size, "little"))

    def spare(self, size):
        """Address of so many bytes, page-aligned, that hold zeros and nothing points to."""
        base, start, run = self.read(self.symbol("page_offset_base")), 0, 0
        with open(self.path, "rb") as file:
            file.seek(64 << 20)  # below lie the firmware's memory and the kernel
            for place in range(64 << 20, self.path.stat().st_size, 1 << 20):
                run = run + 1 if not any(file.read(1 << 20)) else 0
                start = place if run == 1 else start
                if run << 20 >= size:
                    assert self.place(base + start) == start
                    return base + start
        raise ValueError(f"no {size} bytes of zeros")

    def symbol(self, name):
        """Address of a symbol."""
        return int(self.query(f"SELECT addr(address_of('{name}')) AS address")[0]["address"], 16)

    def strict(self, sql, *options):
        """Exit code and complaint of a query that must not lack anything."""
        done = subprocess.run([self.engram, "query", self.path, sql, "--strict", "--no-cache", *options],
                              capture_output=True, encoding="utf-8", check=False, timeout=60)
        return done.returncode, done.stderr

    def restore(self):
        """Undoes all changes, the last one first."""
        with open(self.path, "r+b") as file:
            for place, content in reversed(self.changes):
                file.seek(place)
                file.write(content)
        self.changes = []


def refusal(image, sql):
    """What the program says of a question that it cannot answer."""
    done = subprocess.run([image.engram, "query", image.path, sql], capture_output=True, encoding="utf-8", check=False,
                          timeout=60)
    assert done.returncode == 1 and not done.stdout, (done.returncode, done.stdout)
    return done.stderr


def complaints(image, table):
    """(location, message) of the diagnostics rows after the table was read."""
    rows = image.query(f"CREATE TEMP TABLE t AS SELECT * FROM {table};"
                       " SELECT location, message FROM diagnostics WHERE level <= 2")
    return [(row["location"], row["message"]) for row in rows]


def run(subject, documentation, cases_of):
    """The main() of a subject: runs its cases on one copy. `cases_of(image)` gives functions of the image by name."""
    parser = argparse.ArgumentParser(description=documentation, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--engram", required=True)
    parser.add_argument("--dump", required=True, type=pathlib.Path)
    arguments = parser.parse_args()
    wrong = 0
    with tempfile.TemporaryDirectory() as folder:
        copy = pathlib.Path(folder) / "dump.raw"
        subprocess.run(["cp", "--sparse=always", arguments.dump / "dump.raw", copy], check=True)
        image = Image(arguments.engram, copy)
        cases = cases_of(image)
        for name, case in cases.items():
            try:
                case(image)
            except (AssertionError, ValueError, subprocess.SubprocessError) as problem:
                print(f"{name}: {problem!r}")
                wrong += 1
            image.restore()
    print(f"{subject}: {len(cases)} cases, {wrong} wrong")
    return 1 if wrong or not cases else 0
