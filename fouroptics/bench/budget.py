"""Budget: the light on a pixel that is read, by arithmetic alone. Imports no torch."""

import math

from fouroptics.bench.settings import FourFConfig
from fouroptics.devices.sensor import PHOTON


def photon_rate(config: FourFConfig, light: float = 0.08) -> float:
    """Photons a second on a pixel that is read, for a white image.

    The part of the beam that falls on the display, ``erf(sqrt(2) a / w)`` along an axis of half width a; of that the
    display passes its fill factor squared (its order 0), the fold ``R (1 - R)``, the polarisers ``cos^2``, the mask
    `light`. What is left is spread over the image, and a pixel of the camera takes its photosensitive area of it.

    Parameters
    ----------
    config : FourFConfig
        The bench.
    light : float
        Part of the light on the panel that a mask puts into the taps of its kernels, and losses at surfaces: the
        efficiency of a MaskSet, which holds what the panel's fill factor takes.
    """
    image, fold = config.image_grid, config.fold
    power = config.light.power * config.input.fill_factor**2 * light
    if config.light.beam_radius is not None:
        for side in config.input_grid.extent:
            power *= math.erf(side / (math.sqrt(2) * config.light.beam_radius))
    if fold.kind == "beam_splitter":
        power *= fold.reflectance * (1 - fold.reflectance)
    power *= math.cos(config.polarisation.angle) ** 2
    return power * config.camera.area / (image.extent[0] * image.extent[1]) * config.light.wavelength / PHOTON


def exposure(config: FourFConfig, light: float = 0.08) -> float:
    """Seconds of an exposure: the camera's, or if that is automatic the one that gives `mean_photons`."""
    return config.camera.exposure or config.camera.mean_photons / photon_rate(config, light)


def ceiling(config: FourFConfig) -> float:
    """Electrons at which a pixel that is read ends: the full well, or the highest number of the converter."""
    camera = config.camera
    return min(camera.well, (2**camera.bits - 1 - camera.black_level) / camera.gain)


def signal_to_noise(config: FourFConfig, photons: float, seconds: float) -> float:
    """Signal-to-noise ratio of one exposure, ``eta mu / sqrt(variance in the dark + eta mu)`` (EMVA 1288)."""
    camera, signal = config.camera, config.camera.qe * photons
    return signal / math.sqrt(camera.noise(camera.dark(seconds)) + signal)
