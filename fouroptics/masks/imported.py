"""Masks that slmsuite saved, as a mask set. Imports no torch."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fouroptics.devices.corrections import read_slmsuite_frame
from fouroptics.devices.panel import SLMConfig, mask_levels, shown_phase
from fouroptics.errors import BundleError
from fouroptics.masks.export import upright
from fouroptics.masks.maskset import MaskSet
from fouroptics.masks.phases import for_panel, from_phases, wrapped


def from_slmsuite(paths: Iterable[str | Path], slm: SLMConfig, instrument: Mapping[str, Any] | None = None) -> MaskSet:
    """Make a mask set of files of ``SLM.save_phase``, a mask each, in this order.

    The kernels behind them are not known: the table has what `phases.from_phases` puts there.

    Parameters
    ----------
    paths : iterable of str or Path
        Files with ``phase`` and ``display``, as the device takes them: the panel's `orientation` is undone.
    slm : SLMConfig
        The panel.
    instrument : dict, optional
        The bench, as `MaskSet.instrument`.

    Raises
    ------
    BundleError
        If a frame has not the size of the panel, or its levels are not those of its phase on it.
    FourOpticsError
        If a file is none of slmsuite's, or is damaged.
    """
    files, slm = [Path(path) for path in paths], for_panel(slm)
    origin = {"program": "slmsuite", "files": [path.name for path in files]}
    return from_phases(np.stack([_phase(path, slm) for path in files]), slm, instrument=instrument, provenance=origin)


def _phase(path: Path, slm: SLMConfig) -> NDArray[np.float32]:
    """Phase in [0, 2 pi) whose levels are those of the file."""
    phase, gray = (upright(frame, slm.orientation) for frame in read_slmsuite_frame(path))
    if gray.shape != slm.shape:
        raise BundleError(f"{path}: {gray.shape} pixels (height, width), the panel {slm.name!r} has {slm.shape}")
    stated = mask_levels(slm, phase.astype(np.float32))
    if ((gray - stated.astype(int)) % 2**slm.bits == 1).all():  # slmsuite 0.5 after an upload of levels: one too low
        return shown_phase(slm, gray)
    unequal = int(np.count_nonzero(stated != gray))
    if unequal:
        raise BundleError(
            f"{path}: {unequal} of {gray.size} levels are not those of its phase on {slm.name!r} ({slm.bits} bit, "
            f"{slm.grey!r}); save it without a correction (phase_correct=False), from a panel with the table and the "
            "bit depth of the bench file"
        )
    turned = wrapped(phase)
    tie = mask_levels(slm, turned) != gray  # midway between two levels, and rounded otherwise once it is wrapped
    return np.where(tie, shown_phase(slm, gray), turned)
