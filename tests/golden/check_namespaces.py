# SPDX-FileCopyrightText: engram contributors
# SPDX-License-Identifier: Apache-2.0
"""Namespaces, mounts and control groups of tasks, against /proc/PID/{ns,mountinfo,cgroup}."""
import re

from program import Comparison

COLUMNS = {"cgroup_namespace": "cgroup", "ipc_namespace": "ipc", "mnt_namespace": "mnt", "net_namespace": "net",
           "pid_namespace": "pid", "user_namespace": "user", "uts_namespace": "uts", "time_namespace": "time",
           "pid_namespace_for_children": "pid_for_children", "time_namespace_for_children": "time_for_children"}
GENERIC = ("ro", "rw", "sync", "dirsync", "mand", "lazytime")


def processes(truth):
    """pid -> what /proc said, without workers, which come and go."""
    return {process["pid"]: process for process in truth["processes"] if not process["comm"].startswith("kworker/")}


def number(link):
    """Of mnt:[4026531840]; None for no link."""
    return int(re.search(r"\d+", link)[0]) if link else None


def namespaces(program, truth):
    """Exactly the links of /proc/PID/ns of each process; threads of the lab are where their process is."""
    result = Comparison()
    result.rows = program.query("SELECT * FROM namespaces ORDER BY pid")
    tasks = program.query("SELECT count(*) AS n FROM tasks WHERE source = 'task_list'")
    result.equal("each task once", [{"n": len({row["task"] for row in result.rows})}], tasks)
    result.equal("no task twice", len({row["task"] for row in result.rows}), len(result.rows))
    expected = processes(truth)
    mine = {row["pid"] for row in result.rows if row["pid"] == row["tgid"]}
    result.equal("processes", sorted(set(expected) - mine), [])
    for row in result.rows:
        if row["tgid"] not in expected:
            continue
        theirs = expected[row["tgid"]]
        for column, name in COLUMNS.items():
            result.equal(f"{row['pid']} ({theirs['comm']}) {column}", row[column], number(theirs["ns"].get(name)))
    view = program.query("SELECT * FROM process_namespaces ORDER BY pid")
    result.equal("view", [row["virtual_address"] for row in view],
                 [row["task"] for row in result.rows if row["pid"] == row["tgid"]])
    return result


def below_root(mine, expected):
    """The mounts that the root directory of mountinfo's reader is mounted on, down to the first one (rootfs)."""
    found = set()
    for name_space, mount in expected:
        at = expected[name_space, mount]["parent"]
        while (name_space, at) in mine and (name_space, at) not in expected and (name_space, at) not in found:
            found.add((name_space, at))
            at = mine[name_space, at]["parent_id"]
    return found


def mounts(program, truth):
    """Exactly the lines of mountinfo of each mount namespace, and what lies below the root."""
    result = Comparison()
    result.rows = program.query("SELECT * FROM mounts ORDER BY namespace, mount_id")
    mine = {(row["namespace"], row["mount_id"]): row for row in result.rows}
    result.equal("no mount twice", len(mine), len(result.rows))
    expected = {(number(seen["mntns"]), mount["id"]): mount for seen in truth["mounts"] for mount in seen["mounts"]}
    result.equal("namespaces", sorted({key[0] for key in mine}), sorted({key[0] for key in expected}))
    hidden = below_root(mine, expected)
    result.equal("what is hidden is at the root", {mine[key]["mount_point"] for key in hidden}, {"/"})
    result.equal("mounts", sorted(mine), sorted(set(expected) | hidden))
    for key in sorted(set(mine) & set(expected)):
        row, theirs = mine[key], expected[key]
        wanted = {
            "parent_id": theirs["parent"], "device": theirs["dev"], "root": theirs["root"],
            "mount_point": theirs["mountpoint"], "options": theirs["options"], "type": theirs["fstype"],
            "propagation": " ".join(theirs["optional"]), "source": theirs["source"],
            "super_options": ",".join(one for one in theirs["super_options"].split(",") if one in GENERIC),
        }
        for column, kernels in wanted.items():
            result.equal(f"{key} {theirs['mountpoint']} {column}", row[column], kernels)
    files = program.query("SELECT count(*) AS n FROM task_open_files f WHERE f.path GLOB '/etc*' AND"
                          " f.mount_id NOT IN (SELECT mount_id FROM mounts)")
    result.equal("files of /etc lie on a mount", files, [{"n": 0}])
    return result


def cgroups(program, truth):
    """Exactly the lines of /proc/PID/cgroup of each process; threads of the lab are where their process is."""
    result = Comparison()
    result.rows = program.query("SELECT * FROM cgroups ORDER BY pid, hierarchy")
    expected = processes(truth)
    mine = {}
    for row in result.rows:
        line = f"{row['hierarchy']}:{row['controllers']}:{row['path']}"
        mine.setdefault(row["tgid"], {}).setdefault(row["pid"], []).append(line)
        result.equal(f"{row['pid']} container_id", row["container_id"], None)
    for pid, process in expected.items():
        for tid, lines in mine.get(pid, {pid: []}).items():
            result.equal(f"{tid} ({process['comm']})", sorted(lines), sorted(process["cgroup"].splitlines()))
    return result
