# SPDX-FileCopyrightText: engram contributors
# SPDX-License-Identifier: Apache-2.0
"""Mapped memory, against /proc/PID/maps."""
from check_tasks import COLLECTOR
from program import Comparison

FIELDS = ("start", "end", "permissions", "offset", "device", "inode", "path")


def expected_maps(truth):
    """pid -> the lines of its maps, as tuples of FIELDS, of all processes but the collector."""
    return {process["pid"]: [(int(area["start"], 16), int(area["end"], 16), area["perms"], int(area["offset"], 16),
                              area["dev"], area["inode"], area["path"] or "") for area in process["maps"] or []]
            for process in truth["processes"] if process["comm"] != COLLECTOR}


def compare(result, truth, mine, elsewhere=()):
    """mine: pid -> tuples of FIELDS in address order. Every line of every process, and no other.

    elsewhere: processes that run in the memory of others, where it is listed."""
    expected = {pid: areas for pid, areas in expected_maps(truth).items() if pid not in elsewhere}
    mapped = {pid for pid, areas in expected.items() if areas}
    collectors = {process["pid"] for process in truth["processes"] if process["comm"] == COLLECTOR}
    result.equal("processes with memory", sorted(set(mine) - collectors), sorted(mapped))
    for pid in sorted(mapped & set(mine)):
        result.equal(f"process {pid}: mappings", [row[0] for row in mine[pid]], [row[0] for row in expected[pid]])
        for ours, kernels in zip(mine[pid], expected[pid]):
            for field, our, kernel in zip(FIELDS, ours, kernels):
                result.equal(f"process {pid} {kernels[0]:#x} {field}", our, kernel)


def memory_mappings(program, truth):
    """Each memory once, with the process whose it is."""
    result = Comparison()
    rows = program.query("SELECT * FROM memory_mappings ORDER BY tgid, region_start")
    result.equal("no mapping twice", len({row["virtual_address"] for row in rows}), len(rows))
    mine = {}
    for row in rows:
        letters = "".join(letter if row[column] else "-" for letter, column in
                          (("r", "readable"), ("w", "writable"), ("x", "executable")))
        mine.setdefault(row["tgid"], []).append(
            (int(row["region_start"], 16), int(row["region_end"], 16), letters + ("s" if row["shared"] else "p"),
             row["file_offset"] or 0, row["device"] or "00:00", row["inode"] or 0, row["name"] or ""))
        is_file = (row["name"] or "").startswith("/")
        result.equal(f"{row['virtual_address']} has a path", row["file_path"], row["name"] if is_file else None)
    tasks = {row["virtual_address"]: row for row in program.query("SELECT * FROM processes")}
    owners = {row["page_table"]: row["task"] for row in rows}
    compare(result, truth, mine, {process["pid"] for address, process in tasks.items()
                                  if owners.get(process["page_table"], address) != address})
    for row in rows:
        owner = tasks[row["task"]]
        result.equal(f"{row['virtual_address']} process", (owner["pid"], owner["page_table"]),
                     (row["tgid"], row["page_table"]))
    for key in ("task", "mm"):
        some = rows[len(rows) // 2][key]
        found = program.query(f"SELECT * FROM memory_mappings WHERE {key} = {some} ORDER BY tgid, region_start")
        result.equal(f"by {key}", found, [row for row in rows if row[key] == some])
    result.rows = rows
    return result


def process_memory_map(program, truth):
    """osquery's columns, for every process."""
    result = Comparison()
    rows = program.query("SELECT * FROM process_memory_map")
    rows.sort(key=lambda row: (row["pid"], int(row["start"], 16)))
    mine = {}
    for row in rows:
        mine.setdefault(row["pid"], []).append((int(row["start"], 16), int(row["end"], 16),
                                                *(row[field] for field in FIELDS[2:])))
        result.equal(f"pseudo of {row['path']}", row["pseudo"], int(not row["path"].startswith("/")))
    compare(result, truth, mine)
    result.rows = rows
    return result


def is_library(path):
    """By its name."""
    path = path.removesuffix(" (deleted)")
    return path.startswith("/") and (path.endswith(".so") or ".so." in path)


def process_libraries(program, truth):
    """Every library that maps has, once for each process."""
    result = Comparison()
    rows = program.query("SELECT * FROM process_libraries")
    expected = expected_maps(truth)
    kernels = sorted({(pid, area[-1]) for pid, areas in expected.items() for area in areas if is_library(area[-1])})
    ours = [(row["pid"], row["library"]) for row in rows if row["comm"] != COLLECTOR]
    result.equal("libraries", ours, kernels)
    result.equal("there are some", len(kernels) > 10, True)
    result.rows = rows
    return result


def process_anon_wx_regions(program, truth):
    """Those of the process that the scenario made one in, and no other."""
    result = Comparison()
    rows = program.query("SELECT * FROM process_anon_wx_regions")
    kernels = sorted((pid, area[0], area[1]) for pid, areas in expected_maps(truth).items() for area in areas
                     if area[2][1:3] == "wx" and area[5] == 0)
    result.equal("regions", [(row["pid"], int(row["region_start"], 16), int(row["region_end"], 16)) for row in rows],
                 kernels)
    result.equal("there is one", len(kernels) > 0, True)
    result.rows = rows
    return result
