#!/usr/bin/env python3
"""Many connections at once, and what they cost.

    crowd.py          10 000 connections held open by other processes from 127.0.0.x; slow and half-closed ones; idle IMAP sessions weighed

Asserted: every connection gets a greeting or a clear 421 or BYE; the server's memory (RSS) stays below 512 MiB; new clients are served meanwhile; an idle plain IMAP session costs at most 16 KiB (PSS, difference of 5 000 and 1 000
sessions by their number). A process may have at most 20 000 descriptors here, so clients live in processes of their own."""
import multiprocessing
import os
import resource
import socket
import time

from common import PASSWORD, Server, check, finish, need
from durability import Session

CROWD = 10_000
CLIENTS = 4
IDLE_BYTES = 16 * 1024
RSS_BOUND = 512 << 20


def memory(pid, field):
    """A line of smaps_rollup in octets."""
    with open(f"/proc/{pid}/smaps_rollup") as file:
        for line in file:
            if line.startswith(field + ":"):
                return int(line.split()[1]) * 1024
    return 0


def hold(pipe, port, count, source, mode):
    """A client process: opens connections, says what they got, holds them until told to let go."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    sockets, greeted, refused, odd = [], 0, 0, []
    for number in range(count):
        connection = socket.socket()
        connection.settimeout(60)
        try:
            connection.bind((f"127.0.{source}.{1 + number % 250}", 0))
            connection.connect(("127.0.0.1", port))
            first = connection.recv(200)
            if first.startswith((b"220 ", b"* OK")):
                greeted += 1
            elif first.startswith((b"421 ", b"* BYE")):
                refused += 1
            else:
                odd.append(repr(first))
            if mode == "idle":
                for command in (f'a LOGIN alice@here.test "{PASSWORD}"', "b SELECT INBOX", "c IDLE"):
                    connection.sendall(command.encode() + b"\r\n")
                    want, got = (b"+ " if command.endswith("IDLE") else command[:1].encode() + b" "), b""
                    while not any(line.startswith(want) for line in got.split(b"\r\n")):
                        part = connection.recv(4096)
                        if not part:
                            raise OSError("closed in " + command)
                        got += part
            elif mode == "slow":
                connection.sendall(b"EHLO client.there.te")
            elif mode == "half":
                connection.sendall(b"EHLO client.there.test\r\n")
                connection.shutdown(socket.SHUT_WR)
        except OSError as error:
            odd.append(repr(error))
        sockets.append(connection)
    pipe.send((greeted, refused, odd))
    pipe.recv()
    for connection in sockets:
        connection.close()
    pipe.send("gone")


class Crowd:
    """So many connections, spread over processes."""

    def __init__(self, port, count, mode, source=1):
        self.members = []
        for number in range(CLIENTS):
            here, there = multiprocessing.Pipe()
            process = multiprocessing.Process(target=hold, args=(there, port, count // CLIENTS, source + number, mode))
            process.start()
            self.members.append((process, here))
        got = [pipe.recv() for _, pipe in self.members]
        self.greeted = sum(one[0] for one in got)
        self.refused = sum(one[1] for one in got)
        self.odd = [text for one in got for text in one[2]]

    def leave(self):
        for process, pipe in self.members:
            pipe.send("go")
            pipe.recv()
            process.join()


def serves(server):
    """Whether a new client gets through a login and a message."""
    imap = Session(server.port["imap"])
    imap.line()
    if not imap.command("a", f'LOGIN bob@here.test "{PASSWORD}"').startswith("a OK"):
        return False
    smtp = Session(server.port["smtp"])
    smtp.reply()
    for command, code in (
        ("EHLO client.there.test", "250"),
        ("MAIL FROM:<carol@there.test>", "250"),
        ("RCPT TO:<bob@here.test>", "250"),
        ("DATA", "354"),
        ("Subject: crowd\r\n\r\nbody\r\n.", "250"),
    ):
        smtp.say(command)
        if not smtp.reply().startswith(code):
            return False
    return True


def settled(pid, seconds=20):
    """RSS after it has come down, or after a while."""
    least = memory(pid, "Rss")
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        time.sleep(1)
        now = memory(pid, "Rss")
        if now >= least:
            break
        least = now
    return min(least, memory(pid, "Rss"))


def main():
    need()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with Server(protocols=("smtp", "imap")) as server:
        pid = server.process.pid
        check("a client is served before", serves(server))
        before = memory(pid, "Rss")
        pss = {0: memory(pid, "Pss")}
        for count in (1000, 5000):
            crowd = Crowd(server.port["imap"], count, "idle", source=10)
            check(f"{count} sessions are in IDLE", crowd.greeted == count and not crowd.odd, f"{crowd.greeted}, {crowd.refused} refused, {crowd.odd[:3]}")
            pss[count] = memory(pid, "Pss")
            print(f"        PSS with {count} idle sessions: {pss[count] >> 10} KiB, {(pss[count] - pss[0]) / count / 1024:.1f} KiB each")
            crowd.leave()
        each = (pss[5000] - pss[1000]) / 4000
        check(f"an idle IMAP session costs at most 16 KiB ({each / 1024:.1f} KiB)", each <= IDLE_BYTES)
        for mode in ("slow", "half", "silent"):
            crowd = Crowd(server.port["smtp"], CROWD, mode)
            rss = memory(pid, "Rss")
            print(f"        {mode}: {crowd.greeted} greeted, {crowd.refused} refused with a reply, RSS {rss >> 20} MiB")
            check(f"{mode}: each of {CROWD} connections gets a greeting or a clear refusal", crowd.greeted + crowd.refused == CROWD, str(crowd.odd[:3]))
            check(f"{mode}: memory is bounded", rss < RSS_BOUND, f"{rss >> 20} MiB")
            check(f"{mode}: a new client is served meanwhile", serves(server))
            crowd.leave()
        after = settled(pid)
        print(f"        RSS before {before >> 20} MiB, after {after >> 20} MiB")
        check("the server still runs", server.process.poll() is None)
        check("and still serves", serves(server))
    finish()


if __name__ == "__main__":
    main()
