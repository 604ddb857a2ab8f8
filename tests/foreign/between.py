#!/usr/bin/env python3
"""Mail from one Pillarbox to another over DNS and SMTP: sent by curl, swaks and Python through 465 and through 587 with STARTTLS, read by
imaplib, curl and mbsync on the other side, byte-identical below the trace fields. Then one message to recipients of every fate, and the
reports that its sender gets; one whose successes are asked for, and theirs; one that must be re-encoded on its way. Two server processes, a DNS responder, and servers with bad manners, all on loopback.
Needs curl, swaks, mbsync (Debian: curl swaks isync)."""
import email
import email.message
import email.policy
import glob
import imaplib
import json
import os
import smtplib
import socketserver
import ssl
import threading
import time

from common import PASSWORD, SENDERS, Server, check, finish, free_port, insecure, message, need, run, same_below_trace, send_python
from dns import Dns

PORT = free_port()  # of every SMTP server here; they differ by address
DELIVERY = """
[dns]
servers = ["{dns}"]
[delivery]
port = {port}
allow_loopback_targets = true
retry = ["1s", "2s", "2s"]
"""


class Manners(socketserver.StreamRequestHandler):
    """An SMTP server that says what it is told to: `replies` by verb, a list that shrinks to its last entry."""

    def handle(self):
        self.say("220 ready")
        in_data, accepted = False, 0
        for line in self.rfile:
            line = line.rstrip(b"\r\n")
            if in_data:
                self.server.lines.append(line)
                if line == b".":
                    in_data = False
                    self.reply("END", "250 2.0.0 taken")
                continue
            verb = line[:4].decode("ascii", "replace").upper()
            if verb == "EHLO":
                self.say("250-bad.test\r\n250 PIPELINING" if self.server.seven_bit else "250-bad.test\r\n250-PIPELINING\r\n250 8BITMIME")
            elif verb == "QUIT":
                self.say("221 bye")
                return
            elif verb == "DATA" and not accepted:
                self.say("554 5.5.1 no valid recipients")
            elif verb == "DATA":
                in_data = self.reply("DATA", "354 go").startswith("354")
            else:
                taken = self.reply(verb, "250 2.0.0 OK").startswith("250")
                accepted = 0 if verb in ("MAIL", "RSET") else accepted + (verb == "RCPT" and taken)

    def reply(self, verb, otherwise):
        replies = self.server.replies.get(verb, [otherwise])
        reply = replies.pop(0) if len(replies) > 1 else replies[0]
        self.say(reply)
        return reply

    def say(self, line):
        self.wfile.write(line.encode() + b"\r\n")


class Rude(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, address, replies, seven_bit=False):
        super().__init__((address, PORT), Manners)
        self.replies, self.lines, self.seven_bit = replies, [], seven_bit
        threading.Thread(target=self.serve_forever, daemon=True).start()


def inbox(server, user, count, seconds=30):
    """The messages of an INBOX, when there are so many."""
    end = time.monotonic() + seconds
    while True:
        with imaplib.IMAP4_SSL(server.address, server.port["imaps"], ssl_context=insecure()) as imap:
            imap.login(f"{user}@{server.domain}", PASSWORD)
            _, [exists] = imap.select("INBOX", readonly=True)
            if int(exists) >= count or time.monotonic() > end:
                return [imap.fetch(str(number), "(BODY.PEEK[])")[1][0][1] for number in range(1, int(exists) + 1)]
        time.sleep(0.1)


def there_and_back(here, there):
    sent = []
    for name, send in SENDERS:
        for port, implicit in (("submissions", True), ("submission", False)):
            data = message(f"{name} {port}", "alice@here.test", "bob@there.test")
            try:
                send(here, here.port[port], data, implicit, "alice@here.test", "bob@there.test")
                check(f"{name} sends through {port}", True)
                sent.append((f"{name} {port}", data))
            except Exception as error:
                check(f"{name} sends through {port}", False, str(error))
    found = inbox(there, "bob", len(sent))
    check(f"imaplib finds {len(sent)} messages on the other side", len(found) == len(sent), str(len(found)))
    for name, data in sent:
        # swaks ends its data with one line end more or less, by its version.
        strip = bytes.rstrip if name.startswith("swaks") else lambda data: data
        subject = b"Subject: " + name.encode() + b"\r\n"
        matching = [body for body in found if subject in body]
        why = same_below_trace(strip(matching[0]), strip(data)) if matching else "absent"
        check(f"the message of {name} is byte-identical", not why and len(matching) == 1, why)
    first = found[0].decode(errors="replace")
    check("it went over TLS", "with ESMTPS id" in first.split("by mx.here.test")[0], first[:600])
    user = ["-u", f"bob@there.test:{PASSWORD}"]
    by_curl = run(["curl", "-sS", "-k", *user, f"imaps://{there.address}:{there.port['imaps']}/INBOX;MAILINDEX=1"])
    check("curl reads the same", by_curl == found[0])
    check("mbsync reads the same", sorted(by_mbsync(there)) == sorted(body.replace(b"\r\n", b"\n") for body in found))
    return len(found)


