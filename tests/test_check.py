"""The check of a bench: its numbers are closed forms, each row can fail, and its remedies are right."""

import json
import math
import re
import tomllib

import numpy as np
import pytest
import torch
from conftest import bench_data
from hypothesis import given, settings
from hypothesis import strategies as st

import fouroptics as fo
from fouroptics.bench import ideal
from fouroptics.bench.check import check
from fouroptics.bench.geometry import geometry, lattice
from fouroptics.bench.settings import FourFConfig
from fouroptics.errors import ConfigError
from fouroptics.units import nm, show, um


def config(changes=None, *, small=False) -> FourFConfig:
    return FourFConfig.model_validate(bench_data(changes, small=small))


def row(changes, quantity, *, small=False):
    return next(r for r in check(config(changes, small=small)) if r.quantity == quantity)


# ---- geometry --------------------------------------------------------------------------------------------------------

BAND_494 = {"input": {"shape": [256, 256], "pitch": "32 um"}}


def test_geometry_is_that_of_the_worked_example():
    """633 nm, f = 200 mm, p = 32 um, 8 um panel: band 3.956 mm = 494.5 pixels, replicas 15.8 mm = 494 image pixels."""
    g = geometry(config(BAND_494))
    assert g.band == pytest.approx((494.53125, 494.53125), rel=1e-12)
    assert g.band[0] * 8 * um == pytest.approx(3.95625e-3, rel=1e-12)
    assert g.replicas == pytest.approx((15.825e-3, 15.825e-3), rel=1e-12)
    assert g.replicas[0] / (32 * um) == pytest.approx(g.band[0], rel=1e-12)  # the same number of image pixels
    assert g.fourier_pitch[0] * 256 == pytest.approx(3.95625e-3, rel=1e-12)
    assert g.window[0] == pytest.approx(256 * 32 / 3.516666666667, rel=1e-12)
    assert (g.magnification, g.zero_order) == (1.0, (0.0, 0.0))


def test_a_tilted_panel_has_a_shorter_pitch_in_x():
    g = geometry(config({"fold": {"kind": "tilt", "angle": "60 mrad"}}))
    assert g.band == pytest.approx((500, 500 / math.cos(0.06)), rel=1e-12)
    assert g.replicas[1] == pytest.approx(g.replicas[0] / math.cos(0.06), rel=1e-12)


def test_lenses_off_the_axis_move_the_undiffracted_image():
    """By lens2 + f2/f1 lens1, seen from the camera: 10 um / 2 + 3 um - 1 um."""
    off = {"lens1": {"x": "10 um"}, "lens2": {"x": "3 um"}, "camera": {"x": "1 um"}}
    half = config({"lens2": {"focal_length": "100 mm"}, "poses": off})
    assert geometry(half).zero_order == pytest.approx((0.0, 7 * um), rel=1e-12)
    light = fo.Field(torch.ones(1, 1, dtype=torch.complex128), fo.Grid((1, 1), 1 * um), 633 * nm)
    onto = fo.Grid((1, 101), 2 * um)
    seen = ideal.back(half, ideal.front(half, light)(half.fourier_grid), onto).intensity[0].numpy()
    assert (seen * onto.coordinates()[1]).sum() / seen.sum() == pytest.approx(8 * um, abs=0.2 * um)  # cut on both sides


def test_lines_of_a_spectrum_have_their_own_focal_lengths():
    """lambda f1 with f1 = 200 mm + 1000 x 20 nm = 200.02 mm at 653 nm."""
    g = geometry(config({"lens1": {"focal_slope": 1000.0}}), 653 * nm)
    assert g.band[0] == pytest.approx(653 * nm * 200.02e-3 / (31.65 * um * 8 * um), rel=1e-12)
    assert g.magnification == pytest.approx(200 / 200.02, rel=1e-12)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(st.integers(4, 20), st.integers(4, 20), st.integers(40, 400), st.integers(40, 400), st.integers(2, 9))
