"""What light is.

==========  =================================================================
grid        Grid: where the samples lie, in plain numbers
field       Field: the one data type that travels
sources     plane wave, Gaussian beam, point source, picture
modes       several wavelengths, extended sources: intensities that add
shapes      circle, ring, rectangle, slit, edge, gratings, star on a grid
zernike     Noll's polynomials: unit RMS over the unit disk
resample    values of a sampled field between its samples
==========  =================================================================
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
