"""How a training shows what it does: the bar, and where the time goes."""

import math
import time
from collections import defaultdict

import torch
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text
from torch import Tensor

NETWORK = ("forward and loss", "backward", "optimiser", "validation")  #: laps that are spent in network and optics


class Scores(ProgressColumn):
    """Loss and accuracy, as far as they are known."""

    def render(self, task: Task) -> Text:
        """Show them."""
        loss, accuracy = task.fields["loss"], task.fields["accuracy"]
        shown = {f"loss {loss:.3f}": loss, f"{accuracy:.1%}": accuracy}
        return Text(", ".join(text for text, value in shown.items() if not math.isnan(value)))


class ImagesPerSecond(ProgressColumn):
    """How fast the training runs."""

    def render(self, task: Task) -> Text:
        """Show the speed; nothing until there is one."""
        return Text(f"{task.speed:,.0f} images/s" if task.speed else "")


def progress_bar(disable: bool = False) -> Progress:
    """Make the bar that `models.train.fit` fills: loss, accuracy (`Bar.finish_epoch`), speed, time left."""
    return Progress(
        TextColumn("{task.description:<17}"),
        BarColumn(bar_width=None),
        Scores(),
        ImagesPerSecond(),
        TimeRemainingColumn(),
        disable=disable,
    )


class Bar:
    """One line of a `Progress`, for one training.

    Parameters
    ----------
    progress : Progress, optional
        Nothing is shown without it.
    label : str
        Name of the line.
    total, done : int
        Images in all epochs, and in those that were done before.
    """

    def __init__(self, progress: Progress | None, label: str, total: int, done: int = 0) -> None:
        self.progress = progress or Progress(disable=True)
        self.task = self.progress.add_task(label, total=total, completed=done, loss=math.nan, accuracy=math.nan)
        self.done, self.shown = done, 0.0

    def advance(self, images: int, loss: Tensor) -> None:
        """Count the images of a step; ten times a second they are shown, with the loss, for which a GPU must wait."""
        self.done += images
        if time.perf_counter() - self.shown > 0.1:
            self.progress.update(self.task, completed=self.done, loss=loss.item())
            self.shown = time.perf_counter()

    def finish_epoch(self, row: dict[str, float]) -> None:
        """Show the images of the epoch, its loss, and the score of the validation images, or else of the training."""
        score = row["accuracy"] if math.isnan(row["validation"]) else row["validation"]
        self.progress.update(self.task, completed=self.done, loss=row["loss"], accuracy=score)


class Laps:
    """Where the time of a training goes, step by step; `models.train.fit` calls `lap` after each part of a step.

    Parameters
    ----------
    running : bool
        Whether there is anything to measure.

    Notes
    -----
    A GPU works on while Python goes ahead, so each lap waits for it: a profile slows a training on a GPU down.
    """

    def __init__(self, running: bool = True) -> None:
        self.running = running
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self.start()

    def start(self) -> None:
        """Start the clock."""
        self.last = time.perf_counter()

    def lap(self, part: str) -> None:
        """Count the time since the last call for `part`, if the clock runs."""
        if not self.running:
            return
        if torch.cuda.is_initialized():
            torch.cuda.synchronize()
        now = time.perf_counter()
        self.seconds[part] += now - self.last
        self.last = now

    def share(self) -> float:
        """Share of the time that was spent in network and optics, 0 to 1."""
        return sum(self.seconds[part] for part in NETWORK) / sum(self.seconds.values())

    def table(self) -> Table:
        """Seconds and share of each part."""
        table = Table("", "s", "%", title="where the time went")
        for part, seconds in self.seconds.items():
            table.add_row(part, f"{seconds:.2f}", f"{100 * seconds / sum(self.seconds.values()):.1f}")
        table.add_section()
        table.add_row("network and optics", "", f"{100 * self.share():.1f}")
        return table
