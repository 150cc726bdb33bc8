"""What goes wrong, by name.

Every error of the package is a `FourOpticsError`; a result that the sampling cannot fully support is a
`SamplingWarning`. Python's own warning filters decide whether that warning is shown, hidden or raised.
"""


class FourOpticsError(Exception):
    """Base of every error that the package raises on purpose."""


class ConfigError(FourOpticsError):
    """A configuration or a bench file is wrong; the message names the key, the value and the remedy."""


class GeometryError(FourOpticsError):
    """Grids, wavelengths or shapes do not belong together."""


class SamplingError(FourOpticsError):
    """The request cannot be answered on this grid; the message says which grid can."""


class BundleError(FourOpticsError):
    """A mask file is refused, on writing or on reading."""


class SamplingWarning(UserWarning):
    """The result is computed, but the grid supports it only in part; the message holds both numbers and the remedy."""
