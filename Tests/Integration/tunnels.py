"""Tunnels: what dftop finds inside equals what tshark finds, and a real VXLAN between two namespaces is looked into."""

import struct
import time

import captures
import harness
from harness import Link, Program, check, dftop, must, records, require, test, wait_until

VXLAN, IPIP, GENEVE, NSH, ERSPAN, TEB = 1, 2, 4, 5, 6, 7
ALL = "inputs.cbpf.preprocess.tunnel_decap_protocols=[1,2,4,5,6,7]"
OUTER_MACS = bytes.fromhex("020000aa0002020000aa0001")


def ipv4(protocol, payload):
    head = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(payload), 1, 0, 64, protocol, 0) + bytes([172, 16, 0, 1, 172, 16, 0, 2])
    return head[:10] + struct.pack(">H", captures.checksum(head)) + head[12:] + payload


def ipv6(protocol, payload):
    return struct.pack(">IHBB", 0x60000000, len(payload), protocol, 64) + bytes.fromhex("fd000000000000000000000000000001" "fd000000000000000000000000000002") + payload


def udp(port, payload):
    return struct.pack(">HHHH", 50000, port, 8 + len(payload), 0) + payload


def gre(protocol, key=None, sequence=None):
    flags = (0x2000 if key is not None else 0) | (0x1000 if sequence is not None else 0)
    return struct.pack(">HH", flags, protocol) + (struct.pack(">I", key) if key is not None else b"") + (
        struct.pack(">I", sequence) if sequence is not None else b"")


def around(inner):
    """(name, type, id, protocol, what follows the outer IP header) of every tunnel around an Ethernet frame."""
    ip = inner[14:]
    return [
        ("vxlan", VXLAN, 42, 17, udp(4789, struct.pack(">II", 0x08000000, 42 << 8) + inner)),
        ("geneve", GENEVE, 7, 17, udp(6081, struct.pack(">BBHI", 0, 0, 0x6558, 7 << 8) + inner)),
        ("geneve with options", GENEVE, 7, 17, udp(6081, struct.pack(">BBHI", 2, 0, 0x6558, 7 << 8) + struct.pack(">HBBI", 0x0102, 1, 1, 9) + inner)),
        ("nsh", NSH, 9, 17, udp(4790, struct.pack(">BBBBI", 0x0C, 0, 0, 4, 9 << 8) + struct.pack(">HBBI", 0x0FC6, 1, 3, 0x0000FF01) + bytes(16) + inner)),
        ("ip in ip", IPIP, 0, 4, ip),
        ("teb", TEB, 0, 47, gre(0x6558) + inner),
        ("teb with a key", TEB, 77, 47, gre(0x6558, key=77) + inner),
        ("erspan I", ERSPAN, 0, 47, gre(0x88BE) + inner),
        ("erspan II", ERSPAN, 100, 47, gre(0x88BE, sequence=1) + struct.pack(">II", 0x10010064, 0) + inner),
        ("erspan III", ERSPAN, 5, 47, gre(0x22EB, sequence=1) + struct.pack(">III", 0x20010005, 1, 0) + inner),
    ]


def made():
    """Frames of every tunnel in IPv4, in IPv6 and behind a VLAN tag, each with ports of its own."""
    out = []
    number = 0
    for link in ("v4", "v6", "vlan"):
        for which in range(len(around(b"\0" * 60))):
            number += 1
            for protocol in (6, 17):
                inner = captures.frame(protocol, 1, 20000 + number, 2, 443, b"inside the tunnel")
                name, kind, identifier, outer, content = around(inner)[which]
                packet = ipv6(outer, content) if link == "v6" else ipv4(outer, content)
                types = {"v4": b"\x08\x00", "v6": b"\x86\xdd", "vlan": b"\x81\x00\x00\x05\x08\x00"}[link]
                out.append((f"{name}, {link}", kind, identifier, OUTER_MACS + types + packet))
    return out


