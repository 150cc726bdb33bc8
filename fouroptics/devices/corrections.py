"""Vendors' pictures: corrections and frames of Hamamatsu, Santec and slmsuite. Imports no torch."""

import io
import math
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fouroptics.devices.vendor_file import VendorFile, contents, frozen, low_bits, text_lines, unended
from fouroptics.errors import FourOpticsError
from fouroptics.units import show, um

_MOST_PIXELS = 100_000_000


def read_hamamatsu(path: str | Path, *, invert: bool = False) -> VendorFile:
    """Read a Hamamatsu correction, ``CAL_LSH<serial>_<nm>nm.bmp``: 8 bit, 1272 x 1024 pixels, 256 levels a turn.

    Parameters
    ----------
    path : str or Path
        A picture of 1280 x 1024 pixels is one with the 8 blank columns of the video signal, which are left out.
    invert : bool
        Take 255 - value, as slmsuite does, for a panel whose phase falls with rising grey. Left out, the phase is
        ``value * 2 pi / 256``: what the vendor adds, in grey levels.

    Raises
    ------
    FourOpticsError
        If the file is no grey picture of 8 bit, or of another size.
    """
    path, content = Path(path), contents(Path(path))
    grey, findings = _picture(path, content), []
    if grey.shape == (1024, 1280):
        parts = {"last": (grey[:, :1272], grey[:, 1272:]), "first": (grey[:, 8:], grey[:, :8])}
        side = next((side for side, (_, pad) in parts.items() if not pad.any()), None)
        if side is None:
            raise FourOpticsError(
                f"{path}: of 1280 columns neither the first nor the last 8 are blank; crop it to 1272"
            )
        grey = parts[side][0]
        findings.append(f"the {side} 8 of 1280 columns are blank and were left out")
    _same_shape(path, grey, (1024, 1272))
    findings += _checked_bits(path, grey, 8)
    taken = "255 - value, as slmsuite takes it" if invert else "the value; slmsuite takes 255 - value (invert=True)"
    phase = (255 - grey if invert else grey) * (2 * math.pi / 256)
    return frozen(path, content, "correction", phase, "rad", [*findings, f"phase = 2 pi/256 times {taken}"])


def read_santec(
    path: str | Path, *, correction: bool = False, shape: tuple[int, int] | None = (1200, 1920)
) -> VendorFile:
    """Read a Santec CSV: a first row ``Y/X,0,1,...``, then a row index and the levels 0 to 1023 in each line.

    Parameters
    ----------
    path : str or Path
        The file.
    correction : bool
        Return the phase ``-2 pi level / 1024`` in rad of a correction; left out, the levels of a frame.
    shape : tuple of int or None
        Pixels (height, width) that it must have; None takes any.

    Raises
    ------
    FourOpticsError
        If a line is missing, cut or no whole numbers, or a level is not within 10 bit.
    """
    path, content = Path(path), contents(Path(path))
    (_, head), *lines = [(i, _cells(text)) for i, text in enumerate(text_lines(path, content), 1) if text.strip()] or [
        (1, [""])
    ]
    width = len(head) - 1
    if head[0].upper() != "Y/X" or head[1:] != [str(x) for x in range(width)]:
        raise FourOpticsError(
            f"{path}, line 1: {','.join(head)[:40]!r} is not the row 'Y/X,0,1,2,...' of a Santec file"
        )
    rows = []
    for y, (line, cells) in enumerate(lines):
        if len(cells) != width + 1 or cells[0] != str(y):
            raise FourOpticsError(
                f"{path}, line {line}: row {cells[0][:10]} of {len(cells) - 1} levels, not row {y} of {width}; lines "
                "are missing, turned round or cut: export the file again"
            )
        try:
            rows.append(np.array(cells[1:], dtype=np.int64))
        except (ValueError, OverflowError):
            raise FourOpticsError(f"{path}, line {line}: holds something else than whole numbers; mend it") from None
    grey = np.stack(rows) if rows else np.zeros((0, width), np.int64)
    _same_shape(path, grey, shape)
    findings = unended(content) + _checked_bits(path, grey, 10)
    if not correction:
        return frozen(path, content, "frame", grey.astype(np.uint16), "grey", findings)
    findings.append("phase = -2 pi/1024 times the level")
    return frozen(path, content, "correction", grey * (-2 * math.pi / 1024), "rad", findings)


