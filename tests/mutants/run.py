#!/usr/bin/env python3
"""Plays seeded faults: each is put into the working tree, the tests must fail, the file is put back.

    python3 tests/mutants/run.py imap [NAME...]
    python3 tests/mutants/run.py smtp [NAME...]

The SMTP session's faults must be caught by its scripts alone.
"""
import pathlib
import subprocess
import sys

TESTS = {
    "imap": ["--test", "scripts_imap", "--test", "imap_session"],
    "smtp": ["--test", "scripts_smtp"],
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
    survivors = []
    for name, file, old, new in faults((root / "tests/mutants" / f"{part}.txt").read_text()):
        if names and name not in names:
            continue
        path = root / file
        source = path.read_text()
        if source.count(old) != 1:
            sys.exit(f"{name}: its text is {source.count(old)} times in {file}")
        path.write_text(source.replace(old, new))
        try:
            command = ["cargo", "test", "-q", "-p", "pillarbox-tests", *TESTS[part], "--no-fail-fast"]
            build = subprocess.run([*command, "--no-run"], cwd=root, capture_output=True, text=True)
            if build.returncode != 0:
                sys.exit(f"{name}: does not build\n{build.stderr}")
            failed = subprocess.run(command, cwd=root, capture_output=True, text=True).returncode != 0
        finally:
            path.write_text(source)
        print(f"{name}: {'caught' if failed else 'SURVIVED'}", flush=True)
        if not failed:
            survivors.append(name)
    if survivors:
        sys.exit(f"not caught: {', '.join(survivors)}")


if __name__ == "__main__":
    main()
