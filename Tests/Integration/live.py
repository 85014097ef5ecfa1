"""Live truth: real servers and clients in two network namespaces, dftop capturing between them.

The clients say what they asked, what they got and how long it took; dftop, which saw only packets, has to say the same.
"""

import collections
import json
import re
import sys
import time

import harness
from harness import Link, Program, check, must, once, records, require, run, test, wait_until

LATENCY_S = 0.002

# Clients take their times before and after a system call, dftop takes those of the packets in the kernel. Clients run
# with real-time priority, so that no other program comes between the two.
AT_ONCE = ("chrt", "--fifo", "20") if run("chrt", "--fifo", "20", "true").returncode == 0 else ("nice", "-n", "-20")

OK, SERVER_ERROR, CLIENT_ERROR = 0, 3, 4


# --- servers -------------------------------------------------------------------------------------------------------


class Nginx:
    """nginx on port 80 with answers of every kind; /slow/ waits 300 ms in a server behind it."""

    def __init__(self, link):
        require("nginx", "curl")
        folder = harness.WORK / "nginx"
        (folder / "html/files").mkdir(parents=True)
        (folder / "html/files/large").write_bytes(bytes(range(256)) * 800)
        (folder / "nginx.conf").write_text(f"""
            daemon off; master_process off; pid {folder}/pid; error_log {folder}/error.log;
            events {{ worker_connections 512; }}
            http {{
                access_log off; root {folder}/html; keepalive_requests 10000; sendfile on;
                client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
                uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
                server {{
                    listen {link.server_ip}:80; listen [{link.server_ip6}]:80;
                    location /ok/ {{ return 200 "fine\\n"; }}
                    location /broken/ {{ return 500; }}
                    location /slow/ {{ proxy_pass http://127.0.0.1:8099; }}
                    location /post/ {{ proxy_pass http://127.0.0.1:8099; }}
                }}
            }}
        """)
        self.behind = Program([sys.executable, "-c", SLOW_SERVER], "behind-nginx", netns=link.server)
        self.nginx = Program(["nginx", "-p", folder, "-e", f"{folder}/error.log", "-c", folder / "nginx.conf"], "nginx", netns=link.server)
        wait_until(lambda: harness.listens(80, link.server) and harness.listens(8099, link.server), "nginx listens")

    def stop(self):
        self.nginx.kill()
        self.behind.kill()


SLOW_SERVER = """
import http.server, time
class Handler(http.server.BaseHTTPRequestHandler):
    def answer(self):
        self.rfile.read(int(self.headers.get('content-length') or 0))
        if self.path.startswith('/slow/'): time.sleep(0.3)
        self.send_response(200); self.send_header('content-length', '5'); self.end_headers(); self.wfile.write(b'slow\\n')
    do_GET = do_POST = answer
    def log_message(self, *a): pass
http.server.ThreadingHTTPServer(('127.0.0.1', 8099), Handler).serve_forever()
"""


class Dnsmasq:
    def __init__(self, link):
        require("dnsmasq", "dig")
        self.program = Program(
            ["dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--user=root", "--pid-file=", "--no-resolv",
             "--no-hosts", "--bind-interfaces", f"--listen-address={link.server_ip}", "--local=/test/",
             *[f"--host-record=host{i}.test,10.9.0.{i},fd00::9:{i}" for i in range(1, 51)],
             "--txt-record=text.test,some text", "--mx-host=mail.test,host1.test,10"],
            "dnsmasq", netns=link.server,
        )
        wait_until(lambda: harness.listens(53, link.server, udp=True), "dnsmasq listens")

    def stop(self):
        self.program.kill()


class Redis:
    def __init__(self, link):
        require("redis-server", "redis-cli")
        folder = harness.WORK / "redis"
        folder.mkdir()
        self.program = Program(
            ["redis-server", "--bind", link.server_ip, "--port", "6379", "--save", "", "--appendonly", "no",
             "--dir", folder, "--protected-mode", "no"],
            "redis", netns=link.server,
        )
        wait_until(lambda: harness.listens(6379, link.server), "redis listens")

    def stop(self):
        self.program.kill()


