"""Files beside the mask file: frames for the SLM computer with exactly the grey levels, kernels. Imports no torch."""

import io
import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fouroptics.devices.panel import OrientationConfig
from fouroptics.errors import BundleError, FourOpticsError
from fouroptics.masks.maskset import MaskSet


def write_whole(path: Path, content: bytes) -> None:
    """Write a file whole or not at all: to ``.partial`` beside it, then renamed. Its folder is made if need be."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.partial")
    try:
        partial.write_bytes(content)
        os.replace(partial, path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def png(gray: NDArray[Any]) -> bytes:
    """Greyscale PNG of the levels (height, width) as they are, not stretched: 8 bit for uint8, 16 bit for uint16."""
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(gray.astype(gray.dtype.newbyteorder("<"))).save(file, format="PNG")
    return file.getvalue()


def oriented(gray: NDArray[Any], orientation: OrientationConfig) -> NDArray[Any]:
    """Frame (height, width) as the device wants it: flipped, then turned; the only place where that is done."""
    gray = gray[:, ::-1] if orientation.fliplr else gray
    gray = gray[::-1] if orientation.flipud else gray
    return np.rot90(gray, orientation.rot90)


def frames(masks: MaskSet, folder: str | Path, *, overwrite: bool = False) -> list[Path]:
    """Write ``mask_000.png``, ``mask_001.png``, ...: the grey levels of the masks, as the device wants them.

    They are turned as the panel's `orientation` says, in the order of its fields.

    Parameters
    ----------
    masks : MaskSet
        M masks of H x W pixels.
    folder : str or Path
        Made if it is not there.
    overwrite : bool
        Whether mask images that are already there may be replaced.

    Returns
    -------
    list of Path
        The M files.

    Raises
    ------
    BundleError
        If the folder holds mask images and `overwrite` is not set; nothing is written then.
    OSError
        If the folder cannot be written.
    """
    folder = Path(folder)
    present = sorted(folder.glob("mask_*.png"))
    if present and not overwrite:
        raise BundleError(
            f"{folder}: {present[0].name} is already there; choose another folder, or overwrite it (--force)"
        )
    images = [
        png(oriented(gray, masks.slm.orientation)) for gray in masks.gray
    ]  # all are made before the first is written
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"mask_{i:03}.png" for i in range(len(images))]
    for path, image in zip(paths, images, strict=True):
        write_whole(path, image)
    return paths


def read_kernels(path: str | Path) -> NDArray[Any]:
    """Array ``kernels`` of an npz file.

    Raises
    ------
    FourOpticsError
        If the file is missing, is no npz file or holds no such array.
    """
    remedy = "write it with np.savez(path, kernels=...)"
    try:
        with np.load(io.BytesIO(Path(path).read_bytes()), allow_pickle=False) as file:
            return file["kernels"]
    except FileNotFoundError:
        raise FourOpticsError(f"{path}: is not there; check the path, or {remedy}") from None
    except KeyError:
        raise FourOpticsError(f"{path}: holds no array 'kernels'; {remedy}") from None
    except Exception:  # another kind of file, cut short, pickled: numpy has one for each
        raise FourOpticsError(f"{path}: is no npz file of numbers, or is damaged; {remedy}") from None
