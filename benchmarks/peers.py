"""Other packages, each as fast as its interface allows: what can be made once is made outside of the timing.

An adapter takes grid, wavelength and distance, and returns three functions: how samples get into the package's own
form, the call that is timed, and how samples get out again. Packages are imported when they are asked for.
"""

import tempfile
from collections.abc import Callable
from contextlib import chdir
from dataclasses import dataclass
from importlib import import_module
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

import fouroptics as fo
from benchmarks.harness import Call, Contender


class Steps(NamedTuple):
    """Into the package, the call, and out of it."""

    load: Callable[[Tensor], Any]
    step: Callable[[Any], Any]
    read: Callable[[Any], Tensor]


@dataclass(frozen=True)
class Peer:
    """A package and one of its propagators.

    Attributes
    ----------
    who : str
        What the table calls it.
    package : str
        Its module.
    setup : callable
        Grid, wavelength and distance (or what the question asks for) to Steps.
    remark : str
        What is not like for like.
    batched : bool
        Whether it takes leading axes.
    differentiable : bool
        Whether torch's gradient passes it.
    """

    who: str
    package: str
    setup: Callable[..., Steps]
    remark: str
    batched: bool = False
    differentiable: bool = False

    def contender(self, data: Tensor, *settings: Any) -> Contender:
        """Return it with its input at hand: one call for a batch that it takes, one for each sample otherwise."""

        def prepare() -> tuple[Call, Callable[[Any], Tensor]]:
            load, step, read = self.setup(*settings)
            if self.batched or data.ndim == 2:
                loaded = load(data)
                return (lambda: step(loaded)), read
            samples = [load(sample) for sample in data]
            return (lambda: [step(sample) for sample in samples]), (lambda out: torch.stack([read(o) for o in out]))

        return Contender(self.who, "peer", prepare, self.remark, self.package)


def keep(data: Any) -> Any:
    """Return it unchanged."""
    return data


