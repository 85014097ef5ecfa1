"""What the integration tests share: registry and runner, programs in the background, network namespaces, records."""

import argparse
import atexit
import contextlib
import fnmatch
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback

ROOT = pathlib.Path(__file__).resolve().parents[2]
TESTDATA = pathlib.Path(os.environ.get("DFTOP_TESTDATA", ROOT / "../shared/testdata")).resolve()
CI = os.environ.get("CI") == "true"
os.environ["PATH"] += ":/usr/sbin:/sbin"
os.environ.setdefault("LC_ALL", "C.UTF-8")

# Filled in by main().
DFTOP = DFCTL = ""
WORK = pathlib.Path()


class Skip(Exception):
    """The test cannot run here; the text says why."""


class Failed(AssertionError):
    """The program did not do what it should."""


# --- registry and runner -------------------------------------------------------------------------------------------

_tests = []


def test(function):
    """Registers a test. Its name is the function's, its first doc line says what it shows."""
    _tests.append(function)
    return function


def check(condition, message):
    if not condition:
        raise Failed(message)


def require(*programs):
    """Skips unless all programs are installed."""
    for program in programs:
        if not shutil.which(program):
            raise Skip(f"{program} is not installed (scripts/setup --test)")


def require_root():
    if os.geteuid() != 0:
        raise Skip("needs root")


def require_testdata():
    if not TESTDATA.is_dir():
        if CI:
            raise Failed(f"no acceptance vectors in {TESTDATA}; set DFTOP_TESTDATA")
        raise Skip(f"no acceptance vectors in {TESTDATA}; set DFTOP_TESTDATA")


_once = {}


def once(function):
    """A fixture: computed by the first test that asks; its failure is every asking test's failure."""

    def wrapped():
        if function not in _once:
            try:
                _once[function] = (function(), None)
            except BaseException as error:  # noqa: BLE001 - kept for every test that asks
                _once[function] = (None, error)
        value, error = _once[function]
        if error:
            raise error
        return value

    return wrapped


def main(description):
    global DFTOP, DFCTL, WORK
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--bin", default=str(ROOT / ".build/release"), help="folder of dftop and dfctl")
    parser.add_argument("-k", action="append", metavar="PATTERN", help="only tests whose name contains or matches it")
    parser.add_argument("--list", action="store_true", help="print the names and stop")
    parser.add_argument("--keep", action="store_true", help="keep the working folder")
    options = parser.parse_args()
    DFTOP = os.environ.get("DFTOP", os.path.join(options.bin, "dftop"))
    DFCTL = os.environ.get("DFCTL", os.path.join(options.bin, "dfctl"))
    chosen = [
        t for t in _tests if not options.k or any(k in t.__name__ or fnmatch.fnmatch(t.__name__, k) for k in options.k)
    ]
    if options.list:
        for t in chosen:
            print(f"{t.__name__:34} {(t.__doc__ or '').strip().splitlines()[0]}")
        return 0
    for program in (DFTOP, DFCTL):
        if not os.access(program, os.X_OK):
            print(f"{program} is not there; build first (make build) or say --bin FOLDER", file=sys.stderr)
            return 2
    DFTOP, DFCTL = os.path.abspath(DFTOP), os.path.abspath(DFCTL)
    WORK = pathlib.Path(tempfile.mkdtemp(prefix="dftop-test-"))
    # A home of its own: nothing of the user's is read or written.
    for name in ("XDG_STATE_HOME", "XDG_CONFIG_HOME", "XDG_RUNTIME_DIR"):
        (WORK / name).mkdir()
        os.environ[name] = str(WORK / name)
    os.chmod(WORK, 0o755)
    os.chmod(WORK / "XDG_RUNTIME_DIR", 0o700)

    # A runner that is told to end leaves no programs and namespaces behind.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    passed = failed = skipped = 0
    for t in chosen:
        began = time.monotonic()
        try:
            note = t() or ""
            passed, verdict = passed + 1, "PASS"
        except Skip as reason:
            skipped, verdict, note = skipped + 1, "SKIP", str(reason)
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:  # noqa: BLE001 - one broken test must not hide the others
            failed, verdict, note = failed + 1, "FAIL", ""
            text = str(error) if isinstance(error, Failed) else traceback.format_exc()
            note = "\n" + "\n".join("     " + line for line in text.splitlines()[:40])
        seconds = time.monotonic() - began
        print(f"{verdict} {t.__name__} ({seconds:.1f} s){': ' if note and verdict != 'FAIL' else ''}{note}", flush=True)
    stop_all()
    if options.keep or failed:
        print(f"working folder: {WORK}")
    else:
        shutil.rmtree(WORK, ignore_errors=True)
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    return 1 if failed else 0


