#!/usr/bin/env python3
"""Plays seeded faults: each is put into a copy of the working tree, and the tests must fail there.

    python3 tests/mutants/run.py imap [NAME...]
    python3 tests/mutants/run.py smtp [NAME...]
    python3 tests/mutants/run.py smtp_client [NAME...]
    python3 tests/mutants/run.py delivery [NAME...]

The faults of the SMTP sessions must be caught by their scripts alone.
"""
import concurrent.futures
import os
import pathlib
import queue
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


LANES = 2  # faults that are played side by side, each lane in a tree and a target folder of its own


def main():
    root = pathlib.Path(__file__).resolve().parents[2]
    part, names = sys.argv[1], sys.argv[2:]
    wanted = [fault for fault in faults((root / "tests/mutants" / f"{part}.txt").read_text()) if not names or fault[0] in names]
    todo = queue.SimpleQueue()
    for fault in wanted:
        todo.put(fault)
    with tempfile.TemporaryDirectory(prefix="pillarbox-mutants-") as folder:
        lanes = [Lane(root, part, pathlib.Path(folder), number) for number in range(min(LANES, len(wanted)))]
        with concurrent.futures.ThreadPoolExecutor(len(lanes)) as pool:
            survivors = sum(pool.map(lambda lane: lane.play_all(todo), lanes), [])
    if survivors:
        sys.exit(f"not caught: {', '.join(survivors)}")


class Lane:
    def __init__(self, root, part, folder, number):
        self.part = part
        self.tree = folder / f"tree-{number}"
        shutil.copytree(root, self.tree, ignore=shutil.ignore_patterns("target", ".git"))
        # The dependencies that are built already serve the copy too: links to them are enough, since no build writes into a file
        # that is there. Only the workspace's own crates are built again.
        target = root / "target" / f"mutants-{number}"
        if not target.exists():
            target.mkdir(parents=True)
            for built in ["deps", "build", ".fingerprint"]:
                source = root / "target" / "debug" / built
                if source.exists():
                    shutil.copytree(source, target / "debug" / built, copy_function=os.link)
        # Only one file differs from one fault to the next: incremental builds, whatever the environment says.
        self.env = dict(os.environ, CARGO_TARGET_DIR=str(target), CARGO_INCREMENTAL="1")

    def play_all(self, todo):
        survivors = []
        while True:
            try:
                name, file, old, new = todo.get_nowait()
            except queue.Empty:
                return survivors
            if not self.is_caught(name, file, old, new):
                survivors.append(name)

    def is_caught(self, name, file, old, new):
        path = self.tree / file
        source = path.read_text()
        if source.count(old) != 1:
            sys.exit(f"{name}: its text is {source.count(old)} times in {file}")
        path.write_text(source.replace(old, new))
        command = ["cargo", "test", "-q", "-p", "pillarbox-tests", "--no-default-features", *TESTS[self.part], "--no-fail-fast"]
        build = subprocess.run([*command, "--no-run"], cwd=self.tree, env=self.env, capture_output=True, text=True)
        if build.returncode != 0:
            sys.exit(f"{name}: does not build\n{build.stderr}")
        failed = subprocess.run(command, cwd=self.tree, env=self.env, capture_output=True, text=True).returncode != 0
        path.write_text(source)
        print(f"{name}: {'caught' if failed else 'SURVIVED'}", flush=True)
        return failed


if __name__ == "__main__":
    main()
