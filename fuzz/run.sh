#!/usr/bin/env bash
# Runs every fuzz target for SECONDS (default 20) each, from its committed seeds. What is found on the way stays in
# fuzz/target/corpus; a failing input in fuzz/artifacts, and the script fails.
#   fuzz/run.sh SECONDS [TARGET...]
set -euo pipefail
cd "$(dirname "$0")"
seconds=${1:-20}
shift || true
export RUSTC_BOOTSTRAP=1 # cargo-fuzz's compiler flags, on the stable compiler
targets=${*:-$(cd targets && ls -- *.rs | sed 's/\.rs$//')}
cargo fuzz build --fuzz-dir .
for target in $targets; do
  mkdir -p "target/corpus/$target"
  # Longer than the budget of an IMAP command before login.
  options=(-max_total_time="$seconds" -max_len=20000 -timeout=10 -print_final_stats=1)
  case $target in
    imap_*) options+=(-dict=dictionaries/imap.dict) ;;
    smtp_*) options+=(-dict=dictionaries/smtp.dict) ;;
    setup_*) options+=(-dict=dictionaries/xml.dict) ;;
    message_*) options+=(-dict=dictionaries/message.dict) ;;
  esac
  echo "=== $target, $seconds s"
  cargo fuzz run --fuzz-dir . "$target" "target/corpus/$target" "seeds/$target" -- "${options[@]}"
done
