"""Check: what a bench has against what it needs, before a long run. Imports no torch."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from fouroptics.bench import operation, rows
from fouroptics.bench.columns import columns
from fouroptics.bench.geometry import focal_lengths, geometry
from fouroptics.bench.rows import Row
from fouroptics.bench.settings import FourFConfig
from fouroptics.errors import GeometryError


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
        operation.light(config, light),
        operation.readout(config),
        operation.time(config),
        rows.alignment(config, places, taps),
    )
    return Report(tuple(row for part in parts for row in part))
