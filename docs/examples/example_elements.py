"""
A lens that is not where it should be
=====================================

One lens images a small bright disk, two focal lengths before it to two behind it. Then the lens is decentred, then
tilted. The pictures show the light along the bench, and the ledger where its power goes.
"""

import math

import matplotlib.pyplot as plt
import numpy as np
import torch

import fouroptics as fo
from fouroptics.bench.elements import Grating
from fouroptics.bench.nuisances import WindowFringes
from fouroptics.bench.pose import Pose
from fouroptics.units import mm, mrad, nm, um

# %%
# A waist of 60 um, a lens of 50 mm, and the image one to one. The aperture is wide enough for the beam.
wavelength, f = 633 * nm, 50 * mm
grid = fo.Grid((256, 256), 10 * um)
u = fo.gaussian_beam(grid, wavelength, waist=60 * um, power=1e-3, dtype=torch.complex128)


def relay(pose: Pose) -> fo.Bench:
    """Object, lens at a pose, image."""
    return fo.Bench([fo.FreeSpace(2 * f), fo.Lens(f, 2.2 * mm, pose=pose), fo.FreeSpace(2 * f)])


# %%
# Decentred by 150 um in x, the lens moves an image of magnification -1 by twice that: only the x-z section shows it.
# Both pictures are summed across, so that none misses the light.
moved = relay(Pose(x=150 * um))
planes = np.linspace(0, 4 * f, 161).tolist()
across = np.linspace(-0.8 * mm, 0.8 * mm, 321)
figure, axes = plt.subplots(2, 1, figsize=(7, 6), layout="constrained", sharex=True)
for ax, name in zip(axes, ("yz", "xz"), strict=True):
    light = moved.section(u, planes, across, x=None, axis=name)
    fo.plot.section(light, ax, marks=[(2 * f, "lens" if name == "yz" else "")], decades=3)
axes[0].set_xlabel("")
axes[1].axhline(0.3, color="tab:cyan", lw=0.8, ls="--")
axes[1].annotate("$2 d$", (2, 0.34), color="tab:cyan")


def middle(field: fo.Field) -> float:
    """Centre of gravity along x, in metres."""
    x = torch.from_numpy(field.grid.coordinates()[1])
    return float((field.intensity.sum(0) * x).sum() / field.intensity.sum())


# %%
# Tilted by 300 mrad about the y axis the lens is astigmatic: its focal length is ``f cos^2`` along x and f along y.
# The width of the light around the image, along both axes, has its smallest values at two places.
tilt = 300 * mrad
behind = relay(Pose(tilt_y=tilt)).at("lens1", u)
ways = np.linspace(70 * mm, 125 * mm, 45)
onto = fo.Grid((160, 160), 5 * um)


def widths(field: fo.Field) -> list[float]:
    """Twice the RMS of the intensity along y and x, in um."""
    y, x = (torch.from_numpy(axis) for axis in field.grid.coordinates())
    rows, columns = field.intensity.sum(1), field.intensity.sum(0)
    return [2e6 * math.sqrt(float((line * axis**2).sum() / line.sum())) for line, axis in ((rows, y), (columns, x))]


seen = np.array([widths(fo.propagate(behind, way, onto)) for way in ways])
rayleigh = math.pi * (60 * um) ** 2 / wavelength


def gaussian(focal_length: float) -> np.ndarray:
    """Width of the Gaussian beam behind a lens, by its complex radius of curvature, in um."""
    q = complex(2 * f, rayleigh)
    q = 1 / (1 / q - 1 / focal_length)
    return 1e6 * np.sqrt(-wavelength / (math.pi * np.imag(1 / (q + ways))))


textbook = np.stack([gaussian(f), gaussian(f * math.cos(tilt) ** 2)], axis=1)
figure, ax = plt.subplots(figsize=(6, 3.4), layout="constrained")
for i, (name, colour) in enumerate((("y: $f$", "tab:blue"), (r"x: $f \cos^2\theta$", "tab:orange"))):
    ax.plot(1e3 * ways, textbook[:, i], color=colour, lw=1, label=f"along {name}, closed form")
    ax.plot(1e3 * ways, seen[:, i], "o", color=colour, ms=3)
ax.set(xlabel="behind the lens (mm)", ylabel="1/e$^2$ radius (um)", ylim=(0, None))
ax.legend(frameon=False)

# %%
# A bench with more in it, and where its milliwatt goes: a window with fringes, a binary grating, the lens with a hole
# that is too small, a camera that is too small.
camera = fo.Grid((101, 101), 5 * um)
bench = fo.Bench(
    [
        ("window", WindowFringes(0.04, (0.0, 2e3))),
        ("grating", Grating(100 * um, "binary")),
        ("space", fo.FreeSpace(2 * f)),
        ("lens", fo.Lens(f, 0.6 * mm)),
        ("camera", fo.FreeSpace(2 * f, camera)),
    ]
)
ledger = bench.ledger(u)
print(ledger)

# %%
# The decentre by twice its size, the astigmatism to a per cent of the closed form, and every watt accounted for.
shift = middle(moved(u))
worst = np.abs(seen / textbook - 1).max()
print(f"image moved by {1e6 * shift:.2f} um; widths within {100 * worst:.2f} % of the closed form")
assert abs(shift - 300 * um) < 0.1 * um
assert worst < 0.01
assert abs(sum(row.share for row in ledger.entries) + ledger.left / ledger.entered - 1) < 1e-9