def read_slmsuite(path: str | Path) -> VendorFile:
    """Read what slmsuite 0.5 wrote with ``SLM.save``, ``SLM.save_phase`` or ``FourierSLM.save``.

    The values are the measured correction if there is one, else what the panel showed last: the phase, rounded to its
    levels, or the levels.

    Parameters
    ----------
    path : str or Path
        The HDF5 file.

    Raises
    ------
    FourOpticsError
        If it is no HDF5 file, is damaged, or holds neither a phase nor levels of a panel.
    """
    path, content = Path(path), contents(Path(path))
    arrays, numbers = _panel_of(path, content)
    name = next((name for name in ("source/phase", "phase", "display") if name in arrays), None)
    if name is None:
        raise FourOpticsError(
            f"{path}: holds no phase and no display (height, width) of a panel; write it with SLM.save"
        )
    for each, array in arrays.items():
        if not np.isfinite(array).all():
            raise FourOpticsError(f"{path}, {each}: a value is not finite; measure or save it again")
        _same_shape(path, array, arrays[name].shape)
    findings = [f"holds no {each}" for each in ("source/phase", "source/amplitude") if each not in arrays]
    findings.append("slmsuite 0.5 saves no gamma: write down the phase of each level beside it")
    if name == "source/phase":
        findings.append("slmsuite adds this phase by itself unless phase_correct=False; do not correct twice")
    used, design = numbers.get("wav_um"), numbers.get("wav_design_um")
    if used and design and used != design:
        findings.append(f"used at {show(used * um, 'length')} on a panel made for {show(design * um, 'length')}")
    return frozen(
        path, content, "correction" if name == "source/phase" else "frame", arrays[name],
        "grey" if name == "display" else "rad", findings,
        wavelength=used * um if used else None, amplitude=arrays.get("source/amplitude"),
    )  # fmt: skip


def read_slmsuite_frame(path: str | Path) -> tuple[NDArray[Any], NDArray[Any]]:
    """Read what a panel of slmsuite 0.5 showed last: the phase in rad and the levels that were sent, (H, W) each.

    Raises
    ------
    FourOpticsError
        If it is no HDF5 file, is damaged, or does not hold both.
    """
    path = Path(path)
    arrays, _ = _panel_of(path, contents(path))
    if not {"phase", "display"} <= set(arrays):
        raise FourOpticsError(f"{path}: holds no phase and display (height, width) of a panel; write SLM.save_phase")
    phase, display = arrays["phase"], arrays["display"]
    _same_shape(path, phase, display.shape)
    if display.dtype.kind != "u" or not np.isfinite(phase).all():
        raise FourOpticsError(f"{path}: display {display.dtype} or a phase that is not finite; save it again")
    return phase, display


def _panel_of(path: Path, content: bytes) -> tuple[dict[str, NDArray[Any]], dict[str, float]]:
    """Pictures and numbers of the panel in a file of slmsuite."""
    import h5py

    arrays, numbers = {}, {}
    try:
        with h5py.File(io.BytesIO(content), "r") as file:
            roots = ("__meta__/slm", "__meta__", "/")
            root = next((root for root in roots if f"{root}/phase" in file or f"{root}/display" in file), "/")
            for name in ("source/phase", "source/amplitude", "phase", "display", "wav_um", "wav_design_um"):
                node = file.get(f"{root}/{name}")
                if (
                    not isinstance(node, h5py.Dataset)
                    or node.dtype.kind not in "fiu"
                    or not 0 < (node.size or 0) <= _MOST_PIXELS
                ):
                    continue
                if node.ndim == 2:
                    arrays[name] = np.asarray(node[()])
                elif node.ndim == 0 and math.isfinite(node[()]):
                    numbers[name] = float(node[()])
    except Exception:  # no HDF5, cut short, changed: h5py has an error for each
        raise FourOpticsError(f"{path}: is no HDF5 file, or is damaged; save it again with slmsuite") from None
    return arrays, numbers


def _cells(text: str) -> list[str]:
    return [cell.strip() for cell in text.rstrip(", \t").split(",")]


def _picture(path: Path, content: bytes) -> NDArray[np.int64]:
    """Grey levels (H, W) of a picture of 8 bit."""
    from PIL import Image

    try:
        with warnings.catch_warnings(action="error"):
            image = Image.open(io.BytesIO(content), formats=["BMP", "PNG"])
            mode, levels = image.mode, np.asarray(image)
    except Exception:  # no picture, cut short, absurdly large: Pillow has an error for each
        raise FourOpticsError(f"{path}: is no picture, or is damaged; copy it again from the vendor's disc") from None
    if mode == "RGB" and (levels == levels[..., :1]).all():
        mode, levels = "L", levels[..., 0]
    if mode != "L":
        raise FourOpticsError(f"{path}: a picture of mode {mode}, not of 8 bit grey (L); save it as 8 bit greyscale")
    return levels.astype(np.int64)


def _checked_bits(path: Path, grey: NDArray[np.int64], bits: int) -> list[str]:
    """Refuse levels beyond `bits`; say so if the lowest bits are never used."""
    step, beyond = low_bits(grey), (grey < 0) | (grey >= 2**bits)
    if beyond.any():
        y, x = np.argwhere(beyond)[0]
        left = step > 1 and grey.min() >= 0 and grey.max() < step * 2**bits
        remedy = f"every level is a multiple of {step}, left-justified: divide by {step}" if left else "export it again"
        raise FourOpticsError(f"{path}: level {grey[y, x]} in row {y}, column {x} is not within {bits} bit; {remedy}")
    if (grey == grey[0, 0]).all():
        return [f"every level is {grey[0, 0]}"]
    return [f"every level is a multiple of {step}: fewer than {bits} bit, left-justified?"] if step > 1 else []


def _same_shape(path: Path, picture: NDArray[Any], wanted: tuple[int, ...] | None) -> None:
    if not picture.size or picture.shape != (wanted or picture.shape):
        found, need = (" x ".join(map(str, shape)) for shape in (picture.shape, wanted or ("H", "W")))
        raise FourOpticsError(f"{path}: {found} pixels (height x width), not {need}; give the file of this panel")
