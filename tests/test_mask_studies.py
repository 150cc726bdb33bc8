"""The studies of masks: they go on where they were, and their cases are what they say."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from fouroptics.bench.capacity import BRIGHT, FULL, rounding_error
from validation import capacity, encodings


def row(point: capacity.Point, seed: int, error: float = 0.01):
    return {**point._asdict(), "prescribed": 0.1, "error": error, "seed": seed}


def test_a_study_that_was_stopped_goes_on_where_it_was(tmp_path: Path, monkeypatch, capsys):
    made, some = [], capacity.points()[:3]
    monkeypatch.setattr(capacity, "points", lambda: some)
    monkeypatch.setattr(capacity, "measure", lambda point, seed: made.append(point) or row(point, seed))
    path = tmp_path / "capacity.csv"
    capacity.add(path, row(some[1], 0))
    capacity.add(path, row(some[0], 1))  # of another seed
    capacity.main(path, None, None, 0)
    assert made == [some[0], some[2]]
    capacity.main(path, tmp_path / "t.csv", tmp_path / "a.png", 0)
    assert made == [some[0], some[2]]
    assert [(line["light"], line["seed"]) for line in capacity.read(path)] == [
        (str(some[1].light), "0"),
        (str(some[0].light), "1"),
        (str(some[0].light), "0"),
        (str(some[2].light), "0"),
    ]
    assert (tmp_path / "a.png").read_bytes()[:4] == b"\x89PNG"
    assert capsys.readouterr().out.count("kernels 4") == 2


def test_points_are_there_once():
    points = capacity.points()
    assert len(points) == len(set(points))
    assert {point.kernels for point in points} == set(capacity.COUNTS)


def test_windows_that_overlap_count_once():
    """Windows of 55 x 55 displacements: two that share 20 columns, and one by itself."""
    tiles = np.array([[-60, -60], [-60, -25], [60, 60]])
    masks: Any = SimpleNamespace(kernels=SimpleNamespace(tile=tiles))
    assert capacity.prescribed(masks) == pytest.approx((3 * 55**2 - 20 * 55) / 500**2)


def test_every_encoding_is_in_the_table_once_at_least():
    known = {"phase_only", "gerchberg_saxton", "double_phase", "arrizon", "amplitude_only", "binary"}
    assert {case.name.split(",")[0] for case in encodings.CASES} == known
    assert len({(case.name, case.light) for case in encodings.CASES}) == len(encodings.CASES)


def test_the_laplacian_on_an_ideal_panel():
    """The closed forms behind a random picture: Arrizon to 0.8 %, the double phase to 4 %."""
    found = {case.name: encodings.measure(case) for case in encodings.CASES[:2]}
    assert found["arrizon"]["error of a random picture (%)"] < 0.8
    assert found["double_phase"]["error of a random picture (%)"] < 4
    assert found["arrizon"]["light in the taps (%)"] < found["double_phase"]["light in the taps (%)"]


def test_the_rule_holds_in_the_table_of_the_study():
    """To 25 % within the limits of windows and light; 0.91 to 1.21 times the rule when it was fitted."""
    if not capacity.RESULT.exists():
        pytest.skip("the study has not been made")
    within = [
        line
        for line in capacity.read(capacity.RESULT)
        if float(line["prescribed"]) <= FULL and float(line["light"]) <= BRIGHT[line["pixel"]]
    ]
    assert len(within) > 20
    for line in within:
        rule = rounding_error(float(line["prescribed"]), float(line["light"]), int(line["bits"]))
        assert float(line["error"]) == pytest.approx(rule, rel=0.25)
