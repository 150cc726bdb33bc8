"""Scenes: what is in them, that no two parts share anything, and that a seed gives the same ones for ever."""

import numpy as np
import pytest
import torch

from fouroptics.errors import FourOpticsError
from models.data import scenes as module
from models.data.scenes import GARMENTS, SCENE_CLASSES, scenes, texture
from models.data.split import Dataset, Split
from models.data.subset import fashion_subset

PARTS = ("train", "validation", "test")


@pytest.fixture(scope="module")
def made() -> Dataset:
    return scenes(background="texture", counts=(60, 10, 10))


def marked() -> Dataset:
    """Garments that are squares, of another grey level in each part: 100, 150, 200 of 255."""
    classes = fashion_subset().classes

    def part(grey: int) -> Split:
        images = torch.full((10, 28, 28), grey / 255)
        return Split(images, torch.arange(10))

    return Dataset("squares", classes, *(part(grey) for grey in (100, 150, 200)))


def test_images_and_labels(made: Dataset):
    assert made.classes == SCENE_CLASSES
    for name, count in zip(PARTS, (60, 10, 10), strict=True):
        split: Split = getattr(made, name)
        assert split.images.shape == split.labels.shape == (count, 64, 64)
        assert 0 <= split.images.min() < split.images.max() <= 1
        assert split.labels.unique().tolist() == list(range(6))
        bytes_ = split.images * 255  # grey levels of 8 bits, so that no machine rounds them to others
        torch.testing.assert_close(bytes_, bytes_.round(), rtol=0, atol=1e-4)


def test_the_same_bit_by_bit_from_a_seed_and_others_from_another(made: Dataset):
    again, other = (scenes(seed=seed, background="texture", counts=(60, 10, 10)) for seed in (0, 1))
    for name in PARTS:
        assert torch.equal(getattr(made, name).images, getattr(again, name).images)
        assert torch.equal(getattr(made, name).labels, getattr(again, name).labels)
        assert not torch.equal(getattr(made, name).images, getattr(other, name).images)


def test_a_part_does_not_depend_on_how_large_the_others_are(made: Dataset):
    other = scenes(background="texture", counts=(3, 1, 10))
    assert torch.equal(made.test.images, other.test.images)
    assert torch.equal(made.train.images[:3], other.train.images)


def test_two_to_four_garments_each_class_as_often():
    """Squares that hide each other may be seen in part; their classes are drawn in turns of all five."""
    drawn = scenes(background="texture", counts=(100, 1, 1), garments=marked()).train.labels
    kinds = [len(truth.unique()) - 1 for truth in drawn]
    assert min(kinds) >= 1
    assert max(kinds) <= 4
    assert 2.2 < np.mean(kinds) < 3.05  # 3 garments on average, some hidden or twice of a kind
    shares = drawn.flatten().bincount(minlength=6)[1:].double()
    assert (
        shares / shares.mean() - 1
    ).abs().max() < 0.25  # 60 squares of each kind, 26 to 36 pixels wide, in part hidden


def test_garments_come_from_their_own_part_only():
    dataset = scenes(background="texture", counts=(8, 8, 8), garments=marked())
    for name, grey in zip(PARTS, (100, 150, 200), strict=True):
        split: Split = getattr(dataset, name)
        assert torch.all((split.images[split.labels > 0] * 255).round() == grey)


def test_cells_come_from_their_own_part_only(monkeypatch: pytest.MonkeyPatch):
    """In place of ELPV: cells that are grey 10, 20, 30 in the three parts, one of each of four brightnesses darker."""

    def cells(size: int, seed: int) -> Dataset:
        def part(grey: int) -> Split:
            return Split(torch.full((4, size, size), grey / 255), torch.zeros(4, dtype=torch.int64))

        return Dataset("cells", ("sound",), part(10), part(20), part(30))

    monkeypatch.setattr(module, "elpv", cells)
    dataset = scenes(48, background="cells", counts=(8, 8, 8))
    for name, grey in zip(PARTS, (10, 20, 30), strict=True):
        split: Split = getattr(dataset, name)
        assert split.images.shape == (8, 48, 48)
        assert torch.all((split.images[split.labels == 0] * 255).round() == grey)


def test_a_garment_is_whole_where_nothing_hides_it():
    """A frame that is dark inside: its inside belongs to it, and is seen in the scene as it is."""
    frame = torch.zeros(10, 28, 28)
    frame[:, 4:24, 4:24] = 1
    frame[:, 8:20, 8:20] = 0
    split = Split(frame, torch.arange(10))
    dataset = scenes(
        background="texture", counts=(20, 1, 1), garments=Dataset("", fashion_subset().classes, *[split] * 3)
    )
    image, truth = dataset.train.images, dataset.train.labels > 0
    assert truth.double().mean() > 0.15  # a frame without its inside would cover 0.12 at most: 3 x 256/784 x 961/4096
    assert (image[truth] == 0).double().mean() > 0.2


def test_garments_keep_their_share_of_a_larger_scene():
    small, large = (
        (scenes(size, background="texture", counts=(40, 1, 1)).train.labels > 0).double().mean() for size in (64, 128)
    )
    assert abs(small - large) < 0.06  # the share of one scene varies by 0.1; 40 scenes


def test_textures_differ_and_have_no_garment():
    one, other = (texture(64, np.random.default_rng(seed)) for seed in (0, 1))
    assert one.dtype == np.uint8
    assert one.shape == (64, 64)
    assert np.abs(one.astype(int) - other).mean() > 10


def test_what_cannot_be_made_says_so(monkeypatch: pytest.MonkeyPatch):
    with pytest.raises(FourOpticsError, match=r"size = 31: choose 32 or more"):
        scenes(31, background="texture")
    monkeypatch.setitem(__import__("sys").modules, "elpv_dataset", None)
    with pytest.raises(FourOpticsError, match="pip install elpv-dataset"):
        scenes(32, counts=(1, 1, 1))
    assert len(GARMENTS) == 5
