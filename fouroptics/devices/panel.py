"""Panels as data: what the data sheet says, and the grey level that shows a phase best. Imports no torch.

`levels_for` chooses levels, `response` says what each level does to the light; everything else follows from the two.
"""

import difflib
import math
import tomllib
from functools import cache
from pathlib import Path
from typing import Any, Literal, NamedTuple, Self, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, StrictBool, ValidationInfo, field_validator, model_validator

from fouroptics.config import Angle, DataFile, FileConfig, Frequency, Length, Number, Shape, Time, Whole, beside
from fouroptics.devices.maps import read_map
from fouroptics.devices.tables import read_csv
from fouroptics.errors import ConfigError, FourOpticsError, GeometryError
from fouroptics.units import exact

Array = TypeVar("Array")
GreyConvention = Literal["slmsuite", "direct"]
Modulation = Literal["phase", "amplitude", "coupled", "binary"]
TURN = 2 * math.pi
CLOSE = 1e-6  #: rad; phases that float32 hardly tells apart count as one level


@cache
def presets() -> dict[str, dict[str, Any]]:
    """Panels of ``panels.toml`` by name."""
    return tomllib.loads(Path(__file__).with_name("panels.toml").read_text(encoding="utf-8"))


def with_preset(data: Any, presets: dict[str, dict[str, Any]]) -> Any:
    """Replace the key ``preset`` of `data` by the fields of that preset; explicit fields win."""
    if not isinstance(data, dict) or "preset" not in data:
        return data
    name = data["preset"]
    if not isinstance(name, str) or name not in presets:
        close = difflib.get_close_matches(str(name), presets, n=1, cutoff=0.4)
        meant = f"did you mean {close[0]!r}? " if close else ""
        raise ValueError(f"preset {name!r} is unknown; {meant}known: {', '.join(presets)}")
    return {**presets[name], **{key: value for key, value in data.items() if key != "preset"}}


class OrientationConfig(FileConfig):
    """How export turns a frame for the device: flipped left to right, upside down, then `rot90` quarter turns.

    The quarter turns are those of ``numpy.rot90``, counter-clockwise as the frame is printed.
    """

    fliplr: StrictBool = False
    flipud: StrictBool = False
    rot90: Whole = Field(default=0, ge=0, le=3)


