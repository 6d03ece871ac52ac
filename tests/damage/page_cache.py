#!/usr/bin/env python3
# SPDX-FileCopyrightText: engram contributors
# SPDX-License-Identifier: Apache-2.0
"""Changes inodes, names and the page cache in a copy of a raw dump of 6.12, and looks at what engram says and writes.

page_cache.py --engram PROGRAM --dump FOLDER
"""
import json
import pathlib
import subprocess
import sys
import tempfile

from changed import complaints, run

# Offsets in Debian's 6.12 (BTF of its vmlinux).
MAPPING, SIZE, ACCESSED, LIST = 48, 80, 88, 272  # in struct inode
HEAD = 8 + 8  # in struct address_space: i_pages.xa_head
SLOTS = 40  # in struct xa_node
FLAGS, PAGE_MAPPING, INDEX, PAGE_SIZE = 0, 24, 32, 64  # in struct page
NAME_LENGTH, NAME = 32 + 4, 32 + 8  # in struct dentry
PG_UPTODATE = 3
BIG = "/var/lib/lab/big.bin"


def files(image):
    """Rows by inode; what is read of a file is not the subject here."""
    return {row["virtual_address"]: row for row in image.query("SELECT * FROM files")}


def file(image, path):
    """The row of a path, and the struct inode's address."""
    row, = image.query(f"SELECT * FROM files WHERE path = '{path}'")
    return row, int(row["virtual_address"], 16)


def ranges(image, path):
    """(start, end, state) of a file."""
    rows = image.query("SELECT r.* FROM file_ranges r JOIN files f ON f.virtual_address = r.inode_address"
                       f" WHERE f.path = '{path}' ORDER BY range_start")
    return [(row["range_start"], row["range_end"], row["state"]) for row in rows]


def states(image, path):
    """Bytes in each state."""
    sums = {}
    for start, end, state in ranges(image, path):
        sums[state] = sums.get(state, 0) + end - start
    return sums


def contents(image, path):
    """The file as hexadecimal digits, or None."""
    row, = image.query(f"SELECT hex(file_contents(virtual_address)) AS bytes, file_contents(virtual_address) IS NULL AS none"
                       f" FROM files WHERE path = '{path}'")
    return None if row["none"] else row["bytes"]


def top_node(image, path):
    """The address of the first node of the file's XArray."""
    _, inode = file(image, path)
    return image.read(image.read(inode + MAPPING) + HEAD) - 2


def lowest_node(image, path):
    """The node with the first pages."""
    node = top_node(image, path)
    while image.read(node) & 0xFF:
        node = image.read(node + SLOTS) - 2
    return node


def cycle(image):
    """A tree that leads back to itself ends there: what was below is not known."""
    node = top_node(image, BIG)
    image.write(node + SLOTS, node + 2)
    found = states(image, BIG)
    assert found["absent"] == 64 * 4096 and found["cached"] == 3145728 - 64 * 4096, found
    assert contents(image, BIG) is None
    assert any(location == "address_space.i_pages" for location, _ in complaints(image, "file_ranges"))


def shift(image):
    """A node whose shift is nonsense is passed over."""
    image.write(top_node(image, BIG), 0xFF, 1)
    assert states(image, BIG) == {"absent": 3145728}, states(image, BIG)
    assert any("shift 255" in message for _, message in complaints(image, "file_ranges"))


def foreign(image):
    """The page of another file is not taken for one of this."""
    own, other = lowest_node(image, BIG), lowest_node(image, "/var/lib/lab/loop.ext4")
    image.write(own + SLOTS + 8, image.read(other + SLOTS + 8))
    found = ranges(image, BIG)
    assert (4096, 8192, "not_read") in found, found[:4]
    assert contents(image, BIG) is None
    assert any("belongs to the address_space" in message for _, message in complaints(image, "file_ranges"))


def order(image):
    """A folio that has a page at most is not one for eight slots, and an index behind the slot is none."""
    node = lowest_node(image, BIG)
    for slot in range(9, 16):
        image.write(node + SLOTS + 8 * slot, 8 << 2 | 2)  # siblings of slot 8
    assert (8 * 4096, 16 * 4096, "not_read") in ranges(image, BIG), ranges(image, BIG)[:4]
    image.write(image.read(node + SLOTS + 16) + INDEX, 1 << 60)
    assert (2 * 4096, 3 * 4096, "not_read") in ranges(image, BIG), ranges(image, BIG)[:4]
    assert contents(image, BIG) is None


def nowhere(image):
    """A pointer that is no struct page, and one into nothing."""
    node = lowest_node(image, BIG)
    page = image.read(node + SLOTS)
    image.write(node + SLOTS, page + 8)
    image.write(node + SLOTS + 8, 0xFFFF_8880_0000_1000)
    image.write(node + SLOTS + 24, page + PAGE_SIZE * (1 << 24))
    found = ranges(image, BIG)
    assert found[0] == (0, 8192, "not_read") and (12288, 16384, "not_read") in found, found[:4]


def not_read(image):
    """A page that was not read yet has no content, whatever is in the frame."""
    page = image.read(lowest_node(image, BIG) + SLOTS)
    image.write(page + FLAGS, image.read(page + FLAGS) & ~(1 << PG_UPTODATE))
    assert ranges(image, BIG)[0] == (0, 4096, "not_read"), ranges(image, BIG)[:2]
    path = "/tmp/known-tmpfs.txt"  # of a file in memory it is reserved and zero
    page = image.read(lowest_node(image, path) + SLOTS)
    image.write(page + FLAGS, image.read(page + FLAGS) & ~(1 << PG_UPTODATE))
    assert ranges(image, path)[0] == (0, 4096, "hole"), ranges(image, path)
    assert contents(image, path).startswith("00" * 4096)


