# SPDX-FileCopyrightText: engram contributors
# SPDX-License-Identifier: Apache-2.0
"""Symbols, against /proc/kallsyms."""
import csv
import io

from program import Comparison


def kallsyms(program, truth):
    """All symbols, in order: names, addresses, types and modules."""
    result = Comparison()
    reader = csv.reader(io.StringIO(program.run(
        "SELECT virtual_address, symbol_type, symbol_name, module FROM kallsyms", output="csv")))
    next(reader)
    ours = [(int(address, 16), letter, name, module or None) for address, letter, name, module in reader]
    kernels = list(truth.kallsyms())
    result.equal("count", len(ours), len(kernels))
    for position, (mine, theirs) in enumerate(zip(ours, kernels)):
        result.equal(f"symbol {position}", mine, theirs)
    result.rows = ours
    return result


def symbol_functions(program, truth):
    """symbol() and address_of() agree with the list."""
    result = Comparison()
    names = {}
    for address, _, name, _ in truth.kallsyms():
        names.setdefault(name, []).append(address)
    first_at = {}
    for address, _, name, module in truth.kallsyms():
        first_at.setdefault(address, name + (f" [{module}]" if module else ""))
    sample = [(name, addresses[0]) for name, addresses in names.items()
              if len(addresses) == 1 and addresses[0] >> 63][::997]
    values = ", ".join(f"('{name}', {address - (1 << 64)})" for name, address in sample)
    rows = program.query(f"WITH wanted(name, address) AS (VALUES {values}) SELECT name, addr(address) AS address,"
                         " addr(address_of(name)) AS found, symbol(address) AS text FROM wanted")
    for (name, address), row in zip(sample, rows):
        result.equal(f"address_of({name})", row["found"], hex(address))
        result.equal(f"symbol({hex(address)})", row["text"], first_at[address])
    nothing = program.one("SELECT address_of('no such symbol') AS a, symbol(12345) AS s, symbol(NULL) AS n")
    result.equal("unknown", list(nothing.values()), [None, None, None])
    result.rows = rows
    return result
