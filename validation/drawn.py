"""Cases drawn at random, for what has to hold for all of them."""

import math
from collections.abc import Callable, Iterable
from functools import partial

import numpy as np
import torch

import fouroptics as fo
from fouroptics.units import nm, show, um
from validation.case import DOUBLE, SINGLE, Setting
from validation.sent import Box, Wave, beam, binary, covered, cut_beam, many, samples, send, shadow


def drawn(seed: int, count: int) -> Iterable[Setting]:
    """Beams, speckle and openings of random size, place, pitch, wavelength and distance."""
    rng = np.random.default_rng(seed)
    while count:
        d, n = math.exp(rng.uniform(math.log(2), math.log(20))) * um, int(rng.integers(64, 200))
        wavelength = float(rng.choice([405, 532, 633, 1064])) * nm
        z = float(n * d**2 / wavelength * 10 ** rng.uniform(-1.3, 1.7))
        grid, onto = fo.Grid((n, n), d), None
        if rng.random() < 0.4:
            m, coarser, aside = int(rng.integers(20, 150)), math.exp(rng.uniform(-1, 1.5)), rng.uniform(-0.5, 0.5, 2)
            place = float(aside[0] * n * d), float(aside[1] * n * d)
            onto = fo.Grid((m, m), d if rng.random() < 0.4 else d * coarser, place)
        asked = {[DOUBLE, SINGLE][int(rng.integers(2))]: float(rng.choice([1e-2, 1e-3, 1e-6]))}
        kind = str(rng.choice(["beam", "beam", "speckle", "covered", "covered", "binary", "cut"]))
        reach = min(n * d / z, wavelength / (2 * d))
        if kind in ("beam", "speckle") or reach**4 * z / wavelength < 0.02:  # the others are paraxial
            count -= 1
            size = n * d * math.exp(rng.uniform(math.log((3 if kind == "beam" else 8) / n), math.log(0.8)))
            wave, data = _one(kind, rng, grid, size, z, wavelength)
            label = f"{kind} of {size / d:.3g} in {grid}, {show(wavelength, 'length')}" + (
                f", onto {onto}" if onto else ""
            )
            yield send(label, wave, z, grid, onto, asked, data=data, wavelength=wavelength)


def _one(
    kind: str, rng: np.random.Generator, grid: fo.Grid, size: float, z: float, wavelength: float
) -> tuple[Wave, Callable[[], torch.Tensor] | None]:
    """Something of a size, somewhere in a grid."""
    d, side = grid.spacing[0], grid.extent[0]
    y, x = (float(c) for c in rng.uniform(-0.3, 0.3, 2) * (side - size))
    if kind == "beam":
        sines = rng.uniform(-0.4, 0.4, 2) * wavelength / (2 * d)
        start = float(rng.choice([0, 0, 1, -1]) * rng.uniform(0, 1.5) * z)
        walk = start / math.sqrt(1 - sines @ sines) * sines  # it crosses z = 0 there
        tilt = float(sines[0]), float(sines[1])
        return beam(max(size / 2.4, 3 * wavelength), start, tilt, (y - walk[0], x - walk[1]), wavelength), None
    if kind == "speckle":
        return many(30, max(size / 4, 5 * d), 0.2 * wavelength / d, side / 6, int(rng.integers(99)), wavelength), None
    if kind == "cut":
        whole, part = beam(side / 5, wavelength=wavelength), fo.shapes.edge(grid, 0.0, (0.0, x))
        wave = cut_beam(side / 5, (-1.0, 1.0, x, 1.0), wavelength)
        return wave, lambda: samples(whole, grid, 0.0) * part
    boxes: list[Box] = [(y - size / 2, y + size / 2, x - size / 3, x + size / 3)]
    return shadow(boxes, wavelength), partial(covered if kind == "covered" else binary, boxes, grid)
