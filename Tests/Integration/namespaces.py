"""Other network namespaces, bonds and interface patterns: what is captured where, counted against what was sent."""

import os
import time

import harness
from harness import Link, check, must, run, test, wait_until
from rings import PORT, Program, ended, packets_of, records, udp_frames, RAW_SENDER
import sys

EXTRA = "inputs.cbpf.af_packet.extra_netns_regex"
INNER, INNER_NAMES = "inputs.cbpf.af_packet.inner_interface_capture_enabled", "inputs.cbpf.af_packet.inner_interface_regex"
BOND, PATTERN = "inputs.cbpf.af_packet.bond_interfaces", "inputs.cbpf.af_packet.interface_regex"


class Pods:
    """A namespace that plays the host, and `count` others, each joined to it by a cable: host end `v<n>`, pod end `eth0`."""

    def __init__(self, count):
        harness.require_root()
        harness.require("ip", "ss")
        tag = f"{os.getpid() % 100000}"
        self.host = f"dfth{tag}"
        self.pods = [f"dftp{tag}{number}" for number in range(count)]
        harness._spaces.append(self)
        for space in [self.host, *self.pods]:
            must("ip", "netns", "add", space)
            must("ip", "-n", space, "link", "set", "lo", "up")
        for number in range(count):
            self.cable(number)

    def cable(self, number):
        pod = self.pods[number]
        must("ip", "link", "add", f"v{number}", "netns", self.host, "type", "veth", "peer", "name", "eth0", "netns", pod)
        for space, name in ((self.host, f"v{number}"), (pod, "eth0")):
            must("ip", "-n", space, "link", "set", name, "up")

    def send(self, number, count, flows=5):
        text = must(sys.executable, "-c", RAW_SENDER, "eth0", count, 5000, netns=self.pods[number], seconds=60,
                    stdin="\n".join(f.hex() for f in udp_frames(flows)).encode())
        check(int(text) == count, f"only {text} of {count} were sent")

    def capture(self, *settings, name, space=None):
        arguments = [harness.DFTOP, "print", "flows", "-f", f"udp port {PORT}", "-o", "json"]
        for setting in settings:
            arguments += ["--set", setting]
        program = Program(arguments, name, netns=self.host)
        Link.captures(self, program, netns=space or self.host)
        return program

    def sockets(self, space):
        return len(must("cat", "/proc/net/packet", netns=space).splitlines()) - 1

    def mac(self, space, interface):
        return must("cat", f"/sys/class/net/{interface}/address", netns=space).strip()

    def close(self):
        for space in [self.host, *self.pods]:
            run("ip", "netns", "del", space)
        if self in harness._spaces:
            harness._spaces.remove(self)


def by_nic(rows):
    """Packets by the last four bytes of the MAC that a flow was captured at."""
    counted = {}
    for row in rows:
        counted[row["capture_nic"]] = counted.get(row["capture_nic"], 0) + row["packet_tx"] + row["packet_rx"]
    return counted


def low32(mac):
    return int(mac.replace(":", "")[4:], 16)


@test
def extra_namespaces():
    """Named namespaces that match are captured by a dispatcher each, others are not."""
    pods = Pods(3)
    try:
        program = pods.capture(f'{EXTRA}="^({pods.pods[0]}|{pods.pods[2]})$"', f'{PATTERN}="^eth.*$"', name="extra", space=pods.pods[2])
        check([pods.sockets(s) for s in pods.pods] == [1, 0, 1], f"packet sockets: {[pods.sockets(s) for s in pods.pods]}")
        for number in range(3):
            pods.send(number, 100 * (number + 1))
        time.sleep(0.5)
        rows = ended(program)
        macs = [low32(pods.mac(s, "eth0")) for s in pods.pods]
    finally:
        pods.close()
    check(by_nic(rows) == {macs[0]: 100, macs[2]: 300}, f"packets by interface: {by_nic(rows)}, MACs {macs}")
    # The host has no interface that matches, so the two namespaces are dispatchers 0 and 1.
    check({row["flow_id"] >> 24 & 0xFF for row in rows} == {0, 1}, "not a dispatcher each")


@test
def extra_namespaces_come_and_go():
    """Namespaces that match are captured once they are there, and left, so that they go away, once they are not."""
    pods = Pods(2)
    try:
        name = pods.pods[1]
        must("ip", "netns", "del", name)
        program = pods.capture(f'{EXTRA}="^({pods.pods[0]}|{name})$"', f'{PATTERN}="^eth.*$"', name="extra-late", space=pods.pods[0])
        pods.send(0, 100)
        must("ip", "netns", "add", name)
        must("ip", "-n", name, "link", "set", "lo", "up")
        pods.cable(1)
        wait_until(lambda: pods.sockets(name) == 1, "the namespace that came is captured", seconds=25)
        time.sleep(0.7)
        pods.send(1, 200)
        first = low32(pods.mac(name, "eth0"))
        time.sleep(0.5)
        threads = harness.threads(program)
        check(threads.count("dispatcher") == 1 and threads.count("dispatcher 1") == 1, f"threads: {threads}")
        must("ip", "netns", "del", name)
        # The other end of the cable lives as long as the namespace does.
        wait_until(lambda: run("ip", "-n", pods.host, "link", "show", "v1").returncode != 0, "the namespace is let go", seconds=25)
        wait_until(lambda: harness.threads(program).count("dispatcher 1") == 0, "its dispatcher ends")
        # Another of the same name takes over the number.
        must("ip", "netns", "add", name)
        must("ip", "-n", name, "link", "set", "lo", "up")
        pods.cable(1)
        wait_until(lambda: pods.sockets(name) == 1, "the namespace that came again is captured", seconds=25)
        time.sleep(0.7)
        pods.send(1, 300)
        pods.send(0, 50)
        second = low32(pods.mac(name, "eth0"))
        time.sleep(0.5)
        rows = ended(program)
        wanted = {low32(pods.mac(pods.pods[0], "eth0")): 150, first: 200, second: 300}
    finally:
        pods.close()
    check("some are in no flow" not in program.err, program.err)
    check(by_nic(rows) == wanted, f"packets by interface: {by_nic(rows)}, wanted {wanted}")
    check({row["flow_id"] >> 24 & 0xFF for row in rows} == {0, 1}, "not two dispatchers")


