# SPDX-FileCopyrightText: engram contributors
# SPDX-License-Identifier: Apache-2.0
"""Files and their contents in the page cache, against stat(2), mincore(2) and what the files hold."""
import gzip
import hashlib
import json
import pathlib
import re
import subprocess
import sys
import tempfile

from check_files import TYPES
from program import Comparison

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "lab"))
from truth import frames  # noqa: E402 pylint: disable=wrong-import-position,import-error

PAGE = 4096
HUGE_PAGE = 2 << 20
READ = "read_len"  # files that the collector read whole after it had looked which pages are resident
# The pages of an overlay's files are those of the files below.
NO_PAGES = ("overlay",)


def files_of(program, columns="*"):
    """Rows of files that have a path, by (device, number of the inode)."""
    rows = program.query(f"SELECT {columns}, device, inode FROM files WHERE path IS NOT NULL ORDER BY virtual_address")
    return {(row["device"], row["inode"]): row for row in rows}


def nanoseconds(text):
    """Of seconds with nine digits behind the point."""
    return int(text.replace(".", ""))


def files(program, truth):
    """Every file that the collector named, as stat() showed it."""
    result = Comparison()
    result.rows = program.query("SELECT * FROM files ORDER BY virtual_address")
    addresses = {row["virtual_address"] for row in result.rows}
    result.equal("no inode twice", len(addresses), len(result.rows))
    mine = {(row["device"], row["inode"]): row for row in result.rows if row["path"]}
    names = {}
    for theirs in truth["files"]:
        names.setdefault((theirs["dev"], theirs["ino"]), set()).add(theirs["path"])
    for theirs in truth["files"]:
        key = theirs["dev"], theirs["ino"]
        row = mine.get(key)
        if row is None:
            result.equal(f"{theirs['path']} {key}", None, "a row")
            continue
        mode = int(theirs["mode"], 8)
        wanted = {
            "type": TYPES[mode & 0o170000], "mode": mode, "uid": theirs["uid"], "gid": theirs["gid"],
            "links": theirs["nlink"], "size": theirs["size"], "blocks": theirs["blocks"], "deleted": 0,
            "mtime_ns": nanoseconds(theirs["mtime"]),
            "ctime_ns": nanoseconds(theirs["ctime"]), "mtime": nanoseconds(theirs["mtime"]) // 10**9,
        }
        for column, kernels in wanted.items():
            result.equal(f"{theirs['path']} ({row['file_system']}) {column}", row[column], kernels)
        # That the collector read the file was later.
        accessed = nanoseconds(theirs["atime"])
        result.equal(f"{theirs['path']} atime_ns", row["atime_ns"],
                     max(row["atime_ns"], accessed) if READ in theirs else accessed)
        result.equal(f"{theirs['path']} path", row["path"] in names[key], True)
        result.equal(f"{theirs['path']} names", row["names"] >= len(names[key]), True)
    open_files = program.query("SELECT count(*) AS n FROM task_open_files o JOIN files f"
                               " ON f.virtual_address = o.inode_address AND f.path IS NOT NULL"
                               " WHERE o.path <> f.path AND f.names = 1"
                               # which is open below the kernel's own mount
                               " AND f.file_system <> 'mqueue'")
    result.equal("paths of open files", open_files, [{"n": 0}])
    return result


def resident(theirs):
    """Numbers of the pages that were in the page cache."""
    return {page for text in theirs["ranges"].split(",") if text
            for page in range(int(text.split("-")[0]), int(text.split("-")[1]) + 1)}


