"""Scores by hand; students of segmentation, linear in front of the camera; what a study writes."""

import doctest
from pathlib import Path

import numpy as np
import pytest
import torch
import typer
from torch.nn import functional as F
from typer.testing import CliRunner

from fouroptics.errors import ConfigError, FourOpticsError
from models import segmentation, segmenter, unet
from models.batch import Batch
from models.data import IGNORE, Dataset, Split
from models.data.scenes import SCENE_CLASSES, scenes
from models.macs import count_macs
from models.scores import logits
from models.segmentation import SceneStudyConfig, class_iou, class_weights, confusion, miou, network, objective
from models.segmenter import DigitalSegmenter, DigitalSegmenterConfig, Segmenter, SegmenterConfig
from models.tables import scene_summary
from models.train import FitConfig, build, fit
from models.unet import UNet, UNetConfig, up_convolution

STUDENTS = {
    "stack": {},
    "groups": {"front": "free", "groups": (8, 16, 32)},
    "plain lens": {"front": "delta", "outputs": 16, "read": 4, "pool": 1},
    "random": {"front": "random", "kernel": 9},
    "17 x 17": {"front": "free", "kernel": 17, "outputs": 16, "read": 4, "pool": 1},
    "colour": {"channels": 3, "outputs": 4},
}


def student(**config) -> Segmenter:
    return build(lambda: Segmenter(SegmenterConfig(**config)), 0)


