"""How light travels.

===========  =====================================================================
transforms   Fourier transforms: which one, at which size; calls torch.fft
blocked      the padded ones on a CPU, in blocks that stay in cache
sampling     what a sampling can carry, in plain floats
kernels      transfer functions and impulse responses, in float64, cached
propagation  free space: propagate, planes, angular_spectrum, fresnel, ...
tilted       light on a tilted plane, and from one
lenses       the thin lens; focal planes and the far field: fraunhofer
estimate     what arrives, what is missing, what comes round: the plan's terms
planner      which method, how far off it is, what it costs
imaging      PSF, OTF, incoherent and coherent images, Strehl ratio
===========  =====================================================================
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
