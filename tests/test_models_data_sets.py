"""Three parts that share no image, whatever is asked for; images as large as asked for; sets that do not fit."""

import doctest
from pathlib import Path

import numpy as np
import pytest
import torch

from fouroptics.config import FileConfig
from fouroptics.errors import ConfigError, FourOpticsError
from models.data import DataConfig, Dataset, Split, fashion_subset, listing, load, sets, subset
from models.data.idx import FASHION_FOLDER, read_part
from models.data.listing import mixed, of_arrays, set_aside

PARTS = ("train", "validation", "test")


def contents(split: Split) -> list[bytes]:
    return [image.numpy().tobytes() for image in split.images]


def write_idx(folder: Path, *, train: int, test: int, twins: int = 0) -> Path:
    """Write made-up images in the files of MNIST, `twins` training images each twice, labels 0 to 4."""
    drawn = np.random.default_rng(1)
    for part, count in (("train", train), ("t10k", test)):
        images = drawn.integers(0, 256, (count, 28, 28), np.uint8)
        if part == "train" and twins:
            images[-twins:] = images[:twins]
        labels = (np.arange(count) % 5).astype(np.uint8)
        for kind, array in (("images-idx3", images), ("labels-idx1", labels)):
            header = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes()
            (folder / f"{part}-{kind}-ubyte").write_bytes(header + array.tobytes())
    return folder


@pytest.mark.parametrize("module", [sets, listing, subset])
def test_examples(module):
    result = doctest.testmod(module)
    assert result.attempted
    assert not result.failed


def test_the_bundled_set_is_the_same_from_its_name():
    one, other = load(DataConfig()), fashion_subset()
    for part in PARTS:
        assert torch.equal(getattr(one, part).images, getattr(other, part).images)
        assert torch.equal(getattr(one, part).labels, getattr(other, part).labels)
    assert (one.name, one.classes) == (other.name, other.classes)


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("validation", [None, 0, 60])
def test_parts_share_no_image_even_where_the_files_hold_it_twice(tmp_path: Path, seed, validation):
    write_idx(tmp_path, train=300, test=50, twins=100)
    dataset = load(DataConfig(name="mnist", folder=tmp_path, validation=validation, seed=seed))
    train, kept, test = (contents(getattr(dataset, part)) for part in PARTS)
    assert len(kept) == (25 if validation is None else validation)  # a twelfth of 300
    assert len(test) == 50
    assert not set(train) & set(kept)
    assert not (set(train) | set(kept)) & set(test)
    # what is neither are the twins of validation images: 1/3 of the images have one
    assert (len(train) == 300) if validation == 0 else (240 - 60 < len(train) <= 300 - len(kept))


def test_smaller_training_parts_lie_in_larger_ones_for_any_validation_part(tmp_path: Path):
    write_idx(tmp_path, train=300, test=20)
    parts = [
        contents(load(DataConfig(name="mnist", folder=tmp_path, train=train, validation=validation)).train)
        for train, validation in ((50, 25), (50, 0), (200, 60), (300, 0))
    ]
    assert parts[0] == parts[1] == parts[2][:50]
    assert set(parts[2]) <= set(parts[3])


def test_what_is_drawn_has_each_class_by_its_share_and_depends_on_the_seed(tmp_path: Path):
    write_idx(tmp_path, train=300, test=50)
    config = DataConfig(name="mnist", folder=tmp_path, train=50, validation=25, test=10)
    one, again, other = load(config), load(config), load(config.model_copy(update={"seed": 7}))
    for part, count in zip(PARTS, (10, 5, 2), strict=True):
        assert getattr(one, part).labels.bincount().tolist() == [count] * 5
        assert torch.equal(getattr(one, part).images, getattr(again, part).images)
        assert not torch.equal(getattr(one, part).images, getattr(other, part).images)


