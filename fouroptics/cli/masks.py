"""Commands about mask files: ``masks verify | info | diff | preview | export | import``."""

import json
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from fouroptics.cli.app import (
    SHEET,
    BenchFile,
    Folder,
    Force,
    Json,
    MaskFile,
    Output,
    in_folder,
    mask_app,
    picture_file,
    print_table,
    progress_bar,
    tell,
    write,
)
from fouroptics.units import show

PhaseFiles = Annotated[list[Path], typer.Argument(metavar="FILES...", help="HDF5 files of slmsuite.")]
Form = StrEnum(  # constants of masks/export.py
    "Form",
    {
        "PNG": "png",
        "BMP": "bmp",
        "SANTEC_CSV": "santec-csv",
        "PACKED": "packed",
        "DLPC900": "dlpc900",
        "NPY": "npy",
        "SLMSUITE": "slmsuite",
    },
)


@mask_app.command()
def verify(path: MaskFile, as_json: Json = False) -> None:
    """Check every byte and every rule of a mask file; exit code 1 if one is broken."""
    from fouroptics.masks import bundle

    with progress_bar("checking") as progress:
        findings = bundle.verify(path, progress=progress)
    tell(path, findings, as_json)


@mask_app.command()
def info(path: MaskFile, as_json: Json = False) -> None:
    """Say what a mask file holds: panel, masks, kernels, bench and origin."""
    masks = _load(path)
    columns = masks.kernels.columns()
    if as_json:
        facts = {"masks": len(masks), "layout": masks.layout, "encoding": masks.encoding}
        facts |= {"panel": masks.slm.model_dump(mode="json", exclude={"table", "amplitudes"})}
        facts |= {"instrument": masks.instrument, "provenance": masks.provenance, "kernels": masks.report().rows}
        typer.echo(json.dumps(facts, indent=2))
        return
    print_table(("", str(path)), _facts(masks))
    spread = [(name, np.atleast_1d(column)) for name, column in columns.items() if column.ndim == 1]
    rows = [
        (name, _unit(f"kernels/{name}"), *(f"{value:.4g}" for value in (column.min(), np.median(column), column.max())))
        for name, column in spread
        if column.dtype.kind == "f"
    ]
    print_table(("of the kernels", "unit", "least", "median", "most"), rows)


def _facts(masks: Any) -> Iterator[tuple[str, str]]:
    slm, table = masks.slm, masks.kernels
    size = f"{slm.shape[0]} x {slm.shape[1]} pixels of {show(slm.pitch, 'length')}"
    turns = [name if value is True else f"{name} {value}" for name, value in slm.orientation if value]
    yield "panel", f"{slm.name}, {size}, {slm.bits} bit, fill factor {slm.fill_factor:g}"
    yield "levels", f"{slm.modulation}, convention {slm.grey}, table {slm.table_source}"
    yield "orientation", ", ".join(turns) or "as it is"
    yield "masks", f"{len(masks)}, layout {masks.layout or '-'}, encoding {masks.encoding or '-'}"
    kind = "complex" if np.iscomplexobj(table.weight) else "real"
    yield "kernels", f"{len(table)} of {table.weight.shape[1]} x {table.weight.shape[2]} taps, {kind}"
    yield from _entries("instrument", masks.instrument)
    yield from _entries("provenance", {name: item for name, item in masks.provenance.items() if name != "bench"})


def _entries(path: str, item: Any) -> Iterator[tuple[str, str]]:
    """Names and texts of nested metadata, numbers with their units."""
    if isinstance(item, dict):
        for name, inner in item.items():
            yield from _entries(f"{path}/{name}", inner)
        return
    kind = {"m": "length", "W": "power", "s": "time"}.get(_unit(path))
    if isinstance(item, list):
        text = ("\n" if any(isinstance(one, str) for one in item) else " x ").join(map(str, item))
    else:
        text = show(item, kind) if kind and isinstance(item, float) else f"{item} {_unit(path)}".strip()
    yield " ".join(path.split("/")[1:]), text


def _unit(path: str) -> str:
    from fouroptics.masks import schema

    return (schema.unit(f"/entry/{path}") or "").removesuffix("1")


@mask_app.command()
def diff(path: MaskFile, other: MaskFile, as_json: Json = False) -> None:
    """Say in what two mask files differ; exit code 1 if in anything."""
    from fouroptics.masks import bundle

    found = bundle.diff(path, other)
    if as_json:
        typer.echo(json.dumps([one._asdict() for one in found], indent=2))
    else:
        for one in found:
            typer.echo(str(one))
        typer.echo(f"{path}, {other}: " + (f"differences: {len(found)}" if found else "the same"))
    raise typer.Exit(int(bool(found)))


@mask_app.command()
def preview(path: MaskFile, output: Output) -> None:
    """Draw each mask, up to 16, and where its light goes, with the windows of its kernels, into one PNG."""
    from fouroptics.show.contact import sheet

    output, masks = picture_file(output), _load(path)
    shown = min(len(masks), SHEET)
    write(output, sheet(masks, shown), f" with the first {shown} of {len(masks)}" if shown < len(masks) else "")


@mask_app.command()
def export(
    path: MaskFile,
    output: Folder,
    to: Annotated[Form, typer.Option(help="What the device, its driver or a script reads.")] = Form.PNG,
    fiducial: Annotated[bool, typer.Option("--fiducial", help="And the letter F, to find the orientation.")] = False,
    force: Force = False,
) -> None:
    """Write the masks, panel-sized, with exactly the grey levels: mask_000.png, ..."""
    from fouroptics.masks import export

    masks, form = _load(path), getattr(export, to.name)
    with progress_bar("exporting") as progress:
        options = {"fiducial": fiducial, "overwrite": force, "progress": progress}
        written = export.frames(masks, output, form, **options)
    letters = [file for file in written if file.name.startswith("fiducial")]
    own = [file for file in written if file not in letters]
    typer.echo(f"wrote {len(masks)} masks: {own[0]}" + (f" to {own[-1].name}" if len(own) > 1 else ""))
    for letter in letters:
        typer.echo(f"wrote {letter}")
    others = sorted(set(export.exported(output, form)) - set(written))
    if others:
        typer.echo(f"note: {len(others)} more of another export are there, such as {others[0]}; remove them", err=True)


@mask_app.command("import")
def import_(files: PhaseFiles, bench_file: BenchFile, output: Output) -> None:
    """Make a mask file of phases that slmsuite saved (SLM.save_phase), a mask each, for the panel of a bench."""
    from fouroptics.bench.fourf import FourF
    from fouroptics.masks import bundle
    from fouroptics.masks.imported import from_slmsuite
    from fouroptics.masks.measure import instrument

    bench = FourF.from_toml(bench_file)
    in_folder(output)
    masks = from_slmsuite(files, bench.config.lit_panel.at(bench.wavelength), instrument(bench))
    bundle.save(output, masks)
    typer.echo(f"wrote {output}: {len(masks)} masks")


def _load(path: Path) -> Any:
    from fouroptics.masks import bundle

    with progress_bar("checking") as progress:
        return bundle.load(path, lazy=True, progress=progress)
