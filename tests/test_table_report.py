"""What a vendor's file would change on a panel: the figures of the report, and the panel with its table."""

import math
from pathlib import Path

import h5py
import numpy as np
import pytest
from PIL import Image

from fouroptics.bench.settings import PanelConfig
from fouroptics.devices import tables
from fouroptics.devices.corrections import read_hamamatsu, read_santec, read_slmsuite
from fouroptics.devices.panel import SLMConfig, levels_for, response
from fouroptics.devices.table_report import report, to_config
from fouroptics.devices.vendor_file import VendorFile
from fouroptics.errors import FourOpticsError
from fouroptics.units import nm

TURN = 2 * math.pi
GREY = np.arange(256)


def figures(file: VendorFile, panel: SLMConfig | None = None) -> dict[str, tuple[str, str]]:
    return {quantity: (before, after) for quantity, before, after in report(file, panel)}


def drive_table(folder: Path) -> VendorFile:
    (folder / "x.lut").write_text("".join(f"{g} {16 * g}\n" for g in GREY))
    return tables.read(folder / "x.lut")


def shown_frame(folder: Path, **pictures: np.ndarray) -> VendorFile:
    with h5py.File(folder / "s.h5", "w") as file:
        for name, picture in pictures.items():
            file[name.replace("__", "/")] = picture
    return read_slmsuite(folder / "s.h5")


def table_of(folder: Path, turns: np.ndarray, name: str = "t_633nm.csv"):
    tables.write_csv(folder / name, turns * TURN)
    return tables.read(folder / name)


def test_the_report_of_a_linear_table_changes_nothing(tmp_path):
    rows = figures(table_of(tmp_path, GREY / 256))
    assert rows["stroke"] == ("1.0000 x 2 pi",) * 2
    assert rows["largest step of a level"] == ("24.54 mrad",) * 2  # 2 pi / 256
    assert rows["worst rounding error"] == ("12.27 mrad",) * 2  # half of it
    assert rows["grey for 2 pi"] == ("256.0",) * 2
    error, _, grey = rows["largest phase error"][0].partition(" at grey ")
    assert float(error.split()[0]) == 0 or "urad" in error
    assert 0 <= int(grey) < 256


def test_the_report_of_a_short_and_of_a_long_stroke(tmp_path):
    gap = (1 - 0.8 * 255 / 256) * TURN  # no level shows what lies between the last and the first
    for grey in ("slmsuite", "direct"):  # on either side of 0
        short = figures(table_of(tmp_path, 0.8 * GREY / 256), SLMConfig(grey=grey))
        assert short["stroke"] == ("1.0000 x 2 pi", "0.8000 x 2 pi")
        assert short["grey for 2 pi"] == ("256.0", "not reached")
        assert short["worst rounding error"][1] == f"{gap / 2 * 1e3:.4g} mrad"
    long = figures(table_of(tmp_path, 1.25 * GREY / 256))
    assert long["grey for 2 pi"][1] == "204.8"  # 256 / 1.25


def test_the_report_names_the_error_that_the_linear_table_makes(tmp_path):
    bend = 0.3 * np.sin(TURN * (GREY + 0.5) / 256)  # rad, without a mean
    rows = figures(table_of(tmp_path, GREY / 256 + bend / TURN))
    assert rows["rms phase error"] == (f"{0.3e3 / math.sqrt(2):.4g} mrad", "0 rad")
    assert rows["largest phase error"][0].startswith("300 mrad at grey")  # sin is 1 to 4e-5 beside its top


def test_the_worst_rounding_error_is_reached(tmp_path):
    file = table_of(tmp_path, np.cumsum(np.random.default_rng(4).uniform(0, 2, 256)) / 256)
    panel = to_config(SLMConfig(), file)
    asked = np.linspace(0, TURN, 200_001)
    shown = response(panel).phase[levels_for(panel, asked).astype(int)]
    miss = np.abs(np.angle(np.exp(1j * (shown - asked)))).max()
    said = float(figures(file)["worst rounding error"][1].removesuffix(" mrad")) * 1e-3
    assert miss == pytest.approx(said, rel=5e-3)  # 4 digits, asked every 0.03 mrad, levels within 1e-6 rad are one


def test_the_panel_gets_the_table_and_stays_as_it_was(tmp_path):
    file = table_of(tmp_path, 1.1 * GREY / 256)
    panel = SLMConfig(dead_phase=0.3, pitch=9.2e-6)
    new = to_config(panel, file)
    assert new.table == tuple(file.values)
    assert new.table_source == "t_633nm.csv"
    assert new.stroke_wavelength == pytest.approx(633 * nm, rel=1e-12)
    assert panel.table is None
    of_a_bench = to_config(PanelConfig(iris="band"), file)
    assert isinstance(of_a_bench, PanelConfig)
    assert of_a_bench.iris == "band"
    others = {"table", "table_source", "stroke_wavelength"}
    assert new.model_dump(exclude=others) == panel.model_dump(exclude=others)


def test_the_report_compares_at_the_wavelength_of_the_table(tmp_path):
    panel = SLMConfig(stroke=TURN, stroke_wavelength=532 * nm)
    rows = figures(table_of(tmp_path, GREY / 256 * 532 / 633), panel)
    assert rows["stroke"] == (f"{532 / 633:.4f} x 2 pi",) * 2


def test_files_of_another_panel_or_kind_are_no_table(tmp_path):
    with pytest.raises(FourOpticsError, match=r"256 levels, but .* has bits = 10, that is 1024"):
        report(table_of(tmp_path, GREY / 256), SLMConfig(bits=10))
    Image.fromarray(np.eye(1024, 1272, dtype=np.uint8)).save(tmp_path / "c.bmp")
    picture = read_hamamatsu(tmp_path / "c.bmp")
    with pytest.raises(FourOpticsError, match=r"1024 x 1272 pixels .* not the 1080 x 1920"):
        report(picture, SLMConfig())
    for file, remedy in (
        (drive_table(tmp_path), "load it into the driver"),
        (picture, "name that file as flatness"),
        (shown_frame(tmp_path, phase=np.zeros((4, 6))), "export masks"),
    ):
        with pytest.raises(FourOpticsError, match=f"a {file.kind} is no phase table; .*{remedy}"):
            to_config(SLMConfig(), file)


def test_the_report_of_the_other_kinds(tmp_path):
    codes = figures(drive_table(tmp_path))
    assert codes["drive codes"][1] == "0 (0.000 V) to 4080 (4.980 V)"  # 5 V / 4096 a code
    half = np.zeros((4, 6))
    half[:, :3] = 1.0  # half of the panel is 1 rad off: cos^2(1/2) of the light stays on the axis, 1/2 rad rms
    file = shown_frame(tmp_path, source__phase=half, display=np.zeros((4, 6), np.uint8))
    rows = figures(file, SLMConfig(shape=(4, 6)))
    assert rows["light of a flat mask on the axis"] == (f"{math.cos(0.5) ** 2:.2%}", "100.00%")
    assert rows["rms phase of the panel"][0] == "500 mrad"
    (tmp_path / "s.csv").write_text("Y/X,0,1\n0,7,1023\n")
    assert figures(read_santec(tmp_path / "s.csv", shape=None))["levels"] == ("", "7 to 1023")
