"""Tables of drive codes and phases: what is read, what is said, what is refused; and every kind of file, damaged."""

import hashlib
import io
import math
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from fouroptics.devices import tables
from fouroptics.devices.corrections import read_santec
from fouroptics.devices.panel import SLMConfig
from fouroptics.errors import FourOpticsError
from fouroptics.units import nm

TURN = 2 * math.pi
GREY = np.arange(256)
CODES = (700 + 2 * GREY + 0.04 * GREY**2).astype(int)  # rises faster and faster, as drive tables do
FEW = settings(deadline=None, derandomize=True, max_examples=25)


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8", newline="")
    return path


def two_columns(first, second, separator=",", header="", end="\n") -> str:
    return header + "".join(f"{a}{separator}{b}{end}" for a, b in zip(first, second, strict=True))


@pytest.mark.parametrize(
    "form",
    [
        {"separator": " "},
        {"separator": "\t"},
        {"separator": ", "},
        {"separator": ";"},
        {"separator": " ", "end": "\r\n"},
        {"separator": " ", "end": " \n\n"},
        {"separator": " ", "header": "Grey Voltage\n# factory table, 8 bit\n"},
        {"separator": " ", "header": "\ufeff"},
    ],
    ids=["blank", "tab", "comma", "semicolon", "crlf", "empty lines", "header", "byte order mark"],
)
def test_meadowlark_codes_in_every_spelling(tmp_path, form):
    path = write(tmp_path, "slm5758_at532.lut", two_columns(GREY, CODES, **form))
    file = tables.read(path)
    np.testing.assert_array_equal(file.values, CODES)
    assert (file.kind, file.unit, file.source, file.findings) == ("voltage", "code", path.name, ())
    assert file.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert file.wavelength == pytest.approx(532 * nm, rel=1e-12)
    assert not file.values.flags.writeable


@pytest.mark.parametrize(
    ("codes", "says"),
    [
        (np.arange(2048), "2048 levels"),
        (np.where(GREY == 100, 0, CODES), "falls from grey 99 to 100"),
        (np.ones(256, int), "255 levels have the code of the one before: 1, 2, 3, 4, 5, ..."),
    ],
    ids=["11 bit", "falls", "constant"],
)
def test_a_doubtful_drive_table_is_read_with_a_finding(tmp_path, codes, says):
    file = tables.read(write(tmp_path, "x_at532.LUT", two_columns(range(len(codes)), codes, " ")))
    assert any(says in finding for finding in file.findings)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "holds no rows"),
        ("voltage table\n", "holds no rows"),
        (two_columns(GREY, CODES + 1000, " "), r"drive code 4\d\d\d is no whole number from 0 to 4095.*mend"),
        (two_columns(GREY, CODES * 16, " "), "every code is a multiple of 16, left-justified: divide by 16"),
        (two_columns(GREY, CODES + 0.5, " "), "line 1: drive code 700.5 is no whole"),
        (two_columns(GREY * 256, CODES, " "), "every grey level is a multiple of 256, left-justified"),
        (two_columns(GREY[:200], CODES[:200], " "), "of 256 grey levels 56 are missing: 200, 201, 202, 203, 204, ..."),
        (two_columns(GREY, CODES, " ") + "7 9\n", "lines 8 and 257: grey level 7 has the values 715 and 9; keep one"),
        (two_columns(GREY, CODES, " ") + "8 9 10\n", "line 257: '8 9 10' is not a grey level and a number"),
        (two_columns(GREY, CODES, " ") + "end\n", "line 257: 'end' is not"),
        ("-1 3\n0 3\n", "line 1: grey level -1 is no whole"),
        ("0 1\n0.5 3\n", "line 2: grey level 0.5 is no whole"),
        ("0 1e999\n", "line 1: '0 1e999' is not a grey level and a number"),
    ],
    ids=lambda value: value[:24] if "line" in value or "every" in value else None,
)
def test_a_useless_drive_table_is_refused(tmp_path, text, says):
    with pytest.raises(FourOpticsError, match=f"x.lut.*{says}"):
        tables.read(write(tmp_path, "x.lut", text))


@pytest.mark.parametrize(
    ("header", "unit", "factor"),
    [
        ("grey,phase (rad)\n", None, 1),
        ("grey,phase/pi\n", None, math.pi),
        ("grey,phase [units of π]\n", None, math.pi),
        ("grey,phase (2 pi)\n", None, TURN),
        ("# phase in 2π, pixel 3\n", None, TURN),
        ("grey,phase (waves)\n", None, TURN),
        ("grey,phase (deg)\n", None, math.pi / 180),
        ("grey,phase in degrees\n", None, math.pi / 180),
        ("", "2pi", TURN),
        ("", "pi", math.pi),
        ("grey,phase (rad), pi is a turn\n", "rad", 1),
    ],
)
def test_the_unit_is_that_of_the_header_or_the_argument(tmp_path, header, unit, factor):
    text = two_columns(GREY, GREY / 128, header=header)
    file = tables.read(write(tmp_path, "t.csv", text), unit)
    np.testing.assert_allclose(file.values, GREY / 128 * factor, rtol=1e-15)
    assert not any("assumed" in finding for finding in file.findings)


