"""What the compiler hands over and the SLM computer loads: frozen arrays and plain metadata. Imports no torch."""

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np

from fouroptics.devices.panel import SLMConfig
from fouroptics.errors import BundleError
from fouroptics.masks.frames import (
    Finding,
    Frames,
    Stack,
    ambiguous,
    equal,
    frame_findings,
    phase_of,
    stack_findings,
)
from fouroptics.masks.report import MaskReport, report

#: dtype (the first that holds the values), shape and unit of each column of a `KernelTable`; K kernels of k x k taps.
COLUMNS: dict[str, tuple[str, str, str]] = {
    "mask": ("<i4", "K", "1"),
    "out_channel": ("<i4", "K", "1"),
    "in_channel": ("<i4", "K", "1"),
    "sign": ("|i1", "K", "1"),
    "pair": ("<i4", "K", "1"),
    "tile": ("<i4", "K 2", "px"),
    "carrier": ("<f8", "K 2", "cycles/px"),
    "weight": ("<f8 <c16", "K k k", "1"),
    "scale": ("<f8", "K", "1"),
    "efficiency": ("<f8", "K", "1"),
    "error": ("<f8", "K", "1"),
    "correlation": ("<f8", "K", "1"),
}
#: Columns that a table may leave out; new in files of version 1.2.
OPTIONAL_COLUMNS: dict[str, tuple[str, str, str]] = {
    "place": ("<i4", "K 2", "px"),
    "bias": ("<f8", "K", "1"),
    "wavelength": ("<f8", "K", "m"),
    "psf_error": ("<f8", "K", "1"),
    "crosstalk": ("<f8", "K", "1"),
    "zero_order": ("<f8", "K", "1"),
    "photons": ("<f8", "K", "1"),
    "crop": ("<i4", "K 4", "px"),
}
_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True, eq=False)
class KernelTable:
    """One row for each of K kernels; a tiled mask carries many. Every array is a read-only copy.

    Attributes
    ----------
    mask : numpy.ndarray
        (K) int32, the mask that carries the kernel.
    out_channel, in_channel : numpy.ndarray
        (K) int32; in_channel -1: shared by all input channels, out_channel -1: serves all outputs.
    sign : numpy.ndarray
        (K) int8, +1 or -1 for one half of a split kernel, 0 for a signed or complex one.
    pair : numpy.ndarray
        (K) int32, the row of the half with the opposite sign, -1 for none.
    tile : numpy.ndarray
        (K, 2) int32, centre (y, x) of the kernel's window in the camera plane, in image pixels from the axis, in the
        physical, inverted orientation.
    carrier : numpy.ndarray
        (K, 2) float64, (y, x) in cycles per panel pixel.
    weight : numpy.ndarray
        (K, k, k) float64, or complex128 if a kernel is complex; torch cross-correlation order.
    scale : numpy.ndarray
        (K) float64, digital weight = scale * optical amplitude response.
    efficiency : numpy.ndarray
        (K) float64, fraction of the light on the band that goes into the taps.
    error : numpy.ndarray
        (K) float64, relative L2 error of the response over the window.
    correlation : numpy.ndarray
        (K) float64, modulus of the complex correlation with the target.
    place : numpy.ndarray, optional
        (K, 2) int32, where on the display the picture of the input channel has its centre (y, x), in display pixels.
    bias : numpy.ndarray, optional
        (K) float64, constant that was added to the taps to make them non-negative.
    wavelength : numpy.ndarray, optional
        (K) float64, in metres, where kernels differ in it.
    psf_error : numpy.ndarray, optional
        (K) float64, largest deviation of a tap over the largest tap.
    crosstalk : numpy.ndarray, optional
        (K) float64, energy where zero is prescribed over the energy of the taps.
    zero_order : numpy.ndarray, optional
        (K) float64, fraction of the light on the band that stays undiffracted.
    photons : numpy.ndarray, optional
        (K) float64, photons on a read pixel for a white image in one exposure.
    crop : numpy.ndarray, optional
        (K, 4) int32, the kernel's picture on the camera: first row, end row, first column, end column.

    Raises
    ------
    BundleError
        If a column has the wrong shape, a value that its dtype cannot hold or that is not finite, or an index that
        points nowhere.
    """

    mask: np.ndarray
    out_channel: np.ndarray
    in_channel: np.ndarray
    sign: np.ndarray
    pair: np.ndarray
    tile: np.ndarray
    carrier: np.ndarray
    weight: np.ndarray
    scale: np.ndarray
    efficiency: np.ndarray
    error: np.ndarray
    correlation: np.ndarray
    place: np.ndarray | None = None
    bias: np.ndarray | None = None
    wavelength: np.ndarray | None = None
    psf_error: np.ndarray | None = None
    crosstalk: np.ndarray | None = None
    zero_order: np.ndarray | None = None
    photons: np.ndarray | None = None
    crop: np.ndarray | None = None

    def __post_init__(self) -> None:
        sizes: dict[str, int] = {}
        for name, (dtype, shape, _) in (COLUMNS | OPTIONAL_COLUMNS).items():
            if name in OPTIONAL_COLUMNS and getattr(self, name) is None:
                continue
            column = _cast(f"kernels/{name}", getattr(self, name), dtype)
            expected = bound(shape, column.shape, sizes)
            if column.shape != expected:
                raise BundleError(f"kernels/{name}: shape {column.shape}, not {expected} = ({shape}); one row a kernel")
            object.__setattr__(self, name, column)
        _refuse(table_findings(self.columns()))

    def __len__(self) -> int:
        return len(self.mask)

    def columns(self) -> dict[str, np.ndarray]:
        """Return the columns that the table has, by name."""
        return {name: column for name, column in vars(self).items() if column is not None}

    def __eq__(self, other: object) -> bool:
        return _same(self, other)


