#!/usr/bin/env python3
"""Client set-up as clients do it: every URL of autoconfig over http and https, Outlook's POST, and peers that mean harm. Needs curl.

The documents are read by xml.etree, not by anything of ours, and compared with where the server listens."""
import http.client
import json
import socket
import subprocess
import time
import xml.etree.ElementTree as etree

from common import Server, check, finish, insecure, need

need("curl")

REQUEST = "http://schemas.microsoft.com/exchange/autodiscover/outlook/requestschema/2006"
RESPONSE = "http://schemas.microsoft.com/exchange/autodiscover/responseschema/2006"
SETTINGS = "http://schemas.microsoft.com/exchange/autodiscover/outlook/responseschema/2006a"
POST = f"""<?xml version="1.0" encoding="utf-8"?>
<Autodiscover xmlns="{REQUEST}">
  <Request>
    <EMailAddress>%s</EMailAddress>
    <AcceptableResponseSchema>{SETTINGS}</AcceptableResponseSchema>
  </Request>
</Autodiscover>
"""
PROTOCOLS = ("smtp", "submission", "submissions", "imap", "imaps", "http", "https")


def curl(url, server, *more):
    """Status, fields and body of a URL, whose name leads to this machine."""
    name, port = url.split("/")[2].rsplit(":", 1)
    command = ["curl", "-sSk", "--max-time", "30", "--resolve", f"{name}:{port}:127.0.0.1", "-D", "-", "-A", "Thunderbird", *more, url]
    done = subprocess.run(command, capture_output=True)
    head, _, body = done.stdout.partition(b"\r\n\r\n")
    while head.startswith(b"HTTP/1.1 100"):
        head, _, body = body.partition(b"\r\n\r\n")
    lines = head.decode(errors="replace").split("\r\n")
    fields = dict(line.lower().split(": ", 1) for line in lines[1:] if ": " in line)
    status = int(lines[0].split()[1]) if len(lines[0].split()) > 1 else 0
    return status, fields, body


def servers(document):
    """What an autoconfig document offers, in its order; fails when a reader would."""
    root = etree.fromstring(document)
    assert root.tag == "clientConfig" and root.get("version") == "1.1", root.tag
    provider = root.find("emailProvider")
    assert provider.get("id") and provider.find("domain").text
    found = []
    for server in [*provider.findall("incomingServer"), *provider.findall("outgoingServer")]:
        value = lambda name: server.find(name).text
        found.append((server.get("type"), value("hostname"), int(value("port")), value("socketType"), value("authentication"), value("username")))
    return provider.get("id"), found


