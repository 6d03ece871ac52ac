#!/usr/bin/env python3
# SPDX-FileCopyrightText: engram contributors
# SPDX-License-Identifier: Apache-2.0
"""Changes modules, function tracing and probes in a copy of a raw dump as a rootkit or damage would, and looks at what
engram says of them.

modules.py --engram PROGRAM --dump FOLDER
"""
import sys

from changed import complaints, run

# Offsets in Debian's 5.10 and 6.12 (BTF of their vmlinux), where they are the same.
STATE, LIST, NAME, KOBJECT_LINKS, KOBJECT_MODULE, VERSION, PARAMETERS, COUNT = 0, 8, 24, 88, 144, 184, 264, 272  # in struct module
OPERATIONS, ARGUMENT, PARAMETER_SIZE = 16, 32, 40  # in struct kernel_param
ARRAY_MAX, ARRAY_OPERATIONS, ARRAY_ELEMENTS = 0, 16, 24  # in struct kparam_array
TREES, RIGHT, LEFT = 8, 8, 16  # in struct mod_tree_root, struct rb_node
FUNCTION, NEXT, HASH = 0, 8, 88  # in struct ftrace_ops
FILTER = 8  # in struct ftrace_ops_hash
PREVIOUS_LINK, PROBES, PRE_HANDLER = 8, 16, 64  # in struct kprobe
NOWHERE = 0xFFFF_C8FF_0000_0000
# Where they are not.
TAINTS = {"5.10": 568, "6.12": 848}  # in struct module
SECTIONS = {"5.10": 648, "6.12": 928}
KALLSYMS = {"5.10": 608, "6.12": 888}


def release(image):
    """Which of the two kernels it is."""
    row, = image.query("SELECT kernel_version FROM os_version")
    return ".".join(row["kernel_version"].split(".")[:2])


def modules(image):
    """Rows by name, in their order."""
    return {row["name"]: row for row in image.query("SELECT * FROM kernel_modules")}


def module(image, name="vfat"):
    """Address of a module."""
    return int(modules(image)[name]["virtual_address"], 16)


def symbol(image, name):
    """Address of a symbol."""
    return int(image.query(f"SELECT addr(address_of('{name}')) AS address")[0]["address"], 16)


def unlink(image, links):
    """Takes an object off a list."""
    after, before = image.read(links), image.read(links + 8)
    image.write(before, after)
    image.write(after + 8, before)


def hidden(image):
    """A module that has left the list, then sysfs, then the tree, is there as long as something leads to it."""
    before = modules(image)
    at = module(image)
    rest = {name: row for name, row in before.items() if name != "vfat"}
    for source, hide in (("sysfs,tree", lambda: unlink(image, at + LIST)),
                         ("tree", lambda: unlink(image, at + KOBJECT_LINKS))):
        hide()
        after = modules(image)
        assert after.pop("vfat") == {**before["vfat"], "source": source}
        assert after == rest and list(after) == list(rest)
    assert image.query("SELECT 1 FROM kernel_module_mem_entries WHERE module_name = 'vfat'")
    assert not complaints(image, "kernel_modules")
    tree = symbol(image, "mod_tree")
    for root in (tree + TREES, tree + TREES + 8):
        image.write(root, 0)
    after = modules(image)
    assert list(after) == list(rest) and {row["source"] for row in after.values()} == {"list,sysfs"}
    for address, source in ((at, ["direct"]), (at + 8, []), (NOWHERE, [])):
        rows = image.query(f"SELECT source FROM kernel_modules WHERE virtual_address = {address - (1 << 64)}")
        assert [row["source"] for row in rows] == source, (address, rows)


def broken_list(image):
    """A list that leads back, or nowhere, ends there; no module is lost, because they are in sysfs, too."""
    before = modules(image)
    at = module(image)
    for target, reason in ((module(image, "evdev") + LIST, "comes back"), (NOWHERE, "not present"), (0, "NULL")):
        image.write(at + LIST, target)
        after = modules(image)
        assert sorted(after) == sorted(before)
        assert {row["source"] for row in after.values()} == {"list,sysfs,tree", "sysfs,tree"}
        (location, message), = complaints(image, "kernel_modules")
        assert location == "module.list" and reason in message, (location, message)
        image.restore()


def broken_sysfs(image):
    """A directory of sysfs that says that it is another module's is not believed."""
    before = modules(image)
    image.write(module(image) + KOBJECT_MODULE, module(image, "evdev"))
    after = modules(image)
    assert after == {**before, "vfat": {**before["vfat"], "source": "list,tree"}}
    (location, message), = complaints(image, "kernel_modules")
    assert location == "module_kobject.mod" and "not in its module" in message, (location, message)