@dataclass(frozen=True, eq=False)
class MaskSet:
    """M masks for one panel, and what is needed to show them and to read their result.

    Attributes
    ----------
    phase : numpy.ndarray or Frames, optional
        (M, H, W) float32, requested phase delay in rad, in [0, 2 pi), before quantisation. Read-only. None for a panel
        of amplitudes or mirrors, whose levels stand for no phase; of a panel of phases, None gives the phase that its
        levels stand for.
    gray : numpy.ndarray or Frames
        (M, H, W) uint8 (up to 8 bit) or uint16: the levels sent, equal to `panel.mask_levels` of `phase`.
    kernels : KernelTable
        One row a kernel.
    slm : SLMConfig
        The panel, H x W pixels.
    instrument : dict
        The bench in the layout of the file's instrument group: nested dicts of strings, flags, numbers in SI units
        and lists of one kind.
    provenance : dict
        Where the masks come from, of the same kinds. ``created`` is the creation time (ISO 8601).
    encoding, layout : str
        Names of the encoding and of the layout that all masks share.
    seconds : dict of float
        What each pass of the compiler took, in seconds; neither saved nor compared.

    Raises
    ------
    BundleError
        If a field has the wrong dtype, shape or range, or metadata that a file cannot hold; the message names the
        field, the value and the remedy.
    """

    phase: Stack
    gray: Stack
    kernels: KernelTable
    slm: SLMConfig
    instrument: Mapping[str, Any] = field(default_factory=dict)
    provenance: Mapping[str, Any] = field(default_factory=dict)
    encoding: str = ""
    layout: str = ""
    seconds: Mapping[str, float] = field(default_factory=dict, compare=False)

    def __post_init__(self) -> None:
        for name in ("phase", "gray"):
            stack = getattr(self, name)
            if stack is not None and not isinstance(stack, Frames):
                object.__setattr__(self, name, _frozen(np.asarray(stack)))
        for name in ("instrument", "provenance", "encoding", "layout"):
            object.__setattr__(self, name, _plain(getattr(self, name), name))
        _refuse(_stack_findings(self.phase, self.gray, self.slm))
        if self.phase is None and self.slm.modulation == "phase":
            object.__setattr__(self, "phase", phase_of(self.slm, self.gray))
        _refuse(table_findings(self.kernels.columns(), len(self)))

    def __len__(self) -> int:
        return len(self.gray)

    def __eq__(self, other: object) -> bool:
        return _same(self, other)

    def report(self) -> MaskReport:
        """Return how well each kernel is realised; print it, read its `rows` or write it with `to_csv`."""
        said = self.provenance.get("accuracy")
        passes = [*self.provenance.get("passes", ()), *([] if said is None else [f"accuracy: {said}"])]
        return report(self.kernels, passes, self.seconds)


def _stack_findings(phase: Stack, gray: Stack, slm: SLMConfig) -> Iterator[Finding]:
    """Yield what is wrong with the frames; each is read once, and none that is known to be right."""
    yield from stack_findings(phase, gray, slm)
    if all(getattr(stack, "checked", False) for stack in (phase, gray) if stack is not None):
        return
    other = ambiguous(slm)
    for i in range(len(gray)):
        yield from frame_findings(i, None if phase is None else phase[i], gray[i], slm, other)


