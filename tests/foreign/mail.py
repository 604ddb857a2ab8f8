#!/usr/bin/env python3
"""Mail by curl, swaks and Python through 465 and through 587 with STARTTLS; read by imaplib, curl and mbsync. Every message comes back
byte-identical below the trace fields. Needs curl, swaks, mbsync (Debian: curl swaks isync)."""
import glob
import imaplib
import os
import smtplib
import ssl

from common import PASSWORD, SENDERS, Server, check, finish, insecure, message, need, run, same_below_trace

need("curl", "swaks", "mbsync")


def read_imaplib(server):
    with imaplib.IMAP4_SSL("127.0.0.1", server.port["imaps"], ssl_context=insecure()) as imap:
        imap.login("alice@here.test", PASSWORD)
        _, [count] = imap.select("INBOX", readonly=True)
        return [imap.fetch(str(number), "(BODY.PEEK[])")[1][0][1] for number in range(1, int(count) + 1)]


def read_imaplib_starttls(server):
    with imaplib.IMAP4("127.0.0.1", server.port["imap"]) as imap:
        imap.starttls(insecure())
        imap.login("alice@here.test", PASSWORD)
        _, [count] = imap.select("INBOX", readonly=True)
        _, parts = imap.fetch(f"1:{int(count)}", "(UID BODY.PEEK[])")
        return [part[1] for part in parts if isinstance(part, tuple)]


def read_curl(server, count):
    user = ["-u", f"alice@here.test:{PASSWORD}"]
    url = f"imaps://127.0.0.1:{server.port['imaps']}/INBOX"
    return [run(["curl", "-sS", "-k", *user, f"{url};MAILINDEX={number}"]) for number in range(1, count + 1)]


def read_mbsync(server):
    certificate = os.path.join(server.folder, "cert.pem")
    with open(certificate, "w") as file:
        file.write(ssl.get_server_certificate(("127.0.0.1", server.port["imaps"])))
    mails = os.path.join(server.folder, "maildir")
    os.makedirs(mails, exist_ok=True)
    config = os.path.join(server.folder, "mbsyncrc")
    with open(config, "w") as file:
        file.write(
            f'IMAPAccount a\nHost 127.0.0.1\nPort {server.port["imaps"]}\nUser alice@here.test\nPass "{PASSWORD}"\n'
            f"SSLType IMAPS\nCertificateFile {certificate}\nSystemCertificates no\nAuthMechs LOGIN\n\n"
            f"IMAPStore far\nAccount a\n\nMaildirStore near\nPath {mails}/\nInbox {mails}/INBOX\nSubFolders Verbatim\n\n"
            f"Channel c\nFar :far:\nNear :near:\nPatterns *\nCreate Both\nSync All\nSyncState {mails}/state-\n"
        )
    run(["mbsync", "-c", config, "-a"])
    return config, mails


def main():
    with Server() as server:
        sent = []
        for name, send in SENDERS:
            for port, implicit in (("submissions", True), ("submission", False)):
                data = message(f"{name} {port}", "bob@here.test")
                try:
                    send(server, server.port[port], data, implicit, "bob@here.test", "alice@here.test")
                    check(f"{name} sends through {port}", True)
                    sent.append((f"{name} {port}", data))
                except Exception as error:
                    check(f"{name} sends through {port}", False, str(error))
        # swaks ends its data with one line end more or less, by its version.
        for reader, read in (
            ("imaplib over TLS", read_imaplib),
            ("imaplib with STARTTLS", read_imaplib_starttls),
            ("curl", lambda server: read_curl(server, len(sent))),
        ):
            try:
                found = read(server)
            except Exception as error:
                check(f"{reader} reads", False, str(error))
                continue
            check(f"{reader} finds {len(sent)} messages", len(found) == len(sent), str(len(found)))
            for fetched, (name, data) in zip(found, sent):
                if name.startswith("swaks"):
                    fetched, data = fetched.rstrip(b"\r\n"), data.rstrip(b"\r\n")
                why = same_below_trace(fetched, data)
                check(f"{reader} gets the message of {name} byte-identical", not why, why)
        mbsync(server, sent)
        relaying(server)
    finish()


def without_tuid(path):
    """A message in a Maildir without the field that mbsync puts into what it copies."""
    with open(path, "rb") as file:
        return b"".join(line for line in file.readlines() if not line.startswith(b"X-TUID:"))


def mbsync(server, sent):
    try:
        config, mails = read_mbsync(server)
        found = glob.glob(os.path.join(mails, "INBOX", "*", "*"))
        bodies = [without_tuid(path) for path in found]
        check(f"mbsync finds {len(sent)} messages", len(bodies) == len(sent), str(len(bodies)))
        for name, data in sent:
            plain = data.replace(b"\r\n", b"\n").rstrip(b"\n")
            check(f"mbsync gets the message of {name}", any(body.rstrip(b"\n").endswith(plain) for body in bodies))
        new = message("put by mbsync", "bob@here.test")
        os.makedirs(os.path.join(mails, "INBOX", "new"), exist_ok=True)
        with open(os.path.join(mails, "INBOX", "new", "1.1.host"), "wb") as file:
            file.write(new.replace(b"\r\n", b"\n"))
        run(["mbsync", "-c", config, "-a"])
        last = read_imaplib(server)[-1]
        last = b"\r\n".join(line for line in last.split(b"\r\n") if not line.startswith(b"X-TUID:"))
        check("a message that mbsync appends comes back", last == new, repr(last[-80:]))
        run(["mbsync", "-c", config, "-a"])
        again = len(glob.glob(os.path.join(mails, "INBOX", "*", "*")))
        check("a second mbsync changes nothing", again == len(sent) + 1, str(again))
    except Exception as error:
        check("mbsync syncs", False, str(error))


def relaying(server):
    connection = smtplib.SMTP("127.0.0.1", server.port["smtp"], "client.there.test")
    connection.ehlo()
    connection.mail("carol@there.test")
    code, text = connection.rcpt("dave@elsewhere.test")
    check("a stranger cannot relay", 500 <= code < 600, f"{code} {text}")
    code, text = connection.rcpt("nobody@here.test")
    check("an unknown user is refused", 500 <= code < 600, f"{code} {text}")
    connection.close()


if __name__ == "__main__":
    main()
