"""Check: what a bench has against what it needs, one row each, before a long run."""

import math
from dataclasses import dataclass

from fouroptics.bench.settings import FourFConfig
from fouroptics.units import show


@dataclass(frozen=True)
class Row:
    """One quantity of a config.

    Attributes
    ----------
    quantity, have, need : str
        What it is, its value and what it should be.
    ok : bool
        Whether the bench works as the file says.
    remedy : str
        What to change where it does not.
    """

    quantity: str
    have: str
    need: str
    ok: bool
    remedy: str


def check(config: FourFConfig) -> list[Row]:
    """Geometry of a 4f bench: panel, iris, camera and lenses against the band of the input and the size of the image.

    Formulas: band ``lambda f1 / p``, replicas of the panel ``lambda f2 / p_slm`` apart in the camera plane, and in
    the plane of a lens light up to half the panel plus half the input or half the camera off the axis.
    """
    n = max(config.input.shape)
    pixels = min(config.panel.shape)
    ratio = config.image_grid.spacing[0] / config.camera.pitch
    image = max(config.image_grid.extent)
    sensor = min(config.camera_grid.extent)
    rows = [
        Row(
            "band on the panel",
            f"{config.band:.4g} pixels",
            f"at most {pixels}",
            config.band <= pixels + 0.5,
            "a larger panel, a coarser input or a shorter f1; else the panel cuts the finest detail",
        ),
        Row(
            "panel pixels in the band",
            f"{config.band:.4g}",
            f"at least {2 * n - 1}",
            config.band >= 2 * n - 1,
            "a longer f1 or a finer input; else the panel's replicas overlap the image",
        ),
        Row(
            "camera over the image",
            show(sensor, "length", 4),
            f"at least {show(image, 'length', 4)}",
            sensor >= image * (1 - 1e-9),
            "a larger camera or a shorter f2",
        ),
        Row(
            "camera pixels per image pixel",
            f"{ratio:.6g}",
            "a whole number",
            abs(ratio - round(ratio)) < 1e-3 and ratio >= 0.999,
            f"camera pitch = {show(config.image_grid.spacing[0] / max(round(ratio), 1), 'length')}",
        ),
    ]
    ends = (("lens1", config.lens1, config.input_grid.extent), ("lens2", config.lens2, config.camera_grid.extent))
    for name, lens, far in ends:
        need = math.hypot(*(a + b for a, b in zip(config.fourier_grid.extent, far, strict=True)))
        rows.append(
            Row(
                f"{name} diameter",
                "open" if lens.diameter is None else show(lens.diameter, "length", 4),
                f"at least {show(need, 'length', 3)}",
                lens.diameter is None or lens.diameter >= need,
                "a larger lens; else it vignettes the corners",
            )
        )
    return rows
