#!/usr/bin/env bash
# Builds the fuzz targets: fuzz/build.sh [OPTION OF cargo fuzz build...]; FUZZ_DIR=world: the one in fuzz/world.
#
# Without a sanitizer: there is no unsafe code of ours to watch, and the targets run more often. With one: SANITIZER=address.
set -euo pipefail
cd "$(dirname "$0")"
export RUSTC_BOOTSTRAP=1 # cargo-fuzz's compiler flags, on the stable compiler
# Comparisons of a few octets stay calls, so that libFuzzer sees what an input is compared with.
export RUSTFLAGS="${RUSTFLAGS:-} -Cllvm-args=-max-loads-per-memcmp=0"
cargo fuzz build --fuzz-dir "${FUZZ_DIR:-.}" --sanitizer "${SANITIZER:-none}" "$@"
