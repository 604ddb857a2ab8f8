#!/usr/bin/env bash
# Runs every fuzz target for SECONDS (default 20) each, as many side by side as there are processors, from its committed seeds. What is
# found on the way stays in fuzz/target/corpus; a failing input in fuzz/artifacts, and the script fails.
#   fuzz/run.sh SECONDS [TARGET...]
#   fuzz/run.sh SECONDS world        whole worlds, a crate of its own, which takes minutes to build: only if it is named
# For hours: fuzz/run.sh 7200 smtp_session (one target alone shows its progress), and then fuzz/coverage.py targets smtp_session for the
# lines that it has reached.
set -euo pipefail
cd "$(dirname "$0")"
export seconds=${1:-20}
shift || true
targets=${*:-$(sed '/^#/d; s/ .*//' targets.txt)}
if [ "$targets" != world ]; then ./build.sh; fi
if grep -qw world <<<"$targets"; then FUZZ_DIR=world ./build.sh --target-dir target; fi # a crate of its own
binaries=target/$(rustc -vV | sed -n 's/^host: //p')/release
export binaries

run() {
  local target=$1 seeds=seeds/$1 row dictionary=- length=66
  mkdir -p "target/corpus/$target" "artifacts/$target"
  row=$(awk -v target="$target" '$1 == target { print $2, $3 }' targets.txt)
  if [ "$target" = world ]; then
    seeds=world/seeds # 66: it has 16 transitions of four octets
  else
    read -r dictionary length <<<"$row"
  fi
  local options=(-max_total_time="$seconds" -max_len="$length" -timeout=10 -keep_seed=1 -print_final_stats=1)
  options+=(-artifact_prefix="artifacts/$target/")
  if [ -n "${FUZZ_SEED:-}" ]; then options+=(-seed="$FUZZ_SEED"); fi # much the same run again
  if [ "$dictionary" != - ]; then options+=(-dict="dictionaries/$dictionary.dict"); fi
  "$binaries/$target" "${options[@]}" "target/corpus/$target" "$seeds"
}

# One of several: a line, or all that it said when it failed.
run_quietly() {
  local log="target/$1.log"
  if run "$1" >"$log" 2>&1; then
    echo "$1: $(sed -n 's/^stat::number_of_executed_units: *//p' "$log") runs in $seconds s, nothing found"
  else
    tail -n 100 "$log"
    echo "$1: FAILED; its input is in fuzz/artifacts/$1, all it said in fuzz/$log"
    return 1
  fi
}
export -f run run_quietly

if [ "$(wc -w <<<"$targets")" = 1 ]; then
  run "$targets"
else
  tr ' ' '\n' <<<"$targets" | xargs -P "$(nproc)" -I{} bash -euo pipefail -c 'run_quietly {}'
fi
