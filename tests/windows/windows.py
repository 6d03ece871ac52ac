#!/usr/bin/env python3
# SPDX-FileCopyrightText: engram contributors
# SPDX-License-Identifier: Apache-2.0
"""Makes synthetic Windows machines and compares what engram says of them with what is true.

windows.py --engram PROGRAM tables BUILD [--encoded]    every table, in every type of dump and raw
windows.py --engram PROGRAM arm64                       the same of an arm64 machine, and its pages
windows.py --engram PROGRAM x86                         a 32-bit machine with and one without PAE
windows.py --engram PROGRAM between                     tables of builds between those, and small dumps
windows.py --engram PROGRAM translations                pages that are hard to translate
windows.py --engram PROGRAM systems                     tables of the other system are errors
windows.py --engram PROGRAM triage                      small dumps, whole and cut
windows.py --engram PROGRAM secondary                   data that callbacks left in dumps
windows.py --engram PROGRAM converted                   from and to crash dumps, page by page
windows.py --engram PROGRAM damage                      headers that are damaged
windows.py --engram PROGRAM structures                  lists and trees that are damaged
windows.py --engram PROGRAM symbols BUILD               structures from files of symbols
windows.py --engram PROGRAM content                     structures of a build that is not known
windows.py --engram PROGRAM not_windows                 what is said where there is no root
windows.py --engram PROGRAM symbol_files                files of symbols that are wrong
"""
import argparse
import pathlib
import shutil
import struct
import subprocess
import sys
import tempfile

import arm64
import builds
import dump
import generate
from conversions import converted
from damaged import structures
from guest import SHARED_DATA, Guest
from guest32 import Guest32
from memory import PAGE
from program import Failed, Image, check_tables, check_translations, check_virtual_bytes, compare
from small_dumps import check_ran, secondary, triage
from symbol_checks import content, symbol_files, symbols
from symbols import isf as symbols_of


def tables(engram, folder, build, encoded):
    guest, files = generate.write(folder, build, (*dump.TYPES, *dump.CONTAINERS), encoded)
    for path in files.values():
        check_tables(Image(engram, path), guest)
        path.unlink()


def translations(engram, folder):
    guest, files = generate.write(folder, 19041, (1, 6))
    for path in files.values():
        check_translations(Image(engram, path), guest)
        check_virtual_bytes(Image(engram, path), guest, guest.module_list, 3 * PAGE)


def arm64_machine(engram, folder):
    guest, files = generate.write(folder, arm64.BUILD, (*dump.TYPES, *dump.CONTAINERS))
    for path in files.values():
        check_tables(Image(engram, path), guest)
        check_virtual_bytes(Image(engram, path), guest, guest.module_list, 3 * PAGE)
    check_translations(Image(engram, files[1]), guest)
    # Tables of arm64 look like those of x86-64: without KUSER_SHARED_DATA's word the kernel's header decides.
    guest.kernel.write_all(SHARED_DATA + 0x2C, "I", 0)
    with files["raw"].open("wb") as file:
        dump.write_raw(guest, file)
    check_tables(Image(engram, files["raw"]), guest)
    if "handle tables is not known" not in (text := Image(engram, files[1]).error("SELECT * FROM handles")):
        raise Failed(f"handles: {text}")
    # An older build, of which no public source tells where the members are.
    data = bytearray(files[1].read_bytes())
    struct.pack_into("<I", data, 0x0C, 22000)
    system = int(guest.truth["processes"][0]["virtual_address"], 16) + guest.layout.pid
    frame = guest.kernel.frame_of(system)
    at = dump.HEADER + [f for f in guest.physical.frames if f not in guest.withheld].index(frame) * PAGE + system % PAGE
    struct.pack_into("<Q", data, at, 0)
    files[1].write_bytes(data)
    if "layouts of EPROCESS on arm64" not in (text := Image(engram, files[1]).error("SELECT * FROM processes")):
        raise Failed(f"another layout: {text}")


def between(engram, folder):
    """Builds between those that are looked at closely, most of which share some of their structures with a neighbour."""
    for build in (*builds.BETWEEN, "14393-grown", "x86-9200"):
        guest, files = generate.write(folder, build, (5,))
        check_tables(Image(engram, files[5]), guest)
        if guest.layout.number == 9200:  # which has names of its own, too
            file = folder / "nt.json"
            file.write_text(symbols_of(guest.layout, age=guest.AGE), encoding="utf-8")
            check_tables(Image(engram, files[5], "--symbols", str(file)), guest)
        files[5].unlink()
        if guest.WIDTH == 8:
            check_ran(engram, folder / f"{build}-small.dmp", guest)


