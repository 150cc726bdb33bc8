"""Holograms: phase masks for an intensity in the far field."""

import torch
from torch import Tensor

from fouroptics.errors import GeometryError
from fouroptics.waves.transforms import fft2, ifft2


def gerchberg_saxton(target: Tensor, iterations: int = 50, *, start: Tensor | None = None, seed: int = 0) -> Tensor:
    """Phase mask whose far field has a wanted amplitude, by iteration between the two planes.

    R. W. Gerchberg and W. O. Saxton, Optik 35, 237 (1972), for a uniform mask: keep the phase, put in the amplitude,
    there and back. The overlap of the far field's amplitude with the target never falls.

    Parameters
    ----------
    target : torch.Tensor
        Wanted amplitude in the back focal plane of a lens, real (ny, nx), not negative, zero order at sample n//2 as
        on the default grid of `fourier_lens`; any scale.
    iterations : int
        How often.
    start : torch.Tensor, optional
        First phase of the mask in rad, (ny, nx); left out, random.
    seed : int
        Of the random start.

    Returns
    -------
    torch.Tensor
        Phase of the mask in rad, (ny, nx), in (-pi, pi].

    Raises
    ------
    GeometryError
        If the target is no amplitude, or `start` has another shape.
    """
    if target.ndim != 2 or target.is_complex() or not bool((target >= 0).all()) or not bool((target > 0).any()):
        raise GeometryError(f"target {tuple(target.shape)}: give real amplitudes (ny, nx), none negative, not all zero")
    if start is None:
        random = torch.rand(target.shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
        start = (2 * torch.pi * random).to(target)
    if start.shape != target.shape:
        raise GeometryError(f"start {tuple(start.shape)} does not have the shape of the target, {tuple(target.shape)}")
    # Where the mask starts turns the phase of the far field alone, so only the target is put into FFT order.
    amplitude = target.roll([-(n // 2) for n in target.shape], (0, 1))
    wave = torch.polar(torch.ones_like(start), start)
    for _ in range(iterations):
        far = fft2(wave)
        torch.sgn(far, out=far)
        far *= amplitude
        wave = ifft2(far)
        torch.sgn(wave, out=wave)
    return wave.angle()