def broken_tree(image):
    """A tree that leads back to its root, or to what is no node, ends there, and no module is lost."""
    before = modules(image)
    tree = symbol(image, "mod_tree")
    for root in (image.read(tree + TREES), image.read(tree + TREES + 8)):
        image.write(root + LEFT, root)
        image.write(root + RIGHT, module(image) + VERSION)
    after = modules(image)
    assert {name: {**row, "source": ""} for name, row in after.items()} == \
        {name: {**row, "source": ""} for name, row in before.items()}
    assert any(location == "mod_tree" and "no tree" in message for location, message in complaints(image, "kernel_modules"))


def members(image):
    """Members that are nonsense are NULL, and no other cell is harmed."""
    before = modules(image)
    at, kernel = module(image), release(image)
    for offset, value, size, column, now, reason in (
            (STATE, 77, 4, "state", None, "77 is no state"),
            (VERSION, NOWHERE, 8, "version", None, "not present"),
            (SECTIONS[kernel], NOWHERE, 8, "build_id", None, "not present"),
            (TAINTS[kernel], 1 << 12 | 1 << 13, 8, "taint_letters", "OE", None),
            (TAINTS[kernel], 1 << 12 | 1 << 9, 8, "taint_letters", "O", None)):
        image.write(at + offset, value, size)
        after = modules(image)
        if column == "taint_letters":
            before["vfat"]["taints"] = value
        assert after == {**before, "vfat": {**before["vfat"], column: now}}, column
        found = complaints(image, "kernel_modules")
        assert [reason] == [reason for _, message in found if reason and reason in message] or not reason and not found
        image.restore()


def no_directories(image):
    """A pointer to the directories, or to the trees, that is NULL, as in no kernel with modules, is told."""
    before = modules(image)
    image.write(symbol(image, "module_kset"), 0)
    tree = symbol(image, "mod_tree")
    for root in (tree + TREES, tree + TREES + 8):
        image.write(root, 0)
    after = modules(image)
    assert list(after) == list(before) and {row["source"] for row in after.values()} == {"list"}
    told = complaints(image, "kernel_modules")
    assert len(told) == 2 and all("NULL" in message for _, message in told), told
    assert told[0][0] == "module_kset" and told[1][0].startswith("mod_tree_root.root.tree"), told


def hidden_parameters(image):
    """A module that nothing leads to any more still has its parameters and their values."""
    at = module(image, "overlay")
    query = f"SELECT name, value, type FROM kernel_module_parameters WHERE kernel_module = {at - (1 << 64)}"
    before = image.query(query)
    assert any(row["value"] for row in before), before
    unlink(image, at + LIST)
    unlink(image, at + KOBJECT_LINKS)
    tree = symbol(image, "mod_tree")
    for root in (tree + TREES, tree + TREES + 8):
        image.write(root, 0)
    assert "overlay" not in modules(image)
    assert image.query(query) == before


def long_parameters(image):
    """An array that is longer than a page has no value, and a million bytes of parameters are no cell."""
    at = module(image, "overlay")
    spare, array = image.spare(1 << 20), 512 << 10
    row, = image.query(f"SELECT start FROM kernel_module_mem_entries WHERE kernel_module = {at - (1 << 64)}"
                       " AND mem_type = 'data'")
    data, name = int(row["start"], 16), image.read(image.read(at + PARAMETERS))
    image.write(spare + array, int.from_bytes(b"A" * 4000, "little"), 4000)
    image.write(spare + array + 0x1000, spare + array)
    image.write(data + ARRAY_OPERATIONS, symbol(image, "param_ops_charp"))
    image.write(data + ARRAY_OPERATIONS - 8, 0)
    image.write(data + ARRAY_ELEMENTS, spare + array + 0x1000)
    for count, elements, value, location in ((1, 1, True, None), (1, 4, False, "kparam_array.elem"),
                                             (400, 1, None, "module.kp")):
        image.write(data + ARRAY_MAX, elements)  # and elemsize 0: all are the same
        one = b"".join(number.to_bytes(8, "little") for number in
                       (name, at, symbol(image, "param_array_ops"), 0o644, data))
        image.write(spare, int.from_bytes(one * count, "little"), PARAMETER_SIZE * count)
        image.write(at + PARAMETERS, spare)
        image.write(at + COUNT, count, 4)
        text = modules(image)["overlay"]["parameters"]
        assert (text is not None and "AAA" in text) == bool(value), (count, text and text[:100])
        assert (text is None) == (value is None), (count, text and text[:100])
        found = complaints(image, "kernel_modules")
        assert [place for place, _ in found] == ([location] if location else []), found


