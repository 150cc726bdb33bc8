"""The compiler: trained kernels to masks for one bench, with what was lost on the way.

Passes: layout (where each kernel's window goes), target (taps and zeros), encoding (a phase), panel (levels), report
(the response of the quantised mask on the bench, undiffracted light included).
"""

import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fouroptics.bench.fourf import FourF
from fouroptics.bench.settings import PosesConfig
from fouroptics.bench.shown import PanelFrames, PanelMasks
from fouroptics.devices import panel
from fouroptics.errors import GeometryError, SamplingError, SamplingWarning
from fouroptics.light.grid import Grid
from fouroptics.light.sources import axes
from fouroptics.masks import encoding as encodings
from fouroptics.masks.encoding import Encoding, Problem, Progress
from fouroptics.masks.layout import Layout, reach, tiled
from fouroptics.masks.maskset import KernelTable, MaskSet
from fouroptics.waves.transforms import fourier

#: Relative error of a response above which the compiler warns.
LARGE_ERROR = 0.1


def from_kernels(
    kernels: Any,
    bench: FourF,
    *,
    encoding: Encoding = encodings.phase_only,
    layout: Callable[[int, int, FourF], Layout] = tiled,
    light: float = 0.08,
    seed: int = 0,
    progress: Progress | None = None,
    provenance: dict[str, Any] | None = None,
) -> MaskSet:
    """Compile kernels into masks for the panel of a bench.

    Parameters
    ----------
    kernels : array_like
        (out, 1, k, k), real, torch cross-correlation order.
    bench : FourF
        The bench, in the Fourier model. Its poses are left out: masks are for the aligned bench.
    encoding : Encoding
        `encoding.phase_only` or `encoding.arrizon`; ``functools.partial`` sets their options.
    layout : callable
        `tiled` (all kernels in one frame) or `sequential` (one frame a kernel); both off axis.
    light : float
        Fraction of the light on the panel to put into the taps of a mask, for encodings that can choose. More is
        brighter, up to what a phase can do.
    seed : int
        Of the random start.
    progress : callable, optional
        Called with (step, steps, relative error).
    provenance : dict, optional
        What the file should say about where the kernels come from.

    Returns
    -------
    MaskSet
        Phase, levels and one row a kernel with its scale, error, correlation and efficiency as the quantised panel
        shows them.

    Raises
    ------
    GeometryError
        If the kernels are not real, finite, of one input channel and smaller than the image.
    SamplingError
        If the windows do not fit the bench.

    Warns
    -----
    SamplingWarning
        If a kernel comes out with an error above 10 %.

    Examples
    --------
    See the guide, *From kernels to a mask file*.
    """
    weights = _check_kernels(kernels, bench)
    if not 0 < light < 1:
        raise GeometryError(
            f"light = {light}: give the fraction of the light for the taps, between 0 and 1, such as 0.08"
        )
    if bench.config.model != "fourier":
        raise GeometryError(
            "model = 'wave': masks are compiled in the Fourier model; set model = 'fourier', then run both"
        )
    bench = FourF(bench.config.model_copy(update={"poses": PosesConfig()}))
    plan = layout(len(weights), weights.shape[-1], bench)
    _check_plan(plan, len(weights), bench)
    generator, phases = torch.Generator().manual_seed(seed), []
    for frame in range(max(plan.mask) + 1):
        rows = [i for i, mask in enumerate(plan.mask) if mask == frame]
        problem = _problem(weights[rows, 0], [plan.tiles[i] for i in rows], bench, light)
        phases.append(encoding(problem, generator, progress))
    phase, config = _on_panel(torch.stack(phases), bench), bench.config
    sheet = config.lit_panel.at(bench.wavelength).model_dump(exclude={"iris", "stroke_map", "flatness"})
    slm = panel.SLMConfig.model_validate(sheet)  # without the maps, which no driver makes up for
    gray = panel.mask_levels(slm, phase)
    table = _table(weights[:, 0], plan, bench, responses(PanelFrames(gray, config.panel), plan.mask, plan.tiles, bench))
    if table.error.max() > LARGE_ERROR:
        warnings.warn(
            f"the worst kernel comes out with an error of {table.error.max():.0%}: ask for less light than "
            f"{light:g}, put fewer kernels into a frame, or take layout=sequential",
            SamplingWarning,
            stacklevel=2,
        )
    origin = {"program": "fouroptics", "seed": seed, "light": light, "bench": config.to_toml()}
    return MaskSet(
        phase=phase,
        gray=gray,
        kernels=table,
        slm=slm,
        instrument=instrument(bench),
        provenance=origin | (provenance or {}),
        encoding=_name(encoding),
        layout=_name(layout),
    )


def _name(function: Any) -> str:
    """Name of a function, also of a `functools.partial` of it."""
    return getattr(function, "__name__", None) or _name(function.func)


