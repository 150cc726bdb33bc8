"""Mask sets: read-only, equal by value, and refused with a message that helps."""

import csv
from dataclasses import FrozenInstanceError, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fouroptics.devices.panel import SLMConfig, mask_levels, realised
from fouroptics.errors import BundleError
from fouroptics.masks.frames import Frames
from fouroptics.masks.maskset import COLUMNS, OPTIONAL_COLUMNS, KernelTable, MaskSet

SHAPE = (48, 64)


def kernel_table(**columns: Any) -> KernelTable:
    """Five kernels on three masks: a split pair and three signed ones."""
    rows = {
        "mask": [0, 0, 1, 1, 2],
        "out_channel": [0, 0, 1, 2, 3],
        "in_channel": [0, 0, 0, 0, -1],
        "sign": [1, -1, 0, 0, 0],
        "pair": [1, 0, -1, -1, -1],
        "tile": np.arange(10).reshape(5, 2) * 40 - 200,
        "carrier": np.linspace(-0.5, 0.5, 10).reshape(5, 2),
        "weight": np.random.default_rng(0).normal(size=(5, 3, 3)),
        "scale": np.linspace(1, 2, 5),
        "efficiency": np.linspace(0.1, 0.2, 5),
        "error": np.linspace(0.01, 0.02, 5),
        "correlation": np.linspace(0.98, 0.99, 5),
    }
    return KernelTable(**rows | columns)


def mask_set(
    seed: int = 1, slm: dict[str, Any] | None = None, kernels: KernelTable | None = None, **fields: Any
) -> MaskSet:
    """Three masks of random phase for a panel of 48 x 64 pixels."""
    panel = SLMConfig(**{"shape": SHAPE, "name": "small µ", **(slm or {})})
    phase = np.random.default_rng(seed).uniform(0, 6.28, (3, *SHAPE)).astype(np.float32)
    gray = mask_levels(panel, phase)
    if panel.modulation in ("amplitude", "binary"):
        phase = None
    given = {
        "instrument": {
            "beam": {"incident_wavelength": 633e-9, "polarization": "p"},
            "optics": {"f1": 0.2, "f2": 0.2, "input_shape": [28, 28], "coherence": "coherent"},
            "detector": {"readout": "split", "flipped_xy": True},
        },
        "provenance": {"program": "fouroptics", "seed": 7, "options": ["a", "bb"]},
        "encoding": "phase_only",
        "layout": "tiled",
    }
    return MaskSet(phase, gray, kernels or kernel_table(), panel, **given | fields)


def test_columns_are_the_fields() -> None:
    assert [*COLUMNS, *OPTIONAL_COLUMNS] == list(KernelTable.__dataclass_fields__)


def test_arrays_are_read_only_copies() -> None:
    phase = np.zeros((3, *SHAPE), np.float32)
    gray = np.full((3, *SHAPE), 255, np.uint8)
    masks = MaskSet(phase, gray, kernel_table(), SLMConfig(shape=SHAPE))
    phase[0, 0, 0] = 1
    assert masks.phase[0, 0, 0] == 0
    for array in (masks.phase, masks.gray, masks.kernels.weight, masks.kernels.mask):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0
    with pytest.raises(FrozenInstanceError):
        masks.phase = phase  # pyright: ignore[reportAttributeAccessIssue]


def test_columns_have_their_dtype() -> None:
    table = kernel_table()
    assert {name: getattr(table, name).dtype.str for name in COLUMNS} == {
        name: item[0].split()[0] for name, item in COLUMNS.items()
    }


def test_equality_is_by_value() -> None:
    masks = mask_set()
    assert masks == mask_set()
    assert masks != mask_set(seed=2)
    assert masks != "masks"
    assert masks != replace(masks, encoding="double_phase")
    assert masks != replace(masks, provenance={"seed": 8})
    assert masks != replace(masks, kernels=replace(masks.kernels, scale=np.ones(5)))
    assert masks != replace(masks, slm=masks.slm.model_copy(update={"fill_factor": 0.8}))


def test_metadata_is_copied_as_plain_python() -> None:
    crop = np.array([[1, 2], [3, 4]])
    given: dict[str, Any] = {"crop": crop, "wave": np.float64(0.5), "pair": (1, 2), "deep": {"n": np.int32(3)}}
    masks = mask_set(provenance=given)
    crop[0, 0] = 9
    given["deep"]["n"] = 4
    assert masks.provenance == {"crop": [[1, 2], [3, 4]], "wave": 0.5, "pair": [1, 2], "deep": {"n": 3}}
    assert type(masks.provenance["deep"]["n"]) is int


