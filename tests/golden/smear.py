#!/usr/bin/env python3
# SPDX-FileCopyrightText: engram contributors
# SPDX-License-Identifier: Apache-2.0
"""Compares all tables of an image that was copied piece by piece, while the guest was busy, with what the guest said before.

smear.py --engram PROGRAM --dump FOLDER

A shell in the guest starts ls and sleep over and over while dump.smear.raw is written, so their memory is torn. What has
nothing to do with them did not change, and must be as right as in an image of a guest that stands still.
"""
import argparse
import ast
import pathlib
import re
import sys

import accepted
from golden import CHECKS, Truth
from program import Failed, Program

BUSY = ("rcS", "ls", "sleep", "labtruth", "kworker/")  # the loop's shell is a child of rcS
AUTOMOUNT = "/sys/kernel/debug/tracing"  # mounted when ls looks into it
# What counts over all processes, the busy ones included: (check, beginning of the difference, reason).
OVER_ALL = (
    ("diagnostics", "warnings: ", "torn memory of busy processes is reported, as it should be"),
    ("files", "paths of open files: ", "a busy process may have opened one whose inode was copied before"),
)
SHOWN = 10


def busy_things(program, truth):
    """Numbers of the processes that come, go and work while the image is written; keys of the mounts that ls made."""
    listed = [(process["pid"], process["comm"]) for process in truth["processes"]]
    listed += [(row["pid"], row["comm"] or "") for row in program.query("SELECT pid, comm FROM tasks")]
    pids = {pid for pid, name in listed if name.startswith(BUSY)}
    automounted = program.query(f"SELECT namespace, mount_id FROM mounts WHERE mount_point = '{AUTOMOUNT}'")
    return pids | {(row["namespace"], row["mount_id"]) for row in automounted}


def is_over_all(name, difference):
    """Whether a difference is one of OVER_ALL."""
    return any(name == check and difference.startswith(begin) for check, begin, _ in OVER_ALL)


def is_about(difference, things):
    """Whether a difference is about nothing but these things."""
    named = re.match(r"(?:\w+ )?(\d+)\b", difference)
    if named and int(named[1]) in things:
        return True
    lists = re.fullmatch(r".*?: engram has (\[.*\]), the kernel (\[.*\])", difference, re.DOTALL)
    if not lists:
        return False
    ours, kernels = (set(ast.literal_eval(text)) for text in lists.groups())
    # The elements are pids, or tuples that are keys of mounts or begin with a pid.
    return all(element in things or isinstance(element, tuple) and element[0] in things for element in ours ^ kernels)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--engram", required=True)
    parser.add_argument("--dump", required=True, type=pathlib.Path)
    arguments = parser.parse_args()
    truth, program = Truth(arguments.dump), Program(arguments.engram, arguments.dump / "dump.smear.raw")
    busy = busy_things(program, truth)
    comparisons, wrong = 0, 0
    for name, check in CHECKS.items():
        try:
            result = check(program, truth)
        except Failed as failure:
            print(f"{name}: {failure}")
            wrong += 1
            continue
        comparisons += result.comparisons
        problems = [difference for difference in result.differences
                    if not accepted.reason(name, difference) and not is_over_all(name, difference)
                    and not is_about(difference, busy)]
        wrong += len(problems)
        for problem in problems[:SHOWN]:
            print(f"{name}: {problem}")
    print(f"smear: {comparisons} comparisons, {wrong} differences")
    return 1 if wrong or comparisons == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
