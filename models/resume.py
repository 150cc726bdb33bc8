"""The state of a training, kept after each epoch: what a training that was killed goes on from."""

import io
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from fouroptics.errors import FourOpticsError
from fouroptics.masks.export import write_whole
from models import parallel


def save_state(
    path: Path,
    settings: dict[str, Any],
    history: list[dict[str, float]],
    model: nn.Module,
    optimizer: Optimizer,
    schedule: LRScheduler,
    shuffle: torch.Generator,
) -> None:
    """Write everything that the next epoch depends on, whole or not at all.

    Torch's global generator is not in it: `models.train.fit` starts it anew in each epoch.
    """
    state = {
        "settings": settings,
        "history": history,
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "schedule": schedule.state_dict(),
        "shuffle": shuffle.get_state(),
    }
    file = io.BytesIO()
    torch.save(state, file)
    write_whole(path, file.getvalue())


def load_state(
    path: Path,
    settings: dict[str, Any],
    model: nn.Module,
    optimizer: Optimizer,
    schedule: LRScheduler,
    shuffle: torch.Generator,
) -> list[dict[str, float]]:
    """Set everything as `save_state` found it; returns the history up to there, which is empty if there is no file.

    Of several processes only the first reads it.

    Raises
    ------
    FourOpticsError
        If the file cannot be read or is no such state, or that of a training with other settings.
    """
    try:
        content = parallel.agreed(path.read_bytes() if parallel.rank() == 0 and path.exists() else None)
    except OSError as error:
        raise FourOpticsError(f"{path}: cannot be read ({error.strerror}); remove it to start anew") from None
    if content is None:
        return []
    try:
        state = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
        was = {key: state["settings"][key] for key in settings}
    except Exception as error:  # the unpickler raises whatever the bytes lead it to
        raise FourOpticsError(
            f"{path}: not the state of a training ({_reason(error)}); remove it to start anew"
        ) from None
    for key, value in settings.items():
        if was[key] != value:
            raise FourOpticsError(
                f"{path}: of a training with {key} = {was[key]}, not {value}; go on as it began, or remove it"
            )
    try:
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        schedule.load_state_dict(state["schedule"])
        shuffle.set_state(state["shuffle"])
    except (KeyError, RuntimeError, TypeError, ValueError) as error:
        raise FourOpticsError(f"{path}: of another network ({_reason(error)}); remove it to start anew") from None
    return state["history"]


def _reason(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__
