"""The compiler: trained kernels to masks for one bench, with what was lost on the way.

Passes: layout (where each kernel's window goes), target (taps and zeros), encoding (a phase), panel (levels), report
(the response of the quantised mask on the bench, undiffracted light included).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fouroptics.bench.fourf import FourF
from fouroptics.devices import panel
from fouroptics.errors import GeometryError, SamplingError
from fouroptics.light.grid import Grid
from fouroptics.light.sources import axes
from fouroptics.masks import encoding as encodings
from fouroptics.masks.encoding import Encoding, Problem, Progress
from fouroptics.masks.maskset import KernelTable, MaskSet
from fouroptics.waves.transforms import fourier


@dataclass(frozen=True)
class Layout:
    """Which mask carries each of K kernels, and where its window lies.

    Attributes
    ----------
    mask : tuple of int
        (K) index of the mask.
    tiles : tuple of (int, int)
        (K) centre (y, x) of the window in the camera plane, in image pixels from the axis, in the physical orientation.
    """

    mask: tuple[int, ...]
    tiles: tuple[tuple[int, int], ...]


def spacing(bench: FourF, size: int) -> int:
    """Distance of windows in image pixels: all displacements that an image uses, and a kernel's width between; even."""
    n = max(bench.config.input.shape)
    return 2 * math.ceil((2 * n - 1 + size) / 2)


def tiled(count: int, size: int, bench: FourF) -> Layout:
    """All kernels in one frame: windows on a lattice about the axis, which stays free for the undiffracted light.

    Parameters
    ----------
    count, size : int
        Number of kernels and taps an axis.
    bench : FourF
        The bench; its camera and the period of its panel limit the lattice.

    Raises
    ------
    SamplingError
        If the windows do not fit; the message says how many do.
    """
    step = spacing(bench, size)
    room = [_places(bench, axis, step) for axis in (0, 1)]
    rows = min(room[0], 2 * math.ceil(math.sqrt(count) / 2))
    columns = min(room[1], 2 * math.ceil(count / max(rows, 1) / 2))
    if rows * columns < count:
        raise SamplingError(
            f"{count} kernels of {size} x {size} need as many windows of {step} image pixels, one frame of this "
            f"bench has {room[0]} x {room[1]}; use layout=sequential, fewer kernels, a finer panel or a larger camera"
        )
    y, x = ([round((i - (n - 1) / 2) * step) for i in range(n)] for n in (rows, columns))
    nearest = sorted(((a, b) for a in y for b in x), key=lambda tile: tile[0] ** 2 + tile[1] ** 2)[:count]
    return Layout((0,) * count, tuple(sorted(nearest)))


def sequential(count: int, size: int, bench: FourF) -> Layout:
    """One frame a kernel, all at one place up to a window off the axis in y and x. Parameters as for `tiled`."""
    step = spacing(bench, size)
    off = min(step, *(math.floor(_reach(bench, axis)) for axis in (0, 1)))
    if off < step / 2:
        raise SamplingError(
            f"a window {step // 2} image pixels off the axis does not fit this bench, {off} do; use a finer panel or a "
            "larger camera"
        )
    return Layout(tuple(range(count)), ((off, off),) * count)


def _places(bench: FourF, axis: int, step: int) -> int:
    """Windows that a lattice about the axis holds along y or x; even."""
    reach = _reach(bench, axis)
    return 0 if reach < step / 2 else 2 * (math.floor((reach - step / 2) / step) + 1)


