#!/usr/bin/env python3
# SPDX-FileCopyrightText: engram contributors
# SPDX-License-Identifier: Apache-2.0
"""One table of what the benchmarks have measured, beside what was committed last.

compare.py [--save] [--results FOLDER] [--committed FILE]

The machine may be another one than that of the committed numbers, or busier: so each ratio is also shown relative to the
median of all. Those that are 1.5 times worse than that are marked and listed at the end; --save makes the new numbers the
committed ones.
"""
import argparse
import json
import pathlib
import statistics
import sys

HERE = pathlib.Path(__file__).resolve().parent
NANOSECONDS = {"ns": 1, "us": 1e3, "ms": 1e6, "s": 1e9}
WORSE = 1.5
# Below these the noise is more than the number.
SMALLEST = {"cpu_ms": 5.0, "wall_ms": 5.0, "anonymous_mb": 2.0}


def from_google_benchmark(stem, document):
    """{name: nanoseconds of processor time}"""
    for run in document["benchmarks"]:
        if "cpu_time" in run and not run.get("error_occurred"):
            yield f"{stem} {run['name']} ns", run["cpu_time"] * NANOSECONDS[run["time_unit"]]


def from_rows(stem, rows):
    """{name: number} of a list of objects: their texts are the name, their times and sizes the numbers."""
    for row in rows:
        name = " ".join(value for value in row.values() if isinstance(value, str))
        for key, value in row.items():
            if key in SMALLEST and value >= SMALLEST[key]:
                yield f"{stem} {name} {key}", value


def read_results(folder):
    """All numbers in a folder of JSON files, by name."""
    numbers = {}
    for path in sorted(folder.glob("*.json")):
        document = json.loads(path.read_text(encoding="utf-8"))
        read = from_google_benchmark if isinstance(document, dict) else from_rows
        numbers.update(read(path.stem, document))
    return numbers


def compare(now, before):
    """Prints the table; the names that are worse than the others."""
    both = [name for name in now if before.get(name)]
    usual = statistics.median(now[name] / before[name] for name in both) if both else 1
    width = max(map(len, now))
    print(f"{'benchmark':{width}}{'now':>14}{'committed':>14}{'ratio':>8}{'relative':>10}")
    worse = []
    for name, number in now.items():
        if name not in both:
            print(f"{name:{width}}{number:14.1f}{'-':>14}")
            continue
        ratio = number / before[name]
        is_worse = ratio / usual > WORSE
        worse += [name] if is_worse else []
        print(f"{name:{width}}{number:14.1f}{before[name]:14.1f}{ratio:8.2f}{ratio / usual:10.2f}{' !' if is_worse else ''}")
    print(f"\n{len(both)} of {len(now)} were committed before; this run is {usual:.2f} times theirs in the median")
    return worse


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--save", action="store_true")
    parser.add_argument("--results", type=pathlib.Path, default=HERE.parent / "build" / "bench")
    parser.add_argument("--committed", type=pathlib.Path, default=HERE / "results.json")
    arguments = parser.parse_args()
    now = read_results(arguments.results)
    if not now:
        raise SystemExit(f"{arguments.results}: no results: run the benchmarks first")
    before = json.loads(arguments.committed.read_text(encoding="utf-8")) if arguments.committed.exists() else {}
    worse = compare(now, before)
    if worse:
        print(f"{len(worse)} more than {WORSE} times the median:", *worse, sep="\n  ")
    if arguments.save:
        rounded = {name: float(f"{number:.4g}") for name, number in now.items()}
        arguments.committed.write_text(json.dumps(rounded, indent=0) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
