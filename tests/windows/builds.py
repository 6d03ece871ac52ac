# SPDX-FileCopyrightText: engram contributors
# SPDX-License-Identifier: Apache-2.0
"""Where the structures of some builds of Windows have their members: what the generator follows. By number: x64."""
import types


def _build(number, **offsets):
    return types.SimpleNamespace(number=number, **offsets)


_NEW_KTHREAD = {"initial_stack": 0x28, "stack_limit": 0x30, "stack_base": 0x38, "kernel_stack": 0x58,
                "apc_process": 0xB8, "teb": 0xF0, "state": 0x184, "thread_process": 0x220, "kthread_links": 0x2F8,
                "wait_reason": 0x283}

BUILDS = {build.number: build for build in (
    _build(7601, kdbg_size=0x340, process_size=0x4F8, pid=0x180, links=0x188, create=0x168, exit=0x170, parent=0x290,
           peb=0x338, wow64=0x320, wow64_direct=True, name=0x2E0, threads=0x308, vads=0x448, handles=0x200, token=0x208,
           section_base=0x270, user_root=0x110,
           thread_size=0x4A8, cid=0x3B8, thread_links=0x428, start=0x390, win32_start=0x418, thread_create=0x368,
           processor_state=0x40, context_frame=0xE0, prcb_context=0x53E0, version=(6, 1),
           initial_stack=0x28, stack_limit=0x30, stack_base=0x278, kernel_stack=0x38, apc_process=0x70, teb=0xB8,
           state=0x164, thread_process=0x210, kthread_links=0x2F8, wait_reason=0x26B,
           vad_flags=(52, 56, 63), table_code=0x0, key=(0x48, 0x50)),
    _build(17763, kdbg_size=0x380, process_size=0x850, pid=0x2E0, links=0x2E8, create=0x308, exit=0x690, parent=0x3E0,
           peb=0x3F8, wow64=0x428, wow64_direct=False, name=0x450, threads=0x488, vads=0x628, handles=0x418,
           token=0x358, section_base=0x3C0, user_root=0x278,
           thread_size=0x7F0, cid=0x638, thread_links=0x6A8, start=0x610, win32_start=0x690, thread_create=0x5F0,
           processor_state=0x100, context_frame=0xF0, prcb_context=0x62C0, version=(10, 0), vad_flags=(0, 3, 14),
           table_code=0x8, key=(0x40, 0x48), **_NEW_KTHREAD),
    _build(19041, kdbg_size=0x380, process_size=0xA40, pid=0x440, links=0x448, create=0x468, exit=0x840, parent=0x540,
           peb=0x550, wow64=0x580, wow64_direct=False, name=0x5A8, threads=0x5E0, vads=0x7D8, handles=0x570,
           token=0x4B8, section_base=0x520, user_root=0x388,
           thread_size=0x898, cid=0x478, thread_links=0x4E8, start=0x450, win32_start=0x4D0, thread_create=0x430,
           processor_state=0x100, context_frame=0xF0, prcb_context=0x85C0, version=(10, 0), vad_flags=(4, 7, 20),
           table_code=0x8, key=(0x48, 0x50), **_NEW_KTHREAD),
    _build(22000, kdbg_size=0x380, process_size=0xB80, pid=0x440, links=0x448, create=0x468, exit=0x840, parent=0x540,
           peb=0x550, wow64=0x580, wow64_direct=False, name=0x5A8, threads=0x5E0, vads=0x7D8, handles=0x570,
           token=0x4B8, section_base=0x520, user_root=0x388,
           thread_size=0x910, cid=0x4C8, thread_links=0x538, start=0x4A0, win32_start=0x520, thread_create=0x480,
           processor_state=0x100, context_frame=0xF0, prcb_context=0x89C0, version=(10, 0), vad_flags=(4, 7, 21),
           table_code=0x8, key=(0x48, 0x50), **_NEW_KTHREAD),
    _build(26100, kdbg_size=0x380, process_size=0x840, pid=0x1D0, links=0x1D8, create=0x1F8, exit=None, parent=0x2D0,
           peb=0x2E0, wow64=0x310, wow64_direct=False, name=0x338, threads=0x370, vads=0x558, handles=0x300,
           token=0x248, section_base=0x2B0, user_root=0x158,
           thread_size=0x910, cid=0x508, thread_links=0x578, start=0x4E0, win32_start=0x560, thread_create=0x4C0,
           processor_state=0x100, context_frame=0xF0, prcb_context=0x89C0, version=(10, 0), vad_flags=(4, 7, 21),
           table_code=0x8, key=(0x48, 0x50), **_NEW_KTHREAD),
)}
BUILDS["26100-arm64"] = _build(
    26100, kdbg_size=0x380, process_size=0x900, pid=0x1C0, links=0x1C8, create=0x1E8, exit=0x680, parent=0x2C0,
    peb=0x2D0, wow64=0x300, wow64_direct=False, name=0x328, threads=0x360, vads=0x618, handles=0x2F0, token=0x238,
    section_base=0x2A0, user_root=0, thread_size=0x768, cid=0x4E8, thread_links=0x558, start=0x4C0, win32_start=0x540,
    thread_create=0x4A0, processor_state=0x100, context_frame=0x2E0, prcb_context=0x8A0, context_size=0x390, version=(10, 0),
    vad_flags=(4, 7, 21), initial_stack=0x28, stack_limit=0x30, stack_base=0x38, kernel_stack=0x58, apc_process=0xB0,
    teb=0xE8, table_code=0x8, key=(0x48, 0x50), state=0x17C, thread_process=0x218, kthread_links=0x2F0, wait_reason=0x27B)


