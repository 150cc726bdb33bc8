"""
What a teacher passes on, and a head that learns its bench
==========================================================

Two networks are alike if a step that fits one image moves their answers to the others alike: that is their neural
tangent kernel. Here it is computed exactly and by projection, for a teacher and for its student. Then the student goes
to a bench whose panel blurs its mask by a pixel, and its head is trained again on a few hundred pictures taken there.
"""

import tomllib
from functools import partial

import matplotlib.pyplot as plt
import torch

import fouroptics as fo
from fouroptics.bench.settings import EXAMPLE
from models.compensate import captured, compensate
from models.data import Dataset, fashion_subset
from models.distill import distilled
from models.ntk import exact_kernel, kernel, normalised, tangents
from models.optical import calibrate, predict, response
from models.student import Student, StudentConfig
from models.teacher import Teacher, TeacherConfig
from models.train import FitConfig, build, fit, logits

whole = fashion_subset()
data = Dataset("few", whole.classes, whole.train.first(2500), whole.validation.first(200), whole.test.first(400))

# %%
# A teacher, and a student that learns from its scores: ``alpha T^2 KL + (1 - alpha) CE``.
teacher = build(lambda: Teacher(TeacherConfig(width=8, hidden=32)), 0)
fit(teacher, data, FitConfig(epochs=4, batch=100), seed=0)
scores = logits(teacher, data.train.images)
student = build(lambda: Student(StudentConfig(outputs=8, width=8, hidden=32)), 0)
fit(student, data, FitConfig(epochs=6, batch=100), objective=distilled(scores[None], 2, 0.5), seed=0)

# %%
# Their kernels on four images of each of five classes, in the order of the classes. The projection on random directions
# of the weights costs one forward derivative a direction, however many weights there are.
order = data.validation.labels[:200].argsort(stable=True)
labels = data.validation.labels[:200][order]
images = data.validation.images[:200][order][torch.cat([(labels == c).nonzero()[:4, 0] for c in range(5)])]
exact = {"teacher": normalised(exact_kernel(teacher, images)), "student": normalised(exact_kernel(student, images))}
exact = {name: theta.detach() for name, theta in exact.items()}
counts = (4, 16, 64, 256)
error = {name: [] for name in exact}
for name, network in (("teacher", teacher), ("student", student)):
    torch.manual_seed(0)
    projected = tangents(network, images, counts[-1]).detach()
    for probes in counts:
        groups = torch.stack([normalised(kernel(part)) for part in projected.split(probes, 1)])
        error[name].append(float((groups - exact[name]).square().sum((1, 2)).mean().sqrt() / exact[name].norm()))

figure, (left, middle, right) = plt.subplots(1, 3, figsize=(9.5, 3), layout="constrained")
top = max(float(theta.max()) for theta in exact.values())
for axes, (name, theta) in zip((left, middle), exact.items(), strict=True):
    shown = axes.imshow(theta, vmin=0, vmax=top, cmap="viridis")
    middles = [1.5 + 4 * c for c in range(5)]
    axes.set_xticks(middles, whole.classes[:5], rotation=40, ha="right")
    axes.set_yticks(middles, whole.classes[:5] if axes is left else [""] * 5)
    axes.set_title(f"kernel of the {name}")
figure.colorbar(shown, ax=[left, middle], label="over mean diagonal")
for name, marker in (("teacher", "o"), ("student", "s")):
    right.loglog(counts, [100 * value for value in error[name]], marker, label=name)
right.loglog(counts, [100 * error["student"][0] * (4 / n) ** 0.5 for n in counts], "k:", label=r"$1/\sqrt{\rm probes}$")
right.set(xlabel="probes", ylabel="error of the projected kernel (%)", title="projection")
right.set_xticks(counts, counts)
right.set_yticks([1, 2, 5, 10, 20], [1, 2, 5, 10, 20])
right.minorticks_off()
right.legend(frameon=False)

# %%
# The student's kernels become a mask for the bench of ``fouroptics new``. The bench that is really there has a panel
# whose pixels talk to each other, as much as a blur of one pixel, which nobody told the compiler. Gain and offset of
# each channel are fitted there.
bench = fo.FourF(tomllib.loads(EXAMPLE))
masks = fo.masks.from_kernels(student.collapse(), bench, encoding=partial(fo.encoding.phase_only, steps=120))
config = bench.config.model_dump()
blurred = fo.FourF(config | {"panel": config["panel"] | {"crosstalk": 1.0}})
optics = response(blurred, masks)
instrument = calibrate(blurred, optics, student, data.train.images[:200], torch.Generator().manual_seed(0))


def accuracy(network: Student) -> float:
    noise = torch.Generator().manual_seed(1)
    named = predict(network, optics, instrument, data.test.images, noise).argmax(1)
    return 100 * float((named == data.test.labels).double().mean())


# %%
# Pictures of training images, taken on that bench, train the head again, on the labels and on the teacher's scores.
sizes = (50, 200, 800)
pictures = captured(optics, instrument, data.train.first(sizes[-1]), seed=0)
recipe = FitConfig(epochs=15, batch=50, rate=2e-3)
taught = distilled(scores[None], 4, 0.9)
on_labels, on_scores = (
    [accuracy(compensate(student, pictures.first(size), recipe, objective=how, seed=0)) for size in sizes]
    for how in (None, taught)
)
digital = 100 * float((logits(student, data.test.images).argmax(1) == data.test.labels).double().mean())
frozen = accuracy(student)

figure, axes = plt.subplots(figsize=(6, 3.6), layout="constrained")
axes.axhline(digital, color="k", ls=":", label="student in torch")
axes.axhline(frozen, color="tab:red", ls="--", label="head as it was")
axes.semilogx(sizes, on_labels, "s-", color="tab:orange", label="head trained on labels")
axes.semilogx(sizes, on_scores, "o-", color="tab:blue", label="head trained on scores")
axes.set_xticks(sizes, sizes)
axes.minorticks_off()
axes.set(xlabel="pictures taken on the bench", ylabel=f"accuracy, {len(data.test)} test images (%)")
figure.legend(frameon=False, loc="outside upper center", ncols=2)

# %%
print(f"error with 256 probes: teacher {error['teacher'][-1]:.1%}, student {error['student'][-1]:.1%}")
print(f"{digital:.1f} % in torch, {frozen:.1f} % on the bench, {on_scores[-1]:.1f} % with {sizes[-1]} pictures")
assert max(error["teacher"][-1], error["student"][-1]) < 0.05
assert frozen < digital - 10
assert on_scores[-1] > digital - (digital - frozen) / 3
