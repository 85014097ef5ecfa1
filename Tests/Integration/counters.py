"""What an agent counts of itself: through the statistics into the store, and on the socket."""

import json
import os
import socket
import sys
import time

import harness
from engines import Server, Space
from fanout import SENDER
from harness import Program, check, must, run, test, wait_until

# Modules of these stages, with counters that traffic must move. Source: spec tables/agent_counters.tsv.
MOVING = {
    "deepflow_agent_dispatcher": ["kernel_packets", "rx", "rx_all", "rx_bytes", "rx_all_bytes"],
    "deepflow_agent_flow_map": ["new", "closed", "concurrent", "slots", "slot_max_depth", "total_scan", "packet_delay",
                                "flush_delay", "flow_delay", "l7_perf_cache_len", "l7_timeout_cache_len"],
    "deepflow_agent_flow_perf": ["unknown_l7_protocol", "ignore_packet_count"],
    "deepflow_agent_quadruple_generator": ["window-delay", "flow-delay", "stash-total-len", "stash-total-capacity"],
    "deepflow_agent_collector": ["window-delay", "flow-delay", "in", "out", "stash-capacity"],
    "deepflow_agent_flow_aggr": ["out", "stash-total-len", "stash-total-capacity"],
    "deepflow_agent_l7_session_aggr": ["receive", "merge"],
    "deepflow_agent_queue": ["in", "out", "pending"],
}
SENDERS = {"deepflow_agent_collect_sender": ["rx", "tx", "tx-bytes", "compression-ratio"]}

# Requests over TCP that are answered, one that is not, bytes of no known protocol, flags that cannot be, datagrams.
TRAFFIC = """
import socket, struct, threading, time
server = socket.create_server(('127.0.0.1', 8088))
silent = socket.create_server(('127.0.0.1', 8089))
def serve():
    while True:
        peer, _ = server.accept()
        peer.recv(4096); peer.sendall(b'HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\n\\r\\nok'); peer.close()
threading.Thread(target=serve, daemon=True).start()
raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_TCP)
udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
waiting = []
while True:
    with socket.create_connection(('127.0.0.1', 8088)) as client:
        client.sendall(b'GET /a HTTP/1.1\\r\\nHost: a\\r\\n\\r\\n'); client.recv(4096)
    held = socket.create_connection(('127.0.0.1', 8089))
    held.sendall(b'GET /b HTTP/1.1\\r\\nHost: b\\r\\n\\r\\n'); waiting.append(held)
    with socket.create_connection(('127.0.0.1', 8089)) as client:
        client.sendall(bytes(range(128, 160)))
    raw.sendto(struct.pack('!HHIIBBHHH', 4000, 4001, 1, 1, 0x50, 0x06, 64, 0, 0), ('127.0.0.1', 0))
    udp.sendto(b'0123456789', ('127.0.0.1', 9)); time.sleep(0.1)
"""


def totals(rows):
    """Sums by record name and counter."""
    sums = {}
    for row in rows:
        names, values = json.loads(row["metrics_float_names"]), json.loads(row["metrics_float_values"])
        check(len(names) == len(values), f"{row['virtual_table_name']}: {len(names)} names, {len(values)} values")
        tags = dict(zip(json.loads(row["tag_names"]), json.loads(row["tag_values"])))
        check(tags.get("host") == socket.gethostname(), f"{row['virtual_table_name']}: tags {tags}")
        for name, value in zip(names, values):
            key = (row["virtual_table_name"], name)
            sums[key] = sums.get(key, 0) + value
    return sums


QUERY = ("SELECT time, virtual_table_name, tag_names, tag_values, metrics_float_names, metrics_float_values "
         "FROM deepflow_collector LIMIT 10000")


def missing(sums, wanted):
    return [f"{name} {counter}" for name, counters in wanted.items() for counter in counters
            if sums.get((name, counter), 0) <= 0]


@test
def statistics_of_an_agent():
    """Every counter of an agent's stages reaches a server's store and moves with traffic."""
    space = Space()
    server = Server(space, "stats-server")
    agent = Program([harness.DFTOP, "agent", "--ingester", "127.0.0.1", "-i", "lo",
                     "--set", 'global.self_monitoring.interval="1s"'], "stats-agent", netns=space.name)
    traffic = Program([sys.executable, "-c", TRAFFIC], "stats-traffic", netns=space.name)
    wanted = {**MOVING, **SENDERS}
    last = []

    def complete():
        nonlocal last
        last = missing(totals(server.query(QUERY)), wanted)
        return not last

    try:
        wait_until(complete, "every counter has moved", seconds=110, step=1)
    except harness.Failed as error:
        raise harness.Failed(f"{error}; not moved: {', '.join(last)}")
    finally:
        traffic.kill()
        agent.stop()
    rows = server.query(QUERY)
    times = {row["time"] for row in rows if row["virtual_table_name"] == "deepflow_agent_dispatcher"}
    check(len(times) > 10, f"readings at {len(times)} seconds")
    kinds = {dict(zip(json.loads(row["tag_names"]), json.loads(row["tag_values"]))).get("kind")
             for row in rows if row["virtual_table_name"] == "deepflow_agent_collector"}
    check(kinds == {"second", "minute", "l7_second", "l7_minute"}, f"kinds {kinds}")
    own = {row["virtual_table_name"]: row for row in server.query(QUERY.replace("deepflow_collector", "deepflow_server"))}
    for module in ["decoder", "unmarshaller", "ckwriter", "recviver", "queue"]:
        check(f"deepflow_server_ingester_{module}" in own, f"the server stores {sorted(own)} of itself")
    server.stop()
    monitor = [row for row in rows if row["virtual_table_name"] == "deepflow_agent_monitor"][-1]
    told = dict(zip(json.loads(monitor["metrics_float_names"]), json.loads(monitor["metrics_float_values"])))
    check(abs(told["max_memory_ratio"] * (768 << 20) - told["memory"]) < 1, f"max_memory_ratio of {told}")
    check(abs(told["max_millicpus_ratio"] * 100 - told["cpu_percent"]) < 1e-6, f"max_millicpus_ratio of {told}")
    room = os.statvfs("/")
    free = [row for row in rows if row["virtual_table_name"] == "deepflow_agent_free_disk"][-1]
    percent = dict(zip(json.loads(free["metrics_float_names"]), json.loads(free["metrics_float_values"])))["free_disk_percentage"]
    check(abs(percent - room.f_bavail * 100 / room.f_blocks) < 2, f"{percent} % free, statvfs tells {room}")
    return f"{len(rows)} records, {sum(len(counters) for counters in wanted.values())} counters moved"