def check_x86(image, guest):
    """Of a crash dump, or of memory alone."""
    name, pae = image.path.name, guest.pae
    check_tables(image, guest)
    row, = image.query("SELECT operating_system, architecture, page_table_levels, kernel_base FROM image_info")
    compare(f"{name}: image_info", [row], [{"operating_system": "windows", "architecture": "x86",
                                            "page_table_levels": 3 if pae else 2,
                                            "kernel_base": guest.truth["drivers"][0]["base_address"]}])
    row, = image.query("SELECT arch, build, system_version, system_root FROM os_version")
    compare(f"{name}: os_version", [row], [{"arch": "x86", "build": guest.build, "system_root": "C:\\Windows",
                                            "system_version": f"{guest.build}.synthetic32"}])
    check_translations(image, guest)
    check_virtual_bytes(image, guest, guest.module_list, 3 * PAGE)


def x86(engram, folder):
    for build, pae in ((7601, True), (7601, False), (19041, True)):
        guest = Guest32(pae, build)
        path = folder / f"x86-{'pae' if pae else 'narrow'}.dmp"
        path.write_bytes(dump.dump32(guest))
        image = Image(engram, path)
        check_x86(image, guest)
        row, = image.query("SELECT pae FROM crash_dump")
        compare(f"{path.name}: crash_dump", [row], [{"pae": int(pae)}])
        for kind, write in dump.CONTAINERS.items():
            path = folder / f"x86.{kind}"
            with path.open("wb") as file:
                write(guest, file)
            check_x86(Image(engram, path), guest)
            path.unlink()


def not_windows(engram, folder):
    """Memory without a root, and with one that leads nowhere: the error says what was looked for."""
    path = folder / "none.raw"
    for kind, text in (("raw", "x86_64 at 0xfffff78000000000, arm64 at 0xfffff78000000000, x86 with PAE at 0xffdf0000"),
                       ("elf", "looked for: x86 with PAE at 0xffdf0000, x86 without PAE at 0xffdf0000")):
        for pae in (True, False):
            guest = Guest32(pae)
            guest.kernel.write_all(0xFFDF_0030, "I", 0)  # KUSER_SHARED_DATA without the system's folder
            with path.open("wb") as file:
                dump.CONTAINERS[kind](guest, file)
            if text not in (said := Image(engram, path).error("SELECT * FROM drivers")):
                raise Failed(f"{kind}: {said}")


def systems(engram, folder):
    _, files = generate.write(folder, 19041, (8,))
    image = Image(engram, files[8])
    for table in ("mounts", "kallsyms", "sockets", "task_open_files"):
        if "Windows (build 19041)" not in (text := image.error(f"SELECT * FROM {table}")):
            raise Failed(f"{table}: {text}")


def damage(engram, folder):
    """Damaged headers: an error that says what is wrong, or a warning and what is still there. No hang."""
    guest = Guest(19041)
    whole = {kind: dump.dump(guest, kind) for kind in dump.TYPES}
    for name, (kind, change, (outcome, text)) in dump.DAMAGE.items():
        path = folder / f"{name}.dmp"
        path.write_bytes(change(bytearray(whole[kind])))
        image = Image(engram, path)
        if outcome == "error":
            said = image.error("SELECT * FROM drivers")
            if text not in said:
                raise Failed(f"{name}: {said!r} does not speak of {text!r}")
        else:
            said = " ".join(image.messages())
            row, = image.query("SELECT truncated, bugcheck_code FROM image_info, crash_dump")
            if row["bugcheck_code"] != dump.BUGCHECK:
                raise Failed(f"{name}: {row}")
            if outcome == "cut" and not row["truncated"]:
                raise Failed(f"{name}: not truncated")
            if outcome == "warning" and text not in said:
                raise Failed(f"{name}: {said!r} does not speak of {text!r}")
        path.unlink()
    # Cut anywhere, a dump opens or says why not.
    for kind, data in whole.items():
        for size in (0x10, 0x1FFF, 0x2000, 0x2030, 0x2038, 0x2100, 0x3000, len(data) // 2, len(data) - 1):
            path = folder / "cut.dmp"
            path.write_bytes(data[:size])
            done = Image(engram, path).run("query", path, "SELECT name FROM drivers", "--format", "json")
            if done.returncode < 0 or (done.returncode != 0 and not done.stderr):
                raise Failed(f"type {kind} cut at {size:#x}: exit code {done.returncode}, {done.stderr!r}")


CHECKS = {"arm64": arm64_machine, "x86": x86, "between": between, "translations": translations, "systems": systems, "triage": triage,
          "secondary": secondary, "converted": converted, "damage": damage, "structures": structures, "content": content,
          "symbol_files": symbol_files, "not_windows": not_windows}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--engram", required=True)
    parser.add_argument("check", choices=("tables", "symbols", *CHECKS))
    parser.add_argument("build", nargs="?", type=generate.name_of_build, default=19041)
    parser.add_argument("--encoded", action="store_true")
    options = parser.parse_args()
    folder = pathlib.Path(tempfile.mkdtemp(prefix="engram-windows-"))
    try:
        if options.check == "tables":
            tables(options.engram, folder, options.build, options.encoded)
        elif options.check == "symbols":
            symbols(options.engram, folder, options.build)
        else:
            CHECKS[options.check](options.engram, folder)
    except (Failed, subprocess.TimeoutExpired) as problem:
        print(f"{options.check}: {problem}")
        return 1
    finally:
        shutil.rmtree(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
