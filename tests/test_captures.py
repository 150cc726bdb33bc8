"""Captures: the file that a camera's frames become, and every way in which it can be wrong."""

import re
import shutil
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from typer.testing import CliRunner

from fouroptics.cli import app
from fouroptics.errors import BundleError
from fouroptics.masks import captures, runsheet
from fouroptics.masks.pictures import pictures

ROOT = Path(__file__).parents[1]
SHAPE, HASH = (6, 8), "ab" * 32
LINES = [("dark", -1, -1, np.nan, 0.01, 2), ("signal", 0, 1, np.nan, 0.01, 1), ("signal", 0, 0, np.nan, 0.01, 2)]
CAMERA = {"name": "µ-eye", "bits": 12, "pitch": 3e-6, "black_level": 100.0, "binning": 1, "roi": [0, 0, *SHAPE]}
ABOUT: dict[str, Any] = {
    "bundle_sha256": HASH,
    "masks": 1,
    "readout": "intensity",
    "panel": {},
    "camera": CAMERA | {"shape": list(SHAPE)},
    "settling": {"panel": 0.02, "display": 0.01},
}
SHEET = runsheet.RunSheet(
    np.array(LINES, runsheet.LINE), pictures(np.zeros((2, 4, 4), np.uint8), [3, 5], [7, 9]), ABOUT
)
FRAMES = np.random.default_rng(0).integers(0, 4096, (5, *SHAPE), np.uint16)


def write(path: Path, frames: Any = FRAMES, sheet: runsheet.RunSheet = SHEET) -> Path:
    captures.save(path, sheet, ((frame, 0.5 * i) for i, frame in enumerate(frames)))
    return path


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("captures") / "c.h5")


def codes(path: Path, **wanted: Any) -> list[str]:
    return [finding.code for finding in captures.verify(path, **wanted)]


# ---- writing and reading ---------------------------------------------------------------------------------------------


def test_what_is_written_is_read(good):
    assert captures.verify(good, HASH, SHAPE) == []
    read = captures.read(good, HASH, SHAPE)
    assert np.array_equal(read.frames[:], FRAMES)
    assert np.array_equal(read.frames[3], FRAMES[3])
    assert read.playlist_index.tolist() == [0, 0, 1, 2, 2]
    assert read.exposure.tolist() == [0.01] * 5
    assert read.timestamp.tolist() == [0, 0.5, 1, 1.5, 2]
    assert read.labels.tolist() == [3, 5]
    assert read.indices.tolist() == [7, 9]
    assert read.camera == {key: CAMERA[key] for key in ("name", "bits", "pitch", "black_level", "roi")}
    assert (read.readout, read.bundle_sha256) == ("intensity", HASH)
    for name in runsheet.COLUMNS:
        assert np.array_equal(read.lines[name], SHEET.lines[name], equal_nan=name == "reference"), name
    dark, other = read.means([0, 2])
    assert np.array_equal(dark, FRAMES[:2].mean(0))
    assert np.array_equal(other, FRAMES[3:].mean(0))


def test_the_file_is_the_layout(good, tmp_path):
    """One chunk a frame, packed and with a checksum; and the same frames make the same bytes."""
    with h5py.File(good) as file:
        stack: Any = file["/entry/frames"]
        assert (stack.dtype, stack.chunks) == (np.dtype("<u2"), (1, *SHAPE))
        assert (stack.compression, stack.shuffle, stack.fletcher32) == ("gzip", True, True)
        assert {path: file[path].attrs.get("units", b"").decode() for path in captures.DATASETS} == {
            path: unit for path, (_, _, unit) in captures.DATASETS.items()
        }
    assert write(tmp_path / "again.h5").read_bytes() == good.read_bytes()


@pytest.mark.parametrize(
    ("frames", "says"),
    [
        (FRAMES[:4], "frame 4 is missing; the run sheet takes 5"),
        (FRAMES[[0, 1, 2, 3, 4, 0]], "1 frame too many; the run sheet takes 5"),
        ([*FRAMES[:2], FRAMES[2].T], r"frame 2: \(8, 6\)"),
        ([*FRAMES[:2], FRAMES[2] / 2], "float64"),
        ([*FRAMES[:2], FRAMES[2] + 4096], "levels .*0 to 4095"),
        ([*FRAMES[:2], FRAMES[2].astype(int) - 4096], "levels -"),
    ],
)
def test_wrong_frames_leave_the_old_file(frames, says, tmp_path):
    path = tmp_path / "c.h5"
    path.write_bytes(b"old")
    with pytest.raises(BundleError, match=says):
        write(path, frames)
    assert [item.name for item in tmp_path.iterdir()] == ["c.h5"]
    assert path.read_bytes() == b"old"


