"""Cost: the transforms, the memory and the time of images through masks, before they are sent."""

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch

from fouroptics.bench import ideal, passes
from fouroptics.bench.rows import columns
from fouroptics.bench.schedule import check_counts
from fouroptics.bench.settings import FourFConfig
from fouroptics.errors import GeometryError
from fouroptics.light.grid import Grid
from fouroptics.units import show
from fouroptics.waves.transforms import fft, fft2, shrinking_first, way

PRODUCT = 10  #: times faster a flop of a matrix product is than one of an FFT, see `waves.transforms.way`


class Transform(NamedTuple):
    """What is transformed how often, by which FFT (its size) or matrix product (rows, columns), and flops in all."""

    what: str
    times: int
    size: tuple[int, ...]
    way: str
    flops: float


class Memory(NamedTuple):
    """Bytes of the images, of the masks, of the light on the panel at a time, of the results and of what is between."""

    input: int
    masks: int
    light: int
    output: int
    work: int


@dataclass(frozen=True)
class Cost:
    """What it takes to send images through masks.

    Attributes
    ----------
    transforms : tuple of Transform
        All of them.
    memory : Memory
        Bytes at the worst moment.
    seconds : float
        Lower limit for this computer, from the time that one of these FFTs takes now.
    images : int
        How many there are, for `check_memory`.
    notes : tuple of str
        What the count leaves out.
    """

    transforms: tuple[Transform, ...]
    memory: Memory
    seconds: float
    images: int
    notes: tuple[str, ...]

    @property
    def flops(self) -> float:
        """Floating-point operations in all."""
        return sum(each.flops for each in self.transforms)

    @property
    def bytes(self) -> int:
        """Memory in all."""
        return sum(self.memory)

    def __str__(self) -> str:
        rows = [(t.what, str(t.times), " x ".join(map(str, t.size)), t.way, f"{t.flops:.3g}") for t in self.transforms]
        table = columns(("what", "times", "size", "way", "flops"), rows)
        memory = ", ".join(f"{name} {_size(part)}" for name, part in self.memory._asdict().items())
        total = f"{self.flops:.3g} flops, at least {show(self.seconds, 'time', 2)} here; {_size(self.bytes)}: {memory}"
        return "\n".join([table, total, *(f"note: {note}" for note in self.notes)])


def cost(
    config: FourFConfig,
    images: int,
    masks: int,
    channels: int = 1,
    nodes: int = 1,
    dtype: torch.dtype = torch.complex64,
    onto: Grid | None = None,
    speed: float | None = None,
) -> Cost:
    """Cost of images (B, y, x) or (B, C, y, x) through masks (M, fy, fx) or (M, C, fy, fx) in the Fourier model.

    B C transforms to the panel and B M to the camera, ``5 L log2 L`` flops for an FFT of L samples, 8 n m for a product
    of matrices. The time is a lower limit, that of the flops alone at the speed of one FFT which is timed here, those
    of products `PRODUCT` times faster. Padding, copies and products with the masks come on top: a run takes 1.2 to 7
    times as long, the most where the light is wanted on all pixels of the camera.

    Parameters
    ----------
    config : FourFConfig
        The bench.
    images, masks, channels : int
        B, M and C, 1 at least.
    nodes : int
        Points of a panel pixel that a MaskSet is shown by; 1 for masks that are ideal samples.
    dtype : torch.dtype
        Of the light.
    onto : Grid, optional
        Where the light is wanted; left out, all pixels of the camera.
    speed : float, optional
        Flops of an FFT a second; left out, one FFT is timed here.

    Raises
    ------
    GeometryError
        If a count is below 1, or the model is ``wave``.
    """
    onto, counts = onto or config.camera_grid, (images, masks, channels, nodes)
    found = tuple(_transforms(config, *counts, onto))
    speed = speed or fft_speed(max((t.size for t in found if t.way != "matrix"), key=math.prod, default=(256, 256)))
    seconds = sum(t.flops / (PRODUCT if t.way == "matrix" else 1) for t in found) / speed
    memory = _memory(config, counts, found, onto, torch.empty(0, dtype=dtype).element_size())
    note = "a turned or slanted plane, or a part off along the axis, takes products and interpolation on top"
    return Cost(found, memory, seconds, images, () if ideal.is_plain(config) else (note,))


