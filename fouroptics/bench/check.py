"""Check: what a bench has against what it needs, before a long run; the rows of light and time. Imports no torch."""

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from fouroptics.bench import budget, capacity, rows
from fouroptics.bench.geometry import focal_lengths, geometry
from fouroptics.bench.rows import Row, columns, else_no, else_note
from fouroptics.bench.schedule import durations, flicker
from fouroptics.bench.settings import FourFConfig
from fouroptics.errors import GeometryError
from fouroptics.units import show

DEFOCUS = 0.3  #: rad at the edge of the light, a twentieth of a wave
NOISE = 10.0  #: signal-to-noise ratio that a frame should have


@dataclass(frozen=True)
class Report:
    """The rows of a check; it can be walked through like a list."""

    rows: tuple[Row, ...]

    def __iter__(self) -> Iterator[Row]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def ok(self) -> bool:
        """Whether no row says "no"."""
        return all(row.ok for row in self.rows)

    def to_json(self) -> list[dict[str, Any]]:
        """Return one dictionary a row, with the key ``ok`` beside its fields."""
        return [asdict(row) | {"ok": row.ok} for row in self.rows]

    def __str__(self) -> str:
        cells = [(r.quantity, r.have, r.need, r.verdict, "" if r.verdict == "ok" else r.remedy) for r in self.rows]
        return columns(("quantity", "have", "need", "verdict", "remedy"), cells)


def check(config: FourFConfig, *, taps: int = 9, light: float = 0.08, kernels: int = 16) -> Report:
    """What a bench has against what it needs: lattice, image, lenses, panel, light, time and alignment.

    All is arithmetic on the file, for each line of the spectrum where it matters, and the worst is shown.

    Parameters
    ----------
    config : FourFConfig
        The bench.
    taps : int
        Taps of a kernel along an axis, 2 at least.
    light : float
        Part of the light on the panel that the masks put into the taps, in (0, 1].
    kernels : int
        Kernels that one frame should carry.

    Returns
    -------
    Report
        Its rows, of the verdicts ``ok``, ``note`` (works, but look) and ``no`` (cannot work).

    Raises
    ------
    GeometryError
        If `taps` or `light` is out of its range.

    Examples
    --------
    >>> import tomllib
    >>> from fouroptics.bench.settings import EXAMPLE
    >>> report = check(FourFConfig.model_validate(tomllib.loads(EXAMPLE)))
    >>> print(report.ok, report.rows[0].have, report.rows[0].need, sep=", ")
    True, 500 pixels, at most 1080
    """
    if taps < 2 or kernels < 1 or not 0 < light <= 1:
        raise GeometryError(
            f"taps = {taps}, kernels = {kernels}, light = {light}: take 2 taps and 1 kernel at least, and light above "
            "0 and up to 1"
        )
    lines = dict.fromkeys([config.light.wavelength, *(line for line, _ in config.light.spectrum)])
    places = [geometry(config, line, taps) for line in lines if min(focal_lengths(config, line)) > 0]
    parts = (
        rows.lattice(config, places, taps),
        capacity.orders(places[0]),
        capacity.capacity(config, places[0], kernels, light),
        rows.image(config, places),
        rows.lenses(config, places, [line for line in lines if min(focal_lengths(config, line)) <= 0]),
        rows.panel(config, places),
        rows.fold(config, places[0]),
        _light(config, light),
        _readout(config),
        _time(config),
        rows.alignment(config, places, taps),
        _quality(config),
    )
    return Report(tuple(row for part in parts for row in part))


def _light(config: FourFConfig, share: float) -> Iterator[Row]:
    """Photons on a pixel that is read, for a white image and a `share` of the light in the taps."""
    seconds, rate = budget.exposure(config, share), budget.photon_rate(config, share)
    photons, eta, dark = rate * seconds, config.camera.qe, config.camera.noise(config.camera.dark(seconds))
    least = (math.sqrt(dark) + 0.5) / eta
    yield Row(
        "photons on a read pixel",
        f"{photons:.4g} in {show(seconds, 'time', 4)}: white image, {share:.3g} in the taps",
        f"at least {least:.3g}: the threshold",
        else_no(photons >= least),
        f"camera.exposure = {show(least / rate, 'time', 3)} or light.power = "
        f"{show(config.light.power * least / photons, 'power', 3)} at least",
    )
    ratio = budget.signal_to_noise(config, photons, seconds)
    wanted = (NOISE**2 + math.sqrt(NOISE**4 + 4 * NOISE**2 * dark)) / (2 * eta)
    yield Row(
        "signal to noise",
        f"{ratio:.3g}: {max(math.log2(ratio), 0):.2g} bit",
        f"at least {NOISE:g}",
        else_note(ratio >= NOISE),
        f"{wanted:.3g} photons on a read pixel, or the mean of {math.ceil((NOISE / ratio) ** 2)} frames",
    )
    fill = eta * photons / budget.ceiling(config)
    yield Row(
        "full well",
        f"{fill:.1%} at the mean, {10 * fill:.1%} at ten times",
        "at most 100%",
        "no" if fill > 1 else else_note(10 * fill <= 1),
        f"camera.exposure = {show(seconds / (10 * fill), 'time', 3)}, or camera.mean_photons = "
        f"{photons / (10 * fill):.3g} with an automatic one",
    )