class MariaDB:
    def __init__(self, link):
        require("mariadbd", "mariadb", "mariadb-install-db")
        folder = harness.WORK / "mariadb"
        must("mariadb-install-db", "--no-defaults", f"--datadir={folder}", "--user=root", "--skip-test-db",
             "--auth-root-authentication-method=normal", seconds=120)
        self.program = Program(
            ["mariadbd", "--no-defaults", f"--datadir={folder}", "--user=root", f"--socket={folder}/sock",
             f"--bind-address={link.server_ip}", "--port=3306", f"--pid-file={folder}/pid", "--skip-name-resolve"],
            "mariadbd", netns=link.server,
        )
        wait_until(lambda: harness.listens(3306, link.server), "mariadb listens", seconds=60)
        must("mariadb", "--no-defaults", f"--socket={folder}/sock", "-u", "root", "-e",
             "CREATE DATABASE shop; CREATE USER 'tester'@'%' IDENTIFIED BY 'secret'; GRANT ALL ON shop.* TO 'tester'@'%'",
             netns=link.server)

    def stop(self):
        self.program.kill()


# --- clients: each returns what it asked for and what it got -----------------------------------------------------------


def http_load(link):
    """1,000 requests of curl. Returns {path: (method, code, seconds)}."""
    asked = {}
    kinds = ["ok"] * 16 + ["absent", "broken", "files", "post"]

    def batch(name, count, address, options):
        lines = []
        for number in range(count):
            kind = kinds[number % len(kinds)]
            path = f"/files/large?{name}{number}" if kind == "files" else f"/{kind}/{name}/{number}?page=1"
            lines.append(f'url = "http://{address}{path}"\noutput = "/dev/null"\n')
            lines += ['data = "a=1"\n'] if kind == "post" else []
            lines += options
            lines.append('write-out = "%{method} %{url} %{http_code} %{time_pretransfer} %{time_starttransfer}\\n"\nnext\n')
        (harness.WORK / f"{name}.curl").write_text("".join(lines).removesuffix("next\n"))
        text = must(*AT_ONCE, "curl", "-sS", "--noproxy", "*", "-K", harness.WORK / f"{name}.curl", netns=link.client, seconds=120)
        for line in text.splitlines():
            method, url, code, before, first = line.split()
            path = url.split(address, 1)[1]
            check(path not in asked, f"the test asks twice for {path}")
            asked[path] = (method, int(code), float(first) - float(before))

    batch("keep", 600, link.server_ip, [])
    batch("close", 350, link.server_ip, ['header = "Connection: close"\n'])
    batch("six", 49, f"[{link.server_ip6}]", [])
    text = must(*AT_ONCE, "curl", "-sS", "--noproxy", "*", "-o", "/dev/null", "-w", "%{time_pretransfer} %{time_starttransfer}",
                f"http://{link.server_ip}/slow/1", netns=link.client)
    before, first = map(float, text.split())
    asked["/slow/1"] = ("GET", 200, first - before)
    check(len(asked) == 1000, f"curl made {len(asked)} requests")
    check(asked["/slow/1"][2] > 0.29, "the slow request was not slow")
    return asked


def dns_load(link):
    """200 queries of dig. Returns [(name, type, response code, seconds)]."""
    asked = []
    lines = []
    for number in range(200):
        plain = "+noedns" if number % 2 else "+edns=0"
        if number % 10 == 7:
            name, kind, code = f"absent{number}.test", "A", 3
        elif number % 10 == 3:
            name, kind, code = f"host{number % 50 + 1}.test", "AAAA", 0
        elif number % 50 == 11:
            name, kind, code = "text.test", "TXT", 0
        elif number % 50 == 14:
            name, kind, code = "mail.test", "MX", 0
        else:
            name, kind, code = f"host{number % 50 + 1}.test", "A", 0
        lines.append(f"{name} {kind} {plain}{' +tcp' if number % 40 == 5 else ''}\n")
        asked.append((name, kind, code))
    (harness.WORK / "dig.batch").write_text("".join(lines))
    text = must(*AT_ONCE, "dig", f"@{link.server_ip}", "-u", "-f", harness.WORK / "dig.batch", "+tries=1", "+time=3",
                netns=link.client)
    codes = re.findall(r"status: (\w+)", text)
    times = re.findall(r"Query time: (\d+) usec", text)
    check(len(codes) == len(times) == 200, f"dig answered {len(codes)} of 200 queries\n{text[:2000]}")
    for (name, _, code), got in zip(asked, codes):
        check(got == ("NXDOMAIN" if code else "NOERROR"), f"dig got {got} for {name}")
    return [(*question, int(us) / 1e6) for question, us in zip(asked, times)]


