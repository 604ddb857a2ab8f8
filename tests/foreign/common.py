"""What all scripts here share: the server under test, checks, and what a script needs.

Each script runs the release binary (`PILLARBOX`, else target/release/pillarbox) on free loopback ports, prints one line a check and at
the end `N passed, M failed`; its exit code is 1 when one failed. A script whose programs are absent says so loudly and exits 0,
or 1 when CI is set.
"""
import os
import re
import shutil
import signal
import smtplib
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
BINARY = os.environ.get("PILLARBOX", os.path.join(ROOT, "target", "release", "pillarbox"))
DATA = os.environ.get("PILLARBOX_TEST_DATA", os.path.join(ROOT, "..", "shared", "data"))
PASSWORD = "correct horse battery staple"

_passed, _failed = [], []
_lock = threading.Lock()


def check(what, holds, detail=""):
    """One check; prints it."""
    with _lock:
        (_passed if holds else _failed).append(what)
        print(("ok      " if holds else "FAILED  ") + what + ("" if holds or not detail else f": {detail}"), flush=True)
    return holds


def finish():
    """Prints the sum and ends."""
    print(f"{len(_passed)} passed, {len(_failed)} failed", flush=True)
    sys.exit(1 if _failed or not _passed else 0)


def need(*programs, root=False):
    """Ends the script, loudly, when it cannot run here."""
    missing = [program for program in programs if not shutil.which(program)]
    if not os.path.exists(BINARY):
        missing.append(f"{BINARY} (cargo build --release)")
    if root and os.geteuid() != 0:
        missing.append("root")
    if missing:
        print(f"SKIPPED: {os.path.basename(sys.argv[0])} needs {', '.join(missing)}")
        print("0 passed, 0 failed")
        sys.exit(1 if os.environ.get("CI") else 0)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(port, process=None, seconds=30, address="127.0.0.1"):
    """Until something listens."""
    end = time.monotonic() + seconds
    while True:
        try:
            socket.create_connection((address, port), 1).close()
            return
        except OSError:
            if process is not None and process.poll() is not None:
                raise RuntimeError(f"the server ended with {process.returncode}")
            if time.monotonic() > end:
                raise RuntimeError(f"nothing listens on port {port}")
            time.sleep(0.02)


