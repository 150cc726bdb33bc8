"""What a vendor's file would change on a panel, and the panel that has its table. Imports no torch."""

import numpy as np
from numpy.typing import NDArray

from fouroptics.devices.panel import TURN, SLMConfig, response
from fouroptics.devices.tables import stroke
from fouroptics.devices.vendor_file import VendorFile
from fouroptics.errors import FourOpticsError
from fouroptics.units import show

Row = tuple[str, str, str]


def report(file: VendorFile, panel: SLMConfig | None = None) -> list[Row]:
    """Say what the panel does now and what it would do with the file.

    Parameters
    ----------
    file : VendorFile
        What `fouroptics.devices.tables.read` returned.
    panel : SLMConfig, optional
        The panel before; left out, one with a linear table over 2 pi.

    Returns
    -------
    list of tuple of str
        Quantity, before, after. The errors in the last rows are what the panel shows wrong now, if the file is right:
        without the mean, which is not seen, and modulo 2 pi.

    Raises
    ------
    FourOpticsError
        If the file belongs to another panel: another number of levels, another number of pixels.
    """
    about = [("file", "", file.source), ("sha256", "", file.sha256[:16])]
    about.append(("wavelength", "", "not stated" if file.wavelength is None else show(file.wavelength, "length")))
    if file.kind == "table":
        return about + _table_rows(file, panel)
    if file.kind == "voltage":
        return about + _voltage_rows(file.values.astype(float))
    if panel is not None and file.values.shape != panel.shape:
        found, need = (" x ".join(map(str, shape)) for shape in (file.values.shape, panel.shape))
        raise FourOpticsError(f"{file.source}: {found} pixels (height x width), not the {need} of {panel.name}")
    return about + _picture_rows(file)


def to_config(panel: SLMConfig, file: VendorFile) -> SLMConfig:
    """Return the panel with the phase table of a file; the panel itself stays as it is.

    Parameters
    ----------
    panel : SLMConfig
        A panel of as many levels.
    file : VendorFile
        A file of the kind "table". Its wavelength becomes `stroke_wavelength`; where it states none, the table holds
        at the wavelength of use.

    Raises
    ------
    FourOpticsError
        If the file is no phase table, or has another number of levels.
    """
    if file.kind != "table":
        remedy = {
            "voltage": "load it into the driver of the panel, then measure the phase of each level",
            "correction": "save minus its values with numpy.save and name that file as flatness",
            "frame": "export masks instead",
        }[file.kind]
        raise FourOpticsError(f"{file.source}: a {file.kind} is no phase table; {remedy}")
    _same_levels(file, panel)
    changes = {"table": file.values.tolist(), "table_source": file.source, "stroke_wavelength": file.wavelength}
    return type(panel).model_validate({**panel.model_dump(), **changes})


def _same_levels(file: VendorFile, panel: SLMConfig) -> None:
    if len(file.values) != 2**panel.bits:
        raise FourOpticsError(
            f"{file.source}: {len(file.values)} levels, but {panel.name} has bits = {panel.bits}, that is "
            f"{2**panel.bits}; give the table of this panel, or set bits"
        )


def _table_rows(file: VendorFile, panel: SLMConfig | None) -> list[Row]:
    panel = SLMConfig(bits=len(file.values).bit_length() - 1) if panel is None else panel
    _same_levels(file, panel)
    before = response(panel if file.wavelength is None else panel.at(file.wavelength)).phase
    after = response(to_config(panel, file)).phase
    error = _about_mean(after - before)
    worst = int(np.abs(error).argmax())
    pairs = zip(_phase_figures(before), _phase_figures(after), strict=True)
    return [
        ("table", panel.table_source, file.source),
        ("levels", str(len(before)), str(len(after))),
        *((name, old, new) for (name, old), (_, new) in pairs),
        ("largest phase error", f"{show(abs(error[worst]), 'angle', 4)} at grey {worst}", "0 rad"),
        ("rms phase error", _rms(error), "0 rad"),
    ]


def _about_mean(phase: NDArray[np.float64]) -> NDArray[np.float64]:
    """Phase about the mean of its phasors, from -pi to pi."""
    phasor = np.exp(1j * phase)
    return np.angle(phasor * np.conj(phasor.mean()))


def _rms(phase: NDArray[np.float64]) -> str:
    return show(float(np.sqrt(np.mean(phase**2))), "angle", 4)


def _phase_figures(phases: NDArray[np.float64]) -> list[tuple[str, str]]:
    """Stroke, steps and rounding of the phases (rad, unwrapped) of 2^b levels."""
    around = np.sort(phases % TURN)
    gaps = np.diff(around, append=around[0] + TURN)
    return [
        ("stroke", f"{stroke(phases) / TURN:.4f} x 2 pi"),
        ("largest step of a level", show(float(np.abs(np.diff(phases)).max()), "angle", 4)),
        ("worst rounding error", show(float(gaps.max()) / 2, "angle", 4)),
        ("grey for 2 pi", _grey_for_a_turn(phases)),
    ]


def _grey_for_a_turn(phases: NDArray[np.float64]) -> str:
    passed = np.abs(phases - phases[0])
    passed = np.append(passed, stroke(phases))  # the level after the last would begin the next turn
    if passed[-1] < TURN * (1 - 1e-9):
        return "not reached"
    return f"{np.interp(TURN * (1 - 1e-9), passed, np.arange(len(passed))):.1f}"


def _voltage_rows(codes: NDArray[np.float64]) -> list[Row]:
    low, high = (f"{code:.0f} ({code * 5 / 4096:.3f} V)" for code in (codes.min(), codes.max()))
    return [
        ("levels", "", str(len(codes))),
        ("drive codes", "", f"{low} to {high}"),
        ("largest step of a level", "", f"{np.abs(np.diff(codes)).max():.0f} codes"),
        ("applied", "", "by the driver of the panel, not here"),
    ]


def _picture_rows(file: VendorFile) -> list[Row]:
    values, pixels = file.values, " x ".join(map(str, file.values.shape))
    size = ("pixels (height x width)", "", pixels)
    if file.unit == "grey":
        return [size, ("levels", "", f"{values.min()} to {values.max()}")]
    rms, on_axis = _rms(_about_mean(values)), abs(np.exp(1j * values).mean()) ** 2
    if file.kind == "frame":
        return [size, ("rms phase", "", rms)]
    return [
        size,
        ("rms phase of the panel", rms, "0 rad"),
        ("light of a flat mask on the axis", f"{on_axis:.2%}", "100.00%"),
    ]
