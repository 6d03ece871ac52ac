# SPDX-FileCopyrightText: engram contributors
# SPDX-License-Identifier: Apache-2.0
"""Capabilities and tracers of tasks, against /proc/PID/status; what is hidden or brought in by the environment."""
from check_tasks import expected_tasks
from program import Comparison

SETS = {"effective": "CapEff", "permitted": "CapPrm", "inheritable": "CapInh", "bounding": "CapBnd",
        "ambient": "CapAmb"}
OVERRIDES = {"has_ld_preload": "LD_PRELOAD", "has_ld_audit": "LD_AUDIT", "has_ld_library_path": "LD_LIBRARY_PATH"}
KNOWN = 41


def leaders(program):
    """Address of its first thread -> process, but for workers, which come and go."""
    return {row["virtual_address"]: row["pid"] for row in program.query("SELECT * FROM processes")
            if row["type"] != "kthread" or not row["comm"].startswith("kworker/")}


def processes_of(truth):
    """pid -> process."""
    return {process["pid"]: process for process in truth["processes"]}


def known_leaders(program, processes, result):
    """Address and number of each process that the kernel named, too; another one is a difference."""
    for address, pid in leaders(program).items():
        result.equal(f"{pid} is a process", True, pid in processes)
        if pid in processes:
            yield address, pid


def task_capabilities(program, truth):
    """Every bit of every set of every process, and 41 rows for each thread."""
    result = Comparison()
    rows = program.query("SELECT * FROM task_capabilities")
    by_task = {}
    for row in rows:
        by_task.setdefault(row["task"], []).append(row)
    threads = program.query("SELECT DISTINCT virtual_address FROM tasks")
    result.equal("tasks", set(by_task), {row["virtual_address"] for row in threads})
    processes = processes_of(truth)
    for address, pid in known_leaders(program, processes, result):
        mine = by_task[address]
        result.equal(f"{pid} numbers", [row["number"] for row in mine], list(range(KNOWN)))
        for column, key in SETS.items():
            bits = sum(row[column] << row["number"] for row in mine)
            result.equal(f"{pid} {column}", f"{bits:016x}", processes[pid]["caps"][key])
    names = [row["name"] for row in rows[:KNOWN]]
    result.equal("names", (names[0], names[21], names[-1], len(set(names))),
                 ("CAP_CHOWN", "CAP_SYS_ADMIN", "CAP_CHECKPOINT_RESTORE", KNOWN))
    some = next(iter(by_task))
    result.equal("by task", program.query(f"SELECT * FROM task_capabilities WHERE task = {some}"), by_task[some])
    result.rows = rows
    return result


def process_capabilities(program, truth):
    """The same as words."""
    result = Comparison()
    rows = program.query("SELECT * FROM process_capabilities")
    names = {row["number"]: row["name"].removeprefix("CAP_") for row in
             program.query("SELECT DISTINCT number, name FROM task_capabilities")}
    mine = {row["task"]: row for row in rows}
    result.equal("no process twice", len(mine), len(rows))
    result.equal("processes", set(leaders(program)) - set(mine), set())
    processes = processes_of(truth)
    for address, pid in known_leaders(program, processes, result):
        for column, key in SETS.items():
            bits = int(processes[pid]["caps"][key], 16)
            words = " ".join(names[bit] for bit in range(KNOWN) if bits >> bit & 1)
            kernels = "ALL" if bits == (1 << KNOWN) - 1 else words
            result.equal(f"{pid} {column}", mine[address][column], kernels)
    some = {row["effective"] for row in rows}
    result.equal("some have all, some a few", len(some) > 2 and "ALL" in some, True)
    result.rows = rows
    return result


def task_ptrace_flags(program, truth):
    """14 rows for each thread; flags only where there is a tracer, and the tracer is the kernel's."""
    result = Comparison()
    rows = program.query("SELECT * FROM task_ptrace_flags")
    by_task = {}
    for row in rows:
        by_task.setdefault(row["task"], {})[row["name"]] = row
    threads = program.query("SELECT DISTINCT virtual_address, pid FROM tasks")
    pids = {row["virtual_address"]: row["pid"] for row in threads}
    result.equal("tasks", set(by_task), set(pids))
    result.equal("rows", len(rows), 14 * len(pids))
    processes = processes_of(truth)
    for address, pid in known_leaders(program, processes, result):
        flags, tracer = by_task[address], processes[pid]["tracer_pid"]
        result.equal(f"{pid} tracer", flags["raw"]["tracer_pid"] or 0, tracer)
        result.equal(f"{pid} tracer's address", pids.get(flags["raw"]["tracer"], 0), tracer)
        result.equal(f"{pid} traced", flags["PT_PTRACED"]["value"], "1" if tracer else "0")
        # The scenario's tracers use PTRACE_SEIZE without options.
        result.equal(f"{pid} raw", flags["raw"]["value"], "0x00010001" if tracer else "0x00000000")
        result.equal(f"{pid} unused", flags["unused"]["value"], "0x00000000")
    result.equal("some are traced", any(process["tracer_pid"] for process in processes.values()), True)
    result.rows = rows
    return result


def process_ptrace_flags(program, truth):
    """The same as words."""
    result = Comparison()
    rows = program.query("SELECT * FROM process_ptrace_flags")
    mine = {row["task"]: row for row in rows}
    result.equal("no process twice", len(mine), len(rows))
    processes = processes_of(truth)
    for address, pid in known_leaders(program, processes, result):
        row, tracer = mine[address], processes[pid]["tracer_pid"]
        result.equal(f"{pid} flags", (row["flags"], row["raw"], row["tracer_pid"] or 0),
                     ("PTRACED SEIZED", "0x00010001", tracer) if tracer else ("", "0x00000000", 0))
    result.rows = rows
    return result


def tasklist_pidns_differences(program, truth):
    """Nobody hides in the lab: every thread of /proc is in both sources."""
    result = Comparison()
    rows = program.query("SELECT * FROM tasklist_pidns_differences")
    result.equal("hidden", rows, [])
    both = program.query("SELECT virtual_address FROM tasks WHERE source = 'both'")
    result.equal("in both", abs(len(both) - len(expected_tasks(truth))) <= 4, True)
    result.rows = rows
    return result


def ld_env_override_processes(program, truth):
    """Exactly the processes whose environment has one of the variables."""
    result = Comparison()
    rows = program.query("SELECT * FROM ld_env_override_processes")
    kernels = {}
    for process in truth["processes"]:
        names = {string.split("=")[0] for string in process["environ"] if "=" in string}
        if names & set(OVERRIDES.values()):
            kernels[process["pid"]] = [int(name in names) for name in OVERRIDES.values()]
    result.equal("processes", {row["pid"]: [row[column] for column in OVERRIDES] for row in rows}, kernels)
    result.equal("there is one", len(kernels) > 0, True)
    result.rows = rows
    return result
