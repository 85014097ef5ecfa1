#!/usr/bin/env python3
"""Measures how soon the screen answers keys: runs a command in a pseudo terminal, presses keys, times the first output.

    Tests/Screens/keys.py [--wait TEXT] [--limit MS] [--rounds N] -- dftop -r FILE

Exits 1 when the 95th percentile is over the limit.
"""
import argparse, fcntl, os, pty, re, select, signal, statistics, struct, sys, termios, time


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--wait", default="", help="text to wait for before the first key")
    parser.add_argument("--limit", type=float, default=50.0, help="milliseconds")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--rows", type=int, default=24)
    parser.add_argument("--columns", type=int, default=80)
    parser.add_argument("command", nargs="+")
    arguments = parser.parse_args()

    child, fd = pty.fork()
    if child == 0:
        os.environ.update(TERM="xterm-256color", LC_ALL="C.UTF-8")
        os.execvp(arguments.command[0], arguments.command)
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", arguments.rows, arguments.columns, 0, 0))
    seen = b""

    def read(timeout):
        if not select.select([fd], [], [], timeout)[0]:
            return b""
        try:
            return os.read(fd, 1 << 16)
        except OSError:
            return b""

    deadline = time.monotonic() + 120
    while arguments.wait.encode() not in seen and time.monotonic() < deadline:
        seen = (seen + re.sub(rb"\x1b\[[0-9;?]*[a-zA-Z]", b"", read(0.5)))[-200_000:]
    if arguments.wait.encode() not in seen:
        sys.exit(f"'{arguments.wait}' did not appear")

    def settle():
        while read(0.02):
            pass

    times = []
    # Views, moves, paging, ends, menus, a filter typed letter by letter.
    keys = [b"2", b"j", b"j", b"\x1b[6~", b"G", b"g", b"s", b"\x1b", b"4", b"3", b"j", b"5", b"j", b"1", b"2", b"/"]
    keys += [bytes([c]) for c in b"port:80 "] + [b"\r", b"\x1b"]
    for _ in range(arguments.rounds):
        for key in keys:
            settle()
            start = time.perf_counter()
            os.write(fd, key)
            if read(1.0):
                times.append((time.perf_counter() - start) * 1000)
    os.write(fd, b"q")
    end = time.monotonic() + 10
    while time.monotonic() < end:
        read(0.1)
        if os.waitpid(child, os.WNOHANG)[0]:
            break
    else:
        os.kill(child, signal.SIGKILL)
        sys.exit("it did not end after q")
    times.sort()
    p95 = times[int(len(times) * 0.95)]
    print(f"{len(times)} keys: median {statistics.median(times):.1f} ms, 95 % {p95:.1f} ms, longest {times[-1]:.1f} ms")
    sys.exit(1 if p95 > arguments.limit else 0)


main()