def _check_kernels(kernels: Any, bench: FourF) -> Tensor:
    try:
        weights = torch.as_tensor(kernels).detach()
    except (TypeError, ValueError) as error:
        raise GeometryError(f"kernels are no array of numbers ({error}); give real (out, 1, k, k)") from None
    if weights.is_complex() or weights.ndim != 4 or weights.shape[2] != weights.shape[3]:
        raise GeometryError(f"kernels {tuple(weights.shape)}, {weights.dtype}: give real (out, in, k, k)")
    if weights.shape[1] != 1:
        raise GeometryError(
            f"kernels {tuple(weights.shape)} have {weights.shape[1]} input channels; one pass of this bench sums none, "
            "give kernels (out, 1, k, k)"
        )
    if not len(weights):
        raise GeometryError("kernels (0, 1, k, k): give at least one kernel")
    weights = weights.double()
    energy = weights.square().sum((1, 2, 3))
    if not bool(torch.isfinite(energy).all()) or not bool((energy > 0).all()):
        raise GeometryError("a kernel is all zero or not finite: leave it out, its response is zero")
    if weights.shape[-1] > min(bench.config.input.shape):
        raise GeometryError(f"kernels of {weights.shape[-1]} taps are wider than the image, {bench.config.input.shape}")
    return weights


def _check_plan(plan: Layout, count: int, bench: FourF) -> None:
    """Refuse a layout that does not place each kernel where the bench can show it."""
    if len(plan.mask) != count or len(plan.tiles) != count or set(plan.mask) != set(range(max(plan.mask) + 1)):
        raise GeometryError(
            f"the layout places {len(plan.tiles)} kernels in masks {sorted(set(plan.mask))}, there are {count}"
        )
    for axis, name in enumerate("yx"):
        farthest = max(abs(tile[axis]) for tile in plan.tiles)
        if farthest > reach(bench, axis):
            raise SamplingError(
                f"a window {farthest} image pixels off the axis in {name} is beyond the "
                f"{math.floor(reach(bench, axis))} of "
                "camera and panel; use a layout that stays within, a finer panel or a larger camera"
            )


def windows(weights: Tensor, shape: tuple[int, int]) -> Tensor:
    """Kernels (K, k, k) in windows (K, 2 ny - 1, 2 nx - 1) of all displacements: tap k//2 at the centre."""
    k = weights.shape[-1]
    out = weights.new_zeros((len(weights), 2 * shape[0] - 1, 2 * shape[1] - 1))
    top, left = shape[0] - 1 - k // 2, shape[1] - 1 - k // 2
    out[:, top : top + k, left : left + k] = weights
    return out


def transfer(weights: Tensor, bench: FourF, tile: tuple[int, int] = (0, 0), *, ideal: bool = True) -> Tensor:
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


def _problem(weights: Tensor, tiles: list[tuple[int, int]], bench: FourF, light: float) -> Problem:
    unit = weights / weights.square().sum((1, 2), keepdim=True).sqrt() / math.sqrt(len(weights))
    exact = torch.stack([transfer(w, bench, tile, ideal=False) for w, tile in zip(unit, tiles, strict=True)]).sum(0)
    return Problem(_response(tiles, bench), windows(unit, bench.config.input.shape), exact / exact.abs().max(), light)


