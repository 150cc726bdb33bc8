"""
Where light earns its place
===========================

A layer of light saves electronic work. How much accuracy does it buy for what work is left? Here is the best network
with optics and the best one without for six budgets of electronic multiply-accumulates, chosen in the same way; the
trainings come with the repository (:doc:`/evidence`).
"""

import matplotlib.pyplot as plt
import numpy as np

from models.study import RESULTS, lines
from models.tables import by_row, difference

found = lines(RESULTS / "curve.csv")
values, macs = by_row(found), {line["row"]: int(line["macs"]) for line in found}
budgets = [int(name.removeprefix("optical ").replace(",", "")) for name in values if name.startswith("optical")]
gaps = [difference(values[f"optical {n:,}"], values[f"digital {n:,}"]) for n in budgets]

# %%
# Left: accuracy on the 10,000 test images against the products that the network really uses, at most the budget; each
# point is a seed. Right: how much better the one with optics is at that budget, seed by seed, with the 95 % interval.
figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
for family, color, marker in (("optical", "C0", "o"), ("digital", "C2", "v")):
    rows = [f"{family} {n:,}" for n in budgets]
    spent = [macs[row] for row in rows]
    points = np.array([[100 * value for value in values[row].values()] for row in rows])
    left.plot(spent, points.mean(1), color=color, lw=1.2)
    for column in points.T:
        left.plot(spent, column, marker, color=color, ms=4, mew=0, alpha=0.6)
    left.plot([], [], marker + "-", color=color, label=family)
left.set(xscale="log", xlabel="electronic multiply-accumulates an image", ylabel="accuracy (%)")
left.legend(frameon=False, loc="lower right")
mean, low, high = 100 * np.array(gaps).T
right.axhline(0, color="0.25", lw=1.2)
right.errorbar(budgets, mean, (mean - low, high - mean), fmt="o", color="C0", ms=5, lw=1.2, capsize=3)
right.set(xscale="log", xlabel="budget", ylabel="optical less digital (points)")
for ax in (left, right):
    ax.grid(alpha=0.3)

# %%
for n, (middle, least, most) in zip(budgets, gaps, strict=True):
    print(f"{n:>8,}: {100 * middle:+.2f} [{100 * least:+.2f}, {100 * most:+.2f}] points")
eight = budgets.index(8_000)
assert np.mean(list(values["optical 8,000"].values())) > 0.883
assert gaps[eight][1] > 0  # the whole interval is above 0
assert all(macs[f"{family} {n:,}"] <= n for n in budgets for family in ("optical", "digital"))
