#!/usr/bin/env python3
# SPDX-FileCopyrightText: engram contributors
# SPDX-License-Identifier: Apache-2.0
"""Changes file tables, paths and mounts in a copy of a raw dump of 6.12, and looks at what engram says of them.

files.py --engram PROGRAM --dump FOLDER
"""
import subprocess
import sys

from changed import complaints, run

# Offsets in Debian's 6.12 (BTF of its vmlinux).
FDT = 32  # in struct files_struct
MAX_FDS, FILES = 0, 8  # in struct fdtable
MODE, MAPPING, PRIVATE, INODE, PATH, DENTRY, USER_PATH = 12, 24, 32, 40, 64, 72, 184  # in struct (backing_)file
BACKING = 1 << 25  # FMODE_BACKING
SUPER = 40  # in struct inode
MAGIC, SUPER_ROOT, SUBTYPE = 96, 104, 1088  # in struct super_block
OVERLAY = 0x794C7630
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


def by_table(image):
    """Whose objects could not be read: in a query's complaint, in the shell's, once each, and in diagnostics."""
    table = int(one(image, "/etc/passwd")["file_table"], 16)
    image.write(image.read(table + FDT) + MAX_FDS, 0xFFFF_FFFF, 4)
    asked = "SELECT count(fd) FROM task_open_files"
    code, complaint = image.strict(f"SELECT count(pid) FROM tasks; {asked}")
    assert code == 1 and "1 object could not be read in full (task_open_files 1): " in complaint, complaint
    assert image.strict("SELECT count(pid) FROM tasks") == (0, "")
    shell = subprocess.run([image.engram, "shell", "--no-config", image.path], input=f"{asked};\n{asked};\n",
                           capture_output=True, encoding="utf-8", check=True, timeout=60)
    assert shell.stderr.count("(task_open_files 1)") == 1, shell.stderr
    found = image.query(f"CREATE TEMP TABLE asked AS {asked}; SELECT table_name, count(DISTINCT address) AS objects"
                        " FROM diagnostics WHERE level <= 2 GROUP BY table_name")
    assert found == [{"table_name": "task_open_files", "objects": 1}], found


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


def overlay(image):
    """The pages of a file on an overlay are those of the file that its private_data leads to."""
    before = files(image)
    row, lower, upper = (one(image, path) for path in ("/lab-mq", "/etc/passwd", "/var/log/lab-append.log"))
    key, file = (row["file_table"], row["fd"]), int(row["virtual_address"], 16)
    assert row["cached_inode"] == row["inode_address"]
    image.write(image.read(int(row["inode_address"], 16) + SUPER) + MAGIC, OVERLAY)
    scratch, = image.query("SELECT virtual_address AS at FROM kallsyms WHERE symbol_name = 'argv_init'")
    scratch = int(scratch["at"], 16)  # a struct ovl_file, as from 6.13 on
    image.write(scratch, int(lower["virtual_address"], 16))
    image.write(scratch + 8, 0)
    for private, expected in ((int(lower["virtual_address"], 16), lower), (scratch, lower)):
        image.write(file + PRIVATE, private)
        after = files(image)[key]
        assert after == {**row, "cached_inode": expected["inode_address"]}, (private, after)
    image.write(scratch + 8, int(upper["virtual_address"], 16))
    assert files(image) == {**before, key: {**row, "cached_inode": upper["inode_address"]}}
    image.write(scratch, 0)
    image.write(scratch + 8, file)  # no file below
    assert files(image)[key] == {**row, "cached_inode": None}
    assert any("below the overlay" in message for _, message in complaints(image, "task_open_files"))


def backing(image):
    """A mapped file that a stacked file system opened has the path and the inode that the process knows."""
    query = "SELECT * FROM memory_mappings WHERE file IS NOT NULL AND tgid = 1 ORDER BY region_start"
    before = image.query(query)
    file = int(before[0]["file"], 16)
    user = one(image, "/tmp/lab-regular.txt")
    path = int(user["virtual_address"], 16) + PATH
    for offset in (0, 8):
        image.write(file + USER_PATH + offset, image.read(path + offset))
    assert image.query(query) == before  # as long as the mode does not say so
    image.write(file + MODE, image.read(file + MODE) & 0xFFFF_FFFF | BACKING, 4)
    for row in before:
        if row["file"] == f"{file:#x}":
            row.update(file_path=user["path"], name=user["path"], inode=user["inode"], device="00:1b",
                       inode_address=user["inode_address"])
    assert image.query(query) == before


def unrooted(image):
    """Where no mount shows a file system whole, a file's path is that below the innermost one that shows it."""
    query = "SELECT virtual_address, path FROM files WHERE device = '254:0' AND path IS NOT NULL"
    before = image.query(query)
    row, = image.query("SELECT DISTINCT super_block FROM mounts WHERE device = '254:0'")
    image.write(int(row["super_block"], 16) + SUPER_ROOT, 0)
    bound = [row for row in before if row["path"].startswith("/home/alice")]
    assert bound
    for row in bound:
        row["path"] = row["path"].replace("/home/alice", "/mnt/bind", 1)
    assert image.query(query) == before
    dentry = image.read(int(one(image, "/var/log/lab-append.log")["virtual_address"], 16) + DENTRY)
    image.write(image.read(dentry + PARENT) + PARENT, dentry)
    assert any("no root after" in message for _, message in complaints(image, "files"))


def subtype(image):
    """The type of a file system has what its driver says of it."""
    banner, = image.query("SELECT virtual_address AS at FROM kallsyms WHERE symbol_name = 'linux_banner'")
    query = "SELECT DISTINCT super_block FROM mounts WHERE device = '0:27'"
    image.write(int(image.query(query)[0]["super_block"], 16) + SUBTYPE, int(banner["at"], 16))
    types, = image.query("SELECT min(type) AS a, max(type) AS b FROM mounts WHERE device = '0:27'")
    of_files, = image.query("SELECT min(file_system) AS a, max(file_system) AS b FROM files WHERE device = '0:27'")
    assert types == of_files and types["a"] == types["b"], (types, of_files)
    assert types["a"].startswith("tmpfs.Linux version"), types


CASES = {case.__name__: case for case in (count, by_table, nowhere, inode, loop, tree, overlay, backing, unrooted,
                                          subtype)}


if __name__ == "__main__":
    sys.exit(run("files", __doc__, lambda image: CASES))
