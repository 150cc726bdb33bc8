"""No key of a bench file and no argument of an element is ignored: each one, changed, changes something."""

import inspect
from typing import Any

import pytest
import torch
from conftest import bench_data
from pydantic import BaseModel

import fouroptics as fo
from fouroptics.bench import apertures, elements, gratings, lenses, nuisances
from fouroptics.bench.pose import Pose
from fouroptics.bench.settings import DustConfig, FringesConfig
from fouroptics.bench.shown import PanelFrames
from fouroptics.units import mm, nm, um

PITCH, WAVELENGTH = 8 * um, 532 * nm

#: A bench on which every key can show: with a reference, a splitter, nuisances, a warm and uneven camera.
PLAIN = bench_data(
    {
        "light": {"power": 1e-3},
        "input": {"refresh_rate": 60.0, "rise_time": 1e-3, "fall_time": 1e-3, "upload_time": 1e-3},
        "panel": {"rise_time": 1e-3, "fall_time": 1e-3, "upload_time": 1e-3, "refresh_rate": 60.0},
        "fold": {"kind": "beam_splitter", "ghost": 0.01, "ghost_shift": (1e-4, 0.0)},
        "polarisation": {"angle": 0.1, "extinction": 1e-3},
        "camera": {
            "dark_current": 1e7, "temperature": 30.0, "reference_temperature": 20.0, "prnu": 0.1, "dsnu": 1.0,
            "frame_rate": 30.0,
        },
        "readout": {"kind": "four_step"},
        "reference": {"power": 1e-3, "phase_drift": 0.01, "tilt": (1e-4, 0.0)},
        "nuisances": {
            "fringes": {"amplitude": 0.02, "period": 1e-3}, "dust": {"count": 1, "radius": 7e-4},
            "power_drift": 0.01, "pointing_jitter": 1e-5,
        },
    }
)  # fmt: skip
#: Keys that change no light of this bench: names, words about it, and what other tests show to have an effect.
WORDS = {
    "panel.name", "panel.verified", "panel.source", "camera.name", "camera.verified", "camera.source",
    "panel.table_source",  # a word about the table
    "panel.orientation.fliplr", "panel.orientation.flipud", "panel.orientation.rot90",  # test_bundle
    "panel.modulation", "panel.amplitudes", "panel.stroke_map", "panel.flatness",  # test_slm, test_panel
    "model", "lens1.aberrations", "lens2.aberrations",  # test_wave_model
    "light.spectrum", "light.coherence",  # test_response
    "readout.kind",  # test_readout
    "fold.angle", "fold.index",  # test_ideal
    "lens1.focal_slope", "lens2.focal_slope",  # test_response
}  # fmt: skip
#: Another value for every other key of the bench file.
CHANGES: dict[str, Any] = {
    "light.wavelength": 600 * nm, "light.power": 2e-3, "light.beam_radius": 10 * mm, "light.pointing": (1e-4, 0.0),
    "input.shape": (8, 7), "input.pitch": 240 * um, "input.coding": "phase", "input.pixel": "point",
    "input.fill_factor": 0.8, "input.gamma": 2.0, "input.contrast": 20.0, "input.refresh_rate": 30.0,
    "input.rise_time": 0.1, "input.fall_time": 0.1, "input.upload_time": 0.1,
    "lens1.focal_length": 0.21, "lens1.diameter": 1 * mm, "lens2.focal_length": 0.21, "lens2.diameter": 1 * mm,
    "panel.shape": (96, 60), "panel.pitch": 8.1 * um, "panel.bits": 4, "panel.grey": "direct", "panel.iris": None,
    "panel.fill_factor": 0.8, "panel.dead_amplitude": 0.5, "panel.dead_phase": 1.0, "panel.stroke": 5.0,
    "panel.stroke_wavelength": 700 * nm, "panel.table": tuple(0.02 * g for g in range(256)), "panel.crosstalk": 0.3,
    "panel.flicker": 0.3, "panel.dead_pixels": ((48, 64, 0),), "panel.rise_time": 0.1, "panel.fall_time": 0.1,
    "panel.upload_time": 0.1, "panel.refresh_rate": 30.0,
    "fold.kind": "none", "fold.reflectance": 0.4, "fold.ghost": 0.02, "fold.ghost_shift": (2e-4, 0.0),
    "polarisation.angle": 0.2, "polarisation.extinction": 2e-3,
    "camera.shape": (144, 143), "camera.pitch": 80 * um, "camera.fill_factor": 0.5, "camera.qe": 0.5,
    "camera.read_noise": 20.0, "camera.full_well": 300.0, "camera.gain": 0.5, "camera.black_level": 50.0,
    "camera.bits": 8, "camera.exposure": 1e-6, "camera.mean_photons": 300.0, "camera.dark_current": 2e7,
    "camera.temperature": 33.0, "camera.reference_temperature": 17.0, "camera.doubling_temperature": 6.0,
    "camera.dsnu": 50.0, "camera.prnu": 0.2, "camera.fixed_pattern_seed": 1, "camera.nonlinearity": 0.1,
    "camera.binning": 2, "camera.roi": (0, 0, 140, 140), "camera.frame_rate": 10.0, "camera.readout_time": 1e-3,
    "reference.power": 2e-3, "reference.phase_drift": 0.1, "reference.tilt": (0.0, 1e-4),
    **{f"poses.{part}.{key}": 50 * um for part in ("lens1", "panel", "lens2", "camera") for key in "xyz"},
    "poses.panel.rotation": 1e-3, "poses.panel.tilt": 1e-2, "poses.camera.rotation": 1e-3,
    "nuisances.fringes": FringesConfig(amplitude=0.03, period=1e-3), "nuisances.dust": DustConfig(count=2, radius=7e-4),
    "nuisances.fringes.amplitude": 0.03, "nuisances.fringes.period": 2e-3, "nuisances.fringes.angle": 1.0,
    "nuisances.fringes.phase": 1.0, "nuisances.dust.count": 2, "nuisances.dust.radius": 8e-4, "nuisances.dust.seed": 1,
    "nuisances.power_drift": 0.02, "nuisances.pointing_jitter": 2e-5, "nuisances.seed": 1,
}  # fmt: skip


