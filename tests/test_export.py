"""Frames for devices: each form read back by another reader, turned as the panel says, whole or not at all."""

import csv
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from PIL import Image
from test_maskset import SHAPE, kernel_table, mask_set

from fouroptics.devices.corrections import read_santec
from fouroptics.devices.panel import SLMConfig
from fouroptics.errors import BundleError, FourOpticsError
from fouroptics.masks import bundle, export
from fouroptics.masks.export import Form, frames, oriented, upright
from fouroptics.masks.imported import from_slmsuite
from fouroptics.masks.maskset import MaskSet
from fouroptics.masks.schema import fiducial

TURNED = {"fliplr": True, "flipud": False, "rot90": 1}


def picture(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image)


def cells(path: Path) -> np.ndarray:
    with path.open(newline="") as file:
        head, *rows = csv.reader(file)
    assert head == ["Y/X", *map(str, range(len(head) - 1))]
    assert [row[0] for row in rows] == [str(y) for y in range(len(rows))]
    return np.array([row[1:] for row in rows], int)


def display(path: Path) -> np.ndarray:
    with h5py.File(path) as file:
        return np.asarray(file["display"])


def mirrors(count: int = 3, width: int = 61) -> MaskSet:
    """Random binary patterns; their width is no whole number of bytes."""
    slm = SLMConfig(shape=(48, width), bits=1, modulation="binary")
    gray = np.random.default_rng(0).integers(0, 2, (count, *slm.shape), np.uint8)
    return masks_of(gray, slm)


def masks_of(gray: np.ndarray, slm: SLMConfig) -> MaskSet:
    table = replace(kernel_table(), mask=np.minimum(kernel_table().mask, len(gray) - 1))
    return MaskSet(None, gray, table, slm)


@pytest.mark.parametrize("orientation", [{}, TURNED, {"flipud": True, "rot90": 2}], ids=str)
@pytest.mark.parametrize(
    ("form", "bits", "read"),
    [
        (export.PNG, 8, picture),
        (export.PNG, 4, picture),
        (export.PNG, 10, picture),
        (export.PNG, 16, picture),
        (export.BMP, 8, picture),
        (export.BMP, 5, picture),
        (export.SANTEC_CSV, 10, cells),
        (export.SANTEC_CSV, 8, cells),
        (export.SLMSUITE, 10, display),
        (export.SLMSUITE, 8, display),
    ],
    ids=lambda value: getattr(value, "name", None),
)
def test_a_file_a_mask_holds_its_levels(
    tmp_path: Path, form: Form, bits: int, read: Callable[[Path], np.ndarray], orientation: dict[str, Any]
):
    masks = mask_set(slm={"bits": bits, "orientation": orientation})
    paths = frames(masks, tmp_path, form)
    assert [path.name for path in paths] == [f"mask_{i:03}{form.suffix}" for i in range(3)]
    assert sorted(tmp_path.iterdir()) == paths
    turns = orientation.get("rot90", 0)
    for path, gray in zip(paths, masks.gray, strict=True):
        flipped = gray[:: -1 if orientation.get("flipud") else 1, :: -1 if orientation.get("fliplr") else 1]
        assert np.array_equal(read(path), np.rot90(flipped, turns))


def test_ten_bits_are_not_stretched(tmp_path: Path):
    """The container has 16 bits, the levels stay 0 to 1023."""
    slm = SLMConfig(shape=(2, 512), bits=10, modulation="amplitude")
    (path,) = frames(masks_of(np.arange(1024, dtype=np.uint16).reshape(1, 2, 512), slm), tmp_path)
    with Image.open(path) as image:
        assert image.mode == "I;16"
        assert np.asarray(image).ravel().tolist() == list(range(1024))
    head = path.read_bytes()[:33]
    assert (head[24], head[25]) == (16, 0)  # IHDR: bit depth 16, greyscale


def test_a_bmp_is_eight_bits_with_an_identity_palette(tmp_path: Path):
    path = frames(mask_set(), tmp_path, export.BMP)[0]
    with Image.open(path) as image:
        assert (image.mode, image.format) == ("L", "BMP")
    head = path.read_bytes()
    assert int.from_bytes(head[28:30], "little") == 8
    palette = np.frombuffer(head[54 : 54 + 1024], np.uint8).reshape(256, 4)
    assert np.array_equal(palette[:, :3], np.repeat(np.arange(256)[:, None], 3, 1))


def test_santec_is_read_by_the_reader_of_its_corrections(tmp_path: Path):
    masks = mask_set(slm={"bits": 10})
    for path, gray in zip(frames(masks, tmp_path, export.SANTEC_CSV), masks.gray, strict=True):
        file = read_santec(path, shape=SHAPE)
        assert file.values.dtype == np.uint16
        assert np.array_equal(file.values, gray)
        assert all("wavelength" in finding for finding in file.findings)  # not cut, not shifted


