"""Where the power of a 4f bench goes, from the laser to the camera."""

import torch
from torch import Tensor

from fouroptics.bench import display
from fouroptics.bench.ledger import Ledger, balanced, power
from fouroptics.bench.settings import FourFConfig
from fouroptics.bench.shown import PanelMasks, checked, crop, kept, levels, unmodulated
from fouroptics.devices.slm import SLM
from fouroptics.errors import GeometryError
from fouroptics.light.field import Field
from fouroptics.light.sources import axes


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
