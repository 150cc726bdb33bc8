"""Coherent nuisances: what a bench does to its light that nobody ordered. All are passive but the laser's drift."""

import math
import warnings
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from fouroptics.errors import GeometryError, SamplingWarning
from fouroptics.light import shapes
from fouroptics.light.field import Field
from fouroptics.light.grid import Pair
from fouroptics.light.sources import axes, plane_wave
from fouroptics.units import show
from fouroptics.waves.propagation import propagate
from fouroptics.waves.sampling import number
from fouroptics.waves.transforms import phasor


class GaussianIllumination(nn.Module):
    """Amplitude ``exp(-r^2 / waist^2)`` of a beam of 1/e^2 radius `waist` about its `center` (y, x), in metres.

    Its peak is 1: a uniform wave of power P on an area A keeps ``P pi waist^2 / (2 A)``.
    """

    length = 0.0
    takes = "illumination"

    def __init__(self, waist: float | Tensor, center: tuple[float | Tensor, float | Tensor] = (0.0, 0.0)) -> None:
        super().__init__()
        if not 0 < number(waist) < math.inf:
            raise GeometryError(f"waist = {number(waist)}: must be positive and finite, in metres")
        self.waist, self.center = waist, center

    def forward(self, field: Field) -> Field:
        """Multiply by the amplitude of the beam."""
        y, x = (axis - c for axis, c in zip(axes(field.grid, field.data.device), self.center, strict=True))
        return field.modulate(torch.exp(-(y**2 + x**2) / self.waist**2))


class WindowFringes(nn.Module):
    """Fringes of a window: light reflected twice inside it interferes with the light that passes straight.

    ``(1 + r exp(i (2 pi (fy y + fx x) + phase))) / (1 + r)``, passive: with ``r = R`` for two faces of reflectance R. A
    wedge of angle a and index n makes fringes of the frequency ``2 n a / lambda``. The contrast of the intensity is
    ``2 r / (1 + r^2)``; the dark lines are by ``4 r / (1 + r)^2`` of the bright ones darker.

    Parameters
    ----------
    amplitude : float or torch.Tensor
        r, from 0 to 1.
    frequency : tuple of float
        (fy, fx) in cycles per metre.
    phase : float or torch.Tensor
        At the origin, in rad; it follows the temperature.

    Warns
    -----
    SamplingWarning
        If a fringe holds fewer than two samples.
    """

    length = 0.0
    takes = "window"

    def __init__(self, amplitude: float | Tensor, frequency: Pair, phase: float | Tensor = 0.0) -> None:
        super().__init__()
        if not 0 <= number(amplitude) <= 1:
            raise GeometryError(f"amplitude = {number(amplitude)}: what is reflected twice, from 0 to 1 of the light")
        if not all(math.isfinite(f) for f in frequency):
            raise GeometryError(f"frequency = {frequency}: give (fy, fx), finite, in cycles per metre")
        self.amplitude, self.frequency, self.phase = amplitude, frequency, phase

    def forward(self, field: Field) -> Field:
        """Multiply by one plus the second wave."""
        for f, n, d in zip(self.frequency, field.grid.shape, field.grid.spacing, strict=True):
            if n > 1 and abs(f) * d > 0.5:
                warnings.warn(
                    f"fringes of period {show(1 / abs(f), 'length', 4)} on {field.grid} are aliased: use samples of "
                    f"{show(0.49 / abs(f), 'length', 3)}",
                    SamplingWarning,
                    stacklevel=2,
                )
        y, x = axes(field.grid, field.data.device)
        second = self.amplitude * phasor(y * self.frequency[0] + x * self.frequency[1] + self.phase / (2 * math.pi))
        return field.modulate((1 + second) / (1 + self.amplitude))


class Ghost(nn.Module):
    """A second image: ``(u + a exp(i phase) S u) / (1 + a)``, with S a shift sideways and a propagation.

    Passive, whatever the two do to each other. Where they do not overlap its power is a^2 of the light beside it.

    Parameters
    ----------
    amplitude : float or torch.Tensor
        a, of the ghost against the light, from 0 on.
    shift : tuple of float
        (y, x) in metres.
    defocus : float
        Way in metres that it has gone farther; its carrier is left out, the phase takes its place.
    phase : float or torch.Tensor
        Against the light, in rad.
    """

    length = 0.0
    takes = "ghost"

    def __init__(
        self,
        amplitude: float | Tensor,
        shift: Pair = (0.0, 0.0),
        defocus: float = 0.0,
        phase: float | Tensor = 0.0,
    ) -> None:
        super().__init__()
        if not 0 <= number(amplitude) < math.inf:
            raise GeometryError(f"amplitude = {number(amplitude)}: of the ghost against the light, 0 or more")
        self.amplitude, self.shift, self.defocus, self.phase = amplitude, shift, defocus, phase

    def forward(self, field: Field) -> Field:
        """Add the ghost."""
        moved = propagate(field.replace(grid=field.grid.shifted(*self.shift)), self.defocus, field.grid)
        carrier = torch.as_tensor(self.phase, dtype=torch.float64) / (2 * math.pi) - self.defocus / field.wavelength % 1
        ghost = moved.modulate(self.amplitude * phasor(carrier))
        return field.replace(data=(field.data + ghost.data) / (1 + self.amplitude))


