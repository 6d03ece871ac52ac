# SPDX-FileCopyrightText: engram contributors
# SPDX-License-Identifier: Apache-2.0
"""Cases of containers.py: what monitors of virtual machines save."""
import re
import shutil
import subprocess

import monitors
import sparse  # of the lab; pylint: disable=import-error

PAGE = 4096


def migration(case):
    """What QEMU saves has the RAM of the machine; its dump has memory of devices beside."""
    image = case.arguments.dump / "dump.migration"
    case.pages(image)
    case.all_tables(image)
    registers(case, image)


def registers(case, image):
    """CR3 of the file is what QEMU's monitor said."""
    said = re.findall(r"CR3=([0-9a-f]+)", (case.arguments.dump / "registers.txt").read_text(encoding="ascii"))
    found = [row["cr3"] for row in case.query(image, "SELECT cr3 FROM registers")]
    case.expect([int(value, 16) for value in found] == [int(value, 16) for value in said], f"CR3: {found}, {said}")
    return int(said[0], 16)


def libvirt(case):
    """libvirt's header and XML before the same stream; packed, it is refused with what unpacks it."""
    source = case.arguments.dump / "dump.migration"

    def convert(path):
        with open(source, "rb") as file, open(path, "wb") as target:
            target.write(monitors.libvirt_header())
            shutil.copyfileobj(file, target)

    image = case.folder.make("dump.libvirt", convert)
    case.pages(image)
    case.tables(image)
    header = {row["name"]: row["value"] for row in case.query(image, "SELECT * FROM image_header")}
    case.expect(header["domain"] == "lab" and header["machine"].startswith("pc-i440fx"), f"{header}")
    packed = case.folder.path / "dump.packed.libvirt"
    with open(source, "rb") as file, open(packed, "wb") as target:
        target.write(monitors.libvirt_header(1))
        target.flush()
        subprocess.run(["gzip", "-1"], stdin=file, stdout=target, check=True)
    done = subprocess.run([case.arguments.engram, "info", packed], capture_output=True, encoding="utf-8", check=False)
    command = re.search(r"tail -c \+\d+ FILE \| gzip -dc > STREAM", done.stderr)
    case.expect(done.returncode == 1 and command, f"packed: {done.returncode}: {done.stderr}")
    if command:
        unpack = command[0].replace("FILE", str(packed)).replace("STREAM", str(packed.with_suffix(".stream")))
        subprocess.run(unpack, shell=True, check=True)
        case.expect(case.run("cmp", packed.with_suffix(".stream"), source) == "", "the stream differs")
        packed.with_suffix(".stream").unlink()
    packed.unlink()


def vmware_memory(case, target):
    """The regions of the raw dump, whose two halves change places in the file."""
    source = case.arguments.dump / "dump.raw"
    half = source.stat().st_size // 2
    begin = target.tell()
    target.flush()
    with open(source, "rb") as file:
        for at, place in ((0, half), (half, 0)):
            sparse.copy(file.fileno(), at, target.fileno(), begin + place, half)
    target.truncate(begin + 2 * half)
    pages = half // PAGE
    return [(0, pages, pages), (pages, 0, pages)]


def vmware(case):
    """A .vmem file finds its .vmss by itself, and the other way round."""
    def convert(path):
        with open(path, "wb") as target:
            vmware_memory(case, target)

    image = case.folder.make("machine.vmem", convert)
    pages = (case.arguments.dump / "dump.raw").stat().st_size // PAGE // 2
    said = re.search(r"CR3=([0-9a-f]+)", (case.arguments.dump / "registers.txt").read_text(encoding="ascii"))
    state = case.folder.path / "machine.vmss"
    state.write_bytes(monitors.vmware_state([(0, pages, pages), (pages, 0, pages)], int(said[1], 16)))
    case.raw_pages(image)
    case.raw_pages(state)
    case.all_tables(image)
    registers(case, image)
    moved = state.rename(state.with_name("other.state"))
    case.tables(image, "--with", moved)
    state.unlink(missing_ok=True)


def vmware_inside(case):
    """A state with the memory in it."""
    size = (case.arguments.dump / "dump.raw").stat().st_size
    pages = size // PAGE // 2

    def convert(path):
        with open(path, "wb") as target:
            target.write(monitors.vmware_state([(0, pages, pages), (pages, 0, pages)], 0, size))
            vmware_memory(case, target)
            target.seek(0, 2)
            target.write(monitors.VMWARE_END)

    image = case.folder.make("inside.vmsn", convert)
    case.raw_pages(image)
    case.tables(image)
