"""Full disks and sudden ends: the store opens again, and what is missing is bounded and counted."""

import collections
import os
import time

import captures
import harness
from engines import Server, Space
from harness import Failed, Program, Skip, check, dftop, must, records, require_root, run, test, wait_until


def steady_capture(path, seconds, per_second):
    """`per_second` DNS queries a second: each has its own flow and its own second."""
    packets = []
    start = 1_767_225_600_000_000
    for second in range(seconds):
        for number in range(per_second):
            at = start + second * 1_000_000 + number * (900_000 // per_second)
            port = 1024 + (second * per_second + number) % 60000
            body = b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x04host\x04test\x00\x00\x01\x00\x01"
            reply = body[:2] + b"\x81\x80" + body[4:6] + b"\x00\x00" + body[8:]
            packets.append((at, captures.frame(17, 1, port, 3, 53, body)))
            packets.append((at + 400, captures.frame(17, 3, 53, 1, port, reply)))
    path.write_bytes(captures.pcap(packets)[0])
    return seconds * per_second
