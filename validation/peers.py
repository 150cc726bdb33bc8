"""The same propagations through other packages, where they are installed: ``python -m validation --peers``.

An adapter calls a package as its documentation does, with its defaults, and returns samples on the grid of the field.
"""
# pyright: reportMissingImports=false

import csv
import itertools
import platform
import textwrap
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

import fouroptics as fo
from fouroptics.units import show
from validation import edges, exact, space
from validation.case import DOUBLE, SINGLE, Setting, dtype_name, shown, table

RESULTS = Path(__file__).parents[1] / "docs/results/validation_peers.csv"
COLUMNS: tuple[str, ...] = ("case", "setting", "solver", "version", "dtype", "error", "warned")
COMMAND = "python -m validation --peers"
PREFACE = (
    "Relative L2 error after the constant phase that suits each result best, for some packages leave out the carrier. "
    "W: the package warned. fouroptics runs as the case says, with `pixels=True` where each sample is a cell, and once "
    "as plain samples; the others run with their defaults."
)


def plain(u: fo.Field, z: float) -> Tensor:
    """Samples of fouroptics that is not told of cells."""
    return fo.propagate(u, z).data


def torchoptics(u: fo.Field, z: float) -> Tensor:
    """AUTO: angular spectrum up to a critical distance, direct integration beyond."""
    import torchoptics as to

    to.set_default_dtype(u.data.real.dtype)
    return to.Field(u.data, u.wavelength, spacing=u.grid.spacing).propagate_to_z(z).data


def svetlanna(u: fo.Field, z: float, method: str) -> Tensor:
    """FreeSpace; some of its constants take the default precision of torch."""
    import svetlanna as sv

    before, real = torch.get_default_dtype(), u.data.real.dtype
    torch.set_default_dtype(real)
    try:
        y, x = (torch.from_numpy(axis).to(real) for axis in u.grid.coordinates())
        setup = sv.SimulationParameters({"x": x, "y": y, "wavelength": torch.tensor(u.wavelength)})
        return sv.elements.FreeSpace(setup, distance=torch.tensor(z), method=method)(sv.Wavefront(u.data))
    finally:
        torch.set_default_dtype(before)


def lightpipes(u: fo.Field, z: float, method: str) -> Tensor:
    """Forvard is the angular spectrum, Fresnel the convolution with the integral of its kernel over a sample."""
    import LightPipes as lp

    sent = lp.Begin(u.grid.extent[1], u.wavelength, u.grid.shape[1])
    sent.field = u.data.numpy()
    return torch.from_numpy(getattr(lp, method)(sent, z).field)


