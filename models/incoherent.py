"""Signed kernels in incoherent light: two masks a kernel, whose frames are subtracted.

Incoherent light adds intensities: behind a mask with the response h to a point, the power of the display is correlated
with ``K[D] = mean |h(D p + s)|^2`` over the places s of a pixel that shines. K is never negative, so a kernel w takes
two masks with ``K+ - K- = w``. Their taps a± are real, and ``h = sum_j a_j sinc(D - j)`` behind one band of the panel;
for points that shine ``a± = sqrt(max(±w, 0))`` is exact, for square pixels these roots are only the start of a search.
Random signs of the taps spread their light over the panel, which all of one sign would leave dark but for its middle.

python -m models.incoherent runs/split bench.toml
"""

import itertools
import math
from collections.abc import Sequence
from dataclasses import fields, replace
from functools import reduce
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from fouroptics.bench import readout
from fouroptics.bench.fourf import FourF
from fouroptics.bench.settings import InputConfig
from fouroptics.bench.shown import PanelFrames, shown
from fouroptics.errors import FourOpticsError
from fouroptics.light.grid import Grid
from fouroptics.masks import bundle
from fouroptics.masks.compiler import from_kernels
from fouroptics.masks.kernels import read_kernels
from fouroptics.masks.layout import Layout, tiled
from fouroptics.masks.maskset import KernelTable, MaskSet
from fouroptics.masks.targets import transfer
from fouroptics.waves.transforms import fourier

MARGIN = 1  #: taps by which the masks reach beyond the kernel on each side
TAILS = 3  #: pixels around those in which light is kept away
NODES = 4  #: of Gauss and Legendre on a side of a pixel: |h|^2 has one period a pixel at most, 1e-4 of it is missed


