"""Bench files: every key of every table, each wrong in turn, and the way back to TOML and to an editor's schema."""

import copy
import json
import math
import re
import tomllib
import types
import typing
from typing import Any

import pytest
import torch
from conftest import bench_data
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel
from typer.testing import CliRunner

import fouroptics as fo
from fouroptics.bench.settings import EXAMPLE, FourFConfig
from fouroptics.cli import app

FEW = settings(deadline=None, derandomize=True, max_examples=250)
FOUR_BITS = [2 * math.pi * (i + 0.3 * math.sin(i)) / 16 for i in range(16)]

#: A bench file with every key.
FULL: dict[str, Any] = bench_data(
    {
        "light": {
            "wavelength": "633 nm",
            "spectrum": [["632 nm", 1.0], ["634 nm", 0.5]],
            "coherence": "coherent",
            "pointing": ["0.1 mrad", "0 mrad"],
        },
        "input": {
            "fill_factor": 0.9, "gamma": 1.1, "contrast": 1000.0, "refresh_rate": "60 Hz",
            "rise_time": "5 ms", "fall_time": "8 ms", "upload_time": "1 ms",
        },
        "lens1": {"focal_slope": 3.0, "aberrations": {"4": "0.1 rad"}},
        "lens2": {"focal_slope": 3.0, "aberrations": {"5": "0.1 rad"}},
        "panel": {
            "name": "panel", "pitch": "8 um", "bits": 4, "dead_amplitude": 0.9, "dead_phase": "1 rad",
            "grey": "direct", "modulation": "phase", "stroke": "6 rad", "stroke_wavelength": "633 nm",
            "table": FOUR_BITS, "table_source": "measured", "crosstalk": 0.2, "flicker": "10 mrad",
            "dead_pixels": [[1, 2, 3]], "orientation": {"fliplr": True, "flipud": False, "rot90": 1},
            "rise_time": "5 ms", "fall_time": "8 ms", "upload_time": "1 ms", "refresh_rate": "60 Hz",
            "verified": False, "source": "a test",
        },
        "camera": {
            "name": "camera", "qe": 0.6, "read_noise": 2.4, "full_well": 10500, "gain": 0.37, "black_level": 100,
            "bits": 12, "fill_factor": 0.9, "exposure": "1 ms", "mean_photons": 1000, "dark_current": 3.0,
            "temperature": "25 degC", "reference_temperature": "20 degC", "doubling_temperature": 8.0, "dsnu": 1.0,
            "prnu": 0.01, "fixed_pattern_seed": 1, "nonlinearity": 0.01, "binning": 1, "roi": [0, 0, 140, 142],
            "frame_rate": "30 Hz", "readout_time": "1 ms", "verified": False, "source": "a test",
        },
        "fold": {
            "kind": "beam_splitter", "reflectance": 0.5, "ghost": 0.01, "ghost_shift": ["1 mm", "0 mm"],
            "angle": "0 deg", "index": 1.6,
        },
        "polarisation": {"angle": "2 deg", "extinction": 1e-3},
        "readout": {"kind": "four_step"},
        "reference": {"power": "1 mW", "phase_drift": "10 mrad", "tilt": ["0 mrad", "0 mrad"]},
        "poses": {
            "lens1": {"x": "1 um", "y": "1 um", "z": "1 um"},
            "panel": {"x": "1 um", "y": "1 um", "z": "1 um", "rotation": "0 mrad", "tilt": "1 mrad"},
            "lens2": {"x": "1 um", "y": "1 um", "z": "1 um"},
            "camera": {"x": "1 um", "y": "1 um", "z": "1 um", "rotation": "1 mrad"},
        },
        "nuisances": {
            "fringes": {"amplitude": 0.02, "period": "1 mm", "angle": "30 deg", "phase": "1 rad"},
            "dust": {"count": 1, "radius": "700 um", "seed": 0},
            "power_drift": 0.01, "pointing_jitter": "1 urad", "seed": 0,
        },
        "model": "wave",
    }
)  # fmt: skip
for key in ("preset",):
    FULL["panel"].pop(key)
    FULL["camera"].pop(key)
#: Keys that name a file, tested where there is one; those of a coupled panel, which has no phase table alone.
ELSEWHERE = {"panel.stroke_map", "panel.flatness", "panel.amplitudes"}

WRONG = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 3),
    st.floats(allow_nan=True, allow_infinity=True),
    st.sampled_from(["", "x", "8", "8 parsec", "nan um", "-8 um", "1e-30 m", "1e30 m", "1e400 m", "8 W", "auto", "ä"]),
    st.lists(st.one_of(st.integers(-2, 9), st.just("1 mm"), st.just(math.nan)), max_size=4),
    st.dictionaries(st.sampled_from(["x", "kind", "4"]), st.integers(0, 2), max_size=2),
)


def leaves(table: dict[str, Any], path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """Paths of all keys, tables included."""
    found = []
    for key, value in table.items():
        found += [(*path, key), *(leaves(value, (*path, key)) if isinstance(value, dict) else [])]
    return found


def models(annotation: Any) -> list[type[BaseModel]]:
    """The tables that a field may be."""
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        return [model for part in typing.get_args(annotation) for model in models(part)]
    return [annotation] if isinstance(annotation, type) and issubclass(annotation, BaseModel) else []


def keys(model: type[BaseModel], path: str = "") -> set[str]:
    found = set()
    for name, field in model.model_fields.items():
        place = f"{path}{name}"
        inner = models(field.annotation)
        found |= set().union(*(keys(each, f"{place}.") for each in inner)) if inner else {place}
    return found


def write(data: dict[str, Any], path: Any) -> Any:
    plain = {key: value for key, value in data.items() if not isinstance(value, dict) and value is not None}
    lines = [f"{key} = {text(value)}" for key, value in plain.items()]
    for name, table in data.items():
        if isinstance(table, dict):
            lines += [f"[{name}]", *(f"{key} = {text(value)}" for key, value in table.items() if value is not None)]
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def text(value: Any) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{json.dumps(k)} = {text(v)}" for k, v in value.items() if v is not None) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(map(text, value)) + "]"
    if isinstance(value, float) and not math.isfinite(value):
        return "nan" if math.isnan(value) else f"{'-' if value < 0 else ''}inf"
    return json.dumps(value, ensure_ascii=False)


