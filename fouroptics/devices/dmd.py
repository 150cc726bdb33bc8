"""DMD: mirrors that send the light on or away.

A mirror array is a panel whose levels are amplitudes 0 and 1: everything is that of `slm`.
"""

import math

from torch import Tensor, nn

from fouroptics.devices.mirrors import DMDConfig
from fouroptics.devices.slm import SLM
from fouroptics.light.grid import Grid


class DMD(nn.Module):
    """A mirror array: amplitude 0 or 1 for each pixel, with the diffraction of a pixel's mirror.

    Parameters
    ----------
    config : DMDConfig
        The mirrors' data sheet.

    Examples
    --------
    >>> import torch
    >>> dmd = DMD(DMDConfig.preset("ti-dlp7000"))
    >>> dmd.levels(torch.tensor([0.0, 0.49, 0.5, 1.0]))
    tensor([0, 0, 1, 1], dtype=torch.uint8)
    """

    def __init__(self, config: DMDConfig) -> None:
        super().__init__()
        self.config = config
        self.slm = SLM(config)

    @property
    def grid(self) -> Grid:
        """Mirror centres about the middle of the array."""
        return self.slm.grid

    def levels(self, amplitude: Tensor) -> Tensor:
        """1 for a mirror that is on, where the amplitude, or the real part of a complex one, is 1/2 or more; uint8."""
        return self.slm.levels(amplitude)

    def forward(self, amplitude: Tensor) -> Tensor:
        """One complex number per mirror, ``sqrt(R) F`` where it is on; the gradient passes straight through.

        Parameters
        ----------
        amplitude : torch.Tensor
            Amplitude in [0, 1], (..., y, x).
        """
        return math.sqrt(self.config.reflectivity) * self.slm(amplitude)
