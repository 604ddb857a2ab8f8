"""What the foreign-client tests share: a server process on free loopback ports, its accounts, and the count of what passed."""
import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
BINARY = os.environ.get("PILLARBOX_BINARY", os.path.join(ROOT, "target", "release", "pillarbox"))
DATA = os.environ.get("PILLARBOX_TEST_DATA", os.path.join(ROOT, "..", "shared", "data"))
PASSWORD = "correct horse 1"


class Count:
    """Counts checks; the last line of every script is `N passed, M failed`."""

    def __init__(self):
        self.passed = self.failed = 0

    def check(self, what, holds, detail=""):
        if holds:
            self.passed += 1
            print("ok   ", what, flush=True)
        else:
            self.failed += 1
            print("FAIL ", what, detail, flush=True)

    def run(self, what, body):
        """Runs a check that fails by an exception."""
        try:
            body()
        except Exception as error:  # every failure of a check is a failed check
            self.check(what, False, f"{type(error).__name__}: {error}")
        else:
            self.check(what, True)

    def end(self):
        print(f"{self.passed} passed, {self.failed} failed", flush=True)
        sys.exit(1 if self.failed or not self.passed else 0)


def need(*programs):
    missing = [program for program in programs if not shutil.which(program) and not os.path.exists(program)]
    if missing:
        print("This test needs", ", ".join(missing), "(see .ci/run for the Debian packages).", file=sys.stderr)
        sys.exit(69)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(port, seconds=30):
    end = time.time() + seconds
    while time.time() < end:
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        time.sleep(0.02)
    raise RuntimeError(f"nothing listens on port {port}")


class Server:
    """A Pillarbox process on free loopback ports."""

    def __init__(self, accounts=("alice", "bob"), config="", binary=BINARY, folder=None):
        self.binary = binary
        self.folder = folder or tempfile.mkdtemp(prefix="pillarbox-foreign-")
        self.ports = {name: free_port() for name in ("smtp", "submission", "submissions", "imap", "imaps")}
        self.accounts = [f"{name}@one.test" for name in accounts]
        self.process = None
        self.config = os.path.join(self.folder, "pillarbox.toml")
        listeners = "".join(
            f'[[listener]]\nprotocol = "{protocol}"\naddress = "127.0.0.1:{port}"\n'
            + ('plaintext_auth = ["127.0.0.0/8"]\n' if protocol == "imap" else "")
            for protocol, port in self.ports.items()
        )
        with open(self.config, "w") as file:
            file.write(
                f'hostname = "mx.one.test"\ndata_dir = "data"\npostmaster = "{self.accounts[0]}"\n\n'
                f'[store]\nring = "32M"\n\n[[domain]]\nname = "one.test"\n\n{listeners}\n{config}'
            )
        for account in self.accounts:
            self.command("account", "add", account, "--password-stdin", input=PASSWORD + "\n")

    def command(self, *arguments, input=None):
        done = subprocess.run(
            [self.binary, *arguments, "-c", self.config], input=input, capture_output=True, text=True, timeout=120
        )
        if done.returncode:
            raise RuntimeError(f"{arguments}: exit {done.returncode}: {done.stdout}{done.stderr}")
        return done.stdout

    def start(self, before=(), **options):
        log = open(os.path.join(self.folder, "log"), "a")
        self.process = subprocess.Popen(
            [*before, self.binary, "serve", "-c", self.config], stdout=log, stderr=log, **options
        )
        try:
            for port in self.ports.values():
                wait_for(port)
        except RuntimeError:
            print(open(log.name).read()[-4000:], file=sys.stderr)
            raise
        return self

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self, seconds=30):
        """Ends it cleanly; its exit code."""
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(seconds) if self.process else 0

    def log(self):
        with open(os.path.join(self.folder, "log")) as file:
            return file.read()

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        with contextlib.suppress(Exception):
            self.stop()
        if self.process and self.process.poll() is None:
            self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)


class Lines:
    """A blocking client that speaks lines and keeps what was said."""

    def __init__(self, port, timeout=60):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout)
        self.file = self.socket.makefile("rb")

    def send(self, data):
        self.socket.sendall(data)

    def line(self):
        line = self.file.readline()
        if not line:
            raise EOFError("closed")
        return line

    def smtp(self, code):
        """Reads one reply, which must have this code; its last line."""
        while True:
            line = self.line()
            if not line.startswith(code):
                raise RuntimeError(f"expected {code!r}, got {line!r}")
            if line[3:4] == b" ":
                return line

    def imap(self, tag):
        """Reads up to the tagged reply; everything read."""
        lines = []
        while True:
            line = self.line()
            lines.append(line)
            if line.startswith(tag + b" "):
                return lines

    def close(self):
        self.file.close()
        self.socket.close()
