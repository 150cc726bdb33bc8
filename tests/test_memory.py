"""How much memory a propagation takes, in fields of N x N complex64, and that many planes take no more than two."""

import json
import os
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

N = 1024
SCRIPT = f"""
import json, sys
from pathlib import Path
import torch
import fouroptics as fo

def status(name):
    line = next(each for each in Path("/proc/self/status").read_text().splitlines() if each.startswith(name))
    return 1024 * int(line.split()[1])

def peak(run):
    Path("/proc/self/clear_refs").write_text("5")  # the high-water mark starts anew
    before = status("VmRSS")
    run()
    return (status("VmHWM") - before) / ({N} * {N} * 8)

def again(run):
    run()
    return peak(run)

def field(n):
    return fo.Field(torch.ones(n, n, dtype=torch.complex64), fo.Grid((n, n), 8e-6), 532e-9)

def there_and_back(u):
    data = u.data.detach().requires_grad_()
    fo.propagate(u.replace(data=data), 0.05).data.backward(u.data)

def planes(u, count):
    for _ in fo.planes(u, [0.05 + 0.001 * i for i in range(count)]):
        pass

def all_of_it(u):
    return {{
        "first": peak(lambda: fo.propagate(u, 0.05)),
        "again": peak(lambda: fo.propagate(u, 0.05)),
        "gradient": peak(lambda: there_and_back(u)),
        "fresnel": again(lambda: fo.fresnel(u, 1.0)),
        "angular_spectrum": again(lambda: fo.angular_spectrum(u, 0.002)),
        "periodic": again(lambda: fo.angular_spectrum(u, 0.05, pad=1)),
        "rayleigh_sommerfeld": again(lambda: fo.rayleigh_sommerfeld(u, 3.0)),
        "fourier_lens": again(lambda: fo.fourier_lens(u, 0.1)),
        "other pitch": again(lambda: fo.propagate(u, 0.05, fo.Grid(u.grid.shape, 7e-6))),
        "2 planes": peak(lambda: planes(u, 2)),
        "8 planes": peak(lambda: planes(u, 8)),
    }}

all_of_it(field(400))  # what is loaded and laid out once; large enough for the blocked form
print(json.dumps(all_of_it(field({N}))))
"""


@cache
def measured() -> dict[str, float]:
    """Largest resident memory beyond what was there before, in fields, in a process of its own."""
    # Large blocks go back to the system at once, so that what is measured is what is held.
    once = {"OMP_NUM_THREADS": "1", "MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "65536"}
    root = Path(__file__).parents[1]
    run = subprocess.run(
        [sys.executable, "-c", SCRIPT], cwd=root, env=os.environ | once, capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)


pytestmark = pytest.mark.skipif(
    not os.access("/proc/self/clear_refs", os.W_OK), reason="needs the memory marks of Linux"
)


@pytest.mark.parametrize(
    ("run", "fields"),
    [
        ("again", 3),  # the rows, transformed, twice as wide, and the result
        ("first", 4),  # and the kernel, a quarter of the window, which is kept
        ("gradient", 5),  # on the way back: rows, the incoming gradient conjugated, the outgoing one, the result
        ("fresnel", 3),
        ("angular_spectrum", 3),
        ("periodic", 4),  # transforms of torch, each with a copy of its own
        ("rayleigh_sommerfeld", 3),
        ("fourier_lens", 3),  # the field times its ramps, its transform, the result
        ("other pitch", 3),  # what the residual made of the field, one axis done, both
        ("2 planes", 9),  # the spectrum of the window, 4, a kernel, rows, a result and the one before it
    ],
)
def test_a_propagation_takes_few_fields(run: str, fields: int):
    """The numbers of the guide. The window would be four. Half a field for blocks and pages; measured to 0.05."""
    assert measured()[run] < fields + 0.5


def test_planes_take_no_more_however_many():
    """The next plane comes when the last is gone. Half a field for pages."""
    assert measured()["8 planes"] < measured()["2 planes"] + 0.5
