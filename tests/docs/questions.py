#!/usr/bin/env python3
# SPDX-FileCopyrightText: engram contributors
# SPDX-License-Identifier: Apache-2.0
"""Asks the questions of a page of docs/ again: the columns must be those of the page, and rows where it has some.

questions.py --engram PROGRAM --image IMAGE PAGE.md
"""
import argparse
import pathlib
import re
import subprocess
import sys

BLOCK = re.compile(r'^```\n\$ engram query memory\.lime "(.*?)"\n(.*?)^```$', re.DOTALL | re.MULTILINE)


def difference(engram, image, sql, printed):
    """What is not as on the page, or None."""
    done = subprocess.run([engram, "query", image, sql], capture_output=True, encoding="utf-8", check=False)
    if done.returncode != 0:
        return done.stderr
    ours, theirs = (text.splitlines() for text in (done.stdout, printed))
    if ours[0].split() != theirs[0].split():
        return f"columns {ours[0].split()}, {theirs[0].split()} expected"
    if (len(ours) > 2) != (len(theirs) > 2):
        return f"{len(ours) - 2} rows, {len(theirs) - 2} expected"
    return None


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--engram", required=True)
    parser.add_argument("--image", required=True)
    parser.add_argument("page", type=pathlib.Path)
    arguments = parser.parse_args()
    blocks = BLOCK.findall(arguments.page.read_text(encoding="utf-8"))
    wrong = 0
    for sql, printed in blocks:
        problem = difference(arguments.engram, arguments.image, sql, printed)
        if problem:
            print(f"{sql}\n  {problem}")
            wrong += 1
    print(f"{arguments.page.name}: {len(blocks)} questions, {wrong} wrong")
    return 1 if wrong or not blocks else 0


if __name__ == "__main__":
    sys.exit(main())
