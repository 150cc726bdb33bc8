"""The commands: what each writes and says, and that every mistake is one message and an exit code."""

import json
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner, Result

from fouroptics.bench.fourf import FourF
from fouroptics.bench.settings import EXAMPLE
from fouroptics.cli import app
from fouroptics.errors import BundleError, SamplingWarning
from fouroptics.light.grid import Grid
from fouroptics.masks import bundle
from fouroptics.masks.kernels import read_kernels
from fouroptics.show import frames

BENCH = """\
[light]
wavelength = "633 nm"
[input]
shape = [8, 8]
pitch = "123.6328125 um"  # 64 panel pixels are one band
[lens1]
focal_length = "100 mm"
[panel]
shape = [64, 72]
pitch = "8 um"
iris = "band"
[lens2]
focal_length = "100 mm"
[camera]
shape = [150, 156]
pitch = "41.2109375 um"   # pitch of the image / 3
"""


def run(*words: object) -> Result:
    result = CliRunner(env={"COLUMNS": "160"}).invoke(app, [str(word) for word in words])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def message(*words: object, code: int = 1) -> str:
    """What a command that fails says; nothing half-written may stay."""
    result = run(*words)
    assert result.exit_code == code
    assert "Traceback" not in result.output
    return result.stderr


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a bench, a photo, kernels, and masks in both layouts."""
    folder = tmp_path_factory.mktemp("lab")
    (folder / "bench.toml").write_text(BENCH)
    noise = np.random.default_rng(0)
    Image.fromarray(noise.integers(0, 256, (32, 48), dtype=np.uint8)).save(folder / "photo.png")
    np.savez(folder / "kernels.npz", kernels=noise.normal(size=(3, 1, 3, 3)))
    for layout, encoding in (("tiled", "phase_only"), ("sequential", "arrizon")):
        words = ("masks", "make", folder / "kernels.npz", folder / "bench.toml", "-o", folder / f"{layout}.h5")
        made = run(*words, "--layout", layout, "--encoding", encoding, "--seed", 3)
        assert made.exit_code == 0, made.output
        assert "out2.in0" in made.output
    return folder


def test_version_and_help() -> None:
    assert run("--version").output.startswith("fouroptics 0.")
    for words in (["--help"], ["masks", "--help"], ["masks", "make", "--help"]):
        assert run(*words).exit_code == 0


def test_new(tmp_path: Path) -> None:
    path = tmp_path / "b.toml"
    assert run("new", path).exit_code == 0
    assert path.read_text() == EXAMPLE
    path.write_text("mine")
    assert "already there" in message("new", path)
    assert path.read_text() == "mine"
    assert run("new", path, "--force").exit_code == 0
    assert path.read_text() == EXAMPLE
    assert "make it first" in message("new", tmp_path / "no" / "b.toml")
    assert [item.name for item in tmp_path.iterdir()] == ["b.toml"]


def test_check(lab: Path, tmp_path: Path) -> None:
    good = run("check", lab / "bench.toml")
    assert good.exit_code == 0
    assert "band on the panel" in good.output
    (tmp_path / "b.toml").write_text(BENCH.replace("[150, 156]", "[20, 20]"))
    bad = run("check", tmp_path / "b.toml", "--json")
    assert bad.exit_code == 1
    wrong = [row for row in json.loads(bad.stdout) if not row["ok"]]
    assert [row["quantity"] for row in wrong] == ["camera over the image"]
    assert wrong[0]["remedy"] in run("check", tmp_path / "b.toml").output


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("wavelength", "wavelenght", "light.wavelenght = '633 nm': unknown key; did you mean 'wavelength'?"),
        ('"633 nm"', "633e-9", "the bare number 6.33e-07 has no unit"),
        ("[light]", "[light", "not a TOML file"),
    ],
)
def test_wrong_bench_file(tmp_path: Path, old: str, new: str, says: str) -> None:
    path = tmp_path / "b.toml"
    path.write_text(BENCH.replace(old, new))
    said = message("check", path)
    assert says in said
    assert str(path) in said


def test_make_is_reproducible_and_keeps_the_order(lab: Path, tmp_path: Path) -> None:
    words = ("masks", "make", lab / "kernels.npz", lab / "bench.toml", "-o", tmp_path / "m.h5", "--seed", 3)
    assert run(*words).exit_code == 0
    assert (tmp_path / "m.h5").read_bytes() == (lab / "tiled.h5").read_bytes()
    masks = bundle.load(tmp_path / "m.h5")
    assert np.array_equal(masks.kernels.weight, read_kernels(lab / "kernels.npz")[:, 0])
    assert (masks.layout, masks.encoding, masks.provenance["seed"]) == ("tiled", "phase_only", 3)
    assert len(bundle.load(lab / "sequential.h5")) == 3


def test_make_refuses(lab: Path, tmp_path: Path) -> None:
    np.savez(tmp_path / "other.npz", weights=np.ones((1, 1, 3, 3)))
    np.savez(tmp_path / "wide.npz", kernels=np.ones((40, 1, 3, 3)))
    np.savez(tmp_path / "objects.npz", kernels=np.array([None]))
    cut = (lab / "kernels.npz").read_bytes()[:200]
    (tmp_path / "cut.npz").write_bytes(cut)
    bench, out = lab / "bench.toml", tmp_path / "m.h5"
    for name, says in (
        ("other.npz", "holds no array 'kernels'"),
        ("wide.npz", "(layout sequential)"),
        ("objects.npz", "no npz file of numbers"),
        ("cut.npz", "no npz file of numbers"),
        ("missing.npz", "is not there"),
    ):
        said = message("masks", "make", tmp_path / name, bench, "-o", out)
        assert says in said
        assert name in said or name == "wide.npz"
    kernels = lab / "kernels.npz"
    assert "missing.toml" in message("masks", "make", kernels, tmp_path / "missing.toml", "-o", out)
    assert "light = 2" in message("masks", "make", kernels, bench, "-o", out, "--light", 2)
    assert "is a folder" in message("masks", "make", kernels, bench, "-o", tmp_path)
    message("masks", "make", kernels, bench, "-o", out, "--layout", "spiral", code=2)
    message("masks", "make", kernels, bench, code=2)
    assert not [*tmp_path.glob("*.h5*")]


@pytest.mark.parametrize("layout", ["tiled", "sequential"])
def test_simulate(lab: Path, tmp_path: Path, layout: str) -> None:
    out, masks = tmp_path / "out", bundle.load(lab / f"{layout}.h5")
    words = ("simulate", lab / "bench.toml", "--image", lab / "photo.png", "--masks", lab / f"{layout}.h5", "-o", out)
    result = run(*words, "--noiseless")
    assert result.exit_code == 0, result.output
    assert "32 x 48 pixels, averaged to the 8 x 8 of the display, stretched by 1.5 in y" in result.output
    assert sorted(item.name for item in out.iterdir()) == ["frame.npy", "frame.png", "summary.json"]
    summary = json.loads((out / "summary.json").read_text())
    assert summary["mean_photons_per_read_pixel"] == pytest.approx(1000)
    assert (summary["read_pixels"], summary["seed"]) == (3 * 64, None)

    bench = FourF.from_toml(lab / "bench.toml")
    photo = torch.from_numpy(np.asarray(Image.open(lab / "photo.png"), np.float32) / 255)
    light = photo.reshape(8, 4, 8, 6).mean((1, 3))
    numbers = np.load(out / "frame.npy")
    assert numbers.shape == (len(masks), 150, 156)
    for place, mask, tile in zip(frames.windows(bench, masks), masks.kernels.mask, masks.kernels.tile, strict=True):
        pitch = bench.image_grid.spacing[0]
        window = bench.image_grid.shifted(float(tile[0] * pitch), float(tile[1] * pitch))
        photons = bench.camera.photons(bench(light, masks, window), summary["exposure_s"])[mask]
        assert numbers[place.mask][place.pixels] == pytest.approx(bench.camera.expected(photons).numpy(), rel=2e-4)


def test_simulate_an_open_panel_with_noise(lab: Path, tmp_path: Path) -> None:
    words = ("simulate", lab / "bench.toml", "--image", lab / "photo.png")
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        assert run(*words, "--seed", seed, "-o", tmp_path / name).exit_code == 0
    a, b, c = (np.load(tmp_path / name / "frame.npy") for name in "abc")
    assert a.dtype == np.uint16
    assert np.array_equal(a, b)
    assert not np.array_equal(a, c)
    fixed = tmp_path / "fixed.toml"
    fixed.write_text(BENCH + 'exposure = "1 s"\n')
    result = run("simulate", fixed, "--image", lab / "photo.png", "-o", tmp_path / "d", "--noiseless")
    summary = json.loads((tmp_path / "d" / "summary.json").read_text())
    assert "exposure 1 s, from the bench file" in result.output
    assert summary["saturated_read_pixels"] == summary["read_pixels"] == 64  # 1 mW for a second
    camera = FourF.from_toml(fixed).config.camera
    assert np.load(tmp_path / "d" / "frame.npy").max() == pytest.approx(camera.gain * camera.full_well + 100)


def test_simulate_refuses(lab: Path, tmp_path: Path) -> None:
    bench, photo, out = lab / "bench.toml", lab / "photo.png", tmp_path / "out"
    Image.new("L", (8, 8)).save(tmp_path / "dark.png")
    (tmp_path / "cut.png").write_bytes(photo.read_bytes()[:300])
    (tmp_path / "wide.toml").write_text(BENCH.replace("[64, 72]", "[64, 80]"))
    (tmp_path / "small.toml").write_text(BENCH.replace("[150, 156]", "[40, 40]"))
    (tmp_path / "cut.h5").write_bytes((lab / "tiled.h5").read_bytes()[:-9])
    for words, says in (
        ((bench, "--image", tmp_path / "none.png"), "none.png: is not there"),
        ((bench, "--image", bench), "bench.toml: cannot be read as a picture"),
        ((bench, "--image", tmp_path / "cut.png"), "cut.png: cannot be read as a picture"),
        ((bench, "--image", tmp_path / "dark.png"), "give a brighter image"),
        ((bench, "--image", photo, "--masks", tmp_path / "cut.h5"), "cut.h5: F-FILE"),
        ((tmp_path / "wide.toml", "--image", photo, "--masks", lab / "tiled.h5"), "a panel with shape"),
        ((tmp_path / "small.toml", "--image", photo, "--masks", lab / "tiled.h5"), "lies outside the camera"),
    ):
        assert says in message("simulate", *words, "-o", out)
    message("simulate", bench, code=2)
    assert not out.exists()


def test_images_of_all_kinds(tmp_path: Path) -> None:
    grey = np.linspace(0, 1, 16).reshape(4, 4)
    deep = (grey * 65535).round().astype(np.uint16)
    Image.fromarray(deep).save(tmp_path / "deep.png")
    colour = np.stack([(grey * 255).round().astype(np.uint8)] * 3 + [np.full((4, 4), 255, np.uint8)], -1)
    Image.fromarray(colour[..., :3].copy()).save(tmp_path / "colour.png")
    Image.fromarray(colour).save(tmp_path / "alpha.png")
    Image.fromarray(np.kron(colour[..., 0], np.ones((8, 8), np.uint8))).save(tmp_path / "photo.jpg", quality=100)
    for name in ("deep.png", "colour.png", "alpha.png", "photo.jpg"):
        assert frames.read_image(tmp_path / name, (4, 4)).numpy() == pytest.approx(grey, abs=4e-3), name
    colour[..., 3] = 0
    Image.fromarray(colour).save(tmp_path / "clear.png")
    assert float(frames.read_image(tmp_path / "clear.png", (4, 4)).max()) == 0
    sideways = Image.Exif()
    sideways[0x0112] = 6  # turn right by 90 degrees
    Image.fromarray(deep).save(tmp_path / "turned.png", exif=sideways)
    assert frames.read_image(tmp_path / "turned.png", (4, 4)).numpy() == pytest.approx(np.rot90(grey, -1), abs=1e-4)


def test_plot(lab: Path, tmp_path: Path) -> None:
    path = tmp_path / "p.png"
    assert run("plot", lab / "bench.toml", "--section", "yz", "-o", path, "--planes", 4).exit_code == 0
    words = (
        "plot",
        lab / "bench.toml",
        "-o",
        path,
        "--planes",
        4,
        "--image",
        lab / "photo.png",
        "--masks",
        lab / "sequential.h5",
    )
    assert "drawn with mask 0 of 3" in run(*words).output
    with Image.open(path) as picture:
        assert picture.width > picture.height
    message("plot", lab / "bench.toml", "--section", "xy", "-o", path, code=2)
    (tmp_path / "wide.toml").write_text(BENCH.replace("[64, 72]", "[64, 80]"))
    assert "shape" in message("plot", tmp_path / "wide.toml", "-o", path, "--masks", lab / "tiled.h5")


def test_windows_lie_on_the_pixels_of_the_image(lab: Path) -> None:
    bench = FourF.from_toml(lab / "bench.toml")
    (place,) = frames.windows(bench, None)
    rows, columns = (index.ravel() for index in place.pixels)
    y, x = bench.camera_grid.coordinates()
    assert y[rows] == pytest.approx(bench.image_grid.coordinates()[0], abs=1e-9)
    assert x[columns] == pytest.approx(bench.image_grid.coordinates()[1], abs=1e-9)
    assert isinstance(bench.camera_grid, Grid)


@pytest.mark.filterwarnings("default")
def test_a_warning_is_one_line(lab: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def load(path: Path, **_: object) -> None:
        warnings.warn("the grid is too coarse", SamplingWarning, stacklevel=2)
        raise BundleError(f"{path}: no")

    monkeypatch.setattr(bundle, "load", load)
    assert message("masks", "info", "m.h5") == "warning: the grid is too coarse\nerror: m.h5: no\n"
    warnings.simplefilter("error")
    assert message("masks", "info", "m.h5") == "error: the grid is too coarse\n"


def call(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *words], capture_output=True, text=True, check=False)


def test_real_calls(lab: Path, tmp_path: Path) -> None:
    probe = "import sys; from fouroptics.cli import app; app(['--help'], standalone_mode=False); print(*sys.modules)"
    done = call("-c", probe)
    assert done.returncode == 0, done.stderr
    assert set(done.stdout.split()).isdisjoint({"torch", "matplotlib", "h5py", "PIL"})
    assert "rich" in done.stdout.split()
    words = ["masks", "export", str(lab / "tiled.h5"), "-o", str(tmp_path / "png")]
    done = call("-c", probe.replace("['--help']", repr(words)))
    assert (tmp_path / "png" / "mask_000.png").exists()
    assert "torch" not in done.stdout.split()  # the computer of the SLM
    words = ["masks", "preview", str(lab / "tiled.h5"), "-o", str(tmp_path / "sheet.png")]
    done = call("-c", probe.replace("['--help']", repr(words)))
    assert (tmp_path / "sheet.png").exists()
    assert "torch" not in done.stdout.split()
    done = call("-m", "fouroptics", "masks", "verify", str(tmp_path / "none.h5"))
    assert (done.returncode, done.stderr) == (1, "")
    done = call("-m", "fouroptics", "masks", "info", str(tmp_path / "none.h5"))
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert "Traceback" not in done.stderr