def hcipy(u: fo.Field, z: float) -> Tensor:
    """AngularSpectrumPropagator."""
    import hcipy as hc

    (ny, nx), (dy, dx) = u.grid.shape, u.grid.spacing
    grid = hc.CartesianGrid(hc.RegularCoords((dx, dy), (nx, ny), (-(nx // 2) * dx, -(ny // 2) * dy)))
    sent = hc.Wavefront(hc.Field(u.data.numpy().ravel(), grid), u.wavelength)
    return torch.from_numpy(np.array(hc.AngularSpectrumPropagator(grid, z)(sent).electric_field.shaped))


def waveprop(u: fo.Field, z: float) -> Tensor:
    """Band-limited angular spectrum."""
    from waveprop.rs import angular_spectrum

    return torch.from_numpy(angular_spectrum(u.data.numpy(), u.wavelength, u.grid.spacing[0], z)[0])


def odak(u: fo.Field, z: float) -> Tensor:
    """Band-limited angular spectrum, with kernels in float32."""
    from odak.learn.wave import propagate_beam, wavenumber

    return propagate_beam(u.data, wavenumber(u.wavelength), z, u.grid.spacing[0], u.wavelength)


def diffractsim(u: fo.Field, z: float) -> Tensor:
    """Angular spectrum, not padded."""
    from diffractsim import MonochromaticField

    sent = MonochromaticField(u.wavelength, *reversed(u.grid.extent), *reversed(u.grid.shape))
    sent.E = u.data.numpy()
    sent.propagate(z)
    return torch.from_numpy(sent.E)


@dataclass(frozen=True)
class Solver:
    """A package and one of its propagators.

    Attributes
    ----------
    name : str
        What the table calls it.
    package : str
        Its module and distribution.
    dtype : torch.dtype
        Samples that it is given.
    run : callable, optional
        Field and distance to samples; left out, what the setting itself runs: this package.
    """

    name: str
    package: str
    dtype: torch.dtype
    run: Callable[[fo.Field, float], Tensor] | None = None


SOLVERS = (
    Solver("fouroptics", "fouroptics", DOUBLE),
    Solver("fouroptics", "fouroptics", SINGLE),
    Solver("fouroptics, plain samples", "fouroptics", DOUBLE, plain),
    Solver("torchoptics AUTO", "torchoptics", DOUBLE, torchoptics),
    Solver("torchoptics AUTO", "torchoptics", SINGLE, torchoptics),
    Solver("SVETlANNa ASM", "svetlanna", DOUBLE, partial(svetlanna, method="ASM")),
    Solver("SVETlANNa zpASM", "svetlanna", DOUBLE, partial(svetlanna, method="zpASM")),
    Solver("SVETlANNa zpASM", "svetlanna", SINGLE, partial(svetlanna, method="zpASM")),
    Solver("SVETlANNa zpRSC", "svetlanna", DOUBLE, partial(svetlanna, method="zpRSC")),
    Solver("LightPipes Forvard", "LightPipes", DOUBLE, partial(lightpipes, method="Forvard")),
    Solver("LightPipes Fresnel", "LightPipes", DOUBLE, partial(lightpipes, method="Fresnel")),
    Solver("HCIPy AngularSpectrumPropagator", "hcipy", DOUBLE, hcipy),
    Solver("waveprop angular_spectrum", "waveprop", DOUBLE, waveprop),
    Solver("odak propagate_beam", "odak", SINGLE, odak),
    Solver("diffractsim propagate", "diffractsim", DOUBLE, diffractsim),
)


#: What is compared: free space from a square grid onto itself.
COMPARED: dict[str, tuple[Setting, ...]] = {
    "beam, exact": tuple(
        space.follow(f"z = {show(z, 'length')}", space.BOTH, (exact.beam, space.WAIST), z)
        for z in (0.01, 0.05, 0.1, 0.3, 1.0, 3.0)
    ),
    "tilted beam": space.TILTED[:1],
    "square": edges.SQUARE,
}


def in_phase(result: Tensor, there: Tensor) -> Tensor:
    """Result with the constant phase that brings it closest to the closed form: some packages drop the carrier."""
    result = result.to(DOUBLE)
    return result * torch.exp(-1j * (there.conj() * result).sum().angle())


def measure(setting: Setting, solver: Solver) -> tuple[str, str]:
    """Error of a propagation, and whether the package warned of it."""
    there, sent = setting.exact(), setting.field(solver.dtype)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        result = solver.run(sent, setting.z) if solver.run else setting.result(solver.dtype)
    warned = any(issubclass(warning.category, UserWarning) for warning in caught)
    return f"{setting.error(in_phase(result, there), there):.1e}", "yes" if warned else "no"


def compare(text: str = "") -> list[dict[str, str]]:
    """Run every installed solver on all that is compared, or on that whose name contains `text`."""
    rows, missing = [], absent()
    for case in (name for name in COMPARED if text in name):
        for setting, solver in itertools.product(COMPARED[case], SOLVERS):
            if solver.package not in missing:
                what = (case, setting.label, solver.name, version(solver.package), dtype_name(solver.dtype))
                rows.append(dict(zip(COLUMNS, (*what, *measure(setting, solver)), strict=True)))
    return rows


def packages() -> list[str]:
    """Names of the other packages."""
    return sorted({solver.package for solver in SOLVERS} - {"fouroptics"})


def absent() -> list[str]:
    """Names of those that are not installed."""
    return [name for name in packages() if find_spec(name) is None]


def made_by() -> str:
    """The command and the versions behind a comparison."""
    return f"{COMMAND}, Python {platform.python_version()}, torch {torch.__version__}, numpy {np.__version__}"


def write(made: str, rows: Iterable[dict[str, str]], path: Path = RESULTS) -> None:
    """Store a comparison, with what made it in the first line."""
    with path.open("w", encoding="utf-8", newline="") as file:
        file.write(f"# {made}\n")
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def read(path: Path = RESULTS) -> tuple[str, list[dict[str, str]]]:
    """What made a stored comparison, and its rows."""
    made, *lines = path.read_text(encoding="utf-8").splitlines()
    return made.removeprefix("# "), list(csv.DictReader(lines))


def section(made: str, rows: list[dict[str, str]]) -> str:
    """Part of the page: one table for each case, a column for each setting, W where the package warned."""
    if not rows:
        return ""
    text = ["", "## The same through other packages", "", *textwrap.wrap(PREFACE, 120), "", f"Made by `{made}`."]
    for case in dict.fromkeys(row["case"] for row in rows):
        own = [row for row in rows if row["case"] == case]
        settings = tuple(dict.fromkeys(row["setting"] for row in own))
        lines: dict[tuple[str, ...], list[str]] = {}
        for row in own:
            solver = (row["solver"], row["version"], row["dtype"])
            error = shown(float(row["error"])) + " W" * (row["warned"] == "yes")
            lines.setdefault(solver, []).append(error)
        head = ("solver", "version", "dtype", *settings)
        text += [
            "",
            f"### {case}",
            "",
            table(head, ((*solver, *errors) for solver, errors in lines.items())),
        ]
    return "\n".join(text) + "\n"
