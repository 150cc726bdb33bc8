"""Units: what a string means, and what is refused."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fouroptics.errors import FourOpticsError
from fouroptics.units import UNITS, deg, exact, mrad, nm, parse, show, um

FEW = settings(deadline=None, derandomize=True, max_examples=60)


@pytest.mark.parametrize(
    ("text", "kind", "value"),
    [
        ("532 nm", "length", 532e-9),
        ("8um", "length", 8e-6),
        ("  2.5e-1 mm ", "length", 2.5e-4),
        (".5 m", "length", 0.5),
        ("5. cm", "length", 0.05),
        ("-3 um", "length", -3e-6),
        ("8 µm", "length", 8e-6),  # micro sign
        ("8 μm", "length", 8e-6),  # Greek mu
        ("1 mW", "power", 1e-3),
        ("10 us", "time", 1e-5),
        ("2 mrad", "angle", 2e-3),
        ("180 deg", "angle", math.pi),
    ],
)
def test_parse(text: str, kind: str, value: float):
    assert parse(text, kind) == pytest.approx(value, rel=1e-15)


@pytest.mark.parametrize(
    ("text", "kind", "says"),
    [
        ("8", "length", "unit is missing"),
        ("8 parsec", "length", "'parsec' is not a unit of length"),
        ("8 mW", "length", "use one of m, cm, mm, um, nm"),
        ("eight um", "length", "is no length"),
        ("", "power", "is no power"),
        ("nan um", "length", "is no length"),
        ("1 um 2", "length", "is no length"),
        ("1,5 um", "length", "is no length"),
    ],
)
def test_what_is_refused_and_what_it_says(text: str, kind: str, says: str):
    with pytest.raises(FourOpticsError, match=says) as error:
        parse(text, kind)
    assert "such as" in str(error.value)  # the remedy


@pytest.mark.parametrize(
    ("value", "kind", "text"),
    [
        (532 * nm, "length", "532 nm"),
        (8 * um, "length", "8 um"),
        (0.004, "length", "4 mm"),
        (0.2, "length", "200 mm"),
        (1.0, "length", "1 m"),
        (-3e-6, "length", "-3 um"),
        (0.0, "length", "0 m"),
        (1e-12, "length", "0.001 nm"),
        (2 * mrad, "angle", "2 mrad"),
        (1 * deg, "angle", "17.4533 mrad"),
        (math.inf, "length", "inf m"),
    ],
)
def test_show_takes_the_engineering_unit(value: float, kind: str, text: str):
    assert show(value, kind) == text


@FEW
@given(st.sampled_from(sorted(UNITS)), st.floats(1e-9, 1e3), st.sampled_from([-1, 1]))
def test_parse_reads_what_show_writes(kind: str, size: float, sign: int):
    assert parse(show(sign * size, kind, 12), kind) == pytest.approx(sign * size, rel=1e-11)  # 12 digits were written


@FEW
@given(value=st.floats(1e-12, 1e6), kind=st.sampled_from(sorted(UNITS)))
def test_exact_text_reads_back_as_the_same_float(value: float, kind: str):
    assert parse(exact(value, kind), kind) == value
    assert exact(31.65e-6, "length") == "31.65 um"


def test_few_digits_need_no_power_of_ten():
    assert [show(x, "length", 2) for x in (2.51e-7, 1e-4, 3.14e-3)] == ["250 nm", "100 um", "3.1 mm"]
