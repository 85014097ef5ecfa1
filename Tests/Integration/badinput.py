"""Bad input: a clear error, the exit code of the table in dftop(1), and what was read before is kept."""

import bisect
import concurrent.futures
import os
import random
import shutil
import subprocess

import captures
import harness
from harness import Skip, check, dftop, records, require, require_root, require_testdata, run, test

USAGE, NOT_FOUND, INVALID, UNREACHABLE, NOT_PERMITTED, PARTLY = 2, 3, 5, 6, 7, 8


def expect(done, code, *words, what=""):
    """The exit code, and an error text that names the thing and is no crash report."""
    told = done.stderr.decode(errors="replace")
    codes = code if isinstance(code, tuple) else (code,)
    check(done.returncode in codes, f"{what}: exit code {done.returncode}, expected {code}\n{told[-1500:]}")
    if done.returncode != 0:
        check(told.strip(), f"{what}: nothing on standard error")
    for word in words:
        check(word in told, f"{what}: the error does not name {word!r}:\n{told[-1500:]}")
    no_crash(done, what)


def no_crash(done, what):
    told = done.stderr.decode(errors="replace")
    check(done.returncode >= 0 and done.returncode < 126, f"{what}: crashed with {done.returncode}\n{told[-1500:]}")
    for sign in ("Fatal error", "Illegal instruction", "Segmentation fault", "Backtracing"):
        check(sign not in told, f"{what}: {sign}\n{told[-1500:]}")


def in_parallel(function, items):
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        return list(pool.map(function, items))


def cut_everywhere(make, name):
    packets = captures.conversation()
    data, ends = make(packets)
    folder = harness.WORK / f"cut-{name}"
    folder.mkdir()

    def one(length):
        path = folder / f"{length}.pcap"
        path.write_bytes(data[:length])
        done = dftop("print", "packets", "-r", path, "-o", "json")
        what = f"{name} cut to {length} of {len(data)} bytes"
        if length < ends[0]:
            # A pcapng section without any interface is whole, and empty.
            is_empty = make is captures.pcapng and length == 28
            expect(done, 0 if is_empty else (INVALID, PARTLY), *([] if is_empty else [str(path)]), what=what)
            whole = 0
        else:
            whole = bisect.bisect_right(ends, length) - 1
            at_end = length == ends[whole]
            expect(done, 0 if at_end else PARTLY, *([] if at_end else [str(path)]), what=what)
        got = len(records(done.stdout))
        check(got == whole, f"{what}: {whole} packets are whole, {got} were printed")
        path.unlink()

    in_parallel(one, range(len(data) + 1))
    return f"{len(data) + 1} positions"


@test
def bad_cut_pcap():
    """A capture cut at every position: exit 8, every whole packet printed."""
    return cut_everywhere(captures.pcap, "pcap")


@test
def bad_cut_pcapng():
    """The same for pcapng."""
    return cut_everywhere(captures.pcapng, "pcapng")


@test
def bad_cut_keeps_flows():
    """Flows and requests of the part before the cut are printed whole."""
    data, _ = captures.pcap(captures.conversation())
    path = harness.WORK / "cut-late.pcap"
    path.write_bytes(data[:-3])
    done = dftop("print", "flows", "-r", path, "-o", "json")
    expect(done, PARTLY, str(path), what="flows of a cut file")
    check(len(records(done.stdout)) == 2, f"expected 2 flows: {done.stdout.decode()}")
    done = dftop("print", "l7", "-r", path, "-o", "json")
    expect(done, PARTLY, str(path), what="requests of a cut file")
    found = [(r.get("l7_protocol_str"), r.get("response_code")) for r in records(done.stdout)]
    check(("HTTP", 404) in found, f"the request before the cut is missing: {found}")


