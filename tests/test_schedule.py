"""The schedule of a run: frames and seconds are those of a plain count, whatever the order and the readout."""

import itertools

import pytest
from conftest import bench_data
from hypothesis import given, settings
from hypothesis import strategies as st

import fouroptics as fo
from fouroptics.bench.budget import photon_rate
from fouroptics.bench.schedule import FRAMES, durations, schedule
from fouroptics.bench.settings import FourFConfig
from fouroptics.errors import SamplingWarning

KNOWN = {  # 60 Hz, 155 ms to settle: 171.7 ms a mask; 100 Hz display: 14 ms; 50 ms and 5 ms of camera
    "panel": {"refresh_rate": "60 Hz", "rise_time": "38 ms", "fall_time": "155 ms", "upload_time": "10 ms"},
    "input": {"refresh_rate": "100 Hz", "rise_time": "1 ms", "fall_time": "4 ms"},
    "camera": {"exposure": "50 ms", "readout_time": "5 ms"},
}
READOUTS = {
    "intensity": {},
    "reference_pair": {"readout": {"kind": "reference_pair"}, "reference": {}},
    "four_step": {"readout": {"kind": "four_step"}, "reference": {}},
    "split": {"readout": {"kind": "split"}},
}


def config(*changes) -> FourFConfig:
    merged: dict = {}
    for part in changes:
        for section, keys in part.items():
            merged[section] = merged.get(section, {}) | keys
    return FourFConfig.model_validate(bench_data(merged))


def played(kind, order, images, masks, repeats):
    """Run it: what is on the panel and on the display for each frame, and how often each changes."""
    panels = list(itertools.product(range(masks), "+-" if kind == "split" else "0"))
    pairs = itertools.product(panels, range(images))
    if order == "image-major":
        pairs = ((mask, image) for image, mask in itertools.product(range(images), panels))
    steps = {"reference_pair": 2, "four_step": 4}.get(kind, 1)
    shown = [pair for pair in pairs for _ in range(steps * repeats)]
    changes = [1 + sum(a[part] != b[part] for a, b in itertools.pairwise(shown)) for part in (0, 1)]
    return len(shown), *changes


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    st.sampled_from(sorted(FRAMES)),
    st.sampled_from(["kernel-major", "image-major"]),
    *[st.integers(1, 5)] * 2,
    st.integers(1, 3),
)
def test_counts_are_those_of_a_run(kind, order, images, masks, repeats):
    run = schedule(config(KNOWN, READOUTS[kind]), images, masks, order, repeats)
    count = {row.step: row.count for row in run.rows}
    frames, panel, display = played(kind, order, images, masks, repeats)
    assert (run.frames, count["panel"], count["display"]) == (frames, panel, display)
    assert count["exposure"] == count["readout"] == frames == FRAMES[kind] * images * masks * repeats
    assert run.seconds == pytest.approx(sum(row.each * row.count for row in run.rows), rel=1e-12)


def test_the_slow_panel_changes_once_a_mask_or_once_a_frame():
    """8 masks, 100 images: 8 changes of 171.7 ms, or 800 of them."""
    run, back = (schedule(config(KNOWN), 100, 8, order) for order in ("kernel-major", "image-major"))
    assert run.rows[0].total == pytest.approx(8 * (1 / 60 + 0.155), rel=1e-12)
    assert back.rows[0].total == pytest.approx(800 * (1 / 60 + 0.155), rel=1e-12)
    assert run.seconds == pytest.approx(8 * (1 / 60 + 0.155) + 800 * (0.014 + 0.055), rel=1e-12)
    assert run.notes == ()


def test_each_part_takes_its_time():
    assert durations(config(KNOWN)) == pytest.approx(
        {"panel": 1 / 60 + 0.155, "display": 0.014, "exposure": 0.05, "readout": 0.005}, rel=1e-12
    )


@pytest.mark.parametrize(
    ("changes", "step", "seconds"),
    [
        ({"panel": {"upload_time": "150 ms"}}, "panel", 0.150 + 0.155),
        ({"input": {"upload_time": "30 ms"}}, "display", 0.034),
        ({"camera": {"frame_rate": "10 Hz"}}, "readout", 0.05),
        ({"camera": {"frame_rate": "100 Hz"}}, "readout", 0.005),
        ({"camera": {"exposure": "100 ms"}}, "exposure", 0.1),
    ],
)
def test_the_longer_of_two_counts(changes, step, seconds):
    assert durations(config(KNOWN, changes))[step] == pytest.approx(seconds, rel=1e-12)


def test_what_is_not_known_is_said():
    run = schedule(config(), 1, 1, exposure=0.01)
    assert [note.split()[0] for note in run.notes] == ["panel.refresh_rate", "panel.upload_time", "panel.rise_time,"]
    assert "16.67 ms" in run.notes[1]
    assert run.rows[0].each == pytest.approx(1 / 60, rel=1e-12)


def test_an_automatic_exposure_is_estimated_in_whole_periods():
    automatic = {"camera": {"exposure": "auto", "readout_time": "0 s"}}
    place = config(KNOWN, automatic)
    run = schedule(place, 1, 1)
    assert run.rows[2].each == pytest.approx(1 / 60, rel=1e-12)
    wanted = 1000 / photon_rate(place)
    assert wanted < 1e-4
    (note,) = run.notes
    assert f"light.power of {1e6 * wanted * 60:.3g} nW" in note  # of 1 mW
    free = config(KNOWN, automatic, {"panel": {"refresh_rate": None}})
    assert durations(free)["exposure"] == pytest.approx(wanted, rel=1e-12)


@pytest.mark.parametrize(("exposure", "better"), [(0.020, "16.6667 ms"), (0.040, "33.3333 ms"), (0.001, "16.6667 ms")])
def test_an_exposure_of_parts_of_a_refresh_warns(exposure, better):
    with pytest.warns(SamplingWarning, match=f"{exposure * 60:.4g} refresh periods .* take {better}"):
        run = schedule(config(KNOWN), 1, 1, exposure=exposure)
    assert any(better in note for note in run.notes)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"images": 0}, "images = 0"),
        ({"masks": 0}, "masks = 0"),
        ({"repeats": -1}, "repeats = -1"),
        ({"order": "random"}, "kernel-major"),
        ({"exposure": -1.0}, "exposure = -1.0"),
    ],
)
def test_what_is_no_run_is_refused(options, says):
    with pytest.raises(fo.GeometryError, match=says):
        schedule(config(KNOWN), **({"images": 1, "masks": 1} | options))


def test_a_schedule_is_a_table():
    text = str(schedule(config(KNOWN), 100, 8))
    assert text.splitlines()[2].split() == ["panel", "171.7", "ms", "8", "1.373", "s"]
    assert "800 frames in 56.57 s, 14.14 a second" in text
