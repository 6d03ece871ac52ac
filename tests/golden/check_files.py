# SPDX-FileCopyrightText: engram contributors
# SPDX-License-Identifier: Apache-2.0
"""Open files, against /proc/PID/fd and /proc/PID/fdinfo."""
import re

from program import Comparison

COLLECTOR = "labtruth"  # it has other files open while it records than afterwards
TYPES = {0o140000: "socket", 0o120000: "symlink", 0o100000: "regular", 0o60000: "block", 0o40000: "directory",
         0o20000: "character", 0o10000: "fifo", 0: "anonymous"}
DEVICES = (0o60000, 0o20000)


def expected_files(truth):
    """(pid, descriptor) -> what /proc said, without the collector."""
    return {(process["pid"], entry["fd"]): entry for process in truth["processes"] if process["comm"] != COLLECTOR
            for entry in process["fds"]}


def collectors(truth):
    """Process numbers of the collector."""
    return {process["pid"] for process in truth["processes"] if process["comm"] == COLLECTOR}


def task_open_files(program, truth):
    """Exactly the descriptors of /proc/PID/fd, with the same values."""
    result = Comparison()
    result.rows = program.query("SELECT f.*, t.pid FROM task_open_files f JOIN tasks t ON t.virtual_address = f.task"
                                " WHERE t.source = 'task_list'")
    result.equal("every owner is a task", program.query("SELECT count(*) AS n FROM task_open_files"),
                 [{"n": len(result.rows)}])
    result.equal("no descriptor twice", len({(row["file_table"], row["fd"]) for row in result.rows}),
                 len(result.rows))
    mine = {(row["tgid"], row["fd"]): row for row in result.rows if row["tgid"] not in collectors(truth)}
    expected = expected_files(truth)
    result.equal("descriptors", sorted(mine), sorted(expected))
    for key in sorted(set(mine) & set(expected)):
        compare_file(result, f"{key[0]} fd {key[1]}", mine[key], expected[key])
    result.equal("owners", [row for row in result.rows if row["pid"] != row["tgid"]], [])
    return result


def compare_file(result, what, row, theirs):
    """Every column that /proc has, too."""
    stat, info = theirs["stat"], theirs["fdinfo"]
    mode = int(stat["mode"], 8)
    kind = mode & 0o170000
    wanted = {
        "path": theirs["link"], "mode": mode, "type": TYPES[kind], "inode": stat["ino"], "device": stat["dev"],
        "special_device": stat["rdev"] if kind in DEVICES else None, "size": stat["size"], "uid": stat["uid"],
        "position": int(info["pos"]), "flags": int(info["flags"], 8), "mount_id": int(info["mnt_id"]),
    }
    for column, kernels in wanted.items():
        result.equal(f"{what} ({theirs['link']}) {column}", row[column], kernels)


def process_open_files(program, truth):
    """osquery's columns, for each process."""
    result = Comparison()
    result.rows = program.query("SELECT * FROM process_open_files ORDER BY pid, fd")
    mine = [(row["pid"], row["fd"], row["path"]) for row in result.rows if row["pid"] not in collectors(truth)]
    expected = sorted((pid, fd, entry["link"]) for (pid, fd), entry in expected_files(truth).items())
    result.equal("descriptors", mine, expected)
    sockets = [row["path"] for row in result.rows if row["type"] == "socket"]
    result.equal("sockets", [path for path in sockets if not re.fullmatch(r"socket:\[\d+\]", path)], [])
    return result
