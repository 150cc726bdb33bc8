"""FourF: the 4f bench from its file, in two models of the same optics.

``fourier`` takes the ideal transform of each lens; ``wave`` sends the light through free space, thin lenses and
apertures.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from fouroptics.bench import display, ideal, inside, passes, readout, response, wave
from fouroptics.bench.bench import Axis, Place, Section
from fouroptics.bench.check import Report, check
from fouroptics.bench.cost import Cost, check_memory, cost
from fouroptics.bench.ledger import Ledger
from fouroptics.bench.schedule import Schedule, schedule
from fouroptics.bench.settings import FourFConfig
from fouroptics.bench.shown import Frames, PanelMasks, checked, counts, crop, levels, shown
from fouroptics.devices.camera import Camera
from fouroptics.devices.slm import SLM
from fouroptics.errors import ConfigError, GeometryError
from fouroptics.light.field import Field
from fouroptics.light.grid import Grid
from fouroptics.light.sources import plane_wave

LARGE = 2**26  #: samples of a result, from which on the free memory is looked at before
PLANES = ("input", "lens1", "fourier", "mask", "lens2", "camera")


class FourF(nn.Module):
    """A 4f bench: image display, lens, panel in the Fourier plane, lens, camera plane.

    The field in the camera plane is the physical one, inverted: for an open panel ``o(x, y) = -(f1/f2) u(-x f1/f2, -y
    f1/f2)``, and ``o.flip((-2, -1))`` on `image_grid` is the upright image.

    Parameters
    ----------
    config : FourFConfig or mapping
        The bench; a mapping is laid out as the bench file.

    Raises
    ------
    ConfigError
        If a key or value of the mapping is wrong.

    Examples
    --------
    >>> from fouroptics.bench.settings import EXAMPLE
    >>> import tomllib
    >>> bench = FourF(tomllib.loads(EXAMPLE))
    >>> print(bench.fourier_grid)
    500 x 500 samples of 8 um
    """

    def __init__(self, config: FourFConfig | Mapping[str, Any]) -> None:
        super().__init__()
        if isinstance(config, str | Path):
            raise ConfigError(f"{config}: FourF takes a configuration; use FourF.from_toml for a file")
        self.config = config if isinstance(config, FourFConfig) else FourFConfig.model_validate(config)
        self.slm = SLM(self.config.lit_panel, self.config.light.wavelength)
        self.camera = Camera(self.config.camera)
        self.nuisances = nn.Sequential(*display.nuisances(self.config))

    @classmethod
    def from_toml(cls, path: str | Path) -> "FourF":
        """Read a bench file; see `settings.EXAMPLE` for all its keys."""
        return cls(FourFConfig.from_toml(path))

    def to_toml(self) -> str:
        """Text of a bench file that gives the same bench."""
        return self.config.to_toml()

    # ---- geometry --------------------------------------------------------------------------------

    @property
    def wavelength(self) -> float:
        """Vacuum wavelength in metres."""
        return self.config.light.wavelength

    @property
    def input_grid(self) -> Grid:
        """Pixels of the input display."""
        return self.config.input_grid

    @property
    def fourier_grid(self) -> Grid:
        """Panel pixels that the light passes: one band behind the iris, or the whole panel."""
        return self.config.fourier_grid

    @property
    def image_grid(self) -> Grid:
        """Where the camera reads the image of each input pixel; flipping both axes makes it upright."""
        return self.config.image_grid

    @property
    def camera_grid(self) -> Grid:
        """Camera pixels. For even sizes the centre is one pixel off, so that a flip gives the upright picture."""
        return self.config.camera_grid

    def check(self, **options: Any) -> Report:
        """What the bench has against what it needs, as a table; see `check.check` for the options."""
        return check(self.config, **options)

    def schedule(self, images: int, masks: int, **options: Any) -> Schedule:
        """Frames and seconds of a run on the hardware; see `schedule.schedule` for the options."""
        return schedule(self.config, images, masks, **options)

    def cost(self, images: int, masks: int, **options: Any) -> Cost:
        """Transforms, seconds and bytes of a simulation, before it runs; see `cost.cost` for the options."""
        return cost(self.config, images, masks, **options)

    def encode(self, light: Tensor | Field) -> Field:
        """Light behind the display, for images (..., y, x) in [0, 1] or a field; see `display.encode`.

        Images meet the nuisances of the bench: fringes, dust, at each call the next power and pointing of the laser.
        """
        u = display.encode(self.config, light)
        return u if isinstance(light, Field) else self.nuisances(u)

    @property
    def is_shift_invariant(self) -> bool:
        """Whether a kernel says all: the Fourier model with lenses in place, nothing off along the axis or turned."""
        return response.is_shift_invariant(self.config)

    @property
    def reference(self) -> float | None:
        """Amplitude of the reference arm on the camera in sqrt(W)/m; None for "auto", or without an arm."""
        arm = self.config.reference
        if arm is None or arm.power is None:
            return None
        return math.sqrt(arm.power / math.prod(self.camera_grid.extent))

    @property
    def lines(self) -> list[tuple[float, "FourF"]]:
        """Share of the power and bench of each spectral line; the bench itself where the light has one wavelength."""
        lines = self.config.light.spectrum
        total = sum(weight for _, weight in lines)
        return [(weight / total, FourF(self.config.at(line))) for line, weight in lines] or [(1.0, self)]

    # ---- the bench -------------------------------------------------------------------------------

    def forward(self, light: Tensor | Field, masks: Tensor | PanelMasks, onto: Grid | None = None) -> Field:
        """Field in the camera plane.

        Parameters
        ----------
        light : torch.Tensor or Field
            Images in [0, 1] or a field on `input_grid`, (..., y, x); with channels (..., C, y, x).
        masks : torch.Tensor or PanelMasks
            Complex transmissions on `fourier_grid`: (fy, fx), (M, fy, fx) or, with channels, (M, C, fy, fx), taken as
            ideal samples, those with a gain, ``|T| > 1``, too (a filter to compare with; a `ledger` calls it a source);
            or a MaskSet, shown through the panel: levels, fill factor, undiffracted light and the diffraction of the
            pixels.
        onto : Grid, optional
            Where the field is wanted; left out, `camera_grid`.

        Returns
        -------
        Field
            (..., y, x), (..., M, y, x), or with channels (..., M, y, x) summed over C.

        Raises
        ------
        GeometryError
            If images or masks do not fit the bench, or its light has no field: use `intensity`.
        """
        if self.config.light.spectrum or self.config.light.coherence == "incoherent":
            what = "with a light.spectrum" if self.config.light.spectrum else "that is incoherent"
            raise GeometryError(f"light {what} has no field: call bench.intensity(...), or the benches of bench.lines")
        onto = onto or self.camera_grid
        self._check_memory(light, masks, onto)
        u = self.encode(light)
        far = max(float(np.abs(axis).max()) for axis in onto.coordinates()) / self.config.magnification
        through = self._through(u, onto)
        parts = (through(*part) for part in shown(self.config, self.slm, masks, u.data.dtype, far))
        total = next(parts)
        for part in parts:
            total += part
        return u.replace(data=total, grid=onto)

    def _check_memory(self, light: Tensor | Field, masks: Tensor | PanelMasks, onto: Grid) -> None:
        """Refuse a large call that does not fit into the free memory, before anything is made."""
        data, (many, channels) = light.data if isinstance(light, Field) else light, counts(masks)
        if not isinstance(data, Tensor):
            return  # `encode` says what it should be
        images, double = math.prod(data.shape[:-2]) // channels, data.dtype in (torch.float64, torch.complex128)
        if self.config.model == "fourier" and images * many * math.prod(onto.shape) > LARGE:
            nodes, dtype = 1 if isinstance(masks, Tensor) else 2, torch.complex128 if double else torch.complex64
            check_memory(cost(self.config, images, many, channels, nodes, dtype, onto, speed=1.0), data.device)

    def intensity(self, light: Tensor | Field, masks: Tensor | PanelMasks, onto: Grid | None = None) -> Tensor:
        """Mean intensity in the camera plane in W/m^2, summed over the lines of the spectrum.

        For incoherent light it is the image of intensities, of a display whose power reaches the panel's window and
        lights it evenly; `onto` is then `image_grid`, moved by whole pixels or not.

        Parameters
        ----------
        light, masks, onto
            As for a call of the bench; `onto` left out is `camera_grid`, for incoherent light `image_grid`.

        Returns
        -------
        torch.Tensor
            Real (..., y, x) or (..., M, y, x).
        """
        return reduce(torch.add, (share * bench._intensity(light, masks, onto) for share, bench in self.lines))

    def _intensity(self, light: Tensor | Field, masks: Tensor | PanelMasks, onto: Grid | None) -> Tensor:
        if self.config.light.coherence == "coherent":
            return self(light, masks, onto or self.camera_grid).intensity
        return response.incoherent_image(self.config, self.slm, self.encode(light), masks, onto or self.image_grid)

    def frames(
        self,
        light: Tensor | Field,
        masks: Tensor | PanelMasks,
        onto: Grid | None = None,
        reference: float | None = None,
        generator: torch.Generator | None = None,
    ) -> tuple[Tensor, ...]:
        """Intensities of the frames that one result of the bench's readout takes, in W/m^2.

        Parameters
        ----------
        light, masks, onto
            As for a call of the bench. For ``split`` the masks of the positive kernels come first, then, as many, those
            of the negative ones.
        reference : float, optional
            Amplitude of the reference wave in sqrt(W)/m; left out, that of ``reference.power``.
        generator : torch.Generator, optional
            Draws the drift of the reference from frame to frame, a random walk; left out, it stands still.

        Returns
        -------
        tuple of torch.Tensor
            1, 2 or 4 frames (..., M, y, x); `readout` has the functions that make a result of them.

        Raises
        ------
        GeometryError
            If a reference is needed and ``reference.power`` is "auto", or masks of ``split`` do not pair.
        """
        kind, arm = self.config.readout.kind, self.config.reference
        if kind == "intensity" or kind == "split" or arm is None:
            seen = self.intensity(light, masks, onto)
            return (seen,) if kind != "split" else readout.halves(seen)
        amplitude = self.reference if reference is None else reference
        if amplitude is None:
            raise GeometryError(
                "reference.power is 'auto': give reference=, an amplitude in sqrt(W)/m, set once on training images"
            )
        field = self(light, masks, onto)
        area = math.prod(field.grid.extent)
        wave = plane_wave(field.grid, self.wavelength, power=area, direction=arm.direction, dtype=field.data.dtype)
        steps = torch.randn(readout.FRAMES[kind], generator=generator) if generator else torch.zeros(4)
        drift = arm.phase_drift * (steps.cumsum(0) - steps[0])
        return readout.with_reference(kind, field.data, amplitude * wave.data, drift.tolist())

    def _through(self, u: Field, onto: Grid) -> Callable[[Grid, Tensor], Tensor]:
        """Light on the camera, as a function of a plane and of the transmissions on it."""
        if self.config.model == "fourier":
            return lambda plane, mask: passes.through(
                self.config, u, plane, mask * self.pixel_spectrum(plane).to(mask), onto
            )
        front = wave.front(self.config, u)

        def through(plane: Grid, mask: Tensor) -> Tensor:
            passes.check_axes(u.data, mask)
            light = front(plane)
            return wave.back(self.config, light.replace(data=passes.modulated(light.data, mask)), onto).data

        return through

    def transmission(self, masks: PanelMasks) -> Tensor:
        """One number a panel pixel for masks, as `SLM` gives it, (M, fy, fx) complex128: exact near the axis."""
        return self.slm.transmission(self.crop(levels(self.config, masks)))

    def crop(self, frames: Frames) -> Frames:
        """Part of panel frames (..., height, width) that `fourier_grid` covers."""
        return crop(self.config, frames)

    # ---- looking inside --------------------------------------------------------------------------

    def at(
        self, plane: str, light: Tensor | Field, masks: Tensor | PanelMasks | None = None, onto: Grid | None = None
    ) -> Field:
        """Field in a plane of the bench.

        The planes are ``input``, ``lens1``, ``fourier`` (before the mask), ``mask`` (behind it), ``lens2``, ``camera``.

        The planes of the lenses exist in the wave model only. Planes from ``mask`` on need the masks; in ``mask`` and
        ``lens2`` a MaskSet counts as one number a pixel, see `transmission`.
        """
        if plane not in PLANES:
            raise GeometryError(f"no plane {plane!r}; known: {', '.join(PLANES)}")
        u = self.encode(light)
        if plane == "input":
            return u
        if plane in ("lens1", "lens2") and self.config.model != "wave":
            raise GeometryError(
                f"plane {plane!r} does not exist in the model 'fourier', whose lenses are ideal; set model = 'wave'"
            )
        if plane == "lens1":
            return wave.behind_lens1(self.config, u)
        before = self._before(u)
        if plane == "fourier":
            return before
        if masks is None:
            raise GeometryError(f"plane {plane!r} lies behind the panel: give the masks")
        if plane == "camera":
            return self(light, masks, onto)
        masks = checked(self.config, masks) if isinstance(masks, Tensor) else self.transmission(masks)
        passes.check_axes(before.data, masks)
        behind = before.replace(data=passes.modulated(before.data, masks.to(before.data.dtype)))
        return behind if plane == "mask" else wave.behind_lens2(self.config, behind, onto or self.camera_grid)

    def _before(self, u: Field) -> Field:
        """Light on the panel."""
        plane = self.fourier_grid
        if self.config.model == "wave":
            return wave.front(self.config, u)(plane)
        return ideal.front(self.config, u)(plane).modulate(self.pixel_spectrum())

    def section(
        self,
        light: Tensor | Field,
        mask: Tensor,
        planes: int = 81,
        y: NDArray[np.float64] | None = None,
        x: Place = 0.0,
        axis: Axis = "yz",
    ) -> Section:
        """Light along the bench for one image (y, x) and one mask (fy, fx), by the wave model.

        Every part is in its place, without fold or aberrations. At the middles of `planes` equal stretches; the rest as
        for `Bench.section` with ``pad=1``: a picture, in which light that leaves a window comes back.
        """
        return inside.section(self.config, self.encode(light), mask, planes, y, x, axis)

    def ledger(self, light: Tensor | Field, masks: Tensor | PanelMasks) -> Ledger:
        """Power that each part takes from one image (y, x) behind one mask, from the laser to the camera.

        What is left is on the camera beside the zero order. The sums over samples stand for integrals: panel pixels and
        camera pixels must resolve the light, see `check`. ``print(bench.ledger(...))`` is a table.
        """
        u = self.encode(light)
        with torch.no_grad():
            return inside.ledger(self.config, self.slm, u, self._before(u), masks, self(light, masks))

    def psf(self, masks: Tensor | PanelMasks, onto: Grid | None = None) -> Field:
        """Field in the camera plane of one input pixel of amplitude 1 sqrt(W)/m on the axis."""
        point = torch.zeros(self.input_grid.shape, dtype=torch.complex128)
        point[self.input_grid.shape[0] // 2, self.input_grid.shape[1] // 2] = 1
        return self(Field(point, self.input_grid, self.wavelength), masks, onto)

    def kernel(self, masks: Tensor | PanelMasks, tiles: Sequence[tuple[int, int]] = ((0, 0),)) -> Tensor:
        """Exact reduction of a shift-invariant bench to kernels, in torch cross-correlation order.

        Upright and without the factor ``-f1/f2``, ``image[m] = sum_D kernel[D] u[m + D]`` for every displacement D
        that an image can use.

        Parameters
        ----------
        masks : torch.Tensor or PanelMasks
            (M, fy, fx) on `fourier_grid`, or a MaskSet.
        tiles : sequence of tuple of int
            Centres (y, x) of windows in the camera plane, in image pixels from the axis.

        Returns
        -------
        torch.Tensor
            complex128 (M, T, 2 ny - 1, 2 nx - 1).

        Raises
        ------
        GeometryError
            If the bench is not shift-invariant.
        """
        return response.kernel(self.config, self.slm, masks, tiles)

    def pixel_spectrum(self, plane: Grid | None = None) -> Tensor:
        """Spectrum of one input pixel on `fourier_grid` or another plane, float64 (fy, fx)."""
        return ideal.pixel_spectrum(self.config, plane or self.fourier_grid)