class SLMConfig(FileConfig):
    """A panel: its pixels, what its levels do to the light, and what is wrong with it.

    Attributes
    ----------
    shape : tuple of int
        Pixels, (height, width).
    pitch : float
        Pixel pitch in metres, the same in x and y.
    bits : int
        Bit depth: 2**bits grey levels.
    fill_factor : float
        Area fill F of the modulating part of a pixel.
    dead_amplitude, dead_phase : float
        Amplitude r and phase (rad) that the area between the pixels adds to the light: r (1 - F) exp(i phi0) a pixel.
    grey : {"slmsuite", "direct"}
        How a grey level drives the phase: rising grey lowers the phase delay (``slmsuite``, most LCOS panels) or
        raises it.
    modulation : {"phase", "amplitude", "coupled", "binary"}
        What a level changes: the phase, the amplitude, both, or a mirror that is on or off (1 bit).
    stroke : float
        Phase in rad that the levels of a linear panel divide: a step of ``stroke / 2**bits``.
    stroke_wavelength : float, optional
        Wavelength in metres at which `stroke` or `table` was measured; left out, the one that the file of the table
        states. At another one the phase scales by ``stroke_wavelength / wavelength``; the dispersion of the liquid
        crystal is neglected.
    table : tuple of float, optional
        Phase in rad measured at each of the 2**bits levels, rising or falling throughout; it replaces `stroke`. Its
        sign is that of `grey`: level g shows ``-table[g]`` (``slmsuite``) or ``table[g]``. A file has the path of a CSV
        file of two columns, grey and phase, which `tables.read_csv` reads, or the list itself.
    table_source : str
        Where the table comes from: ``"linear"`` when there is none, else by default the name of its file.
    amplitudes : tuple of float, optional
        Amplitude in [0, 1] of each level, of ``coupled`` and ``amplitude`` panels; left out, linear in grey.
    crosstalk : float
        Standard deviation, in pixels, of the Gaussian that blurs what is addressed, fly-backs of 2 pi included.
    flicker : float
        Standard deviation in rad of a phase noise, independent from pixel to pixel and from frame to frame.
    stroke_map, flatness : Path, optional
        Arrays (H, W) in ``.npy`` files: a factor to the phase of the levels, and a phase in rad that is added.
    dead_pixels : tuple of (row, column, level)
        Pixels that show the same level whatever is sent.
    orientation : OrientationConfig
        What export does to the frames.
    rise_time, fall_time, upload_time : float, optional
        In seconds, None where unknown.
    refresh_rate : float, optional
        Frames a second, None where unknown.
    """

    name: str = "phase panel"
    shape: Shape = (1080, 1920)
    pitch: Length = Field(default=8e-6, ge=1e-8, le=1)
    bits: Whole = Field(default=8, ge=1, le=16)
    fill_factor: Number = Field(default=0.9, gt=0, le=1)
    dead_amplitude: Number = Field(default=1.0, ge=0, le=1)
    dead_phase: Angle = 0.0
    grey: GreyConvention = "slmsuite"
    modulation: Modulation = "phase"
    stroke: Angle = Field(default=TURN, gt=0, le=100)
    stroke_wavelength: Length | None = Field(default=None, ge=1e-8, le=1e-3)
    table: tuple[Number, ...] | None = None
    table_source: str = "linear"
    amplitudes: tuple[Number, ...] | None = None
    crosstalk: Number = Field(default=0.0, ge=0, le=100)
    flicker: Angle = Field(default=0.0, ge=0, le=TURN)
    stroke_map: DataFile | None = None
    flatness: DataFile | None = None
    dead_pixels: tuple[tuple[Whole, Whole, Whole], ...] = ()
    orientation: OrientationConfig = OrientationConfig()
    rise_time: Time | None = Field(default=None, ge=0)
    fall_time: Time | None = Field(default=None, ge=0)
    upload_time: Time | None = Field(default=None, ge=0)
    refresh_rate: Frequency | None = Field(default=None, gt=0)
    verified: bool = False
    source: str = ""

    @model_validator(mode="before")
    @classmethod
    def _fill_in(cls, data: Any, info: ValidationInfo) -> Any:
        known = {
            name: {key: value for key, value in fields.items() if key in cls.model_fields}
            for name, fields in presets().items()
        }
        data = with_preset(data, known)
        if not isinstance(data, dict) or data.get("table") is None:
            return data
        if not isinstance(data["table"], str | Path):
            return {"table_source": "given"} | data
        try:
            file = read_csv(beside(data["table"], info))
        except (FourOpticsError, ValueError):
            return data  # the check of the field says what is wrong with it
        found = {"table_source": file.source}
        if file.wavelength is not None:
            found["stroke_wavelength"] = exact(file.wavelength, "length")  # a file wants lengths with their unit
        return found | data | {"table": file.values.tolist()}

    @field_validator("table", mode="before")
    @classmethod
    def _refuse_file(cls, value: Any, info: ValidationInfo) -> Any:
        try:
            return read_csv(beside(value, info)).values.tolist() if isinstance(value, str | Path) else value
        except FourOpticsError as error:
            raise ValueError(str(error)) from None

    @classmethod
    def preset(cls, name: str) -> Self:
        """Return the panel of a data sheet by its name, such as ``"holoeye-pluto-2.1"``."""
        return cls.model_validate({"preset": name})

    def at(self, wavelength: float) -> Self:
        """Return the panel as it is at a wavelength in metres: `stroke` and `table` scaled, if it is known from where.

        Phase goes as 1 / wavelength for the same path; the change of the birefringence with it is neglected.
        """
        if not 0 < wavelength < math.inf:
            raise GeometryError(f"wavelength = {wavelength}: must be positive and finite, in metres (633 * nm)")
        if self.stroke_wavelength is None or self.stroke_wavelength == wavelength:
            return self
        factor = self.stroke_wavelength / wavelength
        table = None if self.table is None else tuple(phase * factor for phase in self.table)
        changes = {"stroke": self.stroke * factor, "stroke_wavelength": wavelength, "table": table}
        return self.model_copy(update=changes)

    def fault(self) -> str | None:
        """What of levels, tables, maps and dead pixels does not fit the panel."""
        if self.modulation == "binary" and self.bits != 1:
            return f"bits = {self.bits}: a binary panel has 1; set bits = 1, or modulation = 'amplitude'"
        if (self.table is None) != (self.table_source == "linear"):
            return (
                f"table_source = {self.table_source!r} with{'out' if self.table is None else ''} a table: leave it out"
            )
        maps = ((name, getattr(self, name)) for name in ("stroke_map", "flatness"))
        for found in (_level_fault(self), *(_map_fault(name, path, self.shape) for name, path in maps if path)):
            if found:
                return found
        for row, column, level in self.dead_pixels:
            ends = (*self.shape, 2**self.bits)
            if not all(0 <= value < end for value, end in zip((row, column, level), ends, strict=True)):
                return (
                    f"dead_pixels: [{row}, {column}, {level}] is not on the panel; rows, columns, levels end at {ends}"
                )
        return None


