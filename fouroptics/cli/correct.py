"""Commands about corrections: ``masks correct``."""

from pathlib import Path
from typing import Annotated, Any

import typer

from fouroptics.cli.app import MaskFile, Output, in_folder, mask_app
from fouroptics.errors import FourOpticsError
from fouroptics.units import parse


@mask_app.command()
def correct(
    path: MaskFile,
    output: Output,
    zernike: Annotated[list[str] | None, typer.Option(metavar="J=ANGLE", help='Noll\'s mode, "4=-0.3 rad".')] = None,
    radius: Annotated[str | None, typer.Option(help='Of the disk of the modes, "6 mm".')] = None,
    center: Annotated[str, typer.Option(metavar="Y,X", help="Of that disk, from the panel's middle.")] = "0 mm,0 mm",
    blaze: Annotated[str, typer.Option(metavar="Y,X", help="Cycles per pixel.")] = "0,0",
    phase: Annotated[
        Path | None, typer.Option(metavar="FILE", help="To add: npy (rad), Hamamatsu bmp, Santec csv, slmsuite h5.")
    ] = None,
) -> None:
    """Add a phase to masks: a grating, Zernike modes, a vendor's correction; nothing is undone by itself."""
    from fouroptics.masks import bundle
    from fouroptics.masks.corrections import corrected

    in_folder(output)
    masks = bundle.load(path)
    terms = dict(_term(text) for text in zernike or ())
    how: dict[str, Any] = {"blaze": _pair(blaze, float), "center": _pair(center, lambda text: parse(text, "length"))}
    how["radius"] = None if radius is None else parse(radius, "length")
    how["phase"] = None if phase is None else _phase(phase, masks.slm.shape)
    changed = corrected(masks, zernike=terms, **how)
    bundle.save(output, changed)
    for line in changed.provenance.get("corrections", []):
        typer.echo(line)
    typer.echo(f"wrote {output}: {len(changed)} masks; the report is that of before")


def _term(text: str) -> tuple[int, float]:
    number, _, angle = text.partition("=")
    if not number.strip().isdecimal() or not angle:
        raise FourOpticsError(f"--zernike {text}: write a mode and an angle, such as 4=-0.3rad")
    return int(number), parse(angle, "angle")


def _pair(text: str, read: Any) -> tuple[float, float]:
    try:
        y, x = (read(part) for part in text.split(","))
    except ValueError:
        raise FourOpticsError(f"{text!r}: write two numbers, y and x, with a comma") from None
    return y, x


def _phase(path: Path, shape: tuple[int, int]) -> Any:
    """Phase to add in rad, by the kind of file."""
    from fouroptics.devices import corrections
    from fouroptics.devices.maps import read_map

    if path.suffix == ".npy":
        return read_map(path)
    readers: dict[str, Any] = {
        ".bmp": corrections.read_hamamatsu,
        ".csv": lambda file: corrections.read_santec(file, correction=True, shape=shape),
        ".h5": corrections.read_slmsuite,
    }
    if path.suffix not in readers:
        raise FourOpticsError(f"{path}: a phase comes from .npy, {', '.join(readers)}; give one of these")
    return readers[path.suffix](path).values
