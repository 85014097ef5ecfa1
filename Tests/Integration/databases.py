"""PostgreSQL, MQTT and memcached: what clients say they did, and what dftop made of the packets between."""

import collections
import json
import os
import pathlib
import pwd
import re
import shutil
import sys
import tempfile
import time

import harness
from harness import Link, Program, check, must, once, records, require, run, test, wait_until
from live import each_once

OK, SERVER_ERROR, CLIENT_ERROR, UNKNOWN = 0, 3, 4, 5
REQUEST, RESPONSE, SESSION = 0, 1, 2
PROTOCOLS = '["PostgreSQL", "MQTT", "Memcached"]'
POSTGRES_BIN = pathlib.Path("/usr/lib/postgresql/15/bin")


class PostgreSQL:
    """A server that runs as its own user, which its data has to belong to."""

    def __init__(self, link):
        require(str(POSTGRES_BIN / "postgres"), str(POSTGRES_BIN / "pgbench"), "psql", "setpriv")
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="dftop-postgres-"))
        user = pwd.getpwnam("postgres")
        os.chown(self.folder, user.pw_uid, user.pw_gid)
        become = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]
        must(*become, POSTGRES_BIN / "initdb", "-D", self.folder / "data", "-A", "trust", "-N", "-U", "tester", seconds=60)
        with open(self.folder / "data/pg_hba.conf", "a") as rules:
            rules.write("host all all 0.0.0.0/0 trust\n")
        self.program = Program(
            [*become, POSTGRES_BIN / "postgres", "-D", self.folder / "data", "-h", link.server_ip, "-k", self.folder, "-F"],
            "postgres", netns=link.server,
        )
        wait_until(lambda: harness.listens(5432, link.server), "postgres listens", seconds=30)

    def stop(self):
        self.program.kill()
        shutil.rmtree(self.folder, ignore_errors=True)


class Mosquitto:
    def __init__(self, link):
        require("mosquitto", "mosquitto_pub", "mosquitto_sub")
        config = harness.WORK / "mosquitto.conf"
        config.write_text(f"listener 1883 {link.server_ip}\nallow_anonymous true\nuser root\nmax_inflight_messages 20\n")
        self.program = Program(["mosquitto", "-c", config], "mosquitto", netns=link.server)
        wait_until(lambda: harness.listens(1883, link.server), "mosquitto listens")

    def stop(self):
        self.program.kill()


class Memcached:
    def __init__(self, link):
        require("memcached")
        self.program = Program(["memcached", "-u", "root", "-l", link.server_ip, "-p", "11211"], "memcached", netns=link.server)
        wait_until(lambda: harness.listens(11211, link.server), "memcached listens")

    def stop(self):
        self.program.kill()


# --- clients -------------------------------------------------------------------------------------------------------------


def postgres_load(link):
    """psql sends statements one by one; pgbench prepares them, and sends some in pipelines.

    Returns [(request type, statement, status, SQLSTATE, rows)].
    """
    asked = [("simple query", "CREATE TABLE items (id INT PRIMARY KEY, name TEXT)", OK, "", 0)]
    for number in range(60):
        if number % 10 == 7:
            asked.append(("simple query", f"SELECT name FROM absent_{number}", CLIENT_ERROR, "42P01", 0))
        elif number % 10 == 3:
            asked.append(("simple query", f"INSERT INTO items VALUES ({number - 3}, 'twice')", CLIENT_ERROR, "23505", 0))
        elif number % 10 == 5:
            # A result of many packets.
            asked.append(("simple query", f"SELECT repeat('x', 3000), {number} FROM generate_series(1, 100)", OK, "", 100))
        elif number % 2:
            asked.append(("simple query", f"UPDATE items SET name = 'new' WHERE id <= {number}", OK, "", None))
        else:
            asked.append(("simple query", f"INSERT INTO items VALUES ({number}, 'item')", OK, "", 1))
    asked.append(("simple query", "SELECT 1 / (SELECT 0)", CLIENT_ERROR, "22012", 0))
    asked.append(("simple query", f"INSERT INTO items VALUES (9000, '{'long' * 1000}')", OK, "", 1))
    script = "".join(statement + ";\n" for _, statement, *_ in asked)
    done = run("psql", "-X", "-q", "-h", link.server_ip, "-U", "tester", "postgres", "-o", "/dev/null", netns=link.client,
               stdin=script.encode(), seconds=60)
    # What psql sends ends with its semicolon.
    asked = [(kind, statement + ";", *rest) for kind, statement, *rest in asked]
    failed = sum(status != OK for _, _, status, *_ in asked)
    errors = done.stderr.decode()
    check(errors.count("ERROR:") == failed, f"psql met {errors.count('ERROR:')} errors, not {failed}:\n{errors[:2000]}")

    bench = harness.WORK / "bench.sql"
    bench.write_text("SELECT 11;\n\\startpipeline\nSELECT 12;\nUPDATE items SET name = 'p' WHERE id = 2;\nSELECT 13;\n\\endpipeline\n")
    text = must(POSTGRES_BIN / "pgbench", "-h", link.server_ip, "-U", "tester", "-n", "-M", "extended", "-t", "50", "-f", bench,
                "postgres", netns=link.client, seconds=60)
    check("actually processed: 50/50" in text, f"pgbench did not finish:\n{text}")
    for statement, rows in (("SELECT 11", 1), ("SELECT 12", 1), ("UPDATE items SET name = 'p' WHERE id = 2", 1), ("SELECT 13", 1)):
        asked += [("parse", statement + ";", OK, "", rows)] * 50
    return asked