def test_the_full_file_has_every_key_and_is_a_bench():
    missing = keys(FourFConfig) - {".".join(path) for path in leaves(FULL)} - ELSEWHERE
    assert {key for key in missing if "aberrations" not in key} == set()
    fo.FourF(FULL).check()


@pytest.mark.parametrize("changes", [{}, {"model": "fourier", "lens1": {}, "lens2": {}}])
def test_saved_and_read_it_is_the_same_bench(tmp_path, changes):
    data = copy.deepcopy(FULL)
    for name in ("lens1", "lens2") if changes else ():
        data[name].pop("aberrations")
    place = fo.FourF(data | {key: value for key, value in changes.items() if value})
    again = fo.FourF.from_toml(_saved(place, tmp_path / "bench.toml"))
    assert again.config == place.config
    assert again.config.to_toml() == place.config.to_toml()


def _saved(place: fo.FourF, path: Any) -> Any:
    path.write_text(place.config.to_toml(), encoding="utf-8")
    return path


@FEW
@given(st.sampled_from(sorted(leaves(FULL))), WRONG)
def test_any_wrong_value_ends_in_one_message(tmp_path_factory, path, value):
    """Type, unit, sign, range, NaN: refused with the path of the key, or a bench that can be checked."""
    data = copy.deepcopy(FULL)
    table = data
    for key in path[:-1]:
        table = table[key]
    table[path[-1]] = value
    _is_clear(data, tmp_path_factory.mktemp("file") / "bench.toml", path[0])


def test_a_pitch_of_next_to_nothing_ends_in_one_message(tmp_path):
    """A quotient by it overflows: it need not wait for chance to find it."""
    done = _is_clear(FULL | {"panel": FULL["panel"] | {"pitch": "1e-300 mm"}}, tmp_path / "bench.toml", "panel")
    assert "panel.pitch" in done.stderr


@FEW
@given(st.sampled_from(sorted(leaves(FULL))), st.sampled_from(["missing", "unknown"]))
def test_missing_and_unknown_keys_end_in_one_message(tmp_path_factory, path, fault):
    data = copy.deepcopy(FULL)
    table = data
    for key in path[:-1]:
        table = table[key]
    value = table.pop(path[-1])
    if fault == "unknown":
        table[f"{path[-1]}x"] = value
    done = _is_clear(data, tmp_path_factory.mktemp("file") / "bench.toml", path[0])
    if fault == "unknown" and path[-2:-1] != ("aberrations",):
        assert done.exit_code == 1
        assert "unknown key" in done.stderr


def _is_clear(data: dict[str, Any], path: Any, section: str) -> Any:
    """Run ``fouroptics check``: a table, or one message that names the file and the section, never a traceback."""
    done = CliRunner().invoke(app, ["check", str(write(data, path))])
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    assert done.exit_code in (0, 1)
    if done.stderr.startswith("error"):
        assert done.stderr.count("error:") == 1
        assert str(path) in done.stderr
        assert section in done.stderr or "band" in done.stderr or "not a TOML" in done.stderr
    else:
        assert "quantity" in done.stdout
    return done


def test_the_schema_is_that_of_the_file():
    """Every key of the full file is in the schema, and every quantity takes its text and no bare number."""
    schema = FourFConfig.file_schema()
    length = schema["$defs"]["LightConfig"]["properties"]["wavelength"]
    assert length["type"] == "string"
    for good in ("633 nm", "6.33e-1 um", "0.633 µm"):
        assert re.search(length["pattern"], good)
    for bad in ("633", "nm", "633 parsec", "633 W"):
        assert not re.search(length["pattern"], bad)
    done = CliRunner().invoke(app, ["schema"])
    assert done.exit_code == 0
    assert json.loads(done.stdout)["title"] == "fouroptics bench file"
    for section in tomllib.loads(fo.FourF(FULL).config.to_toml()):
        assert section in json.loads(done.stdout)["properties"]


def test_an_editor_takes_the_files_and_refuses_wrong_ones():
    """The schema as a validator reads it, on the example and on every key at once."""
    validator = pytest.importorskip("jsonschema").Draft202012Validator(FourFConfig.file_schema())
    for data in (FULL, tomllib.loads(EXAMPLE), tomllib.loads(fo.FourF(FULL).config.to_toml())):
        assert [error.message for error in validator.iter_errors(data)] == []
    for changes in ({"light": {"wavelength": 633}}, {"panel": {"presett": "x"}}, {"panel": {"preset": "holga"}}):
        assert not validator.is_valid(bench_data(changes))


def test_a_full_bench_runs():
    data = copy.deepcopy(FULL)
    data["light"].pop("spectrum")
    place = fo.FourF(
        data | {"model": "fourier", "lens1": {"focal_length": "200 mm"}, "lens2": {"focal_length": "200 mm"}}
    )
    frames = place.frames(torch.rand(8, 8), torch.ones(place.fourier_grid.shape))
    assert len(frames) == 4
    assert all(bool(torch.isfinite(frame).all()) for frame in frames)
