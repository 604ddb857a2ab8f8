#!/usr/bin/env bash
# Runs every fuzz target for SECONDS (default 20) each, from its committed seeds. What is found on the way stays in
# fuzz/target/corpus; a failing input in fuzz/artifacts, and the script fails.
#   fuzz/run.sh SECONDS [TARGET...]
# For hours: fuzz/run.sh 7200 smtp_session, and then fuzz/coverage.py targets smtp_session for the lines that it has reached.
set -euo pipefail
cd "$(dirname "$0")"
seconds=${1:-20}
shift || true
targets=${*:-$(sed '/^#/d; s/ .*//' targets.txt)}
./build.sh
host=$(rustc -vV | sed -n 's/^host: //p')
for target in $targets; do
  mkdir -p "target/corpus/$target" "artifacts/$target"
  # Longer than the budget of an IMAP command before login.
  options=(-max_total_time="$seconds" -max_len=20000 -timeout=10 -keep_seed=1 -print_final_stats=1 -artifact_prefix="artifacts/$target/")
  dictionary=$(awk -v target="$target" '$1 == target { print $2 }' targets.txt)
  if [ "$dictionary" != - ]; then options+=(-dict="dictionaries/$dictionary.dict"); fi
  echo "=== $target, $seconds s"
  "target/$host/release/$target" "${options[@]}" "target/corpus/$target" "seeds/$target"
done
