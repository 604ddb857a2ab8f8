#!/usr/bin/env python3
"""kill -9 during mixed load, again and again (`killed.py [times]`, 100 by default). The oracle: every acknowledged message is there exactly
once and byte-identical; every acknowledged expunge is gone; an unacknowledged operation happened whole or not at all; UIDs never come twice."""
import random
import re
import sys
import threading
import time

from common import PASSWORD, Server, check, finish, message, need, same_below_trace
from durability import BOXES, Session


class Oracle:
    """What was sent and what was acknowledged, by token."""

    def __init__(self):
        self.lock = threading.Lock()
        self.sent, self.acknowledged, self.expunged, self.maybe_expunged = {}, set(), set(), set()

    def sends(self, token, data):
        with self.lock:
            self.sent[token] = data


def smtp(server, oracle, name):
    session = Session(server.port["smtp"])
    session.reply()
    session.say("EHLO client.there.test")
    session.reply()
    turn = 0
    while True:
        token = f"{name}-{turn}"
        turn += 1
        data = message(token, body=f"{token}\r\n" + "filler\r\n" * random.randrange(2000))
        for command in ("MAIL FROM:<carol@there.test>", "RCPT TO:<alice@here.test>", "DATA"):
            session.say(command)
            if session.reply()[:1] not in "23":
                raise RuntimeError("refused")
        oracle.sends(token, data)
        session.say(data.replace(b"\r\n.", b"\r\n..") + b".\r\n")
        if session.reply().startswith("250"):
            with oracle.lock:
                oracle.acknowledged.add(token)


def imap(server, oracle, name, box):
    """Appends to a mailbox that no other session touches, and expunges every third message again."""
    session = Session(server.port["imap"])
    session.line()
    session.command("l", f'LOGIN alice@here.test "{PASSWORD}"')
    session.command("s", f"SELECT {box}")
    turn = 0
    while True:
        token, tag = f"{name}-{turn}", f"t{turn}"
        turn += 1
        data = message(token, body=f"{token}\r\n" + "filler\r\n" * random.randrange(2000))
        oracle.sends(token, data)
        session.say(f"{tag} APPEND {box} {{{len(data)}}}")
        while not session.line().startswith("+"):
            pass
        session.say(data + b"\r\n")
        while not (line := session.line()).startswith(tag + " "):
            pass
        if not line.startswith(f"{tag} OK"):
            continue
        with oracle.lock:
            oracle.acknowledged.add(token)
        if turn % 3 == 0:
            with oracle.lock:
                oracle.maybe_expunged.add(token)
            if not session.command("d", "STORE * +FLAGS.SILENT (\\Deleted)").startswith("d OK"):
                raise RuntimeError("STORE refused")
            if session.command("e", "EXPUNGE").startswith("e OK"):
                with oracle.lock:
                    oracle.expunged.add(token)


def contents(server):
    """(mailbox, uid) -> message; mailbox -> (UIDVALIDITY, UIDNEXT)."""
    session = Session(server.port["imap"])
    session.line()
    session.command("l", f'LOGIN alice@here.test "{PASSWORD}"')
    found, numbers = {}, {}
    for box in ["INBOX", *BOXES]:
        session.say(f"s EXAMINE {box}")
        words = ""
        while not (line := session.line()).startswith("s "):
            words += line
        numbers[box] = tuple(int(re.search(rf"{word} (\d+)", words).group(1)) for word in ("UIDVALIDITY", "UIDNEXT"))
        if "* 0 EXISTS" in words:
            continue
        session.say("f UID FETCH 1:* (UID BODY.PEEK[])")
        while not (line := session.line()).startswith("f "):
            literal = re.search(r"\{(\d+)\}$", line)
            if not literal:
                continue
            data = session.reader.read(int(literal.group(1)))
            rest = session.line()
            uid = re.search(r"UID (\d+)", line) or re.search(r"UID (\d+)", rest)
            found[box, int(uid.group(1))] = data
        if not line.startswith("f OK"):
            raise RuntimeError(line)
    return found, numbers


def verify(server, oracle, before):
    found, numbers = contents(server)
    by_token, wrong = {}, []
    for uid, data in found.items():
        token = re.search(rb"\r\nSubject: (\S+)\r\n", data)
        token = token.group(1).decode() if token else None
        if token not in oracle.sent:
            wrong.append(f"uid {uid} is nobody's message: {data[:60]!r}")
            continue
        by_token.setdefault(token, []).append(uid)
        why = same_below_trace(data, oracle.sent[token])
        if why:
            wrong.append(f"{token}: {why}")
    wrong += [f"{token} is there {len(uids)} times" for token, uids in by_token.items() if len(uids) > 1]
    wrong += [f"{token} was acknowledged and is lost" for token in oracle.acknowledged - oracle.maybe_expunged if token not in by_token]
    wrong += [f"{token} was expunged and is back" for token in oracle.expunged if token in by_token]
    known, old = before
    for box, (validity, following) in numbers.items():
        old_validity, old_following = old.get(box, (validity, following))
        if validity != old_validity:
            wrong.append(f"UIDVALIDITY of {box} was {old_validity} and is {validity}")
        if following < old_following:
            wrong.append(f"UIDNEXT of {box} was {old_following} and is {following}")
    for token, uids in by_token.items():
        if known.setdefault(uids[0], token) != token:
            wrong.append(f"{uids[0]} was {known[uids[0]]} and is {token}")
    return wrong, (known, numbers)


def main():
    need()
    times = int(sys.argv[1]) if len(sys.argv) > 1 else 100
    seed = random.randrange(1 << 32)
    random.seed(seed)
    print(f"seed {seed}")
    oracle, wrong, before = Oracle(), [], ({}, {})
    with Server(protocols=("smtp", "imap")) as server:
        for life in range(times):

            def session(number, name):
                try:
                    if number % 2:
                        smtp(server, oracle, name)
                    else:
                        imap(server, oracle, name, BOXES[number // 2])
                except (OSError, EOFError, RuntimeError):
                    pass

            threads = [threading.Thread(target=session, args=(n, f"l{life}s{n}")) for n in range(8)]
            for thread in threads:
                thread.start()
            time.sleep(random.uniform(0.05, 0.6))
            server.kill()
            for thread in threads:
                thread.join()
            server.start()
            more, before = verify(server, oracle, before)
            wrong += [f"life {life}: {text}" for text in more]
            if more:
                break
        check(f"after {life + 1} kills every acknowledged operation held", not wrong, "\n  ".join(wrong[:10]))
        check(f"{len(oracle.acknowledged)} messages were acknowledged, {len(oracle.expunged)} expunges", len(oracle.acknowledged) > times)
    finish()


if __name__ == "__main__":
    main()
