"""
How far off will it be?
=======================

`plan` looks at a field, chooses how to propagate it and says how large the error will be, what makes it and what would
help. Here it is asked about three fields over three decades of distance, and its answers are held against closed forms.
"""

import math
import warnings

import matplotlib.pyplot as plt
import numpy as np
import torch
from scipy.special import fresnel

import fouroptics as fo
from fouroptics.units import mm, nm, um

# %%
# A Gaussian beam is known at any distance. This one is wider than the grid: what its samples leave out beyond the grid
# is missing in every plane behind it.
grid, wavelength = fo.Grid((256, 256), 8 * um), 532 * nm


def beam(waist, z):
    return fo.gaussian_beam(grid, wavelength, waist=waist, z=z, dtype=torch.complex128).data


# %%
# Behind a square opening the field is a product of Fresnel integrals. Its edges lie 0.3 of a cell off the borders
# between samples, and each sample on an edge carries the part of its cell that is open. The same opening as 0 and 1
# says less: nobody can tell from such samples where in a cell the edge is.
side, middle = 0.992 * mm, 2.4 * um


def behind_square(z):
    def line(axis):
        scale = math.sqrt(2 / (wavelength * z))
        (s0, c0), (s1, c1) = (fresnel(scale * (middle + end - axis)) for end in (-side / 2, side / 2))
        return ((c1 - c0) + 1j * (s1 - s0)) * np.exp(-0.25j * np.pi) / math.sqrt(2)

    y, x = grid.coordinates()
    return torch.from_numpy(np.outer(line(y), line(x)) * np.exp(2j * np.pi * (z / wavelength % 1)))


covered = fo.shapes.rectangle(grid, (side, side), (middle, middle))
fields = {
    "beam wider than the grid": (beam(0.7 * mm, 0.0), lambda z: beam(0.7 * mm, z)),
    "square, covered parts of cells": (covered, behind_square),
    "square of 0 and 1": ((covered > 0.5).double(), behind_square),
}

# %%
# A plan that does not keep to the tolerance still runs, with a warning: its reason.
asked = 1e-3
u = fo.Field(fields["square of 0 and 1"][0], grid, wavelength)
plan = fo.plan(u, 0.1, tolerance=asked)
print(plan.reason)
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    plan(u)
assert str(caught[0].message) == plan.reason

# %%
# Estimates are lines, true errors are marks.
distances = np.geomspace(5 * mm, 3.0, 29)
figure, ax = plt.subplots(figsize=(7.5, 4.8), layout="constrained")
ratios = []
warnings.simplefilter("ignore", fo.SamplingWarning)
for color, (name, (data, exact)) in zip(("C0", "C1", "0.4"), fields.items(), strict=True):
    u = fo.Field(data.to(torch.complex128), grid, wavelength)
    plans = [fo.plan(u, float(z), tolerance=asked) for z in distances]
    true = [
        float((p(u).data - exact(float(z))).norm() / exact(float(z)).norm())
        for p, z in zip(plans, distances, strict=True)
    ]
    ratios += [p.error / error for p, error in zip(plans, true, strict=True)]
    ax.plot(distances / mm, [p.error for p in plans], color=color, label=name)
    ax.plot(distances / mm, true, "o", color=color, ms=4.5)
ax.axhline(asked, color="grey", lw=0.8, ls="--")
ax.text(distances[-1] / mm, asked * 1.15, "asked for", color="grey", ha="right", fontsize="small")
ax.set(xscale="log", yscale="log", xlabel="distance (mm)", ylabel="relative L2 error", ylim=(1e-5, 10))
ax.legend(title="line: estimated, marks: true", fontsize="small", ncols=3, loc="upper center")

# %%
# Never less than a third of the true error; more where the samples leave it open.
print(f"estimated / true: {min(ratios):.2g} to {max(ratios):.2g}, median {np.median(ratios):.2g}")
assert min(ratios) > 1 / 3
assert np.median(ratios) < 3