def test_packed_patterns_are_rows_of_bits(tmp_path: Path):
    masks = mirrors()
    for path, gray in zip(frames(masks, tmp_path, export.PACKED), masks.gray, strict=True):
        content = np.frombuffer(path.read_bytes(), np.uint8).reshape(48, 8)
        bits = (content[:, :, None] >> np.arange(7, -1, -1) & 1).reshape(48, 64)
        assert np.array_equal(bits[:, :61], gray)
        assert not bits[:, 61:].any()


def test_the_dlpc900_plays_24_patterns_a_frame(tmp_path: Path):
    masks = mirrors(26)
    paths = frames(masks, tmp_path, export.DLPC900)
    assert [path.name for path in paths] == ["mask_000-023.png", "mask_024-025.png"]
    for i, gray in enumerate(masks.gray):
        colours = picture(paths[i // 24])
        assert colours.shape == (48, 61, 3)
        channel = {0: 2, 1: 1, 2: 0}[i % 24 // 8]  # blue, green, red
        assert np.array_equal(colours[..., channel] >> (i % 8) & 1, gray)
    assert not (picture(paths[1])[..., :2]).any()  # no 27th pattern
    assert picture(paths[1])[..., 2].max() < 4


@pytest.mark.parametrize("bits", [8, 10])
def test_npy_holds_all_masks(tmp_path: Path, bits: int):
    masks = mask_set(slm={"bits": bits, "orientation": TURNED})
    (path,) = frames(masks, tmp_path, export.NPY)
    assert path.name == "mask.npy"
    found = np.load(path, allow_pickle=False, mmap_mode="r")
    assert found.dtype == masks.gray.dtype
    assert np.array_equal(found, [np.rot90(gray[:, ::-1]) for gray in masks.gray])


@pytest.mark.parametrize(
    ("form", "bits", "says"),
    [
        (export.BMP, 10, "bmp is for panels of up to 8 bit, 'small µ' has 10; export png or npy"),
        (export.SANTEC_CSV, 12, "santec-csv is for panels of up to 10 bit"),
        (export.PACKED, 8, "packed is for panels of mirrors, 1 bit"),
        (export.DLPC900, 8, "dlpc900 is for panels of mirrors, 1 bit"),
    ],
    ids=lambda value: getattr(value, "name", None),
)
def test_a_form_that_cannot_hold_the_levels_is_refused(tmp_path: Path, form: Form, bits: int, says: str):
    with pytest.raises(BundleError, match=says):
        frames(mask_set(slm={"bits": bits}), tmp_path / "new", form)
    assert not (tmp_path / "new").exists()


def test_slmsuite_takes_phases_alone(tmp_path: Path):
    with pytest.raises(BundleError, match="'binary' stand for none; export png, npy or packed"):
        frames(mirrors(), tmp_path, export.SLMSUITE)


def test_the_letter_f_lies_beside_the_masks(tmp_path: Path):
    masks = mask_set(slm={"orientation": TURNED})
    paths = frames(masks, tmp_path, fiducial=True)
    assert paths[-1].name == "fiducial_000.png"
    assert np.array_equal(picture(paths[-1]), np.rot90(fiducial(masks.slm)[:, ::-1]))
    (_, letter) = frames(masks, tmp_path, export.NPY, fiducial=True)
    assert letter.name == "fiducial.npy"
    assert np.array_equal(np.load(letter)[0], picture(paths[-1]))


@pytest.mark.parametrize("form", [export.PNG, export.NPY, export.SLMSUITE], ids=lambda form: form.name)
def test_an_export_that_breaks_off_leaves_the_folder_as_it_was(tmp_path: Path, form: Form):
    masks = mask_set()
    paths = frames(masks, tmp_path, form, fiducial=True)
    before = {path: path.read_bytes() for path in paths}

    def stop(done: int, total: int) -> None:
        assert total == 3
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        frames(mask_set(seed=2), tmp_path, form, fiducial=True, overwrite=True, progress=stop)
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_what_is_there_stays_unless_told(tmp_path: Path):
    paths = frames(mask_set(), tmp_path)
    with pytest.raises(BundleError, match=r"mask_000.png is already there; .* \(--force\)"):
        frames(mask_set(seed=2), tmp_path)
    (tmp_path / "fiducial_000.bmp").write_bytes(b"")
    with pytest.raises(BundleError, match=r"fiducial_000\.bmp is already there"):
        frames(mask_set(), tmp_path, export.BMP, fiducial=True)
    old = paths[0].read_bytes()
    frames(mask_set(seed=2), tmp_path, overwrite=True)
    assert paths[0].read_bytes() != old


def test_progress_and_one_frame_at_a_time(tmp_path: Path):
    """A file is closed before the next frame is read."""
    masks, seen = mask_set(), []

    def progress(done: int, total: int) -> None:
        seen.append((done, total, len(list(tmp_path.glob("*.partial")))))

    frames(masks, tmp_path, progress=progress)
    assert seen == [(1, 3, 1), (2, 3, 2), (3, 3, 3)]


def test_more_than_a_thousand_masks_stay_in_order(tmp_path: Path):
    slm = SLMConfig(shape=(2, 2), bits=1, modulation="binary")
    gray = np.zeros((1001, 2, 2), np.uint8)
    paths = frames(masks_of(gray, slm), tmp_path, export.PACKED)
    assert paths == sorted(paths)
    assert paths[-1].name == "mask_1000.bin"


@pytest.mark.parametrize("rot90", range(4))
@pytest.mark.parametrize("flips", [{}, {"fliplr": True}, {"flipud": True}, {"fliplr": True, "flipud": True}], ids=str)
def test_upright_undoes_oriented(rot90: int, flips: dict[str, bool]):
    slm = SLMConfig(shape=(3, 5), orientation={"rot90": rot90, **flips})  # pyright: ignore[reportArgumentType]
    gray = np.arange(15).reshape(3, 5)
    assert np.array_equal(upright(oriented(gray, slm.orientation), slm.orientation), gray)


# ---- back from slmsuite ----------------------------------------------------------------------------------------------


def saved(path: Path, phase: Any, display: Any) -> Path:
    with h5py.File(path, "w") as file:
        file.update({"__version__": "0.5.0", "phase": phase, "display": display})
    return path


@pytest.mark.parametrize("bits", [8, 10])
def test_what_is_exported_comes_back(tmp_path: Path, bits: int):
    masks = mask_set(slm={"bits": bits, "orientation": TURNED})
    back = from_slmsuite(frames(masks, tmp_path, export.SLMSUITE), masks.slm, masks.instrument)
    assert np.array_equal(back.gray, masks.gray)
    assert np.array_equal(back.phase, masks.phase)
    assert (back.slm, back.instrument, back.encoding) == (masks.slm, masks.instrument, "imported")
    assert back.kernels.mask.tolist() == [0, 1, 2]
    assert back.kernels.error.tolist() == [1, 1, 1]  # nothing is claimed
    bundle.save(tmp_path / "m.h5", back)
    assert bundle.verify(tmp_path / "m.h5") == []
    assert bundle.load(tmp_path / "m.h5") == back


def test_phases_of_many_turns_keep_their_levels(tmp_path: Path):
    """Wrapped, a phase midway between two levels may round to the other: then the phase of the level is taken."""
    slm = SLMConfig(shape=SHAPE)
    phase = np.random.default_rng(0).uniform(-20, 20, SHAPE).astype(np.float32)
    phase[0] = (np.arange(64, dtype=np.float32) - 32.5) * np.float32(2 * np.pi / 256) * 7  # midway, half of them
    phase[1] = np.float32(-1e-9)
    gray = ((-np.rint(phase * np.float32(256 / (2 * np.pi))) - 1) % 256).astype(np.uint8)
    back = from_slmsuite([saved(tmp_path / "a.h5", phase, gray)], slm)
    assert np.array_equal(back.gray[0], gray)
    apart = np.abs((back.phase[0] - phase + np.pi) % (2 * np.pi) - np.pi)
    assert apart.max() < 2 * np.pi / 256 / 2 * 1.001  # half a level
    assert (apart > 1e-5).sum() < 64  # float32 of 20 rad; only those midway were moved
    assert back.phase.max() < 2 * np.pi


def test_foreign_files_are_refused(tmp_path: Path):
    slm = SLMConfig(shape=SHAPE, name="mine")
    phase, gray = np.zeros(SHAPE, np.float32), np.full(SHAPE, 255, np.uint8)
    good = saved(tmp_path / "good.h5", phase, gray)
    other = gray.copy()
    other[3, 4] = 7
    for content, says in (
        ((phase, other), "bad.h5: 1 of 3072 levels are not those of its phase on 'mine' .*phase_correct=False"),
        ((phase, gray.astype(np.uint16) * 4), "3072 of 3072 levels"),
        ((phase[:-1], gray[:-1]), r"\(47, 64\) pixels"),
        ((phase[:-1], gray), "47 x 64"),
        ((phase + np.nan, gray), "not finite"),
        ((phase, gray.astype(float)), "display float64"),
    ):
        with pytest.raises(FourOpticsError, match=says):
            from_slmsuite([good, saved(tmp_path / "bad.h5", *content)], slm)
    (tmp_path / "cut.h5").write_bytes(good.read_bytes()[:999])
    with pytest.raises(FourOpticsError, match=r"cut.h5: is no HDF5 file"):
        from_slmsuite([tmp_path / "cut.h5"], slm)
    bundle.save(tmp_path / "m.h5", mask_set())
    with pytest.raises(FourOpticsError, match=r"holds no phase and display"):
        from_slmsuite([tmp_path / "m.h5"], slm)
