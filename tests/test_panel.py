"""Panels as data: presets, tables, maps and what of them is refused; the nearest level against a search over all."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from fouroptics.bench.settings import PanelConfig
from fouroptics.devices import panel
from fouroptics.devices.panel import SLMConfig, levels, levels_for, mask_levels, presets, response, shown_phase
from fouroptics.errors import ConfigError, GeometryError
from fouroptics.masks.export import oriented
from fouroptics.units import nm

TURN = 2 * math.pi
CURVE = (np.arange(256) + 20 * np.sin(np.arange(256) / 256 * TURN)) * TURN / 256 + 0.4
COUPLED = {"modulation": "coupled", "stroke": 5.0, "amplitudes": tuple(np.linspace(0.3, 1, 256).tolist())}
PANELS: dict[str, dict[str, Any]] = {
    "linear": {},
    "short stroke": {"stroke": 4.5},
    "long stroke": {"stroke": 9.0, "grey": "direct"},
    "table": {"table": tuple(CURVE.tolist()), "table_source": "a curve"},
    "falling table": {"table": tuple(CURVE[::-1].tolist()), "table_source": "a curve", "grey": "direct"},
    "two levels": {"bits": 1},
    "amplitude": {"modulation": "amplitude", "bits": 6},
    "coupled": COUPLED,
    "binary": {"modulation": "binary", "bits": 1},
}


@pytest.mark.parametrize("fields", PANELS.values(), ids=PANELS)
def test_the_level_is_the_nearest_of_all(fields: dict[str, Any]):
    """Against a search over every level; 3e-7 is what float32 makes of the linear panel's phase of up to 20 rad."""
    config = SLMConfig(**fields)
    draw = np.random.default_rng(0)
    phase = draw.uniform(-20, 20, (30, 40))
    target = phase if config.modulation == "phase" else draw.uniform(0, 1, (30, 40)) * np.exp(1j * phase)
    shown = response(config).amplitude * np.exp(1j * response(config).phase)
    wanted = np.exp(1j * phase) if config.modulation == "phase" else target
    distance = np.abs(wanted[..., None] - shown)
    chosen = levels_for(config, target).astype(int)
    found = np.take_along_axis(distance, chosen[..., None], -1)[..., 0]
    assert (found - distance.min(-1)).max() < 2e-6
    from_torch = levels_for(config, torch.from_numpy(target))
    assert np.array_equal(from_torch.numpy(), chosen)
    assert not from_torch.is_complex()


def test_one_turn_is_driven_as_drivers_do():
    """Bit for bit, also where 360 deg are not 2 pi in the last bit."""
    phase = np.random.default_rng(0).uniform(-20, 20, 10_000).astype(np.float32)
    for stroke in ("6.283185307179586 rad", "360 deg"):
        config = SLMConfig.model_validate({"stroke": stroke})
        assert np.array_equal(levels_for(config, phase), levels(phase, 8))


def test_level_search_is_bounded_in_memory():
    """A whole panel against a table of 1024 levels: the frame and a few arrays of its size, not one for each level."""
    import tracemalloc

    config = SLMConfig(bits=10, table=tuple(np.linspace(0, 6, 1024).tolist()), table_source="x")
    phase = np.zeros((540, 960), np.float32)
    tracemalloc.start()
    mask_levels(config, phase)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 10 * 8 * phase.size


@pytest.mark.parametrize("name", ["linear", "short stroke", "long stroke", "table", "falling table", "two levels"])
def test_the_phase_of_a_level_asks_for_that_level(name: str):
    config = SLMConfig(**PANELS[name])
    every = np.arange(2**config.bits)
    shown = shown_phase(config, every)
    assert shown.dtype == np.float32
    assert 0 <= shown.min() <= shown.max() < TURN
    assert np.array_equal(mask_levels(config, shown), every)


def test_the_sign_of_a_table_is_that_of_the_panel():
    rising = tuple((np.arange(256) * TURN / 256).tolist())
    for grey, sign in (("slmsuite", -1), ("direct", 1)):
        shown = response(SLMConfig(grey=grey, table=rising, table_source="x")).phase  # pyright: ignore[reportArgumentType]
        linear = response(SLMConfig(grey=grey)).phase  # pyright: ignore[reportArgumentType]
        assert shown == pytest.approx(sign * np.array(rising))
        steps = np.exp(1j * (np.diff(shown) - np.diff(linear)))
        assert steps == pytest.approx(np.ones(255))  # the same panel, up to a constant phase


def test_phase_goes_as_one_over_the_wavelength():
    config = SLMConfig(stroke=5.0, stroke_wavelength=800 * nm)
    near = config.at(640 * nm)
    assert near.stroke == pytest.approx(6.25)
    assert near.stroke_wavelength == 640 * nm
    assert near.at(640 * nm) is near
    assert SLMConfig(stroke=5.0).at(640 * nm).stroke == 5.0  # nobody said where it was measured
    table = SLMConfig(**PANELS["table"], stroke_wavelength=800 * nm).at(400 * nm).table
    assert table == pytest.approx(2 * CURVE)


