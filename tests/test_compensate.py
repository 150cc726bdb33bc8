"""The head trained again on camera pictures: what stays, what is learned, and the command."""

from pathlib import Path

import pytest
import torch
import typer
from conftest import bench_data
from typer.testing import CliRunner

import fouroptics as fo
from fouroptics.masks import bundle
from fouroptics.masks.compiler import from_kernels
from models import compensate as command
from models.compensate import RECIPE, captured, compensate
from models.data import Dataset, Split, fashion_subset
from models.distill import distilled
from models.optical import Instrument, Optics, calibrate, predict, response
from models.runs import load_student, save_checkpoint
from models.scores import logits
from models.student import Student, StudentConfig
from models.teacher import Teacher, TeacherConfig
from models.train import FitConfig, accuracy, build, fit

SMALL = StudentConfig(size=8, front="free", depth=1, outputs=4, pool=2, hidden=16)
OnBench = tuple[Optics, Instrument]
SHIFT = "247.265625 um"  #: one pixel of the small bench's image


def tiny(split: Split, count: int) -> Split:
    """Averages over the image: 8 x 8 pixels, as many as the small bench has."""
    return Split(torch.nn.functional.adaptive_avg_pool2d(split.images[:count], 8), split.labels[:count])


@pytest.fixture(scope="module")
def data() -> Dataset:
    whole = fashion_subset()
    parts = (tiny(part, count) for part, count in ((whole.train, 4000), (whole.validation, 500), (whole.test, 600)))
    return Dataset("tiny", whole.classes, *parts)


@pytest.fixture(scope="module")
def student(data: Dataset) -> Student:
    net = build(lambda: Student(SMALL), 0)
    fit(net, data, FitConfig(epochs=12, batch=100, rate=1e-2), seed=0)
    return net


