"""The command line: ``fouroptics new | check | schedule | cost | schema | table | simulate | plot | masks ...``.

What is heavy is imported by the command that needs it. An error is one message on stderr and the exit code 1, a wrong
call 2. Each file is written whole or not at all.
"""

import io
import json
import os
import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from rich import box
from rich.console import Console
from rich.table import Table
from typer.core import TyperGroup

from fouroptics.errors import FourOpticsError
from fouroptics.units import show

SHEET = 16  #: pictures in one figure, at most


class _Commands(TyperGroup):
    """Turns errors and warnings into one message each; a fault of the program keeps its traceback."""

    def invoke(self, ctx: Any) -> Any:
        with warnings.catch_warnings():
            warnings.showwarning = lambda message, *_, **__: typer.echo(f"warning: {message}", err=True)
            try:
                return super().invoke(ctx)
            except (FourOpticsError, UserWarning) as error:  # a warning, if Python's filters make it an error
                message = str(error)
            except BrokenPipeError:  # `fouroptics ... | head`
                raise
            except OSError as error:
                name = str(error.filename or "").removesuffix(".partial")
                message = f"{name}: {error.strerror}; check the path and the space on the disk" if name else str(error)
        typer.echo(f"error: {message}", err=True)
        raise typer.Exit(1)


app = typer.Typer(cls=_Commands, no_args_is_help=True, add_completion=False, help="A 4f optical bench, from its file.")
mask_app = typer.Typer(no_args_is_help=True, help="Compile kernels to masks, and look after the mask file.")
app.add_typer(mask_app, name="masks")