def test_windows_are_those_of_the_layouts(ny, nx, height, width, taps):
    from fouroptics.masks import layout

    bench = fo.FourF(bench_data({"input": {"shape": [ny, nx]}, "camera": {"shape": [height, width]}}))
    g = geometry(bench.config, taps=taps)
    rows, columns = g.windows
    assert len(lattice(g.reach, g.step, g.first)) == rows * columns
    if rows * columns:
        assert len(set(layout.tiled(rows * columns, taps, bench).tiles)) == rows * columns
    with pytest.raises(fo.SamplingError):
        layout.tiled(rows * columns + 1, taps, bench)


def moved(tilt, place, source=(0.0, 0.0)):
    """Where in x a panel at an angle puts the light of a point that a mask sends off, in metres."""
    c = config({"fold": {"kind": "tilt", "angle": tilt}} if tilt else {}, small=True)
    plane = c.fourier_grid
    point = fo.Grid((1, 1), (8 * um, 8 * um), source)
    light = ideal.front(c, fo.Field(torch.ones(1, 1, dtype=torch.complex128), point, 633 * nm))(plane)
    y, x = (torch.from_numpy(axis) for axis in plane.coordinates())
    turns = (y[:, None] * place[0] + x * place[1]) / (633 * nm * 0.2)
    sent = light.modulate(torch.polar(torch.ones_like(turns), 2 * math.pi * turns))
    onto = fo.Grid((1, 401), (10 * um, 10 * um), (place[0] - source[0], place[1] - source[1]))
    seen = ideal.back(c, sent, onto).intensity[0].numpy()
    x = onto.coordinates()[1]
    return float((seen**2 * x).sum() / (seen**2).sum())


@pytest.mark.parametrize(
    ("place", "source"), [((0.0, 6e-3), (0.0, 0.0)), ((5e-3, 6e-3), (0.0, 0.0)), ((0.0, 6e-3), (0.0, 2e-3))]
)
def test_keystone_is_what_the_bench_does(place, source):
    """f1 s |beta^2 - alpha^2| / 2 to 3 %: the model leaves out second order in the tilt, the spot is 1 mm wide."""
    beta, alpha = (place[0] - source[0], place[1] - source[1]), source
    expected = math.tan(0.1) / (2 * 0.2) * (beta[0] ** 2 + beta[1] ** 2 - alpha[0] ** 2 - alpha[1] ** 2)
    shift = moved("100 mrad", place, source) - moved(None, place, source)
    assert abs(shift) == pytest.approx(expected, rel=0.03)
    assert abs(shift) > 3 * um


# ---- rows ------------------------------------------------------------------------------------------------------------

