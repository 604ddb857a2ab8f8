#!/usr/bin/env python3
"""No reply before its batch is durable: watched from outside with strace, which must be installed.

    durability.py            mixed load of eight sessions under strace; the checker; the checker against falsified traces
    durability.py --mutant   expects the checker to FAIL: PILLARBOX is a build without syncs (RUSTFLAGS="--cfg pillarbox_no_sync")

The rule: for each `250` to DATA or BDAT and each tagged `OK` to a command that changes something (APPEND, STORE, EXPUNGE, COPY, MOVE,
CREATE, RENAME, DELETE) there is, between the arrival of its request and the
moment its reply leaves, a write to a file below `journal/` that returned (and shows the operation's token, where it has one), and on the
same file a sync that *began after* that write returned and itself returned 0. The order is that of strace's file; a call in two parts
(`<unfinished ...>`, `resumed`) begins with the first and ends with the second.

With `fdatasync` made to fail, no such reply leaves afterwards, and the exit code is 70.
"""
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time

from common import BINARY, PASSWORD, Server, check, finish, message, need

CALLS = "fdatasync,fsync,syncfs,sync_file_range,write,writev,pwrite64,pwritev,pwritev2,sendto,sendmsg,read,readv,recvfrom,recvmsg"
STRACE = ["strace", "-f", "-yy", "-s", "200000", "-e", "trace=" + CALLS]
SYNCS = {"fdatasync", "fsync", "syncfs"}
WRITES = {"write", "writev", "pwrite64", "pwritev", "pwritev2"}
SENDS = {"sendto", "sendmsg", "write", "writev"}
RECEIVES = {"recvfrom", "recvmsg", "read", "readv"}
ROUNDS = 12
KINDS = ("DATA", "BDAT", "APPEND", "STORE", "EXPUNGE", "COPY", "MOVE", "CREATE", "RENAME", "DELETE")
# One for each IMAP session: every account has them.
BOXES = ["Drafts", "Sent", "Trash", "Junk"]


class Call:
    """One system call: its place of beginning and end in the trace."""

    __slots__ = ("name", "text", "begin", "end", "result", "port", "file")


def parse(path):
    """The calls of a trace, in order of their beginning."""
    line_form = re.compile(r"^(?:\[pid\s+)?(\d+)\]?\s+(.*)$")
    calls, open_calls = [], {}
    with open(path, errors="replace") as trace:
        for place, line in enumerate(trace):
            found = line_form.match(line.rstrip("\n"))
            if not found:
                continue
            thread, rest = found.groups()
            if rest.startswith("<... "):
                call = open_calls.pop(thread, None)
                if call is None:
                    continue
                call.text += rest
                call.end = place
            else:
                name = re.match(r"(\w+)\(", rest)
                if not name:
                    continue
                call = Call()
                call.name, call.text, call.begin, call.end = name.group(1), rest, place, place
                calls.append(call)
                if rest.endswith("<unfinished ...>"):
                    call.end = None
                    open_calls[thread] = call
    for call in calls:
        call.result = None
        result = re.search(r"\)\s+= (-?\d+)", call.text[-200:])
        if call.end is not None and result:
            call.result = int(result.group(1))
        first = re.match(r"\w+\((\d+)<(.*?)>(?=[,) ])", call.text)
        name = first.group(2) if first else ""
        # strace shows a socket as TCP:[ours->theirs].
        port = re.search(r"->[0-9.]+:(\d+)", name) if name.startswith("TCP") else None
        call.port = int(port.group(1)) if port else None
        call.file = name if name.startswith("/") else None
    return calls


class Operation:
    """What a client did: its port, what its request and reply show, and the token that its record shows."""

    def __init__(self, kind, port, request, reply, token):
        self.kind, self.port, self.request, self.reply, self.token = kind, port, request, reply, token


def violations(calls, operations):
    """The operations whose reply left too early, with the reason."""
    by_port = {}
    for call in calls:
        if call.port is not None:
            by_port.setdefault(call.port, []).append(call)
    journal = [call for call in calls if call.file and "/journal/" in call.file]
    # A vectored write shows each of its parts as a text of its own; tokens do not straddle parts.
    writes = [call for call in journal if call.name in WRITES and call.result is not None and call.result > 0]
    syncs = [call for call in calls if call.name in SYNCS and call.result == 0]
    wrong = []
    for operation in operations:
        mine = by_port.get(operation.port, [])
        reply = next((call for call in mine if call.name in SENDS and operation.reply in call.text), None)
        request = [call for call in mine if call.name in RECEIVES and operation.request in call.text]
        if reply is None or not request:
            wrong.append((operation, "its request or reply is not in the trace"))
            continue
        arrived = max(call.begin for call in request if call.begin <= reply.begin)
        mine = [
            write
            for write in writes
            if arrived <= write.begin and write.end < reply.begin and (operation.token is None or operation.token in write.text)
        ]
        if not mine:
            wrong.append((operation, "no record was written before its reply"))
        elif not any(sync.begin > write.end and sync.end < reply.begin and covers(sync, write) for write in mine for sync in syncs):
            wrong.append((operation, "no sync began after its record was written and ended before its reply"))
    return wrong


