"""The commands that look at a bench before it runs, and at a vendor's file before it is applied."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
from test_cli import message, run

from fouroptics.bench.settings import EXAMPLE, FourFConfig

BENCH = EXAMPLE.replace("[readout]", '[reference]\npower = "auto"\n[readout]').replace('"intensity"  ', '"four_step"  ')


@pytest.fixture(scope="module")
def bench(tmp_path_factory: Any) -> Path:
    path = tmp_path_factory.mktemp("lab") / "bench.toml"
    path.write_text(BENCH, encoding="utf-8")
    return path


def test_schedule(bench: Path):
    text = run("schedule", bench, "--images", 100, "--masks", 8).output
    assert "3200 frames" in text  # four steps
    assert "panel.refresh_rate is not known" in text
    slower = run("schedule", bench, "--images", 100, "--masks", 8, "--order", "image-major").output
    seconds = [
        float(line.split(" in ")[1].split()[0]) for t in (text, slower) for line in t.splitlines() if "frames" in line
    ]
    assert seconds[1] > seconds[0]
    assert "--order" in message("schedule", bench, "--order", "random", code=2)


def test_cost(bench: Path):
    text = run("cost", bench, "--images", 100, "--masks", 4).output
    assert "display to panel" in text
    assert "panel to camera" in text
    assert "GiB" in text


def test_schema(bench: Path, tmp_path: Path):
    path = tmp_path / "bench.schema.json"
    assert run("schema", "-o", path).exit_code == 0
    schema = json.loads(path.read_text(encoding="utf-8"))
    assert schema == json.loads(run("schema").output) == FourFConfig.file_schema()
    assert "no folder" in message("schema", "-o", tmp_path / "nowhere" / "x.json")


def test_table(tmp_path: Path):
    path = tmp_path / "lut.csv"
    path.write_text("\n".join(f"{g},{2 * math.pi * (g / 256) ** 1.1}" for g in range(256)), encoding="utf-8")
    text = run("table", path, "--panel", "holoeye-pluto-2.1", "--unit", "rad").output
    assert "quantity" in text
    assert "before" in text
    assert "level" in text
    path.write_text("0,0\n1,zwei\n", encoding="utf-8")
    assert str(path) in message("table", path)
    assert "no.csv" in message("table", path.with_name("no.csv"))
    assert "--unit" in message("table", path, "--unit", "degrees", code=2)


def test_sections(bench: Path, tmp_path: Path):
    for plane in ("yz", "xz"):
        path = tmp_path / f"{plane}.png"
        assert run("plot", bench, "--section", plane, "-o", path, "--planes", 5).exit_code == 0
        assert path.read_bytes().startswith(b"\x89PNG")
    assert (tmp_path / "yz.png").read_bytes() != (tmp_path / "xz.png").read_bytes()