# ---- files -----------------------------------------------------------------------------------------------------------


def bench_file(folder: Path, text: str) -> Path:
    path = folder / "panel.toml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("head", ["", "grey,phase\n", "# measured\nGrey level, phase (rad)\n"])
def test_a_table_is_read_once_and_kept(tmp_path: Path, head: str):
    (tmp_path / "lut").mkdir()
    rows = "".join(f"{g},{phase!r}\n" for g, phase in enumerate(CURVE.tolist()))
    (tmp_path / "lut" / "633.csv").write_text(head + rows)
    config = PanelConfig.from_toml(bench_file(tmp_path, 'table = "lut/633.csv"\nstroke_wavelength = "633 nm"'))
    assert config.table == pytest.approx(CURVE, rel=0)
    assert config.table_source == "633.csv"
    (tmp_path / "lut" / "633.csv").unlink()
    assert PanelConfig.from_toml(bench_file(tmp_path, config.to_toml())) == config


@pytest.mark.parametrize(("unit", "factor"), [("2 pi", TURN), ("pi", math.pi), ("rad", 1)])
def test_the_unit_of_a_table_is_that_of_its_file(tmp_path: Path, unit: str, factor: float):
    rows = "".join(f"{g},{g / 300!r}\n" for g in range(256))
    (tmp_path / "t.csv").write_text(f"grey,phase ({unit})\n{rows}")
    config = PanelConfig.from_toml(bench_file(tmp_path, 'table = "t.csv"'))
    assert config.table == pytest.approx(np.arange(256) / 300 * factor)
    (tmp_path / "t.csv").write_text(f"grey,phase\n{rows}")
    with pytest.raises(ConfigError, match=r"table = 't.csv': .*states no unit, .* looks like 2pi"):
        PanelConfig.from_toml(bench_file(tmp_path, 'table = "t.csv"'))


def test_the_wavelength_of_a_table_is_that_of_its_file(tmp_path: Path):
    """A turn at 800 nm is half a turn at 1600 nm, also where only the name of the file says where it was measured."""
    (tmp_path / "t_800nm.csv").write_text("".join(f"{g},{g * TURN / 256!r}\n" for g in range(256)))
    config = SLMConfig.model_validate({"table": tmp_path / "t_800nm.csv"})
    assert config.stroke_wavelength == pytest.approx(800 * nm)
    assert PanelConfig.from_toml(bench_file(tmp_path, 'table = "t_800nm.csv"')).table == config.table
    assert config.at(1600 * nm).table == pytest.approx(np.arange(256) * math.pi / 256)
    said = SLMConfig.model_validate({"table": tmp_path / "t_800nm.csv", "stroke_wavelength": "790 nm"})
    assert said.stroke_wavelength == pytest.approx(790 * nm)


@pytest.mark.parametrize("wavelength", [0.0, -633e-9, math.nan, math.inf])
def test_no_panel_at_a_wavelength_that_is_none(wavelength: float):
    with pytest.raises(GeometryError, match="wavelength"):
        SLMConfig(stroke_wavelength=633 * nm).at(wavelength)


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ("0,0\n1,1\n", "table: 2 phases; 2 bit take 4, one for each grey level"),
        ("0,0\n1,1\n2,0.5\n3,2\n", "1 rad at grey 1, 0.5 rad at grey 2; smooth it"),
        ("0,0\n1,1\n2,1\n3,2\n", "must rise from grey to grey"),
        ("0,0\n1,1\n3,2\n", "of 4 grey levels 1 are missing: 2"),
        ("0,0\n1,nan\n2,2\n3,3\n", "line 3: '1,nan' is not"),
        ("0,0\n1\n2,2\n3,3\n", "line 3: '1' is not a grey level and a number"),
        ("0,0\nx,1\n2,2\n3,3\n", "line 3: 'x,1' is not"),
        ("", "holds no rows of numbers"),
    ],
)
def test_a_wrong_table_is_refused(tmp_path: Path, rows: str, says: str):
    (tmp_path / "t.csv").write_text(f"grey,phase (rad)\n{rows}")
    with pytest.raises(ConfigError, match=says):
        PanelConfig.from_toml(bench_file(tmp_path, 'bits = 2\ntable = "t.csv"'))


