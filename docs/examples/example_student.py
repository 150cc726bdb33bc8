"""
A three-layer linear network in one pass
========================================

A convolutional network whose layers are linear is one linear layer. Three layers of 3 x 3 kernels, 1 to 32 to 64 to 16
channels, learn for a moment on real images; then they are merged into 16 kernels of 7 x 7, and into the 16 masks that a
4f bench puts into its Fourier plane. With spectral pooling between the layers there is one mask an output as well.
"""

import matplotlib.pyplot as plt
import torch
from torch.nn import functional as F

from models.data import fashion_subset
from models.student import Student, StudentConfig

torch.set_num_threads(1)
data = fashion_subset()


def learned(**options) -> Student:
    """60 steps of 64 images; the intensity is detected, and the head is linear."""
    torch.manual_seed(0)
    student = Student(StudentConfig(widths=(32, 64), hidden=0, **options))
    optimizer = torch.optim.AdamW(student.parameters(), 3e-3)
    for chosen in torch.randperm(len(data.train))[: 60 * 64].split(64):
        optimizer.zero_grad()
        F.cross_entropy(student(data.train.images[chosen]), data.train.labels[chosen]).backward()
        optimizer.step()
    return student.eval()


# %%
# In the second student spectral pooling follows each layer: an image of 28 pixels with its dark border has 33 samples,
# of which 31, 21 and 15 are left, so the camera needs 13 x 13 pixels for the image.
students = {"stack": learned(), "pooled": learned(bands=(31, 21, 15), pool=2)}
kernels, masks = (student.collapse()[:, 0] for student in students.values())

# %%
# Layer by layer and in one pass, in double precision; and what 60 steps are worth.
difference, accuracy = {}, {}
for name, student in students.items():
    double = Student(student.config).double()
    double.load_state_dict(student.state_dict())
    with torch.no_grad():
        layered, once = (way(data.test.images[:200].double()) for way in (double.run_stack, double.amplitude))
        accuracy[name] = float((student(data.test.images).argmax(1) == data.test.labels).double().mean())
    difference[name] = float((layered - once).abs().max() / layered.abs().max())
    macs = f"{student.electronic_macs():,} electronic multiply-accumulates"
    print(f"{name}: one pass differs by {difference[name]:.1e}; accuracy {accuracy[name]:.1%}; {macs}")

# %%
# Kernels with their sign; the modulus of their spectra over the whole band of the display, zero frequency in the
# middle; and the masks of the pooled student, which hold the 15 lowest of 33 frequencies in each direction. Each
# picture has its own scale.
spectra = torch.fft.fftshift(torch.fft.fft2(kernels, s=(33, 33)), (-2, -1)).abs()
rows = {
    "stack: merged kernels, 7 x 7 pixels": kernels,
    "stack: modulus of their spectra, 33 x 33 frequencies": spectra,
    "pooled: modulus of the masks, 15 x 15 frequencies": torch.fft.fftshift(masks, (-2, -1)).abs(),
}
figure = plt.figure(figsize=(9, 4.2), layout="constrained")
for row, (name, part) in zip(figure.subfigures(3, 1), rows.items(), strict=True):
    signed, line = part is kernels, row.subplots(1, 8)
    row.suptitle(name, x=0.01, ha="left", fontsize=10)
    for place, picture in zip(line, part[:8], strict=True):
        scaled = (picture / picture.abs().max()).numpy()
        shown = place.imshow(scaled, cmap="RdBu_r" if signed else "viridis", vmin=-1 if signed else 0, vmax=1)
        place.set(xticks=[], yticks=[])
    row.colorbar(shown, ax=line.tolist(), shrink=0.8, label="weight / max" if signed else "|H| / max")
plt.show()

# %%
# Merging is exact, and what is learned in a moment is far above chance, 10 %.
assert max(difference.values()) < 1e-12
assert (kernels.shape, masks.shape) == ((16, 7, 7), (16, 15, 15))
assert min(accuracy.values()) > 0.6
