"""The arithmetic of the benchmarks, with clocks that are made up; every script runs once. Nothing is timed here."""

import re
from collections import Counter
from pathlib import Path

import pytest
import torch

import fouroptics as fo
from benchmarks import busy, compiled, memory, results
from benchmarks.__main__ import QUESTIONS, main
from benchmarks.fourf import FOURF
from benchmarks.goals import BEST, GOALS, Goal, best_peer, judge
from benchmarks.harness import FLOOR, Contender, Row, Run, compare, floor, interleave, ratios, spread, steady
from benchmarks.peers import PROPAGATION
from benchmarks.plain import WAVELENGTH, beam, exact, off, plain

ONCE = Run(repeats=1, least=1, tries=1, spread=float("inf"))
TINY = {
    "propagation": {"sizes": (128,)},
    "batch": {"size": 128, "count": 3},
    "planes": {"size": 128, "count": 3},
    "fourf": {"cases": ((32, 1), (32, 3))},
    "passes": {"size": 16, "images": 5, "masks": 2},
    "gradient": {"size": 256},
    "gerchberg_saxton": {"size": 32, "iterations": 3},
    "memory": {"size": 256},
    "busy": {"sizes": (32,), "passes": 1},
    "lens": {"size": 32, "outputs": (8, 16)},
    "spectral": {"sizes": ((1, 2, 8, 2), (5, 3, 8, 2))},
    "compiling": {"kernels": 1},
    "compiled": {"size": 128, "backend": "eager"},  # the same graph, without a C++ compiler
}


class Clock:
    """Takes its times from a list, one list a call; the calls are their own names."""

    def __init__(self, **times: list[float]):
        self.times = {name: iter(values) for name, values in times.items()}
        self.order: list[str] = []

    def __call__(self, call):
        name = call if isinstance(call, str) else call()
        self.order.append(name)
        return next(self.times[name])


def named(*names: str):
    return {name: lambda name=name: name for name in names}


def row(who: str, value: float | None, role: str = "peer", error: float | None = 0.0) -> Row:
    return Row("q", "c", who, role, value, "A", error, "")


def test_every_round_has_every_call_and_starts_with_another():
    clock = Clock(A=[1.0] * 4, x=[2.0] * 4, y=[3.0] * 4)
    interleave(named("A", "x", "y"), Run(repeats=4, seconds=100, timer=clock))
    rounds = [clock.order[i : i + 3] for i in range(0, 12, 3)]
    assert rounds == [["A", "x", "y"], ["x", "y", "A"], ["y", "A", "x"], ["A", "x", "y"]]


def test_a_slow_call_rests_after_its_least_rounds_but_the_floor_does_not():
    clock = Clock(A=[5.0] * 6, slow=[5.0] * 6, quick=[1.0] * 6)
    seconds = interleave(named("A", "slow", "quick"), Run(repeats=6, seconds=4, least=2, timer=clock))
    assert {name: len(times) for name, times in seconds.items()} == {"A": 6, "slow": 2, "quick": 4}


def test_ratios_are_of_medians_over_the_same_rounds():
    seconds = {"A": [1.0, 1.0, 1.0, 2.0, 2.0, 2.0, 2.0], "all": [4.0, 6.0, 5.0, 9.0, 4.0, 5.0, 5.0], "few": [3.0, 9.0]}
    assert ratios(seconds) == {"A": 1.0, "all": 2.5, "few": 6.0}


def test_spread_is_slowest_over_fastest():
    assert spread([2.0, 3.0, 2.5]) == 1.5


def test_an_unsteady_run_is_discarded_and_repeated(capsys: pytest.CaptureFixture):
    clock = Clock(A=[1.0, 1.51, 1.0, 1.5], x=[7.0, 7.0, 4.0, 5.0])
    seconds, counts = steady(named("A", "x"), Run(repeats=2, seconds=100, timer=clock))
    assert counts
    assert seconds == {"A": [1.0, 1.5], "x": [4.0, 5.0]}
    assert capsys.readouterr().out.count("discarded") == 1


def test_a_machine_that_is_never_steady_gives_no_number():
    clock = Clock(A=[1.0, 2.0] * 3, x=[1.0] * 6)
    run = Run(repeats=2, tries=3, seconds=100, timer=clock)
    contender = Contender("x", "ours", lambda: (lambda: "x", lambda _: torch.zeros(1)))
    rows = compare("q", "c", [contender], lambda: "A", lambda _: 0.0, run)
    assert Counter(clock.order) == {"A": 6, "x": 6}
    assert [(r.who, r.value) for r in rows] == [(FLOOR, None), ("x", None)]
    assert rows[1].remark == "unsteady: A spreads by 2.00"


