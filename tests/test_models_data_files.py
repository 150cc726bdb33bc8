"""CIFAR-10, class folders, images with masks: read from small files made here, and refused when they are wrong."""

import os
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from fouroptics.errors import FourOpticsError
from models.data import IGNORE, DataConfig, Dataset, cifar, load
from models.data.pictures import framed

PARTS = ("train", "validation", "test")


def noise(path: Path, shape: tuple[int, ...]) -> np.ndarray:
    """Bytes drawn from the name of the file that they are for."""
    return np.random.default_rng(zlib.crc32(f"{path.parent.name}/{path.name}".encode())).integers(
        0, 256, shape, np.uint8
    )


def picture(path: Path, shape: tuple[int, ...] = (32, 32), grey: int | None = None) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = noise(path, shape) if grey is None else np.full(shape, grey, np.uint8)
    Image.fromarray(pixels).save(path)


def palette(path: Path, classes: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(classes.astype(np.uint8), "P")
    image.putpalette([value for index in range(256) for value in (index, 255 - index, 37 * index % 256)])
    image.save(path)


def counts(dataset: Dataset) -> list[int]:
    return [len(getattr(dataset, part)) for part in PARTS]


# CIFAR-10


@pytest.fixture
def cifar_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Made-up files of 20 records each; the classes in turn."""
    monkeypatch.setattr(cifar, "RECORDS", 20)
    folder = tmp_path / "cifar-10-batches-bin"
    folder.mkdir()
    for name in (*(f"data_batch_{number}.bin" for number in range(1, 6)), "test_batch.bin"):
        records = noise(folder / name, (20, 3073))
        records[:, 0] = np.arange(20) % 10
        (folder / name).write_bytes(records.tobytes())
    return folder


def test_cifar_is_read_in_colour_and_in_grey(cifar_folder: Path):
    config = DataConfig(name="cifar10", folder=cifar_folder.parent, validation=20, colour=True)
    colour, grey = load(config), load(config.model_copy(update={"colour": False, "folder": cifar_folder}))
    assert counts(colour) == counts(grey) == [80, 20, 20]
    assert colour.train.images.shape == (80, 3, 32, 32)
    assert grey.train.images.shape == (80, 32, 32)
    luma = torch.tensor([0.299, 0.587, 0.114])  # ITU-R 601
    expected = (colour.test.images * luma[:, None, None]).sum(1)
    torch.testing.assert_close(grey.test.images, expected, rtol=0, atol=1 / 255)  # rounded to a grey level
    assert colour.validation.labels.bincount().tolist() == [2] * 10


def test_cifar_keeps_planes_and_rows_in_place(cifar_folder: Path):
    record = np.zeros(3073, np.uint8)
    record[0], record[1 + 1024 + 2 * 32 + 5] = 4, 255  # a deer with one green pixel, row 2, column 5
    data = np.frombuffer((cifar_folder / "test_batch.bin").read_bytes(), np.uint8).copy()
    data[:3073] = record
    (cifar_folder / "test_batch.bin").write_bytes(data.tobytes())
    test = load(DataConfig(name="cifar10", folder=cifar_folder, colour=True)).test
    assert test.images[0].nonzero().tolist() == [[1, 2, 5]]
    assert test.labels[0] == 4


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda data: data[:-1], r"61,459 bytes, 61,460 expected; the file is cut off"),
        (lambda data: data[:-3073], r"58,387 bytes, 61,460 expected; the file is cut off"),  # a whole record
        (lambda data: data + b"\0", "61,461 bytes.*not one of CIFAR-10's"),
        (lambda data: b"\x0a" + data[1:], "holds the class 10, expected 0 to 9"),
        (None, "No such file"),
    ],
    ids=["short", "record", "long", "class", "missing"],
)
def test_cifar_files_that_are_wrong(cifar_folder: Path, change, message):
    path = cifar_folder / "data_batch_3.bin"
    if change is None:
        path.unlink()
    else:
        path.write_bytes(change(path.read_bytes()))
    with pytest.raises(FourOpticsError, match=rf"data_batch_3.bin: .*{message}.*https://www.cs.toronto.edu"):
        load(DataConfig(name="cifar10", folder=cifar_folder))


# one folder a class


@pytest.fixture
def class_folder(tmp_path: Path) -> Path:
    """Two classes, ten images each, in colour, grey and with a palette; and what is no image."""
    for number in range(10):
        picture(tmp_path / "set" / "cat" / f"{number}.png", (30 + number, 40, 3))
        picture(tmp_path / "set" / "dog" / f"{number}.jpg", (40, 30 + number))
    palette(tmp_path / "set" / "cat" / "0.png", np.zeros((32, 32)))
    (tmp_path / "set" / "dog" / "Thumbs.db").write_bytes(b"no image")
    (tmp_path / "set" / ".cache").mkdir()
    return tmp_path / "set"


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK"])
def test_pictures_of_every_mode_have_the_same_grey(class_folder: Path, mode: str):
    pixels = Image.fromarray(np.tile(np.array([0, 255], np.uint8).repeat(14), (28, 1))).convert(mode)
    if mode == "P":
        pixels.info["transparency"] = bytes([0, 128])
    for path in (class_folder / "dog").iterdir():
        path.unlink()
    for number in range(5):
        pixels.save(class_folder / "dog" / f"{number}.{'tif' if mode == 'CMYK' else 'png'}")
    dataset = load(DataConfig(name="folders", folder=class_folder, size=28))
    dogs = dataset.train.images[dataset.train.labels == 1]
    assert (dogs[:, :, :14] == 0).all()
    assert (dogs[:, :, 14:] == 1).all()


def test_class_folders_are_parted_by_class_and_seed(class_folder: Path):
    config = DataConfig(name="folders", folder=class_folder, size=28, validation=4)
    dataset, other = load(config), load(config.model_copy(update={"seed": 1}))
    assert (dataset.name, dataset.classes) == ("set", ("cat", "dog"))
    assert counts(dataset) == [12, 4, 4]  # a fifth for the test
    for part, count in zip(PARTS, (6, 2, 2), strict=True):
        assert getattr(dataset, part).labels.bincount().tolist() == [count] * 2
    images = [image.numpy().tobytes() for part in PARTS for image in getattr(dataset, part).images]
    assert len(set(images)) == 20
    assert not torch.equal(dataset.test.images, other.test.images)
    assert dataset.train.first(4).labels.tolist().count(0) == 2  # not one class after the other


def test_class_folders_of_official_parts(tmp_path: Path):
    for part, count in (("train", 6), ("test", 3)):
        for label, name in enumerate(("a", "b")):
            for number in range(count):
                picture(tmp_path / part / name / f"{number}.png", grey=10 * label + (200 if part == "test" else 20))
    dataset = load(DataConfig(name="folders", folder=tmp_path, validation=2, colour=True))
    assert counts(dataset) == [10, 2, 6]
    assert dataset.test.images.min() == torch.tensor(200 / 255)
    assert dataset.test.images.shape == (6, 3, 32, 32)
    assert torch.equal(dataset.train.labels, (dataset.train.images[:, 0, 0, 0] > 25 / 255).long())  # b is brighter


def test_images_of_many_sizes_need_a_size(class_folder: Path):
    with pytest.raises(FourOpticsError, match=r"pixels \(y, x\), the first image has .*; give size"):
        load(DataConfig(name="folders", folder=class_folder))


def test_class_folders_that_are_wrong(class_folder: Path):
    config = DataConfig(name="folders", folder=class_folder, size=28)
    (class_folder / "cat" / "3.png").write_bytes((class_folder / "cat" / "3.png").read_bytes()[:200])
    with pytest.raises(FourOpticsError, match=r"3\.png: cannot be read as an image .*fetch it again, or remove it"):
        load(config)
    (class_folder / "cat" / "3.png").write_text("no picture")
    with pytest.raises(FourOpticsError, match=r"3\.png: cannot be read as an image"):
        load(config)
    Image.fromarray(np.zeros((32, 32), np.uint16)).save(class_folder / "cat" / "3.png")
    with pytest.raises(FourOpticsError, match=r"3\.png: an image of mode I;16; expected 8 bits"):
        load(config)
    (class_folder / "mouse").mkdir()
    with pytest.raises(FourOpticsError, match=r"mouse: holds no image \(\.bmp"):
        load(config)


def test_class_folders_that_are_not_there(class_folder: Path):
    with pytest.raises(FourOpticsError, match=r"nowhere: no such folder; expected one folder a class"):
        load(DataConfig(name="folders", folder=class_folder / "nowhere"))
    with pytest.raises(FourOpticsError, match=r"cat: 0 folders of images found; expected one folder a class"):
        load(DataConfig(name="folders", folder=class_folder / "cat"))
    picture(class_folder / "train" / "cat" / "0.png")
    picture(class_folder / "train" / "dog" / "0.png")
    with pytest.raises(FourOpticsError, match=r"test: 0 folders of images found"):
        load(DataConfig(name="folders", folder=class_folder))
    picture(class_folder / "test" / "cat" / "0.png")
    picture(class_folder / "test" / "mouse" / "0.png")
    with pytest.raises(FourOpticsError, match=r"train has the classes cat, dog, test cat, mouse"):
        load(DataConfig(name="folders", folder=class_folder))


# resizing


@pytest.mark.parametrize("shape", [(40, 80), (80, 40)])
def test_what_is_not_square_is_cut_or_gets_bars(shape):
    """A grey image with bright ends: cut off by crop, kept by pad, with bars where the image ends."""
    pixels = np.full(shape, 100, np.uint8)
    long = int(shape[1] > shape[0])
    pixels = np.moveaxis(pixels, long, 0)
    pixels[:10], pixels[-10:] = 250, 250
    pixels = np.ascontiguousarray(np.moveaxis(pixels, 0, long))
    image = Image.fromarray(pixels)
    cut, barred = (np.asarray(framed(image, (40, 40), aspect)) for aspect in ("crop", "pad"))
    assert (cut == 100).all()
    barred = np.moveaxis(barred, long, 0)  # the long side first
    assert (barred[:, :9] == 0).all()
    assert (barred[:, -9:] == 0).all()
    assert (barred[:3, 12:-12] > 240).all()
    mask = np.asarray(framed(Image.fromarray(pixels // 100), (40, 40), "pad", mask=True))
    assert set(np.unique(mask)) == {1, 2, IGNORE}
    np.testing.assert_array_equal(np.moveaxis(mask, long, 0)[:, :10], IGNORE)


def test_shrinking_averages_and_does_not_alias():
    """A chessboard of single pixels is grey when it is shrunk; picking pixels would leave black and white."""
    board = Image.fromarray((np.indices((128, 128)).sum(0) % 2 * 255).astype(np.uint8))
    small = np.asarray(framed(board, (32, 32), "crop"))
    assert abs(small.astype(float) - 127.5).max() < 2  # Lanczos stops it all but the rounding


# images with masks


@pytest.fixture
def carvana_folder(tmp_path: Path) -> Path:
    """Ten cars, four views each; the grey of a car is its number, its mask is the left half."""
    for car in range(10):
        for view in range(4):
            name = f"{car:04x}_{view + 1:02d}"
            picture(tmp_path / "train" / f"{name}.jpg", (32, 48, 3), grey=20 * car)
            mask = np.zeros((32, 48), np.uint8)
            mask[:, :24] = 255
            (tmp_path / "train_masks").mkdir(exist_ok=True)
            Image.fromarray(mask).convert("P").save(tmp_path / "train_masks" / f"{name}_mask.gif")
    return tmp_path


def test_carvana_keeps_all_views_of_a_car_in_one_part(carvana_folder: Path):
    dataset = load(DataConfig(name="carvana", folder=carvana_folder, size=32, validation=8))
    assert dataset.classes == ("background", "car")
    assert counts(dataset) == [24, 8, 8]
    cars = [{round(image.mean().item() * 255 / 20) for image in getattr(dataset, part).images} for part in PARTS]
    assert [len(part) for part in cars] == [6, 2, 2]
    assert len(set.union(*cars)) == 10
    for part in PARTS:
        labels = getattr(dataset, part).labels
        assert (labels[:, :, :16] == 1).all()
        assert (labels[:, :, 16:] == 0).all()


def test_carvana_as_it_is_and_with_bars(carvana_folder: Path):
    config = DataConfig(name="carvana", folder=carvana_folder, colour=True, train=2, validation=4, test=4)
    native, barred = load(config), load(config.model_copy(update={"size": 48, "aspect": "pad"}))
    assert native.train.images.shape == (2, 3, 32, 48)
    assert native.train.labels.shape == (2, 32, 48)
    assert (barred.train.labels[:, 8:40] == native.train.labels).all()
    assert (barred.train.labels[:, :8] == IGNORE).all()
    assert (barred.train.labels[:, 40:] == IGNORE).all()
    assert (barred.train.images[:, :, :8] == 0).all()


@pytest.fixture
def voc_folder(tmp_path: Path) -> Path:
    """Six images of different sizes with palette masks, void at the rim; the list of the test part names two."""
    folder = tmp_path / "VOCdevkit" / "VOC2012"
    for number in range(6):
        shape = (32 + number, 40)
        picture(folder / "JPEGImages" / f"2007_{number}.jpg", (*shape, 3))
        classes = np.full(shape, number)
        classes[:2] = 255
        palette(folder / "SegmentationClass" / f"2007_{number}.png", classes)
    picture(folder / "JPEGImages" / "2007_without_mask.jpg")
    lists = folder / "ImageSets" / "Segmentation"
    lists.mkdir(parents=True)
    (lists / "train.txt").write_text("2007_0\n2007_1\n2007_2\n2007_3\n2007_3\n")
    (lists / "val.txt").write_text("2007_4\n2007_5\n")
    return folder


def test_voc_follows_its_lists_and_ignores_void(voc_folder: Path):
    dataset = load(DataConfig(name="voc2012", folder=voc_folder.parents[1], size=32, colour=True, validation=1))
    assert len(dataset.classes) == 21
    assert counts(dataset) == [3, 1, 2]
    shown = {part: set(getattr(dataset, part).labels.unique().tolist()) for part in PARTS}
    assert shown["test"] == {4, 5, IGNORE}
    assert shown["train"] | shown["validation"] == {0, 1, 2, 3, IGNORE}
    assert shown["train"] & shown["validation"] == {IGNORE}


def test_voc_without_lists_is_parted_by_seed(voc_folder: Path):
    for path in (voc_folder / "ImageSets" / "Segmentation").iterdir():
        path.unlink()
    dataset = load(DataConfig(name="voc2012", folder=voc_folder, size=32, validation=1, test=2))
    assert counts(dataset) == [3, 1, 2]


def remove_mask(folder: Path) -> None:
    (folder / "SegmentationClass" / "2007_1.png").unlink()


def remove_image(folder: Path) -> None:
    (folder / "JPEGImages" / "2007_1.jpg").unlink()


def other_size(folder: Path) -> None:
    palette(folder / "SegmentationClass" / "2007_1.png", np.zeros((40, 33)))


def colour_mask(folder: Path) -> None:
    picture(folder / "SegmentationClass" / "2007_1.png", (33, 40, 3))


def wrong_class(folder: Path) -> None:
    palette(folder / "SegmentationClass" / "2007_1.png", np.full((33, 40), 21))


def cut_mask(folder: Path) -> None:
    path = folder / "SegmentationClass" / "2007_1.png"
    os.truncate(path, path.stat().st_size // 2)


def in_both_lists(folder: Path) -> None:
    (folder / "ImageSets" / "Segmentation" / "val.txt").write_text("2007_1")


def one_list(folder: Path) -> None:
    (folder / "ImageSets" / "Segmentation" / "val.txt").unlink()


def empty_list(folder: Path) -> None:
    (folder / "ImageSets" / "Segmentation" / "val.txt").write_text("")


def no_masks(folder: Path) -> None:
    (folder / "SegmentationClass").rename(folder / "masks")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (remove_mask, r"2007_1\.png: no such mask, for the image 2007_1\.jpg"),
        (remove_image, r"2007_1\.jpg: no such image"),
        (other_size, r"2007_1\.png: 40 x 33 pixels \(y, x\), its image has 33 x 40"),
        (colour_mask, r"2007_1\.png: an image of mode RGB, a palette image expected"),
        (wrong_class, r"2007_1\.png: holds the class 21, expected 0 to 20, or 255 for void"),
        (cut_mask, r"2007_1\.png: cannot be read as an image .*VOCtrainval_11-May-2012\.tar"),
        (in_both_lists, r"train\.txt and val\.txt: both name 2007_1"),
        (one_list, r"val\.txt: cannot be read"),
        (empty_list, r"JPEGImages: holds no image"),
        (no_masks, r"SegmentationClass: no such folder; get VOCtrainval"),
    ],
)
def test_voc_files_that_are_wrong(voc_folder: Path, change, message):
    change(voc_folder)
    with pytest.raises(FourOpticsError, match=message):
        load(DataConfig(name="voc2012", folder=voc_folder, size=32, validation=1))


def test_carvana_files_that_are_wrong(carvana_folder: Path):
    config = DataConfig(name="carvana", folder=carvana_folder, size=32)
    picture(carvana_folder / "train_masks" / "0001_02_mask.gif", (32, 48))
    with pytest.raises(
        FourOpticsError, match=r"0001_02_mask\.gif: holds \d+ grey levels, \d+ to \d+; 0 and 255 expected; .*kaggle"
    ):
        load(config)
    (carvana_folder / "train_masks" / "0001_02_mask.gif").unlink()
    with pytest.raises(FourOpticsError, match=r"0001_02_mask\.gif: no such mask, for the image 0001_02\.jpg; .*kaggle"):
        load(config)
    (carvana_folder / "train").rename(carvana_folder / "images")
    with pytest.raises(FourOpticsError, match=r"train: no such folder; get train\.zip"):
        load(config)
