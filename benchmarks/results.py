"""The tables: on the screen, as CSV in docs/results with where they come from, and together in docs/performance.md."""

import csv
import os
import platform
import subprocess
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

from benchmarks.goals import GOALS, Verdict, judge
from benchmarks.harness import Row

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "docs/results"
PAGE = ROOT / "docs/performance.md"
TITLE = """# Performance

What `python -m benchmarks` measured, and wrote here. `performance.rst` says how, and what is not like for like.
"""
PACKAGES = ("fouroptics", "torch", "numpy", "scipy")
PEERS = ("torchoptics", "svetlanna", "odak", "waveprop", "LightPipes", "hcipy", "diffractsim", "prysm", "slmsuite")
GOAL_HEAD = ("workload", "must", "aim", "measured", "reached")
ABOUT_HEAD = ("question", "date", "command", "commit", "device", "threads", "load before", "versions")


def shown(number: float | None) -> str:
    """Three figures, or nothing."""
    return "" if number is None else f"{number:.3g}"


def table(head: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """Markdown table."""
    body = [tuple(head), *(tuple(line) for line in lines)]
    widths = [max(len(line[i]) for line in body) for i in range(len(head))]
    body.insert(1, tuple("-" * width for width in widths))
    return "\n".join(f"| {' | '.join(map(str.ljust, line, widths))} |" for line in body)


def page(rows: Sequence[Row]) -> str:
    """Return the rows as one table a case."""
    parts = []
    for question, case in dict.fromkeys((row.question, row.case) for row in rows):
        here = [row for row in rows if (row.question, row.case) == (question, case)]
        lines = [(r.who, shown(r.value) or "-", r.unit, shown(r.error), r.remark) for r in here]
        parts.append(table((f"{question}, {case}", "value", "unit", "error", "remark"), lines))
    return "\n\n".join(parts)


def goal_lines(verdicts: Iterable[Verdict]) -> list[tuple[str, ...]]:
    """Goals as text."""
    return [(v.goal.workload, shown(v.goal.must), shown(v.goal.aim), shown(v.measured), v.verdict) for v in verdicts]


def about(questions: Iterable[str], command: str, device: str, load: float) -> list[tuple[str, ...]]:
    """Where these rows come from: one line a question."""
    found = []
    for package in (*PACKAGES, *PEERS):
        try:
            found.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            continue
    git = ["git", "-C", str(ROOT)]
    commit = subprocess.run([*git, "rev-parse", "--short=12", "HEAD"], capture_output=True, text=True).stdout.strip()
    if subprocess.run([*git, "diff", "--quiet", "HEAD", "--", "fouroptics", "benchmarks"], check=False).returncode:
        commit += "-dirty"
    name = torch.cuda.get_device_name() if device == "cuda" else f"{processor()}, {os.cpu_count()} cores"
    date = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    tail = (date, command, commit, name, str(torch.get_num_threads()), f"{load:.2f}", "; ".join(found))
    return [(question, *tail) for question in questions]


def processor() -> str:
    """Name of the processor."""
    info = Path("/proc/cpuinfo")
    names = [line.split(":")[1].strip() for line in info.read_text().splitlines() if "model name" in line]
    return names[0] if names else platform.machine()


def write(rows: Sequence[Row], lines: Sequence[Sequence[str]], order: Sequence[str], folder: Path) -> list[Verdict]:
    """Put rows into ``performance.csv``, what they say of the goals and where they come from beside it.

    The rows of other questions stay. Returns how the goals went with all of them.
    """
    folder.mkdir(parents=True, exist_ok=True)
    new = {line[0] for line in lines}
    kept = [line for line in read(folder / "performance.csv") if line[0] not in new]
    text = [(*row[:4], shown(row.value), row.unit, shown(row.error), row.remark) for row in rows]
    merged = sorted([*kept, *text], key=lambda line: order.index(line[0]))
    save(folder / "performance.csv", Row._fields, merged)
    kept = [line for line in read(folder / "performance_run.csv") if line[0] not in new]
    save(folder / "performance_run.csv", ABOUT_HEAD, sorted([*kept, *lines], key=lambda line: order.index(line[0])))
    verdicts = [judge(goal, [parsed(line) for line in merged]) for goal in GOALS]
    save(folder / "performance_goals.csv", GOAL_HEAD, goal_lines(verdicts))
    return verdicts


def markdown(folder: Path) -> str:
    """Page with all that `write` has stored."""
    goals, about = (read(folder / f"performance_{name}.csv") for name in ("goals", "run"))
    rows = [parsed(line) for line in read(folder / "performance.csv")]
    parts = (
        ("What is promised", table(GOAL_HEAD, goals)),
        ("What was measured", page(rows)),
        ("Where it comes from", table(ABOUT_HEAD, about)),
    )
    return "\n".join([TITLE, *(f"## {head}\n\n{text}\n" for head, text in parts)])


def parsed(line: Sequence[str]) -> Row:
    """Row of a line of ``performance.csv``."""
    question, case, who, role, value, unit, error, remark = line
    return Row(
        question, case, who, role, float(value) if value else None, unit, float(error) if error else None, remark
    )


def read(path: Path) -> list[tuple[str, ...]]:
    """Lines of a CSV file below its head; none if there is no file."""
    if not path.exists():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        return [tuple(line) for line in csv.reader(file)][1:]


def save(path: Path, head: Sequence[str], lines: Iterable[Sequence[str]]) -> None:
    """Write a CSV file."""
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([head, *lines])
