"""Message queues live: brokers and clients in two network namespaces, dftop capturing between them.

The clients say what they sent and got; dftop has to tell every command and message once.
"""

import collections
import json
import time

import harness
from harness import Link, Program, check, must, once, records, require, run, test, wait_until

# Debian's, for which its packages of client libraries are made.
PYTHON = "/usr/bin/python3"
PROTOCOLS = 'processors.request_log.application_protocol_inference.enabled_protocols=["AMQP","NATS","ZMTP"]'
OK, CLIENT_ERROR = 0, 4
COUNT = 60


# --- servers -------------------------------------------------------------------------------------------------------


class RabbitMQ:
    def __init__(self, link):
        require("rabbitmq-server", "epmd")
        folder = harness.WORK / "rabbitmq"
        folder.mkdir()
        (folder / "rabbitmq.conf").write_text("loopback_users = none\n")
        (folder / "plugins").write_text("[].\n")
        self.link = link
        self.program = Program(
            ["/usr/lib/rabbitmq/bin/rabbitmq-server"], "rabbitmq", netns=link.server,
            environment={
                "HOME": str(folder), "RABBITMQ_NODENAME": "rabbit@localhost", "RABBITMQ_MNESIA_BASE": str(folder),
                "RABBITMQ_LOG_BASE": str(folder), "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq.conf"),
                "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "plugins"), "RABBITMQ_NODE_IP_ADDRESS": link.server_ip,
                "RABBITMQ_NODE_PORT": "5672", "ERL_EPMD_ADDRESS": "127.0.0.1",
                # Lets the port mapper, which outlives the broker, be ended at once.
                "ERL_EPMD_RELAXED_COMMAND_CHECK": "1",
            },
        )

    def wait(self):
        wait_until(lambda: harness.listens(5672, self.link.server), "rabbitmq listens", seconds=90)

    def stop(self):
        self.program.kill()
        run("epmd", "-kill", netns=self.link.server)


class NATS:
    def __init__(self, link):
        require("nats-server")
        self.link = link
        self.program = Program(["nats-server", "-a", link.server_ip, "-p", "4222", "--name", "warehouse"], "nats", netns=link.server)

    def wait(self):
        wait_until(lambda: harness.listens(4222, self.link.server), "nats listens")

    def stop(self):
        self.program.kill()


class ZeroMQ:
    def __init__(self, link):
        require_module("zmq")
        self.link = link
        self.program = Program([PYTHON, "-c", ZMQ_SERVER, link.server_ip], "zeromq", netns=link.server)

    def wait(self):
        wait_until(lambda: harness.listens(5555, self.link.server) and harness.listens(5556, self.link.server), "zeromq listens")

    def stop(self):
        self.program.kill()


def require_module(name):
    if run(PYTHON, "-c", f"import {name}").returncode != 0:
        raise harness.Skip(f"Python has no {name} (scripts/setup --test)")


ZMQ_SERVER = """
import sys, zmq
context = zmq.Context()
reply, publish = context.socket(zmq.REP), context.socket(zmq.XPUB)
reply.bind(f'tcp://{sys.argv[1]}:5555'); publish.bind(f'tcp://{sys.argv[1]}:5556')
while True:
    text = reply.recv()
    if text.startswith(b'publish '):
        publish.recv()  # the subscription
        for number in range(int(text.split()[1])): publish.send_multipart([b'news', b'%d' % number])
    reply.send(b'got ' + text)
"""


# --- clients ---------------------------------------------------------------------------------------------------------

# Prints what was asked, [method, resource, ok?], the routing keys published and the bodies got.
AMQP_CLIENT = """
import json, sys, pika
asked, published, got = [], [], []
connection = pika.BlockingConnection(pika.ConnectionParameters(sys.argv[1], heartbeat=0))
channel = connection.channel(); asked.append(['Channel.Open', '', True])
channel.exchange_declare('shop', 'topic'); asked.append(['Exchange.Declare', 'shop.', True])
channel.queue_declare('orders'); asked.append(['Queue.Declare', 'orders', True])
channel.queue_bind('orders', 'shop', 'item.#'); asked.append(['Queue.Bind', 'shop.item.#', True])
channel.confirm_delivery(); asked.append(['Confirm.Select', '', True])
for number in range(int(sys.argv[2])):
    properties = pika.BasicProperties(content_type='text/plain', headers={'number': number, 'traceparent': f'00-{number:032x}-{number:016x}-01'})
    channel.basic_publish('shop', f'item.{number}', b'x' * (number * 7), properties); published.append(f'shop.item.{number}')
while True:
    method, properties, body = channel.basic_get('orders', auto_ack=True); asked.append(['Basic.Get', 'orders', True])
    if method is None: break
    got.append(f'shop.{method.routing_key}')
try:
    channel.queue_declare('absent', passive=True)
except pika.exceptions.ChannelClosedByBroker as error:
    asked.append(['Queue.Declare', 'absent', error.reply_code != 404])
channel = connection.channel(); asked.append(['Channel.Open', '', True])
channel.queue_purge('orders'); asked.append(['Queue.Purge', 'orders', True])
connection.close(); asked.append(['Channel.Close', '', True]); asked.append(['Connection.Close', '', True])
print(json.dumps([asked, published, got]))
"""

