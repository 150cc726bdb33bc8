"""Cost: each formula against a hand calculation, and what must hold whatever the figures are."""

import csv
import math
from pathlib import Path

import pytest
import torch
from conftest import bench_data
from torch import nn
from typer.testing import CliRunner

from fouroptics.bench import budget
from fouroptics.bench.settings import FourFConfig
from fouroptics.errors import FourOpticsError
from models import bench_cost, cost
from models.bench_cost import PowersConfig, Task, as_it_is, laid_out, on_bench
from models.electronics import Electronics, Layer, electronics, fft_macs, spatial_macs
from models.runs import save_checkpoint
from models.student import Student, StudentConfig
from models.teacher import Teacher, TeacherConfig

TASK = Task(channels=1, kernels=4, taps=3, size=8, pooled=2, macs=1000)
POWERS = PowersConfig(
    display=1.0, panel=2.0, laser=3.0, camera=4.0, processor=5.0, efficiency=0.1, light=0.08, signal=0.5,
    adc_step=1e-12, link_bit=1e-11, link_rate=1e9, row_time=1e-5, row_overhead=1e-4, mac_rate=1e9,
)  # fmt: skip


def bench(changes=None) -> FourFConfig:
    return FourFConfig.model_validate(bench_data(changes))


def small(powers=POWERS, task=TASK, changes=None):
    config = bench(changes)
    return on_bench(as_it_is(config, task), task, powers)


def part(found, name):
    (one,) = (each for each in found.parts if each.name == name)
    return one


# ---- electronics -----------------------------------------------------------------------------------------------------


def test_products_of_a_convolution_tap_by_tap():
    assert spatial_macs(Layer(3, 8, 5, 32, 32)) == 3 * 8 * 25 * 1024
    assert spatial_macs(Layer(3, 8, 5, 32, 16)) == 3 * 8 * 25 * 256  # a stride of 2


def test_products_of_a_convolution_by_fft():
    # L = 30 + 3 - 1 = 32, L^2 = 2^10: (2 + 4) * 2 * 1024 * 10 and 3 * 2 * 4 * 1024, half of both for real images
    assert fft_macs(Layer(2, 4, 3, 30, 30)) == pytest.approx((122_880 + 24_576) / 2, rel=1e-12)  # a logarithm of 2^10


def test_the_cheaper_way_is_taken_from_its_crossover_on():
    # 16 channels to 16, N = 256: 3.5 log2(L^2) ... by hand 32 log2(L^2) + 384 products a sample against 256 k^2,
    # that is k^2 > 3.5 for L = N: the FFT wins from 3x3 on, and the taps win at 1x1
    one, three = Layer(16, 16, 1, 256, 256), Layer(16, 16, 3, 256, 256)
    assert spatial_macs(one) < fft_macs(one)
    assert fft_macs(three) < spatial_macs(three)
    assert Electronics((one,), 0).macs() == spatial_macs(one)
    assert Electronics((three,), 5).macs() == fft_macs(three) + 5


def test_the_fft_wins_above_the_crossover_of_a_single_kernel():
    # 1 to 1, N large: 2 log2(N^2) + 1.5 products a sample against k^2; N = 1024: 41.5, between 5x5 and 7x7
    five, seven = (Layer(1, 1, k, 1024, 1024) for k in (5, 7))
    assert spatial_macs(five) < fft_macs(five)
    assert fft_macs(seven) < spatial_macs(seven)


def test_a_network_is_counted_by_running_it():
    net = nn.Sequential(
        nn.Conv2d(3, 6, 3, padding=1), nn.Conv2d(6, 8, 5, stride=2, padding=2, groups=2), nn.Flatten(),
        nn.Linear(8 * 16, 10),
    )  # fmt: skip
    net.train()
    found = electronics(net, torch.zeros(1, 3, 8, 8))
    assert net.training
    assert found.head == 1280
    assert found.layers == (Layer(3, 6, 3, 8, 8), *[Layer(3, 4, 5, 8, 4)] * 2)


def test_convolutions_grow_with_the_image_and_the_head_stays():
    found = Electronics((Layer(1, 2, 3, 8, 8),), 100)
    assert found.macs(1) == 100 + 2 * 9 * 64  # spatial: 1,152 against 2,200 by FFT
    assert found.macs(2) == 100 + 2 * 9 * 256


