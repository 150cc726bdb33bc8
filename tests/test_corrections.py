"""Vendors' pictures: corrections and frames of Hamamatsu, Santec and slmsuite."""

import logging
import math
import warnings
from pathlib import Path

import h5py
import numpy as np
import pytest
from PIL import Image

from fouroptics.devices import tables
from fouroptics.devices.corrections import read_santec
from fouroptics.errors import FourOpticsError
from fouroptics.units import nm

TURN = 2 * math.pi


def write(folder: Path, text: str, name: str = "s.csv") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def picture(folder: Path, grey: np.ndarray, name: str = "CAL_LSH0804730_785nm.bmp") -> Path:
    Image.fromarray(grey).save(folder / name)
    return folder / name


@pytest.fixture(scope="module")
def grey() -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (1024, 1272), dtype=np.uint8)


def test_hamamatsu_correction(tmp_path, grey):
    path = picture(tmp_path, grey)
    file = tables.read(path)
    np.testing.assert_allclose(file.values, grey * (TURN / 256), rtol=1e-15)
    assert (file.kind, file.unit) == ("correction", "rad")
    assert file.wavelength == pytest.approx(785 * nm, rel=1e-12)
    assert file.findings == ("phase = 2 pi/256 times the value; slmsuite takes 255 - value (invert=True)",)
    inverted = tables.read(path, invert=True)
    np.testing.assert_allclose(inverted.values, (255.0 - grey) * TURN / 256, rtol=1e-15)
    assert "255 - value" in inverted.findings[-1]


@pytest.mark.parametrize("side", ["first", "last"])
def test_hamamatsu_with_the_blank_columns_of_the_video_signal(tmp_path, grey, side):
    pad = np.zeros((1024, 8), np.uint8)
    path = picture(tmp_path, np.hstack([pad, grey] if side == "first" else [grey, pad]))
    file = tables.read(path)
    np.testing.assert_allclose(file.values, grey * (TURN / 256), rtol=1e-15)
    assert file.findings[0] == f"the {side} 8 of 1280 columns are blank and were left out"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda g: g[:, :1024], r"1024 x 1024 pixels \(height x width\), not 1024 x 1272"),
        (lambda g: np.hstack([g, g[:, :8]]), "neither the first nor the last 8 are blank"),
        (lambda g: np.stack([g, g, 255 - g], -1), "mode RGB, not of 8 bit grey"),
        (lambda g: g > 127, "mode 1, not"),
    ],
    ids=["size", "padding", "colour", "binary"],
)
def test_another_picture_is_refused(tmp_path, grey, change, says):
    with pytest.raises(FourOpticsError, match=says):
        tables.read(picture(tmp_path, change(grey)))


def test_grey_in_three_colours_and_unused_bits(tmp_path, grey):
    file = tables.read(picture(tmp_path, np.stack([grey & 0xF0] * 3, -1)))
    np.testing.assert_allclose(file.values, (grey & 0xF0) * (TURN / 256), rtol=1e-15)
    assert file.findings[0] == "every level is a multiple of 16: fewer than 8 bit, left-justified?"
    assert tables.read(picture(tmp_path, grey * 0)).findings[0] == "every level is 0"


def santec(levels: np.ndarray) -> str:
    head = "Y/X," + ",".join(map(str, range(levels.shape[1])))
    return "\n".join([head, *(",".join(map(str, [y, *row])) for y, row in enumerate(levels.tolist())), ""])


SANTEC = np.random.default_rng(2).integers(0, 1024, (6, 9))


def test_santec_frame_and_correction(tmp_path):
    path = write(tmp_path, santec(SANTEC), "Wavefront_correction_Data_1(520nm).csv")
    frame = read_santec(path, shape=(6, 9))
    np.testing.assert_array_equal(frame.values, SANTEC)
    assert (frame.kind, frame.unit, frame.findings) == ("frame", "grey", ())
    file = read_santec(path, correction=True, shape=None)
    np.testing.assert_allclose(file.values, -SANTEC * TURN / 1024, rtol=1e-15)
    assert (file.kind, file.findings) == ("correction", ("phase = -2 pi/1024 times the level",))
    assert file.wavelength == pytest.approx(520 * nm, rel=1e-12)
    with pytest.raises(FourOpticsError, match=r"6 x 9 pixels .* not 1200 x 1920"):
        tables.read(path)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "line 1: '' is not the row"),
        ("Y/X,0,2\n0,1,2\n", "line 1: 'Y/X,0,2' is not the row"),
        ("Y/X\n0\n", "not H x W|0 pixels"),
        ("Y/X,0,1\n", "0 x 2 pixels"),
        ("Y/X,0,1\n0,1,2\n2,3,4\n", "line 3: row 2 of 2 levels, not row 1 of 2"),
        ("Y/X,0,1\n0,1,2\n1,3\n", "line 3: row 1 of 1 levels, not row 1 of 2"),
        ("Y/X,0,1\n0,1,x\n", "line 2: holds something else than whole numbers"),
        ("Y/X,0,1\n0,1,2.5\n", "line 2: holds something else"),
        ("Y/X,0,1\n0,1,99999999999999999999\n", "line 2: holds something else"),
        ("Y/X,0,1\n0,1,1024\n", "level 1024 in row 0, column 1 is not within 10 bit; export"),
        ("Y/X,0,1\n0,-1,3\n", "level -1 in row 0, column 0 is not within 10 bit; export"),
        (santec(SANTEC * 64), "is not within 10 bit; every level is a multiple of 64, left-justified: divide by 64"),
    ],
)
def test_a_useless_santec_file_is_refused(tmp_path, text, says):
    with pytest.raises(FourOpticsError, match=says):
        read_santec(write(tmp_path, text), shape=None)


