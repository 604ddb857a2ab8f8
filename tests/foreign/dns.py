"""A small DNS server on loopback for tests: a zone of lines or JSON, over UDP and TCP. Python's standard library only.

    python3 dns.py ZONE [--port N] [--address A] [--ttl SECONDS] [--ad] [--log]
                                                    ZONE: a file, or - for standard input; prints its port, then serves until killed
    with Dns({"one.test": {"MX": ["10 mx.one.test"]}}) as dns: ...  dns.port, dns.server ("127.0.0.1:N"), dns.asked, dns.set(zone)

A line is NAME TYPE DATA; `#` begins a comment. TYPE is A, AAAA, MX, TXT, CNAME, PTR, or one of these, without data:
SERVFAIL (every question fails), NXDOMAIN, SILENT (no answer at all), TRUNCATED (UDP answers are cut off: TCP has them).

    one.test       MX    10 mx.one.test
    nomail.test    MX    0 .                     takes no mail (RFC 7505)
    mx.one.test    A     127.0.0.1
    www.one.test   CNAME one.test
    one.test       TXT   "v=spf1 mx -all"
    broken.test    SERVFAIL

As JSON the same is {"one.test": {"MX": ["10 mx.one.test"], "TXT": ["v=spf1 mx -all"]}, "broken.test": "SERVFAIL"}. A name that is not
there is NXDOMAIN, one with other records (or names below it) has no data; both with an SOA. Names match in any case, and come back as
they were asked for.
"""
import argparse
import ipaddress
import json
import shlex
import socket
import struct
import sys
import threading

TYPES = {"A": 1, "CNAME": 5, "SOA": 6, "PTR": 12, "MX": 15, "TXT": 16, "AAAA": 28, "OPT": 41, "ANY": 255}
MANNERS = ("SERVFAIL", "NXDOMAIN", "SILENT", "TRUNCATED")
FORMERR, SERVFAIL, NXDOMAIN = 1, 2, 3
PLAIN_UDP = 512  # without EDNS (RFC 1035 §4.2.1)


def canonical(name):
    return name.rstrip(".").lower()


def wire_name(name):
    labels = [label.encode() for label in name.rstrip(".").split(".") if label]
    if any(len(label) > 63 for label in labels):
        raise ValueError(f"a label is too long in {name}")
    return b"".join(bytes([len(label)]) + label for label in labels) + b"\0"


def wire_data(kind, data):
    """The octets of a record's data; names in it are not compressed."""
    if kind == "A":
        return ipaddress.IPv4Address(data).packed
    if kind == "AAAA":
        return ipaddress.IPv6Address(data).packed
    if kind == "MX":
        preference, exchange = data.split()
        return struct.pack(">H", int(preference)) + wire_name(exchange)
    if kind in ("CNAME", "PTR"):
        return wire_name(data)
    if kind == "TXT":
        octets = data.encode()
        return b"".join(bytes([len(octets[i : i + 255])]) + octets[i : i + 255] for i in range(0, max(len(octets), 1), 255))
    raise ValueError(f"unknown type {kind}")


