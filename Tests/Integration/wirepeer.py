"""A sender of every message type: encodes by the schema tables of the specification, with nothing of the program's."""

import csv
import os
import pathlib
import socket
import struct

from harness import CI, ROOT, Failed, Skip

SPEC = pathlib.Path(os.environ.get("DFTOP_SPEC", ROOT / "../shared/spec")).resolve()


def require_spec():
    if not (SPEC / "proto/metric.tsv").is_file():
        if CI:
            raise Failed(f"no schema tables in {SPEC}; set DFTOP_SPEC")
        raise Skip(f"no schema tables in {SPEC}; set DFTOP_SPEC")


class Schema:
    """Messages of some tables, by full name: fields by name, and numbers of enumerations."""

    def __init__(self, *names):
        self.fields, self.enums = {}, {}
        for name in names:
            with open(SPEC / f"proto/{name}.tsv", encoding="utf-8", newline="") as file:
                package = ""
                for row in csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE):
                    if row["kind"] == "file":
                        package = row["name"]
                    elif row["kind"] == "message" and row["field"]:
                        kind = row["type"]
                        if ":" in kind:
                            sort, _, target = kind.partition(":")
                            kind = (sort, target if target.startswith("opentelemetry") else f"{package}.{target}")
                        field = (int(row["number"]), kind, row["label"] == "repeated", row["packed"] == "true")
                        self.fields.setdefault(f"{package}.{row['name']}", {})[row["field"]] = field
                    elif row["kind"] == "enum":
                        self.enums.setdefault(f"{package}.{row['name']}", {})[row["field"]] = int(row["number"])

    def encode(self, message, values):
        out = b""
        fields = self.fields[message]
        for name, value in sorted(values.items(), key=lambda item: fields[item[0]][0]):
            number, kind, repeated, packed = fields[name]
            if repeated and packed:
                run = b"".join(self.scalar(kind, v)[1] for v in value)
                out += varint(number << 3 | 2) + varint(len(run)) + run
                continue
            for one in value if repeated else [value]:
                wire, body = self.scalar(kind, one)
                out += varint(number << 3 | wire) + body
        return out

    def scalar(self, kind, value):
        if isinstance(kind, tuple):
            if kind[0] == "enum":
                return 0, varint(self.enums[kind[1]][value] if isinstance(value, str) else value)
            body = self.encode(kind[1], value)
            return 2, varint(len(body)) + body
        if kind in ("string", "bytes"):
            body = value.encode() if isinstance(value, str) else bytes(value)
            return 2, varint(len(body)) + body
        if kind == "double":
            return 1, struct.pack("<d", value)
        if kind == "fixed64":
            return 1, struct.pack("<Q", value)
        return 0, varint(int(value) & (1 << 64) - 1)


def varint(value):
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def snappy(plain):
    """A block with literals and, where four bytes come again, copies."""
    out = bytearray(varint(len(plain)))
    literal, seen, at = bytearray(), {}, 0

    def flush():
        for start in range(0, len(literal), 60):
            part = literal[start:start + 60]
            out.append(len(part) - 1 << 2)
            out.extend(part)
        literal.clear()

    while at < len(plain):
        key = plain[at:at + 4]
        before = seen.get(key)
        seen[key] = at
        if before is not None and len(key) == 4 and at - before < 65536:
            length = 4
            while length < 64 and at + length < len(plain) and plain[before + length] == plain[at + length]:
                length += 1
            flush()
            out.append(length - 1 << 2 | 2)
            out.extend(struct.pack("<H", at - before))
            at += length
        else:
            literal.append(plain[at])
            at += 1
    flush()
    return bytes(out)


def frame(kind, *records, agent=7, encoder=0, compress=lambda payload: payload):
    payload = compress(b"".join(struct.pack("<I", len(record)) + record for record in records))
    header = struct.pack("<HBIHHHB", 0x8000, encoder, 1, 1, 0, agent, 0)
    return struct.pack(">IB", 19 + len(payload), kind) + header + payload


def send(space, frames, port=20033):
    """Connects from within a namespace and sends; the thread that enters it ends with it."""
    import threading

    problems = []

    def run():
        try:
            with open(f"/run/netns/{space}", encoding="utf-8") as entry:
                import ctypes
                if ctypes.CDLL(None, use_errno=True).setns(entry.fileno(), 0x40000000) != 0:
                    raise OSError(ctypes.get_errno(), "setns")
            with socket.create_connection(("127.0.0.1", port), 10) as peer:
                peer.sendall(b"".join(frames))
        except OSError as error:
            problems.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if problems:
        raise Failed(f"the peer could not send: {problems[0]}")