def shared_symbols(image):
    """Thousands of modules that say that the same symbols are theirs do not have them read thousands of times."""
    count, size = 2000, 2048
    start = image.spare(13 << 20)
    symbols, kallsyms, head = start + (5 << 20), start + (4 << 20), symbol(image, "modules")
    image.write(kallsyms, symbols)
    image.write(kallsyms + 8, 1 << 18)
    image.write(kallsyms + 16, start + (12 << 20))
    image.write(kallsyms + 24, start + (12 << 20))
    at, chain = KALLSYMS[release(image)], b""
    for number in range(count):
        following = start + size * (number + 1) + LIST if number + 1 < count else head
        one = bytearray(size)
        one[LIST:LIST + 8] = following.to_bytes(8, "little")
        one[NAME] = ord("x")
        one[at:at + 8] = kallsyms.to_bytes(8, "little")
        chain += bytes(one)
    image.write(start, int.from_bytes(chain, "little"), len(chain))
    image.write(head, start + LIST)
    message, = image.query("CREATE TEMP TABLE t AS SELECT * FROM kallsyms WHERE module IS NOT NULL;"
                           " SELECT message FROM diagnostics WHERE location = 'mod_kallsyms.num_symtab'")
    assert "1048576" in message["message"], message


def parameter_count(image):
    """As many parameters as there cannot be are none; those that are not the module's are left out."""
    before = modules(image)
    at = module(image, "overlay")
    image.write(at + COUNT, 0xFFFF_FFFF, 4)
    assert modules(image) == {**before, "overlay": {**before["overlay"], "parameters": None}}
    (location, message), = complaints(image, "kernel_modules")
    assert location == "module.num_kp" and "4294967295" in message, (location, message)
    image.restore()
    image.write(at + COUNT, 4000, 4)
    assert modules(image) == before
    (location, message), = complaints(image, "kernel_modules")
    assert location == "module.num_kp" and "of 4000" in message, (location, message)


def parameters(image):
    """A parameter whose value lies nowhere, or whose kind is unknown, has none; the others are not harmed."""
    def rows():
        return {(row["module_name"], row["name"]): row for row in image.query("SELECT * FROM kernel_module_parameters")}
    before = rows()
    key = "kernel", "panic"
    at = int(before[key]["virtual_address"], 16)
    assert before[key]["type"] == "int" and before[key]["value"] is not None
    image.write(at + ARGUMENT, NOWHERE)
    assert rows() == {**before, key: {**before[key], "value": None}}
    (location, _), = complaints(image, "kernel_module_parameters")
    assert location == "kernel_param.arg", location
    image.restore()
    image.write(at + OPERATIONS, symbol(image, "linux_banner"))
    assert rows() == {**before, key: {**before[key], "value": None, "type": None, "getter": None}}


def sections(image):
    """A list of sections that lies nowhere is none; those of other modules are not harmed."""
    before = image.query("SELECT * FROM kernel_module_sections")
    image.write(module(image) + SECTIONS[release(image)], NOWHERE)
    assert image.query("SELECT * FROM kernel_module_sections") == \
        [row for row in before if row["module_name"] != "vfat"]
    assert complaints(image, "kernel_module_sections")


def memory(image):
    """Sizes that cannot be are no memory; that of other modules is not harmed."""
    before = image.query("SELECT * FROM kernel_module_mem_entries")
    at = module(image)
    if release(image) == "5.10":  # core_layout.text_size
        image.write(at + 384 + 12, 0x7FFF_FFFF, 4)
        lost, reason = ("text", "data", "rodata", "ro_after_init"), "the parts end at 2147483647"
    else:  # mem[MOD_TEXT].base
        image.write(at + 320, 0xFFFF_FFFF_FFFF_FFF0)
        lost, reason = ("text",), "over the end of the address space"
    after = image.query("SELECT * FROM kernel_module_mem_entries")
    assert after == [row for row in before if row["module_name"] != "vfat" or row["mem_type"] not in lost]
    assert [message for _, message in complaints(image, "kernel_module_mem_entries") if reason in message]


def operations(image):
    """Rows of function tracing, those that the kernel has: the tracer's and that of probes."""
    tracer, probes = image.query("SELECT * FROM ftrace_ops")
    assert (tracer["func_symbol"], probes["func_symbol"]) == ("function_trace_call", "kprobe_ftrace_handler")
    return int(tracer["virtual_address"], 16), int(probes["virtual_address"], 16)