# A socket of our own: no package of Debian has a client. Prints what was received of each verb.
NATS_CLIENT = """
import json, socket, sys
s = socket.create_connection((sys.argv[1], 4222)); lines = s.makefile('rb'); seen = {}
def line():
    text = lines.readline(); verb = text.split()[0].decode() if text.split() else ''; seen[verb] = seen.get(verb, 0) + 1
    if verb in ('MSG', 'HMSG'): lines.read(int(text.split()[-1]) + 2)
    return text
line()
s.sendall(b'CONNECT {"verbose":false,"pedantic":false,"lang":"test","version":"1","protocol":1,"headers":true}\\r\\nPING\\r\\n'); line()
s.sendall(b'SUB orders.> 1\\r\\n')
for number in range(int(sys.argv[2])):
    body = b'x' * (number * 5)
    if number % 2:
        head = b'NATS/1.0\\r\\ntraceparent: 00-%032x-%016x-01\\r\\n\\r\\n' % (number, number)
        s.sendall(b'HPUB orders.%d %d %d\\r\\n%s%s\\r\\n' % (number, len(head), len(head) + len(body), head, body))
    else:
        s.sendall(b'PUB orders.%d %d\\r\\n%s\\r\\n' % (number, len(body), body))
    line()
s.sendall(b'UNSUB 1\\r\\nPING\\r\\n'); line()
s.sendall(b'NONSENSE\\r\\n'); line()
print(json.dumps(seen))
"""

# Prints the lengths of the requests, of their replies, and how many messages the subscription brought.
ZMQ_CLIENT = """
import json, sys, zmq
context = zmq.Context(); request = context.socket(zmq.REQ); request.connect(f'tcp://{sys.argv[1]}:5555')
lengths = []
for number in range(int(sys.argv[2])):
    text = b'question %d ' % number + b'x' * (number * 9)
    request.send(text); lengths.append([len(text), len(request.recv())])
subscription = context.socket(zmq.SUB); subscription.setsockopt(zmq.SUBSCRIBE, b'news'); subscription.connect(f'tcp://{sys.argv[1]}:5556')
text = b'publish ' + sys.argv[2].encode(); request.send(text); lengths.append([len(text), len(request.recv())])
got = [subscription.recv_multipart() for _ in range(int(sys.argv[2]))]
print(json.dumps([lengths, len(got)]))
"""


# --- one run for all tests -------------------------------------------------------------------------------------------

Queues = collections.namedtuple("Queues", "amqp nats zmtp rows")


@once
def queues():
    require_module("pika")
    link = Link()
    servers = [RabbitMQ(link), NATS(link), ZeroMQ(link)]
    try:
        for server in servers:
            server.wait()
        watcher = Program(
            [harness.DFTOP, "print", "l7", "-i", link.client_if, "-o", "json", "--set", PROTOCOLS], "queues-l7", netns=link.client)
        link.captures(watcher)
        told = [
            json.loads(must(PYTHON, "-c", client, link.server_ip, COUNT, netns=link.client))
            for client in (AMQP_CLIENT, NATS_CLIENT, ZMQ_CLIENT)
        ]
        time.sleep(1.5)  # the last packets reach the rings within their retire time
        code = watcher.stop()
    finally:
        for server in servers:
            server.stop()
        link.close()
    check(code == 0, f"dftop ended with {code}:\n{watcher.err[-2000:]}")
    return Queues(*told, records(watcher.out))


def of_protocol(name):
    rows = [row for row in queues().rows if row.get("l7_protocol_str") == name]
    for row in rows:
        check(row["server_port"] in (5672, 4222, 5555, 5556), f"client and server are exchanged: {row}")
    return rows


