#!/usr/bin/env bash
# SPDX-FileCopyrightText: engram contributors
# SPDX-License-Identifier: Apache-2.0
# Runs each fuzz harness for some seconds; fails if one of them found something. What it found lies in
# build/fuzz/findings/, named after the harness. Usage: fuzz.sh SECONDS
set -euo pipefail
seconds=$1
names=()
for source in fuzz/*.cc; do
  name=$(basename "$source" .cc)
  [ "$name" = replay_main ] || names+=("$name")
done
cmake --preset fuzz >/dev/null
cmake --build --preset fuzz -j "$(nproc)" --target "${names[@]/#/fuzz_}"

findings=build/fuzz/findings
mkdir -p "$findings"
failed=()
for name in "${names[@]}"; do
  echo "fuzz: $name for $seconds s"
  corpus=build/fuzz/corpus/$name # grows from run to run; the seeds stay as they are
  mkdir -p "$corpus"
  "build/fuzz/fuzz/fuzz_$name" -max_total_time="$seconds" -rss_limit_mb=2048 -timeout=10 -print_final_stats=1 \
    -artifact_prefix="$findings/$name-" "$corpus" "fuzz/corpus/$name" || failed+=("$name")
done
if [ ${#failed[@]} -gt 0 ]; then
  echo "fuzz: found something: ${failed[*]}; replay with build/fuzz/fuzz/fuzz_NAME FILE in $findings/" >&2
  exit 1
fi
