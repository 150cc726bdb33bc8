"""The run folder: what a training leaves for evaluation, for the mask compiler and for the report.

    run.json     recipe, seed, versions, machine, commit, accuracies on the validation images
    metrics.csv  one row for each epoch of each network; curves.png shows them
    model.pt     the distilled student; alone.pt, teacher.pt: the others
    kernels.npz  `kernels`, its merged kernels (outputs, 1, k, k) float64: what `fouroptics masks make` reads

A checkpoint is a dict of plain types and tensors: state_dict, config, kernels (None for a teacher, and for a
student whose layers do not merge; such a run has no kernels.npz).
"""

import csv
import io
import json
import math
import pickle
import platform
import subprocess
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, TypeGuard, TypeVar

import numpy as np
import torch

from fouroptics.errors import FourOpticsError
from fouroptics.masks.export import write_whole
from models.curves import save_curves
from models.data import DataConfig, Dataset, load
from models.parallel import processes
from models.student import Student, StudentConfig
from models.teacher import Teacher, TeacherConfig

PACKAGES = ("fouroptics", "torch", "numpy")
Network = TypeVar("Network", Student, Teacher)


def save_checkpoint(path: Path, network: Student | Teacher) -> None:
    """Write weights, configuration and (of a student) merged kernels; `load_student` and `load_teacher` read them."""
    checkpoint = {
        "state_dict": {name: tensor.detach().cpu() for name, tensor in network.state_dict().items()},
        "config": network.config.model_dump(mode="json"),
        "kernels": network.collapse().cpu() if _merges(network) else None,
    }
    file = io.BytesIO()
    torch.save(checkpoint, file)
    write_whole(path, file.getvalue())


def _merges(network: Student | Teacher) -> TypeGuard[Student]:
    return isinstance(network, Student) and not network.config.rectified


def load_student(path: str | Path) -> Student:
    """Load the student of a checkpoint, on the CPU and in eval mode.

    Raises
    ------
    FourOpticsError
        If the file is missing or is no checkpoint of a student.
    """
    return _load(Path(path), lambda config: Student(StudentConfig.model_validate(config)), "student")


def load_teacher(path: str | Path) -> Teacher:
    """Load the teacher of a checkpoint, on the CPU and in eval mode; errors as `load_student`."""
    return _load(Path(path), lambda config: Teacher(TeacherConfig.model_validate(config)), "teacher")


def _load(path: Path, make: Callable[[Any], Network], what: str) -> Network:
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
        network = make(checkpoint["config"])
        network.load_state_dict(checkpoint["state_dict"])
    except OSError as error:
        raise FourOpticsError(f"{path}: cannot be read ({error.strerror}); models.train writes it") from None
    except (EOFError, KeyError, TypeError, RuntimeError, pickle.UnpicklingError, FourOpticsError) as error:
        raise FourOpticsError(f"{path}: not the checkpoint of a {what} ({_reason(error)})") from None
    return network.eval()


def _reason(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__


def load_data(folder: Path) -> Dataset:
    """Load the images that a run was trained on, from where its recipe has them.

    Raises
    ------
    FourOpticsError
        If run.json is missing or holds no recipe, or the images are no longer there.
    """
    path = folder / "run.json"
    try:
        recipe = json.loads(path.read_text(encoding="utf-8"))["recipe"]
        table = recipe.get("data", {})  # runs from before this table have the bundled images
    except OSError as error:
        raise FourOpticsError(f"{path}: cannot be read ({error.strerror}); models.train writes it") from None
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise FourOpticsError(f"{path}: not the record of a run ({_reason(error)})") from None
    return load(DataConfig.model_validate(table))


def save_kernels(path: Path, student: Student) -> None:
    """Write `kernels`, the merged kernels (outputs, 1, k, k) float64, as an npz file."""
    file = io.BytesIO()
    np.savez(file, kernels=student.collapse().cpu().numpy())
    write_whole(path, file.getvalue())


def save_metrics(path: Path, history: Mapping[str, list[dict[str, float]]]) -> None:
    """Write the history of each network as CSV, with the columns model, epoch, loss, accuracy, validation, seconds.

    A validation score that is not there, for want of validation images, is left blank.
    """
    file = io.StringIO(newline="")
    rows = csv.writer(file)
    rows.writerow(["model", "epoch", "loss", "accuracy", "validation", "seconds"])
    for name, epochs in history.items():
        for row in epochs:
            shares = ["" if math.isnan(row[key]) else f"{row[key]:.6f}" for key in ("loss", "accuracy", "validation")]
            rows.writerow([name, int(row["epoch"]), *shares, f"{row['seconds']:.3f}"])
    write_whole(path, file.getvalue().encode())


def save_run(
    folder: Path,
    recipe: dict[str, Any],
    seed: int,
    networks: Mapping[str, Student | Teacher],
    history: Mapping[str, list[dict[str, float]]],
    dataset: str,
) -> None:
    """Write the run folder; run.json last, so that a folder with one is complete.

    Parameters
    ----------
    folder : Path
        Made if it is not there.
    recipe : dict
        As JSON can hold it.
    seed : int
        Of the run.
    networks : mapping
        "distilled" becomes model.pt and kernels.npz, any other NAME.pt.
    history : mapping
        Of `models.train.fit`, by the same names.
    dataset : str
        Its name.
    """
    for name, network in networks.items():
        save_checkpoint(folder / ("model.pt" if name == "distilled" else f"{name}.pt"), network)
    student = networks["distilled"]
    if not isinstance(student, Student):
        raise FourOpticsError(f"'distilled' is a {type(student).__name__}; a run is about a Student")
    if _merges(student):
        save_kernels(folder / "kernels.npz", student)
    save_metrics(folder / "metrics.csv", history)
    save_curves(folder / "curves.png", history)
    scores = {name: epochs[-1]["validation"] for name, epochs in history.items()}
    run = {
        "dataset": dataset,
        "seed": seed,
        "recipe": recipe,
        "validation": {name: None if math.isnan(score) else score for name, score in scores.items()},
        "electronic_macs": student.electronic_macs(),
        "written": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": commit(),
        "versions": {"python": platform.python_version()} | {name: _version(name) for name in PACKAGES},
        "machine": machine(next(student.parameters()).device),
    }
    write_whole(folder / "run.json", (json.dumps(run, indent=2) + "\n").encode())


def machine(device: torch.device) -> dict[str, Any]:
    """Say what a network on `device` was computed with, as JSON can hold it."""
    return {
        "system": platform.platform(),
        "cpu": _cpu(),
        "gpu": torch.cuda.get_device_name(device) if device.type == "cuda" else None,
        "threads": torch.get_num_threads(),
        "processes": processes(),
    }


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


@lru_cache(maxsize=1)
def commit() -> str | None:
    """Ask git for the commit of this checkout, with ``-dirty`` if files differ; None outside a checkout.

    Asked once: a checkout that moves on under a long study changes nothing in the code that is running.
    """
    command = ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        answer = subprocess.check_output(command, cwd=Path(__file__).parent, stderr=subprocess.DEVNULL, timeout=10)
    except (OSError, subprocess.SubprocessError):
        return None
    return answer.decode().strip()


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
