"""The compiler: trained kernels to masks for one bench, with what was lost on the way.

Passes, each a line of the report: geometry, signs, layout, and for each mask passivity, encoding and panel; then the
readout, by what the bench makes of the quantised masks, undiffracted light included.
"""

import math
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fouroptics.bench.fourf import FourF
from fouroptics.bench.geometry import geometry
from fouroptics.bench.settings import PosesConfig
from fouroptics.bench.shown import PanelFrames
from fouroptics.devices import panel
from fouroptics.errors import GeometryError, SamplingError, SamplingWarning
from fouroptics.masks import encoding as encodings
from fouroptics.masks.encoding import Encoding
from fouroptics.masks.layout import Layout, tiled
from fouroptics.masks.maskset import MaskSet
from fouroptics.masks.measure import instrument, lit, photons_of_lines, table
from fouroptics.masks.phases import wrapped
from fouroptics.masks.search import Problem, Progress
from fouroptics.masks.signs import Rows, Signs, signed
from fouroptics.masks.targets import problem
from fouroptics.units import show

#: Relative error of a response above which the compiler warns.
LARGE_ERROR = 0.1


class Account:
    """What each pass did, and the seconds it took."""

    def __init__(self) -> None:
        self.lines: dict[str, str] = {}
        self.seconds: dict[str, float] = {}

    @contextmanager
    def timed(self, name: str) -> Iterator[None]:
        """Add the time of a pass, which may run for each mask."""
        start = time.perf_counter()
        yield
        self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - start

    def say(self, name: str, text: str) -> None:
        """Keep what a pass did; of one that runs for each mask, the first."""
        self.lines.setdefault(name, text)


