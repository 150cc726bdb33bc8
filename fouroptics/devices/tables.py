"""Vendors' tables: a phase or a drive code for each grey level, read and checked, applied to nothing.

A fault that makes a file useless is a `FourOpticsError`; what is doubtful is a finding, in words. What a table would
change on a panel is said by `fouroptics.devices.table_report`. Imports no torch.
"""

import math
import re
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from fouroptics.devices.corrections import read_hamamatsu, read_santec, read_slmsuite
from fouroptics.devices.vendor_file import VendorFile, contents, frozen, low_bits, text_lines, unended
from fouroptics.errors import FourOpticsError
from fouroptics.units import exact

PhaseUnit = Literal["rad", "pi", "2pi", "deg"]

RADIANS: dict[PhaseUnit, float] = {"2pi": 2 * math.pi, "pi": math.pi, "rad": 1.0, "deg": math.pi / 180}
_SPELLED = {
    "2pi": r"(?:2\s*\*?\s*(?:pi|π)|turns?|waves?|cycles?)",
    "pi": r"(?:pi|π)",
    "rad": r"rad(?:ians?)?",
    "deg": r"(?:deg(?:rees?)?|°)",
}  # in this order: "2 pi" is not "pi"
_NUMBER = re.compile(r"[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?")


def read(path: str | Path, unit: PhaseUnit | None = None, *, invert: bool = False) -> VendorFile:
    """Read a vendor's file, with the reader that its name and its first cell ask for.

    Parameters
    ----------
    path : str or Path
        ``.lut``: Meadowlark; ``.bmp``: Hamamatsu; ``.h5``: slmsuite; ``.csv``, ``.txt``: Santec if the first cell is
        ``Y/X`` (a correction if the name says so, else a frame), else two columns, grey and phase.
    unit : {"rad", "pi", "2pi", "deg"}, optional
        Of the phases of two columns, see `read_csv`.
    invert : bool
        For a Hamamatsu correction, see `read_hamamatsu`.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix == ".lut":
        return read_meadowlark(path)
    if suffix == ".bmp":
        return read_hamamatsu(path, invert=invert)
    if suffix in (".h5", ".hdf5"):
        return read_slmsuite(path)
    if suffix not in (".csv", ".txt"):
        raise FourOpticsError(
            f"{path}: {suffix or 'no suffix'!r} is none of .lut, .csv, .txt, .bmp, .h5; rename the file"
        )
    if contents(path).lstrip(b"\xef\xbb\xbf \t\r\n")[:3].upper() == b"Y/X":
        return read_santec(path, correction="correction" in path.name.lower())
    return read_csv(path, unit)


def read_csv(path: str | Path, unit: PhaseUnit | None = None, *, interpolate: bool = False) -> VendorFile:
    """Read a table of two columns, grey level and phase, separated by commas, semicolons or blanks.

    Parameters
    ----------
    path : str or Path
        Lines of words before the numbers, and comments after ``#``, ``%`` or ``//``, are read for the unit and the
        wavelength.
    unit : {"rad", "pi", "2pi", "deg"}, optional
        Unit of the phases; left out, that of the header, and without one rad, which a finding says. Phases that span
        less than 3, or more than 100, must come with a unit: they may be turns, multiples of pi, or degrees.
    interpolate : bool
        Whether grey levels that are missing between others may be filled in, linearly.

    Raises
    ------
    FourOpticsError
        If a row is no pair of numbers, levels are missing or contradict each other, the phase turns back, or its unit
        is in doubt.
    """
    path, content = Path(path), contents(Path(path))
    words, lines, rows = _two_columns(path, content)
    phase, findings = _by_level(path, lines, rows, interpolate=interpolate)
    taken, assumed = _unit(path, words, unit, float(np.ptp(phase)))
    phase = phase * RADIANS[taken]
    findings += unended(content) + assumed + _monotone(path, phase)
    if (turns := stroke(phase) / (2 * math.pi)) < 1 - 1e-3:
        findings.append(f"the levels reach {turns:.4g} of 2 pi: a phase beyond is shown by the nearest level")
    return frozen(path, content, "table", phase, "rad", findings, words=words)


def read_meadowlark(path: str | Path) -> VendorFile:
    """Read a Meadowlark ``.lut``: two whole numbers a line, grey level and drive code 0 to 4095 (12 bit, 0 to 5 V).

    The driver of the panel loads it; it says nothing about the phase. Lines of words are skipped.

    Parameters
    ----------
    path : str or Path
        The file.

    Raises
    ------
    FourOpticsError
        If a row is no pair of numbers, a code is not within 12 bit, or levels are missing or contradict each other.
    """
    path, content = Path(path), contents(Path(path))
    words, lines, rows = _two_columns(path, content)
    wrong = (rows[:, 1] % 1 != 0) | (rows[:, 1] < 0) | (rows[:, 1] > 4095)
    if wrong.any():
        i, step = int(wrong.argmax()), low_bits(rows[:, 1])
        remedy = (
            f"every code is a multiple of {step}, left-justified: divide by {step}" if step > 1 else "mend the line"
        )
        raise FourOpticsError(
            f"{path}, line {lines[i]}: drive code {rows[i, 1]:g} is no whole number from 0 to 4095 (12 bit); {remedy}"
        )
    codes, findings = _by_level(path, lines, rows)
    findings += unended(content)
    if len(codes) != 256:
        findings.append(f"{len(codes)} levels, where a panel of 8 bit has 256")
    if len(falls := np.flatnonzero(np.diff(codes) < 0)):
        findings.append(f"the drive code falls from grey {falls[0]} to {falls[0] + 1}")
    if len(flat := np.flatnonzero(np.diff(codes) == 0)):
        findings.append(f"{len(flat)} levels have the code of the one before: {_few(flat + 1)}")
    return frozen(path, content, "voltage", codes.astype(np.uint16), "code", findings, words=words)


def write_csv(path: str | Path, phases: NDArray[Any], wavelength: float | None = None) -> None:
    """Write a phase table as `read_csv`, and ``table`` in the panel of a bench file, read it back, to the last digit.

    Parameters
    ----------
    path : str or Path
        The file; it is there whole or not at all.
    phases : numpy.ndarray
        Phase of each grey level in rad, (2^b,).
    wavelength : float, optional
        In metres, where it was measured.
    """
    path, phases = Path(path), np.asarray(phases, dtype=np.float64)
    if wavelength is not None and not 0 < wavelength < math.inf:
        raise FourOpticsError(f"wavelength = {wavelength}: must be positive and finite, in metres (633 * nm)")
    if phases.ndim != 1 or not len(phases) or not np.isfinite(phases).all():
        raise FourOpticsError(f"phases of shape {phases.shape}: give one finite number in rad for each grey level")
    header = ([] if wavelength is None else [f"# {exact(wavelength, 'length')}"]) + ["grey,phase (rad)"]
    rows = [f"{grey},{phase!r}" for grey, phase in enumerate(phases.tolist())]
    partial = path.with_name(f"{path.name}.partial")
    try:
        partial.write_text("\n".join([*header, *rows, ""]), encoding="utf-8")
        partial.replace(path)
    except OSError as error:
        raise FourOpticsError(f"{path}: cannot be written ({error.strerror}); give a folder that is there") from None


def stroke(phases: NDArray[Any]) -> float:
    """Phase range in rad that n levels cover, the step to the first level of the next turn included."""
    return float(np.ptp(phases)) * len(phases) / (len(phases) - 1)


def _two_columns(path: Path, content: bytes) -> tuple[str, list[int], NDArray[np.float64]]:
    """Words before and beside the numbers, the line of each row, and the rows (n, 2)."""
    words: list[str] = []
    lines: list[int] = []
    rows: list[list[float]] = []
    for line, text in enumerate(text_lines(path, content), 1):
        text, *comment = re.split(r"#|%|//", text, maxsplit=1)
        words += comment
        text = text.strip(" \t,;")
        cells = [cell.strip() for cell in text.split(";")] if ";" in text else re.split(r"[,\s]+", text)
        numbers = [float(cell) for cell in cells if _NUMBER.fullmatch(cell)]
        if not text or (not rows and not numbers):
            words.append(text)
        elif len(cells) == len(numbers) == 2 and all(map(math.isfinite, numbers)):
            lines.append(line)
            rows.append(numbers)
        elif not rows and len(numbers) < len(cells) and re.search(r"[^\W\d_]", text):
            words.append(text)  # a header with a number in it
        else:
            raise FourOpticsError(
                f"{path}, line {line}: {text[:40]!r} is not a grey level and a number; write two columns, with points"
            )
    if not rows:
        raise FourOpticsError(f"{path}: holds no rows of numbers; write two columns, the grey level and its value")
    return " ".join(words), lines, np.array(rows)


def _by_level(
    path: Path, lines: list[int], rows: NDArray[np.float64], *, interpolate: bool = False
) -> tuple[NDArray[np.float64], list[str]]:
    """Value of each of the 2^b levels, in their order."""
    for line, level in zip(lines, rows[:, 0], strict=True):
        if level % 1 or not 0 <= level <= 65535:
            raise FourOpticsError(f"{path}, line {line}: grey level {level:g} is no whole number from 0 to 65535")
    order = np.argsort(rows[:, 0], kind="stable")
    grey, value = rows[order, 0].astype(int), rows[order, 1]
    again = np.flatnonzero(np.diff(grey) == 0)
    for i in again[value[again] != value[again + 1]]:
        raise FourOpticsError(
            f"{path}, lines {lines[order[i]]} and {lines[order[i + 1]]}: grey level {grey[i]} has the values "
            f"{value[i]:g} and {value[i + 1]:g}; keep one"
        )
    findings = [f"rows that stand twice were left out, grey level {_few(grey[again])}"] if len(again) else []
    if (np.diff(order) < 0).any():
        findings.append("the rows were not in the order of their grey levels and were sorted")
    grey, first = np.unique(grey, return_index=True)
    value, filled = _complete(path, grey, value[first], interpolate=interpolate)
    return value, findings + filled


def _complete(
    path: Path, grey: NDArray[np.int64], value: NDArray[np.float64], *, interpolate: bool
) -> tuple[NDArray[np.float64], list[str]]:
    """Values of all 2^b levels, b from the highest level that is there."""
    count, step = 1 << max(int(grey[-1]).bit_length(), 1), low_bits(grey)
    missing = np.setdiff1d(np.arange(count), grey)
    if not len(missing):
        return value, []
    if step > 1 and count > 256 and len(grey) * step == count:
        raise FourOpticsError(
            f"{path}: every grey level is a multiple of {step}, left-justified: divide them by {step}, for {len(grey)}"
        )
    if not interpolate or missing[0] == 0 or missing[-1] == count - 1:
        raise FourOpticsError(
            f"{path}: of {count} grey levels {len(missing)} are missing: {_few(missing)}; add them (read_csv with "
            "interpolate=True fills in those that lie between others)"
        )
    filled = f"{len(missing)} of {count} levels were interpolated: {_few(missing)}"
    return np.interp(np.arange(count), grey, value), [filled]


def _few(numbers: NDArray[Any]) -> str:
    return ", ".join(str(n) for n in numbers[:5]) + (", ..." if len(numbers) > 5 else "")


def _monotone(path: Path, phase: NDArray[np.float64]) -> list[str]:
    """Refuse a phase that turns back or stands still; say if it falls."""
    steps = np.diff(phase)
    falls = bool(np.median(steps) < 0)
    wrong = np.flatnonzero(steps >= 0 if falls else steps <= 0)
    if len(wrong):
        g = int(wrong[0])
        remedy = "unwrap it (numpy.unwrap)" if abs(steps[g]) > math.pi else "smooth it, or measure it again"
        raise FourOpticsError(
            f"{path}: the phase must {'fall' if falls else 'rise'} from grey to grey: {phase[g]:.6g} rad at grey {g}, "
            f"{phase[g + 1]:.6g} rad at grey {g + 1}; {remedy}"
        )
    return ["the phase falls with rising grey; a panel takes the sign from its key grey"] if falls else []


def _unit(path: Path, words: str, asked: PhaseUnit | None, span: float) -> tuple[PhaseUnit, list[str]]:
    """Unit of the phases, and what was assumed."""
    stated: list[PhaseUnit] = []
    for name in RADIANS:
        spelled = rf"(?i)(?<![a-z]){_SPELLED[name]}(?![a-z])"
        words, found = re.subn(spelled, " ", words)
        if found:
            stated.append(name)
    said = " and ".join(stated)
    if asked is not None and asked not in RADIANS:
        raise FourOpticsError(f"unit = {asked!r}: choose one of {', '.join(map(repr, RADIANS))}")
    if asked is not None:
        return asked, [f"the file says {said}; taken in {asked}, as asked"] if said and said != asked else []
    if len(stated) > 1:
        raise FourOpticsError(f"{path}: the words beside the numbers name {said}; say which it is with unit=")
    if stated:
        return stated[0], []
    likely = "2pi" if span < 1.5 else "pi" if span < 3 else "deg"
    if 0 < span < 3 or span > 100:
        raise FourOpticsError(
            f"{path}: states no unit, and a span of {span:.4g} looks like {likely}: write rad, pi, 2pi or deg into its "
            "first line, such as 'grey,phase (rad)', or say it with unit="
        )
    return "rad", ["states no unit: rad is assumed"]
