"""HTTP/2, gRPC and TLS between real servers and clients, dftop capturing between them."""

import collections
import json
import sys
import time

import harness
from harness import Link, Program, check, must, once, records, require, run, test, wait_until

OK, SERVER_ERROR, CLIENT_ERROR = 0, 3, 4
STREAMS = "processors.request_log.application_protocol_inference.protocol_special_config.grpc.streaming_data_enabled=true"
HOST = "shop.example"


class Nginx:
    """HTTP/2 in clear text on port 80, TLS on 443."""

    def __init__(self, link):
        folder = harness.WORK / "nginx-h2"
        folder.mkdir()
        must("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "90",
             "-subj", f"/CN={HOST}", "-addext", f"subjectAltName=DNS:{HOST},DNS:www.{HOST}",
             "-keyout", folder / "key", "-out", folder / "certificate")
        self.certificate = folder / "certificate"
        (folder / "nginx.conf").write_text(f"""
            daemon off; master_process off; pid {folder}/pid; error_log {folder}/error.log;
            events {{ worker_connections 128; }}
            http {{
                access_log off; http2_max_concurrent_streams 64;
                client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
                uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
                server {{
                    listen {link.server_ip}:80 http2;
                    location /ok/ {{ return 200 "fine\\n"; }}
                    location /broken/ {{ return 500; }}
                }}
                server {{
                    listen {link.server_ip}:443 ssl http2;
                    ssl_certificate {folder}/certificate; ssl_certificate_key {folder}/key; ssl_protocols TLSv1.2 TLSv1.3;
                }}
            }}
        """)
        self.program = Program(["nginx", "-p", folder, "-e", f"{folder}/error.log", "-c", folder / "nginx.conf"], "nginx-h2", netns=link.server)
        wait_until(lambda: harness.listens(80, link.server) and harness.listens(443, link.server), "nginx listens")

    def stop(self):
        self.program.kill()


GRPC_SERVER = """
import concurrent.futures, sys, grpc
def add(request, context):
    if request: context.abort(grpc.StatusCode(next(c.value for c in grpc.StatusCode if c.value[0] == int(request))), 'no')
    return b'sum'
def watch(request, context):
    for number in range(3): yield b'event'
class Handler(grpc.GenericRpcHandler):
    def service(self, call):
        if call.method == '/shop.Cart/Add': return grpc.unary_unary_rpc_method_handler(add)
        if call.method == '/shop.Cart/Watch': return grpc.unary_stream_rpc_method_handler(watch)
server = grpc.server(concurrent.futures.ThreadPoolExecutor(2), handlers=[Handler()])
server.add_insecure_port(sys.argv[1] + ':50051')
server.start()
server.wait_for_termination()
"""

GRPC_CLIENT = """
import json, sys, grpc
channel = grpc.insecure_channel(sys.argv[1] + ':50051', options=[('grpc.enable_http_proxy', 0)])
out = []
def call(method, request):
    try:
        if method == 'Watch': assert len(list(channel.unary_stream('/shop.Cart/Watch')(request, timeout=10))) == 3
        else: channel.unary_unary('/shop.Cart/' + method)(request, timeout=10)
        out.append((method, 0))
    except grpc.RpcError as error: out.append((method, error.code().value[0]))
for number in range(5): call('Add', b'')
for code in (3, 5, 13, 14, 16): call('Add', str(code).encode())
call('Watch', b'')
call('Absent', b'')
print(json.dumps(out))
"""


def paths():
    return [f"/{kind}/{number}/x?page=1" for number in range(20) for kind in ("ok", "absent", "broken")]


def handshakes(link, certificate):
    """Seven handshakes of openssl: version -> number."""
    for version in ("-tls1_2", "-tls1_3"):
        for _ in range(3):
            must("openssl", "s_client", version, "-connect", f"{link.server_ip}:443", "-servername", HOST, "-alpn", "h2,http/1.1",
                 "-CAfile", certificate, netns=link.client)
    refused = run("openssl", "s_client", "-tls1_2", "-cipher", "AES128-SHA", "-connect", f"{link.server_ip}:443",
                  "-servername", f"refused.{HOST}", netns=link.client)
    check(refused.returncode != 0, "a handshake without common cipher worked")


Seen = collections.namedtuple("Seen", "grpc l7 flows")


