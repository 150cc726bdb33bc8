"""Gradients through the whole bench: against finite differences in float64, and where a panel rounds, not zero."""

import math
from typing import Any

import pytest
import torch
from conftest import bench_data

import fouroptics as fo

DOUBLE = torch.complex128
PLACES: dict[str, dict[str, Any]] = {
    "filter": {},
    "arms": {"poses": {"panel": {"z": "1 mm"}, "camera": {"z": "-2 mm"}}},
    "turned": {"poses": {"panel": {"rotation": "5 mrad"}, "camera": {"rotation": "-3 mrad"}}},
    "tilted": {"poses": {"panel": {"tilt": "20 mrad"}}},
    "folded": {
        "fold": {"kind": "beam_splitter", "ghost": 0.05},
        "polarisation": {"angle": "0.1 rad", "extinction": 0.1},
    },
    "wave": {"model": "wave"},
}


def bench(**changes: Any) -> fo.FourF:
    small = {"input": {"shape": [3, 4]}, "panel": {"shape": [12, 10], "iris": None}, "light": {"beam_radius": "2 mm"}}
    return fo.FourF(bench_data({**small, **changes}))


@pytest.mark.parametrize("kind", PLACES)
def test_gradients_of_images_and_masks(kind: str):
    """Finite differences of 1e-6 in float64 leave 1e-7; scaled, so that intensities are near 1."""
    place, draw = bench(**PLACES[kind]), torch.Generator().manual_seed(0)
    image = torch.rand(2, 3, 4, dtype=torch.float64, generator=draw).clamp(0.1, 0.9).requires_grad_()
    mask = (torch.randn(1, 12, 10, dtype=DOUBLE, generator=draw) / 5).requires_grad_()
    onto = place.image_grid
    scale = float(place(image, mask, onto).intensity.detach().mean())

    def light(image: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        return place(image, mask, onto).intensity / scale

    assert torch.autograd.gradcheck(light, (image, mask), eps=1e-6, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(
    "panel",
    [
        {},
        {"crosstalk": 0.3},
        {"stroke": "5 rad"},
        {"bits": 4, "table": [0.4 * g + 0.1 * math.sin(g) for g in range(16)]},
        {"flicker": "0.2 rad"},
    ],
    ids=str,
)
def test_the_phase_of_a_real_panel_learns(panel: dict[str, Any]):
    """Straight through the levels: every pixel that light reaches has a gradient, and it is that of the soft panel."""
    place = bench(panel={"shape": [12, 10], "iris": None, **panel})
    draw = torch.Generator().manual_seed(0)
    phase = (20 * torch.rand(12, 10, dtype=torch.float64, generator=draw) - 10).requires_grad_()
    wanted = torch.rand(3, 4, dtype=torch.float64, generator=draw)
    light = place(torch.rand(3, 4, dtype=torch.float64, generator=draw), place.slm(phase), place.image_grid).intensity
    (gradient,) = torch.autograd.grad((light / light.detach().mean() * wanted).sum(), phase)
    assert bool(torch.isfinite(gradient).all())
    assert float(gradient.abs().min()) > 1e-9 * float(gradient.abs().max())


def test_gradients_pass_readout_and_camera():
    """From the numbers of the camera, in its differentiable mode, to the phase of the mask."""
    place = bench(readout={"kind": "four_step"}, reference={"power": "1 mW"})
    phase = torch.rand(12, 10, dtype=torch.float64).requires_grad_()
    frames = place.frames(torch.rand(3, 4, dtype=torch.float64), place.slm(phase), place.image_grid)
    seconds = place.camera.exposure_for(torch.stack(frames).detach(), place.wavelength)
    photons = place.camera.photons_for(torch.stack(frames), place.wavelength, seconds)
    numbers = place.camera.differentiable(photons, torch.Generator().manual_seed(0), exposure=seconds)
    field = fo.readout.from_four_step(list(numbers), 1.0)
    (gradient,) = torch.autograd.grad(field.abs().square().sum(), phase)
    assert float(gradient.abs().min()) > 0
