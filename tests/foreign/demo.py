#!/usr/bin/env python3
"""`pillarbox demo` works as printed: the lines to try that it prints are taken out of its output and run, unchanged, by a shell. Needs curl."""
import os
import re
import signal
import subprocess
import sys
import tempfile
import time

from common import BINARY, check, finish, free_port, need

need("curl")


def commands(text):
    """The lines to try: curl in a shell, Python between its prompt or as `python3 -c`."""
    lines, taken = text.splitlines(), []
    for number, line in enumerate(lines):
        line = line.strip().removeprefix("$ ")
        if re.match(r"(curl|python3|swaks|printf|echo) ", line):
            while line.endswith("\\") and number + 1 < len(lines):
                number += 1
                line = line[:-1] + lines[number].strip()
            taken.append(line)
    return taken


def main():
    base = free_port()
    base = min(base, 65000)
    with tempfile.TemporaryDirectory(prefix="pillarbox-demo-") as folder:
        output = os.path.join(folder, "output")
        with open(output, "wb") as file:
            process = subprocess.Popen(
                [BINARY, "demo", "--dir", os.path.join(folder, "state"), "--port-base", str(base)], stdout=file, stderr=subprocess.STDOUT, cwd=folder
            )
        try:
            end, text, size = time.monotonic() + 30, "", -1
            # It has printed everything when it has said something and says no more for a moment.
            while time.monotonic() < end and (not text or len(text) != size):
                size = len(text)
                time.sleep(1)
                with open(output) as file:
                    text = file.read()
            check("demo prints and stays", process.poll() is None and text, text[-500:])
            for port in (25, 80, 143, 443, 465, 587, 993):
                check(f"it names port {base + port}", str(base + port) in text)
            for word in ("alice@demo.test", "bob@demo.test"):
                check(f"it names {word}", word in text)
            found = commands(text)
            check("it prints lines to try", any(line.startswith("curl") for line in found) and len(found) >= 2, text)
            for line in found:
                done = subprocess.run(["bash", "-c", line], cwd=folder, capture_output=True, text=True, timeout=60)
                check(f"as printed: {line[:100]}", done.returncode == 0, done.stdout[-300:] + done.stderr[-300:])
        finally:
            process.send_signal(signal.SIGTERM)
            code = process.wait(30)
        check("SIGTERM ends it with 0", code == 0, str(code))
    finish()


if __name__ == "__main__":
    main()