def from_kernels(
    kernels: Any,
    bench: FourF,
    *,
    encoding: Encoding = encodings.phase_only,
    layout: Callable[..., Layout] = tiled,
    signs: Signs = signed,
    light: float | None = None,
    seed: int = 0,
    progress: Progress | None = None,
    provenance: dict[str, Any] | None = None,
) -> MaskSet:
    """Compile kernels into masks for the panel of a bench.

    Parameters
    ----------
    kernels : array_like
        (out, in, k, k), real or complex, torch cross-correlation order. More than one input channel takes layout
        `input_tiling` or `wavelengths`.
    bench : FourF
        The bench, in the Fourier model. Its poses are left out: masks are for the aligned bench.
    encoding : Encoding
        One of `fouroptics.masks.encoding`, for the panel's modulation; ``functools.partial`` sets its options.
    layout : callable
        `tiled` (all kernels in one frame), `sequential` (one frame a kernel), `on_axis`, `input_tiling` or
        `wavelengths`.
    signs : callable
        `signs.signed` (as they are), `signs.split` (positive and negative parts) or `signs.biased`.
    light : float, optional
        Fraction of the light on the panel to put into the taps of a mask, for encodings that can choose. More is
        brighter, up to what the panel can do. Left out, 0.08 for phases, what a hologram has for amplitudes.
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
        If the kernels are not finite or are wider than what an image can use, or channels, panel or bench do not fit
        what was asked for.
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
    account, bench = Account(), _aligned(bench)
    weights = _check_kernels(kernels)
    if light is not None and not 0 < light < 1:
        raise GeometryError(
            f"light = {light}: give the fraction of the light for the taps, between 0 and 1, such as 0.08"
        )
    with account.timed("signs"):
        rows = signs(weights)
        account.say("signs", _said_of_signs(rows, bench))
    with account.timed("layout"):
        plan = _laid_out(layout, rows, bench, account)
    frames = list(_frames(rows, plan, bench, encoding, light, torch.Generator().manual_seed(seed), progress, account))
    phase, gray = (np.stack(parts) for parts in zip(*frames, strict=True))
    slm = _sheet(bench)
    with account.timed("readout"):
        kernels_table = table(rows, plan, bench, PanelFrames(gray, bench.config.panel))
        account.say("readout", _said_of_readout(plan, bench))
    _warn_if_large(kernels_table.error, light)
    origin: dict[str, Any] = {"program": "fouroptics", "seed": seed, "bench": bench.config.to_toml()}
    origin |= {} if light is None else {"light": light}
    return MaskSet(
        phase=phase if slm.modulation in ("phase", "coupled") else None,
        gray=gray,
        kernels=kernels_table,
        slm=slm,
        instrument=instrument(bench, plan),
        provenance=origin
        | {"passes": [f"{name}: {text}" for name, text in account.lines.items()]}
        | (provenance or {}),
        encoding=name_of(encoding),
        layout=name_of(layout),
        seconds=account.seconds,
    )


def from_transfer(transfer: Tensor, bench: FourF, **options: Any) -> MaskSet:
    """Compile masks for transmissions, by what they do to an image: their response, as kernels.

    Parameters
    ----------
    transfer : torch.Tensor
        Complex (M, fy, fx) on `bench.fourier_grid`, as ideal samples.
    bench : FourF
        The bench, of a square display.
    **options
        As for `from_kernels`.
    """
    return from_kernels(_aligned(bench).kernel(transfer)[:, 0][:, None], bench, **options)


def from_psf(psf: Any, bench: FourF, **options: Any) -> MaskSet:
    """Compile masks for point responses (M, k, k), upright, k odd, in image pixels; options as for `from_kernels`."""
    points = torch.as_tensor(psf)
    if points.ndim != 3 or points.shape[-1] % 2 == 0:
        raise GeometryError(f"psf {tuple(points.shape)}: give (M, k, k) with k odd, the middle sample on the axis")
    return from_kernels(points.flip((-2, -1))[:, None], bench, **options)


# ---- passes --------------------------------------------------------------------------------------------------------


def _aligned(bench: FourF) -> FourF:
    if bench.config.model != "fourier":
        raise GeometryError(
            "model = 'wave': masks are compiled in the Fourier model; set model = 'fourier', then run both"
        )
    return FourF(bench.config.model_copy(update={"poses": PosesConfig()}))


def _check_kernels(kernels: Any) -> Tensor:
    try:
        weights = torch.as_tensor(kernels).detach()
    except (TypeError, ValueError) as error:
        raise GeometryError(f"kernels are no array of numbers ({error}); give (out, in, k, k)") from None
    if weights.ndim != 4 or weights.shape[2] != weights.shape[3] or weights.dtype == torch.bool:
        raise GeometryError(f"kernels {tuple(weights.shape)}, {weights.dtype}: give numbers (out, in, k, k)")
    if 0 in weights.shape:
        raise GeometryError(f"kernels {tuple(weights.shape)}: give at least one kernel")
    weights = weights.to(torch.complex128 if weights.is_complex() else torch.float64)
    energy = weights.abs().square().sum((2, 3))
    if not bool(torch.isfinite(energy).all()) or not bool((energy > 0).all()):
        raise GeometryError("a kernel is all zero or not finite: leave it out, its response is zero")
    return weights


def _said_of_signs(rows: Rows, bench: FourF) -> str:
    kind, weight = bench.config.readout.kind, rows.weight
    if any(rows.sign):
        return f"{len(weight)} rows: positive and negative parts, to be subtracted"
    if any(rows.bias):
        return f"{len(weight)} rows: a bias of up to {max(rows.bias):.3g}, and a box of ones to take it off"
    what = "complex" if weight.is_complex() else "signed" if bool((weight.real < 0).any()) else "non-negative"
    seen = {"intensity": "their square", "reference_pair": "the part in phase with the reference"}
    return f"{len(weight)} {what} kernels in the field; readout {kind!r} sees {seen.get(kind, 'the field')}"


def _laid_out(layout: Callable[..., Layout], rows: Rows, bench: FourF, account: Account) -> Layout:
    """Where each row goes, if the bench can show it there."""
    count, channels, size = rows.weight.shape[:3]
    config, place = bench.config, geometry(bench.config)
    more = {"channels": channels} if channels > 1 or name_of(layout) == "wavelengths" else {}
    plan = layout(count, size, bench, **more)
    shape = plan.shape or config.input.shape
    widest = 2 * min(shape) - 1
    if size > widest:
        raise GeometryError(f"kernels of {size} taps are wider than images of {shape} can use: {widest} at most")
    total, frames = count * channels, set(plan.mask)
    if not len(plan.mask) == len(plan.tiles) == total or frames != set(range(len(frames))):
        raise GeometryError(f"the layout places {len(plan.tiles)} kernels in masks {sorted(frames)}, there are {total}")
    for axis, name in enumerate("yx"):
        farthest = max(abs(tile[axis]) for tile in plan.tiles)
        far = place.reach[axis] + (config.input.shape[axis] - shape[axis]) / 2
        if farthest > far:
            raise SamplingError(
                f"a window {farthest} image pixels off the axis in {name} is beyond the {math.floor(far)} of "
                "camera and panel; use a layout that stays within, a finer panel or a larger camera"
            )
    account.say(
        "geometry",
        f"{size} x {size} taps of {show(config.input.pitch, 'length', 4)} to one band of {config.band:.4g} panel "
        f"pixels, {show(config.band * config.panel.pitch, 'length', 4)}; torch's correlation, through a bench that "
        "inverts",
    )
    most = max(plan.mask.count(mask) for mask in frames)
    account.say("layout", f"{name_of(layout)}: {len(frames)} frame{'s' if len(frames) > 1 else ''} of {most} windows")
    return plan


def _frames(
    rows: Rows,
    plan: Layout,
    bench: FourF,
    encoding: Encoding,
    light: float | None,
    generator: torch.Generator,
    progress: Progress | None,
    account: Account,
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Phase and levels of one mask after the other, on the whole panel."""
    unit = rows.weight / rows.weight.abs().square().sum((1, 2, 3), keepdim=True).sqrt()
    weights, shape = unit.flatten(0, 1), plan.shape or bench.config.input.shape
    lights = _lights(weights, plan, bench, light)
    for frame in range(max(plan.mask) + 1):
        mine = [i for i, mask in enumerate(plan.mask) if mask == frame]
        line = lit(bench, plan.wavelengths[mine[0]] if plan.wavelengths else bench.wavelength)
        with account.timed("passivity"):
            task = problem(weights[mine], [plan.centres[i] for i in mine], shape, line, lights[frame])
            account.say("passivity", "each output to the same energy; what that takes is the scale of the table")
        with account.timed("encoding"):
            addressed = encoding(task, generator, progress)
        with account.timed("panel"):
            shown = _on_panel(addressed, line, _sheet(bench))
            account.say("encoding", f"{name_of(encoding)}: {_lost(task, addressed, shown[1], line)}")
            account.say("panel", _said_of_panel(line))
        yield shown


