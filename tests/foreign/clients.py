#!/usr/bin/env python3
"""Foreign clients: curl, swaks, Python and Postfix send; imaplib, curl and mbsync read; the bytes are the same.

Needs curl, swaks, mbsync (isync) and postfix (as root).
"""
import contextlib
import email.utils
import imaplib
import os
import shutil
import smtplib
import ssl
import subprocess
import tempfile
import threading
import time

from common import BINARY, Count, Lines, PASSWORD, Server, free_port, need, wait_for

count = Count()
TRUSTING = ssl._create_unverified_context()  # the server's certificate is self-signed
BODY = "A line.\r\n.\r\n..two dots\r\n.leading dot\r\n\r\n" + "long " * 150 + "\r\n8 bits: ä€\r\nend\r\n"


def message(token):
    return (
        f"Date: {email.utils.formatdate()}\r\nMessage-ID: <{token}@one.test>\r\nFrom: Alice <alice@one.test>\r\n"
        f"To: bob@one.test\r\nSubject: {token}\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n"
        f"Content-Transfer-Encoding: 8bit\r\n\r\n{BODY}"
    ).encode()


def run(*command, **options):
    done = subprocess.run(command, capture_output=True, timeout=60, **options)
    if done.returncode:
        raise RuntimeError(f"{command[0]}: exit {done.returncode}: {done.stdout.decode()[-800:]}{done.stderr.decode()[-800:]}")
    return done.stdout


def by_curl(server, way, text):
    port = server.ports["submissions" if way == "465" else "submission"]
    url = f"{'smtps' if way == '465' else 'smtp'}://127.0.0.1:{port}"
    run("curl", "-sSk", "--url", url, "--ssl-reqd", "--user", f"alice@one.test:{PASSWORD}", "--mail-from", "alice@one.test",
        "--mail-rcpt", "bob@one.test", "-T", "-", input=text)


def by_swaks(server, way, text):
    port = server.ports["submissions" if way == "465" else "submission"]
    with tempfile.NamedTemporaryFile(suffix=".eml") as file:
        file.write(text.replace(b"\r\n", b"\n"))
        file.flush()
        run("swaks", "--server", f"127.0.0.1:{port}", "--tls-on-connect" if way == "465" else "--tls", "--auth", "PLAIN",
            "--auth-user", "alice@one.test", "--auth-password", PASSWORD, "--from", "alice@one.test", "--to", "bob@one.test",
            "--data", "@" + file.name, "--suppress-data")


def by_python(server, way, text):
    if way == "465":
        client = smtplib.SMTP_SSL("127.0.0.1", server.ports["submissions"], context=TRUSTING)
    else:
        client = smtplib.SMTP("127.0.0.1", server.ports["submission"])
        client.starttls(context=TRUSTING)
    client.login("alice@one.test", PASSWORD)
    refused = client.sendmail("alice@one.test", ["bob@one.test"], text)
    client.quit()
    if refused:
        raise RuntimeError(str(refused))


def imap(server):
    client = imaplib.IMAP4_SSL("127.0.0.1", server.ports["imaps"], ssl_context=TRUSTING)
    client.login("bob@one.test", PASSWORD)
    client.select("INBOX")
    return client


def read_by_imaplib(server, token):
    client = imap(server)
    for item in client.fetch("1:*", "(BODY.PEEK[])")[1]:
        if isinstance(item, tuple) and f"Subject: {token}\r\n".encode() in item[1]:
            return item[1]
    raise RuntimeError(f"{token} is not in the mailbox")


def read_by_curl(server, token):
    client = imap(server)
    subjects = client.fetch("1:*", "(UID BODY.PEEK[HEADER.FIELDS (SUBJECT)])")[1]
    uid = next(item[0].split(b"UID ")[1].split()[0] for item in subjects if isinstance(item, tuple) and token.encode() in item[1])
    url = f"imaps://127.0.0.1:{server.ports['imaps']}/INBOX;UID={uid.decode()}"
    return run("curl", "-sSk", "--url", url, "--user", f"bob@one.test:{PASSWORD}")