BenchFile = Annotated[Path, typer.Argument(metavar="BENCH.toml", help="The bench file; `fouroptics new` writes one.")]
MaskFile = Annotated[Path, typer.Argument(metavar="FILE", help="A mask file (HDF5).")]
KernelFile = Annotated[Path, typer.Argument(metavar="KERNELS.npz", help="`kernels` (out, 1, k, k), torch's order.")]
Masks = Annotated[Path | None, typer.Option("--masks", help="A mask file; left out: an open panel.")]
Output = Annotated[Path, typer.Option("--output", "-o", help="The file to write.")]
Folder = Annotated[Path, typer.Option("--output", "-o", help="The folder to write.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Force = Annotated[bool, typer.Option("--force", help="Overwrite what is there.")]
Seed = Annotated[int, typer.Option(min=0, max=2**32 - 1, help="Of everything random.")]

Images = Annotated[int, typer.Option(min=1, help="Images on the display.")]
Count = Annotated[int, typer.Option("--masks", min=1, help="Masks on the panel.")]

Plane = StrEnum("Plane", ["yz", "xz"])
Unit = StrEnum("Unit", {"rad": "rad", "deg": "deg", "pi": "pi", "two_pi": "2pi"})
Order = StrEnum("Order", {"kernel_major": "kernel-major", "image_major": "image-major"})
Layout = StrEnum("Layout", ["tiled", "sequential"])  # functions of masks/layout.py
Encoding = StrEnum("Encoding", ["phase_only", "arrizon"])  # functions of masks/encoding.py


def _table(columns: Iterable[str], rows: Iterable[Sequence[str]]) -> None:
    table = Table(*columns, box=box.SIMPLE_HEAD)
    for column in table.columns:
        column.overflow = "fold"
    for row in rows:
        table.add_row(*row)
    Console(markup=False, highlight=False).print(table)


def _in_folder(path: Path) -> Path:
    """Refuse a file that cannot be written before the work begins."""
    if path.is_dir() or not path.parent.is_dir():
        what = "is a folder; add a file name" if path.is_dir() else f"no folder {path.parent}; make it first"
        raise FourOpticsError(f"{path}: {what}, or choose another")
    if not os.access(path.parent, os.W_OK):
        raise FourOpticsError(f"{path}: the folder {path.parent} cannot be written; choose another")
    return path


def _picture(path: Path) -> Path:
    if path.suffix.lower() != ".png":
        raise FourOpticsError(f"{path}: pictures are written as PNG; give a name that ends in .png")
    return _in_folder(path)


def _write(path: Path, content: bytes, what: str = "") -> None:
    from fouroptics.masks.export import write_whole

    write_whole(path, content)
    typer.echo(f"wrote {path}{what}")


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"fouroptics {version('fouroptics')}")
        raise typer.Exit


Version = Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")]


@app.callback()
def _main(version: Version = False) -> None:
    pass


@app.command()
def new(path: BenchFile, force: Force = False) -> None:
    """Write the bench file of the examples, each key with a comment, to start from."""
    from fouroptics.bench.settings import EXAMPLE

    if path.exists() and not force:
        raise FourOpticsError(f"{path}: is already there; choose another name, or overwrite it with --force")
    _write(_in_folder(path), EXAMPLE.encode())


@app.command()
def check(bench_file: BenchFile, as_json: Json = False) -> None:
    """Compare what the bench has with what it needs; exit code 1 if something cannot work."""
    from fouroptics.bench.check import check
    from fouroptics.bench.settings import FourFConfig

    report = check(FourFConfig.from_toml(bench_file))
    typer.echo(json.dumps(report.to_json(), indent=2) if as_json else str(report))
    raise typer.Exit(int(not report.ok))


@app.command()
def schedule(bench_file: BenchFile, images: Images = 1, masks: Count = 1, order: Order = Order.kernel_major) -> None:
    """Count frames and seconds of a run: upload, settling, exposure, read-out."""
    from fouroptics.bench.schedule import schedule
    from fouroptics.bench.settings import FourFConfig

    typer.echo(str(schedule(FourFConfig.from_toml(bench_file), images, masks, order=order.value)))


@app.command()
def cost(bench_file: BenchFile, images: Images = 1, masks: Count = 1) -> None:
    """Count transforms, time and memory of a simulation before it runs."""
    from fouroptics.bench.cost import cost
    from fouroptics.bench.settings import FourFConfig

    typer.echo(str(cost(FourFConfig.from_toml(bench_file), images, masks)))


@app.command()
def schema(output: Annotated[Path | None, typer.Option("--output", "-o", help="The file to write.")] = None) -> None:
    """Write the JSON schema of the bench file, by which an editor completes and checks its keys."""
    from fouroptics.bench.settings import FourFConfig

    text = json.dumps(FourFConfig.file_schema(), indent=2, ensure_ascii=False) + "\n"
    typer.echo(text, nl=False) if output is None else _write(_in_folder(output), text.encode())


@app.command()
def table(
    path: Annotated[Path, typer.Argument(metavar="FILE", help="A .lut, CSV, BMP or slmsuite .h5 file.")],
    panel: Annotated[str | None, typer.Option(metavar="PRESET", help="The panel it is for.")] = None,
    unit: Annotated[Unit | None, typer.Option(help="Of the phase, where the file does not say it.")] = None,
    invert: Annotated[bool, typer.Option("--invert", help="The picture holds 255 - value.")] = False,
) -> None:
    """Read a vendor's table or correction, check it and say what it would change; nothing is applied."""
    from fouroptics.devices import table_report, tables
    from fouroptics.devices.panel import SLMConfig

    known: Any = unit and unit.value
    file = tables.read(path, known, invert=invert)
    _table(("quantity", "before", "after"), table_report.report(file, SLMConfig.preset(panel) if panel else None))
    for finding in file.findings:
        typer.echo(f"finding: {finding}")


# ---- the bench at work -----------------------------------------------------------------------------------------------


def _load(bench_file: Path, masks_file: Path | None) -> tuple[Any, Any]:
    from fouroptics.bench.fourf import FourF
    from fouroptics.masks import bundle

    return FourF.from_toml(bench_file), None if masks_file is None else bundle.load(masks_file)


def _write_sheet(path: Path, count: int, draw: Callable[[int, Any], Any]) -> None:
    from fouroptics.show.frames import sheet

    shown = min(count, SHEET)
    _write(path, sheet(shown, draw), f" with the first {shown} of {count}" if shown < count else "")


@app.command()
def simulate(
    bench_file: BenchFile,
    image: Annotated[Path, typer.Option(metavar="PHOTO", help="A PNG or JPG; its grey values go to the display.")],
    masks_file: Masks = None,
    output: Folder = Path("out"),
    seed: Seed = 0,
    noiseless: Annotated[bool, typer.Option("--noiseless", help="The mean of the camera, not one exposure.")] = False,
) -> None:
    """Take one camera frame a mask; write frame.png, frame.npy (masks, y, x) in DN and summary.json."""
    import torch

    from fouroptics.show import frames

    bench, masks = _load(bench_file, masks_file)
    light = frames.read_image(image, bench.input_grid.shape, typer.echo)
    taken = frames.expose(bench, masks, light, None if noiseless else torch.Generator().manual_seed(seed))
    names = {"image": str(image), "masks": masks_file and str(masks_file), "seed": None if noiseless else seed}
    file = io.BytesIO()
    np.save(file, taken.numbers)
    output.mkdir(parents=True, exist_ok=True)
    _write_sheet(output / "frame.png", len(taken.numbers), lambda i, ax: frames.draw(taken, bench, i, ax))
    _write(output / "frame.npy", file.getvalue())
    _write(output / "summary.json", (json.dumps(names | taken.summary(), indent=2) + "\n").encode())
    typer.echo(str(taken))
    if bench.config.readout.kind != "intensity":
        typer.echo(f"the reference wave of readout.kind = {bench.config.readout.kind!r} is not in the frames")


@app.command()
def plot(
    bench_file: BenchFile,
    output: Output,
    section: Annotated[Plane, typer.Option(help="The plane to cut.")] = Plane.yz,
    image: Annotated[Path | None, typer.Option(metavar="PHOTO", help="PNG or JPG; left out: a bright display.")] = None,
    masks_file: Masks = None,
    planes: Annotated[int, typer.Option(min=2, help="Planes along the bench.")] = 81,
) -> None:
    """Draw the light along the bench, from the display to the camera, by the wave model."""
    import torch

    from fouroptics.show import frames

    bench, masks = _load(bench_file, masks_file)
    shape, output = bench.input_grid.shape, _picture(output)
    axis: Any = section.value
    light = torch.ones(shape) if image is None else frames.read_image(image, shape, typer.echo)
    _write(
        output,
        frames.sheet(1, lambda _, ax: frames.section(bench, masks, light, ax, planes, axis), (7.5, 3.0)),
    )
    if masks is not None and len(masks) > 1:
        typer.echo(f"drawn with mask 0 of {len(masks)}")


# ---- masks -----------------------------------------------------------------------------------------------------------


@mask_app.command()
def make(
    kernels_file: KernelFile,
    bench_file: BenchFile,
    output: Output,
    layout: Annotated[Layout, typer.Option(help="All kernels in one frame, or one frame a kernel.")] = Layout.tiled,
    encoding: Annotated[Encoding, typer.Option(help="Optimised phase, or the closed form.")] = Encoding.phase_only,
    light: Annotated[float, typer.Option(help="Fraction of the light to put into the taps.")] = 0.08,
    seed: Seed = 0,
) -> None:
    """Compile kernels into a mask file for the panel of a bench, and report how well each came out."""
    from rich.progress import Progress

    from fouroptics.bench.fourf import FourF
    from fouroptics.masks import bundle, compiler
    from fouroptics.masks import encoding as encodings
    from fouroptics.masks import layout as layouts
    from fouroptics.masks.export import read_kernels

    kernels, bench = read_kernels(kernels_file), FourF.from_toml(bench_file)
    _in_folder(output)
    screen = Console(stderr=True)
    with Progress(console=screen, transient=True, disable=not screen.is_terminal) as bar:
        task, mask = bar.add_task("compiling"), -1

        def progress(step: int, steps: int, error: float) -> None:
            nonlocal mask
            mask += step == 1
            bar.update(task, completed=step, total=steps, description=f"mask {mask}, error {error:.2%}")

        how: Any = {"encoding": getattr(encodings, encoding), "layout": getattr(layouts, layout), "light": light}
        how["provenance"] = {"kernels_file": kernels_file.name}
        masks = compiler.from_kernels(kernels, bench, seed=seed, progress=progress, **how)
    bundle.save(output, masks)
    form = "{name}|{mask}|{correlation:.5f}|{error:.2%}|{efficiency:.2%}|{tile_y}, {tile_x}|{scale:.4g}".format
    columns = ("kernel", "mask", "correlation", "error", "efficiency", "tile y, x", "scale")
    _table(columns, (form(**row).split("|") for row in masks.report().rows))
    typer.echo(f"wrote {output}: {len(masks)} masks, {len(masks.kernels)} kernels")


@mask_app.command()
def verify(path: MaskFile, as_json: Json = False) -> None:
    """Check every byte and every rule of a mask file; exit code 1 if one is broken."""
    from fouroptics.masks import bundle

    findings = bundle.verify(path)
    if as_json:
        typer.echo(json.dumps([asdict(finding) for finding in findings], indent=2))
    else:
        for finding in findings:
            typer.echo(f"{finding.severity} {finding}")
        typer.echo(f"{path}: {len(findings)} findings" if findings else f"{path}: good")
    raise typer.Exit(int(any(finding.severity == "error" for finding in findings)))


@mask_app.command()
def info(path: MaskFile) -> None:
    """Say what a mask file holds: panel, masks, kernels, light and origin."""
    from fouroptics.masks import bundle

    masks = bundle.load(path)
    slm, table = masks.slm, masks.kernels
    beam = masks.instrument.get("beam", {}).get("incident_wavelength")
    rows = {
        "panel": f"{slm.name}, {slm.shape[0]} x {slm.shape[1]} pixels of {show(slm.pitch, 'length')}, {slm.bits} bit",
        "masks": f"{len(masks)}, layout {masks.layout or '-'}, encoding {masks.encoding or '-'}",
        "kernels": f"{len(table)} of {table.weight.shape[1]} x {table.weight.shape[2]} taps",
        "error": f"{table.error.min():.4g} to {table.error.max():.4g}",
        "efficiency": f"{table.efficiency.min():.4g} to {table.efficiency.max():.4g}",
        "wavelength": "-" if beam is None else show(beam, "length"),
        **{name: str(value) for name, value in masks.provenance.items() if name != "bench"},
    }
    _table(("", str(path)), rows.items())


@mask_app.command()
def preview(path: MaskFile, output: Output) -> None:
    """Draw the phase of each mask on the panel, up to 16, into one PNG."""
    from fouroptics.light.grid import Grid
    from fouroptics.masks import bundle
    from fouroptics.show import plot

    masks = bundle.load(path)
    panel = Grid(masks.slm.shape, (masks.slm.pitch, masks.slm.pitch))
    _write_sheet(_picture(output), len(masks), lambda i, ax: plot.mask(masks.phase[i], panel, ax))


@mask_app.command()
def export(path: MaskFile, output: Folder, force: Force = False) -> None:
    """Write one PNG a mask, panel-sized, with exactly the grey levels: mask_000.png, ..."""
    from fouroptics.masks import bundle
    from fouroptics.masks.export import frames

    written = frames(bundle.load(path), output, overwrite=force)
    typer.echo(f"wrote {len(written)} masks: {written[0]}" + (f" to {written[-1].name}" if len(written) > 1 else ""))
    others = sorted(set(output.glob("mask_*.png")) - set(written))
    if others:
        typer.echo(f"note: {len(others)} more of another export are there, such as {others[0]}; remove them", err=True)
