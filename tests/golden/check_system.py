# SPDX-FileCopyrightText: engram contributors
# SPDX-License-Identifier: Apache-2.0
"""The kernel's names, the time of its start, and what engram says of its own work."""
import re

from program import Comparison


def os_version(program, truth):
    """Against uname in the guest."""
    result = Comparison(rows=program.query("SELECT * FROM os_version"))
    row = program.one("SELECT * FROM os_version")
    result.equal("columns", list(row), ["arch", "kernel_version", "system_version"])
    result.equal("kernel_version", row["kernel_version"], truth["osrelease"])
    # /proc/version: "Linux version RELEASE (builder) (compiler) VERSION"
    result.equal("system_version", row["system_version"], "#" + truth["version"].split(" #", 1)[1])
    result.equal("arch", row["arch"], truth["uname"].split()[-2])
    return result


def system_info(program, truth):
    """Against /proc/sys/kernel."""
    result = Comparison(rows=program.query("SELECT * FROM system_info"))
    row = result.rows[0]
    result.equal("rows", len(result.rows), 1)
    result.equal("hostname", row["hostname"], truth["hostname"])
    result.equal("domain", row["domain"], truth["domainname"])
    return result


def boot_time(program, truth):
    """Against btime in /proc/stat, which rounds down to a second."""
    result = Comparison(rows=program.query("SELECT * FROM boot_time"))
    result.equal("rows", len(result.rows), 1)
    result.equal("boot_time", result.rows[0]["boot_time"], truth["btime"])
    return result


def diagnostics(program, truth):
    """A whole dump of a sound kernel gives no error and no warning, and says how the kernel was found."""
    result = Comparison()
    # Everything that reads kernel objects first, so that its complaints would be there.
    rows = program.query("CREATE TEMP TABLE everything AS SELECT * FROM tasks; SELECT * FROM diagnostics")
    result.equal("warnings", [row["message"] for row in rows if row["level"] <= 2], [])
    found = [row["message"] for row in rows if row["location"] == "kernel" and row["message"].endswith("taken")]
    result.equal("rows about the kernel", len(found), 1)
    address = int(re.search(r"kernel image at 0x([0-9a-f]+)", found[0])[1], 16) if found else None
    result.equal("kernel image", address, int(truth["kallsyms"]["selected"]["_text"], 16))
    mquire = program.one("SELECT count(*) AS n FROM mquire_diagnostics")
    result.equal("mquire's name for it", mquire["n"] > 0, True)
    return result
