# SPDX-FileCopyrightText: engram contributors
# SPDX-License-Identifier: Apache-2.0
"""Files of virtual machine monitors that are not installed here, around memory that a real machine had."""
import struct

PAGE = 4096
XML = ("<domain type='qemu'><name>lab</name><os><type arch='x86_64' machine='pc-i440fx-7.2'>hvm</type></os>"
       "</domain>\0")
_BLOCK = 63


def libvirt_header(compression=0):
    """What `virsh save` writes before the stream (libvirt, qemu_saveimage.h)."""
    xml = XML.encode()
    return b"LibvirtQemudSave" + struct.pack("<5I56x", 2, len(xml), 1, compression, 0) + xml


def _tag(name, indices, kind):
    head = len(name) << 8 | len(indices) << 6 | kind
    return struct.pack("<H", head) + name + b"".join(struct.pack("<I", index) for index in indices)


def _value(name, indices, value, size=4):
    return _tag(name, indices, size) + value.to_bytes(size, "little")


def vmware_state(regions, cr3, memory=None):
    """A VMware state (crash, vmware_vmss.h): regions are (physical page, page in the memory, pages).

    With `memory`, a number of bytes, the result ends where these begin; VMWARE_END must follow them.
    """
    cpu = _value(b"cpu:numVCPUs", [], 1) + _value(b"CR64", [0, 3], cr3, 8) + b"\0\0"
    group = _value(b"regionsCount", [], len(regions))
    for number, region in enumerate(regions):
        for name, value in zip((b"regionPPN", b"regionPageNum", b"regionSize"), region):
            group += _value(name, [number], value)
    start = 12 + 2 * 80
    tail = VMWARE_END
    if memory is not None:
        group += _tag(b"Memory", [0, 0], _BLOCK) + struct.pack("<QQ", memory, memory)
        padding = -(start + len(cpu) + len(group) + 2) % PAGE
        tail = struct.pack("<H", padding) + bytes(padding)
    header = struct.pack("<III", 0xbed2bed2, 8, 2)
    for name, at, content in ((b"cpu", start, cpu), (b"memory", start + len(cpu), group)):
        header += struct.pack("<64sQQ", name, at, len(content))
    return header + cpu + group + tail


VMWARE_END = b"\0\0"
