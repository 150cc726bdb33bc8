"""What a sampling can carry: functions of geometry, in plain floats."""

import math
import warnings

from torch import Tensor

from fouroptics.errors import GeometryError, SamplingWarning
from fouroptics.light.grid import Grid
from fouroptics.units import show


def number(value: float | Tensor) -> float:
    """A plain number for decisions about sampling, without its gradient.

    Raises
    ------
    GeometryError
        If it is no single number.
    """
    try:
        return float(value.detach() if isinstance(value, Tensor) else value)
    except (TypeError, ValueError, RuntimeError):
        raise GeometryError(f"{value!r} is not one number; give a float, in SI units, or a tensor of one") from None


def steepest(d: float, wavelength: float) -> float:
    """Largest direction sine that samples of pitch d carry, ``lambda / 2d``; above 1 they hold evanescent waves too."""
    return wavelength / (2 * d)


def walk(sine: float, z: float) -> float:
    """How far light of a direction sine walks sideways over z, in metres; evanescent light does not arrive anywhere."""
    return abs(z) * sine / math.sqrt(1 - sine**2) if sine < 1 else math.inf


def span(source: Grid, target: Grid, axis: int) -> float:
    """Largest distance between a point of one grid and a point of the other along an axis, in metres."""
    return abs(target.center[axis] - source.center[axis]) + (source.extent[axis] + target.extent[axis]) / 2


def reach(source: Grid, target: Grid, wavelength: float, z: float) -> tuple[float, float]:
    """Largest direction sines (y, x) that matter: the samples carry them, and they land on `target`."""
    sines = [
        min(steepest(d, wavelength), s / math.hypot(s, z))
        for d, s in ((source.spacing[axis], span(source, target, axis)) for axis in (0, 1))
    ]
    return sines[0], sines[1]


def arriving(source: Grid, target: Grid, z: float) -> float:
    """Squared direction sine of the steepest light that lands on `target`, whatever the samples carry."""
    return sum((s / math.hypot(s, z)) ** 2 for s in (span(source, target, 0), span(source, target, 1)))


def paraxial_excess(sines: tuple[float, float], z: float) -> tuple[float, float]:
    """How much farther (y, x) than the paraxial ``z s`` light of these direction sines walks, in metres."""
    cosine = math.sqrt(max(1 - sines[0] ** 2 - sines[1] ** 2, 1e-4))
    return abs(z) * sines[0] * (1 / cosine - 1), abs(z) * sines[1] * (1 / cosine - 1)


def impulse_limit(source: Grid, target: Grid, wavelength: float) -> float:
    """Shortest distance at which the pitch samples the spherical wave at the largest offset of each axis, in metres.

    And two wavelengths at least: nearer, evanescent waves of the response count, which no pitch samples.
    """
    far = (
        span(source, target, axis) * math.sqrt(max(1 / steepest(d, wavelength) ** 2 - 1, 0))
        for axis, d in enumerate(source.spacing)
    )
    return max(*far, 2 * wavelength)


def warn_beyond_period(source: Grid, target: Grid, scale: float, what: str) -> None:
    """Warn if `target` reaches beyond one period of the transform of the samples, ``scale / d``; scale in m^2."""
    for axis, pitch in enumerate(source.spacing):
        n, d, c = target.shape[axis], target.spacing[axis], target.center[axis]
        edge = max(abs(c - n // 2 * d), abs(c + (n - 1 - n // 2) * d))
        period = scale / pitch
        if edge > period / 2 * (1 + 1e-9):
            warnings.warn(
                f"{what}: {target} reach {show(edge, 'length', 4)} from the axis, samples of "
                f"{show(pitch, 'length', 4)} define the spectrum up to {show(period / 2, 'length', 4)} "
                "and repeat it beyond; use finer samples or a smaller grid",
                SamplingWarning,
                stacklevel=3,
            )
            return


def warn_beyond_reach(source: Grid, target: Grid, wavelength: float, z: float) -> None:
    """Warn if all of `target` lies farther aside than the steepest light that the samples carry."""
    for axis, d in enumerate(source.spacing):
        aside = abs(target.center[axis] - source.center[axis])
        sine = steepest(d, wavelength)
        farthest = source.extent[axis] / 2 + walk(sine, z)
        nearest = aside - target.extent[axis] / 2
        if nearest > farthest:
            needed = wavelength / 2 * math.hypot(1, z / (nearest - source.extent[axis] / 2))
            warnings.warn(
                f"over {show(z, 'length', 4)} the light that samples of {show(d, 'length', 4)} carry comes "
                f"{show(farthest, 'length', 4)} far aside, the target begins {show(nearest, 'length', 4)} "
                f"aside: use samples of {show(0.99 * needed, 'length', 3)} or less",
                SamplingWarning,
                stacklevel=4,
            )
            return


def warn_about_window(source: Grid, target: Grid, wavelength: float, z: float, shape: tuple[int, int]) -> None:
    """Warn if a window of so many samples cuts the steepest light, or lets it come round onto the target."""
    for axis, d in enumerate(source.spacing):
        window, aside = shape[axis] * d, abs(target.center[axis] - source.center[axis])
        # The kernel cuts what walks farther than half the window; what comes around must miss the target.
        around = window - (source.extent[axis] + target.extent[axis]) / 2
        leaves = min(aside + min(window / 2, around), window / 2 - aside)
        need = walk(steepest(d, wavelength), z)
        if need > leaves * (1 + 1e-9):
            warnings.warn(
                f"angular_spectrum over {show(z, 'length', 4)}: the steepest light that samples of "
                f"{show(d, 'length', 4)} carry walks {show(need, 'length', 4)}, the window of "
                f"{show(window, 'length', 4)} leaves it {show(leaves, 'length', 4)}, the rest is cut or wraps; "
                "use propagate(), a larger pad or coarser samples",
                SamplingWarning,
                stacklevel=3,
            )
            return
