"""What does the bench take on top of its transforms? Here A is the transforms that ``bench.cost()`` counts.

500 images of 500 x 500 pixels go through two masks: an FFT of 1000 x 1000 for each image, and one for each pair.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor

import fouroptics as fo
from benchmarks.harness import Contender, Row, Run, compare
from fouroptics.bench import ideal, passes
from fouroptics.bench.cost import cost

AT_A_TIME = 16  #: FFTs in a call of torch, that is 128 MB


def measure(run: Run, size: int = 500, images: int = 500, masks: int = 2) -> list[Row]:
    """Time images through masks, read at the pitch of the image, beside the bare transforms."""
    bench = bench_for(size)
    grey = torch.rand(images, size, size, generator=torch.Generator().manual_seed(0)).to(run.device)
    phase = torch.rand(masks, *bench.fourier_grid.shape, generator=torch.Generator().manual_seed(1))
    shown = torch.polar(torch.ones_like(phase), 2 * math.pi * phase).to(run.device)
    answer = exact(bench, grey[:1].cpu(), shown.cpu())

    def wrong(out: Tensor) -> float:
        return float((out[:1].cpu() - answer).norm() / answer.norm())

    def call() -> Tensor:
        with torch.no_grad():
            return bench(grey, shown, bench.image_grid).data

    ours = Contender("fouroptics", "ours", lambda: (call, lambda out: out), "fields of all images behind all masks")
    case = f"{images} images of {size} x {size}, {masks} masks"
    return compare("passes", case, [ours], transforms(bench, images, masks, run.device), wrong, run)


def bench_for(size: int) -> fo.FourF:
    """A bench whose band is twice as many panel pixels as the display has."""
    pitch = 633e-9 * 0.2 / (2 * size * 8e-6)
    lens = {"focal_length": 0.2}
    panel = {"shape": [2 * size, 2 * size], "pitch": 8e-6}
    display = {"shape": [size, size], "pitch": pitch}
    return fo.FourF({"light": {"wavelength": 633e-9}, "input": display, "lens1": lens, "lens2": lens, "panel": panel})


def transforms(bench: fo.FourF, images: int, masks: int, device: str) -> Callable[[], None]:
    """The FFTs that ``bench.cost()`` counts, on data that is in memory, with nothing between them."""
    counted = cost(bench.config, images, masks, onto=bench.image_grid, speed=1.0).transforms
    assert {each.way for each in counted} == {"fft"}, counted
    size, times = counted[0].size, sum(each.times for each in counted)
    data = torch.randn(AT_A_TIME, *size, dtype=torch.complex64, device=device)

    def call() -> None:
        for start in range(0, times, AT_A_TIME):
            torch.fft.fft2(data[: times - start])

    return call


def exact(bench: fo.FourF, grey: Tensor, shown: Tensor) -> Tensor:
    """The same field by the two arms, one after the other, in complex128."""
    u = bench.encode(grey.double())
    mask = shown.to(torch.complex128) * bench.pixel_spectrum()
    before = ideal.front(bench.config, u.replace(data=u.data.to(torch.complex128)))(bench.fourier_grid)
    behind = before.replace(data=passes.modulated(before.data, mask))
    return ideal.back(bench.config, behind, bench.image_grid).data
