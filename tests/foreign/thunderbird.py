#!/usr/bin/env python3
"""Thunderbird against `pillarbox demo --record`: it finds its settings, reads, marks, files, searches, waits, deletes, writes and sends.

    thunderbird.py [FOLDER]     its recordings are left in FOLDER/records, the passwords in FOLDER/passwords

Thunderbird works by its own parts (thunderbird.js), without a window, in a network namespace where there is only loopback; what it
did is seen from the other side, by imaplib. Debian: `apt-get install --no-install-recommends thunderbird` (500 MB, so CI has none:
then this says `skipped` and is no failure)."""
import base64
import glob
import imaplib
import json
import os
import re
import shutil
import smtplib
import ssl
import subprocess
import sys
import tempfile
import time

from common import BINARY, RecordedDemo, check, finish, insecure, message, need
from marionette import Thunderbird, alone

ALICE, BOB = "alice@demo.test", "bob@demo.test"
HOST = "mx.demo.test"
NAMES = ("demo.test", HOST, "autoconfig.demo.test", "autodiscover.demo.test")


def skip(why):
    print(f"skipped: thunderbird.py: {why}")
    sys.exit(0)


class Demo(RecordedDemo):
    """At the ports that the world knows: the name space has no other server."""

    def __init__(self, folder):
        super().__init__(folder, "0")

    def deliver(self, data, to=ALICE):
        """From elsewhere, at port 25."""
        with smtplib.SMTP("127.0.0.1", 25, "mx.there.test", 60) as session:
            session.sendmail("carol@there.test", [to], data, ["BODY=8BITMIME"])


class Eye:
    """Looks at an account from the other side."""

    def __init__(self, demo, user):
        self.imap = imaplib.IMAP4_SSL("127.0.0.1", 993, ssl_context=insecure(), timeout=60)
        self.imap.login(user, demo.password[user])

    def mailboxes(self):
        _, lines = self.imap.list()
        return [line.decode().rsplit(' "/" ', 1)[1].strip('"') for line in lines if line]

    def messages(self, mailbox):
        """Subject -> flags and bytes."""
        status, _ = self.imap.select(f'"{mailbox}"', readonly=True)
        if status != "OK":
            return {}
        _, parts = self.imap.fetch("1:*", "(FLAGS BODY.PEEK[])") if self.imap.untagged_responses["EXISTS"] != [b"0"] else ("OK", [])
        found, pairs = {}, [part for part in parts if isinstance(part, tuple)]
        for number, (front, data) in enumerate(pairs):
            behind = parts[parts.index(pairs[number]) + 1]
            flags = imaplib.ParseFlags(front) or imaplib.ParseFlags(behind if isinstance(behind, bytes) else b"")
            subject = re.search(rb"(?im)^subject: (.*)\r$", data)
            found[subject[1].decode() if subject else ""] = ({flag.decode() for flag in flags}, data)
        self.imap.close()
        return found

    def until(self, what, holds, seconds=60):
        """Thunderbird writes when it finds time: looks until it has; checks it."""
        end, last = time.monotonic() + seconds, None
        while time.monotonic() < end:
            try:
                last = holds()
                if last:
                    return check(what, True)
            except (imaplib.IMAP4.error, KeyError) as error:
                last = error
            time.sleep(0.2)
        return check(what, False, repr(last))


def tried(what, act):
    """What it gave; a failure is a failed check."""
    try:
        return act()
    except Exception as error:  # pylint: disable=broad-except
        check(what, False, str(error)[:600])
        return None


def settings(bird):
    """Its own search for settings, over http, and over https once the certificate is trusted."""
    expected = {
        "incoming": [["imap", HOST, 993, ALICE, 3], ["imap", HOST, 143, ALICE, 2]],
        "outgoing": [["smtp", HOST, 465, ALICE, 3], ["smtp", HOST, 587, ALICE, 2]],
    }
    found = tried("finds its settings", lambda: bird.run("findConfig", ALICE)) or {}
    source = found.pop("source", None)
    check("finds its settings over http where it knows no certificate", source == "xml-from-isp-http", str(source))
    check("they are what listens: TLS first, then STARTTLS", found == expected, str(found))
    certificate = ssl.PEM_cert_to_DER_cert(ssl.get_server_certificate(("127.0.0.1", 443)))
    encoded = base64.b64encode(certificate).decode()
    for name in NAMES:
        bird.run("trust", name, [443], encoded)
    found = tried("finds them over https", lambda: bird.run("findConfig", ALICE)) or {}
    check("finds them over https where it does", found.pop("source", None) == "xml-from-isp-https" and found == expected, str(found))
    check("its wizard ends there", tried("its wizard", lambda: bird.run("discover", ALICE)) == HOST)
    bird.run("trust", HOST, [993, 143, 465, 587], encoded)


