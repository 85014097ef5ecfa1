"""Every message type that agents pass on from others, from an independent sender to the rows of the store."""

import gzip
import json
import zlib

import harness
import wirepeer
from engines import Server, Space
from harness import check, test
from wirepeer import Schema, frame, require_spec, send, snappy

SECOND = 1_700_000_000
NS = SECOND * 1_000_000_000


def same(what, row, expected):
    """The row has these values, and what is not named here is zero or empty."""
    told = []
    for name, value in row.items():
        if isinstance(value, str) and value.startswith("[") and name != "events":
            value = json.loads(value)
        wanted = expected.get(name, None)
        if name in expected:
            if callable(wanted) and not wanted(value) or not callable(wanted) and value != wanted:
                told.append(f"{name}: {value!r}, not {wanted!r}")
        elif value not in (0, "", None, [], "::"):
            told.append(f"{name}: {value!r} instead of nothing")
    told += [f"{name} is no column" for name in expected if name not in row]
    check(not told, f"{what}:\n  " + "\n  ".join(told))


UNKNOWN = {"l3_epc_id": -2, "agent_id": 7, "team_id": 1}
ANY = lambda value: value > 0  # noqa: E731


def text(value):
    return {"string_value": value}


def attributes(**pairs):
    return [{"key": name.replace("__", "."), "value": value} for name, value in pairs.items()]


def trace(index=0):
    """A server span, a client span with an error and events, and one of a database inside the process."""
    resource = attributes(service__name=text("shop"), service__instance__id=text("shop-1"), app__host__ip=text("10.1.2.3"))
    spans = [
        {
            "trace_id": bytes(range(16)), "span_id": b"\x01" * 8, "parent_span_id": b"\x02" * 8, "name": "GET /a", "kind": "SPAN_KIND_SERVER",
            "start_time_unix_nano": NS + 1500, "end_time_unix_nano": NS + 801_999, "status": {"code": "STATUS_CODE_OK"},
            "attributes": attributes(
                http__method=text("GET"), http__url=text("http://example.com/a/b?c=1"), http__status_code={"int_value": 404},
                http__scheme=text("http"), http__flavor=text("2.0"), http__host=text("example.com"), net__transport=text("ip_udp"),
                http__request_content_length={"int_value": 12}, net__peer__ip=text("10.9.9.9"), empty=text(""),
                real={"double_value": 1e6}, yes={"bool_value": True},
                list={"array_value": {"values": [text("x"), {"int_value": 2}]}}),
        },
        {
            "trace_id": bytes(range(16)), "span_id": b"\x03" * 8, "name": "call", "kind": "SPAN_KIND_CLIENT",
            "start_time_unix_nano": NS, "end_time_unix_nano": NS, "status": {"code": "STATUS_CODE_ERROR", "message": "broken"},
            "attributes": attributes(
                network__peer__address=text("2001:db8::5"), net__peer__ip=text("10.8.8.8"), rpc__system=text("grpc"),
                rpc__service=text("Shop"), rpc__method=text("Buy")),
            "events": [{"time_unix_nano": NS, "name": "a<b", "attributes": attributes(k={"int_value": 5})}],
        },
        {
            "trace_id": b"\xff", "span_id": b"\x04", "name": "q", "kind": "SPAN_KIND_INTERNAL", "start_time_unix_nano": NS,
            "end_time_unix_nano": NS + 5_000_000,
            "attributes": attributes(
                db__system=text("mysql"), db__statement=text("select 1"), db__operation=text("select"), http__status_code=text("bad"),
                db__cassandra__page_size={"int_value": 9}),
        },
    ]
    return {"resource_spans": [{"resource": {"attributes": resource}, "scope_spans": [{"scope": {"name": "lib"}, "spans": spans}]}]}


