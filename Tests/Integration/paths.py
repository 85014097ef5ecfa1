"""The same capture by different ways gives the same rows."""

import collections
import contextlib
import datetime
import ipaddress
import json

import os

import captures
import harness
from harness import Failed, Skip, check, dftop, records, require_testdata, run, test
from engines import Server, Space

METRICS = ("network", "network_map", "application", "application_map")
KINDS = [("packets",), ("flows",), ("flows", "--interval", "1s"), ("l7-messages",), ("l7",), ("metrics", "--interval", "1s"), ("metrics", "--interval", "1m")]


def kinds_of(form):
    """CSV has one header, so that of metrics names one table."""
    if form == "json":
        return KINDS
    return [kind if kind[0] != "metrics" else (*kind, "--table", table) for kind in KINDS
            for table in (["network_map", "application_map"] if kind[0] == "metrics" else [""])]


def some_captures():
    """Own small conversation, vectors of every kind, and a made mix where the generator was built."""
    own = harness.WORK / "own.pcap"
    own.write_bytes(captures.pcap(captures.conversation())[0])
    files = [own]
    if harness.TESTDATA.is_dir():
        for pattern in ("l4/*.pcap", "l7/http/*.pcap", "l7/dns/*.pcap", "l7/mysql/*.pcap", "l7/redis/*.pcap"):
            files += sorted(harness.TESTDATA.glob(pattern))
    generator = os.path.join(os.path.dirname(harness.DFTOP), "trafficgen")
    if os.access(generator, os.X_OK):
        for name, arguments in (
            ("made-packets", ("packets", "--flows", "1000", "--packets", "20000")),
            ("made-requests", ("requests", "--requests", "6000")),
        ):
            path = harness.WORK / f"{name}.pcap"
            if not path.exists():
                harness.must(generator, arguments[0], path, *arguments[1:])
            files.append(path)
    return files


@test
def same_file_twice():
    """Reading a file twice gives equal bytes, for every kind of record."""
    require_testdata()
    count = 0
    for path in some_captures():
        for form in ("json", "csv"):
            for kind in kinds_of(form):
                first = dftop("print", *kind, "-r", path, "-o", form)
                check(first.returncode == 0, f"print {kind} of {path.name}: exit code {first.returncode}\n{first.stderr.decode()}")
                again = dftop("print", *kind, "-r", path, "-o", form)
                if first.stdout != again.stdout:
                    pairs = zip(first.stdout.splitlines(), again.stdout.splitlines())
                    line = next((n for n, (a, b) in enumerate(pairs, 1) if a != b), "behind the shorter one")
                    raise Failed(f"print {' '.join(kind)} of {path.name} -o {form} differs from line {line} on")
                count += 1
    return f"{count} outputs"


@test
def same_by_standard_input():
    """A pipe, pcapng instead of pcap, and json against csv tell the same."""
    path = harness.WORK / "pipe.pcap"
    path.write_bytes(captures.pcap(captures.conversation())[0])
    other = harness.WORK / "pipe.pcapng"
    other.write_bytes(captures.pcapng(captures.conversation())[0])
    for kind in KINDS:
        by_name = dftop("print", *kind, "-r", path, "-o", "json")
        check(by_name.returncode == 0 and by_name.stdout, f"print {kind}: exit code {by_name.returncode}, nothing printed\n{by_name.stderr.decode()}")
        by_pipe = dftop("print", *kind, "-r", "-", "-o", "json", stdin=path.read_bytes())
        check(by_pipe.stdout == by_name.stdout, f"print {kind}: standard input differs\n{by_pipe.stderr.decode()}")
        as_pcapng = dftop("print", *kind, "-r", other, "-o", "json")
        check(as_pcapng.stdout == by_name.stdout, f"print {kind}: pcapng differs\n{as_pcapng.stderr.decode()}")
    for kind in kinds_of("csv"):
        rows = records(dftop("print", *kind, "-r", path, "-o", "json").stdout)
        lines = dftop("print", *kind, "-r", path, "-o", "csv").stdout.decode().splitlines()
        check(len(lines) == len(rows) + 1 or not rows and not lines, f"print {kind}: csv has {len(lines)} lines, json {len(rows)}")


@test
def filters_and_counts():
    """--filter, --count and -f choose what they say."""
    path = harness.WORK / "filter.pcap"
    path.write_bytes(captures.pcap(captures.conversation())[0])

    def rows(*arguments):
        done = dftop("print", *arguments, "-r", path, "-o", "json")
        check(done.returncode == 0, f"{arguments}: exit code {done.returncode}\n{done.stderr.decode()}")
        return records(done.stdout)

    check(len(rows("packets", "-f", "udp")) == 2, "-f udp of packets")
    check(len(rows("packets", "--count", "3")) == 3, "--count 3 of packets")
    check([r["server_port"] for r in rows("flows", "--filter", "proto:http")] == [80], "--filter proto:http of flows")
    check([r["response_code"] for r in rows("l7", "--filter", "status:404")] == [404], "--filter status:404 of l7")
    check(len(rows("l7", "--filter", "!proto:dns status:error")) == 1, "--filter with negation of l7")
    check(rows("l7", "--filter", "port:9999") == [], "--filter that nothing matches")
    check({r["table"] for r in rows("metrics", "--table", "application_map")} == {"application_map.1s", "application_map.1m"},
          "--table application_map of metrics")
    check({r["table"] for r in rows("metrics", "--interval", "1m")} <= {f"{t}.1m" for t in METRICS}, "--interval 1m of metrics")


