# SPDX-FileCopyrightText: engram contributors
# SPDX-License-Identifier: Apache-2.0
"""Runs engram on one image."""
import dataclasses
import json
import subprocess


class Failed(Exception):
    """engram did not answer."""


@dataclasses.dataclass
class Comparison:
    """What a check found: the rows that must be the same in every format, and where they differ from the truth."""

    rows: list = dataclasses.field(default_factory=list)
    differences: list = dataclasses.field(default_factory=list)
    comparisons: int = 0

    def equal(self, what, ours, kernels):
        """Notes a difference if ours is not what the kernel says."""
        self.comparisons += 1
        if ours != kernels:
            self.differences.append(f"{what}: engram has {ours!r}, the kernel {kernels!r}")


class Program:
    """The program and the image that it is asked about."""

    def __init__(self, engram, image):
        self.engram = engram
        self.image = image

    def run(self, sql, output="json"):
        """Text of the answer; Failed if there is none."""
        done = subprocess.run([self.engram, "query", self.image, sql, "--format", output], capture_output=True,
                              encoding="utf-8", check=False)
        if done.returncode != 0:
            raise Failed(f"{sql}: exit code {done.returncode}: {done.stderr}")
        return done.stdout

    def query(self, sql):
        """The rows as dictionaries; addresses are "0x..." text."""
        return json.loads(self.run(sql))

    def command(self, line):
        """What a dot command prints; Failed if it does not."""
        done = subprocess.run([self.engram, "command", self.image, line], capture_output=True, encoding="utf-8",
                              check=False)
        if done.returncode != 0:
            raise Failed(f"{line}: exit code {done.returncode}: {done.stderr}")
        return done.stdout

    def one(self, sql):
        """The only row."""
        rows = self.query(sql)
        if len(rows) != 1:
            raise Failed(f"{sql}: {len(rows)} rows, 1 expected")
        return rows[0]
