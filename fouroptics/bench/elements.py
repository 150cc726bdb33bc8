"""Elements: the parts of a bench as Modules. Each holds its setting and calls one function.

A thin part has a `pose`, and `act`: what it does to light on its own plane. What `takes` its light is for the ledger.
"""

import math
import warnings
from collections.abc import Callable
from typing import Any, Literal, cast

import torch
from torch import Tensor, nn

from fouroptics.bench.aberrations import Coefficients, aberrated
from fouroptics.bench.aberrations import aberrate as aberrate
from fouroptics.bench.apertures import Aperture as Aperture
from fouroptics.bench.apertures import BeamBlock as BeamBlock
from fouroptics.bench.gratings import Diffuser as Diffuser
from fouroptics.bench.gratings import Grating as Grating
from fouroptics.bench.lenses import FourierLens as FourierLens
from fouroptics.bench.lenses import Lens as Lens
from fouroptics.bench.pose import Pose, coordinates, placed
from fouroptics.errors import GeometryError, SamplingWarning
from fouroptics.light.field import Field
from fouroptics.light.grid import Grid, Pair
from fouroptics.light.resample import BAND, sample
from fouroptics.waves import propagation
from fouroptics.waves.sampling import number
from fouroptics.waves.transforms import fft2, frequencies


class FreeSpace(nn.Module):
    """Free space over `distance` metres, onto the same or another grid; a Parameter of distance learns."""

    takes = "window edge"

    def __init__(self, distance: float | Tensor, onto: Grid | None = None) -> None:
        super().__init__()
        self.length, self.onto = distance, onto

    def forward(self, field: Field) -> Field:
        """See `propagation.propagate`."""
        return propagation.propagate(field, self.length, self.onto)


class Mask(nn.Module):
    """A fixed transmission, real or complex: an aperture, a stop, a shown mask.

    Parameters
    ----------
    transmission : torch.Tensor or callable
        Samples (y, x) on the grid of the field, or a function of coordinates (y, x) in metres, float64 tensors that
        broadcast: exact at any pose.
    pose : Pose, optional
        How it stands. Samples that come to lie between samples are interpolated, see `sample`; beyond the edge of
        their grid a mask is opaque.

    Raises
    ------
    GeometryError
        If the light has another number of samples.

    Warns
    -----
    SamplingWarning
        If samples are interpolated that are finer than that can be: more than 1 % of them, RMS, is beyond half of
        their band.
    """

    length = 0.0
    takes = "absorption"
    transmission: Tensor | Callable[[Tensor, Tensor], Tensor]

    def __init__(self, transmission: Tensor | Callable[[Tensor, Tensor], Tensor], pose: Pose | None = None) -> None:
        super().__init__()
        if isinstance(transmission, nn.Parameter) or callable(transmission):
            self.transmission = transmission
        else:
            self.register_buffer("transmission", torch.as_tensor(transmission))
        self.pose = pose

    def forward(self, field: Field) -> Field:
        """See `placed`."""
        return placed(field, self.pose, self.act)

    def act(self, field: Field, pose: Pose | None) -> Field:
        """What it does to light on its plane."""
        if not isinstance(self.transmission, Tensor):
            return field.modulate(self.transmission(*coordinates(field, pose)))
        samples = self.transmission
        if samples.shape[-2:] != field.grid.shape:
            raise GeometryError(
                f"transmission {tuple(samples.shape)}: the light has {field.grid}; give as many samples (y, x), or a "
                "function of (y, x)"
            )
        if pose is None:
            return field.modulate(samples)
        samples = samples if samples.is_floating_point() or samples.is_complex() else samples.double()
        _warn_if_fine(samples.detach(), field.grid)
        return field.modulate(sample(samples, field.grid, *coordinates(field, pose)))


class Aberration(nn.Module):
    """Zernike phase over a disk of `radius` metres about its `center` (y, x); a Parameter of coefficients learns."""

    length = 0.0

    def __init__(
        self, coefficients: Coefficients, radius: float, center: Pair = (0.0, 0.0), pose: Pose | None = None
    ) -> None:
        super().__init__()
        self.coefficients, self.radius, self.center, self.pose = coefficients, radius, center, pose

    def forward(self, field: Field) -> Field:
        """See `placed`."""
        return placed(field, self.pose, self.act)

    def act(self, field: Field, pose: Pose | None) -> Field:
        """What it does to light on its plane."""
        y, x = (axis - c for axis, c in zip(coordinates(field, pose), self.center, strict=True))
        return aberrated(field, self.coefficients, self.radius, y, x)


class BeamSplitter(nn.Module):
    """Lossless beam splitter of a power `transmittance` T; the bench goes on along one `port` of it.

    Transmits ``sqrt(T)``, reflects ``i sqrt(1 - T)``: the two ports are then those of a unitary matrix, the same from
    both sides. The bench is drawn unfolded, so the reflected light is not mirrored.
    """

    length = 0.0
    takes = "other port"

    def __init__(
        self, transmittance: float | Tensor = 0.5, port: Literal["transmitted", "reflected"] = "transmitted"
    ) -> None:
        super().__init__()
        if not 0 <= number(transmittance) <= 1:
            raise GeometryError(f"transmittance = {number(transmittance)}: a part of the power, from 0 to 1")
        if port not in ("transmitted", "reflected"):
            raise GeometryError(f"port = {port!r}: use 'transmitted' or 'reflected'")
        self.transmittance, self.port = transmittance, port

    def forward(self, field: Field) -> Field:
        """Multiply by the amplitude of the port."""
        t = torch.as_tensor(self.transmittance, dtype=torch.float64)
        return field.modulate(t.sqrt() if self.port == "transmitted" else 1j * (1 - t).sqrt())


class Misalignment(nn.Module):
    """A thin part that is not where it should be: `element`, which has no pose of its own, at a `pose`."""

    length = 0.0

    def __init__(self, element: nn.Module, pose: Pose) -> None:
        super().__init__()
        if not hasattr(element, "act") or getattr(element, "pose", None) is not None:
            raise GeometryError(
                f"{type(element).__name__} cannot be misaligned: it must be a thin part, and have no pose of its own"
            )
        self.element, self.pose = element, pose

    @property
    def takes(self) -> str:
        """What takes the light of its part."""
        return getattr(self.element, "takes", "absorption")

    def forward(self, field: Field) -> Field:
        """See `placed`."""
        return placed(field, self.pose, cast("Any", self.element).act)


def _warn_if_fine(samples: Tensor, grid: Grid) -> None:
    power = fft2(samples.to(torch.complex128)).abs().square()
    fy, fx = (frequencies(n, 1.0).abs().to(power.device) for n in samples.shape[-2:])
    beyond = ((fy[:, None] > BAND / 2) | (fx > BAND / 2)).expand(power.shape)
    part = math.sqrt(float(power[beyond].sum() / power.sum().clamp_min(1e-300)))
    if part > 0.01:
        warnings.warn(
            f"a mask on {grid} is moved or turned between its samples, and {100 * part:.2g} % of it, RMS, varies "
            "faster than half of their band: that part is interpolated badly; give a function of (y, x), or a smoother "
            "mask",
            SamplingWarning,
            stacklevel=4,
        )
