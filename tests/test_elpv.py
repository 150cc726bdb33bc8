"""Solar cells of the optional package: parts, areas, and what is said when the package is missing or damaged."""

import doctest
import sys
from types import ModuleType

import numpy as np
import pytest
import torch

import models.data.elpv
from fouroptics.errors import FourOpticsError
from models.data.elpv import elpv, load_cells, parts, shrunk

PROBABILITIES = (0.0, 1 / 3, 2 / 3, 1.0)


@pytest.fixture
def package(monkeypatch):
    """The package with 400 made cells of few grey values; `cells` holds what it returns."""

    class Package(ModuleType):
        def __init__(self):
            super().__init__("elpv_dataset.utils")
            draw = np.random.default_rng(0)
            kinds = np.repeat(["mono", "poly"], 200)
            images = draw.integers(0, 255, (400, 300, 300), np.uint8)
            # as numpy.genfromtxt gives them: a column of a structured array, not contiguous
            table = np.zeros(400, [("path", "S19"), ("probability", "f8")])
            table["probability"] = draw.choice(PROBABILITIES, 400, p=(0.5, 0.2, 0.1, 0.2))
            self.cells = images, table["probability"], kinds

        def load_dataset(self):
            return self.cells

    made = Package()
    monkeypatch.setitem(sys.modules, "elpv_dataset", ModuleType("elpv_dataset"))
    monkeypatch.setitem(sys.modules, "elpv_dataset.utils", made)
    load_cells.cache_clear()
    yield made
    load_cells.cache_clear()


def test_a_cell_is_defective_above_one_half(package):
    cells = load_cells(10)
    images, probability, kinds = package.cells
    assert cells.images.shape == (400, 10, 10)
    assert cells.labels.tolist() == [int(p in PROBABILITIES[2:]) for p in probability]
    assert cells.kinds == tuple(kinds)
    blocks = images.reshape(400, 10, 30, 10, 30).mean((2, 4)) / 255
    np.testing.assert_allclose(cells.images, blocks, atol=1e-6)  # float32


def test_parts_share_no_cell_and_are_stratified(package):
    cells = load_cells(4)
    groups = {(kind, p) for kind, p in zip(cells.kinds, cells.probability.tolist(), strict=True)}
    assert len(groups) == 8
    for seed in range(3):
        chosen = parts(cells, seed)
        assert sorted(torch.cat(chosen).tolist()) == list(range(400))
        for part, share in zip(chosen, (0.60, 0.15, 0.25), strict=True):
            for kind, p in groups:
                size = sum(k == kind and q == p for k, q in zip(cells.kinds, cells.probability.tolist(), strict=True))
                there = sum(cells.kinds[i] == kind and float(cells.probability[i]) == p for i in part.tolist())
                assert abs(there - share * size) <= 1, (seed, kind, p)  # each share is rounded; the rest is to train
            assert (part.diff() < 0).any()  # in mixed order, so that the first of them are a fair sample


def test_a_seed_is_a_split(package):
    cells = load_cells(4)
    first, again, other = (parts(cells, seed)[2].tolist() for seed in (0, 0, 1))
    assert first == again
    assert set(first) != set(other)
    dataset, test = elpv(4, seed=1), parts(cells, 1)[2]
    assert torch.equal(dataset.test.images, cells.images[test])
    assert torch.equal(dataset.test.labels, cells.labels[test])
    assert [len(part) for part in (dataset.train, dataset.validation, dataset.test)] == [
        len(p) for p in parts(cells, 1)
    ]


@pytest.mark.parametrize("size", [1, 7, 29, 30])
def test_a_pixel_is_the_mean_of_its_area(size):
    """Against 30 x 30 pixels cut into `size` pieces each, of which `size` x 30 / `size` make a new pixel exactly."""
    image = torch.rand(2, 30, 30, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    fine = image.repeat_interleave(size, -1).repeat_interleave(size, -2)
    expected = fine.unflatten(-1, (size, 30)).mean(-1).unflatten(-2, (size, 30)).mean(-2)
    torch.testing.assert_close(shrunk(image, size), expected, rtol=1e-12, atol=0)


def test_a_size_that_the_files_do_not_have(package):
    for size in (0, 301):
        with pytest.raises(FourOpticsError, match=rf"size = {size}: choose 1 to 300"):
            elpv(size)


def test_a_package_that_is_missing(package, monkeypatch):
    monkeypatch.setitem(sys.modules, "elpv_dataset", None)
    monkeypatch.delitem(sys.modules, "elpv_dataset.utils")
    with pytest.raises(FourOpticsError, match=r"not installed: pip install elpv-dataset .*CC BY-NC-SA"):
        elpv()


def test_a_package_that_is_damaged(package):
    good = package.cells
    package.cells = (good[0][:, :200], *good[1:])
    with pytest.raises(FourOpticsError, match=r"shape \(400, 200, 300\).*expected \(400, 300, 300\).*pip install"):
        elpv()

    def broken():
        raise OSError("images/cell0001.png: truncated")

    package.load_dataset = broken
    with pytest.raises(FourOpticsError, match=r"damaged \(images/cell0001.png: truncated\); again: pip install"):
        elpv()


def test_the_real_package():
    pytest.importorskip("elpv_dataset")
    cells = load_cells(8)
    assert len(cells.images) == 2624
    assert int(cells.labels.sum()) == 715 + 106
    assert cells.kinds.count("mono") == 1074
    assert [len(part) for part in parts(cells, 0)] == [1576, 394, 654]


def test_examples():
    result = doctest.testmod(models.data.elpv, optionflags=doctest.ELLIPSIS)
    assert result.attempted
    assert not result.failed
