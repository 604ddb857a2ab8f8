#!/usr/bin/env python3
"""Sessions of real clients, recorded, replayed and redacted.

    recorded.py [N]     N sessions in all (1 000): Python's smtplib and imaplib, curl, swaks, mbsync against `pillarbox demo --record`

Beside them those of Thunderbird, where it is installed: thunderbird.py is played for them. Asserted: every session was recorded and replays
byte for byte; so does its capsule; no recording has a password, in the clear, in base64 or within the base64 of a login; no capsule has a
name or a word of a message; each becomes a test script; one changed byte of a recording is found."""
import base64
import glob
import imaplib
import json
import os
import random
import smtplib
import socket
import subprocess
import sys
import tempfile
import threading
import time

from common import BINARY, RecordedDemo, check, finish, insecure, need

need("curl", "swaks", "mbsync")
PEOPLE = ("alice@demo.test", "bob@demo.test")
WORDS = "zebra quokka narwhal axolotl okapi".split()
random.seed(4)


def message(number, to=PEOPLE[1], more=""):
    text = "\r\n".join(f".{word} {number}" if number % 3 else f"{word} ..{number}" for word in WORDS)
    return f"From: Alice <{PEOPLE[0]}>\r\nTo: <{to}>\r\nSubject: {WORDS[number % 5]} {number}\r\n\r\n{text}\r\n{more}"


# --- one session each ---------------------------------------------------------------------------------------------------------------


def submission(demo, number):
    """Python's smtplib: every mechanism, every way in, wrong passwords, refusals."""
    kind = number % 8
    if kind % 2:
        session = smtplib.SMTP("127.0.0.1", demo.port["submission"], "client.there.test", 60)
        if kind > 2:
            session.starttls(context=insecure())
    else:
        session = smtplib.SMTP_SSL("127.0.0.1", demo.port["submissions"], "client.there.test", timeout=60, context=insecure())
    session.ehlo()
    user, password = PEOPLE[0], demo.password[PEOPLE[0]]
    if kind == 6:
        try:
            session.login(user, "not " + password)
        except smtplib.SMTPAuthenticationError:
            pass
    else:
        session.user, session.password = user, password
        mechanism = "PLAIN" if number % 3 else "LOGIN"
        session.auth(mechanism, getattr(session, "auth_" + mechanism.lower()), initial_response_ok=bool(number % 5))
        more = "x" * 70 + "\r\n"
        try:
            session.sendmail(user, [PEOPLE[1], "nobody@demo.test"][: 1 + (kind == 5)], message(number, more=more * (3000 if kind == 4 else 0)))
        except smtplib.SMTPRecipientsRefused:
            pass
        if kind == 7:
            session.rset()
            session.docmd("NOOP")
            session.docmd("NONSENSE " + password)
            session.docmd("MAIL", "FROM:<somebody@else.test>")
    if kind != 3:
        session.quit()
    session.close()


def relay(demo, number):
    """Port 25: ordinary mail, and peers that talk nonsense, early, or not at all."""
    kind = number % 6
    if kind == 0:
        with smtplib.SMTP("127.0.0.1", demo.port["smtp"], "mx.there.test", 60) as session:
            session.sendmail("zoe@there.test", [PEOPLE[number % 2]], message(number))
        return
    with socket.create_connection(("127.0.0.1", demo.port["smtp"]), 60) as peer:
        peer.recv(1000)
        if kind == 1:
            body = message(number).replace("\r\n.", "\r\n..").encode()
            peer.sendall(b"EHLO mx.there.test\r\n")
            peer.recv(1000)
            peer.sendall(b"MAIL FROM:<zoe@there.test>\r\nRCPT TO:<bob@demo.test>\r\nRCPT TO:<none@demo.test>\r\nDATA\r\n")
            while b"354 " not in peer.recv(4000):
                pass
            for start in range(0, len(body), 7 + number % 50):
                peer.sendall(body[start : start + 7 + number % 50])
            peer.sendall(b"\r\n.\r\nQUIT\r\n")
        elif kind == 2:
            peer.sendall(b"HELO there\r\nMAIL FROM:<" + b"x" * 5000 + b">\r\nGARBAGE\r\nQUIT\r\n")
        elif kind == 3:
            chunk = message(number).encode()
            peer.sendall(b"EHLO there\r\n")
            peer.recv(1000)
            peer.sendall(b"MAIL FROM:<> BODY=8BITMIME\r\nRCPT TO:<bob@demo.test>\r\n")
            peer.sendall(b"BDAT %d\r\n%s" % (len(chunk), chunk) + b"BDAT 5 LAST\r\nends.QUIT\r\n")
        elif kind == 4:
            peer.sendall(b"EHLO there\r\nMAIL FROM:<zoe@there.test>\r\nRCPT TO:<bob@demo.test>\r\nDA")
            return
        else:
            peer.sendall(b"GET / HTTP/1.1\r\nHost: there\r\n\r\n")
        try:
            while peer.recv(4000):
                pass
        except OSError:
            pass


