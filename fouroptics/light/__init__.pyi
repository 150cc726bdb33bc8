from . import shapes as shapes
from .field import Field as Field
from .grid import Grid as Grid
from .sources import gaussian_beam as gaussian_beam
from .sources import plane_wave as plane_wave
