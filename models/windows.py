"""What a bench with its masks puts into the windows: by its exact reduction where it is shift-invariant, or whole.

In the Fourier model every window of the camera sees the image correlated with one complex kernel of (2 ny - 1)(2 nx -
1) displacements, which `FourF.kernel` gives with everything that the panel does; in incoherent light the intensities
are, with kernels that are never negative. What follows is that sum, by FFT: the same light as that of
``bench(images, masks)`` at the pixels that are read, thousands of times faster. This file is where the inverted image
is turned upright.
"""

from dataclasses import dataclass
from functools import reduce

import torch
from torch import Tensor

from fouroptics.bench import readout
from fouroptics.bench.fourf import FourF
from fouroptics.bench.response import correlate
from fouroptics.light.grid import Grid
from fouroptics.masks.maskset import MaskSet
from fouroptics.masks.measure import placed, responses
from models.incoherent import power_kernels
from models.pairing import output_rows

Tiles = tuple[tuple[int, int], ...]


@dataclass(frozen=True, eq=False)
class Response:
    """What one bench with its masks does to an image.

    Attributes
    ----------
    bench : FourF
        The bench.
    kernels : Tensor
        Complex (K, 2 ny - 1, 2 nx - 1), the image upright, or (K, C, ...) for images of C channels; real in incoherent
        light, the K / 2 positive halves first.
    tiles : tuple of (int, int)
        (K) centres (y, x) of the windows, in image pixels from the axis.
    """

    bench: FourF
    kernels: Tensor
    tiles: Tiles

    def __call__(self, images: Tensor) -> Tensor:
        """Light at the read pixels, upright, (B, K, ny, nx), of images (B, ny, nx) or (B, C, ny, nx) in [0, 1].

        The field in sqrt(W)/m; in incoherent light the intensity in W/m^2.
        """
        light, magnification = self.bench.encode(images).data, self.bench.config.magnification
        if self.bench.config.light.coherence == "incoherent":
            power = correlate(readout.intensity(light), self.kernels.to(light.dtype.to_complex())).real
            return (power / magnification**2).clamp_min(0)  # the FFT leaves 1e-7 below 0
        if self.kernels.ndim == 3:
            return -(magnification**-1) * correlate(light, self.kernels)
        channels = zip(light.unbind(1), self.kernels.unbind(1), strict=True)
        return -(magnification**-1) * reduce(torch.add, (correlate(*channel) for channel in channels))


@dataclass(frozen=True, eq=False)
class WholeBench:
    """A bench that is not shift-invariant, such as the wave model, with its masks: the light goes all the way."""

    bench: FourF
    masks: MaskSet

    @property
    def tiles(self) -> Tiles:
        """Centres (y, x) of the windows, in image pixels from the axis, in the order of the outputs."""
        plan = placed(self.masks)
        return tuple(plan.tiles[row] for row in output_rows(self.masks.kernels))

    def __call__(self, images: Tensor) -> Tensor:
        """Field at the read pixels, as `Response` gives it, from one grid of image pixels that holds all windows."""
        plan, grid = placed(self.masks), self.bench.image_grid
        y, x = ([tile[axis] for tile in plan.tiles] for axis in (0, 1))
        shape = (max(y) - min(y) + grid.shape[0], max(x) - min(x) + grid.shape[1])
        low = [n // 2 - m // 2 + min(t) for n, m, t in zip(shape, grid.shape, (y, x), strict=True)]
        whole = Grid(
            shape, grid.spacing, (grid.center[0] + low[0] * grid.spacing[0], grid.center[1] + low[1] * grid.spacing[1])
        )
        field = self.bench(images, self.masks, onto=whole).data
        windows = [
            field[:, mask, ty - min(y) : ty - min(y) + grid.shape[0], tx - min(x) : tx - min(x) + grid.shape[1]]
            for mask, (ty, tx) in zip(plan.mask, plan.tiles, strict=True)
        ]
        return torch.stack([windows[row] for row in output_rows(self.masks.kernels)], 1).flip((-2, -1))


def one_pass(bench: FourF, masks: MaskSet, dtype: torch.dtype) -> Response | WholeBench:
    """What a bench with its masks does to one display in light of one wavelength; see `models.optical.response`."""
    plan, rows = placed(masks), output_rows(masks.kernels)
    tiles = tuple(plan.tiles[row] for row in rows)
    if bench.config.light.coherence == "incoherent":
        return Response(bench, power_kernels(masks, rows, bench).to(dtype.to_real()), tiles)
    if not bench.is_shift_invariant:
        return WholeBench(bench, masks)
    return Response(bench, responses(masks, plan.mask, plan.tiles, bench)[rows].to(dtype), tiles)
