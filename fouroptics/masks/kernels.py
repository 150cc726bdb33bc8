"""Kernels from a file: an array of numpy, or the weights of a network. Imports torch for the latter only."""

import io
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fouroptics.errors import FourOpticsError


def read_kernels(path: str | Path, layer: str | None = None) -> NDArray[Any]:
    """Read kernels (out, in, k, k), real or complex, torch cross-correlation order.

    Parameters
    ----------
    path : str or Path
        ``.npz`` with an array ``kernels``; ``.npy``; or what ``torch.save`` wrote, ``.pt`` or ``.pth``: a checkpoint of
        `models` with its merged ``kernels``, or a state dict, alone or as ``state_dict`` of a checkpoint.
    layer : str, optional
        Name of the array or of the weight. Left out, ``kernels`` where there are some, else the one weight with four
        axes.

    Returns
    -------
    numpy.ndarray
        As it is stored; the weights of a network in double precision.

    Raises
    ------
    FourOpticsError
        If the file is missing, damaged or of another kind, or it is not clear which weight is meant.
    """
    path = Path(path)
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise FourOpticsError(f"{path}: is not there; check the path, or {_ARRAYS}") from None
    except OSError as error:
        raise FourOpticsError(f"{path}: cannot be read ({error.strerror}); check the path, or {_ARRAYS}") from None
    read = _from_torch if path.suffix in (".pt", ".pth") else _from_numpy
    kernels = read(path, content, layer)
    if kernels.dtype.kind not in "iufc":
        raise FourOpticsError(f"{path}: holds {kernels.dtype}, no numbers; give kernels (out, in, k, k)")
    return kernels


_ARRAYS = "write it with np.savez(path, kernels=...)"
_WEIGHTS = "write it with torch.save(network.state_dict(), path)"


def _from_numpy(path: Path, content: bytes, layer: str | None) -> NDArray[Any]:
    try:
        file = np.load(io.BytesIO(content), allow_pickle=False)
        arrays = {"": file} if isinstance(file, np.ndarray) else file
        name = layer or ("" if isinstance(file, np.ndarray) else "kernels")
        if name in arrays:
            return arrays[name]
    except Exception:  # another kind of file, cut short, pickled: numpy has one for each
        kind = f"is no {path.suffix[1:] or 'npz'} file of numbers, or is damaged"
        raise FourOpticsError(f"{path}: {kind}; {_ARRAYS}") from None
    raise FourOpticsError(f"{path}: holds no array {name!r}{_among(arrays)}; {_ARRAYS}")


def _from_torch(path: Path, content: bytes, layer: str | None) -> NDArray[Any]:
    import torch

    try:
        file = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except Exception:  # another kind of file, cut short, a whole network: torch has one for each
        what = "is no file of plain tensors (a whole network is none), or is damaged"
        raise FourOpticsError(f"{path}: {what}; {_WEIGHTS}") from None
    checkpoint = file if isinstance(file, dict) else {"kernels": file}
    if layer is None and isinstance(checkpoint.get("kernels"), torch.Tensor):
        return _doubled(checkpoint["kernels"])
    state = checkpoint.get("state_dict")
    weights = checkpoint | (state if isinstance(state, dict) else {})
    tensors = {name: part for name, part in weights.items() if isinstance(part, torch.Tensor)}
    stacks = [name for name, tensor in tensors.items() if tensor.ndim == 4]
    name = stacks[0] if layer is None and len(stacks) == 1 else layer
    if name in tensors:
        return _doubled(tensors[name])
    missing = f"no weight {layer!r}" if layer else f"{len(stacks)} weights with four axes and no merged kernels"
    remedy = "name one as the layer" if stacks else _WEIGHTS
    raise FourOpticsError(f"{path}: holds {missing}{_among(stacks)}; {remedy}")


def _doubled(tensor: Any) -> NDArray[Any]:
    return (tensor.cdouble() if tensor.is_complex() else tensor.double()).detach().numpy()


def _among(names: Iterable[str]) -> str:
    known = ", ".join(name for name in names if name)
    return f" (it has {known})" if known else ""