def test_what_is_not_read_is_not_computed():
    """4 kernels of 3 x 3 at each of 64 pixels, at every second of them, and at the 4 averages of a linear readout."""
    products = [
        bench_cost.in_electronics(task, 8).macs() - 1000
        for task in (TASK, TASK._replace(read=2), TASK._replace(linear=True))
    ]
    assert products == [36 * 64, 36 * 16, 36 * 4]
    assert bench_cost.in_electronics(TASK._replace(linear=True), 16).macs() - 1000 == 36 * 4
    student = bench_cost.task(Student(StudentConfig(readout="reference_pair", read=2, pool=2)))
    assert (student.read, student.linear, student.pooled) == (2, True, 7)
    with pytest.raises(FourOpticsError, match="spectral pooling merges into masks"):
        bench_cost.task(Student(StudentConfig(bands=(29, 21, 15, 15), pool=3)))


# ---- the bench -------------------------------------------------------------------------------------------------------


def test_time_of_each_part_by_hand():
    # 144 x 144 camera pixels of 12 bit; panel and display without figures: 60 Hz
    found = small(changes={"camera": {"exposure": "2 ms"}})
    times = {each.name: each.seconds for each in found.parts}
    assert times == pytest.approx(
        {
            "display": 1 / 60,
            "panel": 0.0,  # the one mask stays
            "laser and exposure": 2e-3,
            "way of the light": 0.8 / 299_792_458,
            "camera and read-out": 1e-4 + 144 * 1e-5,
            "ADC": 0.0,
            "transfer": 144**2 * 12 / 1e9,
            "back end": 1e-6,
        },
        rel=1e-12,  # sums of a few numbers
    )
    assert found.frames == 1
    assert found.latency == pytest.approx(sum(times.values()), rel=1e-12)
    assert found.period == pytest.approx(1 / 60 + 2e-3, rel=1e-12)  # the rest goes on beside


def test_energy_of_each_part_by_hand():
    found = small(changes={"camera": {"exposure": "2 ms"}})
    work = {each.name: each.work for each in found.parts if each.work}
    assert work == pytest.approx(
        {
            "laser and exposure": 2e-3 * 1e-3 / 0.1,  # 1 mW
            "ADC": 144**2 * 4096 * 1e-12,
            "transfer": (144**2 * 12 + 64 * 8) * 1e-11,  # what is read, and the image for the display
        },
        rel=1e-12,
    )
    idle = {each.name: each.idle for each in found.parts}
    assert sum(idle.values()) == 1 + 2 + 3 + 4 + 5
    assert found.energy(2e-12, 0.5) == pytest.approx(15 * 0.5 + sum(work.values()) + 1000 * 2e-12, rel=1e-12)


def test_the_laser_gives_the_photons_that_are_asked_for():
    # 4 kernels share 0.08 of the light, half as bright as white: 0.01 of the beam for each
    config, photon = bench({"light": {"beam_radius": None}}), 6.62607015e-34 * 299_792_458 / 633e-9
    config = config.model_copy(update={"light": config.light.model_copy(update={"beam_radius": None})})
    pixels = (247.265625 / 82.421875) ** 2 * 64  # camera pixels in the image of the display
    joules = config.camera.mean_photons * photon * pixels / 0.01 / 0.1
    found = on_bench(as_it_is(config, TASK), TASK, POWERS)
    assert part(found, "laser and exposure").work == pytest.approx(joules, rel=1e-9)
    assert part(found, "laser and exposure").seconds == pytest.approx(joules * 0.1 / 1e-3, rel=1e-9)


def test_light_that_is_left_out_in_the_budget():
    config = bench()
    assert budget.exposure(config) == budget.exposure(config, bench_cost.LIGHT)


def test_idle_energy_is_power_times_time():
    slow = small(POWERS.without_idle())
    assert slow.fixed(1.0) == slow.fixed(2.0)
    found = small()
    assert found.fixed(2.0) - found.fixed(1.0) == pytest.approx(15.0, rel=1e-12)


def test_twice_the_frames_take_twice():
    # the small bench has 16 windows; 64 kernels are four masks, 128 are eight
    four, eight = (small(task=TASK._replace(kernels=n)) for n in (64, 128))
    assert (four.frames, eight.frames) == (4, 8)
    for name in ("laser and exposure", "ADC", "camera and read-out"):
        assert part(eight, name).work == pytest.approx(2 * part(four, name).work, rel=1e-12)
        assert part(eight, name).seconds == pytest.approx(2 * part(four, name).seconds, rel=1e-12)
    assert eight.period == pytest.approx(2 * four.period, rel=1e-12)


def test_a_pair_takes_two_frames():
    assert small(changes={"readout": {"kind": "reference_pair"}, "reference": {}}).frames == 2


def test_panel_changes_are_shared_by_the_images_of_a_run():
    found = small(task=TASK._replace(kernels=32), changes={"camera": {"exposure": "2 ms"}})
    assert part(found, "panel").seconds == pytest.approx(2 / 60, rel=1e-12)
    assert found.period == pytest.approx(2 * (1 / 60 + 2e-3) + 2 / 60 / bench_cost.BATCH, rel=1e-12)


