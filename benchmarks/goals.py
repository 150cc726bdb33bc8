"""What must be reached, and what is aimed at: numbers for the rows of the tables."""

from collections.abc import Sequence
from typing import NamedTuple

from benchmarks.harness import RIGHT, Row

BEST = "best peer with a right answer"


class Goal(NamedTuple):
    """One promise.

    With `against` it is how many times faster than that peer, and more is better; without, the number itself, and less
    is better. `error` asks for the error of the timed call instead of its time.
    """

    workload: str
    question: str
    case: str
    must: float
    aim: float | None = None
    against: str = ""
    error: bool = False


GOALS = (
    *(Goal(f"one propagation, N = {n}, in A", "propagation", f"N = {n}", 1.0, 0.7) for n in (512, 1024, 2048)),
    *(
        Goal(f"torchoptics over fouroptics, N = {n}", "propagation", f"N = {n}", 8, 14, "torchoptics ASM")
        for n in (1024, 2048)
    ),
    *(Goal(f"{BEST} over fouroptics, N = {n}", "propagation", f"N = {n}", 1.5, 2.5, BEST) for n in (512, 1024, 2048)),
    Goal("error of that propagation, N = 1024", "propagation", "N = 1024", 1e-5, 1e-6, error=True),
    Goal("32 of 256 x 256 at once, in A", "batch", "32 of 256 x 256", 0.7, 0.4),
    Goal("32 planes, N = 1024, in A a plane", "planes", "32 planes, N = 1024", 0.7, 0.45),
    Goal("4f, N = 1024, in A", "fourf", "N = 1024", 1.15, 1.0),
    Goal("4f, 32 of 256 x 256, in A", "fourf", "32 of 256 x 256", 1.7, 1.2),
    Goal("500 images through 2 masks, in their transforms", "passes", "500 images of 500 x 500, 2 masks", 1.25),
    Goal("forward and backward, N = 1024, in A", "gradient", "N = 1024", 3, 2),
    Goal("Gerchberg-Saxton iteration, N = 1024, in A", "gerchberg_saxton", "N = 1024", 1.8, 1.4),
    Goal("compiling masks, a step of the search, in A", "compiling", "16 kernels, N = 500", 1.7),
    Goal("chosen convolution, in times of the faster", "spectral", "the worst choice", 1.1),
    Goal("slmsuite over fouroptics, one iteration", "gerchberg_saxton", "N = 1024", 4, None, "slmsuite GS"),
    Goal("extra memory, N = 2048, MB", "memory", "N = 2048, second call", 260, 180),
    *(
        Goal(f"busy machine, N = {n}, in plain forms", "busy", f"N = {n}, busy neighbours", 2)
        for n in (512, 1024, 2048)
    ),
)


class Verdict(NamedTuple):
    """How one goal went."""

    goal: Goal
    measured: float | None
    verdict: str


def judge(goal: Goal, rows: Sequence[Row]) -> Verdict:
    """Hold the rows of one case against a goal."""
    measured = outcome(goal, [row for row in rows if (row.question, row.case) == (goal.question, goal.case)])
    if measured is None:
        return Verdict(goal, None, "not measured")
    sign = -1 if goal.against else 1
    must, aim = (limit is not None and sign * measured <= sign * limit for limit in (goal.must, goal.aim))
    return Verdict(goal, measured, "aim" if must and aim else "must" if must else "missed")


def outcome(goal: Goal, rows: Sequence[Row]) -> float | None:
    """Return the number that a goal is about, from the rows of its case; None if it is not there."""
    value = {row.who: row.error if goal.error else row.value for row in rows}
    ours, other = value.get("fouroptics"), value.get(goal.against)
    if goal.against == BEST:
        other = best_peer(rows)
    if not goal.against:
        return ours
    return None if ours is None or other is None else other / ours


def best_peer(rows: Sequence[Row]) -> float | None:
    """Value of the fastest peer whose timed call gave a right answer."""
    right = [row for row in rows if row.role == "peer" and row.error is not None and row.error <= RIGHT]
    return min((row.value for row in right if row.value is not None), default=None)