def padded(data: Tensor) -> np.ndarray:
    """Samples in the middle of an array twice as wide."""
    return np.pad(data.numpy(), data.shape[-1] // 2)


def cropped(data: Any) -> Tensor:
    """Return the middle of an array, half as wide."""
    n = data.shape[-1] // 4
    return torch.from_numpy(np.ascontiguousarray(np.asarray(data)[n : 3 * n, n : 3 * n]))


def torchoptics(grid: fo.Grid, wavelength: float, z: float, real: torch.dtype) -> Steps:
    """Angular spectrum, padded twice; the kernel is made at each call."""
    package = import_module("torchoptics")
    pad = (grid.shape[0] // 2, grid.shape[1] // 2)

    def load(data: Tensor) -> Any:
        package.set_default_dtype(real)
        return package.Field(data, wavelength, spacing=grid.spacing)

    def step(field: Any) -> Any:
        package.set_default_dtype(real)
        return field.propagate_to_z(z, propagation_method="ASM", asm_pad=pad)

    return Steps(load, step, lambda field: field.data)


def torchoptics_double(grid: fo.Grid, wavelength: float, z: float) -> Steps:
    """In its default precision."""
    return torchoptics(grid, wavelength, z, torch.float64)


def torchoptics_single(grid: fo.Grid, wavelength: float, z: float) -> Steps:
    """In single precision, phases included."""
    return torchoptics(grid, wavelength, z, torch.float32)


def svetlanna(grid: fo.Grid, wavelength: float, z: float) -> Steps:
    """Zero-padded angular spectrum; kz at hand, the exponential at each call."""
    package = import_module("svetlanna")
    y, x = (torch.from_numpy(axis).to(torch.float32) for axis in grid.coordinates())
    setting = package.SimulationParameters({"y": y, "x": x, "wavelength": wavelength})
    return Steps(package.Wavefront, package.elements.FreeSpace(setting, distance=z, method="zpASM"), keep)


def odak(grid: fo.Grid, wavelength: float, z: float) -> Steps:
    """Band-limited angular spectrum with its kernel at hand."""
    with chdir(tempfile.gettempdir()):  # its import writes a log into the working directory
        package = import_module("odak.learn.wave")
    shape, pitch = [2 * n for n in grid.shape], grid.spacing[0]
    kernel = package.get_propagation_kernel(*shape, dx=pitch, wavelength=wavelength, distance=z)
    given = {"propagation_type": "custom", "kernel": kernel, "zero_padding": [True, False, True]}
    k = package.wavenumber(wavelength)
    return Steps(keep, lambda data: package.propagate_beam(data, k, z, pitch, wavelength, **given), keep)


def waveprop(grid: fo.Grid, wavelength: float, z: float) -> Steps:
    """Band-limited angular spectrum in torch with its transfer function at hand."""
    step, pitch = import_module("waveprop.rs").angular_spectrum, grid.spacing[0]
    made = step(np.zeros(grid.shape), wavelength, pitch, z, return_H=True)
    given = {"H": torch.from_numpy(made).to(torch.complex64), "dtype": torch.float32, "device": "cpu"}
    return Steps(keep, lambda data: step(data, wavelength, pitch, z, **given)[0], keep)


def lightpipes(grid: fo.Grid, wavelength: float, z: float) -> Steps:
    """Forvard in complex64."""
    package = import_module("LightPipes")

    def load(data: Tensor) -> Any:
        field = package.Begin(2 * grid.extent[1], wavelength, 2 * grid.shape[1], dtype=np.complex64)
        field.field = padded(data)
        return field

    return Steps(load, lambda field: package.Forvard(field, z), lambda field: cropped(field.field))


def hcipy(grid: fo.Grid, wavelength: float, z: float) -> Steps:
    """Angular spectrum in complex64 with its transfer function at hand; scipy's FFT on all cores."""
    package = import_module("hcipy")
    plane = package.make_uniform_grid(grid.shape[::-1], grid.extent[::-1])
    step = package.AngularSpectrumPropagator(plane, z).forward
    return Steps(
        lambda data: package.Wavefront(package.Field(data.numpy().ravel(), plane), wavelength),
        step,
        lambda wave: torch.from_numpy(np.array(wave.electric_field.shaped)),
    )


def diffractsim(grid: fo.Grid, wavelength: float, z: float) -> Steps:
    """Angular spectrum; the kernel is made at each call."""
    package = import_module("diffractsim")
    step = import_module("diffractsim.propagation_methods.angular_spectrum_method").angular_spectrum_method
    wide = package.MonochromaticField(wavelength, *(2 * side for side in grid.extent), *(2 * n for n in grid.shape))
    return Steps(padded, lambda data: step(wide, data, z, wavelength), cropped)


def prysm(grid: fo.Grid, wavelength: float, z: float) -> Steps:
    """Paraxial angular spectrum without the carrier, its transfer function at hand and cast to complex64."""
    package = import_module("prysm.propagation")
    shape = [2 * n for n in grid.shape]
    made = package.angular_spectrum_transfer_function(shape, wavelength * 1e6, grid.spacing[0] * 1e3, z * 1e3)
    kernel = made.astype(np.complex64)
    return Steps(padded, lambda data: package.angular_spectrum(data, None, None, None, tf=kernel), cropped)


OUTSIDE = "padding and cropping not timed"
PROPAGATION = (
    Peer("torchoptics ASM", "torchoptics", torchoptics_double, "complex128; kernel made at each call", True, True),
    Peer("torchoptics ASM, single", "torchoptics", torchoptics_single, "kernel made at each call", True, True),
    Peer("svetlanna zpASM", "svetlanna", svetlanna, "exp(i kz z) at each call", True, True),
    Peer("odak, kernel at hand", "odak", odak, "", True, True),
    Peer("waveprop, H at hand", "waveprop", waveprop, "", False, True),
    Peer("LightPipes Forvard", "LightPipes", lightpipes, f"kernel made at each call; {OUTSIDE}"),
    Peer("hcipy, H at hand", "hcipy", hcipy, "H super-sampled"),
    Peer("diffractsim", "diffractsim", diffractsim, f"complex128; kernel made at each call; {OUTSIDE}"),
    Peer("prysm, tf at hand", "prysm", prysm, f"paraxial; {OUTSIDE}"),
)
