#!/usr/bin/env python3
# SPDX-FileCopyrightText: engram contributors
# SPDX-License-Identifier: Apache-2.0
"""Asks engram questions of a guest that runs, while processes come and go in it.

live.py --engram PROGRAM CASE   where CASE is a name of CASES

Every answer must have PID 1 and all that the guest's own kernel listed before the coming and going began. Then the
guest is paused, and the answers must be those that its dumps of that moment give.
"""
import argparse
import contextlib
import dataclasses
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "lab"), str(HERE.parent / "golden")]

# pylint: disable=wrong-import-position
import formats
import image as images
import machines
import questions
from base import REPOSITORY, LabError
from layout import Layout
from live_guest import LiveGuest
from program import Failed, Program
from qemu import GuestFailed
from truth import frames, parse_kernel, parse_proc

BOOTS = 3  # an emulated guest may panic: see the lab's README
FORMATS = ("raw", "elf", "lime")


@dataclasses.dataclass(frozen=True)
class Case:
    """A machine, how many questions it is asked while it runs, and how much of its RAM lies below 4 GiB."""

    machine: str
    questions: int
    below_4g: int


CASES = {
    "running": Case("6.12", 200, 512 << 20),
    "hole-pc": Case("6.1-4608m", 20, 3 << 30),
    "hole-q35": Case("6.1-q35-4608m", 20, 2 << 30),
}


class LiveProgram(Program):
    """The program and the RAM of a guest."""

    def run(self, sql, output="json"):
        done = subprocess.run([self.engram, "query", "--live", self.image, sql, "--format", output],
                              capture_output=True, encoding="utf-8", check=False, timeout=60)
        if done.returncode != 0:
            raise Failed(f"{sql}: exit code {done.returncode}: {done.stderr}")
        return done.stdout


def ram_folder(wanted):
    """A folder for the RAM: in memory if that has room for all of it, so that no disk is written."""
    with contextlib.suppress(FileNotFoundError):
        shared = os.statvfs("/dev/shm")
        if shared.f_bavail * shared.f_frsize > wanted:
            return "/dev/shm"
    return None


@contextlib.contextmanager
def booted(layout, case):
    """A guest of the case whose truth is recorded and in which processes come and go."""
    machine = machines.machine(case.machine)
    with layout.locked(lambda: print("waiting for another lab", flush=True)):
        image = images.prepare(layout, machine.kernel, print)
    for attempt in range(1, BOOTS + 1):
        folder = pathlib.Path(tempfile.mkdtemp(prefix="live-", dir=layout.root))
        ram = pathlib.Path(tempfile.mkdtemp(prefix="engram-live-", dir=ram_folder(machine.memory_mb << 20)))
        try:
            with LiveGuest(machine, image, folder, ram / "ram") as guest:
                guest.wait_until_ready()
                print(f"{machine.name}: ready after {guest.ready_after:.0f} s", flush=True)
                yield machine, guest
            return
        except GuestFailed as failure:
            print(f"boot {attempt} of {BOOTS} failed: {failure}", flush=True)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
            shutil.rmtree(ram, ignore_errors=True)
    raise LabError(f"{machine.name}: did not come up in {BOOTS} boots")


def ask_running(program, truth, count):
    """Asks `count` questions of the running guest. Returns what was wrong with the answers."""
    problems, slowest = [], 0
    before = program.one("SELECT max(start_boottime) AS last FROM tasks")["last"]
    for number in range(count):
        sql, check = questions.RUNNING[number % len(questions.RUNNING)]
        begun = time.monotonic()
        try:
            problems += [f"question {number}: {sql}: {problem}" for problem in check(program.query(sql), truth)]
        except (Failed, subprocess.TimeoutExpired) as error:
            problems.append(f"question {number}: {error}")
        slowest = max(slowest, time.monotonic() - begun)
    after = program.one("SELECT max(start_boottime) AS last FROM tasks")["last"]
    if after <= before:
        problems.append(f"no process was started while the questions were asked: {before}, {after}")
    print(f"{count} questions to the running guest, the slowest {slowest * 1000:.0f} ms", flush=True)
    return problems


