# SPDX-FileCopyrightText: engram contributors
# SPDX-License-Identifier: Apache-2.0
"""A guest in QEMU: software emulation, so that it is the same on every host."""
import pathlib
import shutil
import subprocess
import tempfile
import time

from base import LabError
from qmp import Qmp

_TRUTH_DISK = 96 << 20
_READY = b'LAB-TRUTH-DONE'
_FAILED = (b'Kernel panic', b'LAB-FAIL')
_TIMEOUT_S = 300
_POLL_S = 0.1
_SERIAL_TAIL = 2500


class GuestFailed(LabError):
    """The guest did not come up; trying again may help (see the README on emulation)."""


def command_line(machine, image, truth_disk, serial, extra=()):
    """The QEMU command of a machine.

    The root disk is opened with snapshot=on: many guests may share it. The network is QEMU's own,
    cut off from the world (restrict=on), with one address that answers (guestfwd).
    """
    arguments = f'console=ttyS0 rdinit=/init panic=-1 lab.id={machine.kernel}-{machine.name}'
    if machine.smear:
        arguments += ' lab.smear'
    if machine.kernel_arguments:
        arguments += f' {machine.kernel_arguments}'
    command = [
        'qemu-system-x86_64', '-machine', machine.chipset, '-accel', 'tcg,thread=multi',
        '-cpu', machine.cpu_model, '-m', str(machine.memory_mb), '-smp', str(machine.cpus),
        '-display', 'none', '-no-reboot', '-serial', serial,
        '-kernel', str(image.kernel.vmlinuz), '-initrd', str(image.initramfs),
        '-drive', f'file={image.root_disk},if=virtio,format=raw,snapshot=on',
        '-drive', f'file={truth_disk},if=virtio,format=raw',
        '-nic', 'user,model=virtio-net-pci,restrict=on,mac=52:54:00:12:34:56,'
                'guestfwd=tcp:10.0.2.100:7000-cmd:cat',
    ]
    if machine.vmcoreinfo:
        command += ['-device', 'vmcoreinfo']
    return [*command, *extra, '-append', arguments]


class Guest:
    """A booted guest. Use with "with": leaving the block ends the QEMU process that it started."""

    def __init__(self, machine, image, folder, extra=()):
        """`extra` are further arguments of QEMU."""
        self.folder = folder
        self.serial = folder / 'serial.txt'
        self.truth_disk = folder / 'truth.img'
        self.ready_after = None  # seconds
        with open(self.truth_disk, 'wb') as disk:
            disk.truncate(_TRUTH_DISK)
        # A socket's path must be short, which that of a build folder may not be.
        self._socket_folder = pathlib.Path(tempfile.mkdtemp(prefix='lab-'))
        socket = self._socket_folder / 'qmp'
        self.command = command_line(machine, image, self.truth_disk, f'file:{self.serial}',
                                    (*extra, '-qmp', f'unix:{socket},server=on,wait=off'))
        self._messages = open(folder / 'qemu.txt', 'wb')
        # However the lab ends, QEMU ends with it.
        tied = ['setpriv', '--pdeathsig', 'KILL', '--', *self.command]
        self._process = subprocess.Popen(tied, stdin=subprocess.DEVNULL,
                                         stdout=self._messages, stderr=self._messages)
        self._started = time.monotonic()
        self._qmp_path = socket
        self.qmp = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.qmp:
            self.qmp.close()
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(20)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._messages.close()
        shutil.rmtree(self._socket_folder, ignore_errors=True)

    def wait_until_ready(self):
        """Returns when the collector has written the truth. Raises GuestFailed if it will not."""
        while True:
            said = self.serial.read_bytes() if self.serial.exists() else b''
            elapsed = time.monotonic() - self._started
            if _READY in said:
                break
            if any(word in said for word in _FAILED):
                time.sleep(1)  # for the rest of the message
                self._fail('the guest failed')
            if self._process.poll() is not None:
                self._fail(f'QEMU ended with status {self._process.returncode}')
            if elapsed > _TIMEOUT_S:
                self._fail(f'the guest was not ready after {_TIMEOUT_S} s')
            time.sleep(_POLL_S)
        self.ready_after = elapsed
        self.qmp = Qmp(self._qmp_path)

    def _fail(self, what):
        self._messages.flush()
        messages = (self.folder / 'qemu.txt').read_text(errors='replace').strip()
        serial = self.serial.read_bytes() if self.serial.exists() else b''
        tail = serial[-_SERIAL_TAIL:].decode(errors='replace')
        raise GuestFailed(f'{what}\n{messages}\n--- end of the serial console ---\n{tail}')

    def quit(self):
        """Ends the machine in order, after everything has been written."""
        self.qmp.execute('quit')
        self._process.wait(60)
