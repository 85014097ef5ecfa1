#!/usr/bin/env python3
"""Times answers of a running engine: `Tests/Screens/questions.py SOCKET [FLOWS]`, FLOWS = wait until so many are there."""
import json, socket, statistics, struct, sys, time


def main():
    path = sys.argv[1]
    wanted = int(sys.argv[2]) if len(sys.argv) > 2 else 0
    peer = socket.socket(socket.AF_UNIX)
    peer.connect(path)

    def ask(question):
        body = json.dumps({"version": 1, "question": question}).encode()
        peer.sendall(struct.pack(">I", len(body)) + body)
        head = take(4)
        return json.loads(take(struct.unpack(">I", head)[0]))["answer"]

    def take(count):
        data = b""
        while len(data) < count:
            part = peer.recv(count - len(data))
            if not part:
                sys.exit("the engine closed the connection")
            data += part
        return data

    def page(kind, filter="", sort="", offset=0):
        return {"list": {"_0": {"kind": kind, "filter": filter, "sort": sort, "isDescending": True, "offset": offset,
                                "limit": 72}}}

    deadline = time.monotonic() + 120
    while True:
        total = ask(page("flows"))["list"]["_0"]["total"]
        if total >= wanted or time.monotonic() > deadline:
            break
        time.sleep(0.5)
    print(f"{total} flows")
    questions = {
        "flows": page("flows"),
        "flows by rtt": page("flows", sort="rtt"),
        "flows, last page": page("flows", offset=max(0, total - 72)),
        "flows, filter": page("flows", "proto:http rrt:>1ms !port:53 client:10.0.0.0/8"),
        "flows, text": page("flows", "10.128.4"),
        "requests": page("requests"),
        "requests, text": page("requests", "items"),
        "services": page("services"),
        "map": page("map"),
        "overview": {"overview": {"seconds": 600}},
    }
    for name, question in questions.items():
        times = []
        for _ in range(15):
            start = time.perf_counter()
            answer = ask(question)
            times.append((time.perf_counter() - start) * 1000)
            if "failed" in answer:
                sys.exit(f"{name}: {answer}")
        print(f"{name:20} median {statistics.median(times):6.1f} ms, longest {max(times):6.1f} ms")


main()
