#!/usr/bin/env python3
"""Which lines are reached.

  fuzz/coverage.py tests              the lines of core/src by all tests of the workspace; fails below 90 %
  fuzz/coverage.py targets [NAME...]  the lines of each fuzz target's modules (targets.txt) by its seeds and by what fuzz/run.sh has
                                      left in fuzz/target/corpus; fails below 85 %
  --missing                           shows the lines that are not reached

It needs llvm-profdata and llvm-cov of the compiler's LLVM: `rustup component add llvm-tools`, or a package `llvm-NN` of the system.
Lines of test modules do not count. Generic functions seem not to be reached where only a target calls them: targets are not counted.
"""
import glob
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
ENVIRONMENT = {**os.environ, "RUSTC_WORKSPACE_WRAPPER": os.path.join(ROOT, "fuzz/rustc_coverage")}
LEAST = {"tests": 90.0, "targets": 85.0}


def tool(name):
    sysroot = subprocess.check_output(["rustc", "--print", "sysroot"], text=True).strip()
    version = re.search(r"LLVM version: (\d+)", subprocess.check_output(["rustc", "-vV"], text=True)).group(1)
    for found in glob.glob(f"{sysroot}/lib/rustlib/*/bin/{name}") + [shutil.which(f"{name}-{version}")]:
        if found:
            return found
    sys.exit(f"{name} of LLVM {version} is needed: rustup component add llvm-tools, or the system's package llvm-{version}")


def build(arguments):
    """Builds tests; their binaries."""
    command = ["cargo", "test", "--locked", "--no-run", "--message-format=json", *arguments]
    lines = subprocess.run(command, cwd=ROOT, env=ENVIRONMENT, check=True, stdout=subprocess.PIPE, text=True).stdout
    messages = [json.loads(line) for line in lines.splitlines() if line.startswith("{")]
    return sorted({message["executable"] for message in messages if message.get("executable")})


def run(command, folder, **environment):
    environment = {**ENVIRONMENT, "LLVM_PROFILE_FILE": f"{folder}/%p-%8m.profraw", **environment}
    subprocess.run(command, cwd=ROOT, env=environment, check=True, stdout=subprocess.DEVNULL)


def lines(folder, binaries):
    """File -> line -> how often."""
    profile = f"{folder}/merged.profdata"
    raw = glob.glob(f"{folder}/*.profraw")
    subprocess.run([tool("llvm-profdata"), "merge", "--sparse", "-o", profile, *raw], check=True)
    objects = [part for binary in binaries[1:] for part in ("--object", binary)]
    command = [tool("llvm-cov"), "export", "--format=lcov", f"--instr-profile={profile}", binaries[0], *objects]
    text = subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout
    found, now = {}, None
    for line in text.splitlines():
        kind, _, value = line.partition(":")
        if kind == "SF":
            now = found.setdefault(os.path.relpath(value, ROOT), {})
        elif kind == "DA":
            number, count = value.split(",")[:2]
            now[int(number)] = max(now.get(int(number), 0), int(count))
    return found


def own(path):
    """The first line of the file's test module."""
    with open(os.path.join(ROOT, path), encoding="utf-8") as source:
        for number, line in enumerate(source, 1):
            if line.startswith("#[cfg(test)]"):
                following = next(source, "")
                if re.match(r"mod \w+ \{", following):
                    return number
    return 1 << 30


def report(title, found, places, least, missing):
    print(f"=== {title}")
    reached, all_lines = 0, 0
    for path in sorted(found):
        below = lambda place: path == place or path.startswith(place + "/")
        inside = any(below(place) for place in places if not place.startswith("!"))
        inside &= not any(below(place[1:]) for place in places if place.startswith("!"))
        if not inside or re.search(r"(^|/)tests(\.rs$|/)", path):
            continue
        end = own(path)
        counted = {number: count for number, count in found[path].items() if number < end}
        if not counted:
            continue
        hit = sum(1 for count in counted.values() if count)
        reached, all_lines = reached + hit, all_lines + len(counted)
        print(f"{100 * hit / len(counted):6.1f} %  {hit:5} of {len(counted):5}  {path}")
        if missing and hit < len(counted):
            print("          ", *[number for number, count in sorted(counted.items()) if not count])
    share = 100 * reached / max(all_lines, 1)
    print(f"{share:6.1f} %  {reached:5} of {all_lines:5}  in all")
    return share >= least


def of_tests(missing):
    binaries = build(["--workspace"])
    with tempfile.TemporaryDirectory() as folder:
        run(["cargo", "test", "--locked", "--workspace", "--no-fail-fast", "--quiet"], folder)
        return report("core/src by the tests of the workspace", lines(folder, binaries), ["core/src"], LEAST["tests"], missing)


def of_targets(names, missing):
    with open(os.path.join(ROOT, "fuzz/targets.txt"), encoding="utf-8") as table:
        rows = [line.split() for line in table if not line.startswith("#")]
    binaries = build(["-p", "pillarbox-tests", "--test", "seeds"])
    good = True
    for name, _, _, *places in rows:
        if places == ["-"] or (names and name not in names):
            continue
        with tempfile.TemporaryDirectory() as folder:
            corpus = os.path.join(ROOT, "fuzz/target/corpus", name)
            run([binaries[0], "every_seed_holds"], folder, PILLARBOX_TARGET=name, PILLARBOX_CORPUS=corpus)
            good &= report(name, lines(folder, binaries), places, LEAST["targets"], missing)
    return good


if __name__ == "__main__":
    words = [word for word in sys.argv[1:] if word != "--missing"]
    show = "--missing" in sys.argv
    if words[:1] == ["tests"]:
        enough = of_tests(show)
    elif words[:1] == ["targets"]:
        enough = of_targets(words[1:], show)
    else:
        sys.exit(__doc__)
    sys.exit(0 if enough else "too few lines are reached")
