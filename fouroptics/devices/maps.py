"""What a panel has for each level or pixel, from files: tables of phases and maps. Imports no torch."""

import math
import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fouroptics.errors import ConfigError


def read_table(path: Path) -> tuple[float, ...]:
    """Phases in rad of the levels 0, 1, 2, ... from a CSV file of two columns, grey and phase; a header may come first.

    Raises
    ------
    ValueError
        If a row is no such pair, or not the next level; the message names file and row.
    """
    phases: list[float] = []
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: no text file ({error})") from None
    for number, line in enumerate(lines, 1):
        cells = re.split(r"[,;\s]+", line.strip().rstrip(",;"))
        if cells == [""] or line.startswith("#"):
            continue
        try:
            grey, phase = map(float, cells)
        except ValueError:
            if not phases and not re.match(r"\s*[-+.\d]", line):
                continue  # the header
            raise ValueError(f"{path}, row {number}: {line!r} is not a grey level and a phase in rad") from None
        if grey != len(phases) or not math.isfinite(phase):
            raise ValueError(f"{path}, row {number}: {line!r}; give grey {len(phases)} and its phase in rad, finite")
        phases.append(phase)
    return tuple(phases)


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