def taps(kernels: Tensor, bench: FourF, steps: int = 100) -> Tensor:
    """Taps of the two amplitude responses whose images differ by a signed kernel.

    Minimises ``|K+ - K- - w|^2 / |w|^2`` by L-BFGS, from the roots with random signs of both parts and some
    noise, which makes a start where a part is zero.

    Parameters
    ----------
    kernels : Tensor
        Signed kernels (K, k, k), torch cross-correlation order.
    bench : FourF
        Its display says how much of a pixel shines.
    steps : int
        Of L-BFGS; 100 leave 0.5 % of random kernels of 9 x 9 on square pixels, the roots alone a third.

    Returns
    -------
    Tensor
        float64 (2, K, k + 2, k + 2): positive halves first.
    """
    wanted = F.pad(kernels.double(), (MARGIN + TAILS,) * 4)
    start = F.pad(torch.stack([kernels, -kernels]).double().clamp_min(0).sqrt(), (MARGIN,) * 4)
    noise = torch.randn(start.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    start = start * noise.sign() + 0.02 * noise * start.amax((0, 2, 3), keepdim=True)
    energy = wanted.square().sum((1, 2)).clamp_min(1e-30)
    found = start.requires_grad_()
    search = torch.optim.LBFGS(
        [found],
        max_iter=steps,
        history_size=20,
        tolerance_grad=0,
        tolerance_change=0,
        line_search_fn="strong_wolfe",
    )

    def miss() -> Tensor:
        search.zero_grad()
        plus, minus = images_of_points(found, bench)
        loss = ((plus - minus - wanted).square().sum((1, 2)) / energy).sum()
        loss.backward()
        return loss

    search.step(miss)  # pyright: ignore[reportArgumentType]
    return found.detach()


def images_of_points(amplitudes: Tensor, bench: FourF) -> Tensor:
    """Kernels K (..., n + 6, n + 6) of taps (..., n, n), in units in which a point's single tap a gives ``a^2``."""
    nodes, weights = _nodes(bench.config.input)
    size = amplitudes.shape[-1]
    near, at = torch.arange(-TAILS, size + TAILS), torch.arange(size)
    sinc = torch.stack([math.sqrt(w) * torch.sinc(near[:, None] - at + x) for x, w in zip(nodes, weights, strict=True)])
    h = torch.einsum("ayj,bxi,...ji->...aybx", sinc.to(amplitudes), sinc.to(amplitudes), amplitudes)
    return h.square().sum((-4, -2))


def _nodes(display: InputConfig) -> tuple[list[float], list[float]]:
    """Places along the side of a pixel that shines, in pixels, and their weights in a mean."""
    side = math.sqrt(display.fill_factor) if display.pixel == "square" else 0.0
    places, weights = np.polynomial.legendre.leggauss(NODES if side else 1)
    return (places * side / 2).tolist(), (weights / 2).tolist()


def ideal_halves(kernels: Tensor, bench: FourF) -> Tensor:
    """What ideal masks make of signed kernels (K, k, k): two halves (2, K, 2 ny - 1, 2 nx - 1) that differ by them.

    The masks are complex and passive, on the bench as it is; what passivity took, and the light of the panel beyond one
    band, are known and divided out. All displacements that an image can use, float64, never negative.
    """
    config, points, out = bench.config, _of_points(bench), []
    band = (bench.wavelength * config.lens1.focal_length / config.input.pitch) ** 2
    window = bench.fourier_grid.cell * math.prod(bench.fourier_grid.shape)
    for pair in taps(kernels, bench).unbind(1):
        exact = transfer(pair, points)
        peak = exact.abs().max()
        out.append(_power(exact / peak, np.zeros((1, 2), int), bench)[:, 0] * peak.square() * (window / band))
    return torch.stack(out, 1)


def power_kernels(masks: MaskSet, rows: Sequence[int], bench: FourF) -> Tensor:
    """What the panel makes of some rows of a kernel table, float64 (K, 2 ny - 1, 2 nx - 1); never negative.

    As `fouroptics.bench.response.incoherent_kernel`, with one transform for all windows of a frame.
    """
    frames, tiles = masks.kernels.mask[list(rows)], masks.kernels.tile[list(rows)]
    out = torch.empty(len(frames), *(2 * n - 1 for n in bench.config.input.shape), dtype=torch.float64)
    for frame in np.unique(frames):
        mine = np.flatnonzero(frames == frame)
        out[mine] = _power(PanelFrames(masks.gray[frame : frame + 1], masks.slm), tiles[mine], bench)[0]
    return out


def _power(masks: Tensor | PanelFrames, tiles: NDArray[Any], bench: FourF) -> Tensor:
    """Kernels (M, T, 2 ny - 1, 2 nx - 1) of masks in windows whose centres are `tiles` (T, 2) in image pixels.

    ``p^2 / A`` times the mean of ``|h|^2`` over a pixel, ``h`` the response to a point that lights the panel's window
    of area A evenly.
    """
    config, pitch, size = bench.config, bench.config.input.pitch, np.array(bench.config.input.shape)
    if not bench.is_shift_invariant:
        raise FourOpticsError(
            "incoherent light is computed from the kernels of a shift-invariant bench: put its parts in place, or take "
            "coherent light"
        )
    low, pose = tiles.min(0), np.array([config.poses.camera.y, config.poses.camera.x]) / config.magnification
    shape = tiles.max(0) - low + 2 * size - 1
    middle = (low - size + 1 + shape // 2) * pitch + pose
    far = float((np.abs(tiles) + size // 2).max() * pitch)
    scale, total = bench.wavelength * config.lens1.focal_length, torch.zeros((), dtype=torch.float64)
    nodes, weights = _nodes(config.input)
    for (i, y), (j, x) in itertools.product(enumerate(nodes), repeat=2):
        box = Grid((int(shape[0]), int(shape[1])), (pitch, pitch), (middle[0] + y * pitch, middle[1] + x * pitch))
        parts = shown(config, bench.slm, masks, torch.complex128, far)
        h = reduce(torch.add, (fourier(light, plane, box, scale) for plane, light in parts))
        total = total + readout.intensity(h) * (weights[i] * weights[j])
    area = math.prod(bench.fourier_grid.shape) * bench.fourier_grid.cell
    total = total * (bench.fourier_grid.cell / scale * pitch) ** 2 / area
    corners = (tiles - low).tolist()
    return torch.stack([total[:, y : y + 2 * size[0] - 1, x : x + 2 * size[1] - 1] for y, x in corners], 1)


def split_masks(kernels: Tensor, bench: FourF, **options: Any) -> MaskSet:
    """Compile signed kernels into two frames for incoherent light: all positive halves, then all negative ones.

    Parameters
    ----------
    kernels : Tensor
        (out, 1, k, k), real, torch cross-correlation order.
    bench : FourF
        With incoherent light.
    **options
        Of `fouroptics.masks.compiler.from_kernels`, but for the layout.

    Returns
    -------
    MaskSet
        Two rows a kernel with the signs +1 and -1: `weight` is that half of the kernel, the other figures are of its
        amplitude response.

    Raises
    ------
    FourOpticsError
        If the light is coherent, or as `from_kernels`.
    """
    if bench.config.light.coherence != "incoherent":
        raise FourOpticsError(
            "light.coherence = 'coherent': halves of kernels are for light that adds intensities; set it to "
            "'incoherent', or compile with from_kernels"
        )
    if kernels.ndim != 4 or kernels.shape[1] != 1 or kernels.is_complex():
        raise FourOpticsError(f"kernels {tuple(kernels.shape)}, {kernels.dtype}: give real kernels (out, 1, k, k)")
    provenance = options.pop("provenance", {}) | {"bench": bench.to_toml()}
    halves = taps(kernels[:, 0], bench).flatten(0, 1)[:, None]
    masks = from_kernels(halves, _of_points(bench), layout=tiled_pairs, provenance=provenance, **options)
    count = len(kernels)
    signed = torch.cat([kernels[:, 0], -kernels[:, 0]]).clamp_min(0).double().cpu()
    columns = {item.name: getattr(masks.kernels, item.name) for item in fields(KernelTable)}
    columns |= {
        "out_channel": np.tile(np.arange(count, dtype=np.int32), 2),
        "sign": np.repeat(np.array([1, -1], np.int8), count),
        "pair": np.roll(np.arange(2 * count, dtype=np.int32), count),
        "weight": signed.numpy(),
    }
    about = {name: dict(part) for name, part in masks.instrument.items()}
    about["optics"]["coherence"] = "incoherent"
    about["detector"]["readout"] = "split"
    return replace(masks, kernels=KernelTable(**columns), instrument=about)


def tiled_pairs(count: int, size: int, bench: FourF) -> Layout:
    """Two frames with their windows in the same places: the first half of the kernels, then the second."""
    half = tiled(count // 2, size, bench)
    return Layout(half.mask + tuple(mask + 1 for mask in half.mask), half.tiles * 2)


def _of_points(bench: FourF) -> FourF:
    """The bench with a laser and a display of points: its kernel is the response h at the centres of the pixels."""
    config = bench.config
    parts = {
        "light": config.light.model_copy(update={"coherence": "coherent"}),
        "input": config.input.model_copy(update={"pixel": "point"}),
        "readout": config.readout.model_copy(update={"kind": "intensity"}),
    }
    return FourF(config.model_copy(update=parts))


def main(
    run: Annotated[Path, typer.Argument(help="A run folder with kernels.npz.")],
    bench_file: Annotated[Path, typer.Argument(metavar="BENCH", help="The bench file, of incoherent light.")],
    light: Annotated[float, typer.Option(help="Fraction of the light on the panel for the taps.")] = 0.08,
    seed: Annotated[int, typer.Option(min=0, help="Of the random start.")] = 0,
) -> None:
    """Compile the kernels of a run into RUN/masks.h5, two frames for the readout "split"."""
    try:
        kernels = torch.from_numpy(read_kernels(run / "kernels.npz"))
        masks = split_masks(kernels, FourF.from_toml(bench_file), light=light, seed=seed)
        bundle.save(run / "masks.h5", masks)
    except (FourOpticsError, OSError) as error:
        raise SystemExit(f"error: {error}") from None
    print(masks.report())


if __name__ == "__main__":
    typer.run(main)
