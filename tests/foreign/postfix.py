#!/usr/bin/env python3
"""Debian's Postfix on either side. It delivers to us over STARTTLS, and a client in IDLE hears of it. Then we deliver to it: 8-bit text,
dots and long lines, refusals for now and for good, its size limit, the null sender; what arrives in its Maildir is what was sent.
Needs postfix, openssl and root (Postfix wants it). Postfix runs from its own configuration and spool in a temporary folder, on loopback
only."""
import email
import glob
import imaplib
import os
import re
import shutil
import smtplib
import socket
import subprocess
import tempfile
import time

from between import DELIVERY
from common import PASSWORD, Server, check, finish, free_port, insecure, message, need, same_below_trace, wait_for
from dns import Dns

need("postfix", "postconf", "openssl", root=True)

SERVICES = """pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
proxywrite unix - - n - 1 proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
virtual unix - n n - - virtual
discard unix - - n - - discard
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
"""


class Postfix:
    """A Postfix with some settings of its own: `{folder}` in them is its folder."""

    def __init__(self, settings, address="127.0.0.1", port=None):
        self.folder = tempfile.mkdtemp(prefix="pillarbox-postfix-")
        os.chmod(self.folder, 0o755)
        self.address, self.port = address, port or free_port()
        for name in ("config", "spool", "data"):
            os.mkdir(os.path.join(self.folder, name))
        shutil.chown(os.path.join(self.folder, "data"), "postfix")
        folder = self.folder
        with open(os.path.join(folder, "config", "main.cf"), "w") as main:
            main.write(
                f"compatibility_level = 3.6\nqueue_directory = {folder}/spool\ndata_directory = {folder}/data\n"
                "command_directory = /usr/sbin\ndaemon_directory = /usr/lib/postfix/sbin\nmail_owner = postfix\nsetgid_group = postdrop\n"
                "mydestination =\nmynetworks = 127.0.0.0/8\ninet_interfaces = 127.0.0.1\ninet_protocols = ipv4\n"
                "alias_maps =\nalias_database =\nlocal_recipient_maps =\nsmtp_dns_support_level = disabled\nsmtp_host_lookup = native\n"
                f"maillog_file = {folder}/maillog\nmaillog_file_prefixes = {folder}\n" + settings.replace("{folder}", folder)
            )
        with open(os.path.join(folder, "config", "master.cf"), "w") as master:
            master.write(f"{address}:{self.port} inet n - n - - smtpd\n" + SERVICES)
        self.prepare()
        if not os.path.exists("/etc/postfix/main.cf"):
            with open("/etc/postfix/main.cf", "w") as main:
                main.write("compatibility_level = 3.6\ninet_interfaces = 127.0.0.1\n")
        # Postfix's tools accept another configuration only when the main one names it.
        self.before = subprocess.run(["postconf", "-h", "alternate_config_directories"], capture_output=True, text=True).stdout.strip()
        names = ", ".join(filter(None, [self.before, f"{folder}/config"]))
        subprocess.run(["postconf", "-e", f"alternate_config_directories = {names}"], check=True)
        started = subprocess.run(["postfix", "-c", f"{folder}/config", "start"], capture_output=True, text=True)
        if started.returncode != 0:
            raise RuntimeError(f"postfix does not start: {started.stderr}{self.log()}")
        wait_for(self.port, address=address)

    def prepare(self):
        """Files that the settings name."""

    def reload(self):
        subprocess.run(["postfix", "-c", f"{self.folder}/config", "reload"], check=True, capture_output=True)

    def log(self):
        try:
            with open(os.path.join(self.folder, "maillog")) as log:
                return log.read()
        except OSError:
            return ""

    def stop(self):
        subprocess.run(["postfix", "-c", f"{self.folder}/config", "stop"], capture_output=True)
        subprocess.run(["postconf", "-e", f"alternate_config_directories = {self.before}"])
        shutil.rmtree(self.folder, ignore_errors=True)


def idle(port):
    """A session in IDLE: its socket and reader."""
    connection = socket.create_connection(("127.0.0.1", port))
    reader = connection.makefile("rb")
    reader.readline()
    for command, ends in ((f'a LOGIN alice@here.test "{PASSWORD}"', b"a OK"), ("b SELECT INBOX", b"b OK"), ("c IDLE", b"+")):
        connection.sendall(command.encode() + b"\r\n")
        while not (line := reader.readline()).startswith(ends):
            if not line or line.startswith(ends[:2] + b"NO") or line.startswith(ends[:2] + b"BAD"):
                raise RuntimeError(f"{command}: {line!r}")
    return connection, reader


