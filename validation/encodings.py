"""Encodings side by side: a 3 x 3 Laplacian for images of 64 x 64 pixels on an ideal panel of 1024 x 1024 pixels.

python -m validation.encodings [-o docs/results/encodings.csv]

The panel has no gaps and 8 bit (mirrors: 1). Closed forms need their own place: `double_phase` on the axis, where the
transmission changes least from pixel to pixel, `arrizon` a grating off it. The searches put the light that they are
asked for into the taps.
"""

import time
import tomllib
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import torch
import typer
from torch import Tensor

from fouroptics.bench.fourf import FourF
from fouroptics.bench.settings import EXAMPLE
from fouroptics.errors import SamplingWarning
from fouroptics.light import shapes
from fouroptics.masks import encoding as encodings
from fouroptics.masks import layout as layouts
from fouroptics.masks.compiler import from_kernels
from fouroptics.masks.encoding import Encoding
from fouroptics.masks.maskset import MaskSet
from models.evaluate import save_rows

RESULT = Path(__file__).parents[1] / "docs" / "results" / "encodings.csv"
SIDE, BAND = 64, 1024
LAPLACIAN = torch.tensor([[0.0, 1, 0], [1, -4, 1], [0, 1, 0]], dtype=torch.float64)


class Case(NamedTuple):
    """One line: an encoding at its place, with the light it is asked for."""

    encoding: Encoding
    layout: Callable[..., layouts.Layout] = layouts.sequential
    light: float | None = None
    modulation: str = "phase"

    @property
    def name(self) -> str:
        """Name of the encoding, with its options."""
        if not isinstance(self.encoding, partial):
            return self.encoding.__name__  # pyright: ignore[reportAttributeAccessIssue]
        options = ", ".join(f"{key}={value}" for key, value in self.encoding.keywords.items())
        return f"{self.encoding.func.__name__}, {options}"


CASES = (
    Case(encodings.arrizon),
    Case(encodings.double_phase, layouts.on_axis),
    Case(encodings.gerchberg_saxton, light=0.08),
    Case(partial(encodings.phase_only, rounding=0), light=0.08),
    *(Case(encodings.phase_only, light=light) for light in (0.08, 0.2, 0.3, 0.5)),
    Case(encodings.amplitude_only, light=0.02, modulation="amplitude"),
    Case(encodings.binary, light=0.02, modulation="binary"),
)


def place(modulation: str) -> FourF:
    """The bench: point pixels on the display, a band of 1024 pixels without gaps on the panel."""
    data = tomllib.loads(EXAMPLE)
    pitch = 633e-9 * 0.2 / (BAND * 8e-6)
    data["input"] |= {"shape": [SIDE, SIDE], "pitch": f"{pitch!r} m", "pixel": "point"}
    data["panel"] |= {"shape": [BAND, BAND], "fill_factor": 1.0, "modulation": modulation}
    data["panel"] |= {"bits": 1} if modulation == "binary" else {}
    data["camera"] |= {"pitch": f"{pitch / 3!r} m", "shape": [1400, 1400]}
    return FourF(data)


def pictures(bench: FourF) -> dict[str, Tensor]:
    """Random grey values, and a star whose even areas are bright where its Laplacian is dark."""
    grey = torch.rand(SIDE, SIDE, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return {"random": grey, "star": shapes.star(bench.input_grid, 12, 0.45 * bench.input_grid.extent[0]).double()}


def field_error(bench: FourF, masks: MaskSet, picture: Tensor) -> float:
    """Relative L2 error of the field behind a picture (y, x) at the best complex scale."""
    y, x = (float(part) * bench.image_grid.spacing[0] for part in masks.kernels.tile[0])
    seen = bench(picture, masks, onto=bench.image_grid.shifted(y, x)).data[0].flip((-2, -1))
    wanted = _convolved(picture)
    scale = (seen.conj() * wanted).sum() / seen.abs().square().sum()
    return float((scale * seen - wanted).norm() / wanted.norm())


def _convolved(picture: Tensor) -> Tensor:
    return torch.nn.functional.conv2d(picture[None, None], LAPLACIAN[None, None], padding=1)[0, 0]


def measure(case: Case, seed: int = 0) -> dict[str, Any]:
    """Compile the Laplacian one way, and say what comes of it."""
    bench, start = place(case.modulation), time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SamplingWarning)  # a large error is told in the table
        masks = from_kernels(
            LAPLACIAN[None, None], bench, encoding=case.encoding, layout=case.layout, light=case.light, seed=seed
        )
    seconds, table = time.perf_counter() - start, masks.kernels
    return {
        "encoding": case.name,
        "layout": case.layout.__name__,
        "bits": bench.config.panel.bits,
        "light asked for (%)": "-" if case.light is None else round(100 * case.light),
        "light in the taps (%)": round(100 * float(table.efficiency[0]), 2),
        "error of the response (%)": round(100 * float(table.error[0]), 2),
        **{
            f"error of a {name} picture (%)": round(100 * field_error(bench, masks, picture), 2)
            for name, picture in pictures(bench).items()
        },
        "seconds": round(seconds, 1),
    }


def main(
    output: Annotated[Path, typer.Option("-o", help="The table.")] = RESULT,
    seed: Annotated[int, typer.Option(min=0, help="Of the searches.")] = 0,
) -> None:
    """Compile all cases and write the table."""
    rows = []
    for case in CASES:
        rows.append(measure(case, seed))
        print(", ".join(f"{name}: {value}" for name, value in rows[-1].items()), flush=True)
    save_rows(output, rows)


if __name__ == "__main__":
    typer.run(main)