# --- programs --------------------------------------------------------------------------------------------------------

_running = []


class Program:
    """A program in the background, its output in files; `stop` ends it and returns what it wrote."""

    def __init__(self, arguments, name, netns=None, stdin=None, environment=None):
        self.name = name
        self.out_path = WORK / f"{name}.out"
        self.err_path = WORK / f"{name}.err"
        if netns:
            arguments = ["ip", "netns", "exec", netns, *arguments]
        self.arguments = [str(a) for a in arguments]
        with open(self.out_path, "wb") as out, open(self.err_path, "wb") as err:
            self.process = subprocess.Popen(
                self.arguments, stdin=stdin or subprocess.DEVNULL, stdout=out, stderr=err,
                env={**os.environ, **(environment or {})}, start_new_session=True,
            )
        _running.append(self)

    @property
    def out(self):
        return self.out_path.read_text(encoding="utf-8", errors="replace")

    @property
    def err(self):
        return self.err_path.read_text(encoding="utf-8", errors="replace")

    def alive(self):
        return self.process.poll() is None

    def wait(self, seconds):
        """Exit code of a program that ends by itself."""
        try:
            code = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise Failed(f"{self.name}: still running after {seconds} s: {' '.join(self.arguments)}\n{self.err[-2000:]}")
        _running.remove(self)
        return code

    def stop(self, with_signal=signal.SIGINT, seconds=30):
        """Asks the program to end and returns its exit code; one that does not obey is a failure."""
        if self.alive():
            self.process.send_signal(with_signal)
        return self.wait(seconds)

    def kill(self):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(10)
        if self in _running:
            _running.remove(self)


