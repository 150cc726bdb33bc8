"""
Light through a lens, far and near
==================================

A Gaussian beam goes through a thin lens. `propagate` picks the method from the distance; the picture follows the light
through its focus, and the last lines compare it with the textbook.
"""

import math

import matplotlib.pyplot as plt
import numpy as np

import fouroptics as fo
from fouroptics.units import mm, nm, um

# %%
# A beam of 0.5 mm radius meets a lens of 100 mm. The grid must be fine enough for the lens: `fo.lens` warns when it
# is not.
grid = fo.Grid((512, 512), 8 * um)
beam = fo.gaussian_beam(grid, 532 * nm, waist=0.5 * mm)
bench = fo.Bench([fo.Lens(100 * mm), fo.FreeSpace(200 * mm)])

# %%
# The light along the bench, in the y-z plane. Each plane is drawn relative to its own brightest point.
light = bench.section(beam, np.linspace(0, 200 * mm, 101).tolist(), np.linspace(-1 * mm, 1 * mm, 301))
figure, ax = plt.subplots(figsize=(7, 3), layout="constrained")
fo.plot.section(light, ax, marks=[(0, "lens"), (100 * mm, "focus")])

# %%
# In the focus the beam is a spot of radius `lambda f / (pi w)`, and its intensity falls to 1/e^2 there. The lens
# transform gives the same plane on any grid; here one that is eight times finer.
focus = bench.at(100 * mm, beam)
fine = fo.fourier_lens(beam, 100 * mm, onto=fo.Grid((256, 256), 1 * um))
radius = 532 * nm * 100 * mm / (math.pi * 0.5 * mm)
figure, ax = plt.subplots(figsize=(4.5, 3.6), layout="constrained")
fo.plot.field(fine, ax)
ax.add_patch(plt.Circle((0, 0), radius / mm, fill=False, color="white", ls="--"))
ax.set_title("focus, and the 1/e$^2$ radius of the textbook")

# %%
# Both agree with the closed form: the peak of the spot is `2 P / (pi w^2)`.
peak = 2 / (math.pi * radius**2)
assert abs(float(fine.intensity.max()) / peak - 1) < 1e-3
assert (
    abs(float(focus.intensity.max()) / peak - 1) < 1e-2
)  # sampled at 8 um: the beam ends where the lens meets its grid
print(f"peak {float(fine.intensity.max()):.4g} W/m^2, textbook {peak:.4g} W/m^2")
