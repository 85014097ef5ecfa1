"""A server in a network namespace of its own (so that fixed ports never clash), agents beside it, and its answers."""

import json
import time

import harness
from harness import Failed, Program, check, must, require, require_root, run, wait_until


class Space:
    """A network namespace with nothing but loopback."""

    count = 0

    def __init__(self):
        require_root()
        require("ip", "ss")
        Space.count += 1
        self.name = f"dfte{harness.os.getpid() % 100000}{Space.count}"
        try:
            must("ip", "netns", "add", self.name)
        except Failed as error:
            raise harness.Skip(f"no network namespaces here: {error}")
        harness._spaces.append(self)
        must("ip", "-n", self.name, "link", "set", "lo", "up")

    def close(self):
        run("ip", "netns", "del", self.name)
        if self in harness._spaces:
            harness._spaces.remove(self)


class Server:
    """`dftop server` with its data in a folder of its own."""

    def __init__(self, space, name, folder=None, environment=None, arguments=()):
        self.space, self.name, self.arguments = space, name, arguments
        self.folder = folder or harness.WORK / f"{name}-data"
        self.folder.mkdir(exist_ok=True)
        self.socket = harness.WORK / f"{name}.sock"
        self.start(environment)

    def start(self, environment=None):
        self.program = Program(
            [harness.DFTOP, "server", "--data-dir", self.folder, "--socket", self.socket, *self.arguments], self.name,
            netns=self.space.name, environment=environment)

        def ready():
            if not self.program.alive():
                raise Failed(f"{self.name} ended: {self.program.err[-1500:]}")
            return self.socket.exists() and harness.listens(20033, self.space.name)

        wait_until(ready, f"{self.name} listens", seconds=20)

    def ask(self, *arguments, seconds=60):
        done = run(harness.DFCTL, *arguments, "--server", self.socket, netns=self.space.name, seconds=seconds)
        if done.returncode != 0:
            raise Failed(f"dfctl {arguments}: exit code {done.returncode}: {done.stderr.decode(errors='replace')[-1500:]}")
        return done.stdout.decode()

    def query(self, sql):
        """Rows of a query as a list of objects."""
        text = self.ask("query", sql, "-o", "json").strip()
        if not text:
            return []
        if text.startswith("["):
            return json.loads(text)
        return [json.loads(line) for line in text.split("\n")]

    def status(self):
        """Names and values; a name that occurs several times has a list."""
        found = {}
        for line in self.ask("status", "-o", "json").splitlines():
            row = json.loads(line)
            if row["name"] in found and not isinstance(found[row["name"]], list):
                found[row["name"]] = [found[row["name"]]]
            if row["name"] in found:
                found[row["name"]].append(row["value"])
            else:
                found[row["name"]] = row["value"]
        return found

    def count(self, table):
        rows = self.query(f'SELECT count(*) AS n FROM {table}')
        return int(rows[0]["n"])

    def rows(self):
        """Rows of every table."""
        lines = self.ask("show", "tables", "-o", "json").splitlines()
        return {row["name"]: row["rows"] for row in map(json.loads, lines)}

    def settled(self, quiet=2.2, seconds=30):
        """Rows of every table once none of them grows."""
        last, since = {}, time.monotonic()

        def still():
            nonlocal last, since
            now = self.rows()
            if now != last:
                last, since = now, time.monotonic()
            return time.monotonic() - since > quiet

        wait_until(still, f"the tables of {self.name} no longer grow", seconds=seconds, step=0.2)
        return last

    def agent(self, name, *arguments, seconds=60):
        """Runs an agent against this server to its end."""
        done = run(harness.DFTOP, "agent", "--ingester", "127.0.0.1", *arguments, netns=self.space.name, seconds=seconds)
        check(done.returncode == 0, f"{name}: exit code {done.returncode}: {done.stderr.decode(errors='replace')[-1500:]}")

    def stop(self):
        return self.program.stop()
