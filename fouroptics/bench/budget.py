"""Budget: the light on a pixel that is read, by arithmetic alone. Imports no torch."""

import math

from fouroptics.bench.settings import FourFConfig

PHOTON = 6.62607015e-34 * 299792458.0  #: h c in J m: the energy of a photon is this over its wavelength


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
    image, camera, fold = config.image_grid, config.camera, config.fold
    power = config.light.power * config.input.fill_factor**2 * light
    if config.light.beam_radius is not None:
        for side in config.input_grid.extent:
            power *= math.erf(side / (math.sqrt(2) * config.light.beam_radius))
    if fold.kind == "beam_splitter":
        power *= fold.reflectance * (1 - fold.reflectance)
    power *= math.cos(config.polarisation.angle) ** 2
    area = (camera.pitch * camera.binning) ** 2 * camera.fill_factor
    return power * area / (image.extent[0] * image.extent[1]) * config.light.wavelength / PHOTON


def exposure(config: FourFConfig, light: float = 0.08) -> float:
    """Seconds of an exposure: the camera's, or if that is automatic the one that gives `mean_photons`."""
    return config.camera.exposure or config.camera.mean_photons / photon_rate(config, light)


def ceiling(config: FourFConfig) -> float:
    """Electrons at which a pixel that is read ends: the full well, or the highest number of the converter."""
    camera = config.camera
    return min(camera.full_well * camera.binning**2, (2**camera.bits - 1 - camera.black_level) / camera.gain)


def dark_variance(config: FourFConfig, seconds: float) -> float:
    """Variance of a pixel without light, in electrons squared: read noise, dark current, rounding to DN."""
    c = config.camera
    warm = c.dark_current * 2 ** ((c.temperature - c.reference_temperature) / c.doubling_temperature)
    return c.read_noise**2 + warm * c.binning**2 * seconds + 1 / (12 * c.gain**2)


def signal_to_noise(config: FourFConfig, photons: float, seconds: float) -> float:
    """Signal-to-noise ratio of one exposure, ``eta mu / sqrt(variance in the dark + eta mu)`` (EMVA 1288)."""
    signal = config.camera.qe * photons
    return signal / math.sqrt(dark_variance(config, seconds) + signal)
