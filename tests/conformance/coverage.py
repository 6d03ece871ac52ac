#!/usr/bin/env python3
# SPDX-FileCopyrightText: engram contributors
# SPDX-License-Identifier: Apache-2.0
"""Checks that every conformance scenario has a test: coverage.py CONFORMANCE_TEST COMPILE_FAIL_FOLDER."""
import pathlib
import re
import subprocess
import sys

# How many scenarios each family has, numbered from 1.
FAMILIES = {'VT': 89, 'MT': 15, 'CT': 9, 'XT': 20, 'ST': 20, 'DT': 13}
# Scenarios that a program cannot contain: they are sources that must not compile.
COMPILE_FAIL = {'ST14'}
SUITE = re.compile(r'^(?:\w+/)?(VT|MT|CT|XT|ST|DT)(\d\d)(?:/\d+)?\.')


def main():
    program, compile_fail = sys.argv[1:]
    listing = subprocess.run([program, '--gtest_list_tests'], check=True, capture_output=True, text=True)
    found = {match[1] + match[2] for match in map(SUITE.match, listing.stdout.splitlines()) if match}
    if any(pathlib.Path(compile_fail).glob('*.cc')):
        found |= COMPILE_FAIL
    wanted = {f'{family}{number:02}' for family, count in FAMILIES.items() for number in range(1, count + 1)}
    for name in sorted(wanted - found):
        print(f'{name[:2]}-{name[2:]}: no test')
    for name in sorted(found - wanted):
        print(f'{name}: not a scenario')
    print(f'{len(wanted & found)} of {len(wanted)} scenarios have a test')
    return 0 if found == wanted else 1


if __name__ == '__main__':
    sys.exit(main())