# Builds between those, from the types of volatility 2 (win7_sp0_x64_vtypes.py, win8_sp0_x64, win10_x64 ...), by what is other
# than in 7601 or 17763. Text: the same build with an EPROCESS of another size, which no table has.
_OLD_PROCESSOR = {"processor_state": 0x40, "context_frame": 0xE0}
_THREAD_10240 = {"thread_size": 0x7C0, "cid": 0x628, "thread_links": 0x690, "start": 0x600, "win32_start": 0x680,
                 "thread_create": 0x5D8}
_10240 = {"pid": 0x2E8, "links": 0x2F0, "user_root": 0, "vad_flags": (0, 3, 15), "prcb_context": 0x6280, **_OLD_PROCESSOR}
BETWEEN = {number: _build(number, **{key: value for key, value in vars(BUILDS[base]).items() if key != "number"} | other)
           for number, base, other in (
    (7600, 7601, {"process_size": 0x4D0, "thread_size": 0x498, "cid": 0x3B0, "thread_links": 0x420, "start": 0x388,
                  "win32_start": 0x410, "thread_create": 0x360, "prcb_context": 0x4BD8, "user_root": 0}),
    (9200, 17763, {**_10240, "version": (6, 2), "kdbg_size": 0x360, "process_size": 0x660, "pid": 0x2E0, "links": 0x2E8,
                   "create": 0x2D0, "exit": 0x610, "parent": 0x3D0, "peb": 0x3E8, "wow64": 0x418, "wow64_direct": True,
                   "name": 0x438, "threads": 0x470, "vads": 0x590, "handles": 0x408, "token": 0x348, "section_base": 0x3B0,
                   "prcb_context": 0x5968, "thread_size": 0x4D0, "cid": 0x398, "thread_links": 0x400, "start": 0x370,
                   "win32_start": 0x3F0, "thread_create": 0x348, "key": (0x48, 0x50)}),
    (10240, 17763, {**_10240, **_THREAD_10240, "process_size": 0x798, "exit": 0x670, "name": 0x448, "threads": 0x480,
                    "vads": 0x608, "wow64_direct": True, "key": (0x48, 0x50)}),
    (10586, 17763, {**_10240, **_THREAD_10240, "process_size": 0x788, "exit": 0x678, "vads": 0x610, "key": (0x48, 0x50)}),
    (14393, 17763, {**_10240, "process_size": 0x7B0, "exit": 0x688, "vads": 0x620, "thread_size": 0x7E0, "cid": 0x630,
                    "thread_links": 0x698, "start": 0x608, "win32_start": 0x688, "thread_create": 0x5E0}),
    (15063, 17763, {"process_size": 0x818, "user_root": 0, "thread_size": 0x810, "thread_links": 0x6A0,
                    "thread_create": 0x5E8, "prcb_context": 0x6380, "vad_flags": (0, 3, 15)}),
    (16299, 17763, {"process_size": 0x838, "user_root": 0, "thread_size": 0x818, "vad_flags": (0, 3, 15)}),
    (17134, 17763, {"process_size": 0x848, "thread_size": 0x818}),
)}
BUILDS.update(BETWEEN)
# As of an update that nobody has seen: only the numbers of KDBG and the build tell it.
BUILDS["14393-grown"] = types.SimpleNamespace(**{**vars(BUILDS[14393]), "process_size": 0x7D8, "exit": 0x690})
BUILDS[22621] = types.SimpleNamespace(**{**vars(BUILDS[22000]), "number": 22621})


# 32-bit ones.
_X86_KTHREAD = {"initial_stack": 0x20, "stack_base": 0x28, "kernel_stack": 0x48, "apc_process": 0x80, "teb": 0xA8,
                "state": 0x90, "kthread_links": 0x1D4, "wait_reason": 0x18B}