def images(net: Segmenter, count: int = 2) -> torch.Tensor:
    shape = (count, net.config.channels, net.config.size, net.config.size)
    drawn = torch.rand(shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    return drawn[:, 0] if net.config.channels == 1 else drawn


def small(count: int = 24) -> Dataset:
    return scenes(32, background="texture", counts=(count, 4, 4))


def test_intersection_over_union_by_hand():
    """Two classes of three, four pixels and one that is not scored: class 0 named once rightly and once too often."""
    truth = torch.tensor([[[0, 1], [1, IGNORE]], [[1, 1], [0, 0]]])
    named = torch.tensor([[[0, 0], [1, 1]], [[1, 1], [0, 1]]])
    counts = confusion(F.one_hot(named, 3).movedim(-1, 1).float(), truth)
    assert counts.tolist() == [[2, 1, 0], [1, 3, 0], [0, 0, 0]]
    iou = class_iou(counts)
    assert iou[:2].tolist() == [2 / 4, 3 / 5]
    assert iou[2].isnan()  # neither there nor named: no 0 that would lower the mean


def test_the_mean_is_over_all_pixels_at_once_and_in_eval_mode():
    """An image without a class must not give that class a score of its own; the mean of images would."""
    labels = torch.zeros(2, 2, 2, dtype=torch.int64)
    labels[0, 0, 0] = 1

    class Named(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.anything = torch.nn.Linear(1, 1)

        def forward(self, batch):
            assert not self.training
            return torch.stack([1 - batch, batch], 1)

    split = Split(torch.tensor([[[1.0, 1], [0, 0]], [[0, 0], [0, 0]]]), labels)
    net = Named().train()
    assert miou(net, split) == pytest.approx((6 / 7 + 1 / 2) / 2)
    assert net.training


def test_weights_of_classes():
    labels = torch.tensor([[[0] * 16 + [1] * 4 + [IGNORE]]])
    assert torch.allclose(class_weights(labels, 2), torch.tensor([2 / 3, 4 / 3]))  # 1/4 and 1/2, over their mean 3/8


@pytest.mark.parametrize("name", STUDENTS)
def test_each_student_collapses_to_one_kernel_an_output(name: str):
    """Layers one by one, the kernels used in training and torch's convolution with the collapsed ones: the same."""
    net = student(**STUDENTS[name])
    c, x, kernels = net.config, images(net), net.collapse()
    k = kernels.shape[-1]
    assert kernels.shape == (c.outputs, c.channels, k, k)
    light = F.pad(x if x.ndim == 4 else x.unsqueeze(1), (k // 2, k - 1 - k // 2) * 2)
    start = (c.read - 1) // 2
    whole = F.conv2d(light, kernels)[..., start :: c.read, start :: c.read]
    torch.testing.assert_close(
        net.run_stack(x), whole, rtol=0, atol=1e-6
    )  # weights that are float32, summed in another order
    with torch.no_grad():
        torch.testing.assert_close(net.amplitude(x.float()).double(), whole, rtol=0, atol=2e-5)  # of float32


@pytest.mark.parametrize("name", STUDENTS)
def test_each_student_is_linear_in_front_of_the_camera(name: str):
    net = student(**STUDENTS[name])
    x, y = images(net).chunk(2)
    torch.testing.assert_close(
        net.run_stack(0.3 * x - 2 * y), 0.3 * net.run_stack(x) - 2 * net.run_stack(y), rtol=0, atol=1e-10
    )
    detected = net.detect(net.amplitude((2 * x).float()))
    torch.testing.assert_close(detected, 4 * net.detect(net.amplitude(x.float())))  # and the camera squares


def test_groups_are_3x3_kernels_on_smaller_and_smaller_pictures():
    net = student(**STUDENTS["groups"], read=4)
    x = images(net).float()
    u = net.amplitude(x)
    for i, part in enumerate(u.split(net.groups, 1)):
        blurred = F.avg_pool2d(x.unsqueeze(1), 2**i, stride=1)  # the mean of 2^i pixels from this one on
        kernel = net.stack[i]
        dilated = F.conv2d(F.pad(blurred, (16,) * 4), kernel, dilation=2**i)
        first = 1 + 16 - 2**i - (2**i) // 2  # of the taps, before the pixel that is read, counted with the border
        torch.testing.assert_close(part[..., 4:12, 4:12], dilated[..., first::4, first::4][..., 4:12, 4:12])


def test_plain_lens_shows_the_picture_and_nothing_else():
    net = student(**STUDENTS["plain lens"])
    x = images(net).float()
    torch.testing.assert_close(net.amplitude(x), F.pixel_unshuffle(x.unsqueeze(1), 4), rtol=0, atol=0)
    odd = student(front="delta", outputs=9, read=3, pool=1, size=48)
    x = images(odd).float()
    torch.testing.assert_close(odd.amplitude(x), F.pixel_unshuffle(x.unsqueeze(1), 3), rtol=0, atol=0)
    assert not any(name.startswith("stack") for name, _ in net.named_parameters())


@pytest.mark.parametrize("name", STUDENTS)
def test_scores_are_as_large_as_the_image_and_all_of_it_learns(name: str):
    net = student(**STUDENTS[name])
    scores = net(images(net).float())
    assert scores.shape == (2, 6, 64, 64)
    scores.square().sum().backward()
    for parameter, weights in net.named_parameters():
        assert weights.grad is not None, parameter
        assert weights.grad.abs().max() > 0, parameter


def test_up_convolution_is_the_transposed_convolution():
    up, x = up_convolution(5, 3, 2), torch.randn(1, 5, 4, 4)
    weight, bias = (up[0].get_parameter(name) for name in ("weight", "bias"))
    transposed = F.conv_transpose2d(x, weight.view(3, 2, 2, 5).permute(3, 0, 1, 2), stride=2)
    torch.testing.assert_close(up(x) - F.pixel_shuffle(bias.view(1, 12, 1, 1), 2).repeat(1, 1, 4, 4), transposed)


def test_the_head_gets_roots_of_averages_unless_the_readout_is_linear():
    rooted, plain = (student(root=root, size=16, outputs=4).eval() for root in (True, False))
    detected = torch.rand(2, 4, 8, 8)
    roots = F.avg_pool2d(detected, 2).sqrt().repeat_interleave(2, -1).repeat_interleave(2, -2)
    torch.testing.assert_close(
        rooted.classify(detected), plain.classify(roots), rtol=0, atol=1e-4
    )  # 1e-6 under the root
    assert rooted.classify(detected - 1).isfinite().all()  # noise of the camera may be below 0
    scene = torch.rand(2, 16, 16)
    torch.testing.assert_close(rooted(scene), rooted.classify(rooted.detect(rooted.amplitude(scene))))
    signed = student(readout="reference_pair", size=16, outputs=4).eval()
    torch.testing.assert_close(signed.classify(-detected), plain.classify(-detected))


def test_macs_by_hand():
    """In the head of the student: 16 x 16 cells, 56 to 32 channels, two blocks of 25 + 32 taps; then 32^2 and 64^2."""
    cells = 16 * 16 * (2 * 32 * (25 + 32) + 32 * 4 * 8) + 32 * 32 * 8 * 4 * 6
    assert student().electronic_macs() == 16 * 16 * 56 * 32 + cells
    assert student(**STUDENTS["plain lens"]).electronic_macs() == 16 * 16 * 16 * 32 + cells
    digital = DigitalSegmenter(DigitalSegmenterConfig())
    assert digital.macs() == 32 * 32 * 24 * 9 + 16 * 16 * 24 * 9 + 16 * 16 * 24 * 32 + cells
    full, half = 16 * 16 * 9, 8 * 8 * 9
    net = UNet(UNetConfig(width=2, depth=1, size=16))
    assert net.macs() == full * (2 + 4) + half * (8 + 16) + 64 * 4 * 8 + full * (8 + 4) + 16 * 16 * 2 * 6
    assert count_macs(up_convolution(5, 3, 2), torch.zeros(1, 5, 4, 4)) == 16 * 5 * 12


def test_u_net_sees_far_and_keeps_the_size():
    net = build(lambda: UNet(UNetConfig(width=4, channels=3, size=32)), 0).eval()
    x = torch.rand(1, 3, 32, 32, requires_grad=True)
    scores = net(x)
    assert scores.shape == (1, 6, 32, 32)
    scores[0, :, 16, 16].sum().backward()
    assert x.grad is not None
    seen = x.grad[0].abs().sum((0, 1)) > 0
    assert seen[[3, 29]].all()  # 13 pixels to each side, which two halvings would not reach


def stripes(count: int) -> Split:
    """Left half: stripes along y, along x or none, three classes by the direction; right half: another of the three."""
    drawn = torch.Generator().manual_seed(0)
    kinds = torch.randint(3, (count, 2), generator=drawn)
    wave = (torch.arange(16) % 4 < 2).float()
    pictures = torch.stack([wave.expand(16, 16), wave.expand(16, 16).T, torch.full((16, 16), 0.5)])
    images = torch.cat([pictures[kinds[:, 0], :, :8], pictures[kinds[:, 1], :, 8:]], -1)
    return Split(images.contiguous(), kinds.repeat_interleave(8, 1).unsqueeze(1).expand(-1, 16, -1).contiguous())


def test_a_student_learns_what_is_where():
    """The direction of stripes, which the mean of no region tells; one class for all is below 0.2."""
    split, net = stripes(60), student(size=16, classes=3, outputs=8, hidden=8, blocks=1)
    data = Dataset("stripes", ("x", "y", "none"), split, split.first(0), split.first(0))
    recipe = FitConfig(epochs=20, batch=20, rate=2e-2)
    fit(net, data, recipe, objective=objective(data, recipe, None), metric=miou, seed=0)
    assert miou(net, split) > 0.7


def test_distillation_counts_pixels_by_the_weights_of_their_classes():
    """Of a teacher that is right about one class only, the loss of the other pixels must have the weight of theirs."""
    data = small(4)
    teacher = build(lambda: UNet(UNetConfig(width=1, size=32)), 0)
    recipe = FitConfig(alpha=1.0, temperature=1.0)
    weights = class_weights(data.train.labels, 6)
    chosen = torch.arange(4)
    batch = Batch(data.train.images, data.train.labels, chosen)
    net = student(size=32, outputs=4).eval()
    loss, scores = objective(data, recipe, teacher)(net, batch)
    taught = logits(teacher, data.train.images).half().float().softmax(1)
    pixels = (taught * (taught.log() - scores.log_softmax(1))).sum(1)
    counted = weights[data.train.labels]
    torch.testing.assert_close(loss, (counted * pixels).sum() / counted.sum(), rtol=1e-4, atol=0)  # rounding of float32


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"hidden": 0}, "one width"),
        ({"hidden": [8, 8]}, "one width"),
        ({"dropout": 0.5}, "leave it out"),
        ({"groups": [8, 16]}, "set front = 'free' and outputs = 24"),
        ({"groups": [8, 16], "front": "free", "outputs": 24, "kernel": 3}, "of their own size"),
        ({"size": 60, "pool": 8}, "size = 60 is no multiple of read x pool = 16"),
        ({"depth": 2, "bands": [33, 17]}, "whole picture"),
        ({"front": "delta"}, "4 camera pixels"),
    ],
)
def test_what_does_not_fit_says_what_would(config, message: str):
    with pytest.raises(ConfigError, match=message):
        SegmenterConfig(**config)


