# SPDX-FileCopyrightText: engram contributors
# SPDX-License-Identifier: Apache-2.0
"""Tasks of both sources, against /proc/PID and /proc/PID/task."""
import shlex

from program import Comparison

TICK = 10_000_000  # nanoseconds: the guests' CLK_TCK is 100
COLLECTOR = "labtruth"  # it records the truth, and so cannot be in the state that it recorded


def words(text):
    """Strings of command_line or environment."""
    return shlex.split(text) if text is not None else []


def same_name(ours, kernels, is_kernel_thread):
    """comm has 15 bytes; /proc shows a kernel thread's full name, and a worker with what it works for."""
    if not is_kernel_thread:
        return ours == kernels
    return kernels.startswith(ours) and (len(ours) == 15 or ours.startswith("kworker/") or ours == kernels)


def expected_tasks(truth):
    """tid -> (process, thread) of all that /proc listed."""
    return {thread["tid"]: (process, thread) for process in truth["processes"] for thread in process["threads"]}


def tasks(program, truth):
    """Both sources have exactly the threads of /proc, with the same values."""
    result = Comparison()
    expected = expected_tasks(truth)
    rows = [row for source in ("task_list", "pid_ns")
            for row in program.query(f"SELECT *, source, root_task FROM tasks WHERE source = '{source}'")]
    for source in ("task_list", "pid_ns"):
        mine = {row["pid"]: row for row in rows if row["source"] == source}
        result.equal(f"{source}: no thread twice", len(mine), sum(row["source"] == source for row in rows))
        workers = {tid for tid, (process, _) in expected.items() if process["comm"].startswith("kworker/")}
        new_workers = {pid for pid, row in mine.items() if row["comm"].startswith("kworker/")}
        result.equal(f"{source}: threads", sorted(set(mine) - new_workers), sorted(set(expected) - workers))
        # Workers come and go by themselves between the collector's look and the stop of the machine.
        result.equal(f"{source}: workers", len(new_workers ^ workers) <= 4, True)
        for tid in sorted(set(mine) & set(expected)):
            compare_task(result, f"{source} {tid}", mine[tid], *expected[tid])
    by_source = [sorted(row["virtual_address"] for row in rows if row["source"] == source)
                 for source in ("task_list", "pid_ns")]
    result.equal("addresses of both sources", by_source[0] == by_source[1], True)
    once = program.query("SELECT virtual_address, source FROM tasks ORDER BY virtual_address")
    result.equal("each once", sorted(row["virtual_address"] for row in once) == by_source[0], True)
    result.equal("sources", {row["source"] for row in once}, {"both"})
    init_task = hex(int(truth["kallsyms"]["selected"]["init_task"], 16))
    result.equal("root_task", {row["root_task"] for row in rows if row["source"] == "task_list"}, {init_task})
    result.rows = rows
    return result


def compare_task(result, what, row, process, thread):
    """Every column that /proc has, too."""
    kernel_thread = process["kthread"]

    def equal(column, kernels):
        result.equal(f"{what} ({thread['comm']}) {column}", row[column], kernels)

    result.equal(f"{what} comm {row['comm']!r} for {thread['comm']!r}",
                 same_name(row["comm"], thread["comm"], kernel_thread), True)
    equal("tgid", process["pid"])
    equal("real_ppid", process["ppid"])
    equal("ppid", process["tracer_pid"] or process["ppid"])
    leader = "kthread" if kernel_thread else "thread_group_leader"
    equal("type", leader if thread["tid"] == process["pid"] else "thread")
    equal("nspid", " ".join(map(str, thread["nspid"])))
    for column, index in (("uid", 0), ("euid", 1), ("suid", 2)):
        equal(column, thread["uid"][index])
    for column, index in (("gid", 0), ("egid", 1), ("sgid", 2)):
        equal(column, thread["gid"][index])
    equal("sid", process["session"])
    equal("pgid", process["pgrp"])
    result.equal(f"{what} tty_nr", row["tty_nr"] or 0, process["tty_nr"])
    equal("threads", len(process["threads"]))
    result.equal(f"{what} start", row["start_boottime"] // TICK, thread["starttime_ticks"])
    result.equal(f"{what} has a page table", row["page_table"] is None, process["state"][0] == "Z")
    if thread["tid"] == process["pid"]:
        equal("exit_code", process["exit_code"])
    if thread["comm"] != COLLECTOR and not kernel_thread:
        equal("state", thread["state"][0])
        equal("flags", thread["flags"])
    equal("binary_path", process["exe"])
    equal("cwd", process["cwd"])
    equal("root", process["root"])
    result.equal(f"{what} command_line", words(row["command_line"]), process["cmdline"])
    result.equal(f"{what} environment", words(row["environment"]), process["environ"])


def keys(program, truth):
    """The rules for virtual_address, root_task and source."""
    result = Comparison()
    first = program.one("SELECT virtual_address, comm FROM tasks WHERE source = 'task_list' AND pid = 1")
    address = first["virtual_address"]
    direct = program.query(f"SELECT pid, comm, source FROM tasks WHERE virtual_address = {address}")
    result.equal("by address", direct, [{"pid": 1, "comm": first["comm"], "source": "both"}])
    listed = program.query("SELECT pid FROM tasks WHERE source = 'task_list' ORDER BY pid")
    rooted = program.query(f"SELECT pid FROM tasks WHERE root_task = {address} ORDER BY pid")
    result.equal("from PID 1", rooted, listed)
    result.equal("no address at all", program.query("SELECT pid FROM tasks WHERE virtual_address = NULL"), [])
    nowhere = program.query("SELECT pid FROM tasks WHERE virtual_address = 4096")
    result.equal("where no task is", nowhere, [])
    joined = program.query("SELECT t.pid FROM tasks s JOIN tasks t ON t.virtual_address = s.virtual_address"
                           " WHERE s.source = 'pid_ns' AND s.pid = 1")
    result.equal("join on the address", {row["pid"] for row in joined}, {1})
    result.equal("PID 1", first["comm"], expected_tasks(truth)[1][1]["comm"])
    result.rows = [direct, len(rooted)]
    return result
