"""How fast is the ideal 4f, two lens transforms with a mask between? Here A is at the size of the field, not padded."""

from collections.abc import Callable
from importlib import import_module
from typing import Any

import numpy as np
import torch
from torch import Tensor

import fouroptics as fo
from benchmarks.harness import Contender, Row, Run, compare, floor
from benchmarks.peers import Peer, Steps, keep
from benchmarks.plain import PITCH, WAVELENGTH, beam, off
from fouroptics.waves.imaging import prepared

FOCAL_LENGTH = 0.2


def measure(run: Run, cases: tuple[tuple[int, int], ...] = ((1024, 1), (256, 32))) -> list[Row]:
    """Time the 4f for each size and number of fields, with complex and with real samples."""
    rows = []
    for n, count in cases:
        u = beam(n, run.device, waist=n * PITCH / 8)
        u = u.replace(data=u.data * torch.linspace(0.5, 1, count, device=run.device)[:, None, None])
        u = u.replace(data=u.data[0]) if count == 1 else u
        mask = low_pass(n, run.device)
        answer = filtered(u.data.cpu().to(torch.complex128), mask.cpu().to(torch.complex128))
        wrong = lambda out, answer=answer: off(out, answer)  # noqa: E731
        case = f"N = {n}" if count == 1 else f"{count} of {n} x {n}"
        unit = floor(tuple(u.data.shape), run.device)
        peers = [peer.contender(u.data, u.grid, mask) for peer in FOURF]
        rows += compare("fourf", case, [_ours(u, mask), _plain(u.data, mask), *peers], unit, wrong, run)
        real = u.data.real.contiguous()
        contenders = [_ours(u, mask, real), _plain_real(real, mask)]
        rows += compare("fourf", f"{case}, real input", contenders, unit, wrong, run)
    return rows