def _transforms(
    config: FourFConfig, images: int, masks: int, channels: int, nodes: int, onto: Grid
) -> Iterator[Transform]:
    """Transforms of `passes.through`: of both axes at once on a lattice, else axis by axis."""
    check_counts(images=images, masks=masks, channels=channels, nodes=nodes)
    if config.model == "wave":
        raise GeometryError("the cost of model = 'wave' is not counted: time one image and one mask, or use 'fourier'")
    display, plane = config.input_grid, config.fourier_grid
    one = passes.lattice(config, display, plane, onto)
    for what, times, source, target, lens in (
        ("display to panel", images * channels * nodes, display, plane, config.lens1),
        ("panel to camera", images * masks * nodes, plane, onto, config.lens2),
    ):
        if one is None:
            yield from _arm(what, times, source, target, config.light.wavelength * lens.focal_length)
        elif target is plane or one.finer == (1, 1):
            flops = 5 * math.prod(one.shape) * math.log2(math.prod(one.shape))
            yield Transform(what, times, one.shape, "fft", times * flops)
        else:
            for axis, lines in ((0, one.shape[1]), (1, onto.shape[0])):  # rows that the camera has
                length = one.shape[axis] * one.finer[axis]
                flops = times * lines * 5 * length * math.log2(length)
                yield Transform(f"{what}, {'yx'[axis]}", times * lines, (length,), "fft", flops)


def _arm(what: str, times: int, source: Grid, target: Grid, scale: float) -> Iterator[Transform]:
    """Transforms of `waves.transforms.fourier`: one axis, and then the other one on what the first has left."""
    sizes = list(source.shape)
    for axis in shrinking_first(source, target):
        n, m, lines = source.shape[axis], target.shape[axis], times * sizes[1 - axis]
        line, end = ((g.shape[axis], g.spacing[axis], g.center[axis]) for g in (source, target))
        name, length = way(line, end, scale)
        once = 5 * length * math.log2(max(length, 2))
        flops = {"matrix": 8 * n * m, "fft": once + 6 * (n + m), "chirp": 2 * once + 6 * (n + length + m)}[name]
        yield Transform(f"{what}, {'yx'[axis]}", lines, (m, n) if name == "matrix" else (length,), name, lines * flops)
        sizes[axis] = m


def _memory(
    config: FourFConfig, counts: tuple[int, int, int, int], found: tuple[Transform, ...], onto: Grid, item: int
) -> Memory:
    """Bytes as `passes.through` takes them: images come in parts, of `passes.AT_ONCE` bytes of light on the panel."""
    images, masks, channels, nodes = counts
    filtered = len(found[0].size) == 2 and found[0].way == "fft"  # one transform of both axes
    period = math.prod(found[0].size if filtered else config.fourier_grid.shape) * item
    each = channels * period * (1 if filtered else masks)
    some = min(images, max(1, passes.AT_ONCE // each))
    one = masks * math.prod(onto.shape) * item
    lines = max(2 * t.times * max(t.size) * item // (images * nodes) for t in found)  # a padded transform, its product
    between = some * (max(channels, masks if channels > 1 else 1) * period if filtered else lines)
    again = one * ((images if nodes > 1 else 0) + (some if some < images else 0))  # other nodes, a part of the images
    display = images * channels * math.prod(config.input.shape) * item
    return Memory(display, 3 * masks * channels * period, some * each, images * one, between + again)


def fft_speed(size: tuple[int, ...]) -> float:
    """Flops a second of an FFT of this size (length, or height and width), complex64, here and now: the best of 3."""
    data = torch.ones(size if len(size) == 2 else (64, *size), dtype=torch.complex64)
    run, taken = (fft2 if len(size) == 2 else fft), []
    for _ in range(4):  # the first one makes its tables
        start = time.perf_counter()
        run(data)
        taken.append(time.perf_counter() - start)
    return 5 * data.numel() * math.log2(max(math.prod(size), 2)) / max(min(taken), 1e-9)


def check_memory(cost: Cost, device: torch.device | str = "cpu") -> None:
    """Refuse what does not fit into the free memory of a device; where that is not known, nothing is refused.

    Raises
    ------
    GeometryError
        With both numbers, and how many images fit at a time.
    """
    free = free_memory(torch.device(device))
    if free is None or cost.bytes <= free:
        return
    m = cost.memory
    some = int(cost.images * max(free - m.masks - m.light - m.work, 0) / (m.input + m.output))
    fits = f"send {some} images at a time" if some else "take fewer masks at a time, or a smaller onto"
    raise GeometryError(f"{cost.images} images take {_size(cost.bytes)}, {_size(free)} of {device} are free: {fits}")


def free_memory(device: torch.device) -> int | None:
    """Bytes that can still be taken: on a GPU what it says, on Linux ``MemAvailable``, elsewhere None."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    table = Path("/proc/meminfo")
    if device.type != "cpu" or not table.exists():
        return None
    lines = (line.split() for line in table.read_text(encoding="ascii").splitlines())
    return next((int(line[1]) * 1024 for line in lines if line[0] == "MemAvailable:"), None)


def _size(count: float) -> str:
    """Bytes in the unit that suits them."""
    power = min(int(math.log2(max(count, 1))) // 10, 4)
    return f"{count / 1024**power:.4g} {('B', 'KiB', 'MiB', 'GiB', 'TiB')[power]}"