def check_spans(server, number):
    rows = server.query("SELECT * FROM flow_log.l7_flow_log ORDER BY _id")
    check(len(rows) == number, f"{len(rows)} rows of spans")
    own = ["service.name", "service.instance.id", "app.host.ip"]
    values = ["shop", "shop-1", "10.1.2.3"]
    both = {
        "_id": ANY, "tag_source_0": 8, "tag_source_1": 8, "auto_instance_type_0": 255, "auto_instance_type_1": 255,
        "auto_service_type_0": 255, "auto_service_type_1": 255, "team_id": 1, "agent_id": 7, "time": SECOND, "capture_network_type_id": 3,
        "capture_nic_type": 8, "signal_source": 4, "type": 2, "trace_id_index": ANY, "app_service": "shop", "app_instance": "shop-1",
    }
    by_name = {}
    for row in rows:
        by_name.setdefault(row["endpoint"], []).append(row)
    for row in by_name["GET /a"]:
        same("server span", row, both | {
            "ip4_0": 0x0A090909, "ip4_1": 0x0A010203, "is_ipv4": 1, "protocol": 17, "server_port": 65535, "observation_point": "s-app",
            "start_time": SECOND * 1_000_000 + 1, "end_time": SECOND * 1_000_000 + 801, "response_duration": 800, "l7_protocol": 21,
            "biz_protocol": "http", "version": "2.0", "request_type": "GET", "request_domain": "example.com", "request_resource": "/a/b?c=1",
            "endpoint": "GET /a", "response_status": 4, "response_code": 404, "response_exception": "Not Found",
            "trace_id": bytes(range(16)).hex(), "span_id": "01" * 8, "parent_span_id": "02" * 8, "span_kind": 2, "request_length": 12,
            "attribute_names": ["http.method", "http.url", "http.status_code", "http.scheme", "http.flavor", "http.host", "net.transport",
                                "net.peer.ip", "empty", "real", "yes", "list", *own],
            "attribute_values": ["GET", "http://example.com/a/b?c=1", "404", "http", "2.0", "example.com", "ip_udp", "10.9.9.9", '""', "1e+06",
                                 "true", '{values:{string_value:"x"} values:{int_value:2}}', *values],
            "metrics_names": ["http.request_content_length"], "metrics_values": [12], "events": "null",
        })
    for row in by_name["call"]:
        same("client span", row, both | {
            "ip4_0": 0x0A010203, "ip6_1": "2001:db8::5", "protocol": 6, "observation_point": "c-app", "start_time": SECOND * 1_000_000,
            "end_time": SECOND * 1_000_000, "l7_protocol": 41, "biz_protocol": "grpc", "request_type": "Buy", "request_resource": "Shop",
            "endpoint": "call", "response_status": 3, "response_code": 2, "response_exception": "broken", "trace_id": bytes(range(16)).hex(),
            "span_id": "03" * 8, "span_kind": 3, "attribute_names": ["network.peer.address", "rpc.system", "rpc.service", "rpc.method", *own],
            "attribute_values": ["2001:db8::5", "grpc", "Shop", "Buy", *values],
            "events": '[{"time_unix_nano":1700000000000000000,"name":"a\\u003cb","attributes":[{"key":"k","value":{"Value":{"IntValue":5}}}]}]',
        })
    for row in by_name["q"]:
        same("inner span", row, both | {
            "ip4_1": 0x0A010203, "is_ipv4": 1, "protocol": 6, "observation_point": "app", "start_time": SECOND * 1_000_000,
            "end_time": SECOND * 1_000_000 + 5000, "response_duration": 5000, "l7_protocol": 60, "biz_protocol": "mysql",
            "request_type": "select", "request_resource": "select 1", "endpoint": "q", "response_status": 5, "response_code": 0,
            "trace_id": "ff", "span_id": "04", "span_kind": 1, "sql_affected_rows": 9,
            "attribute_names": ["db.system", "db.statement", "db.operation", "http.status_code", *own],
            "attribute_values": ["mysql", "select 1", "select", "bad", *values],
            "metrics_names": ["db.cassandra.page_size"], "metrics_values": [9], "events": "null",
        })


