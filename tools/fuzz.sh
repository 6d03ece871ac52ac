#!/usr/bin/env bash
# SPDX-FileCopyrightText: engram contributors
# SPDX-License-Identifier: Apache-2.0
# Runs each fuzz harness for some seconds. Usage: fuzz.sh SECONDS
set -euo pipefail
seconds=$1
cmake --preset fuzz >/dev/null
cmake --build --preset fuzz
for source in fuzz/*.cc; do
  name=$(basename "$source" .cc)
  [ "$name" = replay_main ] && continue
  echo "fuzz: $name for $seconds s"
  mkdir -p "build/fuzz/corpus/$name" "build/fuzz/findings"
  find build/fuzz -name "fuzz_$name" -type f -perm -u+x | head -n 1 | while read -r harness; do
    "$harness" -max_total_time="$seconds" -rss_limit_mb=2048 -timeout=10 -print_final_stats=1 \
      -artifact_prefix="build/fuzz/findings/$name-" "build/fuzz/corpus/$name" "fuzz/corpus/$name"
  done
done
