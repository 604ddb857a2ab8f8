#!/usr/bin/env python3
"""Counts instructions, under valgrind's callgrind; no clock is asked.

  tests/benches/cost.py law [CASE...]     law 3: every case of tests/benches/cost at its size and at twice that: less than 2.5 times
  tests/benches/cost.py hot               the hot paths beside the figures in instructions.txt: within 5 %
  tests/benches/cost.py hot --write       writes these figures: after a change that is meant, or with another compiler

It needs valgrind. Figures are of the release build; the compiler that made them stands above them.
"""
import json
import os
import re
import shutil
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
TABLE = os.path.join(HERE, "instructions.txt")
RATIO = 2.5
TOLERANCE = 0.05

# What every message and every reader costs: the case, its size, and what that is.
HOT = [
    ("smtp::transactions", 100, "100 transactions of a short message"),
    ("smtp::data", 1 << 20, "DATA of 1 MiB"),
    ("imap::fetch_flags", 10_000, "FETCH 1:10000 (UID FLAGS)"),
    ("imap::fetch_envelope", 1000, "FETCH 1:1000 ENVELOPE, digests at hand"),
    ("imap::fetch_body", 1 << 20, "FETCH BODY[] of 1 MiB"),
    ("imap::fetch_bodies", 1000, "FETCH 1:1000 BODY[] of 0.5 KiB"),
    ("imap::search_rows", 10_000, "SEARCH by flags and size in 10 000 messages"),
    ("imap::search_texts", 1000, "SEARCH in the texts of 1000 messages"),
    ("parsers::intake_text", 1 << 20, "digest of a message of 1 MiB"),
]


def build():
    command = ["cargo", "bench", "--locked", "-p", "pillarbox-tests", "--no-default-features", "--bench", "cost"]
    lines = subprocess.check_output([*command, "--no-run", "--message-format=json"], cwd=ROOT, text=True)
    made = [json.loads(line) for line in lines.splitlines() if line.startswith("{")]
    return [message["executable"] for message in made if message.get("executable")][-1]


def count(binary, case, size):
    command = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", "--toggle-collect=pillarbox_measured", binary]
    ran = subprocess.run([*command, case, str(size)], stderr=subprocess.PIPE, text=True, check=False)
    found = re.search(r"Collected : (\d+)", ran.stderr)
    if ran.returncode != 0 or not found:
        sys.exit(f"{case} {size} fails:\n{ran.stderr}")
    return int(found.group(1))


def law(binary, names):
    broken = []
    for line in subprocess.check_output([binary], text=True).splitlines():
        case, size = line.split()[0], int(line.split()[1])
        if names and not any(name in case for name in names):
            continue
        once, twice = count(binary, case, size), count(binary, case, 2 * size)
        ratio = twice / once
        print(f"{ratio:5.2f}  {case:32} {size:7}: {once:12} {twice:12}", flush=True)
        if ratio >= RATIO:
            broken.append(case)
    return broken


def hot(binary, write):
    compiler = subprocess.check_output(["rustc", "-V"], text=True).strip()
    if write:
        with open(TABLE, "w", encoding="utf-8") as table:
            table.write(f"# Instructions, by tests/benches/cost.py hot --write; {compiler}\n")
            for case, size, what in HOT:
                table.write(f"{count(binary, case, size):12}  {case} {size}  {what}\n")
        return []
    with open(TABLE, encoding="utf-8") as table:
        rows = [line.split() for line in table if not line.startswith("#")]
    figures = {(case, int(size)): int(figure) for figure, case, size, *_ in rows}
    broken = []
    for case, size, what in HOT:
        now, then = count(binary, case, size), figures[case, size]
        change = now / then - 1
        print(f"{100 * change:+6.2f} %  {now:12}  {what}", flush=True)
        if abs(change) > TOLERANCE:
            broken.append(f"{case}: {then} -> {now}")
    return broken


if __name__ == "__main__":
    if not shutil.which("valgrind"):
        sys.exit("valgrind is needed: apt-get install valgrind")
    if sys.argv[1:2] == ["law"]:
        wrong = law(build(), sys.argv[2:])
    elif sys.argv[1:2] == ["hot"]:
        wrong = hot(build(), "--write" in sys.argv)
    else:
        sys.exit(__doc__)
    if wrong:
        sys.exit("costs too much, or something else than recorded: " + ", ".join(wrong))
