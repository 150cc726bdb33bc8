"""What the compiler hands over and the SLM computer loads: frozen arrays and plain metadata. Imports no torch."""

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal

import numpy as np

from fouroptics.devices.panel import SLMConfig, mask_levels
from fouroptics.errors import BundleError
from fouroptics.masks.report import MaskReport, report

#: dtype, shape and unit of each column of a `KernelTable`; K kernels of k x k taps.
COLUMNS: dict[str, tuple[str, str, str]] = {
    "mask": ("<i4", "K", "1"),
    "out_channel": ("<i4", "K", "1"),
    "in_channel": ("<i4", "K", "1"),
    "sign": ("|i1", "K", "1"),
    "pair": ("<i4", "K", "1"),
    "tile": ("<i4", "K 2", "px"),
    "carrier": ("<f8", "K 2", "cycles/px"),
    "weight": ("<f8", "K k k", "1"),
    "scale": ("<f8", "K", "1"),
    "efficiency": ("<f8", "K", "1"),
    "error": ("<f8", "K", "1"),
    "correlation": ("<f8", "K", "1"),
}
_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


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
class KernelTable:
    """One row for each of K kernels; a tiled mask carries many. Every array is a read-only copy.

    Attributes
    ----------
    mask : numpy.ndarray
        (K) int32, the mask that carries the kernel.
    out_channel, in_channel : numpy.ndarray
        (K) int32; in_channel -1: shared by all input channels.
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
        (K, k, k) float64, torch cross-correlation order.
    scale : numpy.ndarray
        (K) float64, digital weight = scale * optical amplitude response.
    efficiency : numpy.ndarray
        (K) float64, fraction of the light on the band that goes into the taps.
    error : numpy.ndarray
        (K) float64, relative L2 error of the response over the window.
    correlation : numpy.ndarray
        (K) float64, modulus of the complex correlation with the target.

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

    def __post_init__(self) -> None:
        sizes: dict[str, int] = {}
        for name, (dtype, shape, _) in COLUMNS.items():
            column = _cast(f"kernels/{name}", getattr(self, name), dtype)
            expected = bound(shape, column.shape, sizes)
            if column.shape != expected:
                raise BundleError(f"kernels/{name}: shape {column.shape}, not {expected} = ({shape}); one row a kernel")
            object.__setattr__(self, name, column)
        _refuse(table_findings(vars(self)))

    def __len__(self) -> int:
        return len(self.mask)

    def __eq__(self, other: object) -> bool:
        return _same(self, other)


@dataclass(frozen=True, eq=False)
class MaskSet:
    """M masks for one panel, and what is needed to show them and to read their result.

    Attributes
    ----------
    phase : numpy.ndarray
        (M, H, W) float32, requested phase delay in rad, in [0, 2 pi), before quantisation. Read-only.
    gray : numpy.ndarray
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

    Raises
    ------
    BundleError
        If a field has the wrong dtype, shape or range, or metadata that a file cannot hold; the message names the
        field, the value and the remedy.
    """

    phase: np.ndarray
    gray: np.ndarray
    kernels: KernelTable
    slm: SLMConfig
    instrument: Mapping[str, Any] = field(default_factory=dict)
    provenance: Mapping[str, Any] = field(default_factory=dict)
    encoding: str = ""
    layout: str = ""

    def __post_init__(self) -> None:
        for name in ("phase", "gray"):
            object.__setattr__(self, name, _frozen(np.asarray(getattr(self, name))))
        for name in ("instrument", "provenance", "encoding", "layout"):
            object.__setattr__(self, name, _plain(getattr(self, name), name))
        _refuse(frame_findings(self.phase, self.gray, self.slm))
        _refuse(table_findings(vars(self.kernels), len(self)))

    def __len__(self) -> int:
        return len(self.gray)

    def __eq__(self, other: object) -> bool:
        return _same(self, other)

    def report(self) -> MaskReport:
        """Return how well each kernel is realised; print it, read its `rows` or write it with `to_csv`."""
        return report(self.kernels)


def frame_findings(phase: np.ndarray | None, gray: np.ndarray, slm: SLMConfig) -> Iterator[Finding]:
    """Yield what is wrong with the frames (M, H, W) for this panel; `phase` in rad may be left out."""
    whole = "uint8" if slm.bits <= 8 else "uint16"
    frames = [("gray", gray, whole)] if phase is None else [("phase", phase, "float32"), ("gray", gray, whole)]
    wrong = False
    for name, array, dtype in frames:
        if array.dtype != dtype:
            wrong = True
            yield Finding("F-DTYPE", name, f"{array.dtype}, not {dtype}, for {slm.bits} bit; convert it with astype")
        if array.ndim != 3 or array.shape[1:] != slm.shape or array.shape != (max(len(gray), 1), *slm.shape):
            wrong = True
            expected = f"(M, {slm.shape[0]}, {slm.shape[1]}), M at least 1 and the same in phase and gray"
            yield Finding("F-SHAPE", name, f"shape {array.shape}, not {expected}; the panel is {slm.name!r}")
    for i in () if wrong else range(len(gray)):
        yield from _frame_findings(i, None if phase is None else phase[i], gray[i], slm)


def _frame_findings(i: int, phase: np.ndarray | None, gray: np.ndarray, slm: SLMConfig) -> Iterator[Finding]:
    top, highest = 2**slm.bits - 1, int(gray.max())
    if highest > top:
        yield Finding(
            "F-GREY", "gray", f"mask {i} holds level {highest}; {slm.bits} bit end at {top}: use panel.mask_levels"
        )
    if phase is None:
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
        "out_channel": (0, None),
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


def _cast(name: str, values: Any, dtype: str) -> np.ndarray:
    given = np.asarray(values)
    if given.dtype.kind not in "iuf":
        raise BundleError(f"{name}: {given.dtype} is not a real number; give numbers of dtype {np.dtype(dtype)}")
    with np.errstate(invalid="ignore"):
        cast = given.astype(dtype)
    if not np.array_equal(cast, given, equal_nan=given.dtype.kind == "f"):
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
    def equal(a: Any, b: Any) -> bool:
        return a.dtype == b.dtype and np.array_equal(a, b) if isinstance(a, np.ndarray) else a == b

    return type(first) is type(second) and all(
        equal(getattr(first, item.name), getattr(second, item.name)) for item in fields(first)
    )


def _refuse(findings: Iterable[Finding]) -> None:
    for finding in findings:
        raise BundleError(f"{finding.path}: {finding.message}")
