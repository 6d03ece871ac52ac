#!/usr/bin/env python3
# SPDX-FileCopyrightText: engram contributors
# SPDX-License-Identifier: Apache-2.0
"""Changes file tables, paths and mounts in a copy of a raw dump of 6.12, and looks at what engram says of them.

files.py --engram PROGRAM --dump FOLDER
"""
import sys

from changed import complaints, run

# Offsets in Debian's 6.12 (BTF of its vmlinux).
FDT = 32  # in struct files_struct
MAX_FDS, FILES = 0, 8  # in struct fdtable
INODE, DENTRY = 40, 72  # in struct file
PARENT = 24  # in struct dentry
TREE_NODE, RIGHT = 64, 8  # in struct mount, struct rb_node
NOWHERE = 0xFFFF_C8FF_0000_0000
PROCESS = "tgid = (SELECT pid FROM processes WHERE name = 'lab-fds')"


def files(image):
    """Rows by table and number."""
    return {(row["file_table"], row["fd"]): row for row in image.query("SELECT * FROM task_open_files")}


def one(image, path):
    """The only descriptor of lab-fds with a path."""
    row, = image.query(f"SELECT * FROM task_open_files WHERE {PROCESS} AND path = '{path}'")
    return row


def count(image):
    """A table whose size is nonsense is not read; the others are not harmed."""
    before = files(image)
    table = one(image, "/etc/passwd")["file_table"]
    image.write(image.read(int(table, 16) + FDT) + MAX_FDS, 0xFFFF_FFFF, 4)
    assert files(image) == {key: row for key, row in before.items() if key[0] != table}
    (location, message), = complaints(image, "task_open_files")
    assert location == "fdtable.max_fds" and "4294967295" in message, (location, message)


def nowhere(image):
    """A descriptor that leads out of memory is a row without values."""
    before = files(image)
    row = one(image, "/etc/passwd")
    slot = image.read(image.read(int(row["file_table"], 16) + FDT) + FILES) + 8 * row["fd"]
    image.write(slot, NOWHERE)
    after = files(image)
    key = row["file_table"], row["fd"]
    known = {"task", "tgid", "fd", "file_table", "virtual_address"}
    assert {column for column, value in after[key].items() if value is not None} == known, after[key]
    assert {**after, key: row} == before
    assert complaints(image, "task_open_files")


def inode(image):
    """A file without an inode still has its path."""
    row = one(image, "/etc/passwd")
    image.write(int(row["virtual_address"], 16) + INODE, 0)
    after = files(image)[row["file_table"], row["fd"]]
    assert (after["path"], after["inode"], after["type"], after["device"]) == ("/etc/passwd", None, None, None), after


def loop(image):
    """A directory below itself is no path, and the walk ends."""
    before = files(image)
    row = one(image, "/tmp/lab-regular.txt")
    dentry = image.read(int(row["virtual_address"], 16) + DENTRY)
    other = image.read(int(one(image, "/var/log/lab-append.log")["virtual_address"], 16) + DENTRY)
    image.write(dentry + PARENT, other)
    image.write(other + PARENT, dentry)
    after = files(image)
    changed = {after[key]["path"] for key in before if after[key] != before[key]}
    assert changed == {None}, changed
    assert any("does not reach a root" in message for _, message in complaints(image, "task_open_files"))


def tree(image):
    """A tree of mounts that leads back to itself ends there; the other namespaces are not harmed."""
    before = image.query("SELECT * FROM mounts")
    row, = image.query("SELECT virtual_address, namespace FROM mounts WHERE source = 'inner-tmpfs'")
    node = int(row["virtual_address"], 16) + TREE_NODE
    image.write(node + RIGHT, node)
    after = image.query("SELECT * FROM mounts")
    assert after == before, [one for one in before if one not in after]
    (location, message), = complaints(image, "mounts")
    assert location == "mnt_namespace.mounts.rb_node" and "no tree" in message, (location, message)


CASES = {"count": count, "nowhere": nowhere, "inode": inode, "loop": loop, "tree": tree}


if __name__ == "__main__":
    sys.exit(run("files", __doc__, lambda image: CASES))
