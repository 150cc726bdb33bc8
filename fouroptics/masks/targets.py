"""Targets: kernels as displacements in the camera plane and as transmissions of the panel: what a mask has to do."""

import math
from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor

from fouroptics.bench.fourf import FourF
from fouroptics.bench.geometry import Place
from fouroptics.devices import panel
from fouroptics.devices.slm import SLM
from fouroptics.light.grid import Grid
from fouroptics.light.sources import axes
from fouroptics.masks.search import Problem, Respond
from fouroptics.waves.transforms import fourier


def windows(weights: Tensor, shape: tuple[int, int]) -> Tensor:
    """Kernels (K, k, k) in windows (K, 2 ny - 1, 2 nx - 1) of all displacements: tap k//2 at the centre."""
    k = weights.shape[-1]
    out = weights.new_zeros((len(weights), 2 * shape[0] - 1, 2 * shape[1] - 1))
    top, left = shape[0] - 1 - k // 2, shape[1] - 1 - k // 2
    out[:, top : top + k, left : left + k] = weights
    return out


def transfer(weights: Tensor, bench: FourF, tile: Place = (0, 0), *, ideal: bool = True) -> Tensor:
    """Transmission ``sum_j w_j exp(+2 pi i x_f (j + tile) p / (lambda f1))`` over the spectrum of an input pixel.

    Parameters
    ----------
    weights : torch.Tensor
        (..., k, k), torch cross-correlation order.
    bench : FourF
        The bench.
    tile : tuple of int
        Centre of the window (y, x) in image pixels.
    ideal : bool
        For ideal samples; False makes up for the diffraction of the panel's pixels.

    Returns
    -------
    torch.Tensor
        complex128 (..., fy, fx) on `bench.fourier_grid`, zero outside one band of the input; not scaled: divide by the
        largest modulus to make it passive.
    """
    pitch, k = bench.config.input.pitch, weights.shape[-1]
    scale = bench.wavelength * bench.config.lens1.focal_length
    taps = Grid((k, k), (pitch, pitch), (tile[0] * pitch, tile[1] * pitch))
    if not ideal:
        weights = weights / _envelope(taps, bench)
    plane = bench.fourier_grid
    half = scale / pitch / 2 - 1e-6 * plane.spacing[0]  # half a band, without the sample that repeats the first one
    y, x = (
        (axis - c >= -half - 2e-6 * plane.spacing[0]) & (axis - c < half)
        for axis, c in zip(axes(plane), plane.center, strict=True)
    )
    exact = fourier(weights.to(torch.complex128), taps, plane, scale, sign=1)
    return torch.where(y & x, exact / bench.pixel_spectrum(), 0)


def problem(
    weights: Tensor, centres: Sequence[Place], shape: tuple[int, int], bench: FourF, light: float | None
) -> Problem:
    """What one mask has to do for kernels (T, k, k) at displacements `centres`, of pictures of `shape` pixels."""
    unit = weights / weights.abs().square().sum().sqrt()
    exact = torch.stack([transfer(w, bench, at, ideal=False) for w, at in zip(unit, centres, strict=True)]).sum(0)
    low, high = ([edge(at[axis] for at in centres) for axis in (0, 1)] for edge in (min, max))
    size = (high[0] - low[0] + 2 * shape[0] - 1, high[1] - low[1] + 2 * shape[1] - 1)
    target, prescribed = torch.zeros(size, dtype=unit.dtype), torch.zeros(size, dtype=torch.bool)
    for window, (y, x) in zip(windows(unit, shape), centres, strict=True):
        part = slice(y - low[0], y - low[0] + 2 * shape[0] - 1), slice(x - low[1], x - low[1] + 2 * shape[1] - 1)
        target[part] += window
        prescribed[part] = True
    pitch, first = bench.config.input.pitch, (low[0] - shape[0] + 1, low[1] - shape[1] + 1)
    box = Grid(size, (pitch, pitch), ((first[0] + size[0] // 2) * pitch, (first[1] + size[1] // 2) * pitch))
    respond, panel_respond = _responses(box, prescribed, bench)
    return Problem(
        respond, target, exact / exact.abs().max(), light,
        through_panel=panel_respond, nearest=partial(_nearest, bench.slm), step=_step(bench.slm),
        modulation=bench.slm.config.modulation, crosstalk=bench.slm.config.crosstalk > 0,
    )  # fmt: skip


def _responses(box: Grid, prescribed: Tensor, bench: FourF) -> tuple[Respond, Respond]:
    """From a transmission (fy, fx), and from what is addressed, to the response on a box of displacements, complex64.

    The second one is that of the panel as it is: dead pixels, maps, crosstalk. The light that the panel does not
    diffract counts where a window holds the axis, with the phase that it has as modelled. Both are 0 where nothing is
    prescribed, and in units in which the light on the panel has the energy 1.
    """
    scale, plane, slm = bench.wavelength * bench.config.lens1.focal_length, bench.fourier_grid, bench.slm
    spectrum = bench.pixel_spectrum()
    unit = prescribed / (bench.config.band * spectrum.square().sum().sqrt())
    seen, envelope = spectrum.to(torch.complex64), (_envelope(box, bench) * unit).to(torch.complex64)
    y, x = (axis.abs() < box.spacing[0] / 2 for axis in axes(box))
    on_axis = bool((prescribed & y & x).any())
    lowest = float(panel.response(slm.config).phase.min())
    dead = sum(node.dead * _turned(box, node.offset, bench) for node in slm.nodes()) * slm.dead * unit
    still = (fourier(spectrum.to(torch.complex128), plane, box, scale) * (dead * on_axis)).to(torch.complex64)

    def respond(transmission: Tensor) -> Tensor:
        return fourier(transmission * seen, plane, box, scale) * envelope + still

    def through_panel(addressed: Tensor) -> Tensor:
        if slm.config.crosstalk:  # the fly-backs count
            addressed = lowest + (addressed - lowest) % panel.TURN
        return respond(slm.light(addressed).to(seen))

    return respond, through_panel


def _turned(displacements: Grid, offset: tuple[float, float], bench: FourF) -> Tensor:
    """Phase factor at displacements of light that leaves a panel pixel at an offset (y, x) from its centre."""
    unit = bench.config.panel.pitch / (bench.wavelength * bench.config.lens1.focal_length)
    y, x = axes(displacements)
    turns = (y * offset[0] + x * offset[1]) * (-2 * math.pi * unit)
    return torch.polar(torch.ones_like(turns), turns)


def _envelope(displacements: Grid, bench: FourF) -> Tensor:
    """Amplitude that the diffraction of a panel pixel leaves at displacements in the input plane, float64."""
    parts = [node.active * _turned(displacements, node.offset, bench).real for node in bench.slm.nodes()]
    return torch.stack(parts).sum(0)


def _nearest(slm: SLM, addressed: Tensor) -> Tensor:
    """What the panel can show nearest to what is addressed: a phase in [0, 2 pi) or an amplitude, float32."""
    phase, amplitude = panel.response(slm.config)
    values = phase % panel.TURN if slm.config.modulation in ("phase", "coupled") else amplitude
    levels = panel.levels_for(slm.config, addressed).long()
    return torch.from_numpy(values).to(addressed.dtype)[levels]


def _step(slm: SLM) -> float:
    """Mean distance of two levels, in rad or as amplitude."""
    values = panel.response(slm.config)[0 if slm.config.modulation in ("phase", "coupled") else 1]
    return float(values.max() - values.min()) / (len(values) - 1)
