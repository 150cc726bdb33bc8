"""Files: units are needed, and every mistake is named with its key, its value and the remedy."""

import math
from pathlib import Path

import pytest
from pydantic import Field, ValidationError

from fouroptics.config import Angle, FileConfig, Length, Power, Shape, Time
from fouroptics.errors import ConfigError


class Part(FileConfig):
    pitch: Length = Field(default=8e-6, gt=0)
    tilt: Angle = 0.0


class Device(FileConfig):
    name: str = "panel"
    shape: Shape = (2, 3)
    power: Power = 1e-3
    exposure: Time = 1e-2
    part: Part = Part()
    second: Part | None = None


TEXT = """\
name = "µ-panel"
shape = [28, 30]
power = "2 mW"

[part]
pitch = "31.65 um"
tilt = "-2 mrad"
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "device.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_file_is_read_in_si(tmp_path: Path):
    device = Device.from_toml(write(tmp_path, TEXT))
    assert (device.name, device.shape, device.power, device.exposure) == ("µ-panel", (28, 30), 2e-3, 1e-2)
    assert device.part.pitch == pytest.approx(31.65e-6, rel=1e-15)
    assert device.part.tilt == pytest.approx(-2e-3, rel=1e-15)


def test_what_is_written_reads_back_equal(tmp_path: Path):
    device = Device.from_toml(write(tmp_path, TEXT)).model_copy(update={"second": Part(tilt=1e-3)})
    text = device.to_toml()
    assert 'pitch = "31.65 um"' in text
    assert Device.from_toml(write(tmp_path, text)) == device


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            "[part]\npitch = 8e-6",
            r"part\.pitch = 8e-06: the bare number 8e-06 has no unit; write a string such as '8 um'",
        ),
        ("[part]\npitch = '8'", "the unit is missing"),
        ("[part]\npitch = '8 mW'", "'mW' is not a unit of length"),
        ("[part]\npitch = '-8 um'", r"part\.pitch"),
        ("[part]\npich = '8 um'", r"part\.pich = '8 um': unknown key; did you mean 'pitch'\?"),
        ("[second]\npich = '8 um'", r"second\.pich.*did you mean 'pitch'\?"),
        ("colour = 'red'", "unknown key; known keys: name, shape, power, exposure, part, second"),
        ("shape = [28]", "shape"),
        ("shape = [0, 1]", r"shape\.0"),
        ("shape = 28", "shape = 28: write a list"),
        ("shape = [1, 2, 3]", r"shape = \[1, 2, 3\]: write 2 values, not 3"),
        ("power = true", "True is no power"),
        ("power = 'inf W'", "is no power"),
        ("part = 3", "part = 3: write a table of keys"),
        ("name = ", "not a TOML file"),
    ],
)
def test_a_mistake_is_named(tmp_path: Path, text: str, says: str):
    path = write(tmp_path, text)
    with pytest.raises(ConfigError, match=says) as error:
        Device.from_toml(path)
    assert str(path) in str(error.value)


def test_every_mistake_has_a_line(tmp_path: Path):
    with pytest.raises(ConfigError) as error:
        Device.from_toml(write(tmp_path, "power = 1\nexposure = '3 m'\n[part]\ntilt = 'much'"))
    assert len(str(error.value).splitlines()) == 1 + 3  # the file, then the mistakes


def test_a_file_that_cannot_be_read(tmp_path: Path):
    with pytest.raises(ConfigError, match="check the path"):
        Device.from_toml(tmp_path / "absent.toml")
    (tmp_path / "latin.toml").write_bytes(b"name = '\xb5'")
    with pytest.raises(ConfigError, match="not a TOML file"):
        Device.from_toml(tmp_path / "latin.toml")


def test_in_python_a_bare_number_is_si_and_a_string_is_read_too():
    assert Part(pitch=8e-6) == Part(pitch="8 um")  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("value", [math.inf, math.nan, True, None, [8e-6]])
def test_in_python_a_length_is_a_finite_number(value: object):
    with pytest.raises(ConfigError, match="pitch"):
        Part(pitch=value)  # pyright: ignore[reportArgumentType]


def test_a_missing_key_says_so():
    class Wants(FileConfig):
        pitch: Length

    with pytest.raises(ConfigError, match="pitch: missing; add it"):
        Wants.model_validate({})


def test_values_are_frozen():
    with pytest.raises(ValidationError, match="frozen"):
        Part().pitch = 1e-6
