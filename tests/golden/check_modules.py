# SPDX-FileCopyrightText: engram contributors
# SPDX-License-Identifier: Apache-2.0
"""Modules against /proc/modules and /sys/module, function tracing and probes against tracefs."""
import re

from program import Comparison

# Which part of a module's memory a section belongs to (module_get_layout_type() and its table in kernel/module).
PARTS = {".text": "text", ".exit.text": "text", ".rodata": "rodata", ".note.gnu.build-id": "rodata", ".data": "data",
         ".bss": "data", ".gnu.linkonce.this_module": "data", ".data..ro_after_init": "ro_after_init"}
# Parameters that their module shows by a function of its own.
OWN_GETTERS = {"check_copy_up"}


def known_modules(truth):
    """name -> what the kernel said, in the order of /proc/modules."""
    return {module["name"]: module for module in truth["modules"]}


def kernel_modules(program, truth):
    """Exactly the lines of /proc/modules, in their order, with what /sys/module has of each."""
    result = Comparison()
    result.rows = program.query("SELECT *, list_head FROM kernel_modules")
    expected = known_modules(truth)
    result.equal("modules", [row["name"] for row in result.rows], list(expected))
    head, = {row["list_head"] for row in result.rows}
    result.equal("list_head", head, program.one("SELECT addr(address_of('modules')) AS head")["head"])
    for row in result.rows:
        theirs = expected[row["name"]]
        wanted = {
            "state": theirs["state"].lower(), "version": theirs["version"], "src_version": theirs["srcversion"],
            "taints": 0 if theirs["taint"] == "" else None, "taint_letters": theirs["taint"],
            "refcount": int(theirs["refcnt"]), "used_by": ",".join(theirs["used_by"]),
            "base_address": theirs["address"], "core_size": int(theirs["coresize"]),
            "init_size": int(theirs["initsize"]), "build_id": theirs["build_id"], "source": "list,sysfs,tree",
            "virtual_address": theirs["sections"][".gnu.linkonce.this_module"],
        }
        for column, kernels in wanted.items():
            result.equal(f"{row['name']} {column}", row[column], kernels)
        result.equal(f"{row['name']} size", row["core_size"] + row["init_size"], theirs["size"])
        for name, value in theirs["parameters"].items():
            text = name if name in OWN_GETTERS else f"{name}={value}"
            result.equal(f"{row['name']} parameter {name}", f"{text} (" in (row["parameters"] or ""), True)
    return result


def kernel_module_mem_entries(program, truth):
    """The parts add up to the sizes that the kernel says, and each holds the sections that belong there."""
    result = Comparison()
    result.rows = program.query("SELECT * FROM kernel_module_mem_entries")
    expected = known_modules(truth)
    parts = {}
    for row in result.rows:
        mine = parts.setdefault(row["module_name"], {})
        result.equal(f"{row['module_name']} {row['mem_type']} once", row["mem_type"] in mine, False)
        mine[row["mem_type"]] = range(int(row["start"], 16), int(row["end"], 16))
        result.equal(f"{row['module_name']} {row['mem_type']} size", row["size"], len(mine[row["mem_type"]]))
    result.equal("modules", list(parts), list(expected))
    for name, theirs in expected.items():
        mine = parts[name]
        result.equal(f"{name} sum", sum(map(len, mine.values())), theirs["size"])
        result.equal(f"{name} text", f"0x{mine['text'].start:x}", theirs["address"])
        for section, part in PARTS.items():
            address = theirs["sections"].get(section)
            if address:
                result.equal(f"{name} {section} in {part}", int(address, 16) in mine.get(part, ()), True)
    return result


def kernel_module_sections(program, truth):
    """Exactly the files of /sys/module/NAME/sections."""
    result = Comparison()
    result.rows = program.query("SELECT * FROM kernel_module_sections")
    mine = {}
    for row in result.rows:
        mine.setdefault(row["module_name"], {})[row["name"]] = row["address"]
    for name, theirs in known_modules(truth).items():
        result.equal(name, mine.get(name), theirs["sections"])
    result.equal("no section twice", sum(map(len, mine.values())), len(result.rows))
    return result


