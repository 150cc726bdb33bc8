"""complex64 beside complex128: the same propagation in both."""

from functools import partial

from validation import circles, edges, space
from validation.case import DOUBLE, SINGLE, Case, Point, Setting, relative


def apart(setting: Setting) -> float:
    """Relative distance between the results in complex64 and complex128."""
    return relative(setting.result(SINGLE), setting.result(DOUBLE))


CASES = (
    Case(
        "complex64 beside complex128",
        "no closed form: the float64 result of the same propagation, which the other cases hold against theirs",
        "1e-6: phases are built in float64, so distance costs nothing; 1e-4 is the contract up to 3 m",
        tuple(
            Point(f"{name}, {setting.label}", 1e-6, partial(apart, setting), "complex64")
            for name, settings in (
                ("beam", space.NEAR_AND_FAR),
                ("tilted beam", space.TILTED),
                ("square", edges.SQUARE),
                ("edge", edges.WITHIN[:2]),
                ("circle", circles.ACROSS[1:]),
                ("focus", circles.FOCUS[:3]),
            )
            for setting in settings
        ),
    ),
)