TILT = {"kind": "tilt", "angle": "200 mrad"}
SPLIT = {"kind": "beam_splitter", "reflectance": 0.3}
LC = {"refresh_rate": "60 Hz", "rise_time": "38 ms", "fall_time": "155 ms"}
LINES = {"spectrum": [["623 nm", 1.0], ["643 nm", 1.0]]}
BLUE = {"focal_slope": 1e8}
FAULTS = {  # quantity: (verdict, changes to the example, part of what the row says)
    "band on the panel": ("no", {"input": {"pitch": "10 um"}}, "1583 pixels"),
    "panel pixels in the band": ("no", {"input": {"shape": [256, 256]}}, "at least 511"),
    "replicas of the panel": ("note", {"input": {"shape": [496, 20]}}, "15.83 mm apart"),
    "windows off the axis": ("note", {"camera": {"shape": [288, 288]}}, "0 x 0"),
    "kernels in a frame": ("note", {"camera": {"shape": [820, 820]}}, "at most 4 windows"),
    "camera over the image": ("no", {"camera": {"shape": [8, 8]}}, "at least 886.2 um"),
    "camera pixels per image pixel": ("no", {"camera": {"pitch": "5 um"}}, "6.33"),
    "camera sampling": ("note", {"camera": {"pitch": "31.65 um"}}, "at most 15.83 um"),
    "lens1 diameter": ("no", {"lens1": {"diameter": "6 mm"}}, "at least 6.91 mm"),
    "lens2 diameter": ("no", {"lens2": {"diameter": "6 mm"}}, "at least 16.9 mm"),
    "focal lengths": ("no", {"lens1": BLUE, "light": LINES}, "not positive at 623 nm"),
    "lens1 quartic phase": ("note", {}, "9.95 mrad"),
    "lens2 quartic phase": ("note", {}, "9.93 mrad"),
    "paraxial range": ("note", {"lens2": {"focal_length": "20 mm"}}, "x/f up to"),
    "pixel envelope": ("note", {}, "0.684"),
    "display orders": ("note", {"panel": {"iris": None}}, "3 x 3 on the panel, 4 mm apart"),
    "phase stroke": ("note", {"panel": {"stroke": "5.026548 rad"}}, "0.8 of 2 pi at 633 nm: 0.9744"),
    "crosstalk": ("note", {"panel": {"crosstalk": 0.2}}, "0.2 pixels: contrast 0.905"),
    "keystone": ("note", {"fold": TILT}, "0.4"),
    "beam splitter": ("note", {"fold": SPLIT}, "21.0%"),
    "polarisation": ("note", {"polarisation": {"angle": "200 mrad"}}, "0.9605"),
    "photons on a read pixel": ("no", {"camera": {"exposure": "0.01 us"}}, "0.5535"),
    "signal to noise": ("note", {"camera": {"mean_photons": 100}}, "7.63"),
    "full well": ("no", {"camera": {"mean_photons": 20000}}, "121.9%"),
    "panel settling": ("note", {"panel": LC}, "155 ms"),
    "exposure over the refresh": ("note", {"panel": LC, "camera": {"exposure": "20 ms"}}, "1.2 periods"),
    "panel offset": ("note", {"poses": {"panel": {"x": "30 um"}}}, "at most 15.9 um"),
    "panel rotation": ("note", {"poses": {"panel": {"rotation": "30 mrad"}}}, "at most 25 mrad"),
    "camera offset": ("note", {"poses": {"lens1": {"x": "4 um"}}}, "at most 3.17 um"),
    "camera rotation": ("note", {"poses": {"camera": {"rotation": "2 mrad"}}}, "urad"),
    "width of the spectrum": ("note", {"light": LINES}, "2.8"),
}
ALWAYS = ["frame rate", "orders beside the windows"]  # figures: the lattice of windows keeps off the orders
GOOD = {  # what clears the rows that the example itself has as a note
    "lens1 quartic phase": {"model": "wave"},
    "lens2 quartic phase": {"lens2": {"focal_length": "300 mm"}},
    "pixel envelope": {"camera": {"shape": [288, 288]}, "panel": {"fill_factor": 0.1}},
    "panel settling": {"panel": {"refresh_rate": "500 Hz", "rise_time": "1 ms", "fall_time": "2 ms"}},
    "display orders": {"panel": {"iris": None, "shape": [500, 500]}},
    "exposure over the refresh": {"panel": LC, "camera": {"exposure": "50 ms"}},
    "keystone": {"fold": TILT | {"angle": "1 mrad"}},
    "beam splitter": {"fold": SPLIT | {"reflectance": 0.5}},
    "width of the spectrum": {"light": {"spectrum": [["632.9 nm", 1.0], ["633.1 nm", 1.0]]}},
}


def test_the_example_can_work():
    report = check(config())
    assert report.ok
    notes = [r.quantity for r in report if r.verdict == "note"]
    assert notes == ["lens1 quartic phase", "lens2 quartic phase", "pixel envelope", "panel settling"]


