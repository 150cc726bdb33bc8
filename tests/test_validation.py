"""Every validation case passes, a wrong one fails, and the page in docs/ says what a fresh run says."""

import re
from pathlib import Path

import pytest
import torch

import fouroptics as fo
from validation import __main__ as program
from validation import peers
from validation.case import DOUBLE, SINGLE, Case, Point, Row, Setting, page, run
from validation.cases import CASES

ROW = re.compile(
    r"^\| (?P<case>\S.*?) +\| (?P<label>\S.*?) +\| (?P<dtype>\w*) +\| \S+ +\| \S+ +\| (?P<verdict>pass|FAIL) +\|$", re.M
)


def verdicts(text: str) -> list[tuple[str, ...]]:
    return [match.groups() for match in ROW.finditer(text)]


@pytest.fixture(scope="module")
def rows() -> list[Row]:
    return run(CASES)


def test_every_comparison_passes(rows: list[Row]):
    assert [row for row in rows if row.verdict != "pass"] == []


def test_the_page_says_what_a_fresh_run_says(rows: list[Row]):
    """Verdicts and not digits: those may differ in the last place from machine to machine."""
    shown = verdicts(program.PAGE.read_text(encoding="utf-8"))
    assert shown == [(row.case, row.label, row.dtype, row.verdict) for row in rows], "run make validate"


def test_every_case_names_source_and_reason(rows: list[Row]):
    assert len({case.name for case in CASES}) == len(CASES)
    assert len({(row.case, row.label, row.dtype) for row in rows}) == len(rows)
    for case in CASES:
        assert len(case.source) > 20, case.name
        assert len(case.reason) > 20, case.name
    assert all(0 < row.tolerance < 1 for row in rows)


def made_up(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, error: float) -> Path:
    """One case instead of all, and its page elsewhere."""
    case = Case("made up", "nobody", "none", (Point("one", 1.0, lambda: error, "complex64"),))
    monkeypatch.setattr(program, "CASES", (case,))
    monkeypatch.setattr(program, "PAGE", tmp_path / "page.md")
    return tmp_path / "page.md"


@pytest.mark.parametrize(("error", "verdict"), [(0.9, "pass"), (1.1, "FAIL"), (float("nan"), "FAIL")])
def test_a_wrong_case_fails(
    error: float,
    verdict: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture,
):
    written = made_up(monkeypatch, tmp_path, error)
    assert program.main([]) == (verdict == "FAIL")
    printed = capsys.readouterr().out
    assert verdicts(printed) == [("made up", "one", "complex64", verdict)]
    assert written.read_text(encoding="utf-8") == printed


def test_a_part_of_the_page_is_not_written(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    written = made_up(monkeypatch, tmp_path, 0.5)
    assert program.main(["-k", "MADE"]) == 0
    assert not written.exists()


def test_an_unknown_name_is_an_error(capsys: pytest.CaptureFixture):
    with pytest.raises(SystemExit):
        program.main(["-k", "no such case"])
    assert "Airy pattern" in capsys.readouterr().err


def test_errors_at_the_rounding_are_not_printed():
    text = page([], [Row("a", "b", "", 3.3e-16, 1e-9), Row("a", "c", "", 3.3e-7, 1e-9)])
    assert "<1e-12" in text
    assert "3.3e-16" not in text
    assert "3.3e-07" in text


# ---- other packages --------------------------------------------------------------------------------------------------


def plane(dtype: torch.dtype) -> fo.Field:
    return fo.Field(torch.ones(8, 8, dtype=dtype), fo.Grid((8, 8), 8e-6), 633e-9)


def still(**options) -> Setting:
    """Nothing happens over no distance."""
    return Setting("z = 0", {DOUBLE: 1e-12, SINGLE: 1e-6}, plane, 0.0, lambda: plane(DOUBLE).data, **options)


def test_a_setting_is_compared_in_every_precision():
    rows = run([Case("still", "", "", (still(), still(by=lambda u: u.modulate(torch.tensor(0.5)))))])
    assert [row.dtype for row in rows] == ["complex128", "complex64"] * 2
    assert [row.error for row in rows] == [0, 0, 0.5, 0.5]


def test_no_other_package_comes_closer():
    """A fresh run against the stored errors of the others; what is below 1e-8 is not told apart."""
    _, stored = peers.read()
    for case, settings in peers.COMPARED.items():
        for setting in settings:
            same = [row for row in stored if (row["case"], row["setting"]) == (case, setting.label)]
            others = [float(row["error"]) for row in same if not row["solver"].startswith("fouroptics")]
            assert others, f"{case}, {setting.label}: run python -m validation --peers"
            assert setting.measure(DOUBLE) <= max(min(others), 1e-8), f"{case}, {setting.label}"


def test_the_page_holds_the_stored_comparison():
    assert peers.section(*peers.read()) in program.PAGE.read_text(encoding="utf-8"), "run make validate"


def test_peers_that_are_not_there_leave_the_stored_ones_alone(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
):
    monkeypatch.setattr(peers, "absent", peers.packages)
    with pytest.raises(SystemExit):
        program.main(["--peers"])
    assert "pip install LightPipes" in capsys.readouterr().err


def test_a_stored_comparison_reads_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(peers, "COMPARED", {"still": (still(),), "other": (still(),)})
    rows = peers.compare("still")
    own = [(row["case"], row["solver"], row["dtype"], row["error"]) for row in rows[:2]]
    assert own == [("still", "fouroptics", dtype, "0.0e+00") for dtype in ("complex128", "complex64")]
    peers.write("by hand", rows, tmp_path / "rows.csv")
    assert peers.read(tmp_path / "rows.csv") == ("by hand", rows)


def test_the_comparison_leaves_the_carrier_to_each_package():
    def turned(u: fo.Field, z: float) -> torch.Tensor:
        return u.data * 1j

    assert float(peers.measure(still(), peers.Solver("", "", DOUBLE, turned))[0]) < 1e-12
    assert peers.measure(still(), peers.Solver("", "", DOUBLE, lambda u, z: 1.5 * u.data)) == ("5.0e-01", "no")
