"""Pictures, read one at a time and brought to a common size."""

import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from PIL import Image, ImageOps

from fouroptics.errors import FourOpticsError
from models.data.listing import Listing
from models.data.split import IGNORE, Split

Aspect = Literal["crop", "pad"]
DAMAGE = (OSError, EOFError, SyntaxError, ValueError, struct.error, zlib.error, Image.DecompressionBombError)


def opened(path: Path, remedy: str = "fetch it again, or remove it") -> Image.Image:
    """Read an image file whole.

    Raises
    ------
    FourOpticsError
        If it is missing or damaged, or grey with more than 8 bits.
    """
    try:
        with Image.open(path) as image:
            image.load()
    except DAMAGE as error:
        raise FourOpticsError(f"{path}: cannot be read as an image ({error}); {remedy}") from None
    if image.mode[0] in "IF":
        raise FourOpticsError(f"{path}: an image of mode {image.mode}; expected 8 bits a channel; convert it")
    return image


def plane(listing: Listing) -> tuple[int, int]:
    """Height and width of the first image; of a file only the header is read."""
    first = listing.images[0]
    if isinstance(first, np.ndarray):
        return first.shape[0], first.shape[1]
    try:
        with Image.open(first) as image:
            return image.height, image.width
    except DAMAGE as error:
        raise FourOpticsError(f"{first}: cannot be read as an image ({error}); fetch it again") from None


def framed(image: Image.Image, shape: tuple[int, int], aspect: Aspect, *, mask: bool = False) -> Image.Image:
    """Bring an image to `shape` (height, width): Lanczos filter over the area, the nearest pixel for a mask.

    What is not of the wanted aspect ratio is cut at its longer side, evenly at both ends (``"crop"``), or gets black
    bars at its shorter side, which a mask ignores (``"pad"``).
    """
    size = shape[1], shape[0]
    if image.size == size:
        return image
    filtering = Image.Resampling.NEAREST if mask else Image.Resampling.LANCZOS
    if aspect == "crop":
        return ImageOps.fit(image, size, filtering)
    return ImageOps.pad(image, size, filtering, color=IGNORE if mask else 0)


def read(
    listing: Listing,
    shape: tuple[int, int],
    *,
    resize: bool,
    colour: bool,
    aspect: Aspect,
    read_mask: Callable[[Path], np.ndarray] | None = None,
) -> Split:
    """Read all images of a listing, and their masks.

    Parameters
    ----------
    listing : Listing
        What to read; may be empty.
    shape : tuple of int
        Height and width.
    resize : bool
        Whether an image of another shape is brought to it by `framed`, or refused.
    colour : bool
        Whether the images are read as RGB or as grey (ITU-R 601 luma).
    aspect : {"crop", "pad"}
        For `framed`.
    read_mask : callable, optional
        File of a mask -> classes of its pixels, uint8, shape (height, width).

    Raises
    ------
    FourOpticsError
        If a file is missing or damaged, an image has another shape, or a mask has another shape than its image.
    """
    images = np.empty((len(listing), *((3,) if colour else ()), *shape), np.float32)
    labels = listing.labels if listing.masks is None else np.empty((len(listing), *shape), np.int64)
    for index, item in enumerate(listing.images):
        if isinstance(item, np.ndarray) and item.shape == shape and not colour:
            images[index] = item  # as it is: 10 times faster for 60,000 small images
            continue
        picture = Image.fromarray(item) if isinstance(item, np.ndarray) else opened(item)
        if picture.mode == "P":  # with transparent colours Pillow warns of any other way
            picture = picture.convert("RGBA")
        found = picture.height, picture.width
        if not resize and found != shape:
            sizes = f"{found[0]} x {found[1]} pixels (y, x), the first image has {shape[0]} x {shape[1]}"
            raise FourOpticsError(f"{item}: {sizes}; give size")
        pixels = np.asarray(framed(picture.convert("RGB" if colour else "L"), shape, aspect))
        images[index] = pixels.transpose(2, 0, 1) if colour else pixels
        if listing.masks is not None and read_mask is not None:
            path = listing.masks[index]
            mask = read_mask(path)
            if mask.shape != found:
                sizes = f"{mask.shape[0]} x {mask.shape[1]} pixels (y, x), its image has {found[0]} x {found[1]}"
                raise FourOpticsError(f"{path}: {sizes}; fetch both again")
            labels[index] = np.asarray(framed(Image.fromarray(mask), shape, aspect, mask=True))
    return Split(torch.from_numpy(images).div_(255), torch.from_numpy(labels))
