"""The study of resolution on a few made cells: what is trained, kept, resumed and compared."""

import csv
import sys
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

from fouroptics.errors import ConfigError
from models import resolution
from models.data.elpv import load_cells
from models.resampling import auc
from models.resolution import OUTPUT, RECIPE, ResolutionConfig, changed, costs, main, network
from models.resolution_table import bench, comparisons, complete, load_scores, store, tables, write
from models.student import Student

ROWS = ("teacher", "intensity", "linear", "digital", "head only")
FEW = """
splits = 2
teacher = { kind = "blocks", width = 2 }
teacher_training = { epochs = 2, batch = 16, flips = "both" }
student = { front = "free", outputs = 2, kernel = 3, pool = 8, hidden = 4 }
digital = { widths = [2], hidden = 4 }
training = { epochs = 1, batch = 16, flips = "both" }
row = [{ name = "teacher", network = "teacher" }, { name = "intensity", transfer = "kd" },
       { name = "linear", student = { readout = "reference_pair" } }, { name = "digital", network = "digital" }]
size = [{ pixels = 16 }, { pixels = 32, student = { read = 2 }, digital = { pool = 2 } }]
"""


@pytest.fixture
def folder(monkeypatch, tmp_path):
    """A folder with a short recipe, and 60 made cells in which the defective ones are dark, in place of the package."""
    draw = np.random.default_rng(0)
    probability = draw.choice([0.0, 1.0], 60)
    images = draw.integers(0, 255 - 120 * probability[:, None, None].astype(int), (60, 300, 300)).astype(np.uint8)
    package = ModuleType("elpv_dataset.utils")
    package.load_dataset = lambda: (images, probability, np.repeat(["mono", "poly"], 30))  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "elpv_dataset", ModuleType("elpv_dataset"))
    monkeypatch.setitem(sys.modules, "elpv_dataset.utils", package)
    (tmp_path / "few.toml").write_text(FEW)
    load_cells.cache_clear()
    yield tmp_path
    load_cells.cache_clear()


