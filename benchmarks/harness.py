"""Rounds, medians and ratios: how calls are timed side by side, and when a run does not count."""

import time
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from importlib.util import find_spec
from statistics import median
from typing import Any, NamedTuple

import torch
from torch import Tensor

Call = Callable[[], Any]
FLOOR = "A"
RIGHT = 0.05  # an answer this far off still counts as right: single-precision phases cost some packages 2 %
PAUSE = 0.02  # seconds before each call: OpenMP threads spin for a while after theirs, into the next one's time
FILL = 0.4  # seconds: on a shared machine single calls scatter by more than a factor of two
ENOUGH = 1.5  # seconds


def host_clock(call: Call) -> float:
    """Seconds that a call takes by the clock of the host, in the state that its like leaves behind.

    The median of as many calls as fill `FILL`, of three at least where they take less than `ENOUGH`. A first call is
    not timed: after another package's it waits for memory that a virtual machine gave back to its host.
    """
    time.sleep(PAUSE)
    call()
    seconds: list[float] = []
    while sum(seconds) < FILL or (len(seconds) < 3 and sum(seconds) < ENOUGH):
        start = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - start)
    return median(seconds)


def device_events(call: Call) -> float:
    """Seconds that a call takes on a CUDA device, between two events."""
    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    start.record()
    call()
    end.record()
    torch.cuda.synchronize()
    return start.elapsed_time(end) / 1000


@dataclass(frozen=True)
class Run:
    """How often and on what.

    Attributes
    ----------
    repeats : int
        Rounds; every call runs once a round.
    seconds : float
        A call that has taken longer in total rests, but not before its `least` rounds.
    least : int
        Rounds of the slowest call.
    tries : int
        Runs until one is steady, at most.
    patience : float
        No run is repeated after this many seconds.
    spread : float
        Largest ratio of the slowest floor to the fastest in a run that counts.
    device : str
        ``"cpu"`` or ``"cuda"``.
    timer : callable, optional
        Takes a call and returns its seconds; left out, what fits the device.
    """

    repeats: int = 15
    seconds: float = 3.0
    least: int = 3
    tries: int = 20
    patience: float = 60.0
    spread: float = 1.5
    device: str = "cpu"
    timer: Callable[[Call], float] | None = None

    def time(self, call: Call) -> float:
        """Seconds of one call."""
        return (self.timer or (device_events if self.device == "cuda" else host_clock))(call)


class Row(NamedTuple):
    """One number of one table; `value` is None where there is none, and `remark` says why."""

    question: str
    case: str
    who: str
    role: str  # floor | ours | reference | peer
    value: float | None
    unit: str
    error: float | None
    remark: str


class Contender(NamedTuple):
    """Something to be timed.

    `prepare` makes everything that may be made once and returns the call, and what turns the result of the call into
    the tensor that is compared; it runs outside of the timing. The time is divided by `parts`.
    """

    who: str
    role: str
    prepare: Callable[[], tuple[Call, Callable[[Any], Tensor]]]
    remark: str = ""
    package: str = ""
    parts: int = 1


def floor(shape: Sequence[int], device: str = "cpu") -> Call:
    """Two raw complex64 FFTs of the last two axes: the unit A."""
    data = torch.randn(*shape, dtype=torch.complex64, generator=torch.Generator().manual_seed(0)).to(device)
    return lambda: (torch.fft.fft2(data), torch.fft.fft2(data))


def interleave(calls: Mapping[str, Call], run: Run) -> dict[str, list[float]]:
    """Seconds of each call, round by round; the floor runs in every round, and each round starts with another call."""
    names, seconds = list(calls), {name: [] for name in calls}
    for turn in range(run.repeats):
        first = turn % len(names)
        for name in names[first:] + names[:first]:
            done = seconds[name]
            if name == FLOOR or len(done) < run.least or sum(done) < run.seconds:
                done.append(run.time(calls[name]))
    return seconds


def spread(seconds: Sequence[float]) -> float:
    """Slowest over fastest."""
    return max(seconds) / min(seconds)


def ratios(seconds: Mapping[str, Sequence[float]]) -> dict[str, float]:
    """Median of each call over the median of the floor in the same rounds."""
    return {name: median(times) / median(seconds[FLOOR][: len(times)]) for name, times in seconds.items()}


def steady(calls: Mapping[str, Call], run: Run) -> tuple[dict[str, list[float]], bool]:
    """Time until the floor is steady, while tries and patience last; the last times, and whether they count."""
    seconds: dict[str, list[float]] = {}
    start = time.monotonic()
    for turn in range(run.tries):
        if turn and time.monotonic() - start > run.patience:
            break
        seconds = interleave(calls, run)
        if spread(seconds[FLOOR]) <= run.spread:
            return seconds, True
        print(f"  discarded: A spreads by {spread(seconds[FLOOR]):.2f}", flush=True)
    return seconds, False


def missing(contender: Contender, device: str) -> str:
    """Why a contender cannot run here; empty if it can."""
    if contender.package and find_spec(contender.package) is None:
        return f"skipped: {contender.package} is not installed"
    if contender.role == "peer" and device != "cpu":
        return "skipped: timed on the CPU only"
    return ""


def compare(
    question: str,
    case: str,
    contenders: Iterable[Contender],
    unit: Call,
    wrong: Callable[[Tensor], float],
    run: Run,
) -> list[Row]:
    """Check the answer of every contender, then time them side by side in units of the floor.

    Parameters
    ----------
    question, case : str
        Where the rows belong.
    contenders : iterable of Contender
        What is compared. One that is not installed, or fails, has a row that says so.
    unit : callable
        The floor.
    wrong : callable
        Error of an answer.
    run : Run
        How often and on what.

    Returns
    -------
    list of Row
        The floor first.
    """
    print(f"{question}, {case}", flush=True)
    unit()
    calls, ready, rows = {FLOOR: unit}, [], []
    for contender in contenders:
        remark = missing(contender, run.device)
        if not remark:
            try:
                calls[contender.who], error = _ready(contender, wrong)
                ready.append((contender, error))
            except Exception as problem:  # whatever it is, it has to be in the table
                remark = f"failed: {type(problem).__name__}: {problem}".splitlines()[0][:100]
        if remark:
            rows.append(Row(question, case, contender.who, contender.role, None, FLOOR, None, remark))
    seconds, counts = steady(calls, run)
    value, span = ratios(seconds), spread(seconds[FLOOR])
    note = f"{1e3 * median(seconds[FLOOR]):.3g} ms, spread {span:.2f}"
    head = [Row(question, case, FLOOR, "floor", 1.0 if counts else None, FLOOR, None, note)]
    for contender, error in ready:
        ratio = value[contender.who] / contender.parts if counts else None
        remark = contender.remark if counts else f"unsteady: A spreads by {span:.2f}"
        remark = remark if error <= RIGHT else "; ".join(["WRONG ANSWER", *filter(None, [remark])])
        head.append(Row(question, case, contender.who, contender.role, ratio, FLOOR, error, remark))
    return head + rows


def _ready(contender: Contender, wrong: Callable[[Tensor], float]) -> tuple[Call, float]:
    with warnings.catch_warnings() if contender.role == "peer" else nullcontext():
        if contender.role == "peer":
            warnings.simplefilter("ignore")
        call, read = contender.prepare()
        return call, wrong(read(call()))
