#!/usr/bin/env python3
"""Debian's Postfix delivers to us over STARTTLS, and a client in IDLE hears of it. Needs postfix and root (Postfix wants it). Postfix
runs from its own configuration and spool in a temporary folder, on loopback only."""
import imaplib
import os
import shutil
import smtplib
import socket
import subprocess
import tempfile
import time

from common import PASSWORD, Server, check, finish, free_port, message, need, same_below_trace, wait_for

need("postfix", "postconf", root=True)

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
discard unix - - n - - discard
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
"""


class Postfix:
    """A Postfix that relays everything for our domain to one port."""

    def __init__(self, domain, port):
        self.folder = tempfile.mkdtemp(prefix="pillarbox-postfix-")
        os.chmod(self.folder, 0o755)
        self.port = free_port()
        for name in ("config", "spool", "data"):
            os.mkdir(os.path.join(self.folder, name))
        shutil.chown(os.path.join(self.folder, "data"), "postfix")
        folder = self.folder
        with open(os.path.join(folder, "config", "main.cf"), "w") as main:
            main.write(
                f"compatibility_level = 3.6\nqueue_directory = {folder}/spool\ndata_directory = {folder}/data\n"
                "command_directory = /usr/sbin\ndaemon_directory = /usr/lib/postfix/sbin\nmail_owner = postfix\nsetgid_group = postdrop\n"
                "myhostname = relay.there.test\nmydestination =\nmynetworks = 127.0.0.0/8\ninet_interfaces = 127.0.0.1\ninet_protocols = ipv4\n"
                "alias_maps =\nalias_database =\nlocal_recipient_maps =\nsmtpd_relay_restrictions = permit_mynetworks, reject\n"
                f"smtp_dns_support_level = disabled\nsmtp_host_lookup = native\ntransport_maps = inline:{{ {{ {domain} = smtp:[127.0.0.1]:{port} }} }}\n"
                f"smtp_tls_security_level = encrypt\nsmtp_tls_loglevel = 1\nmaillog_file = {folder}/maillog\nmaillog_file_prefixes = {folder}\n"
                "smtpd_tls_security_level = none\n"
            )
        with open(os.path.join(folder, "config", "master.cf"), "w") as master:
            master.write(f"127.0.0.1:{self.port} inet n - n - - smtpd\n" + SERVICES)
        if not os.path.exists("/etc/postfix/main.cf"):
            with open("/etc/postfix/main.cf", "w") as main:
                main.write("compatibility_level = 3.6\ninet_interfaces = 127.0.0.1\n")
        # Postfix's tools accept another configuration only when the main one names it.
        self.before = subprocess.run(["postconf", "-h", "alternate_config_directories"], capture_output=True, text=True).stdout.strip()
        names = ", ".join(filter(None, [self.before, f"{folder}/config"]))
        subprocess.run(["postconf", "-e", f"alternate_config_directories = {names}"], check=True)
        subprocess.run(["postfix", "-c", f"{folder}/config", "start"], check=True, capture_output=True)
        wait_for(self.port)

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


def main():
    with Server() as server:
        postfix = Postfix(server.domain, server.port["smtp"])
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
    finish()


def iter_until(reader, start):
    while line := reader.readline():
        if line.startswith(start):
            yield True
            return


if __name__ == "__main__":
    main()
