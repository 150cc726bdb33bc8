"""Two processes make of the same batches what one process makes of them."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from models import parallel
from models.data import Dataset, Split, load
from models.distill import labels_only
from models.optimiser import FitConfig
from models.runs import load_student, load_teacher
from models.train import RecipeConfig, build, fit, train

torch_distributed = torch.distributed
pytestmark = pytest.mark.skipif(
    not (torch_distributed.is_available() and torch_distributed.is_gloo_available()), reason="this torch has no gloo"
)
RECIPE = """
[data]
train = 150
validation = 50
[teacher]
width = 4
hidden = 8
[student]
outputs = 4
width = 4
hidden = 8
[teacher_training]
epochs = 1
optimiser = "sgd"
[training]
epochs = 2
batch = 64
optimiser = "sgd"
"""
SCRIPT = """
import sys, json
import torch
from models import parallel, train
from tests.test_models_train_parallel import trained

folder = sys.argv[1]
with parallel.joined(torch.device("cpu")):
    torch.set_num_threads(1)
    net, history, moved = trained()
    rank = parallel.rank()
    torch.save(net.state_dict(), f"{folder}/{rank}.pt")
    open(f"{folder}/{rank}.json", "w").write(json.dumps([history, moved, parallel.processes(), "forward" in vars(net)]))
    train.main(f"{folder}/recipe.toml", seed=1, output=train.Path(folder, "run"), device="cpu")
"""


class Net(nn.Module):
    """In float64, so that what two processes do wrong stands out; batch normalisation of maps and of vectors."""

    def __init__(self):
        super().__init__()
        self.maps = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4, momentum=None), nn.ReLU(), nn.Flatten())
        self.rest = nn.Sequential(nn.Linear(64, 5), nn.BatchNorm1d(5, affine=False), nn.ReLU(), nn.Linear(5, 3))
        self.turn = nn.Parameter(torch.randn(3, dtype=torch.complex128))
        self.double()

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        scores = self.rest(self.maps(images.double().unsqueeze(1)))
        return (scores * self.turn).abs()


def trained() -> tuple[nn.Module, list[float], float]:
    """33 images in batches of 13, 13 and 7: no share is as large as the other. Weighted classes: nor are their weights.

    Returns
    -------
    tuple
        The network, the loss of each epoch, and how far the weights moved.
    """
    random = torch.Generator().manual_seed(0)
    images = torch.rand(33, 6, 6, generator=random) ** torch.linspace(0.2, 4, 33).view(-1, 1, 1)
    part = Split(images, torch.randint(3, (33,), generator=random))
    net = build(Net, 0)
    before = {name: weight.detach().clone() for name, weight in net.named_parameters()}
    recipe = FitConfig(epochs=3, batch=13, rate=0.02, clip=2.0, flips="horizontal")
    goal = labels_only(torch.tensor([1.0, 5.0, 0.2]))
    history = fit(net, Dataset("noise", ("a", "b", "c"), part, part, part), recipe, objective=goal, seed=0)
    moved = max((weight - before[name]).abs().max().item() for name, weight in net.named_parameters())
    return net, [row["loss"] for row in history], moved


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What two processes leave."""
    folder = tmp_path_factory.mktemp("parallel")
    (folder / "recipe.toml").write_text(RECIPE)
    (folder / "script.py").write_text(SCRIPT)
    root = Path(__file__).parents[1]
    run = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    environment = os.environ | {"PYTHONPATH": str(root), "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}
    done = subprocess.run(
        [*run, str(folder / "script.py"), str(folder)],
        cwd=root,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    (folder / "stdout").write_text(done.stdout)
    return folder


def test_two_processes_equal_one(folder: Path):
    """AdamW, clipped; in float64 two orders of a sum leave 1e-12, which three epochs do not raise above 1e-9.

    The mean of two means, gradients not summed, or moments of a share alone are off by 1e-3 and more.
    """
    net, history, moved = trained()
    assert moved > 0.05
    for rank in (0, 1):
        state = torch.load(folder / f"{rank}.pt", weights_only=True)
        for name, tensor in net.state_dict().items():
            torch.testing.assert_close(state[name], tensor, rtol=1e-9, atol=1e-9)
        losses, _, processes, changed = json.loads((folder / f"{rank}.json").read_text())
        assert losses == pytest.approx(history, rel=1e-9)
        assert processes == 2
        assert not changed  # the network is as it was before


def test_all_processes_have_the_same_weights(folder: Path):
    one, other = (torch.load(folder / f"{rank}.pt", weights_only=True) for rank in (0, 1))
    assert all(torch.equal(tensor, other[name]) for name, tensor in one.items())


def test_the_command_writes_one_run_folder(folder: Path):
    """Float32, so a relative 1e-7 in each sum; SGD does not blow it up, and the bound is 1e-4 of weights of about 1."""
    recipe = RecipeConfig.from_toml(folder / "recipe.toml")
    alone = train(recipe, load(recipe.data), seed=1)
    students = (load_student(folder / "run" / name) for name in ("model.pt", "alone.pt"))
    pairs = zip(
        (*students, load_teacher(folder / "run" / "teacher.pt")),
        (alone.distilled, alone.alone, alone.teacher),
        strict=True,
    )
    for two, one in pairs:
        for name, tensor in one.state_dict().items():
            torch.testing.assert_close(two.state_dict()[name], tensor, rtol=1e-4, atol=1e-4)
    run = json.loads((folder / "run" / "run.json").read_text())
    assert run["machine"]["processes"] == 2
    assert (folder / "stdout").read_text().count("wrote") == 1  # the first process alone says so
    assert not list((folder / "run").glob("*.state.pt"))


def test_shares_make_the_whole(monkeypatch: pytest.MonkeyPatch):
    for count in range(12):
        for processes in range(1, 5):
            monkeypatch.setattr(parallel, "processes", lambda n=processes: n)
            found = []
            for rank in range(processes):
                monkeypatch.setattr(parallel, "rank", lambda n=rank: n)
                found.append(list(range(count))[parallel.share(count)])
            assert [image for part in found for image in part] == list(range(count))
            sizes = [len(part) for part in found]
            assert max(sizes) - min(sizes) <= 1


def test_one_process_is_left_alone():
    net = nn.Sequential(nn.BatchNorm1d(2))
    with parallel.shared(net):
        assert "forward" not in vars(net)
    assert (parallel.processes(), parallel.rank(), parallel.agreed("x")) == (1, 0, "x")
