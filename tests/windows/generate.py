#!/usr/bin/env python3
# SPDX-FileCopyrightText: engram contributors
# SPDX-License-Identifier: Apache-2.0
"""Writes synthetic Windows machines as dumps, each with what is true of it beside.

generate.py FOLDER [--build 19041] [--types 1,5,raw,lime,elf] [--encoded]
"""
import argparse
import json
import pathlib

import arm64
import dump
from guest import Guest
from guest32 import Guest32


def machine(build, encoded=False):
    """26100, say, "26100-arm64" or "x86-7601"."""
    name = str(build)
    if name.startswith("x86-"):
        return Guest32(True, int(name[4:]))
    return (arm64.Guest if name.endswith("arm64") else Guest)(build, encoded)


def write(folder, build, kinds, encoded=False):
    """Files by type."""
    guest = machine(build, encoded)
    truth = {**guest.truth, "crash_dump": dump.facts(guest)}
    (folder / "truth.json").write_text(json.dumps(truth, indent=1), encoding="utf-8")
    files = {}
    for kind in kinds:
        files[kind] = folder / f"{build}-{kind}.{kind if kind in dump.CONTAINERS else 'dmp'}"
        with files[kind].open("wb") as file:
            if kind in dump.CONTAINERS:
                dump.CONTAINERS[kind](guest, file)
            else:
                file.write(dump.dump32(guest) if guest.WIDTH == 4 else dump.dump(guest, kind))
    return guest, files


def name_of_build(text):
    return int(text) if text.isdigit() else text


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--build", type=name_of_build, default=19041)
    parser.add_argument("--types", default=",".join(map(str, dump.TYPES)))
    parser.add_argument("--encoded", action="store_true", help="the debugger's block as it is before a crash")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    kinds = [kind if kind in dump.CONTAINERS else int(kind) for kind in options.types.split(",")]
    write(options.folder, options.build, kinds, options.encoded)


if __name__ == "__main__":
    main()