def _lights(weights: Tensor, plan: Layout, bench: FourF, light: float | None) -> list[float | None]:
    """Light to ask of each mask: that of different lines so that their intensities add up to those of the kernels."""
    masks = range(max(plan.mask) + 1)
    if len(set(plan.wavelengths)) < 2:
        return [light for _ in masks]
    wanted = []
    for mask, (photons, line) in zip(masks, photons_of_lines(bench), strict=True):
        energy = weights[[i for i, at in enumerate(plan.mask) if at == mask]].abs().square().sum()
        whole = line.pixel_spectrum().square().sum() / line.config.band**2
        wanted.append(float(energy / (photons * whole)))
    dim = 0.02  # amplitudes: their holograms differ from line to line, so none can choose for itself
    most = light or (encodings.LIGHT if bench.slm.config.modulation in ("phase", "coupled") else dim)
    return [most * each / max(wanted) for each in wanted]


def _lost(task: Problem, addressed: Tensor, gray: np.ndarray, bench: FourF) -> str:
    """Correlation of the response with the target before and after the levels."""

    def fit(what: Tensor) -> float:
        h, t = (task.through_panel or task.respond)(what), task.target.to(torch.complex64)
        return float((h.conj() * t).sum().abs() / (h.abs().square().sum() * t.abs().square().sum()).sqrt())

    levels = torch.from_numpy(bench.crop(gray).astype(np.int64))
    phase, amplitude = panel.response(bench.slm.config)
    shown = torch.from_numpy(phase if task.modulation in ("phase", "coupled") else amplitude)[levels]
    return f"correlation {fit(addressed.float()):.6f} as addressed, {fit(shown.float()):.6f} in levels"


def _on_panel(addressed: Tensor, bench: FourF, slm: panel.SLMConfig) -> tuple[np.ndarray, np.ndarray]:
    """Phase in [0, 2 pi) and levels of what is addressed (fy, fx), on a frame; what the iris hides shows 0.

    In light of another line than that of the panel's data the levels are those for it, the phase is what they stand
    for in the data.
    """
    frame = np.zeros(bench.config.panel.shape, np.float32)
    if slm.modulation in ("amplitude", "binary"):
        bench.crop(frame)[...] = addressed.numpy()
        return frame, panel.levels_for(slm, frame).astype(np.uint8 if slm.bits <= 8 else np.uint16)
    bench.crop(frame)[...] = wrapped(addressed.numpy())
    gray = panel.mask_levels(bench.slm.config, frame)
    same = bench.slm.config.stroke == slm.stroke and bench.slm.config.table == slm.table
    return (frame if same else panel.shown_phase(slm, gray)), gray


def _sheet(bench: FourF) -> panel.SLMConfig:
    """The panel at the bench's wavelength, without its maps, which no driver makes up for."""
    here = bench.config.lit_panel.at(bench.wavelength)
    return panel.SLMConfig.model_validate(here.model_dump(exclude={"iris", "stroke_map", "flatness"}))


def _said_of_panel(bench: FourF) -> str:
    slm = bench.slm.config
    parts = [f"{slm.bits} bit, {slm.modulation}, fill factor {slm.fill_factor:g}"]
    if slm.modulation == "phase" and not panel.is_linear(slm):
        reach = np.ptp(panel.response(slm).phase)
        parts.append(f"{'table' if slm.table else 'stroke'} of {reach:.3g} rad")
    found = {"crosstalk": slm.crosstalk, "dead pixels": len(slm.dead_pixels), "flatness": slm.flatness}
    parts += [f"{name}: made up for" for name, value in found.items() if value]
    return ", ".join(parts)


def _said_of_readout(plan: Layout, bench: FourF) -> str:
    frames = (max(plan.mask) + 1) * {"reference_pair": 2, "four_step": 4}.get(bench.config.readout.kind, 1)
    cells = bench.config.magnification * bench.config.input.pitch / bench.config.camera.pitch
    return f"{frames} camera frame{'s' if frames > 1 else ''} an image, {cells:.4g} camera pixels an image pixel"


def _warn_if_large(error: np.ndarray, light: float | None) -> None:
    if error.max() > LARGE_ERROR:
        less = f"less light than {light:g}" if light is not None else "less light"
        warnings.warn(
            f"the worst kernel comes out with an error of {error.max():.0%}: ask for {less}, put fewer kernels into a "
            "frame, or take layout=sequential",
            SamplingWarning,
            stacklevel=3,
        )


def name_of(function: Any) -> str:
    """Name of a function, also of a `functools.partial` of it."""
    return getattr(function, "__name__", None) or name_of(function.func)
