"""Cost: time and energy of an image on a bench against those of electronics, over resolution and E_MAC.

python -m models.cost RUN BENCH [-o FOLDER] [--powers FILE] [--figure FILE]

Electronics is counted in multiply-accumulates of E_MAC joules each; that is to hold its memory and its idle power.
"""

import csv
import io
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import torch
import typer
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.figure import Figure

from fouroptics.bench.rows import columns
from fouroptics.bench.settings import FourFConfig
from fouroptics.errors import FourOpticsError
from fouroptics.masks.export import write_whole
from fouroptics.units import show
from models.bench_cost import (
    BenchCost,
    Layout,
    PowersConfig,
    Task,
    as_it_is,
    fast_bench,
    fast_powers,
    in_electronics,
    laid_out,
    on_bench,
    present_powers,
    task,
)
from models.electronics import Electronics, electronics
from models.figures import save
from models.pairing import check_learned
from models.runs import load_student, load_teacher

SIZES = (28, 56, 112, 224, 448, 1024)  #: pixels along an axis, of the table
Rows = list[dict[str, str | int | float]]
E_MACS = (0.1e-12, 1e-12, 30e-12)  #: J, of the table; 30.8 pJ is what the figures of arXiv 2508.08421 imply


class Bench(NamedTuple):
    """A bench, its powers and its name in tables."""

    name: str
    config: FourFConfig
    powers: PowersConfig

    def cost(self, task: Task) -> tuple[Layout, BenchCost]:
        """Cost of a task on this bench, laid out anew for it."""
        layout = laid_out(self.config, task)
        return layout, on_bench(layout, task, self.powers)


def benches(config: FourFConfig, powers: PowersConfig) -> tuple[Bench, Bench, Bench]:
    """The bench of the file, the fast one, and the fast one with no idle power at all."""
    fast, fast_power = fast_bench(), fast_powers()
    return (
        Bench("this bench", config, powers),
        Bench("fast bench", fast, fast_power),
        Bench("fast, no idle power", fast, fast_power.without_idle()),
    )


def parts_table(cost: BenchCost) -> Rows:
    """One row a part: its time, and its energy for an image on its own and for images in a row."""
    rows: Rows = [
        {
            "part": part.name,
            "time (ms)": _round(1e3 * part.seconds),
            "idle (W)": part.idle,
            "work (mJ)": _round(1e3 * part.work),
            "alone (mJ)": _round(1e3 * (part.idle * cost.latency + part.work)),
            "in a row (mJ)": _round(1e3 * (part.idle * cost.period + part.work)),
        }
        for part in cost.parts
    ]
    for e_mac in E_MACS:
        energy = _round(1e3 * cost.macs * e_mac)
        name = f"products, {1e12 * e_mac:g} pJ"
        rows.append(
            {"part": name, "time (ms)": "", "idle (W)": "", "work (mJ)": energy}
            | dict.fromkeys(("alone (mJ)", "in a row (mJ)"), energy)
        )
    return rows


def size_tables(places: Sequence[Bench], task: Task, teacher: Electronics) -> tuple[Rows, Rows]:
    """Times, and energies at 1 pJ a product: one row a bench and size of the images.

    Electronics does its products at the `mac_rate` of the bench's powers. The last columns of the energies are the
    E_MAC above which the bench takes less than electronics, where images follow each other.
    """
    times, energies = [], []
    for place in places:
        for size in SIZES:
            layout, cost = place.cost(task.at(size))
            products = in_electronics(task, size).macs(), teacher.macs(size / task.size)
            here: dict[str, str | int | float] = {"bench": place.name, "pixels": size}
            times.append(
                here
                | {"pieces": layout.pieces, "masks": layout.masks, "frames": cost.frames}
                | {"latency (ms)": _round(1e3 * cost.latency), "images/s": _round(1 / cost.period)}
                | {"student computed (ms)": _round(1e3 * products[0] / place.powers.mac_rate)}
                | {"teacher (ms)": _round(1e3 * products[1] / place.powers.mac_rate)}
            )
            alone, row = cost.energy(1e-12, cost.latency), cost.energy(1e-12)
            energies.append(
                here
                | {"alone (mJ)": _round(1e3 * alone), "in a row (mJ)": _round(1e3 * row)}
                | {"student computed (mJ)": _round(products[0] * 1e-9), "teacher (mJ)": _round(products[1] * 1e-9)}
                | {"E_MAC, student (pJ)": _round(1e12 * cost.crossover(products[0]))}
                | {"E_MAC, teacher (pJ)": _round(1e12 * cost.crossover(products[1]))}
            )
    return times, energies