def insecure():
    """A TLS context for a self-signed certificate."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


class Server:
    """A Pillarbox with listeners of these protocols, each on a free port in `self.port[protocol]`."""

    def __init__(
        self,
        protocols=("smtp", "submission", "submissions", "imap", "imaps"),
        users=("alice", "bob"),
        domain="here.test",
        more="",
        tables="",
        address="127.0.0.1",
        ports={},
    ):
        self.address = address
        self.folder = tempfile.mkdtemp(prefix="pillarbox-foreign-")
        self.domain = domain
        self.port = {protocol: ports.get(protocol) or free_port() for protocol in protocols}
        self.process = None
        self.config = os.path.join(self.folder, "pillarbox.toml")
        lines = [f'hostname = "mx.{domain}"', 'data_dir = "data"', f'postmaster = "{users[0]}@{domain}"', more, "[[domain]]", f'name = "{domain}"']
        for protocol, port in self.port.items():
            lines += ["[[listener]]", f'protocol = "{protocol}"', f'address = "{address}:{port}"']
            if protocol in ("imap", "submission"):
                lines.append('plaintext_auth = ["127.0.0.0/8"]')
        with open(self.config, "w") as config:
            config.write("\n".join([*lines, tables]) + "\n")
        for user in users:
            self.cli("account", "add", f"{user}@{domain}", "--password-stdin", input=PASSWORD + "\n")

    def cli(self, *arguments, input=None):
        done = subprocess.run([BINARY, *arguments, "-c", self.config], input=input, text=True, capture_output=True)
        if done.returncode != 0:
            raise RuntimeError(f"{arguments}: exit {done.returncode}: {done.stdout}{done.stderr}")
        return done.stdout

    def start(self, prefix=()):
        """Starts it, behind these words (`strace …`)."""
        log = open(os.path.join(self.folder, "log"), "ab")
        self.process = subprocess.Popen([*prefix, BINARY, "serve", "-c", self.config], stdout=log, stderr=log, start_new_session=True)
        log.close()
        for port in self.port.values():
            wait_for(port, self.process, address=self.address)
        return self

    def kill(self):
        """kill -9."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self):
        """SIGTERM; the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.kill()
            return None

    def __enter__(self):
        return self.start()

    def __exit__(self, kind, *_):
        self.stop()
        if kind is not None or _failed:
            print(f"(kept: {self.folder}; the end of its log:)")
            with open(os.path.join(self.folder, "log"), "rb") as log:
                print(log.read()[-3000:].decode(errors="replace"))
        else:
            shutil.rmtree(self.folder, ignore_errors=True)


def message(subject, sender="carol@there.test", to="alice@here.test", body=None):
    """A message with CRLF, dots at line starts, long lines and octets above 127 declared as 8bit."""
    body = body if body is not None else "A line.\r\n.\r\n..two dots\r\n.one dot\r\n" + "long " * 180 + "\r\nGr\u00fc\u00dfe, \u4f60\u597d\r\n\r\nlast"
    head = [
        f"From: Carol <{sender}>",
        f"To: <{to}>",
        f"Subject: {subject}",
        "Date: Tue, 24 Nov 2026 10:00:00 +0000",
        f"Message-ID: <{subject.replace(' ', '.')}@there.test>",
        "MIME-Version: 1.0",
        "Content-Type: text/plain; charset=utf-8",
        "Content-Transfer-Encoding: 8bit",
        "X-Folded: one",
        "\ttwo",
        "",
        "",
    ]
    return ("\r\n".join(head) + body + "\r\n").encode()


def run(command):
    """What a command printed; its failure is an error that shows everything."""
    done = subprocess.run(command, capture_output=True)
    if done.returncode != 0:
        raise RuntimeError(f"{command[0]}: exit {done.returncode}: {done.stdout.decode(errors='replace')}{done.stderr.decode(errors='replace')}")
    return done.stdout


def send_python(server, port, data, implicit, sender, to):
    if implicit:
        connection = smtplib.SMTP_SSL("127.0.0.1", port, "client.test", context=insecure())
    else:
        connection = smtplib.SMTP("127.0.0.1", port, "client.test")
        connection.starttls(context=insecure())
    with connection:
        connection.login(sender, PASSWORD)
        return connection.sendmail(sender, to.split(","), data, ["BODY=8BITMIME"])


def send_curl(server, port, data, implicit, sender, to):
    path = os.path.join(server.folder, "curl.eml")
    with open(path, "wb") as file:
        file.write(data)
    scheme = "smtps" if implicit else "smtp"
    command = ["curl", "-sS", "-k", "--ssl-reqd", f"{scheme}://127.0.0.1:{port}/client.test", "-u", f"{sender}:{PASSWORD}"]
    run(command + ["--mail-from", sender, "--mail-rcpt", to, "-T", path])


def send_swaks(server, port, data, implicit, sender, to):
    """It reads with LF, and ends its data with one line end more or less, by its version."""
    path = os.path.join(server.folder, "swaks.eml")
    with open(path, "wb") as file:
        file.write(data.replace(b"\r\n", b"\n"))
    command = ["swaks", "--silent", "2", "--server", "127.0.0.1", "--port", str(port), "--tls-on-connect" if implicit else "--tls"]
    command += ["--auth", "LOGIN" if implicit else "PLAIN", "--auth-user", sender, "--auth-password", PASSWORD, "--helo", "client.test"]
    run(command + ["--from", sender, "--to", to, "--no-strip-from", "--data", "@" + path])


# Foreign clients that submit, by name.
SENDERS = (("Python", send_python), ("curl", send_curl), ("swaks", send_swaks))

TRACE_FIELDS = {"return-path", "delivered-to", "received", "authentication-results", "received-spf"}


def same_below_trace(fetched, sent):
    """Whether what was fetched is trace fields and then exactly what was sent; else why not."""
    if not fetched.endswith(sent):
        at = next((i for i, (a, b) in enumerate(zip(reversed(fetched), reversed(sent))) if a != b), min(len(fetched), len(sent)))
        return f"differs {at} octets before the end: {fetched[-at - 40:][:80]!r} for {sent[-at - 40:][:80]!r}"
    front = fetched[: len(fetched) - len(sent)].decode("ascii", "replace")
    for line in front.split("\r\n")[:-1]:
        if line[:1] not in (" ", "\t") and line.split(":")[0].lower() not in TRACE_FIELDS:
            return f"not a trace field: {line!r}"
    return ""


class RecordedDemo:
    """A demo that records, with its passwords and ports as it printed them."""

    def __init__(self, folder, port_base="auto"):
        self.records = os.path.join(folder, "records")
        self.log = open(os.path.join(folder, "demo.log"), "wb")
        arguments = [BINARY, "demo", "--port-base", port_base, "--dir", os.path.join(folder, "demo"), "--record", self.records]
        self.process = subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=self.log, text=True)
        text = ""
        while "Stop with" not in text:
            line = self.process.stdout.readline()
            if not line:
                raise RuntimeError("the demo ended")
            text += line
        self.password = dict(re.findall(r"account\s+(\S+)\s+password (\S+)", text))
        self.port = {name: int(port) for name, port in re.findall(r"^  (\w+)\s+127\.0\.0\.1:(\d+)", text, re.M)}

    def stop(self):
        self.process.terminate()
        self.process.communicate(timeout=60)
        self.log.close()
        return self.process.returncode