def test_other_wrong_configurations():
    with pytest.raises(ConfigError, match="give the same twice"):
        DigitalSegmenterConfig(widths=(4, 8))
    with pytest.raises(FourOpticsError, match="multiple of 8"):
        UNet(UNetConfig(size=60))
    rows = [{"name": "a", "network": "teacher"}, {"name": "b", "against": "c"}]
    with pytest.raises(ConfigError, match="no such row"):
        SceneStudyConfig.model_validate({"row": rows})
    with pytest.raises(ConfigError, match="teacher first"):
        SceneStudyConfig.model_validate({"row": rows[1:]})
    with pytest.raises(ConfigError, match=r"row\.transfer = 'ntk': not for scenes"):
        SceneStudyConfig.model_validate({"row": [rows[0], {"name": "b", "transfer": "ntk"}]})


def test_the_recipe_is_read_and_no_control_is_cheaper_than_the_student():
    study = SceneStudyConfig.from_toml(segmentation.RECIPE)
    macs = {row.name: segmentation.cost(study, row) for row in study.row}
    assert study.seeds >= 5
    assert macs[study.row[0].name] > 10 * macs["student alone"]
    controls = [name for name in macs if name.startswith(("digital", "plain lens", "random"))]
    assert len(controls) == 4
    assert all(macs[name] >= macs["student alone"] for name in controls)
    assert all(isinstance(network(study, row), UNet | Segmenter | DigitalSegmenter) for row in study.row)


