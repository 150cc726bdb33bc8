"""Units: SI floats in code, strings such as ``"532 nm"`` in files.

>>> 532 * nm
5.32e-07
>>> parse("8 um", "length")
8e-06
>>> show(0.004, "length")
'4 mm'
"""

import math
import re

from fouroptics.errors import FourOpticsError

m, cm, mm, um, nm = 1.0, 1e-2, 1e-3, 1e-6, 1e-9
W, mW, uW, nW = 1.0, 1e-3, 1e-6, 1e-9
s, ms, us = 1.0, 1e-3, 1e-6
rad, mrad, urad, deg = 1.0, 1e-3, 1e-6, math.pi / 180
Hz, kHz = 1.0, 1e3

UNITS: dict[str, dict[str, float]] = {
    "length": {"m": m, "cm": cm, "mm": mm, "um": um, "nm": nm},
    "power": {"W": W, "mW": mW, "uW": uW, "nW": nW},
    "time": {"s": s, "ms": ms, "us": us},
    "angle": {"rad": rad, "mrad": mrad, "urad": urad, "deg": deg},
    "frequency": {"kHz": kHz, "Hz": Hz},
    "temperature": {"degC": 1.0},
}
EXAMPLE = {
    "length": "8 um", "power": "1 mW", "time": "10 ms", "angle": "2 mrad", "frequency": "60 Hz",
    "temperature": "25 degC",
}  # fmt: skip
_SKIP = {"cm", "deg"}  # read, never written
_NUMBER = re.compile(r"\s*([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s*([A-Za-zµμ]*)\s*")


def parse(text: str, kind: str) -> float:
    """Read a quantity with its unit.

    Parameters
    ----------
    text : str
        A number and a unit, ``"31.65 um"``.
    kind : {"length", "power", "time", "angle", "frequency", "temperature"}
        What is measured.

    Returns
    -------
    float
        The value in SI units (m, W, s, rad, Hz), temperatures in degrees Celsius.

    Raises
    ------
    FourOpticsError
        If the text is no number, or the unit is missing or measures something else.
    """
    match = _NUMBER.fullmatch(text)
    if match is None:
        raise FourOpticsError(f"{text!r} is no {kind}; write a number and a unit, such as {EXAMPLE[kind]!r}")
    number, unit = match[1], match[2].replace("µ", "u").replace("μ", "u")
    if unit not in UNITS[kind]:
        known = ", ".join(UNITS[kind])
        what = f"{unit!r} is not a unit of {kind}" if unit else "the unit is missing"
        raise FourOpticsError(f"{text!r}: {what}; use one of {known}, such as {EXAMPLE[kind]!r}")
    return float(number) * UNITS[kind][unit]


def show(value: float, kind: str, digits: int = 6) -> str:
    """Write an SI value in the engineering unit that suits it; `parse` reads it back to `digits` digits."""
    units = {name: factor for name, factor in UNITS[kind].items() if name not in _SKIP}
    fits = [name for name, factor in units.items() if abs(value) >= 0.9999999 * factor]
    unit = (fits or list(units)[-1:])[0] if value and math.isfinite(value) else _base(kind)
    rounded = float(f"{value / units[unit]:.{digits}g}")
    return f"{rounded:.{max(digits, 6)}g} {unit}"  # 250, not 2.5e+02


def exact(value: float, kind: str) -> str:
    """Write an SI value so that `parse` gives the same float: in an engineering unit if it can, else in the SI unit."""
    texts = (show(value, kind, digits) for digits in (6, 9, 12, 15, 17))
    return next((text for text in texts if parse(text, kind) == value), f"{value!r} {_base(kind)}")


def _base(kind: str) -> str:
    return next(unit for unit, factor in UNITS[kind].items() if factor == 1)
