"""Frames that are read when asked for: as good as arrays, in little memory; and what differs between two files."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_bundle import PANELS, mirror_set, opened, swap_in
from test_maskset import kernel_table, mask_set

from fouroptics.devices.panel import SLMConfig, mask_levels
from fouroptics.errors import BundleError
from fouroptics.masks import bundle
from fouroptics.masks.frames import Frames
from fouroptics.masks.maskset import MaskSet

SIDE, COUNT = 256, 100  #: 25 MiB of phases, 6 MiB of levels


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "masks.h5"
    bundle.save(file, mask_set())
    return file


@pytest.mark.parametrize("slm", [{}, {"bits": 10}, PANELS["table"], PANELS["amplitude"], PANELS["coupled"]])
@pytest.mark.parametrize("keep_phase", [True, False])
def test_lazy_masks_are_the_same(tmp_path: Path, slm: dict[str, Any], keep_phase: bool) -> None:
    masks = mask_set(slm=slm)
    bundle.save(tmp_path / "a.h5", masks, keep_phase=keep_phase or masks.slm.modulation == "coupled")
    whole, lazy = bundle.load(tmp_path / "a.h5"), bundle.load(tmp_path / "a.h5", lazy=True)
    assert isinstance(lazy.gray, Frames)
    assert lazy == whole
    assert whole == lazy
    assert lazy != mask_set(seed=2, slm=slm)
    bundle.save(tmp_path / "b.h5", whole)
    bundle.save(tmp_path / "c.h5", lazy)
    assert (tmp_path / "b.h5").read_bytes() == (tmp_path / "c.h5").read_bytes()


def test_lazy_masks_refuse_a_file_that_has_changed(path: Path) -> None:
    masks = bundle.load(path, lazy=True)
    first = masks.gray[0]
    bundle.save(path, replace(masks, encoding="other"))  # onto itself
    assert bundle.load(path).encoding == "other"
    with pytest.raises(BundleError, match=r"masks\.h5: was written anew since"):
        _ = masks.gray[0]
    assert np.array_equal(first, bundle.load(path).gray[0])


def test_lazy_masks_outlive_a_change_of_folder(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(path.parent)
    masks = bundle.load(path.name, lazy=True)
    monkeypatch.chdir("/")
    assert masks == mask_set()


def test_a_broken_file_is_no_lazy_mask_set(path: Path) -> None:
    with opened(path, "r+") as file:
        swap_in(file, "entry/masks/gray", mask_set(seed=2).gray)
    with pytest.raises(BundleError, match="F-"):
        bundle.load(path, lazy=True)


def test_too_much_for_the_memory_is_read_lazily(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundle, "MAX_LOAD", 40_000)
    with pytest.raises(BundleError, match="do not fit the memory; read them with load"):
        bundle.load(path)
    assert bundle.load(path, lazy=True) == mask_set()


@pytest.mark.parametrize("limit", ["MAX_FRAME", "MAX_FRAMES"])
def test_what_no_reader_takes_is_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str) -> None:
    bundle.save(tmp_path / "a.h5", mask_set())
    monkeypatch.setattr(f"fouroptics.masks.hdf5.{limit}", 2)
    with pytest.raises(BundleError, match=r"3 masks of 3072 pixels; a file holds .*: save them in parts"):
        bundle.save(tmp_path / "b.h5", mask_set())
    assert [file.name for file in tmp_path.iterdir()] == ["a.h5"]
    assert "F-SIZE" in {finding.code for finding in bundle.verify(tmp_path / "a.h5")}


def test_progress(path: Path) -> None:
    seen: dict[str, list[tuple[int, int]]] = {"save": [], "load": [], "verify": []}
    bundle.save(path, mask_set(), progress=lambda *at: seen["save"].append(at))
    bundle.load(path, progress=lambda *at: seen["load"].append(at))
    bundle.verify(path, progress=lambda *at: seen["verify"].append(at))
    assert seen["save"] == [(i, 6) for i in range(1, 7)]  # phases and levels
    assert seen["load"] == seen["verify"] == [(1, 3), (2, 3), (3, 3)]


def large() -> MaskSet:
    """Masks that are made when asked for: one, turned round."""
    slm = SLMConfig(shape=(SIDE, SIDE))
    phase = np.random.default_rng(0).uniform(0, 6.28, slm.shape).astype(np.float32)
    gray, shape = mask_levels(slm, phase), (COUNT, *slm.shape)
    phases = Frames(shape, phase.dtype, lambda i: np.roll(phase, i))
    return MaskSet(phases, Frames(shape, gray.dtype, lambda i: np.roll(gray, i)), kernel_table(), slm)


def peak() -> int:
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def stream(path: Path) -> None:
    """Write, check, read, compare and write again; print the bytes that it took beyond those of a small set."""
    bundle.save(path, mask_set())
    bundle.load(path)
    before, other = peak(), path.with_name("again.h5")
    bundle.save(path, large())
    assert bundle.verify(path) == []
    masks = bundle.load(path, lazy=True)
    assert len(masks) == COUNT
    bundle.save(other, masks)
    assert bundle.diff(path, other) == []
    assert masks == bundle.load(other, lazy=True)
    print(peak() - before, path.stat().st_size)


@pytest.mark.skipif(sys.platform != "linux", reason="the largest memory of a process is counted in another unit")
def test_many_frames_take_little_memory(tmp_path: Path) -> None:
    """16 MiB, some frames and what HDF5 keeps of the chunks, is half of what all frames take."""
    program = f"import test_bundle_stream as t; from pathlib import Path; t.stream(Path({str(tmp_path / 'a.h5')!r}))"
    environment = os.environ | {"MALLOC_ARENA_MAX": "1"}
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=Path(__file__).parent,
        stdout=subprocess.PIPE,
        check=True,
        text=True,
        env=environment,
    )
    used, size = map(int, done.stdout.split())
    assert size > 2**24
    assert used < 2**24


def test_no_difference(path: Path) -> None:
    other = path.with_name("other.h5")
    bundle.save(other, mask_set())
    assert bundle.diff(path, other) == []


def test_differences_are_named(path: Path) -> None:
    other, first = path.with_name("other.h5"), mask_set()
    table = replace(first.kernels, scale=np.linspace(1, 3, 5), bias=np.ones(5))
    phase, gray = first.phase.copy(), first.gray.copy()
    phase[1, :2, 0] = 0
    gray[1, :2, 0] = 255
    bundle.save(other, replace(first, phase=phase, gray=gray, kernels=table, encoding="arrizon"))
    found = {one.path: one.what for one in bundle.diff(path, other)}
    largest = int(abs(gray.astype(int) - first.gray).max())
    assert (
        found.pop("/entry/masks/gray")
        == f"2 of 9216 values differ, by {largest} at most, in 1 of 3 masks, mask 1 the first"
    )
    assert found.pop("/entry/masks/phase").startswith("2 of 9216 values differ, by ")
    assert found.pop("/entry/kernels/bias") == "only in the second"
    assert found.pop("/entry/kernels/scale") == f"{first.kernels.scale.tolist()} and {table.scale.tolist()}"
    assert found == {"/entry/kernels/encoding": "'phase_only' and 'arrizon'"}


def test_differences_of_shape_attributes_and_patterns(path: Path) -> None:
    other, third = path.with_name("other.h5"), path.with_name("third.h5")
    bundle.save(other, mask_set(slm={"bits": 10}, provenance={"created": "2026-01-02T03:04:05"}))
    found = {one.path: one.what for one in bundle.diff(path, other)}
    assert found["/entry/masks/gray"] == "uint8 (3, 48, 64) and uint16 (3, 48, 64)"
    assert found["/@created"] == "None and '2026-01-02T03:04:05'"
    assert found["/entry/masks/gray@bitdepth"] == "8 and 10"
    masks = mirror_set()
    bundle.save(other, masks)
    bundle.save(third, replace(masks, gray=masks.gray ^ np.eye(5, 13, dtype=np.uint8)))
    (one,) = bundle.diff(other, third)
    assert str(one) == "/entry/masks/bits: 15 of 240 values differ, by 1 at most, in 3 of 3 masks, mask 0 the first"


def test_no_difference_of_a_broken_file(path: Path) -> None:
    other = path.with_name("other.h5")
    with pytest.raises(BundleError, match=r"other\.h5: F-FILE"):
        bundle.diff(path, other)
    with opened(path) as file:
        chunk = file["entry/masks/phase"].id.get_chunk_info(1)
    damaged = bytearray(path.read_bytes())
    damaged[chunk.byte_offset + chunk.size // 2] ^= 1
    other.write_bytes(damaged)
    with pytest.raises(BundleError, match="the frames of one are damaged: run verify"):
        bundle.diff(path, other)
