"""Scenes to segment, made of real parts: garments of Fashion-MNIST on solar cells, or on textures that are computed.

A scene is synthetic: nobody ever photographed garments on a solar cell. It has what the task needs, several objects of
known outline that hide parts of each other, on a background with structure of its own.
"""

from collections.abc import Iterator
from typing import Any, Literal

import numpy as np
import torch
from PIL import Image
from scipy import ndimage
from torch import Tensor

from fouroptics.errors import FourOpticsError
from models.data.elpv import elpv
from models.data.split import Dataset, Split
from models.data.subset import fashion_subset

GARMENTS = ("T-shirt", "trousers", "pullover", "dress", "coat")
SCENE_CLASSES = ("background", *GARMENTS)
COUNTS = (2_500, 300, 600)  #: scenes to train, to validate and to test
SIZES = (26 / 64, 36 / 64)  #: of a garment, as a share of the scene
OUTLINE = 12  #: grey level of 255 above which a pixel belongs to the garment

Background = Literal["cells", "texture"]


def scenes(
    size: int = 64,
    seed: int = 0,
    *,
    background: Background = "cells",
    counts: tuple[int, int, int] = COUNTS,
    garments: Dataset | None = None,
) -> Dataset:
    """Scenes of two to four garments, with the class of each pixel; the same, bit by bit, from the same seed.

    Each garment class stands in equally many scenes. A garment is 26/64 to 36/64 of the scene high and wide, may be
    mirrored, lies anywhere in the scene and hides what was laid before it. Garments and backgrounds of the three parts
    come from the three parts of their sources, so no two parts share one; within a part they are used again, at other
    places and sizes, when there are fewer than the scenes need.

    Parameters
    ----------
    size : int
        Pixels along the side of a scene; from 32, and with solar cells up to 300.
    seed : int
        Of all that is drawn.
    background : {"cells", "texture"}
        Solar cells (`models.data.elpv`, an optional package), in any of their eight orientations; or computed
        textures, see `texture`.
    counts : tuple of int
        Scenes to train, to validate and to test.
    garments : Dataset, optional
        Fashion-MNIST or a part of it; `fashion_subset()` if left out.

    Returns
    -------
    Dataset
        Labels (N, size, size): 0 is background, then `GARMENTS`.

    Raises
    ------
    FourOpticsError
        If the scenes are smaller than 32 pixels, or the solar cells are asked for and not there.
    """
    if size < 32:
        raise FourOpticsError(f"scenes of size = {size}: choose 32 or more, or the garments have no shape left")
    source = garments or fashion_subset()
    cells = elpv(size, seed) if background == "cells" else None
    drawn = np.random.default_rng(seed).spawn(3)
    made = []
    for part, count, generator in zip(("train", "validation", "test"), counts, drawn, strict=True):
        behind = None if cells is None else _bytes(getattr(cells, part).images)
        made.append(_split(source, part, behind, size, count, generator))
    return Dataset(f"scenes on {background}", SCENE_CLASSES, *made)


def texture(size: int, generator: np.random.Generator) -> np.ndarray:
    """Draw a texture (size, size) of bytes: smoothed noise of random coarseness and direction, and a few dark bars.

    Its spectrum falls off as that of natural pictures does: noise blurred by 1 to 4 pixels along one axis and by 1 to
    12 along the other, at 64 pixels a scene.
    """
    blur = np.array([generator.uniform(1, 4), generator.uniform(1, 12)]) * size / 64
    noise = ndimage.gaussian_filter(generator.standard_normal((size, size)), generator.permutation(blur), mode="wrap")
    grey = generator.uniform(100, 200) + 30 * noise / noise.std()
    for _ in range(generator.integers(1, 4)):
        at = generator.integers(size)
        grey[at : at + max(1, size // 32)] *= 0.5
    return grey.clip(0, 255).astype(np.uint8)


def _split(
    source: Dataset, part: str, cells: np.ndarray | None, size: int, count: int, generator: np.random.Generator
) -> Split:
    """Scenes of one part; what is drawn depends on nothing but the generator."""
    garments: Split = getattr(source, part)
    pictures, kinds = _bytes(garments.images), garments.labels.numpy()
    decks = [_deck(np.flatnonzero(kinds == source.classes.index(name)), generator) for name in GARMENTS]
    order = _deck(np.arange(len(GARMENTS)), generator)
    behind = None if cells is None else _deck(np.arange(len(cells)), generator)
    images, labels = np.empty((count, size, size), np.uint8), np.zeros((count, size, size), np.uint8)
    for scene, truth in zip(images, labels, strict=True):
        if cells is None or behind is None:
            scene[:] = texture(size, generator)
        else:
            cell = np.rot90(cells[next(behind)], int(generator.integers(4)))
            scene[:] = cell[:, ::-1] if generator.integers(2) else cell
        for _ in range(generator.integers(2, 5)):
            kind = next(order)
            _lay(scene, truth, pictures[next(decks[kind])], 1 + kind, generator)
    return Split(torch.from_numpy(images).float().div_(255), torch.from_numpy(labels).long())


def _lay(scene: np.ndarray, truth: np.ndarray, garment: np.ndarray, label: int, generator: np.random.Generator) -> None:
    """Lay a garment (28, 28) somewhere on the scene, in place."""
    n = len(scene)
    side = int(generator.integers(round(SIZES[0] * n), round(SIZES[1] * n), endpoint=True))
    y, x = generator.integers(0, n - side, endpoint=True, size=2)
    if generator.integers(2):
        garment = garment[:, ::-1]
    grey = np.asarray(Image.fromarray(np.ascontiguousarray(garment)).resize((side, side), Image.Resampling.BILINEAR))
    inside = np.asarray(ndimage.binary_fill_holes(grey > OUTLINE))
    scene[y : y + side, x : x + side][inside] = grey[inside]
    truth[y : y + side, x : x + side][inside] = label


def _deck(cards: np.ndarray, generator: np.random.Generator) -> Iterator[Any]:
    """Draw for ever: every card once in random order, then all again in another."""
    while True:
        yield from generator.permutation(cards)


def _bytes(images: Tensor) -> np.ndarray:
    return images.mul(255).round().byte().numpy()
