"""Images with a mask each, which has a class for every pixel: Carvana, VOC2012."""

from functools import partial
from pathlib import Path

import numpy as np

from fouroptics.errors import FourOpticsError
from models.data.listing import Listing, Source
from models.data.pictures import opened
from models.data.split import IGNORE

CARVANA = "get train.zip and train_masks.zip at https://www.kaggle.com/c/carvana-image-masking-challenge"
VOC = "get VOCtrainval_11-May-2012.tar at http://host.robots.ox.ac.uk/pascal/VOC/voc2012/"
VOC_CLASSES = (
    "background",
    "aeroplane",
    "bicycle",
    "bird",
    "boat",
    "bottle",
    "bus",
    "car",
    "cat",
    "chair",
    "cow",
    "diningtable",
    "dog",
    "horse",
    "motorbike",
    "person",
    "pottedplant",
    "sheep",
    "sofa",
    "train",
    "tvmonitor",
)


def carvana(folder: Path) -> Source:
    """List Carvana, cars before a wall: ``train/NAME.jpg`` with ``train_masks/NAME_mask.gif``, two classes.

    The official test part has no masks, so a test part is drawn from these images. A name is that of a car and the
    number of its view, such as ``0cdf5b5d0ce1_04``; all views of a car are in one part.
    """
    images, masks = _folder(folder / "train", CARVANA), _folder(folder / "train_masks", CARVANA)
    names = sorted(path.stem for path in images.glob("*.jpg"))
    pairs = [(images / f"{name}.jpg", masks / f"{name}_mask.gif") for name in names]
    _, cars = np.unique([name.rpartition("_")[0] or name for name in names], return_inverse=True)
    train = _listing(images, pairs, CARVANA, cars)
    return Source("carvana", ("background", "car"), train, read_mask=read_two_levels)


def voc2012(folder: Path) -> Source:
    """List VOC2012: ``JPEGImages/NAME.jpg`` with ``SegmentationClass/NAME.png``, 21 classes, void pixels ignored.

    The lists ``ImageSets/Segmentation/train.txt`` and ``val.txt``, where they are, name the training images and those
    that serve as the test part (the masks of the official one are not public); without them all images with a mask
    are listed.
    """
    for inner in (folder / "VOCdevkit" / "VOC2012", folder / "VOC2012"):
        folder = inner if inner.is_dir() else folder
    images, masks = _folder(folder / "JPEGImages", VOC), _folder(folder / "SegmentationClass", VOC)

    def listed(names: list[str]) -> Listing:
        return _listing(images, [(images / f"{name}.jpg", masks / f"{name}.png") for name in names], VOC)

    lists = [folder / "ImageSets" / "Segmentation" / f"{part}.txt" for part in ("train", "val")]
    source = partial(Source, "voc2012", VOC_CLASSES, read_mask=partial(read_palette, classes=len(VOC_CLASSES)))
    if not any(path.is_file() for path in lists):
        return source(listed(sorted(path.stem for path in masks.glob("*.png"))))
    train, test = (_names(path) for path in lists)
    if both := sorted(set(train) & set(test)):
        raise FourOpticsError(f"{lists[0]} and {lists[1].name}: both name {both[0]}; {VOC}")
    return source(listed(train), listed(test))


def read_two_levels(path: Path) -> np.ndarray:
    """Read a mask of black and white: classes 0 and 1, uint8, shape (height, width).

    Raises
    ------
    FourOpticsError
        If it holds other grey levels.
    """
    grey = np.asarray(opened(path, CARVANA).convert("L"))
    if set(levels := np.unique(grey).tolist()) - {0, 255}:
        raise FourOpticsError(
            f"{path}: holds {len(levels)} grey levels, {min(levels)} to {max(levels)}; 0 and 255 expected; {CARVANA}"
        )
    return (grey > 0).astype(np.uint8)


def read_palette(path: Path, classes: int) -> np.ndarray:
    """Read a mask whose values are the classes, as a palette or grey image: uint8, shape (height, width), 255 = void.

    Raises
    ------
    FourOpticsError
        If it is a colour image, or holds a value that is no class.
    """
    image = opened(path, VOC)
    if image.mode not in ("P", "L"):
        remedy = "its colours may stand for classes, but only a palette image (mode P) says which; " + VOC
        raise FourOpticsError(f"{path}: an image of mode {image.mode}, a palette image expected; {remedy}")
    values = np.asarray(image)
    if (wrong := values[(values >= classes) & (values != IGNORE)]).size:
        raise FourOpticsError(f"{path}: holds the class {wrong[0]}, expected 0 to {classes - 1}, or {IGNORE} for void")
    return values


def _folder(folder: Path, remedy: str) -> Path:
    if not folder.is_dir():
        raise FourOpticsError(f"{folder}: no such folder; {remedy}")
    return folder


def _names(path: Path) -> list[str]:
    try:
        return list(dict.fromkeys(path.read_text(encoding="utf-8").split()))  # no name twice
    except (OSError, UnicodeDecodeError) as error:
        raise FourOpticsError(f"{path}: cannot be read ({error}); {VOC}") from None


def _listing(folder: Path, pairs: list[tuple[Path, Path]], remedy: str, groups: np.ndarray | None = None) -> Listing:
    if not pairs:
        raise FourOpticsError(f"{folder}: holds no image; {remedy}")
    for image, mask in pairs:
        if not image.is_file():
            raise FourOpticsError(f"{image}: no such image; {remedy}")
        if not mask.is_file():
            raise FourOpticsError(f"{mask}: no such mask, for the image {image.name}; {remedy}")
    count = len(pairs)
    images, masks = [image for image, _ in pairs], [mask for _, mask in pairs]
    return Listing(images, np.zeros(count, np.int64), np.arange(count) if groups is None else groups, masks)