@pytest.mark.parametrize("quantity", FAULTS)
def test_each_row_can_fail(quantity):
    verdict, changes, words = FAULTS[quantity]
    found = row(changes, quantity)
    assert found.verdict == verdict
    assert words in found.have + found.need
    assert re.search(r"\d", found.remedy)


@pytest.mark.parametrize("quantity", [q for q in FAULTS if q != "focal lengths"])
def test_each_row_can_be_good(quantity):
    assert row(GOOD.get(quantity, {}), quantity).verdict == "ok"


def test_every_row_is_in_the_tables():
    seen = {r.quantity for _, changes, _ in FAULTS.values() for r in check(config(changes))}
    assert seen - {"beam on the display"} == {*FAULTS, *ALWAYS}  # that and others: test_what_is_wrong_...


def test_orders_beside_the_windows():
    """n = 28: at 29 the window of displacements begins 2 off the axis, and ends 95 + 27 off it: 378 from 500."""
    have = row({}, "orders beside the windows").have
    assert "light 2 image pixels" in have
    assert "next order 378 from" in have


def test_kernels_of_a_frame():
    """The rule by hand: 16 kernels in quarters of 2 x 2 windows of 55 pixels, 33 apart, of 500 x 500; 8 bit."""
    part = 4 * 88**2 / 500**2
    assert geometry(config()).prescribed(16) == pytest.approx(part)
    assert f"about {2.8 * part / (256 * math.sqrt(0.08)):.2%}" in row({}, "kernels in a frame").have
    with pytest.raises(fo.GeometryError, match="kernels = 0"):
        check(config(), kernels=0)


REMEDIES = ["band on the panel", "panel pixels in the band", "camera over the image", "camera pixels per image pixel"]
REMEDIES += [
    "camera sampling",
    "lens1 diameter",
    "lens2 diameter",
    "paraxial range",
    "full well",
]
REMEDIES += ["photons on a read pixel", "exposure over the refresh", "replicas of the panel"]


@pytest.mark.parametrize("quantity", REMEDIES)
def test_the_number_of_a_remedy_is_enough(quantity):
    """Every ``section.key = value`` in a remedy, by itself, makes its row good."""
    _, changes, _ = FAULTS[quantity]
    found = re.findall(r"(lens\d|input|camera|light)\.(\w+) = ([\d.]+ \w+)", row(changes, quantity).remedy)
    assert found
    for section, key, value in found:
        mended = {**changes, section: {**changes.get(section, {}), key: value}}
        if (section, key) == ("camera", "mean_photons"):
            mended["camera"][key] = float(value.split()[0])
        assert row(mended, quantity).verdict == "ok", (section, key, value)


def test_a_worse_fault_is_a_no():
    assert row({"input": {"shape": [600, 20]}}, "replicas of the panel").verdict == "no"
    assert row({"camera": {"mean_photons": 2000}}, "full well").verdict == "note"


def test_the_worst_line_of_the_spectrum_counts():
    """At 1266 nm, twice the wavelength, one band has 1000 pixels, at 316.5 nm half of them."""
    lines = {"light": {"spectrum": [["316.5 nm", 1.0], ["1266 nm", 1.0]]}}
    assert row(lines, "band on the panel").have == "1000 pixels"
    assert row(lines, "panel pixels in the band").have == "250"


def test_stroke_is_that_at_the_wavelength_and_the_angle():
    """6.9 pi at 530 nm is 6.9 pi 530/633 = 2.889 turns at 633 nm; at 30 degrees 1/cos in the crystal more."""
    long = {"stroke": f"{6.9 * math.pi} rad", "stroke_wavelength": "530 nm"}
    assert "2.889 of 2 pi" in row({"panel": long}, "phase stroke").have
    tilted = row({"panel": long, "fold": {"kind": "tilt", "angle": f"{math.pi / 6} rad", "index": 1.5}}, "phase stroke")
    assert f"{2.8886 / math.cos(math.asin(0.5 / 1.5)):.4g} of 2 pi" in tilted.have


