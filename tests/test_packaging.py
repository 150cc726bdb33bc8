"""The wheel holds `fouroptics` alone, with its types."""

import zipfile
from pathlib import Path

import pytest
from hatchling.build import build_wheel

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)  # hatchling builds the folder that it stands in
        name = build_wheel(str(folder))
    with zipfile.ZipFile(folder / name) as archive:
        return name, set(archive.namelist())


def test_top_level_names(wheel):
    name, files = wheel
    assert {file.split("/")[0] for file in files} == {"fouroptics", "-".join(name.split("-")[:2]) + ".dist-info"}


def test_every_file_of_the_package_is_inside(wheel):
    _, files = wheel
    here = {p.relative_to(ROOT).as_posix() for p in (ROOT / "fouroptics").rglob("*") if p.is_file()}
    here = {p for p in here if "__pycache__" not in p}
    assert {"fouroptics/__init__.pyi", "fouroptics/py.typed"} <= here
    assert here <= files
