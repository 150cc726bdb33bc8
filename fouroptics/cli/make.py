"""The compiler's command: ``masks make``."""

from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import Progress

from fouroptics.cli.app import BenchFile, Output, Seed, in_folder, mask_app, picture_file, write
from fouroptics.errors import FourOpticsError

KernelFile = Annotated[
    Path,
    typer.Argument(metavar="KERNELS", help="(out, in, k, k), torch's order: .npz, .npy, or a checkpoint (.pt)."),
]
Layout = StrEnum("Layout", ["tiled", "sequential", "on_axis", "input_tiling", "wavelengths"])  # of masks/layout.py
Signs = StrEnum("Signs", ["signed", "split", "biased"])  # of masks/signs.py
Encoding = StrEnum(  # of masks/encoding.py
    "Encoding", ["phase_only", "gerchberg_saxton", "double_phase", "arrizon", "amplitude_only", "binary"]
)


@mask_app.command()
def make(
    kernels_file: KernelFile,
    bench_file: BenchFile,
    output: Output,
    layout: Annotated[Layout, typer.Option(help="All kernels in one frame, one a frame, ...")] = Layout.tiled,
    encoding: Annotated[Encoding, typer.Option(help="How a panel shows them.")] = Encoding.phase_only,
    frames: Annotated[int, typer.Option(min=1, help="Masks to spread the kernels over (tiled).")] = 1,
    signs: Annotated[Signs, typer.Option(help="Whole, in two halves, or with a bias.")] = Signs.signed,
    light: Annotated[float | None, typer.Option(help="Fraction of the light for the taps; phases: 0.08.")] = None,
    layer: Annotated[str | None, typer.Option(help="Which weight of a checkpoint that has several.")] = None,
    table: Annotated[Path | None, typer.Option("--csv", help="The report as a CSV file, too.")] = None,
    picture: Annotated[Path | None, typer.Option(help="Kernels and what became of them, as a PNG.")] = None,
    seed: Seed = 0,
) -> None:
    """Compile kernels into a mask file for the panel of a bench, and report how well each came out."""
    from fouroptics.bench.fourf import FourF
    from fouroptics.masks import bundle, compiler
    from fouroptics.masks import encoding as encodings
    from fouroptics.masks import layout as layouts
    from fouroptics.masks import signs as handling
    from fouroptics.masks.kernels import read_kernels

    if frames > 1 and layout is not Layout.tiled:
        raise FourOpticsError(f"--frames {frames}: layout {layout} has its own number of frames; leave it out")
    kernels, bench = read_kernels(kernels_file, layer), FourF.from_toml(bench_file)
    for path in (output, table, picture and picture_file(picture)):
        if path is not None:
            in_folder(path)
    screen = Console(stderr=True)
    with Progress(console=screen, transient=True, disable=not screen.is_terminal) as bar:
        task, mask = bar.add_task("compiling"), -1

        def progress(step: int, steps: int, error: float) -> None:
            nonlocal mask
            mask += step == 1
            bar.update(task, completed=step, total=steps, description=f"mask {mask}, error {error:.2%}")

        where = getattr(layouts, layout)
        how: Any = {"encoding": getattr(encodings, encoding), "light": light}
        how["layout"] = partial(where, frames=frames) if frames > 1 else where
        how |= {"signs": getattr(handling, signs), "provenance": {"kernels_file": kernels_file.name}}
        masks = compiler.from_kernels(kernels, bench, seed=seed, progress=progress, **how)
    bundle.save(output, masks)
    report = masks.report()
    Console(markup=False, highlight=False).print(report)
    typer.echo(f"wrote {output}: {len(masks)} masks, {len(masks.kernels)} kernels")
    if table is not None:
        report.to_csv(table)
        typer.echo(f"wrote {table}")
    if picture is not None:
        _draw(picture, masks, bench)


def _draw(path: Path, masks: Any, bench: Any) -> None:
    from fouroptics.show import frames, plot

    height = 1.2 + 1.1 * -(-len(masks.kernels) // 8)
    write(path, frames.sheet(1, lambda _, ax: plot.kernels(masks, bench, ax), (8.0, height)))
