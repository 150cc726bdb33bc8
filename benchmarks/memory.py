"""How much memory does one propagation take? Growth of the resident peak, each contender in a process of its own.

Input and libraries are there before, and a small call has started threads and plans. The first call at full size may
make kernels, which some keep; the second has them. The peak is reset before each, so an earlier one does not hide it.
"""

import ctypes
import gc
import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

from benchmarks.harness import Call, Row, Run
from benchmarks.peers import PROPAGATION
from benchmarks.plain import DISTANCE, beam
from benchmarks.propagation import ours, reference

ROOT = Path(__file__).parents[1]


def measure(run: Run, size: int = 2048) -> list[Row]:
    """Measure the first and the second call of every contender, in MB (1e6 bytes)."""
    if run.device != "cpu":
        return []
    rows = []
    for who, role, package, remark in [
        ("fouroptics", "ours", "", ""),
        ("plain form", "reference", "", "H at hand"),
        *((peer.who, "peer", peer.package, peer.remark) for peer in PROPAGATION),
    ]:
        absent = package and find_spec(package) is None
        grown = f"skipped: {package} is not installed" if absent else in_own_process(who, size)
        for i, call in enumerate(("first", "second")):
            case = f"N = {size}, {call} call"
            value, note = (None, grown) if isinstance(grown, str) else (grown[i], remark)
            rows.append(Row("memory", case, who, role, value, "MB", None, note))
    return sorted(rows, key=lambda row: row.case)


def in_own_process(who: str, size: int) -> list[float] | str:
    """Growth at the first and the second call in MB, or why there is none."""
    print(f"memory, {who}", flush=True)
    command = [sys.executable, "-W", "ignore", "-m", "benchmarks.memory", who, str(size)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        return f"failed: {done.stderr.strip().splitlines()[-1][:100]}"
    return json.loads(done.stdout.splitlines()[-1])


def growth(who: str, size: int) -> list[float]:
    """Growth of this process at the first and the second call, in MB."""
    results = []
    for n in (min(64, size), size):
        u = beam(n)
        peers = [peer.contender(u.data, u.grid, u.wavelength, DISTANCE) for peer in PROPAGATION if peer.who == who]
        (contender,) = [c for c in (ours(u), reference(u), *peers) if c.who == who]
        call, _ = contender.prepare()
        results = [peak_above(call) for _ in range(2)]
    return results


def peak_above(call: Call) -> float:
    """Peak resident memory of a call above what is resident before it, in MB."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts again from here
    before = resident("VmRSS")
    call()
    return (resident("VmHWM") - before) / 1e6


def resident(name: str) -> int:
    """Bytes under this name in /proc/self/status."""
    (line,) = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(name)]
    return 1024 * int(line.split()[1])


if __name__ == "__main__":
    print(json.dumps(growth(sys.argv[1], int(sys.argv[2]))))