def test_memory_is_that_of_a_frame(tmp_path):
    """60 frames of 128 KiB: 7.5 MiB of them; 2 MiB are four frames in double precision, for the mean."""
    sheet = replace(
        SHEET,
        lines=np.array([("signal", 0, 0, np.nan, 0.01, 60)], runsheet.LINE),
        about=ABOUT | {"camera": ABOUT["camera"] | {"shape": [256, 256]}},
    )
    frame = np.arange(256 * 256, dtype=np.uint16).reshape(256, 256) % 4096
    tracemalloc.start()
    try:
        write(tmp_path / "c.h5", (frame for _ in range(60)), sheet)
        assert captures.verify(tmp_path / "c.h5") == []
        (mean,) = captures.read(tmp_path / "c.h5").means([0])
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert np.array_equal(mean, frame)
    assert peak < 2 * 2**20


# ---- what is wrong ---------------------------------------------------------------------------------------------------


def replaced(path: str, values: Any, **attributes: Any) -> Callable[[h5py.File], None]:
    """Store other values, with their hash and unit gone, as a lab script may write them."""

    def change(file: h5py.File) -> None:
        del file[path]
        file[path] = values
        file[path].attrs.update({name: np.bytes_(text) for name, text in attributes.items()})
        file.attrs.pop("manifest_sha256", None)

    return change


def edited(path: str, name: str, value: str) -> Callable[[h5py.File], None]:
    return lambda file: file[path].attrs.__setitem__(name, np.bytes_(value))


def set_in(path: str, where: Any, value: Any) -> Callable[[h5py.File], None]:
    def change(file: Any) -> None:
        file[path][where] = value

    return change


def linked(path: str, link: Any) -> Callable[[h5py.File], None]:
    def change(file: h5py.File) -> None:
        del file[path]
        file[path] = link

    return change


def packed(**how: Any) -> Callable[[h5py.File], None]:
    def change(file: h5py.File) -> None:
        del file["/entry/frames"]
        file.create_dataset("/entry/frames", **how)

    return change


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (edited("/", "file_format", "fouroptics-masks"), "C-FORMAT"),
        (edited("/", "schema_version", "2.0.0"), "C-VERSION"),
        (edited("/", "schema_version", "one"), "C-VERSION"),
        (lambda file: file.attrs.__setitem__("note", "a text of any length"), "C-DTYPE"),
        (lambda file: file.attrs.__delitem__("bundle_sha256"), "C-BUNDLE"),
        (lambda file: file.__delitem__("/entry/timestamp"), "C-MISSING"),
        (lambda file: file.__delitem__("/entry/playlist"), "C-MISSING"),
        (linked("/entry/frames", h5py.SoftLink("/entry/exposure")), "C-LINK"),
        (linked("/entry/playlist", h5py.ExternalLink("other.h5", "/")), "C-LINK"),
        (packed(data=FRAMES, compression="lzf"), "C-FILTER"),
        (packed(data=FRAMES.astype(np.float32)), "C-DTYPE"),
        (packed(data=FRAMES.astype(np.uint8)), "C-DTYPE"),
        (packed(shape=(2**40, *SHAPE), dtype="u2", chunks=(1, *SHAPE)), "C-SIZE"),
        (packed(data=FRAMES[0]), "C-SHAPE"),
        (packed(data=FRAMES[:4]), "C-SHAPE"),
        (replaced("/entry/playlist/mask", np.zeros(2, int)), "C-SHAPE"),
        (replaced("/entry/camera/roi", np.zeros(2, int)), "C-SHAPE"),
        (replaced("/entry/camera/name", "a text of any length"), "C-DTYPE"),
        (replaced("/entry/exposure", np.full(5, 10.0), units="ms"), "C-UNITS"),
        (replaced("/entry/exposure", np.zeros(5)), "C-TIME"),
        (replaced("/entry/timestamp", np.full(5, np.nan)), "C-TIME"),
        (replaced("/entry/timestamp", np.array([0, 0.5, 1, 0, 0])), "C-TIME"),  # a script that was killed
        (replaced("/entry/camera/bits", 11), "C-LEVELS"),
        (replaced("/entry/camera/bits", 10**9), "C-CAMERA"),
        (replaced("/entry/playlist/kind", np.array(["dark", "signal", "bright"], "S")), "C-PLAYLIST"),
        (replaced("/entry/playlist/image", np.array([-1, 1, 2])), "C-PLAYLIST"),
        (replaced("/entry/playlist_index", np.array([0, 0, 1, 2, 3])), "C-PLAYLIST"),
        (replaced("/entry/playlist_index", np.array([0, 0, 1, 1, 2])), "C-FRAMES"),
        (set_in("/entry/frames", (0, 0, 0), 1), "C-HASH"),
        (set_in("/entry/timestamp", 0, 0.25), "C-HASH"),
        (edited("/", "bundle_sha256", "cd" * 32), "C-MANIFEST"),
        (edited("/entry/frames", "sha256", "cd" * 32), "C-HASH"),
    ],
)
def test_each_fault_has_its_code(change, code, good, tmp_path):
    path = Path(shutil.copy(good, tmp_path))
    with h5py.File(path, "r+") as file:
        change(file)
    assert code in codes(path)
    with pytest.raises(BundleError, match=str(path)):
        captures.read(path)