@pytest.mark.parametrize(
    "value", [None, float("nan"), [], [1, "a"], [[1, 2], [3]], 2**63, "a\0", {"a/b": 1}, {"": 1}, {1: 2}, object(), 1j]
)
def test_metadata_that_no_file_holds_is_refused(value: Any) -> None:
    with pytest.raises(BundleError, match="provenance/key"):
        mask_set(provenance={"key": value})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"phase": np.zeros((3, *SHAPE))}, "phase: float64, not float32"),
        ({"gray": np.zeros((3, *SHAPE), np.uint16)}, "gray: uint16, not uint8, for 8 bit"),
        ({"phase": np.zeros((3, 48, 63), np.float32)}, r"phase: shape \(3, 48, 63\), not \(M, 48, 64\)"),
        ({"phase": np.zeros((2, *SHAPE), np.float32)}, r"phase: shape \(2, 48, 64\)"),
        ({"gray": np.zeros((2, *SHAPE), np.uint8)}, "the same in phase and gray"),
        ({"phase": np.full((3, *SHAPE), np.nan, np.float32)}, "phase: mask 0 holds 3072 values that are not finite"),
        ({"phase": np.full((3, *SHAPE), -0.5, np.float32)}, r"phase: mask 0 spans -0.5 .. -0.5 rad, not \[0, 2 pi\)"),
        ({"phase": np.full((3, *SHAPE), 2 * np.pi, np.float32)}, "phase: mask 0 spans 6.28.*wrap it"),
        ({"gray": np.zeros((3, *SHAPE), np.uint8)}, "gray: mask 0: .* of 3072 levels are not those of its phase"),
        ({"slm": SLMConfig(shape=(64, 48), name="turned")}, r"not \(M, 64, 48\).*'turned'"),
        ({"kernels": kernel_table(mask=[0, 0, 1, 1, 3])}, "kernels/mask: row 4 is 3; it must be 0 or more, below 3"),
    ],
)
def test_wrong_frames_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(BundleError, match=message):
        replace(mask_set(), **changes)


@pytest.mark.parametrize(
    ("slm", "phase", "message"),
    [
        (
            {"modulation": "binary", "bits": 1},
            True,
            "phase: levels of modulation = 'binary' stand for none; leave it out",
        ),
        ({"modulation": "amplitude"}, True, "phase: levels of modulation = 'amplitude' stand for none"),
        ({"modulation": "coupled", "amplitudes": (1.0,) * 256}, False, "'coupled' do not tell it; give the phase"),
    ],
)
def test_a_phase_belongs_to_a_panel_of_phases(slm: dict[str, Any], phase: bool, message: str) -> None:
    frames = np.zeros((3, *SHAPE), np.float32) if phase else None
    with pytest.raises(BundleError, match=message):
        MaskSet(frames, np.zeros((3, *SHAPE), np.uint8), kernel_table(), SLMConfig(shape=SHAPE, **slm))


def test_without_a_phase_it_is_that_of_the_levels() -> None:
    masks = mask_set()
    shown = replace(masks, phase=None)
    assert np.array_equal(shown.phase, realised(masks.gray, 8).astype(np.float32))
    assert mask_set(slm={"modulation": "amplitude"}).phase is None


def ramp(shape: tuple[int, int, int] = (4, 2, 3), dtype: Any = np.uint8) -> Frames:
    return Frames(shape, np.dtype(dtype), lambda i: np.full((2, 3), i, np.uint8))


def test_frames_are_indexed_as_an_array() -> None:
    array = np.asarray(ramp())
    assert array.tolist() == [[[i] * 3] * 2 for i in range(4)]
    frames = ramp()
    assert (frames.ndim, frames.nbytes, len(frames)) == (3, array.nbytes, 4)
    assert np.array_equal(frames[-1], array[-1])
    assert np.array_equal(frames[1:3], array[1:3])
    assert np.array_equal(frames[::-2], array[::-2])
    assert np.array_equal(list(frames), array)
    assert np.asarray(frames, float).dtype == frames.astype(float).dtype == float
    assert np.array_equal(frames.astype("int64"), array)
    for index in (4, -5):
        with pytest.raises(IndexError):
            _ = frames[index]


@pytest.mark.parametrize("frames", [ramp((4, 3, 3)), ramp(dtype=np.uint16)])
def test_frames_are_as_stated(frames: Frames) -> None:
    with pytest.raises(BundleError, match=r"frame 0: uint8 \(2, 3\), not .* as stated"):
        _ = frames[0]


def test_masks_may_be_frames() -> None:
    masks = mask_set()
    phase, gray = (Frames(stack.shape, stack.dtype, stack.__getitem__) for stack in (masks.phase, masks.gray))
    same = replace(masks, phase=phase, gray=gray)
    assert same == masks
    assert masks == same
    assert np.array_equal(replace(masks, gray=gray, phase=None).phase, replace(masks, phase=None).phase)
    wrong = Frames(masks.gray.shape, masks.gray.dtype, lambda i: masks.gray[i] ^ np.uint8(i == 2))
    with pytest.raises(BundleError, match="gray: mask 2: 3072 of 3072 levels are not those of its phase"):
        replace(masks, gray=wrong)
    with pytest.raises(BundleError, match=r"phase: shape \(2, 48, 64\), not"):
        replace(masks, phase=Frames((2, *SHAPE), phase.dtype, phase.read))


