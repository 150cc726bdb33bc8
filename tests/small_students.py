"""Students of 8 x 8 images, a bench for each readout, and the masks of their kernels; for several test files."""

from functools import lru_cache
from typing import Any

import torch
from conftest import bench_data

import fouroptics as fo
from fouroptics.masks.compiler import from_kernels
from fouroptics.masks.maskset import MaskSet
from models.incoherent import split_masks
from models.student import Student, StudentConfig

PAIR = {"readout": {"kind": "reference_pair"}, "reference": {"power": "auto"}}
WAYS: dict[str, dict[str, Any]] = {
    "intensity": {},
    "reference_pair": PAIR,
    "four_step": PAIR | {"readout": {"kind": "four_step"}},
    "split": {"readout": {"kind": "split"}, "light": {"coherence": "incoherent"}},
}
SMALL: dict[str, Any] = {"size": 8, "depth": 1, "outputs": 4, "pool": 2, "hidden": 8}


def make_student(readout: Any = "intensity", **fields: Any) -> Student:
    torch.manual_seed(0)
    return Student(StudentConfig(readout=readout, **fields)).eval()


def some_images(count: int, *shape: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(count, *(shape or (8, 8)), generator=torch.Generator().manual_seed(seed))


@lru_cache(maxsize=1)
def coherent_masks() -> MaskSet:
    """Of the student of `SMALL`, whatever its display and readout."""
    return from_kernels(make_student(**SMALL).collapse(), fo.FourF(bench_data()), light=0.05)


@lru_cache(maxsize=1)
def incoherent_masks() -> MaskSet:
    """Of the same kernels, for incoherent light."""
    return split_masks(make_student(**SMALL).collapse(), fo.FourF(bench_data(WAYS["split"])), light=0.05)
