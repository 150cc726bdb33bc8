"""What `verify` finds in a mask file: every rule on its own, damage, and changes that no rule but a hash sees."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from test_bundle import PANELS, RISING, codes, opened, reseal, swap_in
from test_maskset import mask_set

from fouroptics.devices.panel import levels
from fouroptics.errors import BundleError
from fouroptics.masks import bundle, hdf5

Damage = Callable[[Any], object]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "masks.h5"
    bundle.save(file, mask_set())
    return file


def _attribute(name: str, key: str, value: object) -> Damage:
    return lambda file: file[name].attrs.__setitem__(key, value)


def _put(name: str, array: object, **filters: object) -> Damage:
    return lambda file: swap_in(file, name, array, **filters)


def _change(name: str, index: Any, value: object) -> Damage:
    def change(file: Any) -> None:
        data = np.array(file[name][()])
        data[index] = value
        file[name][...] = data

    return change


def _both(name: str, index: Any, value: float) -> Damage:
    """Change a phase and the grey level with it."""

    def change(file: Any) -> None:
        _change("entry/masks/phase", index, value)(file)
        gray = levels(file["entry/masks/phase"][()], 8)
        file["entry/masks/gray"][...] = np.nan_to_num(gray).astype(np.uint8)

    return change


def _link(name: str, link: object) -> Damage:
    return lambda file: (file.__delitem__(name), file.__setitem__(name, link))


def _external(file: Any) -> None:
    swap_in(file, "entry/masks/y", None, shape=(48,), dtype="<f8", external=[("raw.bin", 0, 48 * 8)])


def _virtual(file: Any) -> None:
    attributes = dict(file["entry/masks/y"].attrs)
    del file["entry/masks/y"]
    layout = h5py.VirtualLayout((48,), "<f8")
    layout[:] = h5py.VirtualSource("other.h5", "y", (48,))
    file.create_virtual_dataset("entry/masks/y", layout)
    file["entry/masks/y"].attrs.update(attributes)


def _bits(file: Any) -> None:
    file["entry/masks/bits"] = np.zeros((3, 48, 8), np.uint8)
    file["entry/masks/bits"].attrs["units"] = np.bytes_("1")
    file["entry/masks"].attrs["signal"] = np.bytes_("bits")


def _loop(file: Any) -> None:
    file["entry/masks/again"] = file["entry"]


WIDE = np.zeros((3, 48, 65), np.uint8)
#: one defect, the hashes made right afterwards: only the rule itself can find it
DEFECTS: list[tuple[str, Damage]] = [
    ("F-FORMAT", _attribute("/", "file_format", np.bytes_("other"))),
    ("F-FORMAT", lambda file: file.attrs.__delitem__("file_format")),
    ("F-VERSION", _attribute("/", "schema_version", np.bytes_("2.0.0"))),
    ("F-VERSION", _attribute("/", "schema_version", np.bytes_("new"))),
    ("F-MISSING", lambda file: file.__delitem__("entry")),
    ("F-MISSING", lambda file: file.__delitem__("entry/masks")),
    ("F-MISSING", lambda file: file.__delitem__("entry/masks/phase")),
    ("F-MISSING", lambda file: file.__delitem__("entry/kernels/scale")),
    ("F-DTYPE", _put("entry/kernels/scale", np.ones(5, np.float32))),
    ("F-DTYPE", _put("entry/masks/gray", np.zeros((3, 48, 64), np.uint16))),
    ("F-DTYPE", _put("entry/slm/height", 48.5)),
    ("F-DTYPE", _put("entry/slm/model", "of any length")),
    ("F-DTYPE", _put("entry/slm/model", np.bytes_(b"\xff\xfe"))),
    ("F-DTYPE", _put("entry/masks/y", h5py.Empty("f8"))),
    ("F-DTYPE", _attribute("entry/masks", "note", "of any length")),
    ("F-SHAPE", _put("entry/masks/gray", WIDE)),
    ("F-SHAPE", _put("entry/masks/gray", WIDE[:2, :, :64])),
    ("F-SHAPE", _put("entry/slm/width", np.int32(65))),
    ("F-SHAPE", _put("entry/kernels/scale", np.ones(4))),
    ("F-SHAPE", _put("entry/kernels/weight", np.ones((5, 3, 2)))),
    ("F-SHAPE", _put("entry/slm/lut/gamma", np.linspace(1, 0, 255))),
    ("F-UNITS", _attribute("entry/masks/phase", "units", np.bytes_("deg"))),
    ("F-UNITS", _attribute("entry/instrument/beam/incident_wavelength", "units", np.bytes_("nm"))),
    ("F-UNITS", lambda file: file["entry/provenance/seed"].attrs.__delitem__("units")),
    ("F-FINITE", _both("phase", (1, 2, 3), np.nan)),
    ("F-FINITE", _change("entry/kernels/weight", (1, 0, 0), np.inf)),
    ("F-FINITE", _change("entry/instrument/optics/f1", (), np.nan)),
    ("F-PHASE", _both("phase", (1, 2, 3), -0.001)),
    ("F-PHASE", _both("phase", (1, 2, 3), 2 * np.pi)),
    ("F-LEVELS", _change("entry/masks/gray", (2, 0, 0), 77)),
    ("F-LEVELS", _put("entry/slm/gray_convention", np.bytes_("direct"))),
    ("F-KERNELS", _change("entry/kernels/mask", 0, 3)),
    ("F-KERNELS", _change("entry/kernels/pair", 0, 2)),
    ("F-KERNELS", _change("entry/kernels/pair", 0, 5)),
    ("F-KERNELS", _change("entry/kernels/sign", 0, -1)),
    ("F-KERNELS", _change("entry/kernels/sign", 4, 2)),
    ("F-SLM", _put("entry/slm/fill_factor", 1.5)),
    ("F-SLM", _put("entry/slm/gray_convention", np.bytes_("upward"))),
    ("F-DERIVED", _change("entry/slm/lut/gamma", 7, 0.5)),
    ("F-DERIVED", _change("entry/masks/x", 0, 0.0)),
    ("F-DERIVED", _change("entry/masks/index", 0, 1)),
    ("F-SLM", _put("entry/slm/orientation/rot90", np.int32(7))),
    ("F-DERIVED", _put("entry/slm/pitch_y", 9e-6)),
    ("F-LINK", _link("entry/masks/y", h5py.SoftLink("/entry/masks/x"))),
    ("F-LINK", _link("entry/masks/y", h5py.ExternalLink("other.h5", "/y"))),
    ("F-LINK", _external),
    ("F-LINK", _virtual),
    ("F-LINK", _loop),
    ("F-FILTER", _put("entry/masks/y", np.zeros(48), compression="lzf")),
    ("F-SIZE", _put("entry/masks/phase", None, shape=(3, 10**7, 10**7), dtype="<f4", chunks=(1, 64, 64))),
    ("F-SIZE", _put("entry/masks/phase", None, shape=(3, 48, 64), dtype="<f4")),
    ("F-SIZE", _put("entry/masks/y", np.zeros(48), chunks=(10**5,), maxshape=(None,))),
    ("F-SIZE", lambda file: [file.create_group(f"entry/g{i}") for i in range(hdf5.MAX_OBJECTS)]),
    ("F-SIZE", _put("entry/masks/gray", np.zeros((3, 48, 64), np.uint8), chunks=(3, 48, 64))),
    ("F-SIZE", _put("entry/masks/gray", None, shape=(hdf5.MAX_FRAMES + 1, 1, 1), dtype="u1", chunks=(1, 1, 1))),
    ("F-SIZE", _put("entry/masks/phase", None, shape=(1, 2**13, 2**14), dtype="<f4", chunks=(1, 64, 64))),
    ("F-SIZE", _put("entry/kernels/weight", None, shape=(2, 2**13, 2**13), dtype="<f8", chunks=(1, 64, 64))),
    ("F-LEVELS", _bits),
    ("F-SLM", lambda file: (_bits(file), file.__delitem__("entry/masks/gray"))),
    ("F-DERIVED", _attribute("entry/masks/gray", "bitdepth", 7)),
    ("F-DERIVED", _attribute("entry/masks/gray", "gray_convention", np.bytes_("direct"))),
    ("F-DERIVED", lambda file: swap_in(file, "entry/fiducial/gray", file["entry/fiducial/gray"][()][:, ::-1])),
    ("F-DTYPE", _attribute("entry/masks", "note", 1 + 2j)),
    ("F-DTYPE", _put("entry/masks/phase", np.full((3, 48, 64), b"text"))),
    ("F-DTYPE", _attribute("/", "long", np.zeros(hdf5.MAX_ATTRIBUTE + 1, "i1"))),
]


@pytest.mark.parametrize(("code", "damage"), DEFECTS, ids=[f"{i}-{code}" for i, (code, _) in enumerate(DEFECTS)])
def test_defect_is_found(path: Path, code: str, damage: Damage) -> None:
    with opened(path, "r+") as file:
        damage(file)
    reseal(path)
    found = bundle.verify(path)
    assert code in {finding.code for finding in found}, found
    assert not {"F-HASH", "F-MANIFEST", "F-FILE"} & {finding.code for finding in found}
    with pytest.raises(BundleError, match=r"masks\.h5: "):
        bundle.load(path)


def test_a_level_that_the_table_does_not_give_is_found(tmp_path: Path) -> None:
    masks = mask_set(slm=PANELS["table"])
    bundle.save(tmp_path / "a.h5", masks)
    with opened(tmp_path / "a.h5", "r+") as file:
        swap_in(file, "entry/slm/lut/phase", RISING[::-1])
        swap_in(file, "entry/slm/lut/gamma", np.array(RISING[::-1]) / (2 * np.pi))
    reseal(tmp_path / "a.h5")
    assert codes(tmp_path / "a.h5") == {"F-LEVELS"}


def test_a_level_that_stands_for_no_phase_of_its_own_is_found(tmp_path: Path) -> None:
    """Of two turns the upper one, without a phase beside it: it would come back as the lower one."""
    masks = mask_set(slm=PANELS["long stroke"])
    bundle.save(tmp_path / "a.h5", masks, keep_phase=False)
    assert bundle.verify(tmp_path / "a.h5") == []
    other = int(np.setdiff1d(np.arange(256), masks.gray)[0])
    with opened(tmp_path / "a.h5", "r+") as file:
        _change("entry/masks/gray", (0, 0, 0), other)(file)
    reseal(tmp_path / "a.h5")
    assert codes(tmp_path / "a.h5") == {"F-LEVELS"}
    for lazy in (False, True):
        with pytest.raises(BundleError, match="mask 0 holds levels whose phase is that of another level"):
            bundle.load(tmp_path / "a.h5", lazy=lazy)


def test_high_grey_level_is_found(tmp_path: Path) -> None:
    bundle.save(tmp_path / "a.h5", mask_set(slm={"bits": 10}), keep_phase=False)
    with opened(tmp_path / "a.h5", "r+") as file:
        _change("entry/masks/gray", (0, 0, 0), 1024)(file)
    reseal(tmp_path / "a.h5")
    assert codes(tmp_path / "a.h5") == {"F-GREY"}


@pytest.mark.parametrize(
    ("expected", "damage"),
    [
        ({"F-HASH"}, _change("entry/kernels/scale", 0, 3.0)),
        ({"F-HASH"}, _change("entry/fiducial/gray", (0, 0), 3)),
        ({"F-MANIFEST"}, _attribute("entry/masks/gray", "bitdepth", 7)),
        ({"F-MANIFEST"}, lambda file: file["entry/masks/gray"].attrs.__delitem__("bitdepth")),
        (
            {"F-MANIFEST"},
            lambda file: file.create_group("entry/more").attrs.__setitem__("NX_class", np.bytes_("NXlog")),
        ),
        ({"F-MANIFEST"}, lambda file: (file.move("entry/kernels/error", "x"), _swap(file))),
    ],
)
def test_change_without_new_hashes_is_found(path: Path, expected: set[str], damage: Damage) -> None:
    with opened(path, "r+") as file:
        damage(file)
    assert codes(path) == expected


def _swap(file: Any) -> None:
    """Exchange two datasets of the same kind, each with its own right hash."""
    file.move("entry/kernels/efficiency", "entry/kernels/error")
    file.move("x", "entry/kernels/efficiency")


def test_no_file_at_all(tmp_path: Path) -> None:
    (tmp_path / "text.h5").write_text("not HDF5")
    for name in ("text.h5", "missing.h5", "."):
        assert codes(tmp_path / name) == {"F-FILE"}
        with pytest.raises(BundleError, match="F-FILE"):
            bundle.load(tmp_path / name)


def test_truncation_is_found(path: Path) -> None:
    whole = path.read_bytes()
    for size in np.linspace(0, len(whole) - 1, 40).astype(int):
        path.write_bytes(whole[:size])
        assert codes(path), size


def test_damaged_frame_is_found_and_the_rest_is_read(path: Path) -> None:
    with opened(path) as file:
        chunk = file["entry/masks/phase"].id.get_chunk_info(1)
    damaged = bytearray(path.read_bytes())
    damaged[chunk.byte_offset + chunk.size // 2] ^= 1
    path.write_bytes(damaged)
    assert [(finding.code, finding.path) for finding in bundle.verify(path)] == [("F-READ", "/entry/masks/phase")]