def test_new_masks_are_sent_once_a_run():
    # 128 kernels: eight masks of 96 x 128 pixels of 8 bit for 1,000 images, eight frames with the image for each
    found = small(task=TASK._replace(kernels=128))
    bits = 8 * (144**2 * 12 + 64 * 8) + 8 * 8 * 96 * 128 / 1000
    assert part(found, "transfer").work == pytest.approx(bits * 1e-11, rel=1e-12)


def test_the_slowest_part_sets_the_pace():
    slow = small(POWERS.model_copy(update={"link_rate": 1e6}))
    assert slow.period == part(slow, "transfer").seconds == pytest.approx(144**2 * 12 / 1e6)
    assert slow.period < slow.latency


def test_a_display_for_each_channel():
    one, three = (small(task=TASK._replace(channels=n)) for n in (1, 3))
    assert part(three, "display").idle == 3 * part(one, "display").idle
    assert part(three, "transfer").work - part(one, "transfer").work == pytest.approx(2 * 64 * 8 * 1e-11, rel=1e-9)


def test_crossover_is_where_both_take_the_same():
    found = small()
    least = found.crossover(50_000)
    assert found.energy(least) == pytest.approx(50_000 * least, rel=1e-9)
    assert found.energy(2 * least) < 50_000 * 2 * least
    assert found.energy(least / 2) > 50_000 * least / 2
    assert found.crossover(1000) == found.crossover(10) == math.inf  # no fewer products: optics cannot win


def test_energy_grows_with_e_mac():
    found = small()
    assert found.energy(1e-12) < found.energy(2e-12) < found.energy(30e-12)


def test_a_bench_of_another_size_is_refused():
    with pytest.raises(FourOpticsError, match=r"set it to \[9, 9\]"):
        as_it_is(bench(), TASK.at(9))
    with pytest.raises(FourOpticsError, match="no window fits"):
        as_it_is(bench({"panel": {"shape": [20, 20], "pitch": "32 um"}}), TASK)


# ---- laid out anew ---------------------------------------------------------------------------------------------------


def test_a_layout_by_hand():
    # band 96, N = 8, k = 3: windows 10 apart, centres up to 48 - 7 = 41 off the axis: 9, 19, 29, 39, eight an axis;
    # four kernels lie 2 x 2: 18 + 8 image pixels of which a camera pixel averages 4
    plan = laid_out(bench(), TASK)
    assert (plan.pieces, plan.masks, plan.kernels, plan.pixels) == (1, 1, 4, (7, 7))
    assert plan.config.band == pytest.approx(96, rel=1e-12)
    assert laid_out(bench(), TASK._replace(kernels=65)).masks == 2


def test_pieces_hold_every_result_once():
    plan = laid_out(bench(), TASK.at(64))
    size = plan.config.input.shape[0]
    assert size + 1 <= 48 - (size - 1)  # its window fits
    across = math.isqrt(plan.pieces)
    step = 64 / 2 / 8  # image pixels of a camera pixel
    assert across**2 == plan.pieces > 1
    assert across * math.floor((size - 2) / step) * step >= 64
    assert plan.pieces * plan.masks <= 16  # 4 x 4 pieces of 18 pixels, with four windows


def test_a_panel_without_room_is_refused():
    with pytest.raises(FourOpticsError, match="take a larger panel"):
        laid_out(bench({"panel": {"shape": [4, 4]}}), TASK)


def test_frames_do_not_fall_with_resolution():
    task = Task(1, 16, 9, 28, 7, 50_816)
    frames = [on_bench(laid_out(bench_cost.fast_bench(), task.at(n)), task, POWERS).frames for n in (28, 112, 224, 448)]
    assert frames == sorted(frames)
    assert frames[0] == 1 < frames[-1]


def test_steps_of_the_page():
    task = Task(1, 16, 9, 28, 7, 50_816)
    plans = {n: laid_out(bench_cost.fast_bench(), task.at(n)) for n in (178, 179, 270, 271)}
    assert [plans[n].pieces * plans[n].masks for n in (178, 179, 270)] == [1, 4, 4]
    assert plans[271].pieces > 1


# ---- assumptions and command -----------------------------------------------------------------------------------------


def test_assumptions_are_read():
    assert bench_cost.present_powers().camera < bench_cost.fast_powers().camera
    assert bench_cost.fast_bench().input.refresh_rate == 9523


