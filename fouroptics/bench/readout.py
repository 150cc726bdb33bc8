"""Readout: from the field in the camera plane to frames, and from frames to the numbers that a network wants.

==================  ======  =====================================================  ==========================
kind                frames  light                                                  result
==================  ======  =====================================================  ==========================
``intensity``       1       ``|E|^2``                                              ``|E|^2``
``reference_pair``  2       ``|R + E|^2``, ``|R - E|^2``                           ``Re(E R*) / |R|``
``four_step``       4       ``|E + R i^k|^2``, k = 0 .. 3                          ``E``, complex
``split``           2       masks of the positive and of the negative kernels      their difference
==================  ======  =====================================================  ==========================
"""

import cmath
from collections.abc import Sequence

import torch
from torch import Tensor

from fouroptics.bench.settings import FRAMES as FRAMES
from fouroptics.errors import GeometryError

STEPS = {"reference_pair": (1, -1), "four_step": (1, 1j, -1, -1j)}  #: factors on the reference, frame by frame


def intensity(field: Tensor) -> Tensor:
    """One frame ``|E|^2`` for complex amplitudes (..., y, x)."""
    return field.real.square() + field.imag.square()


def reference_pair(field: Tensor, reference: float | Tensor) -> tuple[Tensor, Tensor]:
    """Two frames ``|R + E|^2`` and ``|R - E|^2``.

    Parameters
    ----------
    field : torch.Tensor
        Complex amplitudes (..., y, x), in phase with the reference where they are real.
    reference : float or torch.Tensor
        Amplitude R of the reference wave, in the unit of the field, not 0; complex where it is tilted.
    """
    return intensity(reference + field), intensity(reference - field)


def from_reference_pair(plus: Tensor, minus: Tensor, reference: float | Tensor) -> Tensor:
    """Signed amplitude ``(I+ - I-) / 4|R|``: the part of the field in phase with the reference, exactly.

    The shot noise has a standard deviation of ``sqrt(2 (R^2 + y^2)) / 4R`` in units of the root of one photo-electron:
    ``1 / (2 sqrt 2)`` where R is far above y.
    """
    return (plus - minus) / (4 * _amplitude(reference))


def four_step(field: Tensor, reference: float | Tensor) -> tuple[Tensor, ...]:
    """Four frames ``|E + R i^k|^2``, k = 0 .. 3, the reference a quarter of a wave on each time.

    Parameters
    ----------
    field : torch.Tensor
        Complex amplitudes (..., y, x).
    reference : float or torch.Tensor
        Amplitude R of the reference wave, in the unit of the field, not 0; complex where it is tilted.
    """
    return tuple(intensity(field + reference * step) for step in STEPS["four_step"])


def with_reference(kind: str, field: Tensor, reference: Tensor, drift: Sequence[float]) -> tuple[Tensor, ...]:
    """Frames of ``reference_pair`` or ``four_step`` when the reference has drifted by a phase (rad) in each."""
    turned = (reference * (step * cmath.exp(1j * phase)) for step, phase in zip(STEPS[kind], drift, strict=False))
    return tuple(intensity(field + wave) for wave in turned)


def halves(frames: Tensor) -> tuple[Tensor, ...]:
    """Frames (..., 2 M, y, x) of ``split`` as those of the positive and those of the negative kernels."""
    if frames.ndim < 3 or frames.shape[-3] % 2:
        raise GeometryError(
            f"frames {tuple(frames.shape)}: readout 'split' takes masks in pairs, those of the positive kernels first"
        )
    return frames.chunk(2, -3)


def from_four_step(frames: Sequence[Tensor], reference: float | Tensor) -> Tensor:
    """Complex amplitude ``((I0 - I2) + i (I1 - I3)) / 4R*`` of the field, exactly.

    ``I0 - I2 = 4 Re(E R*)`` and ``I1 - I3 = 4 Im(E R*)`` (J. H. Bruning et al., Appl. Opt. 13, 2693, 1974).
    """
    _amplitude(reference)
    product = torch.complex(frames[0] - frames[2], frames[1] - frames[3]) / 4
    return product / (reference.conj() if isinstance(reference, Tensor) else reference)


def from_split(plus: Tensor, minus: Tensor, *, coherent: bool) -> Tensor:
    """Signed result of the frames of the positive and of the negative kernels.

    Incoherent light adds intensities, so ``I+ - I-`` is the convolution with ``w+ - w-``, exactly. Coherent light gives
    ``|u * w+|^2``: the roots are subtracted, which is right where both fields are non-negative, that is for kernels and
    amplitude images without a sign; a phase of the field is lost.

    Parameters
    ----------
    plus, minus : torch.Tensor
        Intensities (..., y, x).
    coherent : bool
        Whether the light is coherent.

    Raises
    ------
    GeometryError
        If an intensity is negative or not finite: subtract the black level of a camera, and clip, before a root.
    """
    if not coherent:
        return plus - minus
    for name, frame in (("plus", plus), ("minus", minus)):
        if not bool(((frame >= 0) & torch.isfinite(frame)).all()):
            raise GeometryError(
                f"{name} holds intensities down to {float(frame.min()):.4g}: coherent light takes the root; subtract "
                "the black level and clip at 0 first"
            )
    return plus.sqrt() - minus.sqrt()


def _amplitude(reference: float | Tensor) -> float | Tensor:
    if not isinstance(reference, Tensor) and not abs(reference) > 0:
        raise GeometryError(f"reference = {reference}: the reference wave needs an amplitude; give a number above 0")
    return abs(reference)
