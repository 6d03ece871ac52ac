#!/usr/bin/env python3
# SPDX-FileCopyrightText: engram contributors
# SPDX-License-Identifier: Apache-2.0
"""Maps the users of mounts in a copy of a raw dump of 6.1 or a later kernel, and looks at what engram says of them.

mounts.py --engram PROGRAM --dump FOLDER
"""
import sys

from changed import run

# Offsets in Debian's 6.1 and 6.12 (BTF of their vmlinux).
SUPER, MAP = 32 + 8, 32 + 24  # in struct mount: of mnt.mnt_sb and mnt.mnt_userns, mnt.mnt_idmap since 6.2
USER_NAMESPACE = 1176  # in struct super_block of 6.1


def mounts(image):
    """Rows by address."""
    return {row["virtual_address"]: row for row in image.query("SELECT * FROM mounts")}


def mapped(image):
    """A mount that maps users says so, and no other does."""
    before = mounts(image)
    assert before and not any("idmapped" in row["options"] for row in before.values())
    key, row = next(iter(before.items()))
    elsewhere = image.read(int(key, 16) + MAP) + 64
    image.write(int(key, 16) + MAP, elsewhere)
    assert mounts(image) == {**before, key: {**row, "options": row["options"] + ",idmapped"}}


def of_the_file_system(image):
    """Before 6.2: a mount in the user namespace of its file system maps nobody."""
    before = mounts(image)
    key = next(iter(before))
    elsewhere = image.read(int(key, 16) + MAP) + 64
    image.write(int(key, 16) + MAP, elsewhere)
    image.write(image.read(int(key, 16) + SUPER) + USER_NAMESPACE, elsewhere)
    assert mounts(image) == before


def cases_of(image):
    """Cases by name."""
    has_idmap = bool(image.query("SELECT 1 FROM kallsyms WHERE symbol_name = 'nop_mnt_idmap'"))
    return {"mapped": mapped, **({} if has_idmap else {"of_the_file_system": of_the_file_system})}


if __name__ == "__main__":
    sys.exit(run("mounts", __doc__, cases_of))
