"""What a bench makes of masks: the response of each kernel, and the row of the table that says how good it is."""

import warnings
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fouroptics.bench import budget
from fouroptics.bench.fourf import FourF
from fouroptics.bench.geometry import Place
from fouroptics.bench.shown import PanelFrames, PanelMasks
from fouroptics.errors import SamplingWarning
from fouroptics.masks.layout import Layout
from fouroptics.masks.maskset import KernelTable, MaskSet
from fouroptics.masks.signs import Rows
from fouroptics.masks.targets import windows


def responses(masks: PanelMasks, mask: Sequence[int], tiles: Sequence[Place], bench: FourF) -> Tensor:
    """Response of K kernels, each in its own mask at its own displacement, complex128 (K, 2 ny - 1, 2 nx - 1)."""
    rows: list[Tensor] = [torch.empty(0)] * len(mask)
    for frame in set(mask):
        mine = [row for row, index in enumerate(mask) if index == frame]
        shown = PanelFrames(masks.gray[frame : frame + 1], masks.slm)
        for row, response in zip(mine, bench.kernel(shown, [tiles[row] for row in mine])[0], strict=True):
            rows[row] = response
    return torch.stack(rows)


def placed(masks: MaskSet) -> Layout:
    """Layout that a kernel table holds."""
    table = masks.kernels
    pairs = [
        () if column is None else tuple((int(y), int(x)) for y, x in column) for column in (table.tile, table.place)
    ]
    light = () if table.wavelength is None else tuple(table.wavelength.tolist())
    picture = masks.instrument.get("optics", {}).get("picture_shape")
    return Layout(tuple(table.mask.tolist()), pairs[0], pairs[1], light, picture and (picture[0], picture[1]))


