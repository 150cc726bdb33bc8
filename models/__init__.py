"""The learned part: a nonlinear teacher, a one-pass linear student, its controls, and what they give on a bench.

Run from the checkout; nothing here is in the wheel, and `fouroptics` never imports it.

make_subset   Fashion-MNIST (IDX files) -> fashion_subset.npz, the part of it that comes with the repository
data          Split, Dataset, fashion_subset(), read_idx()
macs          multiply-accumulates of the electronic layers, counted by running them
teacher       the nonlinear CNN that the student learns from
student       the one-pass student: a linear stack that merges into one kernel an output, a readout, a small head
controls      what the student must beat: plain lens, random kernels, head only, a digital net of the same cost
distill       the distillation loss
train         the training loop and its command: python -m models.train RECIPE
runs          the run folder: checkpoints and tables, written whole or not at all
recipes/      TOML files for train
optical       the student's first layer on a bench
evaluate      the accuracy of a run on a bench
figures       the pictures that demo and evaluate draw
demo          all of it in a few minutes
"""
