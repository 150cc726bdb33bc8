"""What other optics packages get silently wrong, one test each: it fails on their behaviour and passes on ours.

====================================  ==================================================================================
behaviour                             where it is excluded
====================================  ==================================================================================
half-pixel shift                      here: test_a_propagated_beam_is_not_shifted
inverted warning                      here: test_the_warning_is_given_where_the_result_is_wrong,
                                      test_no_warning_is_given_where_the_result_is_right
automatic choice of the worse method  here: test_the_choice_is_as_good_as_what_it_chose_from
float32 phase of the carrier          here: test_single_precision_keeps_the_carrier
ten times the energy                  here: test_light_that_left_the_window_does_not_come_back
FFT that scales twice                 here: test_energy_on_two_threads, test_no_inverse_transform_is_scaled
threads of the caller changed         here: test_the_number_of_threads_is_left_alone
2^b - 1 levels, two for one phase     here: test_a_turn_has_all_its_levels_once;
                                      tests/test_slm.py: test_levels_are_those_of_slmsuite
256 in 8 bits                         here: test_no_level_above_the_bit_depth
range of the quantiser from the data  here: test_a_pixel_does_not_depend_on_its_neighbours
soft levels, dead gradient            tests/test_slm.py: test_realised_phase_is_within_half_a_level,
                                      test_gradient_passes_straight_through_the_levels
noise that doubles the mean           tests/test_camera.py: test_noise_does_not_change_the_mean_signal
active masks, abs(T) > 1              here: test_no_panel_amplifies;
                                      tests/test_fourf.py: test_real_masks_are_transmissions;
                                      tests/test_conventions.py: test_scale_is_the_factor_that_makes_a_mask_passive
amplitude called intensity            here: test_intensity_is_the_square
ignored constructor argument          tests/test_arguments.py: test_every_key_of_the_bench_has_an_effect,
                                      test_every_argument_of_an_element_has_an_effect
broken console script, wheel          here: test_the_wheel_imports_and_its_script_exists;
                                      tests/test_packaging.py: test_every_file_of_the_package_is_inside
====================================  ==================================================================================
"""

import math
import os
import re
import subprocess
import sys
import warnings
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import bench_data
from hatchling.build import build_wheel
from torch import Tensor

import fouroptics as fo
from fouroptics.bench.display import encode
from fouroptics.devices import panel
from fouroptics.units import nm, um
from validation import exact

ROOT = Path(__file__).parents[1]
WAVELENGTH, PITCH, WAIST = 532 * nm, 8 * um, 100 * um
DOUBLE, SINGLE = torch.complex128, torch.complex64
DISTANCES = [0.01, 0.05, 0.1, 0.3, 1.0, 3.0]
METHODS = [fo.propagate, fo.angular_spectrum, fo.rayleigh_sommerfeld, fo.fresnel]


def beam(z: float = 0.0, dtype: torch.dtype = DOUBLE, n: int = 256, dx: float = 0.0) -> fo.Field:
    """A beam of 0.1 mm behind its waist, an exact solution."""
    grid = fo.Grid((n, n), PITCH)
    y, x = grid.coordinates()
    return fo.Field(torch.from_numpy(exact.beam(y[:, None], x - dx, z, WAVELENGTH, WAIST)).to(dtype), grid, WAVELENGTH)


def relative(a: Tensor, b: Tensor) -> float:
    return float((a.to(DOUBLE) - b).norm() / b.norm())


