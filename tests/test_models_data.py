"""The bundled images, the script that makes them, and the IDX reader."""

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest
import torch

from fouroptics.errors import FourOpticsError
from models.data import SUBSET, Split, fashion_subset, read_idx
from models.data.idx import FASHION_FOLDER
from models.make_subset import LICENSE, balanced, packed, read_official, subset

PARTS = {"train": 9_000, "validation": 1_000, "test": 2_000}


def idx(array: np.ndarray) -> bytes:
    return (
        struct.pack(f">3xB{array.ndim}I", array.ndim, *array.shape).replace(b"\0\0\0", b"\0\0\x08", 1) + array.tobytes()
    )


def test_subset_is_balanced_and_normalised():
    dataset = fashion_subset()
    assert len(dataset.classes) == 10
    for part, count in PARTS.items():
        split = getattr(dataset, part)
        assert split.images.shape == (count, 28, 28)
        assert split.images.dtype == torch.float32
        assert (split.images.min(), split.images.max()) == (0, 1)
        assert split.labels.bincount().tolist() == [count // 10] * 10
        assert split.first(500).labels.bincount().min() > 25  # shuffled


def test_subset_parts_are_disjoint():
    dataset = fashion_subset()
    images = [image.numpy().tobytes() for part in PARTS for image in getattr(dataset, part).images]
    assert len(set(images)) == 12_000  # also free of duplicates
    with np.load(SUBSET) as arrays:
        assert not set(arrays["train_source"]) & set(arrays["validation_source"])


def test_subset_file_is_small_and_has_its_licence():
    assert SUBSET.stat().st_size <= 8e6
    assert SUBSET.with_suffix(".LICENSE").read_text(encoding="utf-8") == LICENSE
    assert "Copyright (c) 2017 Zalando SE" in LICENSE


@pytest.mark.skipif(not FASHION_FOLDER.is_dir(), reason="the Debian package dataset-fashion-mnist is not installed")
def test_subset_is_what_the_script_makes():
    made = subset()
    with np.load(SUBSET) as bundled:
        assert set(bundled) == set(made)
        for name, array in made.items():
            assert array.dtype == bundled[name].dtype
            np.testing.assert_array_equal(array, bundled[name])
    few = {name: array[:100] for name, array in made.items()}
    assert packed(few) == packed(few)


def test_drawing_is_seeded_and_skips_duplicates():
    images = np.random.default_rng(0).integers(0, 255, (200, 2, 2), np.uint8)
    labels = np.arange(200, dtype=np.uint8) % 10
    images[100:] = images[:100]
    first, again, other = (balanced(images, labels, 50, np.random.RandomState(seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()
    assert first.max() < 100
    assert np.bincount(labels[first]).tolist() == [5] * 10


def test_official_files_that_are_missing_or_wrong(tmp_path: Path):
    with pytest.raises(FourOpticsError, match=r"train-images-idx3-ubyte.gz: no such file.*dataset-fashion-mnist"):
        read_official(tmp_path, "train")
    (tmp_path / "train-images-idx3-ubyte").write_bytes(idx(np.zeros((3, 28, 28), np.uint8)))
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(idx(np.zeros(3, np.uint8)))
    with pytest.raises(FourOpticsError, match=r"train holds 3 images, 60,000 expected"):
        read_official(tmp_path, "train")


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_idx_files_are_read(tmp_path: Path, pack):
    array = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    (tmp_path / "file").write_bytes(pack(idx(array)))
    np.testing.assert_array_equal(read_idx(tmp_path / "file"), array)


GOOD = idx(np.zeros((5, 4), np.uint8))
PACKED = gzip.compress(GOOD, mtime=0)  # without the time, so that every test process builds the same bytes


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "starts with nothing"),
        (b"PNG, not IDX", "starts with 50 4e 47"),
        (b"\0\0\x0d\x01" + bytes(8), "unsigned bytes"),  # floats
        (GOOD[:9], "9 bytes, but the header alone has 12"),
        (GOOD[:-1], r"31 bytes, 32 expected for shape \(5, 4\); the file is cut off"),
        (GOOD + b"\0", "33 bytes, 32 expected"),
        (PACKED[:-9], "damaged or cut off gzip file"),
        (PACKED[:20] + b"damage" + PACKED[26:], "damaged or cut off gzip file"),
    ],
    ids=["empty", "text", "floats", "header", "short", "long", "cut", "damaged"],
)
def test_idx_files_that_are_wrong(tmp_path: Path, content: bytes, message: str):
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(FourOpticsError, match=message) as raised:
        read_idx(tmp_path / "file")
    assert str(tmp_path / "file") in str(raised.value)


def test_idx_file_that_is_missing(tmp_path: Path):
    with pytest.raises(FourOpticsError, match="cannot be read"):
        read_idx(tmp_path / "file")


@pytest.mark.parametrize(
    "content",
    [None, b"", b"not an archive", SUBSET.read_bytes()[:100_000]],
    ids=["missing", "empty", "text", "cut"],
)
def test_subset_that_is_missing_or_damaged(tmp_path: Path, content: bytes | None):
    path = tmp_path / "subset.npz"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(FourOpticsError, match=r"subset.npz: .*make it with: python -m models.make_subset"):
        fashion_subset(path)


def test_subset_without_an_array(tmp_path: Path):
    np.savez(tmp_path / "subset.npz", train_images=np.zeros((1, 28, 28), np.uint8))
    with pytest.raises(FourOpticsError, match="train_labels"):
        fashion_subset(tmp_path / "subset.npz")


def test_split_takes_grey_and_colour_with_a_label_an_image_or_a_pixel():
    for channels in ((), (3,)):
        for labels in ((2,), (2, 5, 7)):
            split = Split(torch.zeros(2, *channels, 5, 7), torch.zeros(labels, dtype=torch.int64))
            assert len(split) == 2
            assert split.first(1).labels.shape == (1, *labels[1:])


def test_split_refuses_other_shapes_and_types():
    with pytest.raises(FourOpticsError, match=r"expected \(N, height, width\) or"):
        Split(torch.zeros(2, 28, 28), torch.zeros(2, 28, 27, dtype=torch.int64))
    with pytest.raises(FourOpticsError, match=r"\(2, 28, 28\) and \(3,\)"):
        Split(torch.zeros(2, 28, 28), torch.zeros(3, dtype=torch.int64))
    with pytest.raises(FourOpticsError, match="float64"):
        Split(torch.zeros(2, 28, 28, dtype=torch.float64), torch.zeros(2, dtype=torch.int64))