@test
def tunnels_like_tshark():
    """Inner addresses, ports and lengths of every tunnel equal those of tshark; type and id are what was made."""
    require("tshark")
    frames = made()
    capture = harness.WORK / "tunnels.pcap"
    capture.write_bytes(captures.pcap([(1_767_225_600_000_000 + 1000 * n, f[3]) for n, f in enumerate(frames)])[0])
    fields = ("ip.src", "ip.dst", "tcp.srcport", "udp.srcport", "tcp.dstport", "udp.dstport", "ip.proto")
    text = must("tshark", "-r", capture, "-n", "-T", "fields", "-E", "separator=,", "-E", "occurrence=l",
                *[x for f in fields for x in ("-e", f)])
    rows = records(dftop("print", "packets", "-r", capture, "-o", "json", "--set", ALL).stdout.decode())
    lines = text.splitlines()
    check(len(rows) == len(lines) == len(frames), f"{len(frames)} frames, {len(rows)} rows, {len(lines)} lines of tshark")
    wrong = []
    for (name, kind, identifier, _), row, line in zip(frames, rows, lines):
        source, destination, tcp_0, udp_0, tcp_1, udp_1, protocol = line.split(",")
        ports = (tcp_0, tcp_1) if protocol == "6" else (udp_0, udp_1)
        truth = (source, destination, int(ports[0]), int(ports[1]), int(protocol), kind, identifier)
        told = (row["ip4_0"], row["ip4_1"], row["port_0"], row["port_1"], row["protocol"], row["tunnel_type"], row["tunnel_id"])
        if truth != told:
            wrong.append(f"{name}: tshark and maker {truth}, dftop {told}")
    check(not wrong, f"{len(wrong)} of {len(frames)} differ:\n" + "\n".join(wrong[:8]))
    closed = records(dftop("print", "packets", "-r", capture, "-o", "json", "--set", "inputs.cbpf.preprocess.tunnel_decap_protocols=[]").stdout.decode())
    check(all(row["tunnel_type"] == 0 for row in closed), "tunnels are opened although none is to be")
    return f"{len(frames)} frames"


@test
def tunnel_live():
    """A VXLAN of the kernel between two namespaces: flows inside it, with its number and the outer addresses."""
    require("curl")
    link = Link()
    inner = {link.client: ("10.88.0.1", link.server_ip, link.client_ip, link.client_if),
             link.server: ("10.88.0.2", link.client_ip, link.server_ip, link.server_if)}
    try:
        for space, (address, remote, local, interface) in inner.items():
            made = harness.run("ip", "-n", space, "link", "add", "dfvx", "type", "vxlan", "id", "4242", "remote", remote,
                               "local", local, "dstport", "4789", "dev", interface)
            if made.returncode != 0:
                raise harness.Skip(f"no VXLAN in this kernel: {made.stderr.decode()}")
            must("ip", "-n", space, "addr", "add", f"{address}/24", "dev", "dfvx")
            must("ip", "-n", space, "link", "set", "dfvx", "up")
        web = Program(["python3", "-m", "http.server", "8000", "--bind", "10.88.0.2", "--directory", str(harness.WORK)], "vxlan-web", netns=link.server)
        wait_until(lambda: harness.listens(8000, link.server), "the server in the tunnel listens")
        flows = Program([harness.DFTOP, "print", "flows", "-i", link.client_if, "-o", "json"], "vxlan-flows", netns=link.client)
        link.captures(flows)
        for number in range(20):
            must("curl", "-sS", "--noproxy", "*", "-o", "/dev/null", f"http://10.88.0.2:8000/?{number}", netns=link.client)
        time.sleep(1.5)
        check(flows.stop() == 0, flows.err[-1000:])
        web.kill()
        rows = [r for r in records(flows.out) if r.get("server_port") == 8000]
        check(len({r["client_port"] for r in rows}) == 20, f"{len(rows)} flows to port 8000")
        for row in rows:
            told = (row["tunnel_type"], row["tunnel_tx_id"], row["tunnel_rx_id"], row["tunnel_tx_ip4_0"], row["tunnel_tx_ip4_1"], row["tunnel_rx_ip4_0"])
            truth = (VXLAN, 4242, 4242, link.client_ip, link.server_ip, link.server_ip)
            check(told == truth, f"expected {truth}, got {told}")
            check(row["l7_request"] == row["l7_response"] == 1, f"requests of the flow: {row['l7_request']}, {row['l7_response']}")
    finally:
        harness.stop_all()
        link.close()
    return f"{len(rows)} flows"
