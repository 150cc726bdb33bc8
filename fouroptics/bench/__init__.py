"""How it is put together.

========  ===================================================================
elements  aberrations; free space, lens, aperture, mask, as Modules
bench     Bench: any sequence, with a look inside anywhere
settings  the bench file: its sections and keys
display   the input display: beam, coding, the spectrum of a pixel
fourf     FourF: the 4f bench from its file, in two models
check     what a bench has against what it needs, as a table
readout   frames, and the numbers that a network wants
========  ===================================================================
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
