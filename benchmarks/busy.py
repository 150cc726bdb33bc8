"""Does it hold up on a busy machine? One propagation against the plain form, beside two processes that spin.

A is no unit here: it suffers, too. The number is the largest of some ratios of medians, each over a few rounds.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from statistics import median

from benchmarks.harness import Call, Row, Run, interleave
from benchmarks.plain import beam
from benchmarks.propagation import ours, reference

SPIN = "import os\nparent = os.getppid()\nwhile os.getppid() == parent:\n    sum(range(100000))"


def measure(run: Run, sizes: tuple[int, ...] = (512, 1024, 2048), passes: int = 5) -> list[Row]:
    """Time both, quiet and beside as many spinning processes as there are cores, at least two."""
    rows = []
    for n in sizes:
        print(f"busy, N = {n}", flush=True)
        u = beam(n, run.device)
        calls: dict[str, Call] = {}
        for contender in (ours(u), reference(u)):
            calls[contender.who], _ = contender.prepare()
            calls[contender.who]()
        neighbours = max(2, os.cpu_count() or 1)
        for case, count in ((f"N = {n}, quiet", 0), (f"N = {n}, busy neighbours", neighbours)):
            with spinning(count):
                worst = max(once(calls, run) for _ in range(passes))
            remark = f"{count} neighbours; largest of {passes} ratios"
            rows.append(Row("busy", case, "fouroptics", "ours", worst, "plain form", None, remark))
    return rows


def once(calls: dict[str, Call], run: Run) -> float:
    """Median of ours over the median of the plain form, over a third of the rounds."""
    short = Run(repeats=max(run.repeats // 3, 1), seconds=run.seconds, least=1, device=run.device, timer=run.timer)
    seconds = interleave(calls, short)
    return median(seconds["fouroptics"]) / median(seconds["plain form"])


@contextmanager
def spinning(count: int) -> Iterator[list[subprocess.Popen]]:
    """Run processes that only burn time; they also end if this process dies."""
    neighbours = [subprocess.Popen([sys.executable, "-c", SPIN]) for _ in range(count)]
    try:
        yield neighbours
    finally:
        for neighbour in neighbours:
            neighbour.kill()
            neighbour.wait()
