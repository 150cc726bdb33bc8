"""From the name of a set to its three parts: the table ``[data]`` of a recipe."""

import math
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import torch
from pydantic import BeforeValidator, Field, PlainSerializer, ValidationInfo

from fouroptics.config import FileConfig
from fouroptics.errors import FourOpticsError
from models.data.cifar import cifar10
from models.data.elpv import NATIVE, elpv
from models.data.folders import class_folders
from models.data.idx import fashion_mnist, mnist
from models.data.listing import Listing, Source, first, mixed, set_aside
from models.data.masked import carvana, voc2012
from models.data.pictures import Aspect, plane, read
from models.data.scenes import COUNTS, Background, scenes
from models.data.split import Dataset, Split
from models.data.subset import subset_source

Name = Literal["fashion-subset", "fashion-mnist", "mnist", "cifar10", "folders", "carvana", "voc2012", "elpv", "scenes"]
Count = Annotated[int, Field(strict=True, ge=0)]
GIB = 2**30
MEMORY = 24 * GIB  # bytes; the most that the images and masks of a set may take


def _from_here(value: Any, info: ValidationInfo) -> Path:
    """A path in a file counts from the folder of the file."""
    if not isinstance(value, str | Path) or not str(value):
        raise ValueError(f"{value!r} is not the path of a folder")
    return (Path(info.context or "").parent / Path(value).expanduser()).absolute()


class DataConfig(FileConfig):
    """Which images, how many and how large; the table ``[data]`` of a recipe.

    Parameters
    ----------
    name : str
        ``fashion-subset`` (comes with the repository), ``fashion-mnist``, ``mnist``, ``cifar10``, ``carvana``,
        ``voc2012``, ``folders`` (image files, one folder a class), ``elpv`` (solar cells, optional package) or
        ``scenes`` (garments before solar cells or textures).
    folder : Path, optional
        Where its files are; a relative path counts from the folder of the recipe. ``fashion-mnist`` looks where the
        Debian package has them if it is left out; the bundled set, ELPV and the scenes have none.
    size : int, optional
        Height and width in pixels, 28 to 1024; if left out, as in the files, and 64 for scenes.
    colour : bool
        Whether images have the three channels red, green and blue, or one grey one.
    aspect : {"crop", "pad"}
        How an image that is not square becomes so: the ends of its longer side are cut, or its shorter side gets black
        bars, whose pixels a mask ignores.
    train : int, optional
        Number of training images, of each class by its share; all that the other parts leave if left out. With one
        seed, those of a smaller number are among those of a larger one.
    validation : int, optional
        Number of validation images; if left out, the whole part that a set has for it (the bundled images, ELPV, the
        scenes), or a twelfth of the official training part (5,000 of 60,000). 0 leaves none; an official training
        part is whole then.
    test : int, optional
        Number of test images; if left out, the official test part, or a fifth of the images where there is none.
    background : {"cells", "texture"}
        Of the scenes.
    seed : int
        Of all that is drawn.
    """

    name: Name = "fashion-subset"
    folder: Annotated[Path, BeforeValidator(_from_here), PlainSerializer(str, when_used="json")] | None = None
    size: Annotated[int, Field(strict=True, ge=28, le=1024)] | None = None
    colour: bool = False
    aspect: Aspect = "crop"
    train: Annotated[Count, Field(ge=1)] | None = None
    validation: Count | None = None
    test: Annotated[Count, Field(ge=1)] | None = None
    background: Background = "cells"
    seed: Annotated[int, Field(strict=True, ge=0, lt=2**32)] = 0

    def fault(self) -> str | None:
        """Say which key is missing, and which is idle."""
        if self.folder is None and self.name in ("mnist", "cifar10", "folders", "carvana", "voc2012"):
            return f"folder: missing; name = {self.name!r} needs the folder of its files"
        if self.folder is not None and self.name in ("fashion-subset", "elpv", "scenes"):
            return f"folder = {str(self.folder)!r}: name = {self.name!r} has no folder; leave it out"
        if self.colour and self.name in ("elpv", "scenes"):
            return f"colour = true: name = {self.name!r} is grey; leave it out"
        return None


