"""Run the benchmarks: ``python -m benchmarks [NAME ...]``; a run of all of them on a CPU is written to docs."""

import argparse
import os
import time

import torch

from benchmarks import (
    batch,
    busy,
    compiled,
    compiling,
    fourf,
    gerchberg_saxton,
    gradient,
    lens,
    memory,
    passes,
    planes,
    propagation,
    results,
    spectral,
)
from benchmarks.goals import GOALS, judge
from benchmarks.harness import Row, Run

MODULES = (
    propagation,
    batch,
    planes,
    fourf,
    passes,
    gradient,
    gerchberg_saxton,
    memory,
    busy,
    lens,
    compiled,
    compiling,
    spectral,
)
QUESTIONS = {module.__name__.rpartition(".")[2]: module for module in MODULES}


def main(arguments: list[str] | None = None) -> None:
    """Run what is asked for, print the tables, and write them if all were asked for (or with ``--write``)."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Time the package against its peers.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"{', '.join(QUESTIONS)}; left out: all")
    parser.add_argument("--repeats", type=int, default=Run.repeats, help="rounds (default: %(default)s)")
    parser.add_argument(
        "--patience",
        type=float,
        default=Run.patience,
        help="seconds of a case after which an unsteady run is not repeated (default: %(default)s)",
    )
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--write", action="store_true", help="put the rows of these names into docs/results")
    given = parser.parse_args(arguments)
    if unknown := set(given.names) - set(QUESTIONS):
        parser.error(f"no benchmark is named {', '.join(sorted(unknown))}; there are: {', '.join(QUESTIONS)}")
    if given.write and given.device != "cpu":
        parser.error("docs/results holds the CPU: a run on another device is only printed")
    names = [name for name in QUESTIONS if name in given.names or not given.names]
    run = Run(repeats=given.repeats, patience=given.patience, device=given.device)
    load, start = os.getloadavg()[0], time.perf_counter()
    print(f"{torch.get_num_threads()} threads, load {load:.2f}", flush=True)
    rows: list[Row] = []
    for name in names:
        rows += (part := QUESTIONS[name].measure(run))
        print(f"\n{results.page(part)}\n\n{time.perf_counter() - start:.0f} s\n", flush=True)
    verdicts = [judge(goal, rows) for goal in GOALS if goal.question in names]
    if given.device == "cpu" and (given.write or not given.names):
        command = " ".join(["python -m benchmarks", *given.names])
        lines = results.about(names, command, given.device, load)
        verdicts = results.write(rows, lines, list(QUESTIONS), results.FOLDER)
        results.PAGE.write_text(results.markdown(results.FOLDER), encoding="utf-8")
    print(results.table(results.GOAL_HEAD, results.goal_lines(verdicts)))


if __name__ == "__main__":
    main()
