"""A training that was killed goes on to the same weights, bit for bit."""

import csv
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import typer
from torch import nn
from torch.nn import functional as F
from typer.testing import CliRunner

from fouroptics.errors import FourOpticsError
from models import train
from models.batch import Batch
from models.data import Dataset, Split, fashion_subset
from models.optimiser import FitConfig
from models.student import Student, StudentConfig
from models.train import build, fit

RECIPE = """
[data]
train = 300
validation = 100
[teacher]
width = 4
hidden = 8
[student]
outputs = 4
width = 4
hidden = 8
[teacher_training]
epochs = 1
[training]
epochs = 4
batch = 64
flips = "both"
"""
KILLED = """
import os, signal, typer
from models import train

plain = train.distilled

def distilled(*arguments):
    goal = plain(*arguments)
    def objective(model, batch):
        if batch.step == 12:  # of 5 an epoch: the third of the third
            os.kill(os.getpid(), signal.SIGKILL)
        return goal(model, batch)
    return objective

train.distilled = distilled
typer.run(train.main)
"""
ALL = FitConfig(epochs=5, batch=16, flips="both", clip=1.0, rate=0.05)


def command(*arguments: str) -> str:
    app = typer.Typer()
    app.command()(train.main)
    result = CliRunner().invoke(app, arguments)
    return result.output


@pytest.fixture
def one_thread():
    """As the command has it: with more threads sums are taken in another order."""
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="Windows cannot kill a process by SIGKILL")
@pytest.mark.usefixtures("one_thread")
def test_kill_9_in_the_middle_of_an_epoch(tmp_path: Path):
    (tmp_path / "quick.toml").write_text(RECIPE)
    recipe, folder, whole = (str(tmp_path / name) for name in ("quick.toml", "killed", "whole"))
    line = [sys.executable, "-c", KILLED, recipe, "-o", folder]
    killed = subprocess.run(line, cwd=Path(__file__).parents[1], capture_output=True, text=True, check=False)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    left = {path.name for path in Path(folder).iterdir()}
    assert left == {"teacher.state.pt", "alone.state.pt", "distilled.state.pt"}
    kept = torch.load(Path(folder, "distilled.state.pt"), weights_only=True)
    assert len(kept["history"]) == 2  # two whole epochs; two steps of the third are lost
    assert "go on with --resume" in command(recipe, "-o", folder)
    assert "wrote" in command(recipe, "-o", folder, "--resume")
    assert "wrote" in command(recipe, "-o", whole)
    for name in ("teacher.pt", "alone.pt", "model.pt"):
        one, other = (torch.load(Path(where, name), weights_only=True)["state_dict"] for where in (folder, whole))
        assert all(torch.equal(tensor, other[key]) for key, tensor in one.items())
    tables = []
    for where in (folder, whole):
        with Path(where, "metrics.csv").open(newline="") as file:
            tables.append([{k: v for k, v in row.items() if k != "seconds"} for row in csv.DictReader(file)])
    assert tables[0] == tables[1]
    assert not list(Path(folder).glob("*.state.pt"))


class Net(nn.Module):
    """Everything that has a state: batch statistics, dropout."""

    def __init__(self, width: int = 6):
        super().__init__()
        self.convolve, self.norm = nn.Conv2d(1, width, 3), nn.BatchNorm2d(width)
        self.rest = nn.Sequential(nn.ReLU(), nn.Flatten(), nn.Dropout(0.5), nn.Linear(width * 16, 3))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.rest(self.norm(self.convolve(images.unsqueeze(1))))


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    random = torch.Generator().manual_seed(0)
    part = Split(torch.rand(50, 6, 6, generator=random), torch.randint(3, (50,), generator=random))
    return Dataset("noise", ("a", "b", "c"), part, part.first(10), part)


class Stopped(Exception):
    pass


