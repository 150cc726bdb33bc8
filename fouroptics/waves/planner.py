"""Which method, how far off it will be, what it costs and why: `plan` looks at the field before it propagates."""

import math
import warnings
from dataclasses import dataclass

import torch

from fouroptics.errors import GeometryError, SamplingWarning
from fouroptics.light.field import Field
from fouroptics.light.grid import Grid
from fouroptics.units import show
from fouroptics.waves import estimate, kernels
from fouroptics.waves.estimate import Line
from fouroptics.waves.propagation import angular_spectrum, by_sum, pitch_fits, propagate
from fouroptics.waves.transforms import BLOCKED, fast_length


@dataclass(frozen=True)
class Cost:
    """What a propagation takes.

    Attributes
    ----------
    transforms : int
        Two-dimensional FFTs a field.
    shape : tuple of int
        Their size (ny, nx).
    products : int
        Complex multiplications in matrix products, a field.
    bytes : int
        Memory for one field beside its own: kernel, buffers and result. To make a kernel, which is kept, takes a few
        times its size for a moment.
    """

    transforms: int
    shape: tuple[int, int]
    products: int
    bytes: int


@dataclass(frozen=True)
class Plan:
    """A way to propagate fields of one grid and wavelength, and what to expect of it; call it with a field.

    Attributes
    ----------
    method : str
        ``"periodic"`` (angular spectrum in the field's own window), ``"convolution"`` (linear, by FFT), ``"matrices"``
        (linear, onto another pitch) or ``"sum"`` (the same by the Rayleigh-Sommerfeld sum over few samples).
    error : float
        Estimated L2 error on the target, relative to the field there: the root of the summed squares of `terms`.
    terms : dict of str to float
        ``wrap``: light that leaves a periodic window and comes round; ``edges``: light beyond the band of the samples,
        of steps between them or of too few; ``place``: steps without a grey sample, which may lie half a sample off;
        ``window``: light of a field that goes on beyond its grid; ``kernel``: the step from the paraxial response to
        the exact one, for light that passes by the target and for the orders of cells; ``rounding``.
    cost : Cost
        Transforms and memory.
    reason : str
        One sentence: why this method, what limits it and, out of tolerance, what would help.
    """

    method: str
    error: float
    terms: dict[str, float]
    cost: Cost
    reason: str
    grid: Grid
    onto: Grid
    wavelength: float
    z: float
    tolerance: float
    pixels: bool

    def __call__(self, field: Field) -> Field:
        """Propagate a field like the one that was planned for; warns if the tolerance is out of reach.

        Raises
        ------
        GeometryError
            If the field has another grid or wavelength.
        """
        if field.grid != self.grid or field.wavelength != self.wavelength:
            raise GeometryError(
                f"the plan is for {self.grid} at {show(self.wavelength, 'length')}, the field has {field.grid} at "
                f"{show(field.wavelength, 'length')}: plan again"
            )
        if self.error > self.tolerance:
            warnings.warn(self.reason, SamplingWarning, stacklevel=2)
        if self.method == "periodic":
            return angular_spectrum(field, self.z, pad=1)
        return propagate(field, self.z, self.onto, pixels=self.pixels)


def plan(field: Field, z: float, onto: Grid | None = None, tolerance: float = 1e-3, *, pixels: bool = False) -> Plan:
    """Choose the cheapest way over a distance that keeps to a tolerance, by the field itself.

    The samples are taken for those of a field that is smooth between them and goes on beyond them, but for steps, which
    show at the end of the spectrum. What arrives, what comes round and what is missing from beyond the grid is
    propagated, axis by axis, for some random sums over the lines of the target; the light of steps is followed to where
    each frequency walks. Noise up to the end of the band cannot be told from steps.

    Parameters
    ----------
    field : Field
        Batch of fields (..., y, x); the estimate is for the batch as a whole.
    z : float
        Distance in metres.
    onto : Grid, optional
        Grid of the result; left out, the grid of the field.
    tolerance : float
        Largest relative L2 error wanted.
    pixels : bool
        The samples are cells of uniform light; see `propagate`. The plan takes that as true.

    Returns
    -------
    Plan
        If no way keeps to the tolerance, the best there is; its reason says what would.

    Raises
    ------
    GeometryError
        If the distance is not finite or the tolerance not positive.
    """
    onto, z = onto or field.grid, float(z)
    if not (math.isfinite(z) and tolerance > 0):
        raise GeometryError(f"z = {z}, tolerance = {tolerance}: z must be finite, in metres, the tolerance positive")
    lines = [estimate.look(field, onto, z, axis, tolerance, pixels) for axis in (0, 1)]
    terms, base = estimate.errors(lines, field, onto, z, pixels)
    method, wrap = ("convolution" if pitch_fits(field.grid, onto) else "matrices"), 0.0
    if method == "matrices" and not pixels and by_sum(field, z, onto):
        method, terms = "sum", terms | {"kernel": 0.0}
    if onto == field.grid and z != 0 and not pixels:
        wrap = estimate.share(sum(line.wrap for line in lines), base)
        periodic = terms | {"wrap": wrap, "kernel": 0.0}
        if math.hypot(*periodic.values()) <= tolerance:
            method, terms = "periodic", periodic
    error, worst = math.hypot(*terms.values()), max(terms, key=lambda cause: terms[cause])
    size = f"expected error {error:.1e}" if error < math.inf else "no bound of the error"
    reason = f"{_way(field, z, onto, method, wrap)}; {size}"
    if error > tolerance:
        remedy = _remedy(worst, lines, base, field, tolerance, pixels)
        reason += f", not {tolerance:.1e}, most of it from {worst}: {remedy}"
    elif error > 0:
        reason += f", most of it from {worst}"
    cost = _cost(field, z, onto, method, pixels)
    return Plan(method, error, terms, cost, reason, field.grid, onto, field.wavelength, z, tolerance, pixels)