def kernel_module_parameters(program, truth):
    """Exactly the files of /sys/module/NAME/parameters that may be read, with what they say."""
    result = Comparison()
    result.rows = program.query("SELECT * FROM kernel_module_parameters")
    expected = {("built in", name): values for name, values in truth["builtin_parameters"].items()}
    expected.update({("module", name): module["parameters"] for name, module in known_modules(truth).items()})
    expected = {(kind, module, name): value for (kind, module), values in expected.items()
                for name, value in values.items()}
    mine = {}
    for row in result.rows:
        key = "module" if row["kernel_module"] else "built in", row["module_name"], row["name"]
        if int(row["permissions"], 8) & 0o444 and row["getter"]:
            mine[key] = row
    result.equal("parameters", sorted(mine), sorted(expected))
    for key in sorted(set(mine) & set(expected)):
        row = mine[key]
        if row["type"] is None:
            result.equal(f"{' '.join(key)} of no known type", row["value"], None)
        else:
            result.equal(" ".join(key), row["value"], expected[key])
    return result


def ftrace_ops(program, truth):
    """Every traced function has as many operations as tracefs says, and the tracer's filter is what was set."""
    result = Comparison()
    result.rows = program.query("SELECT * FROM ftrace_ops")
    for row in result.rows:
        result.equal(f"{row['func_symbol']} filter_count", row["filter_count"],
                     len([name for name in row["filter_functions"].split(",") if name]))
        result.equal(f"{row['func_symbol']} func_addr", row["func_addr"], row["func"])
        result.equal(f"{row['func_symbol']} enabled", "enabled" in row["flag_names"].split(), bool(row["flags"] & 1))
    counts = {}
    for row in result.rows:
        for name in row["filter_functions"].split(","):
            counts[name] = counts.get(name, 0) + 1
    traced = re.findall(r"^(\S+) \((\d+)\)(.*)$", truth["ftrace"]["enabled_functions"], re.MULTILINE)
    result.equal("traced functions", counts, {name: int(count) for name, count, _ in traced})
    for name, _, rest in traced:
        trampoline = re.search(r"tramp: (0x[0-9a-f]+) \((\w+)", rest)
        if trampoline:
            owner, = [row for row in result.rows if row["trampoline"] == trampoline[1]]
            result.equal(f"{name} trampoline", owner["func_symbol"], trampoline[2])
            result.equal(f"{name} filter", name in owner["filter_functions"].split(","), True)
    tracer, = [row for row in result.rows if row["func_symbol"] == "function_trace_call"]
    result.equal("set_ftrace_filter", sorted(tracer["filter_functions"].split(",")),
                 sorted(truth["ftrace"]["set_ftrace_filter"].split()))
    result.equal("unbacked", program.query("SELECT * FROM unbacked_ftrace_ops"), [])
    return result


def kprobes(program, truth):
    """Exactly the probes of kprobe_events, those without an enabled event disabled."""
    result = Comparison()
    result.rows = program.query("SELECT * FROM kprobes")
    enabled = truth["ftrace"]["set_event"].split()
    expected = []
    for line in truth["ftrace"]["kprobe_events"].splitlines():
        kind, event, symbol = re.match(r"([pr])\d*:(\S+) (\S+)", line).groups()
        handler = "kretprobe_dispatcher" if kind == "r" else "kprobe_dispatcher"
        disabled = int(event.replace("/", ":") not in enabled)
        expected.append(("kretprobe" if kind == "r" else "kprobe", symbol, disabled, handler))
    mine = [(row["type"], row["symbol_name"], row["disabled"],
             row["return_handler_symbol"] or row["pre_handler_symbol"]) for row in result.rows]
    result.equal("probes", sorted(mine), sorted(expected))
    symbols = {name: address for address, _, name, module in truth.kallsyms() if module is None}
    for row in result.rows:
        place = int(row["address"], 16) - symbols[row["symbol_name"]]
        result.equal(f"{row['symbol_name']} at its beginning, perhaps behind endbr64", place in (0, 4), True)
        result.equal(f"{row['symbol_name']} symbol", row["symbol"], row["symbol_name"] + ("+0x4" if place else ""))
        result.equal(f"{row['symbol_name']} flags", row["flags"] & 2, 2 * row["disabled"])
        result.equal(f"{row['symbol_name']} ftrace", row["ftrace"], 1)
    return result