def test_frames_of_other_masks_or_another_camera(good):
    assert codes(good, bundle_sha256="cd" * 32) == ["C-BUNDLE"]
    assert codes(good, shape=(8, 6)) == ["C-CAMERA"]
    with pytest.raises(BundleError, match="the frames are of other masks"):
        captures.read(good, "cd" * 32)


def test_no_file(tmp_path, good):
    (tmp_path / "text.h5").write_text("no")
    (tmp_path / "cut.h5").write_bytes(good.read_bytes()[:-100])
    for name in ("none.h5", "text.h5", "cut.h5"):
        assert codes(tmp_path / name) == ["C-FILE"]


def test_a_bit_that_turns_is_found_or_harmless(good, tmp_path):
    content, path, found = good.read_bytes(), tmp_path / "c.h5", 0
    whole = captures.read(good)
    for bit in np.random.default_rng(0).choice(8 * len(content), 100, replace=False):
        turned = bytearray(content)
        turned[bit // 8] ^= 1 << bit % 8
        path.write_bytes(turned)
        if any(finding.severity == "error" for finding in captures.verify(path)):
            found += 1
            continue
        read = captures.read(path)
        assert np.array_equal(read.frames[:], FRAMES), bit
        assert read.lines.tobytes() == whole.lines.tobytes(), bit
        assert (read.camera, read.readout, read.bundle_sha256) == (whole.camera, whole.readout, HASH), bit
    assert found > 15  # the rest lies in the gaps that HDF5 leaves


# ---- other writers ---------------------------------------------------------------------------------------------------


def test_the_script_of_the_guide(tmp_path, monkeypatch):
    """A lab writes the file with h5py alone; it says what the recorder says, but for the hashes."""
    text = (ROOT / "docs" / "guide" / "captures.rst").read_text(encoding="utf-8")
    (block,) = re.findall(r"\.\. code-block:: python\n   :name: lab-script\n\n((?:   .*\n|\n)+)", text)
    script = re.sub(r"^   ", "", block, flags=re.MULTILINE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    runsheet.write(SHEET, "sheet")
    left, shown = iter(FRAMES), []
    names: dict[str, Any] = {"show": shown.append, "expose": lambda seconds: next(left)}
    exec(compile(script, "captures.rst", "exec"), names)
    assert [line["kind"] for line in shown] == ["dark", "dark", "signal", "signal", "signal"]
    assert codes(tmp_path / "captures.h5", bundle_sha256=HASH, shape=SHAPE) == ["C-UNSEALED"]
    mine, theirs = captures.read(write(tmp_path / "c.h5")), captures.read(tmp_path / "captures.h5")
    assert np.array_equal(theirs.frames[:], FRAMES)
    for name in ("playlist_index", "exposure", "labels", "indices"):
        assert np.array_equal(getattr(mine, name), getattr(theirs, name)), name
    assert mine.lines.tobytes() == theirs.lines.tobytes()
    assert (mine.camera, mine.readout) == (theirs.camera, theirs.readout)
    assert len(script.partition("as file:\n")[2].strip().splitlines()) <= 10


def test_command(good, tmp_path):
    def run(*words: Any) -> tuple[int, str]:
        done = CliRunner().invoke(app, ["masks", "captures", *map(str, words)])
        return done.exit_code, done.output

    assert run(good) == (0, f"{good}: good\n")
    path = Path(shutil.copy(good, tmp_path))
    with h5py.File(path, "r+") as file:
        set_in("/entry/frames", (0, 0, 0), 1)(file)
    code, said = run(path)
    assert code == 1
    assert "error C-HASH /entry/frames" in said
    assert '"code": "C-HASH"' in run(path, "--json")[1]


def test_no_torch():
    modules = "captures, runsheet, pictures"
    probe = f"import sys; from fouroptics.masks import {modules}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert "torch" not in done.stdout.split()