class Dust(nn.Module):
    """Round specks in the plane; out of focus, they make rings.

    Parameters
    ----------
    centers : sequence of tuple of float
        Positions (y, x) in metres.
    radii : sequence of float
        One for each, in metres.
    transmission : complex
        Amplitude of the light that passes a speck: 0 is opaque, ``exp(i phi)`` a drop.
    """

    length = 0.0
    takes = "dust"

    def __init__(self, centers: Sequence[Pair], radii: Sequence[float], transmission: complex = 0.0) -> None:
        super().__init__()
        if len(centers) != len(radii) or not all(0 < radius < math.inf for radius in radii):
            raise GeometryError(f"{len(centers)} centers, radii = {radii}: give a positive radius for each, in metres")
        if not abs(transmission) <= 1:
            raise GeometryError(f"transmission = {transmission}: a speck passes at most all light, abs up to 1")
        self.centers, self.radii, self.transmission = centers, radii, transmission

    @classmethod
    def scattered(cls, count: int, area: Pair, radii: Pair, transmission: complex = 0.0, seed: int = 0) -> "Dust":
        """`count` specks: uniform over a rectangle (height, width) about the axis, radii between the two."""
        draws = torch.rand(count, 3, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
        centers = [((a - 0.5) * area[0], (b - 0.5) * area[1]) for a, b, _ in draws.tolist()]
        return cls(centers, [radii[0] + c * (radii[1] - radii[0]) for _, _, c in draws.tolist()], transmission)

    def forward(self, field: Field) -> Field:
        """Multiply by what passes each speck."""
        passed = torch.ones(field.grid.shape, dtype=torch.complex128)
        for center, radius in zip(self.centers, self.radii, strict=True):
            passed = passed * (1 - (1 - self.transmission) * shapes.circle(field.grid, radius, center))
        return field.modulate(passed)


class LaserDrift(nn.Module):
    """Power that walks: from call to call its logarithm takes a normal step of `rms`, beginning at the first.

    After n calls ``ln(P/P0)`` has the variance ``n rms^2``. A call is a frame, all its batch at once. Not passive: it
    is the laser.

    Parameters
    ----------
    rms : float
        Relative change of the power from a frame to the next.
    generator : int or torch.Generator
        A seed, or where the numbers come from.
    """

    length = 0.0
    takes = "laser"

    def __init__(self, rms: float, generator: int | torch.Generator = 0) -> None:
        super().__init__()
        self.rms, self.draws, self.walked = _spread("rms", rms), _Draws(generator), 0.0

    def reset(self) -> None:
        """Begin again: the same frames come once more."""
        self.draws.reset()
        self.walked = 0.0

    def forward(self, field: Field) -> Field:
        """Draw the next power."""
        self.walked += self.rms * self.draws.normal(1)[0]
        return field.modulate(torch.tensor(math.exp(self.walked / 2), dtype=torch.float64))


class PointingJitter(nn.Module):
    """A beam that points elsewhere at each call: a tilt about both axes, each normal with `rms` in rad.

    Behind a lens of focal length f the focus moves by ``f rms`` RMS an axis. A call is a frame, all its batch at once.

    Parameters
    ----------
    rms : float
        Of the direction sine of each axis.
    generator : int or torch.Generator
        A seed, or where the numbers come from.

    Warns
    -----
    SamplingWarning
        If a tilt turns the phase by more than pi a sample.
    """

    length = 0.0

    def __init__(self, rms: float, generator: int | torch.Generator = 0) -> None:
        super().__init__()
        self.rms, self.draws = _spread("rms", rms), _Draws(generator)

    def reset(self) -> None:
        """Begin again: the same frames come once more."""
        self.draws.reset()

    def forward(self, field: Field) -> Field:
        """Draw the next direction."""
        sy, sx = (self.rms * draw for draw in self.draws.normal(2))
        grid = field.grid
        wave = plane_wave(
            grid, field.wavelength, power=math.prod(grid.extent), direction=(sy, sx), dtype=torch.complex128
        )
        return field.modulate(wave.data)


class _Draws:
    """Normal numbers that can begin again."""

    def __init__(self, generator: int | torch.Generator) -> None:
        given = isinstance(generator, torch.Generator)
        self.generator = generator if given else torch.Generator().manual_seed(int(generator))
        self.start = self.generator.get_state()

    def reset(self) -> None:
        self.generator.set_state(self.start)

    def normal(self, count: int) -> list[float]:
        return torch.randn(count, generator=self.generator, dtype=torch.float64).tolist()


def _spread(name: str, value: float) -> float:
    if not 0 <= value < math.inf:
        raise GeometryError(f"{name} = {value}: a standard deviation, 0 or more")
    return value
