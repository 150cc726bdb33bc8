"""The simulator plays a run sheet, and the run's head reads the frames as it reads light in memory."""

import csv
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import bench_data
from small_students import SMALL, WAYS, coherent_masks, incoherent_masks, make_student, some_images
from typer.testing import CliRunner

import fouroptics as fo
from fouroptics.cli import app
from fouroptics.errors import FourOpticsError, GeometryError
from fouroptics.masks import bundle, runsheet
from fouroptics.masks import captures as files
from fouroptics.masks.compiler import from_kernels
from fouroptics.masks.layout import sequential
from fouroptics.masks.maskset import MaskSet
from fouroptics.masks.pictures import pictures
from fouroptics.masks.play import play
from models import captures, evaluate, runs
from models.data import Dataset, Split
from models.optical import Instrument, calibrate, predict, response
from models.student import Student

IMAGES = (some_images(12) * 255).round() / 255  # as a display of 8 bit shows them
#: 16 bit and 6 DN an electron: half a number is 1e-4 of a signal of 1,000 photons.
FINE = {"bits": 16, "gain": 6.0, "black_level": 1000, "mean_photons": 1000}


def make_bench(kind: str = "intensity", **camera: Any) -> fo.FourF:
    return fo.FourF(bench_data(WAYS[kind] | {"camera": bench_data()["camera"] | FINE | camera}))


def one_mask_each() -> MaskSet:
    return from_kernels(make_student(**SMALL).collapse(), fo.FourF(bench_data()), layout=sequential, light=0.05)


def calibrated(kind: str, bench: fo.FourF, masks: MaskSet, **student: Any) -> tuple[Student, Any, Instrument]:
    network = make_student(kind, **SMALL, **student)
    optics = response(bench, masks)
    return network, optics, calibrate(bench, optics, network, IMAGES, None)


def taken(path: Path, bench: fo.FourF, masks: MaskSet, instrument: Instrument, **options: Any) -> files.Captures:
    """A sheet of all images, played; `seed` for noise."""
    seed, seconds = options.pop("seed", None), options.pop("exposure", instrument.exposure)
    sheet = runsheet.sheet(bench.config, masks, "f" * 64, pictures(IMAGES.numpy()), exposure=seconds, **options)
    generator = None if seed is None else torch.Generator().manual_seed(seed)
    play(sheet, bench, masks, path, generator=generator, reference=instrument.reference or None)
    return files.read(path, "f" * 64, bench.camera_grid.shape)


@pytest.mark.parametrize("kind", WAYS)
def test_without_noise_every_prediction_is_that_of_memory(kind, tmp_path):
    """The logits differ by the rounding to whole numbers: 1e-4 of a number, and means over 4 x 16 of them."""
    bench, masks = make_bench(kind), incoherent_masks() if kind == "split" else coherent_masks()
    student, optics, instrument = calibrated(kind, bench, masks)
    wanted = predict(student, optics, instrument, IMAGES)
    others = {"brighter": {"dark": 2, "exposure": 1.5 * instrument.exposure, "order": "image-major"}}
    for name, options in (others if kind == "split" else {"as calibrated": {}} | others).items():
        seen = captures.predict(
            student, instrument, masks, taken(tmp_path / "c.h5", bench, masks, instrument, **options)
        )
        assert seen.argmax(1).tolist() == wanted.argmax(1).tolist(), name
        torch.testing.assert_close(seen, wanted, atol=3e-4 * float(wanted.std()), rtol=0)


@pytest.mark.parametrize("way", ["sequential", "every second pixel"])
def test_other_masks_and_other_pixels(way, tmp_path):
    masks = one_mask_each() if way == "sequential" else coherent_masks()
    bench, options = make_bench(), {} if way == "sequential" else {"read": 2}
    student, optics, instrument = calibrated("intensity", bench, masks, **options)
    wanted = predict(student, optics, instrument, IMAGES)
    found = taken(tmp_path / "c.h5", bench, masks, instrument, repeats=2)
    seen = captures.predict(student, instrument, masks, found)
    assert seen.argmax(1).tolist() == wanted.argmax(1).tolist()
    torch.testing.assert_close(seen, wanted, atol=3e-4 * float(wanted.std()), rtol=0)


