"""Pictures.

=======  =====================================================================
plot     field, section, mask, camera frame; takes an Axes and returns it
frames   an image file through a bench: camera frames and their picture
contact  contact sheet of a mask file: masks and their far fields; no torch
=======  =====================================================================
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
