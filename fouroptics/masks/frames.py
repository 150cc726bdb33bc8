"""Frames that are made when asked for, and what is wrong with a frame for its panel. Imports no torch."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from fouroptics.devices.panel import SLMConfig, mask_levels, shown_phase
from fouroptics.errors import BundleError

Stack: TypeAlias = Any  #: a stack of frames (M, H, W): a numpy array, or `Frames`


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong with a mask set or a mask file.

    Attributes
    ----------
    code : str
        Stable name of the rule, such as ``"F-HASH"``.
    path : str
        The field or, in a file, the HDF5 path.
    message : str
        The value, what was expected, and the remedy.
    severity : {"error", "warning"}
        An error refuses the masks.
    """

    code: str
    path: str
    message: str
    severity: Literal["error", "warning"] = "error"

    def __str__(self) -> str:
        return f"{self.code} {self.path}: {self.message}"


@dataclass(frozen=True, eq=False)
class Frames:
    """A stack that no memory has to hold: index it, or go through it, and each frame is read then.

    ``frames[i]`` is one frame, ``frames[a:b]`` an array of some, ``numpy.asarray(frames)`` an array of all.

    Attributes
    ----------
    shape : tuple of int
        (M, H, W).
    dtype : numpy.dtype
        Of the frames.
    read : callable
        Called with i, 0 to M - 1, it returns frame i (H, W), each time the same.
    checked : bool
        Whether the frames are known to be right for their panel, as those of a file are that was verified.

    Examples
    --------
    >>> ramp = Frames((1000, 2, 3), np.dtype(np.uint8), lambda i: np.full((2, 3), i % 256, np.uint8))
    >>> int(ramp[-1].max())
    231
    """

    shape: tuple[int, int, int]
    dtype: np.dtype
    read: Callable[[int], NDArray[Any]]
    checked: bool = False

    @property
    def ndim(self) -> int:
        """Number of axes, 3."""
        return len(self.shape)

    @property
    def nbytes(self) -> int:
        """Bytes that an array of all frames would take."""
        return math.prod(self.shape) * self.dtype.itemsize

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: int | slice) -> NDArray[Any]:
        asked = range(len(self))[index]
        if isinstance(asked, int):
            return self._frame(asked)
        frames = np.empty((len(asked), *self.shape[1:]), self.dtype)
        for at, i in enumerate(asked):
            frames[at] = self._frame(i)
        return frames

    def __iter__(self) -> Iterator[NDArray[Any]]:
        return map(self._frame, range(len(self)))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        if copy is False:
            raise ValueError("frames are read from elsewhere: an array of them is a copy")
        return self[:] if dtype is None else self[:].astype(dtype)

    def astype(self, dtype: Any) -> NDArray[Any]:
        """Array of all frames in a dtype, as that of an array."""
        return np.asarray(self, dtype)

    def _frame(self, i: int) -> NDArray[Any]:
        frame = np.asarray(self.read(i))
        if frame.shape != self.shape[1:] or frame.dtype != self.dtype:
            raise BundleError(
                f"frame {i}: {frame.dtype} {frame.shape}, not {self.dtype} {self.shape[1:]} as stated; mend its reader"
            )
        return frame


def equal(a: Stack, b: Stack) -> bool:
    """Whether two arrays or stacks have the same dtype, shape and values."""
    if a.dtype != b.dtype or a.shape != b.shape:
        return False
    if isinstance(a, np.ndarray) and isinstance(b, np.ndarray):
        return np.array_equal(a, b)
    return all(map(np.array_equal, a, b))


def phase_of(slm: SLMConfig, gray: Stack) -> Stack:
    """Phase in rad, float32, that levels (M, H, W) stand for on a panel of phases; `Frames` for `Frames`."""
    if isinstance(gray, Frames):
        return Frames(gray.shape, np.dtype(np.float32), lambda i: shown_phase(slm, gray[i]), gray.checked)
    phase = np.empty(gray.shape, np.float32)
    for i, levels in enumerate(gray):
        phase[i] = shown_phase(slm, levels)
    return phase


def has_phase(slm: SLMConfig) -> bool:
    """Whether the levels of a panel move the phase of the light."""
    return slm.modulation in ("phase", "coupled")


def stack_findings(phase: Stack | None, gray: Stack, slm: SLMConfig) -> Iterator[Finding]:
    """Yield what is wrong with dtype and shape of frames (M, H, W) for this panel; `phase` may be left out."""
    whole = "uint8" if slm.bits <= 8 else "uint16"
    for name, stack, dtype in (("phase", phase, "float32"), ("gray", gray, whole)):
        if stack is None:
            continue
        if stack.dtype != dtype:
            yield Finding("F-DTYPE", name, f"{stack.dtype}, not {dtype}, for {slm.bits} bit; convert it with astype")
        if stack.shape[1:] != slm.shape or stack.shape != (max(len(gray), 1), *slm.shape):
            expected = f"(M, {slm.shape[0]}, {slm.shape[1]}), M at least 1 and the same in phase and gray"
            yield Finding("F-SHAPE", name, f"shape {stack.shape}, not {expected}; the panel is {slm.name!r}")
    if phase is not None and not has_phase(slm):
        yield Finding(
            "F-PHASE", "phase", f"levels of modulation = {slm.modulation!r} stand for none; leave it out (None)"
        )
    elif phase is None and slm.modulation == "coupled":
        yield Finding(
            "F-PHASE", "phase", "levels of modulation = 'coupled' do not tell it; give the phase of the masks"
        )


def frame_findings(
    i: int, phase: NDArray[Any] | None, gray: NDArray[Any], slm: SLMConfig, other: NDArray[Any]
) -> Iterator[Finding]:
    """Yield what is wrong with mask i: its levels (H, W), and its phase in rad, which may be left out.

    `other` are the `ambiguous` levels of the panel; without a phase none of them may be there.
    """
    top, highest = 2**slm.bits - 1, int(gray.max())
    if highest > top:
        message = f"mask {i} holds level {highest}; {slm.bits} bit end at {top}: use panel.mask_levels"
        yield Finding("F-GREY", "gray", message)
        return
    if phase is None:
        if other.size and np.isin(gray, other).any():
            message = f"mask {i} holds levels whose phase is that of another level, such as {other[0]}; use mask_levels"
            yield Finding("F-LEVELS", "gray", message)
        return
    lost = int(np.count_nonzero(~np.isfinite(phase)))
    low, high = float(phase.min()), float(phase.max())
    if lost:
        yield Finding("F-FINITE", "phase", f"mask {i} holds {lost} values that are not finite; compile it again")
    elif low < 0 or high >= 2 * math.pi:
        remedy = "wrap it modulo 2 pi, and set what rounds up to 2 pi to 0"
        yield Finding("F-PHASE", "phase", f"mask {i} spans {low:.8g} .. {high:.8g} rad, not [0, 2 pi); {remedy}")
    elif unequal := int(np.count_nonzero(mask_levels(slm, phase) != gray)):
        where = f"mask {i}: {unequal} of {gray.size} levels are not those of its phase"
        yield Finding("F-LEVELS", "gray", f"{where} ({slm.bits} bit, {slm.grey!r}); make them with panel.mask_levels")


def ambiguous(slm: SLMConfig) -> NDArray[Any]:
    """Levels of a panel of phases for whose phase another level is taken, as beyond one turn; none of other panels."""
    if slm.modulation != "phase":
        return np.array([], int)
    levels = np.arange(2**slm.bits)
    return np.flatnonzero(mask_levels(slm, shown_phase(slm, levels)) != levels)
