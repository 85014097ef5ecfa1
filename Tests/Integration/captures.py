"""Small capture files made on the spot."""

import struct


def checksum(data):
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def frame(protocol, source, source_port, destination, destination_port, payload=b"", flags=0x18, sequence=1, acknowledge=1):
    """An Ethernet frame with IPv4 and TCP (6) or UDP (17); addresses are the last byte of 10.0.0.x."""
    if protocol == 6:
        l4 = struct.pack(">HHIIBBHHH", source_port, destination_port, sequence, acknowledge, 0x50, flags, 64240, 0, 0) + payload
        at = 16
    else:
        l4 = struct.pack(">HHHH", source_port, destination_port, 8 + len(payload), 0) + payload
        at = 6
    ends = bytes([10, 0, 0, source, 10, 0, 0, destination])
    value = checksum(ends + struct.pack(">BBH", 0, protocol, len(l4)) + l4)
    l4 = l4[:at] + struct.pack(">H", value) + l4[at + 2:]
    ip = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(l4), 1, 0x4000, 64, protocol, 0) + ends
    ip = ip[:10] + struct.pack(">H", checksum(ip)) + ip[12:]
    return bytes([2, 0, 0, 0, 0, destination, 2, 0, 0, 0, 0, source]) + b"\x08\x00" + ip + l4


def conversation():
    """One HTTP request over TCP and one DNS query: 9 frames with their times in microseconds."""
    get = b"GET /index.html HTTP/1.1\r\nHost: example.test\r\n\r\n"
    answer = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"
    query = b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x04host\x04test\x00\x00\x01\x00\x01"
    reply = query[:2] + b"\x81\x80\x00\x01\x00\x01" + query[8:] + b"\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x3c\x00\x04\x0a\x09\x08\x07"
    c, s = (1, 40000), (2, 80)
    frames = [
        frame(6, *c, *s, flags=2, sequence=99, acknowledge=0),
        frame(6, *s, *c, flags=0x12, sequence=499, acknowledge=100),
        frame(6, *c, *s, flags=0x10, sequence=100, acknowledge=500),
        frame(6, *c, *s, get, sequence=100, acknowledge=500),
        frame(6, *s, *c, answer, sequence=500, acknowledge=100 + len(get)),
        frame(6, *c, *s, flags=0x11, sequence=100 + len(get), acknowledge=500 + len(answer)),
        frame(6, *s, *c, flags=0x11, sequence=500 + len(answer), acknowledge=101 + len(get)),
        frame(17, 1, 40001, 3, 53, query),
        frame(17, 3, 53, 1, 40001, reply),
    ]
    return [(1_767_225_600_000_000 + 1500 * number, data) for number, data in enumerate(frames)]


def pcap(packets):
    """Returns the file and the offsets at which a record ends (behind the file header, too)."""
    data = struct.pack("<IHHIIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1)
    ends = [len(data)]
    for time_us, packet in packets:
        data += struct.pack("<IIII", time_us // 1_000_000, time_us % 1_000_000, len(packet), len(packet)) + packet
        ends.append(len(data))
    return data, ends


def pcapng(packets):
    """Section header, interface description (1 us), then an enhanced packet block each."""

    def block(kind, body):
        body += b"\0" * (-len(body) % 4)
        size = 12 + len(body)
        return struct.pack("<II", kind, size) + body + struct.pack("<I", size)

    data = block(0x0A0D0D0A, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1)) + block(1, struct.pack("<HHI", 1, 0, 65535))
    ends = [len(data)]
    for time_us, packet in packets:
        body = struct.pack("<IIIII", 0, time_us >> 32, time_us & 0xFFFFFFFF, len(packet), len(packet)) + packet
        data += block(6, body)
        ends.append(len(data))
    return data, ends