def test_unequal_classes_keep_their_shares():
    labels = np.repeat([0, 1, 2], [600, 300, 100])
    order = mixed(labels, np.arange(1000), seed=3)
    assert sorted(order) == list(range(1000))
    for part in (order[:100], order[450:550], order[-100:]):
        np.testing.assert_allclose(np.bincount(labels[part]), [60, 30, 10], atol=1)  # one image at each end


def test_a_group_is_never_parted():
    groups = np.arange(96) // 16  # six cars, sixteen views each
    order = mixed(np.zeros(96, int), groups, seed=0)
    stay, aside = set_aside(order, groups, 20, "validation")
    assert len(aside) == 20
    assert not set(groups[stay]) & set(groups[aside])
    assert len(stay) == 64  # 20 views are one car and a part of a second one


@pytest.mark.skipif(not FASHION_FOLDER.is_dir(), reason="the Debian package dataset-fashion-mnist is not installed")
def test_fashion_mnist_holds_no_image_twice():
    images = [image.tobytes() for part in ("train", "t10k") for image in read_part(FASHION_FOLDER, part, "")[0]]
    assert len(images) == len(set(images)) == 70_000


def test_equal_images_are_of_one_group():
    images = np.random.default_rng(0).integers(0, 256, (3, 4, 4), np.uint8)
    assert of_arrays(images[[0, 1, 0, 2, 1]], np.zeros(5, np.uint8)).groups.tolist() == [0, 1, 0, 2, 1]


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"train": 276}, "train = 276: the set has 275 images for it"),
        ({"validation": 300}, "validation = 300: the set has 300 images to draw from"),
        ({"test": 51}, "test = 51: the set has 50 images for it"),
    ],
)
def test_more_images_than_there_are(tmp_path: Path, asked, message):
    write_idx(tmp_path, train=300, test=50)
    with pytest.raises(FourOpticsError, match=message):
        load(DataConfig(name="mnist", folder=tmp_path, **asked))


@pytest.mark.parametrize("size", [28, 40, 64])
@pytest.mark.parametrize("colour", [False, True])
def test_images_have_the_size_asked_for(size, colour):
    dataset = load(DataConfig(size=size, colour=colour, train=20, validation=10, test=10))
    native = load(DataConfig(train=20, validation=10, test=10))
    for part in PARTS:
        images = getattr(dataset, part).images
        assert images.shape[1:] == ((3, size, size) if colour else (size, size))
        assert images.min() >= 0
        assert images.max() <= 1
        # the mean grey is kept: an error of half a pixel at the border would move it by 1/28
        grey = images[:, 0] if colour else images
        torch.testing.assert_close(
            grey.mean((1, 2)), getattr(native, part).images.mean((1, 2)), rtol=0.02, atol=2 / 255
        )


def test_a_set_in_memory_gives_as_many_as_asked_for():
    whole = fashion_subset()
    few = sets.fewer(whole, DataConfig(train=30, validation=20))
    assert few.train.labels.bincount().tolist() == [3] * 10
    assert few.validation.labels.bincount().tolist() == [2] * 10
    assert len(few.test) == 2_000
    assert few.classes == whole.classes


def test_scenes_are_made_as_many_as_asked_for():
    dataset = load(DataConfig(name="scenes", background="texture", size=40, train=6, validation=0, test=2))
    assert dataset.train.images.shape == dataset.train.labels.shape == (6, 40, 40)
    assert (len(dataset.validation), len(dataset.test)) == (0, 2)


def test_a_set_that_does_not_fit_is_refused_before_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    write_idx(tmp_path, train=300, test=50)
    monkeypatch.setattr(sets, "read", lambda *_, **__: pytest.fail("was read"))
    monkeypatch.setattr(sets, "MEMORY", 2**30)
    # 350 images of 1024 x 1024 pixels, 4 bytes each, are 1.367 GiB
    with pytest.raises(
        FourOpticsError, match=r"350 images of 1024 x 1024 pixels take 1\.4 GiB, 1\.0 GiB are there; lower"
    ):
        load(DataConfig(name="mnist", folder=tmp_path, size=1024))
    with pytest.raises(FourOpticsError, match=r"take 1\.0 GiB"):  # 3 x 4 bytes of colour and 8 of the mask
        sets.check_memory(55_000, (32, 32), colour=True, masks=True)
    sets.check_memory(52_000, (32, 32), colour=True, masks=True)  # 0.99 GiB