def mqtt_load(link):
    """Subscriber and publishers of each quality of service. Returns what their logs say: {packet: count}."""
    said = collections.Counter()
    watched = {"pub": "", "sub": ""}
    for qos in (0, 1, 2):
        subscriber = Program(["stdbuf", "-oL", "mosquitto_sub", "-d", "-h", link.server_ip, "-t", f"plant/{qos}/#", "-q", str(qos), "-C", "40",
                              "-i", f"sub{qos}"], f"sub{qos}", netns=link.client)
        wait_until(lambda: "SUBACK" in subscriber.out, "the subscriber is subscribed")
        lines = "".join(f"message {n} {'x' * (n * 97)}\n" for n in range(40))
        watched["pub"] += must("mosquitto_pub", "-d", "-h", link.server_ip, "-t", f"plant/{qos}/a", "-q", str(qos), "-l",
                               "-i", f"pub{qos}", netns=link.client, stdin=lines.encode(), seconds=30)
        wait_until(lambda: "DISCONNECT" in subscriber.out, "the subscriber has all messages", seconds=20)
        watched["sub"] += subscriber.out
        subscriber.kill()
    for text in watched.values():
        for _, packet, rest in re.findall(r"Client \S+ (sending|received) ([A-Z]+)(.*)", text):
            quality = re.search(r", q(\d),", rest)
            said[packet + (quality.group(1) if quality else "")] += 1
    return said


MEMCACHED_CLIENT = """
import json, socket, sys
s = socket.create_connection((sys.argv[1], 11211))
out = []
for batch in json.loads(sys.argv[2]):
    s.sendall(''.join(batch['send']).encode())
    got = b''
    while got.count(b'\\r\\n') < batch['lines']: got += s.recv(65536)
    out.append(got.decode())
print(json.dumps(out))
"""


def memcached_load(link):
    """Commands one by one and in pipelines, small and large values. Returns [(command, first line of the answer)]."""
    asked, batches = [], []
    for number in range(40):
        value = "v" * (number * number * 5)
        batch = [
            (f"set key{number} 0 0 {len(value)}", value, "STORED", 1), (f"get key{number}", None, f"VALUE key{number} 0 {len(value)}", 3),
            (f"get absent{number}", None, "END", 1), (f"incr key{number} 1", None, "CLIENT_ERROR cannot increment or decrement non-numeric value", 1),
            (f"delete key{number}", None, "DELETED", 1), (f"delete key{number} ", None, "NOT_FOUND", 1),
        ]
        asked += [(command, first) for command, _, first, _ in batch]
        parts = [(command + "\r\n" + (data + "\r\n" if data is not None else ""), lines) for command, data, _, lines in batch]
        if number % 2:
            batches.append({"send": [text for text, _ in parts], "lines": sum(lines for _, lines in parts)})
        else:
            batches += [{"send": [text], "lines": lines} for text, lines in parts]
    spoken = "".join(json.loads(must(sys.executable, "-c", MEMCACHED_CLIENT, link.server_ip, json.dumps(batches), netns=link.client)))
    for word in ("STORED", "DELETED", "NOT_FOUND", "CLIENT_ERROR"):
        check(spoken.count(word) == 40, f"memcached said {word} {spoken.count(word)} times")
    return asked


