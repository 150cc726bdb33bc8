"""What a lab owns.

===============  ==================================================================
panel            SLMConfig, presets, the level that shows a phase; no torch
maps             maps of a panel, from files; no torch
slm              SLM: levels, fill, crosstalk, undiffracted light, a pixel's area
mirrors          DMDConfig: the data sheet of a mirror array; no torch
dmd              DMD: mirrors
patterns         binary patterns as controllers take them; no torch
sensor           CameraConfig, presets, the fixed pattern of a sensor; no torch
camera           Camera: photons to electrons to numbers
pixels           what a pixel, or an area of them, sees of an intensity
photon_transfer  the figures of a camera from its frames, after EMVA 1288
tables           a vendor's phase tables; no torch
corrections      a vendor's pictures: Hamamatsu, Santec, slmsuite; no torch
vendor_file      what such a file holds; no torch
table_report     what it would change, before anything is applied; no torch
===============  ==================================================================
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