def stopped(step: int):
    def objective(model: nn.Module, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        if batch.step == step:
            raise Stopped
        scores = model(batch.images)
        return F.cross_entropy(scores, batch.labels), scores

    return objective


@pytest.mark.parametrize("keys", [{}, {"optimiser": "sgd", "schedule": "cosine"}])
def test_stopped_again_and_again(dataset: Dataset, tmp_path: Path, keys: dict[str, str]):
    """Of 4 steps an epoch, stopped in the second, the third and the last; other weights stand there each time."""
    recipe, state = ALL.model_copy(update=keys), tmp_path / "s"
    whole, net = build(Net, 0), build(Net, 0)
    expected = fit(whole, dataset, recipe, seed=0)
    for step in (7, 10, 18):
        with pytest.raises(Stopped):
            fit(net, dataset, recipe, objective=stopped(step), seed=0, state=state)
        net = build(Net, step)
    history = fit(net, dataset, recipe, seed=0, state=state)
    assert all(torch.equal(tensor, net.state_dict()[name]) for name, tensor in whole.state_dict().items())
    assert [row["loss"] for row in history] == [row["loss"] for row in expected]
    assert [row["epoch"] for row in history] == [1, 2, 3, 4, 5]


def test_there_is_no_state_before_the_first_epoch_ends(dataset: Dataset, tmp_path: Path):
    with pytest.raises(Stopped):
        fit(build(Net, 0), dataset, ALL, objective=stopped(3), seed=0, state=tmp_path / "s")
    assert not (tmp_path / "s").exists()


def test_what_is_finished_is_only_read(dataset: Dataset, tmp_path: Path):
    done, read = build(Net, 0), build(Net, 1)
    fit(done, dataset, ALL, seed=0, state=tmp_path / "s")
    fit(read, dataset, ALL, objective=stopped(0), seed=0, state=tmp_path / "s")
    assert torch.equal(done.convolve.weight, read.convolve.weight)
    assert not read.training


def test_a_state_of_another_training(dataset: Dataset, tmp_path: Path):
    state = tmp_path / "s"
    fit(build(Net, 0), dataset, ALL, seed=0, state=state)
    with pytest.raises(FourOpticsError, match="of a training with seed = 0, not 1"):
        fit(build(Net, 0), dataset, ALL, seed=1, state=state)
    with pytest.raises(FourOpticsError, match=r"of a training with recipe = .*'epochs': 5.*, not .*'epochs': 6"):
        fit(build(Net, 0), dataset, ALL.model_copy(update={"epochs": 6}), seed=0, state=state)
    with pytest.raises(FourOpticsError, match="of another network"):
        fit(build(lambda: Net(width=5), 0), dataset, ALL, seed=0, state=state)
    other = Split(dataset.train.images.flip(0), dataset.train.labels)  # as another seed of the table [data] draws
    with pytest.raises(FourOpticsError, match=r"of a training with data = noise, 50 images, CRC-32 [0-9a-f]{8}, not"):
        fit(build(Net, 0), replace(dataset, train=other), ALL, seed=0, state=state)
    for content in (b"", b"something else", state.read_bytes()[:500]):  # whole, they are a zip file
        state.write_bytes(content)
        with pytest.raises(FourOpticsError, match="remove it to start anew"):
            fit(build(Net, 0), dataset, ALL, seed=0, state=state)


def test_a_state_of_a_network_that_means_something_else(tmp_path: Path):
    """Weights of the same shapes, but another readout: the state would load."""
    whole, few = fashion_subset(), FitConfig(epochs=1)
    dataset = replace(whole, train=whole.train.first(20), validation=whole.validation.first(4))
    one, other = (StudentConfig(depth=1, outputs=2, hidden=0, readout=kind) for kind in ("intensity", "four_step"))
    fit(build(lambda: Student(one), 0), dataset, few, seed=0, state=tmp_path / "s")
    with pytest.raises(
        FourOpticsError, match=r"of a training with network = .*readout='intensity'.*, not .*'four_step'"
    ):
        fit(build(lambda: Student(other), 0), dataset, few, seed=0, state=tmp_path / "s")


def test_a_state_is_written_whole_or_not_at_all(dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A write that stops half way leaves the state of the epoch before."""
    state = tmp_path / "s"
    with pytest.raises(Stopped):
        fit(build(Net, 0), dataset, ALL, objective=stopped(10), seed=0, state=state)
    before = state.read_bytes()

    def interrupted(partial: Path, path: Path) -> None:
        assert (partial.name, path.name) == ("s.partial", "s")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", interrupted)
    with pytest.raises(OSError, match="No space left"):
        fit(build(Net, 0), dataset, ALL, seed=0, state=state)
    assert state.read_bytes() == before
    assert os.listdir(tmp_path) == ["s"]