def ask_in_one_session(engram, ram):
    """A shell sees at each statement the guest as it is then, and misses nothing."""
    newest = "SELECT max(start_boottime) AS last FROM tasks;\n"
    lost = "SELECT count(*) AS walks FROM diagnostics WHERE message LIKE '%may be missing%';\n"
    shell = subprocess.Popen([engram, "shell", "--live", ram, "--format", "csv"], stdin=subprocess.PIPE,
                             stdout=subprocess.PIPE, encoding="utf-8")
    with shell:
        answers = []
        for sql in (newest, newest, newest, lost):
            shell.stdin.write(sql)
            shell.stdin.flush()
            shell.stdout.readline()  # the column's name
            answers.append(int(shell.stdout.readline()))
            time.sleep(1)
        shell.stdin.close()
    *times, walks = answers
    problems = []
    if not times[0] < times[1] < times[2]:
        problems.append(f"shell: the newest task of three statements, a second apart: {times}")
    if walks != 0 or shell.returncode != 0:
        problems.append(f"shell: {walks} walks were cut, exit code {shell.returncode}")
    return problems


def compare_paused(guest, machine, engram, truth):
    """Pauses the guest, dumps it, and compares the answers from its RAM with those from each dump."""
    problems = []
    guest.qmp.execute("stop")
    live = LiveProgram(engram, guest.ram)
    answers = {sql: live.run(sql, "jsonl") for sql in questions.PAUSED}
    for name in formats.with_sources(FORMATS, machine):
        if formats.source_of(name, machine):
            formats.convert(name, machine, guest.folder, truth.ram)
        else:
            formats.write_by_qemu(name, guest.qmp, machine, guest.folder)
    for name in FORMATS:
        dump = Program(engram, guest.folder / formats.FILE_NAMES[name])
        for sql, answer in answers.items():
            rows = dump.run(sql, "jsonl")
            if rows != answer:
                problems.append(f"{sql}: {name} and the paused guest differ: {first_difference(answer, rows)}")
    if any(not answer for answer in answers.values()):
        problems.append("a question to the paused guest has no rows")
    guest.qmp.execute("cont")
    print(f"{len(answers)} questions to the paused guest, the same of {len(FORMATS)} dumps", flush=True)
    return problems


def first_difference(ours, theirs):
    """The first line in which two answers differ."""
    for mine, other in zip(ours.splitlines(), theirs.splitlines()):
        if mine != other:
            return f"{mine[:300]} | {other[:300]}"
    return f"{len(ours.splitlines())} and {len(theirs.splitlines())} rows"


def check_layout(program, case):
    """The RAM lies where the machine has it."""
    ranges = program.query("SELECT start, size FROM image_ranges")
    expected = [{"start": "0x0", "size": case.below_4g}]
    above = (machines.machine(case.machine).memory_mb << 20) - case.below_4g
    if above:
        expected.append({"start": "0x100000000", "size": above})
    return [] if ranges == expected else [f"image_ranges: {ranges}, expected {expected}"]


def run(case, engram, layout):
    """All that is wrong with the answers."""
    with booted(layout, case) as (machine, guest):
        record = frames.Record(frames.load(guest.truth_disk))
        truth = questions.Truth(parse_proc.processes(record), record,
                                parse_kernel.ram_ranges(record.text("/proc/iomem")))
        program = LiveProgram(engram, guest.ram)
        problems = check_layout(program, case)
        questions.wait_for_churn(program)
        problems += ask_running(program, truth, case.questions)
        problems += ask_in_one_session(engram, guest.ram)
        problems += compare_paused(guest, machine, engram, truth)
        # It was paused, and goes on.
        sql, check = questions.RUNNING[0]
        problems += check(program.query(sql), truth)
    return problems


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--engram", required=True)
    parser.add_argument("--build", default=REPOSITORY / "build/lab", help="the lab's folder")
    parser.add_argument("case", choices=CASES)
    arguments = parser.parse_args()
    begun = time.monotonic()
    try:
        problems = run(CASES[arguments.case], arguments.engram, Layout(arguments.build))
    except (LabError, Failed) as error:
        problems = [str(error)]
    for problem in problems[:20]:
        print(problem)
    print(f"{arguments.case}: {len(problems)} problems, {time.monotonic() - begun:.0f} s")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
