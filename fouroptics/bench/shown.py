"""What the panel does to the light that passes it, and what folding the bench and its polarisers leave of that."""

import math
from collections.abc import Iterator
from typing import Any, NamedTuple, Protocol, TypeVar

import torch
from numpy.typing import NDArray
from torch import Tensor

from fouroptics.bench.settings import FourFConfig
from fouroptics.devices.panel import SLMConfig
from fouroptics.devices.slm import SLM
from fouroptics.errors import GeometryError
from fouroptics.light.grid import Grid
from fouroptics.light.sources import axes
from fouroptics.waves.transforms import phasor


class PanelMasks(Protocol):
    """Masks as grey levels (M, height, width) for a panel, such as a MaskSet."""

    @property
    def gray(self) -> NDArray[Any]:
        """Grey levels (M, height, width)."""
        ...

    @property
    def slm(self) -> SLMConfig:
        """The panel that the levels are for."""
        ...


class PanelFrames(NamedTuple):
    """The least that `FourF` needs of masks: grey levels (M, height, width) and their panel."""

    gray: NDArray[Any]
    slm: SLMConfig


def shown(
    config: FourFConfig, slm: SLM, masks: Tensor | PanelMasks, dtype: torch.dtype, far: float
) -> Iterator[tuple[Grid, Tensor]]:
    """Planes and transmissions that add up to the panel: one of ideal samples, or one a point of a pixel.

    Light that no pixel modulates is a plane of its own. `far` metres off the axis, as the input plane sees it, lies the
    farthest place where the field is wanted.
    """
    plane, rest = config.fourier_grid, unmodulated(config)
    share, rest = kept(config), None if rest is None else rest.to(dtype)
    if isinstance(masks, Tensor):
        light = share * checked(config, masks).to(dtype)
        yield plane, light if rest is None else light + rest
        return
    scale = config.light.wavelength * config.lens1.focal_length
    order = slm.order_for((far + max(config.input_grid.extent) / 2) * config.panel.pitch / scale)
    for node, light in slm.over_pixel(crop(config, levels(config, masks)), order):
        if node.active == 0 and slm.dead == 0:
            continue
        at = plane.shifted(*(part * d for part, d in zip(node.offset, plane.spacing, strict=True)))
        yield at, share * light.to(dtype)
    if rest is not None:
        yield plane, rest


def kept(config: FourFConfig) -> float:
    """Factor on the amplitude of modulated light: ``sqrt(R (1 - R)) cos psi``."""
    fold = config.fold
    splitter = math.sqrt(fold.reflectance * (1 - fold.reflectance)) if fold.kind == "beam_splitter" else 1.0
    return splitter * math.cos(config.polarisation.angle)


def unmodulated(config: FourFConfig) -> Tensor | None:
    """What passes the panel unmodulated, complex128 on `fourier_grid`, or None.

    ``sqrt(R (1 - R)) (sqrt(e) sin psi + g exp(2 pi i s X / (lambda f2)))``: the wrong polarisation as far as the
    analyser passes it, and the ghost of the beam splitter, shifted by s in the camera plane.
    """
    fold, polarisation, plane = config.fold, config.polarisation, config.fourier_grid
    leak = math.sqrt(polarisation.extinction) * math.sin(polarisation.angle)
    ghost = fold.ghost if fold.kind == "beam_splitter" else 0.0
    if leak == ghost == 0:
        return None
    y, x = (at * s for at, s in zip(axes(plane), fold.ghost_shift, strict=True))
    light = leak + ghost * phasor((y + x) / (config.light.wavelength * config.lens2.focal_length))
    return light * math.sqrt(fold.reflectance * (1 - fold.reflectance)) if fold.kind == "beam_splitter" else light


def counts(masks: Tensor | PanelMasks) -> tuple[int, int]:
    """How many masks there are, and channels of each.

    Raises
    ------
    GeometryError
        If there are none, or they are neither a tensor nor a MaskSet.
    """
    if not isinstance(masks, Tensor) and not hasattr(masks, "gray"):
        raise GeometryError(
            f"masks are a {type(masks).__name__}: give a torch.Tensor (torch.from_numpy for an array), or a MaskSet"
        )
    shape = masks.shape if isinstance(masks, Tensor) else masks.gray.shape
    if 0 in shape:
        raise GeometryError(f"masks {tuple(shape)} are none: give one at least")
    return shape[0] if len(shape) > 2 else 1, shape[1] if len(shape) == 4 else 1


def checked(config: FourFConfig, masks: Tensor) -> Tensor:
    """Return transmissions that are given as ideal samples, if they are some; complex ones may have a gain.

    Raises
    ------
    GeometryError
        If they do not end in the shape of `fourier_grid`, are not finite, or are real and outside [-1, 1].
    """
    shape, masks = config.fourier_grid.shape, masks.float() if masks.dtype == torch.bool else masks
    if tuple(masks.shape[-2:]) != shape:
        raise GeometryError(f"masks {tuple(masks.shape)} do not end in the shape of fourier_grid, {shape}")
    if not bool(torch.isfinite(masks).all()):
        raise GeometryError("masks hold values that are not finite; mend what made them")
    if not masks.is_complex() and not bool((masks.abs() <= 1).all()):
        raise GeometryError(
            f"real masks reach {float(masks.abs().max()):.4g}; a mask is a transmission: give "
            "bench.slm(phase) or torch.polar(amplitude, phase) for a phase in rad"
        )
    return masks


def levels(config: FourFConfig, masks: PanelMasks) -> Tensor:
    """Levels of masks (M, height, width), if they are for the panel of the bench.

    Raises
    ------
    GeometryError
        If shape, pitch, bits, grey convention or modulation differ.
    """
    for name in ("shape", "pitch", "bits", "grey", "modulation"):
        theirs, mine = getattr(masks.slm, name), getattr(config.panel, name)
        if theirs != mine:
            raise GeometryError(
                f"the masks are for a panel with {name} = {theirs}, the bench has {mine}; compile them for this bench, "
                "or take the bench they were made for"
            )
    return torch.from_numpy(masks.gray.astype("int64"))


Frames = TypeVar("Frames", Tensor, NDArray[Any])


def crop(config: FourFConfig, frames: Frames) -> Frames:
    """Part of panel frames (..., height, width) that `fourier_grid` covers."""
    rows, columns = (
        slice(n // 2 - m // 2, n // 2 - m // 2 + m)
        for n, m in zip(config.panel.shape, config.fourier_grid.shape, strict=True)
    )
    return frames[..., rows, columns]
