"""The mask file: equal round trip, equal bytes, every defect found, no crash leaves a broken file."""

import os
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from test_maskset import mask_set

from fouroptics.devices.panel import SLMConfig, levels, mask_levels, realised, response
from fouroptics.errors import BundleError
from fouroptics.masks import bundle, schema

Damage = Callable[[Any], object]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "masks.h5"
    bundle.save(file, mask_set())
    return file


def opened(path: Path, mode: str = "r") -> Any:
    return h5py.File(path, mode)


def codes(path: Path) -> set[str]:
    return {finding.code for finding in bundle.verify(path)}


def reseal(path: Path) -> None:
    """Make all hashes right again after a change, as another program would that writes such files."""
    with opened(path, "r+") as file:
        tree = schema.Tree()
        list(bundle._attributes(file, "/", tree))
        list(bundle._walk(file, tree))
        schema.seal(tree)
        for name in tree.arrays:
            file[name].attrs["sha256"] = np.bytes_(tree.attributes[name]["sha256"])
        file.attrs["manifest_sha256"] = np.bytes_(tree.attributes["/"]["manifest_sha256"])


def swap_in(file: Any, name: str, array: Any, **filters: Any) -> None:
    """Replace a dataset, its attributes kept."""
    attributes = dict(file[name].attrs)
    del file[name]
    node = file.create_dataset(name, data=array, **filters)
    for key, value in attributes.items():
        node.attrs[key] = value


@pytest.mark.parametrize("bits", [1, 8, 10, 16])
@pytest.mark.parametrize("grey", ["slmsuite", "direct"])
def test_round_trip(tmp_path: Path, bits: int, grey: str) -> None:
    masks = mask_set(slm={"bits": bits, "grey": grey})
    bundle.save(tmp_path / "a.h5", masks)
    assert bundle.verify(tmp_path / "a.h5") == []
    back = bundle.load(tmp_path / "a.h5")
    assert back == masks
    assert not back.phase.flags.writeable


def test_round_trip_keeps_text_and_lists(tmp_path: Path) -> None:
    extra = {"text": "µm Ωλ", "empty": "", "many": ["a", "", "λ"], "flag": True, "whole": -(2**63), "deep": {"x": {}}}
    masks = mask_set(provenance={**extra, "x": 0.1 + 0.2, "rows": [[1, 2], [3, 4]], "created": "2026-01-02T03:04:05"})
    bundle.save(tmp_path / "a.h5", masks)
    assert bundle.verify(tmp_path / "a.h5") == []
    assert bundle.load(tmp_path / "a.h5").provenance == dict(masks.provenance)


@pytest.mark.parametrize("bits", [1, 8, 16])
def test_without_phase(tmp_path: Path, bits: int) -> None:
    masks = mask_set(slm={"bits": bits})
    bundle.save(tmp_path / "a.h5", masks, keep_phase=False)
    assert bundle.verify(tmp_path / "a.h5") == []
    back = bundle.load(tmp_path / "a.h5")
    assert np.array_equal(back.gray, masks.gray)
    assert np.array_equal(back.phase, realised(masks.gray, bits).astype(np.float32))
    with opened(tmp_path / "a.h5") as file:
        assert "phase" not in file["entry/masks"]
        assert file["entry/masks"].attrs["signal"] == b"gray"


def test_equal_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bundle.save(tmp_path / "a.h5", mask_set(provenance={"created": "2026-01-02T03:04:05"}))
    time.sleep(1.1)  # HDF5 keeps times in whole seconds
    bundle.save(tmp_path / "b.h5", mask_set(provenance={"created": "2026-01-02T03:04:05"}))
    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "b.h5").read_bytes()
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    bundle.save(tmp_path / "b.h5", mask_set(provenance={"created": "2026-01-02T03:04:05"}))
    bundle.save(tmp_path / "c.h5", mask_set(provenance={"created": "2027-01-02T03:04:05"}))
    assert (tmp_path / "b.h5").read_bytes() == (tmp_path / "c.h5").read_bytes()
    assert bundle.load(tmp_path / "c.h5").provenance["created"] == "2023-11-14T22:13:20+00:00"
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "yesterday")
    with pytest.raises(BundleError, match="SOURCE_DATE_EPOCH = 'yesterday'"):
        bundle.save(tmp_path / "d.h5", mask_set())


