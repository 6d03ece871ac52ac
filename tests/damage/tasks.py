#!/usr/bin/env python3
# SPDX-FileCopyrightText: engram contributors
# SPDX-License-Identifier: Apache-2.0
"""Changes tasks, control groups and page tables in a copy of a raw dump of 6.12, and looks at what engram says of them.

tasks.py --engram PROGRAM --dump FOLDER

Some changes are damage; others add what the lab's machines do not have, as the kernel would.
"""
import sys

from changed import complaints, refusal, run

# Offsets in Debian's 6.12 (BTF of its vmlinux).
TASKS, MM, SIGNAL, CSS_SET = 2224, 2304, 3072, 3584  # in struct task_struct
IDR_HEAD = 8  # in struct pid_namespace
GROUP_CODE, GROUP_FLAGS = 96, 116  # in struct signal_struct
GROUP_EXIT = 4
LINKS, ROOT = 480, 720  # in struct css_set, struct cgroup
CONTROLLERS, HIERARCHY, ROOT_NAME = 8, 12, 6160  # in struct cgroup_root
LINK_NODE = 32  # in struct cgrp_cset_link
PRESENT, LARGE, PROT_NONE, FRAME = 1, 1 << 7, 1 << 8, 0x000F_FFFF_FFFF_F000
TABLES = ("tasks", "processes", "namespaces", "cgroups", "task_capabilities", "memory_mappings", "task_open_files",
          "mounts")


def tasks(image):
    """Rows by address."""
    return {row["virtual_address"]: row for row in image.query("SELECT *, source FROM tasks")}


def one(image, name):
    """Address and row of the first thread with a name."""
    row, = image.query(f"SELECT *, source FROM tasks WHERE comm = '{name}' AND pid = tgid")
    return int(row["virtual_address"], 16), row


def symbol(image, name):
    """The address of a symbol."""
    row, = image.query(f"SELECT virtual_address FROM kallsyms WHERE symbol_name = '{name}'")
    return int(row["virtual_address"], 16)


def without(image, place, source, complaint):
    """One source is enough, and there is a complaint about the other one."""
    before = tasks(image)
    image.write(place, 0)
    after = tasks(image)
    assert set(after) == set(before) and {row["source"] for row in after.values()} == {source}
    assert any(complaint in message for _, message in complaints(image, "tasks"))


def list_cut(image):
    """The list of tasks ends at once."""
    without(image, symbol(image, "init_task") + TASKS, "pid_ns", "ends in NULL")


def numbers_gone(image):
    """The PID namespace has no number."""
    without(image, symbol(image, "init_pid_ns") + IDR_HEAD, "task_list", "no task in it")


def none(image):
    """A machine without tasks is no answer."""
    image.write(symbol(image, "init_task") + TASKS, 0)
    image.write(symbol(image, "init_pid_ns") + IDR_HEAD, 0)
    for table in TABLES:
        message = refusal(image, f"SELECT * FROM {table}")
        assert "neither the list behind init_task nor the PID namespace" in message, (table, message)


def borrowed(image):
    """A kernel thread that runs in the memory of a process for a while has none of it."""
    before, maps = tasks(image), image.query("SELECT * FROM memory_mappings")
    thread, row = one(image, "kthreadd")
    process, _ = one(image, "syslogd")
    assert row["type"] == "kthread" and row["command_line"] is None
    image.write(thread + MM, image.read(process + MM))
    assert tasks(image) == before
    assert image.query("SELECT * FROM memory_mappings") == maps


def group_exit(image):
    """Of a process that ended as a whole, its first thread has the status that a parent is told; others their own."""
    before = tasks(image)
    address, row = one(image, "lab-thr-main")
    signal = image.read(address + SIGNAL)
    image.write(signal + GROUP_CODE, 0x2A00, 4)
    assert tasks(image) == before  # the process runs
    image.write(signal + GROUP_FLAGS, GROUP_EXIT, 4)
    assert tasks(image) == {**before, row["virtual_address"]: {**row, "exit_code": 0x2A00}}


def legacy_hierarchy(image):
    """A hierarchy of version 1 has a number, controllers and a name."""
    row, = image.query("SELECT * FROM cgroups WHERE path = '/labgroup'")
    root = image.read(int(row["virtual_address"], 16) + ROOT)
    image.write(root + HIERARCHY, 7, 4)
    image.write(root + CONTROLLERS, 0b101, 4)
    image.write(root + ROOT_NAME, int.from_bytes(b"lab\0", "little"), 4)
    after, = image.query("SELECT * FROM cgroups WHERE path = '/labgroup'")
    assert after == {**row, "hierarchy": 7, "controllers": "cpuset,cpuacct,name=lab"}, after
    image.write(root + CONTROLLERS, 0, 4)
    after, = image.query("SELECT * FROM cgroups WHERE path = '/labgroup'")
    assert after["controllers"] == "name=lab", after


def several_hierarchies(image):
    """A task is in one group of each hierarchy that its set links."""
    row, = image.query("SELECT * FROM cgroups WHERE path = '/labgroup'")
    init, = image.query("SELECT * FROM cgroups WHERE pid = 1")
    links = image.read(int(row["task"], 16) + CSS_SET) + LINKS
    image.write(image.read(links) - LINK_NODE, int(init["virtual_address"], 16))
    after = image.query(f"SELECT * FROM cgroups WHERE pid = {row['pid']}")
    task = {key: row[key] for key in ("task", "pid", "tgid")}
    assert after == [row, {**init, **task}], after


def leaf(image, root, address):
    """Where the entry of a page of 4 KiB lies in the file."""
    with open(image.path, "rb") as file:
        for shift in (39, 30, 21):
            file.seek(root + (address >> shift & 511) * 8)
            entry = int.from_bytes(file.read(8), "little")
            if not entry & PRESENT or (shift < 39 and entry & LARGE):
                return None
            root = entry & FRAME
    return root + (address >> 12 & 511) * 8


def untouchable(image):
    """A page that nobody may touch for now, as NUMA balancing has it, is read as before."""
    _, row = one(image, "syslogd")
    root = int(row["page_table"], 16)
    area, = image.query(f"SELECT region_start AS at FROM memory_mappings WHERE page_table = {root} AND name = '[stack]'")
    end, = image.query(f"SELECT region_end AS at FROM memory_mappings WHERE page_table = {root} AND name = '[stack]'")
    page = int(end["at"], 16) - 4096
    assert page >= int(area["at"], 16)
    read = f"SELECT hex(read_bytes({page}, 4096, {root})) AS bytes, translate({page}, {root}) AS place"
    before = image.query(read)
    place = leaf(image, root, page)
    with open(image.path, "r+b") as file:
        file.seek(place)
        old = file.read(8)
        entry = int.from_bytes(old, "little")
        assert entry & PRESENT
        image.changes.append((place, old))
        file.seek(place)
        file.write(((entry ^ FRAME) & ~PRESENT | PROT_NONE).to_bytes(8, "little"))
    assert image.query(read) == before and before[0]["bytes"]
    assert one(image, "syslogd")[1] == row  # its arguments are on that page


CASES = {case.__name__: case for case in (list_cut, numbers_gone, none, borrowed, group_exit, legacy_hierarchy,
                                          several_hierarchies, untouchable)}


if __name__ == "__main__":
    sys.exit(run("tasks", __doc__, lambda image: CASES))