def redis_load(link):
    """500 commands, 400 by redis-cli over one connection, 100 by a socket of our own that takes the time of each.

    Returns [(resource as dftop renders it, status, seconds or None)].
    """
    asked = []
    lines = []
    for number in range(400):
        if number % 20 == 19:
            lines.append(f"INCR text:{number - 19}\n")
            asked.append((f"INCR text:{number - 19}", SERVER_ERROR, None))
        elif number % 20 == 0:
            lines.append(f"SET text:{number} word\n")
            asked.append((f"SET text:{number} ?", OK, None))
        elif number % 3 == 0:
            lines.append(f"SET key:{number} value-{number}\n")
            asked.append((f"SET key:{number} ?", OK, None))
        elif number % 3 == 1:
            lines.append(f"GET key:{number - 1}\n")
            asked.append((f"GET key:{number - 1}", OK, None))
        else:
            lines.append(f"HSET hash:{number} field {number}\n")
            asked.append((f"HSET hash:{number} field ?", OK, None))
    text = must("redis-cli", "-h", link.server_ip, netns=link.client, stdin="".join(lines).encode(), seconds=60)
    check(text.count("ERR") == 20, f"redis-cli met {text.count('ERR')} errors")

    commands = [["INCR", f"counter:{n}"] if n % 4 else ["LPUSH", f"list:{n}", "a"] for n in range(98)]
    commands += [["HGET", "list:0", "field"], ["BLPOP", "nothing:1", "0.3"]]
    spoken = json.loads(must(*AT_ONCE, sys.executable, "-c", REDIS_CLIENT, link.server_ip, json.dumps(commands), netns=link.client))
    for words, (first, seconds) in zip(commands, spoken):
        resource = " ".join(words[:2] + (["?"] if words[0] == "LPUSH" else words[2:]))
        asked.append((resource, SERVER_ERROR if first == "-" else OK, seconds))
    check(asked[-1][2] > 0.29, "the slow command was not slow")
    return asked


REDIS_CLIENT = """
import json, socket, sys, time
s = socket.create_connection((sys.argv[1], 6379)); s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
out = []
for words in json.loads(sys.argv[2]):
    text = b'*%d\\r\\n' % len(words) + b''.join(b'$%d\\r\\n%s\\r\\n' % (len(w), w.encode()) for w in words)
    began = time.perf_counter(); s.sendall(text); answer = s.recv(65536); out.append((chr(answer[0]), time.perf_counter() - began))
print(json.dumps(out))
"""


def mysql_load(link):
    """200 statements of the mariadb client. Returns [(statement, status, affected rows or None, seconds or None)]."""
    asked = [("CREATE TABLE items (id INT PRIMARY KEY, name VARCHAR(40))", OK, None)]
    for number in range(198):
        if number % 20 == 7:
            asked.append((f"SELECT name FROM absent_{number}", SERVER_ERROR, None))
        elif number % 20 == 13:
            asked.append((f"INSERT INTO items VALUES ({number - 13}, 'twice')", SERVER_ERROR, None))
        elif number % 4 == 0:
            asked.append((f"INSERT INTO items VALUES ({number}, 'item {number}')", OK, 1))
        elif number % 4 == 1:
            asked.append((f"UPDATE items SET name = 'new {number}' WHERE id = {number - 1}", OK, 1))
        else:
            asked.append((f"SELECT id, name FROM items WHERE id = {number}", OK, None))
    asked.append(("SELECT SLEEP(0.3)", OK, None))
    done = run(*AT_ONCE, "mariadb", "--no-defaults", "-h", link.server_ip, "-u", "tester", "-psecret", "-A", "-vvv", "--force",
               "shop", netns=link.client, stdin="".join(s + ";\n" for s, _, _ in asked).encode(), seconds=60)
    out, err = done.stdout.decode(), done.stderr.decode()
    check(err.count("ERROR") == sum(a[1] != OK for a in asked), f"unexpected errors of the client:\n{err[:2000]}")
    # The client prints a time behind each statement that worked, in order.
    times = [float(t) for t in re.findall(r"\((\d+\.\d+) sec\)", out)]
    good = [a for a in asked if a[1] == OK]
    check(len(times) == len(good), f"the client printed {len(times)} times for {len(good)} statements")
    left = iter(times)
    return [(*a, next(left) if a[1] == OK else None) for a in asked]


# --- one run for all tests -----------------------------------------------------------------------------------------------

Live = collections.namedtuple("Live", "http dns redis mysql l7 flows capture")