def test_layout_for_other_programs(path: Path) -> None:
    masks = mask_set()
    with opened(path) as file:
        entry = file[file.attrs["default"].decode()]
        data = entry[entry.attrs["default"].decode()]
        assert [node.attrs["NX_class"] for node in (file, entry, data)] == [b"NXroot", b"NXentry", b"NXdata"]
        assert data.attrs["axes"].tolist() == [b"index", b"y", b"x"]
        signal_ = data[data.attrs["signal"].decode()]
        assert signal_.shape == tuple(len(data[axis.decode()]) for axis in data.attrs["axes"])
        assert signal_.chunks == (1, 48, 64)
        assert (signal_.shuffle, signal_.compression, signal_.fletcher32) == (True, "gzip", True)
        assert data["y"].attrs["units"] == b"um"
        assert data["y"][:] == pytest.approx((np.arange(48) - 24) * 8.0)
        assert file["entry/instrument/beam/incident_wavelength"].attrs["units"] == b"m"
        assert file["entry/instrument/beam/incident_wavelength"][()] == masks.instrument["beam"]["incident_wavelength"]
        assert file["entry/slm/lut/gamma"][:] == pytest.approx(
            np.arange(1, 257) / 256
        )  # rises with the level, as slmsuite's set_gamma wants it
        fiducial = file["entry/fiducial/gray"][:]
        numbers: list[str] = []
        file.visititems(lambda name, node: numbers.append(name) if _bare(node) else None)
    assert numbers == []
    turns = [np.rot90(fiducial, 2), fiducial[::-1], fiducial[:, ::-1]]
    assert not any(np.array_equal(fiducial, turned) for turned in turns)
    assert set(np.unique(fiducial)) == {0, 128}


def _bare(node: Any) -> bool:
    """Tell whether a dataset has no hash, is a number without unit, or has variable-length content."""
    if isinstance(node, h5py.Group):
        return "NX_class" not in node.attrs
    return (
        "sha256" not in node.attrs or node.dtype.kind == "O" or (node.dtype.kind in "iuf" and "units" not in node.attrs)
    )


def test_every_panel_field_is_kept() -> None:
    of_the_bench = {"stroke_map", "flatness"}
    assert {*schema.PANEL, "shape", "orientation"} | of_the_bench == set(SLMConfig.model_fields)


RISING = tuple(float(x) for x in np.linspace(0.1, 5.5, 256) + 0.3 * np.sin(np.linspace(0, 3, 256)))
PANELS: dict[str, dict[str, Any]] = {
    "table": {"table": RISING, "table_source": "measured.csv", "stroke_wavelength": 633e-9},
    "falling table": {"table": RISING[::-1], "grey": "direct"},
    "short stroke": {"stroke": 4.0, "stroke_wavelength": 800e-9},
    "long stroke": {"stroke": 4 * np.pi},
    "turned": {"orientation": {"fliplr": True, "rot90": 3}},
    "faults": {"dead_pixels": ((0, 1, 255), (47, 63, 0)), "crosstalk": 0.2, "flicker": 0.1},
    "times": {"rise_time": 0.01, "fall_time": 0.02, "upload_time": 0.15, "refresh_rate": 60.0},
    "amplitude": {"modulation": "amplitude", "bits": 4},
    "coupled": {"modulation": "coupled", "stroke": 3.0, "amplitudes": tuple(np.linspace(0.5, 1, 256).tolist())},
    "mirrors": {"modulation": "binary", "bits": 1},
}


@pytest.mark.parametrize("slm", PANELS.values(), ids=PANELS)
def test_round_trip_of_a_panel(tmp_path: Path, slm: dict[str, Any]) -> None:
    """What the panel is comes back, and the levels are checked through its table."""
    masks = mask_set(slm=slm)
    bundle.save(tmp_path / "a.h5", masks)
    assert bundle.verify(tmp_path / "a.h5") == []
    assert bundle.load(tmp_path / "a.h5") == masks
    with opened(tmp_path / "a.h5") as file:
        gamma = file["entry/slm/lut/gamma"][:]
    shown = np.exp(1j * response(masks.slm).phase)
    sign = -1 if masks.slm.grey == "slmsuite" else 1
    np.testing.assert_allclose(np.exp(2j * np.pi * sign * gamma), shown, atol=1e-12)


@pytest.mark.parametrize("name", ["table", "falling table", "short stroke", "long stroke"])
def test_levels_of_a_table_stand_for_a_phase(tmp_path: Path, name: str) -> None:
    masks = mask_set(slm=PANELS[name])
    bundle.save(tmp_path / "a.h5", masks, keep_phase=False)
    back = bundle.load(tmp_path / "a.h5")
    assert np.array_equal(back.gray, masks.gray)
    assert np.array_equal(mask_levels(back.slm, back.phase), masks.gray)


def test_a_level_that_the_table_does_not_give_is_found(tmp_path: Path) -> None:
    masks = mask_set(slm=PANELS["table"])
    bundle.save(tmp_path / "a.h5", masks)
    with opened(tmp_path / "a.h5", "r+") as file:
        swap_in(file, "entry/slm/lut/phase", RISING[::-1])
        swap_in(file, "entry/slm/lut/gamma", np.array(RISING[::-1]) / (2 * np.pi))
    reseal(tmp_path / "a.h5")
    assert codes(tmp_path / "a.h5") == {"F-LEVELS"}


def test_no_phase_of_mirrors(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="modulation = 'binary' stand for no phase"):
        bundle.save(tmp_path / "a.h5", mask_set(slm=PANELS["mirrors"]), keep_phase=False)


def test_maps_stay_with_the_bench(tmp_path: Path) -> None:
    np.save(tmp_path / "flat.npy", np.zeros(mask_set().slm.shape))
    with pytest.raises(BundleError, match="flatness belong to the bench"):
        bundle.save(tmp_path / "a.h5", mask_set(slm={"flatness": tmp_path / "flat.npy"}))


