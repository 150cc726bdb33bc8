"""The training loop, the run folder and the command."""

import csv
import json
import math
import os
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import typer
from torch import Tensor, nn
from typer.testing import CliRunner

from fouroptics.errors import ConfigError, FourOpticsError
from models import train
from models.batch import Batch
from models.data import DataConfig, Dataset, fashion_subset, load
from models.distill import distilled, labels_only
from models.runs import load_data, load_student, load_teacher, save_checkpoint, save_run
from models.student import Student, StudentConfig
from models.teacher import Teacher, TeacherConfig
from models.train import FitConfig, RecipeConfig, accuracy, build, fit, logits, progress_bar

SMALL = StudentConfig(outputs=4, width=4, hidden=8)
QUICK = FitConfig(epochs=2, batch=64)
FOLDER = Path(__file__).parents[1] / "models" / "recipes"
RECIPES = [path for path in sorted(FOLDER.glob("*.toml")) if "row" not in tomllib.loads(path.read_text())]  # no studies


@pytest.fixture(scope="module")
def few() -> Dataset:
    whole = fashion_subset()
    return Dataset("few", whole.classes, whole.train.first(300), whole.validation.first(100), whole.test.first(100))


def command() -> typer.Typer:
    app = typer.Typer()
    app.command()(train.main)
    return app


def trained(dataset: Dataset, seed: int, first: int = 0, **options: Any) -> tuple[Student, train.History]:
    net = build(lambda: Student(SMALL), first)
    return net, fit(net, dataset, QUICK, seed=seed, **options)


def test_teacher_is_frozen_and_in_eval_mode(few: Dataset):
    teacher = build(lambda: Teacher(TeacherConfig(width=4, hidden=8)), 0).train()
    before = {name: tensor.clone() for name, tensor in teacher.state_dict().items()}
    taught = logits(teacher, few.train.images, batch=70)
    assert not taught.requires_grad
    assert teacher.training  # left as it was
    trained(few, 0, objective=distilled(taught.unsqueeze(0)))
    for name, tensor in teacher.state_dict().items():
        assert torch.equal(tensor, before[name])  # running means too
    torch.testing.assert_close(taught, teacher.eval()(few.train.images).detach())


def test_fit_is_reproducible_and_seeded(few: Dataset):
    taught = torch.randn(1, 300, 10, generator=torch.Generator().manual_seed(0))
    runs = [trained(few, seed, first, objective=distilled(taught)) for seed, first in ((0, 0), (0, 0), (1, 0), (0, 1))]
    states = [net.state_dict() for net, _ in runs]
    assert all(torch.equal(tensor, states[1][name]) for name, tensor in states[0].items())
    for other in states[2:]:
        assert not torch.equal(states[0]["stack.0"], other["stack.0"])
    same = [[{k: v for k, v in row.items() if k != "seconds"} for row in history] for _, history in runs]
    assert same[0] == same[1] != same[2]


def test_fit_leaves_the_global_generator_alone(few: Dataset):
    state = torch.random.get_rng_state()
    trained(few, 0)
    assert torch.equal(state, torch.random.get_rng_state())


def test_fit_learns_and_reports(few: Dataset):
    net = build(lambda: Student(SMALL), 0)
    with progress_bar() as progress:
        history = fit(net, few, FitConfig(epochs=8, rate=1e-2, batch=50), seed=0, progress=progress, label="net")
    assert [row["epoch"] for row in history] == list(range(1, 9))
    assert history[-1]["loss"] < 0.6 * history[0]["loss"]
    assert history[-1]["validation"] == accuracy(net, few.validation) > 0.5
    assert not net.training
    task = progress.tasks[0]
    assert (task.finished, task.description, task.fields["accuracy"]) == (True, "net", history[-1]["validation"])


@pytest.mark.parametrize("coding", ["intensity", "phase", "binary"])
def test_a_student_of_each_coding_learns(few: Dataset, coding: str):
    """Far beyond chance, 10 %: as much as the student of amplitudes must reach above."""
    net = build(lambda: Student(SMALL.model_copy(update={"coding": coding})), 0)
    history = fit(net, few, FitConfig(epochs=8, rate=1e-2, batch=50), seed=0)
    assert history[-1]["loss"] < 0.6 * history[0]["loss"]
    assert history[-1]["validation"] > 0.5


