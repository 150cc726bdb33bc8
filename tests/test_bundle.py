"""The mask file: equal round trip, equal bytes, layout, and which versions and panels it takes."""

import subprocess
import sys
import time
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from test_maskset import kernel_table, mask_set

from fouroptics.devices.mirrors import DMDConfig
from fouroptics.devices.panel import SLMConfig, mask_levels, realised, response
from fouroptics.errors import BundleError
from fouroptics.masks import bundle, hdf5, schema
from fouroptics.masks.maskset import MaskSet


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
    tree, _ = hdf5.read(path, schema.STACKS, lambda root: [])
    schema.seal(tree)
    with opened(path, "r+") as file:
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
    fields = {*SLMConfig.model_fields, *DMDConfig.model_fields}
    assert {*schema.PANEL, "shape", "orientation"} | of_the_bench == fields


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


def mirror_set(**panel: Any) -> MaskSet:
    """Three patterns of 5 x 13 mirrors: rows end within a byte."""
    slm = DMDConfig(**{"shape": (5, 13), "reflectivity": 0.7, "mirror_tilt": 0.2} | panel)
    patterns = np.random.default_rng(0).integers(0, 2, (3, *slm.shape), np.uint8)
    return MaskSet(None, patterns, kernel_table(), slm)


@pytest.mark.parametrize("panel", [{}, {"reflectivity": 1.0, "mirror_tilt": None}, {"shape": (5, 16)}])
def test_mirrors_are_kept_as_bits(tmp_path: Path, panel: dict[str, Any]) -> None:
    masks = mirror_set(**panel)
    bundle.save(tmp_path / "a.h5", masks)
    assert bundle.verify(tmp_path / "a.h5") == []
    for lazy in (False, True):
        back = bundle.load(tmp_path / "a.h5", lazy=lazy)
        assert back == masks
        assert type(back.slm) is DMDConfig
        assert back.phase is None
    with opened(tmp_path / "a.h5") as file:
        data = file["entry/masks"]
        assert data.attrs["signal"] == b"bits"
        assert {"phase", "gray"}.isdisjoint(data)
        assert dict(data["bits"].attrs) | {"bitorder": b"big", "width": masks.slm.shape[1], "on_value": 1} == dict(
            data["bits"].attrs
        )
        assert np.array_equal(data["bits"][:], np.packbits(masks.gray, axis=-1))


def test_mirrors_of_version_1_1_are_read(tmp_path: Path) -> None:
    """They were kept as levels of an SLMConfig, with a phase that stood for nothing."""
    masks = mask_set(slm=PANELS["mirrors"])
    tree = schema.tree(masks)
    del tree.arrays["/entry/masks/bits"], tree.attributes["/entry/masks/bits"]
    tree.arrays["/entry/masks/gray"] = masks.gray
    tree.arrays["/entry/masks/phase"] = np.full(masks.gray.shape, 7, np.float32)
    tree.attributes["/entry/masks/gray"] = {"units": "1"} | schema.level_attributes(masks.slm, False)[
        "/entry/masks/gray"
    ]
    tree.attributes["/entry/masks/phase"] = {"units": "rad"}
    tree.attributes["/"]["schema_version"] = "1.1.0"
    tree.attributes["/entry/masks"]["signal"] = "phase"
    hdf5.write(tmp_path / "a.h5", tree, schema.FRAMES)
    assert bundle.verify(tmp_path / "a.h5") == []
    assert bundle.load(tmp_path / "a.h5") == masks


def test_a_panel_of_another_class_is_refused(tmp_path: Path) -> None:
    class Mine(SLMConfig):
        name: str = "mine"

    masks = replace(mask_set(), slm=Mine(shape=mask_set().slm.shape))
    with pytest.raises(BundleError, match="slm: a Mine, a mask file holds an SLMConfig or a DMDConfig"):
        bundle.save(tmp_path / "a.h5", masks)


def test_optional_columns(tmp_path: Path) -> None:
    """A column that a table leaves out is not in the file; complex taps and what a pass took come back, or do not."""
    columns = {
        "weight": np.full((5, 3, 3), 1 - 2j),
        "place": np.arange(10).reshape(5, 2) - 5,
        "wavelength": np.full(5, 633e-9),
        "photons": np.linspace(900, 1100, 5),
        "crop": np.arange(20).reshape(5, 4),
    }
    masks = mask_set(kernels=kernel_table(**columns), seconds={"layout": 0.5})
    bundle.save(tmp_path / "a.h5", masks)
    assert bundle.verify(tmp_path / "a.h5") == []
    back = bundle.load(tmp_path / "a.h5")
    assert back == masks
    assert back.kernels.weight.dtype == np.complex128
    assert (back.kernels.bias, back.seconds) == (None, {})
    with opened(tmp_path / "a.h5") as file:
        assert {"bias", "psf_error", "crosstalk", "zero_order"}.isdisjoint(file["entry/kernels"])
        assert file["entry/kernels/wavelength"].attrs["units"] == b"m"
    bundle.save(tmp_path / "b.h5", replace(masks, seconds={"layout": 0.7}))
    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "b.h5").read_bytes()


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


def test_newer_minor_warns(path: Path) -> None:
    with opened(path, "r+") as file:
        file.attrs["schema_version"] = np.bytes_("1.9.3")
        file["entry/new"] = 1
        file["entry/new"].attrs["units"] = np.bytes_("1")
    reseal(path)
    assert [(finding.code, finding.severity) for finding in bundle.verify(path)] == [("F-VERSION", "warning")]
    with pytest.warns(UserWarning, match=r"1\.9\.3 is newer than 1\.2\.0"):
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


def test_no_torch() -> None:
    program = "import sys, fouroptics.masks.bundle; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True)
