"""Commands about runs on the bench: ``masks run-sheet | play | captures``."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from fouroptics.cli.app import BenchFile, Folder, Json, MaskFile, Output, Seed, in_folder, mask_app, tell
from fouroptics.cli.bench import Order
from fouroptics.errors import BundleError
from fouroptics.units import parse, show

Sheet = Annotated[Path, typer.Argument(metavar="SHEET", help="A run sheet, the folder that `run-sheet` writes.")]


@mask_app.command()
def run_sheet(
    path: MaskFile,
    bench_file: BenchFile,
    images: Annotated[Path, typer.Option(metavar="FILE|FOLDER", help="`images` of an npz file, or PNG files.")],
    output: Folder,
    exposure: Annotated[str | None, typer.Option(metavar="TIME", help='Such as "18 us"; as calibrated.')] = None,
    repeats: Annotated[int, typer.Option(min=1, help="Frames of each mask and image, to be averaged.")] = 1,
    dark: Annotated[int, typer.Option(min=0, help="Frames without light.")] = 8,
    flat: Annotated[int, typer.Option(min=0, help="Frames in even light.")] = 0,
    order: Annotated[Order, typer.Option(help="What stays while the other one changes.")] = Order.kernel_major,
    frames: Annotated[bool, typer.Option("--masks/--no-masks", help="Put the frames of the panel into it.")] = True,
) -> None:
    """Write what a lab script plays: images, masks and a playlist, one line an exposure."""
    from fouroptics.bench.schedule import schedule
    from fouroptics.bench.settings import FourFConfig
    from fouroptics.masks import bundle, runsheet
    from fouroptics.masks.pictures import read_pictures

    config, masks = FourFConfig.from_toml(bench_file), bundle.load(path, lazy=True)
    seconds = None if exposure is None else parse(exposure, "time")
    how = {"exposure": seconds, "repeats": repeats, "dark": dark, "flat": flat}
    sheet = runsheet.sheet(config, masks, runsheet.fingerprint(path), read_pictures(images), **how, order=order.value)
    runsheet.write(sheet, output, masks if frames else None)
    taken, count = float(sheet.lines["exposure"][0]), len(sheet.pictures.levels)
    shown = len(masks) // 2 if config.readout.kind == "split" else len(masks)
    plan = schedule(config, count, shown, order=order.value, repeats=repeats, exposure=taken)
    typer.echo(f"wrote {output}: {len(sheet.lines)} lines, {len(sheet.order)} frames of {show(taken, 'time', 4)}")
    typer.echo(f"{count} images, {len(masks)} masks; the frames with light take {show(plan.seconds, 'time', 3)}")
    if exposure is None and config.camera.exposure is None:
        typer.echo("note: the exposure is an estimate for a white image; --exposure sets the one of the calibration")


@mask_app.command()
def play(
    folder: Sheet,
    bench_file: BenchFile,
    masks_file: Annotated[Path, typer.Option("--masks", help="The mask file of the run sheet.")],
    output: Output,
    seed: Seed = 0,
    noiseless: Annotated[bool, typer.Option("--noiseless", help="The mean of the camera, rounded.")] = False,
    reference: Annotated[
        float | None, typer.Option(help="Amplitude of the reference in sqrt(W)/m, if its power is automatic.")
    ] = None,
) -> None:
    """Take a run sheet on the simulated bench; write the file of captures that a lab would write."""
    import torch
    from rich.progress import Progress

    from fouroptics.bench.fourf import FourF
    from fouroptics.masks import bundle, runsheet
    from fouroptics.masks.play import play as take

    sheet, bench, masks = runsheet.read(folder), FourF.from_toml(bench_file), bundle.load(masks_file, lazy=True)
    if (found := runsheet.fingerprint(masks_file)) != sheet.about["bundle_sha256"]:
        raise BundleError(f"{masks_file}: its hash is {found}, the run sheet is of {sheet.about['bundle_sha256']}")
    generator, screen = None if noiseless else torch.Generator().manual_seed(seed), Console(stderr=True)
    with Progress(console=screen, transient=True, disable=not screen.is_terminal) as bar:
        task = bar.add_task("taking frames")

        def progress(done: int, count: int) -> None:
            bar.update(task, completed=done, total=count)

        how = {"generator": generator, "reference": reference, "progress": progress}
        take(sheet, bench, masks, in_folder(output), **how)
    typer.echo(f"wrote {output}: {len(sheet.order)} frames of {bench.camera_grid.shape} pixels")


@mask_app.command()
def captures(
    path: Annotated[Path, typer.Argument(metavar="FILE", help="A file of captures (HDF5).")],
    masks_file: Annotated[Path | None, typer.Option("--masks", help="The masks that it must be taken with.")] = None,
    as_json: Json = False,
) -> None:
    """Check every frame and every rule of a file of captures; exit code 1 if one is broken."""
    from fouroptics.masks import captures, runsheet

    findings = captures.verify(path, None if masks_file is None else runsheet.fingerprint(masks_file))
    tell(path, findings, as_json)
