#!/usr/bin/env bash
# SPDX-FileCopyrightText: engram contributors
# SPDX-License-Identifier: Apache-2.0
# Runs every benchmark; results go to build/bench/*.json and, beside those committed last, into one table.
set -euo pipefail
cd "$(dirname "$0")/.."
mkdir -p build/bench
python3 bench/open.py --engram build/engram --dumps build/lab/dumps --json build/bench/open.json
python3 bench/tables.py --engram build/engram --dumps build/lab/dumps --json build/bench/tables.json
for program in build/release/bench/bench_*; do
  [ -x "$program" ] || continue
  "$program" --benchmark_out="build/bench/$(basename "$program").json" --benchmark_out_format=json
done
python3 bench/compare.py
