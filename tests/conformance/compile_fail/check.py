#!/usr/bin/env python3
# SPDX-FileCopyrightText: engram contributors
# SPDX-License-Identifier: Apache-2.0
"""Checks what must not compile (ST-14): check.py COMPILER [FLAG...].

Each source beside this file compiles as it is, which is the control. With MUST_NOT_COMPILE it has one more line,
which ends in `// error: REGEX`: that line must be refused, and the compiler's reason must match.
"""
import os
import pathlib
import re
import subprocess
import sys

EXPECTED = re.compile(r'// error: (.+)$')
# Localised messages have other words and other quotation marks.
ENVIRONMENT = {**os.environ, 'LC_ALL': 'C'}


def compile_source(command, source, *flags):
    run = subprocess.run([*command, '-fsyntax-only', *flags, str(source)],
                         capture_output=True, text=True, check=False, env=ENVIRONMENT)
    return run.returncode == 0, run.stderr


def problem(command, source):
    """Why the case fails, or nothing."""
    marked = [(number, found[1]) for number, line in enumerate(source.read_text(encoding='utf-8').splitlines(), 1)
              if (found := EXPECTED.search(line))]
    if len(marked) != 1:
        return f'{len(marked)} lines with an expected error instead of one'
    number, reason = marked[0]
    compiles, messages = compile_source(command, source)
    if not compiles:
        return f'the control does not compile:\n{messages}'
    compiles, messages = compile_source(command, source, '-DMUST_NOT_COMPILE')
    if compiles:
        return f'line {number} compiles'
    # Diagnostics quote the source line, and with it the expectation itself.
    said = '\n'.join(line for line in messages.splitlines() if not EXPECTED.search(line))
    if not re.search(rf'{re.escape(source.name)}:{number}:\d+: (fatal )?error: ', said):
        return f'refused, but not in line {number}:\n{messages}'
    if not re.search(reason, said):
        return f'refused for another reason than {reason!r}:\n{messages}'
    return None


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    sources = sorted(pathlib.Path(__file__).resolve().parent.glob('*.cc'))
    failed = 0
    for source in sources:
        if (why := problem(sys.argv[1:], source)) is not None:
            failed += 1
            print(f'{source.stem}: {why}')
    print(f'{len(sources) - failed} of {len(sources)} cases are refused as they should be')
    return 1 if failed or not sources else 0


if __name__ == '__main__':
    sys.exit(main())
