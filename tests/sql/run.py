#!/usr/bin/env python3
# SPDX-FileCopyrightText: engram contributors
# SPDX-License-Identifier: Apache-2.0
"""Runs the queries of a .test file on an image and compares the rows with those in the file.

run.py --engram PROGRAM --image IMAGE FILE.test

A file is a list of cases, separated by blank lines. A case is a line `# what it shows`, the SQL, a line `----`, and the
rows as CSV with their header (those of a second statement follow at once); or `error: TEXT`, for a query that must fail with a message that has this text.
"""
import argparse
import pathlib
import subprocess
import sys


def cases(text):
    """(title, sql, expected) of each case."""
    for block in text.split("\n\n"):
        lines = [line for line in block.splitlines() if not line.startswith("# SPDX-")]
        if "----" not in lines:
            continue
        middle = lines.index("----")
        title = [line[2:] for line in lines[:middle] if line.startswith("# ")]
        sql = [line for line in lines[:middle] if not line.startswith("# ")]
        yield " ".join(title), "\n".join(sql), "\n".join(lines[middle + 1:])


def difference(engram, image, sql, expected):
    """What is wrong with the answer, or None."""
    done = subprocess.run([engram, "query", image, sql, "--format", "csv"], capture_output=True, encoding="utf-8",
                          check=False)
    if expected.startswith("error: "):
        wanted = expected.removeprefix("error: ")
        right = done.returncode == 1 and wanted in done.stderr
        return None if right else f"an error with {wanted!r} expected, got {done.returncode}: {done.stderr}{done.stdout}"
    found = done.stdout.replace("\r\n", "\n").replace("\n\n", "\n").rstrip("\n")
    return None if done.returncode == 0 and found == expected else f"expected:\n{expected}\nfound:\n{found}{done.stderr}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--engram", required=True)
    parser.add_argument("--image", required=True, type=pathlib.Path)
    parser.add_argument("file", type=pathlib.Path)
    arguments = parser.parse_args()
    count, wrong = 0, 0
    for title, sql, expected in cases(arguments.file.read_text(encoding="utf-8")):
        count += 1
        problem = difference(arguments.engram, arguments.image, sql, expected)
        if problem:
            wrong += 1
            print(f"{title}\n{sql}\n{problem}\n")
    print(f"{arguments.file.name}: {count} cases, {wrong} wrong")
    return 1 if wrong or not count else 0


if __name__ == "__main__":
    sys.exit(main())