def test_fit_says_when_it_diverges(few: Dataset):
    with pytest.raises(FourOpticsError, match=r"student: the loss is nan in epoch 1; lower rate = 0.003"):
        trained(few, 0, objective=distilled(torch.full((1, 300, 10), math.nan)), label="student")


def test_fit_says_when_the_last_step_diverges(few: Dataset):
    """No loss is computed behind it."""

    def steep(net: nn.Module, batch: Batch) -> tuple[Tensor, Tensor]:
        loss, scores = labels_only()(net, batch)
        return 1e20 * loss, scores

    recipe = FitConfig(epochs=1, batch=300, optimiser="sgd", schedule="cosine", warmup=0, rate=1e30)
    with pytest.raises(FourOpticsError, match=r"training: the loss is nan in epoch 1; lower rate = 1e\+30"):
        fit(Student(SMALL), few, recipe, objective=steep, seed=0)


def test_a_student_of_another_size_is_refused_before_its_teacher_is_trained(few: Dataset):
    recipe = RecipeConfig(student=SMALL.model_copy(update={"size": 32}))
    with pytest.raises(FourOpticsError, match=r"takes \(B, 32, 32\)"):
        train.train(recipe, few, seed=0)


def test_a_run_knows_its_images(tmp_path: Path):
    """And those of runs from before the table [data] are the bundled ones."""
    table = RecipeConfig(data=DataConfig(train=30, size=40, seed=3)).model_dump(mode="json")
    (tmp_path / "run.json").write_text(json.dumps({"recipe": table}))
    dataset, expected = load_data(tmp_path), load(DataConfig(train=30, size=40, seed=3))
    assert torch.equal(dataset.train.images, expected.train.images)
    assert dataset.train.images.shape == (30, 40, 40)
    (tmp_path / "run.json").write_text(json.dumps({"recipe": {"seed": 0}}))
    assert len(load_data(tmp_path).train) == 9000


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "run.json: cannot be read .*models.train writes it"),
        ("no JSON", "run.json: not the record of a run"),
        ("[]", "run.json: not the record of a run"),
        ("{}", "run.json: not the record of a run"),
        ('{"recipe": 3}', "run.json: not the record of a run"),
        ('{"recipe": {"data": {"name": "folders", "folder": "/nowhere"}}}', "nowhere: no such folder"),
    ],
)
def test_runs_that_are_wrong(tmp_path: Path, content: str | None, message: str):
    if content is not None:
        (tmp_path / "run.json").write_text(content)
    with pytest.raises(FourOpticsError, match=message):
        load_data(tmp_path)


def test_checkpoint_round_trip(few: Dataset, tmp_path: Path):
    net, _ = trained(few, 0)
    save_checkpoint(tmp_path / "model.pt", net)
    plain = torch.load(tmp_path / "model.pt", weights_only=True)
    assert set(plain) == {"state_dict", "config", "kernels"}
    assert plain["config"] == SMALL.model_dump()
    assert torch.equal(plain["kernels"], net.collapse())
    again = load_student(tmp_path / "model.pt")
    assert again.config == SMALL
    assert torch.equal(logits(again, few.test.images), logits(net, few.test.images))


def test_a_checkpoint_from_before_codings_is_a_student_of_amplitudes(tmp_path: Path):
    path, net = tmp_path / "model.pt", Student(SMALL)
    save_checkpoint(path, net)
    checkpoint = torch.load(path, weights_only=True)
    for key in ("coding", "gamma", "contrast"):
        del checkpoint["config"][key]
    torch.save(checkpoint, path)
    assert load_student(path).config == SMALL
    coded = Student(SMALL.model_copy(update={"coding": "phase", "contrast": 100.0}))
    save_checkpoint(path, coded)
    assert load_student(path).config == coded.config


def test_checkpoints_that_are_wrong(tmp_path: Path):
    path = tmp_path / "model.pt"
    with pytest.raises(FourOpticsError, match=r"model.pt: cannot be read"):
        load_student(path)
    save_checkpoint(path, Teacher(TeacherConfig(width=4, hidden=8)))
    assert load_teacher(path).config.hidden == 8
    with pytest.raises(FourOpticsError, match="not the checkpoint of a student"):
        load_student(path)
    for content in (b"", b"not a checkpoint", path.read_bytes()[:1000]):
        path.write_bytes(content)
        with pytest.raises(FourOpticsError, match="not the checkpoint of a teacher"):
            load_teacher(path)