def test_noise_is_that_of_memory_and_averages_out(tmp_path):
    """RMS of the scores' noise: 120 numbers each, of a few degrees of freedom an image, known to 20 %."""
    bench, masks = make_bench(mean_photons=100), coherent_masks()
    student, optics, instrument = calibrated("intensity", bench, masks)
    quiet = predict(student, optics, instrument, IMAGES)

    def noise(logits: torch.Tensor) -> float:
        return float((logits - quiet).square().mean().sqrt())

    memory = [noise(predict(student, optics, instrument, IMAGES, torch.Generator().manual_seed(i))) for i in range(8)]
    once, four = (
        [
            noise(
                captures.predict(
                    student, instrument, masks, taken(tmp_path / "c.h5", bench, masks, instrument, repeats=n, seed=i)
                )
            )
            for i in range(3)
        ]
        for n in (1, 4)
    )
    assert np.mean(once) == pytest.approx(np.mean(memory), rel=0.2)
    assert np.mean(four) == pytest.approx(np.mean(memory) / 2, rel=0.2)


@pytest.mark.parametrize(("pattern", "frames"), [({"dsnu": 30.0}, {"dark": 1}), ({"prnu": 0.05}, {"flat": 1})])
def test_dark_and_flat_frames_remove_the_pattern_of_a_sensor(pattern, frames, tmp_path):
    """Offsets of 30 electrons, or a response of 5 %, are seen without the frames; with them 3 % is left at most.

    The mean response of this sensor is not 1 but off by 0.05 / 144, which flat frames do not tell.
    """
    masks, bench = coherent_masks(), make_bench(**pattern, fixed_pattern_seed=3)
    student, optics, instrument = calibrated("intensity", make_bench(), masks)
    wanted = predict(student, optics, instrument, IMAGES)
    error = []
    for more in (frames, {}):
        found = taken(tmp_path / "c.h5", bench, masks, instrument, **more)
        error.append(float((captures.predict(student, instrument, masks, found) - wanted).abs().max()))
    assert error[0] < 0.03 * error[1]
    if "flat" in frames:
        found = taken(tmp_path / "c.h5", bench, masks, instrument, flat=1)
        left = captures.predict(student, instrument, masks, found, flats=False) - wanted
        assert float(left.abs().max()) == pytest.approx(error[1], rel=1e-2)


def test_the_same_seed_makes_the_same_file(tmp_path):
    bench, masks = make_bench("reference_pair"), coherent_masks()
    instrument = calibrated("reference_pair", bench, masks)[2]
    paths = [tmp_path / f"{i}.h5" for i in range(3)]
    for path, seed in zip(paths, (1, 1, 2), strict=True):
        taken(path, bench, masks, instrument, dark=1, seed=seed)
    first, same, other = (path.read_bytes() for path in paths)
    assert first == same != other


def test_time_is_that_of_the_schedule(tmp_path):
    bench, masks = make_bench(), coherent_masks()
    instrument = calibrated("intensity", bench, masks)[2]
    found = taken(tmp_path / "c.h5", bench, masks, instrument, repeats=2)
    plan = bench.schedule(12, 1, repeats=2, exposure=instrument.exposure)
    assert found.timestamp[-1] + instrument.exposure == pytest.approx(plan.seconds)
    assert (np.diff(found.timestamp) > 0).all()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda c: {"camera": c["camera"] | {"shape": [150, 144]}}, r"camera = \(150, 144\), the run sheet is for"),
        (lambda c: {"camera": c["camera"] | {"bits": 14}}, "bits = 14"),
        (
            lambda c: {"readout": {"kind": "reference_pair"}, "reference": {"power": "auto"}},
            "readout = 'reference_pair'",
        ),
    ],
)
def test_another_bench_plays_no_sheet(change, says, tmp_path):
    data, masks = make_bench().config.model_dump(), coherent_masks()
    sheet = runsheet.sheet(make_bench().config, masks, "f" * 64, pictures(IMAGES.numpy()))
    with pytest.raises(GeometryError, match=says):
        play(sheet, fo.FourF(data | change(data)), masks, tmp_path / "c.h5")
    assert not list(tmp_path.iterdir())


