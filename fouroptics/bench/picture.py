"""Pictures of the light along a 4f bench."""

import math

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from fouroptics.bench import display
from fouroptics.bench.bench import Axis, Bench, Place, Section
from fouroptics.bench.elements import FreeSpace, Lens, Mask
from fouroptics.bench.settings import FourFConfig, LensConfig
from fouroptics.errors import GeometryError
from fouroptics.light.field import Field
from fouroptics.light.grid import Grid


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