def test_memory_that_the_system_reports_counts(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sets, "free_memory", lambda: 2**20)
    with pytest.raises(FourOpticsError, match=r"0\.0 GiB are there"):
        load(DataConfig())


def test_free_memory_is_a_number_of_this_machine():
    assert sets.free_memory() > 2**20


class Recipe(FileConfig):
    data: DataConfig = DataConfig()


def test_the_table_of_a_recipe_counts_from_its_folder(tmp_path: Path):
    (tmp_path / "recipe.toml").write_text('[data]\nname = "mnist"\nfolder = "images"\nsize = 64\ntrain = 500\n')
    config = Recipe.from_toml(tmp_path / "recipe.toml").data
    assert config.folder == tmp_path / "images"
    (tmp_path / "again.toml").write_text(Recipe(data=config).to_toml())
    assert Recipe.from_toml(tmp_path / "again.toml").data == config


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"nmae": "mnist"}, "did you mean 'name'"),
        ({"name": "minst"}, "'mnist'"),
        ({"name": "cifar10"}, "folder: missing; name = 'cifar10' needs the folder"),
        ({"folder": "x"}, "comes|has no folder; leave it out"),
        ({"name": "elpv", "colour": True}, "'elpv' is grey"),
        ({"size": 27}, "greater than or equal to 28"),
        ({"size": 1025}, "less than or equal to 1024"),
        ({"size": 64.5}, "valid integer"),
        ({"train": 0}, "greater than or equal to 1"),
        ({"aspect": "stretch"}, "'crop' or 'pad'"),
        ({"name": "mnist", "folder": 3}, "3 is not the path of a folder"),
    ],
)
def test_tables_that_are_wrong(keys, message):
    with pytest.raises(ConfigError, match=message):
        DataConfig(**keys)


def test_official_files_that_are_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("models.data.idx.FASHION_FOLDER", tmp_path)
    with pytest.raises(FourOpticsError, match=r"train-images-idx3-ubyte.gz: no such file.*dataset-fashion-mnist"):
        load(DataConfig(name="fashion-mnist"))
    write_idx(tmp_path, train=20, test=10)
    assert isinstance(load(DataConfig(name="fashion-mnist")), Dataset)  # found by itself
    with pytest.raises(FourOpticsError, match=r"four IDX files of http://yann"):
        load(DataConfig(name="mnist", folder=tmp_path / "empty"))


@pytest.mark.parametrize(
    ("name", "array", "message"),
    [
        ("train-images-idx3-ubyte", np.zeros((20, 27, 28), np.uint8), r"shape \(20, 27, 28\), \(N, 28, 28\) expected"),
        ("train-labels-idx1-ubyte", np.zeros(19, np.uint8), r"shape \(19,\), \(20,\) expected"),
        ("t10k-labels-idx1-ubyte", np.full(10, 10, np.uint8), "holds the class 10, expected 0 to 9"),
    ],
)
def test_idx_files_that_do_not_belong_together(tmp_path: Path, name, array, message):
    write_idx(tmp_path, train=20, test=10)
    header = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes()
    (tmp_path / name).write_bytes(header + array.tobytes())
    with pytest.raises(FourOpticsError, match=f"{name}: .*{message}"):
        load(DataConfig(name="mnist", folder=tmp_path))


def test_an_idx_file_that_is_cut_off_says_where_to_get_it(tmp_path: Path):
    path = write_idx(tmp_path, train=20, test=10) / "t10k-images-idx3-ubyte"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(FourOpticsError, match=r"t10k-images-idx3-ubyte: 7,855 bytes, 7,856 expected.*cut off; .*yann"):
        load(DataConfig(name="mnist", folder=tmp_path))
