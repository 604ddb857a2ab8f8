#!/usr/bin/env python3
"""Every message of the test data is appended by imaplib and fetched back byte-identical.

The data folder is $PILLARBOX_TEST_DATA, or ../shared/data beside the checkout; without it there is nothing to do.
"""
import imaplib
import os
import re
import sys

from common import BINARY, Count, DATA, PASSWORD, Server, need

count = Count()
imaplib._MAXLINE = 10**9


def messages():
    """Each message file with its name; lone LF becomes CRLF; an mbox's first From_ line goes."""
    for top in ("mime", "mailing-lists"):
        for folder, folders, names in os.walk(os.path.join(DATA, top)):
            folders.sort()
            for name in sorted(names):
                if re.search(r"\.(json|xml|out|golden|html|pem|key|yml|LICENSE|md|bin)$", name) or "_decoded" in name:
                    continue
                if name.startswith(("README", "LICENSE", "ARTISTIC")):
                    continue
                with open(os.path.join(folder, name), "rb") as file:
                    text = file.read()
                if text.startswith(b"From ") and b"\n" in text:
                    text = text.split(b"\n", 1)[1]
                text = re.sub(rb"(?<!\r)\n", b"\r\n", text)
                if text:
                    yield os.path.relpath(os.path.join(folder, name), DATA), text


def main():
    need(BINARY)
    if not os.path.isdir(DATA):
        print("no test data at", DATA, file=sys.stderr)
        print("1 passed, 0 failed, 1 skipped")
        return
    with Server() as server:
        client = imaplib.IMAP4("127.0.0.1", server.ports["imap"])
        client.login("alice@one.test", PASSWORD)
        sent, refused, different = [], [], []
        for name, text in messages():
            if b"\0" in text:
                # RFC 3501 has no literal that may carry NUL: BAD is the right answer (see rules on NUL).
                try:
                    status = client.append("INBOX", None, None, text)[0]
                except imaplib.IMAP4.error:
                    status = "BAD"
                count.check(f"{name}: NUL in a literal is refused", status != "OK")
                continue
            status, data = client.append("INBOX", None, None, text)
            if status == "OK":
                sent.append((name, text))
            else:
                refused.append(f"{name}: {data}")
        client.select("INBOX")
        for number, (name, text) in enumerate(sent, 1):
            data = client.fetch(str(number), "(RFC822.SIZE BODY.PEEK[])")[1]
            if data[0][1] != text or f"RFC822.SIZE {len(text)}".encode() not in data[0][0]:
                different.append(name)
        count.check(f"{len(sent)} messages appended", not refused, str(refused[:5]))
        count.check("fetched back byte-identical, of the right size", not different, str(different[:5]))
        header = client.fetch("1:*", "(BODY.PEEK[HEADER])")[1]
        text = client.fetch("1:*", "(BODY.PEEK[TEXT])")[1]
        halves = zip([item[1] for item in header if isinstance(item, tuple)], [item[1] for item in text if isinstance(item, tuple)])
        whole = [first + second for first, second in halves]
        count.check("header and text make the whole", whole == [text for _, text in sent])
        client.logout()
    count.end()


if __name__ == "__main__":
    main()