def _level_fault(config: SLMConfig) -> str | None:
    """What is wrong with the numbers that each level has."""
    count, moves_phase = 2**config.bits, config.modulation in ("phase", "coupled")
    if config.table is not None:
        if not moves_phase:
            return f"table: a panel with modulation = {config.modulation!r} has no phases; leave it out"
        if len(config.table) != count:
            return f"table: {len(config.table)} phases; {config.bits} bit take {count}, one for each grey level"
        steps = np.diff(config.table)
        wrong = np.flatnonzero(steps * np.sign(config.table[-1] - config.table[0]) <= 0)
        if wrong.size:
            g = int(wrong[0])
            seen = f"{config.table[g]:.6g} rad at grey {g}, {config.table[g + 1]:.6g} rad at grey {g + 1}"
            return f"table: the phase must rise, or fall, from grey to grey: {seen}; measure it again, or smooth it"
    if config.amplitudes is None:
        return (
            "amplitudes: missing; a coupled panel needs one for each level" if config.modulation == "coupled" else None
        )
    if config.modulation not in ("amplitude", "coupled"):
        return f"amplitudes: a panel with modulation = {config.modulation!r} has none; leave them out"
    if len(config.amplitudes) != count:
        return f"amplitudes: {len(config.amplitudes)} numbers; {config.bits} bit take {count}, one for each grey level"
    outside = [(g, a) for g, a in enumerate(config.amplitudes) if not 0 <= a <= 1]
    return f"amplitudes: {outside[0][1]} at grey {outside[0][0]}; give 0 to 1" if outside else None


def _map_fault(name: str, path: Path, shape: tuple[int, int]) -> str | None:
    try:
        values = read_map(path)
    except ConfigError as error:
        return f"{name}: {error}"
    if values.shape != shape:
        return f"{name} = {path}: {values.shape} numbers, the panel has {shape} pixels (height, width)"
    if name == "stroke_map" and not (values > 0).all():
        return f"{name} = {path}: reaches {values.min():.4g}; it is a factor to the phase, give positive numbers"
    return None


# ---- levels ------------------------------------------------------------------------------------------------------


def levels(phase: Array, bits: int, grey: GreyConvention = "slmsuite") -> Array:
    """Grey level that shows a phase best on a linear panel of one turn.

    ``g = (-rint(phi 2^b / 2 pi) - 1) mod 2^b`` for rising grey = falling phase, as slmsuite 0.5 drives its panels
    (phase 0 is the highest grey); ``g = rint(phi 2^b / 2 pi) mod 2^b`` for the direct convention. Evaluated in float32.

    Parameters
    ----------
    phase : numpy.ndarray or torch.Tensor
        Phase in rad, any range.
    bits : int
        Bit depth b.
    grey : {"slmsuite", "direct"}
        Convention of the panel.

    Returns
    -------
    numpy.ndarray or torch.Tensor
        Whole numbers 0 .. 2**bits - 1, float32, same kind and shape as `phase`.
    """
    single: Any = phase.float() if hasattr(phase, "float") else phase.astype("float32")  # pyright: ignore
    count = 2**bits
    step = (single * (count / (2 * math.pi))).round()
    return (-step - 1) % count if grey == "slmsuite" else step % count


def realised(gray: Array, bits: int, grey: GreyConvention = "slmsuite") -> Array:
    """Phase in rad, in [0, 2 pi), that the panel shows for a grey level; the inverse of `levels` up to rounding."""
    count = 2**bits
    number: Any = gray.double() if hasattr(gray, "double") else gray.astype("float64")  # pyright: ignore
    step = -(number + 1) if grey == "slmsuite" else number
    return (step % count) * (2 * math.pi / count)


class Response(NamedTuple):
    """What each level of a panel does to the light: phase in rad, not wrapped, and amplitude; (2**bits) each."""

    phase: NDArray[np.float64]
    amplitude: NDArray[np.float64]


