#!/usr/bin/env python3
"""Durability by the order of system calls: no acknowledgement leaves a socket before its record is synced.

The release binary runs under strace with a mixed load of 8 sessions (SMTP DATA; IMAP APPEND, STORE, EXPUNGE), each session with
an account of its own and one operation open at a time. For each reply that acknowledges, the trace must show, in this order: a
write that carries a record of that account, begun after the client began to send the operation, has returned; a sync of the same
file began; it returned 0; then the reply was sent. (A kill -9 cannot show this: the page cache survives it.)

  durability.py            the check; then with every fdatasync from the third on failing; then on a build with the sync removed,
                           where the same check must fail
"""
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time

from common import BINARY, Count, Lines, PASSWORD, ROOT, Server, need

CALLS = "fdatasync,fsync,write,pwrite64,pwritev,pwritev2,sendto,sendmsg,writev"
SESSIONS = 8
count = Count()


class Acknowledged:
    """One acknowledged operation: whose, when it was begun, and the exact line that acknowledged it."""

    def __init__(self, what, account, begun, reply):
        self.what, self.account, self.begun, self.reply = what, account, begun, reply


def smtp_session(server, account, rounds, done):
    client = Lines(server.ports["smtp"])
    client.smtp(b"220")
    client.send(b"EHLO client.test\r\n")
    client.smtp(b"250")
    for number in range(rounds):
        client.send(f"MAIL FROM:<s@sender.test>\r\nRCPT TO:<{account}>\r\nDATA\r\n".encode())
        client.smtp(b"250"), client.smtp(b"250"), client.smtp(b"354")
        begun = time.time()
        client.send(f"Subject: {number}\r\n\r\nmessage {number}\r\n.\r\n".encode())
        done.append(Acknowledged("DATA", account, begun, client.smtp(b"250")))
    client.close()


def imap_session(server, account, rounds, done):
    client = Lines(server.ports["imap"])
    client.line()
    client.send(f'{account} LOGIN "{account}" "{PASSWORD}"\r\n'.encode())
    client.imap(account.encode())
    client.send(f"{account} SELECT INBOX\r\n".encode())
    client.imap(account.encode())

    def operation(what, tag, *pieces):
        begun = time.time()
        client.send(pieces[0])
        for piece in pieces[1:]:
            if not client.line().startswith(b"+"):
                raise RuntimeError("no continuation")
            client.send(piece)
        reply = client.imap(tag)[-1]
        if not reply.startswith(tag + b" OK"):
            raise RuntimeError(f"{what}: {reply!r}")
        done.append(Acknowledged(what, account, begun, reply))

    name = account.split("@")[0]
    for number in range(rounds):
        tag = f"{name}x{number}".encode()
        text = f"Subject: appended {number}\r\n\r\ntext {number}\r\n".encode()
        operation("APPEND", tag + b"a", tag + b"a APPEND INBOX {%d}\r\n" % len(text), text + b"\r\n")
        operation("STORE", tag + b"s", tag + b"s STORE 1 +FLAGS (\\Flagged key%d)\r\n" % (number % 40))
        operation("STORE", tag + b"d", tag + b"d STORE 1 +FLAGS (\\Deleted)\r\n")
        operation("EXPUNGE", tag + b"e", tag + b"e EXPUNGE\r\n")
    client.close()


def load(server, rounds, tolerant=False):
    """Runs 8 sessions; what was acknowledged."""
    done, errors, threads = [], [], []
    for index, account in enumerate(server.accounts):
        session = smtp_session if index % 2 else imap_session

        def run(session=session, account=account):
            try:
                session(server, account, rounds, done)
            except Exception as error:
                errors.append(error)

        threads.append(threading.Thread(target=run))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors and not tolerant:
        raise errors[0]
    return done


class Call:
    """One system call: by line of the trace where it began and where it returned."""

    __slots__ = ("name", "file", "data", "began", "returned", "time", "result", "injected")