def rows(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_study_from_cells_to_tables(folder, monkeypatch, capsys):
    """Every row is trained once; what is kept gives the numbers of the CSV again; the tables need nothing else."""
    path, here = folder / "resolution.csv", {"recipe": folder / "few.toml", "teachers": folder, "threads": 1}
    main(**here, output=path, split=[0], row=["intensity"])  # trains its teachers, too, but does not score them
    main(**here, output=path)
    found = rows(path)
    assert len(found) == 2 * 2 * 4 * 3  # splits, sizes, rows, metrics
    assert len({(r["row"], r["size"], r["seed"], r["metric"]) for r in found}) == len(found)
    arrays = load_scores(path.with_suffix(".npz"))
    margins = complete(arrays)
    assert len(margins) == 8
    for line in found:
        if line["metric"] == "auc":
            scores, split = margins[line["row"], int(line["size"])], int(line["seed"])
            area = auc(scores[split], torch.from_numpy(arrays["labels"][split]))
            assert float(line["value"]) == pytest.approx(float(area), abs=6e-5)  # four digits are written
    assert arrays["validation/teacher/16"].shape == (2, 2)
    cells = load_cells(16)
    assert np.array_equal(arrays["labels"][1], cells.labels[torch.from_numpy(arrays["cells"][1]).long()])

    def train(*_):
        raise AssertionError("trained again")

    monkeypatch.setattr(resolution, "train", train)
    main(**here, output=path)  # nothing is missing
    capsys.readouterr()
    path.unlink()
    main(**here, output=path, table=True)
    assert "intensity - teacher, 32 px" in capsys.readouterr().out
    summary, differences = rows(folder / "resolution-table.csv"), rows(folder / "resolution-differences.csv")
    assert [line["row"] for line in summary[::2]] == ["teacher", "intensity", "linear", "digital"]
    areas = {(line["row"], line["pixels"]): float(line["AUC"]) for line in summary}
    values = {line["difference of AUC"]: float(line["value"]) for line in differences}
    gap = areas["intensity", "32"] - areas["teacher", "32"]
    assert values["intensity - teacher, 32 px"] == pytest.approx(gap, abs=2e-4)  # of numbers with four digits
    before = areas["intensity", "16"] - areas["teacher", "16"]
    assert values["(intensity - teacher), 32 px - 16 px"] == pytest.approx(gap - before, abs=4e-4)
    for line in (*summary, *differences):
        assert float(line["low"]) <= float(line["high"])


def test_a_row_that_is_not_there(folder):
    faulty: list[dict[str, Any]] = [{"row": ["teachr"]}, {"pixels": [17]}, {"split": [2]}]
    for keys in faulty:
        with pytest.raises(SystemExit, match=r"error: --.* has "):
            main(recipe=folder / "few.toml", output=folder / "resolution.csv", **keys)


def test_a_recipe_that_does_not_fit():
    good = ResolutionConfig.from_toml(RECIPE)
    teacher, *others = (row.model_dump() for row in good.row)
    for faulty in ([*others, teacher], [teacher, teacher], [teacher, others[0] | {"data": {"size": 10}}]):
        with pytest.raises(ConfigError, match=r"row\.(name|data)"):
            changed(good, {"row": faulty})


def test_what_is_compared_at_all_sizes_is_the_same():
    """Heads and networks without optics of the same cost at all sizes."""
    study = ResolutionConfig.from_toml(RECIPE)
    assert [row.name for row in study.row][: len(ROWS)] == list(ROWS)
    assert [size.pixels for size in study.size] == [28, 64, 128, 224]
    macs = {key: line["electronic MACs"] for key, line in costs(study).items()}
    for size in study.size:
        for row in ("intensity", "linear", "digital"):
            assert macs[row, size.pixels] == pytest.approx(50_000, rel=0.02)  # widths are whole numbers
        assert macs["head only", size.pixels] <= 1.02 * 50_000


def test_the_linear_student_is_linear():
    study = ResolutionConfig.from_toml(RECIPE)
    row = next(row for row in study.row if row.name == "linear")
    model = network(study, study.size[0], row).double()
    assert isinstance(model, Student)
    x, y = torch.rand(2, 3, 28, 28, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    seen = model.detect(model.amplitude(2 * x - 3 * y))
    torch.testing.assert_close(seen, 2 * model.detect(model.amplitude(x)) - 3 * model.detect(model.amplitude(y)))


def test_what_the_bench_of_the_example_can_do():
    assert bench(28, 9, 16) == ("1 frame", "")
    assert bench(64, 9, 16) == ("4 frames", "")  # two rows of two windows
    assert bench(64, 9, 16, "reference_pair") == ("8 frames", "")
    verdict, remedy = bench(224, 33, 16)
    assert verdict == "no"
    assert "a camera of" in remedy
    verdict, remedy = bench(600, 9, 16)  # more image pixels than the band of 500 panel pixels holds
    assert verdict == "no"
    assert remedy.startswith("panel pixels in the band")


def test_a_split_that_is_missing_is_left_out(tmp_path):
    path = tmp_path / "scores.npz"
    for split in range(2):
        store(path, split, 2, {"cells": torch.arange(4) + split, "labels": torch.tensor([0, 0, 1, 1])})
        store(path, split, 2, {"margins/teacher/28": torch.tensor([0.0, 2.0, 1.0, 3.0])})
    store(path, 1, 2, {"margins/intensity/28": [0.5, 0.0, 1.0, 2.0]})
    assert list(complete(load_scores(path))) == [("teacher", 28)]
    summary, differences = tables(path, ("teacher", "intensity"), {})
    assert [line["row"] for line in summary] == ["teacher"]
    assert summary[0]["AUC"] == 0.75
    assert [line["value"] for line in differences] == [0]  # the teacher at 28 pixels against itself
    assert tables(tmp_path / "nothing.npz", ("teacher", "intensity"), {}) == ([], [])


def test_each_row_is_compared_with_its_teacher():
    terms = dict(comparisons(("teacher", "intensity", "linear"), (28, 224)))
    assert terms["linear - teacher, 28 px"] == [(1, "linear", 28), (-1, "teacher", 28)]
    assert terms["intensity, 224 px - teacher, 28 px"] == [(1, "intensity", 224), (-1, "teacher", 28)]
    assert all(sum(sign for sign, *_ in each) == 0 for each in terms.values())


@pytest.mark.skipif(not OUTPUT.exists(), reason="nothing was trained yet")
@pytest.mark.skipif(not OUTPUT.with_name("resolution-table.csv").exists(), reason="the study is not stored yet")
def test_stored_tables_are_those_of_the_scores(tmp_path):
    """What the pages show follows from the scores; the CSV of the trainings says the same of each split."""
    study = ResolutionConfig.from_toml(RECIPE)
    names = [row.name for row in study.row]
    for table, name in zip(
        tables(OUTPUT.with_suffix(".npz"), names, costs(study)), ("table", "differences"), strict=True
    ):
        write(tmp_path / name, table)
        assert (tmp_path / name).read_text() == OUTPUT.with_name(f"resolution-{name}.csv").read_text()
    arrays = load_scores(OUTPUT.with_suffix(".npz"))
    for line in rows(OUTPUT):
        if line["metric"] == "auc":
            split, name = int(line["seed"]), f"margins/{line['row']}/{line['size']}"
            scores, labels = (torch.from_numpy(arrays[key][split]) for key in (name, "labels"))
            assert float(line["value"]) == pytest.approx(float(auc(scores, labels)), abs=6e-5)
