"""Targets: kernels as displacements in the camera plane and as transmissions of the panel: what a mask has to do."""

import math
from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from fouroptics.bench.fourf import FourF
from fouroptics.bench.geometry import Place
from fouroptics.devices import panel
from fouroptics.devices.slm import SLM
from fouroptics.light.grid import Grid
from fouroptics.light.sources import axes
from fouroptics.masks.search import Problem, Respond
from fouroptics.waves.transforms import fft, fourier, ifft, ramps, way


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
    taps = Grid((k, k), (pitch, pitch), (tile[0] * pitch, tile[1] * pitch))
    return _transmission(weights if ideal else weights / _envelope(taps, bench), taps, bench)


def _transmission(weights: Tensor, at: Grid, bench: FourF) -> Tensor:
    """Transmission of taps (..., y, x) at displacements, complex128, within one band."""
    plane, scale = bench.fourier_grid, bench.wavelength * bench.config.lens1.focal_length
    half = scale / at.spacing[0] / 2 - 1e-6 * plane.spacing[0]  # half a band, without the sample that repeats the first
    y, x = (
        (axis - c >= -half - 2e-6 * plane.spacing[0]) & (axis - c < half)
        for axis, c in zip(axes(plane), plane.center, strict=True)
    )
    exact = fourier(weights.to(torch.complex128), at, plane, scale, sign=1)
    return torch.where(y & x, exact / bench.pixel_spectrum(), 0)


def problem(
    weights: Tensor, centres: Sequence[Place], shape: tuple[int, int], bench: FourF, light: float | None
) -> Problem:
    """What one mask has to do for kernels (T, k, k) at displacements `centres`, of pictures of `shape` pixels."""
    unit = weights / weights.abs().square().sum().sqrt()
    low, high = ([edge(at[axis] for at in centres) for axis in (0, 1)] for edge in (min, max))
    size = (high[0] - low[0] + 2 * shape[0] - 1, high[1] - low[1] + 2 * shape[1] - 1)
    target, prescribed = torch.zeros(size, dtype=unit.dtype), torch.zeros(size, dtype=torch.bool)
    for window, (y, x) in zip(windows(unit, shape), centres, strict=True):
        part = slice(y - low[0], y - low[0] + 2 * shape[0] - 1), slice(x - low[1], x - low[1] + 2 * shape[1] - 1)
        target[part] += window
        prescribed[part] = True
    pitch, first = bench.config.input.pitch, (low[0] - shape[0] + 1, low[1] - shape[1] + 1)
    box = Grid(size, (pitch, pitch), ((first[0] + size[0] // 2) * pitch, (first[1] + size[1] // 2) * pitch))
    exact = _transmission(target / _envelope(box, bench), box, bench)
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
    to_box, of_phases = _onto(plane, box, scale, spectrum, _envelope(box, bench) * unit)
    y, x = (axis.abs() < box.spacing[0] / 2 for axis in axes(box))
    still: Tensor | float = 0.0
    if bool((prescribed & y & x).any()):
        dead = sum(node.dead * _turned(box, node.offset, bench) for node in slm.nodes()) * slm.dead * unit
        still = (fourier(spectrum.to(torch.complex128), plane, box, scale) * dead).to(torch.complex64)
    lowest, sheet = float(panel.response(slm.config).phase.min()), slm.config
    plain = sheet.modulation == "phase" and not (
        sheet.crosstalk or sheet.flicker or sheet.dead_pixels or sheet.stroke_map or sheet.flatness
    )

    def respond(transmission: Tensor) -> Tensor:
        return to_box(transmission) + still

    def through_panel(addressed: Tensor) -> Tensor:
        if plain:
            return of_phases(addressed) + still
        if sheet.crosstalk:  # the fly-backs count
            addressed = lowest + (addressed - lowest) % panel.TURN
        return respond(slm.light(addressed).to(torch.complex64))

    return respond, through_panel


def _onto(plane: Grid, box: Grid, scale: float, before: Tensor, after: Tensor) -> tuple[Respond, Respond]:
    """`fourier` of data, and of ``exp(i phase)``, between two real factors, in single precision, made for many calls.

    Where both axes are FFTs, their phase ramps are in the factors, and what is not wanted is not transformed.
    """
    lines = [(g.shape[i], g.spacing[i], g.center[i]) for g in (plane, box) for i in (0, 1)]
    ways = [way(lines[i], lines[i + 2], scale) for i in (0, 1)]
    if any(ways[i] != ("fft", plane.shape[i]) or box.shape[i] > plane.shape[i] for i in (0, 1)):
        first, last = before.to(torch.complex64), after.to(torch.complex64)

        def general(data: Tensor) -> Tensor:
            return fourier(data * first, plane, box, scale) * last

        return general, lambda phase: general(torch.polar(torch.ones_like(phase), phase))
    y, x = (
        ramps(lines[i], lines[i + 2], plane.shape[i], -1, torch.complex128, before.device).split(
            [plane.shape[i], box.shape[i]]
        )
        for i in (0, 1)
    )
    first = (before * y[0][:, None] * x[0]).to(torch.complex64)
    last = (after * y[1][:, None] * x[1]).to(torch.complex64)
    back = first.conj().resolve_conj(), last.conj().resolve_conj()

    def of_phases(phase: Tensor) -> Tensor:
        found: Any = _OfPhases.apply(phase, first, last, *back)
        return found

    return lambda data: _folded(data * first, last), of_phases


def _folded(data: Tensor, last: Tensor) -> Tensor:
    rows, columns = last.shape
    return fft(fft(data)[:, :columns], -2)[:rows] * last


class _OfPhases(torch.autograd.Function):
    """`_folded` of ``exp(i phase)`` with its adjoint written out, in half the time that both take piece by piece."""

    @staticmethod
    def forward(ctx: Any, phase: Tensor, first: Tensor, last: Tensor, *back: Tensor) -> Tensor:
        """Keep both parts of the light."""
        cosine, sine = phase.cos(), phase.sin()
        ctx.save_for_backward(cosine, sine, *back)
        return _folded(torch.complex(cosine, sine).mul_(first), last)

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor, None, None, None, None]:
        """Im(conj(exp(i phase)) A^H g)."""
        cosine, sine, first, last = ctx.saved_tensors
        rows, columns = first.shape
        light = ifft(ifft(grad_outputs[0] * last, rows, -2), columns).mul_(first)
        return (cosine * light.imag).addcmul_(sine, light.real, value=-1), None, None, None, None


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