def _way(field: Field, z: float, onto: Grid, method: str, wrap: float) -> str:
    """Why this method."""
    if z == 0 and onto == field.grid:
        return "over 0 m the field stays as it is"
    if method == "periodic":
        return f"hardly any light leaves the grid over {show(z, 'length', 4)}, so its own window will do"
    if method == "sum":
        return "few samples send light far aside, so the sum over them costs least"
    if method == "matrices":
        return "the target has another pitch, so each axis takes a matrix product"
    if wrap:
        return f"a convolution without period, for in its own window light of {wrap:.1e} of the field comes round"
    return "a convolution without period"


def _remedy(worst: str, lines: list[Line], base: float, field: Field, tolerance: float, pixels: bool) -> str:
    """What brings the largest term below the tolerance."""
    cells = "pixels=True if each is a uniform cell"
    if worst == "edges":
        return f"use samples of {_finer(lines, base, tolerance)}, or {cells}"
    if worst == "place":
        pitch = _finer(lines, base, tolerance, covered=True)
        return f"use samples of {pitch} that carry the covered part of their cell, as those of fo.shapes, or {cells}"
    if worst == "window":
        grid = _larger(lines, base, field, tolerance)
        return f"the field goes on where its grid ends: use {grid}, or pixels=True if it ends there"
    if worst == "kernel":
        return "use rayleigh_sommerfeld()" + " and finer samples" * pixels
    single = field.data.dtype == torch.complex64
    return "use complex128" if single else "hardly any light lands there, use another grid"


def _finer(lines: list[Line], base: float, tolerance: float, *, covered: bool = False) -> str:
    """Pitch at which what lies beyond the band keeps to the tolerance.

    Where samples carry the covered part of their cell no step is out of place; ``kappa`` of `steps` is 1/12 at worst.
    """

    def energy(line: Line, pitch: float) -> float:
        wrong, misplaced, missing = estimate.steps(line, pitch)
        return 4 * wrong + missing if covered else wrong + misplaced + missing

    part = 1.0
    while part > 1e-6:
        part /= 2**0.25
        if estimate.share(sum(energy(line, part * line.d) for line in lines), base) < 0.8 * tolerance:
            break
    pitch = [show(part * line.d, "length", 2) for line in lines]
    return pitch[0] if pitch[0] == pitch[1] else f"{pitch[0]} x {pitch[1]}"


def _larger(lines: list[Line], base: float, field: Field, tolerance: float) -> str:
    """Grid at whose ends the field has faded."""
    sizes = []
    for n, line in zip(field.grid.shape, lines, strict=True):
        excess = math.log(max(estimate.share(line.outside, base) / (0.5 * tolerance), 1))
        if excess and line.fading > math.exp(-excess / (2 * n)):
            return "a grid that holds all of it"
        sizes.append(n + 2 * math.ceil(excess / -math.log(line.fading)) if excess else n)
    return f"{sizes[0]} x {sizes[1]} samples"


def _cost(field: Field, z: float, onto: Grid, method: str, pixels: bool) -> Cost:
    """Count the kernel, the larger buffers and the result."""
    grid, (my, mx) = field.grid, onto.shape
    if z == 0 and onto == grid:
        return Cost(0, grid.shape, 0, 0)
    (ny, nx), shape, products, size = grid.shape, grid.shape, 0, my * mx
    if method == "convolution":
        shape = kernels.window(grid, onto, field.wavelength, z, pixels)
    if method == "sum":
        products = ny * nx * my * mx
        return Cost(0, grid.shape, products, 16 * max(min(products, 2**22), ny * nx) + size * field.data.element_size())
    if method == "matrices":
        parts = kernels.parts(grid, onto, field.wavelength, z) if pixels and z else 1
        fine = Grid((parts * ny, parts * nx), (grid.spacing[0] / parts, grid.spacing[1] / parts), grid.center)
        size += (parts**2 - 1) * ny * nx
        ny, nx = kernels.widened(fine, onto, field.wavelength, z).shape
        shape = fast_length(ny), fast_length(nx)
        products = my * nx * (ny + mx) if my / ny <= mx / nx else mx * ny * (nx + my)
        size += my * ny + mx * nx + ny * nx
    window = shape[0] * shape[1]
    if field.data.device.type == "cpu" and field.data[..., 0, 0].numel() * window >= BLOCKED:
        size += max(ny, my) * shape[1] + window // 4
    else:
        size += 3 * window
    return Cost(2 * (method != "matrices" or z != 0), shape, products, size * field.data.element_size())
