"""The ledger: closed forms for what each element takes, and sums that add up."""

import math

import pytest
import torch

import fouroptics as fo
from fouroptics.bench.elements import BeamBlock, BeamSplitter, Grating
from fouroptics.bench.ledger import Entry, Ledger
from fouroptics.bench.nuisances import LaserDrift
from fouroptics.units import mm, nm, um

WAVELENGTH, W = 633 * nm, 0.3 * mm
GRID = fo.Grid((250, 240), 8 * um)
BEAM = fo.gaussian_beam(GRID, WAVELENGTH, waist=W, power=2e-3, dtype=torch.complex128)


def test_an_aperture_takes_what_is_outside():
    """``exp(-2 a^2/w^2)`` of a Gaussian; an edge cell passes c^2 of its part c: 1/6 less."""
    a = 0.25 * mm
    ring = 2 * math.pi * a * GRID.spacing[0] / 6 * 4 / math.pi * 2 / (math.pi * W**2) * math.exp(-2 * a**2 / W**2)
    taken = math.exp(-2 * a**2 / W**2)
    for element in (fo.Aperture(2 * a), fo.Lens(0.2, 2 * a)):
        (row,) = fo.Bench([element]).ledger(BEAM).entries
        assert (row.before, row.by) == (pytest.approx(2e-3), "aperture")
        assert row.share == pytest.approx(taken + ring, abs=1e-3)
        assert row.taken == pytest.approx(row.share * 2e-3)
    (row,) = fo.Bench([("stop", BeamBlock(2 * a))]).ledger(BEAM).entries
    assert (row.element, row.by) == ("stop", "block")
    assert row.share == pytest.approx(1 - taken + ring, abs=1e-3)


def test_a_small_window_takes_what_lands_beside_it():
    """Against the closed form, to the midpoint rule of its cells, and against a window that holds all light."""
    z, onto = 0.3, fo.Grid((61, 61), 8 * um)
    (row,) = fo.Bench([fo.FreeSpace(z, onto)]).ledger(BEAM).entries
    w = W * math.hypot(1, WAVELENGTH * z / (math.pi * W**2))
    assert row.share == pytest.approx(1 - math.erf(math.sqrt(2) * 244 * um / w) ** 2, abs=1e-4)
    large = fo.propagate(BEAM, z)
    middle = large.intensity[125 - 30 : 125 + 31, 120 - 30 : 120 + 31].sum() * GRID.cell
    assert row.taken == pytest.approx(2e-3 - float(middle), abs=2e-9)  # 1e-6 of what enters
    assert row.by == "window edge"


def test_the_shares_are_the_input():
    """To 1e-6 of it, in single precision and for a batch too; a splitter, bars and a mask take a known part."""
    u = BEAM.replace(data=torch.stack([BEAM.data, 2 * BEAM.data])).to(torch.complex64)
    half = fo.Mask(torch.full(GRID.shape, math.sqrt(0.5)))
    bench = fo.Bench(
        [
            fo.FreeSpace(0.05),
            fo.Lens(0.2, 0.8 * mm),
            BeamSplitter(0.7),
            Grating(64 * um, "binary"),
            half,
            fo.FreeSpace(0.1),
        ]
    )
    ledger = bench.ledger(u)
    by = {row.element: row for row in ledger.entries}
    assert ledger.entered == pytest.approx(1e-2, rel=1e-6)
    assert sum(row.share for row in ledger.entries) + ledger.left / ledger.entered == pytest.approx(1, abs=1e-6)
    assert ledger.left == pytest.approx(float(bench(u).power().sum()), rel=1e-6)
    assert by["beamsplitter1"].behind == pytest.approx(0.7 * by["beamsplitter1"].before, rel=1e-6)
    assert by["mask1"].behind == pytest.approx(0.5 * by["mask1"].before, rel=1e-6)
    orders = 0.25 + 2 * (1 + 1 / 9) / math.pi**2  # -3 .. 3: eight samples a period carry no more that is not zero
    assert by["grating1"].behind == pytest.approx(orders * by["grating1"].before, rel=1e-3)
    assert by["freespace1"].by == ""
    assert [row.by for row in ledger.entries][1:5] == ["aperture", "other port", "orders", "absorption"]


def test_what_adds_light_is_called_a_source():
    (row,) = fo.Bench([("laser", LaserDrift(0.3, 1))]).ledger(BEAM).entries
    assert abs(row.share) > 0.01
    assert row.by == ("source" if row.share < 0 else "laser")


def test_a_dark_bench_has_a_ledger():
    dark = BEAM.replace(data=torch.zeros_like(BEAM.data))
    assert [row.share for row in fo.Bench([fo.Aperture(0.2 * mm)]).ledger(dark).entries] == [0]
    assert "0 W of 0 W" in str(fo.Bench([fo.Aperture(0.2 * mm)]).ledger(dark))


def test_it_reads_as_a_table():
    table = Ledger((Entry("lens", 1e-3, 9e-4, 0.1, "aperture"), Entry("space", 9e-4, 9e-4, 0.0, "")))
    head, lens, space, last = (line.split() for line in str(table).splitlines())
    assert head == ["element", "before", "behind", "taken", "by"]
    assert lens == ["lens", "1", "mW", "900", "uW", "10.000%", "aperture"]
    assert space == ["space", "900", "uW", "900", "uW", "0.000%"]
    assert last == ["900", "uW", "of", "1", "mW:", "90.000%"]
    assert len({line.index("%") for line in str(table).splitlines()[1:3]}) == 1  # columns stand
