# SPDX-FileCopyrightText: engram contributors
# SPDX-License-Identifier: Apache-2.0
"""The kernel's log, against /dev/kmsg."""
from program import Comparison

MICROSECOND = 1000  # nanoseconds


def dmesg(program, truth):
    """Every record of /dev/kmsg; behind them only what was logged between the recording and the dump."""
    result = Comparison()
    result.rows = program.query("SELECT * FROM dmesg")
    expected = truth["kmsg"]
    last = expected[-1]["seq"]
    result.equal("sequences", [row["sequence"] for row in result.rows],
                 list(range(expected[0]["seq"], last + 1 + len(result.rows) - len(expected))))
    for row, theirs in zip(result.rows, expected):
        kernels = {
            "sequence": theirs["seq"], "level": theirs["level"], "facility": theirs["facility"],
            "message": theirs["text"], "subsystem": theirs.get("dict", {}).get("SUBSYSTEM"),
            "device": theirs.get("dict", {}).get("DEVICE"), "data_source": "printk_ringbuffer",
        }
        for column, value in kernels.items():
            result.equal(f"record {theirs['seq']} {column}", row[column], value)
        result.equal(f"record {theirs['seq']} time", row["timestamp_ns"] // MICROSECOND, theirs["ts_us"])
        result.equal(f"record {theirs['seq']} cont", "cont" in row["flags"].split(","), theirs["flags"] == "c")
    # What came later is whole, too, and was logged later.
    for row in result.rows[len(expected):]:
        result.equal(f"record {row['sequence']} is later", row["timestamp_ns"] // MICROSECOND >= expected[-1]["ts_us"],
                     True)
        result.equal(f"record {row['sequence']} has a text", bool(row["message"]), True)
    callers(result, program, truth)
    return result


def callers(result, program, truth):
    """The markers that the guest wrote into its log came from a process: the same one, which was no thread 0."""
    markers = [row for row in result.rows if "KMSG-MARKER" in (row["message"] or "")]
    result.equal("markers", [row["sequence"] for row in markers],
                 [record["seq"] for record in truth["kmsg"] if "KMSG-MARKER" in record["text"]])
    result.equal("one process wrote them", len({row["caller_id"] for row in markers}), 1)
    for row in markers:
        result.equal(f"record {row['sequence']} caller", row["caller"], f"T{row['caller_id']}")
        if row["pid"] is not None:  # kernels from 6.19
            result.equal(f"record {row['sequence']} pid", row["pid"], row["caller_id"])
            result.equal(f"record {row['sequence']} cpu", row["cpu"] < truth["cpu"]["count"], True)
            result.equal(f"record {row['sequence']} comm", bool(row["comm"]), True)
    first = result.rows[0]
    result.equal("thread 0 is no caller", (first["caller_id"], first["caller"]), (None, None))
