# SPDX-FileCopyrightText: engram contributors
# SPDX-License-Identifier: Apache-2.0
"""Where things lie below the lab's build folder (build/lab unless told otherwise)."""
import contextlib
import fcntl
import os
import pathlib
import shutil
import tempfile


class Layout:
    """The folders of one build of the lab. Everything in them can be made again."""

    def __init__(self, root):
        self.root = pathlib.Path(root).resolve()
        self.apt = self.root / 'apt'            # private package lists, one folder a suite
        self.kernels = self.root / 'kernels'    # unpacked: vmlinuz and the modules that we load
        self.userland = self.root / 'userland'  # unpacked packages of the guest's programs
        self.programs = self.root / 'programs'  # our compiled C programs
        self.images = self.root / 'images'      # initramfs and root disk, one folder a kernel
        self.dumps = self.root / 'dumps'        # the product: one folder a machine
        self.failed = self.root / 'failed'      # serial consoles of guests that did not come up
        self.work = self.root / 'work'          # half-made things; emptied at every start

    def dump(self, machine_name):
        """The folder of a machine's dump; there only once it is whole."""
        return self.dumps / machine_name

    @contextlib.contextmanager
    def locked(self, on_wait):
        """Keeps other lab processes away from this build folder; calls on_wait() if it must."""
        self.root.mkdir(parents=True, exist_ok=True)
        with open(self.root / 'lock', 'a+', encoding='ascii') as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                on_wait()
                fcntl.flock(lock, fcntl.LOCK_EX)
            shutil.rmtree(self.work, ignore_errors=True)
            self.work.mkdir(parents=True)
            yield

    def new_work_folder(self, name):
        """A fresh folder on the file system of the product, so that it can be renamed there."""
        return pathlib.Path(tempfile.mkdtemp(prefix=f'{name}.', dir=self.work))

    def put_in_place(self, made, place):
        """Renames a finished folder to its place; what was there before goes away."""
        place.parent.mkdir(parents=True, exist_ok=True)
        os.chmod(made, 0o755)
        old = self.new_work_folder('old')
        if place.exists():
            place.rename(old / place.name)
        made.rename(place)
        shutil.rmtree(old)
