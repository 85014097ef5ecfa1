"""A program on a terminal of a fixed size, held by tmux on a socket of its own."""

import os
import re
import time
import unicodedata

import harness
from harness import Failed, check, must, run


def cells(text):
    """Columns that a line takes on the terminal."""
    width = 0
    for character in text:
        if unicodedata.combining(character):
            continue
        width += 2 if unicodedata.east_asian_width(character) in "WF" else 1
    return width


class Screen:
    count = 0

    def __init__(self, command, columns, rows, netns=None, environment=None):
        harness.require("tmux")
        Screen.count += 1
        self.columns, self.rows = columns, rows
        self.socket = f"dftop-test-{os.getpid()}-{Screen.count}"
        self.end = harness.WORK / f"screen-{Screen.count}.end"
        self.errors = harness.WORK / f"screen-{Screen.count}.err"
        # tmux would set TERM by itself.
        settings = {"TERM": "tmux-256color", "LC_ALL": "C.UTF-8", **(environment or {})}
        command = ["env", *[f"{name}={value}" for name, value in settings.items()], *command]
        quoted = " ".join("'" + str(word).replace("'", "'\\''") + "'" for word in command)
        enter = f"ip netns exec {netns} " if netns else ""
        # The shell stays behind, so that what the program leaves on the screen can be read.
        shell = f"{enter}{quoted} 2>{self.errors}; echo $? >{self.end}; exec cat"
        arguments = ["tmux", "-L", self.socket, "-f", "/dev/null", "-u", "new-session", "-d", "-x", columns, "-y", rows]
        must(*arguments, "-e", "LC_ALL=C.UTF-8", shell)
        self.tmux("set-option", "-g", "status", "off")
        self.tmux("resize-window", "-x", columns, "-y", rows)
        _open.append(self)

    def tmux(self, *arguments):
        return must("tmux", "-L", self.socket, *arguments)

    def keys(self, *keys):
        self.tmux("send-keys", *keys)

    def text(self, colours=False):
        return self.tmux("capture-pane", "-p", *(["-e"] if colours else [])).split("\n")[: self.rows]

    def wait(self, wanted, what="", seconds=15, absent=False):
        """The screen once it shows (or no longer shows) a text or pattern."""
        pattern = wanted if isinstance(wanted, re.Pattern) else re.compile(re.escape(wanted))
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            lines = self.text()
            if bool(pattern.search("\n".join(lines))) != absent:
                return lines
            time.sleep(0.02)
        raise Failed(f"{what or self.columns}: waited {seconds} s for {'no ' if absent else ''}{wanted!r}; the screen shows\n" + "\n".join(self.text()) + self.trouble())

    def trouble(self):
        return "\n" + self.errors.read_text()[-1500:] if self.errors.exists() else ""

    def resize(self, columns, rows):
        self.columns, self.rows = columns, rows
        self.tmux("resize-window", "-x", columns, "-y", rows)

    def sound(self, what):
        """No broken cells: right size, no replacement characters, no control codes, no torn lines."""
        lines = self.text()
        shown = "\n".join(lines)
        check(len(lines) == self.rows, f"{what}: {len(lines)} lines instead of {self.rows}")
        for number, line in enumerate(lines, 1):
            check(cells(line) <= self.columns, f"{what}: line {number} takes {cells(line)} of {self.columns} columns: {line!r}")
            for character in line:
                check(character != "\ufffd", f"{what}: replacement character in line {number}: {line!r}")
                check(unicodedata.category(character) not in ("Cc", "Cs", "Co", "Cn"), f"{what}: {character!r} in line {number}: {line!r}")
        check(lines[0].startswith("dftop"), f"{what}: no tabs in the first line:\n{shown}")
        check(re.match(r"^ ?(REPLAY|LIVE|SERVER|PAUSED|DAEMON)", lines[-1]), f"{what}: no status in the last line:\n{shown}")
        return lines

    def ended(self, seconds=10):
        harness.wait_until(lambda: self.end.exists() and self.end.read_text().strip(), "the program ends", seconds=seconds)
        return int(self.end.read_text())

    def close(self):
        run("tmux", "-L", self.socket, "kill-server")
        if self in _open:
            _open.remove(self)


_open = []


def close_all():
    for screen in list(_open):
        screen.close()
