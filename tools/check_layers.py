#!/usr/bin/env python3
# SPDX-FileCopyrightText: engram contributors
# SPDX-License-Identifier: Apache-2.0
"""Fails if a file includes a layer to the right of its own, or does what only another layer may do."""
import pathlib
import re
import sys

# Left to right. image/ and paging/ both stand on guest/ and do not know each other.
LAYERS = ["base", "mapping", "guest", "image", "paging", "types", "kernel", "tables", "sql", "output", "cli"]
STRANGERS = {("image", "paging"), ("paging", "image"), ("types", "image")}
# What only one layer may do: pattern -> layers that may.
PRIVILEGES = [
    (re.compile(r"\b(mmap|munmap|mremap|mprotect|madvise|mincore|msync|mlock2?|munlock)\s*\("), {"mapping"}),
    (re.compile(r"#include <sqlite3.h>"), {"sql"}),
    (re.compile(r"#include <bpf/"), {"types"}),
    (re.compile(r"\b(exit|_exit|quick_exit)\s*\("), {"cli"}),
    (re.compile(r"\b(printf|puts|fputs|fprintf)\s*\(|std::cout|std::cerr|fmt::print"), {"output", "cli"}),
]
INCLUDE = re.compile(r'#include "(\w+)/')


def problems(path, layer):
    test = path.name.endswith("_test.cc")
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        found = INCLUDE.match(line)
        if found and found[1] in LAYERS:
            other = found[1]
            if LAYERS.index(other) > LAYERS.index(layer):
                yield f"{path}:{number}: {layer}/ includes {other}/, which lies to its right"
            if (layer, other) in STRANGERS:
                yield f"{path}:{number}: {layer}/ must not know {other}/"
        code = line.split("//")[0]
        for pattern, allowed in PRIVILEGES:
            if not test and pattern.search(code) and layer not in allowed:
                yield f"{path}:{number}: only {', '.join(sorted(allowed))} may do this: {code.strip()}"


def main():
    source = pathlib.Path(__file__).resolve().parent.parent / "src"
    bad = [text for layer in LAYERS for path in sorted((source / layer).rglob("*.[hc]*"))
           for text in problems(path, layer)]
    print("\n".join(bad) if bad else f"layers: {len(LAYERS)} layers, every include points left")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
