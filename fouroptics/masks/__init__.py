"""From kernels to the file that the SLM loads.

========  ===================================================================
encoding  a wanted response to a phase that a panel can show
layout    which mask carries each kernel, and where its window lies
compiler  kernels to a MaskSet for one bench, and what was lost
maskset   MaskSet: frozen arrays and plain metadata; no torch
schema    the layout of the file; no torch
bundle    the HDF5 file: save, load, verify; no torch
checks    what is right in such a file; no torch
hologram  phase masks for an intensity in the far field
export    frames and kernels as files beside it; no torch
========  ===================================================================
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
