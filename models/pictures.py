"""What every network here is shown: pictures of one size, with a channel axis or without."""

from torch import Tensor

from fouroptics.errors import FourOpticsError


def with_channels(images: Tensor, channels: int, size: int) -> Tensor:
    """Images (B, size, size) of one channel, or (B, channels, size, size), as the latter.

    Raises
    ------
    FourOpticsError
        If they are of another shape: pooling to a fixed count would hide that.
    """
    pictures = images.unsqueeze(1) if images.ndim == 3 else images
    if pictures.ndim != 4 or pictures.shape[1:] != (channels, size, size):
        plain = f"(B, {size}, {size}) or " if channels == 1 else ""
        raise FourOpticsError(
            f"images {tuple(images.shape)}: the network takes {plain}(B, {channels}, {size}, {size}); change the "
            "images, or its size and channels"
        )
    return pictures