def by_mbsync(server):
    certificate = os.path.join(server.folder, "cert.pem")
    with open(certificate, "w") as file:
        file.write(ssl.get_server_certificate((server.address, server.port["imaps"])))
    mails = os.path.join(server.folder, "maildir")
    os.makedirs(mails, exist_ok=True)
    config = os.path.join(server.folder, "mbsyncrc")
    with open(config, "w") as file:
        file.write(
            f'IMAPAccount a\nHost {server.address}\nPort {server.port["imaps"]}\nUser bob@there.test\nPass "{PASSWORD}"\n'
            f"SSLType IMAPS\nCertificateFile {certificate}\nSystemCertificates no\nAuthMechs LOGIN\n\n"
            f"IMAPStore far\nAccount a\n\nMaildirStore near\nPath {mails}/\nInbox {mails}/INBOX\n\n"
            f"Channel c\nFar :far:\nNear :near:\nPatterns INBOX\nCreate Near\nSync Pull\nSyncState {mails}/state-\n"
        )
    run(["mbsync", "-c", config, "-a"])
    found = []
    for path in glob.glob(os.path.join(mails, "INBOX", "*", "*")):
        with open(path, "rb") as file:
            found.append(b"".join(line for line in file.readlines() if not line.startswith(b"X-TUID:")))
    return found


FATES = {
    # recipient: (Status of its report, what stands in the reply), or None when there is none
    "bob@here.test": None,
    "alice@there.test": None,
    "nobody@there.test": ("5.1.1", "550"),
    "x@refusing.test": ("5.7.1", "not today"),
    "y@later.test": None,
    "n@nomail.test": ("5.1.10", ""),
    "z@nowhere.test": ("5.", ""),
}


def fates(here, there, later, refusing):
    data = message("every fate", "alice@here.test", "many@here.test")
    send_python(here, here.port["submissions"], data, True, "alice@here.test", ",".join(FATES))
    check("the local recipient has it", any(b"Subject: every fate" in body for body in inbox(here, "bob", 1)))
    check("the remote one has it", any(b"Subject: every fate" in body for body in inbox(there, "alice", 1)))
    end = time.monotonic() + 30
    while b"." not in later.lines and time.monotonic() < end:
        time.sleep(0.1)
    check("the one that was refused at first has it in the end", b"." in later.lines and later.lines.count(b".") == 1)
    text = b"\r\n".join(line[1:] if line.startswith(b".") else line for line in later.lines[: later.lines.index(b".")]) + b"\r\n"
    why = same_below_trace(text, data)
    check("byte-identical, with its dots", not why, why)
    expected = {address for address, fate in FATES.items() if fate}
    reports, reported = [], {}
    end = time.monotonic() + 30
    while set(reported) != expected and time.monotonic() < end:
        reports = inbox(here, "alice", len(reports) + 1, 3)
        reported = {}
        for report in reports:
            for address, fields in recipients_of(report):
                reported.setdefault(address, []).append(fields)
    for address, fate in FATES.items():
        if fate is None:
            check(f"no report about {address}", address not in reported, str(reported.get(address)))
            continue
        fields = reported.get(address, [])
        right = len(fields) == 1 and fields[0]["Action"] == "failed" and fields[0]["Status"].startswith(fate[0])
        check(f"one report about {address}: {fate[0]}", right and fate[1] in fields[0].get("Diagnostic-Code", ""), str(fields))
    for report in reports:
        parsed = email.message_from_bytes(report, policy=email.policy.default)
        kinds = [part.get_content_type() for part in parsed.iter_parts()]
        check("a report is a multipart/report of three parts", parsed.get_content_type() == "multipart/report" and len(kinds) == 3, str(kinds))
        check("to the sender, from the null path, marked as automatic", parsed["Return-Path"] == "<>" and parsed["Auto-Submitted"] == "auto-replied")
        original = parsed.get_payload()[2].as_string()
        check("with the original's header", "every fate" in original, original[:300])
    check("refused mail was offered once", refusing.lines == [], str(refusing.lines[:2]))


