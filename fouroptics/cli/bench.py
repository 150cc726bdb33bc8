"""Commands about a bench: ``new``, ``check``, ``schedule``, ``cost``, ``schema``, ``table``, ``simulate``, ``plot``."""

import io
import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from fouroptics.cli.app import (
    BenchFile,
    Folder,
    Force,
    Json,
    Output,
    Seed,
    app,
    in_folder,
    picture_file,
    print_table,
    write,
    write_sheet,
)
from fouroptics.errors import FourOpticsError

Masks = Annotated[Path | None, typer.Option("--masks", help="A mask file; left out: an open panel.")]
Images = Annotated[int, typer.Option(min=1, help="Images on the display.")]
Count = Annotated[int, typer.Option("--masks", min=1, help="Masks on the panel.")]
Plane = StrEnum("Plane", ["yz", "xz"])
Unit = StrEnum("Unit", {"rad": "rad", "deg": "deg", "pi": "pi", "two_pi": "2pi"})
Order = StrEnum("Order", {"kernel_major": "kernel-major", "image_major": "image-major"})


@app.command()
def new(path: BenchFile, force: Force = False) -> None:
    """Write the bench file of the examples, each key with a comment, to start from."""
    from fouroptics.bench.settings import EXAMPLE

    if path.exists() and not force:
        raise FourOpticsError(f"{path}: is already there; choose another name, or overwrite it with --force")
    write(in_folder(path), EXAMPLE.encode())


@app.command()
def check(
    bench_file: BenchFile,
    as_json: Json = False,
    kernels: Annotated[int, typer.Option(min=1, help="Kernels in one frame.")] = 16,
    taps: Annotated[int, typer.Option(min=2, help="Taps of a kernel along an axis.")] = 9,
    light: Annotated[float, typer.Option(help="Fraction of the light that goes into the taps.")] = 0.08,
) -> None:
    """Compare what the bench has with what it needs; exit code 1 if something cannot work."""
    from fouroptics.bench.check import check
    from fouroptics.bench.settings import FourFConfig

    report = check(FourFConfig.from_toml(bench_file), kernels=kernels, taps=taps, light=light)
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
    typer.echo(text, nl=False) if output is None else write(in_folder(output), text.encode())


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
    print_table(("quantity", "before", "after"), table_report.report(file, SLMConfig.preset(panel) if panel else None))
    for finding in file.findings:
        typer.echo(f"finding: {finding}")


# ---- the bench at work -----------------------------------------------------------------------------------------------


def _load(bench_file: Path, masks_file: Path | None) -> tuple[Any, Any]:
    from fouroptics.bench.fourf import FourF
    from fouroptics.masks import bundle

    return FourF.from_toml(bench_file), None if masks_file is None else bundle.load(masks_file)


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
    write_sheet(output / "frame.png", len(taken.numbers), lambda i, ax: frames.draw(taken, bench, i, ax))
    write(output / "frame.npy", file.getvalue())
    write(output / "summary.json", (json.dumps(names | taken.summary(), indent=2) + "\n").encode())
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
    shape, output = bench.input_grid.shape, picture_file(output)
    axis: Any = section.value
    light = torch.ones(shape) if image is None else frames.read_image(image, shape, typer.echo)
    write(
        output,
        frames.sheet(1, lambda _, ax: frames.section(bench, masks, light, ax, planes, axis), (7.5, 3.0)),
    )
    if masks is not None and len(masks) > 1:
        typer.echo(f"drawn with mask 0 of {len(masks)}")
