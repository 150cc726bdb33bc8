"""The figure of a training: loss and scores by epoch."""

from collections.abc import Mapping
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from models.figures import STYLE, save

COLOURS = (
    "#0072B2",
    "#D55E00",
    "#009E73",
    "#CC79A7",
    "#E69F00",
    "#56B4E9",
    "#000000",
)  # of Okabe and Ito
LINES = ("-", "--", "-.", (0, (5, 1, 1, 1, 1, 1)), (0, (1, 1)))


def curves(history: Mapping[str, list[dict[str, float]]], metric: str = "accuracy") -> Figure:
    """Loss while training, and the score of the validation images after each epoch.

    Parameters
    ----------
    history : mapping
        Of `models.train.fit`, under the name of each network.
    metric : str
        Name of what stands in the column "validation"; a share, shown in per cent. Networks without it (no validation
        images) show the share of training images that they named rightly.
    """
    with plt.rc_context(STYLE):
        figure, (left, right) = plt.subplots(1, 2, figsize=(7.2, 2.9), layout="constrained")
        for i, (name, rows) in enumerate(history.items()):
            style = {"color": COLOURS[i % len(COLOURS)], "linestyle": LINES[i % len(LINES)], "label": name}
            style |= {"marker": "o", "markersize": 2.5} if len(rows) < 30 else {}
            epochs = [row["epoch"] for row in rows]
            score = 100 * np.array([row["validation"] for row in rows])
            trained = bool(np.isnan(score).all())
            score = 100 * np.array([row["accuracy"] for row in rows]) if trained else score
            left.plot(epochs, [row["loss"] for row in rows], **style)
            right.plot(epochs, score, **style | {"label": f"{name} (training)" if trained else name})
        left.set(xlabel="epoch", ylabel="loss, each network's own", title="(a) training images")
        right.set(xlabel="epoch", ylabel=f"{metric} (%)", title="(b) validation images")
        if all(np.isnan(row["validation"]) for rows in history.values() for row in rows):
            right.set_title("(b) training images, there are no validation images")
        left.set_ylim(bottom=0)
        for axes in (left, right):
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
            axes.grid(alpha=0.3)
        right.legend(frameon=False)
    return figure


def save_curves(path: Path, history: Mapping[str, list[dict[str, float]]], metric: str = "accuracy") -> None:
    """Write the figure as PNG, whole or not at all."""
    save(curves(history, metric), path)
