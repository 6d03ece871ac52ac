#!/usr/bin/env python3
# SPDX-FileCopyrightText: engram contributors
# SPDX-License-Identifier: Apache-2.0
"""What a question costs: a new process, the image in the page cache, one query. The first of an image, without engram's
cache, and a second one, with what the first has left there.

open.py --engram PROGRAM --dumps FOLDER [--runs N] [--json FILE]

Each answer is checked against the guest's truth before its time counts. Wall and processor time are medians, in
milliseconds; memory is the greatest sum of pages that are not the mapped file's, in MB.
"""
import argparse
import json
import os
import pathlib
import resource
import statistics
import subprocess
import sys
import tempfile
import threading
import time

QUERIES = {
    "os_version": "SELECT * FROM os_version",
    "kallsyms": "SELECT count(*) AS count FROM kallsyms",
    "tasks": "SELECT * FROM tasks",
}
AGAIN = ("os_version",)  # asked a second time, too
FORMATS = ("raw", "lime", "elf")
NO_CACHE = "/dev/null"  # a folder in which none can be made


def is_right(name, rows, truth):
    """Whether the answer can be the guest's."""
    if name == "os_version":
        return [row["kernel_version"] for row in rows] == [truth["osrelease"]]
    if name == "kallsyms":
        return rows == [{"count": truth["kallsyms"]["count"]}]
    pids = {process["pid"] for process in truth["processes"] if not process["comm"].startswith("kworker/")}
    return pids <= {row["pid"] for row in rows}


def anonymous_memory(process, peak):
    """Samples RssAnon of a running process until it ends."""
    try:
        while process.poll() is None:
            with open(f"/proc/{process.pid}/status", encoding="ascii") as status:
                for line in status:
                    if line.startswith("RssAnon:"):
                        peak[0] = max(peak[0], int(line.split()[1]))
            time.sleep(0.001)
    except OSError:
        pass  # it ended between the two looks


def measure(engram, image, sql, cache=NO_CACHE):
    """(wall ms, processor ms, peak MB that are not the file, rows) of one process; `cache`: its XDG_CACHE_HOME."""
    environment = os.environ | {"XDG_CACHE_HOME": str(cache)}
    before, start, peak = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic(), [0]
    with subprocess.Popen([engram, "query", image, sql, "--format", "json"], stdout=subprocess.PIPE,
                          env=environment) as process:
        watcher = threading.Thread(target=anonymous_memory, args=(process, peak))
        watcher.start()
        output = process.stdout.read()
        process.wait()
        wall = time.monotonic() - start
        watcher.join()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if process.returncode != 0:
        raise SystemExit(f"{image}: {sql}: exit code {process.returncode}")
    processor = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return wall * 1000, processor * 1000, peak[0] / 1024, json.loads(output)


def read_arguments(documentation, runs):
    """The command line of a benchmark on the lab's dumps; `runs` unless it says otherwise."""
    parser = argparse.ArgumentParser(description=documentation, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--engram", required=True)
    parser.add_argument("--dumps", required=True, type=pathlib.Path)
    parser.add_argument("--runs", type=int, default=runs)
    parser.add_argument("--json", type=pathlib.Path)
    return parser.parse_args()


def main():
    arguments = read_arguments(__doc__, runs=7)
    results = []
    print(f"{'image':24}{'query':18}{'wall ms':>9}{'CPU ms':>9}{'MB':>7}")
    for folder in sorted(path for path in arguments.dumps.iterdir() if (path / "truth.json").exists()):
        if folder.name.endswith("-smear"):
            continue  # that guest went on after the truth was recorded
        truth = json.loads((folder / "truth.json").read_text(encoding="utf-8"))
        for image in (folder / f"dump.{name}" for name in FORMATS):
            for name, again in [(name, False) for name in QUERIES] + [(name, True) for name in AGAIN]:
                sql = QUERIES[name]
                with tempfile.TemporaryDirectory() as folder_of_cache:
                    cache = folder_of_cache if again else NO_CACHE
                    runs = [measure(arguments.engram, image, sql, cache) for _ in range(arguments.runs + 1)][1:]
                if not all(is_right(name, rows, truth) for *_, rows in runs):
                    raise SystemExit(f"{image}: {sql}: wrong answer; no time is reported")
                wall, processor, memory = (statistics.median(run[i] for run in runs) for i in range(3))
                label = f"{folder.name} {image.suffix[1:]}"
                label_of_query = name + (" again" if again else "")
                print(f"{label:24}{label_of_query:18}{wall:9.0f}{processor:9.0f}{memory:7.0f}", flush=True)
                results.append({"dump": folder.name, "format": image.suffix[1:], "memory_mb": truth["meta"]["mem_mb"],
                                "query": label_of_query, "wall_ms": wall, "cpu_ms": processor, "anonymous_mb": memory})
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=1), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
