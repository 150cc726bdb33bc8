"""The reference implementation of EMVA 1288 reads the same figures from the same frames as `photon_transfer`."""

import warnings

import numpy as np
import pytest
import torch

from fouroptics.devices import photon_transfer
from fouroptics.devices.camera import Camera, CameraConfig

if not hasattr(np, "asfarray"):  # emva1288 1.0.2 expects it, numpy 2 dropped it
    setattr(np, "asfarray", lambda a: np.asarray(a, float))  # noqa: B010
with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of the package and of what it imports
    results = pytest.importorskip("emva1288.process.results")
    routines = pytest.importorskip("emva1288.process.routines")
    data = pytest.importorskip("emva1288.process.data")

SIDE, STEPS = 128, 50


def test_both_read_the_same_figures():
    """Both follow the equations of the standard, so they agree far below the noise of the frames, which are the same.

    1e-6 for the gain and the dark current, sums of whole numbers either way. The spatial variances differ by 1 / P:
    1e-4 leaves four of that.
    """
    camera = Camera(CameraConfig(dark_current=5.0, dsnu=1.5, prnu=0.008))
    expose = photon_transfer.frames(camera, (SIDE, SIDE), torch.Generator().manual_seed(0))
    part = np.arange(1, STEPS + 1) / STEPS
    photons, seconds = 1.15 * 10500 / 0.64 * part, 10 * part

    def stack(light, time, count):
        return [expose(light, time).numpy().astype(np.int64) for _ in range(count)]

    bright = [stack(p, t, 2) for p, t in zip(photons, seconds, strict=True)]
    dark = [stack(0.0, t, 2) for t in seconds]
    half = photons[STEPS // 2 - 4]
    stacks = stack(half, 1.0, 100), stack(0.0, 1.0, 100)
    own = photon_transfer.fit(photons, seconds, bright, dark, stacks)

    def summed(pair):
        parts = routines.get_int_imgs(pair)
        return parts | {"sum": parts["sum"].sum(), "pvar": parts["pvar"].sum()}

    steps = zip(photons, seconds, bright, dark, strict=True)
    temporal = {1e9 * t: {0.0: summed(d), p: summed(b)} for p, t, b, d in steps}  # in nanoseconds
    spatial = {1e9: {0.0: routines.get_int_imgs(stacks[1]), half: routines.get_int_imgs(stacks[0])}}
    whole = {"width": SIDE, "height": SIDE, "temporal": temporal, "spatial": spatial}
    # Left to search, it takes a maximum of the read noise far beyond saturation for that of the shot noise.
    full = int(np.searchsorted(photons, own.saturation))
    theirs = results.Results1288(data.Data1288(whole).data, index_u_ysat=full)

    for name, value, reference, allowed in (
        ("gain", own.gain, theirs.K, 1e-6),
        ("qe", own.qe, theirs.QE / 100, 1e-6),
        ("read_noise", own.read_noise, theirs.sigma_d, 1e-6),
        ("dark_current", own.dark_current, theirs.u_I_mean, 1e-6),
        ("dark_current_by_variance", own.dark_current_by_variance, theirs.u_I_var, 1e-6),
        ("saturation", own.saturation, theirs.u_p_sat, 1e-6),
        ("threshold", own.threshold, theirs.u_p_min, 1e-6),
        ("dsnu", own.dsnu, theirs.DSNU1288, 1e-4),
        ("prnu", own.prnu, theirs.PRNU1288 / 100, 1e-4),
        ("linearity", own.linearity_error[1], theirs.LE_max / 100, 1e-6),
    ):
        assert value == pytest.approx(reference, rel=allowed), name
