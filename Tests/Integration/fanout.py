"""Several dispatchers: what they tell does not depend on how many there are, and live they lose nothing between them."""

import collections
import json
import os
import sys
import time

import captures
import harness
from harness import Link, Program, check, dftop, must, records, require_testdata, test, wait_until

COUNT = "inputs.cbpf.af_packet.tunning.packet_fanout_count"
# Ids of flows and threads depend on the dispatcher.
OWN = {"_id", "_tid", "flow_id"}


def printed(kind, path, dispatchers):
    done = dftop("print", *kind, "-r", path, "-o", "json", "--set", f"{COUNT}={dispatchers}", seconds=120)
    check(done.returncode == 0, f"print {kind} of {path.name} with {dispatchers}: exit code {done.returncode}\n{done.stderr.decode()}")
    return done.stdout


def bag(rows):
    return collections.Counter(json.dumps({k: v for k, v in row.items() if k not in OWN}, sort_keys=True) for row in rows)


def made():
    """100,000 packets of 4,000 flows, some of which have no handshake."""
    path = harness.WORK / "fanout.pcap"
    if not path.exists():
        generator = os.path.join(os.path.dirname(harness.DFTOP), "trafficgen")
        if not os.access(generator, os.X_OK):
            raise harness.Skip("trafficgen is not built")
        must(generator, "packets", path, "--packets", "100000", "--flows", "4000")
    return path


def tunnels():
    """Both directions of a flow in VXLAN, whose outer ports tell nothing about what belongs together."""
    path = harness.WORK / "fanout-vxlan.pcap"
    packets = []
    for flow in range(32):
        for number, (time_us, inner) in enumerate(captures.conversation()):
            inner = bytearray(inner)
            client = 34 if number % 2 == 0 else 36
            if inner[23] == 6 and inner[client:client + 2] in (b"\x9c\x40",):
                inner[client:client + 2] = (41000 + flow).to_bytes(2, "big")
            elif inner[23] == 6:
                other = 70 - client
                inner[other:other + 2] = (41000 + flow).to_bytes(2, "big")
            outer = captures.frame(17, 9, 50000 + number * 7 + flow, 8, 4789, b"\x08\0\0\0\0\0\x2a\0" + bytes(inner))
            packets.append((time_us + flow * 100, outer))
    path.write_bytes(captures.pcap(sorted(packets))[0])
    return path


@test
def same_rows_of_1_2_4_dispatchers():
    """A capture gives the same flows and documents over 1, 2 and 4 dispatchers, and the same bytes run after run."""
    require_testdata()
    files = [*sorted((harness.TESTDATA / "l4").glob("*.pcap")), tunnels(), made()]
    counts = collections.Counter()
    for path in files:
        for kind in (("flows",), ("flows", "--interval", "1s"), ("metrics",), ("l7",)):
            single = records(printed(kind, path, 1))
            counts[kind[0]] += len(single)
            for dispatchers in (2, 4):
                text = printed(kind, path, dispatchers)
                check(dispatchers == 2 or printed(kind, path, dispatchers) == text, f"print {kind} of {path.name} with {dispatchers}: not the same bytes again")
                rows = records(text)
                if kind[0] == "flows":
                    # Without a handshake the direction may hang on what else a dispatcher has seen of the server.
                    pairs = [[r for r in side if r["syn_count"] and r["synack_count"]] for side in (single, rows)]
                    check(len(single) == len(rows), f"{path.name}: {len(rows)} flows with {dispatchers}, {len(single)} with one")
                else:
                    pairs = (single, rows)
                one, several = map(bag, pairs)
                check(one == several, f"print {kind} of {path.name}: {dispatchers} dispatchers tell otherwise:\n"
                      + "\n".join([*(one - several)][:1] + [*(several - one)][:1]))
    return ", ".join(f"{n} {kind}" for kind, n in counts.items())


@test
def messages_in_packet_order():
    """Packets and messages are printed in the order of the capture, however many dispatchers there are."""
    for kind in (("packets",), ("l7-messages",)):
        path = made()
        rows = [records(printed(kind, path, n)) for n in (1, 4)]
        for side in rows:
            for row in side:
                for name in OWN:
                    row.pop(name, None)
        check(rows[0] == rows[1], f"print {kind[0]}: 4 dispatchers print otherwise")
    return f"{len(rows[0])} messages"


SENDER = """
import socket, sys
target, flows, rounds = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
sockets = []
for number in range(flows):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.bind(("0.0.0.0", 20000 + number))
    sockets.append(s)
for _ in range(rounds):
    for s in sockets:
        s.sendto(b"x" * 100, (target, 9999))
"""


@test
def live_fanout():
    """Four rings with a thread each: every packet of 200 flows is counted once, and several dispatchers take part."""
    link = Link()
    flows, rounds = 200, 50
    try:
        program = Program(
            [harness.DFTOP, "print", "flows", "-i", link.client_if, "-f", "udp port 9999", "-o", "json", "--set", f"{COUNT}=4"],
            "fanout", netns=link.client)
        link.captures(program)
        wait_until(lambda: len(must("cat", "/proc/net/packet", netns=link.client).splitlines()) == 5, "four sockets are open")
        wait_until(lambda: sum(n.startswith("dispatcher") for n in harness.threads(program)) == 4, "four dispatchers run")
        must(sys.executable, "-c", SENDER, link.server_ip, flows, rounds, netns=link.client, seconds=60)
        time.sleep(1)
        code = program.stop()
    finally:
        link.close()
    check(code == 0, f"exit code {code}\n{program.err}")
    rows = records(program.out)
    counted = collections.Counter()
    for row in rows:
        check(row["server_port"] == 9999, f"server port {row['server_port']}")
        counted[row["client_port"]] += row["packet_tx"] + row["packet_rx"]
    wrong = {20000 + n: counted[20000 + n] for n in range(flows) if counted[20000 + n] != rounds}
    check(not wrong, f"packets of {len(wrong)} flows are not {rounds}: {dict(list(wrong.items())[:5])}")
    # Bits 24 to 31 of a flow's id name its dispatcher (spec agent-flow 8.1).
    dispatchers = collections.Counter(row["flow_id"] >> 24 & 0xFF for row in rows)
    check(set(dispatchers) == {0, 1, 2, 3}, f"flows by dispatcher: {dict(dispatchers)}")
    return f"flows by dispatcher: {sorted(dispatchers.values())}"