def keys(config: BaseModel, head: str = "") -> list[str]:
    """Every key of a configuration, with its sections before it."""
    found = []
    for name, value in config:
        found += keys(value, f"{head}{name}.") if isinstance(value, BaseModel) else [head + name]
    return found


def changed(config: Any, key: str, value: Any) -> Any:
    section, _, rest = key.partition(".")
    return config.model_copy(update={section: changed(getattr(config, section), rest, value) if rest else value})


def fingerprint(config: fo.FourFConfig) -> list[Any]:
    """All that a bench says: light and noisy numbers of the camera for one image and one mask, geometry, checks."""
    bench = fo.FourF(config)
    draw = torch.Generator().manual_seed(0)
    image = torch.rand(config.input.shape, generator=draw)
    phase = 6 * torch.rand(1, *config.panel.shape, generator=draw)
    levels = bench.slm.levels(phase)
    frames = torch.stack(bench.frames(image, PanelFrames(levels.numpy(), config.panel), generator=draw))
    seconds = config.camera.exposure or bench.camera.exposure_for(frames, bench.wavelength)
    photons = bench.camera.photons_for(frames, bench.wavelength, seconds)
    numbers = bench.camera(photons, draw, seconds)
    return [
        levels.tolist(),
        frames.tolist(),
        numbers.tolist(),
        seconds,
        bench.camera_grid,
        bench.image_grid,
        str(bench.check()),
        str(bench.schedule(2, 2, exposure=1.0)),
        bench.camera.frame_time(seconds),
    ]


@pytest.fixture(scope="module")
def plain() -> fo.FourFConfig:
    return fo.FourFConfig.model_validate(PLAIN)


def test_every_key_of_the_bench_is_listed(plain: fo.FourFConfig):
    assert set(CHANGES) | WORDS == set(keys(plain)) | {"nuisances.fringes", "nuisances.dust"}


@pytest.fixture(scope="module")
def unchanged(plain: fo.FourFConfig) -> list[Any]:
    return fingerprint(plain)


@pytest.mark.parametrize("key", CHANGES)
def test_every_key_of_the_bench_has_an_effect(key: str, plain: fo.FourFConfig, unchanged: list[Any]):
    """chromatix: its SLM takes interpolation_order and never looks at it."""
    assert fingerprint(changed(plain, key, CHANGES[key])) != unchanged


