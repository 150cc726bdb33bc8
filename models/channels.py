"""Images of several channels on the bench: side by side on one display, or each in light of a wavelength of its own.

Side by side in light of one wavelength the amplitudes of the channels add up in the camera plane, which is the
convolution that networks know. Light of different wavelengths does not interfere: the intensities add, and the student
learns with that (`StudentConfig.channel_sum`).
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from fouroptics.bench.fourf import FourF
from fouroptics.errors import FourOpticsError
from fouroptics.masks.layout import on_display
from fouroptics.masks.maskset import MaskSet
from models.pairing import check_lines, check_weights, rows_by_channel, with_rows
from models.windows import Response, Tiles, WholeBench, one_pass


@dataclass(frozen=True, eq=False)
class SideBySide:
    """Channels side by side on one display, of whose light each window sees the sum.

    Attributes
    ----------
    optics : Response or WholeBench
        What the bench does to the display, one window for each output.
    places : Tiles
        (C) centres (y, x) of the channels' pictures, in display pixels from the middle.
    """

    optics: Response | WholeBench
    places: Tiles

    @property
    def tiles(self) -> Tiles:
        """Centres (y, x) of the windows."""
        return self.optics.tiles

    def __call__(self, images: Tensor) -> Tensor:
        """Field (B, K, ny, nx) at the read pixels, upright, of images (B, C, ny, nx) in [0, 1]."""
        images = images if images.ndim == 4 else images[:, None]
        shape = self.optics.bench.config.input.shape
        field = self.optics(on_display(images, self.places, shape))
        (height, width), (top, left) = (
            images.shape[-2:],
            (whole // 2 - part // 2 for whole, part in zip(shape, images.shape[-2:], strict=True)),
        )
        return field[..., top : top + height, left : left + width]


@dataclass(frozen=True, eq=False)
class Lines:
    """Channels in light of different wavelengths, one after another, each with its own mask.

    Attributes
    ----------
    optics : tuple of Response or WholeBench
        (C) what the bench does to the display in the light of each line.
    weights : tuple of float
        (C) photons of each line over those of the light of the bench.
    """

    optics: tuple[Response | WholeBench, ...]
    weights: tuple[float, ...]

    @property
    def tiles(self) -> Tiles:
        """Centres (y, x) of the windows, the same in each line."""
        return self.optics[0].tiles

    def __call__(self, images: Tensor) -> Tensor:
        """Fields (B, C, K, ny, nx) at the read pixels, upright, of images (B, C, ny, nx) in [0, 1].

        In sqrt(W)/m of light of the wavelength of the bench that has as many photons: what a camera counts is the sum
        of their intensities.
        """
        parts = zip(self.optics, self.weights, images.unbind(1), strict=True)
        return torch.stack([optics(image) * math.sqrt(weight) for optics, weight, image in parts], 1)


def side_by_side(bench: FourF, masks: MaskSet, dtype: torch.dtype) -> SideBySide:
    """Channels at the places of masks of the layout ``input_tiling``; see `models.optical.response`.

    Raises
    ------
    FourOpticsError
        If the display is one of phase: the gaps between its pictures are as bright as they are.
    """
    if bench.config.input.coding == "phase":
        raise FourOpticsError(
            "input.coding = 'phase': a display of phase is bright between the pictures of the channels, and all of it "
            "is seen; take another coding, or the layout wavelengths"
        )
    rows, at = rows_by_channel(masks.kernels), masks.kernels.place
    places = () if at is None else tuple((int(y), int(x)) for y, x in at[[channel[0] for channel in rows]])
    return SideBySide(one_pass(bench, with_rows(masks, rows[0]), dtype), places)


def in_lines(bench: FourF, masks: MaskSet, dtype: torch.dtype) -> Lines:
    """Channels in the lines of masks of the layout ``wavelengths``; see `models.optical.response`."""
    rows, lines = rows_by_channel(masks.kernels), bench.lines
    check_lines(bench, masks.kernels)
    check_weights(bench, masks.kernels)
    optics = tuple(one_pass(line, with_rows(masks, mine), dtype) for (_, line), mine in zip(lines, rows, strict=True))
    return Lines(optics, tuple(share * line.wavelength / bench.wavelength for share, line in lines))