def _response(tiles: list[tuple[int, int]], bench: FourF) -> Callable[[Tensor], Tensor]:
    """Transmission (fy, fx) to the response in the windows, complex64: one transform over the box of all."""
    (ny, nx), pitch = bench.config.input.shape, bench.config.input.pitch
    low, high = ([edge(tile[axis] for tile in tiles) for axis in (0, 1)] for edge in (min, max))
    size = (high[0] - low[0] + 2 * ny - 1, high[1] - low[1] + 2 * nx - 1)
    first = (low[0] - ny + 1, low[1] - nx + 1)
    box = Grid(size, (pitch, pitch), ((first[0] + size[0] // 2) * pitch, (first[1] + size[1] // 2) * pitch))
    scale = bench.wavelength * bench.config.lens1.focal_length
    plane = bench.fourier_grid
    spectrum = bench.pixel_spectrum()
    envelope = _envelope(box, bench) / (bench.config.band * spectrum.square().sum().sqrt())  # light on the panel: 1
    seen, envelope = spectrum.to(torch.complex64), envelope.to(torch.complex64)
    corners = [(tile[0] - low[0], tile[1] - low[1]) for tile in tiles]

    def respond(transmission: Tensor) -> Tensor:
        everywhere = fourier(transmission * seen, plane, box, scale) * envelope
        return torch.stack([everywhere[a : a + 2 * ny - 1, b : b + 2 * nx - 1] for a, b in corners])

    return respond


def _envelope(displacements: Grid, bench: FourF) -> Tensor:
    """Amplitude that the diffraction of a panel pixel leaves at displacements in the input plane, float64."""
    unit = bench.config.panel.pitch / (bench.wavelength * bench.config.lens1.focal_length)
    y, x = (axis * (2 * math.pi * unit) for axis in axes(displacements))
    parts = [node.active * torch.cos(node.offset[0] * y + node.offset[1] * x) for node in bench.slm.nodes()]
    return torch.stack(parts).sum(0)


def _on_panel(phase: Tensor, bench: FourF) -> np.ndarray:
    """Phase (M, fy, fx) on frames (M, height, width), in [0, 2 pi), float32; pixels that the iris hides show 0."""
    frames = np.zeros((len(phase), *bench.config.panel.shape), np.float32)
    wrapped = np.mod(phase.double().numpy(), 2 * np.pi).astype(np.float32)
    bench.crop(frames)[...] = np.where(wrapped >= np.float32(2 * np.pi), 0, wrapped)
    return frames


def responses(masks: PanelMasks, mask: Sequence[int], tiles: Sequence[tuple[int, int]], bench: FourF) -> Tensor:
    """Response of K kernels, each in its own mask and window, complex128 (K, 2 ny - 1, 2 nx - 1)."""
    rows: list[Tensor] = [torch.empty(0)] * len(mask)
    for frame in set(mask):
        mine = [row for row, index in enumerate(mask) if index == frame]
        shown = PanelFrames(masks.gray[frame : frame + 1], masks.slm)
        for row, response in zip(mine, bench.kernel(shown, [tiles[row] for row in mine])[0], strict=True):
            rows[row] = response
    return torch.stack(rows)


def with_report(masks: MaskSet, bench: FourF) -> MaskSet:
    """Return the masks with their report on another bench, such as one that is misaligned."""
    plan = placed(masks)
    table = _table(
        torch.from_numpy(masks.kernels.weight.copy()), plan, bench, responses(masks, plan.mask, plan.tiles, bench)
    )
    return replace(masks, kernels=table)


def placed(masks: MaskSet) -> Layout:
    """Layout that a kernel table holds."""
    return Layout(tuple(masks.kernels.mask.tolist()), tuple((int(y), int(x)) for y, x in masks.kernels.tile))


def warn_if_foreign(masks: MaskSet, bench: FourF) -> None:
    """Warn if the masks were compiled for another wavelength, focal length or input than those of the bench."""
    mine, theirs = instrument(bench), masks.instrument
    for group, key in (
        ("beam", "incident_wavelength"),
        ("optics", "f1"),
        ("optics", "input_pitch"),
        ("optics", "input_shape"),
    ):
        made, here = theirs.get(group, {}).get(key), mine[group][key]
        if made is not None and made != here:
            warnings.warn(
                f"the masks were compiled for {key} = {made}, the bench has {here}: the response is another one; "
                "compile them for this bench, or take the one they were made for",
                SamplingWarning,
                stacklevel=3,
            )
            return


def _table(weights: Tensor, plan: Layout, bench: FourF, h: Tensor) -> KernelTable:
    """One row a kernel, from its wanted taps and its response h (K, 2 ny - 1, 2 nx - 1)."""
    count, band = len(weights), bench.config.band
    target = windows(weights, bench.config.input.shape).to(torch.complex128)
    norm_w, norm_h = ((part.abs().square().sum((1, 2))) for part in (target, h))
    inner = (h.conj() * target).sum((1, 2))
    scale = inner.real / norm_h
    miss = (h * scale[:, None, None] - target).abs().square().sum((1, 2))
    taps = (h * (target != 0)).abs().square().sum((1, 2))
    whole = bench.pixel_spectrum().square().sum() / band**2  # energy of one input pixel's light on the panel
    return KernelTable(
        mask=np.array(plan.mask, np.int32),
        out_channel=np.arange(count, dtype=np.int32),
        in_channel=np.zeros(count, np.int32),
        sign=np.zeros(count, np.int8),
        pair=np.full(count, -1, np.int32),
        tile=np.array(plan.tiles, np.int32),
        carrier=np.array(plan.tiles, float) / band,
        weight=weights.numpy(),
        scale=scale.numpy(),
        efficiency=(taps / whole).numpy(),
        error=(miss / norm_w).sqrt().numpy(),
        correlation=(inner.abs() / (norm_w * norm_h).sqrt()).numpy(),
    )


def instrument(bench: FourF) -> dict[str, Any]:
    """The bench as the mask file describes it."""
    config = bench.config
    radius = {} if config.light.beam_radius is None else {"beam_waist": config.light.beam_radius}
    return {
        "beam": {"incident_wavelength": config.light.wavelength, **radius},
        "optics": {
            "f1": config.lens1.focal_length,
            "f2": config.lens2.focal_length,
            "input_pitch": config.input.pitch,
            "input_shape": list(config.input.shape),
            "coherence": "coherent",
            "magnification": -bench.config.magnification,
        },
        "detector": {
            "model": config.camera.name,
            "x_pixel_size": config.camera.pitch,
            "y_pixel_size": config.camera.pitch,
            "flipped_xy": True,
            "readout": config.readout.kind,
        },
    }
