"""Simulate a 4f optical bench, compile convolution kernels to SLM masks, and write the file that the SLM loads.

The rooms, each importing only from those to its left::

    units errors config  <-  light  <-  waves  <-  devices  <-  bench  <-  masks  <-  show  <-  cli

Public names are listed in ``__init__.pyi`` and loaded on first use: ``import fouroptics`` imports nothing heavy.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