@once
def live():
    require("dumpcap", "tshark", "ethtool")
    link = Link()
    servers = [Nginx(link), Dnsmasq(link), Redis(link), MariaDB(link)]
    capture = harness.WORK / "live.pcap"
    capture.touch(mode=0o666)
    watchers = {
        "l7": Program([harness.DFTOP, "print", "l7", "-i", link.client_if, "-o", "json"], "live-l7", netns=link.client),
        "flows": Program([harness.DFTOP, "print", "flows", "-i", link.client_if, "-o", "json"], "live-flows", netns=link.client),
        "tshark": Program(["dumpcap", "-q", "-i", link.client_if, "-P", "-B", "64", "-w", capture], "dumpcap", netns=link.client),
    }
    for program in watchers.values():
        link.captures(program)
    try:
        loads = (http_load(link), dns_load(link), redis_load(link), mysql_load(link))
    finally:
        time.sleep(1.5)  # the last packets reach the rings within their retire time
        codes = {name: program.stop() for name, program in watchers.items()}
        for server in servers:
            server.stop()
        link.close()
    for name, program in watchers.items():
        check(codes[name] == 0, f"{program.name} ended with {codes[name]}:\n{program.err[-2000:]}")
    return Live(*loads, records(watchers["l7"].out), records(watchers["flows"].out), capture)


def of_protocol(name):
    return [row for row in live().l7 if row.get("l7_protocol_str") == name]


class Latencies:
    """Compares two figures of each request and tells how far they lie apart."""

    def __init__(self, bound=LATENCY_S):
        self.bound, self.off, self.count = bound, [], 0

    def add(self, what, row, seconds):
        told = row.get("response_duration", 0) / 1e6
        self.count += 1
        self.off.append((abs(told - seconds), f"{what}: dftop {told * 1e3:.3f} ms, client {seconds * 1e3:.3f} ms"))

    def verdict(self):
        self.off.sort(reverse=True)
        late = [text for distance, text in self.off if distance > self.bound]
        check(not late, f"{len(late)} of {self.count} latencies differ by more than {self.bound * 1e3:g} ms:\n" + "\n".join(late[:8]))
        return f"median difference {self.off[len(self.off) // 2][0] * 1e3:.2f} ms, largest {self.off[0][0] * 1e3:.2f} ms"


def each_once(asked, rows, key):
    """Pairs what was asked with the rows of the same key; every one exactly once."""
    found = collections.defaultdict(list)
    for row in rows:
        found[key(row)].append(row)
    wanted = collections.Counter(asked)
    wrong = [f"{name}: asked {n} times, reported {len(found[name])} times" for name, n in wanted.items() if len(found[name]) != n]
    wrong += [f"{name}: reported, but never asked" for name in found if name not in wanted]
    check(not wrong, f"{len(wrong)} requests are not reported exactly once:\n" + "\n".join(wrong[:12]))
    return found


@test
def live_http():
    """Each of 1,000 requests of curl to nginx once, with its status, path and latency."""
    asked, rows, latencies = live().http, of_protocol("HTTP"), Latencies()
    found = each_once(list(asked), rows, lambda row: row.get("request_resource"))
    for path, (method, code, seconds) in asked.items():
        row = found[path][0]
        status = OK if code < 400 else CLIENT_ERROR if code < 500 else SERVER_ERROR
        have = (row.get("request_type"), row.get("response_code"), row.get("response_status"), row.get("version"))
        check(have == (method, code, status, "1.1"), f"{path}: expected {(method, code, status, '1.1')}, got {have}")
        check(row.get("request_domain", "").strip("[]") in ("10.77.0.2", "fd77::2"), f"{path}: domain {row.get('request_domain')}")
        latencies.add(path, row, seconds)
    slow = found["/slow/1"][0]["response_duration"]
    check(298_000 <= slow <= 400_000, f"the request that takes 300 ms is told as {slow} us")
    return latencies.verdict()


@test
def live_dns():
    """Each of 200 queries of dig to dnsmasq once, with its type, response code and latency."""
    asked, rows, latencies = live().dns, of_protocol("DNS"), Latencies()
    found = each_once([(name, kind) for name, kind, _, _ in asked], rows,
                      lambda row: (row.get("request_resource"), row.get("request_type")))
    for row_list in found.values():
        row_list.sort(key=lambda row: row["start_time"])
    for name, kind, code, seconds in asked:
        row = found[(name, kind)].pop(0)
        have = (row.get("response_code"), row.get("response_status"))
        check(have == (code, CLIENT_ERROR if code else OK), f"{name} {kind}: got code and status {have}")
        latencies.add(f"{name} {kind}", row, seconds)
    return latencies.verdict()