def pages_of(rows, state):
    """Numbers of the pages that lie in ranges of that state."""
    return {page for row in rows if row["state"] == state
            for page in range(row["range_start"] // PAGE, (row["range_end"] + PAGE - 1) // PAGE)}


def file_ranges(program, truth):
    """Each file is covered from its first to its last byte, and what mincore() called resident is cached."""
    result = Comparison()
    result.rows = program.query("SELECT * FROM file_ranges ORDER BY inode_address, range_start")
    ranges = {}
    for row in result.rows:
        ranges.setdefault(row["inode_address"], []).append(row)
    sizes = {row["virtual_address"]: row for row in program.query("SELECT * FROM files WHERE type IN ('regular', 'block')")}
    for address, rows in ranges.items():
        edges = [0] + [row["range_end"] for row in rows]
        result.equal(f"{address} without gaps", [row["range_start"] for row in rows] + [sizes[address]["size"]], edges)
    result.equal("files without ranges are empty", {row["size"] for address, row in sizes.items()
                                                    if address not in ranges}, {0})
    mine = {(row["device"], row["inode"]): row for row in sizes.values() if row["path"]}
    for theirs in truth["files"]:
        row = mine.get((theirs["dev"], theirs["ino"]))
        if row is None or "ranges" not in theirs or row["file_system"] in NO_PAGES:
            continue
        cached = pages_of(ranges[row["virtual_address"]], "cached")
        wanted = resident(theirs)
        if READ in theirs:
            wanted |= {page for page in range(theirs["pages"])}
        if row["file_system"] in ("tmpfs", "ramfs"):
            wanted -= pages_of(ranges[row["virtual_address"]], "hole")
        if theirs["resident"] != len(resident(theirs)) and READ not in theirs:
            result.equal(f"{theirs['path']} first pages", sorted(wanted - cached), [])
            continue
        result.equal(f"{theirs['path']} pages", sorted(cached), sorted(wanted))
        if theirs["path"] == "/mnt/huge/huge.bin":  # else large folios would not be tested
            first = ranges[row["virtual_address"]][0]
            # A real-time kernel has none: /proc/meminfo does not name them.
            result.equal("a huge page", int(first["physical_address"], 0) % HUGE_PAGE == 0
                         and first["range_end"] - first["range_start"] >= HUGE_PAGE,
                         re.search(r"ShmemHugePages: +[1-9]", truth["meminfo"]) is not None)
    return result


def recorded_contents(truth):
    """Everything that the collector recorded, by name."""
    return frames.parse(gzip.decompress((truth.folder / "truth.raw.gz").read_bytes()))


def file_contents(program, truth):
    """Files that are in the cache whole have the very bytes; what is not whole is NULL."""
    result = Comparison()
    result.rows = program.query("SELECT virtual_address, path, device, inode, size, complete, type, file_system,"
                                " hex(file_contents(virtual_address)) AS content,"
                                " file_contents(virtual_address) IS NULL AS refused FROM files"
                                " WHERE type = 'regular' AND size BETWEEN 1 AND 4500000 AND path IS NOT NULL"
                                " ORDER BY virtual_address")
    for row in result.rows:
        result.equal(f"{row['path']} refused", bool(row["refused"]), not row["complete"])
    mine = {(row["device"], row["inode"]): row for row in result.rows}
    recorded = recorded_contents(truth)
    for theirs in truth["files"]:
        row = mine.get((theirs["dev"], theirs["ino"]))
        if row is None or row["file_system"] in NO_PAGES or not row["complete"]:
            continue
        content = bytes.fromhex(row["content"])
        result.equal(f"{theirs['path']} length", len(content), theirs["size"])
        if "sha256" in theirs:
            result.equal(f"{theirs['path']} sha256", hashlib.sha256(content).hexdigest(), theirs["sha256"])
        name = f"content:{theirs['path']}"
        if name in recorded:
            result.equal(f"{theirs['path']} content", content == recorded[name].content, True)
    whole = {row["path"] for row in result.rows if row["complete"]}
    for path in ("/var/lib/lab/big.bin", "/tmp/known-tmpfs.txt", "/var/log/syslog", "/mnt/ramfs/r.txt",
                 "/mnt/huge/huge.bin", "/mnt/loopfs/runtime.txt", "/var/lib/lab/sparse.bin"):
        result.equal(f"{path} is whole", path in whole, True)
    return result


LINE = re.compile(r"(?P<timestamp>\d{4}-\S+|[A-Z][a-z]{2} [ \d]\d [\d:]{8}) (?:(?P<hostname>[^ :]+) )?"
                  r"(?:(?P<process>[^ ]+): ?)?(?P<message>.*)")


def syslog_file(program, truth):
    """The lines of /var/log/syslog, which was in the cache whole when the machine stopped."""
    result = Comparison()
    result.rows = program.query("SELECT * FROM syslog_file ORDER BY offset")
    content = recorded_contents(truth)["content:/var/log/syslog"].content
    expected, offset = [], 0
    for line in content.split(b"\n")[:-1]:
        expected.append((offset, line.decode()))
        offset += len(line) + 1
    result.equal("offsets", [row["offset"] for row in result.rows], [offset for offset, _ in expected])
    for row, (_, line) in zip(result.rows, expected):
        fields = LINE.fullmatch(line).groupdict()
        result.equal(line[:60], {name: row[name] for name in fields}, fields)
    result.equal("runtime lines", sum("SYSLOG-RUNTIME-LINE" in row["message"] for row in result.rows), 2)
    owner, = [process["pid"] for process in truth["processes"] if process["comm"] == "syslogd"]
    wanted = {"tgid": owner, "complete": 1, "path": "/var/log/syslog", "region_start": 0, "region_end": len(content),
              "data_source": "page_cache"}
    for column, value in wanted.items():
        result.equal(column, {row[column] for row in result.rows}, {value})
    opened = program.query("SELECT DISTINCT o.path, t.tgid FROM syslog_file s JOIN task_open_files o"
                           " ON o.virtual_address = s.file_virtual_address"
                           " JOIN tasks t ON t.virtual_address = s.task_virtual_address AND t.source = 'task_list'")
    result.equal("who has it open", opened, [{"path": "/var/log/syslog", "tgid": owner}])
    return result


def dump(program, truth):
    """Every file of cached_files is written once, with the bytes of file_contents(), and nothing else is."""
    result = Comparison()
    with tempfile.TemporaryDirectory() as folder:
        out = pathlib.Path(folder) / "out"
        done = subprocess.run([program.engram, "dump", program.image, out], capture_output=True, encoding="utf-8",
                              check=False)
        result.equal("exit code and errors", (done.returncode, done.stderr), (0, ""))
        result.rows = [json.loads(line) for line in (out / "manifest.jsonl").read_text(encoding="utf-8").splitlines()]
        wanted = program.query("SELECT DISTINCT virtual_address, path, size, bytes_cached, complete,"
                               " hex(file_contents(virtual_address, type = 'regular')) AS content FROM cached_files")
        expected = {row["virtual_address"]: row for row in wanted}
        result.equal("files", sorted(row["inode_address"] for row in result.rows), sorted(expected))
        written = {str(path.relative_to(out)) for path in out.rglob("*") if path.is_file()}
        result.equal("names", written, {row["file"] for row in result.rows} | {"manifest.jsonl"})
        for row in result.rows:
            theirs = expected[row["inode_address"]]
            content = (out / row["file"]).read_bytes()
            for column in ("path", "size", "bytes_cached", "complete"):
                result.equal(f"{row['file']} {column}", row[column], theirs[column])
            result.equal(f"{row['file']} length", len(content), row["size"])
            result.equal(f"{row['file']} is whole or says what is missing", row["missing"] is None, row["complete"] == 1)
            if theirs["content"]:
                result.equal(f"{row['file']} content", content == bytes.fromhex(theirs["content"]), True)
            if row["complete"]:
                result.equal(f"{row['file']} sha256", row["sha256"], hashlib.sha256(content).hexdigest())
    hashes = {row["path"]: row["sha256"] for row in result.rows}
    for theirs in truth["files"]:
        if theirs["path"] in ("/var/lib/lab/big.bin", "/etc/shadow", "/tmp/known-tmpfs.txt", "/var/log/syslog"):
            result.equal(f"{theirs['path']} hash", hashes.get(theirs["path"]), theirs["sha256"])
    return result