@pytest.mark.parametrize(("most", "likely"), [(1, "2pi"), (2, "pi"), (360, "deg")])
def test_a_unit_in_doubt_is_refused(tmp_path, most, likely):
    path = write(tmp_path, "t.csv", two_columns(GREY, GREY * most / 256))
    with pytest.raises(
        FourOpticsError, match=f"states no unit, .* looks like {likely}: write rad, pi, 2pi or deg into"
    ):
        tables.read(path)
    assert tables.read(path, "rad").values[-1] == GREY[-1] * most / 256


def test_an_assumed_unit_is_said(tmp_path):
    file = tables.read(write(tmp_path, "t.csv", two_columns(GREY, GREY * TURN / 256)))
    assert "states no unit: rad is assumed" in file.findings


def test_a_unit_that_contradicts_the_header(tmp_path):
    path = write(tmp_path, "t.csv", two_columns(GREY, GREY / 256, header="grey,phase (rad or 2 pi)\n"))
    with pytest.raises(FourOpticsError, match="name 2pi and rad; say which"):
        tables.read(path)
    assert "the file says 2pi and rad; taken in 2pi, as asked" in tables.read(path, "2pi").findings
    with pytest.raises(FourOpticsError, match="unit = 'turns': choose"):
        tables.read_csv(path, "turns")  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (two_columns(GREY, (GREY * TURN / 200) % TURN), "at grey 199, 0 rad at grey 200; unwrap"),
        (two_columns(GREY, np.where(GREY == 130, 3.1, GREY * TURN / 256)), "at grey 129, 3.1 rad at grey 130; smooth"),
        (two_columns(GREY, np.where(GREY == 9, 8 * TURN / 256, GREY * TURN / 256)), "at grey 8, .* at grey 9; smooth"),
        (two_columns(GREY, 0 * GREY), "must rise from grey to grey"),
        (two_columns(GREY, GREY, header="grey,phase\n") + "300,nan\n", "line 258: '300,nan' is not"),
        ("0;0,0\n1;0,5\n", r"line 1: '0;0,0' is not a grey level and a number; .* points"),
        ("0\n1\n2\n3\n", "line 1: '0' is not a grey level and a number"),
        ("0,1\n", "of 2 grey levels 1 are missing: 1"),
    ],
    ids=["wrapped", "turns back", "stands still", "constant", "nan", "decimal comma", "one column", "one level"],
)
def test_a_useless_phase_table_is_refused(tmp_path, text, says):
    with pytest.raises(FourOpticsError, match=f"t.csv.*{says}"):
        tables.read(write(tmp_path, "t.csv", text))


def test_rows_out_of_order_and_twice_are_mended_and_said(tmp_path):
    rows = [*GREY[::-1], 5]
    file = tables.read(
        write(tmp_path, "t_633nm.csv", two_columns(rows, [g * TURN / 256 for g in rows], header="g rad\n"))
    )
    np.testing.assert_array_equal(file.values, GREY * TURN / 256)
    assert file.findings == (
        "rows that stand twice were left out, grey level 5",
        "the rows were not in the order of their grey levels and were sorted",
    )


def test_levels_between_others_are_filled_in_only_when_asked(tmp_path):
    some = [*range(0, 256, 8), 255]
    path = write(tmp_path, "t_633nm.csv", two_columns(some, [g**2 / 10000 for g in some], header="g rad\n"))
    with pytest.raises(FourOpticsError, match=r"223 are missing: 1, 2, 3, 4, 5, .*interpolate=True"):
        tables.read_csv(path)
    file = tables.read_csv(path, interpolate=True)
    assert "223 of 256 levels were interpolated: 1, 2, 3, 4, 5, ..." in file.findings
    assert file.values[4] == pytest.approx(8**2 / 10000 / 2, rel=1e-12)  # the straight line between 0 and 8
    path.write_text(two_columns(some[:-1], some[:-1], header="rad\n"))
    with pytest.raises(FourOpticsError, match="of 256 grey levels"):  # 249 to 255 lie beyond the last
        tables.read_csv(path, interpolate=True)


def test_a_short_and_a_falling_stroke_are_said(tmp_path):
    file = tables.read(write(tmp_path, "t_633nm.csv", two_columns(GREY, -GREY * 0.8 * TURN / 256, header="g rad\n")))
    falls, short = file.findings
    assert "falls with rising grey" in falls
    assert "reach 0.8 of 2 pi" in short


