"""The highest rate that a sender on this machine can offer over a veth pair: what an agent loses of it, and its cost."""

import json
import os
import pathlib
import re
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "Tests/Integration"))
import harness  # noqa: E402

# Takes what the agent sends, so that its own cost alone is measured.
SINK = """
import socket, threading
def take(peer):
    while peer.recv(1 << 20):
        pass
server = socket.create_server(("127.0.0.1", 20033))
while True:
    threading.Thread(target=take, args=(server.accept()[0],), daemon=True).start()
"""


def prepare(programs, folder):
    """Where dftop and dfctl are, and where what they write goes."""
    harness.DFTOP, harness.DFCTL, harness.WORK = programs / "dftop", programs / "dfctl", folder / "live"
    harness.WORK.mkdir(exist_ok=True)


def counted(told):
    """Packets that the agent took, that the kernel's ring dropped, and what else it lost, from the line it ends with."""
    line = next(line for line in told.splitlines() if "capture ended" in line)
    number = lambda name: int(re.search(rf"\b{name}=(\d+)", line).group(1))
    lost = re.search(r"\blost=(.*?) (?:packets=|\[)", line)
    return number("packets"), number("dropped_by_kernel"), lost.group(1) if lost else ""


def cpu_seconds(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def tcpreplay(interface, path, packets, held):
    command = ["tcpreplay", "-i", interface, "--topspeed", "-K", "-q", "-l", str(max(1, packets // held)), path]
    def read(text):
        sent, seconds = re.search(r"Actual: (\d+) packets .* sent in ([\d.]+) seconds", text).groups()
        return int(sent), float(seconds)
    return command, read


def raw_sender(program):
    def made(interface, path, packets, held):
        def read(text):
            told = json.loads(text)
            return told["packets"], told["seconds"]
        return [program, interface, path, str(packets)], read
    return made


def measure(name, sender, path, held, packets):
    """One run: sends to an agent that reports to a sink. Returns what was sent, counted and spent."""
    link = harness.Link()
    try:
        for space, interface in ((link.client, link.client_if), (link.server, link.server_if)):
            harness.must("ip", "-n", space, "link", "set", interface, "mtu", "9000")
        sink = harness.Program([sys.executable, "-c", SINK], f"rate-sink-{name}", netns=link.server)
        harness.wait_until(lambda: harness.listens(20033, link.server), "the sink listens")
        agent = harness.Program(
            [harness.DFTOP, "agent", "--ingester", "127.0.0.1", "-i", link.server_if],
            f"rate-agent-{name}", netns=link.server)
        link.captures(agent, netns=link.server)
        pid = agent.process.pid
        command, read = sender(link.client_if, path, packets, held)
        before = cpu_seconds(pid)
        done = subprocess.run(["ip", "netns", "exec", link.client, *map(str, command)], capture_output=True, text=True,
                              check=True, timeout=300)
        spent = cpu_seconds(pid) - before
        sent, seconds = read(done.stdout)
        time.sleep(2)
        agent.stop()
        sink.kill()
        taken, dropped, lost = counted(agent.err)
        result = {"sent": sent, "seconds": seconds, "counted": taken, "dropped": dropped, "lost": lost, "cpu": spent}
        return result
    finally:
        link.close()