def imap(demo, number):
    """Python's imaplib: logins, reading, changing, searching, folders."""
    kind = number % 7
    user = PEOPLE[number % 2]
    if kind % 2:
        session = imaplib.IMAP4("127.0.0.1", demo.port["imap"], 60)
        if kind == 3:
            session.starttls(insecure())
    else:
        session = imaplib.IMAP4_SSL("127.0.0.1", demo.port["imaps"], ssl_context=insecure(), timeout=60)
    password = demo.password[user]
    if kind == 6:
        try:
            session.login(user, "not " + password)
        except imaplib.IMAP4.error:
            pass
    if number % 3 == 0:
        session.authenticate("PLAIN", lambda _: f"\0{user}\0{password}".encode())
    elif number % 3 == 1:
        session.login(user, password)
    else:
        session.send(b"L1 LOGIN {%d+}\r\n%s {%d}\r\n" % (len(user), user.encode(), len(password)))
        session.readline()
        session.send(password.encode() + b"\r\n")
        while not session.readline().startswith(b"L1 OK"):
            pass
        session.state = "AUTH"
    folder = f"box {number}" if kind == 1 else f"Archive/n{number}"
    session.select("INBOX", readonly=kind == 2)
    if kind in (0, 2):
        session.uid("FETCH", "1:3", "(UID FLAGS INTERNALDATE ENVELOPE BODYSTRUCTURE)")
        session.fetch("1:*", "(BODY.PEEK[HEADER.FIELDS (SUBJECT FROM)] RFC822.SIZE)")
        session.uid("FETCH", "1:2", "(BODY.PEEK[] BODY.PEEK[TEXT]<3.20>)")
    elif kind == 1:
        session.create(f'"{folder}"')
        session.append(f'"{folder}"', r"(\Seen)", None, message(number).encode())
        session.list('""', "*")
        session.status("INBOX", "(MESSAGES UNSEEN UIDNEXT)")
        session.rename(f'"{folder}"', f'"{folder} more"')
        session.delete(f'"{folder} more"')
    elif kind == 3:
        session.store("1", "+FLAGS", r"(\Flagged $Forwarded)")
        session.copy("1", "Archive")
        session.search(None, "OR", "SUBJECT", WORDS[number % 5], "TEXT", f'"{WORDS[1]}"')
        session.search(None, "SINCE", "1-Jan-2020", "UNDELETED", "LARGER", "10")
    elif kind == 4:
        session.append("Drafts", None, None, message(number).encode())
        session.select("Drafts")
        session.store("1", "+FLAGS.SILENT", r"\Deleted")
        session.expunge()
        session.close()
    elif kind == 5:
        session.send(b"I1 IDLE\r\n")
        session.readline()
        session.send(b"DONE\r\n")
        while not session.readline().startswith(b"I1 OK"):
            pass
        session.xatom("ID", '("name" "a client")')
        session.send(b"N1 NONSENSE and more\r\n")
        session.readline()
    if kind == 6:
        session.shutdown()
    else:
        session.logout()


def curl(demo, number):
    user = f"{PEOPLE[0]}:{demo.password[PEOPLE[0]]}"
    if number % 2:
        arguments = ["--url", f"smtps://127.0.0.1:{demo.port['submissions']}", "--mail-from", PEOPLE[0], "--mail-rcpt", PEOPLE[1], "-T", "-"]
    else:
        arguments = [f"imaps://127.0.0.1:{demo.port['imaps']}/INBOX;MAILINDEX=1"]
    subprocess.run(["curl", "-ksS", "--user", user, *arguments], input=message(number).encode(), capture_output=True, timeout=60)


def swaks(demo, number):
    mechanism = ("PLAIN", "LOGIN")[number % 2]
    arguments = ["--server", "127.0.0.1", "--port", str(demo.port["submission"]), "--tls", "--auth", mechanism, "--auth-user", PEOPLE[0]]
    arguments += ["--auth-password", demo.password[PEOPLE[0]], "--from", PEOPLE[0], "--to", PEOPLE[1], "--body", " ".join(WORDS)]
    subprocess.run(["swaks", *arguments], capture_output=True, timeout=60)


def mbsync(demo, number):
    with tempfile.TemporaryDirectory() as folder:
        with open(os.path.join(folder, "rc"), "w") as file:
            file.write(
                f"IMAPAccount demo\nHost 127.0.0.1\nPort {demo.port['imap']}\nUser {PEOPLE[0]}\nPass {demo.password[PEOPLE[0]]}\nSSLType None\n"
                "AuthMechs LOGIN\n\nIMAPStore there\nAccount demo\n\nMaildirStore here\n"
                f"Path {folder}/mail/\nInbox {folder}/mail/inbox\nSubFolders Verbatim\n\nChannel all\nFar :there:\nNear :here:\nPatterns INBOX Sent Drafts\nCreate Near\n"
                "SyncState *\nMaxMessages 20\nExpireUnread yes\n"
            )
        os.mkdir(os.path.join(folder, "mail"))
        done = subprocess.run(["mbsync", "-c", os.path.join(folder, "rc"), "-a"], capture_output=True, text=True, timeout=60)
        if done.returncode:
            raise RuntimeError(done.stderr)


