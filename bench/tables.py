#!/usr/bin/env python3
# SPDX-FileCopyrightText: engram contributors
# SPDX-License-Identifier: Apache-2.0
"""What each table and view costs in full beyond opening the image, and what joins cost in every order.

tables.py --engram PROGRAM --dumps FOLDER [--runs N] [--json FILE]

Before its time counts, a table must give the same rows for two formats of the same memory, and a join the same rows in every
order. Times are medians of new processes with the image in the page cache, in milliseconds, less what a query of os_version
takes; memory is the greatest sum of pages that are not the mapped file's, in MB. What exceeds the limit is marked.
"""
import itertools
import json
import statistics
import subprocess
import sys

from open import measure, read_arguments

TABLE_LIMIT_MS, JOIN_LIMIT_MS = 300, 500
OWN = {"diagnostics", "mquire_diagnostics", "image_info", "image_ranges"}  # about the file, so formats differ
NOT_OF_THIS = ("this is about Windows", "has no header of a Windows crash dump", "is no Windows crash dump", "registers: the image")
# What has which connection open, written naively: every pair of conditions, and no hint.
JOIN = ("SELECT t.pid, t.comm, f.fd, c.protocol, c.local_port, c.remote_port FROM {} JOIN {} JOIN {}"
        " WHERE f.task = t.virtual_address AND c.inode = f.inode")
SIDES = ("tasks t", "task_open_files f", "network_connections c")
# Columns that users join on, keys or not; many cells of special_device and tracer_pid are NULL.
PAIRS = (("tasks.virtual_address", "memory_mappings.task"), ("tasks.pid", "task_ptrace_flags.tracer_pid"),
         ("files.virtual_address", "memory_mappings.inode_address"), ("files.inode", "task_ptrace_flags.tracer_pid"),
         ("files.special_device", "task_open_files.special_device"), ("files.path", "memory_mappings.file_path"),
         ("kernel_modules.name", "kallsyms.module"), ("file_ranges.inode_address", "files.virtual_address"))


def joins():
    """A list of (name, SQL) a join: as the planner likes it, then in each order that CROSS JOIN forces."""
    forced = JOIN.replace("JOIN", "CROSS JOIN")
    yield [("join", JOIN.format(*SIDES))] + [("join " + " ".join(side.split()[1] for side in order), forced.format(*order))
                                             for order in itertools.permutations(SIDES)]
    for a, b in PAIRS:
        sql = "SELECT count(*) AS count FROM {} a {} {} b WHERE a.{} = b.{}"
        (left, x), (right, y) = a.split("."), b.split(".")
        yield [(f"{a} = {b}", sql.format(left, "JOIN", right, x, y)), (f"{a} in {b}", sql.format(left, "CROSS JOIN", right, x, y)),
               (f"{b} in {a}", sql.format(right, "CROSS JOIN", left, y, x))]


def rows_of(engram, image, sql):
    """The rows, in an order of their own."""
    return sorted(json.dumps(row, sort_keys=True) for row in measure(engram, image, sql)[3])


def median(engram, image, sql, runs):
    """(wall, processor, memory) of one query."""
    measured = [measure(engram, image, sql)[:3] for _ in range(runs)]
    return [statistics.median(run[i] for run in measured) for i in range(3)]


def queries(engram, images):
    """(name, SQL, limit) of each query whose answer proves right."""
    listed = subprocess.run([engram, "tables", "--format", "json"], stdout=subprocess.PIPE, check=True)
    for name in (row["name"] for row in json.loads(listed.stdout)):
        sql = f"SELECT * FROM {name}"
        refused = subprocess.run([engram, "query", images[0], f"SELECT count(*) FROM {name}"], capture_output=True, encoding="utf-8",
                                 check=False).stderr
        if any(reason in refused for reason in NOT_OF_THIS):
            continue
        if name not in OWN and rows_of(engram, images[0], sql) != rows_of(engram, images[1], sql):
            raise SystemExit(f"{name}: {images[0]} and {images[1]} differ; no time is reported")
        yield name, sql, TABLE_LIMIT_MS
    for orders in joins():
        expected = rows_of(engram, images[0], orders[0][1])
        if not expected or '{"count": 0}' in expected:
            raise SystemExit(f"{orders[0][0]}: no rows; no time is reported")
        for name, sql in orders:
            rows = rows_of(engram, images[0], sql)
            if rows != expected:
                raise SystemExit(f"{name}: {len(rows)} rows, {len(expected)} expected; no time is reported")
            yield name, sql, JOIN_LIMIT_MS


def main():
    arguments = read_arguments(__doc__, runs=5)
    results = []
    print(f"{'dump':20}{'table':62}{'wall ms':>9}{'CPU ms':>9}{'MB':>7}")
    for folder in sorted(path for path in arguments.dumps.iterdir() if (path / "truth.json").exists()):
        images = [folder / "dump.raw", folder / "dump.elf"]
        opening = median(arguments.engram, images[0], "SELECT * FROM os_version", arguments.runs)
        for name, sql, limit in queries(arguments.engram, images):
            whole = median(arguments.engram, images[0], sql, arguments.runs)
            wall, processor = (max(0.0, whole[i] - opening[i]) for i in range(2))
            mark = f"  above {limit} ms" if wall > limit else ""
            print(f"{folder.name:20}{name:62}{wall:9.0f}{processor:9.0f}{whole[2]:7.0f}{mark}", flush=True)
            results.append({"dump": folder.name, "table": name, "wall_ms": wall, "cpu_ms": processor,
                            "anonymous_mb": whole[2]})
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=1), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