# --- one run for all tests -----------------------------------------------------------------------------------------------

Data = collections.namedtuple("Data", "postgres mqtt memcached l7")


@once
def data():
    link = Link()
    servers = [PostgreSQL(link), Mosquitto(link), Memcached(link)]
    watcher = Program(
        [harness.DFTOP, "print", "l7", "-i", link.client_if, "-o", "json", "--set",
         f"processors.request_log.application_protocol_inference.enabled_protocols={PROTOCOLS}"], "data-l7", netns=link.client)
    link.captures(watcher)
    try:
        loads = (postgres_load(link), mqtt_load(link), memcached_load(link))
    finally:
        time.sleep(1.5)  # the last packets reach the ring within its retire time
        code = watcher.stop()
        for server in servers:
            server.stop()
        link.close()
    check(code == 0, f"dftop ended with {code}:\n{watcher.err[-2000:]}")
    return Data(*loads, records(watcher.out))


def of_protocol(name):
    return [row for row in data().l7 if row.get("l7_protocol_str") == name]


@test
def data_postgresql():
    """Every statement of psql and pgbench once, with its own status, SQLSTATE and rows."""
    asked = [(kind, text[:1024], status, state, rows) for kind, text, status, state, rows in data().postgres]
    rows = of_protocol("PostgreSQL")
    # pgbench asks for the version of the server and such before it begins.
    known = {text for _, text, *_ in asked}
    rows = [row for row in rows if row["request_resource"] in known]
    each_once([(kind, text) for kind, text, *_ in asked], rows, lambda row: (row["request_type"], row["request_resource"]))
    wanted = {text: (status, state, count) for _, text, status, state, count in asked}
    for row in rows:
        status, state, count = wanted[row["request_resource"]]
        told = (row.get("response_status", 0), row.get("response_result", ""), row.get("sql_affected_rows", 0) or 0)
        check(row.get("type") == SESSION, f"{row['request_resource'][:60]}: not joined with its answer")
        check(told[:2] == (status, state) and count in (None, told[2]), f"{row['request_resource'][:60]}: {told}, not {(status, state, count)}")
    return f"{len(rows)} statements"


@test
def data_mqtt():
    """Every packet of publishers and subscribers, as their logs tell them; acknowledged ones are joined."""
    said = data().mqtt
    rows = of_protocol("MQTT")
    told = collections.Counter(row["request_type"] for row in rows)
    joined = collections.Counter(row["request_type"] for row in rows if row.get("type") == SESSION)
    publishes = said["PUBLISH0"] + said["PUBLISH1"] + said["PUBLISH2"]
    check(publishes == 240, f"the clients told {said}")
    for kind, count in (("PUBLISH", publishes), ("CONNECT", said["CONNECT"]), ("SUBSCRIBE", said["SUBSCRIBE"]), ("PUBREL", said["PUBREL"]),
                        ("DISCONNECT", said["DISCONNECT"])):
        check(told[kind] == count, f"{kind}: dftop {told[kind]}, clients {count}; all: {told}")
    check(joined["PUBLISH"] == said["PUBLISH1"] + said["PUBLISH2"], f"{joined['PUBLISH']} of {publishes} joined")
    check(joined["PUBREL"] == said["PUBREL"] and joined["CONNECT"] == said["CONNECT"], f"joined: {joined}")
    alone = {kind for kind in told if told[kind] != joined[kind]}
    check(alone == {"PUBLISH"}, f"without partner: {alone}")
    return f"{publishes} messages, {sum(told.values())} exchanges"


@test
def data_memcached():
    """Every command once, alone or in a pipeline, with the first line of its own answer."""
    asked = data().memcached
    rows = of_protocol("Memcached")
    each_once(asked, rows, lambda row: (row["request_resource"], row.get("response_result", "")))
    check(all(row.get("type") == SESSION for row in rows), "some are not joined")
    errors = collections.Counter(row.get("response_status", 0) for row in rows)
    check(errors == {OK: 160, CLIENT_ERROR: 40, UNKNOWN: 40}, f"statuses {errors}")
    return f"{len(rows)} commands"
