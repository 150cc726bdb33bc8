"""Phases added to masks that are made: a blazed grating, Zernike terms, a correction of the panel."""

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from fouroptics.bench.aberrations import aberrate
from fouroptics.devices.panel import mask_levels
from fouroptics.errors import BundleError
from fouroptics.light.field import Field
from fouroptics.light.grid import Grid, Pair
from fouroptics.masks.maskset import KernelTable, MaskSet
from fouroptics.masks.phases import for_panel, wrapped


def corrected(
    masks: MaskSet,
    *,
    blaze: tuple[float, float] = (0.0, 0.0),
    zernike: Mapping[int, float] | None = None,
    radius: float | None = None,
    center: Pair = (0.0, 0.0),
    phase: NDArray[Any] | None = None,
) -> MaskSet:
    """Masks with a phase added, and the levels that show the sum best.

    All is added: to cancel an aberration, or the phase of a panel that is not flat, give its opposite. The report of
    the masks stays as it was compiled; `measure.with_report` makes that on a bench. Corrections are listed in the
    provenance, under ``corrections``.

    Parameters
    ----------
    masks : MaskSet
        The masks, of a panel whose levels stand for a phase.
    blaze : tuple of float
        Cycles per pixel (y, x); positive ones move the light to positive y and x in the camera plane. The windows of
        kernels move along, by whole image pixels.
    zernike : mapping, optional
        ``{j: rad RMS}``, Noll's modes over a disk; see `aberrate`.
    radius : float, optional
        Of that disk in metres; left out, half the shorter side of the panel.
    center : tuple of float
        Of that disk (y, x) in metres from the middle of the panel.
    phase : numpy.ndarray, optional
        (H, W) in rad, what a vendor's correction says to add; see `read_hamamatsu`, `read_santec`.

    Returns
    -------
    MaskSet
        As many masks, for the same panel.

    Raises
    ------
    BundleError
        If the panel shows no phase, the phase does not fit it, or a blaze moves windows by parts of an image pixel,
        beyond the first order, or of several wavelengths.
    GeometryError
        If a Zernike term or the radius is none.

    Warns
    -----
    SamplingWarning
        If the Zernike terms are too steep for the pixels.
    """
    slm, kernels = for_panel(masks.slm), _moved(masks, blaze)
    added, said = np.zeros(slm.shape), []
    y, x = (np.arange(n) - n // 2 for n in slm.shape)
    if any(blaze):
        added = added + 2 * np.pi * (blaze[0] * y[:, None] + blaze[1] * x)
        said.append(f"blaze {float(blaze[0])!r}, {float(blaze[1])!r} cycles/px")
    if zernike:
        radius = min(slm.shape) * slm.pitch / 2 if radius is None else radius
        light = Field(torch.ones(slm.shape, dtype=torch.float64), Grid(slm.shape, slm.pitch), 1.0)  # of any wavelength
        added = added + aberrate(light, zernike, radius, center).phase.numpy()
        terms = ", ".join(f"{j}: {float(a)!r} rad" for j, a in sorted(zernike.items()))
        said.append(f"Zernike terms {terms} over a radius of {float(radius)!r} m about {tuple(map(float, center))}")
    if phase is not None:
        added = added + _fitting(phase, slm.shape)
        digest = hashlib.sha256(np.ascontiguousarray(phase, "<f8").tobytes()).hexdigest()
        said.append(f"phase with SHA-256 {digest}")
    if not said:
        return masks
    shown = np.stack([wrapped(frame + added) for frame in masks.phase])
    return replace(
        masks,
        phase=shown,
        gray=np.stack([mask_levels(slm, frame) for frame in shown]),
        kernels=kernels,
        provenance={**masks.provenance, "corrections": [*masks.provenance.get("corrections", []), *said]},
    )


def _fitting(phase: NDArray[Any], shape: tuple[int, int]) -> NDArray[np.float64]:
    phase = np.asarray(phase)
    if phase.dtype.kind not in "iuf" or phase.shape != shape or not np.isfinite(phase).all():
        raise BundleError(f"phase {phase.shape}, {phase.dtype}: give finite numbers (H, W) = {shape} in rad")
    return phase.astype(np.float64)


def _moved(masks: MaskSet, blaze: tuple[float, float]) -> KernelTable:
    """Table of kernels whose windows a blaze has moved, by ``band * blaze`` image pixels."""
    if not np.isfinite(blaze).all() or np.shape(blaze) != (2,):
        raise BundleError(f"blaze = {blaze}: give two finite numbers (y, x) in cycles per pixel")
    table, move = masks.kernels, np.array(blaze)
    carrier = table.carrier + move
    if not move.any():
        return table
    if table.wavelength is not None:
        raise BundleError(f"blaze = {blaze}: moves the windows of each wavelength differently; compile the masks again")
    if np.abs(carrier).max() > 0.5:
        raise BundleError(
            f"blaze = {blaze}: moves a window to {np.abs(carrier).max():.3g} cycles per pixel, beyond the first order "
            "of the panel, which ends at 0.5; take a weaker one"
        )
    band = _band(masks)
    if band is None:  # no image pixels are known, so there are no windows to move
        return replace(table, carrier=carrier)
    pixels = np.round(move * band)
    if np.abs(pixels - move * band).max() > 1e-3:
        near = ", ".join(f"{part:.8g}" for part in pixels / band)
        steps = ", ".join(f"{part:.4g}" for part in move * band)
        raise BundleError(f"blaze = {blaze}: moves windows by {steps} image pixels, not by whole ones; take ({near})")
    return replace(table, carrier=carrier, tile=table.tile + pixels.astype(np.int32), crop=None)


def _band(masks: MaskSet) -> float | None:
    """Panel pixels in one band of the input, ``lambda f1 / (p p')``, if the masks say for which bench they are."""
    beam, optics = masks.instrument.get("beam", {}), masks.instrument.get("optics", {})
    known = beam.get("incident_wavelength"), optics.get("f1"), optics.get("input_pitch")
    return None if None in known else known[0] * known[1] / (known[2] * masks.slm.pitch)
