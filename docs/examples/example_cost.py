"""
Does it pay?
============

Light computes a convolution for nothing, but somebody has to switch the display, wait for the camera and convert what
it saw. Here the student of the demo is put on three benches, part by part, and held against two networks in
electronics: the same kernels and the same head computed, and its nonlinear teacher.
"""

import tomllib

import matplotlib.pyplot as plt
import numpy as np
import torch

from fouroptics.bench.settings import EXAMPLE, FourFConfig
from models import bench_cost, cost
from models.electronics import electronics
from models.student import Student, StudentConfig
from models.teacher import Teacher, TeacherConfig

# %%
# What the student asks for: sixteen kernels, and the products of its head. The weights do not matter. Of the teacher,
# each convolution is computed in the cheaper of two ways, tap by tap or by FFT.
student, teacher = bench_cost.task(Student(StudentConfig())), Teacher(TeacherConfig())
taught = electronics(teacher, torch.zeros(1, 28, 28))
config = FourFConfig.model_validate(tomllib.loads(EXAMPLE))
places = cost.benches(config, bench_cost.present_powers())
print(student)
print(f"computed: {bench_cost.in_electronics(student, 28).macs():,.0f} products, teacher: {taught.macs():,.0f}")

# %%
# Energy of an image of 112 pixels, where one frame still holds all kernels: what each part takes in idle power as long
# as the frame lasts, and what it takes for the image. On both benches it is the waiting that costs.
task = student.at(112)
computed = 1e3 * bench_cost.in_electronics(task, 112).macs() * 1e-12
figure, axes = plt.subplots(1, 2, figsize=(8.5, 3.6), sharey=True, sharex=True, layout="constrained")
for ax, place in zip(axes, places, strict=False):
    _, found = place.cost(task)
    parts = [part for part in found.parts if part.idle or part.work]
    names = [part.name for part in parts]
    ax.axvline(computed, color="k", lw=1, ls="--", label="all of the student computed at 1 pJ")
    ax.plot(
        [1e3 * part.idle * found.period or np.nan for part in parts], names, "o", color="#b35806", label="idle power"
    )
    ax.plot([1e3 * part.work or np.nan for part in parts], names, "D", color="#542788", label="work")
    ax.set(xscale="log", xlabel="energy of an image (mJ)", title=f"{place.name}, {1 / found.period:,.0f} images/s")
    ax.grid(axis="y", alpha=0.4)
axes[0].invert_yaxis()
figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=3, fontsize="small")

# %%
# Colour is the energy on the bench over that in electronics, the black line where the two are equal. Steps are sizes
# from which on fewer windows fit into a frame; images too large for one come in pieces.
maps = cost.draw(places, student, taught)

# %%
# Neither bench wins, at no size and no energy of a product up to 30 pJ. Were no power drawn while waiting, the fast
# one would.
_, energies = cost.size_tables(places, student, taught)
least = {place.name: np.inf for place in places}
for row in energies:
    least[row["bench"]] = min(least[row["bench"]], row["E_MAC, student (pJ)"])
print({name: f"{value:,.3g} pJ" for name, value in least.items()})
assert least["this bench"] > least["fast bench"] > 30 > least["fast, no idle power"]