@test
def live_redis():
    """Each of 500 commands to redis once, with its status and, where the client takes the time, latency."""
    asked, latencies = live().redis, Latencies()
    rows = [row for row in of_protocol("Redis") if row.get("request_type") not in ("COMMAND", "HELLO", "CLIENT")]
    found = each_once([resource for resource, _, _ in asked], rows, lambda row: row.get("request_resource"))
    for row_list in found.values():
        row_list.sort(key=lambda row: row["start_time"])
    for resource, status, seconds in asked:
        row = found[resource].pop(0)
        check(row.get("response_status") == status, f"{resource}: status {row.get('response_status')}")
        check(bool(row.get("response_exception")) == (status != OK), f"{resource}: exception {row.get('response_exception')!r}")
        if seconds is not None:
            latencies.add(resource, row, seconds)
    return latencies.verdict()


@test
def live_mysql():
    """Each of 200 statements to mariadb once, with its status, affected rows and latency."""
    # The client prints milliseconds, and its time ends behind the last row.
    asked, latencies = live().mysql, Latencies(LATENCY_S + 0.0005)
    rows = of_protocol("MySQL")
    logins = [r.get("request_resource") for r in rows if str(r.get("request_resource", "")).startswith("Login")]
    check(logins == ["Login username: tester db: shop"], f"logins: {logins}")
    queries = [r for r in rows if r.get("request_type") == "COM_QUERY"]
    found = each_once([statement for statement, _, _, _ in asked], queries, lambda row: row.get("request_resource"))
    for statement, status, affected, seconds in asked:
        row = found[statement][0]
        check(row.get("response_status") == status, f"{statement}: status {row.get('response_status')}")
        if status != OK:
            check(row.get("response_code") in (1146, 1062), f"{statement}: code {row.get('response_code')}")
        if affected is not None:
            check(row.get("sql_affected_rows") == affected, f"{statement}: affected {row.get('sql_affected_rows')}")
        if seconds is not None:
            latencies.add(statement, row, seconds)
    return latencies.verdict()


@test
def live_flow_counters():
    """Packets and bytes of every TCP and UDP flow equal those of tshark on the same interface."""
    fields = ["ip.src", "ip.dst", "ipv6.src", "ipv6.dst", "tcp.srcport", "tcp.dstport", "udp.srcport", "udp.dstport",
              "ip.len", "ipv6.plen"]
    text = must("tshark", "-r", live().capture, "-n", "-Y", "tcp or udp", "-T", "fields", "-E", "separator=,",
                "-E", "occurrence=f", *[x for f in fields for x in ("-e", f)], seconds=120)
    truth = collections.defaultdict(lambda: [0, 0])
    for line in text.splitlines():
        src4, dst4, src6, dst6, tsrc, tdst, usrc, udst, length4, length6 = line.split(",")
        # Ethernet header and IP packet, no padding (spec agent-flow 7.2).
        size = 14 + int(length4) if length4 else 54 + int(length6)
        way = (6 if tsrc else 17, src4 or src6, int(tsrc or usrc), dst4 or dst6, int(tdst or udst))
        truth[way][0] += 1
        truth[way][1] += size
    told = collections.defaultdict(lambda: [0, 0])
    for row in live().flows:
        if row["protocol"] not in (6, 17):
            continue
        client = row["ip4_0"] if row["is_ipv4"] else row["ip6_0"]
        server = row["ip4_1"] if row["is_ipv4"] else row["ip6_1"]
        there = (row["protocol"], client, row["client_port"], server, row["server_port"])
        for way, side in ((there, "tx"), (there[:1] + there[3:] + there[1:3], "rx")):
            told[way][0] += row.get(f"packet_{side}", 0)
            told[way][1] += row.get(f"byte_{side}", 0)
    told = {way: n for way, n in told.items() if n != [0, 0]}
    wrong = [f"{way}: tshark {truth.get(way)}, dftop {told.get(way)}" for way in sorted(set(truth) | set(told), key=str)
             if truth.get(way) != told.get(way)]
    check(len(truth) > 400, f"only {len(truth)} directions captured")
    check(not wrong, f"{len(wrong)} of {len(truth)} directions differ (packets, bytes):\n" + "\n".join(wrong[:12]))
    return f"{len(truth)} directions, {sum(n for n, _ in truth.values())} packets, {sum(b for _, b in truth.values())} bytes"