def low_pass(n: int, device: str = "cpu") -> Tensor:
    """Gaussian amplitude mask (n, n), complex64, zero frequency at sample n//2."""
    axis = (torch.arange(n, device=device) - n // 2) / n
    return torch.exp(-((axis[:, None] ** 2 + axis**2) * 400)).to(torch.complex64)


def filtered(data: Tensor, mask: Tensor) -> Tensor:
    """FFT, mask, inverse FFT: the 4f, not inverted; beam and mask are symmetric."""
    n = data.shape[-1]
    return torch.fft.ifft2(torch.fft.fft2(data) * torch.fft.ifftshift(mask), norm="forward") / n**2


def _ours(u: fo.Field, mask: Tensor, real: Tensor | None = None) -> Contender:
    pupil = fo.fourier_lens(u, FOCAL_LENGTH).replace(data=mask)
    image = prepared(pupil, u, FOCAL_LENGTH, FOCAL_LENGTH)

    def call() -> fo.Field:
        return image(u if real is None else fo.Field(real, u.grid, u.wavelength))

    return Contender("fouroptics", "ours", lambda: (call, lambda out: out.data.flip((-2, -1))))


def _plain(data: Tensor, mask: Tensor) -> Contender:
    kernel = torch.fft.ifftshift(mask) / data.shape[-1] ** 2
    call = lambda: torch.fft.ifft2(torch.fft.fft2(data) * kernel, norm="forward")  # noqa: E731
    return Contender("plain form", "reference", lambda: (call, keep), "FFT, mask, inverse FFT without shifts")


def _plain_real(data: Tensor, mask: Tensor) -> Contender:
    n = data.shape[-1]
    kernel = (torch.fft.ifftshift(mask) / n**2)[:, : n // 2 + 1].contiguous()
    call = lambda: torch.fft.irfft2(torch.fft.rfft2(data) * kernel, s=(n, n), norm="forward")  # noqa: E731
    return Contender("plain form, real", "reference", lambda: (call, keep), "only for a mask with a real response")


def hcipy(grid: fo.Grid, mask: Tensor) -> Steps:
    """Its Fourier filter in complex64: no shifts; scipy's FFT on all cores."""
    package = import_module("hcipy")
    plane = package.make_uniform_grid(grid.shape[::-1], grid.extent[::-1])
    response = package.Field(mask.numpy().ravel(), package.make_fft_grid(plane))
    step = package.FourierFilter(plane, response).forward
    load: Callable[[Tensor], Any] = lambda data: package.Field(data.numpy().ravel(), plane)  # noqa: E731
    return Steps(load, step, lambda out: torch.from_numpy(np.array(out.shaped)))


def prysm(grid: fo.Grid, mask: Tensor) -> Steps:
    """Focus, mask, unfocus in complex64."""
    package, mask_array = import_module("prysm.propagation"), mask.numpy()
    step: Callable[[Any], Any] = lambda data: package.unfocus(package.focus(data, 1) * mask_array, 1)  # noqa: E731
    return Steps(lambda data: data.numpy(), step, torch.from_numpy)


def lightpipes(grid: fo.Grid, mask: Tensor) -> Steps:
    """PipFFT, mask, PipFFT in complex64."""
    package, mask_array = import_module("LightPipes"), mask.numpy()

    def load(data: Tensor) -> Any:
        field = package.Begin(grid.extent[1], WAVELENGTH, grid.shape[1], dtype=np.complex64)
        field.field = data.numpy()
        return field

    def step(field: Any) -> Any:
        focus = package.PipFFT(field, 1)
        focus.field = focus.field * mask_array
        return package.PipFFT(focus, -1)

    return Steps(load, step, lambda field: torch.from_numpy(field.field))


def svetlanna(grid: fo.Grid, mask: Tensor) -> Steps:
    """Four propagations and two thin lenses; it has no ideal lens transform."""
    package = import_module("svetlanna")
    f = grid.extent[1] * grid.spacing[1] / WAVELENGTH  # the Fourier plane then has the pitch of the field
    y, x = (torch.from_numpy(axis).to(torch.float32) for axis in grid.coordinates())
    setting = package.SimulationParameters({"y": y, "x": x, "wavelength": WAVELENGTH})
    space = package.elements.FreeSpace(setting, distance=f, method="zpASM")
    lens = package.elements.ThinLens(setting, focal_length=f)
    lens_transform: Callable[[Any], Any] = lambda wave: space(lens(space(wave)))  # noqa: E731
    return Steps(package.Wavefront, lambda wave: lens_transform(package.Wavefront(lens_transform(wave) * mask)), keep)


def torchoptics(grid: fo.Grid, mask: Tensor) -> Steps:
    """Four propagations and two thin lenses, complex128; it has no ideal lens transform."""
    package = import_module("torchoptics")
    package.set_default_dtype(torch.float64)
    f, pad = grid.extent[1] * grid.spacing[1] / WAVELENGTH, (grid.shape[0] // 2, grid.shape[1] // 2)
    lens = [import_module("torchoptics.elements").Lens(grid.shape, f, z, spacing=grid.spacing) for z in (f, 3 * f)]
    elements = (lens[0], lambda field: field.modulate(mask), lens[1], keep)

    def step(field: Any) -> Any:
        package.set_default_dtype(torch.float64)
        for i, element in enumerate(elements, start=1):
            field = element(field.propagate_to_z(i * f, propagation_method="ASM", asm_pad=pad))
        return field

    return Steps(lambda data: package.Field(data, WAVELENGTH, spacing=grid.spacing), step, lambda field: field.data)


FREE_SPACE = "four propagations and two thin lenses"
FOURF = (
    Peer("hcipy FourierFilter", "hcipy", hcipy, ""),
    Peer("prysm focus, unfocus", "prysm", prysm, ""),
    Peer("LightPipes PipFFT", "LightPipes", lightpipes, ""),
    Peer("svetlanna", "svetlanna", svetlanna, FREE_SPACE, batched=True),
    Peer("torchoptics", "torchoptics", torchoptics, f"{FREE_SPACE}, complex128", batched=True),
)
