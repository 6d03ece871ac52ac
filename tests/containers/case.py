# SPDX-FileCopyrightText: engram contributors
# SPDX-License-Identifier: Apache-2.0
"""What the cases of this folder have in common."""
import subprocess


class Case:
    """What is run, and what went wrong."""

    def __init__(self, arguments):
        self.arguments = arguments
        self.problems = []

    def expect(self, condition, what):
        """Notes a problem if not."""
        if not condition:
            self.problems.append(what)

    def run(self, *command):
        """What a program prints."""
        done = subprocess.run(command, capture_output=True, encoding="utf-8", check=False)
        if done.returncode != 0:
            raise SystemExit(f"{command}: {done.returncode}: {done.stderr}")
        return done.stdout
