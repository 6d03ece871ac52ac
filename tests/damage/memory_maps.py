#!/usr/bin/env python3
# SPDX-FileCopyrightText: engram contributors
# SPDX-License-Identifier: Apache-2.0
"""Changes memory mappings in a copy of a raw dump as a rootkit or damage would, and looks at what engram says of them.

memory_maps.py --engram PROGRAM --dump FOLDER
"""
import sys

from changed import complaints, run

NEXT, PREVIOUS = 16, 24  # in struct vm_area_struct before 6.1
OWNER = {True: 16, False: 64}  # vm_mm: with a maple tree, without
ELSEWHERE = 0x0000dead00000000  # no address


def mappings(image):
    """Rows by address."""
    return {row["virtual_address"]: row for row in image.query("SELECT * FROM memory_mappings")}


def some(image):
    """Addresses of a process's mappings and of its mm_struct, in address order."""
    rows = image.query("SELECT * FROM memory_mappings ORDER BY tgid = 1 DESC, tgid, region_start")
    rows = [row for row in rows if row["tgid"] == rows[0]["tgid"]]
    return [int(row["virtual_address"], 16) for row in rows], int(rows[0]["mm"], 16)


def without(before, addresses):
    """The rows that must be left."""
    return {key: row for key, row in before.items() if int(key, 16) not in addresses}


def stale(image, has_maple_tree):
    """A mapping that says that it is somebody else's is left out, and no other."""
    before = mappings(image)
    areas, memory = some(image)
    image.write(areas[1] + OWNER[has_maple_tree], memory + 64)
    if has_maple_tree:
        assert mappings(image) == without(before, areas[1:2])
    else:  # neither its links nor those of the tree can be trusted
        assert not set(mappings(image)) - set(without(before, areas[1:2]))
    assert any(f"{memory:#x}" in message for _, message in complaints(image, "memory_mappings"))


def hidden(image):
    """A mapping that was taken off the list is still in the tree; one that is gone from both is missed."""
    before = mappings(image)
    areas, _ = some(image)
    image.write(areas[0] + NEXT, areas[2])
    image.write(areas[2] + PREVIOUS, areas[0])
    assert mappings(image) == before
    assert any("not on the list" in message for _, message in complaints(image, "memory_mappings"))


def loop(image):
    """A list that leads back ends there, and the tree has the rest."""
    before = mappings(image)
    areas, _ = some(image)
    image.write(areas[2] + NEXT, areas[0])
    assert mappings(image) == before
    assert any("behind one that ends" in message for _, message in complaints(image, "memory_mappings"))


def nowhere(image, has_maple_tree):
    """The slot or the link of one mapping leads out of memory: what the rest says is not harmed."""
    before = mappings(image)
    areas, memory = some(image)
    if not has_maple_tree:
        image.write(areas[0] + NEXT, ELSEWHERE)
        assert mappings(image) == before
        return
    node = root_of(image, memory)
    slots = [node + offset for offset in range(8, 256, 8) if image.read(node + offset) == areas[0]]
    if not slots:  # its leaf is below the root: then a whole leaf is lost, and no other
        slots = [node + 80]
    image.write(slots[0], ELSEWHERE)
    after = mappings(image)
    lost = set(before) - set(after)
    assert all(before[key]["mm"] == f"{memory:#x}" for key in lost) and len(lost) <= 16, lost
    assert all(after[key] == before[key] for key in set(after) & set(before))
    assert complaints(image, "memory_mappings")


def root_of(image, memory):
    """The root node of a maple tree: the word in the mm_struct that leads to a node whose parent is the tree."""
    for offset in range(0, 256, 8):
        word = image.read(memory + offset)
        if word >> 47 == 0x1ffff and word & 3 == 2:
            node = word & ~0xff
            if abs((image.read(node) & ~1) - memory - offset) <= 16:
                return node
    raise AssertionError("no maple tree")


def cases_of(image):
    """Cases by name. Kernels without a maple tree keep a list beside their tree, which can be damaged by itself."""
    has_maple_tree = bool(image.query("SELECT 1 FROM kallsyms WHERE symbol_name = 'mas_find' LIMIT 1"))
    both = {case.__name__: lambda image, case=case: case(image, has_maple_tree) for case in (stale, nowhere)}
    return both if has_maple_tree else {**both, "hidden": hidden, "loop": loop}


if __name__ == "__main__":
    sys.exit(run("memory maps", __doc__, cases_of))
