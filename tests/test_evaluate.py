"""The ladder's statistics, and the demo as a whole on few images."""

import copy
import csv
import math
from typing import cast

import pytest
import torch
from conftest import bench_data
from scipy import stats

import fouroptics as fo
from fouroptics.bench import settings
from fouroptics.masks.compiler import from_kernels
from fouroptics.masks.maskset import MaskSet
from models import demo, evaluate
from models.data import DataConfig, Split, fashion_subset
from models.evaluate import Rung, calibration, collapsed, optical_rungs, paired, readout_name, rows, wilson
from models.incoherent import split_masks
from models.optical import calibrate, response
from models.student import READOUTS, Student, StudentConfig

OPTICAL = ["ideal optics", "quantised panel", "+ undiffracted light", "+ camera noise"]


@pytest.mark.parametrize(("correct", "count"), [(0, 20), (17, 20), (1760, 2000)])
def test_wilson_interval(correct, count):
    expected = stats.binomtest(correct, count).proportion_ci(method="wilson")
    assert wilson(correct, count) == pytest.approx((expected.low, expected.high), abs=1e-6)


def test_paired_difference_covers_the_truth():
    """Two networks that agree often: a narrower interval than of two accuracies, and right 95 times of 100."""
    generator, covered = torch.Generator().manual_seed(0), 0
    for _ in range(400):
        u = torch.rand(500, generator=generator)
        a, b = u < 0.88, (u < 0.86) | (u > 0.995)
        mean, low, high = paired(a, b)
        covered += low <= 0.88 - 0.865 <= high
        assert high - low < 2 * 1.96 * math.sqrt(2 * 0.88 * 0.12 / 500)
        assert mean == pytest.approx(float(a.float().mean() - b.float().mean()), abs=1e-6)
    assert 0.92 <= covered / 400 <= 0.98  # 95 % of 400: standard error 1.1 %


def test_rows_hold_the_reference():
    labels = torch.tensor([0, 1, 2, 3])
    table = rows([Rung("a", "-", labels), Rung("b", "linear", torch.tensor([0, 1, 0, 0]))], labels, "a")
    assert [row["accuracy"] for row in table] == [1.0, 0.5]
    assert table[0]["difference"] == 0
    assert table[1]["difference"] == -0.5


@pytest.fixture(scope="module")
def few_kernels():
    """A student of 8 x 8 images, and its masks in coherent and in incoherent light."""
    torch.manual_seed(0)
    student = Student(StudentConfig(size=8, depth=1, outputs=4, pool=2, hidden=8)).eval()
    dark = fo.FourF(bench_data({"light": {"coherence": "incoherent"}, "readout": {"kind": "split"}}))
    kernels = student.collapse()
    return student, from_kernels(kernels, fo.FourF(bench_data()), light=0.05), split_masks(kernels, dark, light=0.05)


@pytest.mark.parametrize("kind", READOUTS)
def test_ladder_of_each_readout(kind, few_kernels):
    """An untrained head on noise images is the hardest: its classes are close, yet 9 of 10 agree through it all."""
    student, whole, halves = few_kernels
    way = {"light": {"coherence": "incoherent"}} if kind == "split" else {}
    way |= {"reference": {"power": "auto"}} if kind in ("reference_pair", "four_step") else {}
    bench = fo.FourF(bench_data(way | {"readout": {"kind": kind}, "camera": {"mean_photons": 4000}}))
    masks = halves if kind == "split" else whole
    student = copy.deepcopy(student)
    student.config = student.config.model_copy(update={"readout": kind})
    images = torch.rand(300, 8, 8, generator=torch.Generator().manual_seed(0))
    train, test = Split(images[:200], torch.zeros(200).long()), Split(images[200:], torch.zeros(100).long())
    instrument = calibrate(bench, response(bench, masks), student, train.images, None)
    rungs = optical_rungs(student, masks, instrument, train, test, seed=0)
    assert [rung.name for rung in rungs] == OPTICAL
    assert {rung.readout for rung in rungs} == {readout_name(kind)}
    digital = student(test.images).argmax(1)
    agree = [int((rung.predictions == digital).sum()) for rung in rungs]
    assert agree[0] >= 98
    assert min(agree) >= 75