def covers(sync, write):
    return sync.name == "syncfs" or sync.file == write.file


class Session:
    """A blocking client of lines, for SMTP and IMAP."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), 60)
        self.port = self.socket.getsockname()[1]
        self.reader = self.socket.makefile("rb")

    def say(self, data):
        self.socket.sendall(data if isinstance(data, bytes) else data.encode() + b"\r\n")

    def line(self):
        line = self.reader.readline()
        if not line:
            raise EOFError("the server closed")
        return line.decode("utf-8", "replace").rstrip("\r\n")

    def reply(self):
        """An SMTP reply's last line."""
        while (line := self.line())[3:4] == "-":
            pass
        return line

    def command(self, tag, text):
        """An IMAP command's tagged line."""
        self.say(f"{tag} {text}")
        while not (line := self.line()).startswith(tag + " "):
            pass
        return line

    def append(self, tag, box, data):
        """An APPEND's tagged line."""
        self.say(f"{tag} APPEND {box} {{{len(data)}}}")
        while not self.line().startswith("+"):
            pass
        self.say(data + b"\r\n")
        while not (line := self.line()).startswith(tag + " "):
            pass
        return line


def smtp_load(server, number, operations, rounds):
    session = Session(server.port["smtp"])
    session.reply()
    session.say("EHLO client.there.test")
    session.reply()
    for turn in range(rounds):
        token = f"tok-smtp-{number}-{turn}-x"
        kind = "BDAT" if turn % 3 == 2 else "DATA"
        for command in ("MAIL FROM:<carol@there.test>", "RCPT TO:<alice@here.test>", "DATA")[: 2 if kind == "BDAT" else 3]:
            session.say(command)
            if session.reply()[:1] not in "23":
                raise RuntimeError(command)
        data = message(token, body=f"{token} body\r\n" + "filler line\r\n" * (turn * 20))
        session.say(f"BDAT {len(data)} LAST\r\n".encode() + data if kind == "BDAT" else data + b".\r\n")
        reply = session.reply()
        if reply.startswith("250"):
            # The reply's last word is the message's own id.
            operations.append(Operation(kind, session.port, f"{token} body", reply.split()[-1], token))


