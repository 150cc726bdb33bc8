"""How light travels.

===========  ================================================================
transforms   Fourier transforms: which one, at which size; calls torch.fft
kernels      transfer functions and impulse responses, in float64, cached
propagation  angular spectrum, Rayleigh-Sommerfeld, lens, lens transform
===========  ================================================================
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
