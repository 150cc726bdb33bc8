"""Check: what a bench has against what it needs, before a long run; the rows of light and time. Imports no torch."""

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from fouroptics.bench import budget, rows
from fouroptics.bench.geometry import focal_lengths, geometry
from fouroptics.bench.rows import Row, columns, else_no, else_note
from fouroptics.bench.schedule import durations, flicker
from fouroptics.bench.settings import FourFConfig
from fouroptics.errors import GeometryError
from fouroptics.units import show

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


def check(config: FourFConfig, *, taps: int = 9, light: float = 0.08) -> Report:
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
    if taps < 2 or not 0 < light <= 1:
        raise GeometryError(f"taps = {taps}, light = {light}: take 2 taps at least, and light above 0 and up to 1")
    lines = dict.fromkeys([config.light.wavelength, *(line for line, _ in config.light.spectrum)])
    places = [geometry(config, line, taps) for line in lines if min(focal_lengths(config, line)) > 0]
    parts = (
        rows.lattice(config, places, taps),
        rows.image(config, places),
        rows.lenses(config, places, [line for line in lines if min(focal_lengths(config, line)) <= 0]),
        rows.panel(config, places),
        rows.fold(config, places[0]),
        _light(config, light),
        _readout(config),
        _time(config),
        rows.alignment(config, places, taps),
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