def run_all(demo, total):
    """All sessions, eight at a time; what went wrong in a client."""
    plan = []
    for name, share in ((submission, 30), (relay, 20), (imap, 40), (curl, 4), (swaks, 4), (mbsync, 2)):
        plan += [(name, number) for number in range(total * share // 100)]
    random.shuffle(plan)
    failures, lock = [], threading.Lock()

    def work():
        while True:
            with lock:
                if not plan:
                    return
                client, number = plan.pop()
            try:
                client(demo, number)
            except Exception as error:  # pylint: disable=broad-except
                failures.append(f"{client.__name__} {number}: {error!r}")

    workers = [threading.Thread(target=work) for _ in range(8)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return failures


# --- what must not be found ---------------------------------------------------------------------------------------------------------


def secrets(passwords):
    for user, password in passwords:
        yield password.encode()
        yield base64.b64encode(password.encode()).rstrip(b"=")[:-1]
        for prefix in (f"\0{user}\0", f"{user}\0{user}\0"):
            plain = base64.b64encode((prefix + password).encode()).rstrip(b"=")
            yield plain[(len(prefix) + 2) * 4 // 3 : -1]


def thunderbird(folder):
    """Its sessions, and the passwords of its own demo; none without it."""
    script = os.path.join(os.path.dirname(os.path.abspath(__file__)), "thunderbird.py")
    done = subprocess.run([sys.executable, script, folder], capture_output=True, text=True, timeout=600)
    files = sorted(glob.glob(os.path.join(folder, "records", "*.trace")))
    last = done.stdout.splitlines()[-1] if done.stdout else done.stderr[-500:]
    if last.startswith("skipped"):
        print(last)
        return {}
    check(f"sessions of Thunderbird ({len(files)})", done.returncode == 0 and files, last)
    with open(os.path.join(folder, "passwords")) as passwords:
        return json.load(passwords)


def replay(*arguments):
    done = subprocess.run([BINARY, "replay", *arguments], capture_output=True)
    return done.returncode, (done.stdout + (done.stderr if done.returncode else b"")).decode(errors="replace")


def main():
    total = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    with tempfile.TemporaryDirectory(prefix="pillarbox-recorded-") as folder:
        demo = RecordedDemo(folder)
        start = time.monotonic()
        try:
            failures = run_all(demo, total)
        finally:
            demo.stop()
        check(f"{total} sessions of clients in {time.monotonic() - start:.0f} s", not failures, "; ".join(failures[:5]))
        files = sorted(glob.glob(os.path.join(demo.records, "*.trace")))
        check(f"each was recorded ({len(files)})", len(files) >= total, str(len(files)))
        passwords = [*demo.password.items(), *thunderbird(os.path.join(folder, "thunderbird")).items()]
        for path in glob.glob(os.path.join(folder, "thunderbird", "records", "*.trace")):
            os.rename(path, os.path.join(demo.records, os.path.basename(path)))
        files = sorted(glob.glob(os.path.join(demo.records, "*.trace")))
        code, text = replay(demo.records)
        last = text.splitlines()[-1] if text else ""
        wrong = "\n".join([line for line in text.splitlines() if "the same (" not in line][:20])
        check(f"all replay byte for byte: {last}", code == 0 and last == f"{len(files)} replayed, 0 differ", wrong)
        cut = text.count("recorded up to here")
        check(f"recorded to their end: all but {cut}", cut <= total // 50)
        never = list(secrets(passwords))
        _, shown = replay("--show", demo.records)
        dirty = [path for path in files if any(secret in open(path, "rb").read() for secret in never)]
        check("no recording has a password", not dirty, str(dirty[:3]))
        check("nor its dialogue", not any(secret.decode() in shown for secret in never))
        capsules = os.path.join(folder, "capsules")
        done = subprocess.run([BINARY, "capsule", demo.records, "-o", capsules], capture_output=True, text=True)
        lines = done.stdout.splitlines()
        check(f"capsules: {lines[-1] if lines else ''}", done.returncode == 0, "; ".join(line for line in lines if "no capsule" in line)[:1500])
        code, text = replay(capsules)
        check(f"the capsules replay: {text.splitlines()[-1]}", code == 0)
        names = [b"alice", b"demo.test", b"there.test", b"zoe@"] + [word.encode() for word in WORDS]
        named = [path for path in glob.glob(capsules + "/*") for name in names if name in open(path, "rb").read().lower()]
        check("no capsule has a name or a word of a message", not named, str(named[:3]))
        code, text = replay("--script", demo.records)
        check(f"scripts: {text.count('# Made of a recording.')}", code == 0 and text.count("# Made of a recording.") == len(files), text[-300:])
        check("no script has a password", not any(secret.decode() in text for secret in never))
        found = 0
        for number in range(20):
            path = random.choice(files)
            recording = bytearray(open(path, "rb").read())
            recording[random.randrange(8, len(recording))] ^= 1 << random.randrange(8)
            edited = os.path.join(folder, f"edited{number}.trace")
            with open(edited, "wb") as file:
                file.write(recording)
            found += replay(edited)[0] == 65
        check("of 20 changed bytes 20 are found", found == 20, str(found))
    finish()


if __name__ == "__main__":
    main()