def check_samples(server):
    query = """SELECT m.name metric, s.*, v1.value first, v2.value second, v3.value third FROM prometheus.samples s
        JOIN prometheus_metric_name m ON m.id = s.metric_id
        LEFT JOIN prometheus_label_value v1 ON v1.id = s.app_label_value_id_1
        LEFT JOIN prometheus_label_value v2 ON v2.id = s.app_label_value_id_2
        LEFT JOIN prometheus_label_value v3 ON v3.id = s.app_label_value_id_3 ORDER BY s.time, metric, s.value"""
    rows = server.query(query)
    ids = {f"app_label_value_id_{n}": ANY for n in (1, 2, 3)}
    expected = [
        ("requests", 1.5, "10.3.3.3:9100", "node", "c1", SECOND), ("requests", 2.5, "h:1", "node", "c1", SECOND),
        ("up", 1, "10.3.3.3:9100", "node", "c1", SECOND), ("up", 0.25, "10.3.3.3:9100", "node", "c1", SECOND + 15),
    ]
    check(len(rows) == len(expected), f"{len(rows)} samples: {[(r['metric'], r['value']) for r in rows]}")
    for row, (metric, value, *labels, second) in zip(rows, expected):
        # The VPC 0 always has the region of this server, so an address is always found.
        address = {"ip4": 0x0A030303, "auto_instance_type": 255, "auto_service_type": 255} if labels[0].startswith("10") else {}
        same(f"sample of {metric}", row, ids | address | {
            "metric": metric, "value": value, "first": labels[0], "second": labels[1], "third": labels[2], "time": second, "metric_id": ANY,
            "is_ipv4": 1, "agent_id": 7, "team_id": 1})
    layout = server.query("SELECT metric_name, app_label_name, app_label_column_index FROM prometheus_metric_app_label_layout ORDER BY 1, 3")
    check([tuple(row.values()) for row in layout] ==
          [(m, label, n) for m in ("requests", "up") for n, label in enumerate(("instance", "job", "cluster"), 1)], f"layout: {layout}")


def write_request():
    def series(name, instance, *samples):
        labels = (("__name__", name), ("instance", instance), ("job", "node"))
        return {"labels": [{"name": n, "value": v} for n, v in labels],
                "samples": [{"value": value, "timestamp": stamp * 1000 + 999} for value, stamp in samples]}

    return {"timeseries": [
        series("up", "10.3.3.3:9100", (1.0, SECOND), (float("nan"), SECOND + 5), (0.25, SECOND + 15)),
        series("requests", "10.3.3.3:9100", (1.5, SECOND)), series("requests", "h:1", (2.5, SECOND))]}


def check_points(server):
    rows = server.query("SELECT * FROM ext_metrics.metrics ORDER BY virtual_table_name, time")
    base = UNKNOWN | {"is_ipv4": 1, "time": SECOND}
    check(len(rows) == 2, f"{len(rows)} points")
    same("cpu", rows[0], base | {
        "virtual_table_name": "influxdb.cpu", "tag_names": ["host", "zone"], "tag_values": ["a b", "z"],
        "metrics_float_names": ["usage", "n", "u"], "metrics_float_values": [1.5, -3, 4]})
    same("mem", rows[1], base | {
        "virtual_table_name": "influxdb.mem", "tag_names": ["pod_name"], "tag_values": ["p"], "metrics_float_names": ["used"],
        "metrics_float_values": [1e9]})


POINTS = rb"""cpu,zone=z,host=a\ b usage=1.5,n=-3i,u=4u,note="a, b=\"c\"
second line",ok=true 1700000000999999999
# a remark
no point at all
mem,pod_name=p used=1e9 1700000000000000000
texts only="x" 1700000000000000000
"""


def profiles(metric):
    ebpf = {
        "data": "main;foo;bar", "timestamp": NS + 123_456_789, "event_type": "EbpfOnCpu", "stime": 1699990000, "pid": 12, "tid": 13,
        "process_name": "app\0\0", "count": 2, "sample_rate": 99}
    waits = dict(ebpf, event_type="EbpfOffCpu", wide_count=2_500_000, count=0)

    def field(number, body):
        return wirepeer.varint(number << 3 | 2) + wirepeer.varint(len(body)) + body

    def numbers(*pairs):
        return b"".join(wirepeer.varint(n << 3) + wirepeer.varint(v) for n, v in pairs)

    strings = ["", "samples", "count", "inner", "outer", "cpu", "nanoseconds"]
    pprof = (
        field(1, numbers((1, 1), (2, 2))) + field(1, numbers((1, 5), (2, 6)))
        + field(2, field(1, wirepeer.varint(1) + wirepeer.varint(2)) + field(2, wirepeer.varint(7) + wirepeer.varint(300)))
        + b"".join(field(4, numbers((1, i)) + field(4, numbers((1, i)))) for i in (1, 2))
        + b"".join(field(5, numbers((1, i), (2, i + 2))) for i in (1, 2)) + b"".join(field(6, s.encode()) for s in strings))
    outside = {
        "ip": bytes([10, 1, 2, 3]), "name": "svc%7Benv%3Dprod,span_name%3Dget%7D", "units": "samples", "from": SECOND, "spy_name": "gospy",
        "format": "pprof", "data": gzip.compress(pprof)}
    form = b"--xyz\r\nContent-Disposition: form-data; name=\"profile\"; filename=\"p\"\r\n\r\n" + pprof + b"\r\n--xyz--\r\n"
    posted = dict(outside, name="form", format="", content_type="multipart/form-data; boundary=xyz", data=form)
    return [metric.encode("metric.Profile", p) for p in (ebpf, waits, outside, posted, dict(outside, format="jfr"))]