@test
def statistics_of_several_dispatchers():
    """Each dispatcher of a fanout has records of its own; together they have counted every packet."""
    # Ports from 20000 on, below those of the daemon.
    space, flows, rounds = Space(), 30, 60
    folder, path = harness.WORK / "stats-fanout", harness.WORK / "stats-fanout.sock"
    folder.mkdir()
    daemon = Program([harness.DFTOP, "daemon", "-i", "lo", "-f", "udp dst port 9999", "--data-dir", folder, "--socket", path,
                      "--set", 'global.self_monitoring.interval="1s"', "--set", "inputs.cbpf.tunning.dispatcher_queue_enabled=true",
                      "--set", "inputs.cbpf.af_packet.tunning.packet_fanout_count=2"], "stats-fanout", netns=space.name)

    def ask(*arguments):
        done = run(harness.DFCTL, *arguments, "-o", "json", "--server", path, netns=space.name)
        return [json.loads(line) for line in done.stdout.splitlines()] if done.returncode == 0 else []

    def sums(module, tag, counter):
        """By the value of a tag."""
        found = {}
        for row in ask("query", QUERY):
            if row["virtual_table_name"] != f"deepflow_agent_{module}":
                continue
            tags = dict(zip(json.loads(row["tag_names"]), json.loads(row["tag_values"])))
            values = dict(zip(json.loads(row["metrics_float_names"]), json.loads(row["metrics_float_values"])))
            if module != "queue" or tags["module"].startswith("0.1"):
                found[tags[tag]] = found.get(tags[tag], 0) + values[counter]
        return found

    try:
        wait_until(lambda: sums("dispatcher", "id", "rx"), "statistics are stored", seconds=40, step=0.5)
        must(sys.executable, "-c", SENDER, "127.0.0.1", flows, rounds, netns=space.name)
        last = wait_until(
            lambda: sum(sums("dispatcher", "id", "rx").values()) >= flows * rounds and sums("dispatcher", "id", "rx"),
            "all packets are in the statistics", seconds=20, step=0.5)
        check(set(last) == {"0", "1"} and all(last.values()), f"packets by dispatcher: {last}")
        check(sum(last.values()) == flows * rounds, f"{last}, sent were {flows * rounds}")
        check(sums("queue", "index", "in") == last, f"queues {sums('queue', 'index', 'in')}, dispatchers {last}")
        check(sums("flow_map", "id", "new").keys() == last.keys(), "the flow tables are not told apart")
        shown = {row["name"] for row in ask("show", "counters")}
        for name in ("dispatcher", "flow-map flows", "0.1-raw-packet-to-flow-generator"):
            check({f"{name} 0", f"{name} 1"} <= shown, f"{name} is not told apart among {sorted(shown)}")
    finally:
        daemon.stop()
    return f"packets by dispatcher: {last}"


@test
def statistics_of_one_process():
    """A daemon stores its own counters and shows them to dfctl."""
    space = Space()
    folder, path = harness.WORK / "stats-daemon", harness.WORK / "stats-daemon.sock"
    folder.mkdir()
    daemon = Program([harness.DFTOP, "daemon", "-i", "lo", "--data-dir", folder, "--socket", path,
                      "--set", 'global.self_monitoring.interval="1s"'], "stats-daemon", netns=space.name)
    traffic = Program([sys.executable, "-c", TRAFFIC], "stats-traffic-2", netns=space.name)

    def ask(*arguments):
        done = run(harness.DFCTL, *arguments, "-o", "json", "--server", path, netns=space.name)
        return [json.loads(line) for line in done.stdout.splitlines()] if done.returncode == 0 else []

    def shown():
        return {(row["name"], row["counter"]): row["value"] for row in ask("show", "counters")}

    try:
        wait_until(lambda: len(ask("query", QUERY)) > 60, "statistics are stored", seconds=40, step=0.5)
        before = shown()
        time.sleep(3)
        after = shown()
    finally:
        traffic.kill()
        daemon.stop()
    for key in [("dispatcher", "rx"), ("flow-map flows", "new"), ("flow-map packets", "unknown_l7_protocol"),
                ("l7_session_aggr", "receive"), ("1-tagged-flow-to-quadruple-generator", "in")]:
        check(after.get(key, 0) > before.get(key, 0), f"{key}: {before.get(key)}, then {after.get(key)}")
    for name in ["quadruple_generator second", "collector l7_minute", "flow_aggr"]:
        check(any(key[0] == name for key in after), f"{name} is not among {sorted({key[0] for key in after})}")
    return f"{len(after)} counters on the socket"