def test_a_table_that_is_not_there_or_no_text(tmp_path: Path):
    with pytest.raises(ConfigError, match=r"table = 'absent.csv': there is no file"):
        PanelConfig.from_toml(bench_file(tmp_path, 'table = "absent.csv"'))
    (tmp_path / "t.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="is no text in UTF-8"):
        PanelConfig.from_toml(bench_file(tmp_path, 'table = "t.csv"'))


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"stroke": 0.0}, "stroke = 0.0"),
        ({"stroke": "4 mm"}, "'mm' is not a unit of angle"),
        ({"crosstalk": -0.1}, "crosstalk = -0.1"),
        ({"flicker": math.nan}, "flicker"),
        ({"table": [0.0, math.nan]}, "table"),
        ({"table": [[0.0, 1.0]]}, "table"),
        ({"table": 3}, "table = 3"),
        ({"table_source": "a calibration"}, "table_source = 'a calibration' without a table: leave it out"),
        ({"bits": 1, "table": (0.0, 1.0), "table_source": "linear"}, "with a table"),
        ({"bits": 1, "table": (0.0, 1.0), "modulation": "amplitude"}, "table: .* has no phases"),
        ({"modulation": "binary"}, "bits = 8: a binary panel has 1"),
        ({"modulation": "coupled"}, "amplitudes: missing"),
        ({"amplitudes": (0.0, 1.0)}, "amplitudes: .* has none"),
        ({"modulation": "amplitude", "amplitudes": (0.0, 1.0)}, "amplitudes: 2 numbers; 8 bit take 256"),
        ({"modulation": "amplitude", "bits": 1, "amplitudes": (0.0, 1.5)}, "amplitudes: 1.5 at grey 1; give 0 to 1"),
        ({"dead_pixels": [[1080, 0, 0]]}, r"dead_pixels: \[1080, 0, 0\] is not on the panel"),
        ({"dead_pixels": [[0, 0, 256]]}, "dead_pixels"),
        ({"dead_pixels": [[0, 0]]}, "dead_pixels"),
        ({"orientation": {"rot90": 4}}, "orientation.rot90 = 4"),
        ({"orientation": {"flip": True}}, "unknown key; did you mean 'flipud'"),
        ({"rise_time": -1.0}, "rise_time"),
        ({"refresh_rate": 0.0}, "refresh_rate"),
        ({"preset": "pluto"}, "did you mean 'holoeye-pluto-2.1'"),
        ({"preset": "santec-slm-100"}, "did you mean 'santec-slm-200'"),
        ({"preset": 3}, "preset 3 is unknown"),
    ],
)
def test_a_mistake_is_named(fields: dict[str, Any], says: str):
    with pytest.raises(ConfigError, match=says):
        SLMConfig.model_validate(fields)


@pytest.mark.parametrize(
    ("name", "array", "says"),
    [
        ("flatness", np.zeros((4, 5)), r"flatness = .*: \(4, 5\) numbers, the panel has \(4, 6\) pixels"),
        ("flatness", np.full((4, 6), np.nan), "finite"),
        ("flatness", np.zeros((4, 6), complex), "real"),
        ("stroke_map", np.zeros((4, 6)), "it is a factor to the phase"),
    ],
)
def test_a_wrong_map_is_refused(tmp_path: Path, name: str, array: np.ndarray, says: str):
    np.save(tmp_path / "map.npy", array)
    with pytest.raises(ConfigError, match=says):
        SLMConfig.model_validate({"shape": (4, 6), name: tmp_path / "map.npy"})


def test_a_map_that_is_no_array(tmp_path: Path):
    (tmp_path / "map.npy").write_bytes(b"\x93NUMPY")
    with pytest.raises(ConfigError, match=r"flatness: .*no array"):
        SLMConfig.model_validate({"flatness": str(tmp_path / "map.npy")})


@pytest.mark.parametrize("fields", PANELS.values(), ids=PANELS)
def test_a_panel_reads_back_from_toml(tmp_path: Path, fields: dict[str, Any]):
    more = {"dead_pixels": [[0, 1, 1]], "orientation": {"rot90": 1}, "rise_time": 5e-3, "refresh_rate": 60.0}
    config = SLMConfig.model_validate({**fields, **more})
    assert SLMConfig.from_toml(bench_file(tmp_path, config.to_toml())) == config


# ---- presets and export ----------------------------------------------------------------------------------------------


def test_presets_say_where_they_come_from():
    """A figure from memory makes the whole preset unverified."""
    assert {"generic-1080p-8um", "holoeye-pluto-2.1", "ti-dlp7000"} <= set(presets())
    for name, fields in presets().items():
        config = SLMConfig.preset(name)
        assert len(config.source) > 20, name
        assert not (config.verified and "memory" in config.source), name
        assert config.table_source == "linear", name
        assert set(fields) <= set(SLMConfig.model_fields) | {"mirror_tilt"}, name
    assert SLMConfig.preset("holoeye-pluto-2.1").fill_factor == 0.93
    assert (SLMConfig.preset("santec-slm-200").bits, SLMConfig.preset("meadowlark-1920x1152").shape) == (
        10,
        (1152, 1920),
    )
    assert SLMConfig.model_validate({"preset": "ti-dlp7000", "fill_factor": 0.9}).modulation == "binary"


def test_frames_are_turned_once_and_in_this_order():
    gray = np.arange(6, dtype=np.uint8).reshape(2, 3)
    turned = panel.OrientationConfig(fliplr=True, rot90=1)
    assert oriented(gray, panel.OrientationConfig()).tolist() == gray.tolist()
    assert oriented(gray, panel.OrientationConfig(flipud=True)).tolist() == [[3, 4, 5], [0, 1, 2]]
    assert oriented(gray, turned).tolist() == [[0, 3], [1, 4], [2, 5]]  # flipped, then a quarter counter-clockwise
