// SPDX-FileCopyrightText: engram contributors
// SPDX-License-Identifier: Apache-2.0
#pragma once
// What the collector records, by subject.

void collect_clocks(void);
void collect_kernel(void);     // version, symbols, modules, types, /proc/kcore
void collect_settings(void);   // sysctl, firmware identity, tracing, security
void collect_network(void);    // interfaces, and what ip, ss and nft say
void collect_logs(void);       // the kernel log, as text and as records
void collect_counters(void);   // what changes all the time: keys, locks, timers, memory
void collect_scenario(void);   // what the scenario's programs said about themselves
void collect_files(void);      // the files listed in /etc/lab-files
void collect_processes(void);  // every process; last, to be nearest to the dump
