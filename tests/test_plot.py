"""Pictures: each draws into the Axes it is given, in millimetres, with the limits that it promises."""

from collections.abc import Callable
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from fouroptics.bench.bench import Section
from fouroptics.bench.fourf import FourF
from fouroptics.errors import GeometryError
from fouroptics.light.field import Field
from fouroptics.light.grid import Grid
from fouroptics.show import frames, plot

GRID = Grid((4, 6), (1e-3, 2e-3), (0.5e-3, 0.0))
EXTENT = (-7.0, 5.0, -2.0, 2.0)  # mm: x of -6 .. 4 and half a sample more on either side, y of -1.5 .. 1.5
LIGHT = Field(torch.polar(torch.arange(24.0).reshape(4, 6), torch.linspace(-3, 3, 24).reshape(4, 6)), GRID, 633e-9)
SECTION = Section(np.linspace(0, 0.4, 5), np.linspace(-2e-3, 2e-3, 9), np.outer(np.arange(9.0), [1, 2, 4, 8, 16]))
DRAWINGS: dict[str, Callable[[Axes | None], Axes]] = {
    "image": lambda ax: plot.image(np.zeros((4, 6)), GRID, ax),
    "intensity": lambda ax: plot.field(LIGHT, ax),
    "log": lambda ax: plot.field(LIGHT, ax, log=True),
    "amplitude": lambda ax: plot.field(LIGHT, ax, what="amplitude"),
    "phase": lambda ax: plot.field(LIGHT, ax, what="phase"),
    "mask": lambda ax: plot.mask(np.full((4, 6), 7.0), GRID, ax),
    "frame": lambda ax: plot.frame(np.ones((4, 6)), GRID, ax),
    "section": lambda ax: plot.section(SECTION, ax),
}


@pytest.fixture
def ax() -> Axes:
    return Figure(layout="constrained").add_subplot()


def rendered(ax: Axes) -> None:
    """Draw for real: what warns, warns here."""
    figure = ax.figure
    assert isinstance(figure, Figure)
    figure.canvas.draw()


@pytest.mark.parametrize("name", DRAWINGS)
def test_draws_into_the_given_axes_and_returns_it(name: str, ax: Axes) -> None:
    before = plt.get_fignums()
    assert DRAWINGS[name](ax) is ax
    assert plt.get_fignums() == before
    assert ax.get_xlabel() == ("z (mm)" if name == "section" else "x (mm)")
    assert ax.get_ylabel() == "y (mm)"
    rendered(ax)


@pytest.mark.parametrize("name", DRAWINGS)
def test_makes_axes_where_none_are_given(name: str) -> None:
    made = DRAWINGS[name](None)
    assert plt.gcf() is made.figure
    rendered(made)
    plt.close("all")


@pytest.mark.parametrize("name", [name for name in DRAWINGS if name != "section"])
def test_extent_in_mm_with_y_up(name: str, ax: Axes) -> None:
    (shown,) = DRAWINGS[name](ax).images
    assert shown.get_extent() == pytest.approx(EXTENT)
    assert shown.origin == "lower"
    assert ax.get_xlim() == pytest.approx(EXTENT[:2])
    assert ax.get_ylim() == pytest.approx(EXTENT[2:])


def test_fields(ax: Axes) -> None:
    (shown,) = plot.field(LIGHT, ax).images
    assert np.array_equal(np.asarray(shown.get_array()), LIGHT.intensity.numpy())
    assert shown.get_clim() == pytest.approx((0, 23**2))
    (log,) = plot.field(LIGHT, Figure().add_subplot(), log=True).images
    assert isinstance(log.norm, LogNorm)
    assert log.get_clim() == pytest.approx((23**2 * 1e-4, 23**2))  # four decades
    (phase,) = plot.field(LIGHT, Figure().add_subplot(), what="phase").images
    assert phase.get_clim() == pytest.approx((-np.pi, np.pi))
    (amplitude,) = plot.field(LIGHT, Figure().add_subplot(), what="amplitude").images
    assert np.asarray(amplitude.get_array()).max() == pytest.approx(23)


