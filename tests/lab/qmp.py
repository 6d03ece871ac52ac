# SPDX-FileCopyrightText: engram contributors
# SPDX-License-Identifier: Apache-2.0
"""QEMU's machine protocol (QMP): one JSON object a line over a Unix socket."""
import json
import socket

from base import LabError


class Qmp:
    """A connection to a running QEMU."""

    def __init__(self, path):
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.connect(str(path))
        self._lines = self._socket.makefile('rw', encoding='utf-8')
        self._lines.readline()  # the greeting
        self.execute('qmp_capabilities')

    def execute(self, command, **arguments):
        """Runs a command to its end and returns its result. Raises LabError where QEMU refuses."""
        self._lines.write(json.dumps({'execute': command, 'arguments': arguments}) + '\n')
        self._lines.flush()
        while True:
            line = self._lines.readline()
            if not line:
                raise LabError(f'qemu: connection lost during {command}')
            reply = json.loads(line)
            if 'return' in reply:
                return reply['return']
            if 'error' in reply:
                raise LabError(f'qemu: {command}: {reply["error"].get("desc")}')
            # Anything else is an event.

    def monitor(self, command):
        """What a command of the human monitor prints."""
        return self.execute('human-monitor-command', **{'command-line': command})

    def close(self):
        """Closes the connection; QEMU goes on."""
        self._lines.close()
        self._socket.close()
