"""The application: how errors are told, and the options, the tables and the files that commands share."""

import json
import os
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich import box
from rich.console import Console
from rich.table import Table
from typer.core import TyperGroup

from fouroptics.errors import FourOpticsError

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
Output = Annotated[Path, typer.Option("--output", "-o", help="The file to write.")]
Folder = Annotated[Path, typer.Option("--output", "-o", help="The folder to write.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Force = Annotated[bool, typer.Option("--force", help="Overwrite what is there.")]
Seed = Annotated[int, typer.Option(min=0, max=2**32 - 1, help="Of everything random.")]


def print_table(columns: Iterable[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a table of texts as wide as the terminal; what is longer is folded."""
    table = Table(*columns, box=box.SIMPLE_HEAD)
    for column in table.columns:
        column.overflow = "fold"
    for row in rows:
        table.add_row(*row)
    Console(markup=False, highlight=False).print(table)


@contextmanager
def progress_bar(what: str) -> Iterator[Callable[[int, int], None]]:
    """Yield a function of (done, total) that moves a bar on stderr, if that is a terminal."""
    from rich.progress import Progress

    screen = Console(stderr=True)
    with Progress(console=screen, transient=True, disable=not screen.is_terminal) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def in_folder(path: Path) -> Path:
    """Refuse a file that cannot be written before the work begins."""
    if path.is_dir() or not path.parent.is_dir():
        what = "is a folder; add a file name" if path.is_dir() else f"no folder {path.parent}; make it first"
        raise FourOpticsError(f"{path}: {what}, or choose another")
    if not os.access(path.parent, os.W_OK):
        raise FourOpticsError(f"{path}: the folder {path.parent} cannot be written; choose another")
    return path


def picture_file(path: Path) -> Path:
    """Refuse a file that is no PNG or cannot be written."""
    if path.suffix.lower() != ".png":
        raise FourOpticsError(f"{path}: pictures are written as PNG; give a name that ends in .png")
    return in_folder(path)


def write(path: Path, content: bytes, what: str = "") -> None:
    """Write a file whole, and say so."""
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


def write_sheet(path: Path, count: int, draw: Callable[[int, Any], Any]) -> None:
    """Write one figure of the first pictures, up to `SHEET`."""
    from fouroptics.show.frames import sheet

    shown = min(count, SHEET)
    write(path, sheet(shown, draw), f" with the first {shown} of {count}" if shown < count else "")


def tell(path: Path, findings: Sequence[Any], as_json: bool) -> None:
    """Print findings, one a line or as JSON, and end with the exit code 1 if one is an error."""
    if as_json:
        typer.echo(json.dumps([asdict(finding) for finding in findings], indent=2))
    else:
        for finding in findings:
            typer.echo(f"{finding.severity} {finding}")
        typer.echo(f"{path}: {len(findings)} findings" if findings else f"{path}: good")
    raise typer.Exit(int(any(finding.severity == "error" for finding in findings)))