def with_report(masks: MaskSet, bench: FourF) -> MaskSet:
    """Return the masks with their report on another bench, such as one that is misaligned."""
    t = masks.kernels
    bias = [0.0] * len(t) if t.bias is None else t.bias.tolist()
    channels = int(t.in_channel.max()) + 1
    weight = torch.from_numpy(t.weight.copy()).unflatten(0, (-1, channels))
    pair = np.where(t.pair < 0, -1, t.pair // channels)
    out, sign, half = (column[::channels].tolist() for column in (t.out_channel, t.sign, pair))
    rows = Rows(weight, out, sign, half, bias[::channels])
    return replace(masks, kernels=table(rows, placed(masks), bench, masks))


def taps(masks: MaskSet, bench: FourF) -> tuple[np.ndarray, np.ndarray]:
    """Kernels (K, k, k) that are wanted, and what a bench makes of them at the scale of the table, complex."""
    t, h = masks.kernels, _seen(masks, placed(masks), bench)[0].numpy()
    k = t.weight.shape[-1]
    y, x = ((n - 1) // 2 - k // 2 for n in h.shape[1:])
    return t.weight, h[:, y : y + k, x : x + k] * t.scale[:, None, None]


def lit(bench: FourF, wavelength: float) -> FourF:
    """The bench in the light of one line."""
    return bench if wavelength == bench.wavelength else FourF(bench.config.at(wavelength))


def photons_of_lines(bench: FourF) -> list[tuple[float, FourF]]:
    """Photons of each line over those of the light of the bench, and the bench in its light."""
    return [(share * line.wavelength / bench.wavelength, line) for share, line in bench.lines]


def table(rows: Rows, plan: Layout, bench: FourF, masks: PanelMasks) -> KernelTable:
    """One row a kernel, from the taps that are wanted and what the bench makes of the masks.

    Parameters
    ----------
    rows : Rows
        Kernels (R, C, k, k): R times C rows of the table, the channels of an output one after the other.
    plan : Layout
        Where they lie.
    bench : FourF
        The bench.
    masks : PanelMasks
        Levels as they are sent.
    """
    weights, channels = rows.weight.flatten(0, 1), rows.weight.shape[1]
    shape = plan.shape or bench.config.input.shape
    h, zero, whole = _seen(masks, plan, bench)
    h = _middle(h, (2 * shape[0] - 1, 2 * shape[1] - 1))
    photons = [part for part, _ in photons_of_lines(bench)] if plan.wavelengths else [1.0] * channels
    roots = torch.tensor(photons, dtype=torch.float64).sqrt()
    columns = _figures(weights, h, roots) | {"zero_order": (zero / whole).numpy()}
    columns["efficiency"] = columns["efficiency"] / whole.numpy()
    line_column = {"wavelength": np.array(plan.wavelengths)} if plan.wavelengths else {}
    place_column = {"place": np.array(plan.places, np.int32)} if plan.places else {}
    bias_column = {"bias": np.repeat(rows.bias, channels)} if any(rows.bias) else {}
    return KernelTable(
        mask=np.array(plan.mask, np.int32),
        out_channel=np.repeat(np.array(rows.out_channel, np.int32), channels),
        in_channel=np.tile(np.arange(channels, dtype=np.int32), len(rows.weight)),
        sign=np.repeat(np.array(rows.sign, np.int8), channels),
        pair=_pairs(rows.pair, channels),
        tile=np.array(plan.tiles, np.int32),
        carrier=np.array(plan.centres, float) / bench.config.band,
        weight=weights.numpy(),
        photons=_photons(columns["efficiency"], bench),
        crop=_crop(plan.tiles, shape, bench),
        **columns, **place_column, **line_column, **bias_column,
    )  # fmt: skip


def _seen(masks: PanelMasks, plan: Layout, bench: FourF) -> tuple[Tensor, Tensor, Tensor]:
    """Response of each kernel, light that its mask leaves undiffracted, and all light on the band, per input pixel."""
    light = plan.wavelengths or (bench.wavelength,) * len(plan.mask)
    h: list[Tensor] = [torch.empty(0)] * len(light)
    zero, whole = (torch.zeros(len(light), dtype=torch.float64) for _ in range(2))
    for line in dict.fromkeys(light):
        mine = [i for i, each in enumerate(light) if each == line]
        place = lit(bench, line)
        for frame in sorted({plan.mask[i] for i in mine}):
            here = [i for i in mine if plan.mask[i] == frame]
            shown = PanelFrames(masks.gray[frame : frame + 1], masks.slm)
            *seen, dark = place.kernel(shown, [*(plan.centres[i] for i in here), (0, 0)])[0]
            for i, response in zip(here, seen, strict=True):
                h[i], zero[i] = response, dark[dark.shape[0] // 2, dark.shape[1] // 2].abs().square()
        whole[mine] = place.pixel_spectrum().square().sum() / place.config.band**2
    return torch.stack(h), zero, whole


def _middle(response: Tensor, size: Sequence[int]) -> Tensor:
    """Middle of windows (K, 2 ny - 1, 2 nx - 1) of the display, for pictures that are smaller."""
    top, left = ((n - m) // 2 for n, m in zip(response.shape[-2:], size, strict=True))
    return response[:, top : top + size[0], left : left + size[1]]


def _figures(weights: Tensor, h: Tensor, roots: Tensor) -> dict[str, np.ndarray]:
    """How close responses h (K, wy, wx) come to kernels (K, k, k) at the best scale; the light is that on the band.

    An output has one scale for its C channels, times the `roots` (C) of the photons of their lines.
    """
    target = windows(weights, ((h.shape[1] + 1) // 2, (h.shape[2] + 1) // 2)).to(torch.complex128)
    norm_w, norm_h = (part.abs().square().sum((1, 2)) for part in (target, h))
    inner = (h.conj() * target).sum((1, 2))
    by_output = inner.real.unflatten(0, (-1, len(roots))), norm_h.unflatten(0, (-1, len(roots)))
    best = (by_output[0] * roots).sum(1) / (by_output[1] * roots**2).sum(1)
    scale = (best[:, None] * roots).flatten()
    miss = (h * scale[:, None, None] - target).abs()
    taps = (h * (target != 0)).abs().square().sum((1, 2))
    parts = {
        "scale": scale,
        "efficiency": taps,
        "error": (miss.square().sum((1, 2)) / norm_w).sqrt(),
        "correlation": inner.abs() / (norm_w * norm_h).sqrt(),
        "psf_error": miss.amax((1, 2)) / target.abs().amax((1, 2)),
        "crosstalk": (norm_h - taps).clamp_min(0) / taps,
    }
    return {name: part.numpy() for name, part in parts.items()}


def _pairs(pair: list[int], channels: int) -> np.ndarray:
    halves = np.repeat(np.array(pair, np.int32), channels)
    return np.where(halves < 0, -1, halves * channels + np.tile(np.arange(channels), len(pair))).astype(np.int32)


def _photons(efficiency: np.ndarray, bench: FourF) -> np.ndarray:
    """Photons on a read pixel for a white image; an automatic exposure is that of the mean kernel."""
    seconds = budget.exposure(bench.config, float(efficiency.mean()))
    return np.array([budget.photon_rate(bench.config, share) * seconds for share in efficiency.tolist()])


def _crop(tiles: Sequence[Place], shape: tuple[int, int], bench: FourF) -> np.ndarray:
    """Camera pixels (first row, end row, first column, end column) that the picture of each window covers."""
    ends = []
    for axis in (0, 1):
        sensor, unit = bench.camera_grid, bench.image_grid.spacing[axis]
        first = sensor.coordinates()[axis][0] - sensor.spacing[axis] / 2
        whole = bench.config.input.shape[axis]  # an inverted picture of even size has its middle half a pixel on
        axis_at = bench.image_grid.center[axis] - (1 - whole % 2) * unit
        middle = axis_at + (1 - shape[axis] % 2) * unit / 2
        edges = [middle + (tile[axis] + half * shape[axis] / 2) * unit for tile in tiles for half in (-1, 1)]
        pixels = np.rint((np.array(edges) - first) / sensor.spacing[axis]).astype(np.int32)
        ends.append(np.clip(pixels, 0, sensor.shape[axis]).reshape(-1, 2))
    return np.concatenate(ends, 1)


def warn_if_foreign(masks: MaskSet, bench: FourF) -> None:
    """Warn if the masks were compiled for another wavelength, focal length or input than those of the bench."""
    mine, theirs = instrument(bench), masks.instrument
    for group, key in (
        ("beam", "incident_wavelength"),
        ("optics", "f1"),
        ("optics", "input_pitch"),
        ("optics", "input_shape"),
    ):
        made, here = theirs.get(group, {}).get(key), mine[group][key]
        if made is not None and made != here:
            warnings.warn(
                f"the masks were compiled for {key} = {made}, the bench has {here}: the response is another one; "
                "compile them for this bench, or take the one they were made for",
                SamplingWarning,
                stacklevel=3,
            )
            return


def instrument(bench: FourF, plan: Layout | None = None) -> dict[str, Any]:
    """The bench as the mask file describes it, with the pictures of a layout that puts several on the display."""
    config = bench.config
    picture = {} if plan is None or plan.shape is None else {"picture_shape": list(plan.shape)}
    radius = {} if config.light.beam_radius is None else {"beam_waist": config.light.beam_radius}
    return {
        "beam": {"incident_wavelength": config.light.wavelength, **radius},
        "optics": {
            "f1": config.lens1.focal_length,
            "f2": config.lens2.focal_length,
            "input_pitch": config.input.pitch,
            "input_shape": list(config.input.shape),
            "coherence": "coherent",
            "magnification": -bench.config.magnification,
            **picture,
        },
        "detector": {
            "model": config.camera.name,
            "x_pixel_size": config.camera.pitch,
            "y_pixel_size": config.camera.pitch,
            "flipped_xy": True,
            "readout": config.readout.kind,
        },
    }