def below_trace(whole, text):
    """Whether a message is our trace fields, then exactly what was sent."""
    if not whole.endswith(text):
        raise RuntimeError(f"not what was sent: {whole[-300:]!r}")
    trace = whole[: -len(text)]
    if not trace.startswith(b"Return-Path: <alice@one.test>\r\n") or b"\r\nReceived: from " not in trace:
        raise RuntimeError(f"trace fields: {trace!r}")


def read_by_mbsync(server, tokens):
    with tempfile.TemporaryDirectory() as folder:
        config = os.path.join(folder, "mbsyncrc")
        certificate = os.path.join(folder, "certificate.pem")
        with open(certificate, "w") as file:
            file.write(ssl.get_server_certificate(("127.0.0.1", server.ports["imaps"])))
        with open(config, "w") as file:
            file.write(
                f"IMAPAccount one\nHost 127.0.0.1\nPort {server.ports['imaps']}\nUser bob@one.test\nPass \"{PASSWORD}\"\n"
                f"SSLType IMAPS\nCertificateFile {certificate}\nSystemCertificates no\n\nIMAPStore far\nAccount one\n\n"
                f"MaildirStore near\nPath {folder}/mail/\nInbox {folder}/mail/INBOX\nSubFolders Verbatim\n\n"
                "Channel one\nFar :far:\nNear :near:\nPatterns INBOX\nCreate Near\nSyncState *\n"
            )
        os.mkdir(os.path.join(folder, "mail"))
        run("mbsync", "-q", "-c", config, "one")
        texts = []
        for place in ("new", "cur"):
            where = os.path.join(folder, "mail", "INBOX", place)
            for name in os.listdir(where):
                with open(os.path.join(where, name), "rb") as file:
                    texts.append(file.read().replace(b"\r\n", b"\n"))
        for token in tokens:
            one = [text for text in texts if f"Subject: {token}\n".encode() in text]
            if len(one) != 1 or not one[0].endswith(message_sent[token].replace(b"\r\n", b"\n")):
                raise RuntimeError(f"{token}: {len(one)} copies, or other bytes")


message_sent = {}


class Postfix:
    """Debian's Postfix as a foreign server that relays to ours over STARTTLS; loopback, from a temporary folder."""

    def __init__(self, to_port):
        self.folder = tempfile.mkdtemp(prefix="pillarbox-postfix-")
        self.port = free_port()
        for sub in ("config", "spool", "data"):
            os.mkdir(os.path.join(self.folder, sub))
        os.chmod(self.folder, 0o755)
        shutil.chown(os.path.join(self.folder, "data"), "postfix")
        self.config = os.path.join(self.folder, "config")
        with open(os.path.join(self.config, "main.cf"), "w") as file:
            file.write(
                f"compatibility_level = 3.6\nqueue_directory = {self.folder}/spool\ndata_directory = {self.folder}/data\n"
                "command_directory = /usr/sbin\ndaemon_directory = /usr/lib/postfix/sbin\nmail_owner = postfix\n"
                "setgid_group = postdrop\nmyhostname = mail.other.test\nmydestination =\nmynetworks = 127.0.0.0/8\n"
                "inet_interfaces = 127.0.0.1\ninet_protocols = ipv4\nalias_maps =\nalias_database =\nlocal_recipient_maps =\n"
                "smtpd_relay_restrictions = permit_mynetworks, reject\nsmtp_dns_support_level = disabled\n"
                "smtp_host_lookup = native\nrelay_domains = one.test\n"
                f"transport_maps = inline:{{ {{ one.test = relay:[127.0.0.1]:{to_port} }} }}\n"
                "smtp_tls_security_level = encrypt\nsmtp_tls_loglevel = 1\n"
                f"maillog_file = {self.folder}/maillog\nmaillog_file_prefixes = {self.folder}\n"
            )
        services = (
            "pickup unix n - n 60 1 pickup\ncleanup unix n - n - 0 cleanup\nqmgr unix n - n 300 1 qmgr\n"
            "tlsmgr unix - - n 1000? 1 tlsmgr\nrewrite unix - - n - - trivial-rewrite\nbounce unix - - n - 0 bounce\n"
            "defer unix - - n - 0 bounce\ntrace unix - - n - 0 bounce\nverify unix - - n - 1 verify\n"
            "flush unix n - n 1000? 0 flush\nproxymap unix - - n - - proxymap\nsmtp unix - - n - - smtp\n"
            "relay unix - - n - - smtp\nshowq unix n - n - - showq\nerror unix - - n - - error\nretry unix - - n - - error\n"
            "anvil unix - - n - 1 anvil\nscache unix - - n - 1 scache\npostlog unix-dgram n - n - 1 postlogd\n"
        )
        with open(os.path.join(self.config, "master.cf"), "w") as file:
            file.write(f"127.0.0.1:{self.port} inet n - n - - smtpd\n" + services)
        if not os.path.exists("/etc/postfix/main.cf"):
            with open("/etc/postfix/main.cf", "w") as file:
                file.write("compatibility_level = 3.6\ninet_interfaces = 127.0.0.1\n")
        run("postconf", "-e", f"alternate_config_directories = {self.config}")
        run("postfix", "-c", self.config, "start")
        wait_for(self.port)

    def log(self):
        with contextlib.suppress(OSError), open(os.path.join(self.folder, "maillog")) as file:
            return file.read()
        return ""

    def stop(self):
        with contextlib.suppress(Exception):
            run("postfix", "-c", self.config, "stop")
            run("postconf", "-e", "alternate_config_directories =")
        shutil.rmtree(self.folder, ignore_errors=True)


