"""
Four readouts of one bench
==========================

A camera sees intensities, and a kernel has a sign. Four ways to get from one to the other: the intensity as it is, two
frames or four with a reference wave, and two frames of incoherent light. They cost frames and photons.
"""

import copy
import tomllib

import matplotlib.pyplot as plt
import torch

import fouroptics as fo
from fouroptics.bench.settings import EXAMPLE
from fouroptics.masks.targets import transfer
from models.data import fashion_subset
from models.incoherent import ideal_halves
from models.optical import Instrument, Response, calibrate
from models.student import Student, StudentConfig

# %%
# One bench file a readout. A reference wave needs its arm, and signed kernels in incoherent light a display that shines
# by itself.
CHANGES = {
    "intensity": {},
    "reference_pair": {"reference": {"power": "auto"}},
    "four_step": {"reference": {"power": "auto"}},
    "split": {"light": {"coherence": "incoherent"}},
}


def make_bench(kind: str, photons: float = 300.0) -> fo.FourF:
    """The bench of the guide with another readout."""
    data = copy.deepcopy(tomllib.loads(EXAMPLE)) | {"readout": {"kind": kind}}
    for table, values in CHANGES[kind].items():
        data[table] = data.get(table, {}) | values
    data["camera"]["mean_photons"] = photons
    return fo.FourF(data)


# %%
# Two kernels without an electronic head of interest: an edge detector and a curvature. The masks are ideal here, so
# that the readouts alone differ; ``from_kernels`` and ``split_masks`` make those of a real panel.
sobel = torch.tensor([[1.0, 0, -1], [2, 0, -2], [1, 0, -1]])
laplace = torch.tensor([[0.0, 1, 0], [1, -4, 1], [0, 1, 0]])
kernels = torch.stack([sobel, laplace])[:, None]
images = fashion_subset().validation.images[:200]


def make_student(kind: str) -> Student:
    """Two kernels; what the student of a readout detects is what the camera's numbers shall become."""
    student = Student(StudentConfig(front="free", kernel=3, outputs=2, readout=kind)).eval()
    student.stack[0].data.copy_(kernels)
    return student


def optics_of(bench: fo.FourF) -> Response:
    """The bench with ideal masks; for ``split`` those of the positive halves, then those of the negative ones."""
    if bench.config.readout.kind == "split":
        return Response(bench, ideal_halves(kernels[:, 0], bench).flatten(0, 1).float(), ((0, 0),) * 4)
    masks = transfer(kernels[:, 0].double(), bench)
    masks = masks / masks.abs().amax((1, 2), keepdim=True)
    return Response(bench, bench.kernel(masks)[:, 0].to(torch.complex64), ((0, 0),) * 2)


def captured(bench: fo.FourF, optics: Response, student: Student) -> tuple[Instrument, torch.Tensor, torch.Tensor]:
    """Calibrate on 100 images, take frames of the others, and return what is detected and what is wanted."""
    generator = torch.Generator().manual_seed(0)
    instrument = calibrate(bench, optics, student, images[:100], generator)
    with torch.no_grad():
        wanted = student.detect(student.amplitude(images[100:]))
    return instrument, instrument(optics(images[100:]), generator), wanted


# %%
# The frames of one image behind the edge detector, at 300 photons a pixel on average. One frame of intensity has lost
# the sign. The difference of a pair has it; four steps would give the phase of a complex field as well. The two frames
# of incoherent light are blurred images, and their difference is the edge.
figure, axes = plt.subplots(4, 6, figsize=(9.6, 6.6), layout="constrained")
item = 104
for row, kind in zip(axes, CHANGES, strict=True):
    bench, student = make_bench(kind), make_student(kind)
    optics = optics_of(bench)
    instrument, detected, wanted = captured(bench, optics, student)
    frames = instrument.frames(optics(images[item : item + 1]))
    bright = max(float(frame[0, 0].max()) for frame in frames)
    for place, frame in zip(row, frames, strict=False):
        place.imshow(frame[0, 0], cmap="gray", vmin=0, vmax=bright)
    for place in row[len(frames) : 4]:
        place.set_visible(False)
    largest = float(wanted[item - 100, 0].abs().max())
    for place, result in zip(row[4:], (detected, wanted), strict=True):
        drawn = place.imshow(result[item - 100, 0], cmap="RdBu_r", vmin=-largest, vmax=largest)
    figure.colorbar(drawn, ax=row[5], fraction=0.05, label="a.u.")
    row[0].set_ylabel(kind.replace("_", " "))
    for place in row:
        place.set(xticks=[], yticks=[])
for i in range(4):
    axes[(0, 1, 2, 2)[i], i].set_title(f"frame {i + 1}")
axes[0, 4].set_title("detected")
axes[0, 5].set_title("wanted")

# %%
# What is left of the noise, as RMS over the RMS of the wanted values, against the photons that an image costs at a
# pixel: frames times mean photons. Against the intensity readout the others pay for light that carries no edge: the
# reference wave, or the two blurred images. But most of an edge image is dark, and the few bright pixels of the
# intensity fill the well of the camera first, from 1,000 photons on average on: the exposure is part of the readout.
COUNTS = [10, 30, 100, 300, 1000, 3000]
noise = {}
figure, place = plt.subplots(figsize=(5.6, 4), layout="constrained")
for (kind, marker), line in zip(
    zip(CHANGES, "os^D", strict=True), ("tab:blue", "tab:orange", "tab:green", "k"), strict=True
):
    student, errors = make_student(kind), []
    optics = optics_of(make_bench(kind))
    for photons in COUNTS:
        _, detected, wanted = captured(make_bench(kind, photons), optics, student)
        errors.append(
            float((detected - wanted).square().mean().sqrt() / (wanted - wanted.mean()).square().mean().sqrt())
        )
    noise[kind] = errors
    spent = [count * fo.readout.FRAMES[kind] for count in COUNTS]
    place.loglog(spent, errors, marker=marker, color=line, label=f"{kind.replace('_', ' ')}")
place.set(xlabel="photons an image at a read pixel, all frames", ylabel="RMS error / RMS of the wanted values")
place.grid(visible=True, which="both", alpha=0.3)
place.legend()

for kind, errors in noise.items():
    print(f"{kind:<16}" + "".join(f"{error:8.3f}" for error in errors))
    assert errors[:4] == sorted(errors[:4], reverse=True)
assert noise["intensity"][3] < 0.05 < noise["intensity"][5]
assert max(noise[kind][5] for kind in ("reference_pair", "four_step")) < 0.1
