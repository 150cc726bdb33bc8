"""
A 4f bench out of alignment
===========================

An edge detector in the Fourier plane, and then one part after the other is off its place: the panel is shifted, turned
and tilted, the camera is out of focus. The bench is computed by both of its models, and the last picture shows how far
apart they are.
"""

import copy
import math

import matplotlib.pyplot as plt
import numpy as np
import torch

import fouroptics as fo
from fouroptics.units import mm, um

# %%
# A bench as its file would hold it. One band of the display is 500 panel pixels, and the iris passes as many.
LASER = 633e-9
PLAIN = {
    "light": {"wavelength": "633 nm"},
    "input": {"shape": [48, 48], "pitch": "31.65 um", "pixel": "point"},
    "lens1": {"focal_length": "200 mm"},
    "panel": {"shape": [1080, 1920], "pitch": "8 um", "iris": [500, 500]},
    "lens2": {"focal_length": "200 mm"},
}


def bench(changes: dict, model: str = "fourier") -> fo.FourF:
    """The bench with some keys changed."""
    data = copy.deepcopy(PLAIN) | {"model": model}
    for key, value in changes.items():
        data[key] = data.get(key, {}) | value
    return fo.FourF(data)


# %%
# The kernel is a Laplacian, which sees edges alone. Its transfer function is the sum of one wave a tap, sampled where
# the pixels of the panel lie in the aligned bench, and divided by its largest value: a mask is passive. The image is a
# star, a little blurred, so that its light keeps to the inner half of the band.
aligned = bench({})
period = LASER * 0.2 / (31.65 * um)  # width of a band on the panel
y, x = (2 * math.pi * torch.from_numpy(axis) / period for axis in aligned.fourier_grid.coordinates())
mask = (4 - 2 * torch.cos(y)[:, None] - 2 * torch.cos(x)).to(torch.complex128) / 8
star = fo.shapes.star(aligned.input_grid, 8, 0.65 * mm)
blur = torch.exp(-(torch.arange(-3.0, 4.0, dtype=torch.float64) ** 2) / 2)
star = torch.conv2d(star[None, None], (blur[:, None] * blur / blur.sum() ** 2)[None, None], padding=3)[0, 0]
fine = fo.Grid((144, 144), 31.65 * um / 3).inverted()  # nine points for each pixel of the image

# %%
# Flipping both axes of what the camera sees makes it upright. A panel that is shifted by 1/16 of the band gives each
# tap a phase, so the sum of the taps is no longer 0 and bright areas shine through. Turned, it turns the taps, which a
# Laplacian hardly shows. Tilted, it is narrower, and its sides leave the focus of the lenses. Below is what changed.
CASES = {
    "aligned": {},
    "panel x = 250 um": {"panel": {"x": "250 um"}},
    "panel turned 0.15 rad": {"panel": {"rotation": "150 mrad"}},
    "panel tilted 0.4 rad": {"panel": {"tilt": "400 mrad"}},
    "camera z = 4 mm": {"camera": {"z": "4 mm"}},
}


def picture(poses: dict, model: str) -> torch.Tensor:
    """Field on the camera, upright."""
    return bench({"poses": poses}, model)(star, mask, fine).data.flip((-2, -1))


def miss(a: torch.Tensor, b: torch.Tensor) -> float:
    """Relative L2 distance of two fields, the global phase removed."""
    b = b * torch.exp(-1j * (a.conj() * b).sum().angle())
    return float((a - b).norm() / a.norm())


ideal = {name: picture(poses, "fourier") for name, poses in CASES.items()}
good = ideal["aligned"]
figure, axes = plt.subplots(2, 5, figsize=(11, 4.6), layout="constrained")
top = float(good.abs().max())
for (above, below), (name, field) in zip(axes.T, ideal.items(), strict=True):
    seen = above.imshow(field.abs() / top, origin="lower", cmap="gray", vmin=0, vmax=1)
    below.imshow((field - good).abs() / top, origin="lower", cmap="inferno", vmin=0, vmax=1)
    above.set_title(name, fontsize="medium")
    below.set_xlabel("" if name == "aligned" else f"{miss(good, field):.0%} off")
    for ax in (above, below):
        ax.set(xticks=[], yticks=[])
