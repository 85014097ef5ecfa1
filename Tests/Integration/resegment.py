"""TCP streams cut anew: however the bytes of a connection are spread over segments, the requests are the same."""

import collections
import json
import os
import random
import struct

import captures
import harness
from harness import TESTDATA, check, must, records, require_testdata, test

FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16
MOST_OF_A_SEGMENT = 1460
# Times, sequence numbers, captured bytes, and what is reckoned from them.
APART = {
    "_id", "time", "start_time", "end_time", "response_duration", "req_tcp_seq", "resp_tcp_seq", "captured_request_byte",
    "captured_response_byte",
}


# --- captures --------------------------------------------------------------------------------------------------------

class Segment:
    """A TCP segment of a capture and the frame around it."""

    def __init__(self, time_ns, frame, l3, l4, total, cut):
        self.time_ns, self.frame, self.l3, self.l4 = time_ns, frame, l3, l4
        self.is_ipv6 = frame[l3] >> 4 == 6
        self.is_cut = cut
        source, destination = (frame[l3 + 8:l3 + 24], frame[l3 + 24:l3 + 40]) if self.is_ipv6 else (frame[l3 + 12:l3 + 16], frame[l3 + 16:l3 + 20])
        ports = struct.unpack_from(">HHII", frame, l4)
        self.sender, self.receiver = (source, ports[0]), (destination, ports[1])
        self.seq, self.ack = ports[2], ports[3]
        self.flags = frame[l4 + 13]
        self.data = frame[l4 + (frame[l4 + 12] >> 4) * 4:l3 + total]

    def turned(self):
        """A segment of the other side, which sent none."""
        frame = bytearray(self.frame)
        frame[0:12] = frame[6:12] + frame[0:6]
        at, size = (self.l3 + 8, 16) if self.is_ipv6 else (self.l3 + 12, 4)
        frame[at:at + 2 * size] = frame[at + size:at + 2 * size] + frame[at:at + size]
        struct.pack_into(">HHII", frame, self.l4, self.receiver[1], self.sender[1], self.ack, self.seq)
        return Segment(self.time_ns, bytes(frame), self.l3, self.l4, len(frame) - self.l3, False)

    def rebuilt(self, seq, data, flags):
        """The same frame with other content."""
        head = bytearray(self.frame[:self.l4 + (self.frame[self.l4 + 12] >> 4) * 4])
        size = len(head) - self.l3 + len(data)
        struct.pack_into(">I", head, self.l4 + 4, seq & 0xFFFFFFFF)
        head[self.l4 + 13] = flags
        if self.is_ipv6:
            struct.pack_into(">H", head, self.l3 + 4, size - 40)
        else:
            struct.pack_into(">HHH", head, self.l3 + 2, size, 0, 0x4000)
            struct.pack_into(">H", head, self.l3 + 10, 0)
            struct.pack_into(">H", head, self.l3 + 10, captures.checksum(bytes(head[self.l3:self.l4])))
        return bytes(head) + data


def read_pcap(path):
    """Times in ns and frames, with the length that each had on the wire."""
    data = path.read_bytes()
    magic = data[:4].hex()
    order = "<" if magic[:2] in ("d4", "4d", "34") else ">"
    unit = 1 if magic in ("4d3cb2a1", "a1b23c4d") else 1000
    head = 24 if magic in ("34cdb2a1", "a1b2cd34") else 16
    at, packets = 24, []
    while at + head <= len(data):
        seconds, part, kept, length = struct.unpack_from(order + "IIII", data, at)
        packets.append((seconds * 1_000_000_000 + part * unit, data[at + head:at + head + kept], length))
        at += head + kept
    return packets


