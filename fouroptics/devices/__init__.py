"""What a lab owns.

======  =====================================================================
panel   SLMConfig, presets, the grey level of a phase; no torch
slm     SLM: levels, fill factor, undiffracted light, the area of a pixel
camera  Camera: photons to electrons to numbers
======  =====================================================================
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
