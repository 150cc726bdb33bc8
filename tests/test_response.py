"""Incoherent light and light of several wavelengths, against brute force and closed forms."""

import math

import pytest
import torch
from conftest import bench_data

import fouroptics as fo
from fouroptics.bench import response

WAVELENGTH, F = 633e-9, 0.2


def bench(**changes) -> fo.FourF:
    return fo.FourF(bench_data(changes))


def some(*shape: int) -> torch.Tensor:
    return torch.rand(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def some_masks(place: fo.FourF, count: int = 2) -> torch.Tensor:
    turns = some(count, *place.fourier_grid.shape)
    return torch.exp(2j * math.pi * turns)


@pytest.mark.parametrize("pixel", ["point", "square"])
def test_incoherent_light_adds_the_intensities_of_its_points(pixel: str):
    """Against the coherent bench, one point of light after the other, 5 x 5 of them to a square pixel.

    The midpoint rule of 5 points on a square is second order: 3 points leave 25/9 times as much, and Richardson's
    value of the two is held to 1e-3.
    """
    place = bench(light={"coherence": "incoherent"}, input={"pixel": pixel, "shape": [6, 6]}, panel={"shape": [32, 48]})
    masks, image = some_masks(place), some(6, 6)
    seen = place.intensity(image, masks)
    assert seen.shape == (2, *place.image_grid.shape)

    def brute(n: int) -> torch.Tensor:
        p, scale, plane = place.config.input.pitch, WAVELENGTH * F, place.fourier_grid
        area = plane.cell * math.prod(plane.shape)
        places = [((i + 0.5) / n - 0.5) * p for i in range(n)]
        emitted, total = place.encode(image).intensity * p**2 / n**2, torch.zeros(2, 6, 6, dtype=torch.float64)
        y, x = (torch.from_numpy(axis) for axis in plane.coordinates())
        for dy in places:
            for dx in places:
                for i, v in enumerate(place.input_grid.coordinates()[0]):
                    for j, w in enumerate(place.input_grid.coordinates()[1]):
                        wave = torch.exp(-2j * math.pi * (y[:, None] * (v + dy) + x * (w + dx)) / scale)
                        light = fo.Field(masks * wave * (emitted[i, j] / area).sqrt(), plane, WAVELENGTH)
                        total += fo.fourier_lens(light, F, place.image_grid).intensity
        return total

    if pixel == "point":
        torch.testing.assert_close(seen, brute(1))
        return
    coarse, fine = brute(3), brute(5)
    best = fine + (fine - coarse) * (9 / 16)
    assert float((seen - best).abs().max() / best.max()) < 1e-3


def test_incoherent_power_is_that_of_the_light():
    """An open panel over one band: the image of a uniform display is the display, edges aside, turned round."""
    place = bench(
        light={"coherence": "incoherent", "beam_radius": None}, input={"shape": [24, 24]}, panel={"shape": [96, 96]}
    )
    kernel = response.incoherent_kernel(place.config, place.slm, torch.ones(place.fourier_grid.shape), [(0, 0)])
    assert float(kernel.min()) >= 0
    assert float(kernel.sum()) == pytest.approx(1, abs=0.02)  # the tails of sinc^2 beyond 23 pixels hold 1.7 %
    image = place.intensity(torch.ones(24, 24, dtype=torch.float64), torch.ones(place.fourier_grid.shape))
    assert float(image[12, 12] / place.encode(torch.ones(24, 24)).intensity[12, 12]) == pytest.approx(1, abs=0.03)


def test_split_of_incoherent_light_is_a_signed_convolution():
    place = bench(light={"coherence": "incoherent"}, readout={"kind": "split"})
    masks, image = some_masks(place, 4), some(8, 8)
    plus, minus = place.frames(image, masks, place.image_grid)
    kernels = response.incoherent_kernel(place.config, place.slm, masks, [(0, 0)])[:, 0]
    signed = response.correlate(place.encode(image).intensity[None], (kernels[:2] - kernels[2:]) + 0j)[0]
    torch.testing.assert_close(fo.readout.from_split(plus, minus, coherent=False), signed.real.flip((-2, -1)))


def test_incoherent_light_elsewhere_is_refused():
    place = bench(light={"coherence": "incoherent"})
    with pytest.raises(fo.GeometryError, match="image_grid"):
        place.intensity(some(8, 8), some_masks(place), fo.Grid((9, 9), 1e-5))
    with pytest.raises(fo.ConfigError, match="coherence"):
        bench(light={"coherence": "incoherent"}, model="wave")


def test_a_spectrum_adds_the_intensities_of_its_lines():
    lines = [["631 nm", 1.0], ["635 nm", 3.0]]
    place, image = bench(light={"spectrum": lines}), some(8, 8)
    mask = some_masks(place, 1)
    (first, _), (share, other) = place.lines
    assert (first, share) == (0.25, 0.75)
    assert other.wavelength == pytest.approx(635e-9)
    assert other.fourier_grid == place.fourier_grid  # the iris is a piece of metal
    expected = sum(part * line(image, mask).intensity for part, line in place.lines)
    torch.testing.assert_close(place.intensity(image, mask), expected)
    with pytest.raises(fo.GeometryError, match="spectrum"):
        place(image, mask)


def test_another_wavelength_moves_the_carrier_and_turns_the_levels():
    """A grating of period P sends light to lambda f / P; a panel made for 2 pi at 633 nm gives less at 650 nm."""
    place = bench(lens1={"focal_slope": 500.0}, lens2={"focal_slope": 500.0})
    red = fo.FourF(place.config.at(650e-9))
    assert red.config.lens1.focal_length == pytest.approx(0.2 + 500 * 17e-9)
    asked = torch.full((1, 1), math.pi, dtype=torch.float64)
    green = fo.SLM(place.config.panel, 633e-9)
    level = green.levels(asked)
    shown = [slm.transmission(level).angle() for slm in (green, red.slm)]
    ideal = [
        (1 - place.config.panel.fill_factor) + place.config.panel.fill_factor * torch.exp(1j * phase)
        for phase in (green.realised(asked), green.realised(asked) * 633 / 650)
    ]
    torch.testing.assert_close(shown[0], ideal[0].angle())
    torch.testing.assert_close(shown[1], ideal[1].angle())
