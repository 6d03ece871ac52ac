#!/usr/bin/env python3
# SPDX-FileCopyrightText: engram contributors
# SPDX-License-Identifier: Apache-2.0
"""Writes engram(1) from what the program says about itself: man_page.py PROGRAM OUTPUT"""
import pathlib
import re
import subprocess
import sys

HEAD = """\
.TH ENGRAM 1 "" "{version}" "User Commands"
.SH NAME
engram \\- SQL questions about a computer's memory
.SH SYNOPSIS
.B engram
.I COMMAND IMAGE
[\\fIARGUMENT\\fR]...
.SH DESCRIPTION
Opens a memory image, a crash dump or the memory of a running QEMU guest, finds the kernel in it without symbol files, and
answers questions in SQL about its processes, files, sockets, modules and more.
.B engram tables
lists what can be asked about.
.SH COMMANDS
"""
TAIL = """\
.SH EXIT STATUS
.TP
0
The question was answered.
.TP
1
It could not be answered: no such file, no kernel in the image, wrong SQL, output that could not be written.
.TP
2
Wrong usage.
.TP
130
Interrupted.
.TP
141
The reader of the output went away.
.TP
143, 129
Ended by SIGTERM or SIGHUP.
.SH EXAMPLES
.nf
engram query memory.lime "SELECT pid, name, cmdline FROM processes"
engram query memory.lime "SELECT * FROM listening_ports" \\-\\-format json
engram shell memory.lime
engram info memory.lime
.fi
"""


def asked(program, *words):
    """What the program prints."""
    done = subprocess.run([program, *words], stdout=subprocess.PIPE, encoding="utf-8", check=True)
    return done.stdout.strip()


def verbatim(text):
    """Lines as they are, for roff: no escapes, and no line that begins with a request."""
    lines = text.replace("\\", "\\e").replace("-", "\\-").splitlines()
    return "\n".join(f"\\&{line}" if line[:1] in (".", "'") else line for line in lines)


def main():
    program, output = sys.argv[1:]
    page = HEAD.format(version=asked(program, "--version"))
    commands = re.search(r"^Subcommands:\n(.*?)(?:\n\n|\Z)", asked(program, "--help"), re.DOTALL | re.MULTILINE)
    for name in re.findall(r"^  (\w+)", commands[1], re.MULTILINE):
        page += f".SS {name}\n.nf\n{verbatim(asked(program, name, '--help'))}\n.fi\n"
    pathlib.Path(output).write_text(page + TAIL, encoding="utf-8")


if __name__ == "__main__":
    main()