class Zone:
    """Records by name and type; what is wrong with the text is an error at once."""

    def __init__(self, source):
        self.records, self.manners = {}, {}
        if isinstance(source, str) and source.lstrip().startswith("{"):
            source = json.loads(source)
        if isinstance(source, dict):
            entries = []
            for name, kinds in source.items():
                if isinstance(kinds, str):
                    entries.append((name, kinds, None))
                else:
                    for kind, data in kinds.items():
                        entries += [(name, kind, one) for one in ([data] if isinstance(data, str) else data)]
        else:
            entries = [self.line(number, line) for number, line in enumerate(source.splitlines(), 1)]
        for name, kind, data in filter(None, entries):
            if kind in MANNERS:
                self.manners.setdefault(canonical(name), set()).add(kind)
            else:
                wire_data(kind, data)
                self.records.setdefault(canonical(name), {}).setdefault(kind, []).append(data)

    @staticmethod
    def line(number, line):
        words = shlex.split(line, comments=True)
        if not words:
            return None
        if len(words) < 2:
            raise ValueError(f"line {number}: NAME TYPE DATA is wanted")
        # Several texts of a TXT record are one (RFC 7208 §3.3).
        between = "" if words[1].upper() == "TXT" else " "
        return words[0], words[1].upper(), between.join(words[2:])

    def exists(self, name):
        return any(known == name or known.endswith("." + name) for known in (*self.records, *self.manners))

    def find(self, name, kind):
        """Code, answers as (owner as asked, type, data), manners of all names passed."""
        answers, manners, owner = [], set(), name
        for _ in range(8):
            key = canonical(owner)
            manners |= self.manners.get(key, set())
            here = self.records.get(key, {})
            answers += [(owner, found, data) for found in here if kind in (found, "ANY") for data in here[found]]
            if kind in ("CNAME", "ANY") or "CNAME" not in here:
                code = NXDOMAIN if "NXDOMAIN" in manners or not self.exists(key) else 0
                return SERVFAIL if "SERVFAIL" in manners else code, answers, manners
            answers.append((owner, "CNAME", here["CNAME"][0]))
            owner = here["CNAME"][0]
        return 0, answers, manners


class Dns:
    """The server, in threads of its own. `asked` has (name as asked, type, "udp" or "tcp") of each question."""

    def __init__(self, zone, port=0, address="127.0.0.1", ttl=300, authentic=False, log=None):
        self.zone, self.ttl, self.authentic, self.log = Zone(zone), ttl, authentic, log
        self.asked = []
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        # A port that is free for both.
        for _ in range(50):
            self.tcp = socket.socket(family, socket.SOCK_STREAM)
            self.udp = socket.socket(family, socket.SOCK_DGRAM)
            self.tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                self.tcp.bind((address, port))
                self.udp.bind((address, self.tcp.getsockname()[1]))
                break
            except OSError:
                self.tcp.close()
                self.udp.close()
                if port:
                    raise
        else:
            raise OSError("no port is free for both UDP and TCP")
        self.tcp.listen(64)
        self.port = self.tcp.getsockname()[1]
        self.server = f"[{address}]:{self.port}" if ":" in address else f"{address}:{self.port}"
        for serve in (self.serve_udp, self.serve_tcp):
            threading.Thread(target=serve, daemon=True).start()

    def set(self, zone):
        """Another zone from now on."""
        self.zone = Zone(zone)

    def close(self):
        self.udp.close()
        self.tcp.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def serve_udp(self):
        while True:
            try:
                query, peer = self.udp.recvfrom(4096)
                answer = self.answer(query, "udp")
                if answer:
                    self.udp.sendto(answer, peer)
            except OSError:
                if self.udp.fileno() < 0:
                    return

    def serve_tcp(self):
        while True:
            try:
                stream, _ = self.tcp.accept()
            except OSError:
                return
            threading.Thread(target=self.serve_stream, args=(stream,), daemon=True).start()

    def serve_stream(self, stream):
        with stream:
            try:
                stream.settimeout(10)
                while True:
                    query = take(stream, struct.unpack(">H", take(stream, 2))[0])
                    answer = self.answer(query, "tcp")
                    if not answer:
                        return
                    stream.sendall(struct.pack(">H", len(answer)) + answer)
            except (OSError, EOFError):
                return

    def answer(self, query, transport):
        """The answer to a query in wire form; None: say nothing."""
        if len(query) < 12:
            return None
        identity, flags, questions, _, _, additional = struct.unpack(">6H", query[:12])
        if flags & 0x8000:
            return None
        try:
            labels, at = read_name(query, 12)
            kind_number, _ = struct.unpack(">HH", query[at : at + 4])
            if questions != 1 or flags >> 11 & 15:
                raise ValueError
            question = query[12 : at + 4]
            room, opt = udp_room(query, at + 4, additional)
        except (ValueError, IndexError, struct.error):
            return struct.pack(">6H", identity, 0x8180 | FORMERR, 0, 0, 0, 0)
        name = ".".join(labels)
        kind = next((name for name, number in TYPES.items() if number == kind_number), str(kind_number))
        self.asked.append((name, kind, transport))
        if self.log:
            print(f"{transport} {kind} {name}", file=self.log, flush=True)
        code, answers, manners = self.zone.find(name, kind)
        if "SILENT" in manners:
            return None
        if code == SERVFAIL:
            answers = []
        body = b"".join(
            wire_name(owner) + struct.pack(">HHIH", TYPES[kind], 1, self.ttl, len(data)) + data
            for owner, kind, data in ((owner, kind, wire_data(kind, data)) for owner, kind, data in answers)
        )
        authority = b""
        if code != SERVFAIL and not any(found in (kind, "CNAME") for _, found, _ in answers) or code == NXDOMAIN:
            soa = wire_name("ns.test") + wire_name("root.test") + struct.pack(">5I", 1, 2, 3, 4, self.ttl)
            authority = b"\0" + struct.pack(">HHIH", TYPES["SOA"], 1, self.ttl, len(soa)) + soa
        # QR, AA, RA, and the client's RD.
        flags = 0x8480 | flags & 0x0100 | (0x0020 if self.authentic else 0) | code
        counts = len(answers), 1 if authority else 0, 1 if opt else 0
        whole = struct.pack(">6H", identity, flags, 1, *counts) + question + body + authority + opt
        if transport == "udp" and (len(whole) > room or "TRUNCATED" in manners):
            return struct.pack(">6H", identity, flags | 0x0200, 1, 0, 0, counts[2]) + question + opt
        return whole