def test_a_reference_must_be_known(tmp_path):
    bench, masks = make_bench("four_step"), coherent_masks()
    sheet = runsheet.sheet(bench.config, masks, "f" * 64, pictures(IMAGES.numpy()))
    with pytest.raises(GeometryError, match=r"reference.power is 'auto'"):
        play(sheet, bench, masks, tmp_path / "c.h5")
    assert not list(tmp_path.iterdir())


def test_captures_that_cannot_be_scored(tmp_path):
    bench, masks = make_bench(), coherent_masks()
    student, _, instrument = calibrated("intensity", bench, masks)
    whole = taken(tmp_path / "c.h5", bench, masks, instrument, dark=1)
    short = {"lines": whole.lines[:-1], "playlist_index": whole.playlist_index[:-1], "exposure": whole.exposure[:-1]}
    longer = np.where(whole.playlist_index == 0, 2, 1) * whole.exposure
    for changes, says in (
        (short, "no frame of mask 0, image 11, step 0"),
        ({"exposure": longer}, "take dark frames with the exposure of the others"),
        ({"readout": "four_step"}, "taken with readout 'four_step'"),
    ):
        with pytest.raises(FourOpticsError, match=says):
            captures.predict(student, instrument, masks, replace(whole, **changes))
    near = fo.FourF(bench.config.model_dump() | {"camera": bench.config.camera.model_dump() | {"shape": (60, 60)}})
    with pytest.raises(FourOpticsError, match="lies outside the camera"):
        captures.predict(student, replace(instrument, bench=near), masks, whole)


# ---- a run, from its kernels to the table ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def lab(tmp_path_factory) -> Path:
    """A run of small images: network, masks, calibration; a bench file; test images for a run sheet."""
    run, bench, masks = tmp_path_factory.mktemp("run"), make_bench(), coherent_masks()
    student, _, instrument = calibrated("intensity", bench, masks)
    runs.save_checkpoint(run / "model.pt", student)
    instrument.save(run / "instrument.json")
    bundle.save(run / "masks.h5", masks)
    (run / "bench.toml").write_text(bench.to_toml())
    captures.save_images(run / "images.npz", dataset().test, 8)
    return run


def dataset() -> Dataset:
    labels = torch.arange(12) % 10
    train = Split(some_images(20, seed=1), torch.arange(20) % 10)
    return Dataset("small", tuple("0123456789"), train, train.first(0), Split(IMAGES.float(), labels))


def run(*words: object) -> str:
    done = CliRunner().invoke(app, ["masks", *map(str, words)])
    assert done.exit_code == 0, done.output
    return done.output


def test_from_masks_to_the_table(lab, monkeypatch, capsys):
    """All commands of the guide; without noise the captures score as the simulated rung does."""
    monkeypatch.setattr(evaluate, "load_data", lambda folder: dataset())
    files = {name: lab / name for name in ("masks.h5", "bench.toml", "images.npz", "sheet", "captures.h5")}
    masks, bench, images, sheet, frames = files.values()
    seconds = f"{Instrument.load(lab / 'instrument.json', make_bench()).exposure * 1e6} us"
    run("run-sheet", masks, bench, "--images", images, "-o", sheet, "--exposure", seconds, "--dark", 2)
    run("play", sheet, bench, "--masks", masks, "-o", frames, "--noiseless")
    assert "good" in run("captures", frames, "--masks", masks)
    evaluate.main(lab, bench, captures_file=frames)
    assert "8 test images" in capsys.readouterr().out
    with (lab / "captures.csv").open() as file:
        rows = {row.pop("rung"): row for row in csv.DictReader(file)}
    assert next(iter(rows)) == "student distilled"
    assert list(rows)[-1] == "captures"
    assert rows["captures"] == rows["+ undiffracted light"]
    frames.unlink()
    run("play", sheet, bench, "--masks", masks, "-o", frames, "--seed", 4)
    evaluate.main(lab, bench, captures_file=frames, output=lab / "noisy.csv")
    assert "captures" in (lab / "noisy.csv").read_text()


