# SPDX-FileCopyrightText: engram contributors
# SPDX-License-Identifier: Apache-2.0
"""The questions to a live guest, and what every answer to them must have."""
import collections
import shlex
import time

# What is still being set up when the truth is recorded: the start script becomes lab-churn, and waits with sleeps.
_PASSING = ("rcS", "kworker/")
_PASSING_COMMANDS = (["sleep", "0.2"],)


class Truth:
    """What lasts from before the first question to after the last one, as the guest's kernel said."""

    def __init__(self, processes, record, ram):
        self.ram = ram  # [(first, last)]
        self.processes = {process["pid"]: process for process in processes
                          if not process["comm"].startswith(_PASSING) and process["cmdline"] not in _PASSING_COMMANDS}
        self.threads = {thread["tid"]: thread["comm"][:15] for process in self.processes.values()
                        for thread in process["threads"]}
        self.release = record.line("/proc/sys/kernel/osrelease")
        self.btime = next(int(line.split()[1]) for line in record.text("/proc/stat").splitlines()
                          if line.startswith("btime "))
        self.modules = [line.split()[0] for line in record.text("/proc/modules").splitlines()]
        self.symbols = sum("[" not in line for line in record.text("/proc/kallsyms").splitlines())


def missing(expected, found):
    """A problem for what is expected and not found, {key: value}."""
    lost = {key: value for key, value in expected.items() if found.get(key) != value}
    if lost:
        key, value = next(iter(lost.items()))
        yield f"{len(lost)} of {len(expected)} are not as they were, such as {key}: {found.get(key)!r}, not {value!r}"
    if len(expected) < 30:
        yield f"only {len(expected)} are expected: the truth is not whole"


def check_tasks(rows, truth):
    """Both sources have all lasting threads, and no number twice."""
    for source in ("task_list", "pid_ns"):
        mine = [row for row in rows if row["source"] in (source, "both")]
        numbers = collections.Counter(row["pid"] for row in mine)
        twice = [pid for pid, count in numbers.items() if count > 1]
        if twice:
            yield f"{source}: twice: {twice[:5]}"
        for problem in missing(truth.threads, {row["pid"]: row["comm"] for row in mine}):
            yield f"{source}: {problem}"


def check_processes(rows, truth):
    """All lasting processes with name, command line and executable."""
    def words(text):
        return shlex.split(text) if text is not None else []
    expected = {pid: (process["comm"][:15], process["cmdline"], process["exe"])
                for pid, process in truth.processes.items()}
    found = {row["pid"]: (row["name"], words(row["cmdline"]), row["path"])
             for row in rows if row["pid"] in expected}
    yield from missing(expected, found)


def check_join(rows, truth):
    """The task of each source with the same address has the same number."""
    yield from missing(truth.threads, {row["pid"]: row["comm"] for row in rows if row["pid"] == row["other"]})


def check_parents(rows, truth):
    """Children with the name of their parents."""
    expected = {pid: truth.processes[process["ppid"]]["comm"][:15] for pid, process in truth.processes.items()
                if process["ppid"] in truth.processes}
    yield from missing(expected, {row["pid"]: row["parent_name"] for row in rows})


def check_threads(rows, truth):
    """As many threads as there were."""
    expected = {pid: len(process["threads"]) for pid, process in truth.processes.items()}
    yield from missing(expected, {row["tgid"]: row["threads"] for row in rows})


def check_first(rows, _):
    """PID 1, by its number."""
    if rows != [{"pid": 1, "comm": "init", "ppid": 0}]:
        yield f"PID 1 is {rows}"


def check_release(rows, truth):
    """One row with the kernel's release."""
    if [row["kernel_version"] for row in rows] != [truth.release]:
        yield f"{rows}, expected {truth.release}"


def check_boot_time(rows, truth):
    """The kernel computes it from two clocks, which may differ by a second."""
    if len(rows) != 1 or rows[0]["boot_time"] is None or abs(rows[0]["boot_time"] - truth.btime) > 1:
        yield f"{rows}, expected {truth.btime}"


def check_symbols(rows, truth):
    """The kernel's own symbols do not change."""
    if rows != [{"symbols": truth.symbols}]:
        yield f"{rows}, expected {truth.symbols}"


def check_churn(rows, _):
    """What makes processes come and go is at work."""
    if not rows or rows[0]["processes"] < 4:
        yield f"{rows}: lab-churn and its workers are not there"


def check_modules(rows, truth):
    """All modules, from wherever the kernel knows them."""
    found = [row["name"] for row in rows if row["source"] == "list,sysfs,tree"]
    if found != truth.modules or len(rows) != len(found):
        yield f"{len(rows)}, {len(found)} of them from everywhere, expected {len(truth.modules)}"


# (SQL, a function that yields problems)
RUNNING = (
    ("SELECT source, pid, comm FROM tasks", check_tasks),
    ("SELECT pid, name, cmdline, path FROM processes", check_processes),
    ("SELECT kernel_version FROM os_version", check_release),
    ("SELECT t.pid, t.comm, n.pid AS other FROM tasks t JOIN tasks n ON n.virtual_address = t.virtual_address"
     " AND n.source = 'pid_ns' WHERE t.source = 'task_list'", check_join),
    ("SELECT boot_time FROM boot_time", check_boot_time),
    ("SELECT c.pid, p.name AS parent_name FROM processes c JOIN processes p ON p.pid = c.parent", check_parents),
    ("SELECT count(*) AS symbols FROM kallsyms WHERE module IS NULL", check_symbols),
    ("SELECT tgid, count(*) AS threads FROM tasks WHERE source = 'task_list' GROUP BY tgid", check_threads),
    ("SELECT pid, comm, ppid FROM tasks WHERE source = 'pid_ns' AND pid = 1", check_first),
    ("SELECT name, source FROM kernel_modules", check_modules),
    ("SELECT count(*) AS processes FROM processes WHERE name = 'lab-churn'", check_churn),
)

# The same of the paused guest and of its dumps.
PAUSED = (
    "SELECT *, source, root_task FROM tasks",
    "SELECT * FROM processes",
    "SELECT * FROM os_version",
    "SELECT * FROM system_info",
    "SELECT * FROM boot_time",
    "SELECT * FROM kallsyms",
    "SELECT * FROM kernel_modules",
    RUNNING[3][0],
    RUNNING[5][0],
    "SELECT kernel_base, kernel_physical_base, kaslr_shift, direct_map_base, vmcoreinfo FROM image_info",
)


def wait_for_churn(program, seconds=30):
    """Waits until processes come and go; if they do not, the question about them fails."""
    end = time.monotonic() + seconds
    sql, check = RUNNING[-1]
    while list(check(program.query(sql), None)) and time.monotonic() < end:
        time.sleep(0.2)
