# SPDX-FileCopyrightText: engram contributors
# SPDX-License-Identifier: Apache-2.0
"""What a guest boots from: kernel, initramfs and root disk, made once for each kernel."""
import dataclasses
import functools
import json
import shutil

import initramfs
import kernels
import programs
import rootfs
import userland
from base import LAB, digest, files_under

# Whatever decides how an image comes out.
_SOURCES = [LAB / name for name in ('image.py', 'initramfs.py', 'kernels.py', 'modules.py',
                                    'programs.py', 'rootfs.py', 'rootfs_files.py', 'userland.py')]


@dataclasses.dataclass(frozen=True)
class Image:
    """A bootable guest of one kernel."""
    kernel: kernels.Kernel
    folder: object  # pathlib.Path

    @property
    def initramfs(self):
        """The compressed cpio archive."""
        return self.folder / 'initramfs.gz'

    @property
    def root_disk(self):
        """The ext4 image; guests write to a throw-away copy."""
        return self.folder / 'root.ext4'

    @property
    def file_hashes(self):
        """JSON: SHA-256 of the files that the truth lists, by path."""
        return self.folder / 'files.json'


@functools.cache
def sources_digest():
    """Stands for everything in the lab that goes into an image."""
    return digest(*_SOURCES, *files_under(LAB / 'guest'))


def prepare(layout, kernel_name, say):
    """The image of a kernel; fetches and builds what is not there yet."""
    kernel = kernels.prepare(layout, kernel_name, say)
    programs_of_guest = userland.prepare(layout, say)
    compiled = programs.prepare(layout, say)
    image = Image(kernel, layout.images / kernel_name)
    wanted = digest(sources_digest(), kernel.identity(), programs_of_guest.identity())
    stamp = image.folder / 'stamp'
    if stamp.exists() and stamp.read_text() == wanted:
        return image
    say('building the guest')
    work = layout.new_work_folder(f'image-{kernel_name}')
    made = Image(kernel, work / 'image')
    made.folder.mkdir()
    initramfs.build(kernel, programs_of_guest, made.initramfs)
    disk, hashes = rootfs.build(kernel, programs_of_guest, compiled, work)
    disk.rename(made.root_disk)
    made.file_hashes.write_text(json.dumps(hashes, indent=1))
    (made.folder / 'stamp').write_text(wanted)
    layout.put_in_place(made.folder, image.folder)
    shutil.rmtree(work)
    return image