def recipients_of(report):
    """What a report says of each recipient (RFC 3464 §2.3)."""
    parsed = email.message_from_bytes(report)
    for part in parsed.walk():
        if part.get_content_type() == "message/delivery-status":
            for block in part.get_payload()[1:]:
                yield block["Final-Recipient"].split(";")[1].strip(), block


def successes(here, there, refusing):
    """RFC 3461: NOTIFY=SUCCESS for a mailbox here, an alias of several, and two servers without DSN; ENVID and ORCPT come back."""
    here.cli("alias", "add", "friends@here.test", "bob@here.test", "alice@there.test")
    refusing.replies["RCPT"] = ["250 2.1.5 OK"]
    before = len(inbox(here, "alice", 0))
    data = message("every success", "alice@here.test", "many@here.test")
    with smtplib.SMTP_SSL(here.address, here.port["submissions"], context=insecure()) as smtp:
        smtp.login("alice@here.test", PASSWORD)
        smtp.ehlo()
        check("DSN is offered to who has logged in", smtp.has_extn("dsn"))
        smtp.mail("alice@here.test", ["RET=FULL", "ENVID=QQ+2B314159"])
        for address, options in (
            ("bob@here.test", ["NOTIFY=SUCCESS", "ORCPT=rfc822;Bob+2Bx@here.test"]),
            ("friends@here.test", ["NOTIFY=SUCCESS,FAILURE"]),
            ("bob@there.test", ["NOTIFY=SUCCESS,FAILURE"]),
            ("x@refusing.test", ["NOTIFY=SUCCESS"]),
            ("y@later.test", ["NOTIFY=FAILURE,DELAY"]),
        ):
            code, text = smtp.rcpt(address, options)
            check(f"RCPT {address} is taken", code == 250, str(text))
        code, text = smtp.data(data)
        check("the message is taken", code == 250, str(text))
    expected = {
        "bob@here.test": "delivered",
        "friends@here.test": "expanded",
        "bob@there.test": "relayed",
        "x@refusing.test": "relayed",
    }
    reported, end = {}, time.monotonic() + 30
    while set(reported) != set(expected) and time.monotonic() < end:
        time.sleep(0.2)
        reports = inbox(here, "alice", 0)[before:]
        reported = {address: fields for report in reports for address, fields in recipients_of(report)}
    actions = {address: fields["Action"] for address, fields in reported.items()}
    check("each success is reported as what it is, and nothing else", actions == expected, str(actions))
    check("once", sum(len(list(recipients_of(report))) for report in reports) == len(expected), str(reports))
    check("with a status of success", all(fields["Status"].startswith("2.") for fields in reported.values()))
    original = reported["bob@here.test"]["Original-Recipient"]
    check("ORCPT comes back", original.replace(" ", "") == "rfc822;Bob+x@here.test", original)
    for report in reports:
        parsed = email.message_from_bytes(report, policy=email.policy.default)
        parts = parsed.get_payload()
        check("a report of success has three parts", len(parts) == 3 and parsed.get_param("report-type") == "delivery-status")
        check("ENVID comes back", parts[1].get_payload()[0]["Original-Envelope-Id"] == "QQ+314159", parts[1].as_string())
        check("the header comes back, not the text", "every success" in parts[2].as_string() and parts[2].get_content_type() == "text/rfc822-headers")


