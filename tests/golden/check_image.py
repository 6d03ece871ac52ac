# SPDX-FileCopyrightText: engram contributors
# SPDX-License-Identifier: Apache-2.0
"""Facts of the image, against the virtual machine's registers, VMCOREINFO and memory map."""
import struct

from program import Comparison

KERNEL_MAP = 0xFFFFFFFF80000000  # __START_KERNEL_map


def image_info(program, truth):
    """Page-table root and levels, KASLR shift, direct map."""
    result = Comparison()
    row = program.one("SELECT * FROM image_info")
    symbols = truth["kallsyms"]["selected"]
    core = truth["vmcoreinfo"]
    phys_base = int(core["NUMBER(phys_base)"])
    result.equal("format", row["format"], program.image.suffix[1:])
    result.equal("file_size", row["file_size"], program.image.stat().st_size)
    result.equal("truncated", row["truncated"], 0)
    result.equal("page_table_levels", row["page_table_levels"], 5 if truth["registers"][0]["la57"] else 4)
    result.equal("page_table", row["page_table"], hex(int(symbols["init_top_pgt"], 16) - KERNEL_MAP + phys_base))
    result.equal("kernel_base", row["kernel_base"], hex(int(symbols["_text"], 16)))
    result.equal("kernel_physical_base", row["kernel_physical_base"],
                 hex(int(symbols["_text"], 16) - KERNEL_MAP + phys_base))
    result.equal("kaslr_shift", row["kaslr_shift"], hex(int(core["KERNELOFFSET"], 16)))
    result.equal("direct_map_base", row["direct_map_base"], hex(int(truth["kaslr"]["page_offset"], 16)))
    result.equal("operating_system", row["operating_system"], "linux")
    result.equal("architecture", row["architecture"], "x86_64")
    result.equal("vmcoreinfo", row["vmcoreinfo"].rstrip("\0"), truth["vmcoreinfo_raw"].rstrip("\0"))
    result.equal("cpus", row["cpus"], truth["cpu"]["count"] if row["format"] == "elf" else 0)
    ram = sum(int(last, 16) + 1 - int(first, 16) for first, last in truth["ram_ranges"])
    result.equal("all of System RAM is there", row["present_bytes"] >= ram, True)
    return result


def image_ranges(program, truth):
    """The ranges that the file's own headers declare, read here by other code."""
    result = Comparison()
    rows = program.query("SELECT start, size, file_offset, stored_bytes, readable_bytes FROM image_ranges")
    ours = [(int(row["start"], 16), row["size"], row["file_offset"]) for row in rows]
    declared = {"raw": raw_ranges, "lime": lime_ranges, "elf": elf_ranges}[program.image.suffix[1:]](program.image)
    result.equal("ranges", sorted(ours), sorted(declared))
    result.equal("whole", [row for row in rows if row["readable_bytes"] != row["stored_bytes"]], [])
    if program.image.suffix == ".lime":
        ram = [(int(first, 16), int(last, 16) + 1 - int(first, 16)) for first, last in truth["ram_ranges"]]
        result.equal("System RAM", [range_[:2] for range_ in ours], ram)
    return result


def raw_ranges(path):
    """One range: the file."""
    return [(0, path.stat().st_size, 0)]


def lime_ranges(path):
    """Headers of 32 bytes, each followed by its range."""
    ranges, at = [], 0
    with open(path, "rb") as file:
        while header := file.read(32):
            _, _, first, last, _ = struct.unpack("<IIQQQ", header)
            ranges.append((first, last + 1 - first, at + 32))
            at += 32 + last + 1 - first
            file.seek(at)
    return ranges


def elf_ranges(path):
    """PT_LOAD headers, wherever e_phoff says."""
    with open(path, "rb") as file:
        header = file.read(64)
        offset, = struct.unpack_from("<Q", header, 32)
        size, count = struct.unpack_from("<HH", header, 54)
        file.seek(offset)
        headers = [struct.unpack_from("<IIQQQQQQ", file.read(size)) for _ in range(count)]
    return [(physical, memory, at) for kind, _, at, _, physical, _, memory, _ in headers if kind == 1]