def test_envelope_is_that_of_the_pixel():
    """sinc^2 along both axes at the edge of the farthest window: 113.8 (y) and 136 (x) of 500 image pixels."""
    y, x = (np.sinc(math.sqrt(0.9) * edge / 500) ** 2 for edge in (2048 / 18, 2448 / 18))
    assert row({}, "pixel envelope").have.startswith(f"{y * x:.4g} at")


def test_envelope_within_what_the_remedy_says():
    """At 20.5 image pixels in y and in x the envelope is 0.99, to the next term of the sinc."""
    (near,) = map(float, re.findall(r"within ([\d.]+) image", row({}, "pixel envelope").remedy))
    assert np.sinc(math.sqrt(0.9) * near / 500) ** 4 == pytest.approx(0.99, abs=1e-4)


def test_a_roi_beside_the_image_is_found():
    found = row({"camera": {"roi": [0, 0, 1000, 1000]}}, "camera over the image")
    assert (found.verdict, found.have) == ("no", "3.517 mm, beside the image")
    assert row({"camera": {"roi": [524, 724, 1000, 1000]}}, "camera over the image").verdict == "ok"


def test_the_photons_of_a_remedy_give_the_ratio():
    """To the three digits that are shown."""
    noisy = {"camera": {"mean_photons": 100, "read_noise": 20.0}}
    photons = float(row(noisy, "signal to noise").remedy.split()[0])
    ratio = float(row({"camera": noisy["camera"] | {"mean_photons": photons}}, "signal to noise").have.split(":")[0])
    assert ratio == pytest.approx(10, rel=0.005)


# ---- the report ------------------------------------------------------------------------------------------------------


def test_a_report_is_text_and_json():
    report = check(config({"camera": {"shape": [8, 8]}}))
    assert not report.ok
    lines = str(report).splitlines()
    assert len(lines) == len(report) + 2
    assert re.search(r"^camera over the image +28.13 um +at least 886.2 um +no +252 camera pixels", str(report), re.M)
    assert not next(line for line in lines if line.startswith("band on the panel")).rstrip().endswith("detail")
    data = json.loads(json.dumps(report.to_json()))
    assert [(d["quantity"], d["ok"]) for d in data] == [(r.quantity, r.ok) for r in report]


@pytest.mark.parametrize("options", [{"taps": 1}, {"light": 0.0}, {"light": 1.5}])
def test_options_out_of_range_are_refused(options):
    with pytest.raises(fo.GeometryError, match="taps"):
        check(config(), **options)


def length(least, most):
    return st.floats(math.log(least), math.log(most)).map(lambda value: show(math.exp(value), "length", 12))