# ---- slmsuite --------------------------------------------------------------------------------------------------------

PHASE = np.random.default_rng(3).uniform(0, 6, (4, 5))


def slmsuite_file(path: Path, root: str, **content) -> Path:
    """The layout of slmsuite 0.5: everything of a panel under one root."""
    with h5py.File(path, "w") as file:
        file["__version__"] = "0.5.0"
        for name, value in content.items():
            file[f"{root}/{name.replace('__', '/')}"] = value
    return path


SHOWN = {"phase": PHASE.astype(np.float32), "display": np.zeros((4, 5), np.uint8)}


@pytest.mark.parametrize("root", ["__meta__", "__meta__/slm"], ids=["SLM.save", "FourierSLM.save"])
def test_slmsuite_calibration(tmp_path, root):
    content = {"source__phase": PHASE, "source__amplitude": PHASE / 6, "wav_um": 0.633, "wav_design_um": 0.8}
    file = tables.read(slmsuite_file(tmp_path / "s.h5", root, **SHOWN, **content))
    np.testing.assert_array_equal(file.values, PHASE)
    np.testing.assert_array_equal(file.amplitude, PHASE / 6)
    assert (file.kind, file.unit) == ("correction", "rad")
    assert file.wavelength == pytest.approx(633 * nm, rel=1e-12)
    assert "used at 633 nm on a panel made for 800 nm" in file.findings
    assert not any("holds no" in finding for finding in file.findings)


@pytest.mark.parametrize(
    ("content", "unit"), [(SHOWN, "rad"), ({"display": SHOWN["display"]}, "grey")], ids=["phase", "display"]
)
def test_slmsuite_says_what_is_missing(tmp_path, content, unit):
    file = tables.read(slmsuite_file(tmp_path / "p.h5", "", **content))
    assert (file.kind, file.unit, file.amplitude, file.wavelength) == ("frame", unit, None, None)
    assert file.findings[:2] == ("holds no source/phase", "holds no source/amplitude")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ({}, "holds no phase and no display"),
        ({"phase": 1.0}, "holds no phase and no display"),
        ({"phase": PHASE * np.nan}, "phase: a value is not finite"),
        ({"phase": PHASE, "source__phase": PHASE[1:]}, "4 x 5 pixels .* not 3 x 5"),
        ({"phase": h5py.Empty("f4")}, "holds no phase"),
        ({"phase": np.zeros((0, 3))}, "holds no phase"),
    ],
    ids=["nothing", "a number", "nan", "two shapes", "empty", "no pixels"],
)
def test_a_useless_slmsuite_file_is_refused(tmp_path, content, says):
    with pytest.raises(FourOpticsError, match=says):
        tables.read(slmsuite_file(tmp_path / "s.h5", "", **content))


def test_files_that_slmsuite_wrote(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        simulated = pytest.importorskip("slmsuite.hardware.slms.simulated")
    logging.disable(logging.CRITICAL)
    try:
        slm = simulated.SimulatedSLM((5, 4), pitch_um=8, bitdepth=8, wav_um=0.633, gpu=False)
        slm.source["phase"] = PHASE
        slm.set_phase(PHASE, phase_correct=False)
        saved, shown = slm.save(str(tmp_path), "s"), slm.save_phase(str(tmp_path), "p")
    finally:
        logging.disable(logging.NOTSET)
    file = tables.read(saved)
    np.testing.assert_array_equal(file.values, PHASE)
    assert (file.kind, file.wavelength) == ("correction", pytest.approx(633 * nm, rel=1e-12))
    np.testing.assert_array_equal(tables.read(shown).values, slm.phase)
