"""Run sheets: the order of the exposures, the files of the folder, and what is refused."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from conftest import bench_data
from PIL import Image
from small_students import WAYS, coherent_masks, incoherent_masks
from typer.testing import CliRunner

from fouroptics.bench import readout
from fouroptics.bench.fourf import FourF
from fouroptics.bench.schedule import schedule
from fouroptics.bench.settings import FourFConfig
from fouroptics.cli import app
from fouroptics.errors import BundleError, FourOpticsError, GeometryError
from fouroptics.masks import bundle, export, runsheet
from fouroptics.masks.pictures import Pictures, pictures, read_pictures

LEVELS = np.random.default_rng(0).integers(0, 256, (3, 8, 8), np.uint8)


def config_of(kind: str = "intensity", **camera) -> FourFConfig:
    ways = WAYS[kind] | {"camera": bench_data()["camera"] | camera}
    return FourF(bench_data(ways)).config


def make_sheet(kind: str = "intensity", **options) -> runsheet.RunSheet:
    masks = incoherent_masks() if kind == "split" else coherent_masks()
    shown = options.pop("images", pictures(LEVELS, [4, 0, 7]))
    return runsheet.sheet(options.pop("config", config_of(kind)), masks, "f" * 64, shown, **options)


def test_what_stays_and_what_changes():
    """Two masks and three images."""
    lines = make_sheet("split", dark=5, flat=2, repeats=4).lines
    assert lines["kind"].tolist() == ["dark", "flat", *["signal"] * 6]
    assert lines["repeats"].tolist() == [5, 2, *[4] * 6]
    assert lines["mask"].tolist() == [-1, -1, 0, 0, 0, 1, 1, 1]
    assert lines["image"].tolist() == [-1, -1, 0, 1, 2, 0, 1, 2]
    lines = make_sheet("split", order="image-major").lines
    assert lines["mask"].tolist() == [0, 1, 0, 1, 0, 1]
    assert lines["image"].tolist() == [0, 0, 1, 1, 2, 2]


@pytest.mark.parametrize("kind", WAYS)
def test_frames_of_each_readout(kind):
    """As many as the schedule counts, and the reference steps by the factors of the readout."""
    sheet = make_sheet(kind, repeats=2, exposure=1e-3)
    shown = 1  # results an image: split makes one of two masks
    assert len(sheet.order) == schedule(config_of(kind), 3, shown, repeats=2, exposure=1e-3).frames
    first = sheet.lines[sheet.lines["image"] == 0]["reference"]
    if kind in readout.STEPS:
        assert np.exp(1j * first) == pytest.approx(np.array(readout.STEPS[kind]), abs=1e-15)
    else:
        assert np.isnan(first).all()


def test_exposure():
    assert set(make_sheet(exposure=2e-3).lines["exposure"]) == {2e-3}
    assert set(make_sheet(config=config_of(exposure="3 ms")).lines["exposure"]) == {3e-3}
    bright, dim = (make_sheet(config=config_of(mean_photons=n)).lines["exposure"][0] for n in (2000, 1000))
    assert bright == pytest.approx(2 * dim)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"images": pictures(np.zeros((2, 8, 9), np.uint8))}, r"as the display of the bench"),
        ({"images": pictures(np.zeros((0, 8, 8), np.uint8))}, r"give one at least"),
        ({"config": config_of("split")}, "the masks hold whole kernels"),
        ({"config": FourF(bench_data({"panel": {"shape": [96, 96]}})).config}, r"shape = \(96, 128\)"),
        ({"exposure": 0.0}, "exposure = 0.0 s"),
        ({"exposure": float("nan")}, "exposure = nan s"),
        ({"repeats": 0}, "repeats = 0"),
        ({"dark": -1}, "dark"),
        ({"order": "mask-major"}, "use 'kernel-major' or 'image-major'"),
    ],
)
def test_a_run_that_does_not_fit_is_refused(options, says):
    with pytest.raises(GeometryError, match=says):
        make_sheet(**options)


# ---- the folder ------------------------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path) -> Path:
    runsheet.write(make_sheet("four_step", dark=2, exposure=1 / 3), tmp_path / "sheet", coherent_masks())
    return tmp_path / "sheet"


def test_folder_holds_exactly_the_levels(folder):
    for i, levels in enumerate(LEVELS):
        with Image.open(folder / "images" / f"image_{i:04}.png") as picture:
            assert picture.mode == "L"
            assert np.array_equal(np.asarray(picture), levels)
    with Image.open(folder / "masks" / "mask_000.png") as picture:
        assert np.array_equal(np.asarray(picture), coherent_masks().gray[0])
    assert not folder.with_name("sheet.partial").exists()
    head, *lines = (folder / "playlist.csv").read_text().splitlines()
    assert head == "index,kind,mask,image,reference,exposure,repeats"
    assert lines[0] == "0,dark,-1,-1,nan,0.3333333333333333,2"
    assert lines[2] == "2,signal,0,0,1.5707963267948966,0.3333333333333333,1"


def test_folder_is_read_back(folder):
    written, read = make_sheet("four_step", dark=2, exposure=1 / 3), runsheet.read(folder)
    for name in runsheet.COLUMNS:
        assert np.array_equal(read.lines[name], written.lines[name], equal_nan=name == "reference"), name
    assert all(np.array_equal(*pair) for pair in zip(read.pictures, written.pictures, strict=True))
    assert read.about == written.about
    assert read.about["camera"]["shape"] == list(config_of().camera_grid.shape)
    assert read.pictures.labels.tolist() == [4, 0, 7]


def test_hash_is_that_of_the_mask_file(tmp_path):
    bundle.save(tmp_path / "m.h5", coherent_masks())
    bundle.save(tmp_path / "n.h5", replace(coherent_masks(), encoding="other"))
    found = [runsheet.fingerprint(tmp_path / name) for name in ("m.h5", "m.h5", "n.h5")]
    assert found[0] == found[1] != found[2]
    assert len(found[0]) == 64
    (tmp_path / "m.txt").write_text("no")
    for name in ("none.h5", "m.txt"):
        with pytest.raises(BundleError, match="no manifest_sha256"):
            runsheet.fingerprint(tmp_path / name)


def test_a_folder_is_whole_or_not_there(folder, monkeypatch):
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    with pytest.raises(BundleError, match="already there"):
        runsheet.write(make_sheet(), folder)
    assert before == {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    other = folder.with_name("other")
    other.with_name("other.partial").mkdir()  # left by a killed run

    def full(*_, **__):
        raise OSError("no space")

    monkeypatch.setattr(export, "frames", full)
    with pytest.raises(OSError, match="no space"):
        runsheet.write(make_sheet(), other, coherent_masks())
    assert [path.name for path in folder.parent.iterdir()] == ["sheet"]


@pytest.mark.parametrize(
    ("file", "old", "new", "says"),
    [
        ("sheet.json", "", None, "sheet.json: No such file"),
        ("playlist.csv", "", None, "playlist.csv: No such file"),
        ("sheet.json", '"masks": 1', '"masks" 1', "not that of a run sheet"),
        ("sheet.json", '"masks": 1,', "", "KeyError"),
        ("sheet.json", '"readout"', '"read"', "KeyError.'readout'"),
        ("sheet.json", '"black_level"', '"black"', "KeyError.'black_level'"),
        ("sheet.json", '"1.0.0"', '"2.0.0"', "2.0.0; this version reads"),
        ("sheet.json", "runsheet", "masks", "'fouroptics-masks'"),
        ("sheet.json", '"labels": [4, 0, 7]', '"labels": [4, 0, 7, 1]', "image_0003.png: cannot be read"),
        ("sheet.json", '"indices": [-1, -1, -1]', '"indices": [-1, -1]', "give 3 whole numbers"),
        ("playlist.csv", "exposure,", "seconds,", "columns"),
        ("playlist.csv", "1,signal,0,0", "1,signal,0,x", "line 1: invalid literal"),
        ("playlist.csv", "1,signal,0,0", "1,signal,0,3", "line 1: image = 3, for 1 masks and 3 images"),
        ("playlist.csv", "1,signal,0,0", "1,signal,1,0", "line 1: mask = 1"),
        ("playlist.csv", "1,signal,0,0", "1,signal,-1,0", "line 1: mask = -1"),
        ("playlist.csv", "1,signal", "1,bright", "line 1: kind = bright"),
        ("playlist.csv", "nan,0.3333333333333333,2", "nan,0.3333333333333333,0", "line 0: repeats = 0"),
        ("playlist.csv", "nan,0.3333333333333333,2", "nan,-1,2", "line 0: exposure = -1.0"),
        ("images/image_0001.png", "", None, "image_0001.png: cannot be read"),
    ],
)
def test_a_broken_folder_is_refused(folder, file, old, new, says):
    path = folder / file
    if new is None:
        path.unlink()
    else:
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))
    with pytest.raises(FourOpticsError, match=says):
        runsheet.read(folder)


def test_a_lab_may_take_lines_out(folder):
    path = folder / "playlist.csv"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[:1] + lines[6:]))
    assert len(runsheet.read(folder).lines) == len(lines) - 6


# ---- images ----------------------------------------------------------------------------------------------------------


def equal(first: Pictures, second: Pictures) -> bool:
    return all(np.array_equal(*pair) for pair in zip(first, second, strict=True))


def test_images_of_arrays_and_of_files(tmp_path):
    wanted = pictures(LEVELS, [4, 0, 7], [10, 11, 12])
    np.savez(tmp_path / "levels.npz", images=LEVELS, labels=[4, 0, 7], indices=[10, 11, 12])
    assert equal(read_pictures(tmp_path / "levels.npz"), wanted)
    assert equal(pictures(LEVELS / np.float32(255), [4, 0, 7], [10, 11, 12]), wanted)  # no level is lost
    (tmp_path / "png").mkdir()
    for name, levels in zip("cab", LEVELS[[2, 0, 1]], strict=True):
        Image.fromarray(levels).save(tmp_path / "png" / f"{name}.png")
    (tmp_path / "png" / "labels.csv").write_text("file,label\nc.png,7\na.png,4\n")
    assert equal(read_pictures(tmp_path / "png"), pictures(LEVELS, [4, -1, 7]))


def test_images_that_are_none(tmp_path):
    np.savez(tmp_path / "other.npz", pictures=LEVELS)
    np.savez(tmp_path / "few.npz", images=LEVELS, labels=[1])
    np.savez(tmp_path / "deep.npz", images=LEVELS.astype(np.uint16))
    np.savez(tmp_path / "bright.npz", images=LEVELS.astype(float))
    (tmp_path / "text.npz").write_text("no")
    for name in ("empty", "sizes", "colour", "labels"):
        (tmp_path / name).mkdir()
    Image.new("L", (8, 8)).save(tmp_path / "sizes" / "a.png")
    Image.new("L", (9, 8)).save(tmp_path / "sizes" / "b.png")
    Image.new("RGB", (8, 8)).save(tmp_path / "colour" / "a.png")
    Image.new("L", (8, 8)).save(tmp_path / "labels" / "a.png")
    (tmp_path / "labels" / "labels.csv").write_text("file,label\na.png,cat\n")
    for name, says in {
        "none.npz": "is not there",
        "text.npz": "no npz file",
        "other.npz": "no array 'images'",
        "few.npz": "labels .1,., .*give 3 whole numbers",
        "deep.npz": "uint16",
        "bright.npz": "or grey in",
        "empty": "holds no .png",
        "sizes": "b.png: .8, 9. pixels, a.png has .8, 8.",
        "colour": "mode RGB",
        "labels": "labels.csv: invalid literal",
    }.items():
        with pytest.raises(BundleError, match=says):
            read_pictures(tmp_path / name)


# ---- the command -----------------------------------------------------------------------------------------------------


@pytest.fixture
def lab(tmp_path) -> Path:
    (tmp_path / "bench.toml").write_text(FourF(bench_data()).to_toml())
    bundle.save(tmp_path / "masks.h5", coherent_masks())
    np.savez(tmp_path / "images.npz", images=LEVELS)
    return tmp_path


def words(lab: Path, output: str, *more: str) -> list[str]:
    files = [str(lab / name) for name in ("masks.h5", "bench.toml")]
    return ["masks", "run-sheet", *files, "--images", str(lab / "images.npz"), "-o", str(lab / output), *more]


def test_command(lab):
    options = ("--exposure", "2 ms", "--repeats", "2", "--dark", "3", "--order", "image-major")
    done = CliRunner().invoke(app, words(lab, "sheet", *options))
    assert done.exit_code == 0, done.output
    assert "4 lines, 9 frames of 2 ms" in done.output
    sheet = runsheet.read(lab / "sheet")
    assert sheet.about["bundle_sha256"] == runsheet.fingerprint(lab / "masks.h5")
    assert sheet.order.tolist() == [0, 0, 0, 1, 1, 2, 2, 3, 3]
    assert (lab / "sheet" / "masks" / "mask_000.png").exists()
    again = CliRunner().invoke(app, words(lab, "sheet"))
    assert again.exit_code == 1
    assert "already there" in again.output
    estimate = CliRunner().invoke(app, words(lab, "light", "--no-masks"))
    assert "note: the exposure is an estimate" in estimate.output
    assert not (lab / "light" / "masks").exists()
    wrong = CliRunner().invoke(app, words(lab, "wrong", "--exposure", "2"))
    assert "the unit is missing" in wrong.output
    assert not (lab / "wrong").exists()


def test_command_needs_no_torch(lab):
    """The computer of the SLM writes a run sheet, too, and its files say what a script needs."""
    probe = "import sys; from fouroptics.cli import app; app(sys.argv[1:], standalone_mode=False); print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", probe, *words(lab, "sheet")], capture_output=True, text=True, check=True
    )
    assert {"torch", "matplotlib"}.isdisjoint(done.stdout.split())
    about = json.loads((lab / "sheet" / "sheet.json").read_text())
    assert set(about) >= {"bundle_sha256", "masks", "readout", "panel", "camera", "settling", "images"}