def check_profiles(server):
    rows = server.query("SELECT * FROM profile.in_process ORDER BY app_service, profile_event_type, profile_value DESC")
    check(len(rows) == 6, f"{len(rows)} profiles: {[(r['app_service'], r['profile_value']) for r in rows]}")
    tags = ["app_service", "profile_language_type", "trace_id", "span_name", "app_instance"]
    base = UNKNOWN | {"_id": ANY, "profile_in_timestamp": ANY, "time": SECOND}
    ebpf = base | {
        "app_service": "app", "app_instance": "app", "profile_location_str": "main;foo;bar", "profile_value_unit": "microseconds",
        "profile_language_type": "eBPF", "process_id": 12, "process_start_time": 1699990000, "tag_names": tags,
        "tag_values": ["app", "eBPF", "", "", "app"]}
    at = SECOND * 1_000_000 + 123_456
    for row, (value, ago) in zip(rows, ((1_000_000, 0), (1_000_000, 1), (500_000, 2))):
        same("waits", row, ebpf | {
            "profile_event_type": "off-cpu", "profile_value": value, "time": lambda t: SECOND - 1 <= t <= SECOND or t == SECOND - 2,
            "profile_create_timestamp": lambda t: (at - t) % 1_000_000 == 0 and 0 <= at - t <= 2_000_000})
    same("on-cpu", rows[3], ebpf | {"profile_event_type": "on-cpu", "profile_value": 2, "profile_create_timestamp": at})
    for row, name, labels in ((rows[4], "form", []), (rows[5], "svc", [("env", "prod"), ("span_name", "get")])):
        labels = [("env", "prod"), ("span_name", "get")] if name == "svc" else []
        span = dict(labels).get("span_name", "")
        same(name, row, base | {
            "app_service": name, "app_instance": name, "ip4": 0x0A010203, "is_ipv4": 1, "profile_location_str": "outer;inner",
            "profile_value": 7, "profile_value_unit": "samples", "profile_event_type": "cpu",
            "profile_create_timestamp": SECOND * 1_000_000, "profile_language_type": "Golang", "span_name": span,
            "tag_names": [n for n, _ in labels] + tags, "tag_values": [v for _, v in labels] + [name, "Golang", "", span, name]})


def events(metric):
    base = {"pid": 100, "thread_id": 101, "coroutine_id": 9, "process_kname": "nginx".ljust(16, "\0"), "start_time": NS, "end_time": NS + 5_000_000}
    io = {
        "bytes_count": 4096, "operation": "Read", "latency": 5_000_000, "filename": "a.log\0", "off_bytes": 8192, "mount_source": "/dev/vda",
        "mount_point": "/", "file_dir": "/var/log/", "file_type": "Regular", "access_permission": 420}
    io_event = dict(base, event_type="IoEvent", io_event_data=io)

    def file(op, **more):
        return dict(base, event_type="FileOpEvent", file_op_event_data=dict(op_type=op, pid=100, filename="/tmp/x\0", **more))

    return [metric.encode("metric.ProcEvent", e) for e in (
        io_event, dict(io_event, ai_agent_root_pid=50), dict(io_event, ai_agent_root_pid=50, start_time=NS + 50_000_000, end_time=NS + 60_000_000),
        file("FileOpCreate"), file("FileOpCreate"), file("FileOpChmod", mode=493), file("FileOpChown", uid=5, gid=6, mode=1),
        dict(base, event_type="PermOpEvent", perm_op_event_data={"op_type": "PermOpSetuid", "pid": 100, "old_uid": 1, "old_gid": 2, "new_uid": 3, "new_gid": 4}),
        dict(base, event_type="ProcLifecycleEvent", proc_lifecycle_event_data={
            "lifecycle_type": "ProcLifecycleExec", "pid": 200, "parent_pid": 100, "uid": 7, "gid": 8, "comm": "sh", "cmdline": "sh -c ls", "exec_path": "/bin/sh"}),
    )]