CALL = re.compile(r"^(\d+) +(\d+\.\d+) (\w+)\((\d+)(?:<[^>]*>)?,? ?(.*)$")
RESUMED = re.compile(r"^(\d+) +(\d+\.\d+) <\.\.\. (\w+) resumed>(.*)$")
RESULT = re.compile(r"\) += (-?\d+|\?)(.*)$")


def calls(path):
    """The calls of a trace, in the order in which they began."""
    open_calls, found = {}, []
    with open(path, errors="replace") as file:
        for number, line in enumerate(file):
            line = line.rstrip("\n")
            if match := CALL.match(line):
                call = Call()
                call.name, call.file, call.time, call.began = match[3], int(match[4]), float(match[2]), number
                call.data, call.returned, call.result, call.injected = match[5], None, None, False
                found.append(call)
                if line.endswith("<unfinished ...>"):
                    open_calls[match[1]] = call
                    continue
            elif match := RESUMED.match(line):
                call = open_calls.pop(match[1], None)
                if not call:
                    continue
            else:
                continue
            if result := RESULT.search(line):
                call.returned = number
                call.result = None if result[1] == "?" else int(result[1])
                call.injected = "INJECTED" in result[2]
    return found


def hexadecimal(data):
    return "".join(f"\\x{byte:02x}" for byte in data)


def account_ids(server):
    """Each account's id, as the journal writes it."""
    import json

    listed = json.loads(server.command("account", "list", "--json"))
    return {entry["address"]: bytes.fromhex(entry["id"]) for entry in listed}


def violations(trace, done, ids):
    """What was acknowledged before it was durable."""
    everything = calls(trace)
    sends = [call for call in everything if call.name in ("sendto", "sendmsg", "write", "writev")]
    writes = [call for call in everything if call.name in ("pwrite64", "pwritev", "pwritev2")]
    syncs = [call for call in everything if call.name in ("fdatasync", "fsync") and call.result == 0 and not call.injected]
    marks = {account: hexadecimal(identity) for account, identity in ids.items()}
    by_account = {account: [call for call in writes if mark in call.data] for account, mark in marks.items()}
    texts = {}
    wrong = []
    for call in sends:
        texts.setdefault(call.file, []).append(call)
    for one in done:
        mark = hexadecimal(one.reply.rstrip(b"\r\n"))
        send = next((call for call in sends if call.time >= one.begun and mark in call.data), None)
        if not send:
            wrong.append((one, "the reply is not in the trace"))
            continue
        durable = any(
            write.time >= one.begun - 0.0005
            and write.returned is not None
            and write.result and write.result > 0
            and any(
                sync.file == write.file and sync.began > write.returned and sync.returned is not None and sync.returned < send.began
                for sync in syncs
            )
            for write in by_account[one.account]
        )
        if not durable:
            wrong.append((one, "sent before a sync of its record had returned"))
    return wrong, everything


def traced(server, folder, rounds, *options, tolerant=False):
    """Runs the load under strace; what was acknowledged, the trace, the exit code."""
    trace = os.path.join(folder, "trace")
    # The strings are long and in hexadecimal, so that records can be recognised in them.
    server.start(before=("strace", "-f", "-ttt", "-xx", "-s", "1000000", "-e", "trace=" + CALLS, *options, "-o", trace))
    done = load(server, rounds, tolerant)
    if tolerant:
        code = server.process.wait(60)
    else:
        subprocess.run(["pkill", "-TERM", "-P", str(server.process.pid)], check=False)
        code = server.process.wait(60)
    return done, trace, code


def accounts():
    return [f"u{index}" for index in range(SESSIONS)]


def kinds(done):
    found = {}
    for one in done:
        found[one.what] = found.get(one.what, 0) + 1
    return found


def ordinary(binary, folder, rounds):
    server = Server(accounts=accounts(), binary=binary)
    ids = account_ids(server)
    try:
        done, trace, code = traced(server, folder, rounds)
        wrong, everything = violations(trace, done, ids)
    finally:
        shutil.rmtree(server.folder, ignore_errors=True)
    return done, wrong, everything, code


