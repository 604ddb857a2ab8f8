#!/usr/bin/env python3
"""`pillarbox demo` on free ports: every line that it prints to try works as printed, in a shell."""
import os
import re
import shutil
import signal
import subprocess
import tempfile
import threading

from common import BINARY, Count, free_port, need

count = Count()


def base():
    """A port base at which all of the demo's ports are free."""
    import socket

    while True:
        base = free_port() // 1000 * 1000
        if not 2000 <= base <= 60000:
            continue
        try:
            for offset in (25, 143, 465, 587, 993):
                with socket.socket() as probe:
                    probe.bind(("127.0.0.1", base + offset))
            return base
        except OSError:
            continue


def main():
    need(BINARY, "curl", "python3")
    folder = tempfile.mkdtemp(prefix="pillarbox-demo-")
    process = subprocess.Popen(
        [BINARY, "demo", "--dir", folder, "--port-base", str(base())], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    lines, ready = [], threading.Event()

    def read():
        for line in process.stdout:
            lines.append(line.rstrip("\n"))
            if "Ctrl-C" in line or "Ctrl+C" in line:
                ready.set()

    threading.Thread(target=read, daemon=True).start()
    try:
        count.check("the demo is up and says how to stop it", ready.wait(60), "\n".join(lines))
        commands = [line.strip() for line in lines if re.match(r"\s+(curl|python3|printf|swaks) ", line)]
        count.check("it prints lines for curl and Python", any("curl" in line for line in commands) and any("python3" in line for line in commands), "\n".join(lines))
        for command in commands:
            done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=60)
            count.check(command, done.returncode == 0, done.stdout[-500:] + done.stderr[-500:])
    finally:
        process.send_signal(signal.SIGINT)
        try:
            code = process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            code = None
        count.check("it stops at Ctrl-C", code == 0, str(code))
        shutil.rmtree(folder, ignore_errors=True)
    count.end()


if __name__ == "__main__":
    main()
