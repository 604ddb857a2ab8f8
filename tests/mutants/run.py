#!/usr/bin/env python3
"""Plays seeded faults: each is put into a copy of the working tree, and the tests must fail there.

    python3 tests/mutants/run.py imap [NAME...]
    python3 tests/mutants/run.py smtp [NAME...]
    python3 tests/mutants/run.py smtp_client [NAME...]
    python3 tests/mutants/run.py delivery [NAME...]

The faults of the SMTP sessions must be caught by their scripts alone.
"""
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

TESTS = {
    "imap": ["--test", "scripts_imap", "--test", "imap_session"],
    "smtp": ["--test", "scripts_smtp"],
    "smtp_client": ["--test", "scripts_smtp_client"],
    "delivery": ["--test", "scripts_scheduler"],
}


def faults(text):
    for block in text.split("\n== ")[1:]:
        name, rest = block.split("\n", 1)
        file, rest = rest.split("\n", 1)
        old, new = rest.split("\n+ ", 1)
        yield name.strip(), pathlib.Path(file.split(" ", 1)[1]), old.removeprefix("- "), new.strip("\n")


def main():
    root = pathlib.Path(__file__).resolve().parents[2]
    part, names = sys.argv[1], sys.argv[2:]
    wanted = [fault for fault in faults((root / "tests/mutants" / f"{part}.txt").read_text()) if not names or fault[0] in names]
    with tempfile.TemporaryDirectory(prefix="pillarbox-mutants-") as folder:
        tree = pathlib.Path(folder) / "tree"
        shutil.copytree(root, tree, ignore=shutil.ignore_patterns("target", ".git"))
        # The dependencies that are built already serve the copy too; only the workspace's own crates are built again.
        # Only one file differs from one fault to the next: incremental builds, whatever the environment says.
        env = dict(os.environ, CARGO_TARGET_DIR=str(root / "target"), CARGO_INCREMENTAL="1")
        survivors = play(part, wanted, tree, env)
    if survivors:
        sys.exit(f"not caught: {', '.join(survivors)}")


def play(part, wanted, tree, env):
    survivors = []
    for name, file, old, new in wanted:
        path = tree / file
        source = path.read_text()
        if source.count(old) != 1:
            sys.exit(f"{name}: its text is {source.count(old)} times in {file}")
        path.write_text(source.replace(old, new))
        command = ["cargo", "test", "-q", "-p", "pillarbox-tests", "--no-default-features", *TESTS[part], "--no-fail-fast"]
        build = subprocess.run([*command, "--no-run"], cwd=tree, env=env, capture_output=True, text=True)
        if build.returncode != 0:
            sys.exit(f"{name}: does not build\n{build.stderr}")
        failed = subprocess.run(command, cwd=tree, env=env, capture_output=True, text=True).returncode != 0
        path.write_text(source)
        print(f"{name}: {'caught' if failed else 'SURVIVED'}", flush=True)
        if not failed:
            survivors.append(name)
    return survivors


if __name__ == "__main__":
    main()
