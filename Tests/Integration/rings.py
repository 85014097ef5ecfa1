"""Live engines: what each captures equals what was sent, and under overload every packet is counted or counted lost."""

import collections
import json
import os
import re
import struct
import sys
import time

import captures
import harness
from harness import Failed, Link, Program, check, must, records, require, run, test, wait_until

AF = "inputs.cbpf.af_packet.tunning."
VERSION, PROMISC, FIXED, BLOCKS = f"{AF}socket_version", f"{AF}interface_promisc_enabled", f"{AF}ring_blocks_enabled", f"{AF}ring_blocks"
LIBPCAP = "inputs.cbpf.special_network.libpcap.enabled"
PPS, SNAP = "inputs.cbpf.tunning.max_capture_pps", "inputs.cbpf.tunning.max_capture_packet_size"
PORT = 9999

# Sends `count` frames at `rate` a second through a packet socket, as many flows in turn; prints how many went out.
RAW_SENDER = """
import socket, sys, time
interface, count, rate = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
frames = [bytes.fromhex(line) for line in sys.stdin.read().split()]
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
s.bind((interface, 0))
began, sent = time.monotonic(), 0
while sent < count:
    due = count if rate == 0 else min(count, int((time.monotonic() - began) * rate) + 1)
    while sent < due:
        try:
            s.send(frames[sent % len(frames)])
        except OSError:
            time.sleep(0.0005)
            continue
        sent += 1
    if sent < count:
        time.sleep(0.0002)
print(sent)
"""


def udp_frames(flows, size=100):
    return [captures.frame(17, 1, 20000 + number, 2, PORT, b"x" * size) for number in range(flows)]


def send(link, frames, count, rate=0):
    text = must(sys.executable, "-c", RAW_SENDER, link.client_if, count, rate, netns=link.client, seconds=120,
                stdin="\n".join(f.hex() for f in frames).encode())
    check(int(text) == count, f"only {text} of {count} frames were sent")


def capture(link, *settings, name="rings", kind="flows", before=()):
    arguments = [*before, harness.DFTOP, "print", kind, "-i", link.client_if, "-f", f"udp port {PORT}", "-o", "json"]
    for setting in settings:
        arguments += ["--set", setting]
    program = Program(arguments, name, netns=link.client)
    link.captures(program)
    return program


def packet_sockets(link):
    """What the kernel tells of the packet sockets of the client's namespace."""
    return must("ss", "--packet", "-e", "-n", netns=link.client)


def ended(program):
    code = program.stop()
    check(code == 0, f"exit code {code}\n{program.err}")
    return records(program.out)


def packets_of(rows):
    """Packets a client port, both directions."""
    counted = collections.Counter()
    for row in rows:
        check(row["server_port"] == PORT, f"server port {row['server_port']}")
        counted[row["client_port"]] += row["packet_tx"] + row["packet_rx"]
    return counted