def run(*arguments, netns=None, seconds=60, stdin=None, environment=None, preexec=None):
    """Runs a program to its end. Returns the completed process, output as bytes in `stdout` and `stderr`."""
    if netns:
        arguments = ("ip", "netns", "exec", netns, *arguments)
    arguments = [str(a) for a in arguments]
    try:
        return subprocess.run(
            arguments, input=stdin if stdin is not None else b"", capture_output=True, timeout=seconds,
            env={**os.environ, **(environment or {})}, preexec_fn=preexec, check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise Failed(f"still running after {seconds} s: {' '.join(arguments)}\n{(error.stderr or b'')[-2000:].decode(errors='replace')}")


def must(*arguments, **options):
    """Like run, and a failure unless the exit code is 0. Returns standard output as text."""
    done = run(*arguments, **options)
    if done.returncode != 0:
        raise Failed(
            f"exit code {done.returncode}: {' '.join(str(a) for a in arguments)}\n{done.stderr[-2000:].decode(errors='replace')}"
        )
    return done.stdout.decode(errors="replace")


def dftop(*arguments, **options):
    return run(DFTOP, *arguments, **options)


def records(text):
    """Objects of a text of JSON lines; anything else on standard output is a failure."""
    if isinstance(text, bytes):
        text = text.decode()
    rows = []
    # Not splitlines: texts of captured traffic may hold other line breaks of Unicode.
    for number, line in enumerate(text.removesuffix("\n").split("\n") if text else [], 1):
        try:
            rows.append(json.loads(line))
        except ValueError:
            raise Failed(f"line {number} of the output is no JSON object: {line[:200]}")
    return rows


def wait_until(condition, what, seconds=15, step=0.05):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(step)
    raise Failed(f"waited {seconds} s in vain until {what() if callable(what) else what}")


def listens(port, netns=None, udp=False, address=""):
    """True when something listens on the port."""
    command = ["ss", "-Hnl", "-u" if udp else "-t", f"sport = :{port}"]
    done = run(*command, netns=netns)
    return bool(done.stdout.strip()) and address.encode() in done.stdout


def threads(program):
    """Names of the threads of a program that runs."""
    found = []
    with contextlib.suppress(OSError):
        for thread in pathlib.Path(f"/proc/{program.process.pid}/task").iterdir():
            with contextlib.suppress(OSError):
                found.append((thread / "comm").read_text().strip())
    return sorted(found)


def stop_all():
    for program in list(_running):
        program.kill()
    for space in list(_spaces):
        space.close()


# --- network namespaces ----------------------------------------------------------------------------------------------

_spaces = []


class Link:
    """Two network namespaces, client and server, joined by a veth pair."""

    count = 0

    def __init__(self):
        require_root()
        require("ip", "ss")
        Link.count += 1
        tag = f"{os.getpid() % 100000}{Link.count}"
        self.client, self.server = f"dftc{tag}", f"dfts{tag}"
        self.client_if, self.server_if = f"vc{tag}"[:15], f"vs{tag}"[:15]
        self.client_ip, self.server_ip = "10.77.0.1", "10.77.0.2"
        self.client_ip6, self.server_ip6 = "fd77::1", "fd77::2"
        try:
            must("ip", "netns", "add", self.client)
        except Failed as error:
            raise Skip(f"no network namespaces here: {error}")
        _spaces.append(self)
        must("ip", "netns", "add", self.server)
        must("ip", "link", "add", self.client_if, "netns", self.client, "type", "veth",
             "peer", "name", self.server_if, "netns", self.server)
        for space, interface, ip, ip6 in (
            (self.client, self.client_if, self.client_ip, self.client_ip6),
            (self.server, self.server_if, self.server_ip, self.server_ip6),
        ):
            must("ip", "-n", space, "addr", "add", f"{ip}/24", "dev", interface)
            run("ip", "-n", space, "addr", "add", f"{ip6}/64", "dev", interface, "nodad")
            must("ip", "-n", space, "link", "set", "lo", "up")
            must("ip", "-n", space, "link", "set", interface, "up")

    def close(self):
        for space in (self.client, self.server):
            run("ip", "netns", "del", space)
        if self in _spaces:
            _spaces.remove(self)

    def captures(self, program, netns=None):
        """Waits until the program has its packet socket open in the namespace and its filter in place."""

        def has_socket():
            if not program.alive():
                raise Failed(f"{program.name} ended: {program.err[-1000:]}")
            # The program may be a child of the started one: any process of the session counts.
            inodes = {
                line.split()[-1]
                for line in must("cat", "/proc/net/packet", netns=netns or self.client).splitlines()[1:]
            }
            return bool(inodes & socket_inodes(program.process.pid))

        wait_until(has_socket, f"{program.name} captures")
        time.sleep(0.7)


def socket_inodes(session):
    """Inodes of the sockets held by the processes of a session."""
    found = set()
    for entry in pathlib.Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        with contextlib.suppress(OSError, ValueError):
            if os.getsid(int(entry.name)) != session:
                continue
            for descriptor in (entry / "fd").iterdir():
                with contextlib.suppress(OSError):
                    target = os.readlink(descriptor)
                    if target.startswith("socket:["):
                        found.add(target[8:-1])
    return found


atexit.register(stop_all)