@test
def bad_random_bytes():
    """Files of random bytes are no captures (exit 5); random bytes behind a file header never crash."""
    source = random.Random(7)

    def one(number):
        path = harness.WORK / f"random-{number}"
        path.write_bytes(source.randbytes(source.randrange(1, 4000)))
        expect(dftop("print", "flows", "-r", path), INVALID, str(path), what=f"random file {number}")
        path.write_bytes(captures.pcap([])[0] + source.randbytes(3000))
        done = dftop("print", "l7", "-r", path)
        expect(done, (0, INVALID, PARTLY), what=f"header and random bytes {number}")
        path.write_bytes(captures.pcapng([])[0] + source.randbytes(3000))
        done = dftop("print", "l7", "-r", path)
        expect(done, (0, INVALID, PARTLY), what=f"pcapng header and random bytes {number}")
        path.unlink()

    for number in range(20):
        one(number)


@test
def bad_mangled_captures():
    """Captures of the acceptance vectors with bytes overwritten: no crash, standard output stays JSON."""
    require_testdata()
    source = random.Random(11)
    files = sorted(p for p in harness.TESTDATA.rglob("*.pcap") if p.stat().st_size < 200_000)

    def one(job):
        number, path, seed = job
        dice = random.Random(seed)
        data = bytearray(path.read_bytes())
        for _ in range(max(4, len(data) // 60)):
            data[dice.randrange(24, len(data))] = dice.randrange(256)
        mangled = harness.WORK / f"mangled-{number}.pcap"
        mangled.write_bytes(data)
        for kind in ("packets", "flows", "l7-messages", "l7", "metrics"):
            done = dftop("print", kind, "-r", mangled, "-o", "json")
            expect(done, (0, INVALID, PARTLY), what=f"{kind} of {path.name} mangled with seed {seed} (kept as {mangled})")
            records(done.stdout)
        mangled.unlink()

    jobs = [(n, source.choice(files), source.randrange(1 << 30)) for n in range(60)]
    in_parallel(one, jobs)
    return f"{len(jobs)} files"


@test
def bad_arguments():
    """A directory, a missing file, an unknown interface, wrong filters and options."""
    good = harness.WORK / "good.pcap"
    good.write_bytes(captures.pcap(captures.conversation())[0])
    folder = harness.WORK / "a-folder"
    folder.mkdir()
    text = harness.WORK / "text"
    text.write_text("this is no capture file, however long it may be, and stays none\n" * 10)
    expect(dftop("print", "flows", "-r", folder), INVALID, str(folder), what="a directory")
    expect(dftop("print", "flows", "-r", text), INVALID, str(text), what="a text file")
    missing = harness.WORK / "missing.pcap"
    expect(dftop("print", "flows", "-r", missing), NOT_FOUND, str(missing), what="a missing file")
    expect(dftop("print", "flows", "-i", "nosuchif0"), (NOT_FOUND,) if os.geteuid() == 0 else (NOT_FOUND, NOT_PERMITTED),
           "nosuchif0", what="an unknown interface")
    expect(dftop("print", "flows", "-r", good, "-f", "tcp prot 80"), USAGE, "tcp prot 80", what="a wrong capture filter")
    expect(dftop("print", "flows", "-r", good, "--filter", "nosuchkey:>>1"), USAGE, what="a wrong record filter")
    expect(dftop("print", "flows", "-r", good, "-o", "xml"), USAGE, "xml", what="a wrong format")
    expect(dftop("print", "nosuchkind", "-r", good), USAGE, "nosuchkind", what="a wrong kind")
    expect(dftop("print", "flows", "-r", good, "--nosuchoption"), USAGE, "nosuchoption", what="a wrong option")
    expect(dftop("print", "flows", "-r", good, "--set", "no.such.key=1"), USAGE, "no.such.key", what="a wrong key")
    expect(dftop("print", "flows", "-r", good, "--set", "nonsense"), USAGE, "nonsense", what="a setting without value")
    expect(dftop("print", "l7", "-r", good, "--l7-protocol", "nosuchproto"), USAGE, "nosuchproto", what="a wrong protocol")
    expect(dftop("print", "flows", "-r", good, "--count", "many"), USAGE, "many", what="a wrong count")
    expect(dftop("agent", "-r", missing, "--ingester", "127.0.0.1:1"), (NOT_FOUND, UNREACHABLE), what="agent, a missing file and nobody listens")
    expect(dftop("agent", "-r", good, "--ingester", "127.0.0.1:1"), UNREACHABLE, "127.0.0.1", what="agent, nobody listens")
    expect(run(harness.DFCTL, "status", "--server", "127.0.0.1:1"), UNREACHABLE, "127.0.0.1:1", what="dfctl, nobody listens")
    expect(run(harness.DFCTL, "nosuchnoun"), USAGE, what="dfctl, a wrong noun")


@test
def bad_second_file():
    """Of two files the second is no capture: the first one's records are kept."""
    good = harness.WORK / "first.pcap"
    good.write_bytes(captures.pcap(captures.conversation())[0])
    text = harness.WORK / "second"
    text.write_text("no capture\n" * 20)
    done = dftop("print", "packets", "-r", good, "-r", text, "-o", "json")
    expect(done, (INVALID, PARTLY), str(text), what="a good and a foreign file")
    check(len(records(done.stdout)) == 9, f"{len(records(done.stdout))} of 9 packets printed")


@test
def bad_closed_output():
    """A reader that goes away (`| head -1`) ends dftop quietly."""
    good = harness.WORK / "closed.pcap"
    good.write_bytes(captures.pcap(captures.conversation() * 2000)[0])
    process = subprocess.Popen([harness.DFTOP, "print", "packets", "-r", good, "-o", "json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    process.stdout.readline()
    process.stdout.close()
    told = process.stderr.read().decode()
    code = process.wait(20)
    check(code in (0, 1, 141, -13), f"exit code {code}\n{told}")
    check("rror" not in told or "pipe" in told.lower(), f"standard error: {told}")


@test
def bad_full_output():
    """Standard output on a full disk: exit 8 or 1 and a sentence, not silence."""
    require_root()
    if not os.path.exists("/dev/full"):
        raise Skip("no /dev/full")
    good = harness.WORK / "full-out.pcap"
    good.write_bytes(captures.pcap(captures.conversation())[0])
    with open("/dev/full", "wb") as full:
        done = subprocess.run([harness.DFTOP, "print", "packets", "-r", good, "-o", "json"], stdout=full, stderr=subprocess.PIPE, timeout=30, check=False)
    done.stdout = b""
    expect(done, (1, PARTLY), what="standard output is full")


@test
def bad_no_privilege():
    """Without privilege: capturing says what is missing (exit 7), reading files works."""
    require_root()
    require("setpriv")
    program = harness.WORK / "dftop-nobody"
    shutil.copy(harness.DFTOP, program)
    program.chmod(0o755)
    good = harness.WORK / "nobody.pcap"
    good.write_bytes(captures.pcap(captures.conversation())[0])
    good.chmod(0o644)
    secret = harness.WORK / "secret.pcap"
    secret.write_bytes(good.read_bytes())
    secret.chmod(0o600)
    home = harness.WORK / "nobody-home"
    home.mkdir()
    os.chown(home, 65534, 65534)
    as_nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=-all", "--bounding-set=-all", program]
    environment = {"HOME": str(home), "XDG_STATE_HOME": str(home), "XDG_RUNTIME_DIR": str(home)}
    expect(run(*as_nobody, "print", "flows", "-i", "lo", "--duration", "1", environment=environment), NOT_PERMITTED, "CAP_NET_RAW", "setcap", what="live capture as nobody")
    expect(run(*as_nobody, "print", "flows", "-r", secret, environment=environment), NOT_PERMITTED, str(secret), what="an unreadable file")
    done = run(*as_nobody, "print", "flows", "-r", good, "-o", "json", environment=environment)
    expect(done, 0, what="a file as nobody")
    check(len(records(done.stdout)) == 2, "expected 2 flows")
    done = run(*as_nobody, "doctor", environment=environment)
    no_crash(done, "doctor as nobody")
    check(b"CAP_NET_RAW" in done.stdout.upper() or b"cap_net_raw" in done.stdout, f"doctor does not name the capability:\n{done.stdout.decode()}")
