"""FourF: the 4f bench from its file, in two models of the same optics.

``fourier`` takes the ideal transform of each lens; ``wave`` sends the light through free space, thin lenses and
apertures.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from fouroptics.bench import display
from fouroptics.bench.bench import Bench, Place, Section
from fouroptics.bench.check import Row, check
from fouroptics.bench.elements import FreeSpace, Lens, Mask
from fouroptics.bench.settings import FourFConfig, LensConfig
from fouroptics.devices import panel
from fouroptics.devices.camera import Camera
from fouroptics.devices.panel import SLMConfig
from fouroptics.devices.slm import SLM
from fouroptics.errors import ConfigError, GeometryError
from fouroptics.light.field import Field
from fouroptics.light.grid import Grid
from fouroptics.waves.propagation import propagate
from fouroptics.waves.transforms import fourier

PLANES = ("input", "lens1", "fourier", "mask", "lens2", "camera")


class PanelMasks(Protocol):
    """Masks as grey levels (M, height, width) for a panel, such as a MaskSet."""

    @property
    def gray(self) -> NDArray[Any]:
        """Grey levels (M, height, width)."""
        ...

    @property
    def slm(self) -> SLMConfig:
        """The panel that the levels are for."""
        ...


class PanelFrames(NamedTuple):
    """The least that `FourF` needs of masks: grey levels (M, height, width) and their panel."""

    gray: NDArray[Any]
    slm: SLMConfig


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
        self.slm = SLM(self.config.panel)
        self.camera = Camera(self.config.camera)

    @classmethod
    def from_toml(cls, path: str | Path) -> "FourF":
        """Read a bench file; see `settings.EXAMPLE` for all its keys."""
        return cls(FourFConfig.from_toml(path))

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

    def check(self) -> list[Row]:
        """What the bench has against what it needs; see `check.check`."""
        return check(self.config)

    def encode(self, light: Tensor | Field) -> Field:
        """Light behind the display, for images (..., y, x) in [0, 1] or a field; see `display.encode`."""
        return display.encode(self.config, light)

    # ---- the bench -------------------------------------------------------------------------------

    def forward(self, light: Tensor | Field, masks: Tensor | PanelMasks, onto: Grid | None = None) -> Field:
        """Field in the camera plane.

        Parameters
        ----------
        light : torch.Tensor or Field
            Images in [0, 1] or a field on `input_grid`, (..., y, x); with channels (..., C, y, x).
        masks : torch.Tensor or PanelMasks
            Complex transmissions on `fourier_grid`: (fy, fx), (M, fy, fx) or, with channels, (M, C, fy, fx), taken as
            ideal samples; or a MaskSet, shown through the panel: levels, fill factor, undiffracted light and the
            diffraction of the pixels.
        onto : Grid, optional
            Where the field is wanted; left out, `camera_grid`.

        Returns
        -------
        Field
            (..., y, x), (..., M, y, x), or with channels (..., M, y, x) summed over C.
        """
        u, onto = self.encode(light), onto or self.camera_grid
        far = max(float(np.abs(axis).max()) for axis in onto.coordinates()) / self.config.magnification
        front, shown = self._front(u), self._shown(masks, u.data.dtype, far)
        parts = (self._back(_modulate(front(plane), mask), onto) for plane, mask in shown)
        total = next(parts)
        for part in parts:
            total = total.replace(data=total.data + part.data)
        return total

    def _shown(self, masks: Tensor | PanelMasks, dtype: torch.dtype, far: float) -> Iterator[tuple[Grid, Tensor]]:
        """Planes and transmissions that add up to the panel: one of ideal samples, or one a node of a pixel.

        `far` metres off the axis, as the input plane sees it, lies the farthest place where the field is wanted.
        """
        plane, pitch = self.fourier_grid, self.config.panel.pitch
        if isinstance(masks, Tensor):
            yield plane, self._ideal(masks).to(dtype)
            return
        phase = self._shown_phase(masks)
        phasor = torch.polar(torch.ones_like(phase), phase)
        scale = self.wavelength * self.config.lens1.focal_length
        order = self.slm.order_for((far + max(self.input_grid.extent) / 2) * pitch / scale)
        for node in self.slm.nodes(order):
            if node.active == 0 and self.slm.dead == 0:
                continue
            shifted = plane.shifted(node.offset[0] * pitch, node.offset[1] * pitch)
            yield shifted, (node.active * phasor + node.dead * self.slm.dead).to(dtype)

    def _ideal(self, masks: Tensor) -> Tensor:
        """Check transmissions that are given as ideal samples."""
        if tuple(masks.shape[-2:]) != self.fourier_grid.shape:
            raise GeometryError(
                f"masks {tuple(masks.shape)} do not end in the shape of fourier_grid, {self.fourier_grid.shape}"
            )
        if not bool(torch.isfinite(masks).all()):
            raise GeometryError("masks hold values that are not finite; mend what made them")
        if not masks.is_complex() and not bool((masks.abs() <= 1).all()):
            raise GeometryError(
                f"real masks reach {float(masks.abs().max()):.4g}; a mask is a transmission: give "
                "bench.slm(phase) or torch.polar(amplitude, phase) for a phase in rad"
            )
        return masks

    def transmission(self, masks: PanelMasks) -> Tensor:
        """One number a panel pixel for masks, as `SLM` gives it, (M, fy, fx) complex128: exact near the axis."""
        return self.slm(self._shown_phase(masks))

    def _shown_phase(self, masks: PanelMasks) -> Tensor:
        """Phase in rad that the panel shows for the levels of masks, (M, fy, fx), float64."""
        mine = self.config.panel
        for name in ("shape", "pitch", "bits", "grey"):
            if getattr(masks.slm, name) != getattr(mine, name):
                raise GeometryError(
                    f"the masks are for a panel with {name} = {getattr(masks.slm, name)}, the bench has "
                    f"{getattr(mine, name)}; compile them for this bench, or take the bench they were made for"
                )
        return panel.realised(torch.from_numpy(self.crop(masks.gray).astype(np.float64)), mine.bits, mine.grey)

    def crop(self, frames: NDArray[Any]) -> NDArray[Any]:
        """Part of panel frames (..., height, width) that `fourier_grid` covers."""
        rows, columns = (
            slice(n // 2 - m // 2, n // 2 - m // 2 + m)
            for n, m in zip(self.config.panel.shape, self.fourier_grid.shape, strict=True)
        )
        return frames[..., rows, columns]

    def _front(self, u: Field) -> Callable[[Grid], Field]:
        """From the display to the Fourier plane: a function of the grid there; what all grids share is done once."""
        f1 = self.config.lens1.focal_length
        if self.config.model == "wave":
            behind = self._behind_lens1(u)
            return lambda plane: propagate(behind, f1, plane)
        return lambda plane: _lens_transform(u, f1, plane).modulate(self.pixel_spectrum(plane))

    def _behind_lens1(self, u: Field) -> Field:
        fine = display.sampled(self.config, u)
        return self._arm(fine, self.config.lens1, self.fourier_grid).at("lens", fine)

    def _back(self, u: Field, onto: Grid) -> Field:
        """From behind the mask to the camera plane."""
        if self.config.model == "wave":
            return self._arm(u, self.config.lens2, onto)(u)
        return _lens_transform(u, self.config.lens2.focal_length, onto)

    def _arm(self, u: Field, lens: LensConfig, onto: Grid) -> Bench:
        """Free space, lens, free space; the lens plane is as large and as fine as both ends ask for."""
        f = lens.focal_length
        ends = [max(abs(c) + e / 2 for c, e in zip(g.center, g.extent, strict=True)) for g in (u.grid, onto)]
        half = 1.1 * sum(ends)  # light spreads a little beyond the geometric edge
        pitch = self.wavelength * f / (2 * (half + max(ends)))
        n = 2 * math.ceil(half / pitch)
        middle = Grid((n, n), (pitch, pitch))
        return Bench([("space", FreeSpace(f, middle)), ("lens", Lens(f, lens.diameter)), ("focus", FreeSpace(f, onto))])

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
            return self._behind_lens1(u)
        before = self._front(u)(self.fourier_grid)
        if plane == "fourier":
            return before
        if masks is None:
            raise GeometryError(f"plane {plane!r} lies behind the panel: give the masks")
        if plane == "camera":
            return self(light, masks, onto)
        masks = self._ideal(masks) if isinstance(masks, Tensor) else self.transmission(masks)
        behind = _modulate(before, masks.to(before.data.dtype))
        if plane == "mask":
            return behind
        return self._arm(behind, self.config.lens2, onto or self.camera_grid).at("lens", behind)

    def section(
        self,
        light: Tensor | Field,
        mask: Tensor,
        planes: int = 81,
        y: NDArray[np.float64] | None = None,
        x: Place = 0.0,
    ) -> Section:
        """Light along the bench for one image (y, x) and one mask (fy, fx), always by the wave model.

        At the middles of `planes` equal stretches from the display to the camera; the rest as
        for `Bench.section` with ``pad=1``: a picture, in which light that leaves a window comes back.
        """
        u, plane = display.sampled(self.config, self.encode(light)), self.fourier_grid
        first = self._arm(u, self.config.lens1, plane)
        n = round(min(self.camera_grid.extent) / (2 * self.config.panel.pitch))  # a picture needs no finer camera
        image = Grid((n, n), (2 * self.config.panel.pitch, 2 * self.config.panel.pitch))
        second = self._arm(u.replace(data=mask, grid=plane), self.config.lens2, image)
        behind = [(f"{name}2", element) for name, element in second.elements.items()]
        whole = Bench([*first.elements.items(), ("mask", Mask(mask.to(u.data.dtype))), *behind])
        return whole.section(u, ((np.arange(planes) + 0.5) * whole.length / planes).tolist(), y, x, pad=1)

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
            In the wave model, which is not shift-invariant.
        """
        if self.config.model != "fourier":
            raise GeometryError("the wave model is not shift-invariant, it has no kernel; call bench(images, masks)")
        parts = [self._window(masks, tile) for tile in tiles]
        return torch.stack(parts, -3)

    def _window(self, masks: Tensor | PanelMasks, tile: tuple[int, int]) -> Tensor:
        """Response (M, 2 ny - 1, 2 nx - 1) about one tile, complex128."""
        shape, pitch, pose = self.config.input.shape, self.config.input.pitch, self.config.poses.camera
        scale = self.wavelength * self.config.lens1.focal_length
        center = [t * pitch + off / self.config.magnification for t, off in zip(tile, (pose.y, pose.x), strict=True)]
        window = Grid((2 * shape[0] - 1, 2 * shape[1] - 1), (pitch, pitch), (center[0], center[1]))
        far = max(abs(c) + n // 2 * pitch for c, n in zip(center, shape, strict=True))
        total = torch.zeros((), dtype=torch.complex128)
        for plane, mask in self._shown(masks, torch.complex128, far):
            total = total + fourier(mask * self.pixel_spectrum(plane), plane, window, scale)
        return total * (pitch * self.fourier_grid.spacing[0] / scale) ** 2

    def pixel_spectrum(self, plane: Grid | None = None) -> Tensor:
        """Spectrum of one input pixel on `fourier_grid` or another plane, float64 (fy, fx)."""
        return display.pixel_spectrum(self.config, plane or self.fourier_grid)


def _lens_transform(field: Field, focal_length: float, onto: Grid) -> Field:
    """`fourier_lens` without its warning: pixels do send light beyond one period, and the iris decides what counts."""
    scale = field.wavelength * focal_length
    data = fourier(field.data, field.grid, onto, scale) * complex(0, -field.grid.cell / scale)
    return field.replace(data=data, grid=onto)


def _modulate(field: Field, mask: Tensor) -> Field:
    """Multiply fields (..., y, x) by masks (y, x) or (M, y, x), or sum (..., C, y, x) over C for masks (M, C, y, x)."""
    data = field.data
    if mask.ndim == 2:
        return field.modulate(mask)
    if mask.ndim == 3:
        return field.replace(data=data.unsqueeze(-3) * mask)
    if mask.ndim != 4 or data.ndim < 3 or data.shape[-3] != mask.shape[1]:
        raise GeometryError(
            f"masks {tuple(mask.shape)} and images {tuple(data.shape)} do not fit: masks (M, fy, fx) take "
            "images (..., y, x), masks (M, C, fy, fx) take images (..., C, y, x)"
        )
    return field.replace(data=torch.einsum("...cyx,mcyx->...myx", data, mask))
