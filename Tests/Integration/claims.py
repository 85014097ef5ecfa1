"""Foreign traffic: what no parser knows must not be taken for requests, with every protocol enabled on every port."""

import collections
import ipaddress
import json
import random
import struct

import captures
import harness
from harness import check, must, records, test

PROTOCOLS = (
    "HTTP HTTP2 DNS SofaRPC MySQL Kafka Redis MongoDB Memcached PostgreSQL Dubbo FastCGI Brpc Tars MQTT AMQP NATS Pulsar "
    "ZMTP RocketMQ OpenWire TLS SomeIp Ping"
).split()
SERVER_PORTS = (
    21, 22, 25, 53, 80, 110, 123, 143, 443, 587, 1234, 1521, 1883, 3306, 4222, 5353, 5432, 5672, 6379, 6650, 6881, 8000,
    8080, 9000, 9092, 10911, 11211, 12345, 18993, 20880, 27017, 30490, 30506, 50051, 61616,
)
FLOWS_OF_A_KIND = 500
LIMIT = 0.001


def frame(protocol, ends, payload=b"", flags=0x18, sequence=1, acknowledge=1):
    source, source_port, destination, destination_port = ends
    if protocol == 6:
        l4 = struct.pack(">HHIIBBHHH", source_port, destination_port, sequence, acknowledge, 0x50, flags, 64240, 0, 0)
    else:
        l4 = struct.pack(">HHHH", source_port, destination_port, 8 + len(payload), 0)
    ip = struct.pack(">BBHHHBBHII", 0x45, 0, 20 + len(l4) + len(payload), 1, 0x4000, 64, protocol, 0, source, destination)
    return b"\2\0\0\0\0\2\2\0\0\0\0\1\x08\0" + ip + l4 + payload


def text(lines):
    return "".join(line + "\r\n" for line in lines).encode()


def ssh(rng):
    banner = b"SSH-2.0-OpenSSH_9.%d\r\n" % rng.randrange(10)
    names = b",".join(rng.choice((b"curve25519-sha256", b"ecdh-sha2-nistp256", b"aes128-ctr")) for _ in range(9))
    init = b"\x14" + rng.randbytes(16) + (struct.pack(">I", len(names)) + names) * 8 + bytes(5)
    padding = 8 + -(len(init) + 13) % 8
    key_exchange = struct.pack(">IB", len(init) + padding + 1, padding) + init + rng.randbytes(padding)
    yield False, banner
    yield True, banner
    yield False, key_exchange
    yield True, key_exchange
    for turn in range(8):
        yield turn % 2 == 1, rng.randbytes(rng.randrange(16, 400) & ~7)


def smtp(rng):
    name = "host%d.example" % rng.randrange(1000)
    yield True, text([f"220 {name} ESMTP Postfix"])
    yield False, text([f"EHLO {name}"])
    yield True, text([f"250-{name}", "250-PIPELINING", "250-SIZE 10240000", "250 8BITMIME"])
    yield False, text([f"MAIL FROM:<a{rng.randrange(99)}@{name}>"])
    yield True, text(["250 2.1.0 Ok"])
    yield False, text([f"RCPT TO:<b@{name}>", "DATA"])
    yield True, text(["250 2.1.5 Ok", "354 End data with <CR><LF>.<CR><LF>"])
    yield False, text([f"From: a@{name}", "Subject: GET / HTTP/1.1", "", "SELECT 1;", "x" * rng.randrange(200), "."])
    yield True, text(["250 2.0.0 Ok: queued as %X" % rng.randrange(1 << 40)])
    yield False, text(["QUIT"])


def ftp(rng):
    yield True, text(["220 (vsFTPd 3.0.5)"])
    for request, answer in (("USER anonymous", "331 Please specify the password."), ("PASS x", "230 Login successful."),
                            ("TYPE I", "200 Switching to Binary mode."), ("PASV", "227 Entering Passive Mode (10,0,0,1,%d,9)."),
                            ("RETR file%d", "150 Opening BINARY mode data connection.")):
        number = rng.randrange(99)
        yield False, text([request % number if "%" in request else request])
        yield True, text([answer % number if "%" in answer else answer])


def bittorrent(rng):
    handshake = b"\x13BitTorrent protocol" + bytes(5) + b"\x10\x00\x05"
    yield False, handshake + rng.randbytes(40)
    yield True, handshake + rng.randbytes(40) + struct.pack(">IB", 21, 5) + rng.randbytes(20)
    yield False, struct.pack(">IB", 1, 2)
    yield True, struct.pack(">IB", 1, 1)
    for piece in range(4):
        yield False, struct.pack(">IBIII", 13, 6, rng.randrange(999), piece * 16384, 16384)
        yield True, struct.pack(">IBII", 9 + 400, 7, rng.randrange(999), piece * 16384) + rng.randbytes(400)
        yield False, struct.pack(">IBI", 5, 4, rng.randrange(999))


def noise(rng):
    """Without any form."""
    for turn in range(10):
        yield rng.random() < 0.5, rng.randbytes(rng.randrange(1, 300))


