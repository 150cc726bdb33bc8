"""What light is.

==========  =================================================================
grid        Grid: where the samples lie, in plain numbers
field       Field: the one data type that travels
sources     plane wave, Gaussian beam
shapes      circle and rectangle on a grid
==========  =================================================================
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