def check_events(server):
    at = SECOND * 1_000_000
    base = UNKNOWN | {
        "_id": ANY, "time": SECOND, "start_time": at, "end_time": at + 5000, "process_kname": "nginx", "app_instance": "100",
        "auto_instance_type": 0, "auto_service_type": 0, "syscall_thread": 101, "syscall_coroutine": 9}
    file = base | {
        "signal_source": 2, "event_type": "read", "bytes": 4096, "duration": 5000, "file_name": "a.log", "file_type": 1, "offset": 8192,
        "mount_source": "/dev/vda", "mount_point": "/", "file_dir": "/var/log/", "access_permission": 420}
    rows = server.query("SELECT * FROM event.file_event ORDER BY start_time")
    check(len(rows) == 3, f"{len(rows)} file events")
    same("file event", rows[0], file)
    rows = server.query("SELECT * FROM event.file_agg_event")
    check(len(rows) == 1, f"{len(rows)} merged file events")
    same("merged file event", rows[0], file | {"end_time": at + 60_000, "bytes": 8192, "duration": 15_000, "root_pid": 50, "event_count": 2})
    rows = server.query("SELECT * FROM event.file_mgmt_event ORDER BY _id")
    mgmt = base | {"signal_source": 2, "duration": 5_000_000, "file_name": "x", "file_dir": "/tmp/"}
    check([row["event_type"] for row in rows] == ["create", "chmod", "chown"], f"file operations: {[r['event_type'] for r in rows]}")
    for row, more in zip(rows, ({"event_type": "create"}, {"event_type": "chmod", "access_permission": 493, "target_mode": 493},
                                {"event_type": "chown", "target_uid": 5, "target_gid": 6})):
        same("file operation", row, mgmt | more)
    rows = server.query("SELECT * FROM event.proc_perm_event")
    same("permission", rows[0], base | {
        "signal_source": 3, "event_type": "permopsetuid", "pid": 100, "old_uid": 1, "old_gid": 2, "new_uid": 3, "new_gid": 4})
    rows = server.query("SELECT * FROM event.proc_ops_event")
    same("lifecycle", rows[0], base | {
        "signal_source": 4, "event_type": "proclifecycleexec", "process_kname": "sh", "pid": 200, "parent_pid": 100, "uid": 7, "gid": 8,
        "cmdline": "sh -c ls", "exec_path": "/bin/sh"})
    rows = server.query("SELECT * FROM event.event")
    same("event of Kubernetes", rows[0], UNKNOWN | {
        "_id": ANY, "time": SECOND, "start_time": at, "end_time": at, "signal_source": 3, "event_type": "warning", "event_desc": "again",
        "app_instance": "Pod/p-1", "attribute_names": ["sub_object", "reason", "source.component"],
        "attribute_values": ["spec.c", "BackOff", "kubelet"]})


LOGS = [
    {"timestamp": "2023-11-14T22:13:20.25Z", "message": "hi \u00e9", "level": "warn2", "app_service": "svc", "_df_log_type": "user", "user_id": 5,
     "trace_id": "t", "span_id": "s", "json": {"a": 1e6, "b": True, "c": {"y": [1, "x"], "x": None}}, "metrics": {"m": 2, "t": "3.5", "o": "no"},
     "kubernetes": {"pod_name": "p", "pod_ip": "10.4.4.4"}},
    {"timestamp": "2023-11-15T00:13:20+02:00", "message": "sys", "_df_log_type": "system"},
    {"timestamp": "bad", "message": "lost"}, {"message": "lost"},
]
LINE = "2023-11-14T22:13:20+00:00 node-1 deepflow-agent[77]: [ERROR] src/main.rs:10 started all\n"


def check_logs(server):
    rows = server.query("SELECT * FROM application_log.log ORDER BY severity_number, body")
    at = SECOND * 1_000_000
    check([row["body"] for row in rows] == ["started all\n", "hi \u00e9", "sys"], f"logs: {[row['body'] for row in rows]}")
    base = {"_id": ANY, "time": SECOND, "timestamp": at, "agent_id": 7, "team_id": 1, "l3_epc_id": -2}
    same("agent log", rows[0], base | {
        "_type": 4, "severity_number": 3, "body": "started all\n", "app_service": "node-1", "attribute_names": ["host", "module"],
        "attribute_values": ["node-1", "src/main.rs:10"]})
    same("application log", rows[1], base | {
        "timestamp": at + 250_000, "_type": 1, "trace_id": "t", "span_id": "s", "severity_number": 4, "body": "hi \u00e9", "app_service": "svc",
        "user_id": 5, "attribute_names": ["a", "b", "c", "o", "pod_ip", "pod_name"],
        "attribute_values": ["1e+06", "true", "map[x:<nil> y:[1 x]]", "no", "10.4.4.4", "p"], "metrics_names": ["m", "t"], "metrics_values": [2, 3.5]})
    same("system log", rows[2], base | {"_type": 2, "team_id": 0, "severity_number": 8, "body": "sys"})


