# SPDX-FileCopyrightText: engram contributors
# SPDX-License-Identifier: Apache-2.0
"""The dot commands that ask a kernel, against /proc and against tables that are checked elsewhere."""
import os
import re
import tempfile

from program import Comparison, Failed

PAGE = 4096
ENTRY = re.compile(r"(?P<indent>(?:│  |   )*(?:[├└]─ )?)\[(?P<numbers>[\d ]+)\] \(0x[0-9a-f]{16}\) (?P<name>.*)")


def entries(result, text):
    """(process, thread or None, name, process of the parent or None) of each line of a tree."""
    header, tree = text.split("\n\n", 1)
    result.equal("header", [line.split(":")[0] for line in header.splitlines()], ["Parents", "Threads", "Page table"])
    above = []
    for line in tree.splitlines():
        found = ENTRY.fullmatch(line)
        if not found:
            result.equal("line of the tree", line, "an entry")
            continue
        depth = len(found["indent"]) // 3
        numbers = [int(number) for number in found["numbers"].split()]
        del above[depth:]
        yield numbers[0], numbers[1] if len(numbers) > 1 else None, found["name"], above[-1] if above else None
        above.append(numbers[0])


def task_tree(program, truth):
    """Every process once, below the parent that /proc/PID/stat names, or its tracer; threads below their process."""
    result = Comparison()
    processes = {one["pid"]: one for one in truth["processes"] if not one["comm"].startswith("kworker/")}
    for options in ("", " --use-real-parent", " --show-threads"):
        listed = list(entries(result, program.command(".task_tree" + options)))
        result.rows.append(listed)
        leaders = {pid: (name, above) for pid, thread, name, above in listed if thread in (None, pid)}
        result.equal(f"{options} processes", sorted(set(processes) - set(leaders)), [])
        result.equal(f"{options} no task twice", len({entry[:2] for entry in listed}), len(listed))
        for pid, process in processes.items():
            if pid not in leaders:
                continue
            above = process["ppid"]
            if "real" not in options and process["tracer_pid"] != 0:
                above = process["tracer_pid"]
            # /proc has the full names of kernel threads; task_struct.comm has 15 characters of them.
            result.equal(f"{options} {pid}", leaders[pid], (process["comm"][:15], above or None))
    threads = {(pid, thread): above for pid, thread, _, above in listed if thread != pid}
    expected = {(pid, thread["tid"]): pid for pid, process in processes.items() for thread in process["threads"]
                if thread["tid"] != pid}
    result.equal("threads", threads, expected)
    return result


def system_version(program, truth):
    """The lines are those of uname."""
    result = Comparison()
    result.rows = program.command(".system_version").splitlines()
    values = [line.split(":", 1)[1].strip() for line in result.rows]
    result.equal("lines", values, ["#" + truth["version"].split(" #", 1)[1].strip(), truth["osrelease"], "x86_64"])
    return result


def carve(program, truth):
    """The file has what read_bytes() reads, zeros where nothing is mapped, and exactly the size asked for."""
    result = Comparison()
    row = program.one("SELECT m.region_start AS start, m.region_end AS last, t.page_table AS root, t.virtual_address"
                      " AS task, t.pid FROM processes t JOIN memory_mappings m ON m.task = t.virtual_address"
                      " WHERE t.comm = 'lab-rwx' AND m.executable = 1 AND m.file_path LIKE '%/lab%' LIMIT 1")
    start, root = int(row["start"], 16), int(row["root"], 16)
    result.equal("the process is the lab's", row["pid"] in {one["pid"] for one in truth["processes"]}, True)
    before, size = 2 * PAGE, 6 * PAGE + 77
    pages = program.query(
        "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 6)"
        f" SELECT hex(read_bytes({start - before} + i * {PAGE}, min({PAGE}, {size} - i * {PAGE}), {root})) AS bytes FROM n")
    expected = b"".join(bytes.fromhex(page["bytes"] or "").ljust(PAGE, b"\0") for page in pages)[:size]
    with tempfile.TemporaryDirectory() as folder:
        for name, whose in (("root", row["root"]), ("task", f"--task {row['task']}"), ("pid", f"--pid {row['pid']}")):
            path = os.path.join(folder, f"the {name}.bin")
            text = program.command(f".carve {whose} {start - before:x} {size} '{path}'")
            with open(path, "rb") as file:
                result.equal(f"content by {name}", file.read() == expected, True)
            parts = re.findall(r"^0x([0-9a-f]{16})  0x[0-9a-f]{16} +(\d+)  (.+)$", text, re.MULTILINE)
            result.rows.append(parts)
            result.equal("parts make the range", sum(int(part[1]) for part in parts), size)
            result.equal("parts copied", sum(int(part[1]) for part in parts if part[2] == "copied"),
                         int(re.search(r"^copied +(\d+) bytes$", text, re.MULTILINE)[1]))
        refused(result, program, folder, path, row)
    return result


def refused(result, program, folder, path, row):
    """What fails leaves no file behind, and the one that was there as it is."""
    for line in (f".carve --pid {row['pid']} {row['start']} 4096 '{path}'",
                 f".carve --pid {row['pid']} 0 4096 '{folder}/nothing.bin'"):
        before = {name: os.stat(os.path.join(folder, name)).st_mtime_ns for name in os.listdir(folder)}
        try:
            program.command(line)
            result.equal(line, "done", "refused")
        except Failed:
            after = {name: os.stat(os.path.join(folder, name)).st_mtime_ns for name in os.listdir(folder)}
            result.equal(f"files after {line}", after, before)