def test_mask_is_wrapped(ax: Axes) -> None:
    phase = np.linspace(-7, 20, 24).reshape(4, 6)
    (shown,) = plot.mask(phase, GRID, ax).images
    assert shown.get_clim() == pytest.approx((0, 2 * np.pi))
    assert np.exp(1j * np.asarray(shown.get_array())) == pytest.approx(np.exp(1j * phase))
    assert float(np.asarray(shown.get_array()).min()) >= 0


def test_image_passes_options_on(ax: Axes) -> None:
    (shown,) = plot.image(np.zeros((4, 6)), GRID, ax, label="light", vmin=-1, vmax=3, cmap="gray").images
    assert shown.get_clim() == (-1, 3)
    assert shown.colorbar is not None
    assert shown.colorbar.ax.get_ylabel() == "light"


def test_section(ax: Axes) -> None:
    plot.section(SECTION, ax, marks=[(0.1, "lens"), (0.4, "camera")], decades=2)
    (mesh,) = (item for item in ax.collections if isinstance(item, QuadMesh))
    assert mesh.get_clim() == pytest.approx((1e-2, 1))
    values = np.asarray(mesh.get_array()).reshape(9, 5)
    assert values.max(0) == pytest.approx(np.ones(5))  # each plane has its own scale
    assert ax.get_xlim() == pytest.approx((-50, 450))  # mm; half a plane more on either side
    assert ax.get_ylim() == pytest.approx((-2.25, 2.25))
    assert [np.asarray(line.get_xdata())[0] for line in ax.lines] == pytest.approx([100, 400])
    assert [text.get_text() for text in ax.texts] == ["lens", "camera"]
    rendered(ax)


def test_dark_section(ax: Axes) -> None:
    rendered(plot.section(Section(SECTION.z, SECTION.y, np.zeros((9, 5))), ax))


def test_frame_marks_windows(ax: Axes) -> None:
    plot.frame(np.ones((4, 6)), GRID, ax, windows=[(1e-3, -2e-3, 0.5e-3, 1e-3)], zero_order=(0, 0, 1e-3, 2e-3))
    window, zero = (item for item in ax.patches if isinstance(item, Rectangle))
    assert np.asarray(window.get_bbox().extents) == pytest.approx([-2.5, 0.75, -1.5, 1.25])
    assert np.asarray(zero.get_bbox().extents) == pytest.approx([-1, -0.5, 1, 0.5])


def test_drawn_frame_ends_at_the_brightest_pixel_that_is_read(ax: Axes) -> None:
    bench = FourF(
        {
            "light": {"wavelength": "633 nm"},
            "input": {"shape": (8, 8), "pitch": "123.6328125 um"},
            "lens1": {"focal_length": "100 mm"},
            "lens2": {"focal_length": "100 mm"},
            "panel": {"shape": (64, 64), "iris": "band"},
            "camera": {"shape": (60, 60), "pitch": "41.2109375 um"},
        }
    )
    image = torch.linspace(0, 1, 64).reshape(8, 8)
    taken = frames.expose(bench, None, image)
    frames.draw(taken, bench, 0, ax)
    (place,) = taken.windows
    assert ax.images[0].get_clim() == pytest.approx((100, taken.numbers[0][place.pixels].max()))
    height, width = bench.image_grid.extent
    box = ax.patches[0]
    assert isinstance(box, Rectangle)
    assert (box.get_height(), box.get_width()) == pytest.approx((height * 1e3, width * 1e3))
    y, x = bench.image_grid.coordinates()
    assert box.get_y() == pytest.approx(1e3 * (y[0] - height / 16))
    assert box.get_x() == pytest.approx(1e3 * (x[0] - width / 16))
    rendered(ax)


def test_what_is_no_picture_is_named(ax: Axes) -> None:
    u = Field(torch.ones(2, 4, 6, dtype=torch.complex64, requires_grad=True), GRID, 633e-9)
    what: Any = "Phase"
    for wrong in (u.intensity, u.data[0], np.zeros((6, 4))):
        with pytest.raises(GeometryError, match="one of a batch, and its intensity or phase"):
            plot.image(wrong, GRID, ax)
    with pytest.raises(GeometryError, match="what = 'Phase'"):
        plot.field(u, ax, what=what)
    plot.image(u.intensity[0], GRID, ax)  # with its gradient
    plot.mask(u.phase[0], GRID, ax)