def autoconfig(server):
    host, port = f"mx.{server.domain}", server.port
    web = {"http": port["http"], "https": port["https"]}

    def expected(user):
        return [
            ("imap", host, port["imaps"], "SSL", "password-cleartext", user),
            ("imap", host, port["imap"], "STARTTLS", "password-cleartext", user),
            ("smtp", host, port["submissions"], "SSL", "password-cleartext", user),
            ("smtp", host, port["submission"], "STARTTLS", "password-cleartext", user),
        ]

    plain, well_known = "/mail/config-v1.1.xml", "/.well-known/autoconfig/mail/config-v1.1.xml"
    for scheme in web:
        for name, path in ((f"autoconfig.{server.domain}", plain), (server.domain, well_known), (host, plain), (host, well_known)):
            base = f"{scheme}://{name}:{web[scheme]}{path}"
            for query, user in (
                ("", "%EMAILADDRESS%"),
                (f"?emailaddress=alice%40{server.domain}", f"alice@{server.domain}"),
                (f"?emailaddress=nobody%40{server.domain}", f"nobody@{server.domain}"),
                ("?emailaddress=alice%40elsewhere.test", "%EMAILADDRESS%"),
            ):
                status, fields, body = curl(base + query, server)
                good = status == 200 and fields.get("content-type", "").startswith("text/xml")
                try:
                    same = servers(body) == (server.domain, expected(user))
                except (etree.ParseError, AssertionError, AttributeError) as error:
                    same, body = False, f"{error}: {body!r}"
                check(f"autoconfig {scheme} {name}{path}{query}", good and same, f"{status} {fields} {body}")
    status, fields, body = curl(f"http://{host}:{web['http']}/", server)
    check("a page for people", status == 200 and fields["content-type"].startswith("text/html") and str(port["imaps"]).encode() in body, body)
    check("no program is named", "server" not in fields, str(fields))
    answer = raw(web["https"], f"HEAD / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode(), tls=True)
    check("HEAD has no body", answer.startswith(b"HTTP/1.1 200 ") and answer.endswith(b"\r\n\r\n") and b"Content-Length: 0" not in answer, answer)


def autodiscover(server):
    host, port = f"mx.{server.domain}", server.port
    outlook = ("-H", "Content-Type: text/xml; charset=utf-8", "-A", "Microsoft Office/16.0 (Windows NT 10.0; Microsoft Outlook 16.0)", "--data-binary")
    seen = set()
    for name in (server.domain, f"autodiscover.{server.domain}", host):
        for path in ("/autodiscover/autodiscover.xml", "/Autodiscover/Autodiscover.xml", "/AutoDiscover/AutoDiscover.xml"):
            for user in ("alice", "nobody"):
                address = f"{user}@{server.domain}"
                status, fields, body = curl(f"https://{name}:{port['https']}{path}", server, *outlook, POST % address)
                seen.add(body.replace(user.encode(), b"USER"))
                check(f"POST {name}{path} for {user}", status == 200 and fields.get("content-type", "").startswith("text/xml"), f"{status} {body}")
    check("the same for every address, path and name", len(seen) == 1, str(seen))
    root = etree.fromstring(seen.pop())
    ns = {"r": RESPONSE, "s": SETTINGS}
    check("two namespaces", root.tag == f"{{{RESPONSE}}}Autodiscover" and root.find("s:Response", ns) is not None, root.tag)
    value = lambda node, name: node.find(f"s:{name}", ns).text
    account = root.find("s:Response/s:Account", ns)
    check("settings of a mail account", (value(account, "AccountType"), value(account, "Action")) == ("email", "settings"))
    offered = [(value(p, "Type"), value(p, "Server"), int(value(p, "Port")), value(p, "Encryption"), value(p, "LoginName")) for p in account.findall("s:Protocol", ns)]
    login = f"USER@{server.domain}"
    check("IMAP, then SMTP, where they listen", offered == [("IMAP", host, port["imaps"], "SSL", login), ("SMTP", host, port["submissions"], "SSL", login)], str(offered))

    url = f"https://{server.domain}:{port['https']}/autodiscover/autodiscover.xml"
    bomb = '<?xml version="1.0"?><!DOCTYPE l [' + "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10 if n else "lol"}">' for n in range(10)) + "]><l>&l9;</l>"
    xxe = '<?xml version="1.0"?><!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]>' + (POST % "&x;").split("?>")[1]
    for what, body, code in (
        ("an address elsewhere", POST % "alice@elsewhere.test", "500"),
        ("no address", POST % "", "600"),
        ("another schema", POST.replace("outlook/responseschema/2006a", "mobilesync/responseschema/2006") % f"alice@{server.domain}", "601"),
        ("junk", "junk", "600"),
        ("an entity bomb", bomb, "600"),
        ("an external entity", xxe, "600"),
        ("depth", "<a>" * 20000, "600"),
        ("markup in an address", POST % f"&quot;&lt;/LoginName&gt;&quot;@{server.domain}", None),
    ):
        status, _, answer = curl(url, server, *outlook, body)
        root = etree.fromstring(answer)
        found = root.findtext("r:Response/r:Error/r:ErrorCode", namespaces=ns)
        check(f"{what}: {'error ' + code if code else 'settings'}", status == 200 and found == code and b"root:" not in answer, f"{status} {answer}")
        if code is None:
            check("markup stays text", root.findtext(".//s:LoginName", namespaces=ns) == f'"</LoginName>"@{server.domain}', answer)
    status, fields, _ = curl(f"http://autodiscover.{server.domain}:{port['http']}/autodiscover/autodiscover.xml", server)
    check("plain GET leads to https", (status, fields.get("location")) == (302, f"https://{host}:{port['https']}/autodiscover/autodiscover.xml"), f"{status} {fields}")
    status, _, body = curl(url, server)
    check("GET shows the error document", status == 200 and b"<ErrorCode>600" in body, body)
    for path in (f"/autodiscover/autodiscover.json?Email=alice@{server.domain}&Protocol=AutodiscoverV1", f"/autodiscover/autodiscover.json/v1.0/alice@{server.domain}?Protocol=AutodiscoverV1"):
        status, _, body = curl(f"https://autodiscover.{server.domain}:{port['https']}{path}", server)
        check(f"version 2: {path[:40]}", status == 200 and json.loads(body)["Url"].endswith("/autodiscover/autodiscover.xml"), body)
    status, _, body = curl(f"https://{host}:{port['https']}/autodiscover/autodiscover.json?Email=a@{server.domain}&Protocol=EWS", server)
    check("version 2, another protocol: 400", status == 400 and json.loads(body)["ErrorCode"] == "InvalidProtocol", body)


def raw(port, data, tls=False, patience=10):
    """Everything that comes back for these bytes."""
    with socket.create_connection(("127.0.0.1", port), patience) as connection:
        if tls:
            connection = insecure().wrap_socket(connection)
        answer = b""
        try:
            connection.sendall(data)
            while piece := connection.recv(65536):
                answer += piece
        except OSError:
            pass
        return answer


def hostile(server):
    port = server.port
    for scheme in ("http", "https"):
        for name in ("elsewhere.test", "127.0.0.1", "localhost", f"imap.{server.domain}"):
            status, _, body = curl(f"{scheme}://{name}:{port[scheme]}/", server)
            check(f"{scheme} as {name}: 421, no page", (status, body) == (421, b""), f"{status} {body}")
    host = f"Host: mx.{server.domain}\r\n".encode()
    for what, request, status in (
        ("no host", b"GET / HTTP/1.1\r\n\r\n", 400),
        ("two hosts", b"GET / HTTP/1.1\r\n" + host + b"Host: x\r\n\r\n", 400),
        ("bare LF", b"GET / HTTP/1.1\n" + host.replace(b"\r", b"") + b"\n", 400),
        ("a space before the colon", b"GET / HTTP/1.1\r\nHost : x\r\n\r\n", 400),
        ("length and chunks", b"POST / HTTP/1.1\r\n" + host + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        ("chunks", b"POST / HTTP/1.1\r\n" + host + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 411),
        ("a large body", b"POST / HTTP/1.1\r\n" + host + b"Content-Length: 10000000\r\n\r\n" + b"x" * 100000, 413),
        ("a long head", b"GET / HTTP/1.1\r\n" + host + b"X: " + b"x" * 100000, 431),
        ("many fields", b"GET / HTTP/1.1\r\n" + host + b"X: x\r\n" * 1000 + b"\r\n", 431),
        ("HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
        ("a TLS hello", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
        ("a page that is not", b"GET /../../etc/passwd HTTP/1.1\r\n" + host + b"Connection: close\r\n\r\n", 404),
        ("DELETE", b"DELETE / HTTP/1.1\r\n" + host + b"Connection: close\r\n\r\n", 405),
        ("CONNECT", b"CONNECT mx:25 HTTP/1.1\r\n" + host + b"Connection: close\r\n\r\n", 400),
    ):
        answer = raw(port["http"], request)
        check(f"{what}: {status}", answer.startswith(f"HTTP/1.1 {status} ".encode()), answer[:200])
    both = raw(port["http"], (b"GET / HTTP/1.1\r\n" + host + b"\r\n") * 3 + b"GET /no HTTP/1.1\r\n" + host + b"Connection: close\r\n\r\n")
    check("four at once: four answers, in order", both.count(b"HTTP/1.1 200 OK") == 3 and both.count(b"HTTP/1.1 404") == 1 and both.rindex(b" 404 ") > both.rindex(b" 200 "), both[-300:])
    check("plain text at the TLS port ends", not raw(port["https"], b"GET / HTTP/1.1\r\n\r\n").startswith(b"HTTP"))
    # ALPN: ours or none.
    for offered, good in ((["http/1.1"], True), (["h2", "http/1.1"], True), ([], True), (["h2"], False), (["imap"], False)):
        context = insecure()
        if offered:
            context.set_alpn_protocols(offered)
        try:
            with context.wrap_socket(socket.create_connection(("127.0.0.1", port["https"]), 10)) as tls:
                tls.sendall(b"GET / HTTP/1.1\r\n" + host + b"\r\n")
                done = tls.recv(12) == b"HTTP/1.1 200"
        except OSError:
            done = False
        check(f"ALPN {offered}: {'served' if good else 'refused'}", done == good)
    # Slow clients beside a quick one.
    slow = [socket.create_connection(("127.0.0.1", port["http"]), 10) for _ in range(50)]
    for number, connection in enumerate(slow):
        connection.sendall(b"GET / HTTP/1.1\r\n" if number % 2 else b"POST /autodiscover/autodiscover.xml HTTP/1.1\r\n" + host + b"Content-Length: 100\r\n\r\nx")
    begun = time.monotonic()
    quick = http.client.HTTPConnection("127.0.0.1", port["http"], timeout=10)
    for _ in range(20):
        quick.request("GET", "/", headers={"Host": f"mx.{server.domain}"})
        quick.getresponse().read()
    check("a quick client beside 50 slow ones", time.monotonic() - begun < 10)
    ends = 0
    for connection in slow:
        connection.settimeout(60)
        try:
            while connection.recv(65536):
                pass
            ends += 1
        except OSError:
            ends += 1 if not isinstance(connection, socket.timeout) else 0
        connection.close()
    check("slow clients are let go within a minute", ends == len(slow) and time.monotonic() - begun < 60, f"{ends} after {time.monotonic() - begun:.0f} s")


def main():
    with Server(protocols=PROTOCOLS) as server:
        autoconfig(server)
        autodiscover(server)
        hostile(server)
        check("it still stops as it should", server.stop() == 0)
    finish()


if __name__ == "__main__":
    main()