def test_what_is_absent_fails_or_is_wrong_is_named():
    clock = Clock(A=[2.0], good=[4.0], wrong=[1.0])

    def broken():
        raise ValueError("no kernel")

    def contender(name, package="", parts=1):
        return Contender(name, "peer", lambda: (lambda: name, lambda out: out), "as it is", package, parts)

    rows = compare(
        "q",
        "c",
        [
            contender("absent", "a_package_that_nobody_has"),
            contender("good", parts=4),
            contender("wrong"),
            Contender("broken", "peer", broken),
        ],
        lambda: "A",
        lambda out: 1.0 if out == "wrong" else 1e-9,
        Run(repeats=1, timer=clock),
    )
    assert {r.who: (r.value, r.remark) for r in rows[1:]} == {
        "good": (0.5, "as it is"),  # 4 s / 2 s / 4 parts
        "wrong": (0.5, "WRONG ANSWER; as it is"),
        "absent": (None, "skipped: a_package_that_nobody_has is not installed"),
        "broken": (None, "failed: ValueError: no kernel"),
    }


def test_peers_are_not_timed_on_another_device():
    contender = Contender("x", "peer", lambda: (lambda: "x", lambda out: out))
    rows = compare(
        "q", "c", [contender], lambda: "A", lambda _: 0.0, Run(repeats=1, device="cuda", timer=Clock(A=[1.0]))
    )
    assert rows[1].remark == "skipped: timed on the CPU only"


@pytest.mark.parametrize(
    ("ours", "verdict"), [(0.7, "aim"), (0.71, "must"), (1.0, "must"), (1.01, "missed"), (None, "not measured")]
)
def test_a_number_is_held_against_must_and_aim(ours: float | None, verdict: str):
    assert judge(Goal("w", "q", "c", 1.0, 0.7), [row("fouroptics", ours, "ours")]).verdict == verdict


@pytest.mark.parametrize(("peer", "verdict"), [(7.0, "aim"), (4.0, "must"), (3.9, "missed"), (None, "not measured")])
def test_faster_than_a_peer_is_peer_over_ours(peer: float | None, verdict: str):
    went = judge(Goal("w", "q", "c", 8, 14, "p"), [row("fouroptics", 0.5, "ours"), row("p", peer)])
    assert went.verdict == verdict
    assert went.measured == (None if peer is None else peer / 0.5)


def test_the_best_peer_is_the_fastest_with_a_right_answer():
    rows = [row("wrong", 1.0, error=1.0), row("second", 3.0), row("first", 2.0, error=0.02), row("absent", None)]
    assert best_peer([*rows, row("plain form", 0.1, "reference")]) == 2.0
    assert best_peer([row("wrong", 1.0, error=float("nan"))]) is None
    assert judge(Goal("w", "q", "c", 1.5, None, BEST), [*rows, row("fouroptics", 1.0, "ours")]).measured == 2.0


def test_a_goal_can_be_about_the_error():
    goal = Goal("w", "q", "c", 1e-5, 1e-6, error=True)
    assert judge(goal, [row("fouroptics", 9.0, "ours", 2e-6)]).verdict == "must"


def test_the_reference_is_the_closed_form():
    """2e-5: the closed form is paraxial, k theta^4 z/8 = 2e-5 for this beam."""
    u = beam(256)
    gaussian = fo.gaussian_beam(u.grid, WAVELENGTH, waist=60e-6, z=0.1, dtype=torch.complex128)
    assert off(exact(u.data, 0.1), gaussian.data) < 3e-5
    assert off(plain(256, 0.1)(u.data), exact(u.data, 0.1)) < 1e-6  # float32 rounding


def test_a_constant_phase_is_no_error_but_a_factor_is():
    answer = exact(beam(32).data, 0.01)
    assert off(1j * answer, answer) < 1e-12
    assert off(1.1 * answer, answer) == pytest.approx(0.1)
    assert off(answer / 2048**2, answer) == pytest.approx(1.0, abs=1e-6)  # what pytorch/pytorch#169670 does