def load(config: DataConfig) -> Dataset:
    """Load a set in three parts that share no image.

    Parameters
    ----------
    config : DataConfig
        What to load.

    Returns
    -------
    Dataset
        The test part is the official one where there is one, and the validation part is drawn from the training part.

    Raises
    ------
    FourOpticsError
        If a file is missing, damaged or of another kind, if there are fewer images than asked for, or if they do not
        fit the memory; no image file has been read then.

    Examples
    --------
    >>> small = load(DataConfig(name="fashion-subset", size=32, train=500))
    >>> small.train.images.shape, small.train.labels.bincount().unique()
    (torch.Size([500, 32, 32]), tensor([50]))
    """
    folder = config.folder or Path()  # `fault` has seen to it that it is there where it is needed
    match config.name:
        case "elpv":
            return fewer(elpv(config.size or NATIVE, config.seed), config)
        case "scenes":
            return made_scenes(config)
        case "fashion-subset":
            source = subset_source()
        case "fashion-mnist":
            source = fashion_mnist(config.folder)
        case "mnist":
            source = mnist(folder)
        case "cifar10":
            source = cifar10(folder)
        case "folders":
            source = class_folders(folder)
        case "carvana":
            source = carvana(folder)
        case "voc2012":
            source = voc2012(folder)
    parts = parted(source, config)
    shape = (config.size, config.size) if config.size else plane(parts[0])
    check_memory(sum(map(len, parts)), shape, colour=config.colour, masks=source.read_mask is not None)
    one = partial(read, shape=shape, resize=config.size is not None, colour=config.colour, aspect=config.aspect)
    train, validation, test = (one(part, read_mask=source.read_mask) for part in parts)
    return Dataset(source.name, source.classes, train, validation, test)


def parted(source: Source, config: DataConfig) -> tuple[Listing, Listing, Listing]:
    """Part a set in training, validation and test images.

    What has no part of its own is drawn from the training part, in one mixed order: the training images from its start,
    the test images from its end, the validation images before them. So the first training images stay the same for any
    number of validation images.

    Raises
    ------
    FourOpticsError
        If there are fewer images than asked for.
    """
    whole, seed = source.train, config.seed
    order = mixed(whole.labels, whole.groups, seed)
    if source.test is None:
        count = len(order) // 5 if config.test is None else config.test
        order, aside = set_aside(order, whole.groups, count, "test")
        test = whole.take(aside)
    else:
        test = few(source.test, config.test, seed, "test")
    if source.validation is None:
        count = len(order) // 12 if config.validation is None else config.validation
        order, aside = set_aside(order, whole.groups, count, "validation")
        validation = whole.take(aside)
    else:
        validation = few(source.validation, config.validation, seed, "validation")
    return whole.take(first(order, config.train, "train")), validation, test


def few(listing: Listing, count: int | None, seed: int, part: str) -> Listing:
    """Take `count` images of a part that the set has itself, of each class by its share."""
    return listing.take(first(mixed(listing.labels, listing.groups, seed), count, part))


def fewer(dataset: Dataset, config: DataConfig) -> Dataset:
    """Take as many images of a set in memory as are asked for."""

    def chosen(split: Split, part: str, count: int | None) -> Split:
        indices = first(mixed(split.labels.numpy(), np.arange(len(split)), config.seed), count, part)
        return Split(split.images[indices], split.labels[indices])

    return replace(
        dataset,
        train=chosen(dataset.train, "train", config.train),
        validation=chosen(dataset.validation, "validation", config.validation),
        test=chosen(dataset.test, "test", config.test),
    )


def made_scenes(config: DataConfig) -> Dataset:
    """Make as many scenes as are asked for."""
    asked, size = (config.train, config.validation, config.test), config.size or 64
    train, validation, test = (usual if count is None else count for count, usual in zip(asked, COUNTS, strict=True))
    check_memory(train + validation + test, (size, size), masks=True)
    return scenes(size, config.seed, background=config.background, counts=(train, validation, test))


def check_memory(count: int, shape: tuple[int, int], *, colour: bool = False, masks: bool = False) -> None:
    """Refuse images and masks that take more than `MEMORY`, or more than the machine has free.

    Raises
    ------
    FourOpticsError
        The message has the memory that is needed and that is there.
    """
    pixel = torch.float32.itemsize * (3 if colour else 1) + (torch.int64.itemsize if masks else 0)
    needed, room = count * math.prod(shape) * pixel, min(MEMORY, free_memory())
    if needed > room:
        raise FourOpticsError(
            f"{count:,} images of {shape[0]} x {shape[1]} pixels take {needed / GIB:.1f} GiB, {room / GIB:.1f} GiB are "
            "there; lower size, train or test, or set colour = false"
        )


def free_memory() -> float:
    """Bytes that the system can still give away; infinite where it does not say so."""
    try:
        fields = dict(line.split(":") for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines())
        return int(fields["MemAvailable"].split()[0]) * 1024
    except (OSError, KeyError, ValueError):
        return float("inf")