def test_a_bench_without_kernels_is_scored_from_its_frames(lab, tmp_path, monkeypatch, capsys):
    """A turned panel: the simulated rungs would take hours; the frames are there, and say what the whole bench says."""
    monkeypatch.setattr(evaluate, "load_data", lambda folder: dataset())
    bench, masks = (
        fo.FourF(make_bench().config.model_dump() | {"poses": {"panel": {"rotation": 2e-3}}}),
        coherent_masks(),
    )
    (tmp_path / "turned.toml").write_text(bench.to_toml())
    instrument, student = Instrument.load(lab / "instrument.json", bench), runs.load_student(lab / "model.pt")
    shown, mask_file = pictures(IMAGES[:4].numpy(), indices=np.arange(4)), runsheet.fingerprint(lab / "masks.h5")
    sheet = runsheet.sheet(bench.config, masks, mask_file, shown, exposure=instrument.exposure)
    play(sheet, bench, masks, tmp_path / "c.h5")
    seen = captures.predict(student, instrument, masks, files.read(tmp_path / "c.h5"))
    wanted = predict(student, response(bench, masks), instrument, IMAGES[:4])
    torch.testing.assert_close(seen, wanted, atol=3e-4 * float(wanted.std()), rtol=0)
    evaluate.main(lab, tmp_path / "turned.toml", captures_file=tmp_path / "c.h5", output=tmp_path / "t.csv")
    with (tmp_path / "t.csv").open() as file:
        assert [row["rung"] for row in csv.DictReader(file)] == ["student distilled", "captures"]
    with pytest.raises(SystemExit, match="say how many with --images"):
        evaluate.main(lab, tmp_path / "turned.toml", output=tmp_path / "t.csv")


def test_labels_are_enough(lab, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(evaluate, "load_data", lambda folder: dataset())
    instrument, masks = Instrument.load(lab / "instrument.json", make_bench()), coherent_masks()
    for labels, name in ((dataset().test.labels.numpy(), "known"), (None, "unknown")):
        shown = pictures(IMAGES.numpy(), labels)
        mask_file = runsheet.fingerprint(lab / "masks.h5")
        sheet = runsheet.sheet(make_bench().config, masks, mask_file, shown, exposure=instrument.exposure)
        play(sheet, make_bench(), masks, tmp_path / f"{name}.h5")
    evaluate.main(lab, lab / "bench.toml", captures_file=tmp_path / "known.h5", output=tmp_path / "t.csv")
    with (tmp_path / "t.csv").open() as file:
        assert [row["rung"] for row in csv.DictReader(file)] == ["captures"]
    with pytest.raises(SystemExit, match="neither place in the test set nor label of image 0"):
        evaluate.main(lab, lab / "bench.toml", captures_file=tmp_path / "unknown.h5")


def test_captures_of_another_run_are_refused(lab, tmp_path, monkeypatch):
    monkeypatch.setattr(evaluate, "load_data", lambda folder: dataset())
    instrument, masks = Instrument.load(lab / "instrument.json", make_bench()), coherent_masks()
    mine = runsheet.fingerprint(lab / "masks.h5")
    for sha, labels, indices, says in (
        ("f" * 64, None, range(12), "the frames are of other masks"),
        (mine, None, range(1, 13), "image 12 of 12 test images"),
        (mine, range(1, 13), range(12), "labels are not those of the test set"),
    ):
        shown = pictures(IMAGES.numpy(), labels and list(labels), list(indices))
        sheet = runsheet.sheet(make_bench().config, masks, sha, shown, exposure=instrument.exposure)
        play(sheet, make_bench(), masks, tmp_path / "c.h5")
        with pytest.raises(SystemExit, match=says):
            evaluate.main(lab, lab / "bench.toml", captures_file=tmp_path / "c.h5")