def test_the_floor_is_two_transforms_of_complex64():
    out = floor((2, 8, 8))()
    assert [(x.shape, x.dtype) for x in out] == [((2, 8, 8), torch.complex64)] * 2


@pytest.mark.filterwarnings("ignore:Dynamo detected a call to a .functools.lru_cache")
@pytest.mark.parametrize("name", QUESTIONS)
def test_every_script_runs(name: str):
    """Ours and the references answer right, to float32 and what two exact forms differ by; others may be absent."""
    rows = QUESTIONS[name].measure(ONCE, **TINY[name])
    assert {r.question for r in rows} == {name}
    assert all(r.who in results.page(rows) for r in rows)
    for r in rows:
        if r.role in ("ours", "reference") and not (r.who == "fouroptics, compiled" and r.remark.startswith("failed")):
            assert r.value is not None, r
            assert r.value > 0, r
            assert r.error is None or r.error < 1e-4, r
        elif r.role == "peer":
            assert r.value is not None or re.match("skipped: .* is not installed|failed: ", r.remark), r


def test_every_goal_names_a_question():
    assert {goal.question for goal in GOALS} <= set(QUESTIONS)
    assert {goal.against for goal in GOALS} <= {"", BEST, "slmsuite GS", *(peer.who for peer in PROPAGATION)}


def test_names_of_peers_are_unique():
    for peers in (PROPAGATION, FOURF):
        assert max(Counter(peer.who for peer in peers).values()) == 1


def test_memory_of_the_plain_form_is_two_padded_arrays():
    """Spectrum and product, 2 x 8 MB at N = 512; the rest is what the FFT and the allocator need."""
    grown = memory.in_own_process("plain form", 512)
    assert isinstance(grown, list), grown
    assert 15 < grown[1] < 40


def test_neighbours_end_with_the_benchmark():
    with busy.spinning(2) as neighbours:
        assert [neighbour.poll() for neighbour in neighbours] == [None, None]  # running
    assert None not in [neighbour.poll() for neighbour in neighbours]


def test_without_a_compiler_that_is_said(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(compiled, "which", lambda _: None)
    remarks = {r.who: r.remark for r in compiled.measure(ONCE, size=32)}
    assert remarks["fouroptics, compiled"] == "failed: RuntimeError: no C++ compiler"


def test_rows_of_other_questions_stay(tmp_path: Path):
    order, about = ["q", "r"], ("date", "command", "commit", "device", "1", "0.00", "versions")
    results.write([row("x", 1.0), row("y", None)._replace(remark="a, b")], [("q", *about)], order, tmp_path)
    results.write([row("z", 2.0)._replace(question="r")], [("r", *about)], order, tmp_path)
    results.write([row("x", 1.23456)], [("q", *about)], order, tmp_path)
    found = results.read(tmp_path / "performance.csv")
    assert [(line[0], line[2], line[4]) for line in found] == [("q", "x", "1.23"), ("r", "z", "2")]
    assert [line[0] for line in results.read(tmp_path / "performance_run.csv")] == order
    assert {line[-1] for line in results.read(tmp_path / "performance_goals.csv")} == {"not measured"}


def test_stored_goals_are_what_the_stored_rows_say(tmp_path: Path):
    """And they are today's goals: a changed goal needs a new table (python -m benchmarks)."""
    stored = results.read(results.FOLDER / "performance.csv")
    assert {line[0] for line in stored} <= set(QUESTIONS)
    (tmp_path / "performance.csv").write_bytes((results.FOLDER / "performance.csv").read_bytes())
    results.write([], [], list(QUESTIONS), tmp_path)
    again = (tmp_path / "performance_goals.csv").read_text(encoding="utf-8")
    assert again == (results.FOLDER / "performance_goals.csv").read_text(encoding="utf-8")


def test_the_page_shows_what_is_stored():
    assert results.PAGE.read_text(encoding="utf-8") == results.markdown(results.FOLDER)


def test_an_unknown_name_is_an_error(capsys: pytest.CaptureFixture):
    with pytest.raises(SystemExit):
        main(["no_such_question"])
    assert "propagation" in capsys.readouterr().err


def test_a_part_is_printed_and_not_written(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture):
    monkeypatch.setattr(results, "write", lambda *_: pytest.fail("written"))
    monkeypatch.setattr(QUESTIONS["lens"], "measure", lambda run: [row("fouroptics", 1.5, "ours")])
    main(["lens"])
    assert "1.5" in capsys.readouterr().out