X86_BUILDS = {build.number: build for build in (
    _build(7601, kdbg_size=0x340, process_size=0x2C0, pid=0xB4, links=0xB8, create=0xA0, exit=0xA8, parent=0x140, peb=0x1A8,
           name=0x16C, threads=0x188, vads=0x278, handles=0xF4, token=0xF8, section_base=0x12C,
           thread_size=0x2B8, cid=0x22C, thread_links=0x268, start=0x218, win32_start=0x260, thread_create=0x200,
           processor_state=0x18, context_frame=0, prcb_context=0x3618, version=(6, 1), driver_time=0x44,
           initial_stack=0x28, stack_base=0x190, kernel_stack=0x30, apc_process=0x50, teb=0x88, state=0x68,
           kthread_links=0x1E0, wait_reason=0x187,
           vad_flags=(20, 24, 31), vad_flags_at=0x14, vad_file=(0x24, 0x24), table_code=0x0, key=(0x28, 0x2C)),
    _build(19041, kdbg_size=0x380, process_size=0x4C0, pid=0xE4, links=0xE8, create=0x100, exit=0x388, parent=0x170,
           peb=0x17C, name=0x1AC, threads=0x1D0, vads=0x350, handles=0x18C, token=0x12C, section_base=0x160,
           thread_size=0x4E0, cid=0x2AC, thread_links=0x2E4, start=0x298, win32_start=0x2DC, thread_create=0x280,
           processor_state=0x18, context_frame=0, prcb_context=0x4168, version=(10, 0), driver_time=0x58,
           vad_flags=(4, 7, 20), vad_flags_at=0x1C, vad_file=(0x2C, 0x20), table_code=0x8, key=(0x24, 0x28), **_X86_KTHREAD),
)}
X86_BUILDS[9200] = types.SimpleNamespace(**{  # win8_sp0_x86_vtypes.py
    **vars(X86_BUILDS[19041]), "number": 9200, "version": (6, 2), "kdbg_size": 0x360, "driver_time": None,
    "process_size": 0x2E8, "pid": 0xB4, "links": 0xB8, "create": 0xA8, "exit": 0x2B8, "parent": 0x134, "peb": 0x140,
    "name": 0x170, "threads": 0x194, "vads": 0x274, "handles": 0x150, "token": 0xEC, "section_base": 0x120,
    "thread_size": 0x2C8, "cid": 0x214, "thread_links": 0x24C, "start": 0x200, "win32_start": 0x244, "thread_create": 0x1E8,
    "prcb_context": 0x4028, "vad_flags": (0, 3, 15), "vad_flags_at": 0x18, "vad_file": (0x2C, 0x24), "key": (0x28, 0x2C)})
X86_BUILDS[30123] = types.SimpleNamespace(**{
    **vars(X86_BUILDS[19041]), "number": 30123, "process_size": 0x4E0, "thread_size": 0x508, "pid": 0xF4, "links": 0xF8,
    "create": 0x110, "exit": 0x3A8, "parent": 0x1A0, "peb": 0x18C, "name": 0x1D4, "threads": 0x210, "vads": 0x370,
    "handles": 0x198, "token": 0x14C, "section_base": 0x178, "cid": 0x2C4, "thread_links": 0x304, "start": 0x2B0,
    "win32_start": 0x2FC, "thread_create": 0x298, "prcb_context": 0x4268, "vad_flags": (3, 8, 22), "vad_file": (0x34, 0x28),
    "vad_flags_at": 0x20, "table_code": 0x10, "key": (0x30, 0x34)})


def unknown():
    """A build that no table has: each member of EPROCESS and ETHREAD is elsewhere, and some are in another order."""
    build = {**vars(BUILDS[26100]), "number": 30123, "process_size": 0x8A8, "thread_size": 0x958}
    build.update(pid=0x218, links=0x220, create=0x238, exit=0x610, parent=0x400, peb=0x2A0, wow64=0x360, name=0x3B8,
                 threads=0x1F0, vads=0x5A0, handles=0x2D8, token=0x288, section_base=0x2F0, user_root=0x168,
                 cid=0x560, thread_links=0x598, start=0x530, win32_start=0x5B0, thread_create=0x510,
                 prcb_context=0x8B40, vad_flags=(3, 8, 22), table_code=0x18, key=(0x60, 0x68))
    return types.SimpleNamespace(**build)


BUILDS[30123] = unknown()


def unknown_arm64():
    """The same of arm64."""
    build = {**vars(BUILDS["26100-arm64"]), "number": 30123, "process_size": 0x968, "thread_size": 0x7B0}
    build.update(pid=0x208, links=0x210, create=0x228, exit=0x690, parent=0x410, peb=0x2B0, wow64=0x370, name=0x3C8,
                 threads=0x1E0, vads=0x650, handles=0x2E8, token=0x298, section_base=0x300, cid=0x540, thread_links=0x578,
                 start=0x510, win32_start=0x590, thread_create=0x4F0, vad_flags=(3, 8, 22), table_code=0x18,
                 key=(0x60, 0x68))
    return types.SimpleNamespace(**build)


BUILDS["30123-arm64"] = unknown_arm64()