def test_a_write_that_fails_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = tmp_path / "model.pt"
    save_checkpoint(path, Student(SMALL))
    before = path.read_bytes()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OSError, match="No space left"):
        save_checkpoint(path, Student(SMALL))
    assert path.read_bytes() == before


def test_run_folder(few: Dataset, tmp_path: Path):
    recipe = RecipeConfig(
        teacher=TeacherConfig(width=4, hidden=8), student=SMALL, teacher_training=QUICK, training=QUICK
    )
    result = train.train(recipe, few, seed=3)
    folder = tmp_path / "runs" / "few"
    save_run(folder, recipe.model_dump(mode="json"), 3, result.networks(), result.history, "few")
    files = {"run.json", "metrics.csv", "curves.png", "model.pt", "alone.pt", "teacher.pt", "kernels.npz"}
    assert {path.name for path in folder.iterdir()} == files
    run = json.loads((folder / "run.json").read_text())
    assert RecipeConfig.model_validate(run["recipe"]) == recipe
    assert (run["seed"], run["dataset"], run["electronic_macs"]) == (3, "few", 4 * 49 * 8 + 80)
    assert run["validation"]["distilled"] == accuracy(load_student(folder / "model.pt"), few.validation)
    assert run["versions"]["torch"].split("+")[0] == torch.__version__.split("+")[0]  # a wheel need not name its build
    assert (run["machine"]["threads"], run["machine"]["processes"]) == (torch.get_num_threads(), 1)
    assert (folder / "curves.png").read_bytes().startswith(b"\x89PNG")
    with np.load(folder / "kernels.npz", allow_pickle=False) as arrays:
        np.testing.assert_array_equal(arrays["kernels"], result.distilled.collapse().numpy())
    with (folder / "metrics.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["model"], row["epoch"]) for row in rows[::2]] == [
        (name, "1") for name in ("teacher", "alone", "distilled")
    ]
    assert result.history["alone"] != result.history["distilled"]


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_recipes_are_short_and_valid(path: Path):
    assert RecipeConfig.from_toml(path).training.epochs
    assert len(path.read_text().splitlines()) <= 30


def test_a_recipe_gives_the_coding(tmp_path: Path):
    (tmp_path / "r.toml").write_text('[student]\ncoding = "intensity"\ngamma = 2.2\ncontrast = 800\n')
    student = RecipeConfig.from_toml(tmp_path / "r.toml").student
    assert (student.coding, student.gamma, student.contrast) == ("intensity", 2.2, 800)


def test_a_study_is_sent_to_its_own_command():
    result = CliRunner().invoke(command(), [str(FOLDER / "fashion.toml"), "-o", "nowhere"])
    assert result.exit_code == 1
    assert "fashion.toml: a study of many networks (row = ...): python -m models.study" in result.output


def test_recipe_with_a_typo(tmp_path: Path):
    (tmp_path / "r.toml").write_text("[training]\nepoch = 3\n")
    with pytest.raises(ConfigError, match=r"training.epoch = 3: unknown key; did you mean 'epochs'"):
        RecipeConfig.from_toml(tmp_path / "r.toml")


def test_command(few: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    app = command()
    monkeypatch.setattr(train, "load", lambda _: few)
    monkeypatch.setattr(torch, "set_num_threads", lambda _: None)
    recipe = tmp_path / "quick.toml"
    recipe.write_text("[student]\nwidth = 4\n[teacher_training]\nepochs = 1\n[training]\nepochs = 1\n")
    arguments = [str(recipe), "--seed", "5", "-o", str(tmp_path / "run")]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    assert json.loads((tmp_path / "run" / "run.json").read_text())["seed"] == 5
    again = CliRunner().invoke(app, arguments)
    assert again.exit_code == 1
    assert "holds a run already" in again.output
    nowhere = CliRunner().invoke(app, [str(recipe), "-o", str(recipe)])
    assert nowhere.exit_code == 1
    assert "quick.toml: cannot be made" in nowhere.output