def account(bird, demo, user, start_tls):
    """One person: everything, each step seen by the server's other clients."""
    how = "STARTTLS" if start_tls else "TLS"
    say = lambda what: f"{how}: {what}"
    name = user.split("@")[0]
    other = BOB if user == ALICE else ALICE
    eye = Eye(demo, user)
    sent = {f"{name} {word}": message(f"{name} {word}", to=user) for word in ("zebra", "quokka", "narwhal", "axolotl", "okapi")}
    for data in sent.values():
        demo.deliver(data, user)
    step = lambda what, *arguments: tried(say(what), lambda: bird.run(*arguments))

    step("makes an account", "addAccount", user, name.title(), demo.password[user], start_tls)
    there = eye.messages("INBOX")
    found = step("lists INBOX", "list", user, "INBOX", len(there)) or []
    check(say("sees every message in INBOX"), sorted(one["subject"] for one in found) == sorted(there) and set(sent) <= set(there), str(found))
    uses = step("finds the mailboxes", "discoverFolders", user)
    check(say("knows what the mailboxes are for"), uses == ["Sent", "Drafts", "Trash", "Junk", "Archive"], str(uses))
    for subject in sent:
        got = base64.b64decode(step(f"reads {subject}", "read", user, "INBOX", subject) or "")
        # From its own store a message comes with two fields of its own before it.
        got = re.sub(rb"(?m)\A(X-Mozilla-Status2?: .*\r?\n)*", b"", got)
        check(say(f"reads {subject} as it is"), got.replace(b"\r\n", b"\n") == there[subject][1].replace(b"\r\n", b"\n"), repr(got[:200]))
    check(say("downloads all of INBOX"), step("downloads", "download", user, "INBOX") == len(there))

    step("marks", "mark", user, "INBOX", f"{name} zebra")
    wanted = {r"\Seen", r"\Flagged", "$label1"}
    eye.until(say("read, flagged, tagged"), lambda: wanted <= eye.messages("INBOX")[f"{name} zebra"][0])
    step("says it is junk", "junk", user, "INBOX", f"{name} okapi")
    eye.until(say("junk is marked"), lambda: {flag.lower() for flag in eye.messages("INBOX")[f"{name} okapi"][0]} & {"junk", "$junk"})

    step("makes a folder", "createFolder", user, "", "Work & play")
    step("makes one within", "createFolder", user, "Work & play", "Gr\u00fc\u00dfe")
    eye.until(say("folders are there"), lambda: {"Work &- play", "Work &- play/Gr&APwA3w-e"} <= set(eye.mailboxes()))
    step("copies", "transfer", user, "INBOX", [f"{name} zebra", f"{name} quokka"], "Work & play", False)
    eye.until(say("copies are there"), lambda: set(eye.messages("Work &- play")) == {f"{name} zebra", f"{name} quokka"})
    check(say("a copy keeps its flags"), wanted <= eye.messages("Work &- play")[f"{name} zebra"][0])
    step("moves", "transfer", user, "INBOX", [f"{name} narwhal"], "Work & play/Gr\u00fc\u00dfe", True)
    eye.until(say("moved, there"), lambda: set(eye.messages("Work &- play/Gr&APwA3w-e")) == {f"{name} narwhal"})
    check(say("moved, no longer here"), f"{name} narwhal" not in eye.messages("INBOX"))
    step("renames", "renameFolder", user, "Work & play", "Work")
    eye.until(say("renamed, with what is within"), lambda: {"Work", "Work/Gr&APwA3w-e"} <= set(eye.mailboxes()))

    for words, hits in (
        ([["Subject", "Contains", "axolotl"]], ["axolotl"]),
        ([["Body", "Contains", "two dots"]], ["axolotl", "okapi", "quokka", "zebra"]),
        ([["Sender", "Contains", "carol"], ["Subject", "DoesntContain", "zebra"]], ["axolotl", "okapi", "quokka"]),
        ([["Body", "Contains", "\u4f60\u597d"]], ["axolotl", "okapi", "quokka", "zebra"]),
        ([["Body", "Contains", "nothing of the kind"]], []),
    ):
        hits = [f"{name} {word}" for word in hits]
        found = step(f"searches {words}", "search", user, "INBOX", words)
        mine = sorted(one for one in found or [] if one in sent)
        check(say(f"the server finds {words}"), found is not None and mine == hits, str(found))

    demo.deliver(message(f"{name} news", to=user), user)
    came = step("waits", "waitForMessage", user, "INBOX", f"{name} news")
    check(say("new mail comes without asking"), came is not None)

    step("deletes", "remove", user, "INBOX", f"{name} quokka", False)
    eye.until(say("deleted is in Trash"), lambda: f"{name} quokka" in eye.messages("Trash") and f"{name} quokka" not in eye.messages("INBOX"))
    step("deletes for ever", "remove", user, "INBOX", f"{name} okapi", True)
    step("expunges", "expunge", user, "INBOX")
    eye.until(say("deleted for ever is gone"), lambda: f"{name} okapi" not in eye.messages("INBOX") and f"{name} okapi" not in eye.messages("Trash"))
    step("deletes a folder", "deleteFolder", user, "Work/Gr\u00fc\u00dfe")
    eye.until(say("a deleted folder is in Trash"), lambda: "Trash/Gr&APwA3w-e" in eye.mailboxes())
    step("empties the trash", "emptyTrash", user)
    eye.until(say("the trash is empty"), lambda: not eye.messages("Trash") and not [name for name in eye.mailboxes() if name.startswith("Trash/")])

    body = "Hello,\r\n.a dot\r\nGr\u00fc\u00dfe \u4f60\u597d\r\n"
    step("keeps a draft", "write", user, other, f"{name} draft", body, True)
    eye.until(say("the draft is in Drafts"), lambda: r"\Draft" in eye.messages("Drafts")[f"{name} draft"][0] or eye.messages("Drafts")[f"{name} draft"])
    step("sends", "write", user, other, f"{name} sends", body, False)
    eye.until(say("its copy is in Sent"), lambda: b"Subject: " in eye.messages("Sent")[f"{name} sends"][1])
    theirs = Eye(demo, other)
    theirs.until(say("what it sends arrives"), lambda: f"{name} sends" in theirs.messages("INBOX"))
    arrived, kept = theirs.messages("INBOX").get(f"{name} sends"), eye.messages("Sent").get(f"{name} sends")
    check(say("as it was kept"), bool(arrived and kept) and arrived[1].split(b"\r\n\r\n", 1)[1] == kept[1].split(b"\r\n\r\n", 1)[1], f"{arrived} {kept}")
    theirs.imap.logout()
    eye.imap.logout()


