"""Echoes of ICMP and ICMPv6 between two network namespaces."""

import re
import time

import harness
from harness import Link, Program, check, must, records, require, test


@test
def live_ping():
    """Every echo of ping, IPv4 and IPv6, is one answered request with its identifier, number, size and time."""
    require("ping")
    link = Link()
    told = []
    try:
        watcher = Program(
            [harness.DFTOP, "print", "l7", "-i", link.client_if, "--l7-protocol", "ping", "-o", "json"], "live-ping",
            netns=link.client)
        link.captures(watcher)
        asked = {}
        for address, count, size in ((link.server_ip, 20, 56), (link.server_ip6, 15, 200), (link.server_ip, 5, 0)):
            out = must("ping", "-c", count, "-i", "0.02", "-s", size, address, netns=link.client)
            asked[address, size] = len(re.findall(r"icmp_seq=", out))
            check(asked[address, size] == count, f"{asked} of {count} answered")
        time.sleep(1.5)  # the last packets reach the rings within their retire time
        code = watcher.stop()
    finally:
        link.close()
    check(code == 0, f"dftop ended with {code}:\n{watcher.err[-2000:]}")
    rows = records(watcher.out)
    for (address, size), count in asked.items():
        is_ipv6 = ":" in address
        own = [row for row in rows if row["request_length"] == size and row["is_ipv4"] != is_ipv6]
        check(len(own) == count, f"{len(own)} of {count} echoes of {size} bytes to {address}")
        check(sorted(row["request_id"] for row in own) == list(range(1, count + 1)), f"numbers of {address}")
        check(len({row["request_resource"] for row in own}) == 1, "one ping, one identifier")
        for row in own:
            ends = (row["ip6_0"], row["ip6_1"]) if is_ipv6 else (row["ip4_0"], row["ip4_1"])
            client = link.client_ip6 if is_ipv6 else link.client_ip
            check(ends == (client, address), f"{ends}, not {(client, address)}")
            check(row["l7_protocol_str"] == "Ping" and row["response_status_str"] == "ok", f"{row}")
            check(row["response_length"] == size and 0 < row["response_duration"] < 1_000_000, f"{row}")
        told.append(f"{count} of {size} bytes to {address}")
    return ", ".join(told)