def framed(rng):
    """Lengths that fit, in one of the usual forms, and small numbers behind them: the hardest to tell from the real ones."""
    form, extra = rng.choice((">I", "<I", ">H", "<H")), rng.randrange(5)
    for turn in range(10):
        head = bytes(rng.choice((0, 0, 0, 1, 1, 2, 3, rng.randrange(256))) for _ in range(rng.randrange(4, 24)))
        body = head + rng.randbytes(rng.randrange(120))
        yield turn % 2 == 1, struct.pack(form, len(body) + extra) + body


def words(rng):
    """A line of words a message."""
    for turn in range(10):
        line = " ".join("".join(rng.choices("abcdefghijklmnopqrstuvwxyzABC", k=rng.randrange(2, 9))) for _ in range(rng.randrange(1, 9)))
        yield turn % 2 == 1, line.encode() + rng.choice((b"\n", b"\r\n", b""))


def quic(rng):
    for turn in range(6):
        yield turn % 2 == 1, (b"\xc3\x00\x00\x00\x01\x08" if turn < 2 else bytes([0x40 | rng.randrange(64)])) + rng.randbytes(rng.randrange(40, 900))


def rtp(rng):
    source, first = rng.randbytes(4), rng.randrange(60000)
    for number in range(10):
        yield False, struct.pack(">BBHI", 0x80, 0, first + number, number * 160) + source + rng.randbytes(160)


def ntp(rng):
    yield False, b"\x23\x00\x06\xec" + bytes(36) + rng.randbytes(8)
    yield True, b"\x24\x02\x06\xe8" + rng.randbytes(44)


def tracker(rng):
    """The distributed hash table of BitTorrent."""
    yield False, b"d1:ad2:id20:" + rng.randbytes(20) + b"e1:q4:ping1:t2:aa1:y1:qe"
    yield True, b"d1:rd2:id20:" + rng.randbytes(20) + b"e1:t2:aa1:y1:re"


TCP = (ssh, smtp, ftp, bittorrent, noise, framed, words)
UDP = (quic, rtp, ntp, tracker, noise, framed, words)


def mixed():
    """Packets of all flows, and the kind of traffic of each by its client's address and port."""
    rng = random.Random(7)
    packets, kinds = [], {}
    jobs = [(6, kind) for kind in TCP] + [(17, kind) for kind in UDP]
    number = 0
    for protocol, kind in jobs:
        for _ in range(FLOWS_OF_A_KIND):
            client, client_port = 0x0A010001 + number, 1024 + rng.randrange(64000)
            server = 0x0A020001 + number
            server_port = rng.choice(SERVER_PORTS) if rng.random() < 0.7 else rng.randrange(1, 65536)
            kinds[(str(ipaddress.IPv4Address(client)), client_port, server_port)] = f"{'tcp' if protocol == 6 else 'udp'} {kind.__name__}"
            there, back = (client, client_port, server, server_port), (server, server_port, client, client_port)
            time_us = 1_700_000_000_000_000 + number * 100
            seqs = [1000, 5000]
            if protocol == 6:
                packets.append((time_us, frame(6, there, flags=2, sequence=999, acknowledge=0)))
                packets.append((time_us + 10, frame(6, back, flags=0x12, sequence=4999, acknowledge=1000)))
                packets.append((time_us + 20, frame(6, there, flags=0x10, sequence=1000, acknowledge=5000)))
            for turn, (from_server, payload) in enumerate(kind(rng), 1):
                ends = back if from_server else there
                packets.append((time_us + 50 + 1000 * turn, frame(
                    protocol, ends, payload, sequence=seqs[from_server], acknowledge=seqs[not from_server])))
                seqs[from_server] += len(payload)
            number += 1
    return sorted(packets, key=lambda packet: packet[0]), kinds


@test
def claims_of_foreign_traffic():
    """ssh, smtp, BitTorrent, media and random bytes on any port: at most one flow in a thousand is logged as something."""
    packets, kinds = mixed()
    path = harness.WORK / "foreign.pcap"
    path.write_bytes(captures.pcap([])[0] + b"".join(
        struct.pack("<IIII", time_us // 1_000_000, time_us % 1_000_000, len(packet), len(packet)) + packet
        for time_us, packet in packets))
    settings = ["--set", f"processors.request_log.application_protocol_inference.enabled_protocols={json.dumps(PROTOCOLS)}"]
    ports = json.dumps({name: "1-65535" for name in PROTOCOLS})
    settings += ["--set", f"processors.request_log.filters.port_number_prefilters={ports}"]
    told = {}
    for row in records(must(harness.DFTOP, "print", "l7-messages", "-r", path, "-o", "json", *settings, seconds=300)):
        for ends in ((row["ip4_0"], row["client_port"], row["server_port"]), (row["ip4_1"], row["server_port"], row["client_port"])):
            if ends in kinds:
                told[ends] = (row["l7_protocol_str"], kinds[ends])
    wrong = collections.Counter(told.values())
    check(len(told) <= LIMIT * len(kinds), f"{len(told)} of {len(kinds)} flows are logged: {wrong.most_common(20)}")
    return f"{len(told)} of {len(kinds)} flows logged wrongly {dict(wrong)}"
