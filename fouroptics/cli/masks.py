"""Commands about masks: ``masks make | verify | info | preview | export``."""

import json
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from fouroptics.cli.app import (
    BenchFile,
    Folder,
    Force,
    Json,
    MaskFile,
    Output,
    Seed,
    in_folder,
    mask_app,
    picture_file,
    print_table,
    write_sheet,
)
from fouroptics.units import show

KernelFile = Annotated[Path, typer.Argument(metavar="KERNELS.npz", help="`kernels` (out, 1, k, k), torch's order.")]
Layout = StrEnum("Layout", ["tiled", "sequential"])  # functions of masks/layout.py
Encoding = StrEnum("Encoding", ["phase_only", "arrizon"])  # functions of masks/encoding.py


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
    in_folder(output)
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
    print_table(columns, (form(**row).split("|") for row in masks.report().rows))
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
    print_table(("", str(path)), rows.items())


@mask_app.command()
def preview(path: MaskFile, output: Output) -> None:
    """Draw the phase of each mask on the panel, up to 16, into one PNG."""
    from fouroptics.light.grid import Grid
    from fouroptics.masks import bundle
    from fouroptics.show import plot

    masks = bundle.load(path)
    panel = Grid(masks.slm.shape, (masks.slm.pitch, masks.slm.pitch))
    write_sheet(picture_file(output), len(masks), lambda i, ax: plot.mask(masks.phase[i], panel, ax))


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
