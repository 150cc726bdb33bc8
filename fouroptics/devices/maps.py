"""What a panel has for each pixel, from files. Imports no torch."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fouroptics.errors import ConfigError


def read_map(path: Path) -> NDArray[np.float64]:
    """Map (H, W) of a panel from a ``.npy`` file.

    Raises
    ------
    ConfigError
        If the file holds no array of real, finite numbers.
    """
    try:
        values = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise ConfigError(f"{path}: no array ({error}); write it with numpy.save") from None
    if not isinstance(values, np.ndarray) or values.dtype.kind not in "iuf" or not np.isfinite(values).all():
        raise ConfigError(f"{path}: give one array of real, finite numbers, written with numpy.save")
    return values.astype(np.float64)