def verdict(times: Rows, energies: Rows) -> Rows:
    """Where each bench wins: the least E_MAC and its size, sizes of less energy up to 30 pJ, sizes of less latency."""
    table: Rows = []
    for name in dict.fromkeys(row["bench"] for row in energies):
        energy, time = ([row for row in rows if row["bench"] == name] for rows in (energies, times))
        for against, other in (("student", "student computed"), ("teacher", "teacher")):
            key = f"E_MAC, {against} (pJ)"
            best = min(energy, key=lambda row: float(row[key]))
            less = [row["pixels"] for row in energy if float(row[key]) < 1e12 * E_MACS[-1]]
            sooner = [row["pixels"] for row in time if float(row["latency (ms)"]) < float(row[f"{other} (ms)"])]
            table.append(
                {"bench": name, "against": other, "least E_MAC (pJ)": best[key], "at pixels": best["pixels"]}
                | {"less energy at 30 pJ": _sizes(less), "less latency": _sizes(sooner)}
            )
    return table


def _sizes(pixels: list[str | int | float]) -> str:
    return ", ".join(map(str, pixels)) or "nowhere"


def _round(value: float) -> float:
    return float(f"{value:.3g}")


def draw_map(ax: Axes, costs: Sequence[BenchCost], network: Sequence[float], sizes: Sequence[int]) -> QuadMesh:
    """Energy of the bench over that of electronics, colour, over resolution and E_MAC; black where they are equal.

    Parameters
    ----------
    ax : Axes
        Drawn into.
    costs, network : sequence of BenchCost, of float
        Cost on the bench and products in electronics, for each of `sizes`.
    sizes : sequence of int
        Pixels of an image along an axis.
    """
    e_macs = np.geomspace(E_MACS[0], E_MACS[-1], 61)
    bench = np.array([[cost.energy(e_mac) for cost in costs] for e_mac in e_macs])
    ratio = bench / (np.array(network) * e_macs[:, None])
    colors: dict[str, Any] = {"cmap": "PuOr_r", "vmin": -6, "vmax": 6}  # safe for the colour-blind
    mesh = ax.pcolormesh(sizes, 1e12 * e_macs, np.log10(ratio), shading="nearest", rasterized=True, **colors)
    if ratio.min() < 1 < ratio.max():
        ax.contour(sizes, 1e12 * e_macs, ratio, levels=[1.0], colors="k", linewidths=1.5)
    else:
        words = f"nowhere less:\n{ratio.min():,.0f} times or more" if ratio.min() >= 1 else "everywhere less"
        ax.text(0.5, 0.5, words, transform=ax.transAxes, ha="center", bbox={"fc": "w", "ec": "none", "alpha": 0.8})
    ax.set(xscale="log", yscale="log")
    ax.set_xticks(SIZES, [str(size) for size in SIZES])
    ax.set_yticks([0.1, 1, 10, 30], ["0.1", "1", "10", "30"])
    ax.minorticks_off()
    return mesh