axes[0, 0].set_ylabel("amplitude")
axes[1, 0].set_ylabel("change")
figure.colorbar(seen, ax=axes, shrink=0.8, label="of the brightest edge")

# %%
# The Fourier model takes each lens as a transform and each pose into its integral. The wave model sends the light
# through free space and thin lenses that stand there. They are two derivations, and agree.
both = {name: miss(ideal[name], picture(poses, "wave")) for name, poses in CASES.items()}
for name, difference in both.items():
    print(f"{name:22} the models differ by {difference:.1e}")

# %%
# What they differ by is the quartic phase of free space, which an ideal lens has not: ``q = pi r^4 / (4 lambda f^3)``
# an arm at the edge r of the panel's window. A bright point fills the window evenly, and passes two arms: over a square
# the sum of both has a standard deviation of 1.35 q. It grows with the fourth power of the window.
halves = np.array([0.6, 0.8, 1.2, 1.6, 2.4, 3.2]) * mm
focals = {"100 mm": 0.1, "200 mm": 0.2}


def criterion(half: np.ndarray | float, f: float) -> np.ndarray | float:
    """Quartic phase of an arm at the edge of the window, in rad."""
    return math.pi * half**4 / (4 * LASER * f**3)


def apart(half: float, focal: str) -> float:
    """Distance of the two models for the image of a point behind an open window of that half width."""
    size = round(2 * half / (8 * um))
    lens = {"focal_length": focal}
    parts = {"input": {"shape": [3, 3]}, "panel": {"shape": [size, size], "iris": [size, size]}}
    point = torch.zeros(3, 3, dtype=torch.float64)
    point[1, 1] = 1
    onto = fo.Grid((65, 65), LASER * focals[focal] / (8 * half))  # an eighth of the width of the spot
    fields = []
    for model in ("fourier", "wave"):
        there = bench(parts | {"lens1": lens, "lens2": lens}, model)
        open_window = torch.ones(there.fourier_grid.shape, dtype=torch.complex128)
        fields.append(there(point, open_window, onto).data)
    return miss(*fields)


differences = {focal: np.array([apart(half, focal) for half in halves]) for focal in focals}
figure, ax = plt.subplots(figsize=(6.4, 4), layout="constrained")
for colour, (focal, f) in zip(("tab:blue", "tab:orange"), focals.items(), strict=True):
    ax.loglog(halves / mm, differences[focal], "o", color=colour, label=f"f = {focal}, the two models")
    ax.loglog(halves / mm, 1.35 * criterion(halves, f), color=colour, lw=1, label=r"$1.35\,\pi r^4 / (4 \lambda f^3)$")
    limit = (5e-3 / criterion(1.0, f)) ** 0.25
    ax.axvline(limit / mm, color=colour, lw=0.8, ls=":")
    ax.annotate("q = 5 mrad", (limit / mm, 2.2e-5), color=colour, rotation=90, ha="right", fontsize="small")
ax.axhline(1e-3, color="grey", lw=0.8, ls="--")
ax.annotate("1e-3", (0.6, 1.1e-3), color="grey")
ax.set(xlabel="half width r of the window (mm)", ylabel="relative L2 difference of the fields")
ax.set_xticks(halves / mm, [f"{half / mm:.1f}" for half in halves])
ax.minorticks_off()
ax.legend(frameon=False, fontsize="small")

# %%
# Below the criterion of 5 mrad, of which an image uses a part, the models agree to 1e-3, in line or out of it. Beyond,
# they differ by the quartic and by nothing else.
slopes = {focal: np.polyfit(np.log(halves), np.log(found), 1)[0] for focal, found in differences.items()}
print("slopes", {focal: round(slope, 3) for focal, slope in slopes.items()})
assert criterion(250 * 8 * um, 0.2) < 5e-3
assert max(both.values()) < 1e-3
for focal, f in focals.items():
    small = criterion(halves, f) < 0.2
    np.testing.assert_allclose(differences[focal][small], 1.35 * criterion(halves[small], f), rtol=0.2)
    assert abs(slopes[focal] - 4) < 0.1