def test_command_writes_its_tables(tmp_path):
    save_checkpoint(tmp_path / "model.pt", Student(StudentConfig(outputs=4, hidden=8)))
    save_checkpoint(tmp_path / "teacher.pt", Teacher(TeacherConfig(width=2, hidden=8)))
    file = tmp_path / "bench.toml"
    file.write_text(FourFConfig.model_validate(bench_data(small=False)).to_toml(), encoding="utf-8")
    app = cost.typer.Typer()
    app.command()(cost.main)
    powers = tmp_path / "powers.toml"
    powers.write_text(POWERS.to_toml(), encoding="utf-8")
    done = CliRunner().invoke(app, [str(tmp_path), str(file), "--digital", "1000", "--powers", str(powers)])
    assert done.exit_code == 0, done.output
    assert "equal accuracy: less energy at no E_MAC" in done.output
    with (tmp_path / "cost_parts.csv").open(encoding="utf-8") as lines:
        assert {row["part"]: row["idle (W)"] for row in csv.DictReader(lines)}["camera and read-out"] == "4.0"
    with (tmp_path / "cost_energy.csv").open(encoding="utf-8") as lines:
        rows = list(csv.DictReader(lines))
    assert {int(row["pixels"]) for row in rows} == set(cost.SIZES)
    with (tmp_path / "cost_verdict.csv").open(encoding="utf-8") as lines:
        found = {(row["bench"], row["against"]): row for row in csv.DictReader(lines)}
    for (name, against), row in found.items():
        key = f"E_MAC, {against.split()[0]} (pJ)"
        here = {int(r["pixels"]): float(r[key]) for r in rows if r["bench"] == name}
        less = [str(n) for n, value in here.items() if value < 30]
        assert float(row["least E_MAC (pJ)"]) == min(here.values())
        assert row["less energy at 30 pJ"] == (", ".join(less) or "nowhere")


def test_verdict_says_who_is_sooner():
    where = {"bench": "a", "pixels": 28}
    times = [where | {"latency (ms)": 2.0, "student computed (ms)": 3.0, "teacher (ms)": 1.0}]
    energies = [where | {"E_MAC, student (pJ)": 40.0, "E_MAC, teacher (pJ)": 20.0}]
    student, teacher = cost.verdict(times, energies)
    assert (student["less latency"], teacher["less latency"]) == ("28", "nowhere")
    assert (student["less energy at 30 pJ"], teacher["less energy at 30 pJ"]) == ("nowhere", "28")


def test_command_names_a_missing_run_and_another_bench(tmp_path):
    app = cost.typer.Typer()
    app.command()(cost.main)
    save_checkpoint(tmp_path / "teacher.pt", Teacher(TeacherConfig(width=2, hidden=8)))
    save_checkpoint(tmp_path / "model.pt", Student(StudentConfig(outputs=4, hidden=8, readout="reference_pair")))
    (tmp_path / "bench.toml").write_text(
        FourFConfig.model_validate(bench_data(small=False)).to_toml(), encoding="utf-8"
    )
    done = CliRunner().invoke(app, [str(tmp_path), str(tmp_path / "bench.toml")])
    assert "the student learned with readout.kind = 'reference_pair'" in str(done.exception)
    (tmp_path / "model.pt").unlink()
    done = CliRunner().invoke(app, [str(tmp_path), str(tmp_path / "bench.toml")])
    assert done.exit_code == 1
    assert "model.pt: cannot be read" in str(done.exception)


def test_the_page_says_what_its_tables_say():
    results = Path(__file__).parents[1] / "docs" / "results"
    with (results / "cost_verdict.csv").open(encoding="utf-8") as lines:
        rows = [row for row in csv.DictReader(lines) if row["bench"] != "fast, no idle power"]
    assert {row["less energy at 30 pJ"] for row in rows} == {row["less latency"] for row in rows} == {"nowhere"}
    with (results / "cost_energy.csv").open(encoding="utf-8") as lines:
        fast = [row for row in csv.DictReader(lines) if row["bench"] == "fast bench"]
    assert f"{float(fast[0]['in a row (mJ)']):.1f}" == "4.3"
    short = [float(row[key]) / 30 for row in fast for key in row if key.startswith("E_MAC")]
    assert (round(min(short)), round(max(short))) == (12, 550)
    with torch.device("meta"):
        alexnet = electronics(Teacher(TeacherConfig(kind="alexnet", size=224, channels=3)), torch.zeros(1, 3, 224, 224))
    four = float(fast[3]["in a row (mJ)"]) / 30e-9  # 16 kernels at 224 pixels
    assert fast[3]["pixels"] == "224"
    assert (round(alexnet.macs() / 1e6), round(four / alexnet.macs())) == (183, 3)
