# SPDX-FileCopyrightText: engram contributors
# SPDX-License-Identifier: Apache-2.0
"""A guest of the lab whose RAM is a shared file, and whose processes come and go once its truth is recorded."""
import dataclasses
import gzip
import pathlib
import shutil

import initramfs
import qemu
from base import LAB, LabError, run

_HERE = pathlib.Path(__file__).resolve().parent
_STAGE = _HERE / "80-churn.sh"
_CHURN = _HERE / "churn.c"
_HAND_OVER = "exec $bb switch_root "


@dataclasses.dataclass(frozen=True)
class LiveImage:
    """What qemu.command_line() needs to know of an image."""

    kernel: object
    initramfs: pathlib.Path
    root_disk: pathlib.Path


def with_churn(image, folder):
    """The image with one more stage. The root disk stays as it is: the initramfs puts the files there."""
    program = folder / "churn"
    run(["gcc", "-Wall", "-Wextra", "-O1", "-static", "-s", "-o", program, _CHURN, "-pthread"])
    init = (LAB / "guest/initramfs-init").read_text()
    if init.count(_HAND_OVER) != 1:
        raise LabError(f"initramfs-init: {init.count(_HAND_OVER)} lines with {_HAND_OVER!r}, expected 1")
    init = init.replace(_HAND_OVER, "$bb cp /live/80-churn.sh /newroot/etc/lab.d/\n"
                        "$bb cp /live/lab-churn /newroot/usr/local/bin/\n" + _HAND_OVER)
    added = initramfs.archive(["live"], {
        "init": (0o755, init.encode()),
        "live/80-churn.sh": (0o644, _STAGE.read_bytes()),
        "live/lab-churn": (0o755, program.read_bytes()),
    })
    # The kernel unpacks one archive behind the other; a file of the later one wins.
    path = folder / "initramfs.gz"
    path.write_bytes(image.initramfs.read_bytes() + gzip.compress(added, compresslevel=1))
    return LiveImage(image.kernel, path, image.root_disk)


class LiveGuest(qemu.Guest):
    """A booted guest whose RAM is `ram`, a file that is shared with whoever maps it."""

    def __init__(self, machine, image, folder, ram):
        self.ram = ram
        backed = dataclasses.replace(machine, chipset=f"{machine.chipset},memory-backend=ram")
        backend = f"memory-backend-file,id=ram,size={machine.memory_mb}M,mem-path={ram},share=on"
        super().__init__(backed, with_churn(image, folder), folder, ("-object", backend))

    def __exit__(self, *error):
        super().__exit__(*error)
        self.ram.unlink(missing_ok=True)
        shutil.rmtree(self.folder, ignore_errors=True)