def test_seconds_are_not_compared() -> None:
    assert mask_set(seconds={"layout": 0.5}) == mask_set()
    assert mask_set(seconds={"layout": 0.5}).seconds == {"layout": 0.5}


def test_optional_columns_count() -> None:
    table = kernel_table(bias=np.ones(5))
    assert table != kernel_table()
    assert kernel_table() != table
    assert table == kernel_table(bias=[1.0] * 5)
    assert set(table.columns()) == {*COLUMNS, "bias"}
    assert kernel_table(weight=np.ones((5, 3, 3)) * 1j) != kernel_table(weight=np.ones((5, 3, 3)))


def test_no_masks_are_refused() -> None:
    with pytest.raises(BundleError, match=r"shape \(0, 48, 64\), not"):
        replace(mask_set(), phase=np.zeros((0, *SHAPE), np.float32), gray=np.zeros((0, *SHAPE), np.uint8))


def test_level_above_the_panel_is_refused() -> None:
    masks = mask_set(slm={"bits": 10})
    gray = masks.gray.copy()
    gray[1, 0, 0] = 1024
    with pytest.raises(BundleError, match="gray: mask 1 holds level 1024; 10 bit end at 1023"):
        replace(masks, gray=gray)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"scale": np.ones(4)}, r"kernels/scale: shape \(4,\), not \(5,\)"),
        ({"tile": np.zeros((5, 3))}, r"kernels/tile: shape \(5, 3\), not \(5, 2\)"),
        ({"weight": np.zeros((5, 3, 2))}, r"kernels/weight: shape \(5, 3, 2\), not \(5, 3, 3\)"),
        ({"weight": np.zeros((5, 0, 0))}, "kernels/weight: .* no taps"),
        ({"mask": [0, 0, 1, 1, 1.5]}, "kernels/mask: float64 values change as int32"),
        ({"mask": [0, 0, 1, 1, 2**40]}, "kernels/mask: int64 values change as int32"),
        ({"mask": ["a"] * 5}, "kernels/mask: <U1 is not a real number"),
        ({"scale": np.ones(5) * 1j}, "kernels/scale: complex128 is not a real number"),
        ({"weight": np.full((5, 3, 3), complex(0, np.inf))}, "kernels/weight: row 0 is not finite"),
        ({"place": np.zeros(5)}, r"kernels/place: shape \(5,\), not \(5, 2\)"),
        ({"photons": [1, 1, 1, np.nan, 1]}, "kernels/photons: row 3 is not finite"),
        ({"error": [0, 0, np.nan, 0, 0]}, "kernels/error: row 2 is not finite"),
        ({"in_channel": [-2, 0, 0, 0, 0]}, "kernels/in_channel: row 0 is -2; it must be -1 or more"),
        ({"sign": [1, 1, 0, 0, 0]}, "kernels/pair: row 0 names 1 as its other half"),
        ({"sign": [0, 0, 0, 0, 0]}, "kernels/pair: row 0 names 1"),
        ({"pair": [1, -1, -1, -1, -1]}, "kernels/pair: row 0 names 1"),
        ({"pair": [5, 0, -1, -1, -1]}, "kernels/pair: row 0 is 5; it must be -1 or more, below 5"),
    ],
)
def test_wrong_table_is_refused(columns: dict[str, Any], message: str) -> None:
    with pytest.raises(BundleError, match=message):
        kernel_table(**columns)


def test_report(tmp_path: Path) -> None:
    masks = mask_set()
    report = masks.report()
    assert len(masks) == 3
    assert [row["name"] for row in report.rows] == ["out0.in0+", "out0.in0-", "out1.in0", "out2.in0", "out3.in-1"]
    assert [row["scale"] for row in report.rows] == masks.kernels.scale.tolist()
    assert [(row["tile_y"], row["tile_x"]) for row in report.rows] == [tuple(t) for t in masks.kernels.tile.tolist()]
    lines, _, notes = str(report).partition("\n\n")
    assert len({len(line) for line in lines.splitlines()}) == 1
    first = ["out0.in0+", "0", "0.98000", "1.00%", "10.00%", "-200,", "-160"]
    assert [line.split() for line in lines.splitlines()][1] == first
    assert len(lines.splitlines()) == 6
    assert notes.startswith("5 kernels in 3 masks: error 1.50%, at most 2.00%")
    report.to_csv(tmp_path / "report.csv")
    with (tmp_path / "report.csv").open(newline="") as file:
        back = list(csv.DictReader(file))
    assert [float(row["correlation"]) for row in back] == masks.kernels.correlation.tolist()