def same(what, expected, got):
    expected, got = collections.Counter(expected), collections.Counter(got)
    check(expected == got, f"{what}: missing {list((expected - got).items())[:6]}, too many {list((got - expected).items())[:6]}")


@test
def queue_amqp():
    """RabbitMQ: every method pika called, published and got once, the refused one with its code."""
    asked, published, got = queues().amqp
    rows = of_protocol("AMQP")
    named = [row for row in rows if row.get("request_type") and not row["request_type"].startswith("Connection.")]
    # The broker closes the channel of the refused declaration by a request of its own.
    expected = [(method, resource, OK if fine else CLIENT_ERROR) for method, resource, fine in asked if not method.startswith("Connection.")]
    expected.append(("Channel.Close", "", OK))
    # An empty queue answers without a message.
    same("methods", [(m, "" if m == "Basic.Get" else r, s) for m, r, s in expected],
         [(r["request_type"], "" if r["request_type"] == "Basic.Get" else r.get("request_resource", ""), r.get("response_status")) for r in named])
    refused = [row for row in named if row.get("response_status") == CLIENT_ERROR]
    check([row.get("response_code") for row in refused] == [404], f"refused: {refused}")
    check("NOT_FOUND" in refused[0].get("response_exception", ""), f"exception {refused[0].get('response_exception')!r}")
    connection = [row["request_type"] for row in rows if row.get("request_type", "").startswith("Connection.")]
    same("connection", ["Connection.Start", "Connection.Tune", "Connection.Open", "Connection.Close"], connection)
    sent = [row.get("request_resource") for row in rows if not row.get("request_type") and row.get("request_resource")]
    same("published", published, sent)
    check(len(got) == len(published), f"pika got {len(got)} of {len(published)} messages")
    traces = [row.get("trace_id") for row in rows if row.get("trace_id")]
    same("traces, there and back", [f"{number:032x}" for number in range(COUNT)] * 2, traces)
    check(all(row.get("request_domain") == "/" for row in named), "the virtual host is not told")
    return f"{len(rows)} rows"


@test
def queue_nats():
    """NATS: every command once with its subject, the server's name and version, and the refused one."""
    seen, rows = queues().nats, of_protocol("NATS")
    subjects = [(f"orders.{number}", "HPUB" if number % 2 else "PUB") for number in range(COUNT)]
    subjects += [(f"orders.{number}", "HMSG" if number % 2 else "MSG") for number in range(COUNT)]
    subjects += [("orders.>", "SUB"), ("", "UNSUB"), ("", "INFO"), ("", "PING"), ("", "PING"), ("", "ERR")]
    same("commands", subjects, [(row.get("request_resource", ""), row["request_type"]) for row in rows])
    check(seen["MSG"] + seen["HMSG"] == COUNT and seen["PONG"] == 2 and seen["-ERR"] == 1, f"the client saw {seen}")
    check({row.get("request_domain") for row in rows} == {"warehouse"}, "the server's name is not told")
    check(all(row.get("version", "").count(".") == 2 for row in rows), "the server's version is not told")
    traces = [row.get("trace_id") for row in rows if row.get("trace_id")]
    same("traces, there and back", [f"{number:032x}" for number in range(1, COUNT, 2)] * 2, traces)
    return f"{len(rows)} rows"


@test
def queue_zmtp():
    """ZeroMQ: every request and reply, every part of a published message, with its length."""
    lengths, got = queues().zmtp
    rows = of_protocol("ZMTP")
    messages = [row for row in rows if row["request_type"] == "Message"]
    asked = [row for row in messages if row["server_port"] == 5555]
    same("requests", [sent for sent, _ in lengths], [row["request_length"] for row in asked if row.get("request_length", -1) >= 0])
    # The delimiter in front of a reply ends the request; the reply itself stands alone.
    same("replies", [reply for _, reply in lengths], [row["response_length"] for row in asked if row.get("request_length") is None])
    parts = [row["response_length"] for row in messages if row["server_port"] == 5556]
    check(got == COUNT, f"the client got {got} messages")
    same("published", [4] * COUNT + [len(str(number)) for number in range(COUNT)], parts)
    subscriptions = [row.get("request_resource") for row in rows if row["request_type"] == "Command" and row.get("request_resource")]
    check(subscriptions in ([], ["news"]), f"subscriptions {subscriptions}")
    return f"{len(rows)} rows"
