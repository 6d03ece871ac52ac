#!/usr/bin/env python3
# SPDX-FileCopyrightText: engram contributors
# SPDX-License-Identifier: Apache-2.0
"""Compares a table of engram, row by row, with what the guest's own kernel said when the dump was taken.

golden.py --engram PROGRAM --dump FOLDER CHECK   where CHECK is a name of CHECKS

Every format of the dump is asked, and all must give the same rows. A difference that is accepted is in
accepted.py with its reason; one that is not fails the check and is printed.
"""
import argparse
import json
import pathlib
import sys

import accepted
import check_commands
import check_files
import check_image
import check_kallsyms
import check_log
import check_memory
import check_memory_maps
import check_modules
import check_namespaces
import check_network
import check_page_cache
import check_processes
import check_sockets
import check_system
import check_task_security
import check_tasks
from program import Program

CHECKS = {
    "os_version": check_system.os_version,
    "system_info": check_system.system_info,
    "boot_time": check_system.boot_time,
    "diagnostics": check_system.diagnostics,
    "dmesg": check_log.dmesg,
    "task_tree": check_commands.task_tree,
    "system_version": check_commands.system_version,
    "carve": check_commands.carve,
    "kallsyms": check_kallsyms.kallsyms,
    "symbol_functions": check_kallsyms.symbol_functions,
    "tasks": check_tasks.tasks,
    "tasks_keys": check_tasks.keys,
    "processes": check_processes.processes,
    "network_connections": check_sockets.network_connections,
    "sockets": check_sockets.sockets,
    "task_open_files": check_files.task_open_files,
    "process_open_files": check_files.process_open_files,
    "files": check_page_cache.files,
    "file_ranges": check_page_cache.file_ranges,
    "file_contents": check_page_cache.file_contents,
    "dump": check_page_cache.dump,
    "syslog_file": check_page_cache.syslog_file,
    "namespaces": check_namespaces.namespaces,
    "mounts": check_namespaces.mounts,
    "cgroups": check_namespaces.cgroups,
    "interfaces": check_network.interfaces,
    "interface_addresses": check_network.interface_addresses,
    "network_interfaces": check_network.network_interfaces,
    "arp_cache": check_network.arp_cache,
    "routes": check_network.routes,
    "process_open_sockets": check_sockets.process_open_sockets,
    "listening_ports": check_sockets.listening_ports,
    "process_network_connections": check_sockets.process_network_connections,
    "memory_mappings": check_memory_maps.memory_mappings,
    "process_memory_map": check_memory_maps.process_memory_map,
    "process_libraries": check_memory_maps.process_libraries,
    "process_anon_wx_regions": check_memory_maps.process_anon_wx_regions,
    "task_capabilities": check_task_security.task_capabilities,
    "process_capabilities": check_task_security.process_capabilities,
    "task_ptrace_flags": check_task_security.task_ptrace_flags,
    "process_ptrace_flags": check_task_security.process_ptrace_flags,
    "tasklist_pidns_differences": check_task_security.tasklist_pidns_differences,
    "ld_env_override_processes": check_task_security.ld_env_override_processes,
    "kernel_modules": check_modules.kernel_modules,
    "kernel_module_mem_entries": check_modules.kernel_module_mem_entries,
    "kernel_module_sections": check_modules.kernel_module_sections,
    "kernel_module_parameters": check_modules.kernel_module_parameters,
    "ftrace_ops": check_modules.ftrace_ops,
    "kprobes": check_modules.kprobes,
    "image_info": check_image.image_info,
    "image_ranges": check_image.image_ranges,
    "translate": check_memory.translate,
    "read_bytes": check_memory.read_bytes,
}
FORMATS = ("raw", "lime", "elf")
SHOWN = 20


class Truth:
    """What was recorded inside the guest."""

    def __init__(self, folder):
        self.folder = folder
        self.facts = json.loads((folder / "truth.json").read_text(encoding="utf-8"))

    def __getitem__(self, key):
        return self.facts[key]

    def kallsyms(self):
        """(address, type, name, module or None) in the order of /proc/kallsyms."""
        for line in (self.folder / "kallsyms.txt").read_text(encoding="utf-8").splitlines():
            address, letter, name, *module = line.split()
            yield int(address, 16), letter, name, module[0].strip("[]") if module else None


def run(check, engram, folder):
    """The differences that nobody has accepted, and how many comparisons were made."""
    truth = Truth(folder)
    problems, comparisons, rows_by_format = [], 0, {}
    for name in FORMATS:
        image = folder / f"dump.{name}"
        if not image.exists():
            problems.append(f"{image} is missing")
            continue
        result = CHECKS[check](Program(engram, image), truth)
        comparisons += result.comparisons
        rows_by_format[name] = result.rows
        for difference in result.differences:
            if not accepted.reason(check, difference):
                problems.append(f"{name}: {difference}")
        if result.comparisons == 0:
            problems.append(f"{name}: nothing was compared")
    if any(rows != next(iter(rows_by_format.values())) for rows in rows_by_format.values()):
        problems.append(f"the formats {', '.join(rows_by_format)} do not give the same rows")
    return problems, comparisons


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--engram", required=True)
    parser.add_argument("--dump", required=True, type=pathlib.Path)
    parser.add_argument("check", choices=CHECKS)
    arguments = parser.parse_args()
    problems, comparisons = run(arguments.check, arguments.engram, arguments.dump)
    for problem in problems[:SHOWN]:
        print(problem)
    if len(problems) > SHOWN:
        print(f"... and {len(problems) - SHOWN} more")
    print(f"{arguments.check}: {comparisons} comparisons, {len(problems)} differences")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
