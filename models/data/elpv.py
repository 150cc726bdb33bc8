"""Solar cells seen by electroluminescence, sound or defective: ELPV, from the optional package elpv-dataset.

Buerhop-Lutz et al., EU PVSEC 2018, doi:10.4229/35thEUPVSEC20182018-5CV.3.15; Deitsch et al., Solar Energy 185, 455,
2019. The images are under CC BY-NC-SA 4.0 and do not come with the repository.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from fouroptics.errors import FourOpticsError
from models.data.split import Dataset, Split

CLASSES = ("sound", "defective")
NATIVE = 300  #: pixels along the side of an image
TEST, VALIDATION = 0.25, 0.15  #: shares of the cells; the others are for training


@dataclass(frozen=True, eq=False)
class Cells:
    """All 2,624 cells, in the order of the package.

    Parameters
    ----------
    images : Tensor
        Shape (N, size, size), float32, grey values 0 to 1.
    probability : Tensor
        Shape (N), float64: that the cell is defective, as an expert said: 0, 1/3, 2/3 or 1.
    kinds : tuple of str
        "mono" or "poly" crystalline, for each cell.
    """

    images: Tensor
    probability: Tensor
    kinds: tuple[str, ...]

    @property
    def labels(self) -> Tensor:
        """Class of each cell (N), int64: 1, defective, where the probability is above 1/2."""
        return (self.probability > 0.5).long()


def elpv(size: int = 64, seed: int = 0) -> Dataset:
    """Solar cells in two classes: 60 % to train, 15 % to validate, 25 % to test.

    A cell is defective if the probability that the expert gave is above 1/2. Neighbouring cells of one module may be in
    different parts, for the package does not say which cells are of one module.

    Parameters
    ----------
    size : int
        Pixels along the side, 1 to 300, the size of the files; see `shrunk`.
    seed : int
        Of the split, see `parts`.

    Raises
    ------
    FourOpticsError
        If the package is missing or damaged, or the size is out of its range.
    """
    cells = load_cells(size)
    train, validation, test = (Split(cells.images[part], cells.labels[part]) for part in parts(cells, seed))
    return Dataset("elpv", CLASSES, train, validation, test)


@lru_cache(maxsize=1)  # 0.5 GB at 224 pixels
def load_cells(size: int) -> Cells:
    """All cells at `size` x `size` pixels; the last size asked for is kept in memory."""
    if not 1 <= size <= NATIVE:
        raise FourOpticsError(f"ELPV at size = {size}: choose 1 to {NATIVE}, the pixels of its files")
    images, probability, kinds = _read()
    few = torch.from_numpy(images).split(200)
    small = torch.cat([shrunk(part.float().div_(255), size) for part in few])
    return Cells(small, torch.tensor(probability.tolist(), dtype=torch.float64), tuple(str(kind) for kind in kinds))


def parts(cells: Cells, seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """Indices of the cells to train, to validate and to test.

    Drawn by `seed` such that each pair of cell type and probability is in each part by its share, to the next cell; in
    mixed order.
    """
    drawn, chosen = torch.Generator().manual_seed(seed), ([], [], [])
    kinds = np.array(cells.kinds)
    for kind, probability in sorted(set(zip(cells.kinds, cells.probability.tolist(), strict=True))):
        group = torch.from_numpy(np.flatnonzero((kinds == kind) & (cells.probability.numpy() == probability)))
        group = group[torch.randperm(len(group), generator=drawn)]
        test, validation = round(TEST * len(group)), round(VALIDATION * len(group))
        for part, some in zip(chosen, group.split([len(group) - test - validation, validation, test]), strict=True):
            part.append(some)
    train, validation, test = (torch.cat(part)[torch.randperm(sum(map(len, part)), generator=drawn)] for part in chosen)
    return train, validation, test


def shrunk(images: Tensor, size: int) -> Tensor:
    """Square images (N, n, n) at `size` <= n pixels a side: each new pixel is the mean of the area that it covers.

    Examples
    --------
    >>> shrunk(torch.tensor([[[0.0, 1.0, 0.0], [1.0, 1.0, 1.0], [0.0, 1.0, 0.0]]]), 1).item()  # 5/9
    0.5555...
    """
    n = images.shape[-1]
    if size == n:
        return images
    edges, pixel = torch.arange(size + 1, dtype=torch.float64) * (n / size), torch.arange(n)
    covered = torch.minimum(edges[1:, None], pixel + 1) - torch.maximum(edges[:-1, None], pixel)
    weights = (covered.clamp(min=0) * (size / n)).to(images.dtype)
    return weights @ images @ weights.T


def _read() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Images (N, 300, 300) uint8, probabilities (N) and types (N) of the package."""
    install = "pip install elpv-dataset (its images are under CC BY-NC-SA 4.0: not for commercial use)"
    try:
        from elpv_dataset.utils import load_dataset  # pyright: ignore[reportMissingImports]
    except ImportError:
        raise FourOpticsError(f"ELPV needs the package elpv-dataset, which is not installed: {install}") from None
    try:
        images, probability, kinds = load_dataset()
    except (OSError, ValueError) as error:
        raise FourOpticsError(f"ELPV: the package elpv-dataset is damaged ({error}); again: {install}") from None
    if images.dtype != np.uint8 or images.shape != (len(probability), NATIVE, NATIVE):
        found = f"images of shape {images.shape} and type {images.dtype}"
        raise FourOpticsError(f"ELPV: {found}, expected ({len(probability)}, {NATIVE}, {NATIVE}) of uint8; {install}")
    return images, probability, kinds