# Columns that tell where a row was made rather than what was seen.
OWN = {"_id", "agent_id", "trace_id_index", "team_id"}


def printed(name, value):
    """A value of a query in the form that `print` gives it: addresses and times are numbers in the store."""
    if isinstance(value, int):
        if name.startswith(("ip4", "tunnel_tx_ip4", "tunnel_rx_ip4", "nat_real_ip4")):
            return str(ipaddress.IPv4Address(value))
        if name in ("mac_0", "mac_1"):
            return ":".join(f"{value >> shift & 255:02x}" for shift in range(40, -1, -8))
        if name == "time":
            value *= 1_000_000
        if name in ("time", "start_time", "end_time"):
            at = datetime.datetime(1970, 1, 1) + datetime.timedelta(microseconds=value)
            return at.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    if isinstance(value, str) and value.startswith("["):
        with contextlib.suppress(ValueError):
            return json.loads(value)
    return value


def comparable(row, columns, printer=lambda name, value: value):
    values = []
    is_ipv4 = row.get("is_ipv4") == 1
    for name in columns:
        value = printer(name, row.get(name))
        # `print` leaves out the addresses of the other family.
        if name.startswith(("ip6_", "nat_real_ip6") if is_ipv4 else ("ip4_", "nat_real_ip4")) or name in (("ip6",) if is_ipv4 else ("ip4",)):
            value = None
        if isinstance(value, list):
            value = json.dumps(value) if value else None
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        values.append(None if value in ("", None) else value)
    return tuple(values)


def compare(what, here, there):
    """Rows as multisets over the columns that both sides name."""
    check(here, f"{what}: no rows in one process")
    columns = sorted((set().union(*here) & set().union(*there)) - OWN) if there else []
    check(len(columns) > 20, f"{what}: only the columns {columns} are comparable")
    left = collections.Counter(comparable(r, columns) for r in here)
    right = collections.Counter(comparable(r, columns, printed) for r in there)
    if left != right:
        only_left, only_right = list((left - right).elements()), list((right - left).elements())
        text = [f"{what}: {len(here)} rows in one process, {len(there)} across the wire; {len(only_left)} and {len(only_right)} have no counterpart"]
        if only_left and only_right:
            best = min(only_right, key=lambda row: sum(a != b for a, b in zip(row, only_left[0])))
            text += [f"  {c}: one process {a!r}, wire {b!r}" for c, a, b in zip(columns, only_left[0], best) if a != b]
        raise Failed("\n".join(text))
    return columns


TABLES = [
    ("flows", (), "flow_log.l4_flow_log"), ("l7", (), "flow_log.l7_flow_log"),
    *[("metrics", ("--interval", i, "--table", t), f"flow_metrics.{t}.{i}") for t in METRICS for i in ("1s", "1m")],
]


@test
def same_across_the_wire():
    """`dftop print` and agent -> TCP -> server -> `dfctl query` give identical rows."""
    require_testdata()
    names = ("own", "made-packets", "made-requests", "http", "syn-retrans", "httpv1", "dns-tcp-multi", "mysql", "redis")
    files = [p for p in some_captures() if p.stem in names]
    space = Space()
    notes = 0
    try:
        for number, path in enumerate(files):
            server = Server(space, f"wire-{number}")
            expected = {}
            for kind, options, table in TABLES:
                done = dftop("print", kind, *options, "-r", path, "-o", "json")
                expected[table] = records(done.stdout)
            server.agent(f"agent of {path.name}", "-r", path)
            stored = server.settled()
            for kind, options, table in TABLES:
                if not expected[table]:
                    check(stored[table] == 0, f"{path.name}: {table} has rows only across the wire")
                    continue
                compare(f"{path.name}: {table}", expected[table], server.query(f"SELECT * FROM {table}"))
                notes += len(expected[table])
            server.stop()
    finally:
        harness.stop_all()
    return f"{notes} rows"



def traffic(capture, *kind):
    """Packets and bytes of all rows of a kind; those of packets are counted one by one."""
    done = dftop("print", *kind, "-r", capture, "-o", "json", seconds=120)
    rows = records(done.stdout.decode())
    if kind == ("packets",):
        return len(rows), sum(row["packet_length"] for row in rows)
    return (sum(row.get("packet_tx", 0) + row.get("packet_rx", 0) for row in rows),
            sum(row.get("byte_tx", 0) + row.get("byte_rx", 0) for row in rows))


@test
def nothing_is_lost():
    """Packets and bytes read = those of the flows by the second, by the minute, and of the documents of both."""
    count = 0
    for capture in some_captures():
        truth = traffic(capture, "packets")
        for kind in (("flows",), ("flows", "--interval", "1s"), ("metrics", "--table", "network_map.1s"), ("metrics", "--table", "network_map.1m")):
            told = traffic(capture, *kind)
            check(told == truth, f"{capture.name}: {truth} packets and bytes were read, {' '.join(kind)} tells {told}")
        count += truth[0]
    return f"{count} packets"
