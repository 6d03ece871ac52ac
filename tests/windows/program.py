# SPDX-FileCopyrightText: engram contributors
# SPDX-License-Identifier: Apache-2.0
"""The program's answers about one image, and how they are compared with what is true of a machine."""
import json
import subprocess

import dump

SECONDS = 20  # more is a hang
COLUMNS = {
    "drivers": "virtual_address, name, path, base_address, size, entry_point, load_count, timestamp",
    "unloaded_drivers": "name, start_address, end_address, unload_time",
    "processes": "virtual_address, pid, parent, name, path, cmdline, threads, page_table, start_time",
    "tasks": "virtual_address, pid, peb, create_time, exit_time",
    "threads": "virtual_address, process, pid, tid, teb, start_address, win32_start_address, state, start_time",
    "process_modules": "process, pid, virtual_address, name, path, base_address, size, entry_point, wow64",
    "memory_mappings": "task, tgid, virtual_address, region_start, region_end, readable, writable, executable, shared, "
                       "file_path",
    "handles": "process, pid, handle, object, type, granted_access, granted_access_names, inherit, protect_from_close, audit, name, target_pid, "
               "target_tid",
}
QUERIES = {table: f"SELECT {columns} FROM {table}" for table, columns in COLUMNS.items()}


class Failed(Exception):
    """engram did not say what is true."""


class Image:
    def __init__(self, engram, path, *options):
        self.engram, self.path, self.options = engram, path, options

    def run(self, *arguments):
        return subprocess.run([self.engram, *arguments], capture_output=True, encoding="utf-8", check=False,
                              timeout=SECONDS)

    def query(self, sql):
        done = self.run("query", self.path, sql, "--format", "json", *self.options)
        if done.returncode != 0:
            raise Failed(f"{self.path.name}: {sql}: {done.stderr.strip()}")
        return json.loads(done.stdout)

    def error(self, sql):
        """Text of the error that the query must end in."""
        done = self.run("query", self.path, sql, "--format", "json", *self.options)
        if done.returncode == 0:
            raise Failed(f"{self.path.name}: {sql}: an error expected, got {done.stdout[:200]!r}")
        if done.returncode < 0:
            raise Failed(f"{self.path.name}: {sql}: killed by signal {-done.returncode}")
        return done.stderr

    def messages(self, before="SELECT 1 AS x"):
        """What engram noticed when it answered the query `before`, and when it opened the image."""
        sql = f"CREATE TEMP TABLE t AS {before}; SELECT message FROM diagnostics WHERE level <= 3"
        return [row["message"] for row in self.query(sql)]


def registers_query(guest):
    return "SELECT " + ", ".join(guest.truth["registers"][0]) + " FROM registers"


def queries_of(guest, has_symbols=False):
    """The question for each table that the machine has."""
    queries = {**QUERIES, "registers": registers_query(guest)}
    if guest.ARCHITECTURE == "arm64" and not has_symbols:
        del queries["handles"]
    return queries


def sorted_rows(rows):
    return sorted(rows, key=lambda row: json.dumps(row, sort_keys=True))


def compare(what, ours, truth):
    columns = ours[0].keys() if ours else truth[0].keys() if truth else ()
    wanted = sorted_rows({column: row[column] for column in columns} for row in truth)
    for mine, expected in zip(sorted_rows(ours), wanted):
        if mine != expected:
            raise Failed(f"{what}: engram has {mine}, true is {expected}")
    if len(ours) != len(wanted):
        raise Failed(f"{what}: engram has {len(ours)} rows, {len(wanted)} are true")


def check_tables(image, guest):
    raw = image.path.suffix != ".dmp"  # no crash header
    queries = queries_of(guest, bool(image.options))
    for table, sql in queries.items():
        truth = guest.truth["processes" if table == "tasks" else table]
        if table == "registers" and raw:
            truth = [row for row in truth if row["source"] != "header"]
        compare(f"{image.path.name}: {table}", image.query(sql), truth)
    if raw:
        image.error("SELECT * FROM crash_dump")
    else:
        row, = image.query("SELECT " + ", ".join(dump.facts(guest)) + ", build FROM crash_dump")
        compare(f"{image.path.name}: crash_dump", [row], [{**dump.facts(guest), "build": guest.layout.number}])
    row, = image.query("SELECT operating_system, architecture, page_table_levels FROM image_info")
    compare(f"{image.path.name}: image_info", [row],
            [{"operating_system": "windows", "architecture": guest.ARCHITECTURE, "page_table_levels": guest.LEVELS}])
    # Each key column alone gives what a walk over all gives.
    process = guest.truth["processes"][3]["virtual_address"]
    for table, key in (("threads", "process"), ("process_modules", "process"), ("memory_mappings", "task"), ("handles", "process")):
        if table not in queries:
            continue
        rows = image.query(f"{queries[table]} WHERE {key} = {process}")
        truth = [row for row in guest.truth[table] if row[key] == process]
        compare(f"{image.path.name}: {table} of a process", rows, truth)


def check_translations(image, guest):
    for case in guest.truth["translations"]:
        call = f"translate({case['address']}, {case['page_table']})"
        row, = image.query(f"SELECT printf('0x%x', {call}) AS physical, {call} IS NULL AS fault")
        if "physical" in case:
            if row["fault"] or row["physical"] != case["physical"]:
                raise Failed(f"{call}: engram has {row}, true is {case}")
            continue
        text = " ".join(image.messages(f"SELECT {call} AS x"))
        level = f"level {case['level']}" if case["level"] else ""
        if not row["fault"] or case["text"] not in text or level not in text:
            raise Failed(f"{call}: engram has {row}, {text}; true is {case}")


def check_virtual_bytes(image, guest, address, size):
    """The kernel's memory by the command and by the function."""
    true = guest.kernel.read(address, size)
    done = subprocess.run([image.engram, "read", "--virt", "--raw", image.path, hex(address), "--len", str(size)],
                          capture_output=True, check=False, timeout=SECONDS)
    if done.returncode != 0 or done.stdout != true:
        raise Failed(f"{image.path.name}: read --virt {address:#x}: {done.stdout[:16]!r}, {done.stderr!r}; {true[:16]!r}")
    row, = image.query(f"SELECT hex(read_bytes({address:#x}, {size})) AS bytes")
    if row["bytes"] != true.hex().upper():
        raise Failed(f"{image.path.name}: read_bytes({address:#x}, {size}): {row['bytes'][:32]}")
