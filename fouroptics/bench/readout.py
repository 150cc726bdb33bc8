"""Readout: from the field in the camera plane to frames, and from frames to the numbers that a network wants.

``intensity`` takes one frame, ``|E|^2``. ``reference_pair`` takes two, with a coherent reference R added and
subtracted, and gives the signed real part of the field exactly.
"""

from torch import Tensor

from fouroptics.errors import GeometryError


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
        Real amplitude R of the reference wave, in the unit of the field, not 0.
    """
    return intensity(reference + field), intensity(reference - field)


def from_reference_pair(plus: Tensor, minus: Tensor, reference: float | Tensor) -> Tensor:
    """Signed amplitude ``(I+ - I-) / 4R``: the real part of the field, exactly.

    The shot noise has a standard deviation of ``sqrt(2 (R^2 + y^2)) / 4R`` in units of the root of one photo-electron.
    """
    if isinstance(reference, int | float) and reference == 0:
        raise GeometryError("reference = 0: the reference wave needs an amplitude; give a number above 0")
    return (plus - minus) / (4 * reference)