WINDOW, AT = fo.Grid((64, 64), PITCH), Pose(PITCH, 2 * PITCH)
#: Every element: what it needs, and another value for every argument.
ARGUMENTS: dict[Any, tuple[dict[str, Any], dict[str, Any]]] = {
    elements.FreeSpace: ({"distance": 0.1}, {"distance": 0.2, "onto": WINDOW}),
    lenses.Lens: (
        {"focal_length": 0.5, "diameter": 0.4 * mm},
        {"focal_length": 0.6, "diameter": 0.2 * mm, "center": (0.0, PITCH), "aberrations": [0, 0, 0, 1.0], "pose": AT},
    ),
    lenses.FourierLens: ({"focal_length": 0.5}, {"focal_length": 0.6, "onto": WINDOW, "pose": AT}),
    elements.Mask: (
        {"transmission": torch.ones(128, 128)},
        {"transmission": torch.zeros(128, 128), "pose": Pose(0.3 * mm)},
    ),
    apertures.Aperture: ({"diameter": 0.2 * mm}, {"diameter": 0.3 * mm, "center": (0.0, PITCH), "pose": AT}),
    apertures.BeamBlock: ({"diameter": 0.2 * mm}, {"diameter": 0.3 * mm, "center": (0.0, PITCH), "pose": AT}),
    elements.Aberration: (
        {"coefficients": {4: 1.0}, "radius": 0.3 * mm},
        {"coefficients": {5: 1.0}, "radius": 0.4 * mm, "center": (0.0, PITCH), "pose": AT},
    ),
    elements.BeamSplitter: ({}, {"transmittance": 0.3, "port": "reflected"}),
    elements.Misalignment: (
        {"element": fo.Lens(0.5), "pose": AT},
        {"element": fo.Lens(0.6), "pose": Pose(rotation=0.1, y=PITCH)},
    ),
    gratings.Grating: (
        {"period": 0.1 * mm, "kind": "binary"},
        {"period": 0.2 * mm, "kind": "blazed", "duty": 0.3, "pose": AT, "depth": 1.0},
    ),
    gratings.Diffuser: (
        {"rms": 1.0, "correlation": 0.1 * mm},
        {"rms": 0.5, "correlation": 0.2 * mm, "seed": 1, "pose": AT},
    ),
    nuisances.GaussianIllumination: ({"waist": 0.2 * mm}, {"waist": 0.3 * mm, "center": (0.0, PITCH)}),
    nuisances.WindowFringes: (
        {"amplitude": 0.1, "frequency": (1e3, 0.0)},
        {"amplitude": 0.2, "frequency": (2e3, 0.0), "phase": 1.0},
    ),
    nuisances.Ghost: (
        {"amplitude": 0.1},
        {"amplitude": 0.2, "shift": (PITCH, 0.0), "defocus": 0.01, "phase": 1.0},
    ),
    nuisances.Dust: (
        {"centers": [(0.0, 0.0)], "radii": [50 * um]},
        {"centers": [(0.0, PITCH)], "radii": [60 * um], "transmission": 0.5},
    ),
    nuisances.LaserDrift: ({"rms": 0.1}, {"rms": 0.2, "generator": 1}),
    nuisances.PointingJitter: ({"rms": 1e-4}, {"rms": 2e-4, "generator": 1}),
}


ALSO = {(gratings.Grating, "depth"): {"kind": "blazed"}}  #: what an argument takes for granted


def test_every_element_is_listed():
    rooms = (elements, lenses, apertures, gratings, nuisances)
    made = {(name, part) for room in rooms for name, part in vars(room).items() if inspect.getmodule(part) is room}
    modules = {part for name, part in made if inspect.isclass(part) and issubclass(part, torch.nn.Module)}
    assert set(ARGUMENTS) == modules


@pytest.mark.parametrize("make", ARGUMENTS)
def test_every_argument_of_an_element_has_an_effect(make: Any):
    """The same for elements; torchoptics#46: an offset that moved the lens nowhere."""
    needed, others = ARGUMENTS[make]
    assert set(inspect.signature(make).parameters) == set(others)
    u = fo.gaussian_beam(fo.Grid((128, 128), PITCH), WAVELENGTH, waist=0.1 * mm, dtype=torch.complex128)
    for name, value in others.items():
        plain = needed | ALSO.get((make, name), {})
        assert not torch.equal(make(**plain | {name: value})(u).data, make(**plain)(u).data), name