def segment(time_ns, frame, length):
    """The frame as a TCP segment, or None."""
    at = 12
    while frame[at:at + 2] in (b"\x81\0", b"\x88\xa8"):
        at += 4
    l3 = at + 2
    if frame[at:at + 2] == b"\x08\0" and len(frame) >= l3 + 40 and frame[l3 + 9] == 6:
        l4, total = l3 + (frame[l3] & 15) * 4, struct.unpack_from(">H", frame, l3 + 2)[0]
    elif frame[at:at + 2] == b"\x86\xdd" and len(frame) >= l3 + 60 and frame[l3 + 6] == 6:
        l4, total = l3 + 40, 40 + struct.unpack_from(">H", frame, l3 + 4)[0]
    else:
        return None
    return Segment(time_ns, frame, l3, l4, total, l3 + total > len(frame)) if len(frame) >= l4 + 20 else None


class Connection:
    """Segments of one connection by their numbers in the capture."""

    def __init__(self):
        self.segments = {}

    def why_not(self):
        """What keeps it from being whole and handshaken, or nothing."""
        parts = [self.segments[number] for number in sorted(self.segments)]
        opening = [part.flags & (SYN | ACK) for part in parts]
        if opening[:1] != [SYN] or SYN | ACK not in opening:
            return "no handshake"
        expected = {}
        for part in parts:
            if part.is_cut:
                return "cut by the snap length"
            size = len(part.data) + (part.flags & SYN != 0) + (part.flags & FIN != 0)
            ahead = (part.seq - expected.get(part.sender, part.seq)) & 0xFFFFFFFF
            if part.flags & RST:
                continue
            if part.flags & SYN and part.sender in expected:
                return "a repeated handshake"
            if size and ahead:
                return "a hole or a repetition"
            if size:
                expected[part.sender] = (part.seq + size) & 0xFFFFFFFF
        return "" if any(part.data for part in parts) else "no data"


def connections(packets):
    """TCP connections of a capture; a SYN to a port that is in use begins another one."""
    found, current = [], {}
    for number, packet in enumerate(packets):
        part = segment(*packet)
        if not part:
            continue
        ends = frozenset((part.sender, part.receiver))
        if ends not in current or part.flags & (SYN | ACK) == SYN and any(s.data for s in current[ends].segments.values()):
            current[ends] = Connection()
            found.append(current[ends])
        current[ends].segments[number] = part
    return found


def with_handshake(packets):
    """The capture with a handshake in front of each connection that has none."""
    added = []
    for connection in connections(packets):
        parts = [connection.segments[number] for number in sorted(connection.segments)]
        if any(part.flags & SYN for part in parts) or not any(part.data for part in parts):
            continue
        first = next(part for part in parts if part.data)
        is_client = first.receiver[1] < first.sender[1]
        back = next((part for part in parts if part.sender == first.receiver), first.turned())
        here, there = (min([part.seq for part in parts if part.sender == who.sender] or [who.seq]) for who in (first, back))
        client, server = (first, back) if is_client else (back, first)
        client_seq, server_seq = (here, there) if is_client else (there, here)
        start = parts[0].time_ns
        for turn, (who, seq, ack, flags) in enumerate((
                (client, client_seq - 1, 0, SYN), (server, server_seq - 1, client_seq, SYN | ACK), (client, client_seq, server_seq, ACK))):
            frame = bytearray(who.rebuilt(seq, b"", flags))
            struct.pack_into(">I", frame, who.l4 + 8, ack & 0xFFFFFFFF)
            added.append((start - 30_000 + 10_000 * turn, bytes(frame), len(frame)))
    return sorted(added + packets, key=lambda packet: packet[0])