def _readout(config: FourFConfig) -> Iterator[Row]:
    """What a readout asks of the light."""
    if config.readout.kind == "split" and config.light.coherence == "coherent":
        yield Row(
            "readout",
            "split of coherent light: the roots of two frames are subtracted",
            "fields without a sign: grey values, and kernels of one sign each",
            "note",
            "reference_pair or four_step for fields with a sign, or incoherent light, which subtracts intensities",
        )


def _time(config: FourFConfig) -> Iterator[Row]:
    """What sets the frame rate, and whether the liquid crystal keeps up with its refresh."""
    each, device = durations(config), config.panel
    slowest = max(each, key=lambda step: each[step])
    total = sum(each.values())
    yield Row(
        "frame rate",
        f"{1 / total:.4g} a second with a new mask, {1 / (total - each['panel']):.4g} without",
        f"slowest: {slowest}, {show(each[slowest], 'time', 4)}",
        "ok",
        "a shorter time of that part",
    )
    known = device.refresh_rate is not None and device.rise_time is not None and device.fall_time is not None
    settle = max(device.rise_time or 0.0, device.fall_time or 0.0)
    period = 1 / device.refresh_rate if device.refresh_rate else 0.0
    yield Row(
        "panel settling",
        show(settle, "time", 4) if known else "not known",
        f"at most a refresh period, {show(period, 'time', 4)}" if known else "refresh rate, rise and fall time",
        else_note(known and settle <= period),
        f"wait {math.ceil(settle / period - 1e-9)} refresh periods after each mask: a schedule does"
        if known
        else "measure them: a liquid crystal may take 20 to 150 ms, whatever its refresh rate",
    )
    if config.camera.exposure is not None and device.refresh_rate is not None:
        periods = config.camera.exposure * device.refresh_rate
        yield Row(
            "exposure over the refresh",
            f"{periods:.4g} periods",
            "a whole number",
            else_note(flicker(config) is None),
            f"camera.exposure = {show(max(round(periods), 1) * period, 'time')}; else its flicker does not average out",
        )


def _quality(config: FourFConfig) -> Iterator[Row]:
    """What is wrong with the light and the parts themselves; a row each, where there is something.

    Off its place along the axis by dz, a part leaves ``pi r^2 dz / (lambda f^2)`` at the edge r of the band, of the
    display or of the image, whichever it defocuses. Noise of the phase with an RMS s leaves ``exp(-s^2)`` of the light
    in place, a pointing angle a lights the panel ``f1 a`` off its middle.
    """
    poses, light, f1, f2 = config.poses, config.light, config.lens1.focal_length, config.lens2.focal_length
    band, display, image = (
        math.hypot(*g.extent) / 2 for g in (config.fourier_grid, config.input_grid, config.image_grid)
    )
    offsets = (
        ("poses.lens1.z", poses.lens1.z, band, f1),
        ("poses.panel.z", poses.panel.z - poses.lens1.z, display, f1),
        ("poses.lens2.z", poses.lens2.z - poses.panel.z, image, f2),
        ("poses.camera.z", poses.camera.z - poses.lens2.z, band, f2),
    )
    name, dz, r, f = max(offsets, key=lambda part: abs(part[1]) * (part[2] / part[3]) ** 2)
    unit = math.pi * (r / f) ** 2 / light.wavelength
    walk, half = f1 * math.hypot(*map(math.sin, light.pointing)), min(config.fourier_grid.extent) / 2
    corner = 1.0 if light.beam_radius is None else math.exp(-2 * (display / light.beam_radius) ** 2)
    noise = math.exp(-(config.panel.flicker**2))
    strehl = math.exp(-sum(a**2 for lens in (config.lens1, config.lens2) for a in lens.aberrations.values()))
    dead, pixels = len(config.panel.dead_pixels), math.prod(config.fourier_grid.shape)
    found = (
        (unit * abs(dz) <= DEFOCUS, "defocus", f"{unit * abs(dz):.3g} rad at the edge", f"at most {DEFOCUS:g} rad",
         f"{name} nearer by {show(abs(dz) - DEFOCUS / unit, 'length', 3)}"),
        (walk <= rows.PIXELS * half, "pointing", f"{show(walk, 'length', 3)} off the middle of the panel",
         f"at most {show(rows.PIXELS * half, 'length', 3)}",
         f"light.pointing within {show(rows.PIXELS * half / f1, 'angle', 3)}"),
        (corner >= 0.5, "beam on the display", f"{corner:.2g} of its middle in the corners", "at least 0.5",
         f"light.beam_radius = {show(display * math.sqrt(2 / math.log(2)) * 1.01, 'length', 3)}"),
        (noise >= rows.LEAST, "flicker", f"{noise:.3g} of the light in place", f"at least {rows.LEAST}",
         "a panel.flicker of 100 mrad: another drive, or exposures of whole refresh periods"),
        (strehl >= 0.8, "aberrations", f"a Strehl ratio of {strehl:.2g}", "at least 0.8",
         "better lenses, or a correction in the mask"),
        (dead <= pixels / 1000, "dead pixels", f"{dead}", f"at most {pixels // 1000}: a thousandth", "another panel"),
    )  # fmt: skip
    yield from (Row(what, have, need, "note", remedy) for good, what, have, need, remedy in found if not good)