def imap_load(server, number, operations, rounds):
    session = Session(server.port["imap"])
    session.line()
    box = BOXES[number // 2]
    for tag, text in (("l", f'LOGIN bob@here.test "{PASSWORD}"'), ("n", f"SELECT {box}")):
        if not (line := session.command(tag, text)).startswith(f"{tag} OK"):
            raise RuntimeError(line)
    for turn in range(rounds):
        for kind in ("APPEND", "STORE", "CREATE", "COPY", "MOVE", "RENAME", "DELETE", "EXPUNGE"):
            tag, token = f"T{number}q{turn}{kind[:2]}", f"tok{kind}{number}q{turn}x"
            if kind == "APPEND":
                data = message(token, body=f"{token} body\r\n")
                line = session.append(tag, box, data)
                request = f"{token} body"
            elif kind == "STORE":
                line = session.command(tag, f"STORE * +FLAGS ({token})")
                request = tag
            elif kind == "CREATE":
                line, request, made = session.command(tag, f"CREATE {token}"), tag, token
            elif kind in ("COPY", "MOVE"):
                line, request, token = session.command(tag, f"{kind} * {made}"), tag, None
            elif kind == "RENAME":
                line, request, made = session.command(tag, f"RENAME {made} {token}"), tag, token
            elif kind == "DELETE":
                line, request, token = session.command(tag, f"DELETE {made}"), tag, None
            else:
                if turn % 2:
                    continue
                session.append(tag + "a", box, b"x: y\r\n\r\n")
                session.command(tag + "d", "STORE * +FLAGS.SILENT (\\Deleted)")
                line = session.command(tag, "EXPUNGE")
                request, token = tag, None
            if line.startswith(f"{tag} OK"):
                operations.append(Operation(kind, session.port, request, f"{tag} OK", token))


def load(server, rounds=ROUNDS, patient=True):
    """Eight sessions at once; the operations that were acknowledged."""
    operations, failures, threads = [], [], []

    def run(work, number):
        try:
            work(server, number, operations, rounds)
        except (OSError, EOFError, RuntimeError) as error:
            failures.append(repr(error))

    for number in range(8):
        threads.append(threading.Thread(target=run, args=(smtp_load if number % 2 else imap_load, number)))
        threads[-1].start()
    for thread in threads:
        thread.join()
    if patient:
        check("eight sessions end without an error", not failures, str(failures))
    return operations


def expunge_alone(server, operations):
    """Expunges with nobody else about: whatever is written and synced is theirs."""
    session = Session(server.port["imap"])
    session.line()
    session.command("l", f'LOGIN bob@here.test "{PASSWORD}"')
    session.command("s", f"SELECT {BOXES[0]}")
    for turn in range(3):
        session.append(f"A{turn}a", BOXES[0], b"x: y\r\n\r\n")
        if not session.command(f"A{turn}d", "STORE 1 +FLAGS.SILENT (\\Deleted)").startswith(f"A{turn}d OK"):
            break
        if session.command(f"A{turn}x", "EXPUNGE").startswith(f"A{turn}x OK"):
            operations.append(Operation("EXPUNGE", session.port, f"A{turn}x", f"A{turn}x OK", None))


def deliver_one(server):
    """One message: when it is acknowledged, the server has fully started."""
    operations = []
    smtp_load(server, 99, operations, 1)
    if len(operations) != 1:
        raise RuntimeError("the first message is not acknowledged")


def pid_behind_strace(server):
    """The server's own process: the one whose command line begins with the binary and names our configuration."""
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{name}/cmdline", "rb") as file:
                words = file.read().decode(errors="replace").split("\0")
        except OSError:
            continue
        if words[0] == BINARY and server.config in words:
            return int(name)
    raise RuntimeError("no server behind strace")


def watched():
    with Server(protocols=("smtp", "imap")) as server:
        # The journal's ring is written at the first start; the trace shall not be full of it.
        deliver_one(server)
        server.stop()
        trace = os.path.join(server.folder, "trace")
        server.start(prefix=[*STRACE, "-o", trace])
        operations = load(server)
        expunge_alone(server, operations)
        os.kill(pid_behind_strace(server), signal.SIGTERM)
        server.process.wait(60)
        return parse(trace), operations


def judge(calls, operations, expected):
    wrong = violations(calls, operations)
    for kind in KINDS:
        count = sum(operation.kind == kind for operation in operations)
        early = [(operation.reply, why) for operation, why in wrong if operation.kind == kind]
        check(f"{kind}: enough was acknowledged to judge ({count})", count >= 10)
        if expected == "sound":
            check(f"{kind}: none of {count} replies left before its sync", not early, f"{len(early)} did: {early[:3]}")
        else:
            early = [reply for reply, why in early if why.startswith("no sync")]
            check(f"{kind}: the checker fails on {expected} ({len(early)} of {count})", len(early) > 0)


def falsified(calls, operations):
    """The checker must see each of these."""
    judge([call for call in calls if call.name not in SYNCS], operations, "a trace without syncs")
    moved = []
    for call in calls:
        if call.name in SYNCS:
            copy = Call()
            copy.name, copy.text, copy.result, copy.port, copy.file = call.name, call.text, call.result, call.port, call.file
            # It begins before whatever was written last.
            before = [write.begin for write in calls if write.file and write.name in WRITES and write.end is not None and write.end < call.begin]
            copy.begin, copy.end = (before[-1] if before else call.begin), call.end
            moved.append(copy)
        else:
            moved.append(call)
    judge(moved, operations, "a trace whose syncs begin before the writes return")


def failing_sync():
    """From the third sync on, EIO: no acknowledgement afterwards, exit code 70."""
    with Server(protocols=("smtp", "imap")) as server:
        deliver_one(server)
        trace = os.path.join(server.folder, "trace")
        strace = subprocess.Popen(
            [*STRACE, "-e", "inject=fdatasync:error=EIO:when=3+", "-o", trace, "-p", str(server.process.pid)], stderr=subprocess.PIPE, text=True
        )
        strace.stderr.readline()
        operations = load(server, rounds=200, patient=False)
        try:
            code = server.process.wait(60)
        except subprocess.TimeoutExpired:
            code = None
        strace.wait(30)
        calls = parse(trace)
        check("after a failed sync the exit code is 70", code == 70, str(code))
        failed = [call for call in calls if call.name == "fdatasync" and "EIO" in call.text]
        check("a sync did fail", bool(failed))
        wrong = violations(calls, operations)
        check(f"some replies left before the failure ({len(operations)})", len(operations) > 0)
        check(f"none of the {len(operations)} replies left without a sync that held", not wrong, str([(o.reply, why) for o, why in wrong[:3]]))
        if failed:
            end = failed[0].end
            # The next batch is under way while the replies of the one before leave: what leaves after the failure must rest on a sync
            # that had returned before the failing one began.
            before = [call for call in calls if call.name not in SYNCS or (call.end is not None and call.end < failed[0].begin)]
            wrong = violations(before, operations)
            check("what left after it was durable before it", not wrong, str([(o.reply, why) for o, why in wrong[:3]]))
            late = [c for c in calls if c.port and c.name in SENDS and c.begin > end and re.search(r'"250 2\.0\.0|\bOK \[APPENDUID', c.text)]
            print(f"       {len(late)} replies of batches before it left after it")


def main():
    need("strace")
    calls, operations = watched()
    if "--mutant" in sys.argv:
        judge(calls, operations, "a build without syncs")
    else:
        judge(calls, operations, "sound")
        falsified(calls, operations)
        failing_sync()
    finish()


if __name__ == "__main__":
    main()
