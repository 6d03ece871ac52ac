# SPDX-FileCopyrightText: engram contributors
# SPDX-License-Identifier: Apache-2.0
"""The view processes, against /proc/PID."""
from check_tasks import COLLECTOR, TICK, same_name, words
from program import Comparison


def processes(program, truth):
    """One row a process, with osquery's columns."""
    result = Comparison()
    rows = program.query("SELECT * FROM processes ORDER BY pid")
    mine = {row["pid"]: row for row in rows}
    result.equal("no process twice", len(mine), len(rows))
    expected = {process["pid"]: process for process in truth["processes"]}
    is_worker = {pid for pid, process in expected.items() if process["comm"].startswith("kworker/")}
    is_worker |= {pid for pid, row in mine.items() if row["name"].startswith("kworker/")}
    result.equal("processes", sorted(set(mine) - is_worker), sorted(set(expected) - is_worker))
    for pid in sorted(set(mine) & set(expected)):
        compare_process(result, mine[pid], expected[pid], truth)
    result.rows = rows
    return result


def compare_process(result, row, process, truth):
    """Every column that /proc has, too."""
    def equal(column, kernels):
        result.equal(f"process {process['pid']} ({process['comm']}) {column}", row[column], kernels)

    result.equal(f"process {process['pid']} name {row['name']!r} for {process['comm']!r}",
                 same_name(row["name"], process["comm"], process["kthread"]), True)
    equal("path", process["exe"])
    equal("cwd", process["cwd"])
    equal("root", process["root"])
    equal("parent", process["ppid"])
    equal("pgroup", process["pgrp"])
    equal("session", process["session"])
    equal("threads", len(process["threads"]))
    for column, key, index in (("uid", "uid", 0), ("euid", "uid", 1), ("gid", "gid", 0), ("egid", "gid", 1)):
        equal(column, process[key][index])
    deleted = (process["exe"] or "").endswith(" (deleted)")
    equal("on_disk", -1 if process["exe"] is None else int(not deleted))
    result.equal(f"process {process['pid']} cmdline", words(row["cmdline"]), process["cmdline"])
    if process["comm"] != COLLECTOR and not process["kthread"]:
        equal("state", process["state"][0])
    # btime and the start are each rounded down.
    start = truth["btime"] + process["starttime_ticks"] * TICK // 1_000_000_000
    result.equal(f"process {process['pid']} start_time", 0 <= row["start_time"] - start <= 1, True)
