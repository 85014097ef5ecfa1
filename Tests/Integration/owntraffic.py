"""An agent's own traffic: what it sends to its server is not captured, unless the filter is off."""

import collections
import sys

import harness
from engines import Server
from fanout import SENDER
from harness import Link, Program, check, must, test, wait_until

PORT = 20033
FILTER = "inputs.cbpf.af_packet.bpf_filter_disabled"
ROWS = "SELECT client_port, server_port, ip4_0, ip4_1, byte_tx, byte_rx FROM l4_flow_log LIMIT 10000"


@test
def own_connection_is_not_captured():
    """The connection to the server is in no flow, what else goes over the same interface is; without the filter both are."""
    seen = {}
    for name, settings in (("filtered", []), ("open", ["--set", f"{FILTER}=true"])):
        link = Link()
        try:
            # The engines' helper asks for a space by its name.
            space = collections.namedtuple("Space", "name")(link.server)
            server = Server(space, f"own-{name}", arguments=("--bind", "0.0.0.0"))
            agent = Program([harness.DFTOP, "agent", "--ingester", link.server_ip, "-i", link.client_if, *settings],
                            f"own-{name}-agent", netns=link.client)
            link.captures(agent)
            wait_until(lambda: connections(link), f"{name}: the agent is connected", seconds=20)
            must(sys.executable, "-c", SENDER, link.server_ip, 10, 5, netns=link.client)
            # Records of the first seconds are on their way, so that the connection has carried some.
            wait_until(lambda: server.count("flow_metrics.\"network.1s\"") > 0, f"{name}: records have arrived", seconds=40, step=0.5)
            own = connections(link)
            # A flow that goes on is in the log once its minute is over, or when the agent ends: not before.
            code = agent.stop()
            check(code == 0, f"{name}: exit code {code}: {agent.err[-1500:]}")
            server.settled()
            rows = server.query(ROWS)
            server.stop()
        finally:
            link.close()
        ports = {port for row in rows for port in (row["client_port"], row["server_port"])}
        seen[name] = own & ports, PORT in ports
        check(any(row["server_port"] == 9999 for row in rows), f"{name}: the other traffic is in no flow: {rows}")
    check(seen["open"][0] and seen["open"][1], f"without the filter the connection is not seen either: {seen}")
    check(not seen["filtered"][0] and not seen["filtered"][1], f"the agent captures its own connection: {seen}")


def connections(link):
    """Ports of the agent's ends."""
    lines = must("ss", "-Htn", "state", "established", f"dport = :{PORT}", netns=link.client).splitlines()
    return {int(line.split()[2].rsplit(":", 1)[1]) for line in lines}
