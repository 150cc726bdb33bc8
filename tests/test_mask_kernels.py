"""Kernels from files: each kind is read as it was written, and what cannot be read says why and what to do."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from fouroptics.errors import FourOpticsError
from fouroptics.masks.kernels import read_kernels
from models.runs import save_checkpoint
from models.student import Student, StudentConfig

SHAPE = (3, 2, 5, 5)


def random_kernels(dtype=np.float64):
    noise = np.random.default_rng(0).normal(size=(*SHAPE, 2))
    return (noise[..., 0] + 1j * noise[..., 1]).astype(dtype) if np.dtype(dtype).kind == "c" else noise[..., 0]


@pytest.mark.parametrize("dtype", [np.float64, np.complex128])
def test_arrays_come_back_as_they_are(tmp_path: Path, dtype):
    kernels = random_kernels(dtype)
    np.savez(tmp_path / "a.npz", kernels=kernels, second=2 * kernels)
    np.save(tmp_path / "a.npy", kernels)
    torch.save(torch.from_numpy(kernels), tmp_path / "a.pt")
    for name in ("a.npz", "a.npy", "a.pt"):
        found = read_kernels(tmp_path / name)
        assert found.dtype == dtype
        assert np.array_equal(found, kernels)
    assert np.array_equal(read_kernels(str(tmp_path / "a.npz"), "second"), 2 * kernels)


def test_the_one_weight_of_a_state_dict_with_four_axes(tmp_path: Path):
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(2, 3, 5), nn.BatchNorm2d(3), nn.Flatten(), nn.Linear(12, 2))
    torch.save(network.state_dict(), tmp_path / "net.pth")
    torch.save({"state_dict": network.state_dict(), "epoch": 3}, tmp_path / "net.pt")
    torch.save(dict(network.named_parameters()), tmp_path / "parameters.pt")  # that need gradients
    for name in ("net.pth", "net.pt", "parameters.pt"):
        found = read_kernels(tmp_path / name)
        assert found.dtype == np.float64
        assert np.array_equal(found, network.state_dict()["0.weight"].double().numpy())


def test_of_several_weights_one_is_named(tmp_path: Path):
    network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Conv2d(2, 4, 3, dtype=torch.bfloat16))
    torch.save(network.state_dict(), tmp_path / "net.pt")
    with pytest.raises(FourOpticsError, match=r"net.pt: holds 2 weights .*0\.weight, 1\.weight.*name one"):
        read_kernels(tmp_path / "net.pt")
    with pytest.raises(FourOpticsError, match=r"no weight 'conv' \(it has 0\.weight, 1\.weight\)"):
        read_kernels(tmp_path / "net.pt", "conv")
    found = read_kernels(tmp_path / "net.pt", "1.weight")
    assert np.array_equal(found, network.state_dict()["1.weight"].double().numpy())


def test_a_checkpoint_gives_its_merged_kernels(tmp_path: Path):
    torch.manual_seed(0)
    student = Student(StudentConfig(size=8, depth=1, outputs=4, pool=2, hidden=8))
    save_checkpoint(tmp_path / "model.pt", student)
    assert np.array_equal(read_kernels(tmp_path / "model.pt"), student.collapse().double().detach().numpy())
    layer = read_kernels(tmp_path / "model.pt", "stack.0")
    assert np.array_equal(layer, student.state_dict()["stack.0"].double().numpy())


def write_bad_files(folder: Path):
    np.savez(folder / "other.npz", weights=np.ones(3))
    np.savez(folder / "objects.npz", kernels=np.array([None]))
    np.savez(folder / "texts.npz", kernels=np.array(["a"]))
    np.save(folder / "array.npy", np.ones(SHAPE))
    (folder / "cut.npy").write_bytes((folder / "array.npy").read_bytes()[:200])
    (folder / "empty.npz").write_bytes(b"")
    (folder / "words.txt").write_text("1 2 3")
    torch.save(nn.Conv2d(1, 1, 3), folder / "network.pt")
    torch.save(nn.Linear(2, 2).state_dict(), folder / "flat.pt")
    torch.save([1, 2], folder / "list.pt")
    torch.save({"state_dict": None}, folder / "none.pt")
    (folder / "words.pth").write_text("1 2 3")
    (folder / "folder.npz").mkdir()


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("missing.npz", r"is not there; check the path, or write it with np\.savez"),
        ("missing.pt", "is not there"),
        ("folder.npz", "cannot be read"),
        ("other.npz", r"holds no array 'kernels' \(it has weights\); write it with np\.savez"),
        ("objects.npz", "is no npz file of numbers, or is damaged"),
        ("texts.npz", "holds <U1, no numbers"),
        ("cut.npy", "is no npy file of numbers, or is damaged"),
        ("empty.npz", "is no npz file of numbers"),
        ("words.txt", "is no txt file of numbers"),
        ("network.pt", r"a whole network is none.*torch\.save\(network\.state_dict"),
        ("words.pth", "or is damaged"),
        ("flat.pt", r"holds 0 weights with four axes and no merged kernels; write it"),
        ("list.pt", "holds 0 weights"),
        ("none.pt", "holds 0 weights"),
    ],
)
def test_what_is_no_file_of_kernels_is_an_error(tmp_path: Path, name: str, says: str):
    write_bad_files(tmp_path)
    with pytest.raises(FourOpticsError, match=says) as error:
        read_kernels(tmp_path / name)
    assert str(tmp_path / name) in str(error.value)


def test_a_plain_array_has_no_layers(tmp_path: Path):
    np.save(tmp_path / "a.npy", np.ones(SHAPE))
    with pytest.raises(FourOpticsError, match="no array 'stack'"):
        read_kernels(tmp_path / "a.npy", "stack")
