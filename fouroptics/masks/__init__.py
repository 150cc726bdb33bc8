"""From kernels to the file that the SLM loads.

===========  =========================================================================
to compile
kernels      kernels from files: npz, checkpoints; no torch
signs        signed and complex kernels as rows that a mask can carry
layout       which mask carries each row, and where its window lies
targets      rows as displacements and transmissions: what a mask has to do
search       phases, amplitudes and levels that come closest to a target
encoding     a target to what the panel is asked for
compiler     all that in passes: kernels to a MaskSet for one bench
measure      what a bench makes of masks, as the table of a MaskSet
report       what became of each kernel and pass; no torch
hologram     phase masks for an intensity in the far field, spot arrays
corrections  gratings, Zernike modes and measured phases added to masks
phases       phases of any origin as a MaskSet; no torch
to keep
maskset      MaskSet: frozen arrays and plain metadata; no torch
frames       frames that are read when asked for, and what is wrong with one; no torch
schema       the layout of the file; no torch
hdf5         HDF5 written to equal bytes, and read without trust; no torch
bundle       the mask file: save, load, verify, diff; no torch
checks       what is right in such a file; no torch
differences  what differs between two files; no torch
to show
formats      a frame as the bytes of a file; no torch
export       frames for the SLM computer; no torch
imported     masks that slmsuite saved; no torch
pictures     images for the display of a run; no torch
runsheet     the folder that a lab script plays; no torch
captures     the frames that came of it; no torch
play         the simulated lab
===========  =========================================================================
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