def check_packets(server):
    rows = server.query("SELECT * FROM flow_log.l7_packet")
    check(len(rows) == 1, f"{len(rows)} packet batches")
    same("packets", rows[0], {
        "time": SECOND + 1, "start_time": SECOND * 1_000_000, "end_time": (SECOND + 1) * 1_000_000, "flow_id": 1 << 56 | 1, "agent_id": 7,
        "team_id": 1, "packet_count": 1, "acl_gids": [1, 300],
        "packet_batch": "cd3cb2a1" + "00020004" + "00" * 8 + "ffff0000" + "01000000" + "deadbeef"})


@test
def message_types():
    """Spans, samples, points, profiles, events, logs and packets of an independent sender are stored column by column."""
    require_spec()
    metric = Schema("metric")
    otlp = Schema("otlp_common", "otlp_resource", "otlp_trace")
    prometheus = Schema("prom_types", "prom_remote")
    agent, kubernetes = Schema("agent"), Schema("k8s_event")
    traces = otlp.encode("opentelemetry.proto.trace.v1.TracesData", trace())
    request = prometheus.encode("prometheus_deepflow.WriteRequest", write_request())
    written = metric.encode("metric.PrometheusMetric", {
        "metrics": snappy(request), "extra_label_names": ["cluster"], "extra_label_values": ["c1"]})
    packets = agent.encode("agent.PcapBatch", {"magic": 0xA1B23CCD, "batches": [{
        "flow_id": 1 << 56 | 1, "start_time": NS, "end_time": NS + 10**9, "packet_count": 1, "packet_records": b"\xde\xad\xbe\xef",
        "acl_gids": [1, 300]}]})
    k8s = kubernetes.encode("k8s_event.KubernetesEvent", {
        "first_timestamp": SECOND * 1_000_000, "involved_object": {"field_path": "spec.c", "kind": "Pod", "name": "p-1"}, "message": "again",
        "reason": "BackOff", "source": {"component": "kubelet"}, "type": "WARNING"})
    bad = b"\xff\xff\xff"
    space = Space()
    try:
        server = Server(space, "types")
        send(space.name, [
            frame(6, traces), frame(11, zlib.compress(traces), bad), frame(6, traces, encoder=1, compress=zlib.compress),
            frame(7, bad, written), frame(8, POINTS), frame(13, *profiles(metric)), frame(14, *events(metric)), frame(16, bad, k8s),
            frame(17, json.dumps(LOGS).encode() + b"]"), frame(18, LINE.encode(), b"no log"), frame(12, packets),
            # Neither is stored by anybody who has the open program only; both are counted.
            frame(19, b"x"), frame(20, b"y"), frame(20, b"z"),
        ])
        server.settled(quiet=4.2)
        check_spans(server, 9)
        check_samples(server)
        check_points(server)
        check_profiles(server)
        check_events(server)
        check_logs(server)
        check_packets(server)
        counted = {}
        for line in server.ask("show", "counters", "-o", "json").splitlines():
            row = json.loads(line)
            if row["counter"] == "dropped":
                counted[row["name"]] = row["value"]
        for name, dropped in (("frames skywalking", 1), ("frames datadog", 2), ("decoder profile", 1), ("decoder proc_event", 1)):
            check(counted.get(name) == dropped, f"counter {name}: {counted.get(name)}")
        check(server.stop() == 0, "the server ended with an error")
        # Numbers of names outlive the program.
        server.start()
        send(space.name, [frame(7, written)])
        server.settled(quiet=2)
        names = server.query("SELECT count(*) n, count(DISTINCT metric_id) ids FROM prometheus.samples")
        check((names[0]["n"], names[0]["ids"]) == (8, 2), f"after a restart: {names}")
        server.stop()
    finally:
        space.close()
    return "9 spans, 8 samples, 2 points, 6 profiles, 10 events, 3 logs, 1 packet batch"