@pytest.mark.parametrize(
    ("name", "header", "wavelength"),
    [
        ("t.csv", "", None),
        ("t_at785_33C.csv", "", 785),
        ("t(520nm).csv", "", 520),
        ("t.csv", "# measured at 632.8 nm\n", 632.8),
        ("t_1064nm.csv", "# 532 nm\n", 1064),
    ],
)
def test_the_wavelength_is_that_of_the_name_or_the_words(tmp_path, name, header, wavelength):
    file = tables.read(write(tmp_path, name, two_columns(GREY, GREY * TURN / 256, header=header + "g rad\n")))
    assert file.wavelength == (None if wavelength is None else pytest.approx(wavelength * nm, rel=1e-12))
    assert any("no wavelength" in finding for finding in file.findings) == (wavelength is None)
    assert any("several wavelengths, 1.064 um, 532 nm" in f for f in file.findings) == ("1064" in name)


def test_what_is_written_reads_back_to_the_last_digit(tmp_path):
    phases = np.cumsum(np.random.default_rng(0).uniform(0.01, 0.04, 256))
    tables.write_csv(tmp_path / "t.csv", phases, 632.8 * nm)
    file = tables.read(tmp_path / "t.csv")
    np.testing.assert_array_equal(file.values, phases)
    assert (file.wavelength, file.findings) == (632.8 * nm, ())
    assert SLMConfig.model_validate({"table": str(tmp_path / "t.csv")}).table == tuple(
        phases
    )  # and so does the panel of a bench file
    assert [path.name for path in tmp_path.iterdir()] == ["t.csv"]
    with pytest.raises(FourOpticsError, match="finite"):
        tables.write_csv(tmp_path / "t.csv", np.array([0.0, np.nan]))
    with pytest.raises(FourOpticsError, match="wavelength = -1"):
        tables.write_csv(tmp_path / "t.csv", phases, -1.0)
    with pytest.raises(FourOpticsError, match="cannot be written"):
        tables.write_csv(tmp_path / "none" / "t.csv", phases)


# ---- damage ----------------------------------------------------------------------------------------------------------


def small_bmp() -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.arange(1024 * 1272, dtype=np.uint32).astype(np.uint8).reshape(1024, 1272)).save(file, "BMP")
    return file.getvalue()


def small_h5() -> bytes:
    file = io.BytesIO()
    with h5py.File(file, "w") as tree:
        tree["phase"] = np.linspace(0, 6, 20, dtype=np.float32).reshape(4, 5)
    return file.getvalue()


WHOLE = {
    "t_633nm.csv": two_columns(GREY, GREY * TURN / 256, header="grey,phase (rad)\n").encode(),
    "x_at633.lut": two_columns(GREY, CODES, " ").encode(),
    "s.csv": b"Y/X,0,1,2\n0,100,200,300\n1,400,500,1023\n",
    "c_633nm.bmp": small_bmp(),
    "p.h5": small_h5(),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("damaged")


def outcome(path: Path, content: bytes):
    """The file as it is read, or None if it is refused by an error that names it; any other error is a failure."""
    path.write_bytes(content)
    try:
        return read_santec(path, shape=(2, 3)) if path.name == "s.csv" else tables.read(path)
    except FourOpticsError as refused:
        message = str(refused)
    assert str(path) in message
    return None


@pytest.mark.parametrize("name", WHOLE)
@FEW
@given(data=st.data())
def test_a_file_cut_short_is_refused_or_doubted(folder, name, data):
    whole = outcome(folder / name, WHOLE[name])
    assert whole is not None
    file = outcome(folder / name, WHOLE[name][: data.draw(st.integers(0, len(WHOLE[name]) - 1))])
    assert file is None or len(file.findings) > len(whole.findings) or len(file.values) < len(whole.values)


@pytest.mark.parametrize("name", WHOLE)
@FEW
@given(data=st.data())
def test_a_garbled_file_is_refused_or_holds_numbers(folder, name, data):
    content = bytearray(WHOLE[name])
    head = min(len(content), 3000)  # where headers are
    for _ in range(data.draw(st.integers(1, 8))):
        content[data.draw(st.integers(0, head - 1))] = data.draw(st.integers(0, 255))
    file = outcome(folder / name, bytes(content))
    assert file is None or np.isfinite(file.values).all()


@pytest.mark.parametrize("name", [*WHOLE, "x.txt", "x.hdf5"])
@FEW
@given(content=st.binary(max_size=200))
def test_any_bytes_are_refused_by_the_one_error(folder, name, content):
    file = outcome(folder / name, content)
    assert file is None or file.values.size


def test_a_file_that_is_not_there_or_of_no_known_kind(tmp_path):
    with pytest.raises(FourOpticsError, match="cannot be read"):
        tables.read(tmp_path / "none.csv")
    with pytest.raises(FourOpticsError, match=r"'\.dat' is none of .lut"):
        tables.read(write(tmp_path, "x.dat", "0 0"))
