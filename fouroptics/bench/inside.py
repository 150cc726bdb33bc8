"""Inside a 4f bench: pictures of the light along it, and where its power goes from the laser to the camera."""

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fouroptics.bench import display
from fouroptics.bench.bench import Axis, Bench, Place, Section
from fouroptics.bench.elements import FreeSpace, Lens, Mask
from fouroptics.bench.ledger import Ledger, balanced, power
from fouroptics.bench.settings import FourFConfig, LensConfig
from fouroptics.bench.shown import PanelMasks, checked, crop, kept, levels, unmodulated
from fouroptics.devices.slm import SLM
from fouroptics.errors import GeometryError
from fouroptics.light.field import Field
from fouroptics.light.grid import Grid
from fouroptics.light.sources import axes


def section(
    config: FourFConfig,
    u: Field,
    mask: Tensor,
    planes: int = 81,
    y: NDArray[np.float64] | None = None,
    x: Place = 0.0,
    axis: Axis = "yz",
) -> Section:
    """Light of a display (y, x) behind one mask (fy, fx); see `FourF.section`."""
    if not isinstance(mask, Tensor) or mask.shape != config.fourier_grid.shape or u.data.ndim != 2:
        raise GeometryError(
            "a section is of one image (y, x) behind one mask, a tensor (fy, fx) on fourier_grid; "
            "bench.transmission(masks)[0] is that of a MaskSet"
        )
    u, pitch = display.sampled(config, u), 2 * config.panel.pitch
    first = _arm(u, config.lens1, config.fourier_grid)
    n = round(min(config.camera_grid.extent) / pitch)  # a picture needs no finer camera
    second = _arm(u.replace(data=mask, grid=config.fourier_grid), config.lens2, Grid((n, n), (pitch, pitch)))
    behind = [(f"{name}2", element) for name, element in second.elements.items()]
    whole = Bench([*first.elements.items(), ("mask", Mask(mask.to(u.data.dtype))), *behind])
    return whole.section(u, ((np.arange(planes) + 0.5) * whole.length / planes).tolist(), y, x, pad=1, axis=axis)


def _arm(u: Field, lens: LensConfig, onto: Grid) -> Bench:
    """Free space, lens, free space; the lens plane is as large and as fine as both ends ask for."""
    f = lens.focal_length
    ends = [max(abs(c) + e / 2 for c, e in zip(g.center, g.extent, strict=True)) for g in (u.grid, onto)]
    half = 1.1 * sum(ends)  # light spreads a little beyond the geometric edge
    pitch = u.wavelength * f / (2 * (half + max(ends)))
    n = 2 * math.ceil(half / pitch)
    middle = Grid((n, n), (pitch, pitch))
    return Bench([("space", FreeSpace(f, middle)), ("lens", Lens(f, lens.diameter)), ("focus", FreeSpace(f, onto))])


def ledger(config: FourFConfig, slm: SLM, u: Field, before: Field, masks: Tensor | PanelMasks, seen: Field) -> Ledger:
    """Ledger of one image behind one mask; see `FourF.ledger`.

    Parameters
    ----------
    config, slm
        The bench and its panel.
    u, before, seen : Field
        Light behind the display, on the panel, and on the camera.
    masks : torch.Tensor or PanelMasks
        One mask.
    """
    if u.data.ndim != 2 or seen.data.numel() != seen.grid.shape[0] * seen.grid.shape[1]:
        raise GeometryError("a ledger is of one image behind one mask: give one (y, x), and one mask")
    beam = float(display.illumination(config).abs().square().sum()) * u.grid.cell
    passed = power(u) * (config.input.fill_factor if config.input.pixel == "square" else 1.0)
    arrived, gap, shown, onward = _on_panel(config, slm, before, masks)
    camera, middle = power(seen), float(_undiffracted(config, seen).sum()) * seen.grid.cell
    powers = [config.light.power, beam, passed, arrived, gap, shown, onward, camera, camera - middle]
    return balanced(
        powers,
        [
            ("beam", "edge of the display"),
            ("display", "absorption"),
            ("panel", "window edge: rims, iris, end of the panel"),
            ("panel gap", "gap"),
            ("panel pixels", "absorption, and scatter by flicker and crosstalk"),
            ("fold, polariser", "splitter and analyser"),
            ("camera", "window edge: what misses it, higher orders"),
            ("zero order", "the inverted image on the axis"),
        ],
    )


def _on_panel(
    config: FourFConfig, slm: SLM, before: Field, masks: Tensor | PanelMasks
) -> tuple[float, float, float, float]:
    """Power on the panel, behind its gaps, behind its pixels, and behind splitter and analyser."""
    lit, rest, share = before.intensity.double() * before.grid.cell, unmodulated(config), kept(config)
    extra = torch.zeros((), dtype=torch.complex128) if rest is None else rest
    if isinstance(masks, Tensor):
        fill, light = 1.0, checked(config, masks).reshape(before.grid.shape).to(torch.complex128)
    else:
        fill = config.panel.fill_factor
        light = (slm.transmission(crop(config, levels(config, masks)))[0] - (1 - fill) * slm.dead) / fill
    dark = 1 - fill
    gap = float((lit * (fill + dark * abs(slm.dead) ** 2)).sum())
    shown = float((lit * (fill * light.abs().square() + dark * abs(slm.dead) ** 2)).sum())
    areas = fill * (share * light + extra).abs().square() + dark * (share * slm.dead + extra).abs().square()
    return float(lit.sum()), gap, shown, float((lit * areas).sum())


def _undiffracted(config: FourFConfig, seen: Field) -> Tensor:
    """Intensity where the panel's undiffracted light makes an image, 0 elsewhere."""
    image = config.input_grid.inverted(config.magnification)
    inside = torch.ones((), dtype=torch.bool)
    for axis, c, side in zip(axes(seen.grid), image.center, image.extent, strict=True):
        inside = inside & ((axis - c).abs() <= side / 2)
    return seen.intensity.double() * inside