def test_readouts_have_three_names():
    assert [readout_name(kind) for kind in READOUTS] == ["intensity", "linear", "linear", "linear in power"]


@pytest.mark.parametrize("changes", [{}, {"read": 2}, {"bands": (11, 9), "size": 8, "depth": 2}, {"readout": "split"}])
def test_merged_layers_predict_as_the_student(changes):
    torch.manual_seed(0)
    student = Student(StudentConfig(**({"size": 8, "depth": 2, "pool": 2, "hidden": 8} | changes))).eval()
    images = torch.rand(50, 8, 8, generator=torch.Generator().manual_seed(0))
    predictions, difference = collapsed(student, images)
    assert difference < 1e-10  # float64
    assert int((predictions != student(images).argmax(1)).sum()) <= 1


def test_a_turned_bench_is_not_calibrated_for_hours(tmp_path):
    bench, train = fo.FourF(bench_data({"poses": {"panel": {"rotation": "1 mrad"}}})), fashion_subset().train
    student, masks = Student(StudentConfig()), cast(MaskSet, None)
    with pytest.raises(fo.FourOpticsError, match="evaluate the run on the aligned bench first"):
        calibration(tmp_path / "instrument.json", bench, masks, student, train, seed=0)


def test_demo_trains_for_its_bench_file(tmp_path, monkeypatch):
    example = settings.EXAMPLE.replace('coding = "amplitude"', 'coding = "phase"\ngamma = 2.2')
    monkeypatch.setattr(settings, "EXAMPLE", example)

    def stop(recipe, *_, **__):
        raise fo.FourOpticsError(f"{recipe.student.coding}, gamma {recipe.student.gamma}")

    monkeypatch.setattr(demo, "train", stop)
    with pytest.raises(fo.FourOpticsError, match=r"^phase, gamma 2.2$"):
        demo.run(0, tmp_path)


def test_demo_from_images_to_ladder(tmp_path, monkeypatch, capsys):
    """The real bench, mask and file with one epoch of training: every rung, all from the file, a second run on top."""
    recipe = demo.RecipeConfig.from_toml(demo.RECIPE)
    once = {name: getattr(recipe, name).model_copy(update={"epochs": 1}) for name in ("teacher_training", "training")}
    short = recipe.model_copy(update=once | {"data": DataConfig(train=1500, validation=100, test=200)})
    monkeypatch.setattr(demo, "RecipeConfig", type("Short", (), {"from_toml": staticmethod(lambda path: short)}))
    monkeypatch.setattr(evaluate, "DARK_PHASES", evaluate.DARK_PHASES[:2])
    monkeypatch.setattr(demo.figures.section, "__defaults__", (8,))  # planes, of 96
    (tmp_path / "masks.h5.partial").write_bytes(b"left by a killed run")
    demo.main(seed=1, output=tmp_path, threads=torch.get_num_threads())
    with (tmp_path / "ladder.csv").open() as file:
        ladder = {row["rung"]: row for row in csv.DictReader(file)}
    assert list(ladder)[:4] == ["teacher", "student alone", "student distilled", "collapsed"]
    assert list(ladder)[4:8] == OPTICAL
    assert sum(name.startswith("control: ") for name in ladder) == 4
    assert {ladder[name]["readout"] for name in OPTICAL} == {"intensity"}
    assert ladder["collapsed"]["difference"] == "0.0"
    assert int(ladder["ideal optics"]["differ"]) <= 1  # the contract allows 4 of 2,000
    for name in (
        "section.png",
        "mask.png",
        "overview.png",
        "masks.h5",
        "bench.toml",
        "kernels.npz",
        "model.pt",
        "run.json",
    ):
        assert (tmp_path / name).stat().st_size > 0
    assert not list(tmp_path.glob("*.partial"))
    assert fo.bundle.verify(tmp_path / "masks.h5") == []
    assert "200 test images, seed 1" in capsys.readouterr().out
    evaluate.main(tmp_path, tmp_path / "bench.toml", seed=1)
    assert "200 test images" in capsys.readouterr().out  # of the table [data] of the run
    with (tmp_path / "evaluation.csv").open() as file:
        again = {row["rung"]: row for row in csv.DictReader(file)}
    assert {name: again[name] for name in OPTICAL} == {name: ladder[name] for name in OPTICAL}  # digit for digit