def test_a_study_writes_each_line_once(tmp_path: Path):
    recipe, output = tmp_path / "tiny.toml", tmp_path / "tiny.csv"
    recipe.write_text(
        "seeds = 1\n"
        "data = { name = 'scenes', size = 32, background = 'texture', train = 8, validation = 2, test = 2 }\n"
        "teacher = { width = 1, size = 32 }\nstudent = { size = 32, outputs = 4, hidden = 4 }\n"
        "training = { epochs = 1, batch = 4 }\n"
        "row = [{ name = 'U-Net', network = 'teacher' }, { name = 'distilled', transfer = 'kd', against = 'U-Net' }]\n"
    )
    app = typer.Typer()
    app.command()(segmentation.main)
    pictures = tmp_path / "tiny.npz"
    command = [str(recipe), "-o", str(output), "--folder", str(tmp_path / "runs"), "--pictures", str(pictures)]
    first = CliRunner().invoke(app, command)
    assert first.exit_code == 0, first.output
    text = output.read_text()
    rows = [line.split(",") for line in text.splitlines()]
    assert [row[2] for row in rows] == ["row", "all background", "U-Net", "distilled"]
    classes = (tmp_path / "tiny-classes.csv").read_text().splitlines()
    assert len(classes) == 1 + 3 * 6
    assert [line.rsplit(",", 1)[1] for line in classes[2:7]] == ["0.0"] * 5
    assert float(rows[1][5]) == pytest.approx(float(classes[1].rsplit(",", 1)[1]) / 6, abs=1e-4)  # rounding
    with np.load(pictures) as kept:
        assert {name: kept[name].shape for name in kept} == {"U-Net": (2, 32, 32), "distilled": (2, 32, 32)}
    again = CliRunner().invoke(app, command)
    assert again.exit_code == 0
    assert output.read_text() == text
    assert CliRunner().invoke(app, [*command, "--row", "nothing"]).exit_code == 1


def test_examples():
    for module in (segmenter, unet):
        result = doctest.testmod(module, extraglobs={"torch": torch})
        assert result.attempted
        assert not result.failed


def test_the_table_pairs_seeds():
    study = SceneStudyConfig.model_validate(
        {"row": [{"name": "U-Net", "network": "teacher"}, {"name": "student", "against": "U-Net"}, {"name": "later"}]}
    )
    values = {"U-Net": (0.60, 0.70), "student": (0.50, 0.56), "all background": (0.12,)}
    found = [
        {"row": name, "seed": str(seed), "value": str(value), "macs": "1500000"}
        for name, both in values.items()
        for seed, value in enumerate(both)
    ]
    classes = [{"row": name, "class": kind, "iou": "0.5"} for name in values for kind in SCENE_CLASSES]
    table = scene_summary(study, found, classes)
    assert [row[0] for row in table] == ["U-Net", "student", "all background"]
    # differences -10 and -14: mean -12, standard deviation 2.83, t(0.975, 1) = 12.7
    assert table[1] == ["student", "53.0 ± 4.2", *["50"] * 6, "1,500", "2", "U-Net", "-12.0 [-37.4, +13.4]"]
