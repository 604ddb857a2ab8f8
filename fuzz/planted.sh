#!/usr/bin/env bash
# Does fuzzing find anything? Builds the targets with a fault behind each one's grammar (the feature `planted`) and shows that each is
# found within SECONDS (default 60) of the processor's time, from the committed seeds, none of which finds it.
#   fuzz/planted.sh [SECONDS [TARGET...]]
set -euo pipefail
cd "$(dirname "$0")"
seconds=${1:-60}
shift || true
targets=${*:-$(sed '/^#/d; s/ .*//' targets.txt)}
./build.sh --features planted # in the place of the true ones: fuzz/run.sh builds those again
host=$(rustc -vV | sed -n 's/^host: //p')
missed=0
# The processor's time of all children so far, in seconds. (In a subshell there are none.)
spent() {
  times >"$work/times"
  awk 'NR == 2 { split($1, user, /[ms]/); print 60 * user[1] + user[2] }' "$work/times" >"$work/spent"
  read -r seen <"$work/spent"
}
for target in $targets; do
  work=$(mktemp -d)
  row=$(awk -v target="$target" '$1 == target { print $2, $3 }' targets.txt)
  read -r dictionary length <<<"$row"
  options=(-max_total_time="$((10 * seconds))" -max_len="$length" -timeout=100 -keep_seed=1 -artifact_prefix="$work/")
  if [ "$dictionary" != - ]; then options+=(-dict="dictionaries/$dictionary.dict"); fi
  mkdir "$work/corpus"
  spent
  before=$seen
  (
    ulimit -t "$seconds"
    exec "target/$host/release/$target" "${options[@]}" "$work/corpus" "seeds/$target" >"$work/log" 2>&1
  ) 2>/dev/null || true
  spent
  took=$(awk -v before="$before" -v now="$seen" 'BEGIN { printf "%.1f", now - before }')
  if ! grep -aq INITED "$work/log"; then
    echo "$target: a seed finds it, or it does not run: $work/log"
    missed=1
    continue
  elif ! grep -aqx planted "$work/log"; then
    echo "$target: NOT FOUND in $took s; $(grep -a "panicked at" "$work/log" || true)"
    missed=1
  else
    echo "$target: $took s"
  fi
  rm -r "$work"
done
exit "$missed"