RELAY = """myhostname = relay.there.test
smtpd_relay_restrictions = permit_mynetworks, reject
smtpd_tls_security_level = none
smtp_tls_security_level = encrypt
smtp_tls_loglevel = 1
transport_maps = inline:{ { here.test = smtp:[127.0.0.1]:%d } }
"""


def to_us():
    with Server() as server:
        postfix = Postfix(RELAY % server.port["smtp"])
        try:
            connection, reader = idle(server.port["imap"])
            data = [message(f"by Postfix {number}") for number in range(20)]
            with smtplib.SMTP("127.0.0.1", postfix.port, "client.there.test") as smtp:
                for one in data:
                    smtp.sendmail("carol@there.test", ["alice@here.test"], one, ["BODY=8BITMIME"])
            connection.settimeout(60)
            exists = 0
            while exists < len(data):
                line = reader.readline()
                if line.endswith(b" EXISTS\r\n"):
                    exists = int(line.split()[1])
                elif not line:
                    break
            check("a client in IDLE hears of all messages", exists == len(data), str(exists))
            connection.sendall(b"DONE\r\n")
            check("and its IDLE ends", any(iter_until(reader, b"c OK")))
            connection.close()
            with imaplib.IMAP4("127.0.0.1", server.port["imap"]) as imap:
                imap.login("alice@here.test", PASSWORD)
                _, [count] = imap.select("INBOX")
                check("all messages are there once", int(count) == len(data), str(count))
                found = [imap.fetch(str(number), "(BODY.PEEK[])")[1][0][1] for number in range(1, int(count) + 1)]
            for number, one in enumerate(data):
                # Postfix puts its own Received in front; it is a trace field too.
                matching = [body for body in found if not same_below_trace(body, one)]
                check(f"message {number} is byte-identical below the trace fields", len(matching) == 1, str(len(matching)))
            wait = time.monotonic() + 10
            while postfix.log().count("status=sent") < len(data) and time.monotonic() < wait:
                time.sleep(0.1)
            log = postfix.log()
            check("Postfix counts them as sent", log.count("status=sent") == len(data), str(log.count("status=sent")))
            check("over TLS", "TLS connection established to 127.0.0.1" in log, log[-500:])
            check("and has no complaint", "warning:" not in log and "deferred" not in log, log[-500:])
        finally:
            postfix.stop()


# What Postfix does for postfix.test: mailboxes in Maildirs, TLS, a small size limit, and a list of recipients that it refuses.
MAILBOXES = """myhostname = mx.postfix.test
virtual_mailbox_domains = postfix.test
virtual_mailbox_base = {folder}/mail
virtual_mailbox_maps = inline:{ { bob@postfix.test = bob/ }, { later@postfix.test = later/ } }
virtual_uid_maps = static:65534
virtual_gid_maps = static:65534
virtual_minimum_uid = 100
smtpd_relay_restrictions = reject_unauth_destination
smtpd_recipient_restrictions = check_recipient_access texthash:{folder}/config/refused, permit
smtpd_tls_security_level = may
smtpd_tls_cert_file = {folder}/config/cert.pem
smtpd_tls_key_file = {folder}/config/key.pem
smtpd_tls_loglevel = 1
message_size_limit = 30000
strict_rfc821_envelopes = yes
"""


class Mailboxes(Postfix):
    def __init__(self, address, port):
        super().__init__(MAILBOXES, address, port)

    def prepare(self):
        """Files that the settings name; before the first connection."""
        config = os.path.join(self.folder, "config")
        names = ["-keyout", f"{config}/key.pem", "-out", f"{config}/cert.pem", "-subj", "/CN=mx.postfix.test"]
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *names], check=True, capture_output=True)
        os.mkdir(os.path.join(self.folder, "mail"))
        shutil.chown(os.path.join(self.folder, "mail"), "nobody", "nogroup")
        self.refuse("later@postfix.test 451 4.7.1 come back later")

    def refuse(self, lines):
        with open(os.path.join(self.folder, "config", "refused"), "w") as file:
            file.write(lines + "\n")

    def mail(self, user, count, seconds=30):
        """What is in a Maildir, with CRLF, when there are so many."""
        end = time.monotonic() + seconds
        while True:
            paths = glob.glob(os.path.join(self.folder, "mail", user, "new", "*"))
            if len(paths) >= count or time.monotonic() > end:
                found = []
                for path in sorted(paths):
                    with open(path, "rb") as file:
                        found.append(file.read().replace(b"\n", b"\r\n"))
                return found
            time.sleep(0.1)