class Idler(threading.Thread):
    """An IDLE client that waits for EXISTS."""

    def __init__(self, server):
        super().__init__(daemon=True)
        self.client = Lines(server.ports["imap"], timeout=60)
        self.client.line()
        self.client.send(f'a LOGIN bob@one.test "{PASSWORD}"\r\nb SELECT INBOX\r\n'.encode())
        self.client.imap(b"a"), self.client.imap(b"b")
        self.client.send(b"c IDLE\r\n")
        if not self.client.line().startswith(b"+"):
            raise RuntimeError("no IDLE")
        self.heard = threading.Event()

    def run(self):
        with contextlib.suppress(Exception):
            while True:
                if self.client.line().strip().endswith(b"EXISTS"):
                    self.heard.set()


def main():
    need(BINARY, "curl", "swaks", "mbsync", "postfix")
    with Server() as server:
        idler = Idler(server)
        idler.start()
        for name, send in (("curl", by_curl), ("swaks", by_swaks), ("python", by_python)):
            for way in ("465", "587"):
                token = f"{name}-{way}"
                message_sent[token] = message(token)
                count.run(f"{name} submits through {way}", lambda: send(server, way, message_sent[token]))
                count.run("  read by imaplib", lambda: below_trace(read_by_imaplib(server, token), message_sent[token]))
                count.run("  read by curl", lambda: below_trace(read_by_curl(server, token), message_sent[token]))
        count.run("all read by mbsync", lambda: read_by_mbsync(server, list(message_sent)))
        count.check("an IDLE client heard of it", idler.heard.wait(10))

        postfix = Postfix(server.ports["smtp"])
        try:
            token = "from-postfix"
            message_sent[token] = message(token)
            idler.heard.clear()
            with smtplib.SMTP("127.0.0.1", postfix.port) as client:
                client.sendmail("alice@other.test", ["bob@one.test"], message_sent[token])

            def arrives():
                end = time.time() + 30
                while True:
                    try:
                        whole = read_by_imaplib(server, token)
                        break
                    except RuntimeError:
                        if time.time() > end:
                            raise RuntimeError("not delivered: " + postfix.log()[-600:])
                        time.sleep(0.2)
                if not whole.endswith(message_sent[token]):
                    raise RuntimeError(f"other bytes: {whole!r}")
                if b"ESMTPS" not in whole:
                    raise RuntimeError(f"not by TLS: {whole[:600]!r}")

            count.run("Postfix delivers to us over STARTTLS", arrives)
            count.check("an IDLE client heard of it", idler.heard.wait(10))
        finally:
            postfix.stop()
        count.check("it stops cleanly", server.stop() == 0)
    count.end()


if __name__ == "__main__":
    main()