@test
def inner_namespaces():
    """Interfaces behind the host's cables are captured together with it, those that come later as well."""
    pods = Pods(2)
    try:
        late = pods.pods[1]
        must("ip", "-n", pods.host, "link", "del", "v1")
        program = pods.capture(f"{INNER}=true", f'{PATTERN}="^v[0-9]+$"', name="inner")
        check([pods.sockets(s) for s in (pods.host, *pods.pods)] == [1, 1, 0], "packet sockets of host and pods")
        pods.send(0, 400)
        pods.cable(1)
        wait_until(lambda: pods.sockets(late) == 1, "the pod that came later is captured", seconds=25)
        time.sleep(0.7)
        pods.send(1, 600)
        time.sleep(0.5)
        rows = ended(program)
        wanted = {}
        for number, count in ((0, 400), (1, 600)):
            for space, interface in ((pods.host, f"v{number}"), (pods.pods[number], "eth0")):
                wanted[low32(pods.mac(space, interface))] = count
    finally:
        pods.close()
    check(by_nic(rows) == wanted, f"packets by interface: {by_nic(rows)}, wanted {wanted}")
    check({row["flow_id"] >> 24 & 0xFF for row in rows} == {0}, "not one dispatcher")


@test
def bond_members():
    """Packets of a flow on two members of a bond make one flow, known by the first member's MAC."""
    for name, settings in (("apart", []), ("bond", [BOND + '=[{"slave_interfaces": ["v1", "v0"]}]'])):
        pods = Pods(2)
        try:
            program = pods.capture(f'{PATTERN}="^v[0-9]+$"', *settings, name=f"members-{name}")
            pods.send(0, 300, flows=1)
            pods.send(1, 200, flows=1)
            time.sleep(0.5)
            rows = ended(program)
            macs = [low32(pods.mac(pods.host, f"v{n}")) for n in range(2)]
        finally:
            pods.close()
        wanted = {macs[1]: 500} if settings else {macs[0]: 300, macs[1]: 200}
        check(by_nic(rows) == wanted, f"{name}: packets by interface: {by_nic(rows)}, wanted {wanted}")
        check(len({row["flow_id"] for row in rows}) == len(wanted), f"{name}: {len(rows)} flows")


@test
def interface_patterns():
    """A pattern chooses interfaces, new ones as they come; one that is no regular expression is refused."""
    pods = Pods(3)
    try:
        must("ip", "-n", pods.host, "link", "del", "v2")
        program = pods.capture(f'{PATTERN}="^v[12]$"', name="pattern")
        pods.send(0, 100)
        pods.send(1, 200)
        pods.cable(2)
        time.sleep(1.5)
        pods.send(2, 300)
        time.sleep(0.5)
        rows = ended(program)
        macs = [low32(pods.mac(pods.host, f"v{n}")) for n in range(3)]
    finally:
        pods.close()
    check(by_nic(rows) == {macs[1]: 200, macs[2]: 300}, f"packets by interface: {by_nic(rows)}, MACs {macs}")
    done = harness.dftop("print", "flows", "--set", f'{PATTERN}="^(eth"')
    check(done.returncode == 2 and b"regular expression" in done.stderr, f"exit code {done.returncode}: {done.stderr}")


MODE, NETWORK = "inputs.cbpf.common.capture_mode", "inputs.cbpf.physical_mirror.default_capture_network_type"


@test
def mirrored_traffic():
    """In mirror mode a dispatcher is bound to each interface; the analyzer names flows by it and by the network."""
    for name, mode, settings in (("mirror", 1, []), ("analyzer", 2, [f"{NETWORK}=5"])):
        pods = Pods(2)
        try:
            program = pods.capture(f'{PATTERN}="^v[0-9]+$"', f"{MODE}={mode}", *settings, name=name)
            told = must("ss", "--packet", "-e", "-n", netns=pods.host)
            check("*:v0" in told and "*:v1" in told, f"{name}: not a socket an interface:\n{told}")
            pods.send(0, 300)
            pods.send(1, 200)
            time.sleep(0.5)
            rows = ended(program)
            macs = [low32(pods.mac(pods.host, f"v{n}")) for n in range(2)]
        finally:
            pods.close()
        by_dispatcher = {}
        for row in rows:
            number = row["flow_id"] >> 24 & 0xFF
            by_dispatcher[number] = by_dispatcher.get(number, 0) + row["packet_tx"] + row["packet_rx"]
            check(row["capture_network_type_id"] == (3 if mode == 1 else 5), f"{name}: network {row['capture_network_type_id']}")
            # The analyzer's id form is 4, with the dispatcher in the low byte.
            kind, nic = (0, macs[number]) if mode == 1 else (4, number)
            check((row["capture_nic_type"], row["capture_nic"]) == (kind, nic),
                  f"{name}: captured at {row['capture_nic_type']}, {row['capture_nic']}, wanted {kind}, {nic}")
        check(by_dispatcher == {0: 300, 1: 200}, f"{name}: packets by dispatcher: {by_dispatcher}")
