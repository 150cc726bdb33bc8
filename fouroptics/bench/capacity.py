"""Capacity: what one frame carries beside the orders of the panel, as rows of a check. Imports no torch."""

import math
from collections.abc import Iterator

from fouroptics.bench.geometry import Geometry
from fouroptics.bench.rows import Row, else_note
from fouroptics.bench.settings import FourFConfig

FULL, BRIGHT = 0.35, {"point": 0.2, "square": 0.1}  #: of the plane, and of the light: see `rounding_error`


def orders(place: Geometry) -> Iterator[Row]:
    """What lies beside the windows: the undiffracted light, and the next orders of the panel's pixels."""
    ends = []
    for axis in (0, 1):
        near, side, across = place.first[axis], place.shape[axis], place.windows[axis]
        far = near + (across // 2 - 1) * place.step[axis]
        ends.append((near - (side - 1), place.band[axis] - far - (side - 1), across > 0))
    inner, outer, there = (min(values) for values in zip(*ends, strict=True))
    if there:
        yield Row(
            "orders beside the windows",
            f"undiffracted light {inner} image pixels from the nearest, the panel's next order {outer:.4g} from the "
            "farthest",
            "at least 1; a mask on the axis has 0",
            else_note(min(inner, outer) >= 1),
            "a larger band, or fewer windows",
        )


def capacity(config: FourFConfig, place: Geometry, kernels: int, light: float) -> Iterator[Row]:
    """Whether one frame carries so many kernels, and with which error."""
    windows = math.prod(place.windows)
    if windows == 0 or config.panel.modulation != "phase":
        return
    shown, most = min(kernels, windows), BRIGHT[config.input.pixel]
    part = place.prescribed(shown)
    error = rounding_error(part, light, config.panel.bits)
    yield Row(
        "kernels in a frame",
        f"{kernels}: {part:.0%} of the plane prescribed, {light:.3g} of the light; error about {error:.2%}",
        f"at most {windows} windows, {FULL:.0%} of the plane, {most:g} of the light",
        else_note(kernels <= windows and part <= FULL and light <= most),
        f"{math.ceil(kernels / windows)} frames, or a larger camera"
        if kernels > windows
        else f"light of {most:g}, or more frames: the error is larger than that of the levels",
    )


def rounding_error(share: float, light: float, bits: int) -> float:
    """Relative error of the response of a tiled phase mask that its levels leave: ``2.8 q / (2^b sqrt(L))``.

    q is the share of the plane that is prescribed, L that of the light in the taps, b the bits. Levels that are rounded
    one by one leave ``2 pi / (2^b sqrt(12))`` rad a pixel, even over the plane, so ``sqrt(q / L)`` times that in the
    windows; the search moves most of it out of them, and what it leaves goes with q. Fitted to ``validation.capacity``;
    holds as long as the search itself leaves nothing: q up to `FULL` and L up to `BRIGHT`.
    """
    return 2.8 * share / (2**bits * math.sqrt(light))