def from_us():
    port = free_port()
    with Dns({"postfix.test": {"MX": ["10 mx.postfix.test"]}, "mx.postfix.test": {"A": ["127.0.0.6"]}}) as dns:
        tables = DELIVERY.format(dns=dns.server, port=port)
        with Server(tables=tables) as server:
            postfix = Mailboxes("127.0.0.6", port)
            try:
                talk_to(server, postfix)
            finally:
                postfix.stop()


def talk_to(server, postfix):
    long_line = message("line of 998", "alice@here.test", "bob@postfix.test", "x" * 998 + "\r\n." + "y" * 996 + "\r\n")
    messages = [message(f"to Postfix {number}", "alice@here.test", "bob@postfix.test") for number in range(10)] + [long_line]
    with smtplib.SMTP_SSL("127.0.0.1", server.port["submissions"], "client.here.test", context=insecure()) as smtp:
        smtp.login("alice@here.test", PASSWORD)
        for one in messages:
            smtp.sendmail("alice@here.test", ["bob@postfix.test"], one, ["BODY=8BITMIME"])
        large = message("too large", "alice@here.test", "bob@postfix.test", "z" * 70 + "\r\n" + ("z" * 70 + "\r\n") * 500)
        smtp.sendmail("alice@here.test", ["bob@postfix.test"], large, ["BODY=8BITMIME"])
        smtp.sendmail("alice@here.test", ["nobody@postfix.test", "bob@postfix.test"], message("half of it", "alice@here.test"), ["BODY=8BITMIME"])
        smtp.sendmail("alice@here.test", ["later@postfix.test"], message("greylisted", "alice@here.test"), ["BODY=8BITMIME"])
        smtp.sendmail("", ["bob@postfix.test"], message("null sender", "alice@here.test"), ["BODY=8BITMIME"])
    arrived = postfix.mail("bob", len(messages) + 2)
    check("Postfix has all messages once", len(arrived) == len(messages) + 2, str(len(arrived)))
    for number, one in enumerate(messages):
        matching = [body for body in arrived if not below_trace(body, one)]
        check(f"message {number} for Postfix is byte-identical below the trace fields", len(matching) == 1, str(len(matching)))
    null = [body for body in arrived if b"Subject: null sender\r\n" in body]
    check("the null sender stays null", len(null) == 1 and null[0].startswith(b"Return-Path: <>\r\n"), str([body[:40] for body in null]))
    check("over TLS", "Anonymous TLS connection established from" in postfix.log() or "TLS connection established from" in postfix.log(), postfix.log()[-500:])
    check("4yz leaves it in the queue", "later@postfix.test" in server.cli("queue", "list"), server.cli("queue", "list"))
    postfix.refuse("")
    postfix.reload()
    server.cli("queue", "retry", "all")
    check("and it goes when it may", len(postfix.mail("later", 1)) == 1)
    end, reports = time.monotonic() + 30, {}
    while len(reports) < 2 and time.monotonic() < end:
        time.sleep(0.2)
        reports = read_reports(server)
    check("a report says that it was too large for Postfix", reports.get("bob@postfix.test", "").startswith("5.3.4"), str(reports))
    check("a report says whom Postfix does not know", reports.get("nobody@postfix.test", "").startswith("5.1.1"), str(reports))
    check("the log of Postfix has no complaint", "warning:" not in postfix.log(), "\n".join(line for line in postfix.log().splitlines() if "warning:" in line))


def below_trace(arrived, sent):
    """As `same_below_trace`; Postfix writes X-Original-To too, and one line end less or more."""
    arrived = re.sub(rb"\AReturn-Path: [^\r]*\r\nX-Original-To: [^\r]*\r\n", b"", arrived)
    return same_below_trace(arrived, sent)


def read_reports(server):
    """Whom reports speak of, with the status."""
    found = {}
    with imaplib.IMAP4_SSL("127.0.0.1", server.port["imaps"], ssl_context=insecure()) as imap:
        imap.login("alice@here.test", PASSWORD)
        _, [count] = imap.select("INBOX", readonly=True)
        for number in range(1, int(count) + 1):
            parsed = email.message_from_bytes(imap.fetch(str(number), "(BODY.PEEK[])")[1][0][1])
            for part in parsed.walk():
                if part.get_content_type() == "message/delivery-status":
                    for block in part.get_payload()[1:]:
                        found[block["Final-Recipient"].split(";")[1].strip()] = block["Status"]
    return found


def main():
    to_us()
    from_us()
    finish()


def iter_until(reader, start):
    while line := reader.readline():
        if line.startswith(start):
            yield True
            return


if __name__ == "__main__":
    main()
