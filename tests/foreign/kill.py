#!/usr/bin/env python3
"""kill -9 during mixed load, again and again (T8): what was acknowledged is there, exactly once, byte-identical; what was
acknowledged as expunged is gone.

  kill.py [CYCLES]      default 100
"""
import imaplib
import random
import re
import sys
import threading
import time

from common import BINARY, Count, Lines, PASSWORD, Server, need

count = Count()


class Session(threading.Thread):
    """Delivers, appends, flags and expunges until the server dies; knows what was acknowledged and what was only begun."""

    def __init__(self, server, account, cycle, kind):
        super().__init__()
        self.server, self.account, self.cycle, self.kind = server, account, cycle, kind
        self.acknowledged, self.begun = {}, set()  # token -> body; tokens begun
        self.expunged, self.expunging = set(), set()

    def run(self):
        try:
            (self.smtp if self.kind == "smtp" else self.imap)()
        except (OSError, EOFError, RuntimeError):
            pass

    def message(self, number):
        token = f"t{self.cycle}-{self.kind}-{self.account.split('@')[0]}-{number}"
        size = random.choice((10, 300, 5000))
        return token, f"Subject: {token}\r\n\r\n{token}\r\n{'x' * size}\r\n".encode()

    def smtp(self):
        client = Lines(self.server.ports["smtp"])
        client.smtp(b"220")
        client.send(b"EHLO client.test\r\n")
        client.smtp(b"250")
        for number in range(100000):
            token, body = self.message(number)
            client.send(f"MAIL FROM:<s@sender.test>\r\nRCPT TO:<{self.account}>\r\nDATA\r\n".encode())
            client.smtp(b"250"), client.smtp(b"250"), client.smtp(b"354")
            self.begun.add(token)
            client.send(body + b".\r\n")
            client.smtp(b"250")
            self.acknowledged[token] = body

    def imap(self):
        client = Lines(self.server.ports["imap"])
        client.line()
        client.send(f'a LOGIN "{self.account}" "{PASSWORD}"\r\nb SELECT Archive\r\n'.encode())
        client.imap(b"a"), client.imap(b"b")
        last = None
        for number in range(100000):
            token, body = self.message(number)
            self.begun.add(token)
            client.send(b"c APPEND Archive {%d+}\r\n" % len(body) + body + b"\r\n")
            if not client.imap(b"c")[-1].startswith(b"c OK"):
                raise RuntimeError("APPEND refused")
            self.acknowledged[token] = body
            if number % 3 == 2 and last:
                # The message before is the one before the last by number.
                client.send(b"d NOOP\r\n")
                client.imap(b"d")
                client.send(f"e UID STORE {last[0]} +FLAGS.SILENT (\\Deleted)\r\nf EXPUNGE\r\n".encode())
                client.imap(b"e")
                self.expunging.add(last[1])
                if client.imap(b"f")[-1].startswith(b"f OK"):
                    self.expunged.add(last[1])
            client.send(b"g UID FETCH * (UID)\r\n")
            uid = re.search(rb"UID (\d+)", b"".join(client.imap(b"g")))
            last = (int(uid[1]), token)


def contents(server, account, mailbox):
    """token -> list of whole messages, as IMAP gives them."""
    client = imaplib.IMAP4("127.0.0.1", server.ports["imap"])
    client.login(account, PASSWORD)
    client.select(mailbox, readonly=True)
    status, data = client.fetch("1:*", "(BODY.PEEK[])")
    found = {}
    for item in data or ():
        if isinstance(item, tuple):
            token = re.search(rb"Subject: (t[^\r]+)", item[1])
            found.setdefault(token[1].decode(), []).append(item[1])
    client.logout()
    return found


def main():
    need(BINARY)
    cycles = int(sys.argv[1]) if len(sys.argv) > 1 else 100
    server = Server()
    alice, bob = server.accounts
    delivered, appended, gone, maybe_gone, begun = {}, {}, set(), set(), set()
    wrong = []
    for cycle in range(cycles):
        server.start()
        sessions = [Session(server, account, cycle, kind) for account in (alice, bob) for kind in ("smtp", "imap")]
        for session in sessions:
            session.start()
        time.sleep(random.uniform(0.05, 0.5))
        server.kill()
        for session in sessions:
            session.join()
            (delivered if session.kind == "smtp" else appended).setdefault(session.account, {}).update(session.acknowledged)
            gone |= session.expunged
            maybe_gone |= session.expunging
            begun |= session.begun
    server.start()
    for account in (alice, bob):
        for mailbox, expected in (("INBOX", delivered.get(account, {})), ("Archive", appended.get(account, {}))):
            found = contents(server, account, mailbox)
            for token, body in expected.items():
                copies = found.get(token, [])
                if token in gone:
                    if copies:
                        wrong.append(f"{token} came back")
                elif token in maybe_gone:
                    if len(copies) > 1:
                        wrong.append(f"{token} is there {len(copies)} times")
                elif len(copies) != 1:
                    wrong.append(f"{token} is there {len(copies)} times")
                elif not copies[0].endswith(body):
                    wrong.append(f"{token} is not what was sent")
            for token, copies in found.items():
                if token not in begun or len(copies) > 1:
                    wrong.append(f"{token} is there {len(copies)} times, was it ever sent?")
    total = sum(len(tokens) for tokens in [*delivered.values(), *appended.values()])
    count.check(f"{cycles} kills, {total} acknowledged messages, {len(gone)} acknowledged expunges", not wrong, str(wrong[:5]))
    count.check("there was a load worth the name", total > cycles * 4, str(total))
    server.stop()
    count.end()


if __name__ == "__main__":
    main()
