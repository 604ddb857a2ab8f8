#!/usr/bin/env python3
"""Many connections at once: memory for each idle IMAP connection, and 10 000 connections of all kinds of peers.

Clients are processes of their own and come from 127.0.0.2 to 127.0.0.21, so that neither the limit of open files nor the limit of
connections from one address is met.
"""
import multiprocessing
import os
import resource
import select
import smtplib
import socket
import time

from common import BINARY, Count, Lines, PASSWORD, Server, need

count = Count()
IDLE_LIMIT = 16 * 1024


def memory(process):
    """Proportional set size in bytes."""
    with open(f"/proc/{process}/smaps_rollup") as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith("Pss:"))


def raise_limit():
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def connect(port, number):
    client = socket.socket()
    client.bind((f"127.0.0.{2 + number % 20}", 0))
    client.connect(("127.0.0.1", port))
    return client


def idlers(port, n, ready, leave):
    """n IMAP sessions: half logged in and in IDLE with INBOX selected, half only greeted."""
    raise_limit()
    clients = []
    for number in range(n):
        client = connect(port, number)
        clients.append(client)
        client.recv(4096)
        client.sendall(f'a LOGIN alice@one.test "{PASSWORD}"\r\n'.encode())
        until(client, b"a OK")
        client.sendall(b"b SELECT INBOX\r\n")
        until(client, b"b OK")
        client.sendall(b"c IDLE\r\n")
        until(client, b"+ ")
    ready.set()
    leave.wait()


def until(client, mark):
    seen = b""
    while mark not in seen:
        more = client.recv(4096)
        if not more:
            raise EOFError(seen)
        seen += more


def crowd(ports, n, ready, leave, answers):
    """n connections: silent, slow, half-closed, talking junk."""
    raise_limit()
    clients, closed = [], 0
    for number in range(n):
        port = ports[number % len(ports)]
        try:
            client = connect(port, number)
        except OSError:
            closed += 1
            continue
        client.setblocking(False)
        clients.append(client)
        try:
            if number % 5 == 1:
                client.send(b"EHLO x")
            elif number % 5 == 2:
                client.send(bytes(range(256)) * 8)
            elif number % 5 == 3:
                client.send(b"a LOGIN {1000}\r\n")
                client.shutdown(socket.SHUT_WR)
            elif number % 5 == 4:
                client.send(b"A" * 20000)
        except OSError:
            closed += 1
    ready.set()
    leave.wait()
    replies = 0
    poll = select.poll()
    by_file = {client.fileno(): client for client in clients}
    for file in by_file:
        poll.register(file, select.POLLIN)
    for file, _ in poll.poll(5000):
        try:
            replies += bool(by_file[file].recv(65536))
        except OSError:
            pass
    answers.put((len(clients), replies))


def idle_memory(server):
    before = memory(server.process.pid)
    n = 2000
    ready, leave = multiprocessing.Event(), multiprocessing.Event()
    process = multiprocessing.Process(target=idlers, args=(server.ports["imap"], n, ready, leave))
    process.start()
    ok = ready.wait(240)
    each = (memory(server.process.pid) - before) / n
    leave.set()
    process.join()
    count.check(f"{n} idle IMAP sessions: {each / 1024:.1f} KiB each (limit 16 KiB)", ok and each <= IDLE_LIMIT)


def ten_thousand(server):
    before = memory(server.process.pid)
    ready, leave, answers = multiprocessing.Event(), multiprocessing.Event(), multiprocessing.Queue()
    ports = [server.ports["smtp"], server.ports["imap"], server.ports["submission"]]
    process = multiprocessing.Process(target=crowd, args=(ports, 10000, ready, leave, answers))
    process.start()
    ok = ready.wait(240)
    time.sleep(2)
    grown = memory(server.process.pid) - before
    count.check(f"10 000 connections at once: {grown / 2**20:.0f} MiB more memory", ok and grown < 400 * 2**20)
    with smtplib.SMTP("127.0.0.1", server.ports["smtp"], timeout=60) as client:
        client.sendmail("x@sender.test", ["alice@one.test"], b"Subject: through the crowd\r\n\r\nhi\r\n")
    count.check("a message goes through the crowd", True)
    leave.set()
    opened, replied = answers.get(timeout=120)
    process.join()
    count.check(f"{opened} were connected, {replied} were answered", opened >= 9900 and replied >= 0.9 * opened)


def main():
    need(BINARY)
    raise_limit()
    with Server(config='[limits]\nconnections = 15000\nconnections_per_ip = 10000\n') as server:
        idle_memory(server)
        ten_thousand(server)
        client = Lines(server.ports["imap"])
        count.check("it still greets", client.line().startswith(b"* OK"))
        client.close()
    count.end()


if __name__ == "__main__":
    main()
