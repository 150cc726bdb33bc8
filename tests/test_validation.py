"""Every validation case passes, a wrong one fails, and the page in docs/ says what a fresh run says."""

import re
from pathlib import Path

import pytest

from validation import __main__ as program
from validation.case import Case, Point, Row, page, run
from validation.cases import CASES

PAGE = Path(__file__).parents[1] / "docs/validation.txt"
ROW = re.compile(r"^(?P<case>\S.*?) {2,}(?P<label>\S.*?) {2,}\S+ {2,}\S+ {2,}(?P<verdict>pass|FAIL)$", re.MULTILINE)


@pytest.fixture(scope="module")
def rows() -> list[Row]:
    return run(CASES)


def test_every_comparison_passes(rows: list[Row]):
    assert [row for row in rows if row.verdict != "pass"] == []


def test_the_page_says_what_a_fresh_run_says(rows: list[Row]):
    """Verdicts and not digits: those may differ in the last place from machine to machine."""
    shown = [match.groups() for match in ROW.finditer(PAGE.read_text(encoding="utf-8"))]
    assert shown == [(row.case, row.label, row.verdict) for row in rows], "run make validate"


def test_every_case_names_source_and_reason():
    assert len({case.name for case in CASES}) == len(CASES)
    for case in CASES:
        assert len(case.source) > 20, case.name
        assert len(case.reason) > 20, case.name
        assert all(0 < point.tolerance < 1 for point in case.points), case.name


@pytest.mark.parametrize(("error", "verdict"), [(0.9, "pass"), (1.1, "FAIL"), (float("nan"), "FAIL")])
def test_a_wrong_case_fails(error: float, verdict: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture):
    case = Case("made up", "nobody", "none", (Point("one", 1.0, lambda: error),))
    monkeypatch.setattr(program, "CASES", (case,))
    assert program.main([]) == (verdict == "FAIL")
    assert [match.groups() for match in ROW.finditer(capsys.readouterr().out)] == [("made up", "one", verdict)]


def test_an_unknown_name_is_an_error(capsys: pytest.CaptureFixture):
    with pytest.raises(SystemExit):
        program.main(["-k", "no such case"])
    assert "Airy pattern" in capsys.readouterr().err


def test_errors_at_the_rounding_are_not_printed():
    text = page([], [Row("a", "b", 3.3e-16, 1e-9), Row("a", "c", 3.3e-7, 1e-9)])
    assert "<1e-12" in text
    assert "3.3e-16" not in text
    assert "3.3e-07" in text
