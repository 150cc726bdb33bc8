"""
Does resolution make up for linearity?
======================================

More pixels show a linear front end more of a solar cell. Do they bring it closer to a nonlinear network, which sees
them, too? The scores come with the repository (:doc:`/resolution`); nothing is trained here.
"""

import matplotlib.pyplot as plt
import numpy as np

from models.resolution_table import load_scores, tables
from models.study import RESULTS, lines

scores = RESULTS / "resolution.npz"
rows = {"teacher": ("0.25", "s"), "intensity": ("C0", "o"), "linear": ("C1", "^"), "digital": ("C2", "v")}
summary, differences = tables(scores, tuple(rows), {})
gaps = {line["difference of AUC"]: line for line in differences}
sizes = sorted({line["pixels"] for line in summary})
beyond = {
    (line["row"], int(line["pixels"])) for line in lines(RESULTS / "resolution-table.csv") if line["bench"] == "no"
}

# %%
# Left: area under the ROC curve on the test images, mean of five splits. Right: the same less the teacher's at that
# size. The bars hold 95 % of the draws of images and splits; all points share those, so they move up and down together,
# and the right side is known better than the left one. Open symbols: the bench of ``fouroptics new`` cannot do it.
figure, axes = plt.subplots(1, 2, figsize=(9, 3.6), sharex=True, layout="constrained")
for i, (row, (color, marker)) in enumerate(rows.items()):
    areas = [line for line in summary if line["row"] == row]
    behind = [gaps[f"{row} - teacher, {n} px"] for n in sizes if row != "teacher"]
    for ax, shown, key in ((axes[0], areas, "AUC"), (axes[1], behind, "value")):
        x = np.array(sizes[: len(shown)]) * 1.03 ** (i - 1.5)  # beside each other
        y, low, high = (np.array([line[name] for line in shown]) for name in (key, "low", "high"))
        ax.errorbar(x, y, (y - low, high - y), color=color, marker=marker, ms=5, lw=1.2, capsize=2, label=row)
        cannot = [(row, n) in beyond for n in sizes[: len(x)]]
        ax.plot(x[cannot], y[cannot], marker, color=color, ms=5, mfc="white", zorder=3)
axes[1].axhline(0, color=rows["teacher"][0], lw=1.2)
axes[0].set(xscale="log", xlabel="pixels a side", ylabel="area under the ROC curve")
axes[1].set(xlabel="pixels a side", ylabel="difference to the teacher")
axes[0].set_xticks(sizes, [str(n) for n in sizes], minor=False)
axes[0].minorticks_off()
figure.legend(*axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=4, frameon=False)
for ax in axes:
    ax.grid(alpha=0.3)

# %%
# Trained to a plateau: what the validation images say after each epoch, mean of the splits. The learning rate falls to
# zero at the end; no epoch is chosen, the last one is scored.
arrays = load_scores(scores)
figure, axes = plt.subplots(1, len(sizes), figsize=(9, 2.6), sharey=True, layout="constrained")
for ax, n in zip(axes, sizes, strict=True):
    for row, (color, _) in rows.items():
        curve = arrays[f"validation/{row}/{n}"].astype(float).mean(0)
        ax.plot(np.arange(1, len(curve) + 1), curve, color=color, lw=1.2, label=row)
    ax.set(xlabel="epoch", title=f"{n} pixels", ylim=(0.6, 0.9))
    ax.grid(alpha=0.3)
axes[0].set_ylabel("AUC, validation")
axes[0].legend(fontsize="x-small", loc="lower right")

# %%
last = {name: values.astype(float).mean(0) for name, values in arrays.items() if name.startswith("validation")}
steps = [abs(curve[-1] - curve[-3]) for curve in last.values()]
assert max(steps) < 0.001  # a plateau: a tenth of the spread over the splits
assert all(gaps[f"intensity - teacher, {n} px"]["value"] > -0.06 for n in sizes)
