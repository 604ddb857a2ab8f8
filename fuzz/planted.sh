#!/usr/bin/env bash
# Does fuzzing find anything? Builds the targets with a fault behind each one's grammar (the feature `planted`) and shows that each is
# found within SECONDS (default 60), from the committed seeds alone.
#   fuzz/planted.sh [SECONDS [TARGET...]]
set -euo pipefail
cd "$(dirname "$0")"
seconds=${1:-60}
shift || true
export RUSTC_BOOTSTRAP=1
targets=${*:-$(sed '/^#/d; s/ .*//' targets.txt)}
cargo fuzz build --fuzz-dir . --features planted # in the place of the true ones: fuzz/run.sh builds those again
host=$(rustc -vV | sed -n 's/^host: //p')
missed=0
for target in $targets; do
  work=$(mktemp -d)
  dictionary=$(awk -v target="$target" '$1 == target { print $2 }' targets.txt)
  options=(-max_total_time="$seconds" -max_len=20000 -timeout=10 -artifact_prefix="$work/")
  if [ "$dictionary" != - ]; then options+=(-dict="dictionaries/$dictionary.dict"); fi
  mkdir "$work/corpus"
  from=$EPOCHREALTIME
  "target/$host/release/$target" "${options[@]}" "$work/corpus" "seeds/$target" >"$work/log" 2>&1 || true
  spent=$(awk -v from="$from" -v to="$EPOCHREALTIME" 'BEGIN { printf "%.1f", to - from }')
  if ! grep -q "panicked at" "$work/log"; then
    echo "$target: NOT FOUND in $spent s"
    missed=1
  elif ! grep -qx planted "$work/log"; then
    echo "$target: something else was found, see $work"
    missed=1
    continue
  else
    echo "$target: $spent s"
  fi
  rm -r "$work"
done
exit "$missed"