def between(bird, demo):
    """From one account to the other, by way of Thunderbird: FETCH here, APPEND there."""
    tried("copies between accounts", lambda: bird.run("transfer", ALICE, "INBOX", ["alice axolotl"], "Archive", False, BOB))
    eye = Eye(demo, BOB)
    eye.until("a message goes from account to account", lambda: "alice axolotl" in eye.messages("Archive"))
    mine = Eye(demo, ALICE)
    there, here = eye.messages("Archive").get("alice axolotl"), mine.messages("INBOX").get("alice axolotl")
    check("without a change", bool(there and here) and there[1] == here[1], f"{there} {here}")
    eye.imap.logout()
    mine.imap.logout()


def recorded(demo):
    done = subprocess.run([BINARY, "replay", demo.records], capture_output=True, text=True)
    check(f"its sessions replay: {done.stdout.splitlines()[-1] if done.stdout else ''}", done.returncode == 0, done.stdout[:2000])
    shown = subprocess.run([BINARY, "replay", "--show", demo.records], capture_output=True, text=True).stdout
    said = set(re.findall(r"C: \d+ ((?:uid )?[a-z]+)", shown, re.I))
    print("        it said: " + ", ".join(sorted(word.upper() for word in said)))
    for word in ("IDLE", "UID FETCH", "UID STORE", "UID COPY", "UID MOVE", "UID SEARCH", "APPEND", "CREATE", "RENAME", "DELETE", "EXPUNGE", "ID"):
        check(f"it said {word}", word in {one.upper() for one in said})
    answers = re.findall(r"S: \d+ BAD.*", shown)
    check("nothing that it said was BAD", not answers, "; ".join(answers[:5]))


def main():
    if not shutil.which("thunderbird"):
        skip("no thunderbird here")
    if not alone():
        skip("no network namespace to be had (unshare -n)")
    need()
    with tempfile.TemporaryDirectory(prefix="pillarbox-thunderbird-") as folder:
        kept = sys.argv[1] if len(sys.argv) > 1 else folder
        os.makedirs(kept, exist_ok=True)
        demo = Demo(kept)
        with open(os.path.join(kept, "passwords"), "w") as file:
            json.dump(demo.password, file)
        bird = Thunderbird(folder, NAMES, {})
        try:
            print(f"        Thunderbird {bird.version}")
            settings(bird)
            account(bird, demo, ALICE, False)
            account(bird, demo, BOB, True)
            between(bird, demo)
            check("it quits", bird.quit() == 0)
        finally:
            bird.stop()
            code = demo.stop()
        check("the demo stops as it should", code == 0, str(code))
        check("sessions were recorded", len(glob.glob(os.path.join(demo.records, "*.trace"))) > 10)
        recorded(demo)
    finish()


if __name__ == "__main__":
    main()