def write_pcap(path, packets):
    """Times of nanoseconds, each later than the one before."""
    last, out = 0, [struct.pack("<IHHIIII", 0xA1B23C4D, 2, 4, 0, 0, 262144, 1)]
    for time_ns, frame in packets:
        last = max(last + 1, time_ns)
        out += [struct.pack("<IIII", last // 1_000_000_000, last % 1_000_000_000, len(frame), len(frame)), frame]
    path.write_bytes(b"".join(out))
    return path


# --- cuts ------------------------------------------------------------------------------------------------------------

class Run:
    """What one side sends before the other side sends something, segment by segment."""

    def __init__(self):
        self.numbers, self.segments = [], []

    @property
    def size(self):
        return sum(len(part.data) for part in self.segments)

    def pieces(self, cuts):
        """Frames of the run cut at the offsets, as (number in the capture of the segment that ends it, frame)."""
        data = b"".join(part.data for part in self.segments)
        most = max([MOST_OF_A_SEGMENT] + [len(part.data) for part in self.segments])
        bounds = [0]
        for cut in sorted({cut for cut in cuts if 0 < cut < len(data)} | {len(data)}):
            while cut - bounds[-1] > most:
                bounds.append(bounds[-1] + most)
            bounds.append(cut)
        ends, end = [], 0
        for part in self.segments:
            end += len(part.data)
            ends.append(end)
        out = []
        for start, stop in zip(bounds, bounds[1:]):
            place = next(place for place, end in enumerate(ends) if end >= stop)
            part = self.segments[place]
            flags = part.flags if stop == ends[place] else ACK
            out.append((self.numbers[place], part.rebuilt(self.segments[0].seq + start, data[start:stop], flags)))
        return out


def runs(connection):
    out, sender = [], None
    for number in sorted(connection.segments):
        part = connection.segments[number]
        if not part.data:
            continue
        if part.sender != sender:
            out.append(Run())
            sender = part.sender
        out[-1].numbers.append(number)
        out[-1].segments.append(part)
    return out


def random_cuts(sizes, rng, count=200):
    """Offsets by run: so many positions over the whole capture."""
    total = sum(sizes)
    chosen = sorted(rng.sample(range(1, total), min(count, total - 1))) if total > 1 else []
    out, start = [], 0
    for size in sizes:
        out.append([cut - start for cut in chosen if start < cut < start + size])
        start += size
    return out


def tiny_cuts(sizes, rng):
    out = []
    for size in sizes:
        cuts = [rng.randint(1, 8)]
        while cuts[-1] < size:
            cuts.append(cuts[-1] + rng.randint(1, 8))
        out.append(cuts)
    return out


def doubled(pieces, rng):
    """A third of the segments again, at once or a few segments later."""
    out, later = [], []
    for piece in pieces:
        out.append(piece)
        later = [(wait - 1, old) for wait, old in later]
        out += [(piece[0], old[1]) for wait, old in later if wait < 0]
        later = [(wait, old) for wait, old in later if wait >= 0]
        if rng.random() < 0.33:
            later.append((rng.randrange(3), piece))
    return out + [(pieces[-1][0], old[1]) for _, old in later]


def swapped(pieces, rng):
    """Half of the neighbours change places; so does the first pair."""
    out, at = list(pieces), 0
    while at + 1 < len(out):
        if at == 0 or rng.random() < 0.5:
            (first, one), (second, two) = out[at:at + 2]
            out[at:at + 2] = [(second, two), (second, one)]
            at += 1
        at += 1
    return out


VARIANTS = {
    "cut": (random_cuts, lambda pieces, rng: pieces),
    "tiny": (tiny_cuts, lambda pieces, rng: pieces),
    "doubled": (random_cuts, doubled),
    "swapped": (random_cuts, swapped),
    "mixed": (tiny_cuts, lambda pieces, rng: doubled(swapped(pieces, rng), rng)),
}


def cut_anew(packets, whole, variant, seed):
    """Times and frames of the capture with the connections `whole` cut anew."""
    rng = random.Random(f"{variant} {seed}")
    cut, disturb = VARIANTS[variant]
    all_runs = [run for connection in whole for run in runs(connection)]
    frames = {number: [frame] for number, (_, frame, _) in enumerate(packets)}
    for run, cuts in zip(all_runs, cut([run.size for run in all_runs], rng)):
        for number in run.numbers:
            frames[number] = []
        for number, frame in disturb(run.pieces(cuts), rng):
            frames[number].append(frame)
    return [(packets[number][0], frame) for number in sorted(frames) for frame in frames[number]]


# --- rows ------------------------------------------------------------------------------------------------------------

def rows(path, options):
    """Rows of a capture without what may differ, and how often each occurs."""
    text = must(harness.DFTOP, "print", "l7", "-r", path, "-o", "json", *options)
    return collections.Counter(
        json.dumps({key: value for key, value in row.items() if key not in APART}, sort_keys=True) for row in records(text))


def cases():
    """Name, packets, options and whole connections of each capture."""
    found = []
    for index in sorted(TESTDATA.glob("*/index.jsonl")):
        for line in index.read_text().splitlines():
            case = json.loads(line)
            path = index.parent / case["pcap"]
            options = [part for key, value in case.get("config", {}).items() for part in ("--set", f"{key}={json.dumps(value)}")]
            if case.get("parser"):
                options += ["--l7-protocol", case["parser"]]
            found.append((f"{index.parent.name}/{case['pcap']}", path, options))
    return found


def unlike(lost, new):
    """Of a lost row what it has otherwise than the new one that is most like it."""
    row = json.loads((lost or new)[0])
    if not lost or not new:
        return {key: row.get(key) for key in ("request_type", "request_resource", "response_status_str", "response_result", "request_id")}
    gone = [{key: (row.get(key), other.get(key)) for key in row | other if row.get(key) != other.get(key)} for other in map(json.loads, new)]
    return min(gone, key=len)


def differences(name, packets, whole, options, variants, seeds):
    """Texts about rows that another cut brought or lost."""
    base = f"{name.replace('/', '-').removesuffix('.pcap')}"
    plain = rows(write_pcap(harness.WORK / f"{base}.pcap", [(t, f) for t, f, _ in packets]), options)
    out = []
    for variant in variants:
        for seed in seeds:
            path = write_pcap(harness.WORK / f"{base}-{variant}{seed}.pcap", cut_anew(packets, whole, variant, seed))
            anew = rows(path, options)
            if anew == plain:
                path.unlink()
                continue
            lost, new = list((plain - anew).elements()), list((anew - plain).elements())
            out.append(f"{path.name}: {len(lost)} of {plain.total()} rows lost, {len(new)} new: {unlike(lost, new)}")
    return out, plain.total()


# Captures whose plain rows are not those of the whole stream, and why.
LEFT_OUT = {}


def compare(change, only_whole):
    require_testdata()
    is_full = os.environ.get("DFTOP_RESEGMENT") == "full"
    seeds = range(int(os.environ.get("DFTOP_RESEGMENT_SEEDS", "5"))) if is_full else range(1)
    faults, count, streams, told = [], 0, 0, 0
    for number, (name, path, options) in enumerate(cases()):
        if name in LEFT_OUT or os.environ.get("DFTOP_RESEGMENT_CASE", "") not in name:
            continue
        packets = read_pcap(path)
        whole = [c for c in connections(packets) if not c.why_not()]
        if only_whole != bool(whole):
            continue
        packets = change(packets)
        whole = [c for c in connections(packets) if not c.why_not()]
        if not whole:
            continue
        # A sample of the variants, another one for each capture.
        variants = list(VARIANTS) if is_full else [list(VARIANTS)[number % len(VARIANTS)], "mixed"]
        fault, total = differences(name, packets, whole, options, variants, seeds)
        faults += fault
        count += 1
        streams += len(whole)
        told += total
    check(count > 0, "no capture has a whole connection")
    check(not faults, f"{len(faults)} differ\n" + "\n".join(faults))
    return f"{count} captures, {streams} connections, {told} rows"


@test
def streams_cut_anew():
    """Whole connections of the shared captures, cut at other places, repeated and out of order: the same rows."""
    return compare(lambda packets: packets, only_whole=True)


@test
def streams_cut_anew_with_handshake():
    """The same with connections that were captured without their handshake, and get one."""
    return compare(with_handshake, only_whole=False)
