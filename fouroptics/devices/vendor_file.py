"""What a vendor's file holds, and how its bytes are read. Imports no torch."""

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from fouroptics.errors import FourOpticsError
from fouroptics.units import nm, show

Kind = Literal["table", "voltage", "correction", "frame"]
Unit = Literal["rad", "code", "grey"]


@dataclass(frozen=True, eq=False)
class VendorFile:
    """What a vendor's file holds; nothing of it is applied.

    Attributes
    ----------
    kind : {"table", "voltage", "correction", "frame"}
        Phase of each grey level (2^b), drive code of each grey level (2^b), phase to add to every mask (H, W), or what
        a panel showed (H, W).
    values : numpy.ndarray
        The numbers, read-only.
    unit : {"rad", "code", "grey"}
        Their unit; a drive code of 12 bit stands for 0 to 5 V.
    source : str
        Name of the file.
    sha256 : str
        Digest of its bytes.
    wavelength : float or None
        In metres, where the name or the file states it.
    findings : tuple of str
        What is doubtful, and what was assumed.
    amplitude : numpy.ndarray or None
        Amplitude of the light on the panel (H, W), where the file holds it.
    """

    kind: Kind
    values: NDArray[Any]
    unit: Unit
    source: str
    sha256: str
    wavelength: float | None
    findings: tuple[str, ...]
    amplitude: NDArray[Any] | None = None


def contents(path: Path) -> bytes:
    """All bytes of a file."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise FourOpticsError(f"{path}: cannot be read ({error.strerror}); check the path") from None


def text_lines(path: Path, content: bytes) -> list[str]:
    """Lines of a text, whatever ends them."""
    try:
        return re.split(r"\r\n|\r|\n", content.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise FourOpticsError(f"{path}: is no text in UTF-8 (byte {error.start}); export it as plain text") from None


def unended(content: bytes) -> list[str]:
    """Say so if a text does not end with its last line: a number cut short is still a number."""
    return [] if content.endswith((b"\n", b"\r")) else ["the last line has no end: was the file cut?"]


def low_bits(levels: NDArray[Any]) -> int:
    """Greatest power of two that divides all levels; 1 if they are no whole numbers of 32 bit, or all 0."""
    if (levels % 1 != 0).any() or (np.abs(levels) >= 2**32).any():
        return 1
    used = int(np.bitwise_or.reduce(np.abs(levels).astype(np.int64).ravel()))
    return used & -used or 1


def frozen(
    path: Path, content: bytes, kind: Kind, values: NDArray[Any], unit: Unit, findings: list[str],
    *, words: str = "", wavelength: float | None = None, amplitude: NDArray[Any] | None = None,
) -> VendorFile:  # fmt: skip
    """Put together what was read from a file; without a `wavelength`, it is that of the name, else of the `words`."""
    named = re.search(r"([0-9]{3,5}(?:\.[0-9]+)?) ?nm|_at([0-9]{3,5})", path.name)
    written = re.findall(r"([0-9]{3,5}(?:\.[0-9]+)?) ?nm", words)
    stated = [float(number) * nm for number in [*([named[1] or named[2]] if named else []), *written]]
    if wavelength is None and len(set(stated)) > 1:
        found = ", ".join(show(each, "length") for each in stated)
        findings = [*findings, f"states several wavelengths, {found}: the first is taken"]
    wavelength = wavelength or next(iter(stated), None)
    if wavelength is None:
        findings = [*findings, "states no wavelength: it holds for the one at which it was made"]
    for array in (values, amplitude):
        if array is not None:
            array.flags.writeable = False
    digest = hashlib.sha256(content).hexdigest()
    return VendorFile(kind, values, unit, path.name, digest, wavelength, tuple(findings), amplitude)
