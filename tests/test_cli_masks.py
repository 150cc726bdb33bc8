"""The commands about mask files: what each says and writes."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from test_cli import lab as lab  # a fixture
from test_cli import message, run
from test_export import mirrors
from test_maskset import mask_set

from fouroptics.masks import bundle
from fouroptics.masks.export import SLMSUITE
from fouroptics.masks.export import frames as export_frames


def test_verify(lab: Path, tmp_path: Path) -> None:
    good = run("masks", "verify", lab / "tiled.h5")
    assert good.exit_code == 0
    assert "good" in good.output
    assert json.loads(run("masks", "verify", lab / "tiled.h5", "--json").stdout) == []
    content = bytearray((lab / "tiled.h5").read_bytes())
    content[len(content) // 2] ^= 1
    for name, damaged in (("cut.h5", content[:-100]), ("flip.h5", content), ("empty.h5", b"")):
        path = tmp_path / name
        path.write_bytes(damaged)
        result = run("masks", "verify", path, "--json")
        assert result.exit_code == 1
        assert all(set(item) == {"code", "path", "message", "severity"} for item in json.loads(result.stdout))
        assert "error F-" in run("masks", "verify", path).output
        assert f"{path}: F-" in message("masks", "info", path)
    assert "F-FILE" in run("masks", "verify", tmp_path / "missing.h5").output


def test_info(lab: Path) -> None:
    said = run("masks", "info", lab / "tiled.h5").output
    for words in (
        "64 x 72 pixels of 8 um, 8 bit, fill factor 0.9",
        "phase, convention slmsuite, table linear",
        "3 of 3 x 3 taps, real",
        "beam incident_wavelength   633 nm",
        "optics f1                  100 mm",
        "optics input_shape         8 x 8",
        "seed                       3",
    ):
        assert words in said
    masks = bundle.load(lab / "tiled.h5")
    (line,) = [line for line in said.splitlines() if line.split()[:1] == ["efficiency"]]
    spread = [float(cell) for cell in line.split()[1:]]
    shares = masks.kernels.efficiency
    assert spread == pytest.approx([shares.min(), np.median(shares), shares.max()], rel=1e-3)
    facts = json.loads(run("masks", "info", lab / "tiled.h5", "--json").stdout)
    assert facts["instrument"] == masks.instrument
    assert facts["panel"]["shape"] == [64, 72]
    assert facts["kernels"] == masks.report().rows


def test_diff(lab: Path, tmp_path: Path) -> None:
    same = run("masks", "diff", lab / "tiled.h5", lab / "tiled.h5")
    assert (same.exit_code, same.output.strip()[-8:]) == (0, "the same")
    assert json.loads(run("masks", "diff", lab / "tiled.h5", lab / "tiled.h5", "--json").stdout) == []
    masks = bundle.load(lab / "tiled.h5")
    table = replace(masks.kernels, scale=masks.kernels.scale * 2)
    bundle.save(tmp_path / "b.h5", replace(masks, kernels=table))
    other = run("masks", "diff", lab / "tiled.h5", tmp_path / "b.h5")
    assert other.exit_code == 1
    assert "/entry/kernels/scale: " in other.output
    assert other.output.rstrip().endswith("differences: 1")
    found = run("masks", "diff", lab / "tiled.h5", tmp_path / "b.h5", "--json")
    assert found.exit_code == 1
    assert [item["path"] for item in json.loads(found.stdout)] == ["/entry/kernels/scale"]
    assert f"{tmp_path / 'none.h5'}: F-FILE" in message("masks", "diff", lab / "tiled.h5", tmp_path / "none.h5")


@pytest.mark.parametrize(("name", "width"), [("tiled", 1200), ("sequential", 1800)])
def test_preview(lab: Path, tmp_path: Path, name: str, width: int) -> None:
    """A mask and its far field are 4 inches wide each; of a few masks 3 inches, two masks a row; 150 dots an inch."""
    assert run("masks", "preview", lab / f"{name}.h5", "-o", tmp_path / "sheet.png").exit_code == 0
    with Image.open(tmp_path / "sheet.png") as picture:
        assert picture.width == width
    assert [item.name for item in tmp_path.iterdir()] == ["sheet.png"]
    assert "ends in .png" in message("masks", "preview", lab / "tiled.h5", "-o", tmp_path / "sheet.pdf")


@pytest.mark.parametrize(("bits", "mode"), [(8, "L"), (4, "L"), (10, "I;16"), (16, "I;16")])
def test_export_is_the_stored_grey(tmp_path: Path, bits: int, mode: str) -> None:
    masks = mask_set(slm={"bits": bits})
    bundle.save(tmp_path / "m.h5", masks)
    assert run("masks", "export", tmp_path / "m.h5", "-o", tmp_path / "png").exit_code == 0
    for i, gray in enumerate(masks.gray):
        with Image.open(tmp_path / "png" / f"mask_{i:03}.png") as picture:
            assert picture.mode == mode
            assert picture.size == gray.shape[::-1]
            assert np.array_equal(np.asarray(picture), gray)


@pytest.mark.parametrize(
    ("form", "first", "files"),
    [
        ("png", "mask_000.png to mask_002.png", 4),
        ("bmp", "mask_000.bmp", 4),
        ("santec-csv", "mask_000.csv", 4),
        ("npy", "mask.npy", 2),
        ("slmsuite", "mask_000.h5", 4),
    ],
)
def test_export_in_each_form(lab: Path, tmp_path: Path, form: str, first: str, files: int) -> None:
    done = run("masks", "export", lab / "sequential.h5", "-o", tmp_path / "out", "--to", form, "--fiducial")
    assert done.exit_code == 0, done.output
    assert f"wrote 3 masks: {tmp_path / 'out'}/{first}" in done.output
    assert f"wrote {tmp_path / 'out'}/fiducial" in done.output
    assert len(list((tmp_path / "out").iterdir())) == files


@pytest.mark.parametrize("form", ["packed", "dlpc900"])
def test_export_of_mirrors_refuses_grey(lab: Path, tmp_path: Path, form: str) -> None:
    words = ("masks", "export", lab / "tiled.h5", "-o", tmp_path / "out", "--to", form)
    assert f"error: {form} is for panels of mirrors" in message(*words)
    assert not (tmp_path / "out").exists()
    message("masks", "export", lab / "tiled.h5", "-o", tmp_path / "out", "--to", "tiff", code=2)


def test_mirrors_are_exported_and_drawn(tmp_path: Path) -> None:
    masks = mirrors(26)
    bundle.save(tmp_path / "m.h5", masks)
    for form, files in (("packed", 26), ("dlpc900", 2), ("png", 26)):
        assert run("masks", "export", tmp_path / "m.h5", "-o", tmp_path / form, "--to", form).exit_code == 0
        assert len(list((tmp_path / form).iterdir())) == files
    bits = np.fromfile(tmp_path / "packed" / "mask_025.bin", np.uint8).reshape(48, 8)
    assert np.array_equal(np.unpackbits(bits, axis=1)[:, :61], masks.gray[25])
    drawn = run("masks", "preview", tmp_path / "m.h5", "-o", tmp_path / "sheet.png")
    assert "with the first 16 of 26" in drawn.output
    assert "binary" in run("masks", "info", tmp_path / "m.h5").output


def test_import(lab: Path, tmp_path: Path) -> None:
    """What is exported for slmsuite comes back with its levels, and plays on the bench."""
    masks = bundle.load(lab / "sequential.h5")
    files = export_frames(masks, tmp_path / "out", SLMSUITE)
    done = run("masks", "import", *files, lab / "bench.toml", "-o", tmp_path / "back.h5")
    assert done.exit_code == 0, done.output
    back = bundle.load(tmp_path / "back.h5")
    assert np.array_equal(back.gray, masks.gray)
    assert (back.slm, back.instrument) == (masks.slm, masks.instrument)
    files[1].write_bytes(b"no HDF5")
    said = message("masks", "import", *files, lab / "bench.toml", "-o", tmp_path / "other.h5")
    assert f"{files[1]}: is no HDF5 file" in said
    assert not (tmp_path / "other.h5").exists()


def test_export_overwrites_only_when_told(lab: Path, tmp_path: Path) -> None:
    first = export_frames(bundle.load(lab / "sequential.h5"), tmp_path)
    old = first[0].read_bytes()
    assert "mask_000.png is already there" in message("masks", "export", lab / "tiled.h5", "-o", tmp_path)
    assert first[0].read_bytes() == old
    forced = run("masks", "export", lab / "tiled.h5", "-o", tmp_path, "--force")
    assert forced.exit_code == 0
    assert "2 more of another export" in forced.stderr
    assert first[0].read_bytes() != old
    file = tmp_path / "file"
    file.write_text("")
    assert f"{file}: File exists" in message("masks", "export", lab / "tiled.h5", "-o", file)