def silent(run: Any, *arguments: Any) -> tuple[Tensor, bool]:
    """A result, and whether it came with a SamplingWarning."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", fo.SamplingWarning)
        return run(*arguments).data, bool(caught)


def test_every_test_of_the_table_exists():
    place = Path(__file__)
    for here, file, name in re.findall(r"(here)|tests/(\w+)\.py|\b(test_\w+)\b(?!\.py)", __doc__ or ""):
        place = Path(__file__) if here else place.with_name(f"{file}.py") if file else place
        assert not name or f"def {name}(" in place.read_text(encoding="utf-8"), f"{place.name}: {name}"


# ---- propagation -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [255, 256])
@pytest.mark.parametrize("z", [0.1, 0.3])
@pytest.mark.parametrize("method", METHODS)
def test_a_propagated_beam_is_not_shifted(method: Any, z: float, n: int):
    """SVETlANNa 2.0.2, zpRSC: the field comes out half a sample off in x and y. Best-fit shift, to 1e-4 samples."""
    out, _ = silent(method, beam(n=n), z)
    step = 0.1 * PITCH
    slope = (beam(z, n=n, dx=step).data - beam(z, n=n, dx=-step).data) / (2 * step)
    for turned in (out, out.mT):
        shift = float((slope.conj() * (turned - beam(z, n=n).data)).sum().real / slope.abs().square().sum())
        assert abs(shift) < 1e-4 * PITCH


@pytest.mark.parametrize("z", DISTANCES)
@pytest.mark.parametrize("method", METHODS)
def test_the_warning_is_given_where_the_result_is_wrong(method: Any, z: float):
    """SVETlANNa 2.0.2, ASM: nothing is said at 1 m, where the error is 0.8 of the field."""
    out, warned = silent(method, beam(), z)
    assert warned or relative(out, beam(z).data) < 5e-6


@pytest.mark.parametrize(
    ("method", "z"),
    [
        *((fo.propagate, z) for z in DISTANCES),
        (fo.angular_spectrum, 0.01),
        (fo.rayleigh_sommerfeld, 1.0),
        (fo.fresnel, 1.0),
    ],
)
def test_no_warning_is_given_where_the_result_is_right(method: Any, z: float):
    """SVETlANNa 2.0.2, ASM: it warns at 10 mm, where the error is 1e-7."""
    assert not silent(method, beam(), z)[1]


@pytest.mark.parametrize("z", DISTANCES)
def test_the_choice_is_as_good_as_what_it_chose_from(z: float):
    """LightPipes 2.1.5, Propagate: Fresnel where Forvard is exact, Forvard where it is off by three times the field."""
    chosen, *forced = (relative(silent(method, beam(), z)[0], beam(z).data) for method in METHODS)
    assert chosen < min(forced) + 1e-8  # far below any of the errors that count


@pytest.mark.parametrize("z", DISTANCES)
def test_single_precision_keeps_the_carrier(z: float):
    """torchoptics 1.0.2 in float32: kz z in float32 is off by half a radian at 0.5 m, 0.27 of the field at 1 m.

    1e-6 leaves sixteen float32 steps.
    """
    assert relative(fo.propagate(beam(dtype=SINGLE), z).data, beam(z).data) < 1e-6


@pytest.mark.parametrize("z", [1.0, 3.0])
def test_light_that_left_the_window_does_not_come_back(z: float):
    """LightPipes 2.1.5, Forvard, and SVETlANNa 2.0.2, ASM: 10.2 times the power at 3 m, which wraps and interferes.

    The power in the window is that of the closed form.
    """
    assert float(fo.propagate(beam(), z).power()) == pytest.approx(float(beam(z).power()), rel=1e-7)


TWO_THREADS = """
import torch, fouroptics as fo
torch.set_num_threads(2)
u = fo.gaussian_beam(fo.Grid((1024, 1024), 8e-6), 532e-9, waist=1e-3)
print(float(fo.angular_spectrum(u, 0.05, pad=2).power()))
print(float(fo.propagate(u, 0.05).power()))
print(torch.get_num_threads())
"""


@pytest.fixture(scope="module")
def on_two_threads() -> list[float]:
    environment = os.environ | {"OMP_NUM_THREADS": "2", "MKL_NUM_THREADS": "2"}
    done = subprocess.run(
        [sys.executable, "-c", TWO_THREADS], env=environment, capture_output=True, text=True, check=True, cwd=ROOT
    )
    return [float(line) for line in done.stdout.split()]


def test_energy_on_two_threads(on_two_threads: list[float]):
    """svetlanna, odak and waveprop at 1024 x 1024, padded twice, complex64: 5.7e-14 of the energy.

    With two threads the scaled inverse FFT of 2048 x 2048 applies its scale twice (pytorch/pytorch#169670). Sums of
    float32 are good to 1e-5.
    """
    assert on_two_threads[:-1] == pytest.approx([1, 1], abs=1e-5)


def test_no_inverse_transform_is_scaled():
    """The same on any machine: every inverse FFT names norm="forward", which leaves it unscaled."""
    calls = [
        call
        for path in (ROOT / "fouroptics").rglob("*.py")
        for call in re.findall(r"fft\.i\w*fft\w*\([^\n]*", path.read_text(encoding="utf-8"))
    ]
    assert calls
    assert [call for call in calls if 'norm="forward"' not in call] == []


def test_the_number_of_threads_is_left_alone(on_two_threads: list[float]):
    """A library that calls torch.set_num_threads, even in a thread of its own, changes its caller's number."""
    assert on_two_threads[-1] == 2
    for path in (ROOT / "fouroptics").rglob("*.py"):
        assert not re.search(r"set_num(_interop)?_threads", path.read_text(encoding="utf-8")), path


# ---- panel and camera ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("grey", ["slmsuite", "direct"])
@pytest.mark.parametrize("bits", [1, 4, 8])
def test_a_turn_has_all_its_levels_once(bits: int, grey: Any):
    """chromatix, quantize: 2^b - 1 steps over a turn, so that 0 and 2 pi are two levels for one phase."""
    step = 2 * math.pi / 2**bits
    phase = torch.arange(-(2**bits), 2 * 2**bits) * step
    shown = panel.levels(phase, bits, grey).reshape(3, -1)
    assert torch.equal(shown[0], shown[1])
    assert torch.equal(shown[0], shown[2])
    assert sorted(shown[0].tolist()) == list(range(2**bits))
    torch.testing.assert_close(panel.realised(shown[1], bits, grey), phase[2**bits : 2 * 2**bits].double())


@pytest.mark.parametrize("grey", ["slmsuite", "direct"])
@pytest.mark.parametrize("bits", [1, 8, 10, 16])
def test_no_level_above_the_bit_depth(bits: int, grey: Any):
    """odak 0.2.7: quantize(1.0, bits=8) is 256, which a uint8 shows as 0."""
    turn = torch.tensor(2 * math.pi)
    edges = torch.stack([turn, torch.nextafter(turn, torch.zeros(())), -turn * 1e-9, torch.zeros(()), 1e6 * turn])
    slm = fo.SLM(fo.SLMConfig(bits=bits, grey=grey))
    raw, stored = panel.levels(edges, bits, grey), slm.levels(edges)
    assert 0 <= float(raw.min()) <= float(raw.max()) <= 2**bits - 1
    assert torch.equal(stored.double(), raw.double())  # nothing wrapped on the way into the integer


def test_a_pixel_does_not_depend_on_its_neighbours():
    """chromatix, quantize: levels are scaled to the range of the data, so that one pixel changes all the others."""
    dim, bright = torch.linspace(0, 1, 12).reshape(3, 4), torch.full((1, 4), 6.0)
    both = torch.cat([dim, bright])
    slm, camera = fo.SLM(fo.SLMConfig()), fo.Camera(fo.CameraConfig())
    for see in (
        slm.levels,
        slm,
        slm.realised,
        lambda p: camera.expected(1000 * p),
        lambda p: camera.photons_for(p, 1, 1),
    ):
        assert torch.equal(see(both)[:3], see(dim))
    config = fo.FourFConfig.model_validate(bench_data())
    image = torch.rand(8, 8, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(encode(config, image / 2).data, encode(config, image).data / 2)


def test_no_panel_amplifies():
    """optnn 0.1: the mask is fft2 of the kernel, whose amplitude reaches the sum of the taps: gain from nothing."""
    phase = torch.rand(64, 64, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) * 20 - 10
    for fill in (0.3, 0.9, 1.0):
        for r in (0.0, 1.0):
            shown = fo.SLM(fo.SLMConfig(fill_factor=fill, dead_amplitude=r))(phase)
            assert float(shown.abs().max()) <= 1 + 1e-12


def test_intensity_is_the_square():
    """optnn 0.1: the detector returns the amplitude. Twice the amplitude is four times the photons."""
    u = fo.Field(torch.tensor([[3 + 4j, 6 + 8j]]), fo.Grid((1, 2), 5 * um), WAVELENGTH)
    photons = fo.Camera(fo.CameraConfig(pitch=5 * um, exposure=1e-3)).photons(u)
    assert u.intensity.tolist() == [[25, 100]]
    assert float(photons[0, 1] / photons[0, 0]) == pytest.approx(4, rel=1e-6)


# ---- the wheel -------------------------------------------------------------------------------------------------------

FROM_THE_WHEEL = """
import sys, importlib.metadata, pathlib
import fouroptics as fo
here = pathlib.Path(sys.argv[1])
assert here in pathlib.Path(fo.__file__).parents, fo.__file__
[getattr(fo, name) for name in fo.__all__]
(script,) = importlib.metadata.distribution("fouroptics").entry_points.select(group="console_scripts")
assert callable(script.load())
assert not {"pkg_resources", "models", "validation"} & set(sys.modules)
print(script.name)
"""


def test_the_wheel_imports_and_its_script_exists(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """diffractio 1.0.0: its script names a module that the wheel does not hold; prysm 0.21.1: no import without
    pkg_resources."""
    monkeypatch.chdir(ROOT)  # hatchling builds the folder that it stands in
    with zipfile.ZipFile(tmp_path / build_wheel(str(tmp_path))) as archive:
        archive.extractall(tmp_path / "site")
    probe = [sys.executable, "-c", FROM_THE_WHEEL, str(tmp_path / "site")]
    environment = os.environ | {"PYTHONPATH": str(tmp_path / "site")}
    done = subprocess.run(probe, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["fouroptics"], done.stderr