def draw(places: Sequence[Bench], task: Task, teacher: Electronics) -> Figure:
    """Map each bench against the student computed (above) and the teacher (below)."""
    sizes = sorted({*SIZES, *(round(size) for size in np.geomspace(SIZES[0], SIZES[-1], 31))})
    figure, axes = plt.subplots(2, len(places), figsize=(9.5, 5.6), sharex=True, sharey=True, layout="constrained")
    products = {
        "the student computed": [in_electronics(task, size).macs() for size in sizes],
        "the teacher": [teacher.macs(size / task.size) for size in sizes],
    }
    meshes = []
    for column, place in zip(axes.T, places, strict=True):
        costs = [place.cost(task.at(size))[1] for size in sizes]
        meshes += [draw_map(ax, costs, macs, sizes) for ax, macs in zip(column, products.values(), strict=True)]
        column[0].set_title(place.name)
        column[-1].set_xlabel("pixels along an axis")
    for ax, name in zip(axes[:, 0], products, strict=True):
        ax.set_ylabel(f"E_MAC (pJ), against\n{name}")
    powers = range(-6, 7, 2)
    bar = figure.colorbar(meshes[0], ax=axes, shrink=0.8, ticks=powers)
    bar.ax.set_yticklabels([f"$10^{{{power}}}$" for power in powers])
    bar.set_label("energy on the bench / in electronics")
    return figure


def save_rows(path: Path, table: Rows) -> None:
    """Write rows as CSV, whole or not at all."""
    file = io.StringIO(newline="")
    writer = csv.DictWriter(file, list(table[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(table)
    write_whole(path, file.getvalue().encode())


def text(table: Rows) -> str:
    """Lay rows out as plain text."""
    head = list(table[0])
    return columns(
        head, [[f"{row[key]:g}" if isinstance(row[key], float) else str(row[key]) for key in head] for row in table]
    )


def main(
    run: Annotated[Path, typer.Argument(help="A run folder with model.pt and teacher.pt.")],
    bench_file: Annotated[Path, typer.Argument(metavar="BENCH", help="The bench file.")],
    output: Annotated[Path | None, typer.Option("-o", help="Folder of the tables; RUN if left out.")] = None,
    powers_file: Annotated[Path | None, typer.Option("--powers", help="TOML file of the powers of BENCH.")] = None,
    figure: Annotated[Path | None, typer.Option(help="Picture of the maps.")] = None,
    digital: Annotated[int | None, typer.Option(min=1, help="Products of a digital net of equal accuracy.")] = None,
) -> None:
    """Time and energy of an image on the bench, and from which E_MAC on the bench takes less than electronics."""
    try:
        student, teacher = load_student(run / "model.pt"), load_teacher(run / "teacher.pt")
        powers = present_powers() if powers_file is None else PowersConfig.from_toml(powers_file)
        config, wanted = FourFConfig.from_toml(bench_file), task(student)
        check_learned(config, student.config)
        taught = electronics(teacher, torch.zeros(1, wanted.size, wanted.size))
        places = benches(config, powers)
        once = on_bench(as_it_is(config, wanted), wanted, powers)
        parts, (times, energies) = parts_table(once), size_tables(places, wanted, taught)
    except FourOpticsError as error:
        raise SystemExit(f"error: {error}") from None
    tables = {"parts": parts, "time": times, "energy": energies, "verdict": verdict(times, energies)}
    for name, table in tables.items():
        save_rows((output or run) / f"cost_{name}.csv", table)
    if figure:
        save(draw(places, wanted, taught), figure)
    print(f"{bench_file} as it is: {once.frames} frames, latency {show(once.latency, 'time', 3)}")
    print(*(text(table) for table in tables.values()), sep="\n\n")
    if digital is not None:
        least = 1e12 * once.crossover(digital)
        found = "at no E_MAC" if math.isinf(least) else f"above E_MAC = {least:.3g} pJ"
        print(f"\nagainst a digital net of {digital:,} products and equal accuracy: less energy {found}")


if __name__ == "__main__":
    typer.run(main)
