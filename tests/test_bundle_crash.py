"""A save that fails or is killed at any moment leaves the old file or the new one."""

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from test_maskset import mask_set

from fouroptics.masks import bundle, hdf5

KILLS = 200


@pytest.mark.parametrize("place", ["replace", "fsync", "write"])
def test_failed_save_keeps_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str) -> None:
    path = tmp_path / "masks.h5"
    bundle.save(path, mask_set())
    old = path.read_bytes()

    def fail(*_: object, **__: object) -> None:
        assert place == "write" or path.with_name("masks.h5.partial").exists()
        raise OSError("no space left")

    put, half = hdf5._put, iter(range(10))
    monkeypatch.setattr(*{"replace": (os, "replace", fail), "fsync": (os, "fsync", fail)}.get(
        place, (hdf5, "_put", lambda *given: put(*given) if next(half) < 5 else fail())
    ))  # fmt: skip
    with pytest.raises(OSError, match="no space left"):
        bundle.save(path, mask_set(seed=2))
    assert path.read_bytes() == old
    assert [file.name for file in tmp_path.iterdir()] == ["masks.h5"]


def kill(path: Path, count: int) -> None:
    """Kill `count` processes that save two mask sets in turn, and print what they left under the name.

    They are forked, so that none has to import anything; a file is known by its bytes.
    """
    sets, rng = [mask_set(seed=seed) for seed in (1, 2)], np.random.default_rng(3)
    names = {}
    for name, masks in zip("AB", sets, strict=True):
        bundle.save(path, masks)
        assert bundle.verify(path) == []
        assert bundle.load(path) == masks
        names[path.read_bytes()] = name
    seen, partial = Counter[str](), path.with_name(f"{path.name}.partial")
    for _ in range(count):
        read, write = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                os.write(write, b"!")
                while True:
                    for masks in sets:
                        bundle.save(path, masks)
            finally:
                os._exit(1)
        os.read(read, 1)
        time.sleep(rng.uniform(0, 0.06))  # of the order of one save, so that every part of it is hit
        os.kill(child, signal.SIGKILL)
        assert os.waitpid(child, 0)[1] == signal.SIGKILL
        os.close(read)
        os.close(write)
        seen[names.get(path.read_bytes(), "broken") if path.exists() else "neither"] += 1
        seen["midway"] += partial.exists()
    bundle.save(path, sets[0])  # a partial file left behind is in nobody's way
    seen["partial"] = partial.exists()
    print(dict(seen))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no processes to fork on this system")
def test_kills_during_save_leave_a_whole_file(tmp_path: Path) -> None:
    program = (
        f"import test_bundle_crash as t; from pathlib import Path; t.kill(Path({str(tmp_path / 'm.h5')!r}), {KILLS})"
    )
    child = subprocess.run(
        [sys.executable, "-c", program], cwd=Path(__file__).parent, capture_output=True, text=True, timeout=600
    )  # the timeout ends a hang, it measures nothing
    assert child.returncode == 0, child.stderr[-2000:]
    seen: dict[str, int] = eval(child.stdout)
    assert seen["A"] + seen["B"] == KILLS, seen
    assert min(seen["A"], seen["B"], seen["midway"]) > 0, seen  # some were killed within a save of each
    assert not seen["partial"]