def test_files_of_version_1_0_are_read(path: Path) -> None:
    """They say nothing of what 1.1 adds, which then is as it was: linear over one turn, without faults."""
    with opened(path, "r+") as file:
        for name in schema.OPTIONAL:
            if name in file:
                del file[name]
        file.attrs["schema_version"] = np.bytes_("1.0.0")
    reseal(path)
    assert bundle.verify(path) == []
    assert bundle.load(path) == mask_set()


def test_unknown_unit_is_refused_before_writing(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="instrument/beam/colour: no unit is known"):
        bundle.save(tmp_path / "a.h5", mask_set(instrument={"beam": {"colour": 0.5}}))
    assert list(tmp_path.iterdir()) == []


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
    ("F-SIZE", lambda file: [file.create_group(f"entry/g{i}") for i in range(bundle.MAX_OBJECTS)]),
    ("F-DTYPE", _attribute("/", "long", np.zeros(bundle.MAX_ATTRIBUTE + 1, "i1"))),
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


def test_bit_flips_are_found_or_harmless(path: Path) -> None:
    whole, rng, found = path.read_bytes(), np.random.default_rng(20), 0
    for position in rng.integers(len(whole) * 8, size=150):
        damaged = bytearray(whole)
        damaged[position // 8] ^= 1 << (position % 8)
        path.write_bytes(damaged)
        if codes(path):
            found += 1
        else:
            assert bundle.load(path) == mask_set(), position
    assert found > 120


def test_newer_minor_warns(path: Path) -> None:
    with opened(path, "r+") as file:
        file.attrs["schema_version"] = np.bytes_("1.9.3")
        file["entry/new"] = 1
        file["entry/new"].attrs["units"] = np.bytes_("1")
    reseal(path)
    assert [(finding.code, finding.severity) for finding in bundle.verify(path)] == [("F-VERSION", "warning")]
    with pytest.warns(UserWarning, match=r"1\.9\.3 is newer than 1\.1\.0"):
        masks = bundle.load(path)
    assert masks == mask_set()


def test_other_patch_is_silent(path: Path) -> None:
    with opened(path, "r+") as file:
        file.attrs["schema_version"] = np.bytes_("1.0.7")
    reseal(path)
    with warnings.catch_warnings(action="error"):
        assert bundle.load(path) == mask_set()


def test_other_major_is_refused(path: Path) -> None:
    with opened(path, "r+") as file:
        file.attrs["schema_version"] = np.bytes_("2.0.0")
        del file["entry"]
    assert codes(path) == {"F-VERSION"}
    with pytest.raises(BundleError, match=r"schema '2\.0\.0'; this version reads 1\.x\.x: update"):
        bundle.load(path)


@pytest.mark.parametrize("place", ["replace", "fsync", "write"])
def test_failed_save_keeps_the_old_file(path: Path, monkeypatch: pytest.MonkeyPatch, place: str) -> None:
    old = path.read_bytes()

    def fail(*_: object, **__: object) -> None:
        assert place == "write" or path.with_name("masks.h5.partial").exists()
        raise OSError("no space left")

    put = bundle._put
    half = iter(range(10))
    monkeypatch.setattr(*{"replace": (os, "replace", fail), "fsync": (os, "fsync", fail)}.get(
        place, (bundle, "_put", lambda *given: put(*given) if next(half) < 5 else fail())
    ))  # fmt: skip
    with pytest.raises(OSError, match="no space left"):
        bundle.save(path, mask_set(seed=2))
    assert path.read_bytes() == old
    assert [file.name for file in path.parent.iterdir()] == ["masks.h5"]


def test_too_many_bytes_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundle, "MAX_BYTES", 50_000)
    with pytest.raises(BundleError, match="save them in parts"):
        bundle.save(tmp_path / "a.h5", mask_set())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL on this system")
def test_kill_during_save_leaves_a_whole_file(path: Path) -> None:
    program = (
        "import sys; sys.path.insert(0, sys.argv[2])\n"
        "from test_maskset import mask_set; from fouroptics.masks import bundle\n"
        "sets = [mask_set(seed=1), mask_set(seed=2)]; print('ready', flush=True)\n"
        "while True:\n    for masks in sets: bundle.save(sys.argv[1], masks)\n"
    )
    killed_midway, rng = 0, np.random.default_rng(3)
    for _ in range(10):
        here = str(Path(__file__).parent)
        with subprocess.Popen([sys.executable, "-c", program, str(path), here], stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == b"ready\n"
            time.sleep(rng.uniform(0.01, 0.1))
            process.send_signal(signal.SIGKILL)
        killed_midway += path.with_name("masks.h5.partial").exists()
        assert bundle.verify(path) == []
        assert bundle.load(path) in (mask_set(seed=1), mask_set(seed=2))
    assert killed_midway > 0
    bundle.save(path, mask_set())  # a partial file left behind is in nobody's way
    assert bundle.load(path) == mask_set()


def test_no_torch() -> None:
    program = "import sys, fouroptics.masks.bundle; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True)