def tracing_list(image):
    """A list of operations that leads back, or nowhere, ends there."""
    tracer, probes = operations(image)
    for at, target, left, reason in ((probes, tracer, 2, "does not end after 2"), (tracer, NOWHERE, 1, "not present")):
        image.write(at + NEXT, target)
        assert len(image.query("SELECT virtual_address FROM ftrace_ops")) == left
        assert any(reason in message for _, message in complaints(image, "ftrace_ops"))
        image.restore()


def tracing_nothing(image):
    """A list of operations that is NULL, at its head or behind the first, is damage: it has an end of its own."""
    tracer, _ = operations(image)
    for at, left, location in ((symbol(image, "ftrace_ops_list"), 0, "ftrace_ops_list"),
                               (tracer + NEXT, 1, "ftrace_ops.next")):
        image.write(at, 0)
        assert len(image.query("SELECT virtual_address FROM ftrace_ops")) == left
        (place, message), = complaints(image, "ftrace_ops")
        assert place == location and "NULL" in message, (place, message)
        code, error = image.strict("SELECT * FROM ftrace_ops")
        assert code == 1 and "lack something" in error, (code, error)
        image.restore()


def tracing_filter(image):
    """A set of functions that is too large to be one has no names."""
    tracer, _ = operations(image)
    image.write(image.read(image.read(tracer + HASH) + FILTER), 60)  # ftrace_hash.size_bits
    row, _ = image.query("SELECT * FROM ftrace_ops")
    assert (row["filter_count"], row["filter_functions"]) == (4, None), row
    (location, message), = complaints(image, "ftrace_ops")
    assert location == "ftrace_hash.size_bits" and "60 bits" in message, (location, message)


def unbacked(image):
    """A function outside of all code is found; one in a module, or in code that the kernel made itself, is not."""
    tracer, _ = operations(image)
    row, = image.query(f"SELECT start, \"end\" FROM kernel_module_mem_entries WHERE kernel_module ="
                       f" {module(image) - (1 << 64)} AND mem_type = 'text'")
    data, = image.query(f"SELECT start FROM kernel_module_mem_entries WHERE kernel_module ="
                        f" {module(image) - (1 << 64)} AND mem_type = 'data'")
    trampoline, _ = image.query("SELECT trampoline FROM ftrace_ops")
    for function, is_found in ((int(row["start"], 16), False), (int(row["end"], 16) - 1, False),
                               (int(trampoline["trampoline"], 16), False), (int(data["start"], 16), True),
                               (tracer, True), (module(image) & 0xFFFF_FFFF, True), (0xFFFF_8880_0000_1000, True)):
        image.write(tracer + FUNCTION, function)
        found = image.query("SELECT * FROM unbacked_ftrace_ops")
        wanted = {"ops_address": f"0x{tracer:x}", "func": f"0x{function:x}", "func_addr": f"0x{function:x}"}
        assert [{key: row[key] for key in wanted} for row in found] == [wanted] * is_found, (hex(function), found)
        image.restore()


def probes(image):
    """Probes at one place stand behind one that is none itself; a chain that leads nowhere ends there."""
    rows = {row["type"]: row for row in image.query("SELECT * FROM kprobes")}
    plain, returning = (int(rows[kind]["virtual_address"], 16) for kind in ("kprobe", "kretprobe"))
    image.write(image.read(returning + PREVIOUS_LINK), image.read(returning))
    for at, target in ((plain, returning), (returning, plain)):
        image.write(at + PROBES, target + PROBES)
    image.write(plain + PRE_HANDLER, symbol(image, "aggr_pre_handler"))
    row, = image.query("SELECT * FROM kprobes")
    assert {**row, "ftrace": 1} == {**rows["kretprobe"], "aggregate": rows["kprobe"]["virtual_address"]}, row
    image.restore()
    image.write(image.read(plain + PREVIOUS_LINK), NOWHERE)
    assert image.query("SELECT * FROM kprobes") == [rows["kretprobe"]]
    (location, _), = complaints(image, "kprobes")
    assert location == "kprobe_table", location


CASES = {case.__name__: case for case in (
    hidden, broken_list, broken_sysfs, broken_tree, members, parameter_count, parameters, sections, memory,
    tracing_list, tracing_nothing, tracing_filter, unbacked, probes, no_directories, hidden_parameters,
    long_parameters, shared_symbols)}


if __name__ == "__main__":
    sys.exit(run("modules", __doc__, lambda image: CASES))
