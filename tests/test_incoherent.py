"""Signed kernels in incoherent light: taps of the two masks, their kernels on the bench, the compiled frames."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from conftest import bench_data, random_frames

import fouroptics as fo
from fouroptics.bench import response
from fouroptics.bench.shown import PanelFrames
from fouroptics.masks.targets import windows
from models.incoherent import ideal_halves, images_of_points, main, power_kernels, split_masks, taps

INCOHERENT = {"light": {"coherence": "incoherent"}, "readout": {"kind": "split"}}


def bench(**display) -> fo.FourF:
    return fo.FourF(bench_data(INCOHERENT | {"input": display}))


def random_kernels(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def miss(found: torch.Tensor, kernels: torch.Tensor) -> float:
    """Largest relative error of kernels of all displacements, those beyond the taps included."""
    wanted = windows(kernels, ((found.shape[-2] + 1) // 2, (found.shape[-1] + 1) // 2))
    return float(((found - wanted).square().sum((1, 2)) / kernels.square().sum((1, 2))).max().sqrt())


@pytest.mark.parametrize(("pixel", "tolerance"), [("point", 5e-4), ("square", 0.02)])
def test_ideal_masks_give_the_signed_kernel(pixel, tolerance):
    """Points shine into one tap each, which leaves what the search leaves; a square pixel reaches its neighbours."""
    kernels = torch.cat([random_kernels(3, 3, 3), torch.zeros(1, 3, 3)])
    kernels[3, 1, 1] = 1  # a plain lens, without a negative part
    plus, minus = ideal_halves(kernels, bench(pixel=pixel))
    assert float(torch.minimum(plus, minus).min()) >= 0
    assert miss(plus - minus, kernels) < tolerance


def test_roots_of_the_halves_are_not_enough_for_square_pixels():
    """Why the taps are searched: without it a quarter of the kernel is missed."""
    kernels, place = random_kernels(4, 5, 5), bench()
    roots = torch.nn.functional.pad(torch.stack([kernels, -kernels]).clamp_min(0).sqrt(), (1, 1, 1, 1))
    wanted = torch.nn.functional.pad(kernels, (4, 4, 4, 4))

    def error(amplitudes):
        plus, minus = images_of_points(amplitudes, place)
        return float((plus - minus - wanted).square().sum().sqrt() / wanted.square().sum().sqrt())

    assert error(roots) > 0.25
    assert error(taps(kernels, place)) < 0.02
    assert torch.equal(taps(kernels, place), taps(kernels, place))  # the noise has its seed


def test_kernels_of_frames_are_those_of_the_bench():
    """One transform for all windows, 4 points a side of a pixel: 2e-4 from the engine's, which takes more."""
    place, tiles = bench(), [(9, -8), (-7, 12), (3, 3)]
    frames = random_frames(place, 2)
    masks = split_masks(random_kernels(3, 1, 3, 3), place, light=0.05)
    columns = {name: part[:3].copy() for name, part in vars(masks.kernels).items() if part is not None}
    columns |= {"mask": np.array([1, 0, 1], np.int32), "tile": np.array(tiles, np.int32)}
    columns |= {"pair": np.full(3, -1, np.int32)}
    shown: Any = SimpleNamespace(gray=frames.gray, slm=frames.slm, kernels=type(masks.kernels)(**columns))
    found = power_kernels(shown, [2, 1, 0], place)
    assert float(found.min()) >= 0
    for kernel, row in zip(found, (2, 1, 0), strict=True):
        one = PanelFrames(frames.gray[int(columns["mask"][row]) :][:1], frames.slm)
        expected = response.incoherent_kernel(place.config, place.slm, one, [tiles[row]])[0, 0]
        assert float((kernel - expected).abs().max() / expected.max()) < 2e-4


def test_compiled_halves_in_two_frames(tmp_path):
    """Two frames with their windows in the same places; the file keeps them, and their difference is the kernel.

    The scale of the table is of amplitudes. So small a mask misses the worst kernel by 12 %, one of 500 x 500 by 2 %.
    """
    place, kernels = bench(), random_kernels(4, 1, 3, 3)
    masks = split_masks(kernels, place, light=0.05, provenance={"dataset": "none"})
    table = masks.kernels
    assert len(masks) == 2
    assert table.mask.tolist() == [0] * 4 + [1] * 4
    assert table.sign.tolist() == [1] * 4 + [-1] * 4
    assert table.pair.tolist() == [4, 5, 6, 7, 0, 1, 2, 3]
    assert (table.tile[:4] == table.tile[4:]).all()
    np.testing.assert_allclose(table.weight[:4] - table.weight[4:], kernels[:, 0].numpy())
    assert masks.instrument["optics"]["coherence"] == "incoherent"
    assert masks.provenance["dataset"] == "none"
    assert 'coherence = "incoherent"' in masks.provenance["bench"]
    fo.bundle.save(tmp_path / "masks.h5", masks)
    assert fo.bundle.verify(tmp_path / "masks.h5") == []
    loaded = fo.bundle.load(tmp_path / "masks.h5")
    power = power_kernels(loaded, range(8), place) * torch.from_numpy(table.scale.copy()).square()[:, None, None]
    assert miss(power[:4] - power[4:], kernels[:, 0]) < 0.2


def test_what_has_no_halves_is_refused():
    with pytest.raises(fo.FourOpticsError, match="coherence = 'coherent'"):
        split_masks(torch.ones(1, 1, 3, 3), fo.FourF(bench_data()))
    for wrong in (torch.ones(1, 2, 3, 3), torch.ones(3, 3), torch.ones(1, 1, 3, 3, dtype=torch.complex64)):
        with pytest.raises(fo.FourOpticsError, match=r"give real kernels \(out, 1, k, k\)"):
            split_masks(wrong, bench())


def test_command_compiles_a_run(tmp_path, capsys):
    np.savez(tmp_path / "kernels.npz", kernels=random_kernels(2, 1, 3, 3).numpy())
    (tmp_path / "bench.toml").write_text(bench().to_toml(), encoding="utf-8")
    main(tmp_path, tmp_path / "bench.toml", light=0.05, seed=0)
    assert "out1.in0-" in capsys.readouterr().out
    assert fo.bundle.load(tmp_path / "masks.h5").layout == "tiled_pairs"
    with pytest.raises(SystemExit, match=r"error: .*kernels.npz: is not there"):
        main(tmp_path / "none", tmp_path / "bench.toml")
    np.savez(tmp_path / "kernels.npz", weights=np.zeros(3))
    with pytest.raises(SystemExit, match=r"error: .* holds no array 'kernels'"):
        main(tmp_path, tmp_path / "bench.toml")