@once
def seen():
    require("nginx", "nghttp", "h2load", "openssl")
    python = next((p for p in (sys.executable, "/usr/bin/python3") if run(p, "-c", "import grpc").returncode == 0), None)
    link = Link()
    nginx = Nginx(link)
    grpc = Program([python, "-c", GRPC_SERVER, link.server_ip], "grpc", netns=link.server) if python else None
    watchers = [
        Program([harness.DFTOP, "print", kind, "-i", link.client_if, "-o", "json", "--set", STREAMS], f"http2-{kind}", netns=link.client)
        for kind in ("l7", "flows")
    ]
    told = None
    try:
        if grpc:
            wait_until(lambda: harness.listens(50051, link.server), "the gRPC server listens")
        for program in watchers:
            link.captures(program)
        must("nghttp", "-n", *[f"http://{link.server_ip}{path}" for path in paths()], netns=link.client)
        must("h2load", "-n", "200", "-c", "4", "-m", "8", f"http://{link.server_ip}/ok/load", netns=link.client)
        handshakes(link, nginx.certificate)
        if grpc:
            told = json.loads(must(python, "-c", GRPC_CLIENT, link.server_ip, netns=link.client))
    finally:
        time.sleep(1.5)  # the last packets reach the rings within their retire time
        codes = [program.stop() for program in watchers]
        nginx.stop()
        if grpc:
            grpc.kill()
        link.close()
    check(codes == [0, 0], f"dftop ended with {codes}:\n{watchers[0].err[-2000:]}")
    return Seen(told, records(watchers[0].out), records(watchers[1].out))


def of_protocol(name):
    return [row for row in seen().l7 if row.get("l7_protocol_str") == name]


@test
def live_http2():
    """Each of 60 requests of nghttp and 200 of h2load once, with its status; many streams at a time."""
    rows = of_protocol("HTTP2")
    have = collections.Counter(row.get("request_resource") for row in rows)
    check(have == collections.Counter(paths()) + collections.Counter({"/ok/load": 200}), f"requests told: {have}")
    expected = {"ok": (200, OK), "absent": (404, CLIENT_ERROR), "broken": (500, SERVER_ERROR)}
    for row in rows:
        told = (row.get("response_code"), row.get("response_status"))
        check(told == expected[row["request_resource"].split("/")[1]], f"{row['request_resource']}: {told}")
        check(row.get("request_type") == "GET" and row.get("version") == "2", f"{row}")
        check(row.get("request_domain") == "10.77.0.2", f"domain {row.get('request_domain')}")
    return f"{len(rows)} requests"


@test
def live_grpc():
    """Calls of a Python client, answers in one message and in many, each with its gRPC code."""
    if seen().grpc is None:
        raise harness.Skip("no Python with grpc (scripts/setup --test)")
    calls = [row for row in of_protocol("gRPC") if row.get("endpoint")]
    calls.sort(key=lambda row: row["request_id"])
    have = [(row["endpoint"], row.get("response_code")) for row in calls]
    check(have == [(f"/shop.Cart/{method}", code) for method, code in seen().grpc], f"asked {seen().grpc}, told {have}")
    for row in calls:
        code = row["response_code"]
        status = OK if code == 0 else CLIENT_ERROR if code in (1, 3, 5, 6, 7, 9, 11, 16) else SERVER_ERROR
        check(row.get("response_status") == status, f"code {code} has status {row.get('response_status')}")
        check(row.get("request_resource") == "shop.Cart", f"resource {row.get('request_resource')}")
    return f"{len(calls)} calls"


@test
def live_tls():
    """Handshakes of openssl with nginx: version, name, cipher, certificate and time."""
    rows = of_protocol("TLS")
    done = [row for row in rows if row.get("request_domain") == HOST]
    have = collections.Counter(row.get("version") for row in done)
    check(have == {"1.2": 3, "1.3": 3}, f"versions told: {have}")
    for row in done:
        attributes = dict(zip(row["attribute_names"], row["attribute_values"]))
        check(attributes["client_alpn"] == "h2,http/1.1", f"{attributes}")
        if row["version"] == "1.3":
            check(attributes["cipher_suite"] == "TLS_AES_256_GCM_SHA384", f"{attributes}")
        else:
            check(attributes["cipher_suite"] == "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384", f"{attributes}")
            check(attributes["server_alpn"] == "h2", f"{attributes}")
            check(attributes["server_cert_dns_names"] == f"{HOST},www.{HOST}", f"{attributes}")
            check(row["metrics_values"] == [90], f"{row['metrics_values']}")
    refused = [row for row in rows if row.get("request_domain") == f"refused.{HOST}"]
    told = [(row.get("response_status"), row.get("response_result")) for row in refused]
    check(told == [(SERVER_ERROR, "handshake_failure")], f"the refused handshake is told as {told}")
    timed = [row for row in seen().flows if row.get("server_port") == 443 and row.get("tls_rtt", 0) > 0]
    check(len(timed) == 6, f"{len(timed)} of 6 handshakes have a time")
    return f"{len(done)} handshakes"