def check_counts(rows, flows, count, size=100):
    counted = packets_of(rows)
    wanted = {20000 + n: count // flows for n in range(flows)}
    check(counted == wanted, f"packets by flow differ: {[(p, counted[p]) for p in wanted if counted[p] != wanted[p]][:5]}")
    total = sum(row["byte_tx"] + row["byte_rx"] for row in rows)
    check(total == count * (size + 42), f"{total} bytes instead of {count * (size + 42)}")


@test
def engines_count_alike():
    """TPACKET_V3, TPACKET_V2 and libpcap each count what was sent, packet and byte, and what dumpcap counts."""
    require("dumpcap", "tshark")
    # A frame of TPACKET_V2 has 64 KiB whatever the packet: a larger ring and a modest rate, or a busy machine loses some.
    flows, count = 20, 8000
    notes = []
    for name, settings, socket in (
        ("v3", [f"{VERSION}=3"], "ver:2"), ("v2", [f"{VERSION}=2"], "ver:1"), ("automatic", [], "ver:2"),
        ("libpcap", [f"{LIBPCAP}=true"], "*:{}"),
    ):
        link = Link()
        try:
            program = capture(link, *settings, f"{FIXED}=true", f"{BLOCKS}=128", name=f"engine-{name}")
            told = packet_sockets(link)
            # Rings of our own listen to all interfaces, libpcap to one.
            check(socket.format(link.client_if) in told, f"{name}: the kernel tells another socket version:\n{told}")
            path = harness.WORK / f"engine-{name}.pcap"
            path.touch(mode=0o666)
            other = Program(["dumpcap", "-q", "-i", link.client_if, "-f", f"udp port {PORT}", "-P", "-B", "64", "-w", path], f"dumpcap-{name}", netns=link.client)
            link.captures(other)
            send(link, udp_frames(flows), count, 4000)
            time.sleep(0.5)
            rows = ended(program)
            other.stop()
        finally:
            link.close()
        check_counts(rows, flows, count)
        seen = must("tshark", "-r", path, "-n", "-q", "-z", "io,stat,0")
        check(re.search(rf"\|\s*{count}\s*\|\s*{count * 142}\s*\|", seen), f"dumpcap saw another number than was sent:\n{seen}")
        check("some are in no flow" not in program.err, program.err)
        notes.append(name)
    return f"{count} packets, {', '.join(notes)}"


@test
def engine_where_v3_is_refused():
    """Where the kernel refuses TPACKET_V3 the ring is TPACKET_V2; where it refuses rings, libpcap captures."""
    require("strace")
    # Of the main thread: filter, version 3 (refused); filter, version 2.
    for name, faults, socket in (("v2", "2", "ver:1"), ("libpcap", "2..4+2", "*:{}")):
        link = Link()
        try:
            program = capture(link, name=f"refused-{name}", before=(
                "strace", "-f", "-o", harness.WORK / f"refused-{name}.strace", "-e", "trace=setsockopt",
                "-e", f"inject=setsockopt:error=EINVAL:when={faults}"))
            told = packet_sockets(link)
            log = (harness.WORK / f"refused-{name}.strace").read_text()
            check("(INJECTED)" in log and "PACKET_VERSION" in log, f"nothing was refused:\n{log[:2000]}")
            check(socket.format(link.client_if) in told, f"{name}: the kernel tells another socket version:\n{told}")
            send(link, udp_frames(4), 400)
            time.sleep(0.5)
            # The tracer passes the signal on to nobody; the traced program is asked itself.
            for child in children(program.process.pid):
                os.kill(child, 2)
            code = program.wait(20)
        finally:
            link.close()
        check(code == 0, f"exit code {code}\n{program.err}")
        check_counts(records(program.out), 4, 400)


@test
def engine_with_an_interface_down():
    """Of two interfaces of the libpcap engine one goes down for longer than the engine bears errors; the other goes on."""
    link = Link()
    ip = ["ip", "-n", link.client, "link"]
    try:
        must(*ip, "add", "down0", "type", "veth", "peer", "name", "down1")
        must(*ip, "set", "down0", "up")
        must(*ip, "set", "down1", "up")
        program = Program(
            [harness.DFTOP, "print", "flows", "-i", link.client_if, "-i", "down0", "-f", f"udp port {PORT}", "-o", "json",
             "--set", f"{LIBPCAP}=true"], "engine-down", netns=link.client)
        link.captures(program)
        send(link, udp_frames(4), 200, 4000)
        must(*ip, "set", "down0", "down")
        time.sleep(2.5)
        check(program.alive(), f"the capture ended: {program.err}")
        send(link, udp_frames(4), 200, 4000)
        must(*ip, "set", "down0", "up")
        time.sleep(1.5)
        back = must(sys.executable, "-c", RAW_SENDER, "down1", 100, 4000, netns=link.client,
                    stdin="\n".join(f.hex() for f in udp_frames(4)).encode())
        check(int(back) == 100, f"only {back} frames were sent")
        time.sleep(0.5)
        rows = ended(program)
    finally:
        link.close()
    counted = sum(packets_of(rows).values())
    check(counted == 500, f"{counted} packets of 500")


def children(process):
    return [int(p) for p in open(f"/proc/{process}/task/{process}/children").read().split()]


@test
def ring_settings():
    """Ring size, snap length and promiscuous mode are those of the configuration, as the kernel tells."""
    link = Link()
    try:
        program = capture(link, name="ring-default")
        told = packet_sockets(link)
        # A sixteenth of 768 MiB.
        check("blk_nr:48" in told and "blk_size:1048576" in told, f"ring of another size:\n{told}")
        check(promiscuity(link) == 0, "promiscuous without being asked")
        ended(program)
        program = capture(link, f"{FIXED}=true", f"{BLOCKS}=9", f"{PROMISC}=true", name="ring-fixed")
        told = packet_sockets(link)
        check("blk_nr:9" in told, f"ring of another size:\n{told}")
        check(promiscuity(link) == 1, "not promiscuous")
        ended(program)
        check(promiscuity(link) == 0, "still promiscuous")
        program = capture(link, f"{SNAP}=128", name="snap", kind="packets")
        send(link, udp_frames(1, size=1000), 5)
        time.sleep(0.5)
        rows = ended(program)
    finally:
        link.close()
    lengths = [(row["captured_length"], row["length"]) for row in rows]
    check(lengths == [(128, 1042)] * 5, f"captured and whole lengths: {lengths}")


def promiscuity(link):
    told = json.loads(must("ip", "-n", link.client, "-d", "-j", "link", "show", link.client_if))
    return told[0]["promiscuity"]


LOSS = re.compile(r"of (\d+) packets some are in no flow: (.*)")


def losses(text):
    """Packets that the program tells as lost, by place."""
    found = LOSS.search(text)
    if not found:
        return 0, {}
    return int(found[1]), {place: int(n) for place, n in re.findall(r"([a-z][a-z ]*[a-z]) (\d+)", found[2])}


QUEUE, QUEUE_SIZE = "inputs.cbpf.tunning.dispatcher_queue_enabled", "inputs.cbpf.tunning.raw_packet_queue_size"


@test
def queue_between_threads():
    """With the dispatcher queue one thread reads and one accounts, and every packet is counted."""
    flows, count = 20, 8000
    for name, settings in (("v3", []), ("fanout", [f"{AF}packet_fanout_count=2"]), ("libpcap", [f"{LIBPCAP}=true"])):
        link = Link()
        try:
            program = capture(link, f"{QUEUE}=true", *settings, name=f"queue-{name}")
            threads = harness.threads(program)
            number = 2 if name == "fanout" else 1
            for kind in ("receiver", "dispatcher"):
                check(sum(t.startswith(kind) for t in threads) == number, f"{name}: threads {threads}")
            send(link, udp_frames(flows), count, 4000)
            time.sleep(0.5)
            rows = ended(program)
        finally:
            link.close()
        check("some are in no flow" not in program.err, program.err)
        check_counts(rows, flows, count)
    return f"{count} packets each"


@test
def queue_overload_loses_nothing_unseen():
    """The accounting thread hardly runs: what the queue overwrites, what the ring drops and what is in flows are all packets."""
    require("chrt", "taskset")
    count, flows = 120000, 50
    link = Link()
    try:
        program = capture(link, f"{QUEUE}=true", f"{QUEUE_SIZE}=1024", name="queue-overload")
        tasks = f"/proc/{program.process.pid}/task"
        slow = next(t for t in os.listdir(tasks) if open(f"{tasks}/{t}/comm").read().strip() == "dispatcher")
        must("taskset", "-pc", "0", slow)
        must("chrt", "--idle", "-p", "0", slow)
        # Takes the processor that the thread is bound to.
        hog = Program(["taskset", "-c", "0", sys.executable, "-c", "while True: pass"], "hog")
        try:
            send(link, udp_frames(flows), count, 40000)
        finally:
            hog.kill()
        must("chrt", "--other", "-p", "0", slow)
        time.sleep(1)
        rows = ended(program)
    finally:
        link.close()
    counted = sum(packets_of(rows).values())
    told, lost = losses(program.err)
    overwritten = lost.get("packets the dispatcher queue overwrote", 0)
    check(overwritten > 0, f"nothing was overwritten; lost at {lost}")
    check(set(lost) <= {"packets the dispatcher queue overwrote", "packets dropped by the kernel ring"}, f"lost at {lost}")
    check(told == count, f"{told} packets are told as offered, {count} were sent")
    check(counted + sum(lost.values()) == count, f"{counted} in flows and {lost} lost, sent were {count}")
    total = sum(row["byte_tx"] + row["byte_rx"] for row in rows)
    check(total == counted * 142, f"{total} bytes of {counted} packets")
    return f"{count} = {counted} counted + {overwritten} overwritten + {sum(lost.values()) - overwritten} dropped by the ring"


@test
def overload_loses_nothing_unseen():
    """Twice as many packets as may pass: those in flows and those counted as dropped are exactly those sent."""
    limit, count, flows, size = 20000, 240000, 50, 100
    notes = []
    for name, settings in (("v3", [f"{VERSION}=3"]), ("v2", [f"{VERSION}=2"]), ("fanout", [f"{AF}packet_fanout_count=2"])):
        link = Link()
        try:
            program = capture(link, *settings, f"{PPS}={limit}", f"{FIXED}=true", f"{BLOCKS}=8", name=f"overload-{name}")
            began = time.monotonic()
            send(link, udp_frames(flows, size), count, 2 * limit)
            seconds = time.monotonic() - began
            time.sleep(0.5)
            rows = ended(program)
        finally:
            link.close()
        counted = sum(packets_of(rows).values())
        told, lost = losses(program.err)
        dropped = sum(lost.values())
        check(dropped > 0, f"{name}: nothing was dropped at {count / seconds:.0f} packets a second")
        check(told == count, f"{name}: {told} packets are told as offered, {count} were sent")
        check(counted + dropped == count, f"{name}: {counted} in flows and {dropped} dropped ({lost}) make {counted + dropped}, sent were {count}")
        check(set(lost) == {"packets dropped by the kernel ring"}, f"{name}: lost at {lost}")
        total = sum(row["byte_tx"] + row["byte_rx"] for row in rows)
        check(total == counted * (size + 42), f"{name}: {total} bytes of {counted} packets")
        notes.append(f"{name}: {count} at {count / seconds:.0f}/s = {counted} counted + {dropped} dropped")
    return "; ".join(notes)