def swapped(image):
    """A number in place of a page: of a file in memory it was swapped out, of another one it was evicted."""
    for path, expected in ((BIG, "absent"), ("/tmp/known-tmpfs.txt", "swapped")):
        row, _ = file(image, path)
        image.write(lowest_node(image, path) + SLOTS, 0x1234 << 1 | 1)
        assert ranges(image, path)[0] == (0, 4096, expected), ranges(image, path)[:2]
        assert contents(image, path) is None
        after, _ = file(image, path)
        assert (after["complete"], after["bytes_cached"]) == (0, row["bytes_cached"] - 4096), after


def sizes(image):
    """Sizes that no file has: no row is lost, and no memory is asked for."""
    row, inode = file(image, BIG)
    for size, text in ((1 << 63, "a file of -"), ((1 << 63) - 1, None), (1 << 40, None)):
        image.write(inode + SIZE, size)
        after = files(image)[row["virtual_address"]]
        assert after["path"] == BIG and (after["bytes_cached"] == (None if text else 3145728)), after
        assert contents(image, BIG) is None
        reasons = [message for _, message in complaints(image, "files")]
        assert not text or any(text in reason for reason in reasons), reasons
    with tempfile.TemporaryDirectory() as folder:
        done, rows, _ = dump(image, folder, f"path = '{BIG}'")
        assert done.returncode == 0 and rows[0]["complete"] == 0 and rows[0]["sha256"] is None, rows


def time(image):
    """A time that is none is NULL."""
    row, inode = file(image, BIG)
    image.write(inode + ACCESSED, (1 << 63) - 1)
    after = files(image)[row["virtual_address"]]
    assert after == {**row, "atime": None, "atime_ns": None}, after


def list_loop(image):
    """A list of inodes that comes back: the walk ends, and the other file systems are not harmed."""
    _, inode = file(image, "/tmp/known-tmpfs.txt")
    image.write(inode + LIST, inode + LIST)
    after = {row["path"] for row in files(image).values()}
    assert BIG in after and "/tmp/known-tmpfs.txt" in after
    assert any(location == "super_block.s_inodes" for location, _ in complaints(image, "files"))


def dump(image, folder, where=None):
    """What the program said, the rows of the manifest and the names of all files in the folder."""
    out = pathlib.Path(folder) / "out"
    more = ["--where", where] if where else []
    done = subprocess.run([image.engram, "dump", image.path, out, *more], capture_output=True, encoding="utf-8",
                          check=False, timeout=60)
    rows = [json.loads(line) for line in (out / "manifest.jsonl").read_text(encoding="utf-8").splitlines()]
    return done, rows, {str(path.relative_to(folder)) for path in pathlib.Path(folder).rglob("*") if path.is_file()}


def names(image):
    """Names that lead elsewhere: nothing is written outside of the directory, and no file is lost."""
    row, _ = file(image, "/home/alice/notes.md")
    dentry = int(row["dentry"], 16)
    name = image.read(dentry + NAME)
    directory, _ = file(image, "/home/alice")
    directory = int(directory["dentry"], 16)
    image.write(image.read(directory + NAME), int.from_bytes(b"..", "little"), 2)
    image.write(directory + NAME_LENGTH, 2, 4)
    for text, expected in ((b"../../xx", "files/home/%2E%2E/%2E%2E/%2E%2E/xx"), (b"/etc//pw", "files/home/%2E%2E/etc/pw"),
                           (b"a\n\x1b[2J\0b", "files/home/%2E%2E/a%0A%1B[2J%00b"),
                           (b"\xff\xfe\x80...", None)):
        image.write(name, int.from_bytes(text, "little"))
        with tempfile.TemporaryDirectory() as folder:
            done, rows, written = dump(image, folder, f"inode = {row['inode']} AND device = '{row['device']}'")
            assert done.returncode == 0 and len(rows) == 1, (done, rows)
            assert expected is None or rows[0]["file"] == expected, rows
            assert len(written) == 2 and all(path.startswith("out/") for path in written), written
    image.write(dentry + NAME_LENGTH, 0xFFFF_FFFF, 4)
    with tempfile.TemporaryDirectory() as folder:
        _, rows, _ = dump(image, folder, f"inode = {row['inode']} AND device = '{row['device']}'")
        assert rows[0]["path"] is None and rows[0]["file"].startswith("files/inode-"), rows


def same_names(image):
    """Two files with one path are two files."""
    one, other = "/var/lib/lab/hard1.txt", "/var/lib/lab/hard2.txt"
    hard, _ = file(image, other) if image.query(f"SELECT 1 FROM files WHERE path = '{other}'") else file(image, one)
    tiny, _ = file(image, "/var/lib/lab/tiny.txt")
    image.write(image.read(int(hard["dentry"], 16) + NAME), int.from_bytes(b"tiny.txt", "little"))
    image.write(int(hard["dentry"], 16) + NAME_LENGTH, 8, 4)
    with tempfile.TemporaryDirectory() as folder:
        _, rows, written = dump(image, folder, "path = '/var/lib/lab/tiny.txt'")
        assert {row["path"] for row in rows} == {tiny["path"]} and len(rows) == 2 and len(written) == 3, (rows, written)


CASES = {"cycle": cycle, "shift": shift, "foreign": foreign, "order": order, "nowhere": nowhere, "not_read": not_read,
         "swapped": swapped, "sizes": sizes, "time": time, "list_loop": list_loop, "names": names, "same_names": same_names}


if __name__ == "__main__":
    sys.exit(run("page_cache", __doc__, lambda image: CASES))
