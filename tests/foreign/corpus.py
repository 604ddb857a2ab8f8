#!/usr/bin/env python3
"""All messages of the test data folders `mime` and `mailing-lists` appended and fetched back through imaplib, byte-identical, and their sizes
as announced. Needs the test data (`PILLARBOX_TEST_DATA`)."""
import imaplib
import os
import re
import sys

from common import DATA, PASSWORD, Server, check, finish, need

need()

BIGGEST = 40 * 1024 * 1024


def messages(folder):
    """Each file as one message; an mbox as many."""
    for path, _, names in os.walk(folder):
        for name in sorted(names):
            with open(os.path.join(path, name), "rb") as file:
                data = file.read()
            if data.startswith(b"From ") and re.search(rb"\n\nFrom |\n\r\nFrom ", data):
                for number, one in enumerate(re.split(rb"(?m)^From [^\n]*\n", data)[1:]):
                    yield f"{name}#{number}", one
            elif data:
                yield name, data


def wire(data):
    """As IMAP wants a message: CRLF; octets else as they are. NUL has no place in an ordinary literal."""
    return re.sub(rb"\r\n|\r|\n", b"\r\n", data).replace(b"\0", b"")


def main():
    folders = [os.path.join(DATA, name) for name in ("mime", "mailing-lists")]
    if not all(os.path.isdir(folder) for folder in folders):
        print(f"SKIPPED: corpus.py needs {' and '.join(folders)}")
        print("0 passed, 0 failed")
        sys.exit(0)
    with Server(protocols=("imap",)) as server, imaplib.IMAP4("127.0.0.1", server.port["imap"]) as imap:
        imaplib._MAXLINE = 1 << 26
        imap.login("alice@here.test", PASSWORD)
        for folder, box in zip(folders, ("Archive", "Drafts")):
            sent, refused = [], []
            for name, data in messages(folder):
                data = wire(data)
                if len(data) > BIGGEST:
                    continue
                status, answer = imap.append(box, None, None, data)
                (sent if status == "OK" else refused).append((name, data, answer))
            check(f"{os.path.basename(folder)}: {len(sent)} messages are appended", sent and not refused, f"{len(refused)} refused: {[r[::2] for r in refused[:3]]}")
            status, [count] = imap.select(box, readonly=True)
            check(f"{os.path.basename(folder)}: all are there", status == "OK" and int(count) == len(sent), str(count))
            wrong, sizes = [], []
            for number, (name, data, _) in enumerate(sent, 1):
                _, parts = imap.fetch(str(number), "(RFC822.SIZE BODY.PEEK[])")
                announced = int(re.search(rb"RFC822.SIZE (\d+)", b"".join(p if isinstance(p, bytes) else p[0] for p in parts)).group(1))
                if parts[0][1] != data:
                    wrong.append(name)
                if announced != len(data):
                    sizes.append(name)
            check(f"{os.path.basename(folder)}: {len(sent)} bodies come back byte-identical", not wrong, str(wrong[:5]))
            check(f"{os.path.basename(folder)}: RFC822.SIZE is the length", not sizes, str(sizes[:5]))
    finish()


if __name__ == "__main__":
    main()
