"""Holograms: phase masks for an intensity in the far field."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fouroptics.bench.fourf import FourF
from fouroptics.errors import GeometryError
from fouroptics.light.grid import Grid
from fouroptics.masks.maskset import MaskSet
from fouroptics.masks.measure import instrument
from fouroptics.masks.phases import from_phases
from fouroptics.waves.transforms import fft2, ifft2, phasor


def gerchberg_saxton(target: Tensor, iterations: int = 50, *, start: Tensor | None = None, seed: int = 0) -> Tensor:
    """Phase mask whose far field has a wanted amplitude, by iteration between the two planes.

    R. W. Gerchberg and W. O. Saxton, Optik 35, 237 (1972), for a uniform mask: keep the phase, put in the amplitude,
    there and back. The overlap of the far field's amplitude with the target never falls.

    Parameters
    ----------
    target : torch.Tensor
        Wanted amplitude in the back focal plane of a lens, real (ny, nx), not negative, zero order at sample n//2 as
        on the default grid of `fourier_lens`; any scale.
    iterations : int
        How often.
    start : torch.Tensor, optional
        First phase of the mask in rad, (ny, nx); left out, random.
    seed : int
        Of the random start.

    Returns
    -------
    torch.Tensor
        Phase of the mask in rad, (ny, nx), in (-pi, pi].

    Raises
    ------
    GeometryError
        If the target is no amplitude, or `start` has another shape.
    """
    if target.ndim != 2 or target.is_complex() or not bool((target >= 0).all()) or not bool((target > 0).any()):
        raise GeometryError(f"target {tuple(target.shape)}: give real amplitudes (ny, nx), none negative, not all zero")
    if start is None:
        random = torch.rand(target.shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
        start = (2 * torch.pi * random).to(target)
    if start.shape != target.shape:
        raise GeometryError(f"start {tuple(start.shape)} does not have the shape of the target, {tuple(target.shape)}")
    # Where the mask starts turns the phase of the far field alone, so only the target is put into FFT order.
    amplitude = target.roll([-(n // 2) for n in target.shape], (0, 1))
    wave = torch.polar(torch.ones_like(start), start)
    for _ in range(iterations):
        far = fft2(wave)
        torch.sgn(far, out=far)
        far *= amplitude
        wave = ifft2(far)
        torch.sgn(wave, out=wave)
    return wave.angle()


@dataclass(frozen=True, eq=False)
class SpotArray:
    """A phase mask for spots, and the light in each of them.

    Attributes
    ----------
    phase : torch.Tensor
        Phase of the mask in rad, float64 (ny, nx), in (-pi, pi].
    power : torch.Tensor
        (S) fraction of the light on the mask that goes into each spot, before the phase is rounded to levels.
    weights : torch.Tensor
        (S) power that was wanted, relative to that of the others.
    """

    phase: Tensor
    power: Tensor
    weights: Tensor

    @property
    def efficiency(self) -> float:
        """Fraction of the light on the mask that goes into all spots together."""
        return float(self.power.sum())

    @property
    def uniformity(self) -> float:
        """Uniformity ``1 - (max - min) / (max + min)`` of power over weight; 1 is best."""
        relative = self.power / self.weights
        return float(1 - (relative.max() - relative.min()) / (relative.max() + relative.min()))

    @property
    def deviation(self) -> float:
        """Standard deviation of power over weight, as a fraction of their mean."""
        relative = self.power / self.weights
        return float(relative.std(correction=0) / relative.mean())

    def __str__(self) -> str:
        return (
            f"{len(self.power)} spots: efficiency {self.efficiency:.2%}, uniformity {self.uniformity:.4f}, "
            f"deviation {self.deviation:.2%}"
        )


def spots(
    places: Any, panel: tuple[int, int] | FourF, weights: Any = None, *, iterations: int = 50, seed: int = 0
) -> SpotArray:
    """Phase mask that sends the light into spots, at any places, by the weighted Gerchberg-Saxton algorithm.

    The mask is the phase of a weighted sum of gratings, one a spot; each round makes the weights of weak spots larger
    and, in the first half, takes the phases that the spots then have (R. Di Leonardo, F. Ianni and G. Ruocco, Opt.
    Express 15, 1913, 2007). Held from there on, as by D. Kim et al., Opt. Lett. 44, 3178 (2019), the weights converge.
    The sums run over the spots, not over a grid of the far field: a place between the samples of an FFT is as good as
    one on them, and one spot is a blazed grating exactly.

    Parameters
    ----------
    places : array_like
        (S, 2) places (y, x): for a panel in cycles per pixel, for a bench in the camera plane in metres from the axis.
        The light that a panel does not diffract lies on the axis.
    panel : tuple of int or FourF
        Pixels (ny, nx) of a mask, evenly lit; or a bench, whose mask is lit by one pixel in the middle of the display,
        with the envelope of its panel's pixels made up for.
    weights : array_like, optional
        (S) wanted powers, in any unit; left out, all the same.
    iterations : int
        Rounds.
    seed : int
        Of the random phases at the start.

    Returns
    -------
    SpotArray
        The mask on the panel's pixels or on ``bench.fourier_grid``, and what comes of it.

    Raises
    ------
    GeometryError
        If places, weights or pixels are none or not finite, a place is beyond the panel's first order, or two are
        closer than the panel resolves.

    Examples
    --------
    >>> import fouroptics as fo
    >>> fo.masks.hologram.spots([(0.1, 0.2), (0.1, -0.2), (-0.15, 0.0)], (256, 256)).uniformity > 0.999
    True
    """
    shape = panel.fourier_grid.shape if isinstance(panel, FourF) else Grid(panel, 1.0).shape
    turns, wanted = _checked_spots(places, panel, weights, shape)
    light, envelope = _lit(panel, turns)
    (rows, row), (columns, column) = (turns[:, axis].unique(return_inverse=True) for axis in (0, 1))
    waves = [
        phasor(part[:, None] * (torch.arange(n, dtype=torch.float64) - n // 2))
        for part, n in zip((rows, columns), shape, strict=True)
    ]

    def mask(amplitudes: Tensor) -> Tensor:
        each = amplitudes.new_zeros(len(rows), len(columns)).index_put((row, column), amplitudes)
        return (torch.linalg.multi_dot([waves[0].T, each, waves[1]]) * light).angle()

    def seen(phase: Tensor) -> Tensor:
        shown = torch.polar(light.abs(), phase + (light < 0) * torch.pi)
        each = torch.linalg.multi_dot([waves[0].conj(), shown, waves[1].mH])
        return each[row, column] * envelope / light.abs().sum()

    phases = 2 * torch.pi * torch.rand(len(turns), generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    amplitudes = torch.polar(wanted.sqrt() / envelope, phases - phases[0])
    for step in range(iterations):
        spot = seen(mask(amplitudes))
        relative = spot.abs() / wanted.sqrt()
        phases = spot.angle() if 2 * step < iterations else amplitudes.angle()
        amplitudes = torch.polar(amplitudes.abs() * (relative.mean() / relative), phases)
    phase = mask(amplitudes)
    return SpotArray(phase, seen(phase).abs().square(), wanted)


def _checked_spots(
    places: Any, panel: tuple[int, int] | FourF, weights: Any, shape: tuple[int, int]
) -> tuple[Tensor, Tensor]:
    """Places (S, 2) in cycles per pixel, and wanted powers (S) of sum 1."""
    try:
        at = torch.as_tensor(places, dtype=torch.float64)
        wanted = torch.ones(len(at)) if weights is None else torch.as_tensor(weights)
    except (TypeError, ValueError) as error:
        raise GeometryError(f"places or weights are no arrays of numbers ({error}); give (S, 2) and (S)") from None
    if at.ndim != 2 or at.shape[1] != 2 or not len(at) or not bool(at.isfinite().all()):
        raise GeometryError(f"places {tuple(at.shape)}: give finite (S, 2), the place (y, x) of one spot or more")
    wanted = wanted.double()
    if wanted.shape != at.shape[:1] or not bool((wanted.isfinite() & (wanted > 0)).all()):
        raise GeometryError(f"weights {tuple(wanted.shape)} for {len(at)} spots: give one positive number a spot")
    unit = torch.ones(2, dtype=torch.float64)
    if isinstance(panel, FourF):
        scale = panel.wavelength * panel.config.lens2.focal_length
        unit = torch.tensor(panel.fourier_grid.spacing, dtype=torch.float64) / scale
    turns = at * unit
    far = int(turns.abs().amax(1).argmax())
    if float(turns[far].abs().max()) > 0.5:
        ends = ", ".join(f"{0.5 / part:.4g}" for part in unit.tolist())
        raise GeometryError(
            f"place {at[far].tolist()} is beyond the first order of the panel, which ends at +-({ends})"
        )
    size = torch.tensor(shape)
    near = ((turns[:, None] - turns).abs() * size).amax(-1).fill_diagonal_(torch.inf)
    if float(near.min()) < 1 - 1e-6:
        first, second = divmod(int(near.argmin()), len(at))
        raise GeometryError(
            f"places {first} and {second} are closer than the panel resolves: one period over all of it"
        )
    return turns, wanted / wanted.sum()


def _lit(panel: tuple[int, int] | FourF, turns: Tensor) -> tuple[Tensor, Tensor]:
    """Amplitude of the light on the mask, and what the size of its pixels leaves of the amplitude in each place."""
    if not isinstance(panel, FourF):
        return torch.ones(panel, dtype=torch.float64), torch.ones(len(turns), dtype=torch.float64)
    active = panel.config.panel.fill_factor
    envelope = [active * panel.slm.envelope(y, x) ** 0.5 for y, x in turns.tolist()]
    return panel.pixel_spectrum(), torch.tensor(envelope, dtype=torch.float64)


def to_masks(phase: Tensor, bench: FourF, *, provenance: Mapping[str, Any] | None = None) -> MaskSet:
    """Holograms as masks for the panel of a bench, to be saved like those of kernels; see `phases.from_phases`.

    Parameters
    ----------
    phase : torch.Tensor
        Phase in rad on `bench.fourier_grid`, (fy, fx) or (M, fy, fx); the rest of the panel shows 0.
    bench : FourF
        The bench.
    provenance : mapping, optional
        Where they come from.

    Raises
    ------
    GeometryError
        If the phase is not on that grid.
    """
    if phase.is_complex() or phase.ndim not in (2, 3) or tuple(phase.shape[-2:]) != bench.fourier_grid.shape:
        raise GeometryError(f"phase {tuple(phase.shape)}: give real (M, fy, fx) on fourier_grid, {bench.fourier_grid}")
    masks = phase.detach().cpu().double().numpy().reshape(-1, *bench.fourier_grid.shape)
    frames = np.zeros((len(masks), *bench.config.panel.shape))
    bench.crop(frames)[...] = masks
    slm = bench.config.lit_panel.at(bench.wavelength)
    return from_phases(frames, slm, instrument=instrument(bench), provenance=provenance, encoding="hologram")
