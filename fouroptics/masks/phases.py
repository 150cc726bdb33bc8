"""Phases of a panel as masks: what was not made from kernels, such as a hologram or another program's file. No torch.

A mask file has a row for each kernel; such a mask gets one row, a kernel of one tap on the axis.
"""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fouroptics.devices.panel import SLMConfig, mask_levels
from fouroptics.errors import BundleError
from fouroptics.masks.maskset import KernelTable, MaskSet


def wrapped(phase: NDArray[Any]) -> NDArray[np.float32]:
    """Phase in rad, in [0, 2 pi) as float32; what rounds up to 2 pi becomes 0."""
    turned = np.mod(phase.astype(np.float64), 2 * math.pi).astype(np.float32)
    return np.where(turned >= np.float32(2 * math.pi), np.float32(0), turned)


def for_panel(slm: SLMConfig) -> SLMConfig:
    """Return the panel as a mask file holds it, without maps and iris, if its levels stand for a phase.

    Raises
    ------
    BundleError
        If they do not.
    """
    if slm.modulation not in ("phase", "coupled"):
        raise BundleError(
            f"slm: modulation = {slm.modulation!r} shows no phase; give a panel with 'phase' or 'coupled'"
        )
    kept = set(SLMConfig.model_fields) - {"stroke_map", "flatness"}
    return SLMConfig.model_validate(slm.model_dump(include=kept))


def from_phases(
    phase: NDArray[Any],
    slm: SLMConfig,
    *,
    instrument: Mapping[str, Any] | None = None,
    provenance: Mapping[str, Any] | None = None,
    encoding: str = "imported",
) -> MaskSet:
    """Masks of given phases, with the levels that show them best.

    Each mask has one row in the table: a kernel of one tap on the axis, of which nothing is known (efficiency and
    correlation 0, error 1). `measure.with_report` says what it does on a bench.

    Parameters
    ----------
    phase : numpy.ndarray
        (M, H, W), real, in rad, any range.
    slm : SLMConfig
        The panel, H x W pixels; its maps are left out, no driver makes up for them.
    instrument, provenance : mapping, optional
        As of a `MaskSet`.
    encoding : str
        Where the phases come from.

    Raises
    ------
    BundleError
        If they are not finite or do not fit the panel, or it shows no phase.
    """
    phase, slm = np.asarray(phase), for_panel(slm)
    if phase.dtype.kind not in "iuf" or phase.ndim != 3 or phase.shape[1:] != slm.shape or not len(phase):
        raise BundleError(f"phase {phase.shape}, {phase.dtype}: give real (M, {slm.shape[0]}, {slm.shape[1]}) in rad")
    for i, frame in enumerate(phase):
        if not np.isfinite(frame).all():
            raise BundleError(f"phase: mask {i} is not finite everywhere; mend what made it")
    shown = np.stack([wrapped(frame) for frame in phase])
    gray = np.stack([mask_levels(slm, frame) for frame in shown])
    return MaskSet(shown, gray, _single_taps(len(phase)), slm, instrument or {}, provenance or {}, encoding, "on_axis")


def _single_taps(count: int) -> KernelTable:
    one, none = np.ones(count), np.zeros(count)
    return KernelTable(
        mask=np.arange(count),
        out_channel=np.arange(count),
        in_channel=none,
        sign=none,
        pair=-one,
        tile=np.zeros((count, 2)),
        carrier=np.zeros((count, 2)),
        weight=np.ones((count, 1, 1)),
        scale=one,
        efficiency=none,
        error=one,
        correlation=none,
    )
