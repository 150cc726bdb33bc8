"""How it is put together.

===========  ===================================================================
pose         Pose: where a part stands, and how light meets it there
elements     free space, masks, beam splitters, misalignment, as Modules
lenses       Lens, FourierLens
apertures    round stops and beam blocks
gratings     gratings and diffusers
aberrations  Zernike phases
nuisances    fringes, ghosts, dust, drift and jitter of the laser
bench        Bench: any sequence, with a look inside anywhere
ledger       where the power of the light goes
settings     the bench file: its sections and keys
display      the input display: beam, coding, nuisances
shown        what the panel does to the light; folds and polarisers
ideal        the Fourier model: each arm is one transform
passes       many images through many masks
wave         the wave model: free space, thin lenses, rims, aberrations
response     kernels of a shift-invariant bench; incoherent light
inside       pictures of the light along a 4f bench, and its ledger
fourf        FourF: the 4f bench from its file, in both models
readout      frames, and the numbers that a network wants
geometry     bands, orders, windows: what the lengths of a bench make
rows         what a bench has against what it needs, quantity by quantity
capacity     what one frame carries, beside the orders of the panel
budget       light, exposure, signal to noise
check        all of that as a table, light and time included
schedule     frames and seconds of a run
cost         transforms, bytes and seconds of a simulation
===========  ===================================================================
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