def _reach(bench: FourF, axis: int) -> float:
    """Farthest centre of a window that the camera holds and the period of the panel does not fold, in image pixels."""
    n, pixel = bench.config.input.shape[axis], bench.image_grid.spacing[axis]
    return min(bench.camera_grid.extent[axis] / (2 * pixel) - n / 2, bench.config.band / 2 - (n - 1))


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
        The bench, in the Fourier model.
    encoding : Encoding
        `encoding.phase_only` or `encoding.arrizon`.
    layout : callable
        `tiled` (all kernels in one frame) or `sequential` (one frame a kernel); both off axis.
    light : float
        Fraction of the light on the panel to put into the taps of a mask. More is brighter, up to what a phase can do.
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

    Examples
    --------
    See the guide, *From kernels to a mask file*.
    """
    weights = _check_kernels(kernels, bench)
    if not 0 < light < 1:
        raise GeometryError(
            f"light = {light}: give the fraction of the light for the taps, between 0 and 1, such as 0.08"
        )
    count, _, size, _ = weights.shape
    plan = layout(count, size, bench)
    generator = torch.Generator().manual_seed(seed)
    phases = []
    for frame in range(max(plan.mask) + 1):
        rows = [i for i, mask in enumerate(plan.mask) if mask == frame]
        problem = _problem(weights[rows, 0], [plan.tiles[i] for i in rows], bench, light)
        phases.append(encoding(problem, generator, progress))
    phase = _on_panel(torch.stack(phases), bench)
    config = bench.config
    draft = MaskSet(
        phase=phase,
        gray=panel.levels(phase, config.panel.bits, config.panel.grey).astype(
            np.uint8 if config.panel.bits <= 8 else np.uint16
        ),
        kernels=_table(weights[:, 0], plan, bench, None),
        slm=panel.SLMConfig.model_validate(config.panel.model_dump(exclude={"iris"})),
        instrument=_instrument(bench),
        provenance={
            "program": "fouroptics",
            "seed": seed,
            "light": light,
            "bench": config.to_toml(),
            **(provenance or {}),
        },
        encoding=encoding.__name__,
        layout=layout.__name__,
    )
    return with_report(draft, bench)


def _check_kernels(kernels: Any, bench: FourF) -> Tensor:
    weights = torch.as_tensor(kernels).detach()
    if weights.is_complex() or weights.ndim != 4 or weights.shape[2] != weights.shape[3]:
        raise GeometryError(f"kernels {tuple(weights.shape)}, {weights.dtype}: give real (out, in, k, k)")
    if weights.shape[1] != 1:
        raise GeometryError(
            f"kernels {tuple(weights.shape)} have {weights.shape[1]} input channels; one pass of this bench sums none, "
            "give kernels (out, 1, k, k)"
        )
    weights = weights.double()
    energy = weights.square().sum((1, 2, 3))
    if not bool(torch.isfinite(energy).all()) or not bool((energy > 0).all()):
        raise GeometryError("a kernel is all zero or not finite: leave it out, its response is zero")
    if weights.shape[-1] > min(bench.config.input.shape):
        raise GeometryError(f"kernels of {weights.shape[-1]} taps are wider than the image, {bench.config.input.shape}")
    return weights


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
        complex128 (..., fy, fx) on `bench.fourier_grid`, not scaled: divide by the largest modulus to make it passive.
    """
    pitch, k = bench.config.input.pitch, weights.shape[-1]
    scale = bench.wavelength * bench.config.lens1.focal_length
    taps = Grid((k, k), (pitch, pitch), (tile[0] * pitch, tile[1] * pitch))
    if not ideal:
        weights = weights / _envelope(taps, bench)
    return fourier(weights.to(torch.complex128), taps, bench.fourier_grid, scale, sign=1) / bench.pixel_spectrum()


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
    envelope = _envelope(box, bench) / (plane.shape[0] * plane.shape[1] * spectrum.square().mean().sqrt())
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


def with_report(masks: MaskSet, bench: FourF) -> MaskSet:
    """Return the masks with scale, error, correlation and efficiency as they come out on `bench`."""
    table = masks.kernels
    plan = Layout(tuple(table.mask.tolist()), tuple((int(y), int(x)) for y, x in table.tile))
    response = bench.kernel(masks, plan.tiles)[list(plan.mask), range(len(plan.mask))]
    new = _table(torch.from_numpy(table.weight.copy()), plan, bench, response)
    names = ("phase", "gray", "slm", "instrument", "provenance", "encoding", "layout")
    return MaskSet(kernels=new, **{name: getattr(masks, name) for name in names})


def _table(weights: Tensor, plan: Layout, bench: FourF, response: Tensor | None) -> KernelTable:
    count = len(weights)
    target = windows(weights, bench.config.input.shape).to(torch.complex128)
    h = target if response is None else response
    norm_w, norm_h = ((part.abs().square().sum((1, 2))) for part in (target, h))
    inner = (h.conj() * target).sum((1, 2))
    scale = inner.real / norm_h
    miss = (h * scale[:, None, None] - target).abs().square().sum((1, 2))
    taps = (h * (target != 0)).abs().square().sum((1, 2))
    period = torch.tensor([bench.config.band, bench.config.band], dtype=torch.float64)
    whole = bench.pixel_spectrum().square().mean()  # energy of a fully transmitted input pixel
    return KernelTable(
        mask=np.array(plan.mask, np.int32),
        out_channel=np.arange(count, dtype=np.int32),
        in_channel=np.zeros(count, np.int32),
        sign=np.zeros(count, np.int8),
        pair=np.full(count, -1, np.int32),
        tile=np.array(plan.tiles, np.int32),
        carrier=(torch.tensor(plan.tiles, dtype=torch.float64) / period).numpy(),
        weight=weights.numpy(),
        scale=scale.numpy(),
        efficiency=(taps / whole).numpy(),
        error=(miss / norm_w).sqrt().numpy(),
        correlation=(inner.abs() / (norm_w * norm_h).sqrt()).numpy(),
    )


def _instrument(bench: FourF) -> dict[str, Any]:
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
