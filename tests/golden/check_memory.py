# SPDX-FileCopyrightText: engram contributors
# SPDX-License-Identifier: Apache-2.0
"""Memory of processes, against /proc/PID/pagemap and what the scenario's programs say they wrote."""
from program import Comparison

PAGE = 4096


def translate(program, truth):
    """translate(address, root) gives the page that the guest's pagemap names."""
    result = Comparison()
    roots = {row["pid"]: row["page_table"] for row in program.query("SELECT pid, page_table FROM processes")}
    wanted = []
    for process in truth["processes"]:
        if process["comm"] == "labtruth" or process["pid"] not in roots:
            continue
        for address, *fields in process.get("pagemap", []):
            frame = next((field[4:] for field in fields if field.startswith("pfn=")), None)
            if frame and int(frame, 16):
                wanted.append((process["pid"], int(address, 16), int(frame, 16) * PAGE))
    sample = wanted[::max(1, len(wanted) // 3000)]
    values = ", ".join(f"({address}, {int(roots[pid], 16)})" for pid, address, _ in sample)
    rows = program.query("WITH wanted(address, root) AS (VALUES " + values + ")"
                         " SELECT translate(address, root) AS physical FROM wanted")
    for (pid, address, physical), row in zip(sample, rows):
        result.equal(f"process {pid}, {hex(address)}", row["physical"] and int(str(row["physical"]), 0), physical)
    result.rows = rows
    return result


def read_bytes(program, truth):
    """read_bytes(address, size, root) gives the markers that the scenario's programs left in their memory."""
    result = Comparison()
    roots = {row["pid"]: row["page_table"] for row in program.query("SELECT pid, page_table FROM processes")}
    for source, lines in truth["expect"].items():
        name, _, pid = source.rpartition(".")
        if name not in ("lab-rwx", "lab-shm") or not pid.isdigit():
            continue
        for address, marker in markers(lines):
            root = int(roots[int(pid)], 16)
            row = program.one(f"SELECT CAST(read_bytes({address}, {len(marker)}, {root}) AS TEXT) AS text")
            result.equal(f"{source} {hex(address)}", row["text"], marker)
    missing = program.one("SELECT read_bytes(4096, 16) AS bytes, translate(4096) AS place")
    result.equal("unmapped", list(missing.values()), [None, None])
    return result


def markers(lines):
    """(address, text) of lines such as "heap 0x55..., MARKER@100"."""
    for line in lines:
        words = line.split()
        addresses = [word for word in words if word.startswith("0x")]
        for word in words:
            if addresses and "MARKER" in word:
                text, _, offset = word.partition("@")
                yield int(addresses[0], 16) + int(offset or "0", 0), text