def table_findings(columns: Mapping[str, np.ndarray], masks: int | None = None) -> Iterator[Finding]:
    """Yield what is wrong with the columns of a kernel table, dtypes and shapes being right, for M = `masks` masks."""
    count = len(columns["mask"])
    if count == 0 or columns["weight"].size == 0:
        yield Finding(
            "F-KERNELS", "kernels/weight", f"shape {columns['weight'].shape}: no taps; give one kernel or more"
        )
        return
    for name, column in columns.items():
        if not np.isfinite(column).all():
            row = int(np.argwhere(~np.isfinite(column))[0, 0])
            yield Finding("F-FINITE", f"kernels/{name}", f"row {row} is not finite; compile the masks again")
    limits = {
        "mask": (0, masks),
        "out_channel": (-1, None),
        "in_channel": (-1, None),
        "sign": (-1, 2),
        "pair": (-1, count),
    }
    for name, (low, end) in limits.items():
        column = columns[name]
        bad = np.flatnonzero((column < low) | (column >= (np.inf if end is None else end)))
        if bad.size:
            span = f"{low} or more" + ("" if end is None else f", below {end}")
            yield Finding("F-KERNELS", f"kernels/{name}", f"row {bad[0]} is {column[bad[0]]}; it must be {span}")
            return
    pair, sign = columns["pair"], columns["sign"]
    for row in np.flatnonzero(pair >= 0):
        partner = pair[row]
        if pair[partner] != row or sign[row] == 0 or sign[partner] != -sign[row]:
            message = f"row {row} names {partner} as its other half; halves name each other and have signs +1 and -1"
            yield Finding("F-KERNELS", "kernels/pair", message)


def bound(shape: str, actual: tuple[int, ...], sizes: dict[str, int]) -> tuple[int, ...]:
    """Shape that ``"K 2"`` stands for; a letter not yet in `sizes` takes its length from `actual` and is added."""
    names = shape.split()
    for name, size in zip(names, actual, strict=False):
        if not name.isdigit():
            sizes.setdefault(name, size)
    return tuple(int(name) if name.isdigit() else sizes.get(name, -1) for name in names)


def _cast(name: str, values: Any, dtypes: str) -> np.ndarray:
    given = np.asarray(values)
    dtype = dtypes.split()[-1 if given.dtype.kind == "c" else 0]
    if given.dtype.kind not in ("iufc" if dtype[1] == "c" else "iuf"):
        raise BundleError(f"{name}: {given.dtype} is not a real number; give numbers of dtype {np.dtype(dtype)}")
    with np.errstate(invalid="ignore"):
        cast = given.astype(dtype)
    if not np.array_equal(cast, given, equal_nan=given.dtype.kind in "fc"):
        raise BundleError(f"{name}: {given.dtype} values change as {np.dtype(dtype)}; give values that fit")
    return _frozen(cast)


def _frozen(array: np.ndarray) -> np.ndarray:
    array = array.copy() if array.flags.writeable or not array.flags.c_contiguous else array
    array.flags.writeable = False
    return array


def _plain(value: Any, where: str) -> Any:
    """Copy metadata into plain Python, refusing what a file cannot give back equal."""
    if isinstance(value, Mapping):
        for key in value:
            if not isinstance(key, str) or not _KEY.fullmatch(key):
                raise BundleError(f"{where}: key {key!r} is not a name; use letters, digits and _")
        return {key: _plain(item, f"{where}/{key}") for key, item in value.items()}
    value = value.tolist() if isinstance(value, np.ndarray | np.generic) else value
    leaves = np.array(value, dtype=object).ravel().tolist()
    kinds = {type(leaf) for leaf in leaves}
    if not (kinds in ({str}, {bool}, {int}, {float}, {int, float}) and all(map(_fits, leaves))):
        remedy = (
            "give a text without NUL, a flag, a finite number of 64 bit, a full list of one kind, or a dict of these"
        )
        raise BundleError(f"{where} = {value!r}: no file can hold it; {remedy}")
    return np.array(value).tolist()


def _fits(leaf: str | float) -> bool:
    if isinstance(leaf, str):
        return "\0" not in leaf
    return math.isfinite(leaf) if isinstance(leaf, float) else -(2**63) <= leaf < 2**63


def _same(first: Any, second: Any) -> bool:
    def same(a: Any, b: Any) -> bool:
        stacks = [isinstance(item, np.ndarray | Frames) for item in (a, b)]
        return equal(a, b) if all(stacks) else not any(stacks) and a == b

    return type(first) is type(second) and all(
        same(getattr(first, item.name), getattr(second, item.name)) for item in fields(first) if item.compare
    )


def _refuse(findings: Iterable[Finding]) -> None:
    for finding in findings:
        raise BundleError(f"{finding.path}: {finding.message}")
