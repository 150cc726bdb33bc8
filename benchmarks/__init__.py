"""Is it fast? One file for each question; ``python -m benchmarks [NAME ...]`` runs them.

The unit is A, the floor: two raw ``torch.fft.fft2`` of complex64 at the size of the transforms, timed in the same
process and in the same rounds as what is compared with it.

================  ==================================================================
harness           rounds, medians, ratios; a run on an unsteady machine is discarded
plain             the setting, the plain padded form, how far off an answer is
peers             other packages, each as fast as its interface allows
results           the tables on the screen and in docs/results
goals             what must be reached
propagation       one propagation
batch             32 fields at once
planes            32 distances at once
fourf             the ideal 4f
gradient          forward and backward to a phase mask
gerchberg_saxton  one iteration of phase retrieval
memory            extra memory of one propagation
busy              the same with two busy neighbours
lens              a zoomed lens transform: which algorithm
compiled          torch.compile
================  ==================================================================
"""
