from .propagation import angular_spectrum as angular_spectrum
from .propagation import fourier_lens as fourier_lens
from .propagation import lens as lens
from .propagation import propagate as propagate
from .propagation import rayleigh_sommerfeld as rayleigh_sommerfeld
