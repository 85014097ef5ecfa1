"""The acceptance vectors through the real program."""

import re
import sys

import harness
from harness import Failed, check, require_testdata, run, test

CHECKER = harness.TESTDATA.parent / "tools/check_vectors.py"


def check_vectors(folder, *only):
    require_testdata()
    if not CHECKER.is_file():
        raise harness.Skip(f"no checker at {CHECKER}")
    done = run(
        sys.executable, CHECKER, "--dir", harness.TESTDATA / folder, *[x for name in only for x in ("--only", name)],
        "--command", f"{harness.DFTOP} print l7-messages -r {{pcap}} --l7-protocol {{protocol}} -o json {{set}}",
        "--flow-command", f"{harness.DFTOP} print flows -r {{pcap}} {{l7}} -o json {{set}}", "--quiet", "-j", "2",
        seconds=300,
    )
    text = done.stdout.decode(errors="replace")
    total = re.search(r"(\d+) passed, (\d+) failed", text)
    if done.returncode != 0 or not total:
        raise Failed(text[-4000:] + done.stderr[-1000:].decode(errors="replace"))
    check(int(total.group(1)) > 0, f"no case was run:\n{text}")
    return total.group(0)


@test
def vectors_l4():
    """Counters and latencies of the L4 captures."""
    return check_vectors("l4")


@test
def vectors_decap():
    """Tunnels."""
    return check_vectors("decap")


@test
def vectors_http():
    """HTTP/1 messages."""
    return check_vectors("l7", "http")


@test
def vectors_http2():
    """HTTP/2 and gRPC messages."""
    return check_vectors("l7", "http2", "grpc")


@test
def vectors_dns():
    """DNS messages."""
    return check_vectors("l7", "dns")


@test
def vectors_mysql():
    """MySQL messages."""
    return check_vectors("l7", "mysql")


@test
def vectors_redis():
    """Redis messages."""
    return check_vectors("l7", "redis")


@test
def vectors_data():
    """PostgreSQL, Kafka, MQTT, Memcached and MongoDB messages."""
    return check_vectors("l7", "postgresql", "kafka", "mqtt", "memcached", "mongodb")