def take(stream, length):
    octets = b""
    while len(octets) < length:
        more = stream.recv(length - len(octets))
        if not more:
            raise EOFError
        octets += more
    return octets


def read_name(octets, at):
    """The labels of an uncompressed name, as they are spelled, and where it ends."""
    labels = []
    while octets[at]:
        if octets[at] > 63:
            raise ValueError("a compressed question")
        labels.append(octets[at + 1 : at + 1 + octets[at]].decode("ascii"))
        at += 1 + octets[at]
    return labels, at + 1


def udp_room(query, at, additional):
    """How much the client takes by UDP, and our OPT record when it knows EDNS (RFC 6891)."""
    if additional and query[at : at + 3] == b"\0" + struct.pack(">H", TYPES["OPT"]):
        room = struct.unpack(">H", query[at + 3 : at + 5])[0]
        return max(room, PLAIN_UDP), b"\0" + struct.pack(">HHIH", TYPES["OPT"], 1232, 0, 0)
    return PLAIN_UDP, b""


def main():
    parser = argparse.ArgumentParser(description="A small DNS server on loopback for tests.")
    parser.add_argument("zone", help="a file of lines or JSON, or - for standard input")
    parser.add_argument("--port", type=int, default=0, help="0: a free one")
    parser.add_argument("--address", default="127.0.0.1")
    parser.add_argument("--ttl", type=int, default=300)
    parser.add_argument("--ad", action="store_true", help="say that all was validated")
    parser.add_argument("--log", action="store_true", help="one line a question on standard error")
    arguments = parser.parse_args()
    with sys.stdin if arguments.zone == "-" else open(arguments.zone) as source:
        zone = source.read()
    dns = Dns(zone, arguments.port, arguments.address, arguments.ttl, arguments.ad, sys.stderr if arguments.log else None)
    print(dns.port, flush=True)
    try:
        threading.Event().wait()
    except KeyboardInterrupt:
        pass


if __name__ == "__main__":
    main()
