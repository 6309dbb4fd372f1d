#!/bin/sh
# Lets a libFuzzer program run for a while on a copy of its corpus; what it finds stays in the working directory.
#   run_fuzzer.sh PROGRAM CORPUS WORKING_DIRECTORY SECONDS MAX_LENGTH
set -eu
program=$1 corpus=$2 work=$3 seconds=$4 max_length=$5

rm -rf "$work/corpus"
mkdir -p "$work/corpus" "$work/findings"
cp "$corpus"/* "$work/corpus/"
exec "$program" -max_total_time="$seconds" -max_len="$max_length" -rss_limit_mb=2048 -timeout=10 \
  -print_final_stats=1 -artifact_prefix="$work/findings/" "$work/corpus"