def response(config: SLMConfig) -> Response:
    """What each level does, at the wavelength that `stroke` and `table` are for: see `SLMConfig.at`.

    Level g of a linear panel shows ``step * stroke / 2**bits`` with ``step = g`` (``direct``) or
    ``2**bits - 1 - g`` (``slmsuite``).
    """
    grey = np.arange(2**config.bits, dtype=np.float64)
    falls = config.grey == "slmsuite"
    if config.modulation in ("amplitude", "binary"):
        phase = np.zeros_like(grey)
    elif config.table is not None:
        phase = np.array(config.table) * (-1 if falls else 1)
    else:
        phase = (grey[::-1] if falls else grey) * (config.stroke / len(grey))
    if config.amplitudes is not None:
        return Response(phase, np.array(config.amplitudes))
    linear = config.modulation in ("amplitude", "binary")
    return Response(phase, grey / (len(grey) - 1) if linear else np.ones_like(grey))


def is_linear(config: SLMConfig) -> bool:
    """Whether the levels divide one turn of phase evenly, as drivers expect it."""
    return config.modulation == "phase" and config.table is None and math.isclose(config.stroke, TURN, rel_tol=1e-12)


def levels_for(config: SLMConfig, target: Array) -> Array:
    """Level of each pixel whose response is nearest to the target.

    On the circle for a phase: beyond a short stroke the nearer of its two ends is shown. With a stroke of 2 pi a, a
    blaze then has the first order ``(a + sin(pi (1 - a)) / pi)^2``, 0.974 at a = 0.8; held at the end it has 0.917, and
    stretched to the stroke ``sinc^2(a - 1)``, 0.875. Levels beyond one turn are used as well, wherever they are nearer.
    Maps and dead pixels are not made up for, no driver does.

    Parameters
    ----------
    config : SLMConfig
        The panel.
    target : numpy.ndarray or torch.Tensor
        Phase in rad, any range, of a ``phase`` panel; else amplitude or complex transmission.

    Returns
    -------
    numpy.ndarray or torch.Tensor
        Whole numbers 0 .. 2**bits - 1 as floats, same kind and shape as `target`. The linear panel of one turn is
        driven bit for bit as slmsuite does, see `levels`.
    """
    if is_linear(config):
        return levels(target, config.bits, config.grey)
    tensor: Any = target
    if not hasattr(tensor, "detach"):
        return _nearest(config, np.asarray(target))  # pyright: ignore[reportReturnType]
    found = _nearest(config, tensor.detach().cpu().numpy())
    return (tensor.real if tensor.is_complex() else tensor).new_tensor(found)


def mask_levels(config: SLMConfig, phase: NDArray[Any]) -> NDArray[Any]:
    """Levels (..., H, W), uint8 or uint16, for masks of a phase in rad; a panel of amplitudes is asked exp(i phase)."""
    target = phase if config.modulation == "phase" else np.exp(1j * phase.astype(np.float64))
    return levels_for(config, target).astype(np.uint8 if config.bits <= 8 else np.uint16)


def _nearest(config: SLMConfig, target: NDArray[Any]) -> NDArray[np.float32]:
    """Search between the midpoints of sorted responses; only a curve in the plane needs a tree."""
    phase, amplitude = response(config)
    if config.modulation == "coupled":
        from scipy.spatial import KDTree

        points, asked = amplitude * np.exp(1j * phase), target.astype(np.complex128)
        found = KDTree(np.stack([points.real, points.imag], -1)).query(np.stack([asked.real, asked.imag], -1))[1]
        return np.asarray(found).astype(np.float32)
    values, at = (amplitude, np.real(target)) if config.modulation != "phase" else (phase % TURN, target)
    order = np.argsort(values, kind="stable")
    order = order[(np.diff(values[order], prepend=-1.0) > CLOSE) & (values[order] < values.min() + TURN - CLOSE)]
    points = values[order]
    middles = (points[1:] + points[:-1]) / 2
    if config.modulation == "phase":  # cut the circle between the last level and the first
        cut = (points[-1] + points[0] + TURN) / 2
        at, middles = np.mod(at.astype(np.float64) - cut, TURN), middles - cut + TURN
    return order[np.searchsorted(middles, at, side="right")].astype(np.float32)


def shown_phase(config: SLMConfig, gray: NDArray[Any]) -> NDArray[np.float32]:
    """Phase in rad, in [0, 2 pi), float32, that levels stand for."""
    phase = np.mod(response(config).phase, TURN).astype(np.float32)
    return np.where(phase >= np.float32(TURN), np.float32(0), phase)[gray]
