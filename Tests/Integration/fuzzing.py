"""A short run of every fuzz target; scripts/fuzz makes long ones."""

import os

import harness
from harness import Skip, check, run, test

PACKETS = {"link", "network", "vxlan", "geneve", "nsh", "ipip", "teb", "erspan", "flowmap"}


@test
def fuzz_targets():
    """Ten seconds of changed input for each packet target and five for each parser, without a finding."""
    program = os.path.join(os.path.dirname(harness.DFTOP), "fuzz")
    if not os.access(program, os.X_OK):
        raise Skip("fuzz is not built")
    told = []
    for target in run(program, "list").stdout.decode().split():
        done = run(program, target, "10s" if target in PACKETS else "5s", seconds=60)
        check(done.returncode == 0, f"{target} ended with {done.returncode}:\n{done.stdout.decode()[-2000:]}{done.stderr.decode()[-2000:]}")
        told.append(done.stdout.decode().split(",")[0])
    return "; ".join(told)