def encoded(here, there):
    """What smtplib submits with a line over 998 octets, or 8-bit for a server without 8BITMIME, arrives as the same text in lines that all
    servers take."""
    seven = Rude("127.0.0.6", {}, seven_bit=True)
    text = "caf\u00e9 = " * 400 + "\r\n-- \r\nAlice\r\n"
    mail = email.message.EmailMessage(policy=email.policy.SMTP.clone(max_line_length=None, cte_type="8bit"))
    mail["From"], mail["To"], mail["Subject"] = "alice@here.test", "many@there.test", "a long line"
    mail.set_content(text.replace("\r\n", "\n"), cte="8bit")
    mail.add_attachment(b"\x01" * 3000, maintype="application", subtype="octet-stream", cte="7bit")
    mail.add_attachment("caf\u00e9 au lait\n", subtype="html", cte="8bit")
    data = mail.as_bytes()
    check("a line is too long at first", max(map(len, data.split(b"\r\n"))) > 998)
    send_python(here, here.port["submissions"], data, True, "alice@here.test", "bob@here.test,alice@there.test,z@seven.test")
    end = time.monotonic() + 30
    while b"." not in seven.lines and time.monotonic() < end:
        time.sleep(0.1)
    unstuffed = [line[1:] if line.startswith(b".") else line for line in seven.lines[: seven.lines.index(b".")]]
    check("a server without 8BITMIME gets seven bits", all(line.isascii() for line in unstuffed))
    copies = {"the seven-bit server": b"\r\n".join(unstuffed) + b"\r\n"}
    for name, server, user in (("the local mailbox", here, "bob"), ("the other server", there, "alice")):
        end, found = time.monotonic() + 30, []
        while not found and time.monotonic() < end:
            found = [body for body in inbox(server, user, 1) if b"Subject: a long line\r\n" in body]
        copies[name] = found[0] if found else b""
    for name, copy in copies.items():
        parsed = email.message_from_bytes(copy, policy=email.policy.SMTP)
        parts = [part for part in parsed.walk() if not part.is_multipart()]
        payloads = [part.get_payload(decode=True) for part in parts]
        sent = email.message_from_bytes(data, policy=email.policy.SMTP)
        want = [part.get_payload(decode=True) for part in sent.walk() if not part.is_multipart()]
        check(f"no line is over 998 octets: {name}", copy and max(map(len, copy.split(b"\r\n"))) <= 998)
        check(f"the content is the same: {name}", payloads == want, str([len(payload) for payload in payloads]))
        encodings = [part["Content-Transfer-Encoding"] for part in parts]
        third = "quoted-printable" if name == "the seven-bit server" else "8bit"
        check(f"each part has its encoding: {name}", encodings == ["quoted-printable", "base64", third], str(encodings))


def across_a_kill(here, dns):
    """What waits survives kill -9, and goes when the other side is there."""
    data = message("waits for the other side", "alice@here.test", "late@slow.test")
    send_python(here, here.port["submissions"], data, True, "alice@here.test", "late@slow.test")
    time.sleep(1.5)
    here.kill()
    here.start()
    listed = here.cli("queue", "list", "--json")
    waiting = [json.loads(line) for line in listed.splitlines()]
    check("it is in the queue after kill -9", [one["recipients"][0]["address"] for one in waiting] == ["late@slow.test"], listed)
    check("mailq shows it", "late@slow.test" in here.cli("queue", "list") and "in 1 Request." in here.cli("queue", "list"), here.cli("queue", "list"))
    slow = Rude("127.0.0.5", {})
    here.cli("queue", "retry", "all")
    end = time.monotonic() + 30
    while b"." not in slow.lines and time.monotonic() < end:
        time.sleep(0.1)
    check("and delivered once the server is there", slow.lines.count(b".") == 1)
    time.sleep(0.3)
    check("then the queue is empty", here.cli("queue", "list", "--json") == "", here.cli("queue", "list"))


def main():
    zone = {
        "there.test": {"MX": ["10 mx.there.test"]},
        "mx.there.test": {"A": ["127.0.0.2"]},
        "here.test": {"MX": ["10 mx.here.test"]},
        "mx.here.test": {"A": ["127.0.0.1"]},
        "refusing.test": {"MX": ["10 mx.refusing.test"]},
        "mx.refusing.test": {"A": ["127.0.0.3"]},
        "later.test": {"A": ["127.0.0.4"]},
        "nomail.test": {"MX": ["0 ."]},
        "slow.test": {"A": ["127.0.0.5"]},
        "seven.test": {"A": ["127.0.0.6"]},
    }
    later = Rude("127.0.0.4", {"RCPT": ["451 4.3.2 come back later", "250 2.1.5 OK"]})
    refusing = Rude("127.0.0.3", {"RCPT": ["550 5.7.1 not today"]})
    with Dns(zone) as dns:
        tables = DELIVERY.format(dns=dns.server, port=PORT)
        with Server(tables=tables, ports={"smtp": PORT}) as here, Server(
            domain="there.test", address="127.0.0.2", tables=tables, ports={"smtp": PORT}
        ) as there:
            there_and_back(here, there)
            fates(here, there, later, refusing)
            successes(here, there, refusing)
            encoded(here, there)
            across_a_kill(here, dns)
    finish()


if __name__ == "__main__":
    need("curl", "swaks", "mbsync")
    main()