def without_sync(folder):
    """A build of the same source in which the disk's data sync does nothing."""
    source = os.path.join(folder, "source")
    os.mkdir(source)
    for part in ("core", "adapters", "tests", "Cargo.toml", "Cargo.lock"):
        whole = os.path.join(ROOT, part)
        (shutil.copytree if os.path.isdir(whole) else shutil.copy)(whole, os.path.join(source, part))
    replace(os.path.join(source, "adapters", "src", "os", "disk.rs"), SYNC, NO_SYNC)
    manifest = os.path.join(source, "adapters", "Cargo.toml")
    # Another name for the program, so that the target folder (and all that is built there) can be shared.
    replace(manifest, 'name = "pillarbox"\npath = "src/main.rs"', 'name = "pillarbox-no-sync"\npath = "src/main.rs"')
    replace(manifest, 'default-run = "pillarbox"', 'default-run = "pillarbox-no-sync"')
    target = os.path.join(ROOT, "target")
    subprocess.run(
        ["cargo", "build", "--release", "-p", "pillarbox", "--bin", "pillarbox-no-sync", "--target-dir", target],
        cwd=source,
        check=True,
    )
    return os.path.join(target, "release", "pillarbox-no-sync")


def replace(path, old, new):
    with open(path) as file:
        text = file.read()
    if text.count(old) != 1:
        sys.exit(f"{path}: expected once: {old!r}")
    with open(path, "w") as file:
        file.write(text.replace(old, new))


SYNC = "rustix::fs::fdatasync(&*file)"
NO_SYNC = "Ok::<(), rustix::io::Errno>({ let _ = &*file; })"


def main():
    need("strace", BINARY)
    rounds = int(os.environ.get("PILLARBOX_ROUNDS", "25"))
    with tempfile.TemporaryDirectory(prefix="pillarbox-durability-") as folder:
        done, wrong, everything, _ = ordinary(BINARY, folder, rounds)
        for one, why in wrong[:5]:
            print("  ", one.what, one.account, one.reply, why)
        print(f"   {kinds(done)}; {len(everything)} calls, {sum(call.name == 'fdatasync' for call in everything)} fdatasync")
        count.check(f"{len(done)} acknowledgements, each behind the sync of its record", not wrong)
        count.check("all four kinds were acknowledged", len(kinds(done)) == 4, str(kinds(done)))

    with tempfile.TemporaryDirectory(prefix="pillarbox-durability-") as folder:
        server = Server(accounts=accounts())
        # The store is made first, undisturbed: the failures are to hit the load.
        server.start()
        server.stop()
        done, trace, code = traced(
            server, folder, rounds, "-e", "inject=fdatasync:error=EIO:when=3+", tolerant=True
        )
        everything = calls(trace)
        failed = [call for call in everything if call.name == "fdatasync" and call.result == -1]
        count.check("a sync failed", bool(failed))
        if failed:
            first = failed[0].returned
            late = [
                call
                for call in everything
                if call.name in ("sendto", "sendmsg", "write", "writev") and call.began > first and acknowledged_in(call, done)
            ]
            count.check("nothing was acknowledged after the failed sync", not late, str([call.data[:200] for call in late[:3]]))
        count.check("the exit code is 70", code == 70, str(code))
        shutil.rmtree(server.folder, ignore_errors=True)

    with tempfile.TemporaryDirectory(prefix="pillarbox-durability-") as folder:
        binary = without_sync(folder)
        done, wrong, _, _ = ordinary(binary, folder, 5)
        count.check(f"with the sync removed the check fails ({len(wrong)} of {len(done)})", bool(wrong))
        os.unlink(binary)
    count.end()


def acknowledged_in(call, done):
    return any(hexadecimal(one.reply.rstrip(b"\r\n")) in call.data for one in done)


if __name__ == "__main__":
    main()