@pytest.fixture(scope="module")
def shifted(small_bench: fo.FourF, student: Student, data: Dataset) -> OnBench:
    """A bench whose camera is off by one pixel of the image, with the masks and the exposure of the aligned one."""
    masks = from_kernels(student.collapse(), small_bench, light=0.05)
    bench = fo.FourF(bench_data({"poses": {"camera": {"x": SHIFT, "y": SHIFT}}}))
    optics = response(bench, masks)
    return optics, calibrate(bench, optics, student, data.train.images[:300], torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def pictures(shifted: OnBench, data: Dataset) -> Split:
    return captured(*shifted, data.train.first(800), seed=0)


def on_bench(student: Student, shifted: OnBench, split: Split) -> float:
    scores = predict(student, *shifted, split.images, torch.Generator().manual_seed(7))
    return float((scores.argmax(1) == split.labels).double().mean())


def test_pictures_are_what_the_frozen_head_gets_on_the_bench(
    student: Student, shifted: OnBench, pictures, data: Dataset
):
    noise = torch.Generator().manual_seed(0)
    wanted = predict(student, *shifted, data.train.images[:800], noise)
    assert torch.equal(logits(command.Head(student), pictures.images), wanted)
    student.stack.requires_grad_(True)
    assert torch.equal(pictures.labels, data.train.labels[:800])
    assert not torch.equal(captured(*shifted, data.train.first(800), seed=1).images, pictures.images)


def test_the_head_is_trained_and_the_optics_stay(student: Student, pictures: Split):
    before = {name: value.clone() for name, value in student.state_dict().items()}
    changed = compensate(student, pictures, FitConfig(epochs=1, batch=100, decay=0.1), seed=0)
    for name, value in changed.state_dict().items():
        assert torch.equal(before[name], student.state_dict()[name])
        assert torch.equal(before[name], value) == (name.startswith("stack"))
    assert all(weight.requires_grad for weight in changed.parameters())
    assert not changed.training


def test_the_accuracy_comes_back(student: Student, shifted: OnBench, pictures: Split, data: Dataset):
    """800 pictures give back more than half of what the shift took, which is more than 20 points."""
    digital, lost = accuracy(student, data.test), on_bench(student, shifted, data.test)
    assert digital - lost > 0.2
    changed = compensate(student, pictures, FitConfig(epochs=30, batch=50, rate=3e-3), seed=0)
    back = on_bench(changed, shifted, data.test)
    assert back - lost > (digital - lost) / 2


def test_the_teacher_is_asked_about_the_same_images(student: Student, shifted: OnBench, pictures: Split, data: Dataset):
    """A teacher that knows the labels of these images, in this order, is as good as they; in another order, useless."""
    taught = 10 * torch.nn.functional.one_hot(pictures.labels, 10).float()
    recipe = FitConfig(epochs=10, batch=50, rate=3e-3)
    right, wrong = (
        on_bench(compensate(student, pictures, recipe, objective=objective, seed=0), shifted, data.test)
        for objective in (distilled(taught[None], 1, 1), distilled(taught.roll(1, 0)[None], 1, 1))
    )
    assert right > 0.6
    assert wrong < 0.3


@pytest.fixture
def run(
    tmp_path: Path, student: Student, small_bench: fo.FourF, monkeypatch: pytest.MonkeyPatch, data: Dataset
) -> Path:
    """A run folder of the small student, and its aligned bench's calibration."""
    masks = from_kernels(student.collapse(), small_bench, light=0.05)
    bundle.save(tmp_path / "masks.h5", masks)
    save_checkpoint(tmp_path / "model.pt", student)
    noise = torch.Generator().manual_seed(0)
    calibrate(small_bench, response(small_bench, masks), student, data.train.images[:300], noise).save(
        tmp_path / "instrument.json"
    )
    monkeypatch.setattr(command, "load_data", lambda _: data)
    return tmp_path


def invoke(run: Path, bench: Path, *options: str) -> tuple[int, str]:
    app = typer.Typer()
    app.command()(command.main)
    result = CliRunner().invoke(app, [str(run), str(bench), *options])
    return result.exit_code, result.output


@pytest.mark.parametrize("with_teacher", [True, False])
def test_command(run: Path, with_teacher: bool, monkeypatch: pytest.MonkeyPatch):
    """One epoch, of a teacher that knows nothing or of labels: the table and the files, not the accuracy."""
    monkeypatch.setattr(command, "RECIPE", RECIPE.model_copy(update={"epochs": 1}))
    monkeypatch.setenv("COLUMNS", "200")  # no folded names
    if with_teacher:
        save_checkpoint(run / "teacher.pt", Teacher(TeacherConfig(size=8, width=2, hidden=4)))
    bench = run / "bench.toml"
    bench.write_text(fo.FourF(bench_data({"poses": {"camera": {"x": SHIFT}}})).to_toml())
    code, output = invoke(run, bench)
    assert code == 0, output
    assert "600 test images" in output
    assert "head trained again on 400" in output
    rows = (run / "compensation.csv").read_text().splitlines()
    assert len(rows) == 5
    assert torch.equal(load_student(run / "compensated.pt").collapse(), load_student(run / "model.pt").collapse())


@pytest.mark.parametrize(
    ("changes", "message"),
    [({"poses": {"panel": {"rotation": "1 mrad"}}}, "not shift-invariant"), ({"input": {"gamma": 2.0}}, "input.gamma")],
)
def test_a_bench_that_it_cannot_be_trained_on(run: Path, changes: dict[str, dict], message: str):
    data = bench_data(changes)
    data["input"] = bench_data()["input"] | changes.get("input", {})
    (run / "bench.toml").write_text(fo.FourF(data).to_toml())
    code, output = invoke(run, run / "bench.toml")
    assert code == 1
    assert message in output
    assert not (run / "compensated.pt").exists()


def test_too_few_pictures(run: Path):
    (run / "bench.toml").write_text(fo.FourF(bench_data()).to_toml())
    code, output = invoke(run, run / "bench.toml", "--share", "0.01")
    assert code == 1
    assert "--share 0.01: 40 images, fewer than a batch of 50" in output


def test_a_folder_without_masks(run: Path):
    (run / "masks.h5").unlink()
    (run / "bench.toml").write_text(fo.FourF(bench_data()).to_toml())
    code, output = invoke(run, run / "bench.toml")
    assert code == 1
    assert "masks.h5" in output