SHAPES = st.tuples(st.integers(1, 5000), st.integers(1, 5000)).map(list)
POSES = st.fixed_dictionaries({}, optional={"x": length(1e-9, 1e3), "z": length(1e-9, 1e3)})
BENCHES = {
    "model": st.sampled_from(["fourier", "wave"]),
    "light": st.fixed_dictionaries(
        {"wavelength": length(1e-8, 1e-3)},
        optional={
            "power": st.sampled_from(["1e-30 W", "1 mW", "1e30 W"]),
            "beam_radius": length(1e-12, 1e6),
            "spectrum": st.lists(st.tuples(length(1e-8, 1e-3), st.just(1.0)), max_size=3),
        },
    ),
    "input": st.fixed_dictionaries(
        {"shape": SHAPES, "pitch": length(1e-8, 1.0)}, optional={"fill_factor": st.floats(1e-6, 1)}
    ),
    "lens1": st.fixed_dictionaries({"focal_length": length(1e-4, 1e3)}, optional={"focal_slope": st.floats(-1e9, 1e9)}),
    "lens2": st.fixed_dictionaries({"focal_length": length(1e-4, 1e3)}, optional={"diameter": length(1e-9, 1e3)}),
    "panel": st.fixed_dictionaries(
        {"shape": SHAPES, "pitch": length(1e-8, 1e-2)},
        optional={
            "iris": st.just("band"),
            "stroke": st.sampled_from(["1e-6 rad", "7 rad"]),
            "crosstalk": st.floats(0, 100),
            "refresh_rate": st.sampled_from(["1e-6 Hz", "1000 kHz"]),
            "rise_time": st.just("1 ms"),
            "fall_time": st.sampled_from(["0 s", "3 s"]),
        },
    ),
    "fold": st.sampled_from([{}, TILT, SPLIT | {"ghost": 0.5}, {"kind": "tilt", "angle": "-0.78 rad"}]),
    "polarisation": st.sampled_from([{}, {"angle": f"{math.pi / 2} rad", "extinction": 1.0}]),
    "camera": st.fixed_dictionaries(
        {"pitch": length(1e-8, 1e-2)},
        optional={
            "shape": SHAPES,
            "exposure": st.sampled_from(["1e-12 s", "1e9 s"]),
            "full_well": st.floats(1, 1e9),
        },
    ),
    "poses": st.fixed_dictionaries({}, optional=dict.fromkeys(("lens1", "panel", "lens2", "camera"), POSES)),
}


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.fixed_dictionaries(BENCHES))
def test_any_bench_can_be_checked(data):
    try:
        c = FourFConfig.model_validate(data)
    except ConfigError:
        return
    report = check(c)
    assert all(r.have and r.need and r.remedy and r.verdict in ("ok", "note", "no") for r in report)
    assert not re.search(r"\bnan\b", str(report.to_json()))


def test_the_random_benches_are_often_valid():
    """Else the test above would pass by refusing everything; some 1 in 3 is one."""
    valid = []

    @settings(max_examples=100, deadline=None, derandomize=True, database=None)
    @given(st.fixed_dictionaries(BENCHES))
    def count(data):
        try:
            FourFConfig.model_validate(data)
        except ConfigError:
            return
        valid.append(1)

    count()
    assert len(valid) > 10


def test_the_example_file_is_the_example():
    from fouroptics.bench.settings import EXAMPLE

    assert config() == FourFConfig.model_validate(tomllib.loads(EXAMPLE))


@pytest.mark.parametrize(
    ("quantity", "changes"),
    [
        ("defocus", {"poses": {"camera": {"z": "5 mm"}}}),
        ("defocus", {"poses": {"lens1": {"z": "-5 mm"}}}),
        ("pointing", {"light": {"pointing": ["0 mrad", "20 mrad"]}}),
        ("beam on the display", {"light": {"beam_radius": "0.1 mm"}}),
        ("flicker", {"panel": {"flicker": "1 rad"}}),
        ("aberrations", {"model": "wave", "lens2": {"aberrations": {"5": "5 rad"}}}),
        ("dead pixels", {"panel": {"dead_pixels": [[500, x, 0] for x in range(300)]}}),
    ],
)
def test_what_is_wrong_with_light_and_parts_is_noted(quantity, changes):
    """Each of them, and nothing of it on the bench of the examples."""
    names = [each.quantity for each in fo.FourF(bench_data(small=False)).check()]
    assert quantity not in names
    (found,) = [each for each in fo.FourF(bench_data(changes, small=False)).check() if each.quantity == quantity]
    assert found.verdict == "note"
    assert found.remedy


def test_defocus_is_the_phase_at_the_edge_of_the_band():
    """pi r^2 dz / (lambda f^2), at the corner of the iris: what a camera off by dz sees."""
    place = fo.FourF(bench_data({"poses": {"camera": {"z": "5 mm"}}}, small=False))
    (found,) = [each for each in place.check() if each.quantity == "defocus"]
    r = math.hypot(*place.fourier_grid.extent) / 2
    assert float(found.have.split()[0]) == pytest.approx(math.pi * r**2 * 5e-3 / (633e-9 * 0.2**2), rel=1e-2)
